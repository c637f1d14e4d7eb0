// SPDX-License-Identifier: BSD-2-Clause
/* libvmmapi with the module's device files played in the process. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <vmmapi.h>

#include "unit.h"
#include "vmmapi/device.h"

#define MI   (1024ull * 1024)
#define HIGH (4096 * MI)

/* A VM of our own, without memory. */
static struct vmctx *start(void)
{
	struct vmctx *ctx;

	device_reset();
	ctx = vm_openf(DEVICE_NAME, VMMAPI_OPEN_CREATE);
	REQUIRE(ctx);
	return ctx;
}

static void set_u32(void *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

/* --- its life ------------------------------------------------------------------ */

TEST(create_leaves_no_file_open)
{
	device_reset();
	CHECK_EQ(vm_create(DEVICE_NAME), 0);
	CHECK(device.exists);
	CHECK_EQ(device.create_flags, 0);
	CHECK_EQ(device.open_controls, 0);
	CHECK_EQ(vm_create(DEVICE_NAME), -1);
	CHECK_EQ(errno, EEXIST);
	CHECK_EQ(device.open_controls, 0);
}

TEST(open_wants_the_vm_to_exist)
{
	struct vmctx *ctx;

	device_reset();
	CHECK(!vm_open(DEVICE_NAME));
	CHECK_EQ(errno, ENOENT);
	CHECK_EQ(device.creations, 0);
	device.exists = true;
	ctx = vm_open(DEVICE_NAME);
	REQUIRE(ctx);
	CHECK_STR(vm_get_name(ctx), DEVICE_NAME);
	CHECK_EQ(device.open_vms, 1);
	vm_close(ctx);
	CHECK_EQ(device.open_vms, 0);
	CHECK(device.exists);
}

TEST(openf_creates_once)
{
	struct vmctx *first = start();
	struct vmctx *second = vm_openf(DEVICE_NAME, VMMAPI_OPEN_CREATE);

	REQUIRE(second);
	CHECK_EQ(device.creations, 1);
	CHECK_EQ(device.reinits, 0);
	CHECK_EQ(device.open_controls, 0);
	vm_close(first);
	vm_close(second);
}

TEST(openf_that_comes_second_opens)
{
	struct vmctx *ctx;

	device_reset();
	device.race = true;
	ctx = vm_openf(DEVICE_NAME, VMMAPI_OPEN_CREATE);
	REQUIRE(ctx);
	CHECK_EQ(device.creations, 0);
	vm_close(ctx);
}

TEST(reinit_is_for_what_was_there)
{
	struct vmctx *ctx;

	device_reset();
	ctx = vm_openf(DEVICE_NAME, VMMAPI_OPEN_CREATE | VMMAPI_OPEN_REINIT);
	REQUIRE(ctx);
	CHECK_EQ(device.reinits, 0);
	vm_close(ctx);
	ctx = vm_openf(DEVICE_NAME, VMMAPI_OPEN_CREATE | VMMAPI_OPEN_REINIT);
	REQUIRE(ctx);
	CHECK_EQ(device.reinits, 1);
	vm_close(ctx);
	device.running = true;
	CHECK(!vm_openf(DEVICE_NAME, VMMAPI_OPEN_REINIT));
	CHECK_EQ(errno, EBUSY);
	CHECK_EQ(device.open_vms, 0);
}

TEST(monitored_vm_keeps_the_control_file)
{
	struct vmctx *ctx;

	device_reset();
	ctx = vm_openf(DEVICE_NAME, VMMAPI_OPEN_CREATE_DESTROY_ON_CLOSE);
	REQUIRE(ctx);
	CHECK_EQ(device.create_flags, VMMCTL_CREATE_DESTROY_ON_CLOSE);
	CHECK_EQ(device.open_controls, 1);
	CHECK(!vm_openf(DEVICE_NAME, VMMAPI_OPEN_CREATE_DESTROY_ON_CLOSE));
	CHECK_EQ(errno, EEXIST);
	CHECK_EQ(device.open_controls, 1);
	vm_close(ctx);
	CHECK_EQ(device.open_controls, 0);
	CHECK_EQ(device.open_vms, 0);
}

TEST(destroy_ends_it)
{
	struct vmctx *ctx = start();

	vm_destroy(ctx);
	CHECK(!device.exists);
	CHECK_EQ(device.open_vms, 0);
	CHECK_EQ(device.open_controls, 0);
	CHECK_EQ(vm_destroy_name(DEVICE_NAME), -1);
	CHECK_EQ(errno, ENOENT);
}

/* --- memory ---------------------------------------------------------------------- */

TEST(memory_is_mapped_where_the_guest_has_it)
{
	struct vmctx *ctx = start();

	REQUIRE(vm_setup_memory(ctx, 8 * MI, VM_MMAP_ALL) == 0);
	CHECK_EQ(device.mapping_count, 1);
	CHECK_EQ(device.mappings[0].gpa, 0);
	CHECK_EQ(device.mappings[0].len, 8 * MI);
	CHECK_EQ(device.mappings[0].prot, VM_PROT_ALL);
	CHECK_EQ(device.mappings[0].flags, 0);
	set_u32(vm_map_gpa(ctx, 5 * MI, 4), 0x12345678);
	CHECK_EQ(device_u32(5 * MI), 0x12345678);
	CHECK_EQ(vm_get_lowmem_size(ctx), 8 * MI);
	CHECK_EQ(vm_get_highmem_size(ctx), 0);
	vm_destroy(ctx);
}

/* 10 MiB with a limit of 4 MiB: 6 MiB from 4 GiB up. */
static struct vmctx *start_split(enum vm_mmap_style style)
{
	struct vmctx *ctx = start();

	CHECK_EQ(vm_get_lowmem_limit(ctx), 3072 * MI);
	vm_set_lowmem_limit(ctx, 4 * MI);
	REQUIRE(vm_setup_memory(ctx, 10 * MI, style) == 0);
	return ctx;
}

TEST(memory_beyond_the_limit_is_above_4g)
{
	struct vmctx *ctx = start_split(VM_MMAP_ALL);

	CHECK_EQ(device.mapping_count, 2);
	CHECK_EQ(device.mappings[1].gpa, HIGH);
	CHECK_EQ(device.mappings[1].segoff, 4 * MI);
	CHECK_EQ(device.mappings[1].len, 6 * MI);
	CHECK_EQ(vm_get_highmem_base(ctx), HIGH);
	CHECK_EQ(vm_get_highmem_size(ctx), 6 * MI);
	set_u32(vm_map_gpa(ctx, HIGH + 0x1000, 4), 0xabcd);
	CHECK_EQ(device_u32(4 * MI + 0x1000), 0xabcd);
	vm_destroy(ctx);
}

TEST(addresses_outside_memory_are_not_mapped)
{
	static const struct {
		uint64_t gpa;
		size_t len;
	} bad[] = {
		{ 4 * MI, 1 },
		{ 4 * MI - 1, 2 },
		{ 0, 4 * MI + 1 },
		{ HIGH - 1, 1 },
		{ HIGH - 1, 2 },
		{ HIGH + 6 * MI, 1 },
		{ HIGH, 6 * MI + 1 },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX, 2 },
		{ 0, SIZE_MAX },
		{ HIGH, SIZE_MAX },
		{ 1, SIZE_MAX },
		{ HIGH + 5 * MI, UINT64_MAX - HIGH },
	};
	struct vmctx *ctx = start_split(VM_MMAP_ALL);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (vm_map_gpa(ctx, bad[i].gpa, bad[i].len))
			unit_fail(__FILE__, __LINE__, "range %zu is mapped", i);
	CHECK(vm_map_gpa(ctx, 0, 4 * MI));
	CHECK(vm_map_gpa(ctx, HIGH, 6 * MI));
	vm_destroy(ctx);
}

