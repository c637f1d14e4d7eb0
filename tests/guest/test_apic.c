// SPDX-License-Identifier: BSD-2-Clause
/* The local APIC, memory-mapped: its registers, priorities, and interrupts to itself. */
#include "payload/payload.h"

#define APIC_ID	       0x20
#define APIC_VERSION   0x30
#define APIC_TPR       0x80
#define APIC_PPR       0xa0
#define APIC_LDR       0xd0
#define APIC_DFR       0xe0
#define APIC_SVR       0xf0
#define APIC_ISR       0x100
#define APIC_TMR       0x180
#define APIC_IRR       0x200
#define APIC_ESR       0x280
#define APIC_ICR       0x300
#define APIC_ICR_HIGH  0x310
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_ERROR 0x370
#define APIC_INITIAL   0x380
#define APIC_CURRENT   0x390
#define APIC_DIVIDE    0x3e0
#define LVT_MASKED     0x10000
#define ICR_ASSERT     (1u << 14)
#define ICR_SELF       (1u << 18)
#define ESR_SEND       0x20
#define ESR_REGISTER   0x80

static volatile uint8_t order[16];
static volatile unsigned int order_count;

static void note_vector(struct frame *frame)
{
	if (order_count < sizeof(order))
		order[order_count++] = (uint8_t)frame->vector;
	apic_eoi();
}

static void send_self(uint8_t vector)
{
	apic_write(APIC_ICR, ICR_SELF | ICR_ASSERT | vector);
}

static bool bit_of(uint32_t map, uint8_t vector)
{
	return apic_read(map + vector / 32 * 0x10) >> (vector % 32) & 1;
}

/* Take the pending interrupts. */
static void open_window(void)
{
	asm volatile("sti; nop; nop; cli" : : : "memory");
}

/* --- registers ------------------------------------------------------------ */

TEST(apic_base_msr_says_enabled_boot_processor)
{
	CHECK_EQ(rdmsr(0x1b), APIC_BASE | 0x900);
}

TEST(apic_id_of_the_boot_processor_is_that_of_cpuid)
{
	CHECK_EQ(apic_read(APIC_ID), cpuid(1).b & 0xff000000);
}

TEST(apic_version_is_an_integrated_one)
{
	uint32_t version = apic_read(APIC_VERSION);

	CHECK((version & 0xff) >= 0x10 && (version & 0xff) <= 0x15);
	CHECK((version >> 16 & 0xff) >= 3); /* last LVT entry: timer, LINT0/1, error at least */
}

TEST(apic_id_and_version_cannot_be_written)
{
	uint32_t version = apic_read(APIC_VERSION);

	apic_write(APIC_VERSION, ~version);
	CHECK_EQ(apic_read(APIC_VERSION), version);
}

TEST(apic_registers_after_reset)
{
	CHECK_EQ(apic_read(APIC_TPR), 0);
	CHECK_EQ(apic_read(APIC_PPR), 0);
	CHECK_EQ(apic_read(APIC_LDR), 0);
	CHECK_EQ(apic_read(APIC_DFR), 0xffffffff);
	CHECK_EQ(apic_read(APIC_SVR), 0xff);
	CHECK_EQ(apic_read(APIC_INITIAL), 0);
	CHECK_EQ(apic_read(APIC_CURRENT), 0);
	CHECK_EQ(apic_read(APIC_DIVIDE), 0);
	CHECK_EQ(apic_read(APIC_LVT_TIMER), LVT_MASKED);
	CHECK_EQ(apic_read(APIC_LVT_ERROR), LVT_MASKED);
}

TEST(apic_isr_tmr_irr_are_empty_after_reset)
{
	for (unsigned int i = 0; i < 0x80; i += 0x10) {
		CHECK_EQ(apic_read(APIC_ISR + i), 0);
		CHECK_EQ(apic_read(APIC_TMR + i), 0);
		CHECK_EQ(apic_read(APIC_IRR + i), 0);
	}
}

TEST(apic_tpr_holds_eight_bits)
{
	apic_write(APIC_TPR, 0xffffff5a);
	CHECK_EQ(apic_read(APIC_TPR), 0x5a);
}

TEST(apic_ldr_holds_its_upper_eight_bits)
{
	apic_write(APIC_LDR, 0xa5ffffff);
	CHECK_EQ(apic_read(APIC_LDR), 0xa5000000);
}

