/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The counters of the real-time clock: the time bytes, how each counts, and when the alarm
 * matches. It knows neither the host's time nor interrupts; those are dev/rtc.c's.
 *
 * The chip counts registers, not dates (MC146818A data sheet, "Time, Calendar, and Alarm
 * Locations"): each goes on from whatever was written and carries at its own limit. A value
 * beyond the limit carries with the next step. The century byte is no register of the chip
 * but NVRAM that software keeps; which century it is, for leap years and for userspace, is
 * remembered beside it.
 *
 * No lock of its own: the caller's.
 */
#ifndef DEV_RTC_CLOCK_H
#define DEV_RTC_CLOCK_H

#include "os/os.h"
#include "dev/rtc.h"

/* The bytes with a meaning. */
enum {
	RTC_SECONDS,
	RTC_SECONDS_ALARM,
	RTC_MINUTES,
	RTC_MINUTES_ALARM,
	RTC_HOURS,
	RTC_HOURS_ALARM,
	RTC_DAY_OF_WEEK, /* 1 is Sunday */
	RTC_DAY,
	RTC_MONTH,
	RTC_YEAR,
	RTC_REGISTER_A,
	RTC_REGISTER_B,
	RTC_REGISTER_C,
	RTC_REGISTER_D,
};

/* Register B: the format of the time bytes. */
#define RTC_B_BINARY   0x04
#define RTC_B_24_HOURS 0x02

#define RTC_SECONDS_MAX 253402300799ll /* 9999-12-31 23:59:59 */
#define RTC_NO_ALARM	UINT64_MAX

struct rtc_clock {
	uint8_t bytes[RTC_NVRAM_SIZE];
	int century; /* 19 to 99 */
};

/* Time and century byte, from seconds since 1970 up to RTC_SECONDS_MAX. */
void rtc_clock_set(struct rtc_clock *clock, int64_t seconds);
/* Seconds since 1970; of what is no date or lies before that, the nearest. */
int64_t rtc_clock_get(const struct rtc_clock *clock);
/* That many updates. True: the alarm has matched at one of them. */
bool rtc_clock_advance(struct rtc_clock *clock, uint64_t updates);
/* How many updates until the alarm may match; RTC_NO_ALARM: none that is known. */
uint64_t rtc_clock_next_alarm(const struct rtc_clock *clock);
/* Write register B, the time going on in the new format. */
void rtc_clock_change_format(struct rtc_clock *clock, uint8_t register_b);
/* The century byte has been written; nonsense there is no century. */
void rtc_clock_century_written(struct rtc_clock *clock);

#endif
