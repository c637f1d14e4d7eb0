// SPDX-License-Identifier: BSD-2-Clause
/*
 * The real-time clock, after Motorola's MC146818A data sheet.
 *
 * While the clock runs, time is a number of seconds that follows from the host's
 * monotonic clock, and the time bytes are made from it when they are read. While it
 * is stopped (SET, the divider held, or bytes that are no date) they are plain
 * bytes. Flags are brought up to date when somebody looks; a host timer runs only
 * while an interrupt is enabled and not yet raised.
 */
#include "vm/vcpu.h"
#include "dev/periodic.h"
#include "dev/pic.h"
#include "dev/rtc.h"

#define PORT_INDEX 0x70
#define RTC_IRQ	   8

/* The bytes with a meaning. */
enum {
	SECONDS,
	SECONDS_ALARM,
	MINUTES,
	MINUTES_ALARM,
	HOURS,
	HOURS_ALARM,
	DAY_OF_WEEK,
	DAY,
	MONTH,
	YEAR,
	REGISTER_A,
	REGISTER_B,
	REGISTER_C,
	REGISTER_D,
};

#define A_UPDATING	0x80
#define A_DIVIDER	0x70
#define A_DIVIDER_RUNS	0x20 /* a crystal of 32768 Hz */
#define A_DIVIDER_RESET 0x60 /* this or 0x70 */
#define A_RATE		0x0f
#define B_SET		0x80
#define B_PERIODIC	0x40 /* as in register C: flag and enable bit have one place */
#define B_ALARM		0x20
#define B_UPDATE	0x10
#define B_INTERRUPTS	0x70
#define B_SQUARE_WAVE	0x08
#define B_BINARY	0x04
#define B_24_HOURS	0x02
#define C_INTERRUPT	0x80
#define D_VALID		0x80 /* the battery is good */

#define HOURS_PM  0x80
#define ALARM_ANY 0xc0 /* both bits set: matches always */
#define ANY	  (-2)
#define INVALID	  (-1)

#define CRYSTAL_HZ 32768
/* UIP rises this long before the update, which takes no time here. */
#define UPDATE_WARNING_NS 244000
#define SECONDS_PER_DAY	  86400
#define SECONDS_MAX	  253402300799ll /* 9999-12-31 23:59:59 */

struct rtc {
	struct vm *vm; /* constant */
	struct os_spinlock lock;
	uint8_t index;		       /* lock, like all below */
	uint8_t bytes[RTC_NVRAM_SIZE]; /* the time bytes only count while it is stopped */
	bool running;
	int64_t seconds;     /* since 1970: at seconds_ns, or where it stopped */
	uint64_t seconds_ns; /* valid while it runs */
	uint64_t phase_ns;   /* into the current second, while it is stopped */
	int64_t seen;	     /* second for which update and alarm flags are settled */
	struct periodic periodic;
	bool periodic_on;     /* a rate is chosen and the divider runs */
	uint64_t periodic_at; /* when to look for the next tick */
	bool irq_masked;
	bool line; /* IRQ 8 is driven */
	struct os_timer timer;
};

/* --- dates ---------------------------------------------------------------------------- */

struct date {
	int year, month, day; /* month and day from 1 */
	int hours, minutes, seconds;
	int day_of_week; /* 1 is Sunday */
};

static bool rtc_is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int rtc_days_in_month(int year, int month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && rtc_is_leap(year));
}

/* Days from 1970-01-01 to the first of January of 'year', which is not before 1. */
static int64_t rtc_days_to_year(int year)
{
	int64_t y = year - 1;

	return y * 365 + y / 4 - y / 100 + y / 400 - 719162;
}

static int64_t rtc_date_to_seconds(const struct date *date)
{
	int64_t days = rtc_days_to_year(date->year) + date->day - 1;

	for (int month = 1; month < date->month; month++)
		days += rtc_days_in_month(date->year, month);
	return days * SECONDS_PER_DAY + date->hours * 3600 + date->minutes * 60 + date->seconds;
}

static void rtc_seconds_to_date(int64_t seconds, struct date *date)
{
	int64_t days = seconds / SECONDS_PER_DAY;
	int rest = (int)(seconds % SECONDS_PER_DAY);
	int year = 1970 + (int)(days / 366); /* never too late; 17 too early by 9999 */
	int month = 1;

	while (days >= rtc_days_to_year(year + 1))
		year++;
	date->day_of_week = (int)((days + 4) % 7) + 1;
	days -= rtc_days_to_year(year);
	while (days >= rtc_days_in_month(year, month))
		days -= rtc_days_in_month(year, month++);
	date->year = year;
	date->month = month;
	date->day = (int)days + 1;
	date->hours = rest / 3600;
	date->minutes = rest / 60 % 60;
	date->seconds = rest % 60;
}

