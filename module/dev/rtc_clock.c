// SPDX-License-Identifier: BSD-2-Clause
/* The counters of the real-time clock; rtc_clock.h. */
#include "dev/rtc_clock.h"

#define HOURS_PM	0x80
#define ALARM_ANY	0xc0 /* both bits set: matches always */
#define ANY		(-2)
#define INVALID		(-1)
#define SECONDS_PER_DAY 86400
/* The calendar repeats, weekdays included, after so many years. */
#define CYCLE_YEARS   400
#define CYCLE_SECONDS (146097ll * SECONDS_PER_DAY)

/* --- dates ---------------------------------------------------------------- */

struct date {
	int year, month, day; /* month and day from 1 */
	int hours, minutes, seconds;
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

/* 'seconds' is not before 1970. */
static void rtc_seconds_to_date(int64_t seconds, struct date *date)
{
	int64_t days = seconds / SECONDS_PER_DAY;
	int rest = (int)(seconds % SECONDS_PER_DAY);
	int year = 1970 + (int)(days / 366); /* never too late; 17 too early by 9999 */
	int month = 1;

	while (days >= rtc_days_to_year(year + 1))
		year++;
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

/* --- formats -------------------------------------------------------------- */

static uint8_t rtc_encode_byte(const struct rtc_clock *clock, int value)
{
	if (clock->bytes[RTC_REGISTER_B] & RTC_B_BINARY)
		return (uint8_t)value;
	return (uint8_t)(value / 10 << 4 | value % 10);
}

/* INVALID unless between low and high. */
static int rtc_decode_byte(const struct rtc_clock *clock, uint8_t byte, int low, int high)
{
	int value = byte;

	if (!(clock->bytes[RTC_REGISTER_B] & RTC_B_BINARY)) {
		if ((byte & 0xf) > 9 || byte >> 4 > 9)
			return INVALID;
		value = (byte >> 4) * 10 + (byte & 0xf);
	}
	return value >= low && value <= high ? value : INVALID;
}

static uint8_t rtc_encode_hours(const struct rtc_clock *clock, int hours)
{
	int twelve = hours % 12 ? hours % 12 : 12;

	if (clock->bytes[RTC_REGISTER_B] & RTC_B_24_HOURS)
		return rtc_encode_byte(clock, hours);
	return (uint8_t)(rtc_encode_byte(clock, twelve) | (hours >= 12 ? HOURS_PM : 0));
}

static int rtc_decode_hours(const struct rtc_clock *clock, uint8_t byte)
{
	int hours;

	if (clock->bytes[RTC_REGISTER_B] & RTC_B_24_HOURS)
		return rtc_decode_byte(clock, byte, 0, 23);
	hours = rtc_decode_byte(clock, byte & ~HOURS_PM & 0xff, 1, 12);
	if (hours == INVALID)
		return INVALID;
	return hours % 12 + (byte & HOURS_PM ? 12 : 0);
}

/* The second of the day, INVALID if one of its three registers holds none. */
static int rtc_time_of_day(const struct rtc_clock *clock)
{
	int hours = rtc_decode_hours(clock, clock->bytes[RTC_HOURS]);
	int minutes = rtc_decode_byte(clock, clock->bytes[RTC_MINUTES], 0, 59);
	int seconds = rtc_decode_byte(clock, clock->bytes[RTC_SECONDS], 0, 59);

	if (hours == INVALID || minutes == INVALID || seconds == INVALID)
		return INVALID;
	return hours * 3600 + minutes * 60 + seconds;
}

static void rtc_store_time_of_day(struct rtc_clock *clock, int second)
{
	clock->bytes[RTC_SECONDS] = rtc_encode_byte(clock, second % 60);
	clock->bytes[RTC_MINUTES] = rtc_encode_byte(clock, second / 60 % 60);
	clock->bytes[RTC_HOURS] = rtc_encode_hours(clock, second / 3600);
}

/* All of a date but the day of the week. */
static void rtc_store_date(struct rtc_clock *clock, const struct date *date)
{
	rtc_store_time_of_day(clock, date->hours * 3600 + date->minutes * 60 + date->seconds);
	clock->bytes[RTC_DAY] = rtc_encode_byte(clock, date->day);
	clock->bytes[RTC_MONTH] = rtc_encode_byte(clock, date->month);
	clock->bytes[RTC_YEAR] = rtc_encode_byte(clock, date->year % 100);
	clock->century = date->year / 100;
}

/* False where the registers are none. */
static bool rtc_load_date(const struct rtc_clock *clock, struct date *date)
{
	int year = rtc_decode_byte(clock, clock->bytes[RTC_YEAR], 0, 99);
	int second = rtc_time_of_day(clock);

	date->year = clock->century * 100 + year;
	date->month = rtc_decode_byte(clock, clock->bytes[RTC_MONTH], 1, 12);
	date->day = rtc_decode_byte(clock, clock->bytes[RTC_DAY], 1, 31);
	date->hours = second / 3600;
	date->minutes = second / 60 % 60;
	date->seconds = second % 60;
	return year != INVALID && second != INVALID && date->month != INVALID &&
	       date->day != INVALID && date->day <= rtc_days_in_month(date->year, date->month);
}

/* --- counting, as the chip does ------------------------------------------- */

static uint8_t rtc_count_digits(const struct rtc_clock *clock, uint8_t byte)
{
	if (!(clock->bytes[RTC_REGISTER_B] & RTC_B_BINARY) && (byte & 0xf) >= 9)
		return (uint8_t)((byte & 0xf0) + 0x10);
	return (uint8_t)(byte + 1);
}

/* One step of a register that counts from 'first' to 'last'. True: a carry. */
static bool rtc_count_register(struct rtc_clock *clock, unsigned int index, int first, int last)
{
	uint8_t *byte = &clock->bytes[index];

	if (*byte >= rtc_encode_byte(clock, last)) {
		*byte = rtc_encode_byte(clock, first);
		return true;
	}
	*byte = rtc_count_digits(clock, *byte);
	return false;
}

/* 12 is before 1, and 11 is where PM changes. */
static bool rtc_count_twelve_hours(struct rtc_clock *clock)
{
	uint8_t *byte = &clock->bytes[RTC_HOURS];
	uint8_t hours = *byte & ~HOURS_PM & 0xff;
	uint8_t pm = *byte & HOURS_PM;

	if (hours == rtc_encode_byte(clock, 11)) {
		*byte = rtc_encode_byte(clock, 12) | (pm ^ HOURS_PM);
		return pm;
	}
	if (hours >= rtc_encode_byte(clock, 12))
		hours = rtc_encode_byte(clock, 1);
	else
		hours = rtc_count_digits(clock, hours);
	*byte = hours | pm;
	return false;
}

static bool rtc_count_hours(struct rtc_clock *clock)
{
	if (clock->bytes[RTC_REGISTER_B] & RTC_B_24_HOURS)
		return rtc_count_register(clock, RTC_HOURS, 0, 23);
	return rtc_count_twelve_hours(clock);
}

static int rtc_last_day_of_month(const struct rtc_clock *clock)
{
	int year = rtc_decode_byte(clock, clock->bytes[RTC_YEAR], 0, 99);
	int month = rtc_decode_byte(clock, clock->bytes[RTC_MONTH], 1, 12);

	if (month == INVALID)
		return 31;
	return rtc_days_in_month(clock->century * 100 + (year == INVALID ? 0 : year), month);
}

static void rtc_count_day(struct rtc_clock *clock)
{
	(void)rtc_count_register(clock, RTC_DAY_OF_WEEK, 1, 7);
	if (!rtc_count_register(clock, RTC_DAY, 1, rtc_last_day_of_month(clock)))
		return;
	if (!rtc_count_register(clock, RTC_MONTH, 1, 12))
		return;
	if (rtc_count_register(clock, RTC_YEAR, 0, 99) && clock->century < 99)
		clock->century++;
}

static void rtc_count_second(struct rtc_clock *clock)
{
	if (rtc_count_register(clock, RTC_SECONDS, 0, 59) &&
	    rtc_count_register(clock, RTC_MINUTES, 0, 59) && rtc_count_hours(clock))
		rtc_count_day(clock);
}

/* --- alarm ---------------------------------------------------------------- */

static bool rtc_alarm_byte_matches(const struct rtc_clock *clock, unsigned int alarm,
				   unsigned int time)
{
	uint8_t byte = clock->bytes[alarm];

	return (byte & ALARM_ANY) == ALARM_ANY || byte == clock->bytes[time];
}

static bool rtc_alarm_matches(const struct rtc_clock *clock)
{
	return rtc_alarm_byte_matches(clock, RTC_SECONDS_ALARM, RTC_SECONDS) &&
	       rtc_alarm_byte_matches(clock, RTC_MINUTES_ALARM, RTC_MINUTES) &&
	       rtc_alarm_byte_matches(clock, RTC_HOURS_ALARM, RTC_HOURS);
}

static int rtc_decode_alarm(const struct rtc_clock *clock, unsigned int index)
{
	uint8_t byte = clock->bytes[index];

	if ((byte & ALARM_ANY) == ALARM_ANY)
		return ANY;
	if (index == RTC_HOURS_ALARM)
		return rtc_decode_hours(clock, byte);
	return rtc_decode_byte(clock, byte, 0, 59);
}

/* The first value from 'from' up to 'end' that the alarm byte matches; 'end' if none. */
static int rtc_first_match(int alarm, int from, int end)
{
	if (alarm == ANY)
		return from;
	return alarm >= from ? alarm : end;
}

/* The first match after second 'after' of the day, in seconds of that day; INT64_MAX: none. */
static int64_t rtc_match_after(const struct rtc_clock *clock, int64_t after)
{
	int hours_alarm = rtc_decode_alarm(clock, RTC_HOURS_ALARM);
	int minutes_alarm = rtc_decode_alarm(clock, RTC_MINUTES_ALARM);
	int seconds_alarm = rtc_decode_alarm(clock, RTC_SECONDS_ALARM);
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

/* Registers that hold no time of day do so after little more than an hour: step by step. */
uint64_t rtc_clock_next_alarm(const struct rtc_clock *clock)
{
	int second = rtc_time_of_day(clock);
	int64_t match;

	if (second == INVALID)
		return 1;
	match = rtc_match_after(clock, second);
	return match == INT64_MAX ? RTC_NO_ALARM : (uint64_t)(match - second);
}

/* --- any number of updates ------------------------------------------------ */

/* After the first step the register is in order, and seven more change nothing. */
static void rtc_count_days_of_week(struct rtc_clock *clock, uint64_t days)
{
	if (days > 14)
		days = 7 + days % 7;
	while (days-- > 0)
		(void)rtc_count_register(clock, RTC_DAY_OF_WEEK, 1, 7);
}

static void rtc_add_to_date(struct rtc_clock *clock, struct date *date, uint64_t updates)
{
	int years = date->year < 1970 ? CYCLE_YEARS : 0;
	int64_t seconds, after;

	date->year += years;
	seconds = rtc_date_to_seconds(date);
	after = seconds + (int64_t)updates;
	rtc_count_days_of_week(clock,
			       (uint64_t)(after / SECONDS_PER_DAY - seconds / SECONDS_PER_DAY));
	while (after > RTC_SECONDS_MAX)
		after -= CYCLE_SECONDS;
	rtc_seconds_to_date(after, date);
	date->year -= years;
	rtc_store_date(clock, date);
}

/* To midnight at most. How many updates that was. */
static uint64_t rtc_add_to_day(struct rtc_clock *clock, int second, uint64_t updates)
{
	uint64_t left = (uint64_t)(SECONDS_PER_DAY - second);

	if (updates < left) {
		rtc_store_time_of_day(clock, second + (int)updates);
		return updates;
	}
	rtc_store_time_of_day(clock, 0);
	rtc_count_day(clock);
	return left;
}

/*
 * A part of 'updates', as large as the registers allow: all, where they are a date; what is
 * left of the day, where they are a time; else one.
 */
static uint64_t rtc_advance_step(struct rtc_clock *clock, uint64_t updates, bool *alarm)
{
	int second = rtc_time_of_day(clock);
	uint64_t next = rtc_clock_next_alarm(clock);
	struct date date;

	if (second == INVALID) {
		rtc_count_second(clock);
		*alarm |= rtc_alarm_matches(clock);
		return 1;
	}
	if (rtc_load_date(clock, &date))
		rtc_add_to_date(clock, &date, updates);
	else
		updates = rtc_add_to_day(clock, second, updates);
	*alarm |= next <= updates;
	return updates;
}

bool rtc_clock_advance(struct rtc_clock *clock, uint64_t updates)
{
	bool alarm = false;

	while (updates)
		updates -= rtc_advance_step(clock, updates, &alarm);
	return alarm;
}

/* --- setting and reading -------------------------------------------------- */

void rtc_clock_set(struct rtc_clock *clock, int64_t seconds)
{
	struct date date;

	rtc_seconds_to_date(seconds, &date);
	rtc_store_date(clock, &date);
	clock->bytes[RTC_DAY_OF_WEEK] =
		rtc_encode_byte(clock, (int)((seconds / SECONDS_PER_DAY + 4) % 7) + 1);
	clock->bytes[RTC_CENTURY] = rtc_encode_byte(clock, clock->century);
}

/* Within the limits, whatever the digits. */
static int rtc_decode_nearest(const struct rtc_clock *clock, unsigned int index, int low, int high)
{
	uint8_t byte = clock->bytes[index];
	int value = byte;

	if (!(clock->bytes[RTC_REGISTER_B] & RTC_B_BINARY))
		value = (byte >> 4) * 10 + (byte & 0xf);
	return min(max(value, low), high);
}

int64_t rtc_clock_get(const struct rtc_clock *clock)
{
	int hours = rtc_decode_hours(clock, clock->bytes[RTC_HOURS]);
	struct date date = {
		.year = clock->century * 100 + rtc_decode_nearest(clock, RTC_YEAR, 0, 99),
		.month = rtc_decode_nearest(clock, RTC_MONTH, 1, 12),
		.hours = hours == INVALID ? 0 : hours,
		.minutes = rtc_decode_nearest(clock, RTC_MINUTES, 0, 59),
		.seconds = rtc_decode_nearest(clock, RTC_SECONDS, 0, 59),
	};

	date.day = rtc_decode_nearest(clock, RTC_DAY, 1, rtc_days_in_month(date.year, date.month));
	return max_t(int64_t, rtc_date_to_seconds(&date), 0);
}

void rtc_clock_change_format(struct rtc_clock *clock, uint8_t register_b)
{
	static const uint8_t plain[] = { RTC_SECONDS, RTC_MINUTES, RTC_DAY_OF_WEEK,
					 RTC_DAY,     RTC_MONTH,   RTC_YEAR };
	int hours = rtc_decode_hours(clock, clock->bytes[RTC_HOURS]);
	int value[ARRAY_SIZE(plain)];

	for (unsigned int i = 0; i < ARRAY_SIZE(plain); i++)
		value[i] = rtc_decode_byte(clock, clock->bytes[plain[i]], 0, 99);
	clock->bytes[RTC_REGISTER_B] = register_b;
	for (unsigned int i = 0; i < ARRAY_SIZE(plain); i++)
		if (value[i] != INVALID)
			clock->bytes[plain[i]] = rtc_encode_byte(clock, value[i]);
	if (hours != INVALID)
		clock->bytes[RTC_HOURS] = rtc_encode_hours(clock, hours);
}

void rtc_clock_century_written(struct rtc_clock *clock)
{
	int century = rtc_decode_byte(clock, clock->bytes[RTC_CENTURY], 19, 99);

	if (century != INVALID)
		clock->century = century;
}
