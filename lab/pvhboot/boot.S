/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry and exit of pvhboot: see pvhboot.c. GRUB enters at `start` in 32-bit
 * protected mode with paging off (Multiboot specification 0.6.96, 3.2).
 */

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x3 /* modules on page boundaries, a memory map */

	/* In .text, which comes first: it must be within the file's first 8 KiB. */
	.text
	.align 4
	.long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.globl start
start:
	cli
	cld
	movl $stack_top, %esp
	pushl %ebx
	call prepare
	/* In: EAX the kernel's entry, EDX the start info, which it wants in EBX. */
	movl %edx, %ebx
	jmp *%eax

	.bss
	.align 16
	.skip 8192
stack_top:

	.section .note.GNU-stack, "", @progbits
