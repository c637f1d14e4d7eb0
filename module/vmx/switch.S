/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The world switch (SDM vol. 3, 26.3 and 27.5): general registers only; the rest is
 * the VMCS's business or its caller's.
 */
#include "os_asm.h"

/* Offsets in gpr[] */
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

/* On the stack while the guest runs */
#define STACK_SELECTOR 0x00
#define STACK_RDI 0x08
#define STACK_FLAGS 0x10
#define STACK_GPR 0x18
#define STACK_SIZE 0x20

/* As X86_SWITCH_* in x86/cpu/switch.h, VMX_SWITCH_* in switch.h */
#define FILL_RSB 1
#define CLEAR_BUFFERS 2
#define LAUNCHED 4

/* As VMCS_HOST_RSP and VMCS_HOST_RIP in vmcs.h */
#define HOST_RSP 0x6c14
#define HOST_RIP 0x6c16

	.text

OS_FUNC_START(vmx_world_switch)
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi
	push	%rsi
	push	$0
	push	$0
	mov	%ss, STACK_SELECTOR(%rsp)

	mov	$HOST_RSP, %eax
	vmwrite	%rsp, %rax
	lea	2f(%rip), %rdx
	mov	$HOST_RIP, %eax
	vmwrite	%rdx, %rax

	mov	RAX(%rdi), %rax
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

	/* VERW of a selector in memory is what empties the buffers. */
	testl	$CLEAR_BUFFERS, STACK_FLAGS(%rsp)
	jz	1f
	verw	STACK_SELECTOR(%rsp)
1:	testl	$LAUNCHED, STACK_FLAGS(%rsp)
	jz	1f
	vmresume
	jmp	3f
1:	vmlaunch
3:	jbe	4f

	/* A VM exit arrives here, with all flags clear. */
2:	mov	%rdi, STACK_RDI(%rsp)
	mov	STACK_GPR(%rsp), %rdi
	mov	%rax, RAX(%rdi)
	mov	%rcx, RCX(%rdi)
	mov	%rdx, RDX(%rdi)
	mov	%rbx, RBX(%rdi)
	mov	%rbp, RBP(%rdi)
	mov	%rsi, RSI(%rdi)
	mov	%r8, R8(%rdi)
	mov	%r9, R9(%rdi)
	mov	%r10, R10(%rdi)
	mov	%r11, R11(%rdi)
	mov	%r12, R12(%rdi)
	mov	%r13, R13(%rdi)
	mov	%r14, R14(%rdi)
	mov	%r15, R15(%rdi)
	mov	STACK_RDI(%rsp), %rax
	mov	%rax, RDI(%rdi)
	mov	$1, %ebx

	/* Nothing of the guest's is left for the host to speculate with. */
5:	xor	%ecx, %ecx
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

	/* Before the first return: neither predictor may be the guest's. */
	testl	$FILL_RSB, STACK_FLAGS(%rsp)
	jz	1f
	OS_FILL_RSB
1:	OS_UNTRAIN_RETURNS

	mov	%ebx, %eax
	add	$STACK_SIZE, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	OS_RETURN

	/* CF or ZF: no guest has run. */
4:	xor	%ebx, %ebx
	jmp	5b
OS_FUNC_END(vmx_world_switch)
