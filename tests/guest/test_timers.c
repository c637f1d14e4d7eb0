// SPDX-License-Identifier: BSD-2-Clause
/*
 * The clocks against each other. Each has its own known frequency, so the time one
 * of them counts off must be what the ACPI PM timer says it took, to 1%. Counters are read
 * between two readings of the PM timer that are close; interrupts are counted over
 * many periods, not timed one by one: the host may be slow and is not what is tested.
 */
#include "payload/payload.h"

#define PM_PORT 0x408
#define PM_HZ	3579545u
#define PM_MASK 0xffffffu
#define PIT_HZ	1193182u
#define HPET_HZ 20000000u
#define APIC_HZ 1000000000u

#define HPET		0xfed00000ul
#define HPET_CONFIG	0x10
#define HPET_COUNTER	0xf0
#define HPET_TIMER	0x100
#define HPET_COMPARATOR 0x108
#define PIN_HPET	24
#define IOAPIC		0xfec00000ul

#define VECTOR	 0x41
#define SPAN_MS	 100u
#define PATIENCE (PM_HZ * 4)

static uint32_t pm_read(void)
{
	return inl(PM_PORT);
}

static uint32_t pm_since(uint32_t start)
{
	return (pm_read() - start) & PM_MASK;
}

static volatile uint64_t *hpet_register(unsigned int offset)
{
	return (volatile uint64_t *)(HPET + offset);
}

/* a to b within 'permille' of each other. */
static bool is_near(uint64_t a, uint64_t b, unsigned int permille)
{
	uint64_t difference = a > b ? a - b : b - a;

	return difference * 1000 <= b * permille;
}

#define CHECK_NEAR(actual, expected)                                                       \
	do {                                                                               \
		uint64_t actual_ = (actual), expected_ = (expected);                       \
		if (!is_near(actual_, expected_, 10))                                      \
			fail("%s:%d: %s is %u, not about %u", __FILE__, __LINE__, #actual, \
			     actual_, expected_);                                          \
	} while (0)

/*
 * A reading of a clock and the PM timer at the same moment: the PM timer is read before
 * and after until the two are within 0.5 ms, a two-hundredth of the span.
 */
struct moment {
	uint64_t clock;
	uint32_t pm;
};

static struct moment moment_of(uint64_t (*clock)(void))
{
	struct moment moment;
	uint32_t before, took;
	unsigned int tries = 0;

	do {
		before = pm_read();
		moment.clock = clock();
		took = pm_since(before);
	} while (took > PM_HZ / 2000 && ++tries < 1000);
	moment.pm = (before + took / 2) & PM_MASK;
	return moment;
}

/* Frequency of a clock by the PM timer, in Hz; the clock counts up, in 64 bits. */
static uint64_t frequency_of(uint64_t (*clock)(void))
{
	struct moment start = moment_of(clock), end;

	while (pm_since(start.pm) < PM_HZ / 1000 * SPAN_MS)
		pause();
	end = moment_of(clock);
	return (end.clock - start.clock) * PM_HZ / ((end.pm - start.pm) & PM_MASK);
}

/* --- counters ------------------------------------------------------------- */

TEST(clock_pm_timer_only_goes_forward)
{
	uint32_t last = pm_read();

	for (unsigned int i = 0; i < 2000; i++) {
		uint32_t now = pm_read();

		CHECK(((now - last) & PM_MASK) < PM_HZ);
		last = now;
	}
}

static uint64_t read_hpet(void)
{
	return *hpet_register(HPET_COUNTER);
}

TEST(clock_hpet_runs_at_its_period)
{
	uint64_t femtoseconds = *hpet_register(0) >> 32;

	*hpet_register(HPET_CONFIG) = 1;
	CHECK_NEAR(frequency_of(read_hpet), 1000000000000000ull / femtoseconds);
	CHECK_EQ(1000000000000000ull / femtoseconds, HPET_HZ);
}

