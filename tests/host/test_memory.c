// SPDX-License-Identifier: BSD-2-Clause
/*
 * Guest memory: whom it is charged to, what the VMM process may do with its mapping, and what
 * happens when there is none.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.h"

#define MIB   (1ul << 20)
#define GROUP "/sys/fs/cgroup/vmm-test"

static const uint8_t halt[] = { 0xf4 };

TEST(fresh_memory_is_zero)
{
	struct machine machine = machine_create("memory", 64 * MIB, halt, sizeof(halt));

	for (size_t i = MACHINE_CODE + 4096; i < 64 * MIB; i += 4096)
		REQUIRE(machine.memory[i] == 0);
	machine_destroy(&machine);
}

TEST(mapping_can_be_pinned_by_the_kernel)
{
	struct machine machine = machine_create("memory", 16 * MIB, halt, sizeof(halt));
	char buffer[8192];
	struct iovec local = { buffer, sizeof(buffer) };
	struct iovec remote = { machine.memory + 3 * MIB, sizeof(buffer) };
	struct iovec gift = { machine.memory + 5 * MIB, sizeof(buffer) };
	int pipes[2];

	memset(buffer, 0x5a, sizeof(buffer));
	CHECK_EQ(process_vm_writev(getpid(), &local, 1, &remote, 1, 0), sizeof(buffer));
	CHECK_EQ(machine.memory[3 * MIB + 8191], 0x5a);

	memset(machine.memory + 5 * MIB, 0x77, sizeof(buffer));
	REQUIRE(pipe(pipes) == 0);
	CHECK_EQ(vmsplice(pipes[1], &gift, 1, 0), sizeof(buffer));
	CHECK_EQ(read(pipes[0], buffer, sizeof(buffer)), sizeof(buffer));
	CHECK_EQ(buffer[8191], 0x77);
	machine_destroy(&machine);
}

/* Pages that a pipe holds outlive the VM. */
TEST(pinned_pages_outlive_the_vm)
{
	struct machine machine = machine_create("memory", 16 * MIB, halt, sizeof(halt));
	char buffer[4096];
	struct iovec gift = { machine.memory + 5 * MIB, sizeof(buffer) };
	int pipes[2];

	memset(machine.memory + 5 * MIB, 0x77, sizeof(buffer));
	REQUIRE(pipe(pipes) == 0);
	REQUIRE(vmsplice(pipes[1], &gift, 1, 0) == sizeof(buffer));
	machine_destroy(&machine);
	CHECK_EQ(read(pipes[0], buffer, sizeof(buffer)), sizeof(buffer));
	CHECK_EQ(buffer[4095], 0x77);
}

TEST(getnext_lists_the_map)
{
	struct machine machine = machine_create("memory", 16 * MIB, halt, sizeof(halt));
	uint64_t gpa = 0;
	int64_t offset;
	size_t len;
	int segid, prot, flags;

	CHECK(vm_mmap_getnext(machine.ctx, &gpa, &segid, &offset, &len, &prot, &flags) == 0);
	CHECK_EQ(gpa, 0);
	CHECK_EQ(len, 16 * MIB);
	CHECK_EQ(segid, VM_SYSMEM);
	CHECK_EQ(prot, PROT_READ | PROT_WRITE | PROT_EXEC);
	gpa += len;
	CHECK(vm_mmap_getnext(machine.ctx, &gpa, &segid, &offset, &len, &prot, &flags) == -1);
	machine_destroy(&machine);
}

TEST(device_memory_has_a_node)
{
	struct machine machine = machine_create("memory", 4 * MIB, halt, sizeof(halt));
	char *rom = vm_create_devmem(machine.ctx, VM_BOOTROM, "rom", 2 * MIB);
	struct stat st;

	REQUIRE(rom != MAP_FAILED);
	CHECK(stat("/dev/vmm.io/memory.rom", &st) == 0);
	strcpy(rom, "boot");
	CHECK(vm_mmap_memseg(machine.ctx, 0xffe00000, VM_BOOTROM, 0, 2 * MIB,
			     PROT_READ | PROT_EXEC) == 0);
	CHECK(vm_munmap_memseg(machine.ctx, 0xffe00000, 2 * MIB) == 0);
	machine_destroy(&machine);
	CHECK(stat("/dev/vmm.io/memory.rom", &st) == -1 && errno == ENOENT);
}

