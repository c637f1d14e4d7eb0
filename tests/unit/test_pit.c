// SPDX-License-Identifier: BSD-2-Clause
/* The 8254: modes, latches, gates, frequency. */
#include "unit.h"

#include "dev/pic.h"
#include "dev/pit.h"
#include "fake_backend.h"
#include "vm/timer.h"

#define CONTROL 0x43
#define MS	1000000ull
#define SECOND	1000000000ull

static struct vm *vm;

static void out(uint16_t port, uint8_t value)
{
	pit_port_write(vm, port, value);
}

static uint8_t in(uint16_t port)
{
	return pit_port_read(vm, port);
}

static unsigned int in16(uint16_t port)
{
	unsigned int low = in(port);

	return in(port) << 8 | low;
}

/* The 8259s take IRQ 0 and nothing else. */
static void set_up(void)
{
	static const uint8_t words[] = { 0x20, 0x04, 0x01, 0xfe };

	vm = fake_vm_create(1);
	(void)vm_timers_enter(fake_vm_vcpu(vm, 0));
	pic_port_write(vm, 0x20, 0x11);
	for (unsigned int i = 0; i < sizeof(words); i++)
		pic_port_write(vm, 0x21, words[i]);
}

static void tear_down(void)
{
	fake_vm_destroy(vm);
}

/* Channel, mode, count: low byte first. */
static void program(unsigned int channel, unsigned int mode, unsigned int count)
{
	out(CONTROL, (uint8_t)(channel << 6 | 0x30 | mode << 1));
	out((uint16_t)(0x40 + channel), (uint8_t)count);
	out((uint16_t)(0x40 + channel), (uint8_t)(count >> 8));
}

static bool take_irq(void)
{
	if (!pic_pending(vm))
		return false;
	CHECK_EQ(pic_intack(vm), 0x20);
	pic_port_write(vm, 0x20, 0x20);
	return true;
}

/* Interrupts in a stretch of time, each taken as it comes. */
static unsigned int run_for(uint64_t ns)
{
	uint64_t end = os_now_ns() + ns;
	unsigned int count = 0;

	while (os_user_clock_next() <= end) {
		os_user_clock_advance(os_user_clock_next() - os_now_ns());
		count += take_irq();
	}
	os_user_clock_advance(end - os_now_ns());
	return count;
}

/* Moves the clock to the first moment at which 'ticks' have passed since 'start'. */
static void go_to_tick(uint64_t start, uint64_t ticks)
{
	uint64_t at = start + (ticks * SECOND + PIT_HZ - 1) / PIT_HZ;

	os_user_clock_advance(at - os_now_ns());
}

static uint8_t status(unsigned int channel)
{
	out(CONTROL, (uint8_t)(0xe0 | 2u << channel));
	return in((uint16_t)(0x40 + channel));
}

TEST(rate_generator_frequency)
{
	uint64_t start;

	set_up();
	program(0, 2, 11932); /* 99.998 Hz */
	/* 1000 s: PIT_HZ * 1000 / 11932 ticks, to the last one. */
	start = os_now_ns();
	CHECK_EQ(run_for(1000 * SECOND), (uint64_t)PIT_HZ * 1000 / 11932);
	CHECK_EQ(status(0), 0x80 | 0x30 | 2 << 1);
	go_to_tick(start, 11932ull * 200000 - 1); /* low for one tick */
	CHECK_EQ(status(0) & 0x80, 0);
	CHECK_EQ(in16(0x40), 1);
	go_to_tick(start, 11932ull * 200000);
	CHECK_EQ(status(0) & 0x80, 0x80);
	tear_down();
}

TEST(count_of_zero_is_the_longest)
{
	set_up();
	program(0, 3, 0);
	CHECK_EQ(run_for(3600 * SECOND), (uint64_t)PIT_HZ * 3600 / 65536); /* 18.2 Hz */
	tear_down();
}

TEST(tiny_period_is_bounded)
{
	uint64_t end;
	unsigned int wakes = 0;

	set_up();
	program(0, 2, 1);
	end = os_now_ns() + 100 * MS;
	while (os_user_clock_next() <= end) {
		os_user_clock_advance(os_user_clock_next() - os_now_ns());
		(void)take_irq();
		REQUIRE(++wakes <= 500);
	}
	CHECK(wakes > 400);
	tear_down();
}

