/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The world switch (APM vol. 2, 15.5 and 15.6).
 *
 * VMRUN saves and #VMEXIT restores only part of the host's state. FS, GS, TR,
 * LDTR and the system call MSRs are moved by VMLOAD and VMSAVE, all within
 * CLGI ... STGI: an NMI or interrupt of the host finds its own TR and GS.
 *
 * RFLAGS.IF is set at VMRUN, so that with V_INTR_MASKING a physical interrupt
 * ends the guest. It is taken only when the caller lets it: IF is clear again
 * before STGI. Several instructions lie between STI and VMRUN, because one
 * emulated host lets STI's interrupt shadow reach into the guest.
 */
#include "os_asm.h"

/* Offsets in gpr[] */
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

/* On the stack while the guest runs */
#define STACK_SELECTOR 0x00
#define STACK_FLAGS 0x08
#define STACK_HOST 0x10
#define STACK_GPR 0x18
#define STACK_SIZE 0x20

/* As X86_SWITCH_* in x86/cpu/switch.h */
#define FILL_RSB 1
#define CLEAR_BUFFERS 2

	.text

OS_FUNC_START(svm_world_switch)
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rsi
	push	%rdx
	push	%rcx
	push	$0
	mov	%ss, STACK_SELECTOR(%rsp)

	clgi
	sti
	mov	%rdi, %rax
	mov	%rsi, %rdi
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

	vmload	%rax
	/* VERW of a selector in memory is what empties the buffers. */
	testl	$CLEAR_BUFFERS, STACK_FLAGS(%rsp)
	jz	1f
	verw	STACK_SELECTOR(%rsp)
1:	vmrun	%rax
	vmsave	%rax

	mov	STACK_GPR(%rsp), %rax
	mov	%rcx, RCX(%rax)
	mov	%rdx, RDX(%rax)
	mov	%rbx, RBX(%rax)
	mov	%rbp, RBP(%rax)
	mov	%rsi, RSI(%rax)
	mov	%rdi, RDI(%rax)
	mov	%r8, R8(%rax)
	mov	%r9, R9(%rax)
	mov	%r10, R10(%rax)
	mov	%r11, R11(%rax)
	mov	%r12, R12(%rax)
	mov	%r13, R13(%rax)
	mov	%r14, R14(%rax)
	mov	%r15, R15(%rax)

	/* Nothing of the guest's is left for the host to speculate with. */
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%ebx, %ebx
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

	mov	STACK_HOST(%rsp), %rax
	vmload	%rax

	/* Before the first return: neither predictor may be the guest's. */
	testl	$FILL_RSB, STACK_FLAGS(%rsp)
	jz	1f
	OS_FILL_RSB
1:	OS_UNTRAIN_RETURNS

	cli
	stgi
	add	$STACK_SIZE, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	OS_RETURN
OS_FUNC_END(svm_world_switch)

OS_FUNC_START(svm_save_host)
	mov	%rdi, %rax
	vmsave	%rax
	OS_RETURN
OS_FUNC_END(svm_save_host)

OS_FUNC_START(svm_write_cr2)
	mov	%rdi, %cr2
	OS_RETURN
OS_FUNC_END(svm_write_cr2)

OS_FUNC_START(svm_set_gif)
	stgi
	OS_RETURN
OS_FUNC_END(svm_set_gif)
