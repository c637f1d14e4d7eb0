/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading and writing a guest's memory at linear addresses on its behalf, through
 * its page tables, where sleeping is allowed.
 */
#ifndef X86_PAGING_LINEAR_H
#define X86_PAGING_LINEAR_H

#include "vm/vcpu.h"
#include "x86/paging/walk.h"

/*
 * Copy 'size' bytes between 'buffer' and memory at 'linear' (which wraps at 32 bits
 * outside 64-bit mode), with 'access' WALK_*; without WALK_WRITE it is a read. 0;
 * -EFAULT: the guest's #PF has been raised; -ENXIO: no RAM there; -ENOMEM. Bytes
 * on earlier pages may have been copied. Owner; sleep.
 */
int linear_read(struct vcpu *vcpu, uint64_t linear, void *buffer, unsigned int size,
		unsigned int access);
int linear_write(struct vcpu *vcpu, uint64_t linear, const void *buffer, unsigned int size,
		 unsigned int access);
/* As a write of that size, but only makes sure that one would succeed. */
int linear_probe_write(struct vcpu *vcpu, uint64_t linear, unsigned int size, unsigned int access);

#endif
