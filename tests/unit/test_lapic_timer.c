// SPDX-License-Identifier: BSD-2-Clause
/* The local APIC's timer. */
#include "lapic_vm.h"

#include "dev/periodic.h"

/* --- the timer ------------------------------------------------------------ */

/* What the run loop does when it comes by; whether 'vector' was taken. */
static bool serve(struct vcpu *vcpu, uint8_t vector)
{
	if (fake_requests(vcpu) & VCPU_REQ_TIMER)
		lapic_timer_event(vcpu);
	if (take(vcpu) != vector)
		return false;
	put(vcpu, EOI, 0);
	return true;
}

/* The vCPU runs for 'ns'; counts 'vector'. */
static unsigned int run_for(struct vcpu *vcpu, uint64_t ns, uint8_t vector)
{
	uint64_t end = os_now_ns() + ns;
	unsigned int count = serve(vcpu, vector);

	while (os_user_clock_next() <= end) {
		os_user_clock_advance(os_user_clock_next() - os_now_ns());
		count += serve(vcpu, vector);
	}
	os_user_clock_advance(end - os_now_ns());
	return count;
}

TEST(timer_one_shot)
{
	set_up();
	put(cpu[0], LVT_TIMER, 0xec);
	put(cpu[0], DIVIDE, 0xb); /* by 1: nanoseconds */
	put(cpu[0], INITIAL_COUNT, 5000000);
	CHECK_EQ(get(cpu[0], CURRENT_COUNT), 5000000);
	CHECK_EQ(run_for(cpu[0], 2 * MS, 0xec), 0);
	CHECK_EQ(get(cpu[0], CURRENT_COUNT), 3000000);
	CHECK_EQ(run_for(cpu[0], 3 * MS - 1, 0xec), 0);
	CHECK_EQ(run_for(cpu[0], 1, 0xec), 1);
	CHECK_EQ(get(cpu[0], CURRENT_COUNT), 0);
	CHECK_EQ(run_for(cpu[0], 100 * MS, 0xec), 0);
	put(cpu[0], INITIAL_COUNT, 1000);
	put(cpu[0], INITIAL_COUNT, 0); /* stops it */
	CHECK_EQ(run_for(cpu[0], 100 * MS, 0xec), 0);
	CHECK_EQ(os_user_timers(), 0);
	tear_down();
}

TEST(timer_divider)
{
	static const struct {
		uint32_t code, divisor;
	} rates[] = { { 0, 2 },	 { 1, 4 },  { 2, 8 },	 { 3, 16 },
		      { 8, 32 }, { 9, 64 }, { 10, 128 }, { 11, 1 } };

	set_up();
	put(cpu[0], LVT_TIMER, 0xec);
	for (unsigned int i = 0; i < ARRAY_SIZE(rates); i++) {
		put(cpu[0], DIVIDE, rates[i].code);
		put(cpu[0], INITIAL_COUNT, 10000000);
		os_user_clock_advance(1000000 * rates[i].divisor);
		CHECK_EQ(get(cpu[0], CURRENT_COUNT), 9000000);
	}
	/* A change on the way slows down what is left. */
	put(cpu[0], DIVIDE, 11);
	put(cpu[0], INITIAL_COUNT, 10000000);
	os_user_clock_advance(4 * MS);
	put(cpu[0], DIVIDE, 0);
	CHECK_EQ(get(cpu[0], CURRENT_COUNT), 6000000);
	os_user_clock_advance(2 * MS);
	CHECK_EQ(get(cpu[0], CURRENT_COUNT), 5000000);
	CHECK_EQ(run_for(cpu[0], 10 * MS - 1, 0xec), 0);
	CHECK_EQ(run_for(cpu[0], 1, 0xec), 1);
	/* Or brings it forward. */
	put(cpu[0], INITIAL_COUNT, 10000000);
	os_user_clock_advance(4 * MS);
	put(cpu[0], DIVIDE, 11);
	CHECK_EQ(run_for(cpu[0], 8 * MS - 1, 0xec), 0);
	CHECK_EQ(run_for(cpu[0], 1, 0xec), 1);
	tear_down();
}