/* mov $0x1234, %ax; mov %ax, 0x0 in segment DS; hlt with interrupts off. */
static const uint8_t store_and_halt[] = { 0xb8, 0x34, 0x12, 0xa3, 0x00, 0x00, 0xfa, 0xf4 };

TEST(write_to_a_read_only_mapping_is_an_exit)
{
	struct machine machine =
		machine_create("memory", 1 * MIB, store_and_halt, sizeof(store_and_halt));
	char *rom = vm_create_devmem(machine.ctx, VM_BOOTROM, "rom", 2 * MIB);
	struct vm_exit exit;

	REQUIRE(rom != MAP_FAILED);
	REQUIRE(vm_mmap_memseg(machine.ctx, 16 * MIB, VM_BOOTROM, 0, 2 * MIB, PROT_READ) == 0);
	REQUIRE(vm_set_desc(machine.vcpu, VM_REG_GUEST_DS, 16 * MIB, 0xffff, 0x93) == 0);
	exit = machine_run(&machine);
	CHECK_EQ(exit.exitcode, VM_EXITCODE_MMIO);
	CHECK_EQ(exit.u.mmio.gpa, 16 * MIB);
	CHECK_EQ(exit.u.mmio.write, 1);
	CHECK_EQ(exit.u.mmio.bytes, 2);
	CHECK_EQ(exit.u.mmio.data, 0x1234);
	CHECK_EQ(rom[0], 0);
	machine_destroy(&machine);
}

/* Bad maps: overlapping, unaligned, outside the segment, no such segment, too far up. */
TEST(bad_maps_are_refused)
{
	static const struct {
		uint64_t gpa;
		int segid;
		int64_t offset;
		size_t len;
		int prot;
	} bad[] = {
		{ 2 * MIB, VM_SYSMEM, 0, MIB, PROT_READ },
		{ 16 * MIB + 1, VM_SYSMEM, 0, MIB, PROT_READ },
		{ 16 * MIB, VM_SYSMEM, 4 * MIB, MIB, PROT_READ },
		{ 16 * MIB, 5, 0, MIB, PROT_READ },
		{ 1ul << 52, VM_SYSMEM, 0, MIB, PROT_READ },
		{ 16 * MIB, VM_SYSMEM, 0, 0, PROT_READ },
		{ 16 * MIB, VM_SYSMEM, 0, MIB, PROT_WRITE },
		{ 16 * MIB, VM_SYSMEM, -4096, MIB, 7 },
		{ 16 * MIB, VM_SYSMEM, 0, MIB, 0xff },
	};
	struct machine machine = machine_create("memory", 4 * MIB, halt, sizeof(halt));

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ_AT(vm_mmap_memseg(machine.ctx, bad[i].gpa, bad[i].segid, bad[i].offset,
					   bad[i].len, bad[i].prot),
			    -1, "row %zu", i);
	machine_destroy(&machine);
}

