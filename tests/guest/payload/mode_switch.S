/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mode_switch(): from long mode to the mode that modes.c has described, to the
 * snippet at SNIPPET_BASE, and back. Everything here lies where every mode's
 * linear addresses equal the physical ones.
 */
#define LOW_BASE	0x8000
#define SNIPPET		0x9000
#define LOW(label)	(label - mode_low)	/* offset in its segment */
#define LOW_STACK	0xff0	/* 0x8ff0 */
#define SELECTOR_LONG	0x08
#define SELECTOR_DATA	0x10
#define SELECTOR_32	0x18
#define SELECTOR_16	0x70	/* bases at LOW_BASE */
#define SELECTOR_16_DATA 0x78

	.text
	.code64
	.globl mode_switch
mode_switch:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %cr3, %rax
	movl %eax, saved_cr3
	movq %cr4, %rax
	movl %eax, saved_cr4
	movq %cr0, %rax
	movl %eax, saved_cr0
	sidt saved_idtr
	movq %rsp, saved_rsp
	pushq $SELECTOR_32
	pushq $in_32
	lretq

	.code32
in_32:
	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	cmpl $0, mode_leaves_long
	je 1f
	movl saved_cr0, %eax
	andl $0x7fffffff, %eax
	movl %eax, %cr0
	movl $0xc0000080, %ecx
	rdmsr
	andl $~0x100, %eax
	wrmsr
	movl mode_cr3, %eax
	movl %eax, %cr3
	movl mode_cr4, %eax
	movl %eax, %cr4
	movl mode_cr0, %eax
	movl %eax, %cr0
1:	cmpl $0, mode_16
	jne to_16
	call load_registers
	movl $SNIPPET, %eax
	call *%eax
	call store_registers

from_16:
	cmpl $0, mode_leaves_long
	je 2f
	movl %cr0, %eax
	andl $0x7fffffff, %eax
	movl %eax, %cr0
	movl saved_cr4, %eax
	movl %eax, %cr4
	movl saved_cr3, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl saved_cr0, %eax
	movl %eax, %cr0
2:	ljmp $SELECTOR_LONG, $in_64

load_registers:
	movl mode_registers + 4, %ebx
	movl mode_registers + 8, %ecx
	movl mode_registers + 12, %edx
	movl mode_registers + 16, %esi
	movl mode_registers + 20, %edi
	ret

store_registers:
	movl %eax, mode_registers
	movl %ebx, mode_registers + 4
	movl %ecx, mode_registers + 8
	movl %edx, mode_registers + 12
	movl %esi, mode_registers + 16
	movl %edi, mode_registers + 20
	ret

to_16:
	/* 16-bit segments that begin where the copy is. */
	movl $0x8000ffff, gdt + SELECTOR_16
	movl $0x00009b00, gdt + SELECTOR_16 + 4
	movl $0x8000ffff, gdt + SELECTOR_16_DATA
	movl $0x00009300, gdt + SELECTOR_16_DATA + 4
	movl mode_is_real, %eax
	movl %eax, LOW_BASE + LOW(low_is_real)
	movl mode_keeps_ds, %eax
	movl %eax, LOW_BASE + LOW(low_keeps_ds)
	call load_registers
	ljmp $SELECTOR_16, $LOW(in_16)

in_32_again:
	movl $SELECTOR_DATA, %ebp
	movl %ebp, %ds
	movl %ebp, %es
	movl %ebp, %ss
	movl saved_rsp, %esp
	call store_registers
	jmp from_16

	.code64
in_64:
	lidt saved_idtr
	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movq saved_rsp, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret

	/* Copied to LOW_BASE. */
	.section .rodata
	.globl mode_low, mode_low_end
	.balign 16
mode_low:
	.code16
in_16:
	cmpl $0, %cs:LOW(low_is_real)
	jne 3f
	movw $SELECTOR_16_DATA, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl $LOW_STACK, %esp
	movw $(SNIPPET - LOW_BASE), %ax
	call *%ax
	jmp leave_16
3:	movw $SELECTOR_16_DATA, %ax	/* limits of 64 KiB, but for unreal DS */
	movw %ax, %es
	movw %ax, %ss
	cmpl $0, %cs:LOW(low_keeps_ds)
	jne 4f
	movw %ax, %ds
4:	movl %cr0, %eax
	andl $~1, %eax
	movl %eax, %cr0
	ljmp $(LOW_BASE / 16), $LOW(in_real)
in_real:
	movw %cs, %ax
	movw %ax, %es
	movw %ax, %ss
	cmpl $0, %cs:LOW(low_keeps_ds)
	jne 5f
	movw %ax, %ds
5:	movl $LOW_STACK, %esp
	lidtl %cs:LOW(real_idtr)
	movw $(SNIPPET - LOW_BASE), %ax
	call *%ax
	movl %cr0, %ebp
	orl $1, %ebp
	movl %ebp, %cr0
leave_16:
	ljmpl $SELECTOR_32, $in_32_again
	.balign 8
real_idtr:
	.word 0x3ff
	.long 0
low_is_real:
	.long 0
low_keeps_ds:
	.long 0
mode_low_end:

	.bss
	.balign 8
saved_rsp:
	.skip 8
saved_cr0:
	.skip 4
saved_cr3:
	.skip 4
saved_cr4:
	.skip 4
saved_idtr:
	.skip 16

	.section .note.GNU-stack, "", @progbits
