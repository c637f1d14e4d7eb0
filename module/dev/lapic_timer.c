// SPDX-License-Identifier: BSD-2-Clause
/*
 * The local APIC's timer: one-shot, periodic and TSC-deadline (SDM vol. 3, 10.5.4).
 *
 * The host timer's callback only asks the owner to look; everything is decided here
 * from the clock, so an early, late or superfluous look does no harm. The
 * host timer is armed only while an interrupt can come of it.
 */
#include "dev/lapic_state.h"

static void lapic_timer_expired(struct os_timer *timer)
{
	struct lapic *lapic = container_of(timer, struct lapic, timer);

	vcpu_request(lapic->vcpu, VCPU_REQ_TIMER);
}

void lapic_timer_init(struct lapic *lapic)
{
	os_timer_init(&lapic->timer, lapic_timer_expired);
}

void lapic_timer_reset(struct lapic *lapic)
{
	(void)os_timer_try_cancel(&lapic->timer);
	lapic->initial_count = 0;
	lapic->divide = 0;
	lapic->counting = false;
	lapic->deadline = 0;
}

static enum timer_mode lapic_timer_mode(const struct lapic *lapic)
{
	return LVT_TIMER_MODE(lapic->lvt[LAPIC_LVT_TIMER]);
}

static bool lapic_timer_masked(const struct lapic *lapic)
{
	return lapic->lvt[LAPIC_LVT_TIMER] & LVT_MASKED;
}

/* Bits 3, 1 and 0 hold the logarithm of the divisor, less one, modulo 8. */
static unsigned int lapic_timer_divisor(const struct lapic *lapic)
{
	unsigned int code = (lapic->divide & 3) | (lapic->divide >> 1 & 4);

	return 1u << ((code + 1) & 7);
}

static enum irq_outcome lapic_timer_interrupt(struct lapic *lapic)
{
	if (lapic_timer_masked(lapic))
		return IRQ_IGNORED;
	return lapic_set_irr(lapic, lapic->lvt[LAPIC_LVT_TIMER] & LVT_VECTOR);
}

static void lapic_timer_update_counting(struct lapic *lapic)
{
	uint64_t now = os_now_ns();

	if (periodic_due(&lapic->schedule, now)) {
		enum irq_outcome outcome = lapic_timer_interrupt(lapic);

		periodic_done(&lapic->schedule, now, outcome);
		lapic->counting = lapic_timer_mode(lapic) == TIMER_PERIODIC;
	}
	if (lapic->counting && !lapic_timer_masked(lapic))
		os_timer_start(&lapic->timer, periodic_deadline(&lapic->schedule, now));
	else
		(void)os_timer_try_cancel(&lapic->timer);
}

static void lapic_timer_update_deadline(struct lapic *lapic)
{
	uint64_t tsc = os_rdtsc() + lapic->vcpu->tsc_offset;
	uint64_t wait;

	if (lapic->deadline && tsc >= lapic->deadline) {
		lapic->deadline = 0;
		(void)lapic_timer_interrupt(lapic);
	}
	if (!lapic->deadline || lapic_timer_masked(lapic)) {
		(void)os_timer_try_cancel(&lapic->timer);
		return;
	}
	/* Kilohertz are ticks per millisecond. */
	wait = clock_scale_up(lapic->deadline - tsc, os_tsc_khz(), 1000000);
	os_timer_start(&lapic->timer, os_now_ns() + wait);
}

void lapic_timer_update(struct lapic *lapic)
{
	if (lapic->counting)
		lapic_timer_update_counting(lapic);
	else if (lapic_timer_mode(lapic) == TIMER_DEADLINE)
		lapic_timer_update_deadline(lapic);
	else
		(void)os_timer_try_cancel(&lapic->timer);
}

void lapic_timer_event(struct vcpu *vcpu)
{
	lapic_timer_update(vcpu->lapic);
}

/* The new mode is in place; what was counting goes on between one-shot and periodic. */
static void lapic_timer_change_mode(struct lapic *lapic, enum timer_mode old)
{
	uint64_t now = os_now_ns();
	uint64_t into_period;

	if (old == TIMER_DEADLINE || lapic_timer_mode(lapic) == TIMER_DEADLINE) {
		lapic->counting = false;
		lapic->deadline = 0;
		lapic->initial_count = 0;
	} else if (lapic->counting) {
		into_period = periodic_elapsed(&lapic->schedule, now) % lapic->schedule.period;
		periodic_start(&lapic->schedule, now - into_period, lapic->schedule.period,
			       LAPIC_TIMER_HZ);
	}
}

void lapic_timer_set_lvt(struct lapic *lapic, uint32_t value)
{
	enum timer_mode old = lapic_timer_mode(lapic);

	/* What was due before this moment is due as the old value says. */
	lapic_timer_update(lapic);
	lapic_store(lapic->lvt[LAPIC_LVT_TIMER], value);
	if (lapic_timer_mode(lapic) != old)
		lapic_timer_change_mode(lapic, old);
	lapic_timer_update(lapic);
}

/* A running count goes on from where it is, at the new speed. */
void lapic_timer_set_divide(struct lapic *lapic, uint32_t value)
{
	uint64_t now = os_now_ns();
	uint64_t left = lapic_timer_count(lapic);
	uint64_t period;

	lapic->divide = value;
	if (!lapic->counting || !left)
		return;
	period = (uint64_t)lapic->initial_count * lapic_timer_divisor(lapic);
	periodic_start(&lapic->schedule, now + left * lapic_timer_divisor(lapic) - period, period,
		       LAPIC_TIMER_HZ);
	lapic_timer_update(lapic);
}

void lapic_timer_set_count(struct lapic *lapic, uint32_t value)
{
	if (lapic_timer_mode(lapic) == TIMER_DEADLINE)
		return;
	lapic->initial_count = value;
	lapic->counting = value != 0;
	if (value)
		periodic_start(&lapic->schedule, os_now_ns(),
			       (uint64_t)value * lapic_timer_divisor(lapic), LAPIC_TIMER_HZ);
	lapic_timer_update(lapic);
}

uint32_t lapic_timer_count(struct lapic *lapic)
{
	uint64_t elapsed;

	if (!lapic->counting)
		return 0;
	elapsed = periodic_elapsed(&lapic->schedule, os_now_ns());
	if (lapic_timer_mode(lapic) == TIMER_PERIODIC)
		elapsed %= lapic->schedule.period;
	else if (elapsed >= lapic->schedule.period)
		return 0;
	return lapic->initial_count - (uint32_t)(elapsed / lapic_timer_divisor(lapic));
}

uint64_t lapic_get_deadline(struct vcpu *vcpu)
{
	lapic_timer_update(vcpu->lapic);
	return vcpu->lapic->deadline;
}

void lapic_set_deadline(struct vcpu *vcpu, uint64_t tsc)
{
	struct lapic *lapic = vcpu->lapic;

	if (lapic_timer_mode(lapic) != TIMER_DEADLINE)
		return;
	lapic->deadline = tsc;
	lapic_timer_update_deadline(lapic);
}

void lapic_tsc_changed(struct vcpu *vcpu)
{
	if (vcpu->lapic->deadline)
		lapic_timer_update_deadline(vcpu->lapic);
}
