// SPDX-License-Identifier: BSD-2-Clause
/* The nested page table. */
#include "unit.h"

#include <errno.h>
#include <pthread.h>

#include "os/user/os_user.h"
#include "vm/npt.h"
#include <vmm/vmm_dev.h>

#define PRESENT 1ull
#define WRITE	2ull
#define LARGE	0x80ull
#define ADDRESS 0x000ffffffffff000ull
#define RW	(VM_PROT_READ | VM_PROT_WRITE)

static uint64_t leaf_bits(int prot, int memory_type)
{
	return PRESENT | (prot & VM_PROT_WRITE ? WRITE : 0) | (uint64_t)memory_type << 3;
}

static const struct npt_format format = {
	.present = PRESENT,
	.large = LARGE,
	.table = PRESENT | WRITE | 4,
	.leaf = leaf_bits,
};

static struct npt npt;
static struct npt_cache cache;

static void begin(unsigned int levels)
{
	REQUIRE(npt_init(&npt, &format, levels) == 0);
	REQUIRE(npt_cache_fill(&cache) == 0);
}

static void end(void)
{
	npt_cache_free(&cache);
	npt_fini(&npt);
	CHECK_EQ(os_user_alloc_outstanding(), 0);
}

static int map(uint64_t gpa, uint64_t hpa, unsigned int level)
{
	REQUIRE(npt_cache_fill(&cache) == 0);
	return npt_map(&npt, &cache, gpa, hpa, level, RW, NPT_MEMORY_WB);
}

/* The entry that ends the walk to gpa; how many there are in *count. */
static uint64_t last_entry(uint64_t gpa, unsigned int *count)
{
	uint64_t entries[5] = { 0 };

	*count = npt_lookup(&npt, gpa, entries);
	REQUIRE(*count >= 1);
	return entries[*count - 1];
}

static uint64_t mapped_to(uint64_t gpa)
{
	unsigned int count;
	uint64_t entry = last_entry(gpa, &count);

	return entry & PRESENT ? entry & ADDRESS : ~0ull;
}

TEST(small_page_takes_all_levels)
{
	for (unsigned int levels = 4; levels <= 5; levels++) {
		unsigned int count;
		uint64_t entry;

		begin(levels);
		CHECK_EQ(map(0x7123456000, 0x9abc000, NPT_LEVEL_4K), 0);
		entry = last_entry(0x7123456789, &count);
		CHECK_EQ(count, levels);
		CHECK_EQ(entry & ADDRESS, 0x9abc000);
		CHECK(entry & WRITE);
		CHECK_EQ(entry >> 3 & 7, NPT_MEMORY_WB);
		CHECK(!(last_entry(0x7123457000, &count) & PRESENT));
		CHECK_EQ(count, levels);
		end();
	}
}

TEST(large_pages_end_the_walk_early)
{
	unsigned int count;
	uint64_t entry;

	begin(4);
	CHECK_EQ(map(0x40200000, 0x80600000, NPT_LEVEL_2M), 0);
	CHECK_EQ(map(0x80000000, 0xc0000000, NPT_LEVEL_1G), 0);
	entry = last_entry(0x403fffff, &count);
	CHECK_EQ(count, 3);
	CHECK(entry & LARGE);
	CHECK_EQ(entry & ADDRESS, 0x80600000);
	entry = last_entry(0xbfffffff, &count);
	CHECK_EQ(count, 2);
	CHECK(entry & LARGE);
	CHECK_EQ(entry & ADDRESS, 0xc0000000);
	end();
}

TEST(mapping_again_changes_nothing)
{
	begin(4);
	CHECK_EQ(map(0x200000, 0x1000000, NPT_LEVEL_2M), 0);
	CHECK_EQ(map(0x200000, 0x2000000, NPT_LEVEL_2M), 0);
	CHECK_EQ(map(0x201000, 0x2001000, NPT_LEVEL_4K), 0);
	CHECK_EQ(mapped_to(0x201000), 0x1000000);
	CHECK_EQ(map(0x400000, 0x3000000, NPT_LEVEL_4K), 0);
	CHECK_EQ(map(0x400000, 0x4000000, NPT_LEVEL_4K), 0);
	CHECK_EQ(mapped_to(0x400000), 0x3000000);
	end();
}

