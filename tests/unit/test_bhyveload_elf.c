// SPDX-License-Identifier: BSD-2-Clause
/* bhyveload: ELF files, as Multiboot and PVH kernels. */
#include <elf.h>
#include <stdlib.h>

#include "bhyveload/helpers.h"
#include "unit.h"

#define SIZE	  (4 * MIB)
#define FILE_SIZE 0x4000u
#define HEADER_AT 0x800 /* of the Multiboot header */
#define NOTE_AT	  0x900
#define CODE_AT	  0x1000

static uint8_t file[FILE_SIZE];

static const struct test_segment code = {
	.type = PT_LOAD,
	.offset = CODE_AT,
	.virtual_start = 0xc0100000,
	.physical_start = 0x100000,
	.file_size = 0x1800,
	.memory_size = 0x3000,
};

static void start(struct test_memory *memory)
{
	test_memory_init(memory, SIZE);
	image_from_bytes(&memory->request.kernel, "kernel.elf", file, sizeof(file));
}

/* A Multiboot kernel of 32 bits with one segment, entered 0x10 bytes into it. */
static void start_multiboot(struct test_memory *memory, uint32_t flags)
{
	memset(file, 0x5a, sizeof(file));
	build_elf32(file, 0xc0100010, 1);
	put_segment32(file, 0, &code);
	put_multiboot_header(file, HEADER_AT, flags);
	start(memory);
}

/* A PVH kernel of 64 bits with one segment and a note. */
static void start_pvh(struct test_memory *memory, uint64_t entry, uint32_t width)
{
	struct test_segment note = { .type = PT_NOTE, .offset = NOTE_AT };

	memset(file, 0x5a, sizeof(file));
	build_elf64(file, 0xc0100010, 2);
	put_segment64(file, 0, &code);
	note.file_size = note.memory_size = put_pvh_note(file, NOTE_AT, entry, width);
	put_segment64(file, 1, &note);
	start(memory);
}

static void check_loaded(struct test_memory *memory)
{
	const uint8_t *loaded = test_memory_at(memory, code.physical_start, code.memory_size + 1);

	CHECK_MEM(loaded, file + CODE_AT, code.file_size);
	for (uint64_t i = code.file_size; i < code.memory_size; i++)
		CHECK_EQ(loaded[i], 0);
	CHECK_EQ(loaded[code.memory_size], DIRT);
}

static char *text_at(struct test_memory *memory, uint64_t gpa)
{
	return test_memory_at(memory, gpa, 64);
}

TEST(multiboot_kernel_is_loaded)
{
	struct test_memory memory;

	start_multiboot(&memory, 3);
	REQUIRE(test_load(&memory) == 0);
	check_loaded(&memory);
	test_check_protected_mode(&memory);
	CHECK_EQ(state_get(&memory.state, VM_REG_GUEST_RAX), 0x2badb002);
	CHECK_EQ(state_get(&memory.state, VM_REG_GUEST_RIP), 0x100010);
	test_memory_free(&memory);
}

TEST(multiboot_kernel_of_64_bits_is_loaded)
{
	struct test_memory memory;

	start_multiboot(&memory, 0);
	build_elf64(file, 0x100020, 1);
	put_segment64(file, 0, &code);
	REQUIRE(test_load(&memory) == 0);
	check_loaded(&memory);
	CHECK_EQ(state_get(&memory.state, VM_REG_GUEST_RIP), 0x100020);
	test_memory_free(&memory);
}

TEST(multiboot_information_is_given)
{
	static const uint8_t module[] = "module contents";
	struct test_memory memory;
	uint64_t info, list;

	start_multiboot(&memory, 3);
	memory.request.command_line = "one two";
	test_add_module(&memory, "first", module, sizeof(module), "its arguments");
	test_add_module(&memory, "second", module, 7, "");
	REQUIRE(test_load(&memory) == 0);
	info = state_get(&memory.state, VM_REG_GUEST_RBX);
	CHECK_EQ(test_memory_u32(&memory, info), 0x24d);
	CHECK_EQ(test_memory_u32(&memory, info + 4), 639);
	CHECK_EQ(test_memory_u32(&memory, info + 8), 3072);
	CHECK_STR(text_at(&memory, test_memory_u32(&memory, info + 16)), "kernel.elf one two");
	CHECK_STR(text_at(&memory, test_memory_u32(&memory, info + 64)), "bhyveload");
	REQUIRE(test_memory_u32(&memory, info + 20) == 2);

	list = test_memory_u32(&memory, info + 24);
	CHECK_EQ(test_memory_u32(&memory, list) & 0xfff, 0);
	CHECK(test_memory_u32(&memory, list) >= code.physical_start + code.memory_size);
	CHECK_EQ(test_memory_u32(&memory, list + 4),
		 test_memory_u32(&memory, list) + sizeof(module));
	CHECK_STR(text_at(&memory, test_memory_u32(&memory, list)), "module contents");
	CHECK_STR(text_at(&memory, test_memory_u32(&memory, list + 8)), "its arguments");
	CHECK_EQ(test_memory_u32(&memory, list + 20), test_memory_u32(&memory, list + 16) + 7);
	CHECK_STR(text_at(&memory, test_memory_u32(&memory, list + 24)), "");
	test_memory_free(&memory);
}

