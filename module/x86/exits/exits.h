/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What both vendors' exits come down to. A back end's table (row.h) names these handlers,
 * or handlers of its own that take apart what the hardware reports and call one of these.
 * Each is called with the guest stopped at the instruction, in the inner loop, by the
 * vCPU's owner, and says what is next.
 *
 * Where "next_rip" is written, vcpu->next_rip is the address past the instruction: a row
 * says EXIT_NEEDS_LENGTH.
 */
#ifndef X86_EXITS_EXITS_H
#define X86_EXITS_EXITS_H

#include "vm/vcpu.h"
#include "x86/emulate/decode.h"
#include "x86/emulate/emulate.h"
#include "x86/emulate/task_switch.h"

/* --- instructions --- */

enum exit_action x86_exit_cpuid(struct vcpu *vcpu); /* next_rip */
/* next_rip. VM_EXITCODE_RDMSR and _WRMSR for registers that only userspace may know. */
enum exit_action x86_exit_rdmsr(struct vcpu *vcpu);
enum exit_action x86_exit_wrmsr(struct vcpu *vcpu);
enum exit_action x86_exit_hlt(struct vcpu *vcpu);    /* next_rip */
enum exit_action x86_exit_pause(struct vcpu *vcpu);  /* next_rip */
enum exit_action x86_exit_xsetbv(struct vcpu *vcpu); /* next_rip */
/* INVD, WBINVD: nothing to do, caches are coherent. next_rip */
enum exit_action x86_exit_invd(struct vcpu *vcpu);
enum exit_action x86_exit_wbinvd(struct vcpu *vcpu);
enum exit_action x86_exit_rdpmc(struct vcpu *vcpu); /* #GP: no counters are offered */
/* VMCALL, VMMCALL: none is offered, #UD. */
enum exit_action x86_exit_hypercall(struct vcpu *vcpu);
/* Any instruction of a feature the guest is not shown: VMRUN, MONITOR, SKINIT ... #UD. */
enum exit_action x86_exit_undefined(struct vcpu *vcpu);
/* Triple fault: suspends the VM with VM_SUSPEND_TRIPLEFAULT. */
enum exit_action x86_exit_triple_fault(struct vcpu *vcpu);
/* #BP of a vCPU with VM_CAP_BPT_EXIT: to userspace. Others never come here. next_rip */
enum exit_action x86_exit_breakpoint(struct vcpu *vcpu);
/* #AC, intercepted because its delivery may raise it again without end: raised. */
enum exit_action x86_exit_alignment_check(struct vcpu *vcpu);
/*
 * CR0.NE is 0 and an x87 instruction waits for an error to be dealt with: out through
 * the 8259, as IRQ 13. RIP stays: the guest tries again until the interrupt is taken.
 */
enum exit_action x86_exit_fpu_error(struct vcpu *vcpu);
/* An instruction has been stepped for userspace: VM_EXITCODE_DB. 'tf': as the guest has it. */
enum exit_action x86_exit_debug_step(struct vcpu *vcpu, bool tf);
/* An event of the host ended the guest, and the host has taken it since: go on. */
enum exit_action x86_exit_host_event(struct vcpu *vcpu);

/* --- I/O ports --- */

/*
 * An IN or OUT of 'size' (1, 2 or 4) bytes. Permission (IOPL, TSS bitmap) has been checked
 * by the hardware: those faults come before the exit (APM vol. 2, 15.10.1 and 15.7;
 * SDM vol. 3, 26.1.1 and 26.1.3). next_rip
 */
enum exit_action x86_exit_port(struct vcpu *vcpu, uint16_t port, unsigned int size, bool in);
/* INS or OUTS. What the hardware has not reported of it is decoded. */
enum exit_action x86_exit_string_io(struct vcpu *vcpu, const struct x86_io *io);

/* --- memory --- */

/*
 * The nested table does not allow an access (VM_PROT_*) at gpa: memory is mapped,
 * in the inner loop when its backing exists, else in the outer; what is not memory
 * is a device, and the instruction is emulated.
 */
enum exit_action x86_exit_nested_fault(struct vcpu *vcpu, uint64_t gpa, int prot);

/*
 * Userspace has answered vcpu->access (vcpu->access.replied): finish the instruction.
 * The run loop calls it before it enters the guest again. Owner; outer loop.
 */
enum exit_action x86_finish_access(struct vcpu *vcpu);

/* --- control registers --- */

/* MOV to or from CR0, CR2, CR3, CR4, CR8 with a general register (enum gpr). next_rip */
enum exit_action x86_exit_cr_access(struct vcpu *vcpu, unsigned int cr, bool write,
				    unsigned int gpr);
enum exit_action x86_exit_clts(struct vcpu *vcpu); /* next_rip */
/* LMSW with its operand's value. next_rip */
enum exit_action x86_exit_lmsw(struct vcpu *vcpu, uint16_t value);
/*
 * MOV to or from a control register, CLTS or LMSW, as decoded, where the hardware reports
 * no operands: for exit_with_operands(). Anything else is #UD. next_rip
 */
enum exit_action x86_exit_cr_instruction(struct vcpu *vcpu, const struct instruction *insn);

#endif
