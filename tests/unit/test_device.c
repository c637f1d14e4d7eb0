// SPDX-License-Identifier: BSD-2-Clause
/* Where ports and addresses find their devices, and the devices' common life. */
#include "unit.h"

#include "dev/device.h"
#include "dev/hpet.h"
#include "dev/ioapic.h"
#include "dev/lapic.h"
#include "dev/periodic.h"
#include "dev/pic.h"
#include "dev/pit.h"
#include "dev/pmtimer.h"
#include "dev/rtc.h"
#include "fake_backend.h"
#include "vm/timer.h"

static struct vm *vm;
static struct vcpu *cpu;

static void set_up(void)
{
	vm = fake_vm_create(2);
	cpu = fake_vm_vcpu(vm, 0);
	(void)vm_timers_enter(cpu);
}

static bool owns_port(uint16_t port)
{
	return device_port(cpu, port, false, 1, 0) >= 0;
}

/* A device takes an access that starts there. */
static bool owns_address(uint64_t gpa)
{
	uint64_t value;

	return device_mmio(cpu, gpa, false, 1, &value) != -ENOENT;
}

TEST(every_port)
{
	unsigned int count = 0;

	set_up();
	for (unsigned int port = 0; port < 0x10000; port++)
		count += owns_port((uint16_t)port);
	/* 8259s 4, ELCR 2, 8254 4, 0x61, RTC 2, PM timer 4. */
	CHECK_EQ(count, 17);
	CHECK(owns_port(0x20) && owns_port(0x21) && owns_port(0xa0) && owns_port(0xa1));
	CHECK(owns_port(0x40) && owns_port(0x43) && owns_port(0x61) && owns_port(0x4d1));
	CHECK(owns_port(0x70) && owns_port(0x71) && owns_port(0x408) && owns_port(0x40b));
	fake_vm_destroy(vm);
}

static bool unit_has_port(const struct device_unit *unit, unsigned int port)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(unit->ports) && unit->ports[i].count; i++)
		if (port - unit->ports[i].first < unit->ports[i].count)
			return true;
	return false;
}

TEST(ports_lead_to_the_units_that_list_them)
{
	for (unsigned int port = 0; port < 0x10000; port++) {
		unsigned int id = port < DEVICE_PORTS ? device_of_port[port] : DEVICE_NONE;

		for (unsigned int i = 0; i < DEVICE_COUNT; i++)
			CHECK_EQ_AT(unit_has_port(&device_units[i], port), id && id == i,
				    "port 0x%x, unit %s", port, device_units[i].name);
	}
}

/* Each unit can do what its windows promise, and what is created is destroyed and reset. */
TEST(units_are_whole)
{
	CHECK(!device_units[DEVICE_NONE].name && !device_units[DEVICE_NONE].memory.size);
	for (unsigned int i = DEVICE_NONE + 1; i < DEVICE_COUNT; i++) {
		const struct device_unit *unit = &device_units[i];
		bool bytes = unit->port_read && unit->port_write;
		bool memory = unit->memory_read && unit->memory_write;

		CHECK_EQ_AT(bytes + (unit->port_read_wide != NULL), unit->ports[0].count != 0, "%s",
			    unit->name);
		CHECK_EQ_AT(memory || i == DEVICE_LAPIC, unit->memory.size != 0, "%s", unit->name);
		CHECK_EQ_AT(unit->create != NULL, i != DEVICE_LAPIC, "%s", unit->name);
		CHECK_EQ_AT(unit->destroy != NULL, unit->create != NULL, "%s", unit->name);
		CHECK_EQ_AT(unit->reset != NULL, unit->create != NULL, "%s", unit->name);
	}
}

TEST(memory_windows_are_found_and_reserved)
{
	unsigned int windows = 0;

	set_up();
	for (unsigned int i = 0; i < DEVICE_COUNT; i++) {
		const struct device_window *window = &device_units[i].memory;

		if (!window->size)
			continue;
		CHECK(owns_address(window->gpa) && owns_address(window->gpa + window->size - 1));
		CHECK(!owns_address(window->gpa - 1) && !owns_address(window->gpa + window->size));
		REQUIRE(windows < vm->memory.window_count);
		CHECK_EQ(vm->memory.window[windows].gpa, window->gpa);
		CHECK_EQ(vm->memory.window[windows].len, window->size);
		windows++;
	}
	CHECK_EQ(windows, vm->memory.window_count);
	fake_vm_destroy(vm);
}

