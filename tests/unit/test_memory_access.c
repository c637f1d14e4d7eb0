// SPDX-License-Identifier: BSD-2-Clause
/* Guest memory by guest-physical address, as the files of a VM ask for it. */
#include "unit.h"

#include "api/ioctl.h"
#include "fake_backend.h"
#include "vm/stats.h"

#define MIB  0x100000ull
#define GIB  0x40000000ull
#define HIGH (4 * GIB)

static struct vm *vm;

static int do_ioctl(unsigned int command, void *arg)
{
	return fake_ioctl(vm, command, arg);
}

static void add_segment(int segid, uint64_t len, const char *name)
{
	struct vm_memseg seg = { .segid = segid, .len = len };

	strcpy(seg.name, name);
	REQUIRE(do_ioctl(VM_ALLOC_MEMSEG, &seg) == 0);
}

static void add_map(uint64_t gpa, int segid, int64_t offset, uint64_t len, int prot)
{
	struct vm_memmap map = {
		.gpa = gpa,
		.segid = segid,
		.segoff = offset,
		.len = len,
		.prot = prot,
	};

	REQUIRE(do_ioctl(VM_MMAP_MEMSEG, &map) == 0);
}

/* 6 MiB of system memory, the last 2 above 4 GiB, and 1 MiB of firmware below. */
static void set_up(void)
{
	vm = fake_vm_create(2);
	(void)fake_vm_vcpu(vm, 0);
	(void)fake_vm_vcpu(vm, 1);
	add_segment(0, 6 * MIB, "");
	add_segment(8, 1 * MIB, "bootrom");
	add_map(0, 0, 0, 4 * MIB, VM_PROT_ALL);
	add_map(HIGH, 0, 4 * MIB, 2 * MIB, VM_PROT_ALL);
	add_map(HIGH - MIB, 8, 0, MIB, VM_PROT_READ | VM_PROT_EXEC);
}

static void tear_down(void)
{
	CHECK_EQ(os_user_ram_references(), 0);
	fake_vm_destroy(vm);
}

/* --- what a mapping shows ---------------------------------------------------------- */

static void check_located(uint64_t gpa, uint64_t len, uint64_t expected)
{
	uint64_t offset = ~0ull;
	int segid = -1;

	CHECK_EQ_AT(memory_locate(vm, gpa, len, &segid, &offset), 0, "gpa %#jx", (uintmax_t)gpa);
	CHECK_EQ_AT(segid, 0, "gpa %#jx", (uintmax_t)gpa);
	CHECK_EQ_AT(offset, expected, "gpa %#jx", (uintmax_t)gpa);
}

static void check_not_located(uint64_t gpa, uint64_t len, int error)
{
	uint64_t offset;
	int segid;

	CHECK_EQ_AT(memory_locate(vm, gpa, len, &segid, &offset), error, "gpa %#jx, %#jx bytes",
		    (uintmax_t)gpa, (uintmax_t)len);
}

TEST(system_memory_is_located_in_its_segment)
{
	set_up();
	check_located(0, 4 * MIB, 0);
	check_located(MIB, 3 * MIB, MIB);
	check_located(HIGH, 2 * MIB, 4 * MIB);
	check_located(HIGH + MIB, 4096, 5 * MIB);
	check_located(4 * MIB - 4096, 4096, 4 * MIB - 4096);
	tear_down();
}

TEST(what_is_not_one_piece_of_system_memory_is_not_located)
{
	set_up();
	check_not_located(4 * MIB - 4096, 8192, -EINVAL);
	check_not_located(4 * MIB, 4096, -EINVAL);
	check_not_located(HIGH, 2 * MIB + 4096, -EINVAL);
	check_not_located(HIGH - MIB, 4096, -EINVAL); /* device memory */
	check_not_located(0, ~0ull, -EINVAL);
	check_not_located(4096, -4096ull, -EINVAL);
	check_not_located(-4096ull, 8192, -EINVAL);
	vm_destroy(vm);
	check_not_located(0, 4096, -ENXIO);
	tear_down();
}

TEST(removed_map_is_not_located)
{
	struct vm_munmap munmap = { .gpa = HIGH, .len = 2 * MIB };

	set_up();
	REQUIRE(do_ioctl(VM_MUNMAP_MEMSEG, &munmap) == 0);
	check_not_located(HIGH, 4096, -EINVAL);
	check_located(0, 4096, 0);
	tear_down();
}

