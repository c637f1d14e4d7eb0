/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest-physical addresses that are registers of bhyve's devices. An
 * address that no device has claimed reads all ones, and what is written to it is
 * lost, as on a PCI bus that master-aborts.
 */
#ifndef BHYVE_MMIO_H
#define BHYVE_MMIO_H

#include <stdint.h>

/*
 * A run of addresses of one device. Handlers get the address less 'base' and
 * run in the vCPU's thread. An access never crosses the end of a range: one
 * that would is unclaimed. NULL stands for "all ones" and "ignored".
 */
struct mmio_range {
	const char *name;
	uint64_t base;
	uint64_t length;
	uint64_t (*read)(void *arg, uint64_t offset, unsigned bytes);
	void (*write)(void *arg, uint64_t offset, unsigned bytes, uint64_t value);
	void *arg;
};

/*
 * Claim addresses; 'range' must stay. 0, -EBUSY for one that overlaps another,
 * -EINVAL for an empty or wrapping one, -ENOSPC. Before the first vCPU runs.
 */
int mmio_register(const struct mmio_range *range);

/* One access of 1, 2, 4 or 8 bytes by the guest. Any thread. */
uint64_t mmio_read(uint64_t gpa, unsigned bytes);
void mmio_write(uint64_t gpa, unsigned bytes, uint64_t value);

/* Forget all ranges (tests). */
void mmio_reset(void);

#endif