TEST(apic_dfr_reads_ones_below_the_model)
{
	apic_write(APIC_DFR, 0);
	CHECK_EQ(apic_read(APIC_DFR), 0x0fffffff);
	apic_write(APIC_DFR, 0xf0000000);
	CHECK_EQ(apic_read(APIC_DFR), 0xffffffff);
}

TEST(apic_svr_holds_vector_and_enable)
{
	apic_write(APIC_SVR, 0x1ef);
	CHECK_EQ(apic_read(APIC_SVR), 0x1ef);
	apic_write(APIC_SVR, 0xffffe0ff);
	CHECK_EQ(apic_read(APIC_SVR), 0xff);
}

TEST(apic_lvt_reserved_bits_read_zero)
{
	apic_enable();
	apic_write(APIC_LVT_TIMER, 0xfffbffff);
	CHECK_EQ(apic_read(APIC_LVT_TIMER), 0x300ff);
	apic_write(APIC_LVT_ERROR, 0xffffffff);
	CHECK_EQ(apic_read(APIC_LVT_ERROR), 0x100ff);
}

TEST(apic_divide_configuration_has_three_bits)
{
	apic_write(APIC_DIVIDE, 0xffffffff);
	CHECK_EQ(apic_read(APIC_DIVIDE), 0xb);
}

TEST(apic_current_count_cannot_be_written)
{
	apic_enable();
	apic_write(APIC_CURRENT, 12345);
	CHECK_EQ(apic_read(APIC_CURRENT), 0);
}

TEST(apic_icr_high_holds_the_destination)
{
	apic_write(APIC_ICR_HIGH, 0xa5ffffff);
	CHECK_EQ(apic_read(APIC_ICR_HIGH), 0xa5000000);
}

TEST(apic_eoi_reads_zero)
{
	CHECK_EQ(apic_read(0xb0), 0);
}

/* --- modes ---------------------------------------------------------------- */

TEST(apic_software_disable_masks_the_lvt)
{
	apic_enable();
	apic_write(APIC_LVT_TIMER, 0x41);
	CHECK_EQ(apic_read(APIC_LVT_TIMER), 0x41);
	apic_write(APIC_SVR, 0xff);
	CHECK_EQ(apic_read(APIC_LVT_TIMER), 0x41 | LVT_MASKED);
	/* SDM vol. 3, 10.4.7.2: the mask bits cannot be cleared until it is enabled. */
	apic_write(APIC_LVT_TIMER, 0x41);
	CHECK_EQ(apic_read(APIC_LVT_TIMER), 0x41 | LVT_MASKED);
}

TEST(apic_software_disabled_takes_no_fixed_interrupt)
{
	apic_enable();
	apic_write(APIC_SVR, 0xff);
	send_self(0x41);
	open_window();
	apic_write(APIC_SVR, 0x1ff);
	open_window();
	CHECK_EQ(taken[0x41], 0);
	CHECK(!bit_of(APIC_IRR, 0x41));
}

TEST(apic_disabled_and_enabled_by_msr_is_as_after_reset)
{
	apic_enable();
	apic_write(APIC_LDR, 0x01000000);
	apic_write(APIC_TPR, 0x20);
	wrmsr(0x1b, rdmsr(0x1b) & ~0x800ull);
	CHECK(!(cpuid(1).d & 1u << 9));
	wrmsr(0x1b, rdmsr(0x1b) | 0x800);
	CHECK(cpuid(1).d & 1u << 9);
	CHECK_EQ(apic_read(APIC_SVR), 0xff);
	CHECK_EQ(apic_read(APIC_LDR), 0);
	CHECK_EQ(apic_read(APIC_TPR), 0);
}

TEST(apic_window_moves_with_the_base_msr)
{
	volatile uint32_t *moved = (volatile uint32_t *)0xfec80000ul;
	uint32_t version = apic_read(APIC_VERSION);

	wrmsr(0x1b, 0xfec80000ull | 0x900);
	CHECK_EQ(moved[APIC_VERSION / 4], version);
	wrmsr(0x1b, APIC_BASE | 0x900);
	CHECK_EQ(apic_read(APIC_VERSION), version);
}

static void write_base(void *value)
{
	wrmsr(0x1b, (uint64_t)value);
}

