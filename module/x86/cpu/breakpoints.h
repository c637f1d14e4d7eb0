/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's data and I/O breakpoints, for what is done in the guest's place: the processor
 * looks at DR0..3 only where it runs an instruction itself.
 *
 * vcpu->breakpoints says that DR7 may enable one; VCPU_REQ_BREAKPOINT goes with it. A guest
 * without breakpoints pays nothing: the former is in a word that accesses to device memory and
 * string I/O test anyway, the latter in the one that each entry tests. An IN or OUT is
 * looked at before the entry that follows it.
 */
#ifndef X86_CPU_BREAKPOINTS_H
#define X86_CPU_BREAKPOINTS_H

#include "vm/vcpu.h"

/* Whether DR7 enables any. Owner. */
bool breakpoints_enabled(struct vcpu *vcpu);

/* Whether accesses have to be looked at from now on. Owner. */
void breakpoints_look(struct vcpu *vcpu, bool on);

/*
 * Which breakpoints an access hits, as bits 3:0 of DR6: of 'size' bytes (1 to 64) of
 * memory at a linear address, or of 1, 2 or 4 bytes at a port. Owner.
 */
unsigned int breakpoints_on_memory(struct vcpu *vcpu, uint64_t linear, unsigned int size,
				   bool write);
unsigned int breakpoints_on_port(struct vcpu *vcpu, uint16_t port, unsigned int size);

/* The #DB, a trap, of breakpoints (at least one) that an instruction has hit. Owner. */
void breakpoints_raise(struct vcpu *vcpu, unsigned int hit);

/*
 * On VCPU_REQ_BREAKPOINT, before an entry: if the last exit was for an IN or OUT that is done
 * now, the #DB that is due. Owner, loaded; interrupts off.
 */
void breakpoints_after_exit(struct vcpu *vcpu);

#endif
