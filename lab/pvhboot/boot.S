/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first sector of the disk, and the way from there to pvhboot.c: the firmware
 * loads it to 0x7c00 and enters in real mode, the disk's number in DL.
 */

#include "pvhboot.h"

#define PM_CODE 8
#define PM_DATA 16
#define E820_MAGIC 0x534d4150 /* "SMAP" */
#define CR0_PE 1

	.code16
	.section .boot, "ax"
	.globl start
start:
	cli
	cld
	ljmp $0, $1f
1:	xor %ax, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov $start, %sp

	/* The rest of this program. */
	mov $0x42, %ah
	mov $packet, %si
	int $0x13
	jc fail

	/* The memory map, entries of 20 bytes; EBX is 0 behind the last. */
	mov $memory_map, %di
	xor %ebx, %ebx
2:	mov $0xe820, %eax
	mov $E820_MAGIC, %edx
	mov $20, %ecx
	int $0x15
	jc 3f
	add $20, %di
	incw memory_ranges
	cmpw $MAX_RANGES, memory_ranges
	je 3f
	test %ebx, %ebx
	jnz 2b

	/* That was the firmware's last call, and it may have left with interrupts on. A20, 32 bits. */
3:	cli
	in $0x92, %al
	or $2, %al
	and $0xfe, %al
	out %al, $0x92
	lgdt gdt_pointer
	mov %cr0, %eax
	or $CR0_PE, %al
	mov %eax, %cr0
	ljmp $PM_CODE, $protected

fail:	mov $0x0e00 | '!', %ax
	xor %bx, %bx
	int $0x10
4:	hlt
	jmp 4b

	.code32
protected:
	mov $PM_DATA, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	mov %ax, %fs
	mov %ax, %gs
	mov $stack_top, %esp
	call prepare
	/* In: EAX the kernel's entry, EDX the start info, which it wants in EBX. */
	mov %edx, %ebx
	jmp *%eax

	.align 4
packet:	.byte 16, 0
	.short rest_sectors
	.short rest, 0
	.quad 1

	.align 8
gdt:	.quad 0
	.quad 0x00cf9a000000ffff
	.quad 0x00cf92000000ffff
gdt_pointer:
	.short . - gdt - 1
	.long gdt

	.org 510
	.short 0xaa55

	.data
	.globl memory_ranges
memory_ranges:
	.short 0

	.bss
	.globl memory_map
	.align 8
memory_map:
	.skip 20 * MAX_RANGES
	.align 16
	.skip 4096
stack_top:

	.section .note.GNU-stack, "", @progbits
