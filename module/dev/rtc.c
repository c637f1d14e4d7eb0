// SPDX-License-Identifier: BSD-2-Clause
/*
 * The real-time clock, after Motorola's MC146818A data sheet: its registers, flags and
 * interrupt. What the time bytes count is dev/rtc_clock.c's.
 *
 * Nothing counts by itself: the clock is advanced by the seconds that have passed, and the
 * flags are brought up to date, when somebody looks; a host timer runs only while an
 * interrupt is enabled and not yet raised.
 */
#include "vm/timer.h"
#include "vm/vcpu.h"
#include "dev/periodic.h"
#include "dev/pic.h"
#include "dev/rtc.h"
#include "dev/rtc_clock.h"

#define PORT_INDEX 0x70
#define RTC_IRQ	   8

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
#define B_FORMAT	(RTC_B_BINARY | RTC_B_24_HOURS)
#define C_INTERRUPT	0x80
#define D_VALID		0x80 /* the battery is good */

#define CRYSTAL_HZ 32768
/* UIP rises this long before the update, which takes no time here. */
#define UPDATE_WARNING_NS 244000

struct rtc {
	struct vm *vm; /* constant */
	struct os_spinlock lock;
	uint8_t index; /* lock, like all below */
	struct rtc_clock clock;
	bool running;	    /* updates come: neither SET nor the divider holds them */
	uint64_t update_ns; /* while it runs: the last update that 'clock' has counted */
	uint64_t phase_ns;  /* while it does not: into the current second */
	struct periodic periodic;
	bool periodic_on;     /* a rate is chosen and the divider runs */
	uint64_t periodic_at; /* when to look for the next tick */
	bool irq_masked;
	bool line; /* IRQ 8 is driven */
	struct os_timer timer;
};

/* --- the clock; the lock is held ------------------------------------------ */

static bool rtc_should_run(const struct rtc *rtc)
{
	return !(rtc->clock.bytes[RTC_REGISTER_B] & B_SET) &&
	       (rtc->clock.bytes[RTC_REGISTER_A] & A_DIVIDER) == A_DIVIDER_RUNS;
}

/* Register A or B has changed; the clock has counted up to now. */
static void rtc_update_running(struct rtc *rtc, uint64_t now)
{
	bool run = rtc_should_run(rtc);

	if (run && !rtc->running)
		rtc->update_ns = now - rtc->phase_ns;
	else if (!run && rtc->running)
		rtc->phase_ns = now - rtc->update_ns;
	rtc->running = run;
}

static uint64_t rtc_until_update(const struct rtc *rtc, uint64_t now)
{
	return NS_PER_SECOND - (now - rtc->update_ns) % NS_PER_SECOND;
}

