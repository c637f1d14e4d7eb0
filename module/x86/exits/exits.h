/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What both vendors' exits come down to. A back end's table of handlers decodes
 * what its hardware reports and calls one of these; each is called with the guest
 * stopped at the instruction, in the inner loop, and says what is next.
 *
 * vcpu->next_rip is the address past the instruction or 0 where the hardware
 * does not report it; then the handlers find the length themselves (skip.h).
 */
#ifndef X86_EXITS_EXITS_H
#define X86_EXITS_EXITS_H

#include "vm/vcpu.h"
#include "x86/emulate/emulate.h"
#include "x86/emulate/task_switch.h"

/* --- instructions --------------------------------------------------------- */

enum exit_action x86_exit_cpuid(struct vcpu *vcpu);
/* VM_EXITCODE_RDMSR and _WRMSR for registers that only the program may know. */
enum exit_action x86_exit_rdmsr(struct vcpu *vcpu);
enum exit_action x86_exit_wrmsr(struct vcpu *vcpu);
enum exit_action x86_exit_hlt(struct vcpu *vcpu);
enum exit_action x86_exit_pause(struct vcpu *vcpu);
enum exit_action x86_exit_xsetbv(struct vcpu *vcpu);
/* INVD, WBINVD: nothing to do, caches are coherent. */
enum exit_action x86_exit_invd(struct vcpu *vcpu);
enum exit_action x86_exit_wbinvd(struct vcpu *vcpu);
enum exit_action x86_exit_rdtsc(struct vcpu *vcpu);
enum exit_action x86_exit_rdtscp(struct vcpu *vcpu);
enum exit_action x86_exit_rdpmc(struct vcpu *vcpu); /* #GP: no counters are offered */
/* INVLPG of 'address', where it is intercepted: forgets all translations. */
enum exit_action x86_exit_invlpg(struct vcpu *vcpu, uint64_t address);
/* VMCALL, VMMCALL: none is offered, #UD. */
enum exit_action x86_exit_hypercall(struct vcpu *vcpu);
/* Any instruction of a feature the guest is not shown: VMRUN, MONITOR, SKINIT ... #UD. */
enum exit_action x86_exit_undefined(struct vcpu *vcpu);
/* Triple fault: suspends the VM with VM_SUSPEND_TRIPLEFAULT. */
enum exit_action x86_exit_triple_fault(struct vcpu *vcpu);
/* #BP of a vCPU with VM_CAP_BPT_EXIT: to the program. Others never come here. */
enum exit_action x86_exit_breakpoint(struct vcpu *vcpu);
/* #AC, intercepted because its delivery may raise it again without end: raised. */
enum exit_action x86_exit_alignment_check(struct vcpu *vcpu);
/*
 * CR0.NE is 0 and an x87 instruction waits for an error to be dealt with: out through
 * the 8259, as IRQ 13. RIP stays: the guest tries again until the interrupt is taken.
 */
enum exit_action x86_exit_fpu_error(struct vcpu *vcpu);
/* An instruction has been stepped for the program: VM_EXITCODE_DB. 'tf': as the guest has it. */
enum exit_action x86_exit_debug_step(struct vcpu *vcpu, bool tf);
/* An event of the host ended the guest, and the host has taken it since: go on. */
enum exit_action x86_exit_host_event(struct vcpu *vcpu);

/* --- I/O ports --------------------------------------------------------------- */

/*
 * An IN or OUT of 'size' (1, 2 or 4) bytes. Permission (IOPL, TSS bitmap) has been checked
 * by the hardware: those faults come before the exit (APM vol. 2, 15.10.1 and 15.7;
 * SDM vol. 3, 26.1.1 and 26.1.3).
 */
enum exit_action x86_exit_port(struct vcpu *vcpu, uint16_t port, unsigned int size, bool in);

enum exit_action x86_exit_io(struct vcpu *vcpu, const struct x86_io *io);

/* --- memory ------------------------------------------------------------------ */

/*
 * The nested table does not allow an access (VM_PROT_*) at gpa: memory is mapped,
 * in the inner loop when its backing exists, else in the outer; what is not memory
 * is a device, and the instruction is emulated.
 */
enum exit_action x86_exit_nested_fault(struct vcpu *vcpu, uint64_t gpa, int prot);

/*
 * The program has answered vcpu->access (vcpu->access.replied): finish the
 * instruction. The core calls it before it enters the guest again. Outer loop.
 */
enum exit_action x86_finish_access(struct vcpu *vcpu);

/* --- control and debug registers --------------------------------------------- */

/* MOV to or from CR0, CR2, CR3, CR4, CR8 with a general register (enum gpr). */
enum exit_action x86_exit_cr_access(struct vcpu *vcpu, unsigned int cr, bool write,
				    unsigned int gpr);
enum exit_action x86_exit_clts(struct vcpu *vcpu);
/* LMSW with the operand's value, where the hardware reports it (VMX). */
enum exit_action x86_exit_lmsw(struct vcpu *vcpu, uint16_t value);
/* MOV to or from a debug register. */
enum exit_action x86_exit_dr_access(struct vcpu *vcpu, unsigned int dr, bool write,
				    unsigned int gpr);
/*
 * MOV and CLTS where the hardware reports no operands (SVM without decode assists):
 * fetches and decodes the instruction at RIP. Anything else there is #UD.
 */
enum exit_action x86_exit_cr_instruction(struct vcpu *vcpu);
enum exit_action x86_exit_dr_instruction(struct vcpu *vcpu);

#endif