TEST(clock_hpet_stands_still_when_disabled)
{
	uint64_t stopped;

	*hpet_register(HPET_CONFIG) = 0;
	*hpet_register(HPET_COUNTER) = 0x123456789aull;
	stopped = *hpet_register(HPET_COUNTER);
	CHECK_EQ(stopped, 0x123456789aull);
	for (unsigned int i = 0; i < 100; i++)
		CHECK_EQ(*hpet_register(HPET_COUNTER), stopped);
	*hpet_register(HPET_CONFIG) = 1;
	while (*hpet_register(HPET_COUNTER) == stopped)
		pause();
	CHECK(*hpet_register(HPET_COUNTER) - stopped < HPET_HZ * 10ull);
}

/* The APIC's count goes down from the largest there is: 4.29 s. */
static uint64_t read_apic_count(void)
{
	return 0xffffffff - apic_read(0x390);
}

static uint64_t tsc_hz(void)
{
	return frequency_of(rdtsc);
}

TEST(clock_tsc_keeps_one_frequency)
{
	CHECK_NEAR(tsc_hz(), tsc_hz());
}

TEST(clock_apic_timer_counts_at_its_frequency)
{
	apic_enable();
	apic_write(0x3e0, 0xb); /* by 1 */
	apic_write(0x380, 0xffffffff);
	CHECK_NEAR(frequency_of(read_apic_count), APIC_HZ);
}

TEST(clock_apic_timer_divides)
{
	apic_enable();
	apic_write(0x3e0, 0xa); /* by 128 */
	apic_write(0x380, 0xffffffff);
	CHECK_NEAR(frequency_of(read_apic_count), APIC_HZ / 128);
	apic_write(0x3e0, 0x3); /* by 16 */
	apic_write(0x380, 0xffffffff);
	CHECK_NEAR(frequency_of(read_apic_count), APIC_HZ / 16);
}

/* --- 8254 ----------------------------------------------------------------- */

/*
 * Channel 2's gate and output are at port 0x61. The gate opened between start and opened,
 * the output rose between low and high: that brackets the count however slow the host is.
 */
TEST(pit_channel_2_output_rises_at_terminal_count)
{
	uint32_t expected = (uint32_t)(65536ull * PM_HZ / PIT_HZ);
	uint32_t start, opened, low, high;

	outb(0x61, 0);
	outb(0x43, 0xb0); /* channel 2, mode 0 */
	outb(0x42, 0);
	outb(0x42, 0); /* 65536: 54.9 ms */
	CHECK_EQ(inb(0x61) & 0x20, 0);
	start = pm_read();
	outb(0x61, 1);
	opened = low = pm_read();
	for (;;) {
		high = pm_read();
		if (inb(0x61) & 0x20)
			break;
		CHECK(pm_since(start) < PATIENCE);
		low = high;
	}
	high = pm_read();
	CHECK(((low - opened) & PM_MASK) <= expected + expected / 100);
	CHECK(((high - start) & PM_MASK) >= expected - expected / 100);
}

static uint16_t pit_count(unsigned int channel)
{
	uint8_t low;

	outb(0x43, (uint8_t)(channel << 6));
	low = inb((uint16_t)(0x40 + channel));
	return (uint16_t)(inb((uint16_t)(0x40 + channel)) << 8 | low);
}

TEST(pit_channel_2_waits_for_its_gate)
{
	uint32_t start;
	uint16_t count;

	outb(0x61, 0);
	outb(0x43, 0xb0);
	outb(0x42, 0);
	outb(0x42, 0x80);
	count = pit_count(2);
	start = pm_read();
	while (pm_since(start) < PM_HZ / 100)
		pause();
	CHECK_EQ(pit_count(2), count);
	outb(0x61, 1);
	while (pit_count(2) == count)
		CHECK(pm_since(start) < PATIENCE);
}

