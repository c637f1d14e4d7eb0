/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading a guest's instruction bytes, through its code segment and its page
 * tables, from RAM.
 */
#ifndef X86_EMULATE_FETCH_H
#define X86_EMULATE_FETCH_H

#include <vmm/vmm.h>
#include "vm/backend.h"
#include "x86/emulate/decode.h"
#include "x86/paging/walk.h"

struct vcpu;

/*
 * An instruction that was fetched and decoded before, with everything that decided
 * about it: if all of that is as it was (the page-table entries on the way and
 * the bytes are looked at again), so is the instruction.
 */
struct fetch_slot {
	uint64_t rip;
	struct guest_mode mode;
	uint64_t generation;	 /* of the memory map, which decides about host addresses */
	struct walk_trace trace; /* not valid: the slot is empty */
	const uint8_t *hva;	 /* of the first byte; 16 bytes from there are in its page */
	uint64_t bytes[2];	 /* those of the instruction; the rest is zero */
	uint64_t mask[2];	 /* which they are */
	struct instruction insn;
};

/* Of one vCPU, by RIP: two in a set, so that two that meet in one do not evict each other. (o) */
#define FETCH_SETS 8
#define FETCH_WAYS 2
struct fetch_cache {
	struct fetch_slot slot[FETCH_SETS][FETCH_WAYS];
	uint8_t oldest[FETCH_SETS]; /* the way that is filled next */
};

/*
 * Up to 'want' (at most 15) bytes at 'rip' into buffer, fewer when the code
 * segment or accessible memory ends before: their number (> 0). Or, with none:
 * -EFAULT: the exception (#PF, #GP) is raised in the vCPU;
 * -EAGAIN: vcpu->fault_gpa has to be given backing (memory_populate) first;
 * -ENXIO: no RAM there (code in device memory). Owner; any context.
 */
int x86_fetch(struct vcpu *vcpu, uint64_t rip, uint8_t *buffer, unsigned int want);

/*
 * The instruction at vcpu->rip, decoded; *insn is good until the vCPU's next fetch. *mode
 * is what the vCPU is in. 0; -EFAULT, -EAGAIN, -ENXIO as above; -EINVAL: undefined, no
 * exception is raised yet. Fast for instructions that make exits again and again. Owner;
 * any context.
 */
int x86_fetch_in_place(struct vcpu *vcpu, const struct instruction **insn, struct guest_mode *mode);

#endif
