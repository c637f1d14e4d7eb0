// SPDX-License-Identifier: BSD-2-Clause
/* The 8259 pair and the I/O APIC, with the 8254 and the HPET to drive their inputs. */
#include "payload/payload.h"

#define PATIENCE 20000000000ull /* of the TSC; a tick is due after a thousandth */

#define MASTER_VECTOR 0x30
#define SLAVE_VECTOR  0x38
#define OCW2_EOI      0x20
#define OCW3_IRR      0x0a
#define OCW3_ISR      0x0b

#define IOAPIC		0xfec00000ul
#define ENTRY_LEVEL	0x8000ull
#define ENTRY_REMOTE	0x4000ull
#define ENTRY_MASKED	0x10000ull
#define PIN_PIT		2
#define PIN_HPET	24
#define HPET		0xfed00000ul
#define HPET_CONFIG	0x10
#define HPET_STATUS	0x20
#define HPET_COUNTER	0xf0
#define HPET_TIMER	0x100
#define HPET_COMPARATOR 0x108
#define TIMER_LEVEL	0x2u
#define TIMER_INTERRUPT 0x4u
#define LINT0_EXTINT	0x700

static uint64_t deadline;

static void be_patient(void)
{
	deadline = rdtsc() + PATIENCE;
}

static bool too_late(void)
{
	pause();
	return rdtsc() > deadline;
}

/* --- 8259 ----------------------------------------------------------------- */

static void pic_initialize(uint8_t icw4)
{
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, MASTER_VECTOR);
	outb(0xa1, SLAVE_VECTOR);
	outb(0x21, 1 << 2);
	outb(0xa1, 2);
	outb(0x21, icw4);
	outb(0xa1, icw4);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}

static uint8_t pic_read(uint16_t port, uint8_t which)
{
	outb(port, which);
	return inb(port);
}

/* Let channel 0 of the 8254 request IRQ 0 once, after a short while. */
static void request_irq0(void)
{
	outb(0x43, 0x30); /* mode 0 */
	outb(0x40, 0x80);
	outb(0x40, 0);
	be_patient();
	while (!(pic_read(0x20, OCW3_IRR) & 1))
		CHECK(!too_late());
}

/* The RTC's update interrupt would take a second; its periodic one requests IRQ 8 soon. */
static void request_irq8(void)
{
	outb(0x70, 0x0a);
	outb(0x71, 0x26); /* 1024 Hz */
	outb(0x70, 0x0b);
	outb(0x71, 0x42); /* periodic, 24 hours */
	be_patient();
	while (!(pic_read(0xa0, OCW3_IRR) & 1))
		CHECK(!too_late());
}

static void open_interrupt_window(void)
{
	asm volatile("sti; nop; nop; cli" : : : "memory");
}

TEST(pic_masks_read_back)
{
	pic_initialize(1);
	outb(0x21, 0xa5);
	outb(0xa1, 0x5a);
	CHECK_EQ(inb(0x21), 0xa5);
	CHECK_EQ(inb(0xa1), 0x5a);
}

TEST(pic_initialization_clears_the_mask)
{
	outb(0x21, 0xff);
	outb(0x20, 0x11);
	outb(0x21, MASTER_VECTOR);
	outb(0x21, 1 << 2);
	outb(0x21, 1);
	CHECK_EQ(inb(0x21), 0);
}

TEST(pic_request_of_a_masked_input_shows_in_irr)
{
	pic_initialize(1);
	request_irq0();
	open_interrupt_window();
	CHECK_EQ(taken[MASTER_VECTOR], 0);
	CHECK_EQ(pic_read(0x20, OCW3_ISR), 0);
	CHECK_EQ(pic_read(0x20, OCW3_IRR) & 1, 1);
}

static volatile uint8_t isr_inside, irr_inside, slave_isr_inside;

static void note_pic(struct frame *frame)
{
	isr_inside = pic_read(0x20, OCW3_ISR);
	irr_inside = pic_read(0x20, OCW3_IRR);
	slave_isr_inside = pic_read(0xa0, OCW3_ISR);
	if (frame->vector >= SLAVE_VECTOR) {
		outb(0x70, 0x0b);
		outb(0x71, 0x02); /* no further ones */
		outb(0x70, 0x0c);
		(void)inb(0x71);
		outb(0xa0, OCW2_EOI);
	}
	outb(0x20, OCW2_EOI);
}

