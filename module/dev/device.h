/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The in-kernel devices as units of one shape: where the exits of ports and memory-mapped
 * registers find them, and their common life. The local APIC is per vCPU and has its own
 * life (dev/lapic.h), but is reached through device_mmio() too.
 */
#ifndef DEV_DEVICE_H
#define DEV_DEVICE_H

#include "os/os.h"

struct vm;
struct vcpu;

/* Neither "done" nor "not ours": see device_mmio. */
#define DEVICE_EXIT 1

/*
 * A device. A group of functions that it does not need is NULL; create() and destroy() come
 * together. What the functions promise is in the device's own header.
 */
struct device_unit {
	const char *name;

	/* Its ports, if any; the list ends with an empty window. */
	struct device_ports {
		uint16_t first, count;
	} ports[4];
	/* On the 8-bit bus: one byte at a port. Wider accesses are made of these. */
	uint8_t (*port_read)(struct vm *vm, uint16_t port);
	void (*port_write)(struct vm *vm, uint16_t port, uint8_t value);
	/* Not on the 8-bit bus, instead of port_read: 1, 2 or 4 bytes at once. Read-only. */
	uint32_t (*port_read_wide)(struct vm *vm, uint16_t port, unsigned int size);

	/* Its registers in memory, if any: 'size' is not 0. */
	struct device_window {
		uint64_t gpa;
		uint32_t size;
	} memory;
	/* At 'offset' in that window, 1, 2, 4 or 8 bytes. NULL: the local APIC's. */
	void (*memory_read)(struct vm *vm, uint32_t offset, unsigned int size, uint64_t *value);
	void (*memory_write)(struct vm *vm, uint32_t offset, unsigned int size, uint64_t value);

	int (*create)(struct vm *vm);	/* 0 or -ENOMEM; sleep */
	void (*destroy)(struct vm *vm); /* sleep */
	void (*reset)(struct vm *vm);	/* state after RESET; all vCPUs frozen. sleep */
	/* Where it has host timers. stop: none runs until the guest programs one anew; sleep. */
	void (*stop)(struct vm *vm);
	/* Catch up with the time that has passed, and arm those that were left off. any */
	void (*resume)(struct vm *vm);
};

/* In the order of creation: interrupt controllers before what drives their inputs. */
enum device_id {
	DEVICE_NONE,
	DEVICE_LAPIC,
	DEVICE_IOAPIC,
	DEVICE_PIC,
	DEVICE_PMTIMER,
	DEVICE_PIT,
	DEVICE_RTC,
	DEVICE_HPET,
	DEVICE_COUNT
};

extern const struct device_unit device_units[DEVICE_COUNT]; /* by enum device_id */

/*
 * The units' ports turned around: which unit has a port. All are below DEVICE_PORTS. A unit
 * test holds it against the units.
 */
#define DEVICE_PORTS 0x4d2
extern const uint8_t device_of_port[DEVICE_PORTS]; /* enum device_id */

/*
 * IN or OUT of 'size' (1, 2 or 4) bytes. What is read, 0 after a write, or -ENOENT: no device
 * of ours starts at that port. A wider access to an 8-bit device is made byte by byte as the
 * ISA bus does it; bytes that fall on no device of ours read as 0xff and swallow writes.
 * Owner of the vCPU.
 */
static inline int64_t device_port(struct vcpu *vcpu, uint16_t port, bool write, unsigned int size,
				  uint32_t value);

/*
 * Read or write of 'size' (1, 2, 4 or 8) bytes of device memory. 0; -ENOENT: not ours.
 * DEVICE_EXIT (writes only): done, and it became an exit to userspace, which is in
 * vcpu->exit (an IPI with VM_CAP_IPI_EXIT): finish the instruction, then return
 * EXIT_USERSPACE. An access must not cross the end of a device: the part beyond reads 0.
 * Owner of the vCPU.
 */
int device_mmio(struct vcpu *vcpu, uint64_t gpa, bool write, unsigned int size, uint64_t *value);

static inline bool device_has_port(uint16_t port)
{
	return port < DEVICE_PORTS && device_of_port[os_index_nospec(port, DEVICE_PORTS)];
}

/* device_port() where there is a device. */
int64_t device_port_access(struct vcpu *vcpu, uint16_t port, bool write, unsigned int size,
			   uint32_t value);

static inline int64_t device_port(struct vcpu *vcpu, uint16_t port, bool write, unsigned int size,
				  uint32_t value)
{
	return device_has_port(port) ? device_port_access(vcpu, port, write, size, value) : -ENOENT;
}

/* All devices of a VM but the local APICs; before its first vCPU. -ENOMEM leaves nothing. sleep */
int device_create_all(struct vm *vm);
/* After its last vCPU has stopped. sleep */
void device_destroy_all(struct vm *vm);
/* State after RESET, the RTC's time and NVRAM kept. All vCPUs frozen. sleep */
void device_reset_all(struct vm *vm);
/* A vCPU enters VM_RUN after a device has left a host timer off; vm/timer.h. any */
void device_resume_all(struct vm *vm);
/* Stop every timer, so that nothing calls into the VM any more. sleep */
void device_stop_all(struct vm *vm);

#endif
