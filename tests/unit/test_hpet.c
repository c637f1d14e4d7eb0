// SPDX-License-Identifier: BSD-2-Clause
/* The HPET: counter, comparators, routes. */
#include "unit.h"

#include "dev/hpet.h"
#include "dev/ioapic.h"
#include "dev/lapic.h"
#include "dev/pic.h"
#include "dev/pit.h"
#include "dev/rtc.h"
#include "fake_backend.h"
#include "vm/timer.h"

#define CAPABILITIES 0x000
#define CONFIG	     0x010
#define STATUS	     0x020
#define COUNTER	     0x0f0
#define TIMER(n)     (0x100u + 0x20 * (n))
#define COMPARATOR   0x08
#define MESSAGE	     0x10

#define LEVEL	     0x2u
#define INTERRUPT    0x4u
#define PERIODIC     0x8u
#define SET_VALUE    0x40u
#define BITS_32	     0x100u
#define USES_MESSAGE 0x4000u
#define ROUTE(pin)   ((uint32_t)(pin) << 9)

#define MS	  1000000ull
#define SECOND	  1000000000ull
#define TICKS(ns) ((ns) / 50)

static struct vm *vm;
static struct vcpu *cpu;

static uint64_t get(uint32_t offset)
{
	uint64_t value = ~0ull;

	hpet_mmio_read(vm, offset, 8, &value);
	return value;
}

static void put(uint32_t offset, uint64_t value)
{
	hpet_mmio_write(vm, offset, 8, value);
}

static void put32(uint32_t offset, uint32_t value)
{
	hpet_mmio_write(vm, offset, 4, value);
}

static void ioapic_route(unsigned int pin, uint32_t low)
{
	ioapic_mmio_write(vm, 0, 4, 0x10 + 2 * pin);
	ioapic_mmio_write(vm, 0x10, 4, low);
}

/* Pin 24 + n has vector 0x30 + n, which is of a class of its own. */
static void set_up(void)
{
	vm = fake_vm_create(1);
	cpu = fake_vm_vcpu(vm, 0);
	(void)vm_timers_enter(cpu);
	CHECK_EQ(lapic_mmio_write(cpu, 0xf0, 4, 0x1ff), 0);
	for (unsigned int n = 0; n < HPET_TIMERS; n++)
		ioapic_route(24 + n, 0x30 + 0x10 * n);
}

static void tear_down(void)
{
	fake_vm_destroy(vm);
}

static int take(void)
{
	int vector = lapic_pending(cpu);

	if (vector >= 0) {
		lapic_accept(cpu, (uint8_t)vector);
		CHECK_EQ(lapic_mmio_write(cpu, 0xb0, 4, 0), 0);
	}
	return vector;
}

static unsigned int run_for(uint64_t ns, int vector)
{
	uint64_t end = os_now_ns() + ns;
	unsigned int count = 0;

	while (os_user_clock_next() <= end) {
		os_user_clock_advance(os_user_clock_next() - os_now_ns());
		count += take() == vector;
	}
	os_user_clock_advance(end - os_now_ns());
	return count;
}

TEST(capabilities)
{
	set_up();
	CHECK_EQ(get(CAPABILITIES), 0x02faf0808086a701ull); /* 50 ns in femtoseconds */
	CHECK_EQ(hpet_capabilities(vm), 0x8086a701);
	put(CAPABILITIES, 0);
	CHECK_EQ(get(CAPABILITIES) >> 32, 50000000);
	for (unsigned int n = 0; n < HPET_TIMERS; n++)
		CHECK_EQ(get(TIMER(n)), 0xff00000000008030ull);
	CHECK_EQ(get(TIMER(HPET_TIMERS)), 0);
	CHECK_EQ(get(TIMER(0) + COMPARATOR), ~0ull);
	tear_down();
}

TEST(counter)
{
	set_up();
	os_user_clock_advance(SECOND);
	CHECK_EQ(get(COUNTER), 0); /* halted */
	put(COUNTER, 1000);
	CHECK_EQ(get(COUNTER), 1000);
	put(CONFIG, 1);
	os_user_clock_advance(SECOND);
	CHECK_EQ(get(COUNTER), 1000 + HPET_HZ);
	put(CONFIG, 0);
	os_user_clock_advance(SECOND);
	CHECK_EQ(get(COUNTER), 1000 + HPET_HZ);
	put(CONFIG, 1);
	os_user_clock_advance(499);
	CHECK_EQ(get(COUNTER), 1000 + HPET_HZ + 9);
	put32(COUNTER + 4, 7); /* one half, while it runs */
	CHECK_EQ(get(COUNTER) >> 32, 7);
	tear_down();
}

