// SPDX-License-Identifier: BSD-2-Clause
/* The real-time clock: date, formats, interrupts, NVRAM. */
#include "unit.h"

#include <time.h>

#include "dev/pic.h"
#include "dev/rtc.h"
#include "fake_backend.h"
#include "vm/timer.h"

enum {
	SECONDS,
	SECONDS_ALARM,
	MINUTES,
	MINUTES_ALARM,
	HOURS,
	HOURS_ALARM,
	WEEKDAY,
	DAY,
	MONTH,
	YEAR,
	A,
	B,
	C,
	D,
	CENTURY = 0x32
};

#define SET	 0x80
#define PERIODIC 0x40
#define ALARM	 0x20
#define UPDATE	 0x10
#define BINARY	 0x04
#define HOURS_24 0x02
#define MS	 1000000ull
#define SECOND	 1000000000ull

static struct vm *vm;

static uint8_t get(uint8_t index)
{
	rtc_port_write(vm, 0x70, index);
	return rtc_port_read(vm, 0x71);
}

static void put(uint8_t index, uint8_t value)
{
	rtc_port_write(vm, 0x70, index);
	rtc_port_write(vm, 0x71, value);
}

/* The 8259s take IRQ 8 and nothing else. */
static void set_up(int64_t wall)
{
	static const uint8_t master[] = { 0x20, 0x04, 0x01, 0xfb };
	static const uint8_t slave[] = { 0x28, 0x02, 0x01, 0xfe };

	os_user_set_wall(wall);
	vm = fake_vm_create(1);
	(void)vm_timers_enter(fake_vm_vcpu(vm, 0));
	pic_port_write(vm, 0x20, 0x11);
	pic_port_write(vm, 0xa0, 0x11);
	for (unsigned int i = 0; i < 4; i++) {
		pic_port_write(vm, 0x21, master[i]);
		pic_port_write(vm, 0xa1, slave[i]);
	}
}

static void tear_down(void)
{
	fake_vm_destroy(vm);
}

static bool take_irq(void)
{
	if (!pic_pending(vm))
		return false;
	CHECK_EQ(pic_intack(vm), 0x28);
	pic_port_write(vm, 0xa0, 0x20);
	pic_port_write(vm, 0x20, 0x20);
	return true;
}

/* Interrupts in a stretch of time; each is taken and its cause read, as by a handler. */
static unsigned int run_for(uint64_t ns, uint8_t flag)
{
	uint64_t end = os_now_ns() + ns;
	unsigned int count = 0;

	while (os_user_clock_next() <= end) {
		os_user_clock_advance(os_user_clock_next() - os_now_ns());
		if (take_irq() && (get(C) & flag))
			count++;
	}
	os_user_clock_advance(end - os_now_ns());
	return count;
}

static unsigned int bcd(uint8_t value)
{
	return (value >> 4) * 10u + (value & 15);
}

static void check_date(const struct tm *tm, int64_t when)
{
	CHECK_EQ_AT(bcd(get(SECONDS)), tm->tm_sec, "%lld", (long long)when);
	CHECK_EQ_AT(bcd(get(MINUTES)), tm->tm_min, "%lld", (long long)when);
	CHECK_EQ_AT(bcd(get(HOURS)), tm->tm_hour, "%lld", (long long)when);
	CHECK_EQ_AT(bcd(get(WEEKDAY)), tm->tm_wday + 1, "%lld", (long long)when);
	CHECK_EQ_AT(bcd(get(DAY)), tm->tm_mday, "%lld", (long long)when);
	CHECK_EQ_AT(bcd(get(MONTH)), tm->tm_mon + 1, "%lld", (long long)when);
	CHECK_EQ_AT(bcd(get(CENTURY)) * 100 + bcd(get(YEAR)), tm->tm_year + 1900, "%lld",
		    (long long)when);
}

