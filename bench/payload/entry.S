/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry in long mode: see layout.h. Makes the tables, and loads the GDT, that the code of
 * the guest tests expects of its own entry.
 */
	.section .text.boot, "ax"
	.code64
	.globl bench_entry
bench_entry:
	cld
	movl $boot_stack_top, %esp
	movq %rdi, %rbp

	/* Four tables of 512 2 MiB pages. */
	movl $boot_directories, %edi
	movl $0x83, %eax	/* present, writable, large */
	movl $2048, %ecx
1:	movq %rax, (%rdi)
	addq $0x200000, %rax
	addq $8, %rdi
	decl %ecx
	jnz 1b
	movl $boot_directories + 3, %eax
	movl $boot_pointers, %edi
	movl $4, %ecx
2:	movq %rax, (%rdi)
	addq $0x1000, %rax
	addq $8, %rdi
	decl %ecx
	jnz 2b
	movl $boot_pointers + 3, boot_pml4
	movl $boot_pml4, %eax
	movq %rax, %cr3

	lgdt boot_gdtr
	pushq $0x08
	pushq $3f
	lretq
3:	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movq %rbp, %rdi
	xorl %ebp, %ebp
	call payload_main

	.section .note.GNU-stack, "", @progbits
