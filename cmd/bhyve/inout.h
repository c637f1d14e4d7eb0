/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * I/O ports: which device has which of the 65,536. A port that no device has claimed
 * reads all ones, and what is written to it is lost, as on an ISA bus.
 */
#ifndef BHYVE_INOUT_H
#define BHYVE_INOUT_H

#include <stdint.h>

/* Access widths, in bytes; a range names those it takes by or-ing them. */
#define INOUT_BYTE  1u
#define INOUT_WORD  2u
#define INOUT_DWORD 4u
#define INOUT_ANY   (INOUT_BYTE | INOUT_WORD | INOUT_DWORD)

/*
 * A run of ports of one device. A range of one port is one register, reached
 * there in any of its widths. A longer range is a register file: an access
 * in a width it lacks, or one that crosses its end, arrives as single bytes,
 * each for the device that has claimed that byte's port.
 *
 * Handlers get the port less 'base' and run in the vCPU's thread: a device
 * locks what two vCPUs may touch. NULL stands for "all ones" and "ignored".
 */
struct inout_range {
	const char *name;
	uint16_t base;
	uint16_t count;
	unsigned widths;
	uint32_t (*read)(void *arg, unsigned offset, unsigned bytes);
	void (*write)(void *arg, unsigned offset, unsigned bytes, uint32_t value);
	void *arg;
};

/*
 * Claim ports; 'range' must stay. 0, -EBUSY when a port is taken already,
 * -EINVAL for a range that leaves port space. Before the first vCPU runs.
 */
int inout_register(const struct inout_range *range);

/* One access of 1, 2 or 4 bytes by the guest. Any thread. */
uint32_t inout_read(uint16_t port, unsigned bytes);
void inout_write(uint16_t port, unsigned bytes, uint32_t value);

/* The name of the range that has 'port', or NULL. Any thread. */
const char *inout_owner(uint16_t port);

/* Forget all ranges (tests). */
void inout_reset(void);

#endif
