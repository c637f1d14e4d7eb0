// SPDX-License-Identifier: BSD-2-Clause
/* What a handler needs and the hardware does not report: the instruction, decoded. row.h. */
#include "x86/exits/row.h"

#include "x86/emulate/skip.h"

enum exit_action exit_row_decode(const struct exit_row *row, struct vcpu *vcpu)
{
	enum exit_action action;
	struct instruction insn;

	if (!x86_find(vcpu, &insn, &action))
		return action;
	if (insn.op == row->op[0] || (row->op[1] != OP_OTHER && insn.op == row->op[1]))
		return row->handler(vcpu);
	vcpu->next_rip = 0;
	return x86_raise_ud(vcpu);
}

enum exit_action exit_with_operands(struct vcpu *vcpu,
				    enum exit_action (*handler)(struct vcpu *vcpu,
								const struct instruction *insn))
{
	enum exit_action action;
	struct instruction insn;

	return x86_find(vcpu, &insn, &action) ? handler(vcpu, &insn) : action;
}