TEST(dates_agree_with_the_c_library)
{
	set_up(0);
	/* Steps that visit every month and many leap days from 1970 to 9999. */
	for (int64_t when = 0; when < 253402300799ll; when += 86400ll * 97 + 12345) {
		time_t t = (time_t)when;
		struct tm tm;

		CHECK_EQ(rtc_settime(vm, when), 0);
		gmtime_r(&t, &tm);
		check_date(&tm, when);
		CHECK_EQ(rtc_gettime(vm), when);
		/* And back, from the bytes. */
		put(B, SET | HOURS_24);
		put(B, HOURS_24);
		CHECK_EQ(rtc_gettime(vm), when);
	}
	CHECK_EQ(rtc_settime(vm, 253402300799ll), 0);
	CHECK_EQ(get(CENTURY), 0x99);
	CHECK_EQ(rtc_settime(vm, 253402300800ll), -EINVAL);
	CHECK_EQ(rtc_settime(vm, -1), -EINVAL);
	tear_down();
}

TEST(runs_with_the_host)
{
	set_up(951782399); /* 2000-02-28 23:59:59 */
	CHECK_EQ(rtc_gettime(vm), 951782399);
	CHECK_EQ(get(DAY), 0x28);
	os_user_clock_advance(SECOND);
	CHECK_EQ(get(DAY), 0x29);
	CHECK_EQ(get(HOURS), 0);
	os_user_clock_advance(86400 * SECOND);
	CHECK_EQ(get(DAY), 0x01);
	CHECK_EQ(get(MONTH), 0x03);
	os_user_clock_advance(86400ull * 365 * 100 * SECOND);
	CHECK_EQ(rtc_gettime(vm), 951782400 + 86400 + 86400ll * 365 * 100);
	tear_down();
}

TEST(formats)
{
	set_up(0);
	CHECK_EQ(rtc_settime(vm, 23 * 3600 + 45 * 60 + 56), 0);
	CHECK_EQ(get(B), HOURS_24);
	CHECK_EQ(get(HOURS), 0x23);
	CHECK_EQ(get(MINUTES), 0x45);
	put(B, HOURS_24 | BINARY);
	CHECK_EQ(get(HOURS), 23);
	CHECK_EQ(get(MINUTES), 45);
	CHECK_EQ(get(CENTURY), 0x19); /* not the chip's: plain NVRAM */
	put(B, BINARY);
	CHECK_EQ(get(HOURS), 0x80 | 11);
	put(B, 0);
	CHECK_EQ(get(HOURS), 0x91); /* 11 PM in BCD */
	CHECK_EQ(rtc_settime(vm, 0), 0);
	CHECK_EQ(get(HOURS), 0x12); /* midnight */
	CHECK_EQ(rtc_settime(vm, 12 * 3600), 0);
	CHECK_EQ(get(HOURS), 0x92); /* noon */
	put(HOURS, 0x12);
	CHECK_EQ(rtc_gettime(vm), 0);
	put(HOURS, 0x83);
	CHECK_EQ(rtc_gettime(vm), 15 * 3600);
	tear_down();
}

/* As Linux sets it: SET, the divider held, the bytes, and both back. */
TEST(guest_sets_the_time)
{
	set_up(1000000000);
	put(B, SET | HOURS_24);
	put(A, 0x76);
	os_user_clock_advance(10 * SECOND); /* stands still */
	put(SECONDS, 0x30);
	put(MINUTES, 0x59);
	put(HOURS, 0x07);
	put(DAY, 0x31);
	put(MONTH, 0x12);
	put(YEAR, 0x37);
	put(CENTURY, 0x20);
	CHECK_EQ(get(SECONDS), 0x30);
	put(B, HOURS_24);
	put(A, 0x26);
	CHECK_EQ(rtc_gettime(vm), 2145859170);
	os_user_clock_advance(SECOND / 2 - 1); /* half a second to the first update */
	CHECK_EQ(get(SECONDS), 0x30);
	os_user_clock_advance(1);
	CHECK_EQ(get(SECONDS), 0x31);
	os_user_clock_advance(SECOND);
	CHECK_EQ(get(SECONDS), 0x32);
	tear_down();
}

