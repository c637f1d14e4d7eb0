// SPDX-License-Identifier: BSD-2-Clause
/* Finding the next instruction, and the end of one. See skip.h. */
#include "x86/emulate/skip.h"
#include "x86/emulate/emulate.h"
#include "x86/emulate/fetch.h"
#include "vm/regs.h"
#include "x86/paging/walk.h"

enum exit_action x86_raise_gp(struct vcpu *vcpu)
{
	vcpu_raise_error(vcpu, VECTOR_GP, 0);
	return EXIT_RESUME;
}

enum exit_action x86_raise_ud(struct vcpu *vcpu)
{
	vcpu_raise(vcpu, VECTOR_UD);
	return EXIT_RESUME;
}

enum exit_action x86_populate(struct vcpu *vcpu)
{
	int error = memory_populate(vcpu->vm, vcpu->fault_gpa);

	/* Gone since: the guest finds out when it runs there. */
	return error && error != -EFAULT ? vcpu_exit_error(vcpu, error) : EXIT_RESUME;
}

static enum exit_action not_found(struct vcpu *vcpu, int error)
{
	switch (error) {
	case -EFAULT: /* the fetch has raised an exception */
		return EXIT_RESUME;
	case -EAGAIN:
		return vcpu_exit_defer(vcpu, x86_populate);
	default:
		return x86_raise_ud(vcpu);
	}
}

struct x86_found x86_find(struct vcpu *vcpu)
{
	const struct instruction *insn;
	struct guest_mode mode;
	int error = x86_fetch_in_place(vcpu, &insn, &mode);

	if (unlikely(error))
		return (struct x86_found){ .action = not_found(vcpu, error) };
	vcpu->next_rip = vcpu->rip + insn->length;
	if (insn->mode != DECODE_64)
		vcpu->next_rip = (uint32_t)vcpu->next_rip;
	return (struct x86_found){ .insn = insn };
}
