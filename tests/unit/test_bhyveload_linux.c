// SPDX-License-Identifier: BSD-2-Clause
/* bhyveload: Linux bzImages. */
#include <stdlib.h>

#include "bhyveload/helpers.h"
#include "unit.h"

#define CODE_SIZE 0x20000u
#define SIZE	  (32 * MIB)

static uint8_t file[BZIMAGE_SETUP + CODE_SIZE];

static void start(struct test_memory *memory, uint64_t size)
{
	test_memory_init(memory, size);
	build_bzimage(file, CODE_SIZE);
	image_from_bytes(&memory->request.kernel, "bzImage", file, sizeof(file));
}

static uint64_t params(struct test_memory *memory)
{
	return state_get(&memory->state, VM_REG_GUEST_RSI);
}

/* Follows the page tables for an address: what it is mapped to. */
static uint64_t translate(struct test_memory *memory, uint64_t address)
{
	uint64_t table = state_get(&memory->state, VM_REG_GUEST_CR3);
	uint64_t entry = 0;

	for (int shift = 39; shift >= 21; shift -= 9) {
		entry = test_memory_u64(memory, table + (address >> shift & 511) * 8);
		CHECK_EQ_AT(entry & 3, 3, "address %#llx, shift %d", (unsigned long long)address,
			    shift);
		table = entry & 0x000ffffffffff000;
	}
	CHECK(entry & 0x80);
	return table | (address & 0x1fffff);
}

TEST(starts_in_64_bit_mode_where_it_likes)
{
	struct test_memory memory;

	start(&memory, SIZE);
	REQUIRE(test_load(&memory) == 0);
	CHECK_EQ(state_get(&memory.state, VM_REG_GUEST_RIP), 0x1000200);
	CHECK_MEM(test_memory_at(&memory, 0x1000000, CODE_SIZE), file + BZIMAGE_SETUP, CODE_SIZE);
	CHECK_EQ(*(uint8_t *)test_memory_at(&memory, 0x1000000 + CODE_SIZE, 1), DIRT);
	CHECK_EQ(state_get(&memory.state, VM_REG_GUEST_CR0), 0x80000031);
	CHECK_EQ(state_get(&memory.state, VM_REG_GUEST_CR4), 0x20);
	CHECK_EQ(state_get(&memory.state, VM_REG_GUEST_EFER), 0x500);
	CHECK_EQ(state_get(&memory.state, VM_REG_GUEST_RFLAGS), 2);
	CHECK_EQ(test_segment(&memory, VM_REG_GUEST_CS)->selector, 0x10);
	CHECK_EQ(test_segment(&memory, VM_REG_GUEST_CS)->desc.access, 0xa09b);
	CHECK_EQ(test_segment(&memory, VM_REG_GUEST_SS)->selector, 0x18);
	test_memory_free(&memory);
}

TEST(page_tables_map_4g_to_itself)
{
	struct test_memory memory;

	start(&memory, SIZE);
	REQUIRE(test_load(&memory) == 0);
	for (uint64_t address = 0x123; address < 4 * GIB; address += 2 * MIB)
		CHECK_EQ(translate(&memory, address), address);
	test_memory_free(&memory);
}

TEST(gdt_has_a_64_bit_code_segment)
{
	struct test_memory memory;
	const struct boot_segment *gdtr;

	start(&memory, SIZE);
	REQUIRE(test_load(&memory) == 0);
	gdtr = test_segment(&memory, VM_REG_GUEST_GDTR);
	CHECK_EQ(gdtr->desc.limit, 47);
	CHECK_EQ(test_memory_u64(&memory, gdtr->desc.base + 0x10), 0x00af9b000000ffff);
	CHECK_EQ(test_memory_u64(&memory, gdtr->desc.base + 0x18), 0x00cf93000000ffff);
	test_memory_free(&memory);
}