TEST(apic_base_msr_reserved_bits_raise_gp)
{
	CHECK_EQ(attempt(write_base, (void *)(APIC_BASE | 0x901)).vector, 13);
	CHECK_EQ(attempt(write_base, (void *)(APIC_BASE | 0x900 | 1ul << 60)).vector, 13);
	CHECK_EQ(rdmsr(0x1b), APIC_BASE | 0x900);
}

/* --- interrupts to itself ------------------------------------------------- */

TEST(apic_self_ipi_arrives_once)
{
	apic_enable();
	set_handler(0x41, note_vector);
	send_self(0x41);
	open_window();
	open_window();
	CHECK_EQ(taken[0x41], 1);
}

TEST(apic_self_ipi_waits_in_irr)
{
	apic_enable();
	set_handler(0x71, note_vector);
	send_self(0x71);
	CHECK(bit_of(APIC_IRR, 0x71));
	CHECK(!bit_of(APIC_ISR, 0x71));
	open_window();
	CHECK(!bit_of(APIC_IRR, 0x71));
	CHECK_EQ(taken[0x71], 1);
}

/*
 * However often the host is interrupted meanwhile: Bochs 2.7 delivers a virtual interrupt
 * then, whatever the guest's IF.
 */
TEST(apic_self_ipi_waits_while_the_host_is_interrupted)
{
	apic_enable();
	set_handler(0x71, note_vector);
	for (unsigned int round = 1; round <= 20; round++) {
		open_window();
		send_self(0x71);
		for (volatile unsigned int i = 0; i < 200000; i++)
			;
		CHECK_EQ(taken[0x71], round - 1);
		open_window();
		CHECK_EQ(taken[0x71], round);
	}
}

static volatile bool in_isr, in_irr, in_tmr;
static volatile uint32_t ppr_inside;

static void look_inside(struct frame *frame)
{
	uint8_t vector = (uint8_t)frame->vector;

	in_isr = bit_of(APIC_ISR, vector);
	in_irr = bit_of(APIC_IRR, vector);
	in_tmr = bit_of(APIC_TMR, vector);
	ppr_inside = apic_read(APIC_PPR);
	apic_eoi();
}

TEST(apic_isr_holds_the_vector_until_eoi)
{
	apic_enable();
	set_handler(0x63, look_inside);
	send_self(0x63);
	open_window();
	CHECK_EQ(taken[0x63], 1);
	CHECK(in_isr);
	CHECK(!in_irr);
	CHECK(!in_tmr); /* an IPI is edge-triggered */
	CHECK(!bit_of(APIC_ISR, 0x63));
}

TEST(apic_ppr_is_the_class_in_service)
{
	apic_enable();
	set_handler(0x63, look_inside);
	apic_write(APIC_TPR, 0x25);
	send_self(0x63);
	open_window();
	CHECK_EQ(taken[0x63], 1);
	CHECK_EQ(ppr_inside, 0x60);
	CHECK_EQ(apic_read(APIC_PPR), 0x25);
}

TEST(apic_same_vector_twice_before_delivery_is_one)
{
	apic_enable();
	set_handler(0x41, note_vector);
	send_self(0x41);
	send_self(0x41);
	open_window();
	open_window();
	CHECK_EQ(taken[0x41], 1);
}

/* --- priority ------------------------------------------------------------- */

TEST(apic_higher_vector_first)
{
	apic_enable();
	set_handler(0x41, note_vector);
	set_handler(0x61, note_vector);
	set_handler(0x62, note_vector);
	set_handler(0xe1, note_vector);
	send_self(0x61);
	send_self(0x41);
	send_self(0xe1);
	send_self(0x62);
	for (unsigned int i = 0; i < 4; i++)
		open_window();
	CHECK_EQ(order_count, 4);
	CHECK_EQ(order[0], 0xe1);
	CHECK_EQ(order[1], 0x62);
	CHECK_EQ(order[2], 0x61);
	CHECK_EQ(order[3], 0x41);
}

/* Opens itself to others and sends them: what comes in comes before 'order' has this one. */
static void handler_that_nests(struct frame *frame)
{
	send_self(0x51); /* same class */
	send_self(0x31); /* lower */
	send_self(0x61); /* higher */
	open_window();
	order[order_count++] = (uint8_t)frame->vector;
	apic_eoi();
}

