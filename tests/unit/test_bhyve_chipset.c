// SPDX-License-Identifier: BSD-2-Clause
/* bhyve's ACPI registers, reset registers, keyboard controller and test device. */
#include "fake_vmmapi.h"
#include "i8042.h"
#include "inout.h"
#include "pm.h"
#include "reset.h"
#include "run.h"
#include "testdev.h"
#include "unit.h"

/* Each test is a process of its own, so devices are as new. */
static void setup(void)
{
	fake_reset();
	inout_reset();
	pm_init(fake_ctx);
	reset_init(fake_ctx);
	i8042_init(fake_ctx);
}

TEST(sci_is_level_triggered)
{
	setup();
	CHECK(fake.level_triggered[9]);
}

TEST(acpi_mode_by_smi_command)
{
	setup();
	CHECK_EQ(inout_read(0x404, 2), 0);
	inout_write(0xb2, 1, 0xa0);
	CHECK_EQ(inout_read(0x404, 2), 1);
	inout_write(0xb2, 1, 0xa1);
	CHECK_EQ(inout_read(0x404, 2), 0);
}

TEST(power_button_needs_a_listener)
{
	setup();
	CHECK(!pm_power_button());
	inout_write(0xb2, 1, 0xa0);
	CHECK(!pm_power_button());
	CHECK_EQ(inout_read(0x400, 2), 0);
	inout_write(0x402, 2, 0x0100);
	CHECK(pm_power_button());
	CHECK_EQ(inout_read(0x400, 2), 0x0100);
	CHECK(fake.line[9]);
	CHECK_EQ(fake.suspended, VM_SUSPEND_NONE);
}

TEST(sci_falls_when_the_status_is_cleared)
{
	setup();
	inout_write(0xb2, 1, 0xa0);
	inout_write(0x402, 2, 0x0100);
	pm_power_button();
	inout_write(0x400, 2, 0x00ff);
	CHECK(fake.line[9]);
	inout_write(0x401, 1, 0x01);
	CHECK(!fake.line[9]);
	CHECK_EQ(inout_read(0x400, 4), 0x01000000);
}

TEST(sci_falls_when_the_event_is_disabled)
{
	setup();
	inout_write(0xb2, 1, 0xa0);
	inout_write(0x402, 2, 0x0100);
	pm_power_button();
	inout_write(0x402, 2, 0);
	CHECK(!fake.line[9]);
	inout_write(0x400, 4, 0x01000000);
	CHECK(fake.line[9]);
}

TEST(enable_has_only_real_bits)
{
	setup();
	inout_write(0x402, 2, 0xffff);
	CHECK_EQ(inout_read(0x402, 2), 0x0721);
}

TEST(general_purpose_events)
{
	setup();
	CHECK_EQ(inout_read(0x40c, 4), 0);
	inout_write(0x40c, 4, 0x8001ffff);
	CHECK_EQ(inout_read(0x40c, 4), 0x80010000);
	inout_write(0x40f, 1, 0x12);
	CHECK_EQ(inout_read(0x40e, 2), 0x1201);
	/* The chipset has none to signal. */
	CHECK_EQ(inout_read(0x40c, 2), 0);
	inout_write(0xb2, 1, 0xa0);
	CHECK(!fake.line[9]);
}

TEST(s5_powers_off)
{
	setup();
	inout_write(0x404, 2, 5 << 10);
	CHECK_EQ(fake.suspended, VM_SUSPEND_NONE);
	CHECK_EQ(inout_read(0x404, 2), 5 << 10);
	inout_write(0x404, 2, 5 << 10 | 1 << 13);
	CHECK_EQ(fake.suspended, VM_SUSPEND_POWEROFF);
	CHECK_EQ(inout_read(0x404, 2), 5 << 10);
}

TEST(other_sleep_types_do_nothing)
{
	setup();
	for (unsigned type = 0; type < 8; type++)
		if (type != PM_SLEEP_TYPE_S5)
			inout_write(0x404, 2, type << 10 | 1 << 13);
	CHECK_EQ(fake.suspended, VM_SUSPEND_NONE);
}

TEST(s5_in_two_bytes)
{
	setup();
	inout_write(0x404, 1, 0xff);
	CHECK_EQ(inout_read(0x404, 2), 0x02);
	inout_write(0x405, 1, 5 << 2 | 1 << 5);
	CHECK_EQ(fake.suspended, VM_SUSPEND_POWEROFF);
}

