/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * To one instruction with the registers of native_registers, and back with what it
 * left in them. native_trampoline is for 64-bit code, native_trampoline_legacy for
 * 32- and 16-bit code. Both are left with every register loaded, by a jump, and
 * entered again at native_return or native_return_legacy by the jump that lies behind
 * the instruction.
 */
#include "native_layout.h"

#define SAVED(offset) native_registers + (offset)(%rip)
#define GPR(number)   SAVED(REGISTERS_GPR + 8 * (number))
#define YMM(number)   SAVED(REGISTERS_YMM + 32 * (number))

	.macro move_vectors instruction, register, to_memory
	.irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	.if \to_memory
	\instruction	%\register\n, YMM(\n)
	.else
	\instruction	YMM(\n), %\register\n
	.endif
	.endr
	.endm

	.macro push_callee_saved
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	.endm

	.macro pop_callee_saved
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	.endm

	/* Vector registers, the flags, and all general registers but RSP, which is saved. */
	.macro load_registers
	cmpb	$0, SAVED(REGISTERS_AVX)
	jne	1f
	move_vectors movdqu, xmm, 0
	jmp	2f
1:	move_vectors vmovdqu, ymm, 0
2:	mov	%rsp, SAVED(REGISTERS_RSP)
	push	SAVED(REGISTERS_RFLAGS)
	popfq
	mov	GPR(0), %rax
	mov	GPR(1), %rcx
	mov	GPR(2), %rdx
	mov	GPR(3), %rbx
	mov	GPR(5), %rbp
	mov	GPR(6), %rsi
	mov	GPR(7), %rdi
	mov	GPR(8), %r8
	mov	GPR(9), %r9
	mov	GPR(10), %r10
	mov	GPR(11), %r11
	mov	GPR(12), %r12
	mov	GPR(13), %r13
	mov	GPR(14), %r14
	mov	GPR(15), %r15
	.endm

	/* RSP is the host's again; no instruction before PUSHF changes the flags. */
	.macro store_registers
	mov	%rax, GPR(0)
	mov	%rcx, GPR(1)
	mov	%rdx, GPR(2)
	mov	%rbx, GPR(3)
	mov	%rbp, GPR(5)
	mov	%rsi, GPR(6)
	mov	%rdi, GPR(7)
	mov	%r8, GPR(8)
	mov	%r9, GPR(9)
	mov	%r10, GPR(10)
	mov	%r11, GPR(11)
	mov	%r12, GPR(12)
	mov	%r13, GPR(13)
	mov	%r14, GPR(14)
	mov	%r15, GPR(15)
	pushfq
	pop	SAVED(REGISTERS_RFLAGS)
	cld
	cmpb	$0, SAVED(REGISTERS_AVX)
	jne	1f
	move_vectors movdqu, xmm, 1
	jmp	2f
1:	move_vectors vmovdqu, ymm, 1
	vzeroupper
2:
	.endm

	.text
	.code64

	.globl native_trampoline, native_return
	.type native_trampoline, @function
native_trampoline:
	push_callee_saved
	load_registers
	mov	GPR(4), %rsp
	jmp	*SAVED(REGISTERS_ENTRY)
native_return:
	mov	%rsp, GPR(4)
	mov	SAVED(REGISTERS_RSP), %rsp
	store_registers
	pop_callee_saved
	ret
	.size native_trampoline, . - native_trampoline

	/*
	 * By way of native_enter_32 or native_enter_16, which load the segment registers and
	 * ESP. It comes back with the instruction's; the host's are restored with RSP.
	 */
	.globl native_trampoline_legacy, native_return_legacy
	.type native_trampoline_legacy, @function
native_trampoline_legacy:
	push_callee_saved
	load_registers
	ljmpl	*SAVED(REGISTERS_FAR)
native_return_legacy:
	mov	%rsp, GPR(4)
	mov	SAVED(REGISTERS_SS), %ss
	mov	SAVED(REGISTERS_RSP), %rsp
	mov	SAVED(REGISTERS_ES), %es
	mov	SAVED(REGISTERS_DS), %ds
	store_registers
	pop_callee_saved
	ret
	.size native_trampoline_legacy, . - native_trampoline_legacy

	/*
	 * The last steps to 32- and to 16-bit code, copied to NATIVE_ENTER_32 and
	 * NATIVE_ENTER_16. The segment registers are loaded here, in the mode that uses what
	 * is in them, and not before the far jump: 64-bit mode ignores base, limit and rights
	 * of ES, SS and DS (APM vol. 2, 4.5.3), and an AMD EPYC raised #GP where instructions
	 * used an SS that had been loaded in it. LSS loads ESP with SS; nothing here changes
	 * a flag or needs another register. The code segment is flat and readable.
	 */
	.section .rodata
	.globl native_enter_32, native_enter_32_end, native_enter_16, native_enter_16_end
	.code32
native_enter_32:
	mov	%cs:NATIVE_LOADED + LOADED_ES, %es
	mov	%cs:NATIVE_LOADED + LOADED_DS, %ds
	lss	%cs:NATIVE_LOADED + LOADED_ESP, %esp
	jmp	native_enter_32 + NATIVE_CODE - NATIVE_ENTER_32
native_enter_32_end:

	.code16
native_enter_16:
	addr32 mov	%cs:NATIVE_LOADED + LOADED_ES, %es
	addr32 mov	%cs:NATIVE_LOADED + LOADED_DS, %ds
	addr32 lssl	%cs:NATIVE_LOADED + LOADED_ESP, %esp
	data32 jmp	native_enter_16 + NATIVE_CODE - NATIVE_ENTER_16
native_enter_16_end:

	.section .note.GNU-stack, "", @progbits