static uint32_t pit_laps;
static uint16_t pit_last;

/* Channel 0 in mode 2, counting down from 65536 over and over. */
static uint64_t read_pit(void)
{
	uint16_t count = pit_count(0);

	if (count > pit_last)
		pit_laps++;
	pit_last = count;
	return pit_laps * 65536ull + 65536 - count;
}

TEST(clock_pit_counts_at_its_frequency)
{
	struct moment start, end;
	unsigned int tries = 0;
	uint64_t hz;

	outb(0x43, 0x34);
	outb(0x40, 0);
	outb(0x40, 0);
	do { /* a look is due within each 54.9 ms: again if the host was not in time */
		pit_last = pit_count(0);
		start = moment_of(read_pit);
		do
			end = moment_of(read_pit);
		while (((end.pm - start.pm) & PM_MASK) < PM_HZ / 1000 * SPAN_MS);
		hz = (end.clock - start.clock) * PM_HZ / ((end.pm - start.pm) & PM_MASK);
	} while (!is_near(hz, PIT_HZ, 10) && ++tries < 5);
	CHECK_NEAR(hz, PIT_HZ);
}

TEST(pit_read_back_tells_the_mode)
{
	outb(0x43, 0x34);
	outb(0x40, 0x34);
	outb(0x40, 0x12);
	outb(0x43, 0xe2); /* status of channel 0 */
	CHECK_EQ(inb(0x40) & 0x3f, 0x34);
}

/* --- interrupts ----------------------------------------------------------- */

static volatile uint32_t last_pm;
static volatile uint64_t passed; /* of the PM timer, from start_timing() to the last tick */
static volatile unsigned int ticks;

static void count_tick(struct frame *frame)
{
	uint32_t now = pm_read();

	(void)frame;
	apic_eoi();
	passed += (now - last_pm) & PM_MASK;
	last_pm = now;
	ticks++;
}

static void count_pic_tick(struct frame *frame)
{
	count_tick(frame);
	outb(0x20, 0x20);
}

/* To be called just before the timer is started. */
static void start_timing(void)
{
	ticks = 0;
	passed = 0;
	last_pm = pm_read();
}

static void wait_for_tick(unsigned int after)
{
	uint32_t start = pm_read();

	while (ticks == after)
		CHECK(pm_since(start) < PATIENCE);
}

#define TICKS_FIRST 125
#define TICKS_MOST  250
#define ATTEMPTS    4

/*
 * The timer interrupts each 'numerator' / 'denominator' ticks of the PM timer. However
 * slow the host, no interrupt is early but that the first may be part of a period (of the
 * RTC) or one of before the start. And since those that were late are made up for,
 * sooner or later their number is right to 1%. Only what a host loses that stood still
 * for most of a second is lost for good: then the number is counted anew.
 */
static bool period_is_right(uint64_t numerator, uint64_t denominator, bool from_start)
{
	unsigned int count = 0;
	uint64_t due, took;

	do {
		interrupts_on();
		wait_for_tick(count);
		interrupts_off();
		count = ticks;
		took = passed;
		due = count * numerator / denominator;
		if (from_start && took + took / 1000 < (count - 1) * numerator / denominator)
			fail("tick %u after %u, not %u", (uint64_t)count, took, due);
	} while (count < TICKS_FIRST || (count < TICKS_MOST && took > due + due / 100));
	return took <= due + due / 100;
}

static void check_period(uint64_t numerator, uint64_t denominator)
{
	bool right = period_is_right(numerator, denominator, true);

	for (unsigned int i = 1; i < ATTEMPTS && !right; i++) {
		start_timing();
		right = period_is_right(numerator, denominator, false);
	}
	if (!right)
		fail("last: %u ticks after %u", (uint64_t)ticks, passed);
}

static void set_entry(unsigned int pin, uint32_t low)
{
	*(volatile uint32_t *)IOAPIC = 0x10 + 2 * pin;
	*(volatile uint32_t *)(IOAPIC + 0x10) = low;
}

