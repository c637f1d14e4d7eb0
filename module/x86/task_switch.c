// SPDX-License-Identifier: BSD-2-Clause
/* Hardware task switches, which are handed to the program. */
#include "x86/exits.h"
#include "x86/skip.h"
#include "x86/walk.h"

/* CALL, JMP, IRET and INT n end where the new task begins; events interrupt in between. */
static bool is_instruction(const struct x86_task_switch *task)
{
	return task->reason != TSR_IDT_GATE ||
	       (task->intinfo & VM_INTINFO_TYPE) == VM_INTINFO_SWINTR;
}

enum exit_action x86_exit_task_switch(struct vcpu *vcpu, const struct x86_task_switch *task)
{
	struct vm_task_switch *exit = &vcpu->exit.u.task_switch;
	struct instruction insn;
	enum exit_action action;

	if (!is_instruction(task))
		vcpu->next_rip = 0;
	else if (vcpu->next_rip == 0 && !x86_find(vcpu, &insn, &action))
		return action;
	exit->tsssel = task->selector;
	exit->ext = !is_instruction(task);
	exit->errcode = task->error_code;
	exit->errcode_valid = task->has_error_code;
	exit->reason = task->reason;
	x86_paging(vcpu, &exit->paging);
	return vcpu_exit_program(vcpu, VM_EXITCODE_TASK_SWITCH);
}
