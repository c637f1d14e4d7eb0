// SPDX-License-Identifier: BSD-2-Clause
/* A VM that is destroyed, interrupted or migrated while other threads use it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"

#define SEGMENT_SIZE 0x200000

/* Counts in the word at 0x2000: again: incw 0x2000; jmp again */
static const uint8_t count_up[] = { 0xfb, 0xff, 0x06, 0x00, 0x20, 0xeb, 0xfa };

static double monotonic_seconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* --- a vCPU in a thread ---------------------------------------------------------- */

struct runner {
	struct vcpu *vcpu;
	pthread_t thread;
	bool joined;
	int error; /* errno of the VM_RUN that failed, 0 if one ended with 'exit' */
	struct vm_exit exit;
};

/* Runs until something other than a BOGUS exit comes. */
static void *runner_main(void *arg)
{
	struct runner *runner = arg;

	do {
		runner->error = vm_run_reply(runner->vcpu, &runner->exit, false, 0) ? errno : 0;
	} while (runner->error == 0 && runner->exit.exitcode == VM_EXITCODE_BOGUS);
	return NULL;
}

static void runner_start(struct runner *runner)
{
	runner->joined = false;
	REQUIRE(pthread_create(&runner->thread, NULL, runner_main, runner) == 0);
}

/* Whether the run ended within 'seconds', or had been seen to end before. */
static bool runner_join(struct runner *runner, int seconds)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += seconds;
	if (!runner->joined)
		runner->joined = pthread_timedjoin_np(runner->thread, NULL, &deadline) == 0;
	return runner->joined;
}

static bool stopped_by_destroy(const struct runner *runner)
{
	return runner->error == ENXIO ||
	       (runner->error == 0 && runner->exit.exitcode == VM_EXITCODE_SUSPENDED &&
		runner->exit.u.suspended.how == VM_SUSPEND_DESTROY);
}

TEST(destroy_ends_a_spinning_guest)
{
	struct machine machine =
		machine_create("race", 1 << 20, machine_spin, sizeof(machine_spin));
	struct runner runner = { .vcpu = machine.vcpu };

	runner_start(&runner);
	usleep(200000);
	CHECK(vm_destroy_name("race") == 0);
	REQUIRE(runner_join(&runner, 5));
	CHECK(stopped_by_destroy(&runner));
	vm_close(machine.ctx);
}

TEST(destroy_ends_a_halted_guest)
{
	static const uint8_t halt[] = { 0xfb, 0xf4, 0xeb, 0xfd }; /* sti; hlt; jmp to hlt */
	struct machine machine = machine_create("race", 1 << 20, halt, sizeof(halt));
	struct runner runner = { .vcpu = machine.vcpu };

	runner_start(&runner);
	usleep(200000);
	CHECK(vm_destroy_name("race") == 0);
	REQUIRE(runner_join(&runner, 5));
	CHECK(stopped_by_destroy(&runner));
	vm_close(machine.ctx);
}

TEST(second_runner_is_refused)
{
	struct machine machine =
		machine_create("race", 1 << 20, machine_spin, sizeof(machine_spin));
	struct runner runner = { .vcpu = machine.vcpu };
	struct vm_exit exit;
	uint64_t rip = 0;

	runner_start(&runner);
	usleep(200000);
	for (int i = 0; i < 100; i++) {
		CHECK(vm_run_reply(machine.vcpu, &exit, false, 0) == -1 && errno == EBUSY);
		CHECK(vm_get_register(machine.vcpu, VM_REG_GUEST_RIP, &rip) == 0);
		CHECK_EQ(rip, MACHINE_CODE + 1); /* behind STI */
	}
	CHECK(vm_destroy_name("race") == 0);
	REQUIRE(runner_join(&runner, 5));
	CHECK(stopped_by_destroy(&runner));
	vm_close(machine.ctx);
}

static void ignore_signal(int number)
{
	(void)number;
}