/* --- time bytes; the lock is held -------------------------------------------------------- */

static uint8_t rtc_encode_byte(const struct rtc *rtc, int value)
{
	if (rtc->bytes[REGISTER_B] & B_BINARY)
		return (uint8_t)value;
	return (uint8_t)(value / 10 << 4 | value % 10);
}

/* INVALID unless between low and high. */
static int rtc_decode_byte(const struct rtc *rtc, uint8_t byte, int low, int high)
{
	int value = byte;

	if (!(rtc->bytes[REGISTER_B] & B_BINARY)) {
		if ((byte & 0xf) > 9 || byte >> 4 > 9)
			return INVALID;
		value = (byte >> 4) * 10 + (byte & 0xf);
	}
	return value >= low && value <= high ? value : INVALID;
}

static uint8_t rtc_encode_hours(const struct rtc *rtc, int hours)
{
	int twelve = hours % 12 ? hours % 12 : 12;

	if (rtc->bytes[REGISTER_B] & B_24_HOURS)
		return rtc_encode_byte(rtc, hours);
	return (uint8_t)(rtc_encode_byte(rtc, twelve) | (hours >= 12 ? HOURS_PM : 0));
}

static int rtc_decode_hours(const struct rtc *rtc, uint8_t byte)
{
	int hours;

	if (rtc->bytes[REGISTER_B] & B_24_HOURS)
		return rtc_decode_byte(rtc, byte, 0, 23);
	hours = rtc_decode_byte(rtc, byte & ~HOURS_PM & 0xff, 1, 12);
	if (hours == INVALID)
		return INVALID;
	return hours % 12 + (byte & HOURS_PM ? 12 : 0);
}

static void rtc_store_date(struct rtc *rtc, int64_t seconds)
{
	struct date date;

	rtc_seconds_to_date(seconds, &date);
	rtc->bytes[SECONDS] = rtc_encode_byte(rtc, date.seconds);
	rtc->bytes[MINUTES] = rtc_encode_byte(rtc, date.minutes);
	rtc->bytes[HOURS] = rtc_encode_hours(rtc, date.hours);
	rtc->bytes[DAY_OF_WEEK] = rtc_encode_byte(rtc, date.day_of_week);
	rtc->bytes[DAY] = rtc_encode_byte(rtc, date.day);
	rtc->bytes[MONTH] = rtc_encode_byte(rtc, date.month);
	rtc->bytes[YEAR] = rtc_encode_byte(rtc, date.year % 100);
	rtc->bytes[RTC_CENTURY] = rtc_encode_byte(rtc, date.year / 100);
}

/* -1 when the bytes are no date since 1970. The day of the week is not looked at. */
static int64_t rtc_parse_date(const struct rtc *rtc)
{
	int century = rtc_decode_byte(rtc, rtc->bytes[RTC_CENTURY], 19, 99);
	int year = rtc_decode_byte(rtc, rtc->bytes[YEAR], 0, 99);
	struct date date = {
		.year = century * 100 + year,
		.month = rtc_decode_byte(rtc, rtc->bytes[MONTH], 1, 12),
		.day = rtc_decode_byte(rtc, rtc->bytes[DAY], 1, 31),
		.hours = rtc_decode_hours(rtc, rtc->bytes[HOURS]),
		.minutes = rtc_decode_byte(rtc, rtc->bytes[MINUTES], 0, 59),
		.seconds = rtc_decode_byte(rtc, rtc->bytes[SECONDS], 0, 59),
	};

	if (century == INVALID || year == INVALID || date.month == INVALID || date.day == INVALID ||
	    date.hours == INVALID || date.minutes == INVALID || date.seconds == INVALID ||
	    date.year < 1970)
		return -1;
	if (date.day > rtc_days_in_month(date.year, date.month))
		return -1;
	return rtc_date_to_seconds(&date);
}

/* --- the clock; the lock is held ------------------------------------------------------------ */