TEST(boot_parameters_are_filled)
{
	struct test_memory memory;
	uint64_t zero_page;
	uint64_t line;

	start(&memory, SIZE);
	memory.request.command_line = "console=ttyS0 quiet";
	REQUIRE(test_load(&memory) == 0);
	zero_page = params(&memory);
	CHECK_EQ(zero_page & 0xfff, 0);
	CHECK_MEM(test_memory_at(&memory, zero_page + 0x202, 8), file + 0x202, 8);
	CHECK_EQ(*(uint8_t *)test_memory_at(&memory, zero_page + 0x210, 1), 0xff);
	CHECK_EQ(test_memory_u32(&memory, zero_page + 0x214), 0x1000000);
	CHECK_EQ(test_memory_u32(&memory, zero_page + 0x218), 0);
	CHECK_EQ(test_memory_u32(&memory, zero_page + 0x21c), 0);
	CHECK_EQ(test_memory_u32(&memory, zero_page + 0x230), 0x200000);
	line = test_memory_u32(&memory, zero_page + 0x228);
	CHECK_STR((char *)test_memory_at(&memory, line, 20), "console=ttyS0 quiet");
	/* What is no header and not ours is zero: the sentinel above all. */
	CHECK_EQ(test_memory_u64(&memory, zero_page), 0);
	CHECK_EQ(*(uint8_t *)test_memory_at(&memory, zero_page + 0x1ef, 1), 0);
	CHECK_EQ(test_memory_u32(&memory, zero_page + 0xffc), 0);
	test_memory_free(&memory);
}

TEST(e820_map_is_filled)
{
	struct test_memory memory;
	uint64_t table;

	start(&memory, SIZE);
	REQUIRE(test_load(&memory) == 0);
	CHECK_EQ(*(uint8_t *)test_memory_at(&memory, params(&memory) + 0x1e8, 1), 5);
	table = params(&memory) + 0x2d0;
	CHECK_EQ(test_memory_u64(&memory, table), 0);
	CHECK_EQ(test_memory_u64(&memory, table + 8), 0x9fc00);
	CHECK_EQ(test_memory_u32(&memory, table + 16), 1);
	CHECK_EQ(test_memory_u64(&memory, table + 60), 0x100000);
	CHECK_EQ(test_memory_u64(&memory, table + 68), SIZE - 0x100000);
	CHECK_EQ(test_memory_u32(&memory, table + 76), 1);
	test_memory_free(&memory);
}

TEST(initrd_goes_to_the_top)
{
	static uint8_t initrd[0x12345];
	struct test_memory memory;
	uint64_t at;

	for (size_t i = 0; i < sizeof(initrd); i++)
		initrd[i] = (uint8_t)(i * 7);
	start(&memory, SIZE);
	test_add_module(&memory, "initrd", initrd, sizeof(initrd), "");
	memory.request.has_initrd = true;
	REQUIRE(test_load(&memory) == 0);
	at = test_memory_u32(&memory, params(&memory) + 0x218);
	CHECK_EQ(at, SIZE - 0x13000);
	CHECK_EQ(test_memory_u32(&memory, params(&memory) + 0x21c), sizeof(initrd));
	CHECK_MEM(test_memory_at(&memory, at, sizeof(initrd)), initrd, sizeof(initrd));
	test_memory_free(&memory);
}

TEST(initrd_stays_below_its_limit)
{
	static uint8_t initrd[0x10000];
	struct test_memory memory;

	start(&memory, SIZE);
	put32(file, 0x22c, 0x00efffff);
	test_add_module(&memory, "initrd", initrd, sizeof(initrd), "");
	memory.request.has_initrd = true;
	REQUIRE(test_load(&memory) == 0);
	CHECK_EQ(test_memory_u32(&memory, params(&memory) + 0x218), 0xf00000 - sizeof(initrd));
	test_memory_free(&memory);
}

TEST(initrd_that_does_not_fit_is_named)
{
	static uint8_t initrd[16 * MIB];
	struct test_memory memory;

	start(&memory, 20 * MIB);
	test_add_module(&memory, "big.img", initrd, sizeof(initrd), "");
	memory.request.has_initrd = true;
	CHECK(test_load(&memory) < 0);
	CHECK_STR(memory.guest.failure.text,
		  "big.img: no room for its 16384 KiB in 20 MiB of memory");
	test_memory_free(&memory);
}

