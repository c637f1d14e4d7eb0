// SPDX-License-Identifier: BSD-2-Clause
/*
 * Where an exit could show: the state that the hypervisor saves at an exit and restores
 * at the next entry (registers, flags, interrupt shadow, events whose delivery exited)
 * must be what a processor without a hypervisor would have had.
 */
#include "payload/payload.h"

#define RFLAGS_TF (1u << 8)

#define VECTOR_DB  1
#define VECTOR_NMI 2
#define VECTOR_BP  3
#define VECTOR_UD  6
#define VECTOR_GP  13

#define ICR_NMI	   (4u << 8)
#define ICR_ASSERT (1u << 14)
#define ICR_SELF   (1u << 18)

/* A port without a device: the access is an exit to userspace. */
#define FAR_PORT 0x3e0

/* Memory that nothing has touched yet: the first access is a nested page fault. */
#define UNTOUCHED(n) ((uint64_t)0x1000000 + (uint64_t)(n)*0x400000)

static void send_self(uint8_t vector)
{
	apic_write(0x300, ICR_SELF | ICR_ASSERT | vector);
}

static void send_self_nmi(void)
{
	apic_write(0x310, apic_read(0x20) & 0xff000000);
	apic_write(0x300, ICR_NMI | ICR_ASSERT);
}

static volatile uint64_t seen_rip;

static void note_rip(struct frame *frame)
{
	seen_rip = frame->rip;
}

static void note_rip_and_eoi(struct frame *frame)
{
	seen_rip = frame->rip;
	apic_eoi();
}

static void set_cr4(void *bits)
{
	write_cr4(read_cr4() | (uint64_t)bits);
}

TEST(cr4_bits_of_what_is_not_offered_raise_gp)
{
	static const uint8_t never[] = { 13, 14, 15, 19, 31, 32, 63 };
	uint64_t before = read_cr4();

	for (unsigned int i = 0; i < sizeof(never); i++) {
		struct trap trap = attempt(set_cr4, (void *)(1ul << never[i]));

		CHECK_EQ(trap.vector, VECTOR_GP);
		CHECK_EQ(read_cr4(), before);
	}
}

/* --- registers ---------------------------------------------------------------------- */

/*
 * Every general register but RSP holds a value of its own across an exit to
 * userspace and one that the module handles.
 */
TEST(general_registers_survive_exits)
{
	uint64_t wrong;

	asm volatile("movl $0x11111111, %%eax; movl $0x33333333, %%ecx\n"
		     "movl $0x44444444, %%ebx; movl $0x55555555, %%esi\n"
		     "movl $0x66666666, %%edi; movl $0x88, %%r8d; movl $0x99, %%r9d\n"
		     "movl $0xaa, %%r10d; movl $0xbb, %%r11d; movl $0xcc, %%r12d\n"
		     "movl $0xdd, %%r13d; movl $0xee, %%r14d; movl $0xff, %%r15d\n"
		     "pushq %%rbp; movl $0x77777777, %%ebp; movw %[port], %%dx\n"
		     "outl %%eax, %%dx\n"
		     "pushfq; popfq; inb $0x21, %%al; movb $0x11, %%al\n"
		     "subl $0x11111111, %%eax; subl $0x33333333, %%ecx\n"
		     "subl $0x44444444, %%ebx; subl $0x55555555, %%esi\n"
		     "subl $0x66666666, %%edi; subl $0x77777777, %%ebp\n"
		     "subl $0x88, %%r8d; subl $0x99, %%r9d; subl $0xaa, %%r10d\n"
		     "subl $0xbb, %%r11d; subl $0xcc, %%r12d; subl $0xdd, %%r13d\n"
		     "subl $0xee, %%r14d; subl $0xff, %%r15d\n"
		     "orq %%rcx, %%rax; orq %%rbx, %%rax; orq %%rsi, %%rax\n"
		     "orq %%rdi, %%rax; orq %%rbp, %%rax; orq %%r8, %%rax\n"
		     "orq %%r9, %%rax; orq %%r10, %%rax; orq %%r11, %%rax\n"
		     "orq %%r12, %%rax; orq %%r13, %%rax; orq %%r14, %%rax\n"
		     "orq %%r15, %%rax; popq %%rbp\n"
		     : "=&a"(wrong)
		     : [port] "i"(FAR_PORT)
		     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
		       "r14", "r15", "memory", "cc");
	CHECK_EQ(wrong, 0);
}

TEST(flags_survive_exits)
{
	uint64_t set = 0xcd5, flags; /* CF PF AF ZF SF DF OF */

	asm volatile("pushq %1; popfq\n"
		     "outl %%eax, %%dx\n"
		     "pushfq; popq %0; cld\n"
		     : "=r"(flags)
		     : "r"(set), "a"(0), "d"(FAR_PORT)
		     : "cc", "memory");
	CHECK_EQ(flags & 0xcd5, set);
}