/* The chip has no year 10000: the clock stands still at its end. */
static int64_t rtc_current_seconds(const struct rtc *rtc, uint64_t now)
{
	int64_t seconds = rtc->seconds;

	if (rtc->running)
		seconds += (int64_t)((now - rtc->seconds_ns) / NS_PER_SECOND);
	return min_t(int64_t, seconds, SECONDS_MAX);
}

static bool rtc_should_run(const struct rtc *rtc)
{
	return !(rtc->bytes[REGISTER_B] & B_SET) &&
	       (rtc->bytes[REGISTER_A] & A_DIVIDER) == A_DIVIDER_RUNS;
}

static void rtc_stop_clock(struct rtc *rtc, uint64_t now)
{
	if (!rtc->running)
		return;
	rtc->seconds = rtc_current_seconds(rtc, now);
	rtc->phase_ns = (now - rtc->seconds_ns) % NS_PER_SECOND;
	rtc->running = false;
	rtc_store_date(rtc, rtc->seconds);
}

/* From the time bytes, if they are a date. */
static void rtc_run_clock(struct rtc *rtc, uint64_t now)
{
	int64_t seconds = rtc_parse_date(rtc);

	if (rtc->running || !rtc_should_run(rtc) || seconds < 0)
		return;
	rtc->seconds = seconds;
	rtc->seconds_ns = now - rtc->phase_ns;
	rtc->seen = seconds;
	rtc->running = true;
}

static uint64_t rtc_until_update(const struct rtc *rtc, uint64_t now)
{
	return NS_PER_SECOND - (now - rtc->seconds_ns) % NS_PER_SECOND;
}

/* Rates 1 and 2 are those of 8 and 9 (table 5 of the data sheet). */
static void rtc_set_rate(struct rtc *rtc, uint64_t now)
{
	unsigned int rate = rtc->bytes[REGISTER_A] & A_RATE;
	bool divided = (rtc->bytes[REGISTER_A] & A_DIVIDER) == A_DIVIDER_RUNS;

	rtc->periodic_on = rate && divided;
	if (rate == 1 || rate == 2)
		rate += 7;
	if (!rtc->periodic_on)
		return;
	periodic_start(&rtc->periodic, now, 1ull << (rate - 1), CRYSTAL_HZ);
	rtc->periodic_at = periodic_deadline(&rtc->periodic, now);
}

/* Ticks from before now are not made up for. */
static void rtc_skip_ticks(struct rtc *rtc, uint64_t now)
{
	if (!rtc->periodic_on)
		return;
	periodic_done(&rtc->periodic, now, IRQ_IGNORED);
	rtc->periodic_at = periodic_deadline(&rtc->periodic, now);
}

/* --- alarm; the lock is held ------------------------------------------------------------------ */

static int rtc_decode_alarm(const struct rtc *rtc, unsigned int index)
{
	uint8_t byte = rtc->bytes[index];

	if ((byte & ALARM_ANY) == ALARM_ANY)
		return ANY;
	if (index == HOURS_ALARM)
		return rtc_decode_hours(rtc, byte);
	return rtc_decode_byte(rtc, byte, 0, 59);
}

/* The first value from 'from' up to 'end' that the alarm byte matches; 'end' if none. */
static int rtc_first_match(int alarm, int from, int end)
{
	if (alarm == ANY)
		return from;
	return alarm >= from ? alarm : end;
}

/* The first match after 'after', INT64_MAX if an alarm byte is no time. */
static int64_t rtc_next_alarm(const struct rtc *rtc, int64_t after)
{
	int hours_alarm = rtc_decode_alarm(rtc, HOURS_ALARM);
	int minutes_alarm = rtc_decode_alarm(rtc, MINUTES_ALARM);
	int seconds_alarm = rtc_decode_alarm(rtc, SECONDS_ALARM);
	int64_t from = after + 1;
	int64_t day = from - from % SECONDS_PER_DAY;
	int rest = (int)(from - day);
	int hours = rest / 3600, minutes = rest / 60 % 60, seconds = rest % 60;

	if (hours_alarm == INVALID || minutes_alarm == INVALID || seconds_alarm == INVALID)
		return INT64_MAX;
	/* Carry upwards wherever a place has no match left; one day and a bit is enough. */
	for (;;) {
		int match = rtc_first_match(hours_alarm, hours, 24);

		if (match > hours)
			minutes = seconds = 0;
		hours = match;
		if (hours >= 24) {
			day += SECONDS_PER_DAY;
			hours = minutes = seconds = 0;
			continue;
		}
		match = rtc_first_match(minutes_alarm, minutes, 60);
		if (match > minutes)
			seconds = 0;
		minutes = match;
		if (minutes < 60)
			seconds = rtc_first_match(seconds_alarm, seconds, 60);
		if (minutes < 60 && seconds < 60)
			return day + hours * 3600 + minutes * 60 + seconds;
		if (minutes < 59) {
			minutes++;
		} else {
			hours++;
			minutes = 0;
		}
		seconds = 0;
	}
}

