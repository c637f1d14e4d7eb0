/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The integer types and the ioctl number macros, from whichever side includes
 * this: the module (kernel build) or userspace. The only header outside
 * module/os/linux that names a kernel header, so that every other one need not.
 */
#ifndef VMM_TYPES_H
#define VMM_TYPES_H

#ifdef __KERNEL__
#include <linux/ioctl.h>
#include <linux/stddef.h>
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#endif

typedef uint64_t vm_paddr_t;  /* guest- or host-physical address */
typedef int64_t vm_ooffset_t; /* offset into a memory segment */

#endif