TEST(signal_ends_a_run)
{
	struct machine machine =
		machine_create("race", 1 << 20, machine_spin, sizeof(machine_spin));
	struct runner runner = { .vcpu = machine.vcpu };
	struct sigaction action = { .sa_handler = ignore_signal };

	REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
	for (int i = 0; i < 20; i++) {
		runner_start(&runner);
		/* One that comes before the thread is in the kernel is lost. */
		for (int tries = 0; tries < 10; tries++) {
			usleep(10000);
			pthread_kill(runner.thread, SIGUSR1);
			if (runner_join(&runner, 1))
				break;
		}
		REQUIRE(runner.joined);
		CHECK_EQ(runner.error, EINTR);
	}
	machine_destroy(&machine);
}

static void *destroy_main(void *result)
{
	*(int *)result = vm_destroy_name("race") ? errno : 0;
	return NULL;
}

/* --- a VMM process that does not accept the exit -------------------------- */

/* A page whose first touch waits until 'uffd' is closed. */
static void *page_that_waits(int *uffd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	REQUIRE(page != MAP_FAILED && *uffd >= 0);
	REQUIRE(ioctl(*uffd, UFFDIO_API, &api) == 0);
	range.range.start = (uintptr_t)page;
	range.range.len = 4096;
	REQUIRE(ioctl(*uffd, UFFDIO_REGISTER, &range) == 0);
	return page;
}

struct stuck {
	int fd;
	struct vm_exit *exit;
	struct vm_register_set *set;
};

static void *stuck_run(void *arg)
{
	const struct stuck *stuck = arg;
	struct vm_run_reply run = { .vm_exit = stuck->exit };

	ioctl(stuck->fd, VM_RUN_REPLY, &run);
	return NULL;
}

static void *stuck_get(void *arg)
{
	const struct stuck *stuck = arg;

	ioctl(stuck->fd, VM_GET_REGISTER_SET, stuck->set);
	return NULL;
}

static void *stuck_set(void *arg)
{
	const struct stuck *stuck = arg;

	ioctl(stuck->fd, VM_SET_REGISTER_SET, stuck->set);
	return NULL;
}

/* Other threads can lock the vCPU, and destroy the VM, while such a call waits. */
static void check_not_held_up(void *(*call)(void *))
{
	static const uint8_t out[] = { 0xe6, 0x80 };
	struct machine machine = machine_create("race", 1 << 20, out, sizeof(out));
	struct stuck stuck = { .fd = vm_get_device_fd(machine.ctx) };
	struct vm_register_set set = { .count = 1, .regnums = (int[]){ VM_REG_GUEST_RAX } };
	struct runner destroyer = { 0 };
	pthread_t thread;
	uint64_t value;
	int result = -1;
	int uffd;

	stuck.exit = page_that_waits(&uffd);
	stuck.set = &set;
	set.regvals = (uint64_t *)stuck.exit;
	REQUIRE(pthread_create(&thread, NULL, call, &stuck) == 0);
	usleep(300000);
	CHECK(vm_get_register(machine.vcpu, VM_REG_GUEST_RAX, &value) == 0);
	REQUIRE(pthread_create(&destroyer.thread, NULL, destroy_main, &result) == 0);
	CHECK(runner_join(&destroyer, 10));
	CHECK_EQ(result, 0);
	close(uffd);
	REQUIRE(pthread_join(thread, NULL) == 0);
	vm_close(machine.ctx);
}

TEST(destroy_while_an_exit_is_not_taken)
{
	check_not_held_up(stuck_run);
}

TEST(destroy_while_registers_are_not_taken)
{
	check_not_held_up(stuck_get);
}

TEST(destroy_while_registers_are_not_given)
{
	check_not_held_up(stuck_set);
}

/* --- names ------------------------------------------------------------------------ */