TEST(ticks_wait_for_a_slow_guest)
{
	unsigned int count = 0;

	set_up();
	program(0, 2, 1193);		/* 1000.15 Hz */
	os_user_clock_advance(20 * MS); /* nobody takes the interrupt */
	count = run_for(80 * MS);
	count += take_irq();
	CHECK(count >= 99 && count <= 101);
	/* But not for ever. */
	os_user_clock_advance(100 * SECOND);
	count = run_for(1 * SECOND);
	CHECK(count >= 1240 && count <= 1260);
	tear_down();
}

TEST(mode_0_interrupts_once)
{
	uint64_t start;

	set_up();
	program(0, 0, 1000);
	start = os_now_ns();
	CHECK_EQ(status(0) & 0x80, 0); /* output low */
	go_to_tick(start, 999);
	CHECK(!pic_pending(vm));
	CHECK_EQ(in16(0x40), 1);
	go_to_tick(start, 1000);
	CHECK_EQ(in16(0x40), 0);
	CHECK(take_irq());
	CHECK_EQ(status(0) & 0x80, 0x80);
	go_to_tick(start, 1001);
	CHECK_EQ(in16(0x40), 0xffff); /* goes on below 0 */
	CHECK_EQ(run_for(10 * SECOND), 0);
	out(0x40, 0xe8); /* a new count starts it again */
	out(0x40, 0x03);
	CHECK_EQ(run_for(10 * SECOND), 1);
	tear_down();
}

TEST(mode_4_strobes_once)
{
	uint64_t start;

	set_up();
	program(0, 4, 50);
	start = os_now_ns();
	CHECK_EQ(status(0) & 0x80, 0x80);
	go_to_tick(start, 50);
	CHECK_EQ(status(0) & 0x80, 0);
	go_to_tick(start, 51);
	CHECK_EQ(status(0) & 0x80, 0x80);
	CHECK(take_irq());
	CHECK_EQ(run_for(SECOND), 0);
	tear_down();
}

TEST(modes_1_and_5_need_a_gate)
{
	set_up();
	program(0, 1, 100); /* channel 0's gate never rises */
	CHECK_EQ(run_for(SECOND), 0);
	CHECK_EQ(in16(0x40), 100);
	program(0, 5, 100);
	CHECK_EQ(run_for(SECOND), 0);
	CHECK_EQ(os_user_timers(), 0);
	tear_down();
}

TEST(new_count_in_mode_2_waits_for_the_period)
{
	uint64_t start;

	set_up();
	program(0, 2, 1000);
	start = os_now_ns();
	go_to_tick(start, 300);
	out(0x40, 0xd0);
	out(0x40, 0x07);		  /* 2000 */
	CHECK_EQ(status(0) & 0x40, 0x40); /* not loaded yet */
	CHECK_EQ(in16(0x40), 700);
	go_to_tick(start, 1000);
	CHECK(take_irq()); /* the end of the old period */
	CHECK_EQ(status(0) & 0x40, 0);
	CHECK_EQ(in16(0x40), 2000);
	go_to_tick(start, 2999);
	CHECK(!take_irq());
	go_to_tick(start, 3000);
	CHECK(take_irq());
	tear_down();
}

/*
 * 8254 data sheet, "Mode 0": the first byte of two disables counting and takes OUT low at
 * once, the second allows the new count.
 */
TEST(mode_0_first_byte_stops_the_count)
{
	uint64_t start;

	set_up();
	program(0, 0, 1000);
	start = os_now_ns();
	go_to_tick(start, 400);
	out(0x40, 0x34);
	CHECK_EQ(in16(0x40), 600);
	CHECK_EQ(os_user_timers(), 0); /* it will not come to its end */
	CHECK_EQ(run_for(SECOND), 0);
	CHECK_EQ(in16(0x40), 600);
	out(0x40, 0x12);
	start = os_now_ns();
	CHECK_EQ(in16(0x40), 0x1234);
	go_to_tick(start, 0x1234);
	CHECK(take_irq());
	CHECK_EQ(status(0) & 0x80, 0x80);
	out(0x40, 0x10);
	CHECK_EQ(status(0) & 0x80, 0);
	CHECK_EQ(run_for(SECOND), 0);
	CHECK_EQ(status(0) & 0x80, 0);
	/* A count of one byte has no first of two. */
	out(CONTROL, 0x10);
	out(0x40, 200);
	go_to_tick(os_now_ns(), 100);
	out(0x40, 50);
	CHECK_EQ(in(0x40), 50);
	CHECK_EQ(run_for(SECOND), 1);
	tear_down();
}