TEST(divider_stops_the_clock)
{
	set_up(1000000000);
	put(A, 0x06); /* another crystal: none there */
	os_user_clock_advance(10 * SECOND);
	CHECK_EQ(get(SECONDS), 0x40);
	put(A, 0x26);
	os_user_clock_advance(SECOND);
	CHECK_EQ(get(SECONDS), 0x41);
	put(A, 0x2f); /* another rate does not */
	os_user_clock_advance(SECOND);
	CHECK_EQ(get(SECONDS), 0x42);
	tear_down();
}

TEST(writes_while_running)
{
	set_up(1000000000); /* 2001-09-09 01:46:40 */
	os_user_clock_advance(SECOND * 3 / 4);
	put(MINUTES, 0x10);
	CHECK_EQ(rtc_gettime(vm), 1000000000 - 36 * 60);
	os_user_clock_advance(SECOND / 4); /* the fraction of the second is kept */
	CHECK_EQ(rtc_gettime(vm), 1000000000 - 36 * 60 + 1);
	tear_down();
}

/* What a guest writes with SET: seconds to year and the century, in the format of 'b'. */
static void set_registers(uint8_t b, const uint8_t values[8])
{
	static const uint8_t index[] = {
		SECONDS, MINUTES, HOURS, WEEKDAY, DAY, MONTH, YEAR, CENTURY
	};

	put(B, SET | b);
	for (unsigned int i = 0; i < ARRAY_SIZE(index); i++)
		put(index[i], values[i]);
	put(B, b);
	os_user_clock_advance(1); /* not at the very edge of the second */
}

static void check_registers(const uint8_t values[8], unsigned int line)
{
	static const uint8_t index[] = {
		SECONDS, MINUTES, HOURS, WEEKDAY, DAY, MONTH, YEAR, CENTURY
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(index); i++)
		CHECK_EQ_AT(get(index[i]), values[i], "case %u, register %u", line, index[i]);
}

/*
 * The chip counts registers, not dates (MC146818A data sheet, "Time, Calendar, and Alarm
 * Locations"): each carries at its own limit, whatever the others hold. A value
 * beyond the limit carries at the next step.
 */