TEST(name_is_free_when_destroy_returns)
{
	int old[50];

	for (int i = 0; i < 50; i++) {
		CHECK_EQ_AT(vm_create("race"), 0, "round %d: %s", i, strerror(errno));
		old[i] = open("/dev/vmm/race", O_RDWR);
		CHECK(old[i] >= 0);
		CHECK(vm_destroy_name("race") == 0);
	}
	for (int i = 0; i < 50; i++) {
		struct vm_suspend suspend = { .how = VM_SUSPEND_HALT };

		CHECK(ioctl(old[i], VM_SUSPEND, &suspend) == -1 && errno == ENXIO);
		close(old[i]);
	}
}

TEST(segments_of_two_vms_with_one_name)
{
	struct vmctx *first, *second;

	REQUIRE(vm_create("race") == 0 && vm_create("race.a") == 0);
	first = vm_open("race");
	second = vm_open("race.a");
	REQUIRE(first && second);
	CHECK(vm_create_devmem(first, VM_BOOTROM, "a.b", SEGMENT_SIZE) != MAP_FAILED);
	CHECK(vm_create_devmem(second, VM_BOOTROM, "b", SEGMENT_SIZE) == MAP_FAILED);
	CHECK_EQ(errno, EEXIST);
	CHECK(vm_create_devmem(second, VM_BOOTROM, "c", SEGMENT_SIZE) != MAP_FAILED);
	vm_destroy(second);
	vm_destroy(first);
	CHECK(access("/dev/vmm.io/race.a.b", F_OK) == -1 && errno == ENOENT);
}

TEST(of_two_destroyers_one_wins)
{
	for (int i = 0; i < 100; i++) {
		pthread_t threads[2];
		int results[2];

		REQUIRE(vm_create("race") == 0);
		for (int j = 0; j < 2; j++)
			REQUIRE(pthread_create(&threads[j], NULL, destroy_main, &results[j]) == 0);
		for (int j = 0; j < 2; j++)
			REQUIRE(pthread_join(threads[j], NULL) == 0);
		CHECK((results[0] == 0) + (results[1] == 0) == 1);
		CHECK(results[0] == 0 || results[0] == ENOENT || results[0] == EBUSY);
		CHECK(results[1] == 0 || results[1] == ENOENT || results[1] == EBUSY);
	}
}

/* --- mappings ----------------------------------------------------------------------- */

static int map_errno(int fd, size_t size, int flags, uint64_t offset)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, (off_t)offset);

	if (map == MAP_FAILED)
		return errno;
	munmap(map, size);
	return 0;
}

TEST(mappings_are_bounded)
{
	struct machine machine =
		machine_create("race", 4 << 20, machine_spin, sizeof(machine_spin));
	int fd = vm_get_device_fd(machine.ctx);
	uint64_t start = 0;
	void *map;

	CHECK_EQ(map_errno(fd, 4 << 20, MAP_SHARED, start), 0);
	CHECK_EQ(map_errno(fd, 4096, MAP_SHARED, start + (4 << 20) - 4096), 0);
	CHECK_EQ(map_errno(fd, 4096, MAP_SHARED, start + (4 << 20)), EINVAL);
	CHECK_EQ(map_errno(fd, 8192, MAP_SHARED, start + (4 << 20) - 4096), EINVAL);
	CHECK_EQ(map_errno(fd, 4096, MAP_PRIVATE, start), EINVAL);
	CHECK_EQ(map_errno(fd, 4096, MAP_SHARED, 1ull << 48), EINVAL);
	CHECK_EQ(map_errno(fd, 4096, MAP_SHARED, 15ull << 48), EINVAL);
	CHECK_EQ(map_errno(fd, 4096, MAP_SHARED, 0x7fffull << 48), EINVAL);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, (off_t)start);
	REQUIRE(map != MAP_FAILED);
	CHECK(mremap(map, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED);
	munmap(map, 4096);
	machine_destroy(&machine);
}

/* --- everything at once --------------------------------------------------- */

static volatile bool storm_over;
static __thread sigjmp_buf storm_fault;
static __thread volatile bool storm_may_fault;

static void on_sigbus(int number)
{
	(void)number;
	if (!storm_may_fault)
		abort();
	siglongjmp(storm_fault, 1);
}

