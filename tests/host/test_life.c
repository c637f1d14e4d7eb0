// SPDX-License-Identifier: BSD-2-Clause
/* VMs come and go, and leave nothing behind. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"

/* OUT to port 0x80, then halt with interrupts off. */
static const uint8_t out_and_halt[] = { 0xb0, 0x42, 0xe6, 0x80, 0xfa, 0xf4 };

TEST(node_appears_and_goes)
{
	struct stat st;

	CHECK(vm_create("life") == 0);
	CHECK(stat("/dev/vmm/life", &st) == 0);
	CHECK(vm_destroy_name("life") == 0);
	CHECK(stat("/dev/vmm/life", &st) == -1 && errno == ENOENT);
}

TEST(a_name_can_be_taken_once)
{
	CHECK(vm_create("life") == 0);
	CHECK(vm_create("life") == -1 && errno == EEXIST);
	CHECK(vm_destroy_name("life") == 0);
	CHECK(vm_destroy_name("life") == -1 && errno == ENOENT);
}

TEST(names_are_checked)
{
	static const char *const bad[] = { "", "a/b", "..", ".", "a b\n" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		errno = 0;
		CHECK(vm_create(bad[i]) == -1);
		CHECK_EQ(errno, EINVAL);
	}
}

TEST(guest_code_runs)
{
	struct machine machine =
		machine_create("life", 1 << 20, out_and_halt, sizeof(out_and_halt));
	struct vm_exit exit = machine_run(&machine);

	CHECK_EQ(exit.exitcode, VM_EXITCODE_INOUT);
	CHECK_EQ(exit.u.inout.port, 0x80);
	CHECK_EQ(exit.u.inout.eax & 0xff, 0x42);
	exit = machine_run(&machine);
	CHECK_EQ(exit.exitcode, VM_EXITCODE_SUSPENDED);
	CHECK_EQ(exit.u.suspended.how, VM_SUSPEND_HALT);
	machine_destroy(&machine);
}

/* Some cycles first, so that the kernel's caches have their size. */
static void repeat_cycle(int count, void (*cycle)(void))
{
	for (int i = 0; i < count; i++)
		cycle();
}

static void create_and_destroy(void)
{
	REQUIRE(vm_create("life") == 0);
	REQUIRE(vm_destroy_name("life") == 0);
}

static void create_run_and_destroy(void)
{
	struct machine machine =
		machine_create("life", 4 << 20, out_and_halt, sizeof(out_and_halt));

	REQUIRE(machine_run(&machine).exitcode == VM_EXITCODE_INOUT);
	machine_destroy(&machine);
}

static void check_leak(int count, void (*cycle)(void))
{
	struct held held = module_holds();
	long before;

	repeat_cycle(count / 10, cycle);
	before = settled_free_memory();
	repeat_cycle(count, cycle);
	CHECK(before - settled_free_memory() < 1024);
	check_held(held);
}

TEST(many_vms_leak_nothing)
{
	check_leak(count_of("COUNT_VMS"), create_and_destroy);
}

TEST(many_running_vms_leak_nothing)
{
	check_leak(count_of("COUNT_RUNNING_VMS"), create_run_and_destroy);
}

TEST(monitor_mode_vm_goes_with_its_file)
{
	struct stat st;
	struct vmctx *ctx =
		vm_openf("life", VMMAPI_OPEN_CREATE | VMMAPI_OPEN_CREATE_DESTROY_ON_CLOSE);

	REQUIRE(ctx);
	CHECK(stat("/dev/vmm/life", &st) == 0);
	vm_close(ctx);
	CHECK(stat("/dev/vmm/life", &st) == -1 && errno == ENOENT);
}

TEST(monitor_mode_vm_goes_with_a_killed_process)
{
	struct stat st;
	pid_t pid = fork();

	if (pid == 0) {
		vm_openf("life", VMMAPI_OPEN_CREATE | VMMAPI_OPEN_CREATE_DESTROY_ON_CLOSE);
		kill(getpid(), SIGKILL);
	}
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK(stat("/dev/vmm/life", &st) == -1 && errno == ENOENT);
}

TEST(destroyed_vm_answers_enxio)
{
	struct machine machine =
		machine_create("life", 1 << 20, out_and_halt, sizeof(out_and_halt));
	struct vm_exit exit;
	uint64_t value;

	CHECK(vm_destroy_name("life") == 0);
	CHECK(vm_get_register(machine.vcpu, VM_REG_GUEST_RAX, &value) == -1 && errno == ENXIO);
	CHECK(vm_run_reply(machine.vcpu, &exit, false, 0) == -1 && errno == ENXIO);
	vm_close(machine.ctx);
}

TEST(memory_of_a_destroyed_vm_is_sigbus)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct machine machine =
			machine_create("life", 1 << 20, out_and_halt, sizeof(out_and_halt));

		signal(SIGBUS, SIG_DFL);
		vm_destroy_name("life");
		machine.memory[0] = 1;
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

static bool virtualization_in_use(void)
{
	FILE *file = fopen("/sys/module/vmm/refcnt", "r");
	int count = -1;

	if (file) {
		if (fscanf(file, "%d", &count) != 1)
			count = -1;
		fclose(file);
	}
	return count != 0;
}

TEST(module_with_a_vm_cannot_be_unloaded)
{
	CHECK(!virtualization_in_use());
	CHECK(vm_create("life") == 0);
	CHECK(virtualization_in_use());
	CHECK(system("rmmod vmm 2>/dev/null") != 0);
	CHECK(vm_destroy_name("life") == 0);
	CHECK(!virtualization_in_use());
}