TEST(registers_carry_at_their_own_limits)
{
	static const struct {
		uint8_t b;
		uint64_t seconds;
		uint8_t before[8], after[8];
	} cases[] = {
		/* No month, no day, a year of garbage: time goes on, and the day comes in order. */
		{ HOURS_24, 1, { 0x10, 0, 0, 0, 0, 0, 0, 0 }, { 0x11, 0, 0, 0, 0, 0, 0, 0 } },
		{ HOURS_24,
		  1,
		  { 0x59, 0x59, 0x23, 0, 0, 0, 0, 0 },
		  { 0, 0, 0, 0x01, 0x01, 0, 0, 0 } },
		{ HOURS_24,
		  1,
		  { 0x59, 0x59, 0x23, 0x07, 0x31, 0x00, 0x99, 0xff },
		  { 0, 0, 0, 0x01, 0x01, 0x01, 0x99, 0xff } },
		{ HOURS_24,
		  1,
		  { 0x59, 0x59, 0x23, 0x02, 0x30, 0x02, 0x24, 0x20 },
		  { 0, 0, 0, 0x03, 0x01, 0x03, 0x24, 0x20 } },
		{ HOURS_24,
		  1,
		  { 0x59, 0x59, 0x23, 0x07, 0x31, 0x13, 0x24, 0x20 },
		  { 0, 0, 0, 0x01, 0x01, 0x01, 0x25, 0x20 } },
		/* 99 is followed by 00; the byte of the century is software's. */
		{ HOURS_24,
		  1,
		  { 0x59, 0x59, 0x23, 0x05, 0x31, 0x12, 0x99, 0x19 },
		  { 0, 0, 0, 0x06, 0x01, 0x01, 0x00, 0x19 } },
		/* Leap years. */
		{ HOURS_24,
		  1,
		  { 0x59, 0x59, 0x23, 0x04, 0x28, 0x02, 0x24, 0x20 },
		  { 0, 0, 0, 0x05, 0x29, 0x02, 0x24, 0x20 } },
		{ HOURS_24,
		  86400 + 1,
		  { 0x59, 0x59, 0x23, 0x04, 0x28, 0x02, 0x25, 0x20 },
		  { 0, 0, 0, 0x06, 0x02, 0x03, 0x25, 0x20 } },
		/* A date before 1970, and one after a very long sleep. */
		{ HOURS_24,
		  1,
		  { 0x59, 0x20, 0x12, 0x01, 0x20, 0x07, 0x69, 0x19 },
		  { 0, 0x21, 0x12, 0x01, 0x20, 0x07, 0x69, 0x19 } },
		{ HOURS_24,
		  86400ull * 365,
		  { 0x30, 0, 0, 0x01, 0x01, 0x01, 0x69, 0x19 },
		  { 0x30, 0, 0, 0x02, 0x01, 0x01, 0x70, 0x19 } },
		/* Values that are no BCD, or none of the register's. */
		{ HOURS_24,
		  1,
		  { 0x7f, 0x10, 0x10, 0x01, 0x01, 0x01, 0x24, 0x20 },
		  { 0, 0x11, 0x10, 0x01, 0x01, 0x01, 0x24, 0x20 } },
		{ HOURS_24,
		  1,
		  { 0x1f, 0x10, 0x10, 0x01, 0x01, 0x01, 0x24, 0x20 },
		  { 0x20, 0x10, 0x10, 0x01, 0x01, 0x01, 0x24, 0x20 } },
		{ HOURS_24,
		  60,
		  { 0, 0xee, 0x10, 0x01, 0x01, 0x01, 0x24, 0x20 },
		  { 0, 0, 0x11, 0x01, 0x01, 0x01, 0x24, 0x20 } },
		{ HOURS_24,
		  3600,
		  { 0, 0, 0x24, 0x09, 0x01, 0x01, 0x24, 0x20 },
		  { 0, 0, 0, 0x01, 0x02, 0x01, 0x24, 0x20 } },
		/* Twelve hours, BCD: 11 AM, noon, 12:59 PM, 11 PM. */
		{ 0,
		  1,
		  { 0x59, 0x59, 0x11, 0x01, 0x01, 0, 0, 0 },
		  { 0, 0, 0x92, 0x01, 0x01, 0, 0, 0 } },
		{ 0,
		  1,
		  { 0x59, 0x59, 0x92, 0x01, 0x01, 0, 0, 0 },
		  { 0, 0, 0x81, 0x01, 0x01, 0, 0, 0 } },
		{ 0,
		  1,
		  { 0x59, 0x59, 0x91, 0x01, 0x01, 0, 0, 0 },
		  { 0, 0, 0x12, 0x02, 0x02, 0, 0, 0 } },
		{ 0,
		  1,
		  { 0x59, 0x59, 0x12, 0x01, 0x01, 0, 0, 0 },
		  { 0, 0, 0x01, 0x01, 0x01, 0, 0, 0 } },
		/* And binary. */
		{ BINARY, 1, { 59, 59, 0x80 | 11, 7, 30, 0, 0, 0 }, { 0, 0, 12, 1, 31, 0, 0, 0 } },
		{ BINARY,
		  7200,
		  { 59, 59, 0x80 | 9, 7, 30, 0, 0, 0 },
		  { 59, 59, 0x80 | 11, 7, 30, 0, 0, 0 } },
		{ HOURS_24 | BINARY,
		  61,
		  { 59, 58, 23, 7, 30, 4, 24, 20 },
		  { 0, 0, 0, 1, 1, 5, 24, 20 } },
	};

	set_up(1000000000);
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		set_registers(cases[i].b, cases[i].before);
		check_registers(cases[i].before, i);
		os_user_clock_advance(cases[i].seconds * SECOND);
		check_registers(cases[i].after, i);
	}
	tear_down();
}