/* Touch each page, until the end or a SIGBUS. */
static void touch(volatile char *map, size_t size)
{
	if (sigsetjmp(storm_fault, 1) == 0) {
		storm_may_fault = true;
		for (size_t i = 0; i < size; i += 4096)
			map[i] = (char)(map[i] + 1);
	}
	storm_may_fault = false;
}

static void map_and_touch(int fd, uint64_t offset)
{
	char *map = mmap(NULL, SEGMENT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);

	if (map == MAP_FAILED)
		return;
	touch(map, SEGMENT_SIZE);
	munmap(map, SEGMENT_SIZE);
}

static void *storm_map(void *path)
{
	while (!storm_over) {
		int fd = open(path, O_RDWR);

		if (fd < 0)
			continue;
		map_and_touch(fd, 0);
		close(fd);
	}
	return NULL;
}

static void *storm_run(void *unused)
{
	while (!storm_over) {
		struct vmctx *ctx = vm_open("race");
		struct runner runner = { 0 };

		if (!ctx)
			continue;
		runner.vcpu = vm_vcpu_open(ctx, 0);
		if (runner.vcpu) {
			runner_main(&runner);
			vm_vcpu_close(runner.vcpu);
		}
		vm_close(ctx);
	}
	return unused;
}

static void *storm_ioctl(void *unused)
{
	while (!storm_over) {
		struct vm_register reg = { .cpuid = 1, .regnum = VM_REG_GUEST_RAX };
		struct vm_suspend suspend = { .how = VM_SUSPEND_HALT };
		int fd = open("/dev/vmm/race", O_RDWR);

		if (fd < 0)
			continue;
		ioctl(fd, VM_GET_REGISTER, &reg);
		ioctl(fd, VM_SUSPEND, &suspend);
		ioctl(fd, VM_REINIT);
		ioctl(fd, VM_SET_REGISTER, &reg);
		close(fd);
	}
	return unused;
}

/* One VM after the other is destroyed while the other threads use it. */
static void storm_create(void)
{
	int vms = count_of("STORM_VMS");

	for (int i = 0; i < vms; i++) {
		struct machine machine =
			machine_create("race", SEGMENT_SIZE, machine_spin, sizeof(machine_spin));

		void *seg = vm_create_devmem(machine.ctx, VM_BOOTROM, "seg", SEGMENT_SIZE);

		usleep((useconds_t)(rand() % 3000));
		if (i % 2)
			vm_close(machine.ctx);
		else
			machine_destroy(&machine);
		/* A mapping holds the last reference to a destroyed VM. */
		if (seg != MAP_FAILED)
			munmap(seg, SEGMENT_SIZE);
	}
}

static void storm(void)
{
	static void *(*const mains[])(void *) = { storm_map, storm_map, storm_run, storm_ioctl };
	static char *const args[] = { "/dev/vmm/race", "/dev/vmm.io/race.seg", NULL, NULL };
	pthread_t threads[4];

	REQUIRE(signal(SIGBUS, on_sigbus) != SIG_ERR);
	storm_over = false;
	for (int i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, mains[i], args[i]) == 0);
	storm_create();
	storm_over = true;
	for (int i = 0; i < 4; i++)
		REQUIRE(pthread_join(threads[i], NULL) == 0);
	CHECK(access("/dev/vmm/race", F_OK) == -1 && errno == ENOENT);
}

/* What the library still holds would show here, before the process ends. */
static void storm_leaves_nothing(void)
{
	struct held before = module_holds();

	storm();
	check_held(before);
}

/* A page that each VM leaves behind would be seen, whether the module knows of it or not. */
TEST(destroy_under_every_other_operation)
{
	long left = kernel_memory_left_by(storm_leaves_nothing);

	CHECK_EQ(module_holds().guest_memory, 0);
	CHECK(left < count_of("STORM_VMS") * 4 / 2);
}

/* --- processors ----------------------------------------------------------- */