TEST(pointers_are_mapped_back)
{
	struct vmctx *ctx = start_split(VM_MMAP_ALL);
	char *low = vm_map_gpa(ctx, 0, 1);
	char *high = vm_map_gpa(ctx, HIGH, 1);

	CHECK_EQ(vm_rev_map_gpa(ctx, low + 77), 77);
	CHECK_EQ(vm_rev_map_gpa(ctx, high + 99), HIGH + 99);
	CHECK_EQ(vm_rev_map_gpa(ctx, low - 1), (vm_paddr_t)-1);
	CHECK_EQ(vm_rev_map_gpa(ctx, low + 4 * MI), (vm_paddr_t)-1);
	CHECK_EQ(vm_rev_map_gpa(ctx, high + 6 * MI), (vm_paddr_t)-1);
	CHECK_EQ(vm_rev_map_gpa(ctx, NULL), (vm_paddr_t)-1);
	vm_destroy(ctx);
}

/* Can the process read this byte? */
static bool readable(const char *address)
{
	int fds[2];
	bool done;

	REQUIRE(pipe(fds) == 0);
	done = write(fds[1], address, 1) == 1;
	close(fds[0]);
	close(fds[1]);
	return done;
}

TEST(what_is_around_guest_memory_is_inaccessible)
{
	struct vmctx *ctx = start_split(VM_MMAP_ALL);
	char *low = vm_map_gpa(ctx, 0, 1);

	CHECK(readable(low));
	CHECK(readable(low + 4 * MI - 1));
	CHECK(!readable(low - 1));
	CHECK(!readable(low + 4 * MI));
	CHECK(!readable(low + HIGH - 1));
	CHECK(!readable(low + HIGH + 6 * MI));
	vm_destroy(ctx);
}