TEST(multiboot_memory_map_is_given)
{
	struct test_memory memory;
	uint64_t info, map;

	start_multiboot(&memory, 3);
	REQUIRE(test_load(&memory) == 0);
	info = state_get(&memory.state, VM_REG_GUEST_RBX);
	CHECK_EQ(test_memory_u32(&memory, info + 44), 5 * 24);
	map = test_memory_u32(&memory, info + 48);
	CHECK_EQ(test_memory_u32(&memory, map), 20);
	CHECK_EQ(test_memory_u64(&memory, map + 4), 0);
	CHECK_EQ(test_memory_u64(&memory, map + 12), 0x9fc00);
	CHECK_EQ(test_memory_u32(&memory, map + 20), 1);
	CHECK_EQ(test_memory_u64(&memory, map + 3 * 24 + 4), 0x100000);
	CHECK_EQ(test_memory_u64(&memory, map + 3 * 24 + 12), SIZE - 0x100000);
	test_memory_free(&memory);
}

TEST(multiboot_command_line_without_arguments_is_the_name)
{
	struct test_memory memory;
	uint64_t info;

	start_multiboot(&memory, 3);
	REQUIRE(test_load(&memory) == 0);
	info = state_get(&memory.state, VM_REG_GUEST_RBX);
	CHECK_STR(text_at(&memory, test_memory_u32(&memory, info + 16)), "kernel.elf");
	test_memory_free(&memory);
}

TEST(multiboot_wishes_that_cannot_be_met_are_named)
{
	struct test_memory memory;

	start_multiboot(&memory, 0x7);
	CHECK(test_load(&memory) < 0);
	CHECK_STR(memory.guest.failure.text,
		  "kernel.elf: its Multiboot header wants what is not offered (flags 0x4)");
	test_memory_free(&memory);
}

TEST(multiboot_header_is_looked_for_in_8k)
{
	struct test_memory memory;

	start_multiboot(&memory, 0);
	memset(file + HEADER_AT, 0, 12);
	put_multiboot_header(file, 8192 - 12, 0);
	CHECK(test_load(&memory) == 0);
	test_memory_free(&memory);

	start_multiboot(&memory, 0);
	memset(file + HEADER_AT, 0, 12);
	put_multiboot_header(file, 8192 - 8, 0);
	CHECK(test_load(&memory) < 0);
	test_memory_free(&memory);

	start_multiboot(&memory, 0);
	memset(file + HEADER_AT, 0, 12);
	put_multiboot_header(file, HEADER_AT + 2, 0);
	CHECK(test_load(&memory) < 0);
	test_memory_free(&memory);
}

TEST(multiboot_checksum_must_be_right)
{
	struct test_memory memory;

	start_multiboot(&memory, 0);
	put32(file, HEADER_AT + 8, 0);
	CHECK(test_load(&memory) < 0);
	CHECK(strstr(memory.guest.failure.text, "looks like an ELF file"));
	test_memory_free(&memory);
}

/* A kernel that is no ELF file but has addresses in its header. */
static void start_flat(struct test_memory *memory, uint32_t load, uint32_t load_end,
		       uint32_t bss_end)
{
	memset(file, 0x33, sizeof(file));
	put_multiboot_header(file, HEADER_AT, 0x10000);
	put32(file, HEADER_AT + 12, 0x200000 + HEADER_AT);
	put32(file, HEADER_AT + 16, load);
	put32(file, HEADER_AT + 20, load_end);
	put32(file, HEADER_AT + 24, bss_end);
	put32(file, HEADER_AT + 28, 0x200abc);
	start(memory);
}