TEST(access_sizes)
{
	uint64_t value;

	set_up();
	put(COUNTER, 0x1122334455667788ull);
	hpet_mmio_read(vm, COUNTER, 1, &value);
	CHECK_EQ(value, 0x88);
	hpet_mmio_read(vm, COUNTER + 6, 2, &value);
	CHECK_EQ(value, 0x1122);
	hpet_mmio_read(vm, COUNTER + 4, 4, &value);
	CHECK_EQ(value, 0x11223344);
	hpet_mmio_read(vm, COUNTER - 4, 8, &value); /* half outside */
	CHECK_EQ(value, 0x5566778800000000ull);
	hpet_mmio_read(vm, COUNTER + 3, 4, &value);
	CHECK_EQ(value, 0x22334455);
	hpet_mmio_write(vm, COUNTER + 3, 2, 0xbbaa);
	CHECK_EQ(get(COUNTER), 0x112233bbaa667788ull);
	hpet_mmio_write(vm, COUNTER + 6, 4, 0xccccdddd); /* half outside */
	CHECK_EQ(get(COUNTER), 0xdddd33bbaa667788ull);
	/* Across two registers of one timer. */
	put(TIMER(1) + COMPARATOR, 0);
	put(TIMER(1) + MESSAGE, 0);
	hpet_mmio_write(vm, TIMER(1) + COMPARATOR + 4, 8, 0x1111111122222222ull);
	CHECK_EQ(get(TIMER(1) + COMPARATOR), 0x2222222200000000ull);
	CHECK_EQ(get(TIMER(1) + MESSAGE), 0x11111111);
	hpet_mmio_read(vm, HPET_MMIO_SIZE - 1, 8, &value);
	CHECK_EQ(value, 0);
	hpet_mmio_write(vm, HPET_MMIO_SIZE - 1, 8, ~0ull);
	tear_down();
}

TEST(one_shot)
{
	set_up();
	put(CONFIG, 1);
	put(TIMER(2), INTERRUPT | ROUTE(26));
	put(TIMER(2) + COMPARATOR, get(COUNTER) + TICKS(5 * MS));
	CHECK_EQ(run_for(5 * MS - 50, 0x50), 0);
	CHECK_EQ(run_for(50, 0x50), 1);
	CHECK_EQ(run_for(1000 * SECOND, 0x50), 0);
	CHECK_EQ(os_user_timers(), 0);
	/* In the past: not before the counter comes round. */
	put(TIMER(2) + COMPARATOR, get(COUNTER) - 1);
	CHECK_EQ(run_for(1000 * SECOND, 0x50), 0);
	tear_down();
}

TEST(one_shot_32_bits_matches_at_each_wrap)
{
	set_up();
	put(CONFIG, 1);
	put(TIMER(2), INTERRUPT | BITS_32 | ROUTE(26));
	put(TIMER(2) + COMPARATOR, get(COUNTER) + TICKS(5 * MS));
	CHECK_EQ(run_for(5 * MS, 0x50), 1);
	CHECK_EQ(run_for((50ull << 32) - 50, 0x50), 0);
	CHECK_EQ(run_for(50, 0x50), 1);
	put(TIMER(2) + COMPARATOR, 0xffffffff00000000ull); /* only 32 bits count */
	CHECK_EQ(get(TIMER(2) + COMPARATOR), 0);
	tear_down();
}

/*
 * SET_VALUE, first match, then the period. In 32-bit mode with 32-bit writes, as
 * Linux and FreeBSD do it.
 */
static void start_periodic(unsigned int n, uint32_t flags, uint64_t period)
{
	unsigned int size = flags & BITS_32 ? 4 : 8;

	put(TIMER(n), INTERRUPT | PERIODIC | SET_VALUE | flags);
	CHECK_EQ(get(TIMER(n)) & SET_VALUE, 0); /* write-only */
	hpet_mmio_write(vm, TIMER(n) + COMPARATOR, size, get(COUNTER) + period);
	hpet_mmio_write(vm, TIMER(n) + COMPARATOR, size, period);
}