static volatile uint16_t *counter_of(const struct machine *machine)
{
	return (volatile uint16_t *)(machine->memory + 0x2000);
}

/* Whether the guest's counter moves within a second. */
static bool guest_runs(const struct machine *machine)
{
	uint16_t start = *counter_of(machine);
	double end = monotonic_seconds() + 1;

	while (monotonic_seconds() < end) {
		if (*counter_of(machine) != start)
			return true;
		usleep(1000);
	}
	return false;
}

TEST(cpu_goes_and_comes_under_running_guests)
{
	struct machine machines[3];
	struct runner runners[3];
	char name[] = "race0";

	for (int i = 0; i < 3; i++) {
		name[4] = (char)('0' + i);
		machines[i] = machine_create(name, 1 << 20, count_up, sizeof(count_up));
		runners[i] = (struct runner){ .vcpu = machines[i].vcpu };
		runner_start(&runners[i]);
	}
	for (int round = 0; round < 10; round++) {
		CHECK(write_file("/sys/devices/system/cpu/cpu1/online", "0") == 0);
		for (int i = 0; i < 3; i++)
			CHECK(guest_runs(&machines[i]));
		CHECK(write_file("/sys/devices/system/cpu/cpu1/online", "1") == 0);
		for (int i = 0; i < 3; i++)
			CHECK(guest_runs(&machines[i]));
	}
	for (int i = 0; i < 3; i++) {
		name[4] = (char)('0' + i);
		CHECK(vm_destroy_name(name) == 0);
		REQUIRE(runner_join(&runners[i], 5));
		CHECK(stopped_by_destroy(&runners[i]));
		vm_close(machines[i].ctx);
	}
}

/* A CPU that comes while there is no VM is enabled when one is made. */
TEST(vm_made_after_a_cpu_came)
{
	struct machine machine;
	struct runner runner;

	CHECK(write_file("/sys/devices/system/cpu/cpu1/online", "0") == 0);
	machine = machine_create("race", 1 << 20, count_up, sizeof(count_up));
	CHECK(write_file("/sys/devices/system/cpu/cpu1/online", "1") == 0);
	runner = (struct runner){ .vcpu = machine.vcpu };
	runner_start(&runner);
	CHECK(guest_runs(&machine));
	CHECK(vm_destroy_name("race") == 0);
	REQUIRE(runner_join(&runner, 5));
	vm_close(machine.ctx);
}

/*
 * Suspend to RAM up to the point where the other CPUs are off line, and back (the
 * kernel's own test mode waits 5 s there): the guest stands still and goes on.
 */
TEST(guest_goes_on_after_suspend)
{
	struct machine machine = machine_create("race", 1 << 20, count_up, sizeof(count_up));
	struct runner runner = { .vcpu = machine.vcpu };

	runner_start(&runner);
	CHECK(guest_runs(&machine));
	REQUIRE(write_file("/sys/power/pm_test", "processors") == 0);
	CHECK(write_file("/sys/power/state", "mem") == 0);
	CHECK(write_file("/sys/power/pm_test", "none") == 0);
	/* Being frozen ends VM_RUN like a signal. */
	if (runner_join(&runner, 1)) {
		CHECK_EQ(runner.error, EINTR);
		runner_start(&runner);
	}
	CHECK(guest_runs(&machine));
	CHECK(vm_destroy_name("race") == 0);
	REQUIRE(runner_join(&runner, 5));
	CHECK(stopped_by_destroy(&runner));
	vm_close(machine.ctx);
}

/* --- out of memory -------------------------------------------------------- */

#define SCARCE_LIMIT  "33554432"
#define SCARCE_MEMORY (64 << 20)
#define SCARCE_ROUNDS 20

/*
 * A guest that writes to every page from 16 MiB to 64 MiB in unreal mode: mov $0x1000000,
 * %edi; 1: mov %al, (%edi); add $0x1000, %edi; cmp $0x4000000, %edi; jb 1b; cli; hlt
 */