TEST(sparse_memory_is_mapped_when_asked_for)
{
	struct vmctx *ctx = start_split(VM_MMAP_SPARSE);
	char *base, *high;
	size_t low, above;

	vm_get_guestmem_from_ctx(ctx, &base, &low, &above);
	CHECK(!readable(base));
	REQUIRE(vm_map_gpa(ctx, 2 * MI - 1, 2) == base + 2 * MI - 1);
	CHECK(readable(base));
	CHECK(readable(base + 4 * MI - 1));
	high = vm_map_gpa(ctx, HIGH + 5 * MI, 1);
	REQUIRE(high == base + HIGH + 5 * MI);
	CHECK(!readable(base + HIGH));
	set_u32(high, 0x77);
	CHECK_EQ(device_u32(9 * MI), 0x77);
	CHECK(!readable(base + HIGH + 6 * MI));
	vm_destroy(ctx);
}

TEST(memory_need_not_be_mapped)
{
	struct vmctx *ctx = start_split(VM_MMAP_NONE);
	char *base;
	size_t low, high;

	CHECK(!vm_map_gpa(ctx, 0, 1));
	CHECK_EQ(vm_get_guestmem_from_ctx(ctx, &base, &low, &high), 0);
	CHECK(!base);
	CHECK_EQ(low, 4 * MI);
	CHECK_EQ(high, 6 * MI);
	vm_destroy(ctx);
}

TEST(second_program_shares_the_memory)
{
	struct vmctx *loader = start();
	struct vmctx *monitor = vm_open(DEVICE_NAME);

	REQUIRE(monitor);
	REQUIRE(vm_setup_memory(loader, 8 * MI, VM_MMAP_ALL) == 0);
	set_u32(vm_map_gpa(loader, MI, 4), 0x600d);
	vm_close(loader);
	CHECK_EQ(vm_setup_memory(monitor, 16 * MI, VM_MMAP_ALL), -1);
	CHECK_EQ(errno, EINVAL);
	REQUIRE(vm_setup_memory(monitor, 8 * MI, VM_MMAP_ALL) == 0);
	CHECK_EQ(device.mapping_count, 1);
	CHECK_EQ(*(uint32_t *)vm_map_gpa(monitor, MI, 4), 0x600d);
	CHECK_EQ(vm_setup_memory(monitor, 8 * MI, VM_MMAP_ALL), -1);
	CHECK_EQ(errno, EBUSY);
	vm_destroy(monitor);
}

