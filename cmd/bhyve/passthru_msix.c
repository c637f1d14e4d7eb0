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

void passthru_msix_init(struct passthru *device)
{
	if (!device->vectors)
		return;
	device->table = calloc(device->vectors, sizeof(device->table[0]));
	if (!device->table)
		fatal("-s %u:%u: no memory for its MSI-X table", device->function->slot,
		      device->function->number);
	for (unsigned i = 0; i < device->vectors; i++)
		device->table[i].entry.control = MSIX_ENTRY_MASKED;
}

/* With the lock, like the next ones: gives an entry to the module. */
static void set_host_entry(struct passthru *device, unsigned index, uint32_t control)
{
	struct passthru_vector *vector = &device->table[index];
	bool masked = control & MSIX_ENTRY_MASKED;

	if (masked && !vector->live)
		return;
	if (vm_setup_pptdev_msix(device->ctx, device->bus, device->slot, device->func, (int)index,
				 vector->entry.address, vector->entry.data, control)) {
		complain("-s %u:%u: MSI-X vector %u: %s", device->function->slot,
			 device->function->number, index, strerror(errno));
		return;
	}
	vector->live = !masked;
}

static void entry_changed(struct passthru *device, unsigned index)
{
	if (device->msix_on)
		set_host_entry(device, index, device->table[index].entry.control);
}

static void set_host_table(struct passthru *device)
{
	for (unsigned i = 0; i < device->vectors; i++)
		set_host_entry(device, i,
			       device->msix_on ? device->table[i].entry.control :
						 MSIX_ENTRY_MASKED);
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
					   0, 0, MSIX_ENTRY_MASKED);
}

void passthru_msix_update(struct passthru *device, uint16_t control)
{
	bool on = (control & (MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK)) == MSIX_CONTROL_ENABLE;

	pthread_mutex_lock(&device->lock);
	if (control & MSIX_CONTROL_ENABLE)
		enable_host_msix(device);
	device->msix_enabled = control & MSIX_CONTROL_ENABLE;
	if (on != device->msix_on) {
		device->msix_on = on;
		set_host_table(device);
	}
	if (!(control & MSIX_CONTROL_ENABLE))
		disable_host_msix(device);
	pthread_mutex_unlock(&device->lock);
}

void passthru_msix_reset(struct passthru *device)
{
	pthread_mutex_lock(&device->lock);
	device->msix_enabled = false;
	device->msix_on = false;
	for (unsigned i = 0; i < device->vectors; i++)
		device->table[i] = (struct passthru_vector){ .entry.control = MSIX_ENTRY_MASKED };
	pthread_mutex_unlock(&device->lock);
}

/* --- the table in memory -------------------------------------------------- */

bool passthru_in_table(const struct passthru *device, unsigned bar, uint64_t offset)
{
	return device->vectors && bar == device->table_bar && offset >= device->table_offset &&
	       offset - device->table_offset < (uint64_t)device->vectors * MSIX_ENTRY_SIZE;
}

uint64_t passthru_table_read(struct passthru *device, uint64_t offset, unsigned bytes)
{
	const struct msix_entry *entry = &device->table[offset / MSIX_ENTRY_SIZE].entry;
	unsigned field = offset % MSIX_ENTRY_SIZE;
	uint64_t value;

	if (!msix_is_whole(offset, bytes))
		return UINT64_MAX;
	pthread_mutex_lock(&device->lock);
	value = msix_entry_word(entry, field);
	if (bytes == 8)
		value |= (uint64_t)msix_entry_word(entry, field + 4) << 32;
	pthread_mutex_unlock(&device->lock);
	return value;
}

void passthru_table_write(struct passthru *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	unsigned index = (unsigned)(offset / MSIX_ENTRY_SIZE);
	unsigned field = offset % MSIX_ENTRY_SIZE;

	if (!msix_is_whole(offset, bytes))
		return;
	pthread_mutex_lock(&device->lock);
	msix_entry_set_word(&device->table[index].entry, field, (uint32_t)value);
	if (bytes == 8)
		msix_entry_set_word(&device->table[index].entry, field + 4,
				    (uint32_t)(value >> 32));
	entry_changed(device, index);
	pthread_mutex_unlock(&device->lock);
}
