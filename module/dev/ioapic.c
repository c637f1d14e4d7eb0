// SPDX-License-Identifier: BSD-2-Clause
/* The I/O APIC; ioapic.h. */
#include "vm/vcpu.h"
#include "dev/ioapic.h"
#include "dev/pic.h"

/* Memory-mapped registers. */
#define IOREGSEL 0x00
#define IOWIN	 0x10
#define IOEOI	 0x40

/* Registers behind them. */
#define REGISTER_ID	     0x00
#define REGISTER_VERSION     0x01
#define REGISTER_ARBITRATION 0x02
#define REGISTER_ENTRIES     0x10 /* two for each pin */

#define VERSION (0x20u | (IOAPIC_PINS - 1) << 16)
#define ID_MASK 0x0f000000u

/* Redirection entries. */
#define ENTRY_VECTOR		 0xffull
#define ENTRY_LOGICAL		 0x800ull
#define ENTRY_REMOTE_IRR	 0x4000ull
#define ENTRY_LEVEL		 0x8000ull
#define ENTRY_MASKED		 0x10000ull
#define ENTRY_WRITABLE		 0xff0000000001afffull
#define ENTRY_DELIVERY(entry)	 ((enum lapic_delivery)((entry) >> 8 & 7))
#define ENTRY_DESTINATION(entry) ((uint8_t)((entry) >> 56))

struct ioapic {
	struct vm *vm; /* constant */
	struct os_spinlock lock;
	uint64_t entry[IOAPIC_PINS];   /* lock; [0] is also read without, atomically */
	uint32_t asserts[IOAPIC_PINS]; /* lock; how many sources drive the pin */
	uint32_t select;	       /* lock; IOREGSEL */
	uint32_t id;		       /* lock */
	struct ioapic_source *sources; /* lock */
};

int ioapic_create(struct vm *vm)
{
	struct ioapic *ioapic = os_alloc(sizeof(*ioapic));

	if (!ioapic)
		return -ENOMEM;
	ioapic->vm = vm;
	os_spin_init(&ioapic->lock);
	vm->ioapic = ioapic;
	ioapic_reset(vm);
	return 0;
}

void ioapic_destroy(struct vm *vm)
{
	os_free(vm->ioapic);
	vm->ioapic = NULL;
}

/* The pin has been reset: the source is low, and may assert it again. */
static void ioapic_source_silence(struct ioapic_source *source)
{
	if (source->high)
		(void)source->served(source);
	source->high = false;
}

static void ioapic_set_entry(struct ioapic *ioapic, unsigned int pin, uint64_t entry)
{
	__atomic_store_n(&ioapic->entry[pin], entry, __ATOMIC_RELAXED);
}

void ioapic_reset(struct vm *vm)
{
	struct ioapic *ioapic = vm->ioapic;
	unsigned long flags = os_spin_lock(&ioapic->lock);

	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++)
		ioapic_set_entry(ioapic, pin, ENTRY_MASKED);
	memset(ioapic->asserts, 0, sizeof(ioapic->asserts));
	ioapic->select = 0;
	ioapic->id = 0;
	for (struct ioapic_source *source = ioapic->sources; source; source = source->next)
		ioapic_source_silence(source);
	os_spin_unlock(&ioapic->lock, flags);
}

/* --- delivery; the lock is held ------------------------------------------------ */

/* Only Fixed and Lowest can be level-triggered: the others have no EOI. */
static bool ioapic_is_level(uint64_t entry)
{
	return (entry & ENTRY_LEVEL) && ENTRY_DELIVERY(entry) <= LAPIC_LOWEST;
}

static enum irq_outcome ioapic_send(struct ioapic *ioapic, unsigned int pin)
{
	uint64_t entry = ioapic->entry[pin];
	struct lapic_message message = {
		.destination = lapic_destination(ENTRY_DESTINATION(entry)),
		.logical = entry & ENTRY_LOGICAL,
		.level = ioapic_is_level(entry),
		.delivery = ENTRY_DELIVERY(entry),
		.vector = entry & ENTRY_VECTOR,
	};

	/* A start-up is no delivery mode of redirection entries. */
	if (message.delivery == LAPIC_STARTUP)
		return IRQ_IGNORED;
	return lapic_deliver(ioapic->vm, &message);
}

/* The line of a level-triggered pin may need an interrupt. */
static enum irq_outcome ioapic_update_level(struct ioapic *ioapic, unsigned int pin)
{
	uint64_t entry = ioapic->entry[pin];
	enum irq_outcome outcome;

