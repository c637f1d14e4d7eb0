// SPDX-License-Identifier: BSD-2-Clause
/*
 * A hostile driver of bhyve's virtio disk and network card: what it puts into its queues,
 * descriptors and registers, and when it notifies or resets, is the input's. Steps are eight
 * bytes each: what to do, where, and a value; what is left over is put into the queues first.
 */
#include "fake_vmmapi.h"
#include "inout.h"
#include "mmio.h"
#include "pci.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUES_BASE   0x10000u
#define QUEUES_LENGTH 0x8000u
#define QUEUE_LENGTH  0x2000u
#define DISK_BYTES    65536
#define STEPS	      64
#define DISK_SLOT     4u
#define NET_SLOT      5u
#define MEMORY_BAR    4
#define NOTIFY	      0x3000u

struct step {
	uint8_t what;
	uint8_t bytes;
	uint16_t where;
	uint32_t value;
};

static int wire;

static void make_devices(void)
{
	char option[64];
	int sockets[2];
	int disk = memfd_create("disk", 0);

	if (disk < 0 || ftruncate(disk, DISK_BYTES) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets))
		abort();
	wire = sockets[1];
	fcntl(wire, F_SETFL, O_NONBLOCK);
	snprintf(option, sizeof(option), "%u,virtio-blk,/proc/self/fd/%d", DISK_SLOT, disk);
	pci_add(option);
	snprintf(option, sizeof(option), "%u,virtio-net,fd=%d", NET_SLOT, sockets[0]);
	pci_add(option);
	pci_init(fake_ctx);
	pci_config_write(DISK_SLOT, 0, PCI_COMMAND, 2, 7);
	pci_config_write(NET_SLOT, 0, PCI_COMMAND, 2, 7);
}

static uint32_t bar(unsigned slot, unsigned index)
{
	return pci_config_read(slot, 0, PCI_BAR(index), 4) & ~0xfu;
}

static void common_write(unsigned slot, unsigned offset, unsigned bytes, uint32_t value)
{
	mmio_write(bar(slot, MEMORY_BAR) + offset, bytes, value);
}

static void make_queue(unsigned slot, unsigned queue, unsigned place)
{
	uint32_t base = QUEUES_BASE + place * QUEUE_LENGTH;

	common_write(slot, 22, 2, queue);
	common_write(slot, 24, 2, 16);
	common_write(slot, 32, 4, base);
	common_write(slot, 40, 4, base + 0x1000);
	common_write(slot, 48, 4, base + 0x1800);
	common_write(slot, 28, 2, 1);
}

static void start(unsigned slot, uint32_t features)
{
	common_write(slot, 20, 1, 0);
	common_write(slot, 20, 1, 3);
	common_write(slot, 12, 4, features);
	common_write(slot, 8, 4, 1);
	common_write(slot, 12, 4, 1);
	common_write(slot, 20, 1, 11);
}

static void start_devices(uint32_t features)
{
	start(DISK_SLOT, features & 0x30007270);
	start(NET_SLOT, features & 0x30018020);
	make_queue(DISK_SLOT, 0, 0);
	make_queue(NET_SLOT, 0, 1);
	make_queue(NET_SLOT, 1, 2);
	common_write(DISK_SLOT, 20, 1, 15);
	common_write(NET_SLOT, 20, 1, 15);
}

static void run_step(const struct step *step)
{
	unsigned slot = step->what & 0x80 ? NET_SLOT : DISK_SLOT;
	unsigned bytes = 1u << (step->bytes & 3);
	unsigned narrow = 1u << (step->bytes % 3); /* what ports and configuration space have */
	char frame[256] = { 0 };

	switch (step->what & 7) {
	case 0:
		common_write(slot, step->where & 0x3fff, bytes, step->value);
		break;
	case 1:
		(void)mmio_read(bar(slot, MEMORY_BAR) + (step->where & 0x3fff), bytes);
		break;
	case 2:
		mmio_write(bar(slot, 1) + (step->where & 0xfff), bytes, step->value);
		(void)mmio_read(bar(slot, 1) + (step->where & 0xfff), bytes);
		break;
	case 3:
		pci_config_write(slot, 0, step->where & 0xff & ~(narrow - 1), narrow, step->value);
		break;
	case 4:
		inout_write((uint16_t)(bar(slot, 0) + (step->where & 0xff)), narrow, step->value);
		break;
	case 5:
		memcpy(fake.memory + QUEUES_BASE + step->where % (QUEUES_LENGTH - 4), &step->value,
		       sizeof(step->value));
		break;
	case 6:
		(void)!send(wire, frame, 1 + step->value % sizeof(frame),
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	default:
		common_write(slot, NOTIFY + step->where % 8, 2, step->value);
	}
}

static void drain_wire(void)
{
	static char frame[70000];

	while (recv(wire, frame, sizeof(frame), MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool made;
	unsigned steps;

	if (size < 5)
		return 0;
	if (!made)
		make_devices();
	made = true;
	steps = data[0] % STEPS;
	memset(fake.memory, 0, sizeof(fake.memory));
	start_devices((uint32_t)data[1] | (uint32_t)data[2] << 8 | (uint32_t)data[3] << 16 |
		      (uint32_t)data[4] << 24);
	data += 5;
	size -= 5;
	if (size > steps * sizeof(struct step)) {
		const uint8_t *rest = data + steps * sizeof(struct step);
		size_t length = size - steps * sizeof(struct step);

		memcpy(fake.memory + QUEUES_BASE, rest,
		       length < QUEUES_LENGTH ? length : QUEUES_LENGTH);
	}
	for (unsigned i = 0; i < steps && (i + 1) * sizeof(struct step) <= size; i++) {
		struct step step;

		memcpy(&step, data + i * sizeof(step), sizeof(step));
		run_step(&step);
	}
	/* Commands of the configuration space may have taken the BAR away. */
	pci_config_write(DISK_SLOT, 0, PCI_COMMAND, 2, 7);
	pci_config_write(NET_SLOT, 0, PCI_COMMAND, 2, 7);
	common_write(DISK_SLOT, 20, 1, 0);
	common_write(NET_SLOT, 20, 1, 0);
	drain_wire();
	return 0;
}