/* However long nobody looks, registers come to the same as when somebody does every second. */
TEST(long_sleeps_count_as_many_short_ones)
{
	static const uint8_t start[][8] = {
		{ 0x58, 0xff, 0x3f, 0x09, 0x00, 0x00, 0xaa, 0x00 },
		{ 0x00, 0x00, 0x00, 0x00, 0x31, 0x02, 0x23, 0x20 },
		{ 0x1a, 0x2b, 0x2c, 0x02, 0x28, 0x02, 0x24, 0x20 },
		{ 0x59, 0x59, 0x92, 0x05, 0x31, 0x12, 0x99, 0x19 },
	};
	uint8_t expected[10];

	set_up(1000000000);
	for (unsigned int i = 0; i < 2 * ARRAY_SIZE(start); i++) {
		uint8_t b = i & 1 ? 0 : HOURS_24;

		set_registers(b, start[i / 2]);
		for (unsigned int n = 0; n < 3 * 86400 + 4000; n++) {
			os_user_clock_advance(SECOND);
			expected[0] = get(SECONDS);
		}
		for (uint8_t n = 0; n < 10; n++)
			expected[n] = get(n);
		set_registers(b, start[i / 2]);
		os_user_clock_advance((3 * 86400 + 4000) * SECOND);
		for (uint8_t n = 0; n < 10; n++)
			CHECK_EQ_AT(get(n), expected[n], "start %u, register %u", i, n);
	}
	tear_down();
}

TEST(flags_come_without_a_date)
{
	static const uint8_t none[8] = { 0x10, 0x20, 0x12, 0, 0, 0, 0, 0 };
	static const uint8_t nonsense[8] = { 0x10, 0x20, 0xaa, 0xff, 0xff, 0xff, 0xff, 0xff };

	set_up(1000000000);
	set_registers(HOURS_24, none);
	put(HOURS_ALARM, 0xff);
	put(MINUTES_ALARM, 0xff);
	put(SECONDS_ALARM, 0x12);
	(void)get(C);
	os_user_clock_advance(SECOND);
	CHECK_EQ(get(C) & (UPDATE | ALARM), UPDATE);
	os_user_clock_advance(SECOND);
	CHECK_EQ(get(C) & (UPDATE | ALARM), UPDATE | ALARM);
	put(B, UPDATE | HOURS_24);
	CHECK_EQ(run_for(10 * SECOND, UPDATE), 10);
	put(B, ALARM | HOURS_24);
	CHECK_EQ(run_for(600 * SECOND, ALARM), 10);
	/* Hours that are none: the alarm of every minute comes all the same. */
	set_registers(HOURS_24, nonsense);
	(void)get(C);
	put(B, ALARM | HOURS_24);
	CHECK_EQ(run_for(600 * SECOND, ALARM), 10);
	os_user_clock_advance(SECOND - 244000 - 1); /* registers were set 1 ns into a second */
	CHECK_EQ(get(A), 0xa6);
	tear_down();
}

/* The chip's own: written by software, never by the clock (82371AB, "Real Time Clock"). */
TEST(century_and_weekday_are_softwares)
{
	set_up(1000000000); /* a Sunday in 2001 */
	CHECK_EQ(get(CENTURY), 0x20);
	put(CENTURY, 0xa5);
	put(WEEKDAY, 0x05);
	os_user_clock_advance(86400ull * 800 * SECOND);
	CHECK_EQ(get(CENTURY), 0xa5);
	CHECK_EQ(get(WEEKDAY), (5 - 1 + 800) % 7 + 1);
	CHECK_EQ(rtc_gettime(vm), 1000000000 + 86400ll * 800); /* userspace's is not lost */
	put(CENTURY, 0x21);
	CHECK_EQ(get(YEAR), 0x03);
	CHECK(rtc_gettime(vm) > 1000000000 + 86400ll * 36500);
	tear_down();
}