TEST(timer_periodic_does_not_drift)
{
	set_up();
	put(cpu[0], LVT_TIMER, 0xec | PERIODIC);
	put(cpu[0], DIVIDE, 3);
	put(cpu[0], INITIAL_COUNT, 62501); /* 1000016 ns */
	CHECK_EQ(run_for(cpu[0], 1000016ull * 10000 - 1, 0xec), 9999);
	CHECK_EQ(run_for(cpu[0], 1, 0xec), 1);
	CHECK_EQ(get(cpu[0], CURRENT_COUNT), 62501);
	os_user_clock_advance(16);
	CHECK_EQ(get(cpu[0], CURRENT_COUNT), 62500);
	tear_down();
}

TEST(timer_periodic_makes_up_for_late_ticks)
{
	unsigned int count;

	set_up();
	put(cpu[0], LVT_TIMER, 0xec | PERIODIC);
	put(cpu[0], DIVIDE, 0xb);
	put(cpu[0], INITIAL_COUNT, MS);
	/* The owner is away for 20 ms, and 100 more pass: 120 ticks in all. */
	os_user_clock_advance(20 * MS);
	count = run_for(cpu[0], 100 * MS, 0xec);
	CHECK_EQ(count, 120);
	/* Away for an hour: only so many are made up for. */
	os_user_clock_advance(3600000 * MS);
	count = run_for(cpu[0], 1000 * MS, 0xec);
	CHECK(count >= 1240 && count <= 1260);
	tear_down();
}

TEST(timer_tick_that_finds_the_last_pending_is_kept)
{
	set_up();
	put(cpu[0], LVT_TIMER, 0xec | PERIODIC);
	put(cpu[0], DIVIDE, 0xb);
	put(cpu[0], INITIAL_COUNT, MS);
	put(cpu[0], TPR, 0xf0); /* nothing gets in */
	CHECK_EQ(run_for(cpu[0], 10 * MS, 0xec), 0);
	put(cpu[0], TPR, 0);
	/* Ten from then, ten from now, give or take the one on the way. */
	unsigned int count = run_for(cpu[0], 10 * MS, 0xec);
	CHECK(count >= 19 && count <= 20);
	tear_down();
}

TEST(timer_period_of_nothing_is_bounded)
{
	unsigned int wakes = 0;
	uint64_t end;

	set_up();
	put(cpu[0], LVT_TIMER, 0xec | PERIODIC);
	put(cpu[0], DIVIDE, 0xb);
	put(cpu[0], INITIAL_COUNT, 1);
	end = os_now_ns() + 100 * MS;
	while (os_user_clock_next() <= end) {
		os_user_clock_advance(os_user_clock_next() - os_now_ns());
		lapic_timer_event(cpu[0]);
		if (take(cpu[0]) >= 0)
			put(cpu[0], EOI, 0);
		REQUIRE(++wakes <= 5000);
	}
	CHECK(wakes >= 4990);
	put(cpu[0], INITIAL_COUNT, 0);
	tear_down();
}

TEST(timer_masked)
{
	set_up();
	put(cpu[0], LVT_TIMER, 0xec | PERIODIC | MASKED);
	put(cpu[0], DIVIDE, 0xb);
	put(cpu[0], INITIAL_COUNT, MS);
	CHECK_EQ(os_user_timers(), 0); /* nobody needs the host's timer */
	os_user_clock_advance(MS / 2 + 10 * MS);
	CHECK_EQ(get(cpu[0], CURRENT_COUNT), MS / 2);
	put(cpu[0], LVT_TIMER, 0xec | PERIODIC);
	CHECK_EQ(run_for(cpu[0], MS / 2 - 1, 0xec), 0); /* no tick from before */
	CHECK_EQ(run_for(cpu[0], 1, 0xec), 1);
	put(cpu[0], LVT_TIMER, 0xec | MASKED);
	CHECK_EQ(run_for(cpu[0], 10 * MS, 0xec), 0);
	tear_down();
}

