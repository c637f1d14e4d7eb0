// SPDX-License-Identifier: BSD-2-Clause
/*
 * What an unprivileged member of group vmm can do to the host: how much memory and how many
 * VMs users may have, what a killed process leaves, and what they see.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/klog.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"
#include "users.h"

#define MIB	     (1ul << 20)
#define SYSCTL(name) "/proc/sys/hw/vmm/" name
#define NODE	     "/dev/vmm/limits"

static bool vm_exists(void)
{
	return access(NODE, F_OK) == 0;
}

static void set_limit(const char *sysctl, long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", value);
	REQUIRE(write_file(sysctl, text) == 0);
}

/* A VM that stays, with memory that is mapped: NULL and errno. */
static struct vmctx *vm_with_memory(const char *name, size_t size, int flags)
{
	struct vmctx *ctx = vm_openf(name, VMMAPI_OPEN_CREATE);

	REQUIRE(ctx);
	vm_set_memflags(ctx, flags);
	return vm_setup_memory(ctx, size, VM_MMAP_ALL) ? NULL : ctx;
}

/* --- memory --------------------------------------------------------------- */

/* As much as the host has, but for some MiB. */
static size_t nearly_all_memory(void)
{
	return (size_t)(meminfo("MemTotal") - 100 * 1024) / 2048 * 2 * MIB;
}

static int wire_nearly_all_memory(void)
{
	return vm_with_memory("limits", nearly_all_memory(), VM_MEM_F_WIRED) ? 0 : -1;
}

/* "bhyve -S -m 2800M" on a host of 3072 MiB: refused before any of it is allocated. */
TEST(memory_of_the_whole_host_is_not_wired)
{
	struct held before = module_holds();
	long available = meminfo("MemAvailable");

	CHECK_EQ(as("alice", wire_nearly_all_memory), ENOMEM);
	CHECK_EQ(module_holds().guest_memory, before.guest_memory);
	CHECK(available - meminfo("MemAvailable") < 64 * 1024);
	CHECK(vm_destroy_name("limits") == 0);
	/* Nor for root. */
	errno = 0;
	CHECK(wire_nearly_all_memory() == -1);
	CHECK_EQ(errno, ENOMEM);
	CHECK(vm_destroy_name("limits") == 0);
}

static sigjmp_buf out_of_memory;

static void no_page(int signal)
{
	siglongjmp(out_of_memory, signal);
}

/* Touch it all, a byte in each 'step'; the number of bytes before the first SIGBUS. */
static size_t touch(char *memory, size_t size, size_t step)
{
	static volatile size_t at;

	signal(SIGBUS, no_page);
	at = 0;
	if (sigsetjmp(out_of_memory, 1) == 0) {
		for (; at < size; at += step)
			memory[at] = 1;
	}
	signal(SIGBUS, SIG_DFL);
	return at;
}

/* Touch all of a VM's memory below 3 GiB and above 4 GiB until there is no more of it. */
static bool touch_all(struct vmctx *ctx, size_t size, size_t step)
{
	size_t low = size < 3072 * MIB ? size : 3072 * MIB;

	if (touch(vm_map_gpa(ctx, 0, low), low, step) < low)
		return false;
	return size == low ||
	       touch(vm_map_gpa(ctx, 4096 * MIB, size - low), size - low, step) == size - low;
}

/* 0: the host had what it keeps for itself when there was no more for the guest. */
static int touch_more_than_all_memory(void)
{
	size_t size = 2 * nearly_all_memory();
	struct vmctx *ctx = vm_with_memory("limits", size, 0);
	long reserve = read_number(SYSCTL("memory_reserve"));

	if (!ctx)
		return -1;
	/* A fragmented host has no 2 MiB pages: most is untouched after the quick round. */
	errno = touch_all(ctx, size, 2 * MIB) && touch_all(ctx, size, 4096) ? ENOSPC : EDOM;
	return errno == EDOM && meminfo("MemAvailable") > reserve / 2 ? 0 : -1;
}

TEST(touching_the_whole_host_leaves_the_reserve)
{
	struct held before = module_holds();

	CHECK_EQ(as("alice", touch_more_than_all_memory), 0);
	/* The process has ended by itself: the VM stays as it is. */
	CHECK(module_holds().guest_memory > before.guest_memory);
	CHECK(vm_destroy_name("limits") == 0);
	check_held(before);
}

/* How many MiB of a VM's 16 can be touched. */
static int touch_16(const char *name)
{
	struct vmctx *ctx = vm_with_memory(name, 16 * MIB, 0);

	return ctx ? (int)(touch(vm_map_gpa(ctx, 0, 16 * MIB), 16 * MIB, 4096) / MIB) : -1;
}

static int first_vm(void)
{
	errno = touch_16("limits");
	return -1;
}

static int second_vm(void)
{
	errno = touch_16("limits2");
	return -1;
}

static int third_vm(void)
{
	errno = touch_16("limits3");
	return -1;
}