TEST(large_page_over_small_ones_is_refused)
{
	begin(4);
	CHECK_EQ(map(0x201000, 0x1001000, NPT_LEVEL_4K), 0);
	CHECK_EQ(map(0x200000, 0x1000000, NPT_LEVEL_2M), -EEXIST);
	CHECK_EQ(map(0, 0x40000000, NPT_LEVEL_1G), -EEXIST);
	CHECK_EQ(mapped_to(0x201000), 0x1001000);
	end();
}

TEST(bad_addresses_are_refused)
{
	begin(4);
	CHECK_EQ(map(0x1000, 0x200000, NPT_LEVEL_2M), -EINVAL);
	CHECK_EQ(map(0x200000, 0x1000, NPT_LEVEL_2M), -EINVAL);
	CHECK_EQ(map(0x123, 0x1000, NPT_LEVEL_4K), -EINVAL);
	CHECK_EQ(map(1ull << 48, 0x1000, NPT_LEVEL_4K), -EINVAL);
	CHECK_EQ(map((1ull << 48) - 0x1000, 0x1000, NPT_LEVEL_4K), 0);
	CHECK_EQ(npt_lookup(&npt, 1ull << 48, (uint64_t[5]){ 0 }), 0);
	end();
}

TEST(empty_cache_is_reported_and_harmless)
{
	begin(4);
	npt_cache_free(&cache);
	CHECK_EQ(npt_map(&npt, &cache, 0x1000, 0x2000, NPT_LEVEL_4K, RW, NPT_MEMORY_WB), -ENOMEM);
	CHECK_EQ(mapped_to(0x1000), ~0ull);
	CHECK_EQ(map(0x1000, 0x2000, NPT_LEVEL_4K), 0);
	CHECK_EQ(mapped_to(0x1000), 0x2000);
	end();
}

TEST(cache_fill_survives_failure)
{
	os_user_fail_alloc(3);
	CHECK_EQ(npt_cache_fill(&cache), -ENOMEM);
	CHECK_EQ(cache.count, 2);
	CHECK_EQ(npt_cache_fill(&cache), 0);
	CHECK_EQ(cache.count, NPT_CACHE_PAGES);
	npt_cache_free(&cache);
	CHECK_EQ(os_user_alloc_outstanding(), 0);
}

TEST(a_large_page_is_split_into_what_it_mapped)
{
	unsigned int count;
	uint64_t entry;

	begin(4);
	CHECK_EQ(map(0x40200000, 0x80600000, NPT_LEVEL_2M), 0);
	REQUIRE(npt_cache_fill(&cache) == 0);
	CHECK_EQ(npt_split(&npt, &cache, 0x40200000, VM_PROT_READ, NPT_MEMORY_WB), 0);
	CHECK_EQ(cache.count, NPT_CACHE_PAGES - 1);
	for (uint64_t at = 0; at < 0x200000; at += 0x1000) {
		entry = last_entry(0x40200000 + at, &count);
		CHECK_EQ(count, 4);
		CHECK_EQ(entry, (0x80600000 + at) | leaf_bits(VM_PROT_READ, NPT_MEMORY_WB));
	}
	/* Once is enough, and where there is no large page there is nothing to do. */
	CHECK_EQ(npt_split(&npt, &cache, 0x40200000, RW, NPT_MEMORY_WB), 0);
	CHECK_EQ(npt_split(&npt, &cache, 0x40400000, RW, NPT_MEMORY_WB), 0);
	CHECK_EQ(npt_split(&npt, &cache, 0x7fc0000000, RW, NPT_MEMORY_WB), 0);
	CHECK_EQ(npt_split(&npt, &cache, 1ull << 60, RW, NPT_MEMORY_WB), 0);
	CHECK_EQ(cache.count, NPT_CACHE_PAGES - 1);
	CHECK(!(last_entry(0x40200000, &count) & WRITE));
	end();
}

TEST(no_page_to_split_with_is_reported_and_harmless)
{
	struct npt_cache empty = { .count = 0 };
	unsigned int count;

	begin(4);
	CHECK_EQ(map(0x200000, 0x400000, NPT_LEVEL_2M), 0);
	CHECK_EQ(npt_split(&npt, &empty, 0x200000, RW, NPT_MEMORY_WB), -ENOMEM);
	CHECK(last_entry(0x200000, &count) & LARGE);
	end();
}

