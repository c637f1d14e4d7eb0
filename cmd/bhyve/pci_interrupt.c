// SPDX-License-Identifier: BSD-2-Clause
/* MSI-X and INTA of emulated functions; pci_interrupt.h. */
#include "pci_interrupt.h"
#include "acpi.h"
#include "pci_capability.h"

#include <string.h>

#define CAPABILITY_MSIX	  0x11
#define CAPABILITY_LENGTH 12
#define CONTROL_OFFSET	  2
#define PENDING_OFFSET	  0x800u
#define BAR_SIZE	  0x1000u
#define INTA		  1

_Static_assert(PCI_MSIX_VECTORS *MSIX_ENTRY_SIZE <= PENDING_OFFSET,
	       "the table ends before the bits");
_Static_assert(PCI_MSIX_VECTORS <= 64, "the pending bits are one word");

void pci_interrupt_init(struct pci_interrupt *interrupt, struct pci_function *function,
			unsigned bar, unsigned vectors)
{
	unsigned at = pci_capability_add(function, CAPABILITY_MSIX, CAPABILITY_LENGTH);

	*interrupt = (struct pci_interrupt){
		.function = function,
		.capability = at,
		.bar = bar,
		.vectors = vectors,
	};
	pthread_mutex_init(&interrupt->lock, NULL);
	for (unsigned i = 0; i < vectors; i++)
		interrupt->message[i].entry.control = MSIX_ENTRY_MASKED;
	pci_bar_add(function, bar, PCI_BAR_MEMORY32, false, BAR_SIZE);
	pci_set16(function, at + CONTROL_OFFSET, (uint16_t)(vectors - 1));
	function->writable[at + CONTROL_OFFSET + 1] = (MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK) >>
						      8;
	pci_set32(function, at + 4, bar);
	pci_set32(function, at + 8, PENDING_OFFSET | bar);
	function->writable[PCI_COMMAND + 1] |= PCI_COMMAND_INTX_DISABLE >> 8;
	function->config[PCI_PIN] = INTA;
	function->config[PCI_LINE] = (uint8_t)acpi_intx_pin(function->slot, INTA - 1);
	function->writable[PCI_LINE] = 0xff;
}

void pci_interrupt_start(struct pci_interrupt *interrupt, struct vmctx *ctx)
{
	interrupt->ctx = ctx;
}

/* --- sending; the lock is held ---------------------------------------------------- */

static void message_send_or_hold(struct pci_interrupt *interrupt, struct pci_message *message)
{
	message->pending = interrupt->masked || message->entry.control;
	if (!message->pending)
		(void)vm_lapic_msi(interrupt->ctx, message->entry.address, message->entry.data);
}

static void message_send_pending(struct pci_interrupt *interrupt)
{
	for (unsigned i = 0; i < interrupt->vectors; i++)
		if (interrupt->enabled && interrupt->message[i].pending)
			message_send_or_hold(interrupt, &interrupt->message[i]);
}

static void line_update(struct pci_interrupt *interrupt)
{
	int pin = (int)acpi_intx_pin(interrupt->function->slot, INTA - 1);
	bool line = interrupt->wanted && !interrupt->enabled && !interrupt->disabled;

	if (line == interrupt->line)
		return;
	interrupt->line = line;
	if (line)
		(void)vm_ioapic_assert_irq(interrupt->ctx, pin);
	else
		(void)vm_ioapic_deassert_irq(interrupt->ctx, pin);
}

void pci_interrupt_send(struct pci_interrupt *interrupt, unsigned vector)
{
	pthread_mutex_lock(&interrupt->lock);
	if (interrupt->enabled && vector < interrupt->vectors)
		message_send_or_hold(interrupt, &interrupt->message[vector]);
	pthread_mutex_unlock(&interrupt->lock);
}

void pci_interrupt_line(struct pci_interrupt *interrupt, bool asserted)
{
	pthread_mutex_lock(&interrupt->lock);
	interrupt->wanted = asserted;
	line_update(interrupt);
	pthread_mutex_unlock(&interrupt->lock);
}

bool pci_interrupt_uses_msix(struct pci_interrupt *interrupt)
{
	bool enabled;

	pthread_mutex_lock(&interrupt->lock);
	enabled = interrupt->enabled;
	pthread_mutex_unlock(&interrupt->lock);
	return enabled;
}

void pci_interrupt_config_written(struct pci_interrupt *interrupt)
{
	uint16_t control = pci_get16(interrupt->function, interrupt->capability + CONTROL_OFFSET);
	uint16_t command = pci_get16(interrupt->function, PCI_COMMAND);

	pthread_mutex_lock(&interrupt->lock);
	interrupt->enabled = control & MSIX_CONTROL_ENABLE;
	interrupt->masked = control & MSIX_CONTROL_MASK;
	interrupt->disabled = command & PCI_COMMAND_INTX_DISABLE;
	message_send_pending(interrupt);
	line_update(interrupt);
	pthread_mutex_unlock(&interrupt->lock);
}

/* --- the table in memory ------------------------------------------------------------ */

static uint64_t pending_bits(const struct pci_interrupt *interrupt)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < interrupt->vectors; i++)
		bits |= (uint64_t)interrupt->message[i].pending << i;
	return bits;
}

/* A word at a multiple of 4 in the BAR; what is neither table nor bits reads 0. */
static uint32_t table_word(const struct pci_interrupt *interrupt, uint64_t offset)
{
	if (offset == PENDING_OFFSET || offset == PENDING_OFFSET + 4)
		return (uint32_t)(pending_bits(interrupt) >> (8 * (offset - PENDING_OFFSET)));
	if (offset >= (uint64_t)interrupt->vectors * MSIX_ENTRY_SIZE)
		return 0;
	return msix_entry_word(&interrupt->message[offset / MSIX_ENTRY_SIZE].entry,
			       offset % MSIX_ENTRY_SIZE);
}

static void set_table_word(struct pci_interrupt *interrupt, uint64_t offset, uint32_t value)
{
	if (offset < (uint64_t)interrupt->vectors * MSIX_ENTRY_SIZE)
		msix_entry_set_word(&interrupt->message[offset / MSIX_ENTRY_SIZE].entry,
				    offset % MSIX_ENTRY_SIZE, value);
}

static bool is_defined(uint64_t offset, unsigned bytes)
{
	return msix_is_whole(offset, bytes) && offset + bytes <= BAR_SIZE;
}

uint64_t pci_interrupt_read(struct pci_interrupt *interrupt, uint64_t offset, unsigned bytes)
{
	uint64_t value;

	if (!is_defined(offset, bytes))
		return UINT64_MAX;
	pthread_mutex_lock(&interrupt->lock);
	value = table_word(interrupt, offset);
	if (bytes == 8)
		value |= (uint64_t)table_word(interrupt, offset + 4) << 32;
	pthread_mutex_unlock(&interrupt->lock);
	return value;
}

void pci_interrupt_write(struct pci_interrupt *interrupt, uint64_t offset, unsigned bytes,
			 uint64_t value)
{
	if (!is_defined(offset, bytes))
		return;
	pthread_mutex_lock(&interrupt->lock);
	set_table_word(interrupt, offset, (uint32_t)value);
	if (bytes == 8)
		set_table_word(interrupt, offset + 4, (uint32_t)(value >> 32));
	message_send_pending(interrupt);
	pthread_mutex_unlock(&interrupt->lock);
}
