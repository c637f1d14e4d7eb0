/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading a guest's instruction bytes, through its code segment and its page
 * tables, from RAM.
 */
#ifndef X86_FETCH_H
#define X86_FETCH_H

#include "x86/decode.h"

struct vcpu;
struct walk_state;

/* The decoder's mode for the current code segment. Owner; any context. */
enum decode_mode x86_decode_mode(struct vcpu *vcpu);

/*
 * Up to 'want' (at most 15) bytes at 'rip' into buffer, fewer when the code
 * segment or accessible memory ends before: their number (> 0). Or, with none:
 * -EFAULT: the exception (#PF, #GP) is raised in the vCPU;
 * -EAGAIN: vcpu->fault_gpa has to be given backing (memory_populate) first;
 * -ENXIO: no RAM there (code in device memory). Owner; any context.
 */
int x86_fetch(struct vcpu *vcpu, uint64_t rip, uint8_t *buffer, unsigned int want);

/*
 * The instruction at vcpu->rip, decoded, and the state of paging it runs under.
 * 0; -EFAULT, -EAGAIN, -ENXIO as above; -EINVAL: undefined, no exception is raised
 * yet. Owner; any context.
 */
int x86_fetch_decoded(struct vcpu *vcpu, struct instruction *insn, struct walk_state *walk);

#endif
