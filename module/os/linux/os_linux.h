/* SPDX-License-Identifier: BSD-2-Clause */
/* os/linux's interface to front/linux beyond os.h. */
#ifndef OS_LINUX_OS_LINUX_H
#define OS_LINUX_OS_LINUX_H

#include <linux/atomic.h>

/*
 * Memory allocated by the module now, for the sysctls, and for tests that look for leaks.
 * A guest's page counts until the VM drops its reference, even while it is still pinned.
 */
extern struct memory_held {
	atomic_long_t ram;     /* KiB of guests' memory */
	atomic_long_t own;     /* KiB of pages for the hypervisor itself */
	atomic_long_t objects; /* allocations by os_alloc() */
} memory_held;

/*
 * Limits of guests' use of the host; module parameters and sysctls of these names. Any
 * thread reads them, with READ_ONCE().
 */
extern struct guest_limits {
	unsigned long user_memory_max; /* KiB of guest RAM of one user */
	unsigned long memory_reserve;  /* KiB of available memory that no guest gets */
	unsigned int user_vms_max;     /* VMs of one user */
} guest_limits;

/* Compute the limits that no parameter sets; before the first VM. */
void guest_limits_init(void);

/* Read which mitigations the kernel has enabled; before anything else of the module. */
void mitigations_init(void);

#endif
