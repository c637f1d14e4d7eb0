// SPDX-License-Identifier: BSD-2-Clause
/* bhyveload: what is RAM, what is taken, and where there is room. */
#include "bhyveload/helpers.h"
#include "unit.h"

#define SIZE (4 * MIB)

TEST(too_little_memory_is_refused)
{
	static struct guest guest;
	const struct memory_ops ops = { 0 };

	CHECK(guest_init(&guest, &ops, LEAST_MEMORY - 1, 0) < 0);
	CHECK(strstr(guest.failure.text, "2047 KiB"));
	CHECK(guest_init(&guest, &ops, LEAST_MEMORY, 0) == 0);
}

TEST(claims_must_be_ram)
{
	struct test_memory memory;
	struct guest *guest = &memory.guest;

	test_memory_init(&memory, SIZE);
	CHECK(guest_claim(guest, 0, LOW_RAM_END, "all low memory") == 0);
	CHECK(guest_claim(guest, LOW_RAM_END, 1, "the hole") < 0);
	CHECK(strstr(guest->failure.text, "not all RAM"));
	CHECK(guest_claim(guest, 0xfffff, 1, "the hole's end") < 0);
	CHECK(guest_claim(guest, 0xfffff, 2, "across it") < 0);
	CHECK(guest_claim(guest, HIGH_RAM_START, SIZE - HIGH_RAM_START, "the rest") == 0);
	CHECK(guest_claim(guest, HIGH_RAM_START, 1, "taken") < 0);
	CHECK(strstr(guest->failure.text, "taken already"));
	test_memory_free(&memory);
}

TEST(claims_outside_memory_are_refused)
{
	static const struct {
		uint64_t start;
		uint64_t length;
	} claims[] = {
		{ SIZE, 1 },
		{ SIZE - 1, 2 },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX, 2 },
		{ 1 * MIB, UINT64_MAX },
		{ 1 * MIB, UINT64_MAX - MIB + 1 },
		{ ABOVE_4G, 1 * MIB },
		{ UINT64_MAX - 4095, 4096 },
		{ 0, SIZE + 1 },
	};
	struct test_memory memory;

	test_memory_init(&memory, SIZE);
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
		if (guest_claim(&memory.guest, claims[i].start, claims[i].length, "it") == 0)
			unit_fail(__FILE__, __LINE__, "claim %zu was granted", i);
	CHECK_EQ(memory.guest.range_count, 1);
	test_memory_free(&memory);
}

TEST(lowest_room_is_found)
{
	struct test_memory memory;
	struct guest *guest = &memory.guest;
	uint64_t at;

	test_memory_init(&memory, SIZE);
	REQUIRE(guest_claim(guest, 0x2000, 0x1000, "a") == 0);
	CHECK(guest_find(guest, 0x1000, 0x1000, 0, SIZE, "b", &at) == 0);
	CHECK_EQ(at, 0);
	CHECK(guest_find(guest, 0x2000, 0x1000, 0, SIZE, "c", &at) == 0);
	CHECK_EQ(at, 0x3000);
	CHECK(guest_find(guest, 1, 0x1000, 0, SIZE, "d", &at) == 0);
	CHECK_EQ(at, 0x1000);
	CHECK(guest_find(guest, 1, 1, 0, SIZE, "e", &at) == 0);
	CHECK_EQ(at, 0x1001);
	CHECK(guest_find(guest, LOW_RAM_END, 0x10, 0, SIZE, "f", &at) == 0);
	CHECK_EQ(at, HIGH_RAM_START);
	CHECK(guest_find(guest, 0x100, 0x10, 0x9fb80, LOW_RAM_END, "g", &at) < 0);
	CHECK(strstr(guest->failure.text, "no room"));
	test_memory_free(&memory);
}

TEST(highest_room_is_found)
{
	struct test_memory memory;
	struct guest *guest = &memory.guest;
	uint64_t at;

	test_memory_init(&memory, SIZE);
	CHECK(guest_find_top(guest, 0x1800, 0x1000, MIB, SIZE, "a", &at) == 0);
	CHECK_EQ(at, SIZE - 0x2000);
	CHECK(guest_find_top(guest, 0x1000, 0x1000, MIB, SIZE, "b", &at) == 0);
	CHECK_EQ(at, SIZE - 0x3000);
	CHECK(guest_find_top(guest, 0x1000, 0x1000, MIB, 2 * MIB, "c", &at) == 0);
	CHECK_EQ(at, 2 * MIB - 0x1000);
	CHECK(guest_find_top(guest, 0x1000, 0x1000, MIB, 2 * MIB - 1, "d", &at) == 0);
	CHECK_EQ(at, 2 * MIB - 0x2000);
	CHECK(guest_find_top(guest, 3 * MIB, 0x1000, MIB, SIZE, "e", &at) < 0);
	CHECK(guest_find_top(guest, 0x1000, 0x1000, MIB, MIB, "f", &at) < 0);
	test_memory_free(&memory);
}