TEST(wide_port_accesses_are_cut)
{
	set_up();
	/* Index and data of the RTC in one write. */
	CHECK_EQ(device_port(cpu, 0x70, true, 2, 0x5540), 0);
	CHECK_EQ(device_port(cpu, 0x70, true, 1, 0x40), 0);
	CHECK_EQ(device_port(cpu, 0x71, false, 1, 0), 0x55);
	/* Bytes beyond the device read as ones. */
	CHECK_EQ(device_port(cpu, 0x71, false, 4, 0), 0xffffff55);
	CHECK_EQ(device_port(cpu, 0x71, false, 2, 0), 0xff55);
	CHECK_EQ(device_port(cpu, 0x6f, false, 2, 0), -ENOENT);
	CHECK_EQ(device_port(cpu, 0xffff, false, 4, 0), -ENOENT);
	CHECK_EQ(device_port(cpu, 0x70, false, 8, 0), -ENOENT);
	fake_vm_destroy(vm);
}

TEST(memory_ranges)
{
	uint64_t value = 0, accesses;

	set_up();
	CHECK(owns_address(0xfee00000));
	CHECK(owns_address(0xfee00fff));
	CHECK(!owns_address(0xfee01000));
	CHECK(!owns_address(0xfedfffff));
	CHECK(owns_address(0xfec00000));
	CHECK(!owns_address(0xfec01000));
	CHECK(owns_address(0xfed00000));
	CHECK(owns_address(0xfed003ff));
	CHECK(!owns_address(0xfed00400));
	CHECK(!owns_address(0));
	accesses = cpu->stats[STAT_MMIO];
	CHECK_EQ(accesses, 5); /* those that found a device */
	value = 1;
	CHECK_EQ(device_mmio(cpu, 0xfec00000, true, 4, &value), 0);
	CHECK_EQ(device_mmio(cpu, 0xfec00010, false, 4, &value), 0);
	CHECK_EQ(value, 0x001f0020);
	CHECK_EQ(device_mmio(cpu, 0xfed00000, false, 4, &value), 0);
	CHECK_EQ(value, 0x8086a701);
	CHECK_EQ(device_mmio(cpu, 0xfed00400, false, 4, &value), -ENOENT);
	CHECK_EQ(cpu->stats[STAT_MMIO] - accesses, 3);
	/* Without a local APIC in memory its page is nobody's, nor is any other. */
	CHECK_EQ(lapic_set_base(cpu, 0xfee00100), 0);
	CHECK(!owns_address(0xfee00000));
	CHECK(!owns_address(0));
	CHECK(!owns_address(0xffe));
	CHECK_EQ(device_mmio(cpu, 0x20, false, 4, &value), -ENOENT);
	fake_vm_destroy(vm);
}

TEST(creation_survives_running_out_of_memory)
{
	struct vm bare;
	uint64_t before = os_user_alloc_outstanding();

	for (unsigned int n = 1; n <= 6; n++) {
		memset(&bare, 0, sizeof(bare));
		os_user_fail_alloc(n);
		CHECK_EQ_AT(device_create_all(&bare), -ENOMEM, "allocation %u", n);
		CHECK_EQ(os_user_alloc_outstanding(), before);
		CHECK(!bare.ioapic && !bare.pic && !bare.pit && !bare.hpet && !bare.pmtimer &&
		      !bare.rtc);
	}
	os_user_fail_alloc(0);
	memset(&bare, 0, sizeof(bare));
	CHECK_EQ(device_create_all(&bare), 0);
	device_destroy_all(&bare);
	CHECK_EQ(os_user_alloc_outstanding(), before);
}

static void start_every_timer(void)
{
	pit_port_write(vm, 0x43, 0x34);
	pit_port_write(vm, 0x40, 0xa9);
	pit_port_write(vm, 0x40, 0x04);
	rtc_port_write(vm, 0x70, 12);
	(void)rtc_port_read(vm, 0x71);
	rtc_port_write(vm, 0x70, 11);
	rtc_port_write(vm, 0x71, 0x42);
	hpet_mmio_write(vm, 0x10, 8, 0);
	hpet_mmio_write(vm, 0xf0, 8, 0);
	hpet_mmio_write(vm, 0x10, 8, 1);
	for (unsigned int n = 0; n < HPET_TIMERS; n++) {
		hpet_mmio_write(vm, 0x100 + 0x20 * n, 8, 0x4c);
		hpet_mmio_write(vm, 0x108 + 0x20 * n, 8, 100000);
	}
	CHECK_EQ(os_user_timers(), 2 + HPET_TIMERS);
}