TEST(mode_0_first_byte_and_the_gate)
{
	set_up();
	out(0x61, 1);
	program(2, 0, 100);
	os_user_clock_advance(MS);
	CHECK_EQ(in(0x61) & 0x20, 0x20);
	out(0x42, 0x34);
	CHECK_EQ(in(0x61) & 0x20, 0);
	out(0x61, 0);
	out(0x61, 1); /* does not start it again */
	os_user_clock_advance(SECOND);
	CHECK_EQ(in(0x61) & 0x20, 0);
	out(0x61, 0);
	out(0x42, 0x12);
	CHECK_EQ(in16(0x42), 0x1234);
	out(0x61, 1);
	os_user_clock_advance(SECOND);
	CHECK_EQ(in(0x61) & 0x20, 0x20);
	tear_down();
}

/* "Mode 4": the first byte has no effect on counting, the second allows the new count. */
TEST(mode_4_counts_on_until_the_second_byte)
{
	uint64_t start;

	set_up();
	program(0, 4, 5000);
	start = os_now_ns();
	go_to_tick(start, 2000);
	out(0x40, 0xe8);
	CHECK_EQ(in16(0x40), 3000);
	go_to_tick(start, 4000);
	CHECK_EQ(in16(0x40), 1000);
	out(0x40, 0x03); /* 1000 from here on */
	start = os_now_ns();
	CHECK_EQ(in16(0x40), 1000);
	go_to_tick(start, 999);
	CHECK(!take_irq());
	go_to_tick(start, 1000);
	CHECK(take_irq());
	CHECK_EQ(run_for(SECOND), 0);
	tear_down();
}

/* "Read-Back Command": null count until the counter has it, in modes 1 and 5 by the trigger. */
TEST(null_count_until_the_trigger)
{
	set_up();
	for (unsigned int mode = 1; mode <= 5; mode += 4) {
		out(0x61, 0);
		program(2, mode, 1000);
		CHECK_EQ(status(2), 0x80 | 0x40 | 0x30 | mode << 1);
		out(0x61, 1);
		CHECK_EQ(status(2) & 0x40, 0);
		out(0x42, 10);
		CHECK_EQ(status(2) & 0x40, 0); /* half a count */
		out(0x42, 0);
		CHECK_EQ(status(2) & 0x40, 0x40);
		out(0x61, 0);
		out(0x61, 1);
		CHECK_EQ(status(2) & 0x40, 0);
		CHECK_EQ(in16(0x42), 10);
	}
	tear_down();
}

/* "Mode 2" and "Mode 3": a low gate stops the count and holds OUT high, its rise reloads. */
TEST(low_gate_holds_modes_2_and_3)
{
	set_up();
	for (unsigned int mode = 2; mode <= 3; mode++) {
		unsigned int held = mode == 2 ? 700 : 400;
		uint64_t start;

		out(0x61, 1);
		program(2, mode, 1000);
		start = os_now_ns();
		go_to_tick(start, 300);
		out(0x61, 0);
		CHECK_EQ(in16(0x42), held);
		os_user_clock_advance(SECOND);
		CHECK_EQ(in16(0x42), held);
		CHECK_EQ(in(0x61) & 0x20, 0x20);
		/* A count for the next reload. */
		out(0x42, 0xd0);
		out(0x42, 0x07);
		CHECK_EQ(status(2) & 0x40, 0x40);
		CHECK_EQ(in16(0x42), held);
		os_user_clock_advance(SECOND);
		out(0x61, 1);
		CHECK_EQ(in16(0x42), 2000);
		CHECK_EQ(status(2) & 0x40, 0);
	}
	tear_down();
}

/* The count does not lose by being stopped. */
TEST(gate_stops_between_ticks)
{
	uint64_t start;

	set_up();
	out(0x61, 1);
	program(2, 0, 50000);
	start = os_now_ns();
	go_to_tick(start, 1);
	for (unsigned int i = 0; i < 1000; i++) {
		out(0x61, 0);
		out(0x61, 1);
	}
	CHECK_EQ(in16(0x42), 49999);
	tear_down();
}

