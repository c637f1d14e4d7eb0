// SPDX-License-Identifier: BSD-2-Clause
/* What bhyveload leaves in low memory in a BIOS' place. */
#include "unit.h"

#include "bhyveload/helpers.h"
#include "bios.h"

#define SIZE (4 * MIB)

static uint16_t word_at(struct test_memory *memory, uint64_t gpa)
{
	return (uint16_t)test_memory_u32(memory, gpa);
}

/* Where a vector leads to. */
static uint8_t *routine(struct test_memory *memory, unsigned int vector)
{
	uint64_t gpa = word_at(memory, vector * 4) + word_at(memory, vector * 4 + 2) * 16u;

	CHECK_EQ_AT(gpa >> 12, BIOS_PAGE >> 12, "vector %#x", vector);
	return test_memory_at(memory, gpa, 1);
}

TEST(every_vector_leads_to_code)
{
	struct test_memory memory;

	test_memory_init(&memory, SIZE);
	REQUIRE(bios_put(&memory.guest) == 0);
	for (unsigned int vector = 0; vector < 256; vector++)
		CHECK_EQ_AT(!*routine(&memory, vector), 0, "vector %#x", vector);
	CHECK_EQ(*routine(&memory, 0x10), 0xcf);
	CHECK_EQ(word_at(&memory, 0x10 * 4), 0xff53);
	test_memory_free(&memory);
}

/* Its carry flag is the third word that INT has pushed: IP, CS, FLAGS. */
TEST(a_service_that_is_not_there_sets_carry)
{
	static const uint8_t code[] = { 0xb4, 0x86, 0x55, 0x89, 0xe5, 0x80,
					0x4e, 0x06, 0x01, 0x5d, 0xcf };
	struct test_memory memory;

	test_memory_init(&memory, SIZE);
	REQUIRE(bios_put(&memory.guest) == 0);
	CHECK_MEM(routine(&memory, 0x15), code, sizeof(code));
	test_memory_free(&memory);
}

TEST(data_area)
{
	struct test_memory memory;

	test_memory_init(&memory, SIZE);
	REQUIRE(bios_put(&memory.guest) == 0);
	CHECK_EQ(word_at(&memory, BIOS_DATA_SERIAL), 0x3f8);
	CHECK_EQ(word_at(&memory, BIOS_DATA_EBDA), 0x9fc0);
	CHECK_EQ(word_at(&memory, BIOS_DATA_MEMORY), 639);
	CHECK_EQ(word_at(&memory, 0x475), 0); /* disks */
	CHECK_EQ(*(uint8_t *)test_memory_at(&memory, 0x9fc00, 1), 1);
	test_memory_free(&memory);
}

TEST(reset_vector_jumps_to_a_reset)
{
	static const uint8_t jump[] = { 0xea, 0x00, 0xf0, 0x00, 0xf0 };
	static const uint8_t reset[] = { 0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee };
	struct test_memory memory;

	test_memory_init(&memory, SIZE);
	REQUIRE(bios_put(&memory.guest) == 0);
	CHECK_MEM(test_memory_at(&memory, 0xffff0, sizeof(jump)), jump, sizeof(jump));
	CHECK_MEM(test_memory_at(&memory, 0xff000, sizeof(reset)), reset, sizeof(reset));
	test_memory_free(&memory);
}

TEST(a_kernel_may_lie_over_the_vectors)
{
	struct test_memory memory;

	test_memory_init(&memory, SIZE);
	REQUIRE(bios_put(&memory.guest) == 0);
	CHECK_EQ(guest_claim(&memory.guest, 0, PAGE_BYTES, "kernel"), 0);
	test_memory_free(&memory);
}