TEST(pic_irq0_is_taken_at_its_vector)
{
	pic_initialize(1);
	set_handler(MASTER_VECTOR, note_pic);
	request_irq0();
	outb(0x21, 0xfe);
	open_interrupt_window();
	CHECK_EQ(taken[MASTER_VECTOR], 1);
	CHECK_EQ(isr_inside, 1);
	CHECK_EQ(irr_inside & 1, 0);
	CHECK_EQ(pic_read(0x20, OCW3_ISR), 0);
	open_interrupt_window();
	CHECK_EQ(taken[MASTER_VECTOR], 1);
}

TEST(pic_irq8_comes_through_the_cascade)
{
	pic_initialize(1);
	set_handler(SLAVE_VECTOR, note_pic);
	request_irq8();
	outb(0xa1, 0xfe);
	open_interrupt_window();
	CHECK_EQ(taken[SLAVE_VECTOR], 0); /* the cascade is masked */
	outb(0x21, 0xfb);
	open_interrupt_window();
	CHECK_EQ(taken[SLAVE_VECTOR], 1);
	CHECK_EQ(isr_inside, 4);
	CHECK_EQ(slave_isr_inside, 1);
	CHECK_EQ(pic_read(0xa0, OCW3_ISR), 0);
}

static void note_without_eoi(struct frame *frame)
{
	(void)frame;
}

TEST(pic_no_second_interrupt_before_eoi)
{
	pic_initialize(1);
	set_handler(MASTER_VECTOR, note_without_eoi);
	request_irq0();
	outb(0x21, 0xfe);
	open_interrupt_window();
	CHECK_EQ(taken[MASTER_VECTOR], 1);
	request_irq0();
	open_interrupt_window();
	CHECK_EQ(taken[MASTER_VECTOR], 1);
	outb(0x20, OCW2_EOI);
	open_interrupt_window();
	CHECK_EQ(taken[MASTER_VECTOR], 2);
}

TEST(pic_specific_eoi_ends_the_one_named)
{
	pic_initialize(1);
	set_handler(MASTER_VECTOR, note_without_eoi);
	request_irq0();
	outb(0x21, 0xfe);
	open_interrupt_window();
	CHECK_EQ(pic_read(0x20, OCW3_ISR), 1);
	outb(0x20, 0x61);
	CHECK_EQ(pic_read(0x20, OCW3_ISR), 1);
	outb(0x20, 0x60);
	CHECK_EQ(pic_read(0x20, OCW3_ISR), 0);
}

TEST(pic_auto_eoi_leaves_nothing_in_service)
{
	pic_initialize(3);
	set_handler(MASTER_VECTOR, note_without_eoi);
	request_irq0();
	outb(0x21, 0xfe);
	open_interrupt_window();
	CHECK_EQ(taken[MASTER_VECTOR], 1);
	CHECK_EQ(pic_read(0x20, OCW3_ISR), 0);
}

static volatile uint8_t order[2];
static volatile unsigned int order_count;

static void note_order(struct frame *frame)
{
	if (order_count < 2)
		order[order_count++] = (uint8_t)frame->vector;
	note_pic(frame);
}

TEST(pic_irq0_goes_before_irq8)
{
	pic_initialize(1);
	set_handler(MASTER_VECTOR, note_order);
	set_handler(SLAVE_VECTOR, note_order);
	request_irq8();
	request_irq0();
	outb(0xa1, 0xfe);
	outb(0x21, 0xfa);
	open_interrupt_window();
	open_interrupt_window();
	CHECK_EQ(order_count, 2);
	CHECK_EQ(order[0], MASTER_VECTOR);
	CHECK_EQ(order[1], SLAVE_VECTOR);
}

TEST(pic_rotated_priority_puts_irq0_last)
{
	pic_initialize(1);
	set_handler(MASTER_VECTOR, note_order);
	set_handler(SLAVE_VECTOR, note_order);
	outb(0x20, 0xc0); /* IRQ 0 has the lowest priority */
	request_irq8();
	request_irq0();
	outb(0xa1, 0xfe);
	outb(0x21, 0xfa);
	open_interrupt_window();
	open_interrupt_window();
	CHECK_EQ(order_count, 2);
	CHECK_EQ(order[0], SLAVE_VECTOR);
	CHECK_EQ(order[1], MASTER_VECTOR);
}