TEST(sizes_are_rounded_to_pages)
{
	struct vmctx *ctx = start();

	CHECK_EQ(vm_setup_memory(ctx, 0, VM_MMAP_ALL), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(vm_setup_memory(ctx, SIZE_MAX, VM_MMAP_ALL), -1);
	CHECK_EQ(errno, EINVAL);
	REQUIRE(vm_setup_memory(ctx, 8 * MI - 5, VM_MMAP_ALL) == 0);
	CHECK_EQ(vm_get_lowmem_size(ctx), 8 * MI);
	vm_destroy(ctx);
}

TEST(wired_memory_is_mapped_so)
{
	struct vmctx *ctx = start();

	vm_set_memflags(ctx, VM_MEM_F_WIRED);
	CHECK_EQ(vm_get_memflags(ctx), VM_MEM_F_WIRED);
	REQUIRE(vm_setup_memory(ctx, 8 * MI, VM_MMAP_ALL) == 0);
	CHECK_EQ(device.mappings[0].flags, VM_MEMMAP_F_WIRED);
	vm_destroy(ctx);
}

/* A device of the host that the guest has wires memory: who comes next finds it so. */
TEST(memory_may_be_wired_unasked)
{
	struct vmctx *ctx = start();

	REQUIRE(vm_setup_memory(ctx, 8 * MI, VM_MMAP_NONE) == 0);
	device.mappings[0].flags = VM_MEMMAP_F_WIRED | VM_MEMMAP_F_IOMMU;
	CHECK_EQ(vm_mmap_memseg(ctx, 0, VM_SYSMEM, 0, 8 * MI, VM_PROT_ALL), 0);
	device.mappings[0].flags = 0;
	vm_set_memflags(ctx, VM_MEM_F_WIRED);
	CHECK_EQ(vm_mmap_memseg(ctx, 0, VM_SYSMEM, 0, 8 * MI, VM_PROT_ALL), -1);
	CHECK_EQ(errno, EEXIST);
	vm_destroy(ctx);
}

TEST(mappings_may_be_asked_for_again_but_not_changed)
{
	struct vmctx *ctx = start();

	REQUIRE(vm_setup_memory(ctx, 8 * MI, VM_MMAP_NONE) == 0);
	CHECK_EQ(vm_mmap_memseg(ctx, 0, VM_SYSMEM, 0, 8 * MI, VM_PROT_ALL), 0);
	CHECK_EQ(device.mapping_count, 1);
	CHECK_EQ(vm_mmap_memseg(ctx, 0, VM_SYSMEM, 0, 8 * MI, VM_PROT_READ), -1);
	CHECK_EQ(errno, EEXIST);
	CHECK_EQ(vm_mmap_memseg(ctx, 0, VM_SYSMEM, 0, 4 * MI, VM_PROT_ALL), -1);
	CHECK_EQ(device.mapping_count, 1);
	vm_destroy(ctx);
}

TEST(device_memory_has_a_name)
{
	struct vmctx *ctx = start();
	char name[16];
	size_t len;
	void *rom = vm_create_devmem(ctx, VM_BOOTROM, "rom", 0x4000);

	REQUIRE(rom != MAP_FAILED);
	munmap(rom, 0x4000);
	CHECK_EQ(vm_get_memseg(ctx, VM_BOOTROM, &len, name, sizeof(name)), 0);
	CHECK_EQ(len, 0x4000);
	CHECK_STR(name, "rom");
	CHECK_EQ(vm_get_memseg(ctx, VM_BOOTROM, &len, name, 3), -1);
	CHECK_EQ(errno, ENAMETOOLONG);
	rom = vm_create_devmem(ctx, VM_BOOTROM, "rom", 0x4000);
	CHECK(rom != MAP_FAILED);
	munmap(rom, 0x4000);
	CHECK(vm_create_devmem(ctx, VM_BOOTROM, "rom", 0x5000) == MAP_FAILED);
	CHECK(vm_create_devmem(ctx, VM_BOOTROM, "other", 0x4000) == MAP_FAILED);
	CHECK(vm_create_devmem(ctx, VM_FRAMEBUFFER, "", 0x4000) == MAP_FAILED);
	CHECK(vm_create_devmem(ctx, VM_FRAMEBUFFER, "a/b", 0x4000) == MAP_FAILED);
	CHECK(vm_create_devmem(ctx, VM_FRAMEBUFFER, "sixteen letters!", 0x4000) == MAP_FAILED);
	vm_destroy(ctx);
}

/* --- vCPUs ---------------------------------------------------------------- */

TEST(counters_come_in_pages)
{
	static const int counts[] = { 0, 1, 63, 64, 65, 128, 150 };
	struct vmctx *ctx = start();
	struct vcpu *vcpu = vm_vcpu_open(ctx, 0);
	struct timeval time;

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		const uint64_t *stats;
		int count = -1;

		device.counters = counts[i];
		stats = vm_get_stats(vcpu, &time, &count);
		REQUIRE(stats);
		CHECK_EQ(count, counts[i]);
		for (int j = 0; j < count; j++)
			CHECK_EQ(stats[j], 1000 + j);
	}
	CHECK_EQ(time.tv_sec, 12);
	CHECK_EQ(time.tv_usec, 34);
	CHECK_STR(vm_get_stat_desc(ctx, 149), "counter 149");
	CHECK(!vm_get_stat_desc(ctx, 150));
	vm_vcpu_close(vcpu);
	vm_destroy(ctx);
}