TEST(timer_apic_periodic_keeps_its_period)
{
	apic_enable();
	set_handler(VECTOR, count_tick);
	apic_write(0x3e0, 0xb);
	apic_write(0x320, 0x20000 | VECTOR);
	start_timing();
	apic_write(0x380, APIC_HZ / 250);
	check_period(PM_HZ, 250);
}

TEST(timer_apic_one_shot_comes_once)
{
	uint32_t start;

	apic_enable();
	set_handler(VECTOR, count_tick);
	apic_write(0x3e0, 0xb);
	apic_write(0x320, VECTOR);
	start = pm_read();
	apic_write(0x380, APIC_HZ / 50);
	interrupts_on();
	while (!ticks)
		CHECK(pm_since(start) < PATIENCE);
	/* No earlier than due; how late is the host's affair. */
	CHECK(((last_pm - start) & PM_MASK) >= PM_HZ / 50 - PM_HZ / 5000);
	start = pm_read();
	while (pm_since(start) < PM_HZ / 20)
		pause();
	interrupts_off();
	CHECK_EQ(ticks, 1);
	CHECK_EQ(apic_read(0x390), 0);
	CHECK_EQ(apic_read(0x380), APIC_HZ / 50);
}

#define SHOTS 30

/*
 * One that is armed again and again: none comes early, and of many the one that the host
 * delayed least is right to 1%. 'fire' arms it, waits, and returns how much of the clock
 * whose frequency is 'hz' has passed since.
 */
static void check_shots(uint64_t (*fire)(uint64_t span), uint64_t hz)
{
	uint64_t span = hz / 5;
	uint64_t least = ~0ull;

	for (unsigned int i = 0; i < SHOTS && least > span + span / 100; i++) {
		uint64_t took = fire(span);

		if (took + took / 1000 < span)
			fail("shot %u after %u, not %u", (uint64_t)i, took, span);
		if (took < least)
			least = took;
	}
	CHECK_NEAR(least, span);
}

static uint64_t fire_one_shot(uint64_t span)
{
	uint32_t start;

	ticks = 0;
	start = pm_read();
	apic_write(0x380, (uint32_t)(span * APIC_HZ / PM_HZ));
	interrupts_on();
	while (!ticks)
		CHECK(pm_since(start) < PATIENCE);
	interrupts_off();
	return (last_pm - start) & PM_MASK;
}

TEST(timer_apic_one_shot_takes_its_time)
{
	apic_enable();
	set_handler(VECTOR, count_tick);
	apic_write(0x3e0, 0xb);
	apic_write(0x320, VECTOR);
	check_shots(fire_one_shot, PM_HZ);
}

TEST(timer_apic_masked_is_silent)
{
	uint32_t start;

	apic_enable();
	set_handler(VECTOR, count_tick);
	apic_write(0x3e0, 0xb);
	apic_write(0x320, 0x30000 | VECTOR);
	apic_write(0x380, APIC_HZ / 1000);
	start = pm_read();
	interrupts_on();
	while (pm_since(start) < PM_HZ / 50)
		pause();
	interrupts_off();
	CHECK_EQ(ticks, 0);
	CHECK(apic_read(0x390) <= APIC_HZ / 1000);
}

TEST(timer_apic_initial_count_0_stops_it)
{
	uint32_t start;

	apic_enable();
	set_handler(VECTOR, count_tick);
	apic_write(0x3e0, 0xb);
	apic_write(0x320, 0x20000 | VECTOR);
	apic_write(0x380, APIC_HZ / 100);
	apic_write(0x380, 0);
	CHECK_EQ(apic_read(0x390), 0);
	start = pm_read();
	interrupts_on();
	while (pm_since(start) < PM_HZ / 25)
		pause();
	interrupts_off();
	CHECK_EQ(ticks, 0);
}