/* The nearest there is: userspace asks for seconds, whatever the registers hold. */
TEST(gettime_of_what_is_no_date)
{
	static const uint8_t february[8] = { 0x30, 0x10, 0x00, 0x01, 0x31, 0x02, 0x01, 0x20 };
	static const uint8_t before[8] = { 0x30, 0x10, 0x00, 0x01, 0x31, 0x12, 0x69, 0x19 };

	set_up(1000000000);
	set_registers(HOURS_24, february);
	CHECK_EQ(rtc_gettime(vm), 983319030); /* 2001-02-28 00:10:30 */
	set_registers(HOURS_24, before);
	CHECK_EQ(rtc_gettime(vm), 0);
	CHECK_EQ(rtc_settime(vm, 5), 0);
	os_user_clock_advance(SECOND);
	CHECK_EQ(get(SECONDS), 0x06);
	tear_down();
}

/* Writes to other registers leave the second in progress as it is. */
TEST(writes_do_not_hold_the_clock)
{
	set_up(1000000000);
	put(MONTH, 0x00);
	for (unsigned int i = 0; i < 1000; i++) {
		os_user_clock_advance(10 * MS);
		put(A, 0x26);
		put(B, HOURS_24);
		put(WEEKDAY, 0);
	}
	CHECK_EQ(get(SECONDS), 0x50);
	tear_down();
}

TEST(update_in_progress)
{
	set_up(1000000000);
	os_user_clock_advance(SECOND - 244001);
	CHECK_EQ(get(A), 0x26);
	os_user_clock_advance(1);
	CHECK_EQ(get(A), 0xa6);
	os_user_clock_advance(243999);
	CHECK_EQ(get(A), 0xa6);
	os_user_clock_advance(1);
	CHECK_EQ(get(A), 0x26);
	CHECK_EQ(get(SECONDS), 0x41);
	put(B, SET | HOURS_24); /* no updates now */
	os_user_clock_advance(SECOND - 1);
	CHECK_EQ(get(A), 0x26);
	put(A, 0xff); /* UIP is read-only */
	CHECK_EQ(get(A), 0x7f);
	tear_down();
}

TEST(update_ended_interrupt)
{
	set_up(1000000000);
	CHECK_EQ(run_for(5 * SECOND, UPDATE), 0);
	CHECK_EQ(get(C), PERIODIC | UPDATE); /* flags come without interrupts */
	CHECK_EQ(get(C), 0);
	put(B, UPDATE | HOURS_24);
	CHECK_EQ(run_for(100 * SECOND, UPDATE), 100);
	put(B, UPDATE | SET | HOURS_24); /* SET clears the enable */
	CHECK_EQ(get(B), SET | HOURS_24);
	tear_down();
}

TEST(unread_interrupt_comes_once)
{
	set_up(1000000000);
	put(B, UPDATE | HOURS_24);
	os_user_clock_advance(SECOND);
	CHECK(take_irq());
	CHECK_EQ(os_user_timers(), 0); /* nothing more to say */
	os_user_clock_advance(100 * SECOND);
	CHECK(!take_irq());
	CHECK_EQ(get(C) & (0x80 | UPDATE), 0x80 | UPDATE);
	CHECK_EQ(run_for(10 * SECOND, UPDATE), 10);
	tear_down();
}

/* 8192 Hz are faster than a host timer may be: vm_timer_min_ns. */
TEST(periodic_rates)
{
	static const struct {
		uint8_t rate;
		unsigned int hz;
	} rates[] = { { 1, 256 },  { 2, 128 }, { 3, 5000 }, { 4, 4096 }, { 5, 2048 },
		      { 6, 1024 }, { 7, 512 }, { 8, 256 },  { 9, 128 },	 { 10, 64 },
		      { 11, 32 },  { 12, 16 }, { 13, 8 },   { 14, 4 },	 { 15, 2 } };

	set_up(1000000000);
	for (unsigned int i = 0; i < ARRAY_SIZE(rates); i++) {
		put(B, HOURS_24);
		put(A, (uint8_t)(0x20 | rates[i].rate));
		(void)get(C);
		put(B, PERIODIC | HOURS_24);
		CHECK_EQ_AT(run_for(10 * SECOND, PERIODIC), 10 * rates[i].hz, "rate %u",
			    rates[i].rate);
	}
	put(A, 0x20); /* none */
	CHECK_EQ(run_for(10 * SECOND, PERIODIC), 0);
	put(A, 0x06); /* no divider */
	CHECK_EQ(run_for(10 * SECOND, PERIODIC), 0);
	tear_down();
}