TEST(pic_poll_is_an_acknowledge)
{
	pic_initialize(1);
	request_irq0();
	outb(0x20, 0x0c);
	CHECK_EQ(inb(0x20) & 0x80, 0); /* masked: no request */
	outb(0x21, 0xfe);
	outb(0x20, 0x0c);
	CHECK_EQ(inb(0x20), 0x80);
	CHECK_EQ(pic_read(0x20, OCW3_ISR), 1);
	CHECK_EQ(pic_read(0x20, OCW3_IRR) & 1, 0);
}

TEST(pic_elcr_of_timer_keyboard_and_rtc_is_edge)
{
	outb(0x4d0, 0xff);
	outb(0x4d1, 0xff);
	CHECK_EQ(inb(0x4d0), 0xf8);
	CHECK_EQ(inb(0x4d1), 0xde);
	outb(0x4d0, 0x20);
	outb(0x4d1, 0x02);
	CHECK_EQ(inb(0x4d0), 0x20);
	CHECK_EQ(inb(0x4d1), 0x02);
}

TEST(pic_lint0_masked_holds_back_extint)
{
	pic_initialize(1);
	apic_enable();
	set_handler(MASTER_VECTOR, note_pic);
	apic_write(0x350, 0x10000 | LINT0_EXTINT);
	request_irq0();
	outb(0x21, 0xfe);
	open_interrupt_window();
	CHECK_EQ(taken[MASTER_VECTOR], 0);
	apic_write(0x350, LINT0_EXTINT);
	open_interrupt_window();
	CHECK_EQ(taken[MASTER_VECTOR], 1);
}

/* A boot processor without a local APIC takes the 8259s' INTR as such. */
TEST(pic_intr_without_a_local_apic)
{
	pic_initialize(1);
	set_handler(MASTER_VECTOR, note_pic);
	apic_write(0x350, 0x10000 | LINT0_EXTINT);
	request_irq0();
	outb(0x21, 0xfe);
	open_interrupt_window();
	CHECK_EQ(taken[MASTER_VECTOR], 0);
	wrmsr(0x1b, rdmsr(0x1b) & ~0x800ull);
	open_interrupt_window();
	CHECK_EQ(taken[MASTER_VECTOR], 1);
}

/* --- I/O APIC ------------------------------------------------------------- */

static uint32_t ioapic_read(uint8_t index)
{
	*(volatile uint32_t *)IOAPIC = index;
	return *(volatile uint32_t *)(IOAPIC + 0x10);
}

static void ioapic_write(uint8_t index, uint32_t value)
{
	*(volatile uint32_t *)IOAPIC = index;
	*(volatile uint32_t *)(IOAPIC + 0x10) = value;
}

static void set_entry(unsigned int pin, uint64_t entry)
{
	ioapic_write((uint8_t)(0x10 + 2 * pin), ENTRY_MASKED);
	ioapic_write((uint8_t)(0x11 + 2 * pin), (uint32_t)(entry >> 32));
	ioapic_write((uint8_t)(0x10 + 2 * pin), (uint32_t)entry);
}

static uint32_t entry_low(unsigned int pin)
{
	return ioapic_read((uint8_t)(0x10 + 2 * pin));
}

static volatile uint64_t *hpet_register(unsigned int offset)
{
	return (volatile uint64_t *)(HPET + offset);
}

/* Timer 0 of the HPET matches about 0.1 ms from now. */
static void start_hpet(uint32_t config)
{
	*hpet_register(HPET_CONFIG) = 0;
	*hpet_register(HPET_COUNTER) = 0;
	*hpet_register(HPET_COMPARATOR) = 2000;
	*hpet_register(HPET_TIMER) = (uint32_t)PIN_HPET << 9 | config;
	*hpet_register(HPET_CONFIG) = 1;
}

static void note_eoi(struct frame *frame)
{
	(void)frame;
	apic_eoi();
}

static void wait_for_one(uint8_t vector)
{
	be_patient();
	interrupts_on();
	while (!taken[vector])
		CHECK(!too_late());
	interrupts_off();
}

