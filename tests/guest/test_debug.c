// SPDX-License-Identifier: BSD-2-Clause
/* Debugging: traps on instructions that exit, DR6 and DR7; state that exits preserve. */
#include "payload/smp.h"
#include "payload/user.h"

#define VECTOR_DB 1
#define VECTOR_UD 6
#define VECTOR_GP 13

#define DR6_BS (1u << 14)
#define TF     (1u << 8)
#define RF     (1u << 16)

#define HPET	 0xfed00000ul
#define FAR_PORT 0x3e0
#define TSC_AUX	 0xc0000103

static struct frame last;

static void note_frame(struct frame *frame)
{
	last = *frame;
}

/*
 * Not here: INT1 and general detect, which QEMU 7.2 lacks (0xf1 is #UD there, and DR7.GD
 * is stored but does nothing).
 */
static uint64_t steps[8];
static unsigned int step_count;

static void note_step(struct frame *frame)
{
	steps[step_count++ & 7] = frame->rip;
	if (step_count == 2)
		frame->rflags &= ~(uint64_t)TF;
}

/* The first #DB is before the instruction, at label 1, the second behind it. */
#define TEST_STEP(name, text)                                                         \
	TEST(steps_over_##name)                                                       \
	{                                                                             \
		uint64_t before, after;                                               \
		uint32_t a = 0, c = 0, d = FAR_PORT;                                  \
                                                                                      \
		set_handler(VECTOR_DB, note_step);                                    \
		write_dr6(0xffff0ff0);                                                \
		asm volatile("pushfq; orq $0x100, (%%rsp); popfq\n"                   \
			     "nop\n"                                                  \
			     "1: " text "\n"                                          \
			     "2: leaq 1b(%%rip), %0; leaq 2b(%%rip), %1"              \
			     : "=&r"(before), "=&r"(after), "+a"(a), "+c"(c), "+d"(d) \
			     : "D"(HPET), "S"(APIC_BASE)                              \
			     : "rbx", "memory", "cc");                                \
		CHECK_EQ(step_count, 2);                                              \
		CHECK_EQ(steps[0], before);                                           \
		CHECK_EQ(steps[1], after);                                            \
		CHECK_EQ(read_dr6() & DR6_BS, DR6_BS);                                \
	}
TEST_STEP(a_device_read, "movl 4(%%rdi), %%eax")
TEST_STEP(a_device_write, "movl %%eax, 0x10(%%rdi)")
TEST_STEP(an_apic_read, "movl 0x20(%%rsi), %%eax")
TEST_STEP(an_in_of_the_program, "inl %%dx, %%eax")
TEST_STEP(wbinvd, "wbinvd")

/*
 * SDM vol. 3, 6.8.3 and 17.3.1.4; APM vol. 2, 8.5: none between MOV to SS and what follows it,
 * whether that exits or not. steps[] holds what is behind both and one more.
 */
#define TEST_STEP_BEHIND_SS(name, text)                                                \
	TEST(steps_over_mov_ss_and_##name)                                             \
	{                                                                              \
		uint64_t first, second;                                                \
		uint32_t a = 0, c = 0, d = FAR_PORT;                                   \
                                                                                       \
		set_handler(VECTOR_DB, note_step);                                     \
		asm volatile("movw %%ss, %%bx; pushfq; orq $0x100, (%%rsp); popfq\n"   \
			     "movw %%bx, %%ss\n" text "\n"                             \
			     "1: nop\n 2: nop; leaq 1b(%%rip), %0; leaq 2b(%%rip), %1" \
			     : "=&r"(first), "=&r"(second), "+a"(a), "+c"(c), "+d"(d)  \
			     :                                                         \
			     : "rbx", "memory", "cc");                                 \
		CHECK_EQ(step_count, 2);                                               \
		CHECK_EQ(steps[0], first);                                             \
		CHECK_EQ(steps[1], second);                                            \
	}
TEST_STEP_BEHIND_SS(nop, "nop")
TEST_STEP_BEHIND_SS(cpuid, "cpuid")
TEST_STEP_BEHIND_SS(an_in, "inl %%dx, %%eax")

/* SDM vol. 2, HLT: a debug exception ends it, and the trap of TF is one (17.3.1.4). */
TEST_STEP(hlt, "hlt")

/* Single-step traps after each element of a string instruction. */
static unsigned int string_steps;
static uint64_t string_rcx[8];

static void note_string(struct frame *frame)
{
	string_rcx[string_steps++ & 7] = frame->rcx;
	if (frame->rcx == 0)
		frame->rflags &= ~(uint64_t)TF;
}

TEST(steps_of_a_string_input_end_with_it)
{
	uint8_t bytes[4] = { 0 };
	void *to = bytes;
	uint64_t count = 3;

	set_handler(VECTOR_DB, note_string);
	asm volatile("pushfq; orq $0x100, (%%rsp); popfq; rep insb; nop; nop"
		     : "+D"(to), "+c"(count)
		     : "d"(0x21)
		     : "memory", "cc");
	CHECK(string_steps >= 1 && string_steps <= 4);
	CHECK_EQ(string_rcx[string_steps - 1], 0);
	CHECK_EQ((uint64_t)to, (uint64_t)bytes + 3);
}

TEST(step_trap_clears_tf_in_its_handler_and_iret_restores_it)
{
	set_handler(VECTOR_DB, note_step);
	asm volatile("pushfq; orq $0x100, (%%rsp); popfq; cpuid; cpuid"
		     :
		     : "a"(0)
		     : "rbx", "rcx", "rdx", "memory", "cc");
	CHECK_EQ(step_count, 2);
	CHECK_EQ(steps[1] - steps[0], 2);
}

static void set_rf(struct frame *frame)
{
	last = *frame;
	frame->rflags |= RF;
}

/* With RF set by the IRET the instruction runs, though its breakpoint stays armed. */
#define TEST_RF(name, text)                                                       \
	TEST(rf_lets_##name##_run_past_its_breakpoint)                            \
	{                                                                         \
		uint64_t at;                                                      \
		uint32_t a = 0, c = 0, d = FAR_PORT;                              \
                                                                                  \
		set_handler(VECTOR_DB, set_rf);                                   \
		asm volatile("leaq 1f(%%rip), %0; mov %0, %%dr2; mov %4, %%dr7\n" \
			     "nop; 1: " text "; nop"                              \
			     : "=&r"(at), "+a"(a), "+c"(c), "+d"(d)               \
			     : "r"(0x400ul | 0x20), "D"(HPET)                     \
			     : "rbx", "memory", "cc");                            \
		write_dr7(0x400);                                                 \
		CHECK_EQ(taken[VECTOR_DB], 1);                                    \
		CHECK_EQ(last.rip, at);                                           \
		CHECK_EQ(read_dr6() & 0xf, 4);                                    \
	}
TEST_RF(cpuid, "cpuid")
TEST_RF(an_out, "outl %%eax, %%dx")
TEST_RF(a_device_read, "movl 4(%%rdi), %%eax")

/*
 * A fault pushes RF, so that a breakpoint at the instruction is not taken (again) when the
 * handler returns there: also a fault of an instruction that is carried out for the guest.
 */
#define REFUSED_MSR 0x49 /* PRED_CMD: it can only be written */
#define TSC_MSR	    0x10

static void read_another_msr(struct frame *frame)
{
	last = *frame;
	frame->rcx = TSC_MSR;
}

static void arm_and_read_another_msr(struct frame *frame)
{
	read_another_msr(frame);
	write_dr7(0x402);
}

/* RDMSR at label 1 with a breakpoint, armed if dr7 says so; its address. */
static uint64_t faulting_rdmsr(uint64_t dr7)
{
	uint64_t at;
	uint32_t msr = REFUSED_MSR;

	asm volatile("leaq 1f(%%rip), %0; mov %0, %%dr0; mov %2, %%dr7\n"
		     "nop; 1: rdmsr; nop"
		     : "=&r"(at), "+c"(msr)
		     : "r"(dr7)
		     : "rax", "rdx", "memory");
	write_dr7(0x400);
	return at;
}

TEST(a_breakpoint_is_taken_once_though_the_instruction_faults)
{
	uint64_t at;

	set_handler(VECTOR_DB, set_rf);
	set_handler(VECTOR_GP, read_another_msr);
	at = faulting_rdmsr(0x402);
	CHECK_EQ(taken[VECTOR_DB], 1);
	CHECK_EQ(taken[VECTOR_GP], 1);
	CHECK_EQ(last.rip, at);
	CHECK_EQ(last.rflags & RF, RF);
}

TEST(a_fault_of_an_emulated_instruction_pushes_rf)
{
	uint64_t at;

	set_handler(VECTOR_DB, set_rf);
	set_handler(VECTOR_GP, arm_and_read_another_msr);
	at = faulting_rdmsr(0x400);
	CHECK_EQ(taken[VECTOR_GP], 1);
	CHECK_EQ(last.rip, at);
	CHECK_EQ(last.rflags & RF, RF);
	CHECK_EQ(taken[VECTOR_DB], 0);
}

static volatile uint64_t watched[2] __attribute__((aligned(16)));

TEST(a_read_watchpoint_is_taken_by_reads_and_writes)
{
	asm volatile("mov %0, %%dr3" : : "r"(&watched[1]));
	set_handler(VECTOR_DB, note_frame);
	write_dr7(0x400 | 0x80 | 0xbu << 28); /* G3, read or write, 8 bytes */
	outl(FAR_PORT, 0);
	(void)watched[0];
	CHECK_EQ(taken[VECTOR_DB], 0);
	(void)watched[1];
	CHECK_EQ(taken[VECTOR_DB], 1);
	watched[1] = 1;
	CHECK_EQ(taken[VECTOR_DB], 2);
	write_dr7(0x400);
	CHECK_EQ(read_dr6() & 0xf, 8);
}

/* --- breakpoints on what is done in the guest's place ---------------------- */

/*
 * SDM vol. 3, 17.2.4 and 17.2.5; APM vol. 2, 13.1.1: a data or I/O breakpoint is a trap, taken
 * behind the instruction, or behind an iteration of a repeated one, whose bit is in DR6.
 */
#define EACH_WRITE(bytes)  (0x402ul | (bytes) << 18 | 1ul << 16)
#define EACH_ACCESS(bytes) (0x402ul | (bytes) << 18 | 3ul << 16)
#define EACH_PORT(bytes)   (0x402ul | (bytes) << 18 | 2ul << 16)
#define BYTES_1		   0ul
#define BYTES_2		   1ul
#define BYTES_4		   3ul

static uint8_t buffer[8] __attribute__((aligned(8)));

static void break_at(uint64_t address, uint64_t dr7)
{
	set_handler(VECTOR_DB, note_frame);
	write_cr4(read_cr4() | 8); /* DE */
	write_dr6(0xffff0ff0);
	write_dr0(address);
	write_dr7(dr7);
}

static void check_broken_at(uint64_t rip)
{
	write_dr7(0x400);
	CHECK_EQ(taken[VECTOR_DB], 1);
	CHECK_EQ(last.rip, rip);
	CHECK_EQ(read_dr6() & 0x600f, 1);
}

/* One instruction with a breakpoint armed; the address behind it. */
#define BEHIND(text)                                                      \
	({                                                                \
		uint64_t behind, di = (uint64_t)to, si = (uint64_t)from;  \
		uint32_t a = 0;                                           \
		asm volatile(text "\n1: nop; leaq 1b(%%rip), %0"          \
			     : "=&r"(behind), "+D"(di), "+S"(si), "+a"(a) \
			     : "d"(port)                                  \
			     : "rcx", "memory", "cc");                    \
		behind;                                                   \
	})

#define TEST_BREAK(name, at, dr7, text, to_, from_, port_)         \
	TEST(breakpoint_on_##name)                                 \
	{                                                          \
		void *to = (void *)(to_), *from = (void *)(from_); \
		uint32_t port = port_;                             \
                                                                   \
		break_at((uint64_t)(at), dr7);                     \
		check_broken_at(BEHIND(text));                     \
	}
TEST_BREAK(the_destination_of_ins, buffer, EACH_WRITE(BYTES_1), "insb", buffer, 0, 0x21)
TEST_BREAK(the_destination_of_ins_of_the_program, buffer, EACH_WRITE(BYTES_1), "insb", buffer, 0,
	   FAR_PORT)
TEST_BREAK(the_source_of_outs, buffer, EACH_ACCESS(BYTES_1), "outsb", 0, buffer, FAR_PORT)
TEST_BREAK(the_port_of_ins, 0x21, EACH_PORT(BYTES_1), "insb", buffer, 0, 0x21)
TEST_BREAK(the_destination_of_movs_from_a_device, buffer, EACH_WRITE(BYTES_4), "movsl", buffer,
	   HPET, 0)
TEST_BREAK(the_source_of_movs_to_a_device, buffer, EACH_ACCESS(BYTES_4), "movsl", HPET + 0x108,
	   buffer, 0)
TEST_BREAK(a_device_register_written, HPET + 0x108, EACH_WRITE(BYTES_4), "movl %%eax, (%%rdi)",
	   HPET + 0x108, 0, 0)
TEST_BREAK(a_device_register_read, HPET + 4, EACH_ACCESS(BYTES_4), "movl (%%rdi), %%eax", HPET + 4,
	   0, 0)
TEST_BREAK(a_device_register_updated, HPET + 0x108, EACH_WRITE(BYTES_4), "orl %%eax, (%%rdi)",
	   HPET + 0x108, 0, 0)
TEST_BREAK(a_port_read, 0x21, EACH_PORT(BYTES_1), "inb %%dx, %%al", 0, 0, 0x21)
TEST_BREAK(a_port_written, 0x80, EACH_PORT(BYTES_1), "outb %%al, %%dx", 0, 0, 0x80)
TEST_BREAK(a_port_read_of_the_program, FAR_PORT, EACH_PORT(BYTES_4), "inl %%dx, %%eax", 0, 0,
	   FAR_PORT)
TEST_BREAK(a_port_written_of_the_program, FAR_PORT, EACH_PORT(BYTES_4), "outl %%eax, %%dx", 0, 0,
	   FAR_PORT)
/* What the breakpoint covers begins at a multiple of its length. */
TEST_BREAK(the_second_of_two_ports, 0x21, EACH_PORT(BYTES_2), "inb %%dx, %%al", 0, 0, 0x20)

TEST(breakpoint_on_a_device_register_is_for_what_dr7_says)
{
	break_at(HPET + 0x108, EACH_WRITE(BYTES_4));
	(void)*(volatile uint32_t *)(HPET + 0x108);
	*(volatile uint32_t *)(HPET + 0x104) = 0;
	*(volatile uint32_t *)(HPET + 0x10c) = 0;
	(void)inb(0x21);
	write_dr7(0x400);
	*(volatile uint32_t *)(HPET + 0x108) = 0;
	CHECK_EQ(taken[VECTOR_DB], 0);
}

TEST(breakpoint_on_a_port_needs_debugging_extensions)
{
	break_at(0x21, EACH_PORT(BYTES_1));
	write_cr4(read_cr4() & ~8ul);
	(void)inb(0x21);
	(void)inb(0x21);
	write_dr7(0x400);
	CHECK_EQ(taken[VECTOR_DB], 0);
}

static unsigned int each_hit;
static uint64_t hit_rcx[4];

static void note_hit(struct frame *frame)
{
	hit_rcx[each_hit++ & 3] = frame->rcx;
}

TEST(breakpoint_on_a_string_input_comes_behind_its_iteration)
{
	void *to = buffer;
	uint64_t count = 4;

	break_at((uint64_t)buffer + 1, EACH_WRITE(BYTES_1));
	set_handler(VECTOR_DB, note_hit);
	asm volatile("rep insb; nop" : "+D"(to), "+c"(count) : "d"(0x21) : "memory");
	write_dr7(0x400);
	CHECK_EQ(each_hit, 1);
	CHECK_EQ(hit_rcx[0], 2);
	CHECK_EQ((uint64_t)to, (uint64_t)buffer + 4);
}

TEST(dr6_keeps_what_is_written_and_its_fixed_ones)
{
	write_dr6(0);
	outl(FAR_PORT, 0);
	CHECK_EQ(read_dr6() & 0xffff0ff0, 0xffff0ff0);
	CHECK_EQ(read_dr6() & 0xf, 0);
	write_dr6(0xffff4ff5);
	(void)inb(0x21);
	CHECK_EQ(read_dr6() & 0x600f, 0x4005);
}

static void read_dr4(void *unused)
{
	(void)unused;
	asm volatile(".byte 0x0f, 0x21, 0xe0" : : : "rax"); /* mov %dr4, %rax */
}

TEST(dr4_is_dr6_until_debugging_extensions)
{
	struct trap trap;

	CHECK(!attempt(read_dr4, NULL).taken);
	write_cr4(read_cr4() | 8);
	trap = attempt(read_dr4, NULL);
	CHECK_EQ(trap.vector, VECTOR_UD);
}

static void write_dr7_high(void *unused)
{
	(void)unused;
	write_dr7(1ul << 32 | 0x400);
}

TEST(upper_half_of_dr7_raises_gp)
{
	struct trap trap = attempt(write_dr7_high, NULL);

	CHECK_EQ(trap.vector, VECTOR_GP);
}

/* --- single step in ring 3 ------------------------------------------------ */

static void user_cpuid(void *unused)
{
	(void)unused;
	asm volatile("nop; cpuid; nop" : : "a"(0) : "rbx", "rcx", "rdx");
	USER_DONE;
}

static unsigned int user_steps;

static void count_user_steps(struct frame *frame)
{
	if (frame->cs == USER_CODE)
		user_steps++;
	if (*(uint16_t *)frame->rip == 0x0b0f)
		frame->rflags &= ~(uint64_t)TF;
}

TEST(steps_through_user_mode)
{
	user_enable();
	set_handler(VECTOR_DB, count_user_steps);
	CHECK_EQ(user_attempt(user_cpuid, NULL, 2 | TF).vector, VECTOR_UD);
	CHECK_EQ(user_steps, taken[VECTOR_DB]);
	CHECK(user_steps >= 4);
}

/* --- state that exits preserve -------------------------------------------- */

TEST(tsc_aux_is_what_rdtscp_and_rdpid_read)
{
	uint32_t aux, low, high;
	uint64_t pid = 0;

	if (!(cpuid(0x80000001).d & 1u << 27))
		return;
	wrmsr(TSC_AUX, 0x1234abcd);
	outl(FAR_PORT, 0);
	asm volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux));
	CHECK_EQ(aux, 0x1234abcd);
	CHECK_EQ(rdmsr(TSC_AUX), 0x1234abcd);
	if (cpuid(7).c & 1u << 22) {
		asm volatile(".byte 0xf3, 0x0f, 0xc7, 0xf8" : "=a"(pid)); /* rdpid %rax */
		CHECK_EQ(pid, 0x1234abcd);
	}
}

#define EVERY_EXIT                                                         \
	do {                                                               \
		outl(FAR_PORT, 0);                                         \
		(void)inb(0x21);                                           \
		(void)cpuid(0);                                            \
		(void)*(volatile uint32_t *)HPET;                          \
		*(volatile uint64_t *)0x2000000 = 1; /* not touched yet */ \
	} while (0)

TEST(sse_registers_survive_exits)
{
	static uint64_t in[32] __attribute__((aligned(16))), out[32] __attribute__((aligned(16)));
	uint32_t mxcsr = 0x5f80, mxcsr_after;

	for (unsigned int i = 0; i < 32; i++)
		in[i] = 0x0101010101010101 * (i + 1);
	asm volatile("ldmxcsr %1\n"
		     "movaps (%0), %%xmm0; movaps 16(%0), %%xmm1; movaps 32(%0), %%xmm2\n"
		     "movaps 112(%0), %%xmm7; movaps 128(%0), %%xmm8; movaps 240(%0), %%xmm15"
		     :
		     : "r"(in), "m"(mxcsr));
	EVERY_EXIT;
	asm volatile("stmxcsr %1\n"
		     "movaps %%xmm0, (%0); movaps %%xmm1, 16(%0); movaps %%xmm2, 32(%0)\n"
		     "movaps %%xmm7, 112(%0); movaps %%xmm8, 128(%0); movaps %%xmm15, 240(%0)"
		     :
		     : "r"(out), "m"(mxcsr_after)
		     : "memory");
	CHECK_EQ(memcmp(in, out, 48), 0);
	CHECK_EQ(memcmp(in + 14, out + 14, 32), 0);
	CHECK_EQ(memcmp(in + 30, out + 30, 16), 0);
	asm volatile("stmxcsr %0" : "=m"(mxcsr_after));
	CHECK_EQ(mxcsr_after, mxcsr);
}

TEST(x87_registers_survive_exits)
{
	uint64_t values[3] = { 11, 22, 33 }, out[3] = { 0 };
	uint16_t control = 0x27f, control_after, status;

	asm volatile("fninit; fldcw %3; fildq %0; fildq %1; fildq %2"
		     :
		     : "m"(values[0]), "m"(values[1]), "m"(values[2]), "m"(control));
	EVERY_EXIT;
	asm volatile("fnstsw %0; fnstcw %1" : "=m"(status), "=m"(control_after));
	asm volatile("fistpq %0; fistpq %1; fistpq %2" : "=m"(out[0]), "=m"(out[1]), "=m"(out[2]));
	CHECK_EQ(status >> 11 & 7, 5);
	CHECK_EQ(control_after, control);
	CHECK(out[0] == 33 && out[1] == 22 && out[2] == 11);
}

TEST(ymm_registers_survive_exits)
{
	static uint64_t in[4] __attribute__((aligned(32))) = { 1, 2, 3, 4 };
	static uint64_t out[4] __attribute__((aligned(32)));

	if (!(cpuid(1).c & 1u << 28))
		return;
	write_cr4(read_cr4() | 1u << 18);
	asm volatile("xsetbv" : : "a"(7), "c"(0), "d"(0));
	asm volatile("vmovaps (%0), %%ymm9" : : "r"(in));
	EVERY_EXIT;
	asm volatile("vmovaps %%ymm9, (%0)" : : "r"(out) : "memory");
	CHECK_EQ(memcmp(in, out, sizeof(in)), 0);
}

TEST(smsw_and_lmsw_are_the_low_half_of_cr0)
{
	uint64_t word;
	uint16_t low;

	asm volatile("smsw %0" : "=r"(word));
	CHECK_EQ(word & 0xffff, read_cr0() & 0xffff);
	low = (uint16_t)word;
	asm volatile("lmsw %0" : : "r"((uint16_t)(low | 8)));
	CHECK(read_cr0() & 8);
	/* LMSW cannot clear PE. */
	asm volatile("lmsw %0" : : "r"((uint16_t)(low & ~1)));
	CHECK_EQ(read_cr0() & 9, 1);
}

/* --- the end -------------------------------------------------------------- */

TEST(ends_with_3_triple_fault, ENDS_WITH(3))
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} none = { 0, 0 };

	asm volatile("lidt %0; ud2" : : "m"(none));
}

TEST(ends_with_2_hlt_with_interrupts_off, ENDS_WITH(2))
{
	asm volatile("cli; hlt");
}

static void halt_for_good(void *unused)
{
	(void)unused;
	for (;;)
		asm volatile("cli; hlt");
}

TEST(smp2_halted_other_does_not_end_the_run, CPUS(2))
{
	uint64_t start;

	apic_enable();
	smp_start(1, halt_for_good, NULL);
	for (start = rdtsc(); rdtsc() - start < 20000000;)
		pause();
}