TEST(reset_is_that_of_the_manuals)
{
	struct vmctx *ctx = start();
	struct vcpu *vcpu = vm_vcpu_open(ctx, 0);

	memset(device.registers, 0xff, sizeof(device.registers));
	CHECK_EQ(vcpu_reset(vcpu), 0);
	CHECK_EQ(device.registers[VM_REG_GUEST_CR0], 0x60000010);
	CHECK_EQ(device.registers[VM_REG_GUEST_RIP], 0xfff0);
	CHECK_EQ(device.registers[VM_REG_GUEST_RFLAGS], 2);
	CHECK_EQ(device.registers[VM_REG_GUEST_EFER], 0);
	CHECK_EQ(device.registers[VM_REG_GUEST_DR6], 0xffff0ff0);
	CHECK_EQ(device.registers[VM_REG_GUEST_DR7], 0x400);
	CHECK_EQ(device.registers[VM_REG_GUEST_CS], 0xf000);
	CHECK_EQ(device.descriptors[VM_REG_GUEST_CS].base, 0xffff0000);
	CHECK_EQ(device.descriptors[VM_REG_GUEST_CS].limit, 0xffff);
	CHECK_EQ(device.descriptors[VM_REG_GUEST_TR].access, 0x8b);
	for (int reg = VM_REG_GUEST_R8; reg <= VM_REG_GUEST_R15; reg++)
		CHECK_EQ_AT(device.registers[reg], 0, "register %d", reg);
	vm_vcpu_close(vcpu);
	vm_destroy(ctx);
}

TEST(negative_vcpus_are_refused)
{
	struct vmctx *ctx = start();

	CHECK(!vm_vcpu_open(ctx, -1));
	CHECK_EQ(errno, EINVAL);
	vm_destroy(ctx);
}