TEST(multiboot_addresses_are_followed)
{
	struct test_memory memory;
	uint8_t *loaded;

	start_flat(&memory, 0x200000 + 0x100, 0x202000, 0x203000);
	REQUIRE(test_load(&memory) == 0);
	loaded = test_memory_at(&memory, 0x200000, 0x3001);
	CHECK_EQ(loaded[0xff], DIRT);
	CHECK_MEM(loaded + 0x100, file + 0x100, 0x1f00);
	for (int i = 0x2000; i < 0x3000; i++)
		CHECK_EQ(loaded[i], 0);
	CHECK_EQ(loaded[0x3000], DIRT);
	CHECK_EQ(state_get(&memory.state, VM_REG_GUEST_RIP), 0x200abc);
	test_memory_free(&memory);
}

TEST(multiboot_addresses_without_ends_load_the_whole_file)
{
	struct test_memory memory;

	start_flat(&memory, 0x200000, 0, 0);
	REQUIRE(test_load(&memory) == 0);
	CHECK_MEM(test_memory_at(&memory, 0x200000, FILE_SIZE), file, FILE_SIZE);
	CHECK_EQ(*(uint8_t *)test_memory_at(&memory, 0x200000 + FILE_SIZE, 1), DIRT);
	test_memory_free(&memory);
}

TEST(multiboot_addresses_are_checked)
{
	static const struct {
		uint32_t load, load_end, bss_end;
	} bad[] = {
		{ 0x200000 + HEADER_AT + 4, 0, 0 },	   /* begins behind the header */
		{ 0x100000, 0, 0 },			   /* begins before the file */
		{ 0, 0, 0 },				   /* far before it */
		{ 0x200000, 0x1fffff, 0 },		   /* ends before it begins */
		{ 0x200000, 0x200000 + FILE_SIZE + 1, 0 }, /* ends behind the file */
		{ 0x200000, 0xffffffff, 0 },
		{ 0x200000, 0, SIZE + 1 }, /* bss beyond memory */
		{ 0x200000, 0, 0xffffffff },
	};
	struct test_memory memory;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start_flat(&memory, bad[i].load, bad[i].load_end, bad[i].bss_end);
		CHECK_EQ_AT(test_load(&memory), -1, "%zu", i);
		test_memory_free(&memory);
	}
}

TEST(pvh_kernel_is_loaded)
{
	static const uint32_t widths[] = { 4, 8 };
	struct test_memory memory;

	for (size_t i = 0; i < 2; i++) {
		start_pvh(&memory, 0x100020, widths[i]);
		REQUIRE(test_load(&memory) == 0);
		check_loaded(&memory);
		test_check_protected_mode(&memory);
		CHECK_EQ(state_get(&memory.state, VM_REG_GUEST_RIP), 0x100020);
		test_memory_free(&memory);
	}
}

TEST(pvh_kernel_of_32_bits_is_loaded)
{
	struct test_segment note = { .type = PT_NOTE, .offset = NOTE_AT };
	struct test_memory memory;

	memset(file, 0x5a, sizeof(file));
	build_elf32(file, 0xc0100010, 2);
	put_segment32(file, 0, &code);
	note.file_size = note.memory_size = put_pvh_note(file, NOTE_AT, 0x100040, 4);
	put_segment32(file, 1, &note);
	start(&memory);
	REQUIRE(test_load(&memory) == 0);
	check_loaded(&memory);
	CHECK_EQ(state_get(&memory.state, VM_REG_GUEST_RIP), 0x100040);
	test_memory_free(&memory);
}

TEST(pvh_information_is_given)
{
	static const uint8_t initrd[] = "initrd contents";
	struct test_memory memory;
	uint64_t info, list, map;

	start_pvh(&memory, 0x100020, 8);
	memory.request.command_line = "root=/dev/ram";
	test_add_module(&memory, "initrd", initrd, sizeof(initrd), "");
	memory.request.has_initrd = true;
	test_add_module(&memory, "module", initrd, sizeof(initrd), "arguments");
	REQUIRE(test_load(&memory) == 0);
	info = state_get(&memory.state, VM_REG_GUEST_RBX);
	CHECK_EQ(test_memory_u32(&memory, info), 0x336ec578);
	CHECK_EQ(test_memory_u32(&memory, info + 4), 1);
	CHECK_EQ(test_memory_u32(&memory, info + 8), 0);
	CHECK_EQ(test_memory_u32(&memory, info + 12), 2);
	CHECK_STR(text_at(&memory, test_memory_u64(&memory, info + 24)), "root=/dev/ram");
	CHECK_EQ(test_memory_u64(&memory, info + 32), 0);

	list = test_memory_u64(&memory, info + 16);
	CHECK_STR(text_at(&memory, test_memory_u64(&memory, list)), "initrd contents");
	CHECK_EQ(test_memory_u64(&memory, list + 8), sizeof(initrd));
	CHECK_STR(text_at(&memory, test_memory_u64(&memory, list + 32 + 16)), "arguments");

	map = test_memory_u64(&memory, info + 40);
	CHECK_EQ(test_memory_u32(&memory, info + 48), 5);
	CHECK_EQ(test_memory_u64(&memory, map + 3 * 24), 0x100000);
	CHECK_EQ(test_memory_u64(&memory, map + 3 * 24 + 8), SIZE - 0x100000);
	CHECK_EQ(test_memory_u32(&memory, map + 3 * 24 + 16), 1);
	test_memory_free(&memory);
}

