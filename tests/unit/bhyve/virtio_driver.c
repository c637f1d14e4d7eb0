// SPDX-License-Identifier: BSD-2-Clause
/* A driver of virtio devices; virtio_driver.h. */
#include "virtio_driver.h"
#include "fake_vmmapi.h"
#include "inout.h"
#include "mmio.h"
#include "pci.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUEUES_BASE  0x10000u
#define QUEUE_LENGTH 0x2000u /* of one queue's three parts in memory */
#define AVAILABLE    0x1000u
#define USED	     0x1800u

#define BAR_PORTS  0
#define BAR_MSIX   1
#define BAR_MEMORY 4

#define DEVICE_CONFIG 0x2000u
#define NOTIFY	      0x3000u

#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER	   2
#define STATUS_DRIVER_OK   4
#define STATUS_FEATURES_OK 8

#define WAIT_MICROSECONDS 200
#define WAIT_TURNS	  100000 /* 20 seconds: a safety net */

struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

struct ring {
	uint16_t flags, index, entry[DRIVER_QUEUE], event;
};

struct used {
	uint16_t flags, index;
	struct {
		uint32_t head, length;
	} entry[DRIVER_QUEUE];
	uint16_t event;
};

static void *part(unsigned queue, unsigned offset)
{
	return fake.memory + QUEUES_BASE + queue * QUEUE_LENGTH + offset;
}

static uint32_t bar(unsigned index)
{
	return pci_config_read(DRIVER_SLOT, 0, PCI_BAR(index), 4) & ~0xfu;
}

void driver_attach(const char *device)
{
	char option[256];

	snprintf(option, sizeof(option), "%u,%s", DRIVER_SLOT, device);
	pci_add(option);
	pci_init(fake_ctx);
	pci_config_write(DRIVER_SLOT, 0, PCI_COMMAND, 2,
			 PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void driver_detach(void)
{
	driver_write(20, 1, 0);
}

uint32_t driver_read(unsigned offset, unsigned bytes)
{
	return (uint32_t)mmio_read(bar(BAR_MEMORY) + offset, bytes);
}

void driver_write(unsigned offset, unsigned bytes, uint32_t value)
{
	mmio_write(bar(BAR_MEMORY) + offset, bytes, value);
}

uint32_t driver_config(unsigned offset, unsigned bytes)
{
	return driver_read(DEVICE_CONFIG + offset, bytes);
}

uint32_t driver_port_read(unsigned offset, unsigned bytes)
{
	return inout_read((uint16_t)(bar(BAR_PORTS) + offset), bytes);
}

void driver_port_write(unsigned offset, unsigned bytes, uint32_t value)
{
	inout_write((uint16_t)(bar(BAR_PORTS) + offset), bytes, value);
}

uint64_t driver_features(void)
{
	uint64_t features;

	driver_write(0, 4, 0);
	features = driver_read(4, 4);
	driver_write(0, 4, 1);
	return features | (uint64_t)driver_read(4, 4) << 32;
}

uint8_t driver_status(void)
{
	return (uint8_t)driver_read(20, 1);
}

static void make_queue(unsigned queue)
{
	uint64_t base = QUEUES_BASE + queue * QUEUE_LENGTH;

	memset(part(queue, 0), 0, QUEUE_LENGTH);
	driver_write(22, 2, queue);
	driver_write(24, 2, DRIVER_QUEUE);
	driver_write(32, 4, (uint32_t)base);
	driver_write(36, 4, 0);
	driver_write(40, 4, (uint32_t)base + AVAILABLE);
	driver_write(44, 4, 0);
	driver_write(48, 4, (uint32_t)base + USED);
	driver_write(52, 4, 0);
	driver_write(28, 2, 1);
}

uint8_t driver_start(uint64_t features)
{
	driver_write(20, 1, 0);
	driver_write(20, 1, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	driver_write(8, 4, 0);
	driver_write(12, 4, (uint32_t)features);
	driver_write(8, 4, 1);
	driver_write(12, 4, (uint32_t)(features >> 32));
	driver_write(20, 1, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	if (!(driver_status() & STATUS_FEATURES_OK))
		return driver_status();
	for (unsigned i = 0; i < driver_read(18, 2); i++)
		make_queue(i);
	driver_write(20, 1, driver_status() | STATUS_DRIVER_OK);
	return driver_status();
}

void driver_descriptor(unsigned queue, unsigned index, uint64_t address, uint32_t length,
		       uint16_t flags, uint16_t next)
{
	struct descriptor *table = part(queue, 0);

	table[index] = (struct descriptor){ address, length, flags, next };
}

void driver_offer(unsigned queue, uint16_t head)
{
	struct ring *ring = part(queue, AVAILABLE);

	ring->entry[ring->index % DRIVER_QUEUE] = head;
	__atomic_fetch_add(&ring->index, 1, __ATOMIC_SEQ_CST);
	driver_notify(queue);
}

void driver_notify(unsigned queue)
{
	driver_write(NOTIFY + queue * 4, 2, queue);
}

uint16_t driver_used(unsigned queue)
{
	const struct used *used = part(queue, USED);

	return __atomic_load_n(&used->index, __ATOMIC_SEQ_CST);
}

uint32_t driver_wait(unsigned queue, uint16_t count)
{
	const struct used *used = part(queue, USED);

	for (unsigned turn = 0; turn < WAIT_TURNS && driver_used(queue) < count; turn++)
		usleep(WAIT_MICROSECONDS);
	if (driver_used(queue) < count)
		abort();
	return used->entry[(count - 1) % DRIVER_QUEUE].length;
}

void driver_interrupts(unsigned queue, uint16_t flags, uint16_t event)
{
	struct ring *ring = part(queue, AVAILABLE);

	ring->flags = flags;
	ring->event = event;
}

void driver_enable_msix(unsigned vector, uint32_t data)
{
	uint32_t at = bar(BAR_MSIX) + vector * 16;
	unsigned capability = pci_config_read(DRIVER_SLOT, 0, PCI_CAPABILITIES, 1);

	mmio_write(at, 4, 0xfee00000);
	mmio_write(at + 4, 4, 0);
	mmio_write(at + 8, 4, data);
	mmio_write(at + 12, 4, 0);
	while (pci_config_read(DRIVER_SLOT, 0, capability, 1) != 0x11)
		capability = pci_config_read(DRIVER_SLOT, 0, capability + 1, 1);
	pci_config_write(DRIVER_SLOT, 0, capability + 2, 2, 0x8000);
}

void driver_mask_vector(unsigned vector, bool masked)
{
	mmio_write(bar(BAR_MSIX) + vector * 16 + 12, 4, masked);
}

uint32_t driver_pending(void)
{
	return (uint32_t)mmio_read(bar(BAR_MSIX) + 0x800, 4);
}

void driver_queue_vector(unsigned queue, uint16_t vector)
{
	driver_write(22, 2, queue);
	driver_write(26, 2, vector);
}
