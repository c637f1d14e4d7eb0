// SPDX-License-Identifier: BSD-2-Clause
/* What bhyve does about each exit: a scripted vCPU run by the real loop. */
#include "event.h"
#include "fake_vmmapi.h"
#include "inout.h"
#include "mmio.h"
#include "run.h"
#include "unit.h"

#include <errno.h>

#define SUSPENDED(HOW)                                                                            \
	{                                                                                         \
		.exit = {.exitcode = VM_EXITCODE_SUSPENDED, .u.suspended.how = VM_SUSPEND_##HOW } \
	}
#define ERROR(ERRNO)             \
	{                        \
		.error = (ERRNO) \
	}

static struct run_options options;

/* Plays the script; returns the exit status. */
static int play(const struct fake_turn *script, unsigned length)
{
	fake.script = script;
	fake.script_length = length;
	REQUIRE(event_init() == 0);
	REQUIRE(run_start(fake_ctx, fake_vcpu, -1, &options) == 0);
	event_loop();
	return run_status();
}

#define PLAY(script) play(script, sizeof(script) / sizeof((script)[0]))

TEST(reboot_is_0)
{
	static const struct fake_turn script[] = { SUSPENDED(RESET) };

	CHECK_EQ(PLAY(script), 0);
	CHECK_EQ(run_how(), VM_SUSPEND_RESET);
}

TEST(power_off_is_1)
{
	static const struct fake_turn script[] = { SUSPENDED(POWEROFF) };

	CHECK_EQ(PLAY(script), 1);
}

TEST(halt_is_2)
{
	static const struct fake_turn script[] = { SUSPENDED(HALT) };

	CHECK_EQ(PLAY(script), 2);
}

TEST(triple_fault_is_3)
{
	static const struct fake_turn script[] = { SUSPENDED(TRIPLEFAULT) };

	CHECK_EQ(PLAY(script), 3);
}

TEST(destroyed_is_4)
{
	static const struct fake_turn script[] = { ERROR(ENXIO) };

	CHECK_EQ(PLAY(script), 4);
	CHECK_EQ(run_how(), VM_SUSPEND_DESTROY);
}

TEST(requested_status_wins)
{
	static const struct fake_turn script[] = { SUSPENDED(POWEROFF) };

	run_set_status(33);
	CHECK_EQ(PLAY(script), 33);
}

TEST(errors_are_4_and_stop_the_others)
{
	static const struct fake_turn script[] = { ERROR(ENOMEM) };

	CHECK_EQ(PLAY(script), 4);
	CHECK_EQ(fake.suspended, VM_SUSPEND_POWEROFF);
}

TEST(unexpected_exits_are_4)
{
	static const struct fake_turn script[] = {
		{ .exit = { .exitcode = VM_EXITCODE_TASK_SWITCH } },
	};

	CHECK_EQ(PLAY(script), 4);
}

TEST(unknown_exits_are_4)
{
	static const struct fake_turn script[] = {
		{ .exit = { .exitcode = (enum vm_exitcode)1000 } },
	};

	CHECK_EQ(PLAY(script), 4);
}

TEST(exits_with_nothing_to_do)
{
	static const struct fake_turn script[] = {
		{ .exit = { .exitcode = VM_EXITCODE_BOGUS } },
		{ .exit = { .exitcode = VM_EXITCODE_HLT } },
		{ .exit = { .exitcode = VM_EXITCODE_PAUSE } },
		{ .exit = { .exitcode = VM_EXITCODE_DEBUG } },
		{ .exit = { .exitcode = VM_EXITCODE_REQIDLE } },
		{ .exit = { .exitcode = VM_EXITCODE_IOAPIC_EOI } },
		{ .exit = { .exitcode = VM_EXITCODE_MTRAP } },
		SUSPENDED(POWEROFF),
	};

	CHECK_EQ(PLAY(script), 1);
	CHECK_EQ(fake.turn, 8);
}

static uint32_t written;

static uint32_t port_read(void *arg, unsigned offset, unsigned bytes)
{
	(void)arg;
	return offset << 8 | bytes;
}

static void port_write(void *arg, unsigned offset, unsigned bytes, uint32_t value)
{
	(void)arg, (void)offset, (void)bytes;
	written = value;
}

static const struct inout_range range = { "test", 0x50, 8, INOUT_ANY, port_read, port_write, NULL };

TEST(reads_are_answered_and_writes_are_not)
{
	static const struct fake_turn script[] = {
		{ .exit = { .exitcode = VM_EXITCODE_INOUT,
			    .u.inout = { .bytes = 2, .in = 1, .port = 0x53 } } },
		{ .exit = { .exitcode = VM_EXITCODE_INOUT,
			    .u.inout = { .bytes = 1, .port = 0x53, .eax = 0x1234 } } },
		{ .exit = { .exitcode = VM_EXITCODE_INOUT,
			    .u.inout = { .bytes = 4, .in = 1, .port = 0x1000 } } },
		SUSPENDED(POWEROFF),
	};

	CHECK_EQ(inout_register(&range), 0);
	CHECK_EQ(PLAY(script), 1);
	CHECK(!fake.replies[0].given);
	CHECK(fake.replies[1].given);
	CHECK_EQ(fake.replies[1].value, 0x302);
	CHECK(!fake.replies[2].given);
	CHECK_EQ(written, 0x34);
	CHECK(fake.replies[3].given);
	CHECK_EQ(fake.replies[3].value, 0xffffffff);
}

TEST(an_interrupted_answer_is_given_again)
{
	static const struct fake_turn script[] = {
		{ .exit = { .exitcode = VM_EXITCODE_INOUT,
			    .u.inout = { .bytes = 1, .in = 1, .port = 0x57 } } },
		ERROR(EINTR),
		SUSPENDED(POWEROFF),
	};

	CHECK_EQ(inout_register(&range), 0);
	CHECK_EQ(PLAY(script), 1);
	CHECK(fake.replies[2].given);
	CHECK_EQ(fake.replies[2].value, 1);
}

TEST(device_memory)
{
	static const struct fake_turn script[] = {
		{ .exit = { .exitcode = VM_EXITCODE_MMIO,
			    .u.mmio = { .gpa = 0xd0000000, .bytes = 8 } } },
		{ .exit = { .exitcode = VM_EXITCODE_MMIO,
			    .u.mmio = { .gpa = 0xd0000000, .bytes = 8, .write = 1 } } },
		SUSPENDED(POWEROFF),
	};

	CHECK_EQ(PLAY(script), 1);
	CHECK(fake.replies[1].given);
	CHECK_EQ(fake.replies[1].value, UINT64_MAX);
	CHECK(!fake.replies[2].given);
}

static const struct fake_turn msr_script[] = {
	{ .exit = { .exitcode = VM_EXITCODE_RDMSR, .u.msr = { .code = 0x1234 } } },
	{ .exit = { .exitcode = VM_EXITCODE_WRMSR, .u.msr = { .code = 0x1234 } } },
	SUSPENDED(POWEROFF),
};

TEST(unknown_msrs_fault)
{
	CHECK_EQ(PLAY(msr_script), 1);
	CHECK_EQ(fake.injected, 13);
}

TEST(unknown_msrs_ignored_on_demand)
{
	options.ignore_msrs = true;
	fake.registers[VM_REG_GUEST_RAX] = 1;
	fake.registers[VM_REG_GUEST_RDX] = 1;
	CHECK_EQ(PLAY(msr_script), 1);
	CHECK_EQ(fake.injected, -1);
	CHECK_EQ(fake.registers[VM_REG_GUEST_RAX], 0);
	CHECK_EQ(fake.registers[VM_REG_GUEST_RDX], 0);
}

TEST(unclaimed_ports_are_errors_on_demand)
{
	static const struct fake_turn script[] = {
		{ .exit = { .exitcode = VM_EXITCODE_INOUT,
			    .u.inout = { .bytes = 1, .port = 0x80 } } },
	};

	options.strict_ports = true;
	CHECK_EQ(PLAY(script), 4);
}