TEST(stop_and_reset_silence_all_timers)
{
	uint64_t entry = 0;

	set_up();
	start_every_timer();
	device_stop_all(vm);
	CHECK_EQ(os_user_timers(), 0);
	os_user_clock_advance(1000000000);
	CHECK_EQ(os_user_timers(), 0);
	start_every_timer();
	os_user_clock_advance(10000000);
	ioapic_mmio_write(vm, 0x00, 4, 0x20);
	ioapic_mmio_write(vm, 0x10, 4, 0x33);
	pic_port_write(vm, 0x21, 0x12);
	os_user_clock_advance(1000);
	device_reset_all(vm);
	CHECK_EQ(os_user_timers(), 0);
	ioapic_mmio_write(vm, 0x00, 4, 0x20);
	ioapic_mmio_read(vm, 0x10, 4, &entry);
	CHECK_EQ(entry, 0x10000);
	ioapic_mmio_write(vm, 0x00, 4, 0x21);
	ioapic_mmio_read(vm, 0x10, 4, &entry);
	CHECK_EQ(entry, 0);
	CHECK_EQ(pic_port_read(vm, 0x21), 0xff);
	CHECK_EQ(pmtimer_read(vm), 0);
	start_every_timer();
	fake_vm_destroy(vm); /* aborts if one is left */
}

/* --- host timers and vCPUs in VM_RUN -------------------------------------- */

/* How often host timers have expired in that time; gives up at 'limit'. */
static unsigned int wakes_in(uint64_t ns, unsigned int limit)
{
	uint64_t end = os_now_ns() + ns;
	unsigned int wakes = 0;

	while (os_user_clock_next() <= end && wakes < limit) {
		os_user_clock_advance(os_user_clock_next() - os_now_ns());
		wakes++;
	}
	if (wakes < limit)
		os_user_clock_advance(end - os_now_ns());
	return wakes;
}

/* As VM_SET_KERNEMU_DEV does. */
static void write_hpet(uint32_t offset, uint64_t value)
{
	CHECK_EQ(device_mmio(cpu, HPET_BASE + offset, true, 8, &value), 0);
}

/* Every HPET timer at 50 ns, the counter beginning at 0; RTC and 8254 as well. */
static void arm_everything(void)
{
	write_hpet(0x10, 0);
	write_hpet(0xf0, 0);
	for (unsigned int n = 0; n < HPET_TIMERS; n++) {
		write_hpet(0x100 + 0x20 * n, 0x4c | (24 + n) << 9);
		write_hpet(0x108 + 0x20 * n, 1);
	}
	write_hpet(0x10, 1);
	rtc_port_write(vm, 0x70, 10);
	rtc_port_write(vm, 0x71, 0x23);
	rtc_port_write(vm, 0x70, 11);
	rtc_port_write(vm, 0x71, 0x72);
	pit_port_write(vm, 0x43, 0x14);
	pit_port_write(vm, 0x40, 2);
}

TEST(no_host_timer_without_a_vcpu_in_vm_run)
{
	set_up();
	vm_timers_leave(cpu);
	arm_everything();
	CHECK_EQ(os_user_timers(), 0);
	CHECK_EQ(wakes_in(10 * NS_PER_SECOND, 100), 0);
	/* A vCPU enters: what is due comes at once, and the timers run. */
	CHECK(!pic_pending(vm));
	CHECK(vm_timers_enter(cpu));
	device_resume_all(vm);
	CHECK(!vm_timers_enter(cpu));
	CHECK(os_user_timers() >= 1 + HPET_TIMERS);
	rtc_port_write(vm, 0x70, 12);
	CHECK_EQ(rtc_port_read(vm, 0x71), 0xd0);
	fake_vm_destroy(vm);
}

/* What is armed when the last vCPU leaves expires once. */
TEST(host_timers_stop_after_the_last_vcpu_has_left)
{
	unsigned int armed;

	set_up();
	arm_everything();
	armed = os_user_timers();
	CHECK_EQ(armed, 2 + HPET_TIMERS);
	vm_timers_leave(cpu);
	CHECK(wakes_in(NS_PER_SECOND, 1000) <= armed);
	CHECK_EQ(os_user_timers(), 0);
	/* It is the other vCPU that comes. */
	CHECK(vm_timers_enter(fake_vm_vcpu(vm, 1)));
	device_resume_all(vm);
	CHECK(os_user_timers() >= 1 + HPET_TIMERS);
	vm_timers_leave(fake_vm_vcpu(vm, 1));
	CHECK(wakes_in(NS_PER_SECOND, 1000) <= armed);
	CHECK_EQ(os_user_timers(), 0);
	fake_vm_destroy(vm);
}