#define TSC_DEADLINE 0x6e0

static volatile uint64_t fired_at;

static void note_tsc(struct frame *frame)
{
	(void)frame;
	fired_at = rdtsc();
	apic_eoi();
}

TEST(timer_tsc_deadline_is_not_early)
{
	uint64_t span, deadline;

	if (!(cpuid(1).c & 1u << 24))
		return; /* not offered: there is nothing to keep */
	span = tsc_hz() / 50;
	apic_enable();
	set_handler(VECTOR, note_tsc);
	apic_write(0x320, 0x40000 | VECTOR);
	asm volatile("mfence");
	deadline = rdtsc() + span;
	wrmsr(TSC_DEADLINE, deadline);
	CHECK_EQ(rdmsr(TSC_DEADLINE), deadline);
	wait_for_interrupt();
	CHECK_EQ(taken[VECTOR], 1);
	CHECK(fired_at >= deadline);
	CHECK_EQ(rdmsr(TSC_DEADLINE), 0);
}

static uint64_t fire_deadline(uint64_t span)
{
	uint64_t start = rdtsc();

	wrmsr(TSC_DEADLINE, start + span);
	wait_for_interrupt();
	return fired_at - start;
}

TEST(timer_tsc_deadline_takes_its_time)
{
	if (!(cpuid(1).c & 1u << 24))
		return;
	apic_enable();
	set_handler(VECTOR, note_tsc);
	apic_write(0x320, 0x40000 | VECTOR);
	asm volatile("mfence");
	check_shots(fire_deadline, tsc_hz());
}

TEST(timer_tsc_deadline_of_the_past_fires_at_once)
{
	if (!(cpuid(1).c & 1u << 24))
		return;
	apic_enable();
	set_handler(VECTOR, note_tsc);
	apic_write(0x320, 0x40000 | VECTOR);
	asm volatile("mfence");
	wrmsr(TSC_DEADLINE, 1);
	asm volatile("sti; nop; nop; cli");
	CHECK_EQ(taken[VECTOR], 1);
}

static void start_pit(uint16_t count)
{
	outb(0x43, 0x34); /* channel 0, mode 2 */
	outb(0x40, (uint8_t)count);
	outb(0x40, (uint8_t)(count >> 8));
}

TEST(timer_pit_through_the_8259_keeps_its_period)
{
	set_handler(0x30, count_pic_tick);
	outb(0x20, 0x11);
	outb(0x21, 0x30);
	outb(0x21, 4);
	outb(0x21, 1);
	outb(0x21, 0xfe);
	start_timing();
	start_pit(PIT_HZ / 250);
	check_period((uint64_t)(PIT_HZ / 250) * PM_HZ, PIT_HZ);
}

TEST(timer_pit_through_the_ioapic_keeps_its_period)
{
	apic_enable();
	set_handler(VECTOR, count_tick);
	set_entry(2, VECTOR);
	start_timing();
	start_pit(PIT_HZ / 250);
	check_period((uint64_t)(PIT_HZ / 250) * PM_HZ, PIT_HZ);
}

TEST(timer_hpet_periodic_keeps_its_period)
{
	apic_enable();
	set_handler(VECTOR, count_tick);
	set_entry(PIN_HPET, VECTOR);
	*hpet_register(HPET_CONFIG) = 0;
	*hpet_register(HPET_COUNTER) = 0;
	*hpet_register(HPET_TIMER) = PIN_HPET << 9 | 0x4c; /* interrupt, periodic, set value */
	*hpet_register(HPET_COMPARATOR) = HPET_HZ / 250;
	start_timing();
	*hpet_register(HPET_CONFIG) = 1;
	check_period(PM_HZ, 250);
}