/* "Mode 3": a new count is loaded at the end of the half-cycle. */
TEST(new_count_in_mode_3_waits_for_the_half_cycle)
{
	uint64_t start;

	set_up();
	program(0, 3, 10000);
	start = os_now_ns();
	go_to_tick(start, 3000); /* high until 5000 */
	out(0x40, 0xd0);
	out(0x40, 0x07); /* 2000 */
	CHECK_EQ(status(0) & 0xc0, 0xc0);
	CHECK_EQ(in16(0x40), 4000);
	go_to_tick(start, 5000);
	CHECK_EQ(status(0) & 0xc0, 0);
	CHECK_EQ(in16(0x40), 2000);
	go_to_tick(start, 5999);
	CHECK(!take_irq());
	go_to_tick(start, 6000); /* the low half was the new one */
	CHECK(take_irq());
	CHECK_EQ(status(0) & 0x80, 0x80);
	go_to_tick(start, 8000);
	CHECK(take_irq());
	go_to_tick(start, 9200); /* low until 10000 */
	out(0x40, 0xa0);
	out(0x40, 0x0f); /* 4000 */
	CHECK_EQ(status(0) & 0xc0, 0x40);
	go_to_tick(start, 10000);
	CHECK(take_irq());
	CHECK_EQ(status(0) & 0xc0, 0x80);
	CHECK_EQ(in16(0x40), 4000);
	go_to_tick(start, 11999);
	CHECK_EQ(status(0) & 0x80, 0x80);
	go_to_tick(start, 13999);
	CHECK(!take_irq());
	CHECK_EQ(status(0) & 0x80, 0);
	go_to_tick(start, 14000);
	CHECK(take_irq());
	tear_down();
}

TEST(square_wave)
{
	uint64_t start;

	set_up();
	program(2, 3, 101); /* odd: 51 high, 50 low */
	out(0x61, 1);
	start = os_now_ns();
	CHECK_EQ(in(0x61) & 0x21, 0x21);
	CHECK_EQ(in16(0x42), 100);
	go_to_tick(start, 1);
	CHECK_EQ(in16(0x42), 98); /* by two */
	go_to_tick(start, 50);
	CHECK_EQ(in(0x61) & 0x20, 0x20);
	go_to_tick(start, 51);
	CHECK_EQ(in(0x61) & 0x20, 0);
	go_to_tick(start, 101);
	CHECK_EQ(in(0x61) & 0x20, 0x20);
	tear_down();
}

TEST(gate_of_channel_2_stops_the_count)
{
	uint64_t start;

	set_up();
	out(0x61, 0);
	program(2, 0, 5000);
	os_user_clock_advance(SECOND);
	CHECK_EQ(in16(0x42), 5000);
	out(0x61, 1);
	start = os_now_ns();
	go_to_tick(start, 2000);
	out(0x61, 0);
	CHECK_EQ(in16(0x42), 3000);
	os_user_clock_advance(SECOND);
	CHECK_EQ(in16(0x42), 3000);
	CHECK_EQ(in(0x61) & 0x20, 0);
	program(2, 0, 3000); /* a new count while it stands: not the old place */
	CHECK_EQ(in16(0x42), 3000);
	out(0x61, 1);
	start = os_now_ns();
	go_to_tick(start, 2998);
	CHECK_EQ(in(0x61) & 0x20, 0);
	go_to_tick(start, 3001);
	CHECK_EQ(in(0x61) & 0x20, 0x20); /* as calibration loops wait for */
	CHECK_EQ(take_irq(), false);	 /* channel 2 has no interrupt */
	tear_down();
}

TEST(gate_triggers_mode_1)
{
	uint64_t start;

	set_up();
	out(0x61, 0);
	program(2, 1, 1000);
	CHECK_EQ(in(0x61) & 0x20, 0x20);
	os_user_clock_advance(MS);
	out(0x61, 1);
	start = os_now_ns();
	CHECK_EQ(in(0x61) & 0x20, 0);
	go_to_tick(start, 500);
	out(0x61, 0); /* the level does not matter */
	CHECK_EQ(in16(0x42), 500);
	out(0x61, 1); /* triggered again: from the start */
	start = os_now_ns();
	go_to_tick(start, 999);
	CHECK_EQ(in(0x61) & 0x20, 0);
	go_to_tick(start, 1000);
	CHECK_EQ(in(0x61) & 0x20, 0x20);
	/* A count written meanwhile is for the next trigger. */
	out(0x42, 10);
	out(0x42, 0);
	out(0x61, 0);
	out(0x61, 1);
	start = os_now_ns();
	CHECK_EQ(in16(0x42), 10);
	tear_down();
}