	if (!ioapic->asserts[pin] || (entry & ENTRY_MASKED) || !ioapic_is_level(entry))
		return IRQ_IGNORED;
	if (entry & ENTRY_REMOTE_IRR)
		return IRQ_COALESCED;
	outcome = ioapic_send(ioapic, pin);
	/* Where nobody took it there will be no EOI: try again on the next occasion. */
	if (outcome != IRQ_IGNORED)
		ioapic_set_entry(ioapic, pin, entry | ENTRY_REMOTE_IRR);
	return outcome;
}

static enum irq_outcome ioapic_raise_pin(struct ioapic *ioapic, unsigned int pin)
{
	uint64_t entry = ioapic->entry[pin];
	bool rising = ioapic->asserts[pin] == 0;

	if (ioapic->asserts[pin] < UINT32_MAX)
		ioapic->asserts[pin]++;
	if (ioapic_is_level(entry))
		return ioapic_update_level(ioapic, pin);
	if (entry & ENTRY_MASKED)
		return IRQ_IGNORED;
	return rising ? ioapic_send(ioapic, pin) : IRQ_COALESCED;
}

static void ioapic_lower_pin(struct ioapic *ioapic, unsigned int pin)
{
	if (ioapic->asserts[pin])
		ioapic->asserts[pin]--;
}

/* --- pins ---------------------------------------------------------------------- */

int ioapic_assert(struct vm *vm, int pin)
{
	struct ioapic *ioapic = vm->ioapic;
	unsigned long flags;

	if (pin < 0 || pin >= IOAPIC_PINS)
		return -EINVAL;
	flags = os_spin_lock(&ioapic->lock);
	(void)ioapic_raise_pin(ioapic, (unsigned int)pin);
	os_spin_unlock(&ioapic->lock, flags);
	return 0;
}

int ioapic_deassert(struct vm *vm, int pin)
{
	struct ioapic *ioapic = vm->ioapic;
	unsigned long flags;

	if (pin < 0 || pin >= IOAPIC_PINS)
		return -EINVAL;
	flags = os_spin_lock(&ioapic->lock);
	ioapic_lower_pin(ioapic, (unsigned int)pin);
	os_spin_unlock(&ioapic->lock, flags);
	return 0;
}

enum irq_outcome ioapic_tick(struct vm *vm, int pin)
{
	struct ioapic *ioapic = vm->ioapic;
	enum irq_outcome outcome;
	unsigned long flags;

	if (pin < 0 || pin >= IOAPIC_PINS)
		return IRQ_IGNORED;
	flags = os_spin_lock(&ioapic->lock);
	outcome = ioapic_raise_pin(ioapic, (unsigned int)pin);
	ioapic_lower_pin(ioapic, (unsigned int)pin);
	os_spin_unlock(&ioapic->lock, flags);
	return outcome;
}

int ioapic_pulse(struct vm *vm, int pin)
{
	if (pin < 0 || pin >= IOAPIC_PINS)
		return -EINVAL;
	(void)ioapic_tick(vm, pin);
	return 0;
}

static void ioapic_poll_sources(struct ioapic *ioapic, unsigned int pin)
{
	for (struct ioapic_source *source = ioapic->sources; source; source = source->next) {
		if (source->pin != (int)pin || !source->high || !source->served(source))
			continue;
		source->high = false;
		ioapic_lower_pin(ioapic, pin);
	}
}

static void ioapic_end_interrupt(struct ioapic *ioapic, uint8_t vector)
{
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t entry = ioapic->entry[pin];

		if (!(entry & ENTRY_REMOTE_IRR) || (entry & ENTRY_VECTOR) != vector)
			continue;
		ioapic_set_entry(ioapic, pin, entry & ~ENTRY_REMOTE_IRR);
		ioapic_poll_sources(ioapic, pin);
		(void)ioapic_update_level(ioapic, pin);
	}
}

void ioapic_eoi(struct vm *vm, uint8_t vector)
{
	struct ioapic *ioapic = vm->ioapic;
	unsigned long flags = os_spin_lock(&ioapic->lock);

	ioapic_end_interrupt(ioapic, vector);
	os_spin_unlock(&ioapic->lock, flags);
}

/* --- sources ------------------------------------------------------------------- */

int ioapic_source_add(struct vm *vm, struct ioapic_source *source, int pin)
{
	struct ioapic *ioapic = vm->ioapic;
	unsigned long flags;

	if (pin < 0 || pin >= IOAPIC_PINS)
		return -EINVAL;
	flags = os_spin_lock(&ioapic->lock);
	source->pin = pin;
	source->high = false;
	source->next = ioapic->sources;
	ioapic->sources = source;
	os_spin_unlock(&ioapic->lock, flags);
	return 0;
}

void ioapic_source_remove(struct vm *vm, struct ioapic_source *source)
{
	struct ioapic *ioapic = vm->ioapic;
	unsigned long flags = os_spin_lock(&ioapic->lock);
	struct ioapic_source **link = &ioapic->sources;

	while (*link && *link != source)
		link = &(*link)->next;
	if (*link)
		*link = source->next;
	if (source->high)
		ioapic_lower_pin(ioapic, (unsigned int)source->pin);
	source->high = false;
	os_spin_unlock(&ioapic->lock, flags);
}