/* Move the caller into a fresh group that may have 'limit' bytes. */
static void enter_group(const char *limit)
{
	REQUIRE(write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory") == 0);
	REQUIRE(mkdir(GROUP, 0755) == 0 || errno == EEXIST);
	REQUIRE(write_file(GROUP "/memory.max", limit) == 0);
	REQUIRE(write_file(GROUP "/cgroup.procs", "0") == 0);
}

static long group_memory(void)
{
	FILE *file = fopen(GROUP "/memory.current", "r");
	long value = -1;

	if (file && fscanf(file, "%ld", &value) != 1)
		value = -1;
	if (file)
		fclose(file);
	return value;
}

static void touch_pages(char *memory, size_t size)
{
	for (size_t i = 0; i < size; i += 4096)
		memory[i] = 1;
}

TEST(memory_is_charged_to_the_creators_group)
{
	struct machine machine;
	long before;

	enter_group("max");
	machine = machine_create("memory", 128 * MIB, halt, sizeof(halt));
	before = group_memory();
	touch_pages(machine.memory, 128 * MIB);
	CHECK(group_memory() - before >= (long)(126 * MIB));
	machine_destroy(&machine);
	CHECK(group_memory() - before < (long)(8 * MIB));
}

/*
 * A guest that writes to every page of 64 MiB from 16 MiB on, in unreal mode: DS has
 * base 0 and a 4 GiB limit. mov $0x1000000, %edi; 1: mov %al, (%edi); add $0x1000,
 * %edi; cmp $0x5000000, %edi; jb 1b; cli; hlt
 */
static const uint8_t touch_all[] = { 0x66, 0xbf, 0x00, 0x00, 0x00, 0x01, 0x67, 0x88, 0x07,
				     0x66, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, 0x66, 0x81,
				     0xff, 0x00, 0x00, 0x00, 0x05, 0x72, 0xed, 0xfa, 0xf4 };

static void big_data_segment(struct machine *machine)
{
	REQUIRE(vm_set_desc(machine->vcpu, VM_REG_GUEST_DS, 0, 0xffffffff, 0xc093) == 0);
}

TEST(first_touch_by_the_guest)
{
	struct machine machine = machine_create("memory", 96 * MIB, touch_all, sizeof(touch_all));
	struct vm_exit exit;

	big_data_segment(&machine);
	exit = machine_run(&machine);
	CHECK_EQ(exit.exitcode, VM_EXITCODE_SUSPENDED);
	CHECK_EQ(exit.u.suspended.how, VM_SUSPEND_HALT);
	machine_destroy(&machine);
}

/*
 * With room for less than that, VM_RUN says ENOMEM and nobody is killed. The
 * group is full then: what more room takes is opened before, as an open() that
 * found no memory would be a reason for a kill.
 */
TEST(no_memory_is_an_exit)
{
	struct machine machine;
	struct vm_exit exit;
	int result, limit;

	enter_group("50331648");
	limit = open(GROUP "/memory.max", O_WRONLY);
	REQUIRE(limit >= 0);
	machine = machine_create("memory", 96 * MIB, touch_all, sizeof(touch_all));
	big_data_segment(&machine);
	errno = 0;
	do {
		result = vm_run_reply(machine.vcpu, &exit, false, 0);
	} while (result == 0 && exit.exitcode == VM_EXITCODE_BOGUS);
	CHECK_EQ(result, -1);
	CHECK_EQ(errno, ENOMEM);
	/* More room: it goes on where it was. */
	CHECK(write(limit, "max", 3) == 3);
	close(limit);
	exit = machine_run(&machine);
	CHECK_EQ(exit.exitcode, VM_EXITCODE_SUSPENDED);
	CHECK_EQ(exit.u.suspended.how, VM_SUSPEND_HALT);
	machine_destroy(&machine);
}

TEST(wired_memory_takes_no_nested_fault)
{
	struct machine machine = { 0 };
	struct vm_exit exit;
	int entries;
	uint64_t *stats;

	machine.ctx = vm_openf("memory", VMMAPI_OPEN_CREATE | VMMAPI_OPEN_CREATE_DESTROY_ON_CLOSE);
	REQUIRE(machine.ctx);
	vm_set_memflags(machine.ctx, VM_MEM_F_WIRED);
	REQUIRE(vm_setup_memory(machine.ctx, 96 * MIB, VM_MMAP_ALL) == 0);
	machine.memory = vm_map_gpa(machine.ctx, 0, 96 * MIB);
	memcpy(machine.memory + MACHINE_CODE, touch_all, sizeof(touch_all));
	machine.vcpu = machine_vcpu(&machine, 0, MACHINE_CODE);
	big_data_segment(&machine);
	exit = machine_run(&machine);
	CHECK_EQ(exit.exitcode, VM_EXITCODE_SUSPENDED);
	stats = vm_get_stats(machine.vcpu, NULL, &entries);
	REQUIRE(stats);
	for (int i = 0; i < entries; i++) {
		const char *name = vm_get_stat_desc(machine.ctx, i);

		if (strcmp(name, "vm exits due to nested page fault") == 0)
			CHECK_EQ(stats[i], 0);
	}
	machine_destroy(&machine);
}
