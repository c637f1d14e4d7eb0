// SPDX-License-Identifier: BSD-2-Clause
/* What a handler needs and the hardware does not report: the instruction, decoded. row.h. */
#include "x86/exits/row.h"

#include "x86/emulate/skip.h"

static bool exit_row_is_about(const struct exit_row *row, uint8_t op)
{
	return op == row->op[0] || (op == row->op[1] && op != OP_OTHER);
}

enum exit_action exit_row_decode(const struct exit_row *row, struct vcpu *vcpu)
{
	struct x86_found found = x86_find(vcpu);

	if (unlikely(!found.insn))
		return found.action;
	if (likely(exit_row_is_about(row, found.insn->op)))
		return row->handler(vcpu);
	vcpu->next_rip = 0;
	return x86_raise_ud(vcpu);
}

enum exit_action exit_with_operands(struct vcpu *vcpu,
				    enum exit_action (*handler)(struct vcpu *vcpu,
								const struct instruction *insn))
{
	struct x86_found found = x86_find(vcpu);

	return likely(found.insn) ? handler(vcpu, found.insn) : found.action;
}
