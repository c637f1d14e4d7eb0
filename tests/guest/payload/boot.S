/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry of a test guest: a PVH kernel, started in 32-bit protected mode with
 * paging off and EBX at hvm_start_info. It enters long mode with the first
 * 4 GiB mapped to themselves and calls payload_main(start_info).
 */
	.section .note.pvh, "a", @note
	.align 4
	.long 4			/* length of the name */
	.long 4			/* length of the value */
	.long 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long _start

	.section .text.boot, "ax"
	.code32
	.globl _start
_start:
	cld
	movl $boot_stack_top, %esp
	movl %ebx, %ebp

	/* Four tables of 512 2 MiB pages. */
	movl $boot_directories, %edi
	movl $0x83, %eax	/* present, writable, large */
	movl $2048, %ecx
1:	movl %eax, (%edi)
	movl $0, 4(%edi)
	addl $0x200000, %eax
	addl $8, %edi
	loop 1b
	movl $boot_directories + 3, %eax
	movl $boot_pointers, %edi
	movl $4, %ecx
2:	movl %eax, (%edi)
	addl $0x1000, %eax
	addl $8, %edi
	loop 2b
	movl $boot_pointers + 3, boot_pml4

	movl %cr4, %eax
	orl $0x620, %eax	/* PAE, OSFXSR, OSXMMEXCPT */
	movl %eax, %cr4
	movl $boot_pml4, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x901, %eax	/* SCE, LME, NXE */
	wrmsr
	movl %cr0, %eax
	andl $~0x4, %eax	/* EM off */
	orl $0x80010003, %eax	/* PG, WP, MP, PE */
	movl %eax, %cr0
	lgdt boot_gdtr
	ljmp $0x08, $long_mode

	.code64
long_mode:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movl $boot_stack_top, %esp
	movl %ebp, %edi
	xorl %ebp, %ebp
	call payload_main
1:	cli
	hlt
	jmp 1b

	.data
	.balign 16
	/* Selectors behind each; the TSS's descriptor is written by payload/user.c. */
	.globl gdt
gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 08: 64-bit code */
	.quad 0x00cf93000000ffff	/* 10: data */
	.quad 0x00cf9b000000ffff	/* 18: 32-bit code */
	.quad 0x00009b000000ffff	/* 20: 16-bit code */
	.quad 0x000093000000ffff	/* 28: 16-bit data */
	.quad 0x00cff3000000ffff	/* 30: user data */
	.quad 0x00affb000000ffff	/* 38: user 64-bit code */
	.quad 0x00cffb000000ffff	/* 40: user 32-bit code */
	.globl gdt_tss
gdt_tss:
	.quad 0, 0			/* 48: TSS */
	.globl gdt_free
gdt_free:
	.fill 8, 8, 0			/* 58..: for tests */
gdt_end:
	.globl boot_gdtr
boot_gdtr:
	.word gdt_end - gdt - 1
	.quad gdt

	.bss
	.balign 4096
	.globl boot_pml4, boot_pointers, boot_directories
boot_pml4:
	.skip 4096
boot_pointers:
	.skip 4096
boot_directories:
	.skip 4 * 4096
	.balign 16
	.skip 16384
	.globl boot_stack_top
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