TEST(ioapic_version_and_pins)
{
	CHECK_EQ(ioapic_read(1) & 0xff, 0x20);
	CHECK_EQ(ioapic_read(1) >> 16 & 0xff, 31);
}

TEST(ioapic_id_can_be_written)
{
	ioapic_write(0, 0xffffffff);
	CHECK_EQ(ioapic_read(0), 0x0f000000);
	ioapic_write(0, 0x05000000);
	CHECK_EQ(ioapic_read(0), 0x05000000);
}

TEST(ioapic_entries_are_masked_after_reset)
{
	for (unsigned int pin = 0; pin < 24; pin++)
		CHECK_EQ(entry_low(pin), ENTRY_MASKED);
}

TEST(ioapic_entry_writable_bits)
{
	ioapic_write(0x10 + 2 * 5, 0xffffffff);
	ioapic_write(0x11 + 2 * 5, 0xffffffff);
	CHECK_EQ(entry_low(5), 0x1afff); /* delivery status and remote IRR are read-only */
	CHECK_EQ(ioapic_read(0x11 + 2 * 5), 0xff000000);
	CHECK_EQ(entry_low(6), ENTRY_MASKED);
}

TEST(ioapic_selector_reads_back)
{
	*(volatile uint32_t *)IOAPIC = 0x1a;
	CHECK_EQ(*(volatile uint32_t *)IOAPIC, 0x1a);
}

TEST(ioapic_pit_is_on_pin_2)
{
	pic_initialize(1);
	apic_enable();
	set_handler(0x51, note_eoi);
	set_entry(PIN_PIT, 0x51);
	request_irq0();
	wait_for_one(0x51);
	CHECK_EQ(taken[0x51], 1);
}

TEST(ioapic_masked_edge_is_lost)
{
	pic_initialize(1);
	apic_enable();
	set_handler(0x51, note_eoi);
	set_entry(PIN_PIT, ENTRY_MASKED | 0x51);
	request_irq0();
	set_entry(PIN_PIT, 0x51);
	open_interrupt_window();
	CHECK_EQ(taken[0x51], 0);
	pic_initialize(1); /* or IRR would not tell of the next */
	request_irq0();
	wait_for_one(0x51);
	CHECK_EQ(taken[0x51], 1);
}

TEST(ioapic_logical_destination)
{
	pic_initialize(1);
	apic_enable();
	apic_write(0xd0, 0x04000000);
	set_handler(0x51, note_eoi);
	set_entry(PIN_PIT, 3ull << 56 | 0x851);
	request_irq0();
	open_interrupt_window();
	CHECK_EQ(taken[0x51], 0);
	pic_initialize(1);
	set_entry(PIN_PIT, 4ull << 56 | 0x851);
	request_irq0();
	wait_for_one(0x51);
}

TEST(ioapic_nmi_delivery)
{
	pic_initialize(1);
	apic_enable();
	set_handler(2, note_without_eoi);
	set_entry(PIN_PIT, 0x451);
	request_irq0();
	be_patient();
	while (!taken[2])
		CHECK(!too_late());
	CHECK_EQ(taken[2], 1);
}

/* ExtINT of pin 0, the 8259s' output, though that rose before the pin was unmasked. */
TEST(ioapic_extint_of_pin_0)
{
	pic_initialize(1);
	apic_enable();
	set_handler(MASTER_VECTOR, note_pic);
	apic_write(0x350, 0x10000);
	request_irq0();
	outb(0x21, 0xfe);
	open_interrupt_window();
	CHECK_EQ(taken[MASTER_VECTOR], 0);
	set_entry(0, 0x700);
	open_interrupt_window();
	CHECK_EQ(taken[MASTER_VECTOR], 1);
}

TEST(ioapic_hpet_edge)
{
	apic_enable();
	set_handler(0x52, note_eoi);
	set_entry(PIN_HPET, 0x52);
	start_hpet(TIMER_INTERRUPT);
	wait_for_one(0x52);
	open_interrupt_window();
	CHECK_EQ(taken[0x52], 1);
	CHECK_EQ(*hpet_register(HPET_STATUS), 0);
}

static volatile uint32_t remote_inside, tmr_inside;