TEST(timer_hpet_legacy_replaces_the_pit)
{
	apic_enable();
	set_handler(VECTOR, count_tick);
	set_entry(2, VECTOR);
	start_pit(PIT_HZ / 1000);
	*hpet_register(HPET_TIMER) = 0x4c;
	*hpet_register(HPET_COMPARATOR) = HPET_HZ / 250;
	start_timing();
	*hpet_register(HPET_CONFIG) = 3;
	check_period(PM_HZ, 250);
}

/* --- RTC ------------------------------------------------------------------ */

static uint8_t rtc_read(uint8_t index)
{
	outb(0x70, index);
	return inb(0x71);
}

static void rtc_write(uint8_t index, uint8_t value)
{
	outb(0x70, index);
	outb(0x71, value);
}

static void count_rtc_tick(struct frame *frame)
{
	(void)rtc_read(0x0c);
	count_tick(frame);
}

TEST(timer_rtc_periodic_keeps_its_rate)
{
	apic_enable();
	set_handler(VECTOR, count_rtc_tick);
	set_entry(8, VECTOR);
	start_timing();
	rtc_write(0x0a, 0x28); /* 256 Hz */
	rtc_write(0x0b, 0x42);
	(void)rtc_read(0x0c);
	check_period(PM_HZ, 256);
}

TEST(rtc_update_interrupt_comes_with_the_second)
{
	uint32_t start = pm_read();
	uint8_t second;

	apic_enable();
	set_handler(VECTOR, count_tick);
	set_entry(8, VECTOR);
	rtc_write(0x0b, 0x16); /* update interrupt, binary, 24 hours */
	(void)rtc_read(0x0c);
	do {
		while (rtc_read(0x0a) & 0x80)
			pause();
		second = rtc_read(0);
		ticks = 0;
		(void)rtc_read(0x0c);
	} while (rtc_read(0) != second);
	interrupts_on();
	while (!ticks)
		CHECK(pm_since(start) < PATIENCE - PM_HZ);
	interrupts_off();
	CHECK_EQ(rtc_read(0x0c) & 0x90, 0x90);
	CHECK(rtc_read(0) != second);
}

TEST(rtc_time_is_a_time)
{
	rtc_write(0x0b, 0x06);
	while (rtc_read(0x0a) & 0x80)
		pause();
	CHECK(rtc_read(0) < 60);
	CHECK(rtc_read(2) < 60);
	CHECK(rtc_read(4) < 24);
	CHECK(rtc_read(7) >= 1 && rtc_read(7) <= 31);
	CHECK(rtc_read(8) >= 1 && rtc_read(8) <= 12);
	CHECK(rtc_read(9) >= 24 && rtc_read(9) < 100); /* written in 2026 */
	CHECK_EQ(rtc_read(0x0d) & 0x80, 0x80);
}

TEST(rtc_set_time_reads_back)
{
	static const uint8_t index[] = { 0, 2, 4, 7, 8, 9 };
	static const uint8_t value[] = { 59, 58, 13, 29, 2, 28 };

	rtc_write(0x0b, 0x86); /* stopped, binary */
	for (unsigned int i = 0; i < sizeof(index); i++)
		rtc_write(index[i], value[i]);
	for (unsigned int i = 0; i < sizeof(index); i++)
		CHECK_EQ(rtc_read(index[i]), value[i]);
}

TEST(rtc_bcd_and_binary_are_one_time)
{
	rtc_write(0x0b, 0x86);
	rtc_write(8, 11);
	rtc_write(7, 23);
	rtc_write(4, 12);
	rtc_write(2, 34);
	rtc_write(0, 5);
	rtc_write(9, 45);
	rtc_write(0x0b, 0x06);
	rtc_write(0x0b, 0x02);
	CHECK_EQ(rtc_read(2), 0x34);
	CHECK_EQ(rtc_read(4), 0x12);
	CHECK_EQ(rtc_read(7), 0x23);
	CHECK_EQ(rtc_read(8), 0x11);
	CHECK_EQ(rtc_read(9), 0x45);
}