TEST(is_moved_where_its_place_does_not_exist)
{
	struct test_memory memory;

	start(&memory, 8 * MIB);
	REQUIRE(test_load(&memory) == 0);
	CHECK_EQ(state_get(&memory.state, VM_REG_GUEST_RIP), 0x200200);
	CHECK_EQ(test_memory_u32(&memory, params(&memory) + 0x214), 0x200000);
	CHECK_MEM(test_memory_at(&memory, 0x200000, CODE_SIZE), file + BZIMAGE_SETUP, CODE_SIZE);
	test_memory_free(&memory);
}

TEST(is_not_moved_if_it_cannot_be)
{
	struct test_memory memory;

	start(&memory, 8 * MIB);
	put8(file, 0x234, 0);
	CHECK(test_load(&memory) < 0);
	CHECK(strstr(memory.guest.failure.text, "bzImage: wants memory from 0x1000000"));
	test_memory_free(&memory);
}

TEST(memory_to_run_in_is_kept_free)
{
	struct test_memory memory;

	start(&memory, 8 * MIB);
	put32(file, 0x260, 7 * MIB);
	CHECK(test_load(&memory) < 0);
	CHECK(strstr(memory.guest.failure.text, "no room for its 7168 KiB in 8 MiB"));
	test_memory_free(&memory);
}

TEST(starts_in_32_bit_mode_without_a_64_bit_entry)
{
	struct test_memory memory;

	start(&memory, SIZE);
	put16(file, 0x236, 0);
	REQUIRE(test_load(&memory) == 0);
	CHECK_EQ(state_get(&memory.state, VM_REG_GUEST_RIP), 0x1000000);
	test_check_protected_mode(&memory);
	test_memory_free(&memory);
}

TEST(protocol_2_06_is_loaded_at_1m)
{
	struct test_memory memory;

	start(&memory, SIZE);
	put16(file, 0x206, 0x0206);
	put8(file, 0x201, 0x3c - 2); /* the header ends where 2.06 has it */
	REQUIRE(test_load(&memory) == 0);
	CHECK_EQ(state_get(&memory.state, VM_REG_GUEST_RIP), 0x100000);
	/* Later fields are the file's code, and no business of boot_params. */
	CHECK_EQ(test_memory_u64(&memory, params(&memory) + 0x258), 0);
	test_check_protected_mode(&memory);
	test_memory_free(&memory);
}

TEST(older_protocols_are_refused)
{
	struct test_memory memory;

	start(&memory, SIZE);
	put16(file, 0x206, 0x0205);
	CHECK(test_load(&memory) < 0);
	CHECK_STR(memory.guest.failure.text, "bzImage: its boot protocol 2.05 is older than 2.06");
	test_memory_free(&memory);
}

TEST(zimage_is_refused)
{
	struct test_memory memory;

	start(&memory, SIZE);
	put8(file, 0x211, 0);
	CHECK(test_load(&memory) < 0);
	CHECK_STR(memory.guest.failure.text, "bzImage: a zImage, not a bzImage");
	test_memory_free(&memory);
}

TEST(command_line_may_be_as_long_as_the_kernel_says)
{
	static char line[2049];
	struct test_memory memory;

	memset(line, 'x', 2047);
	start(&memory, SIZE);
	memory.request.command_line = line;
	CHECK(test_load(&memory) == 0);
	test_memory_free(&memory);

	line[2047] = 'x';
	start(&memory, SIZE);
	memory.request.command_line = line;
	CHECK(test_load(&memory) < 0);
	CHECK_STR(memory.guest.failure.text,
		  "command line: 2048 characters, but bzImage takes 2047");
	test_memory_free(&memory);
}

TEST(modules_are_refused)
{
	static uint8_t module[1];
	struct test_memory memory;

	start(&memory, SIZE);
	test_add_module(&memory, "module", module, sizeof(module), "");
	CHECK(test_load(&memory) < 0);
	CHECK_STR(memory.guest.failure.text, "bzImage: a Linux bzImage takes no modules (-M)");
	test_memory_free(&memory);
}

