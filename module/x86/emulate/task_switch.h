/* SPDX-License-Identifier: BSD-2-Clause */
/* Task switches, which the hardware leaves to us (APM vol. 2, 12.3; SDM vol. 3, 7.3). */
#ifndef X86_EMULATE_TASK_SWITCH_H
#define X86_EMULATE_TASK_SWITCH_H

#include "vm/exit.h"

/*
 * A task switch that the hardware leaves to us; carried out in the outer loop. RIP at the
 * instruction that caused
 * it (for TSR_IDT_GATE from an exception or interrupt: at the interrupted one).
 */
struct x86_task_switch {
	uint16_t selector; /* of the TSS to switch to */
	enum task_switch_reason reason;
	bool has_error_code;
	uint32_t error_code;
	/* TSR_IDT_GATE: what was being delivered, as VM_INTINFO_* */
	uint64_t intinfo;
};

enum exit_action x86_exit_task_switch(struct vcpu *vcpu, const struct x86_task_switch *task);

#endif