TEST(pvh_note_may_come_after_others)
{
	struct test_segment notes = { .type = PT_NOTE, .offset = NOTE_AT };
	struct test_memory memory;

	start_pvh(&memory, 0, 8);
	/* A note of another owner with a name and a value of odd lengths. */
	put32(file, NOTE_AT, 5);
	put32(file, NOTE_AT + 4, 3);
	put32(file, NOTE_AT + 8, 18);
	memcpy(file + NOTE_AT + 12, "Nope", 5);
	notes.file_size = 24 + put_pvh_note(file, NOTE_AT + 24, 0x100030, 4);
	notes.memory_size = notes.file_size;
	put_segment64(file, 1, &notes);
	REQUIRE(test_load(&memory) == 0);
	CHECK_EQ(state_get(&memory.state, VM_REG_GUEST_RIP), 0x100030);
	test_memory_free(&memory);
}

TEST(pvh_notes_that_lie_about_their_length_are_ignored)
{
	static const uint32_t lengths[] = { 0x7fffffff, 0xffffffff, 0xfffffff0, 17, 24, 12 };
	struct test_memory memory;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		start_pvh(&memory, 0x100020, 8);
		put32(file, NOTE_AT, lengths[i]);
		CHECK_EQ_AT(test_load(&memory), -1, "name of %#x", lengths[i]);
		test_memory_free(&memory);

		start_pvh(&memory, 0x100020, 8);
		put32(file, NOTE_AT + 4, lengths[i]);
		CHECK_EQ_AT(test_load(&memory), -1, "value of %#x", lengths[i]);
		test_memory_free(&memory);
	}
}

TEST(pvh_entry_above_4g_is_refused)
{
	struct test_memory memory;

	start_pvh(&memory, 0x100000020, 8);
	CHECK(test_load(&memory) < 0);
	CHECK(strstr(memory.guest.failure.text, "PVH entry point 0x100000020 is above 4 GiB"));
	test_memory_free(&memory);
}

TEST(segments_must_fit_into_memory)
{
	static const struct {
		uint64_t start, file_size, memory_size;
	} bad[] = {
		{ 0x100000, 0x1000, SIZE },
		{ 0x100000, 0x1000, UINT64_MAX },
		{ UINT64_MAX - 0xfff, 0x1000, 0x1000 },
		{ UINT64_MAX, 0x1000, 0x1000 },
		{ SIZE, 0x1000, 0x1000 },
		{ 0x9f000, 0x1000, 0x1000 }, /* the hole */
		{ 0xa0000, 0, 0x10 },
		{ 0xfffff, 1, 1 },
		{ 0x100000, 0x1000, 0xfff },	    /* larger in the file */
		{ 0x100000, FILE_SIZE, FILE_SIZE }, /* more than the file has */
		{ 0x100000, UINT64_MAX, UINT64_MAX },
	};
	struct test_memory memory;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct test_segment segment = code;

		start_pvh(&memory, 0x100020, 8);
		segment.physical_start = bad[i].start;
		segment.file_size = bad[i].file_size;
		segment.memory_size = bad[i].memory_size;
		put_segment64(file, 0, &segment);
		CHECK_EQ_AT(test_load(&memory), -1, "%zu", i);
		test_memory_free(&memory);
	}
}

TEST(segments_must_not_overlap)
{
	struct test_segment second = code;
	struct test_segment note = { .type = PT_NOTE, .offset = NOTE_AT };
	struct test_memory memory;

	start_pvh(&memory, 0x100020, 8);
	build_elf64(file, 0, 3);
	put_segment64(file, 0, &code);
	second.physical_start = code.physical_start + code.memory_size - 1;
	put_segment64(file, 1, &second);
	note.file_size = put_pvh_note(file, NOTE_AT, 0x100020, 8);
	put_segment64(file, 2, &note);
	CHECK(test_load(&memory) < 0);
	CHECK(strstr(memory.guest.failure.text, "taken already"));
	test_memory_free(&memory);
}