TEST(silly_alignments_are_refused)
{
	static const uint32_t alignments[] = { 0, 1, 0x800, 0x3000, 0x80000000, 0xffffffff };
	struct test_memory memory;

	for (size_t i = 0; i < sizeof(alignments) / sizeof(alignments[0]); i++) {
		start(&memory, SIZE);
		put32(file, 0x230, alignments[i]);
		CHECK_EQ_AT(test_load(&memory), -1, "%#x", alignments[i]);
		test_memory_free(&memory);
	}
}

TEST(silly_places_and_sizes_are_refused)
{
	static const struct {
		uint64_t place;
		uint32_t size;
	} wants[] = {
		{ UINT64_MAX, 0 },
		{ UINT64_MAX - CODE_SIZE + 1, 0 },
		{ 0x1000000, UINT32_MAX },
		{ 0, 0xfffff000 },
		{ 0x90000, 0 },
		{ 0x9f000, CODE_SIZE },
		{ ABOVE_4G - CODE_SIZE / 2, 0 },
	};
	struct test_memory memory;

	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
		start(&memory, SIZE);
		put8(file, 0x234, 0); /* cannot be moved */
		put64(file, 0x258, wants[i].place);
		put32(file, 0x260, wants[i].size);
		CHECK_EQ_AT(test_load(&memory), -1, "%zu", i);
		test_memory_free(&memory);
	}
}

/* Each part of the file is there or it is said to be truncated. */
TEST(every_truncation_is_noticed)
{
	struct test_memory memory;

	start(&memory, SIZE);
	for (size_t size = 1; size < sizeof(file); size = size < 0x300 ? size + 1 : size + 997) {
		uint8_t *part = malloc(size);

		test_memory_reset(&memory);
		REQUIRE(part);
		memcpy(part, file, size);
		image_from_bytes(&memory.request.kernel, "part", part, size);
		CHECK_EQ_AT(test_load(&memory), -1, "%zu bytes", size);
		CHECK(strstr(memory.guest.failure.text, "part: "));
		free(part);
	}
	test_memory_free(&memory);
}

/* syssize counts 16 bytes at a time. */
TEST(the_last_paragraph_may_be_there_in_part)
{
	struct test_memory memory;

	start(&memory, SIZE);
	for (size_t missing = 0; missing <= 16; missing++) {
		size_t size = sizeof(file) - missing;
		uint8_t *part = malloc(size);

		test_memory_reset(&memory);
		REQUIRE(part);
		memcpy(part, file, size);
		image_from_bytes(&memory.request.kernel, "part", part, size);
		CHECK_EQ_AT(test_load(&memory), missing < 16 ? 0 : -1, "%zu missing", missing);
		free(part);
	}
	test_memory_free(&memory);
}

TEST(zero_setup_sectors_mean_four)
{
	struct test_memory memory;

	start(&memory, SIZE);
	put8(file, 0x1f1, 0);
	REQUIRE(test_load(&memory) == 0);
	CHECK_MEM(test_memory_at(&memory, 0x1000000, CODE_SIZE), file + BZIMAGE_SETUP, CODE_SIZE);
	test_memory_free(&memory);
}

TEST(a_signature_behind_the_code_is_left_out)
{
	struct test_memory memory;

	start(&memory, SIZE);
	put32(file, 0x1f4, CODE_SIZE / 16 - 1);
	REQUIRE(test_load(&memory) == 0);
	CHECK_EQ(*(uint8_t *)test_memory_at(&memory, 0x1000000 + CODE_SIZE - 16, 1), DIRT);
	test_memory_free(&memory);
}

TEST(nothing_is_put_into_the_hole)
{
	static uint8_t initrd[0x100000];
	struct test_memory memory;

	start(&memory, SIZE);
	test_add_module(&memory, "initrd", initrd, sizeof(initrd), "");
	memory.request.has_initrd = true;
	REQUIRE(test_load(&memory) == 0);
	for (uint64_t at = LOW_RAM_END; at < HIGH_RAM_START; at++)
		if (memory.bytes[at] != DIRT) {
			unit_fail(__FILE__, __LINE__, "written at %#llx", (unsigned long long)at);
			break;
		}
	test_memory_free(&memory);
}