/* Rates 1 and 2 are those of 8 and 9 (table 5 of the data sheet). */
static void rtc_set_rate(struct rtc *rtc, uint64_t now)
{
	unsigned int rate = rtc->clock.bytes[RTC_REGISTER_A] & A_RATE;
	bool divided = (rtc->clock.bytes[RTC_REGISTER_A] & A_DIVIDER) == A_DIVIDER_RUNS;

	rtc->periodic_on = rate && divided;
	if (rate == 1 || rate == 2)
		rate += 7;
	if (!rtc->periodic_on)
		return;
	periodic_start_device(&rtc->periodic, now, 1ull << (rate - 1), CRYSTAL_HZ);
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

/* --- flags and interrupt; the lock is held -------------------------------- */

static bool rtc_is_interrupting(const struct rtc *rtc)
{
	return rtc->clock.bytes[RTC_REGISTER_C] & rtc->clock.bytes[RTC_REGISTER_B] & B_INTERRUPTS;
}

static void rtc_update_line(struct rtc *rtc)
{
	bool high;

	if (rtc_is_interrupting(rtc))
		rtc->clock.bytes[RTC_REGISTER_C] |= C_INTERRUPT;
	else
		rtc->clock.bytes[RTC_REGISTER_C] &= 0xff & ~C_INTERRUPT;
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
	if (rtc->clock.bytes[RTC_REGISTER_B] & B_PERIODIC)
		outcome = rtc->clock.bytes[RTC_REGISTER_C] & B_PERIODIC ? IRQ_COALESCED :
									  IRQ_DELIVERED;
	periodic_done(&rtc->periodic, now, outcome);
	rtc->periodic_at = periodic_deadline(&rtc->periodic, now);
	rtc->clock.bytes[RTC_REGISTER_C] |= B_PERIODIC;
}

static void rtc_settle_updates(struct rtc *rtc, uint64_t now)
{
	uint64_t updates = rtc->running ? (now - rtc->update_ns) / NS_PER_SECOND : 0;

	if (!updates)
		return;
	rtc->update_ns += updates * NS_PER_SECOND;
	rtc->clock.bytes[RTC_REGISTER_C] |= B_UPDATE;
	if (rtc_clock_advance(&rtc->clock, updates))
		rtc->clock.bytes[RTC_REGISTER_C] |= B_ALARM;
}

/* When the next update interrupts, by itself or by the alarm; UINT64_MAX for never. */
static uint64_t rtc_next_update_event(const struct rtc *rtc, uint64_t now)
{
	uint8_t enabled = rtc->clock.bytes[RTC_REGISTER_B];
	uint64_t updates = RTC_NO_ALARM;

	if (!rtc->running)
		return UINT64_MAX;
	if (enabled & B_UPDATE)
		updates = 1;
	else if (enabled & B_ALARM)
		updates = rtc_clock_next_alarm(&rtc->clock);
	if (updates == RTC_NO_ALARM)
		return UINT64_MAX;
	return now + rtc_until_update(rtc, now) + (updates - 1) * NS_PER_SECOND;
}

/* When the host's timer should look next; UINT64_MAX for never. */
static uint64_t rtc_next_event(const struct rtc *rtc, uint64_t now)
{
	uint64_t next;

	if (rtc_is_interrupting(rtc))
		return UINT64_MAX;
	next = rtc_next_update_event(rtc, now);
	if ((rtc->clock.bytes[RTC_REGISTER_B] & B_PERIODIC) && rtc->periodic_on)
		next = min(next, rtc->periodic_at);
	return next;
}

/* Line and host timer follow the flags. */
static void rtc_update_interrupt(struct rtc *rtc, uint64_t now)
{
	uint64_t next;

	rtc_update_line(rtc);
	next = rtc_next_event(rtc, now);
	if (next != UINT64_MAX && vm_timers_wanted(rtc->vm))
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

/* --- registers; the lock is held ------------------------------------------ */

static uint8_t rtc_read_byte(struct rtc *rtc, unsigned int index, uint64_t now)
{
	uint8_t value = rtc->clock.bytes[index];

	if (index == RTC_REGISTER_A && rtc->running &&
	    rtc_until_update(rtc, now) <= UPDATE_WARNING_NS)
		value |= A_UPDATING;
	return value;
}

/* The first update after a reset of the divider comes half a second after its release. */
static void rtc_write_register_a(struct rtc *rtc, uint8_t value, uint64_t now)
{
	uint8_t old = rtc->clock.bytes[RTC_REGISTER_A];

	rtc->clock.bytes[RTC_REGISTER_A] = value & ~A_UPDATING & 0xff;
	rtc_update_running(rtc, now);
	if ((value & A_DIVIDER_RESET) == A_DIVIDER_RESET)
		rtc->phase_ns = NS_PER_SECOND / 2;
	if ((value ^ old) & (A_DIVIDER | A_RATE))
		rtc_set_rate(rtc, now);
}

/* A clock that goes on does so in the new format; with SET the bytes stay as they are. */
static void rtc_write_register_b(struct rtc *rtc, uint8_t value, uint64_t now)
{
	uint8_t old = rtc->clock.bytes[RTC_REGISTER_B];

	if (value & ~old & B_SET)
		value &= (uint8_t)~B_UPDATE;
	if (value & ~old & B_PERIODIC)
		rtc_skip_ticks(rtc, now);
	if (rtc->running && !(value & B_SET) && ((value ^ old) & B_FORMAT))
		rtc_clock_change_format(&rtc->clock, value);
	rtc->clock.bytes[RTC_REGISTER_B] = value;
	rtc_update_running(rtc, now);
}

static uint8_t rtc_read_register_c(struct rtc *rtc, uint64_t now)
{
	uint8_t value = rtc->clock.bytes[RTC_REGISTER_C];

	rtc->clock.bytes[RTC_REGISTER_C] = 0;
	rtc_update_interrupt(rtc, now);
	return value;
}

static void rtc_write_byte(struct rtc *rtc, unsigned int index, uint8_t value, uint64_t now)
{
	if (index == RTC_REGISTER_A)
		rtc_write_register_a(rtc, value, now);
	else if (index == RTC_REGISTER_B)
		rtc_write_register_b(rtc, value, now);
	else if (index != RTC_REGISTER_C && index != RTC_REGISTER_D)
		rtc->clock.bytes[index] = value;
	if (index == RTC_CENTURY)
		rtc_clock_century_written(&rtc->clock);
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
	if (rtc->index == RTC_REGISTER_C)
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

	if (seconds < 0 || seconds > RTC_SECONDS_MAX)
		return -EINVAL;
	flags = os_spin_lock(&rtc->lock);
	now = os_now_ns();
	rtc_settle_all(rtc, now);
	rtc_clock_set(&rtc->clock, seconds);
	rtc->update_ns = now;
	rtc->phase_ns = 0;
	rtc_settle_all(rtc, now);
	os_spin_unlock(&rtc->lock, flags);
	return 0;
}

int64_t rtc_gettime(struct vm *vm)
{
	struct rtc *rtc = vm->rtc;
	unsigned long flags = os_spin_lock(&rtc->lock);
	int64_t seconds;

	rtc_settle_all(rtc, os_now_ns());
	seconds = rtc_clock_get(&rtc->clock);
	os_spin_unlock(&rtc->lock, flags);
	return seconds;
}

int rtc_nvram_read(struct vm *vm, int offset, uint8_t *value)
{
	struct rtc *rtc = vm->rtc;
	unsigned long flags;
	uint64_t now;

	if (offset < 0 || offset >= RTC_NVRAM_SIZE)
		return -EINVAL;
	flags = os_spin_lock(&rtc->lock);
	now = os_now_ns();
	rtc_settle_all(rtc, now);
	*value = rtc_read_byte(rtc, (unsigned int)offset, now);
	os_spin_unlock(&rtc->lock, flags);
	return 0;
}

int rtc_nvram_write(struct vm *vm, int offset, uint8_t value)
{
	struct rtc *rtc = vm->rtc;
	unsigned long flags;

	if (offset <= RTC_REGISTER_D || offset >= RTC_NVRAM_SIZE || offset == RTC_CENTURY)
		return -EINVAL;
	flags = os_spin_lock(&rtc->lock);
	rtc->clock.bytes[offset] = value;
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

/* --- life ----------------------------------------------------------------- */

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
	rtc->clock.bytes[RTC_REGISTER_A] = A_DIVIDER_RUNS | 6; /* 1024 Hz, as firmware leaves it */
	rtc->clock.bytes[RTC_REGISTER_B] = RTC_B_24_HOURS;
	rtc->clock.bytes[RTC_REGISTER_D] = D_VALID;
	rtc_clock_set(&rtc->clock, wall < 0 ? 0 : min_t(int64_t, wall, RTC_SECONDS_MAX));
	rtc_update_running(rtc, now);
	rtc_set_rate(rtc, now);
	vm->rtc = rtc;
	return 0;
}

void rtc_reset(struct vm *vm)
{
	struct rtc *rtc = vm->rtc;
	unsigned long flags = os_spin_lock(&rtc->lock);

	rtc->clock.bytes[RTC_REGISTER_B] &= (uint8_t) ~(B_INTERRUPTS | B_SQUARE_WAVE);
	rtc->clock.bytes[RTC_REGISTER_C] = 0;
	rtc->irq_masked = false;
	rtc_settle_all(rtc, os_now_ns());
	os_spin_unlock(&rtc->lock, flags);
}

void rtc_stop(struct vm *vm)
{
	struct rtc *rtc = vm->rtc;
	unsigned long flags = os_spin_lock(&rtc->lock);

	rtc->clock.bytes[RTC_REGISTER_B] &= (uint8_t)~B_INTERRUPTS;
	os_spin_unlock(&rtc->lock, flags);
	os_timer_cancel(&rtc->timer);
}

void rtc_resume(struct vm *vm)
{
	struct rtc *rtc = vm->rtc;
	unsigned long flags = os_spin_lock(&rtc->lock);

	rtc_settle_all(rtc, os_now_ns());
	os_spin_unlock(&rtc->lock, flags);
}

void rtc_destroy(struct vm *vm)
{
	if (!vm->rtc)
		return;
	rtc_stop(vm);
	os_free(vm->rtc);
	vm->rtc = NULL;
}