TEST(latches)
{
	uint64_t start;

	set_up();
	program(0, 2, 40000);
	start = os_now_ns();
	go_to_tick(start, 1000);
	out(CONTROL, 0x00); /* latch channel 0 */
	go_to_tick(start, 2000);
	out(CONTROL, 0x00); /* a second latch is ignored */
	CHECK_EQ(in16(0x40), 39000);
	CHECK_EQ(in16(0x40), 38000); /* live again */
	/* Read back count and status of channels 0 and 2: status comes first. */
	out(CONTROL, 0xca);
	go_to_tick(start, 3000);
	CHECK_EQ(in(0x40), 0x80 | 0x30 | 2 << 1);
	CHECK_EQ(in16(0x40), 38000);
	CHECK_EQ(in(0x42) & 0x40, 0x40); /* channel 2 has no count yet */
	out(CONTROL, 0xc8);		 /* only channel 2 */
	go_to_tick(start, 4000);
	CHECK_EQ(in16(0x40), 36000);
	CHECK_EQ(in(CONTROL), 0xff);
	tear_down();
}

TEST(byte_access_modes)
{
	set_up();
	out(CONTROL, 0x14); /* low byte only */
	out(0x40, 200);
	CHECK_EQ(in(0x40), 200);
	CHECK_EQ(in(0x40), 200);
	out(CONTROL, 0x24); /* high byte only */
	out(0x40, 2);
	CHECK_EQ(in(0x40), 2);
	out(0x41, 9); /* channel 1: no control word yet, no effect */
	CHECK_EQ(status(1) & 0x40, 0x40);
	tear_down();
}

TEST(bcd)
{
	uint64_t start;

	set_up();
	out(CONTROL, 0x31); /* mode 0 */
	out(0x40, 0x34);
	out(0x40, 0x12);
	start = os_now_ns();
	CHECK_EQ(in16(0x40), 0x1234);
	go_to_tick(start, 35);
	CHECK_EQ(in16(0x40), 0x1199);
	go_to_tick(start, 1235);
	CHECK_EQ(in16(0x40), 0x9999);
	out(0x40, 0);
	out(0x40, 0); /* 10000 */
	start = os_now_ns();
	go_to_tick(start, 1);
	CHECK_EQ(in16(0x40), 0x9999);
	out(CONTROL, 0x35);
	out(0x40, 0xff); /* not BCD: defined all the same */
	out(0x40, 0xff);
	(void)in16(0x40);
	tear_down();
}

/* With nobody in VM_RUN the host's timer is off; an interrupt is not lost for that. */
TEST(due_interrupt_comes_before_another_count)
{
	set_up();
	program(0, 0, 1000);
	vm_timers_leave(fake_vm_vcpu(vm, 0));
	program(0, 0, 2000);
	CHECK_EQ(os_user_timers(), 0);
	os_user_clock_advance(SECOND);
	CHECK(!pic_pending(vm));
	program(0, 0, 3000);
	CHECK(take_irq());
	tear_down();
}

TEST(port_61)
{
	unsigned int changes = 0;
	uint8_t last;

	set_up();
	out(0x61, 0xff);
	CHECK_EQ(in(0x61) & 0xcf, 0x0f);
	out(0x61, 0);
	CHECK_EQ(in(0x61) & 0xcf, 0);
	last = in(0x61) & 0x10;
	for (int i = 0; i < 1000; i++) {
		os_user_clock_advance(1000);
		changes += (in(0x61) & 0x10) != last;
		last = in(0x61) & 0x10;
	}
	CHECK_EQ(changes, 1000000 / 15085);
	tear_down();
}

TEST(masked_by_the_hpet)
{
	set_up();
	program(0, 2, 1193);
	CHECK_EQ(run_for(10 * MS), 10);
	pit_set_irq_masked(vm, true);
	CHECK_EQ(os_user_timers(), 0);
	os_user_clock_advance(10 * MS);
	CHECK(!pic_pending(vm));
	pit_set_irq_masked(vm, false);
	CHECK_EQ(run_for(10 * MS), 10); /* none of those from before */
	tear_down();
}

TEST(stop_and_reset)
{
	set_up();
	program(0, 2, 1193);
	pit_stop(vm);
	CHECK_EQ(os_user_timers(), 0);
	CHECK_EQ(run_for(SECOND), 0);
	program(0, 2, 1193);
	pit_reset(vm);
	CHECK_EQ(os_user_timers(), 0);
	CHECK_EQ(status(0) & 0x40, 0x40);
	tear_down();
}