/* A linear congruential generator: the same sequence in each run. */
static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Compares the search with a map of units, for many arrangements. */
TEST(room_is_found_as_by_a_bitmap)
{
	enum { UNITS = 64, UNIT = 0x10000, BASE = 0x100000 };
	struct test_memory memory;
	uint32_t random = 1;

	for (int round = 0; round < 200; round++) {
		bool taken[UNITS] = { false };

		test_memory_init(&memory, BASE + UNITS * UNIT);
		for (int step = 0; step < 20; step++) {
			unsigned int length = 1 + next_random(&random) % 8;
			unsigned int align = 1u << next_random(&random) % 4;
			unsigned int expected = UNITS;
			uint64_t at = 0;
			int error;

			for (unsigned int i = 0; i + length <= UNITS && expected == UNITS; i++) {
				bool fits = (BASE / UNIT + i) % align == 0;

				for (unsigned int j = 0; j < length; j++)
					fits = fits && !taken[i + j];
				if (fits)
					expected = i;
			}
			error = guest_find(&memory.guest, length * UNIT, align * UNIT, BASE,
					   UINT64_MAX, "it", &at);
			CHECK_EQ_AT(error != 0, expected == UNITS, "round %d step %d", round, step);
			if (error)
				break;
			CHECK_EQ_AT(at, BASE + expected * UNIT, "round %d step %d", round, step);
			for (unsigned int j = 0; j < length; j++)
				taken[expected + j] = true;
		}
		test_memory_free(&memory);
	}
}

TEST(memory_map_below_4g)
{
	struct memory_area areas[MOST_MEMORY_AREAS];
	struct test_memory memory;

	test_memory_init(&memory, SIZE);
	REQUIRE(guest_memory_map(&memory.guest, areas) == 5);
	CHECK_EQ(areas[0].start, 0);
	CHECK_EQ(areas[0].length, 0x9fc00);
	CHECK_EQ(areas[0].type, 1);
	CHECK_EQ(areas[1].start, 0x9fc00);
	CHECK_EQ(areas[1].length, 0x400);
	CHECK_EQ(areas[1].type, 2);
	CHECK_EQ(areas[2].start, 0xe0000);
	CHECK_EQ(areas[2].length, 0x20000);
	CHECK_EQ(areas[2].type, 2);
	CHECK_EQ(areas[3].start, 0x100000);
	CHECK_EQ(areas[3].length, SIZE - 0x100000);
	CHECK_EQ(areas[3].type, 1);
	CHECK_EQ(areas[4].start, 0xe0000000);
	CHECK_EQ(areas[4].length, 0x100000);
	CHECK_EQ(areas[4].type, 2);
	test_memory_free(&memory);
}

TEST(memory_map_above_4g)
{
	static struct guest guest;
	struct memory_area areas[MOST_MEMORY_AREAS];
	const struct memory_ops ops = { 0 };

	REQUIRE(guest_init(&guest, &ops, 3 * GIB, 5 * GIB) == 0);
	REQUIRE(guest_memory_map(&guest, areas) == 6);
	CHECK_EQ(areas[3].length, 3 * GIB - 0x100000);
	CHECK_EQ(areas[5].start, 4 * GIB);
	CHECK_EQ(areas[5].length, 5 * GIB);
	CHECK_EQ(areas[5].type, 1);
}

TEST(too_many_ranges_fail)
{
	struct test_memory memory;
	uint64_t at;
	int count = 1;

	test_memory_init(&memory, SIZE);
	while (count < MOST_RANGES && guest_find(&memory.guest, 1, 1, MIB, SIZE, "it", &at) == 0)
		count++;
	CHECK_EQ(count, MOST_RANGES);
	CHECK(guest_find(&memory.guest, 1, 1, MIB, SIZE, "it", &at) < 0);
	CHECK_EQ(memory.guest.range_count, MOST_RANGES);
	test_memory_free(&memory);
}