TEST(device_registers_are_of_four_sizes)
{
	struct vmctx *ctx = start();
	struct vcpu *vcpu = vm_vcpu_open(ctx, 3);
	uint64_t value = 5;

	for (int size = 0; size <= 16; size++) {
		bool good = size == 1 || size == 2 || size == 4 || size == 8;

		CHECK_EQ_AT(vm_readwrite_kernemu_device(vcpu, 0xfee00000, true, size, &value),
			    good ? 0 : -1, "size %d", size);
		if (good)
			CHECK_EQ_AT(1 << device.access.access_width, size, "size %d", size);
	}
	CHECK_EQ(device.access.vcpuid, 3);
	CHECK_EQ(device.access.value, 5);
	CHECK_EQ(vm_readwrite_kernemu_device(vcpu, 0xfee00000, false, 8, &value), 0);
	CHECK_EQ(value, 0x1122334455667788);
	vm_vcpu_close(vcpu);
	vm_destroy(ctx);
}

TEST(mtrrs_by_number)
{
	struct vmctx *ctx = start();
	struct vcpu *vcpu = vm_vcpu_open(ctx, 3);
	uint64_t value = 5;

	CHECK_EQ(vm_set_mtrr(vcpu, 0x2ff, 0xc06), 0);
	CHECK_EQ(device.mtrr.cpuid, 3);
	CHECK_EQ(vm_get_mtrr(vcpu, 0x2ff, &value), 0);
	CHECK_EQ(value, 0xc06);
	CHECK_EQ(vm_get_mtrr(vcpu, 0x277, &value), -1);
	CHECK_EQ(value, 0xc06);
	vm_vcpu_close(vcpu);
	vm_destroy(ctx);
}

/* --- guest-linear addresses ----------------------------------------------- */

TEST(copies_follow_the_guests_pages)
{
	struct vm_guest_paging paging = { .cpl = 0 };
	struct vmctx *ctx = start();
	struct vcpu *vcpu = vm_vcpu_open(ctx, 0);
	struct iovec iov[4];
	char out[0x2000], in[0x2000];
	int fault = -1;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 13 + (i >> 8));
	REQUIRE(vm_setup_memory(ctx, 4 * MI, VM_MMAP_ALL) == 0);
	REQUIRE(vm_copy_setup(vcpu, &paging, 0x5800, sizeof(out), VM_PROT_WRITE, iov, 4, &fault) ==
		0);
	CHECK_EQ(fault, 0);
	CHECK_EQ(iov[0].iov_len, 0x800);
	CHECK_EQ(iov[1].iov_len, 0x1000);
	CHECK_EQ(iov[2].iov_len, 0x800);
	CHECK_EQ(iov[3].iov_len, 0);
	vm_copyout(out, iov, sizeof(out));
	vm_copyin(iov, in, sizeof(in));
	CHECK_MEM(in, out, sizeof(in));
	CHECK_MEM((char *)vm_map_gpa(ctx, 0x4800, 0x800), out, 0x800);
	CHECK_MEM((char *)vm_map_gpa(ctx, 0x7000, 0x1000), out + 0x800, 0x1000);
	vm_copy_teardown(iov, 4);
	CHECK(!iov[0].iov_base);
	vm_vcpu_close(vcpu);
	vm_destroy(ctx);
}

TEST(copies_that_cannot_be_are_refused)
{
	struct vm_guest_paging paging = { .cpl = 0 };
	struct vmctx *ctx = start();
	struct vcpu *vcpu = vm_vcpu_open(ctx, 0);
	struct iovec iov[2];
	int fault;

	REQUIRE(vm_setup_memory(ctx, 4 * MI, VM_MMAP_ALL) == 0);
	CHECK_EQ(vm_copy_setup(vcpu, &paging, 0xfff, 0x1002, VM_PROT_READ, iov, 2, &fault), -1);
	CHECK_EQ(errno, EFAULT);
	CHECK_EQ(vm_copy_setup(vcpu, &paging, 4 * MI, 1, VM_PROT_READ, iov, 2, &fault), -1);
	CHECK_EQ(errno, EFAULT);
	device.fault_at = 0x3000;
	CHECK_EQ(vm_copy_setup(vcpu, &paging, 0x2fff, 2, VM_PROT_READ, iov, 2, &fault), 0);
	CHECK_EQ(fault, 1);
	vm_vcpu_close(vcpu);
	vm_destroy(ctx);
}