TEST(timer_mode_changes)
{
	set_up();
	put(cpu[0], LVT_TIMER, 0xec | PERIODIC);
	put(cpu[0], DIVIDE, 0xb);
	put(cpu[0], INITIAL_COUNT, MS);
	CHECK_EQ(run_for(cpu[0], 3 * MS + MS / 4, 0xec), 3);
	put(cpu[0], LVT_TIMER, 0xec); /* one-shot: the period it is in is the last */
	CHECK_EQ(get(cpu[0], CURRENT_COUNT), MS * 3 / 4);
	CHECK_EQ(run_for(cpu[0], 10 * MS, 0xec), 1);
	put(cpu[0], INITIAL_COUNT, MS);
	put(cpu[0], LVT_TIMER, 0xec | PERIODIC);
	CHECK_EQ(run_for(cpu[0], 5 * MS, 0xec), 5);
	put(cpu[0], LVT_TIMER, 0xec | DEADLINE); /* disarms */
	CHECK_EQ(get(cpu[0], CURRENT_COUNT), 0);
	CHECK_EQ(get(cpu[0], INITIAL_COUNT), 0);
	put(cpu[0], INITIAL_COUNT, MS); /* ignored in this mode */
	CHECK_EQ(run_for(cpu[0], 5 * MS, 0xec), 0);
	tear_down();
}

static uint64_t guest_tsc(struct vcpu *vcpu)
{
	return os_rdtsc() + vcpu->tsc_offset;
}

TEST(timer_tsc_deadline)
{
	uint64_t deadline;

	set_up();
	lapic_set_deadline(cpu[0], guest_tsc(cpu[0]) + 1000); /* not in that mode: ignored */
	CHECK_EQ(lapic_get_deadline(cpu[0]), 0);
	put(cpu[0], LVT_TIMER, 0xed | DEADLINE);
	deadline = guest_tsc(cpu[0]) + 2000000ull * 5; /* 5 ms at 2 GHz */
	lapic_set_deadline(cpu[0], deadline);
	CHECK_EQ(lapic_get_deadline(cpu[0]), deadline);
	CHECK_EQ(run_for(cpu[0], 5 * MS - 1, 0xed), 0);
	CHECK_EQ(run_for(cpu[0], 1, 0xed), 1);
	CHECK_EQ(lapic_get_deadline(cpu[0]), 0);
	/* In the past: at once. */
	lapic_set_deadline(cpu[0], 1);
	CHECK_EQ(take(cpu[0]), 0xed);
	put(cpu[0], EOI, 0);
	/* Disarmed by 0. */
	lapic_set_deadline(cpu[0], guest_tsc(cpu[0]) + 10000);
	lapic_set_deadline(cpu[0], 0);
	CHECK_EQ(run_for(cpu[0], 100 * MS, 0xed), 0);
	/* As far away as can be written. */
	lapic_set_deadline(cpu[0], ~0ull);
	CHECK_EQ(run_for(cpu[0], 100 * MS, 0xed), 0);
	CHECK_EQ(lapic_get_deadline(cpu[0]), ~0ull);
	tear_down();
}

TEST(timer_deadline_follows_the_tsc)
{
	set_up();
	put(cpu[0], LVT_TIMER, 0xed | DEADLINE);
	lapic_set_deadline(cpu[0], guest_tsc(cpu[0]) + 2000000ull * 50);
	cpu[0]->tsc_offset += 2000000ull * 40; /* the guest has set its TSC forward */
	lapic_tsc_changed(cpu[0]);
	CHECK_EQ(run_for(cpu[0], 10 * MS - 1, 0xed), 0);
	CHECK_EQ(run_for(cpu[0], 1, 0xed), 1);
	/* Set back, an expired host timer finds that it was too early. */
	lapic_set_deadline(cpu[0], guest_tsc(cpu[0]) + 2000000ull * 10);
	cpu[0]->tsc_offset -= 2000000ull * 10;
	CHECK_EQ(run_for(cpu[0], 20 * MS - 1, 0xed), 0);
	CHECK_EQ(run_for(cpu[0], 1, 0xed), 1);
	tear_down();
}
