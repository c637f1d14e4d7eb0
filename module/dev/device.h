/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The in-kernel devices as one: where the exits of ports and memory-mapped
 * registers find them, and their common life. The local APIC is per vCPU and has
 * its own life (dev/lapic.h), but is reached through device_mmio() too.
 */
#ifndef DEV_DEVICE_H
#define DEV_DEVICE_H

#include "os/os.h"

struct vm;
struct vcpu;

/* Neither "done" nor "not ours": see device_mmio. */
#define DEVICE_EXIT 1

/*
 * IN or OUT of 'size' (1, 2 or 4) bytes. What is read, 0 after a write, or -ENOENT: no device
 * of ours starts at that port. A wider access to an 8-bit device is made byte by byte as the ISA bus does it; bytes
 * that fall on no device of ours read as 0xff and swallow writes. Owner of the vCPU.
 */
static inline int64_t device_port(struct vcpu *vcpu, uint16_t port, bool write, unsigned int size,
				  uint32_t value);

/*
 * Read or write of 'size' (1, 2, 4 or 8) bytes of device memory. 0; -ENOENT: not ours.
 * DEVICE_EXIT (writes only): done, and it became an exit to the program, which is in
 * vcpu->exit (an IPI with VM_CAP_IPI_EXIT): finish the instruction, then return
 * EXIT_USERSPACE. An access must not cross the end of a device: the part beyond reads 0.
 * Owner of the vCPU.
 */
int device_mmio(struct vcpu *vcpu, uint64_t gpa, bool write, unsigned int size, uint64_t *value);
/* Would device_mmio() take an access that starts there? */
bool device_mmio_claims(struct vcpu *vcpu, uint64_t gpa);

/* Which device has a port. All ports of ours are below DEVICE_PORTS. */
enum device_id { DEVICE_NONE, DEVICE_PIC, DEVICE_PIT, DEVICE_RTC, DEVICE_PMTIMER };
#define DEVICE_PORTS 0x4d2
extern const uint8_t device_of_port[DEVICE_PORTS]; /* enum device_id */

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
/* After its last vCPU has stopped. Also of a VM where creation failed. sleep */
void device_destroy_all(struct vm *vm);
/* State after RESET, the RTC's time and NVRAM kept. All vCPUs frozen. sleep */
void device_reset_all(struct vm *vm);
/* Stop every timer, so that nothing calls into the VM any more. sleep */
void device_stop_all(struct vm *vm);

#endif