TEST(unmap_takes_exactly_the_range)
{
	begin(4);
	for (uint64_t page = 0; page < 8; page++)
		CHECK_EQ(map(0x200000 + page * 0x1000, 0x10000000 + page * 0x1000, NPT_LEVEL_4K),
			 0);
	npt_unmap(&npt, 0x202000, 0x3000);
	for (uint64_t page = 0; page < 8; page++) {
		uint64_t expected = page >= 2 && page < 5 ? ~0ull : 0x10000000 + page * 0x1000;

		CHECK_EQ_AT(mapped_to(0x200000 + page * 0x1000), expected, "page %d", (int)page);
	}
	end();
}

TEST(unmap_takes_a_touched_large_page_whole)
{
	begin(4);
	CHECK_EQ(map(0x200000, 0x1000000, NPT_LEVEL_2M), 0);
	CHECK_EQ(map(0x400000, 0x1200000, NPT_LEVEL_2M), 0);
	npt_unmap(&npt, 0x3ff000, 0x1000);
	CHECK_EQ(mapped_to(0x200000), ~0ull);
	CHECK_EQ(mapped_to(0x400000), 0x1200000);
	end();
}

TEST(unmap_frees_tables_that_become_empty)
{
	uint64_t before;

	begin(4);
	CHECK_EQ(map(0x7000000000, 0x1000, NPT_LEVEL_4K), 0);
	REQUIRE(npt_cache_fill(&cache) == 0);
	before = os_user_alloc_outstanding();
	CHECK_EQ(map(0x10000000000, 0x1000, NPT_LEVEL_4K), 0);
	REQUIRE(npt_cache_fill(&cache) == 0);
	CHECK_EQ(os_user_alloc_outstanding(), before + 3);
	npt_unmap(&npt, 0x10000000000, 0x1000);
	CHECK_EQ(os_user_alloc_outstanding(), before);
	/* A large page fits where small ones were. */
	CHECK_EQ(map(0x10000000000, 0x40000000, NPT_LEVEL_1G), 0);
	CHECK_EQ(mapped_to(0x7000000000), 0x1000);
	end();
}

/* With terabytes the tables are so many that others must have their turn meanwhile. */
TEST(tables_are_taken_down_with_pauses)
{
	unsigned int before;

	begin(4);
	for (uint64_t gib = 0; gib < 100; gib++)
		CHECK_EQ(map(gib << 30, 0x200000, NPT_LEVEL_2M), 0);
	before = os_user_yields();
	npt_unmap(&npt, 0, 50ull << 30);
	CHECK(os_user_yields() - before >= 50);
	before = os_user_yields();
	npt_fini(&npt);
	CHECK(os_user_yields() - before >= 50);
	end();
}

TEST(unmap_everything)
{
	begin(5);
	for (uint64_t i = 0; i < 40; i++)
		CHECK_EQ(map(i << 43 | i << 12, 0x1000 + (i << 12), NPT_LEVEL_4K), 0);
	npt_unmap(&npt, 0, ~0ull);
	for (uint64_t i = 0; i < 40; i++)
		CHECK_EQ(mapped_to(i << 43 | i << 12), ~0ull);
	npt_cache_free(&cache);
	CHECK_EQ(os_user_alloc_outstanding(), 1);
	end();
}

/* --- vCPUs that map at the same time ------------------------------------------------ */

#define THREADS 4
#define PAGES	512

static void *map_all(void *arg)
{
	struct npt_cache own = { .count = 0 };
	uint64_t first = (uint64_t)(uintptr_t)arg * 97;

	for (uint64_t i = 0; i < PAGES; i++) {
		uint64_t page = (first + i) % PAGES;

		/* Spread over many tables; every thread maps every page to the same place. */
		if (npt_cache_fill(&own) ||
		    npt_map(&npt, &own, page << 21, page << 12, NPT_LEVEL_4K, RW, NPT_MEMORY_WB))
			return (void *)1;
	}
	npt_cache_free(&own);
	return NULL;
}

TEST(threads_map_without_a_lock)
{
	pthread_t thread[THREADS];

	begin(4);
	for (uintptr_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&thread[i], NULL, map_all, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++) {
		void *failed;

		pthread_join(thread[i], &failed);
		CHECK(failed == NULL);
	}
	for (uint64_t page = 0; page < PAGES; page++)
		CHECK_EQ(mapped_to(page << 21), page << 12);
	end();
}