TEST(users_memory_is_limited_over_all_their_vms)
{
	long unlimited = read_number(SYSCTL("user_memory_max"));

	/* And some for the words and tables that keep track of it. */
	set_limit(SYSCTL("user_memory_max"), 24 * 1024 + 64);
	CHECK_EQ(as("alice", first_vm), 16);
	CHECK_EQ(as("alice", second_vm), 8);
	CHECK_EQ(as("bob", third_vm), 16);
	CHECK(vm_destroy_name("limits") == 0);
	CHECK(vm_destroy_name("limits2") == 0);
	CHECK_EQ(as("alice", second_vm), 16);
	CHECK(vm_destroy_name("limits2") == 0);
	CHECK(vm_destroy_name("limits3") == 0);
	set_limit(SYSCTL("user_memory_max"), 0);
	CHECK_EQ(touch_16("limits"), 16);
	set_limit(SYSCTL("user_memory_max"), unlimited);
	CHECK(vm_destroy_name("limits") == 0);
}

static int write_sysctl(void)
{
	return open(SYSCTL("user_memory_max"), O_WRONLY) < 0 ? -1 : 0;
}

TEST(limits_are_roots)
{
	long total = meminfo("MemTotal");
	long reserve = read_number(SYSCTL("memory_reserve"));

	CHECK_EQ(as("alice", write_sysctl), EACCES);
	CHECK(reserve >= total / 20 && reserve <= total / 10);
	CHECK(read_number(SYSCTL("user_memory_max")) <= total - reserve * 3 / 4);
}

/* --- VMs ------------------------------------------------------------------ */

static int create_first(void)
{
	return vm_create("limits");
}

static int create_second(void)
{
	return vm_create("limits2");
}

static int create_third(void)
{
	return vm_create("limits3");
}

static int destroy_second(void)
{
	return vm_destroy_name("limits2");
}

static long limit_vms(long max)
{
	long before = read_number(SYSCTL("user_vms_max"));

	set_limit(SYSCTL("user_vms_max"), max);
	return before;
}

TEST(users_vms_are_limited)
{
	long before = limit_vms(2);

	CHECK_EQ(as("alice", create_first), 0);
	CHECK_EQ(as("alice", create_second), 0);
	CHECK_EQ(as("alice", create_third), EAGAIN);
	CHECK_EQ(as("bob", create_third), 0);
	CHECK_EQ(as("alice", destroy_second), 0);
	CHECK_EQ(as("alice", create_second), 0);
	/* Root is not limited. */
	limit_vms(0);
	CHECK(vm_create("limits4") == 0);
	limit_vms(before);
	CHECK(vm_destroy_name("limits") == 0 && vm_destroy_name("limits2") == 0);
	CHECK(vm_destroy_name("limits3") == 0 && vm_destroy_name("limits4") == 0);
}

/* A number of the kernel's own for the users of alice's user namespace. */
#define FOREIGN_ID "100000"

static int other_id_creates(const int *mapped)
{
	char letter;

	if (unshare(CLONE_NEWUSER) || write(mapped[1], "u", 1) != 1)
		return errno;
	if (read(mapped[0], &letter, 1) != 1 || setuid(7))
		return errno;
	return vm_create("limits2") ? errno : 0;
}

/* Give the process that is in a namespace of its own other users' IDs, as newuidmap does. */
static void map_foreign_ids(pid_t pid, const int *asked)
{
	char path[64], letter;

	REQUIRE(read(asked[0], &letter, 1) == 1);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	REQUIRE(write_file(path, "0 " FOREIGN_ID " 10\n") == 0);
	REQUIRE(write(asked[1], "m", 1) == 1);
}

TEST(other_ids_of_a_user_namespace_are_its_creators)
{
	long before = limit_vms(1);
	int to_child[2], to_parent[2];
	int status = -1;
	pid_t pid;

	REQUIRE(pipe(to_child) == 0 && pipe(to_parent) == 0);
	CHECK_EQ(as("alice", create_first), 0);
	pid = fork();
	if (pid == 0) {
		user_become("alice");
		_exit(other_id_creates((int[]){ to_child[0], to_parent[1] }));
	}
	map_foreign_ids(pid, (int[]){ to_parent[0], to_child[1] });
	REQUIRE(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), EAGAIN);
	limit_vms(before);
	CHECK(vm_destroy_name("limits") == 0);
}

/* --- processes that die --------------------------------------------------- */

static void *spin_in_guest(void *vcpu)
{
	struct vm_exit exit;

	while (vm_run_reply(vcpu, &exit, false, 0) == 0)
		;
	pause();
	return NULL;
}

static void run_vcpus(struct vmctx *ctx)
{
	struct machine machine = { .ctx = ctx, .memory = vm_map_gpa(ctx, 0, 16 * MIB) };
	pthread_t thread;

	memcpy(machine.memory + MACHINE_CODE, machine_spin, sizeof(machine_spin));
	for (int i = 0; i < 2; i++) {
		struct vcpu *vcpu = machine_vcpu(&machine, i, MACHINE_CODE);

		REQUIRE(pthread_create(&thread, NULL, spin_in_guest, vcpu) == 0);
	}
}