/* Meant for level-triggered pins; on an edge-triggered one the source interrupts once. */
void ioapic_source_raise(struct vm *vm, struct ioapic_source *source)
{
	struct ioapic *ioapic = vm->ioapic;
	unsigned long flags = os_spin_lock(&ioapic->lock);

	if (!source->high) {
		source->high = true;
		(void)ioapic_raise_pin(ioapic, (unsigned int)source->pin);
	}
	os_spin_unlock(&ioapic->lock, flags);
}

/* --- ExtINT ------------------------------------------------------------------ */

bool ioapic_extint_routed(struct vcpu *vcpu)
{
	uint64_t entry = __atomic_load_n(&vcpu->vm->ioapic->entry[0], __ATOMIC_RELAXED);

	if ((entry & ENTRY_MASKED) || ENTRY_DELIVERY(entry) != LAPIC_EXTINT)
		return false;
	return lapic_matches(vcpu, lapic_destination(ENTRY_DESTINATION(entry)),
			     entry & ENTRY_LOGICAL);
}

/* --- registers; the lock is held ------------------------------------------------ */

static uint32_t ioapic_read_register(const struct ioapic *ioapic)
{
	unsigned int index = ioapic->select - REGISTER_ENTRIES;

	switch (ioapic->select) {
	case REGISTER_ID:
	case REGISTER_ARBITRATION:
		return ioapic->id;
	case REGISTER_VERSION:
		return VERSION;
	default:
		if (index >= 2 * IOAPIC_PINS)
			return 0;
		return (uint32_t)(ioapic->entry[index / 2] >> (index % 2 * 32));
	}
}

/* The 8259s' output may have been high before pin 0 became a way for it. */
static void ioapic_update_extint(struct vm *vm)
{
	struct vcpu *vcpu;

	if (!pic_pending(vm))
		return;
	for_each_vcpu(vm, vcpu) {
		if (ioapic_extint_routed(vcpu))
			vcpu_request(vcpu, VCPU_REQ_EVENT);
	}
}

/* Turning a pin to edge-triggered ends what it waits for, as guests rely on. */
static void ioapic_write_entry(struct ioapic *ioapic, unsigned int index, uint32_t value)
{
	unsigned int pin = index / 2;
	unsigned int shift = index % 2 * 32;
	uint64_t writable = ENTRY_WRITABLE & (0xffffffffull << shift);
	uint64_t entry = ioapic->entry[pin];

	entry = (entry & ~writable) | ((uint64_t)value << shift & writable);
	if (!ioapic_is_level(entry))
		entry &= ~ENTRY_REMOTE_IRR;
	ioapic_set_entry(ioapic, pin, entry);
	(void)ioapic_update_level(ioapic, pin);
	if (pin == 0)
		ioapic_update_extint(ioapic->vm);
}

static void ioapic_write_register(struct ioapic *ioapic, uint32_t value)
{
	unsigned int index = ioapic->select - REGISTER_ENTRIES;

	if (ioapic->select == REGISTER_ID)
		ioapic->id = value & ID_MASK;
	else if (index < 2 * IOAPIC_PINS)
		ioapic_write_entry(ioapic, index, value);
}

void ioapic_mmio_read(struct vm *vm, uint32_t offset, unsigned int size, uint64_t *value)
{
	struct ioapic *ioapic = vm->ioapic;
	unsigned long flags = os_spin_lock(&ioapic->lock);
	unsigned int byte = offset & 15;
	uint64_t contents = 0;

	if (byte < 4 && (offset & ~15u) == IOREGSEL)
		contents = ioapic->select >> byte * 8;
	else if (byte < 4 && (offset & ~15u) == IOWIN)
		contents = ioapic_read_register(ioapic) >> byte * 8;
	os_spin_unlock(&ioapic->lock, flags);
	*value = size < 8 ? contents & (BIT_ULL(size * 8) - 1) : contents;
}

void ioapic_mmio_write(struct vm *vm, uint32_t offset, unsigned int size, uint64_t value)
{
	struct ioapic *ioapic = vm->ioapic;
	unsigned long flags = os_spin_lock(&ioapic->lock);

	if (offset == IOREGSEL)
		ioapic->select = value & 0xff;
	else if (offset == IOWIN && size >= 4)
		ioapic_write_register(ioapic, (uint32_t)value);
	else if (offset == IOEOI && size >= 4)
		ioapic_end_interrupt(ioapic, (uint8_t)value);
	os_spin_unlock(&ioapic->lock, flags);
}