TEST(periodic_frequency)
{
	set_up();
	put(CONFIG, 1);
	start_periodic(0, BITS_32 | ROUTE(24), 19999);
	CHECK_EQ(get(TIMER(0) + COMPARATOR), 19999);
	CHECK_EQ(run_for(999950ull * 5000 - 1, 0x30), 4999);
	CHECK_EQ(run_for(1, 0x30), 1);
	CHECK_EQ(get(TIMER(0) + COMPARATOR), 19999ull * 5001);
	/* The counter wraps at 32 bits many times in an hour. */
	CHECK_EQ(run_for(999950ull * 3600 * 1000, 0x30), 3600 * 1000);
	tear_down();
}

TEST(periodic_period_changes_after_the_next_match)
{
	set_up();
	put(CONFIG, 1);
	start_periodic(0, ROUTE(24), TICKS(MS));
	CHECK_EQ(run_for(10 * MS + MS / 2, 0x30), 10);
	put(TIMER(0) + COMPARATOR, TICKS(3 * MS));
	CHECK_EQ(run_for(MS / 2 - 1, 0x30), 0);
	CHECK_EQ(run_for(1, 0x30), 1);
	CHECK_EQ(run_for(3 * MS - 1, 0x30), 0);
	CHECK_EQ(run_for(1, 0x30), 1);
	tear_down();
}

TEST(periodic_survives_a_halt)
{
	set_up();
	put(CONFIG, 1);
	start_periodic(0, ROUTE(24), TICKS(MS));
	CHECK_EQ(run_for(2 * MS + MS / 4, 0x30), 2);
	put(CONFIG, 0);
	CHECK_EQ(os_user_timers(), 0);
	CHECK_EQ(run_for(SECOND, 0x30), 0);
	put(CONFIG, 1);
	CHECK_EQ(run_for(MS * 3 / 4 - 1, 0x30), 0);
	CHECK_EQ(run_for(1, 0x30), 1);
	tear_down();
}

TEST(tiny_and_zero_periods)
{
	uint64_t end;
	unsigned int wakes = 0;

	set_up();
	put(CONFIG, 1);
	start_periodic(0, ROUTE(24), 1);
	end = os_now_ns() + 100 * MS;
	while (os_user_clock_next() <= end) {
		os_user_clock_advance(os_user_clock_next() - os_now_ns());
		(void)take();
		REQUIRE(++wakes <= 500);
	}
	CHECK(wakes > 400);
	start_periodic(0, ROUTE(24), 0);
	CHECK_EQ(os_user_timers(), 0);
	tear_down();
}

TEST(ticks_wait_for_a_slow_guest)
{
	unsigned int count;

	set_up();
	put(CONFIG, 1);
	start_periodic(0, ROUTE(24), TICKS(MS));
	os_user_clock_advance(20 * MS);
	count = run_for(80 * MS, 0x30);
	CHECK(count >= 98 && count <= 100);
	tear_down();
}

TEST(level_until_status_is_cleared)
{
	set_up();
	ioapic_route(27, 0x60 | 0x8000);
	put(CONFIG, 1);
	put(TIMER(3), INTERRUPT | LEVEL | ROUTE(27));
	put(TIMER(3) + COMPARATOR, get(COUNTER) + TICKS(MS));
	os_user_clock_advance(MS);
	CHECK_EQ(get(STATUS), 8);
	CHECK_EQ(take(), 0x60);
	CHECK_EQ(take(), 0x60); /* EOI, still driven */
	put(STATUS, 4);		/* another timer's */
	CHECK_EQ(get(STATUS), 8);
	put(STATUS, 8);
	CHECK_EQ(get(STATUS), 0);
	(void)take();
	CHECK_EQ(take(), -1);
	/* Disabling the interrupt lets go of the line; status stays. */
	put(TIMER(3) + COMPARATOR, get(COUNTER) + TICKS(MS));
	os_user_clock_advance(MS);
	put(TIMER(3), LEVEL | ROUTE(27));
	CHECK_EQ(get(STATUS), 8);
	(void)take();
	CHECK_EQ(take(), -1);
	tear_down();
}