/* --- flags and interrupt; the lock is held ------------------------------------------------------ */

static bool rtc_is_interrupting(const struct rtc *rtc)
{
	return rtc->bytes[REGISTER_C] & rtc->bytes[REGISTER_B] & B_INTERRUPTS;
}

static void rtc_update_line(struct rtc *rtc)
{
	bool high;

	if (rtc_is_interrupting(rtc))
		rtc->bytes[REGISTER_C] |= C_INTERRUPT;
	else
		rtc->bytes[REGISTER_C] &= 0xff & ~C_INTERRUPT;
	high = rtc_is_interrupting(rtc) && !rtc->irq_masked;
	if (high != rtc->line) {
		rtc->line = high;
		isa_irq_set(rtc->vm, RTC_IRQ, high);
	}
}

/* A periodic tick that finds its flag still set is made up for, if interrupts are on. */
static void rtc_settle_periodic(struct rtc *rtc, uint64_t now)
{
	enum irq_outcome outcome = IRQ_IGNORED;

	if (!rtc->periodic_on || now < rtc->periodic_at)
		return;
	if (rtc->bytes[REGISTER_B] & B_PERIODIC)
		outcome = rtc->bytes[REGISTER_C] & B_PERIODIC ? IRQ_COALESCED : IRQ_DELIVERED;
	periodic_done(&rtc->periodic, now, outcome);
	rtc->periodic_at = periodic_deadline(&rtc->periodic, now);
	rtc->bytes[REGISTER_C] |= B_PERIODIC;
}

static void rtc_settle_updates(struct rtc *rtc, uint64_t now)
{
	int64_t seconds = rtc_current_seconds(rtc, now);

	if (!rtc->running || seconds <= rtc->seen)
		return;
	rtc->bytes[REGISTER_C] |= B_UPDATE;
	if (rtc_next_alarm(rtc, rtc->seen) <= seconds)
		rtc->bytes[REGISTER_C] |= B_ALARM;
	rtc->seen = seconds;
}

/* When the host's timer should look next; UINT64_MAX for never. */
static uint64_t rtc_next_event(const struct rtc *rtc, uint64_t now)
{
	uint8_t enabled = rtc->bytes[REGISTER_B];
	uint64_t next = UINT64_MAX;
	int64_t seconds = rtc_current_seconds(rtc, now);
	int64_t alarm;

	if (rtc_is_interrupting(rtc))
		return next;
	if ((enabled & B_PERIODIC) && rtc->periodic_on)
		next = rtc->periodic_at;
	if (!rtc->running || seconds >= SECONDS_MAX)
		return next;
	if (enabled & B_UPDATE)
		next = min(next, now + rtc_until_update(rtc, now));
	if (enabled & B_ALARM) {
		alarm = rtc_next_alarm(rtc, seconds);
		if (alarm != INT64_MAX)
			next = min(next, now + rtc_until_update(rtc, now) +
						 (uint64_t)(alarm - seconds - 1) * NS_PER_SECOND);
	}
	return next;
}

/* Line and host timer follow the flags. */
static void rtc_update_interrupt(struct rtc *rtc, uint64_t now)
{
	uint64_t next;

	rtc_update_line(rtc);
	next = rtc_next_event(rtc, now);
	if (next != UINT64_MAX)
		os_timer_start(&rtc->timer, next);
	else
		(void)os_timer_try_cancel(&rtc->timer);
}

/* After time has passed or anything has changed. */
static void rtc_settle_all(struct rtc *rtc, uint64_t now)
{
	rtc_settle_periodic(rtc, now);
	rtc_settle_updates(rtc, now);
	rtc_update_interrupt(rtc, now);
}

static void rtc_timer_expired(struct os_timer *timer)
{
	struct rtc *rtc = container_of(timer, struct rtc, timer);
	unsigned long flags = os_spin_lock(&rtc->lock);

	rtc_settle_all(rtc, os_now_ns());
	os_spin_unlock(&rtc->lock, flags);
}

/* --- registers; the lock is held -------------------------------------------------------------- */