/* --- what is read and written ------------------------------------------------------ */

static void *get(uint64_t gpa, int prot, int expected)
{
	int error = 1;
	void *page = memory_gpa_get(vm, gpa, prot, &error);

	CHECK_EQ_AT(error, expected, "gpa %#jx", (uintmax_t)gpa);
	CHECK_EQ_AT(os_user_ram_references(), page ? 1 : 0, "gpa %#jx", (uintmax_t)gpa);
	if (page)
		os_user_ram_put(page);
	return page;
}

TEST(reading_allocates_nothing)
{
	uint64_t before;

	set_up();
	before = os_user_alloc_outstanding();
	CHECK(!get(0, VM_PROT_READ, 0));
	CHECK(!get(HIGH + 2 * MIB - 1, VM_PROT_READ, 0));
	CHECK(!get(HIGH - MIB, VM_PROT_READ, 0));
	CHECK_EQ(os_user_alloc_outstanding(), before);
	tear_down();
}

TEST(written_memory_is_the_guests)
{
	char *page;

	set_up();
	page = get(HIGH + 0x3000, VM_PROT_WRITE, 0);
	REQUIRE(page);
	CHECK(page == memory_hva(vm, HIGH + 0x3000, VM_PROT_READ));
	CHECK(page == get(HIGH + 0x3fff, VM_PROT_READ, 0));
	CHECK(page + 0x1000 == get(HIGH + 0x4000, VM_PROT_READ, 0));
	tear_down();
}

TEST(permissions_and_holes)
{
	set_up();
	CHECK(!get(HIGH - MIB, VM_PROT_WRITE, -EFAULT));
	CHECK(!get(4 * MIB, VM_PROT_READ, -EFAULT));
	CHECK(!get(4 * MIB, VM_PROT_WRITE, -EFAULT));
	CHECK(!get(~0ull, VM_PROT_READ, -EFAULT));
	os_user_limits(0, 1);
	CHECK(!get(0, VM_PROT_WRITE, -ENOMEM));
	os_user_limits(UINT64_MAX, UINT_MAX);
	vm_destroy(vm);
	CHECK(!get(0, VM_PROT_READ, -ENXIO));
	CHECK(!get(0, VM_PROT_WRITE, -ENXIO));
	tear_down();
}

/* 6 MiB of system memory and 1 MiB of firmware are four chunks. */
TEST(memory_is_freed_with_pauses)
{
	unsigned int before;

	set_up();
	before = os_user_yields();
	vm_destroy(vm);
	CHECK(os_user_yields() - before >= 4);
	tear_down();
}

/* --- statistics -------------------------------------------------------------------- */

static uint64_t statistic(int cpu, const char *name)
{
	struct vm_stats stats = { .cpuid = cpu };

	REQUIRE(do_ioctl(VM_STATS, &stats) == 0);
	for (int i = 0; i < stats.num_entries; i++) {
		if (strcmp(stats_name((unsigned int)i), name) == 0)
			return stats.statbuf[i];
	}
	REQUIRE(!"the counter is there");
	return 0;
}

TEST(resident_and_wired_memory_are_counted_once)
{
	struct vm_memmap map = { .gpa = 8 * MIB, .segid = 1, .len = MIB, .prot = VM_PROT_ALL };

	set_up();
	CHECK_EQ(statistic(0, "Resident memory"), 0);
	(void)get(0, VM_PROT_WRITE, 0);
	(void)get(4096, VM_PROT_WRITE, 0);
	CHECK_EQ(statistic(0, "Resident memory"), 2 * MIB);
	os_user_fragment_memory(true);
	(void)get(HIGH, VM_PROT_WRITE, 0);
	os_user_fragment_memory(false);
	CHECK_EQ(statistic(0, "Resident memory"), 2 * MIB + 4096);
	CHECK_EQ(statistic(0, "Wired memory"), 0);
	add_segment(1, MIB, "");
	map.flags = VM_MEMMAP_F_WIRED;
	REQUIRE(do_ioctl(VM_MMAP_MEMSEG, &map) == 0);
	CHECK_EQ(statistic(0, "Wired memory"), MIB);
	CHECK_EQ(statistic(0, "Resident memory"), 3 * MIB + 4096);
	CHECK_EQ(statistic(1, "Resident memory"), 0);
	CHECK_EQ(statistic(1, "Wired memory"), 0);
	vm_destroy(vm);
	tear_down();
}