static const uint8_t touch_all[] = { 0x66, 0xbf, 0x00, 0x00, 0x00, 0x01, 0x67, 0x88, 0x07,
				     0x66, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, 0x66, 0x81,
				     0xff, 0x00, 0x00, 0x00, 0x04, 0x72, 0xed, 0xfa, 0xf4 };

/* A VM out of memory at the first touch of a page, by its guest or by its VMM process. */
static void run_short(bool by_guest, int limit)
{
	struct machine machine =
		machine_create("short", SCARCE_MEMORY, touch_all, sizeof(touch_all));
	struct vm_exit exit;
	int result;

	REQUIRE(vm_set_desc(machine.vcpu, VM_REG_GUEST_DS, 0, 0xffffffff, 0xc093) == 0);
	REQUIRE(pwrite(limit, SCARCE_LIMIT, strlen(SCARCE_LIMIT), 0) > 0);
	if (!by_guest)
		touch(machine.memory, SCARCE_MEMORY);
	do {
		result = vm_run_reply(machine.vcpu, &exit, false, 0);
	} while (result == 0 && exit.exitcode == VM_EXITCODE_BOGUS);
	CHECK(result == -1 && errno == ENOMEM);
	/* What a process needs otherwise would be a reason for a kill. */
	REQUIRE(pwrite(limit, "max", 3, 0) == 3);
	machine_destroy(&machine);
}

static void run_short_often(void)
{
	int limit = open(WORK_GROUP "/memory.max", O_WRONLY);

	REQUIRE(limit >= 0);
	REQUIRE(signal(SIGBUS, on_sigbus) != SIG_ERR);
	for (int i = 0; i < SCARCE_ROUNDS; i++)
		run_short(i % 2, limit);
	close(limit);
}

TEST(vm_without_memory_beside_a_running_one)
{
	struct machine machine = machine_create("race", 1 << 20, count_up, sizeof(count_up));
	struct runner runner = { .vcpu = machine.vcpu };
	struct held before;

	runner_start(&runner);
	CHECK(guest_runs(&machine));
	before = module_holds();
	CHECK(kernel_memory_left_by(run_short_often) < SCARCE_ROUNDS * 4 / 2);
	check_held(before);
	CHECK(guest_runs(&machine));
	CHECK(vm_destroy_name("race") == 0);
	REQUIRE(runner_join(&runner, 5));
	CHECK(stopped_by_destroy(&runner));
	vm_close(machine.ctx);
}

/* --- what the kernel shows of us ------------------------------------------ */

/* One page has been touched: it has backing of its own size, or of 2 MiB. */
TEST(sysctls_tell_what_is_held)
{
	struct held before = module_holds();
	struct machine machine =
		machine_create("race", 4 << 20, machine_spin, sizeof(machine_spin));
	struct held with_vm = module_holds();

	CHECK_EQ(before.guest_memory, 0);
	CHECK(with_vm.guest_memory == 4 || with_vm.guest_memory == 2048);
	CHECK(with_vm.own_memory >= before.own_memory + 4);
	CHECK(with_vm.own_objects > before.own_objects);
	machine_destroy(&machine);
	check_held(before);
	CHECK(write_file("/proc/sys/hw/vmm/guest_memory", "1") == -1);
}

TEST(sysctls_tell_the_facts)
{
	struct stat st;

	CHECK_EQ(read_number("/proc/sys/hw/vmm/maxcpu"), 8);
	CHECK_EQ(read_number("/proc/sys/hw/vmm/vms"), 0);
	REQUIRE(vm_create("race") == 0);
	CHECK_EQ(read_number("/proc/sys/hw/vmm/vms"), 1);
	REQUIRE(vm_destroy_name("race") == 0);
	CHECK_EQ(read_number("/proc/sys/hw/vmm/vms"), 0);
	CHECK(stat("/proc/sys/hw/vmm/backend", &st) == 0 && (st.st_mode & 0222) == 0);
	CHECK(write_file("/proc/sys/hw/vmm/maxcpu", "1") == -1);
}

