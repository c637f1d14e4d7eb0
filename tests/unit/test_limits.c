// SPDX-License-Identifier: BSD-2-Clause
/* What a user's VMs may use: guest RAM, VMs, lines of the log. */
#include "unit.h"

#include "api/ioctl.h"
#include "fake_backend.h"
#include "vm/npt.h"

#define MIB 0x100000ull

/* For the words that say what backs a segment of these tests: less than a page. */
#define WORDS 1024

static struct vm *vm;

static void set_up(uint64_t ram, unsigned int vms)
{
	vm = fake_vm_create(1);
	os_user_limits(ram + WORDS, vms);
}

static void tear_down(void)
{
	fake_vm_destroy(vm);
	os_user_limits(UINT64_MAX, UINT_MAX);
}

static int command(unsigned int number, const void *arg, void *result)
{
	uint64_t buffer[IOCTL_MAX_ARG / sizeof(uint64_t)] = { 0 };
	int error;

	memcpy(buffer, arg, _IOC_SIZE(number));
	error = ioctl_run(vm, ioctl_lookup(number), buffer);
	if (result)
		memcpy(result, buffer, _IOC_SIZE(number));
	return error;
}

/* System memory of 'len' bytes at 0. */
static int map_memory(uint64_t len, int flags)
{
	struct vm_memseg seg = { .segid = 0, .len = len };
	struct vm_memmap map = { .segid = 0, .len = len, .prot = VM_PROT_ALL, .flags = flags };
	int error = command(VM_ALLOC_MEMSEG, &seg, NULL);

	return error && error != -EEXIST ? error : command(VM_MMAP_MEMSEG, &map, NULL);
}

/* More memory than is allowed may be described; what is touched counts. */
TEST(touched_memory_is_limited)
{
	set_up(4 * MIB, 1);
	CHECK_EQ(map_memory(64 * MIB, 0), 0);
	CHECK_EQ(memory_populate(vm, 0), 0);
	CHECK_EQ(memory_populate(vm, 2 * MIB), 0);
	CHECK_EQ(memory_populate(vm, 4 * MIB), -ENOMEM);
	CHECK_EQ(memory_populate(vm, 2 * MIB + 4096), 0);
	os_user_limits(6 * MIB + WORDS, 1);
	CHECK_EQ(memory_populate(vm, 4 * MIB), 0);
	tear_down();
}

/* Single pages of a chunk, and the page that lists them. */
TEST(single_pages_are_counted)
{
	set_up(3 * OS_PAGE_SIZE, 1);
	os_user_fragment_memory(true);
	CHECK_EQ(map_memory(2 * MIB, 0), 0);
	CHECK_EQ(memory_populate(vm, 0), 0);
	CHECK_EQ(memory_populate(vm, 4096), 0);
	CHECK_EQ(memory_populate(vm, 8192), -ENOMEM);
	os_user_fragment_memory(false);
	tear_down();
}

/* A segment may be far larger than what is allowed; going on to touch it costs nothing more. */
TEST(vain_touches_are_limited)
{
	uint64_t bytes;

	set_up(5 * OS_PAGE_SIZE, 1);
	CHECK_EQ(map_memory(64 * MIB, 0), 0);
	bytes = os_user_alloc_bytes();
	for (uint64_t gpa = 0; gpa < 64 * MIB; gpa += 2 * MIB)
		(void)memory_populate(vm, gpa);
	CHECK_EQ(memory_populate(vm, 62 * MIB), -ENOMEM);
	CHECK(os_user_alloc_bytes() - bytes <= 5 * OS_PAGE_SIZE);
	tear_down();
}

TEST(huge_segments_are_limited)
{
	struct vm_memseg seg = { .segid = 0, .len = 1ull << 44 };

	set_up(4 * MIB, 1);
	CHECK_EQ(command(VM_ALLOC_MEMSEG, &seg, NULL), -ENOMEM);
	tear_down();
}

