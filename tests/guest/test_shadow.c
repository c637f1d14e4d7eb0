// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interrupt shadows, and waiting by HLT: what STI, MOV SS and POP SS hold back, and
 * what they do not. That QEMU 7.2's VMRUN ignores the VMCB's interrupt shadow must not
 * show.
 */
#include "payload/payload.h"
#include "payload/smp.h"

#define VECTOR_NMI 2

#define ICR_NMI	   (4u << 8)
#define ICR_ASSERT (1u << 14)
#define ICR_SELF   (1u << 18)

#define HPET	 0xfed00000ul
#define FAR_PORT 0x3e0

static volatile uint64_t seen_rip;

static void note_rip_and_eoi(struct frame *frame)
{
	seen_rip = frame->rip;
	apic_eoi();
}

static void note_rip(struct frame *frame)
{
	seen_rip = frame->rip;
}

static void send_self(uint8_t vector)
{
	apic_write(0x300, ICR_SELF | ICR_ASSERT | vector);
}

/*
 * An interrupt waits. It comes right before label 1 in the text and not earlier.
 * RDI is at the HPET, RSI at the APIC, RDX at a port without a device; CPUID changes RBX.
 */
#define TEST_TAKEN_AT_1(name, text)                                      \
	TEST(name)                                                       \
	{                                                                \
		uint64_t at;                                             \
		uint32_t a = 0, c = 0, d = FAR_PORT;                     \
                                                                         \
		apic_enable();                                           \
		set_handler(0x41, note_rip_and_eoi);                     \
		send_self(0x41);                                         \
		asm volatile(text "\n nop; nop; cli; leaq 1b(%%rip), %0" \
			     : "=&r"(at), "+a"(a), "+c"(c), "+d"(d)      \
			     : "D"(HPET), "S"(APIC_BASE)                 \
			     : "rbx", "memory", "cc");                   \
		CHECK_EQ(taken[0x41], 1);                                \
		CHECK_EQ(seen_rip, at);                                  \
	}

TEST_TAKEN_AT_1(sti_shields_cpuid, "sti; cpuid; 1:")
TEST_TAKEN_AT_1(sti_shields_a_device_read, "sti; movl 4(%%rdi), %%eax; 1:")
TEST_TAKEN_AT_1(sti_shields_an_apic_read, "sti; movl 0x20(%%rsi), %%eax; 1:")
TEST_TAKEN_AT_1(sti_shields_rdmsr, "movl $0x1b, %%ecx; sti; rdmsr; 1:")
TEST_TAKEN_AT_1(sti_after_sti_shields_no_more, "sti; sti; 1: nop")
TEST_TAKEN_AT_1(popf_has_no_shadow, "pushfq; orq $0x200, (%%rsp); popfq; 1: nop")
TEST_TAKEN_AT_1(iret_has_no_shadow,
		"movq %%rsp, %%rbx; pushq $0x10; pushq %%rbx; pushfq; orq $0x200, (%%rsp)\n"
		"pushq $8; leaq 1f(%%rip), %%rax; pushq %%rax; iretq; 1: nop")

TEST(cli_under_the_shadow_of_sti_keeps_the_interrupt_out)
{
	apic_enable();
	set_handler(0x41, note_rip_and_eoi);
	send_self(0x41);
	for (unsigned int i = 0; i < 20; i++) {
		asm volatile("sti; cli" : : : "memory");
		(void)inb(0x21);
	}
	CHECK_EQ(taken[0x41], 0);
	asm volatile("sti; nop; nop; cli" : : : "memory");
	CHECK_EQ(taken[0x41], 1);
}

TEST(interrupts_come_one_after_another_by_priority)
{
	uint64_t at;

	apic_enable();
	set_handler(0x41, note_rip_and_eoi);
	set_handler(0x91, note_rip_and_eoi);
	set_handler(0x61, note_rip_and_eoi);
	send_self(0x41);
	send_self(0x91);
	send_self(0x61);
	asm volatile("sti; nop; 1: cli; leaq 1b(%%rip), %0" : "=r"(at));
	CHECK_EQ(taken[0x41] + taken[0x61] + taken[0x91], 3);
	CHECK_EQ(seen_rip, at);
}

static uint8_t order[4];
static unsigned int ordered;

static void note_order(struct frame *frame)
{
	order[ordered++ & 3] = (uint8_t)frame->vector;
	apic_eoi();
}

TEST(higher_priority_comes_first)
{
	apic_enable();
	set_handler(0x41, note_order);
	set_handler(0x91, note_order);
	send_self(0x41);
	send_self(0x91);
	asm volatile("sti; nop; nop; cli");
	CHECK_EQ(ordered, 2);
	CHECK_EQ(order[0], 0x91);
	CHECK_EQ(order[1], 0x41);
}

/* --- HLT ------------------------------------------------------------------ */

TEST(sti_hlt_never_loses_the_interrupt)
{
	apic_enable();
	set_handler(0x41, note_rip_and_eoi);
	for (unsigned int i = 1; i <= 30; i++) {
		send_self(0x41);
		wait_for_interrupt();
		CHECK_EQ(taken[0x41], i);
	}
}

TEST(timer_wakes_from_hlt)
{
	uint64_t after;

	apic_enable();
	set_handler(0x42, note_rip_and_eoi);
	apic_write(0x3e0, 0xb); /* undivided */
	apic_write(0x320, 0x42);
	apic_write(0x380, 1000000);
	asm volatile("sti; hlt; 1: cli; leaq 1b(%%rip), %0" : "=r"(after) : : "memory");
	CHECK_EQ(taken[0x42], 1);
	CHECK_EQ(seen_rip, after);
	CHECK_EQ(apic_read(0x390), 0);
}

static volatile bool awake;

/* One that comes before the HLT is followed by another. */
static void send_nmis(void *unused)
{
	(void)unused;
	while (!awake) {
		apic_write(0x310, 0);
		apic_write(0x300, ICR_NMI | ICR_ASSERT);
		for (unsigned int i = 0; i < 1000; i++)
			pause();
	}
	for (;;)
		asm volatile("cli; hlt");
}

TEST(smp2_nmi_wakes_from_hlt_with_interrupts_off, CPUS(2))
{
	apic_enable();
	set_handler(VECTOR_NMI, note_rip);
	smp_start(1, send_nmis, NULL);
	asm volatile("cli; hlt" : : : "memory");
	awake = true;
	CHECK(taken[VECTOR_NMI] > 0);
}

TEST(pause_goes_on)
{
	uint64_t start = rdtsc();
	unsigned int i;

	for (i = 0; i < 20000; i++)
		pause();
	CHECK_EQ(i, 20000);
	CHECK(rdtsc() > start);
}