/* A process that uses the VM, made if need be, until 'end' or a signal ends it. */
static pid_t start_user(int (*end)(void))
{
	int ready[2];
	char letter;
	pid_t pid;

	REQUIRE(pipe(ready) == 0);
	pid = fork();
	if (pid == 0) {
		struct vmctx *ctx = vm_with_memory("limits", 16 * MIB, 0);

		REQUIRE(ctx);
		run_vcpus(ctx);
		usleep(100000);
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		exit(end());
	}
	close(ready[1]);
	REQUIRE(read(ready[0], &letter, 1) == 1);
	close(ready[0]);
	return pid;
}

static void finish(pid_t pid, int signal)
{
	if (signal)
		kill(pid, signal);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

TEST(killed_process_takes_its_vm_along)
{
	struct held before = module_holds();

	finish(start_user(pause), SIGKILL);
	CHECK(!vm_exists());
	check_held(before);
	finish(start_user(pause), SIGTERM);
	CHECK(!vm_exists());
	check_held(before);
}

static int crash(void)
{
	signal(SIGABRT, SIG_DFL);
	abort();
}

TEST(crashed_process_takes_its_vm_along)
{
	finish(start_user(crash), 0);
	CHECK(!vm_exists());
}

static int succeed(void)
{
	return 0;
}

/* exit() kills the threads that run the guest, which is no reason. */
TEST(process_that_exits_leaves_its_vm)
{
	for (int i = 0; i < 10; i++) {
		finish(start_user(succeed), 0);
		REQUIRE(vm_exists());
		CHECK(module_holds().guest_memory > 0);
		CHECK(vm_destroy_name("limits") == 0);
	}
}

TEST(sticky_bit_keeps_a_vm)
{
	pid_t pid = start_user(pause);

	CHECK(chmod(NODE, 01600) == 0);
	finish(pid, SIGKILL);
	REQUIRE(vm_exists());
	CHECK(vm_destroy_name("limits") == 0);
}

/* bhyvectl, for instance. */
TEST(killed_onlooker_leaves_the_vm)
{
	int ready[2];
	char letter;
	pid_t pid;

	REQUIRE(pipe(ready) == 0);
	CHECK(vm_create("limits") == 0);
	pid = fork();
	if (pid == 0) {
		struct vmctx *ctx = vm_open("limits");
		uint64_t value;

		vm_get_register(vm_vcpu_open(ctx, 0), VM_REG_GUEST_RAX, &value);
		if (write(ready[1], "r", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	REQUIRE(read(ready[0], &letter, 1) == 1);
	finish(pid, SIGKILL);
	CHECK(vm_exists());
	CHECK(vm_destroy_name("limits") == 0);
}

TEST(vm_stays_while_another_process_uses_it)
{
	struct vmctx *ctx = vm_with_memory("limits", 16 * MIB, 0);
	pid_t pid;

	REQUIRE(ctx);
	pid = start_user(pause);
	finish(pid, SIGKILL);
	CHECK(vm_exists());
	vm_close(ctx);
	CHECK(vm_exists());
	CHECK(vm_destroy_name("limits") == 0);
}

/* --- what is seen --------------------------------------------------------- */

/* 0: every entry of the nested page table is there, and has an address. */
static int look_for_addresses(void)
{
	struct vmctx *ctx = vm_with_memory("limits", 2 * MIB, VM_MEM_F_WIRED);
	uint64_t entries[5];
	int count = 0;

	REQUIRE(ctx && vm_get_gpa_pmap(ctx, 0x1000, entries, &count) == 0);
	vm_destroy(ctx);
	errno = count < 2 ? ENOENT : 0;
	for (int i = 0; i < count; i++) {
		if (!(entries[i] & 0xfff))
			errno = ENOENT;
		if (!(entries[i] & 0x000ffffffffff000))
			errno = EACCES;
	}
	return errno ? -1 : 0;
}

TEST(host_addresses_are_roots)
{
	CHECK_EQ(look_for_addresses(), 0);
	CHECK_EQ(as("alice", look_for_addresses), EACCES);
}

static bool kernel_says(const char *text)
{
	size_t size = 1 << 20;
	char *log = calloc(1, size);
	bool says;

	REQUIRE(log && klogctl(3, log, (int)size - 1) > 0);
	says = strstr(log, text);
	free(log);
	return says;
}

/* Each refusal is a line. */
static void ask_for_devices(const char *name, int times)
{
	struct vmctx *ctx =
		vm_openf(name, VMMAPI_OPEN_CREATE | VMMAPI_OPEN_CREATE_DESTROY_ON_CLOSE);

	REQUIRE(ctx);
	while (times-- > 0)
		vm_assign_pptdev(ctx, 9, 9, 0);
	vm_close(ctx);
}

static int flood_the_log(void)
{
	ask_for_devices("loud", 1000);
	ask_for_devices("silenced", 1);
	return 0;
}

TEST(no_vm_silences_another)
{
	CHECK_EQ(as("alice", flood_the_log), 0);
	CHECK(kernel_says("vmm: ppt: loud cannot have devices"));
	CHECK(kernel_says("vmm: ppt: silenced cannot have devices"));
}
