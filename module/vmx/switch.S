/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The world switch (SDM vol. 3, 26.3 and 27.5): general registers only; the rest is
 * the VMCS's business or its caller's.
 */
#include "vmx/switch.h"
#include "x86/cpu/switch_asm.h"

/* On the stack while the guest runs */
#define STACK_SELECTOR 0x00
#define STACK_RDI 0x08
#define STACK_FLAGS 0x10
#define STACK_GPR 0x18
#define STACK_SIZE 0x20

/* As VMCS_HOST_RSP and VMCS_HOST_RIP in vmcs.h */
#define HOST_RSP 0x6c14
#define HOST_RIP 0x6c16

	.text

OS_FUNC_START(vmx_world_switch)
	SWITCH_PUSH_CALLERS
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
	SWITCH_LOAD_GUEST

	SWITCH_CLEAR_BUFFERS STACK_FLAGS, STACK_SELECTOR
	testl	$VMX_SWITCH_LAUNCHED, STACK_FLAGS(%rsp)
	jz	1f
	vmresume
	jmp	3f
1:	vmlaunch
3:	jbe	4f

	/* A VM exit comes here, with all flags clear. */
2:	mov	%rdi, STACK_RDI(%rsp)
	mov	STACK_GPR(%rsp), %rdi
	mov	%rax, RAX(%rdi)
	SWITCH_STORE_GUEST %rdi
	mov	STACK_RDI(%rsp), %rax
	mov	%rax, RDI(%rdi)
	mov	$1, %ebx

5:	SWITCH_SCRUB_GUEST
	SWITCH_RENEW_PREDICTORS STACK_FLAGS, STACK_GPR

	mov	%ebx, %eax
	add	$STACK_SIZE, %rsp
	SWITCH_POP_CALLERS
	OS_RETURN

	/* CF or ZF: no guest has run. */
4:	xor	%ebx, %ebx
	jmp	5b
OS_FUNC_END(vmx_world_switch)