TEST(status_can_be_polled)
{
	set_up();
	put(CONFIG, 1);
	put(TIMER(3), LEVEL | ROUTE(27)); /* no interrupt */
	put(TIMER(3) + COMPARATOR, get(COUNTER) + TICKS(MS));
	os_user_clock_advance(MS);
	CHECK_EQ(get(STATUS), 8);
	CHECK_EQ(take(), -1);
	/* A periodic one that nobody is told of is not made up for. */
	put(STATUS, 8);
	put(TIMER(4), LEVEL | PERIODIC | SET_VALUE);
	put(TIMER(4) + COMPARATOR, get(COUNTER) + TICKS(MS));
	put(TIMER(4) + COMPARATOR, TICKS(MS));
	os_user_clock_advance(10 * MS);
	CHECK_EQ(get(STATUS), 16);
	CHECK_EQ(os_user_clock_next(), os_now_ns() + MS);
	tear_down();
}

TEST(message)
{
	set_up();
	put(CONFIG, 1);
	put(TIMER(4), INTERRUPT | USES_MESSAGE);
	put(TIMER(4) + MESSAGE, 0xfee00000000000e7ull);
	put(TIMER(4) + COMPARATOR, get(COUNTER) + TICKS(MS));
	CHECK_EQ(run_for(MS, 0xe7), 1);
	put(TIMER(4) + MESSAGE, 0x00000000000000e7ull); /* not an interrupt's address */
	put(TIMER(4) + COMPARATOR, get(COUNTER) + TICKS(MS));
	CHECK_EQ(run_for(MS, 0xe7), 0);
	tear_down();
}

TEST(routes_it_does_not_have)
{
	set_up();
	ioapic_route(5, 0x99);
	put(CONFIG, 1);
	put(TIMER(5), INTERRUPT | ROUTE(5));
	put(TIMER(5) + COMPARATOR, get(COUNTER) + TICKS(MS));
	CHECK_EQ(run_for(MS, 0x99), 0);
	tear_down();
}

TEST(legacy_replacement)
{
	set_up();
	ioapic_route(2, 0x91);
	ioapic_route(8, 0xa2);
	pit_port_write(vm, 0x43, 0x34);
	pit_port_write(vm, 0x40, 0xa9);
	pit_port_write(vm, 0x40, 0x04);
	CHECK_EQ(run_for(10 * MS, 0x91), 10);
	CHECK_EQ(get(CONFIG) & 2, 0);
	put(CONFIG, 3);
	CHECK_EQ(get(CONFIG) & 2, 2);
	CHECK_EQ(run_for(10 * MS, 0x91), 0); /* the 8254 is cut off */
	start_periodic(0, ROUTE(24), TICKS(MS));
	CHECK_EQ(run_for(10 * MS, 0x91), 10);
	put(TIMER(0), 0);
	start_periodic(1, ROUTE(25), TICKS(2 * MS));
	CHECK_EQ(run_for(10 * MS, 0xa2), 5);
	put(TIMER(1), 0);
	start_periodic(2, ROUTE(26), TICKS(2 * MS)); /* the others keep their routes */
	CHECK_EQ(run_for(10 * MS, 0x50), 5);
	put(TIMER(2), 0);
	put(CONFIG, 1);
	CHECK_EQ(run_for(10 * MS, 0x91), 10); /* the 8254 again */
	tear_down();
}

TEST(reset_stops_everything)
{
	set_up();
	put(CONFIG, 3);
	start_periodic(0, 0, TICKS(MS));
	ioapic_route(27, 0x60 | 0x8000);
	put(TIMER(3), INTERRUPT | LEVEL | ROUTE(27));
	put(TIMER(3) + COMPARATOR, get(COUNTER) + TICKS(MS));
	os_user_clock_advance(MS);
	hpet_reset(vm);
	CHECK_EQ(os_user_timers(), 0);
	CHECK_EQ(get(CONFIG), 0);
	CHECK_EQ(get(STATUS), 0);
	CHECK_EQ(get(COUNTER), 0);
	CHECK_EQ(get(TIMER(0)), 0xff00000000008030ull);
	CHECK_EQ(get(TIMER(3) + COMPARATOR), ~0ull);
	(void)take();
	(void)take();
	CHECK_EQ(take(), -1); /* the line was let go */
	tear_down();
}