TEST(system_call_msrs_survive_exits)
{
	static const uint32_t msrs[] = { 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100,
					 0xc0000101, 0xc0000102, 0x174,	     0x175,	 0x176 };

	for (unsigned int i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
		wrmsr(msrs[i], 0x1000 * (i + 1));
	outl(FAR_PORT, 0);
	(void)inb(0x21);
	for (unsigned int i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++)
		CHECK_EQ(rdmsr(msrs[i]), 0x1000 * (i + 1));
}

TEST(debug_registers_survive_exits)
{
	asm volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3"
		     :
		     : "r"(0x1111ul), "r"(0x2222ul), "r"(0x3333ul), "r"(0x4444ul));
	for (unsigned int i = 0; i < 3; i++) {
		uint64_t dr[4];

		outl(FAR_PORT, i);
		asm volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3"
			     : "=r"(dr[0]), "=r"(dr[1]), "=r"(dr[2]), "=r"(dr[3]));
		for (unsigned int n = 0; n < 4; n++)
			CHECK_EQ(dr[n], 0x1111 * (n + 1));
	}
	CHECK_EQ(read_dr7(), 0x400);
}

TEST(cr2_survives_exits)
{
	write_cr2(0x123456789abc);
	outl(FAR_PORT, 0);
	CHECK_EQ(read_cr2(), 0x123456789abc);
}

/* --- debugging ------------------------------------------------------------ */

static void note_and_disarm(struct frame *frame)
{
	seen_rip = frame->rip;
	write_dr7(0x400);
}

TEST(an_instruction_breakpoint_is_a_db_fault)
{
	uint64_t at;

	set_handler(VECTOR_DB, note_and_disarm);
	asm volatile("leaq 1f(%%rip), %0; mov %0, %%dr0\n"
		     "outl %%eax, %%dx\n" /* set across an exit */
		     "mov %1, %%dr7\n"
		     "outl %%eax, %%dx\n" /* armed across an exit */
		     "nop\n"
		     "1: nop\n"
		     : "=&r"(at)
		     : "r"(0x402ul), "a"(0), "d"(FAR_PORT)
		     : "memory");
	CHECK_EQ(taken[VECTOR_DB], 1);
	CHECK_EQ(seen_rip, at);
	CHECK_EQ(read_dr6() & 0xf, 1);
}

static volatile uint64_t watched;

TEST(a_write_watchpoint_is_a_db_trap)
{
	uint64_t after;

	set_handler(VECTOR_DB, note_and_disarm);
	asm volatile("mov %0, %%dr1" : : "r"(&watched));
	write_dr6(0xffff0ff0);
	write_dr7(0x400 | 8 | 0xd << 20); /* G1, write, 4 bytes */
	outl(FAR_PORT, 0);
	asm volatile("movl $1, %1; 1: leaq 1b(%%rip), %0" : "=r"(after), "=m"(watched));
	CHECK_EQ(taken[VECTOR_DB], 1);
	CHECK_EQ(seen_rip, after);
	CHECK_EQ(read_dr6() & 0xf, 2);
}

/* Addresses of the first #DBs with TF set. */
static volatile uint64_t steps[8];
static volatile unsigned int step_count;

static void note_step(struct frame *frame)
{
	if (step_count < 8)
		steps[step_count] = frame->rip;
	if (++step_count == 3)
		frame->rflags &= ~(uint64_t)RFLAGS_TF;
}

