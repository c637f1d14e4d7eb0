// SPDX-License-Identifier: BSD-2-Clause
/* The ACPI PM timer. */
#include "unit.h"

#include "dev/device.h"
#include "dev/pmtimer.h"
#include "fake_backend.h"

#define SECOND 1000000000ull

static struct vm *vm;
static struct vcpu *cpu;

static void set_up(void)
{
	vm = fake_vm_create(1);
	cpu = fake_vm_vcpu(vm, 0);
}

static uint32_t in(uint16_t port, unsigned int size)
{
	int64_t value = device_port(cpu, port, false, size, 0x5a5a5a5a);

	CHECK(value >= 0);
	return (uint32_t)value;
}

TEST(frequency)
{
	set_up();
	CHECK_EQ(pmtimer_read(vm), 0);
	os_user_clock_advance(SECOND);
	CHECK_EQ(pmtimer_read(vm), PMTIMER_HZ);
	/* For a day, against exact arithmetic: no drift. */
	for (uint64_t seconds = 2; seconds < 86400; seconds += 977) {
		os_user_clock_advance(seconds * SECOND + 123456789 - (os_now_ns() - SECOND));
		CHECK_EQ(pmtimer_read(vm),
			 (uint32_t)(seconds * PMTIMER_HZ + 123456789ull * PMTIMER_HZ / SECOND));
	}
	fake_vm_destroy(vm);
}

TEST(wraps_at_32_bits)
{
	set_up();
	os_user_clock_advance((1ull << 32) * SECOND / PMTIMER_HZ);
	CHECK_EQ(pmtimer_read(vm), 0xffffffff);
	os_user_clock_advance(400);
	CHECK(pmtimer_read(vm) <= 1);
	fake_vm_destroy(vm);
}

TEST(port_accesses)
{
	set_up();
	os_user_clock_advance(1000 * SECOND);
	CHECK_EQ(in(0x408, 4), (uint32_t)(1000ull * PMTIMER_HZ));
	CHECK_EQ(in(0x408, 1), (uint8_t)(1000ull * PMTIMER_HZ));
	CHECK_EQ(in(0x408, 2), (uint16_t)(1000ull * PMTIMER_HZ));
	CHECK_EQ(in(0x40a, 2), (uint16_t)(1000ull * PMTIMER_HZ >> 16));
	CHECK_EQ(in(0x40b, 1), (uint8_t)(1000ull * PMTIMER_HZ >> 24));
	CHECK_EQ(in(0x40a, 4), 0xffff0000 | (uint16_t)(1000ull * PMTIMER_HZ >> 16));
	CHECK_EQ(device_port(cpu, 0x408, true, 4, 1), 0); /* read-only */
	CHECK_EQ(in(0x408, 4), (uint32_t)(1000ull * PMTIMER_HZ));
	CHECK_EQ(device_port(cpu, 0x407, false, 4, 0), -ENOENT);
	CHECK_EQ(device_port(cpu, 0x40c, false, 4, 0), -ENOENT);
	pmtimer_reset(vm);
	CHECK_EQ(in(0x408, 4), 0);
	fake_vm_destroy(vm);
}