TEST(periodic_ticks_wait_for_a_slow_guest)
{
	unsigned int count;

	set_up(1000000000);
	put(A, 0x26);
	os_user_clock_advance(10 * SECOND); /* not on yet: not made up for */
	(void)get(C);
	put(B, PERIODIC | HOURS_24);
	CHECK(!take_irq());
	os_user_clock_advance(SECOND / 16); /* 64 ticks */
	CHECK(take_irq());
	CHECK_EQ(get(C), 0xc0);
	count = 1 + run_for(SECOND * 15 / 16, PERIODIC);
	CHECK(count >= 1023 && count <= 1024);
	tear_down();
}

TEST(periodic_polled)
{
	set_up(1000000000);
	put(A, 0x2f); /* 2 Hz */
	(void)get(C);
	os_user_clock_advance(SECOND / 2 - 1);
	CHECK_EQ(get(C), 0);
	os_user_clock_advance(1);
	CHECK_EQ(get(C), PERIODIC);
	CHECK_EQ(get(C), 0);
	CHECK_EQ(os_user_timers(), 0); /* costs the host nothing */
	tear_down();
}

static void set_alarm(uint8_t hours, uint8_t minutes, uint8_t seconds)
{
	put(HOURS_ALARM, hours);
	put(MINUTES_ALARM, minutes);
	put(SECONDS_ALARM, seconds);
	(void)get(C);
}

TEST(alarm)
{
	set_up(1000000000); /* 01:46:40 */
	put(B, ALARM | HOURS_24);
	set_alarm(0x02, 0x00, 0x05);
	CHECK_EQ(run_for((13 * 60 + 24) * SECOND, ALARM), 0);
	CHECK_EQ(run_for(SECOND, ALARM), 1);
	CHECK_EQ(run_for(86400 * SECOND - 1, ALARM), 0); /* daily */
	CHECK_EQ(run_for(1, ALARM), 1);
	set_alarm(0xff, 0xff, 0xff); /* every second */
	CHECK_EQ(run_for(90 * SECOND, ALARM), 90);
	set_alarm(0xff, 0xff, 0x30); /* every minute */
	CHECK_EQ(run_for(600 * SECOND, ALARM), 10);
	set_alarm(0xff, 0x17, 0x30); /* every hour */
	CHECK_EQ(run_for(36000 * SECOND, ALARM), 10);
	set_alarm(0x23, 0xc0, 0x59); /* 60 times a day */
	CHECK_EQ(run_for(86400 * SECOND, ALARM), 60);
	set_alarm(0x24, 0x00, 0x00); /* no such time */
	CHECK_EQ(run_for(86400 * SECOND, ALARM), 0);
	set_alarm(0x00, 0x0a, 0x00);
	CHECK_EQ(run_for(86400 * SECOND, ALARM), 0);
	put(B, ALARM);		     /* 12 hours, BCD */
	set_alarm(0x91, 0x00, 0x00); /* 11 PM */
	CHECK_EQ(run_for(86400 * SECOND, ALARM), 1);
	tear_down();
}