TEST(apic_only_a_higher_class_interrupts_a_handler)
{
	apic_enable();
	set_handler(0x50, handler_that_nests);
	set_handler(0x51, note_vector);
	set_handler(0x31, note_vector);
	set_handler(0x61, note_vector);
	send_self(0x50);
	for (unsigned int i = 0; i < 3; i++)
		open_window();
	CHECK_EQ(order_count, 4);
	CHECK_EQ(order[0], 0x61);
	CHECK_EQ(order[1], 0x50);
	CHECK_EQ(order[2], 0x51);
	CHECK_EQ(order[3], 0x31);
}

static volatile uint32_t service_before, service_after;

static void ends_the_inner_first(struct frame *frame)
{
	(void)frame;
	service_before = apic_read(APIC_ISR + 0x20) | apic_read(APIC_ISR + 0x30);
	apic_eoi();
	service_after = apic_read(APIC_ISR + 0x20) | apic_read(APIC_ISR + 0x30);
}

static void is_interrupted(struct frame *frame)
{
	(void)frame;
	send_self(0x62);
	open_window();
	apic_eoi();
}

TEST(apic_eoi_ends_the_highest_in_service)
{
	apic_enable();
	set_handler(0x41, is_interrupted);
	set_handler(0x62, ends_the_inner_first);
	send_self(0x41);
	open_window();
	CHECK_EQ(service_before, 1u << 1 | 1u << 2); /* 0x41 and 0x62 */
	CHECK_EQ(service_after, 1u << 1);
	CHECK_EQ(apic_read(APIC_ISR + 0x20) | apic_read(APIC_ISR + 0x30), 0);
}

TEST(apic_tpr_holds_back_its_class_and_lower)
{
	apic_enable();
	set_handler(0x4f, note_vector);
	set_handler(0x50, note_vector);
	apic_write(APIC_TPR, 0x40);
	send_self(0x4f);
	send_self(0x50);
	open_window();
	open_window();
	CHECK_EQ(taken[0x50], 1);
	CHECK_EQ(taken[0x4f], 0);
	CHECK(bit_of(APIC_IRR, 0x4f));
	apic_write(APIC_TPR, 0x3f);
	open_window();
	CHECK_EQ(taken[0x4f], 1);
}

TEST(apic_cr8_write_shows_in_ppr)
{
	apic_enable();
	write_cr8(7);
	CHECK_EQ(apic_read(APIC_PPR), 0x70);
	write_cr8(0);
	CHECK_EQ(apic_read(APIC_PPR), 0);
}

/* That a CR8 above 15 raises #GP is not tested: QEMU 7.2 does not raise it. */

TEST(apic_eoi_with_nothing_in_service_is_harmless)
{
	apic_enable();
	apic_eoi();
	set_handler(0x41, note_vector);
	send_self(0x41);
	open_window();
	CHECK_EQ(taken[0x41], 1);
}

/* --- errors --------------------------------------------------------------- */

/* SDM vol. 3, 10.5.3: ESR shows what has happened once it has been written. */
TEST(apic_illegal_vector_sent_is_an_error)
{
	apic_enable();
	apic_write(APIC_ESR, 0);
	send_self(5);
	apic_write(APIC_ESR, 0);
	CHECK_EQ(apic_read(APIC_ESR) & ESR_SEND, ESR_SEND);
	apic_write(APIC_ESR, 0);
	CHECK_EQ(apic_read(APIC_ESR), 0);
	CHECK_EQ(apic_read(APIC_IRR), 0);
}

TEST(apic_illegal_register_is_an_error)
{
	apic_enable();
	apic_write(APIC_ESR, 0);
	(void)apic_read(0x3a0);
	apic_write(APIC_ESR, 0);
	CHECK_EQ(apic_read(APIC_ESR), ESR_REGISTER);
}

TEST(apic_error_interrupt_comes_when_unmasked)
{
	apic_enable();
	set_handler(0x45, note_vector);
	apic_write(APIC_ESR, 0);
	apic_write(APIC_LVT_ERROR, 0x45 | LVT_MASKED);
	send_self(5);
	open_window();
	CHECK_EQ(taken[0x45], 0);
	apic_write(APIC_ESR, 0);
	apic_write(APIC_LVT_ERROR, 0x45);
	send_self(5);
	open_window();
	CHECK_EQ(taken[0x45], 1);
}
