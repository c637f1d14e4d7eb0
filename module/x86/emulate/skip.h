/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the next instruction begins, and going there. Hardware without next-RIP
 * save does not say; then the bytes at RIP are fetched and decoded (x86/exits/row.h).
 */
#ifndef X86_EMULATE_SKIP_H
#define X86_EMULATE_SKIP_H

#include "vm/vcpu.h"
#include "x86/emulate/decode.h"
#include "x86/emulate/emulate.h"
#include "vm/regs.h"

/* What is at RIP. Returned in registers: a pointer to it would cost a stack protector. */
struct x86_found {
	const struct instruction *insn; /* good until the vCPU's next fetch; NULL: none */
	enum exit_action action;	/* where there is none: what the handler has to return */
};

/*
 * Decode the instruction at RIP and set vcpu->next_rip past it. There is none where the
 * fetch faulted in the guest, has to be repeated when memory has its backing, or finds no
 * valid instruction (another processor has changed it: #UD). Owner; any context.
 */
struct x86_found x86_find(struct vcpu *vcpu);

/*
 * The instruction is done: go on behind it (next_rip is known), with what follows
 * from its end: RF and the interrupt shadow go, a single-step trap comes. Returns
 * EXIT_RESUME. Owner.
 */
static inline enum exit_action x86_complete(struct vcpu *vcpu)
{
	uint64_t rflags = vcpu->rflags;

	vcpu_skip(vcpu);
	vcpu->rflags = rflags & ~REG_RFLAGS_RF;
	if (unlikely(rflags & REG_RFLAGS_TF))
		emulate_single_step(vcpu, rflags);
	return EXIT_RESUME;
}

/* Raise an exception with error code 0 (#GP), or #UD. Return EXIT_RESUME. Owner. */
enum exit_action x86_raise_gp(struct vcpu *vcpu);
enum exit_action x86_raise_ud(struct vcpu *vcpu);

/* For vcpu_exit_defer: give backing to the page at vcpu->fault_gpa, then try again. sleep */
enum exit_action x86_populate(struct vcpu *vcpu);

#endif