/*
 * In a tenth of a second: the HPET's timers expire together, the 8254's at moments of its own,
 * the RTC's as well until its flag waits to be read.
 */
static void check_wakes(unsigned int each)
{
	unsigned int wakes;

	arm_everything();
	wakes = wakes_in(NS_PER_SECOND / 10, 100000);
	CHECK(wakes <= 3 * (each + 1));
	CHECK(wakes >= each - 1);
}

/* 5,000 times a second each, unless the parameter says otherwise. */
TEST(host_timers_have_a_shortest_period)
{
	set_up();
	CHECK_EQ(vm_timer_min_ns, 200000);
	check_wakes(500);
	vm_timer_min_ns = 1000000;
	check_wakes(100);
	vm_timer_min_ns = 0; /* not below what a local APIC's may have */
	check_wakes(5000);
	vm_timer_min_ns = 200000;
	fake_vm_destroy(vm);
}

static unsigned int timers_in_guest;

static enum exit_action note_timers(struct vcpu *vcpu, unsigned int entry)
{
	(void)entry;
	timers_in_guest = os_user_timers();
	return vcpu_exit_userspace(vcpu, VM_EXITCODE_BOGUS);
}

TEST(vm_run_arms_what_was_left_off)
{
	set_up();
	vm_timers_leave(cpu);
	arm_everything();
	fake_vcpu(cpu)->guest = note_timers;
	CHECK_EQ(os_user_timers(), 0);
	CHECK_EQ(vcpu_run(cpu), 0);
	CHECK(timers_in_guest >= 1 + HPET_TIMERS);
	CHECK(!cpu->running);
	CHECK(wakes_in(NS_PER_SECOND, 1000) <= timers_in_guest);
	CHECK_EQ(os_user_timers(), 0);
	fake_vm_destroy(vm);
}

/* --- what the timers share --------------------------------------------------------- */

TEST(clock_conversion)
{
	CHECK_EQ(clock_scale(1000000000, NS_PER_SECOND, 3579545), 3579545);
	CHECK_EQ(clock_scale(279, NS_PER_SECOND, 3579545), 0);
	CHECK_EQ(clock_scale(280, NS_PER_SECOND, 3579545), 1);
	/* Up and down again gives the same number. */
	for (uint64_t n = 0; n < 100000; n++)
		CHECK_EQ(clock_scale(clock_scale_up(n, 1193182, NS_PER_SECOND), NS_PER_SECOND,
				     1193182),
			 n);
	CHECK_EQ(clock_scale(~0ull, 1, NS_PER_SECOND), CLOCK_FOREVER);
	CHECK_EQ(clock_scale_up(~0ull, 1193182, NS_PER_SECOND), CLOCK_FOREVER);
}

TEST(periodic_schedule)
{
	struct periodic schedule;
	uint64_t now = 5000000;

	periodic_start(&schedule, now, 1000, 1000000); /* 1 ms */
	CHECK(!periodic_due(&schedule, now + 999999));
	CHECK_EQ(periodic_deadline(&schedule, now), now + 1000000);
	CHECK(periodic_due(&schedule, now + 1000000));
	/* Ten late: one by one, a quarter of a period apart. */
	now += 10500000;
	for (int i = 0; i < 10; i++) {
		CHECK(periodic_due(&schedule, now));
		periodic_done(&schedule, now, IRQ_DELIVERED);
		if (i < 9)
			CHECK_EQ(periodic_deadline(&schedule, now), now + 250000);
	}
	CHECK(!periodic_due(&schedule, now));
	CHECK_EQ(periodic_deadline(&schedule, now), now + 500000);
	/* A coalesced one stays due, an ignored one takes all with it. */
	now += 5000000;
	periodic_done(&schedule, now, IRQ_COALESCED);
	CHECK_EQ(schedule.delivered, 10);
	CHECK_EQ(periodic_deadline(&schedule, now), now + 1000000); /* no faster */
	periodic_done(&schedule, now, IRQ_IGNORED);
	CHECK(!periodic_due(&schedule, now));
	/* Before the start nothing is due; a schedule may start before time 0. */
	periodic_start(&schedule, now + 77, 1000, 1000000);
	CHECK_EQ(periodic_elapsed(&schedule, now), 0);
	periodic_start(&schedule, 1000 - 3000000ull, 1000, 1000000);
	CHECK_EQ(periodic_elapsed(&schedule, 1000), 3000);
}
