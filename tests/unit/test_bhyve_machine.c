// SPDX-License-Identifier: BSD-2-Clause
/* bhyve's machine: which VMs it starts, and on which CPUs. */
#include "fake_vmmapi.h"
#include "machine.h"
#include "unit.h"

#include "common/vm_name.h"

#include <sched.h>
#include <unistd.h>

#define STARTED 99

static void open_and_run(const void *options)
{
	machine_run(machine_open(options), options);
	_exit(STARTED);
}

/* Opens the machine and starts it up to the first thread; returns how that ended. */
static int start(const struct options *options, char *text, size_t size)
{
	return unit_exit_status(open_and_run, options, STDERR_FILENO, text, size);
}

static const struct options one_cpu = {
	.name = "vm", .cpus = 1, .sockets = 1, .cores = 1, .threads = 1, .memory = 1 << 20
};

/* As after power-on; or where bhyveload has put the vCPU. */
static void set_loaded(bool loaded)
{
	static const struct fake_turn turn = { .exit = { .exitcode = VM_EXITCODE_BOGUS } };

	fake_reset();
	fake.script = &turn;
	fake.script_length = 1;
	fake.registers[VM_REG_GUEST_RIP] = loaded ? 0x100000 : 0xfff0;
	fake.code_base = loaded ? 0 : 0xffff0000;
}

TEST(a_vm_that_is_loaded_starts)
{
	char text[512];

	set_loaded(true);
	CHECK_EQ(start(&one_cpu, text, sizeof(text)), STARTED);
	CHECK_STR(text, "");
}

TEST(a_vm_that_nobody_has_loaded_does_not)
{
	struct options options = one_cpu;
	char text[512];

	set_loaded(false);
	CHECK_EQ(start(&options, text, sizeof(text)), 4);
	CHECK_STR(text, "bhyve: vm: virtual machine cannot be booted: "
			"nothing has been loaded into it (bhyveload does, --empty starts it so)\n");
	options.empty = true;
	CHECK_EQ(start(&options, text, sizeof(text)), STARTED);
}

/* A kernel may begin where the processor does, and a base alone is not the reset vector. */
TEST(what_is_loaded_may_be_at_fff0)
{
	char text[512];

	set_loaded(true);
	fake.registers[VM_REG_GUEST_RIP] = 0xfff0;
	CHECK_EQ(start(&one_cpu, text, sizeof(text)), STARTED);
}

TEST(a_vm_that_does_not_exist)
{
	struct options options = one_cpu;
	char text[512];

	set_loaded(false);
	fake.absent = true;
	CHECK_EQ(start(&options, text, sizeof(text)), 4);
	/* The module may or may not be there where these tests run. */
	CHECK_STR(text, access(CONTROL_DEVICE, F_OK) ?
				"bhyve: vm: " MODULE_NOT_LOADED "\n" :
				"bhyve: vm: virtual machine cannot be booted: there is no such VM "
				"(bhyveload creates it, --empty starts an empty one)\n");
	options.empty = true;
	CHECK_EQ(start(&options, text, sizeof(text)), STARTED);
}

TEST(cpus_that_this_host_lacks)
{
	struct pin pin = { .vcpu = 0, .host_cpu = 1023 };
	struct options options = one_cpu;
	char text[512];

	set_loaded(true);
	options.pins = &pin;
	CHECK_EQ(start(&options, text, sizeof(text)), 4);
	CHECK_EQ(strncmp(text, "bhyve: -p 0:1023: bhyve may run on the CPUs ", 44), 0);
	pin.host_cpu = sched_getcpu();
	CHECK_EQ(start(&options, text, sizeof(text)), STARTED);
}

TEST(more_memory_than_this_host_has)
{
	struct options options = one_cpu;
	char text[512];

	set_loaded(true);
	options.memory = (size_t)1 << 50;
	CHECK_EQ(start(&options, text, sizeof(text)), 4);
	CHECK_EQ(strncmp(text, "bhyve: -m 1073741824M: this host has ", 37), 0);
}

TEST(too_many_cpus_are_refused_before_the_vm_is_touched)
{
	struct options options = one_cpu;
	char text[512];

	set_loaded(true);
	fake.absent = true;
	options.cpus = options.sockets = 256;
	CHECK_EQ(start(&options, text, sizeof(text)), 4);
	CHECK(strstr(text, "bhyve: -c 256: "));
}