static bool rtc_is_time(unsigned int index)
{
	return index == SECONDS || index == MINUTES || index == HOURS ||
	       (index >= DAY_OF_WEEK && index <= YEAR) || index == RTC_CENTURY;
}

static uint8_t rtc_read_byte(struct rtc *rtc, unsigned int index, uint64_t now)
{
	if (rtc_is_time(index) && rtc->running)
		rtc_store_date(rtc, rtc_current_seconds(rtc, now));
	if (index == REGISTER_A && rtc->running && rtc_until_update(rtc, now) <= UPDATE_WARNING_NS)
		return rtc->bytes[REGISTER_A] | A_UPDATING;
	return rtc->bytes[index];
}

/* A running clock goes on from the new value, its fraction of a second unchanged. */
static void rtc_write_time(struct rtc *rtc, unsigned int index, uint8_t value, uint64_t now)
{
	rtc_stop_clock(rtc, now);
	rtc->bytes[index] = value;
	rtc_run_clock(rtc, now);
}

/* The divider's first second after a reset is half as long. */
static void rtc_write_register_a(struct rtc *rtc, uint8_t value, uint64_t now)
{
	uint8_t old = rtc->bytes[REGISTER_A];

	rtc->bytes[REGISTER_A] = value & ~A_UPDATING & 0xff;
	if (!rtc_should_run(rtc))
		rtc_stop_clock(rtc, now);
	if ((value & A_DIVIDER_RESET) == A_DIVIDER_RESET)
		rtc->phase_ns = NS_PER_SECOND / 2;
	rtc_run_clock(rtc, now);
	if ((value ^ old) & (A_DIVIDER | A_RATE))
		rtc_set_rate(rtc, now);
}

static void rtc_write_register_b(struct rtc *rtc, uint8_t value, uint64_t now)
{
	uint8_t old = rtc->bytes[REGISTER_B];

	/* The bytes a stop leaves behind are in the format so far. */
	if (value & B_SET) {
		rtc_stop_clock(rtc, now);
		if (!(old & B_SET))
			value &= (uint8_t)~B_UPDATE;
	}
	if (value & ~old & B_PERIODIC)
		rtc_skip_ticks(rtc, now);
	rtc->bytes[REGISTER_B] = value;
	rtc_run_clock(rtc, now);
}

static uint8_t rtc_read_register_c(struct rtc *rtc, uint64_t now)
{
	uint8_t value = rtc->bytes[REGISTER_C];

	rtc->bytes[REGISTER_C] = 0;
	rtc_update_interrupt(rtc, now);
	return value;
}

static void rtc_write_byte(struct rtc *rtc, unsigned int index, uint8_t value, uint64_t now)
{
	if (rtc_is_time(index))
		rtc_write_time(rtc, index, value, now);
	else if (index == REGISTER_A)
		rtc_write_register_a(rtc, value, now);
	else if (index == REGISTER_B)
		rtc_write_register_b(rtc, value, now);
	else if (index != REGISTER_C && index != REGISTER_D)
		rtc->bytes[index] = value;
	rtc_settle_all(rtc, now);
}

uint8_t rtc_port_read(struct vm *vm, uint16_t port)
{
	struct rtc *rtc = vm->rtc;
	uint8_t value = 0xff;
	unsigned long flags;
	uint64_t now;

	if (port == PORT_INDEX)
		return value;
	flags = os_spin_lock(&rtc->lock);
	now = os_now_ns();
	rtc_settle_all(rtc, now);
	if (rtc->index == REGISTER_C)
		value = rtc_read_register_c(rtc, now);
	else
		value = rtc_read_byte(rtc, rtc->index, now);
	os_spin_unlock(&rtc->lock, flags);
	return value;
}

/* Bit 7 of the index masks NMI on a PC; there is no source of NMIs for it to mask. */
void rtc_port_write(struct vm *vm, uint16_t port, uint8_t value)
{
	struct rtc *rtc = vm->rtc;
	unsigned long flags = os_spin_lock(&rtc->lock);
	uint64_t now = os_now_ns();

	if (port == PORT_INDEX) {
		rtc->index = value & (RTC_NVRAM_SIZE - 1);
	} else {
		rtc_settle_all(rtc, now);
		rtc_write_byte(rtc, rtc->index, value, now);
	}
	os_spin_unlock(&rtc->lock, flags);
}

/* --- userspace -------------------------------------------------------------------- */