TEST(memory_comes_back_with_its_vm)
{
	struct vm *second = NULL;

	set_up(2 * MIB, 2);
	CHECK_EQ(map_memory(2 * MIB, VM_MEMMAP_F_WIRED), 0);
	vm_destroy(vm);
	REQUIRE(vm_create("second", 1, &second) == 0);
	vm_put(vm);
	vm = second;
	CHECK_EQ(map_memory(2 * MIB, VM_MEMMAP_F_WIRED), 0);
	tear_down();
}

/* Nothing is allocated on the way to an error that was certain. */
TEST(wired_memory_that_cannot_fit_is_refused_at_once)
{
	uint64_t bytes;

	set_up(8 * MIB, 1);
	CHECK_EQ(map_memory(10 * MIB, 0), 0);
	CHECK_EQ(command(VM_MUNMAP_MEMSEG, &(struct vm_munmap){ .len = 10 * MIB }, NULL), 0);
	bytes = os_user_alloc_bytes();
	CHECK_EQ(map_memory(10 * MIB, VM_MEMMAP_F_WIRED), -ENOMEM);
	CHECK_EQ(os_user_alloc_bytes(), bytes);
	os_user_limits(10 * MIB + WORDS, 1);
	CHECK_EQ(map_memory(10 * MIB, VM_MEMMAP_F_WIRED), 0);
	tear_down();
}

/* What has its backing already needs no more room. */
TEST(wiring_asks_for_what_is_missing)
{
	set_up(4 * MIB + OS_PAGE_SIZE, 1);
	CHECK_EQ(map_memory(4 * MIB, 0), 0);
	CHECK_EQ(memory_populate(vm, 0), 0);
	os_user_fragment_memory(true);
	CHECK_EQ(memory_populate(vm, 2 * MIB), 0);
	CHECK_EQ(command(VM_MUNMAP_MEMSEG, &(struct vm_munmap){ .len = 4 * MIB }, NULL), 0);
	CHECK_EQ(map_memory(4 * MIB, VM_MEMMAP_F_WIRED), 0);
	os_user_fragment_memory(false);
	tear_down();
}

/* An unprivileged process sees what is mapped, and not where it is in the host. */
TEST(host_addresses_are_for_the_privileged)
{
	struct vm_gpa_pte request = { .gpa = 0x3000 }, seen, hidden;

	set_up(4 * MIB, 1);
	CHECK_EQ(map_memory(2 * MIB, VM_MEMMAP_F_WIRED), 0);
	CHECK_EQ(command(VM_GET_GPA_PMAP, &request, &seen), 0);
	os_user_hide_addresses(true);
	CHECK_EQ(command(VM_GET_GPA_PMAP, &request, &hidden), 0);
	os_user_hide_addresses(false);
	CHECK(seen.ptenum > 1);
	CHECK_EQ(hidden.ptenum, seen.ptenum);
	for (int i = 0; i < seen.ptenum; i++) {
		CHECK(seen.pte[i] & NPT_ADDRESS);
		CHECK_EQ(hidden.pte[i], seen.pte[i] & ~NPT_ADDRESS);
	}
	tear_down();
}

TEST(vms_are_limited)
{
	struct vm *second = NULL;

	set_up(0, 1);
	CHECK_EQ(vm_create("second", 1, &second), -EAGAIN);
	CHECK(!second);
	os_user_limits(0, 2);
	CHECK_EQ(vm_create("second", 1, &second), 0);
	vm_put(second);
	tear_down();
}

TEST(no_vm_silences_another)
{
	struct vm *second = NULL;

	set_up(0, 2);
	REQUIRE(vm_create("second", 1, &second) == 0);
	for (int i = 0; i < 100; i++)
		os_warn_limited(&vm->log, "first %d", i);
	CHECK_STR(os_user_last_log(), "first 9");
	os_warn_limited(&second->log, "second");
	CHECK_STR(os_user_last_log(), "second");
	os_user_clock_advance(5000000000);
	os_warn_limited(&vm->log, "first again");
	CHECK_STR(os_user_last_log(), "first again");
	vm_put(second);
	tear_down();
}
