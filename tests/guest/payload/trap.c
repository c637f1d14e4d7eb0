// SPDX-License-Identifier: BSD-2-Clause
/* Exceptions and interrupts in a test guest: 256 entry points and one dispatcher. */
#include "payload.h"

uint64_t idt[512] __attribute__((aligned(4096)));
volatile unsigned int taken[256];

static handler handlers[256];

/* Where attempt() continues after an exception. */
static struct {
	bool armed;
	uint64_t rsp, rbp, rbx, r12, r13, r14, r15, rip;
	struct trap trap;
} attempting;

/*
 * Each entry pushes an error code of 0 where the processor pushes none, and its
 * vector. 16 bytes apart.
 */
asm(".text\n"
    "	.balign 16\n"
    "trap_entries:\n"
    "	vector = 0\n"
    "	.rept 256\n"
    "	.balign 16\n"
    "	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)\n"
    "	pushq $0\n"
    "	.endif\n"
    "	pushq $vector\n"
    "	jmp trap_common\n"
    "	vector = vector + 1\n"
    "	.endr\n"
    "trap_common:\n"
    "	pushq %r15; pushq %r14; pushq %r13; pushq %r12; pushq %r11\n"
    "	pushq %r10; pushq %r9; pushq %r8; pushq %rbp; pushq %rdi\n"
    "	pushq %rsi; pushq %rdx; pushq %rcx; pushq %rbx; pushq %rax\n"
    "	cld\n"
    "	movq %rsp, %rdi\n"
    "	movq %rsp, %rbp\n"
    "	andq $-16, %rsp\n"
    "	call trap_dispatch\n"
    "	movq %rbp, %rsp\n"
    "	popq %rax; popq %rbx; popq %rcx; popq %rdx; popq %rsi\n"
    "	popq %rdi; popq %rbp; popq %r8; popq %r9; popq %r10\n"
    "	popq %r11; popq %r12; popq %r13; popq %r14; popq %r15\n"
    "	addq $16, %rsp\n"
    "	iretq\n");
extern char trap_entries[];

static void leave_attempt(struct frame *frame)
{
	attempting.armed = false;
	attempting.trap = (struct trap){
		.taken = true,
		.vector = (uint8_t)frame->vector,
		.error = frame->error,
		.rip = frame->rip,
		.cr2 = read_cr2(),
		.rflags = frame->rflags,
	};
	asm volatile("movq %0, %%rsp\n"
		     "movq %1, %%rbp\n"
		     "movq %2, %%rbx\n"
		     "movq %3, %%r12\n"
		     "movq %4, %%r13\n"
		     "movq %5, %%r14\n"
		     "movq %6, %%r15\n"
		     "pushq $2\n"
		     "popfq\n"
		     "jmp *%7\n"
		     :
		     : "m"(attempting.rsp), "m"(attempting.rbp), "m"(attempting.rbx),
		       "m"(attempting.r12), "m"(attempting.r13), "m"(attempting.r14),
		       "m"(attempting.r15), "a"(attempting.rip)
		     : "memory");
	__builtin_unreachable();
}

__attribute__((used)) void trap_dispatch(struct frame *frame)
{
	uint8_t vector = (uint8_t)frame->vector;

	taken[vector]++;
	if (handlers[vector]) {
		handlers[vector](frame);
		return;
	}
	if (attempting.armed && vector < 32)
		leave_attempt(frame);
	fail("unexpected vector %u, error %x, at %x, CR2 %x", frame->vector, frame->error,
	     frame->rip, read_cr2());
}

__attribute__((noinline)) struct trap attempt(void (*fn)(void *argument), void *argument)
{
	attempting.trap = (struct trap){ .vector = NO_TRAP };
	attempting.armed = true;
	/* The context is saved in the same asm that calls: nothing moves in between. */
	asm volatile("movq %%rsp, %0\n"
		     "movq %%rbp, %1\n"
		     "movq %%rbx, %2\n"
		     "movq %%r12, %3\n"
		     "movq %%r13, %4\n"
		     "movq %%r14, %5\n"
		     "movq %%r15, %6\n"
		     "leaq 1f(%%rip), %%rcx\n"
		     "movq %%rcx, %7\n"
		     "movq %9, %%rdi\n"
		     "call *%8\n"
		     "1:\n"
		     : "=m"(attempting.rsp), "=m"(attempting.rbp), "=m"(attempting.rbx),
		       "=m"(attempting.r12), "=m"(attempting.r13), "=m"(attempting.r14),
		       "=m"(attempting.r15), "=m"(attempting.rip)
		     : "a"(fn), "S"(argument)
		     : "rcx", "rdx", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
	attempting.armed = false;
	return attempting.trap;
}

void set_handler(uint8_t vector, handler fn)
{
	handlers[vector] = fn;
}

void load_idt(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} idtr = { sizeof(idt) - 1, (uint64_t)idt };

	for (unsigned int i = 0; i < 256; i++) {
		uint64_t entry = (uint64_t)trap_entries + 16 * i;

		/* Interrupt gate, DPL 0, selector 8 (APM vol. 2, 4.8.4). */
		idt[2 * i] = (entry & 0xffff) | 0x8ull << 16 | 0x8e00ull << 32 |
			     (entry >> 16 & 0xffff) << 48;
		idt[2 * i + 1] = entry >> 32;
	}
	asm volatile("lidt %0" : : "m"(idtr));
}

#define APIC_BASE_MSR	   0x1b
#define APIC_BASE_ENABLE   0x800ull
#define APIC_BASE_EXTENDED 0x400ull

/* x2APIC mode is left by way of no APIC at all (SDM vol. 3, 10.12.5). */
static void leave_x2apic(void)
{
	uint64_t base = rdmsr(APIC_BASE_MSR) & ~APIC_BASE_EXTENDED;

	wrmsr(APIC_BASE_MSR, base & ~APIC_BASE_ENABLE);
	wrmsr(APIC_BASE_MSR, base);
}

void apic_enable(void)
{
	if (rdmsr(APIC_BASE_MSR) & APIC_BASE_EXTENDED)
		leave_x2apic();
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	apic_write(0xf0, 0x1ff);
}
