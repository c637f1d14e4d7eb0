/* SPDX-License-Identifier: BSD-2-Clause */
/* What os/linux offers front/linux beyond os.h. */
#ifndef OS_LINUX_OS_LINUX_H
#define OS_LINUX_OS_LINUX_H

#include <linux/atomic.h>

/*
 * What the module holds now, for the sysctls to read and for tests to see that it is
 * given back. A guest's page counts until the VM drops it, whoever still pins it.
 */
extern struct memory_held {
	atomic_long_t ram;     /* KiB of guests' memory */
	atomic_long_t own;     /* KiB of pages for the hypervisor itself */
	atomic_long_t objects; /* smaller or larger pieces from os_alloc() */
} memory_held;

/* Read what the kernel's own mitigations ask for; before anything else of the module. */
void mitigations_init(void);

#endif
