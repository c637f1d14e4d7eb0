// SPDX-License-Identifier: BSD-2-Clause
/*
 * Random maps and unmaps of the nested page table, beside a model: an array that
 * says for each 4 KiB page of a few regions what is mapped there and how large the
 * page is that it belongs to.
 */
#include <stdlib.h>

#include "os/user/os_user.h"
#include "vm/npt.h"
#include <vmm/vmm_dev.h>

#define PAGE_SIZE    0x1000ull
#define LARGE_PAGES  512u /* small pages in a large one */
#define REGION_LARGE 4u	  /* large pages in a region */
#define REGION_PAGES (REGION_LARGE * LARGE_PAGES)
#define REGIONS	     4u
#define PAGES	     (REGIONS * REGION_PAGES)
#define OPERATIONS   64

static const uint64_t region_base[REGIONS] = {
	0,
	0x3fe00000,
	0xffffff800000,
	0x7ffffc00000,
};

struct page {
	uint64_t hpa; /* 0: not mapped */
	uint8_t level;
};

static struct page model[PAGES];
static struct npt npt;
static struct npt_cache cache;

static uint64_t leaf_bits(int prot, int memory_type)
{
	return 1 | (uint64_t)(prot & VM_PROT_WRITE) | (uint64_t)memory_type << 3;
}

static const struct npt_format format = {
	.present = 1,
	.large = 0x80,
	.table = 7,
	.leaf = leaf_bits,
};

#define EXPECT(condition)         \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static uint64_t address_of(unsigned int page)
{
	return region_base[page / REGION_PAGES] + (page % REGION_PAGES) * PAGE_SIZE;
}

/* What the table says about a page, in the model's terms. */
static struct page look(unsigned int page)
{
	uint64_t gpa = address_of(page);
	struct page result = { 0 };
	uint64_t entries[5];
	unsigned int count = npt_lookup(&npt, gpa, entries);
	uint64_t last;

	EXPECT(count >= 1 && count <= npt.levels);
	last = entries[count - 1];
	if (!(last & 1))
		return result;
	result.level = (uint8_t)(npt.levels - count);
	EXPECT(result.level == 0 || (last & 0x80));
	result.hpa = last & 0xffffffffff000ull;
	result.hpa += gpa & ((PAGE_SIZE << (9 * result.level)) - 1);
	return result;
}

static bool large_page_is_empty(unsigned int first)
{
	for (unsigned int i = 0; i < LARGE_PAGES; i++) {
		if (model[first + i].hpa)
			return false;
	}
	return true;
}

static int do_map(unsigned int page, unsigned int level, uint64_t hpa)
{
	EXPECT(npt_cache_fill(&cache) == 0);
	return npt_map(&npt, &cache, address_of(page), hpa, level, VM_PROT_ALL, NPT_MEMORY_WB);
}

static void map_small(unsigned int page, uint64_t hpa)
{
	EXPECT(do_map(page, NPT_LEVEL_4K, hpa) == 0);
	if (!model[page].hpa)
		model[page] = (struct page){ .hpa = hpa };
}

static void map_large(unsigned int page, uint64_t hpa)
{
	unsigned int first = page - page % LARGE_PAGES;
	bool is_large = model[first].hpa && model[first].level;
	bool empty = large_page_is_empty(first);
	int error = do_map(first, NPT_LEVEL_2M, hpa);

	EXPECT(error == (is_large || empty ? 0 : -EEXIST));
	if (!empty)
		return;
	for (unsigned int i = 0; i < LARGE_PAGES; i++)
		model[first + i] = (struct page){ .hpa = hpa + i * PAGE_SIZE, .level = 1 };
}

static void forget(unsigned int page)
{
	unsigned int first = page - page % LARGE_PAGES;

	if (!model[page].level) {
		model[page].hpa = 0;
		return;
	}
	for (unsigned int i = 0; i < LARGE_PAGES; i++)
		model[first + i] = (struct page){ 0 };
}

static void unmap(unsigned int page, unsigned int count)
{
	unsigned int left = REGION_PAGES - page % REGION_PAGES;

	if (count > left)
		count = left;
	npt_unmap(&npt, address_of(page), count * PAGE_SIZE);
	for (unsigned int i = 0; i < count; i++)
		forget(page + i);
}

static void check_all(void)
{
	for (unsigned int page = 0; page < PAGES; page++) {
		struct page seen = look(page);

		EXPECT(seen.hpa == model[page].hpa);
		EXPECT(!seen.hpa || seen.level == model[page].level);
	}
}

/* Five bytes say what to do: operation, page, and how many or where to. */
static void step(const uint8_t *bytes)
{
	unsigned int page = (unsigned int)(bytes[1] | bytes[2] << 8) % PAGES;
	unsigned int number = (unsigned int)(bytes[3] | bytes[4] << 8) + 1;

	switch (bytes[0] % 3) {
	case 0:
		map_small(page, number * PAGE_SIZE);
		break;
	case 1:
		map_large(page, number * PAGE_SIZE * LARGE_PAGES);
		break;
	default:
		unmap(page, number % (2 * LARGE_PAGES));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t before = os_user_alloc_outstanding();

	if (size < 1)
		return 0;
	memset(model, 0, sizeof(model));
	EXPECT(npt_init(&npt, &format, data[0] & 1 ? 5 : 4) == 0);
	for (unsigned int i = 0; i < OPERATIONS && 1 + (i + 1) * 5 <= size; i++)
		step(data + 1 + (size_t)i * 5);
	check_all();
	npt_unmap(&npt, 0, ~0ull);
	npt_cache_free(&cache);
	/* All that is left is the root. */
	EXPECT(os_user_alloc_outstanding() == before + 1);
	npt_fini(&npt);
	return 0;
}