TEST(kernels_in_low_memory_keep_their_place)
{
	struct test_segment low = code;
	struct test_memory memory;
	uint64_t info;

	start_pvh(&memory, 0x1000, 8);
	low.physical_start = 0x1000;
	put_segment64(file, 0, &low);
	REQUIRE(test_load(&memory) == 0);
	CHECK_MEM(test_memory_at(&memory, 0x1000, low.file_size), file + CODE_AT, low.file_size);
	info = state_get(&memory.state, VM_REG_GUEST_RBX);
	CHECK(info >= 0x1000 + low.memory_size && info < LOW_RAM_END);
	test_memory_free(&memory);
}

TEST(program_headers_must_make_sense)
{
	static const struct {
		size_t offset;
		uint64_t value;
		size_t size;
	} bad[] = {
		{ offsetof(Elf64_Ehdr, e_phoff), UINT64_MAX, 8 },
		{ offsetof(Elf64_Ehdr, e_phoff), UINT64_MAX - 55, 8 },
		{ offsetof(Elf64_Ehdr, e_phoff), FILE_SIZE, 8 },
		{ offsetof(Elf64_Ehdr, e_phoff), FILE_SIZE - 1, 8 },
		{ offsetof(Elf64_Ehdr, e_phnum), 0, 2 },
		{ offsetof(Elf64_Ehdr, e_phnum), 129, 2 },
		{ offsetof(Elf64_Ehdr, e_phnum), 0xffff, 2 },
		{ offsetof(Elf64_Ehdr, e_phentsize), 55, 2 },
		{ offsetof(Elf64_Ehdr, e_phentsize), 0, 2 },
		{ offsetof(Elf64_Ehdr, e_phentsize), 0xffff, 2 },
		{ offsetof(Elf64_Ehdr, e_machine), EM_AARCH64, 2 },
		{ offsetof(Elf64_Ehdr, e_type), ET_REL, 2 },
		{ EI_CLASS, 3, 1 },
		{ EI_DATA, ELFDATA2MSB, 1 },
	};
	struct test_memory memory;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start_pvh(&memory, 0x100020, 8);
		memcpy(file + bad[i].offset, &bad[i].value, bad[i].size);
		CHECK_EQ_AT(test_load(&memory), -1, "%zu", i);
		test_memory_free(&memory);
	}
}

TEST(file_with_nothing_to_load_is_refused)
{
	struct test_segment empty = code;
	struct test_memory memory;

	start_pvh(&memory, 0x100020, 8);
	empty.file_size = empty.memory_size = 0;
	put_segment64(file, 0, &empty);
	CHECK(test_load(&memory) < 0);
	CHECK_STR(memory.guest.failure.text, "kernel.elf: an ELF file with nothing to load");
	test_memory_free(&memory);
}

/* What lies in the file before the end of the code is needed; each cut is seen. */
TEST(every_truncation_is_noticed)
{
	const size_t whole = CODE_AT + code.file_size;
	struct test_memory memory;

	start_pvh(&memory, 0x100020, 8);
	for (size_t size = 1; size < whole; size = size < 0x100 ? size + 1 : size + 89) {
		uint8_t *part = malloc(size);

		test_memory_reset(&memory);
		REQUIRE(part);
		memcpy(part, file, size);
		image_from_bytes(&memory.request.kernel, "part", part, size);
		CHECK_EQ_AT(test_load(&memory), -1, "%zu bytes", size);
		free(part);
	}
	test_memory_free(&memory);
}

TEST(more_modules_than_memory_are_refused)
{
	static uint8_t module[MIB];
	struct test_memory memory;

	start_multiboot(&memory, 3);
	for (int i = 0; i < 4; i++)
		test_add_module(&memory, "module", module, sizeof(module), "");
	CHECK(test_load(&memory) < 0);
	CHECK_STR(memory.guest.failure.text, "module: no room for its 1024 KiB in 4 MiB of memory");
	test_memory_free(&memory);
}

TEST(most_modules_fit)
{
	static uint8_t module[16];
	struct test_memory memory;

	start_multiboot(&memory, 3);
	for (int i = 0; i < MOST_MODULES; i++)
		test_add_module(&memory, "module", module, sizeof(module), "x");
	CHECK(test_load(&memory) == 0);
	test_memory_free(&memory);
}
