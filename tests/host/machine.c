// SPDX-License-Identifier: BSD-2-Clause
/* Small VMs, and the state of the host. */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Present, read and write or read and execute, accessed; real-mode limits. */
#define REAL_DATA 0x93
#define REAL_CODE 0x9b

static void real_mode_segment(struct vcpu *vcpu, int reg, uint32_t access)
{
	REQUIRE(vm_set_desc(vcpu, reg, 0, 0xffff, access) == 0);
	REQUIRE(vm_set_register(vcpu, reg, 0) == 0);
}

struct vcpu *machine_vcpu(struct machine *machine, int id, uint64_t rip)
{
	struct vcpu *vcpu = vm_vcpu_open(machine->ctx, id);

	REQUIRE(vcpu);
	REQUIRE(vm_activate_cpu(vcpu) == 0);
	real_mode_segment(vcpu, VM_REG_GUEST_CS, REAL_CODE);
	real_mode_segment(vcpu, VM_REG_GUEST_DS, REAL_DATA);
	real_mode_segment(vcpu, VM_REG_GUEST_ES, REAL_DATA);
	real_mode_segment(vcpu, VM_REG_GUEST_SS, REAL_DATA);
	REQUIRE(vm_set_register(vcpu, VM_REG_GUEST_RSP, 0xff0) == 0);
	REQUIRE(vm_set_register(vcpu, VM_REG_GUEST_RIP, rip) == 0);
	return vcpu;
}

int count_of(const char *name)
{
	const char *text = getenv(name);

	REQUIRE(text);
	return atoi(text);
}

const uint8_t machine_spin[3] = { 0xfb, 0xeb, 0xfe };

struct machine machine_create(const char *name, size_t size, const void *code, size_t code_size)
{
	struct machine machine = { 0 };

	machine.ctx = vm_openf(name, VMMAPI_OPEN_CREATE | VMMAPI_OPEN_CREATE_DESTROY_ON_CLOSE);
	if (!machine.ctx) {
		unit_fail(__FILE__, __LINE__, "%s: %s", name, strerror(errno));
		unit_end();
	}
	REQUIRE(vm_setup_memory(machine.ctx, size, VM_MMAP_ALL) == 0);
	machine.memory = vm_map_gpa(machine.ctx, 0, size);
	REQUIRE(machine.memory);
	memcpy(machine.memory + MACHINE_CODE, code, code_size);
	machine.vcpu = machine_vcpu(&machine, 0, MACHINE_CODE);
	return machine;
}

void machine_destroy(struct machine *machine)
{
	vm_destroy(machine->ctx);
	machine->ctx = NULL;
}

struct vm_exit machine_run(struct machine *machine)
{
	struct vm_exit exit;

	do {
		int error = vm_run_reply(machine->vcpu, &exit, false, 0);

		if (error && errno == EINTR)
			continue;
		if (error) {
			unit_fail(__FILE__, __LINE__, "VM_RUN: %s", strerror(errno));
			unit_end();
		}
	} while (exit.exitcode == VM_EXITCODE_BOGUS);
	return exit;
}

long meminfo(const char *field)
{
	char line[128];
	long value = -1;
	FILE *file = fopen("/proc/meminfo", "r");

	while (file && fgets(line, sizeof(line), file)) {
		size_t length = strlen(field);

		if (strncmp(line, field, length) == 0 && line[length] == ':')
			value = atol(line + length + 1);
	}
	if (file)
		fclose(file);
	return value;
}

long read_number(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY);
	ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	close(fd);
	return size > 0 ? atol(text) : -1;
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	ssize_t written;

	if (fd < 0)
		return -1;
	written = write(fd, text, strlen(text));
	close(fd);
	return written == (ssize_t)strlen(text) ? 0 : -1;
}

/*
 * Free pages that the CPUs hold in lists of their own, in KiB: MemFree leaves
 * them out, and with pages of 2 MiB they come to tens of MiB.
 */
static long free_in_lists(void)
{
	char line[128];
	long pages = 0, count;
	FILE *file = fopen("/proc/zoneinfo", "r");

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, " count: %ld", &count) == 1)
			pages += count;
	}
	if (file)
		fclose(file);
	return pages * 4;
}

long settled_free_memory(void)
{
	long before, now = -1;

	/* RCU and work queues free a little later: until two readings agree. */
	for (int i = 0; i < 50; i++) {
		write_file("/proc/sys/vm/drop_caches", "3");
		write_file("/proc/sys/vm/compact_memory", "1");
		write_file("/proc/sys/vm/stat_refresh", "1");
		before = now;
		now = meminfo("MemFree") + free_in_lists();
		if (labs(now - before) < 64)
			break;
		usleep(100000);
	}
	return now;
}

/* --- what the module holds --------------------------------------------------------- */

struct held module_holds(void)
{
	return (struct held){
		.guest_memory = read_number("/proc/sys/hw/vmm/guest_memory"),
		.own_memory = read_number("/proc/sys/hw/vmm/own_memory"),
		.own_objects = read_number("/proc/sys/hw/vmm/own_objects"),
	};
}

void check_held(struct held before)
{
	struct held now = module_holds();

	CHECK(now.guest_memory >= 0);
	CHECK_EQ(now.guest_memory, before.guest_memory);
	CHECK_EQ(now.own_memory, before.own_memory);
	CHECK_EQ(now.own_objects, before.own_objects);
}

/* --- what a group has left behind -------------------------------------------------- */

#define GROUP WORK_GROUP

static void work_in_group(void (*work)(void))
{
	int status = -1;
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (pid == 0) {
		REQUIRE(write_file(GROUP "/cgroup.procs", "0") == 0);
		work();
		unit_end();
	}
	REQUIRE(waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
}

/* The line "kernel" of memory.stat: pages and smaller pieces, no page cache. */
static long group_kernel_memory(void)
{
	char line[128];
	long bytes = -1;
	FILE *file = fopen(GROUP "/memory.stat", "r");

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "kernel %ld", &bytes);
	if (file)
		fclose(file);
	return bytes < 0 ? -1 : bytes / 1024;
}

long kernel_memory_left_by(void (*work)(void))
{
	long before, now = -1;

	REQUIRE(write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory") == 0);
	REQUIRE(mkdir(GROUP, 0755) == 0);
	work_in_group(work);
	/* RCU frees later, and the count is brought up to date every other second. */
	do {
		before = now;
		write_file("/proc/sys/vm/drop_caches", "3");
		usleep(2500000);
		now = group_kernel_memory();
	} while (now != before);
	REQUIRE(now >= 0);
	CHECK(rmdir(GROUP) == 0);
	return now;
}
