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
 * before STGI. VMRUN does not follow STI at once (quirks.h, SVM_QUIRK_STI_SHADOW).
 */
#include "x86/cpu/switch_asm.h"

/* On the stack while the guest runs */
#define STACK_SELECTOR 0x00
#define STACK_FLAGS 0x08
#define STACK_HOST 0x10
#define STACK_GPR 0x18
#define STACK_SIZE 0x20

	.text

OS_FUNC_START(svm_world_switch)
	SWITCH_PUSH_CALLERS
	push	%rsi
	push	%rdx
	push	%rcx
	push	$0
	mov	%ss, STACK_SELECTOR(%rsp)

	clgi
	sti
	mov	%rdi, %rax
	mov	%rsi, %rdi
	SWITCH_LOAD_GUEST

	vmload	%rax
	SWITCH_CLEAR_BUFFERS STACK_FLAGS, STACK_SELECTOR
	vmrun	%rax
	vmsave	%rax

	mov	STACK_GPR(%rsp), %rax
	SWITCH_STORE_GUEST %rax
	mov	%rdi, RDI(%rax)
	SWITCH_SCRUB_GUEST
	xor	%ebx, %ebx

	mov	STACK_HOST(%rsp), %rax
	vmload	%rax

	SWITCH_RENEW_PREDICTORS STACK_FLAGS, STACK_GPR

	cli
	stgi
	add	$STACK_SIZE, %rsp
	SWITCH_POP_CALLERS
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