/* Against a search that is too simple to be wrong. */
TEST(alarm_of_any_kind)
{
	static const uint8_t hours[] = { 0, 5, 23, 0xff }, minutes[] = { 0, 30, 59, 0xff },
			     seconds[] = { 0, 31, 59, 0xff };

	set_up(1000000000);
	put(B, HOURS_24 | BINARY);
	for (unsigned int i = 0; i < 64; i++) {
		uint8_t h = hours[i / 16], m = minutes[i / 4 % 4], s = seconds[i % 4];
		int64_t expected = 5 * 3600 + 30 * 60 + 31;

		do {
			expected++;
		} while ((h != 0xff && expected / 3600 % 24 != h) ||
			 (m != 0xff && expected / 60 % 60 != m) ||
			 (s != 0xff && expected % 60 != s));
		CHECK_EQ(rtc_settime(vm, 5 * 3600 + 30 * 60 + 31), 0);
		put(B, HOURS_24 | BINARY);
		set_alarm(h, m, s);
		put(B, HOURS_24 | BINARY | ALARM);
		CHECK_EQ(os_user_timers(), 1);
		os_user_clock_advance(os_user_clock_next() - os_now_ns());
		CHECK(take_irq());
		CHECK_EQ_AT(rtc_gettime(vm), expected, "alarm %u:%u:%u", h, m, s);
	}
	tear_down();
}

TEST(alarm_polled_over_a_long_time)
{
	set_up(1000000000);
	set_alarm(0x01, 0x00, 0x00);
	os_user_clock_advance(86400 * 30 * SECOND);
	CHECK_EQ(get(C) & ALARM, ALARM);
	CHECK_EQ(get(C), 0);
	tear_down();
}

TEST(nvram)
{
	uint8_t value;

	set_up(1000000000);
	for (int i = 14; i < 128; i++)
		if (i != CENTURY)
			put((uint8_t)i, (uint8_t)(i * 3));
	for (int i = 14; i < 128; i++) {
		if (i == CENTURY)
			continue;
		CHECK_EQ_AT(get((uint8_t)i), (uint8_t)(i * 3), "byte %d", i);
		CHECK_EQ(rtc_nvram_read(vm, i, &value), 0);
		CHECK_EQ(value, (uint8_t)(i * 3));
	}
	CHECK_EQ(get(0x8e), 14 * 3); /* bit 7 of the index is not part of it */
	CHECK_EQ(rtc_nvram_write(vm, 0x5b, 0x77), 0);
	CHECK_EQ(get(0x5b), 0x77);
	CHECK_EQ(rtc_nvram_read(vm, -1, &value), -EINVAL);
	CHECK_EQ(rtc_nvram_read(vm, 128, &value), -EINVAL);
	CHECK_EQ(rtc_nvram_read(vm, SECONDS, &value), 0);
	CHECK_EQ(value, 0x40);
	CHECK_EQ(rtc_nvram_write(vm, 13, 0), -EINVAL);
	CHECK_EQ(rtc_nvram_write(vm, CENTURY, 0), -EINVAL);
	CHECK_EQ(rtc_nvram_write(vm, -1, 0), -EINVAL);
	CHECK_EQ(rtc_nvram_write(vm, 128, 0), -EINVAL);
	CHECK_EQ(rtc_port_read(vm, 0x70), 0xff);
	put(C, 0xff); /* read-only */
	put(D, 0xff);
	CHECK_EQ(get(D), 0x80);
	tear_down();
}

TEST(reset_keeps_time_and_nvram)
{
	set_up(1000000000);
	put(0x40, 0x12);
	put(B, PERIODIC | UPDATE | ALARM | HOURS_24 | BINARY);
	os_user_clock_advance(10 * SECOND);
	CHECK(pic_pending(vm));
	rtc_reset(vm);
	CHECK_EQ(get(B), HOURS_24 | BINARY);
	CHECK_EQ(os_user_timers(), 0);
	CHECK_EQ(get(0x40), 0x12);
	CHECK_EQ(rtc_gettime(vm), 1000000010);
	tear_down();
}

TEST(masked_by_the_hpet)
{
	set_up(1000000000);
	put(B, UPDATE | HOURS_24);
	rtc_set_irq_masked(vm, true);
	CHECK_EQ(run_for(5 * SECOND, UPDATE), 0);
	CHECK_EQ(get(C) & UPDATE, UPDATE); /* the clock itself does not know */
	rtc_set_irq_masked(vm, false);
	CHECK_EQ(run_for(5 * SECOND, UPDATE), 5);
	tear_down();
}