TEST(reset_control)
{
	setup();
	inout_write(0xcf9, 1, 0x02);
	CHECK_EQ(fake.suspended, VM_SUSPEND_NONE);
	CHECK_EQ(inout_read(0xcf9, 1), 0x02);
	inout_write(0xcf9, 1, 0x06);
	CHECK_EQ(fake.suspended, VM_SUSPEND_RESET);
}

TEST(port_92)
{
	setup();
	CHECK_EQ(inout_read(0x92, 1), 0x02);
	inout_write(0x92, 1, 0xf2);
	CHECK_EQ(inout_read(0x92, 1), 0x02);
	CHECK_EQ(fake.suspended, VM_SUSPEND_NONE);
	inout_write(0x92, 1, 0x03);
	CHECK_EQ(fake.suspended, VM_SUSPEND_RESET);
}

/* --- keyboard controller ---------------------------------------------------------- */

static uint32_t kbc_answer(uint32_t command)
{
	inout_write(0x64, 1, command);
	CHECK_EQ(inout_read(0x64, 1) & 0x03, 0x01);
	return inout_read(0x60, 1);
}

TEST(keyboard_reset)
{
	setup();
	inout_write(0x64, 1, 0xff);
	CHECK_EQ(fake.suspended, VM_SUSPEND_NONE);
	inout_write(0x64, 1, 0xfe);
	CHECK_EQ(fake.suspended, VM_SUSPEND_RESET);
}

TEST(output_port_reset)
{
	setup();
	inout_write(0x64, 1, 0xd1);
	inout_write(0x60, 1, 0xdf);
	CHECK_EQ(fake.suspended, VM_SUSPEND_NONE);
	CHECK_EQ(kbc_answer(0xd0), 0xdf);
	inout_write(0x64, 1, 0xd1);
	inout_write(0x60, 1, 0xde);
	CHECK_EQ(fake.suspended, VM_SUSPEND_RESET);
}

TEST(controller_answers_its_commands)
{
	setup();
	CHECK_EQ(inout_read(0x64, 1), 0x14);
	CHECK_EQ(kbc_answer(0xaa), 0x55);
	CHECK_EQ(kbc_answer(0xab), 0x00);
	CHECK_EQ(kbc_answer(0xa9), 0x01);
	inout_write(0x64, 1, 0x60);
	inout_write(0x60, 1, 0x45);
	CHECK_EQ(kbc_answer(0x20), 0x45);
	inout_write(0x64, 1, 0xad);
	CHECK_EQ(kbc_answer(0x20), 0x55);
	inout_write(0x64, 1, 0xae);
	inout_write(0x64, 1, 0xa7);
	CHECK_EQ(kbc_answer(0x20), 0x65);
	inout_write(0x64, 1, 0xa8);
	CHECK_EQ(kbc_answer(0x20), 0x45);
	CHECK_EQ(inout_read(0x64, 1) & 0x01, 0);
}

TEST(no_keyboard_is_a_timeout)
{
	setup();
	inout_write(0x60, 1, 0xf2);
	CHECK_EQ(inout_read(0x64, 1) & 0x41, 0x41);
	CHECK_EQ(inout_read(0x60, 1), 0xfe);
	CHECK_EQ(inout_read(0x64, 1) & 0x41, 0);
}

TEST(keyboard_interrupt_follows_the_buffer)
{
	setup();
	inout_write(0x64, 1, 0x60);
	inout_write(0x60, 1, 0x01);
	inout_write(0x60, 1, 0xff);
	CHECK(fake.line[1]);
	inout_read(0x60, 1);
	CHECK(!fake.line[1]);
	CHECK_EQ(fake.raised[1], 1);
}

/* --- test device ------------------------------------------------------------------- */

TEST(test_exit_status)
{
	setup();
	testdev_init(fake_ctx);
	inout_write(0xf4, 4, 0x10);
	CHECK_EQ(run_status(), 0x21);
	CHECK_EQ(fake.suspended, VM_SUSPEND_POWEROFF);
	/* The first one counts. */
	inout_write(0xf4, 1, 0x00);
	CHECK_EQ(run_status(), 0x21);
}

TEST(test_console_identifies_itself)
{
	setup();
	testdev_init(fake_ctx);
	CHECK_EQ(inout_read(0xe9, 1), 0xe9);
}
