/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * First instructions of another processor: copied to a page below 1 MiB, entered
 * in real mode by the start-up IPI, it takes the boot processor's tables and goes
 * to smp_entry in long mode. smp_stack is its stack's top.
 */
	.section .rodata
	.globl smp_trampoline, smp_trampoline_end
	.balign 16
smp_trampoline:
	.code16
	cli
	movw %cs, %ax
	movw %ax, %ds
	movl %edx, smp_record_signature - smp_trampoline
	movw %ax, smp_record_segment - smp_trampoline
	lgdtl trampoline_gdtr - smp_trampoline
	movl $boot_pml4, %eax
	movl %eax, %cr3
	movl %cr4, %eax
	orl $0x620, %eax
	movl %eax, %cr4
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x901, %eax
	wrmsr
	movl %cr0, %eax
	andl $~0x60000004, %eax	/* CD, NW and EM off */
	orl $0x80010003, %eax
	movl %eax, %cr0
	ljmpl $0x08, $smp_long_mode
	.balign 8
trampoline_gdtr:
	.word 0x7f
	.long gdt
	.globl smp_record_signature, smp_record_segment
smp_record_signature:
	.long 0
smp_record_segment:
	.word 0
smp_trampoline_end:

	.text
	.code64
smp_long_mode:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movq smp_stack, %rsp
	xorl %ebp, %ebp
	call smp_entry
1:	cli
	hlt
	jmp 1b

	.section .note.GNU-stack, "", @progbits