int rtc_settime(struct vm *vm, int64_t seconds)
{
	struct rtc *rtc = vm->rtc;
	unsigned long flags;
	uint64_t now;

	if (seconds < 0 || seconds > SECONDS_MAX)
		return -EINVAL;
	flags = os_spin_lock(&rtc->lock);
	now = os_now_ns();
	rtc_stop_clock(rtc, now);
	rtc->seconds = seconds;
	rtc->phase_ns = 0;
	rtc_store_date(rtc, seconds);
	rtc_run_clock(rtc, now);
	rtc_settle_all(rtc, now);
	os_spin_unlock(&rtc->lock, flags);
	return 0;
}

int64_t rtc_gettime(struct vm *vm)
{
	struct rtc *rtc = vm->rtc;
	unsigned long flags = os_spin_lock(&rtc->lock);
	int64_t parsed = rtc->running ? -1 : rtc_parse_date(rtc);
	int64_t seconds = parsed >= 0 ? parsed : rtc_current_seconds(rtc, os_now_ns());

	os_spin_unlock(&rtc->lock, flags);
	return seconds;
}

int rtc_nvram_read(struct vm *vm, int offset, uint8_t *value)
{
	struct rtc *rtc = vm->rtc;
	unsigned long flags;

	if (offset < 0 || offset >= RTC_NVRAM_SIZE)
		return -EINVAL;
	flags = os_spin_lock(&rtc->lock);
	*value = rtc_read_byte(rtc, (unsigned int)offset, os_now_ns());
	os_spin_unlock(&rtc->lock, flags);
	return 0;
}

int rtc_nvram_write(struct vm *vm, int offset, uint8_t value)
{
	struct rtc *rtc = vm->rtc;
	unsigned long flags;

	if (offset <= REGISTER_D || offset >= RTC_NVRAM_SIZE || offset == RTC_CENTURY)
		return -EINVAL;
	flags = os_spin_lock(&rtc->lock);
	rtc->bytes[offset] = value;
	os_spin_unlock(&rtc->lock, flags);
	return 0;
}

void rtc_set_irq_masked(struct vm *vm, bool masked)
{
	struct rtc *rtc = vm->rtc;
	unsigned long flags = os_spin_lock(&rtc->lock);

	rtc->irq_masked = masked;
	rtc_settle_all(rtc, os_now_ns());
	os_spin_unlock(&rtc->lock, flags);
}

/* --- life ---------------------------------------------------------------------------------------- */

int rtc_create(struct vm *vm)
{
	struct rtc *rtc = os_alloc(sizeof(*rtc));
	uint64_t now = os_now_ns();
	int64_t wall = os_wall_seconds();

	if (!rtc)
		return -ENOMEM;
	rtc->vm = vm;
	os_spin_init(&rtc->lock);
	os_timer_init(&rtc->timer, rtc_timer_expired);
	rtc->bytes[REGISTER_A] = A_DIVIDER_RUNS | 6; /* 1024 Hz, as firmware leaves it */
	rtc->bytes[REGISTER_B] = B_24_HOURS;
	rtc->bytes[REGISTER_D] = D_VALID;
	rtc_store_date(rtc, wall < 0 ? 0 : min_t(int64_t, wall, SECONDS_MAX));
	rtc_run_clock(rtc, now);
	rtc_set_rate(rtc, now);
	vm->rtc = rtc;
	return 0;
}

void rtc_reset(struct vm *vm)
{
	struct rtc *rtc = vm->rtc;
	unsigned long flags = os_spin_lock(&rtc->lock);

	rtc->bytes[REGISTER_B] &= (uint8_t) ~(B_INTERRUPTS | B_SQUARE_WAVE);
	rtc->bytes[REGISTER_C] = 0;
	rtc->irq_masked = false;
	rtc_settle_all(rtc, os_now_ns());
	os_spin_unlock(&rtc->lock, flags);
}

void rtc_stop(struct vm *vm)
{
	struct rtc *rtc = vm->rtc;
	unsigned long flags = os_spin_lock(&rtc->lock);

	rtc->bytes[REGISTER_B] &= (uint8_t)~B_INTERRUPTS;
	os_spin_unlock(&rtc->lock, flags);
	os_timer_cancel(&rtc->timer);
}

void rtc_destroy(struct vm *vm)
{
	if (!vm->rtc)
		return;
	rtc_stop(vm);
	os_free(vm->rtc);
	vm->rtc = NULL;
}
