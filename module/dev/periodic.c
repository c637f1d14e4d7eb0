// SPDX-License-Identifier: BSD-2-Clause
/* The schedule of a periodic interrupt; periodic.h says what is promised. */
#include "dev/periodic.h"
#include "vm/timer.h"

void periodic_start(struct periodic *schedule, uint64_t start_ns, uint64_t period, uint64_t hz)
{
	schedule->start_ns = start_ns;
	schedule->period = period;
	schedule->hz = hz;
	schedule->min_ns = PERIODIC_MIN_NS;
	schedule->delivered = 0;
	schedule->stuck = false;
}

void periodic_start_device(struct periodic *schedule, uint64_t start_ns, uint64_t period,
			   uint64_t hz)
{
	periodic_start(schedule, start_ns, period, hz);
	schedule->min_ns = max(vm_timer_min_ns, PERIODIC_MIN_NS);
}

uint64_t periodic_elapsed(const struct periodic *schedule, uint64_t now_ns)
{
	uint64_t passed = now_ns - schedule->start_ns;

	return (int64_t)passed > 0 ? clock_scale(passed, NS_PER_SECOND, schedule->hz) : 0;
}

/* Number of the last tick that is due. */
static uint64_t periodic_last_tick(const struct periodic *schedule, uint64_t now_ns)
{
	return periodic_elapsed(schedule, now_ns) / schedule->period;
}

uint64_t periodic_moment(const struct periodic *schedule, uint64_t elapsed)
{
	return schedule->start_ns + clock_scale_up(elapsed, schedule->hz, NS_PER_SECOND);
}

static uint64_t periodic_tick_ns(const struct periodic *schedule, uint64_t tick)
{
	uint64_t ticks;

	if (__builtin_mul_overflow(tick, schedule->period, &ticks))
		ticks = CLOCK_FOREVER;
	return periodic_moment(schedule, ticks);
}

static uint64_t periodic_period_ns(const struct periodic *schedule)
{
	return clock_scale(schedule->period, schedule->hz, NS_PER_SECOND);
}

bool periodic_due(const struct periodic *schedule, uint64_t now_ns)
{
	return periodic_last_tick(schedule, now_ns) > schedule->delivered;
}

void periodic_done(struct periodic *schedule, uint64_t now_ns, enum irq_outcome outcome)
{
	uint64_t last = periodic_last_tick(schedule, now_ns);

	schedule->stuck = outcome == IRQ_COALESCED;
	if (periodic_period_ns(schedule) < schedule->min_ns || outcome == IRQ_IGNORED) {
		schedule->delivered = last;
		return;
	}
	if (last - schedule->delivered > PERIODIC_BACKLOG)
		schedule->delivered = last - PERIODIC_BACKLOG;
	if (outcome == IRQ_DELIVERED && schedule->delivered < last)
		schedule->delivered++;
}

uint64_t periodic_next_tick(const struct periodic *schedule, uint64_t now_ns)
{
	return periodic_tick_ns(schedule, periodic_last_tick(schedule, now_ns) + 1);
}

uint64_t periodic_deadline(const struct periodic *schedule, uint64_t now_ns)
{
	uint64_t earliest = now_ns + schedule->min_ns;
	uint64_t period = periodic_period_ns(schedule);
	uint64_t deadline;

	/* Behind schedule: four times as fast, if the guest acknowledges them. */
	if (periodic_due(schedule, now_ns))
		return max(earliest, now_ns + (schedule->stuck ? period : period / 4));
	deadline = periodic_tick_ns(schedule, schedule->delivered + 1);
	return period < schedule->min_ns ? max(earliest, deadline) : deadline;
}
