/* SPDX-License-Identifier: BSD-2-Clause */
/* Handlers that do the least there is to do: see measure.h. */
	.text
	.globl gate_skip3
gate_skip3:
	addq $3, (%rsp)
	iretq

	.globl gate_map
gate_map:
	pushq %rax
	pushq %rdx
	movq gate_value, %rax
	movq gate_entry, %rdx
	movq %rax, (%rdx)
	popq %rdx
	popq %rax
	addq $8, %rsp
	iretq

/* The time first: what follows is not part of the latency. */
	.macro BEGIN
	pushq %rax
	pushq %rcx
	pushq %rdx
	rdtsc
	shlq $32, %rdx
	orq %rdx, %rax
	movq %rax, gate_time
	incq gate_count
	.endm
	.macro END
	popq %rdx
	popq %rcx
	popq %rax
	iretq
	.endm

	.globl gate_xapic
gate_xapic:
	BEGIN
	movl $0xfee000b0, %eax
	movl $0, (%rax)
	END

	.globl gate_x2apic
gate_x2apic:
	BEGIN
	movl $0x80b, %ecx
	xorl %eax, %eax
	xorl %edx, %edx
	wrmsr
	END

	.bss
	.balign 8
	.globl gate_count, gate_time, gate_entry, gate_value
gate_count:
	.quad 0
gate_time:
	.quad 0
gate_entry:
	.quad 0
gate_value:
	.quad 0

	.section .note.GNU-stack, "", @progbits