/* FreeBSD's names, of which one vendor's say something. */
TEST(sysctls_tell_the_processors_numbers)
{
	bool intel = read_number("/proc/sys/hw/vmm/vmx/initialized") == 1;

	CHECK_EQ(read_number("/proc/sys/hw/vmm/vmx/cap/unrestricted_guest"), intel);
	CHECK_EQ(read_number("/proc/sys/hw/vmm/vmx/cap/halt_exit"), intel);
	CHECK(read_number("/proc/sys/hw/vmm/vmx/cap/rdtscp") >= 0);
	/* Bit 0 is nested paging, without which SVM is not used. */
	CHECK_EQ(read_number("/proc/sys/hw/vmm/svm/features") & 1, !intel);
	CHECK_EQ(read_number("/proc/sys/hw/vmm/svm/num_asids") > 1, !intel);
}

/* Whether 'text' is in the trace. */
static bool trace_has(const char *text)
{
	char line[512];
	bool found = false;
	FILE *file = fopen("/sys/kernel/tracing/trace", "r");

	REQUIRE(file);
	while (!found && fgets(line, sizeof(line), file))
		found = strstr(line, text) != NULL;
	fclose(file);
	return found;
}

TEST(exits_are_traced)
{
	static const uint8_t out[] = { 0xe6, 0x80 };
	struct machine machine = machine_create("race", 1 << 20, out, sizeof(out));

	if (access("/sys/kernel/tracing/trace", F_OK))
		REQUIRE(system("mount -t tracefs none /sys/kernel/tracing") == 0);
	REQUIRE(write_file("/sys/kernel/tracing/events/vmm/vmm_exit/enable", "1") == 0);
	CHECK_EQ(machine_run(&machine).exitcode, VM_EXITCODE_INOUT);
	CHECK(write_file("/sys/kernel/tracing/events/vmm/vmm_exit/enable", "0") == 0);
	CHECK(trace_has("vmm_exit: vm=race vcpu=0 reason="));
	machine_destroy(&machine);
}

/* --- host timers of devices ----------------------------------------------- */

/* Timers of the module's that are armed in this host. */
static unsigned int armed_timers(void)
{
	FILE *file = fopen("/proc/timer_list", "r");
	char line[256];
	unsigned int count = 0;

	REQUIRE(file);
	while (fgets(line, sizeof(line), file))
		count += strstr(line, "[vmm]") != NULL;
	fclose(file);
	return count;
}

static void write_hpet(struct machine *machine, uint32_t offset, uint64_t value)
{
	CHECK_EQ(vm_readwrite_kernemu_device(machine->vcpu, 0xfed00000 + offset, true, 8, &value),
		 0);
}

/* Eight timers that ask for 20 million interrupts a second each: not from who does not run. */
TEST(timers_of_a_vm_that_does_not_run_are_off)
{
	struct machine machine =
		machine_create("timers", SEGMENT_SIZE, machine_spin, sizeof(machine_spin));
	struct runner runner = { .vcpu = machine.vcpu };
	unsigned int running = 0;

	for (uint32_t n = 0; n < 8; n++) {
		write_hpet(&machine, 0x100 + 0x20 * n, 0x4c | (24 + n) << 9);
		write_hpet(&machine, 0x108 + 0x20 * n, 1);
	}
	write_hpet(&machine, 0x10, 1); /* the counter begins at 0, before the first match */
	CHECK_EQ(armed_timers(), 0);
	/* They are there as soon as a vCPU runs, and go when it has left. */
	runner_start(&runner);
	for (int i = 0; i < 500 && running < 8; i++) {
		usleep(20000);
		running = armed_timers();
	}
	CHECK(running >= 1);
	CHECK_EQ(vm_suspend(machine.ctx, VM_SUSPEND_POWEROFF), 0);
	CHECK(runner_join(&runner, 60));
	usleep(200000);
	CHECK_EQ(armed_timers(), 0);
	machine_destroy(&machine);
}