/* An instruction the hypervisor skips traps as any other does. */
#define TEST_STEP(name, text)                                                               \
	TEST(single_step_over_##name)                                                       \
	{                                                                                   \
		uint64_t first, second, third;                                              \
		uint32_t a = 0, c = 0, d = FAR_PORT;                                        \
                                                                                            \
		set_handler(VECTOR_DB, note_step);                                          \
		asm volatile("leaq 1f(%%rip), %0; leaq 2f(%%rip), %1; leaq 3f(%%rip), %2\n" \
			     "pushfq; orq $0x100, (%%rsp); popfq\n"                         \
			     "nop\n"                                                        \
			     "1: " text "\n"                                                \
			     "2: nop\n"                                                     \
			     "3: nop\n"                                                     \
			     : "=&r"(first), "=&r"(second), "=&r"(third), "+a"(a), "+c"(c), \
			       "+d"(d)                                                      \
			     :                                                              \
			     : "rbx", "memory", "cc");                                      \
		CHECK_EQ(step_count, 3);                                                    \
		CHECK_EQ(steps[0], first);                                                  \
		CHECK_EQ(steps[1], second);                                                 \
		CHECK_EQ(steps[2], third);                                                  \
		CHECK(read_dr6() & 1u << 14);                                               \
	}
TEST_STEP(nop, "nop")
TEST_STEP(cpuid, "cpuid")
TEST_STEP(out_to_the_program, "outl %%eax, %%dx")
TEST_STEP(in_from_the_kernel, "inb $0x21, %%al")

/* --- interrupt shadow ----------------------------------------------------- */

/*
 * An interrupt waits; STI (or MOV SS, with interrupts on) shields the one instruction
 * that follows, also when that exits.
 */
#define TEST_SHADOW(name, shield, text)                                    \
	TEST(name)                                                         \
	{                                                                  \
		uint64_t after;                                            \
		uint32_t a = 0, c = 0, d = FAR_PORT;                       \
                                                                           \
		apic_enable();                                             \
		set_handler(0x41, note_rip_and_eoi);                       \
		send_self(0x41);                                           \
		asm volatile(shield "\n" text "\n"                         \
				    "1: nop; nop; cli; leaq 1b(%%rip), %0" \
			     : "=&r"(after), "+a"(a), "+c"(c), "+d"(d)     \
			     :                                             \
			     : "rbx", "memory", "cc");                     \
		CHECK_EQ(taken[0x41], 1);                                  \
		CHECK_EQ(seen_rip, after);                                 \
	}
TEST_SHADOW(sti_shields_one_instruction, "sti", "nop")
TEST_SHADOW(sti_shields_an_out_to_the_program, "sti", "outl %%eax, %%dx")
TEST_SHADOW(sti_shields_an_in_from_the_kernel, "sti", "inb $0x21, %%al")
TEST_SHADOW(sti_shields_hlt, "sti", "hlt")

TEST(sti_shields_the_first_touch_of_memory)
{
	uint64_t after;

	apic_enable();
	set_handler(0x41, note_rip_and_eoi);
	send_self(0x41);
	asm volatile("sti; movl $1, (%1); 1: nop; nop; cli; leaq 1b(%%rip), %0"
		     : "=&r"(after)
		     : "r"(UNTOUCHED(0))
		     : "memory");
	CHECK_EQ(taken[0x41], 1);
	CHECK_EQ(seen_rip, after);
}

/* --- CR8 ------------------------------------------------------------------ */

TEST(cr8_holds_interrupts_of_its_class_back)
{
	apic_enable();
	set_handler(0x41, note_rip_and_eoi);
	write_cr8(4);
	interrupts_on();
	send_self(0x41);
	for (unsigned int i = 0; i < 100; i++)
		(void)inb(0x21);
	CHECK_EQ(taken[0x41], 0);
	write_cr8(3);
	CHECK_EQ(taken[0x41], 1);
	interrupts_off();
}

TEST(cr8_lets_higher_classes_pass)
{
	apic_enable();
	set_handler(0x51, note_rip_and_eoi);
	write_cr8(4);
	interrupts_on();
	send_self(0x51);
	CHECK_EQ(taken[0x51], 1);
	CHECK_EQ(read_cr8(), 4);
	interrupts_off();
}

TEST(cr8_is_the_upper_half_of_the_tpr)
{
	apic_enable();
	write_cr8(9);
	CHECK_EQ(apic_read(0x80), 0x90);
	apic_write(0x80, 0x35);
	CHECK_EQ(read_cr8(), 3);
	CHECK_EQ(apic_read(0x80), 0x35);
}

/* --- NMI ------------------------------------------------------------------ */

static volatile unsigned int nmi_depth, nmi_nested;
static volatile uint64_t nmi_rip[4];

static void nmi_sends_another(struct frame *frame)
{
	unsigned int count = taken[VECTOR_NMI];

	nmi_nested |= nmi_depth++;
	if (count <= 4)
		nmi_rip[count - 1] = frame->rip;
	if (count == 1) {
		send_self_nmi();
		for (unsigned int i = 0; i < 100; i++)
			(void)inb(0x21);
		outl(FAR_PORT, 0);
	}
	nmi_depth--;
}

TEST(nmi_is_taken_with_interrupts_off)
{
	set_handler(VECTOR_NMI, note_rip);
	apic_enable();
	send_self_nmi();
	(void)inb(0x21);
	CHECK_EQ(taken[VECTOR_NMI], 1);
}

TEST(nmi_waits_for_the_iret_of_the_last)
{
	set_handler(VECTOR_NMI, nmi_sends_another);
	apic_enable();
	send_self_nmi();
	(void)inb(0x21);
	CHECK_EQ(taken[VECTOR_NMI], 2);
	CHECK_EQ(nmi_nested, 0);
	CHECK_EQ(nmi_rip[1], nmi_rip[0]); /* not one instruction was run between */
}

TEST(nmi_is_not_blocked_for_good)
{
	set_handler(VECTOR_NMI, note_rip);
	apic_enable();
	for (unsigned int i = 1; i <= 10; i++) {
		send_self_nmi();
		(void)inb(0x21);
		CHECK_EQ(taken[VECTOR_NMI], i);
	}
}

/* The IRET of the interrupt in between unblocks the second NMI, as on the processor. */
static void nmi_with_an_interrupt_inside(struct frame *frame)
{
	(void)frame;
	if (taken[VECTOR_NMI] > 1)
		return;
	send_self_nmi();
	send_self(0x41);
	asm volatile("sti; nop; nop; cli" : : : "memory");
	nmi_nested = taken[VECTOR_NMI];
}

TEST(any_iret_unblocks_nmi)
{
	set_handler(VECTOR_NMI, nmi_with_an_interrupt_inside);
	set_handler(0x41, note_rip_and_eoi);
	apic_enable();
	send_self_nmi();
	(void)inb(0x21);
	CHECK_EQ(taken[0x41], 1);
	CHECK_EQ(taken[VECTOR_NMI], 2);
	CHECK_EQ(nmi_nested, 2);
}

/* --- event deliveries that exit ------------------------------------------- */

/*
 * With the stack in memory that nothing has touched, pushing the frame faults in the
 * nested table. The event must be re-injected: delivered once, with the right address.
 */
#define TEST_DELIVERY(name, vector, n, before, text, offset)         \
	TEST(name)                                                   \
	{                                                            \
		uint64_t at;                                         \
                                                                     \
		apic_enable();                                       \
		set_handler(vector, note_rip_and_eoi);               \
		before;                                              \
		asm volatile("movq %%rsp, %%rbx; movq %1, %%rsp\n"   \
			     "1: " text "\n"                         \
			     "movq %%rbx, %%rsp; leaq 1b(%%rip), %0" \
			     : "=r"(at)                              \
			     : "r"(UNTOUCHED(n) + 0x1000)            \
			     : "rbx", "memory", "cc");               \
		CHECK_EQ(taken[vector], 1);                          \
		CHECK_EQ(seen_rip, at + (offset));                   \
	}
TEST_DELIVERY(int3_onto_untouched_memory, VECTOR_BP, 1, (void)0, "int3", 1)
TEST_DELIVERY(int_n_onto_untouched_memory, 0x80, 2, (void)0, "int $0x80", 2)
TEST_DELIVERY(interrupt_onto_untouched_memory, 0x41, 4, send_self(0x41), "sti; nop; cli", 2)

static void skip_ud2(struct frame *frame)
{
	seen_rip = frame->rip;
	frame->rip += 2;
}

TEST(exception_onto_untouched_memory)
{
	uint64_t at;

	set_handler(VECTOR_UD, skip_ud2);
	asm volatile("movq %%rsp, %%rbx; movq %1, %%rsp\n"
		     "1: ud2\n"
		     "movq %%rbx, %%rsp; leaq 1b(%%rip), %0"
		     : "=r"(at)
		     : "r"(UNTOUCHED(5) + 0x1000)
		     : "rbx", "memory", "cc");
	CHECK_EQ(taken[VECTOR_UD], 1);
	CHECK_EQ(seen_rip, at);
}

static volatile unsigned int *nmi_doorbell;

static void nmi_onto(struct frame *frame)
{
	seen_rip = frame->rsp;
}

TEST(nmi_onto_untouched_memory)
{
	uint64_t stack = UNTOUCHED(6) + 0x1000;

	apic_enable();
	set_handler(VECTOR_NMI, nmi_onto);
	apic_write(0x310, apic_read(0x20) & 0xff000000);
	nmi_doorbell = (volatile unsigned int *)(APIC_BASE + 0x300);
	asm volatile("movq %%rsp, %%rbx; movq %0, %%rsp\n"
		     "movl %1, (%2)\n"
		     "inb $0x21, %%al; inb $0x21, %%al\n"
		     "movq %%rbx, %%rsp\n"
		     :
		     : "r"(stack), "r"(ICR_NMI | ICR_ASSERT), "r"(nmi_doorbell)
		     : "rax", "rbx", "memory", "cc");
	CHECK_EQ(taken[VECTOR_NMI], 1);
	CHECK_EQ(seen_rip, stack);
	/* It counts as delivered, and its IRET was executed. */
	send_self_nmi();
	(void)inb(0x21);
	CHECK_EQ(taken[VECTOR_NMI], 2);
}
