/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * void native_fpu_run(struct native_fpu *fpu, const void *code, void *operand): the state
 * loaded, the code called with the operand's address in %rdi, the state stored. The caller's
 * own x87 and SSE state is as before. With fpu->wide, the registers are AVX-512's.
 */
#include "native_fpu.h"

	.text
	.globl	native_fpu_run
	.type	native_fpu_run, @function
native_fpu_run:
	push	%rbx
	push	%r12
	push	%r13
	mov	%rdi, %rbx
	mov	%rsi, %r12
	mov	%rdx, %r13
	fxsave64 NATIVE_FPU_HOST(%rbx)
	fxrstor64 NATIVE_FPU_LEGACY(%rbx)
	cmpl	$0, NATIVE_FPU_WIDE(%rbx)
	je	1f
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	vmovdqu64 (NATIVE_FPU_ZMM + 64 * \n)(%rbx), %zmm\n
	.endr
	.irp	n, 0,1,2,3,4,5,6,7
	kmovq	(NATIVE_FPU_MASKS + 8 * \n)(%rbx), %k\n
	.endr
1:	mov	%r13, %rdi
	call	*%r12
	cmpl	$0, NATIVE_FPU_WIDE(%rbx)
	je	2f
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	vmovdqu64 %zmm\n, (NATIVE_FPU_ZMM + 64 * \n)(%rbx)
	.endr
	.irp	n, 0,1,2,3,4,5,6,7
	kmovq	%k\n, (NATIVE_FPU_MASKS + 8 * \n)(%rbx)
	.endr
	vzeroupper
2:	fxsave64 NATIVE_FPU_LEGACY(%rbx)
	fxrstor64 NATIVE_FPU_HOST(%rbx)
	pop	%r13
	pop	%r12
	pop	%rbx
	ret
	.size	native_fpu_run, . - native_fpu_run

	.section .note.GNU-stack, "", @progbits
