/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pieces of the world switch that both back ends' switch.S are made of. The frame is the
 * caller's: 'stack_flags' and 'stack_selector' are its offsets from RSP of X86_SWITCH_*
 * and of a data segment's selector.
 */
#ifndef X86_CPU_SWITCH_ASM_H
#define X86_CPU_SWITCH_ASM_H
#ifdef __ASSEMBLER__

#include "os_asm.h"
#include "x86/cpu/switch.h"

/* clang-format off */

/* Offsets in vcpu->gpr[] */
#define RAX 0x00
#define RCX 0x08
#define RDX 0x10
#define RBX 0x18
#define RBP 0x28
#define RSI 0x30
#define RDI 0x38
#define R8 0x40
#define R9 0x48
#define R10 0x50
#define R11 0x58
#define R12 0x60
#define R13 0x68
#define R14 0x70
#define R15 0x78
/* And of vcpu->host_spec_ctrl behind it */
#define HOST_SPEC_CTRL 0x80

#define MSR_SPEC_CTRL 0x48 /* as MSRN_SPEC_CTRL in msrs.h */

/* Registers that belong to the caller of a C function; six pushes. */
.macro SWITCH_PUSH_CALLERS
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
.endm

.macro SWITCH_POP_CALLERS
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
.endm

/* The guest's, but RAX and RSP, from gpr[] at RDI; RDI itself is the last. */
.macro SWITCH_LOAD_GUEST
	mov	RCX(%rdi), %rcx
	mov	RDX(%rdi), %rdx
	mov	RBX(%rdi), %rbx
	mov	RBP(%rdi), %rbp
	mov	RSI(%rdi), %rsi
	mov	R8(%rdi), %r8
	mov	R9(%rdi), %r9
	mov	R10(%rdi), %r10
	mov	R11(%rdi), %r11
	mov	R12(%rdi), %r12
	mov	R13(%rdi), %r13
	mov	R14(%rdi), %r14
	mov	R15(%rdi), %r15
	mov	RDI(%rdi), %rdi
.endm

/* The guest's, but RAX, RDI and RSP, into gpr[] at the register 'gpr'. */
.macro SWITCH_STORE_GUEST gpr:req
	mov	%rcx, RCX(\gpr)
	mov	%rdx, RDX(\gpr)
	mov	%rbx, RBX(\gpr)
	mov	%rbp, RBP(\gpr)
	mov	%rsi, RSI(\gpr)
	mov	%r8, R8(\gpr)
	mov	%r9, R9(\gpr)
	mov	%r10, R10(\gpr)
	mov	%r11, R11(\gpr)
	mov	%r12, R12(\gpr)
	mov	%r13, R13(\gpr)
	mov	%r14, R14(\gpr)
	mov	%r15, R15(\gpr)
.endm

/*
 * Nothing of the guest's is left for the host to speculate with. RAX and RBX, in which a
 * switch keeps something of its own, are its to clear.
 */
.macro SWITCH_SCRUB_GUEST
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%ebp, %ebp
	xor	%esi, %esi
	xor	%edi, %edi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d
.endm

/*
 * Right before the entry: VERW of a selector in memory is what empties the buffers, where
 * the host asks for it. Changes flags, no register.
 */
.macro SWITCH_CLEAR_BUFFERS stack_flags:req, stack_selector:req
	testl	$X86_SWITCH_CLEAR_BUFFERS, \stack_flags(%rsp)
	jz	.Lkeep_buffers_\@
	verw	\stack_selector(%rsp)
.Lkeep_buffers_\@:
.endm

/*
 * Before the first return after an exit: no predictor may be the guest's. The return stack
 * first, which no branch stands before; and nothing runs ahead of SPEC_CTRL, whichever way
 * the branch there is predicted. 'stack_gpr' is where the frame has gpr[]. Changes RAX, RCX,
 * RDX and flags.
 */
.macro SWITCH_RENEW_PREDICTORS stack_flags:req, stack_gpr:req
	OS_FILL_RSB
	testl	$X86_SWITCH_HOST_SPEC_CTRL, \stack_flags(%rsp)
	jz	.Lkeep_spec_ctrl_\@
	mov	\stack_gpr(%rsp), %rcx
	mov	HOST_SPEC_CTRL(%rcx), %eax
	mov	HOST_SPEC_CTRL + 4(%rcx), %edx
	mov	$MSR_SPEC_CTRL, %ecx
	wrmsr
.Lkeep_spec_ctrl_\@:
	OS_SPECULATION_BARRIER
	OS_UNTRAIN_RETURNS
	OS_CLEAR_BRANCH_HISTORY
.endm
/* clang-format on */

#endif
#endif
