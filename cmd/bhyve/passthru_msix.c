// SPDX-License-Identifier: BSD-2-Clause
/*
 * The MSI-X table (PCI Local Bus Specification 3.0, 6.8.2): the guest's is
 * emulated, the device's is the host's. Entries that are unmasked go to the module.
 */
#include "passthru.h"
#include "diag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONTROL_ENABLE 0x8000u
#define CONTROL_MASK   0x4000u

#define ENTRY_MASKED 0x1u

void passthru_msix_init(struct passthru *device)
{
	if (!device->vectors)
		return;
	device->table = calloc(device->vectors, sizeof(device->table[0]));
	if (!device->table)
		fatal("-s %u:%u: no memory for its MSI-X table", device->function->slot,
		      device->function->number);
	for (unsigned i = 0; i < device->vectors; i++)
		device->table[i].control = ENTRY_MASKED;
}

/* With the lock, like the next ones: gives an entry to the module. */
static void set_host_entry(struct passthru *device, unsigned index, uint32_t control)
{
	struct msix_entry *entry = &device->table[index];
	bool masked = control & ENTRY_MASKED;

	if (masked && !entry->live)
		return;
	if (vm_setup_pptdev_msix(device->ctx, device->bus, device->slot, device->func, (int)index,
				 entry->address, entry->data, control)) {
		complain("-s %u:%u: MSI-X vector %u: %s", device->function->slot,
			 device->function->number, index, strerror(errno));
		return;
	}
	entry->live = !masked;
}

static void entry_changed(struct passthru *device, unsigned index)
{
	if (device->msix_on)
		set_host_entry(device, index, device->table[index].control);
}

static void set_host_table(struct passthru *device)
{
	for (unsigned i = 0; i < device->vectors; i++)
		set_host_entry(device, i,
			       device->msix_on ? device->table[i].control : ENTRY_MASKED);
}

static void disable_host_msix(struct passthru *device)
{
	for (unsigned i = 0; i < device->vectors; i++)
		device->table[i].live = false;
	(void)vm_disable_pptdev_msix(device->ctx, device->bus, device->slot, device->func);
}

/* Enabled in the device at once: one may check this when its queues are created. */
static void enable_host_msix(struct passthru *device)
{
	if (!device->msix_enabled)
		(void)vm_setup_pptdev_msix(device->ctx, device->bus, device->slot, device->func, 0,
					   0, 0, ENTRY_MASKED);
}

void passthru_msix_update(struct passthru *device, uint16_t control)
{
	bool on = (control & (CONTROL_ENABLE | CONTROL_MASK)) == CONTROL_ENABLE;

	pthread_mutex_lock(&device->lock);
	if (control & CONTROL_ENABLE)
		enable_host_msix(device);
	device->msix_enabled = control & CONTROL_ENABLE;
	if (on != device->msix_on) {
		device->msix_on = on;
		set_host_table(device);
	}
	if (!(control & CONTROL_ENABLE))
		disable_host_msix(device);
	pthread_mutex_unlock(&device->lock);
}

void passthru_msix_reset(struct passthru *device)
{
	pthread_mutex_lock(&device->lock);
	device->msix_enabled = false;
	device->msix_on = false;
	for (unsigned i = 0; i < device->vectors; i++)
		device->table[i] = (struct msix_entry){ .control = ENTRY_MASKED };
	pthread_mutex_unlock(&device->lock);
}

/* --- the table in memory -------------------------------------------------- */

bool passthru_in_table(const struct passthru *device, unsigned bar, uint64_t offset)
{
	return device->vectors && bar == device->table_bar && offset >= device->table_offset &&
	       offset - device->table_offset < (uint64_t)device->vectors * MSIX_ENTRY_SIZE;
}

static uint32_t read_word(const struct msix_entry *entry, unsigned field)
{
	switch (field) {
	case 0:
		return (uint32_t)entry->address;
	case 4:
		return (uint32_t)(entry->address >> 32);
	case 8:
		return entry->data;
	default:
		return entry->control;
	}
}

static void write_word(struct msix_entry *entry, unsigned field, uint32_t value)
{
	switch (field) {
	case 0:
		entry->address = (entry->address & ~(uint64_t)UINT32_MAX) | (value & ~3u);
		break;
	case 4:
		entry->address = (entry->address & UINT32_MAX) | (uint64_t)value << 32;
		break;
	case 8:
		entry->data = value;
		break;
	default:
		entry->control = value & ENTRY_MASKED;
	}
}

/* Only whole words, one or two, are defined (6.8.2): others read ones and are lost. */
static bool is_whole(uint64_t offset, unsigned bytes)
{
	return bytes >= 4 && offset % bytes == 0;
}

uint64_t passthru_table_read(struct passthru *device, uint64_t offset, unsigned bytes)
{
	const struct msix_entry *entry = &device->table[offset / MSIX_ENTRY_SIZE];
	unsigned field = offset % MSIX_ENTRY_SIZE;
	uint64_t value;

	if (!is_whole(offset, bytes))
		return UINT64_MAX;
	pthread_mutex_lock(&device->lock);
	value = read_word(entry, field);
	if (bytes == 8)
		value |= (uint64_t)read_word(entry, field + 4) << 32;
	pthread_mutex_unlock(&device->lock);
	return value;
}

void passthru_table_write(struct passthru *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	unsigned index = (unsigned)(offset / MSIX_ENTRY_SIZE);
	unsigned field = offset % MSIX_ENTRY_SIZE;

	if (!is_whole(offset, bytes))
		return;
	pthread_mutex_lock(&device->lock);
	write_word(&device->table[index], field, (uint32_t)value);
	if (bytes == 8)
		write_word(&device->table[index], field + 4, (uint32_t)(value >> 32));
	entry_changed(device, index);
	pthread_mutex_unlock(&device->lock);
}