/* Ends the cause as a driver does, then the interrupt. */
static void note_level(struct frame *frame)
{
	(void)frame;
	remote_inside = entry_low(PIN_HPET) & ENTRY_REMOTE;
	tmr_inside = apic_read(0x180 + 0x20);
	*hpet_register(HPET_STATUS) = 1;
	apic_eoi();
}

TEST(ioapic_level_sets_remote_irr_until_eoi)
{
	apic_enable();
	set_handler(0x52, note_level);
	set_entry(PIN_HPET, ENTRY_LEVEL | 0x52);
	start_hpet(TIMER_INTERRUPT | TIMER_LEVEL);
	wait_for_one(0x52);
	open_interrupt_window();
	CHECK_EQ(taken[0x52], 1);
	CHECK(remote_inside);
	CHECK(tmr_inside & 1u << (0x52 - 0x40));
	CHECK_EQ(entry_low(PIN_HPET), ENTRY_LEVEL | 0x52);
}

/* The line stays high through the first EOI. */
static void note_level_once_more(struct frame *frame)
{
	(void)frame;
	if (taken[0x52] >= 2)
		*hpet_register(HPET_STATUS) = 1;
	apic_eoi();
}

TEST(ioapic_level_comes_again_while_the_line_is_high)
{
	apic_enable();
	set_handler(0x52, note_level_once_more);
	set_entry(PIN_HPET, ENTRY_LEVEL | 0x52);
	start_hpet(TIMER_INTERRUPT | TIMER_LEVEL);
	wait_for_one(0x52);
	open_interrupt_window();
	open_interrupt_window();
	CHECK_EQ(taken[0x52], 2);
}

static void note_masks(struct frame *frame)
{
	(void)frame;
	*(volatile uint32_t *)IOAPIC = 0x10 + 2 * PIN_HPET;
	*(volatile uint32_t *)(IOAPIC + 0x10) = ENTRY_LEVEL | ENTRY_MASKED | 0x52;
	apic_eoi();
}

TEST(ioapic_masked_level_comes_when_unmasked)
{
	apic_enable();
	set_handler(0x52, note_masks);
	set_entry(PIN_HPET, ENTRY_LEVEL | 0x52);
	start_hpet(TIMER_INTERRUPT | TIMER_LEVEL);
	wait_for_one(0x52);
	open_interrupt_window();
	CHECK_EQ(taken[0x52], 1);
	set_handler(0x52, note_level);
	ioapic_write(0x10 + 2 * PIN_HPET, ENTRY_LEVEL | 0x52);
	open_interrupt_window();
	open_interrupt_window();
	CHECK_EQ(taken[0x52], 2);
}

/* With EOI broadcast suppressed the I/O APIC's own register ends it. */
static void note_directed_eoi(struct frame *frame)
{
	(void)frame;
	apic_eoi();
	remote_inside = entry_low(PIN_HPET) & ENTRY_REMOTE;
	*hpet_register(HPET_STATUS) = 1;
	*(volatile uint32_t *)(IOAPIC + 0x40) = 0x52;
}

TEST(ioapic_directed_eoi)
{
	apic_enable();
	CHECK(apic_read(0x30) & 1u << 24);
	apic_write(0xf0, 0x11ff);
	set_handler(0x52, note_directed_eoi);
	set_entry(PIN_HPET, ENTRY_LEVEL | 0x52);
	start_hpet(TIMER_INTERRUPT | TIMER_LEVEL);
	wait_for_one(0x52);
	CHECK_EQ(taken[0x52], 1);
	CHECK(remote_inside);
	CHECK_EQ(entry_low(PIN_HPET), ENTRY_LEVEL | 0x52);
}

/* The HPET's message is an MSI: past the I/O APIC, at the vector of its data. */
TEST(hpet_message_interrupt)
{
	apic_enable();
	CHECK(*hpet_register(HPET_TIMER) & 0x8000);
	set_handler(0x53, note_eoi);
	*hpet_register(HPET_TIMER + 0x10) = 0xfee00000ull << 32 | 0x53;
	start_hpet(TIMER_INTERRUPT | 0x4000);
	wait_for_one(0x53);
	open_interrupt_window();
	CHECK_EQ(taken[0x53], 1);
}
