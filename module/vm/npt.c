// SPDX-License-Identifier: BSD-2-Clause
/*
 * The radix tree of the nested page table. An entry goes from 0 to its value once,
 * by compare-and-swap; whoever loses the race keeps the spare page and uses what
 * the winner put there. Nothing is freed or cleared while a vCPU can run.
 */
#include "vm/npt.h"
#include <vmm/vmm_dev.h>

#define TABLE_ENTRIES 512
#define LEVEL_BITS    9

static unsigned int npt_level_shift(unsigned int level)
{
	return OS_PAGE_SHIFT + level * LEVEL_BITS;
}

/* Bytes that one entry of a level maps. */
static uint64_t npt_level_size(unsigned int level)
{
	return 1ull << npt_level_shift(level);
}

static unsigned int npt_level_index(uint64_t gpa, unsigned int level)
{
	return (gpa >> npt_level_shift(level)) & (TABLE_ENTRIES - 1);
}

static uint64_t npt_entry_load(const uint64_t *entry)
{
	return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

static bool npt_entry_present(const struct npt *npt, uint64_t value)
{
	return value & npt->format->present;
}

static bool npt_entry_is_leaf(const struct npt *npt, uint64_t value, unsigned int level)
{
	return level == NPT_LEVEL_4K || (value & npt->format->large);
}

static uint64_t *npt_table_of(uint64_t value)
{
	return os_phys_to_virt(value & NPT_ADDRESS);
}

static bool npt_reaches(const struct npt *npt, uint64_t gpa)
{
	return gpa >> npt_level_shift(npt->levels) == 0;
}

/* --- life ---------------------------------------------------------------------- */

int npt_init(struct npt *npt, const struct npt_format *format, unsigned int levels)
{
	npt->format = format;
	npt->levels = levels;
	npt->root = os_page_alloc();
	return npt->root ? 0 : -ENOMEM;
}

/* Free a table of 'level' and all below it. Goes as deep as there are levels. */
static void npt_free_table(struct npt *npt, uint64_t *table, unsigned int level)
{
	if (level > NPT_LEVEL_4K) {
		for (unsigned int i = 0; i < TABLE_ENTRIES; i++) {
			if (!npt_entry_present(npt, table[i]) ||
			    npt_entry_is_leaf(npt, table[i], level))
				continue;
			npt_free_table(npt, npt_table_of(table[i]), level - 1);
			os_yield(); /* a table of a terabyte has half a million below it */
		}
	}
	os_page_free(table);
}

void npt_fini(struct npt *npt)
{
	if (npt->root)
		npt_free_table(npt, npt->root, npt->levels - 1);
	npt->root = NULL;
}

int npt_cache_fill(struct npt_cache *cache)
{
	while (cache->count < NPT_CACHE_PAGES) {
		void *page = os_page_alloc();

		if (!page)
			return -ENOMEM;
		cache->page[cache->count++] = page;
	}
	return 0;
}

void npt_cache_free(struct npt_cache *cache)
{
	while (cache->count > 0)
		os_page_free(cache->page[--cache->count]);
}

/* --- adding -------------------------------------------------------------------- */

/* Set an empty entry. What it holds afterwards: 'value', or another vCPU's. */
static uint64_t npt_entry_install(uint64_t *entry, uint64_t value)
{
	uint64_t found = 0;

	if (__atomic_compare_exchange_n(entry, &found, value, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return value;
	return found;
}

/* The entry's value, with a table from the cache if it had none. 0: cache empty. */
static uint64_t npt_entry_ensure_table(const struct npt *npt, struct npt_cache *cache,
				       uint64_t *entry)
{
	uint64_t value = npt_entry_load(entry);
	uint64_t table;

	if (npt_entry_present(npt, value))
		return value;
	if (cache->count == 0)
		return 0;
	table = os_virt_to_phys(cache->page[cache->count - 1]) | npt->format->table;
	value = npt_entry_install(entry, table);
	if (value == table)
		cache->count--;
	return value;
}

int npt_map(struct npt *npt, struct npt_cache *cache, uint64_t gpa, uint64_t hpa,
	    unsigned int level, int prot, int memory_type)
{
	uint64_t *table = npt->root;
	uint64_t leaf = hpa | npt->format->leaf(prot, memory_type);
	uint64_t value;

	if (!npt_reaches(npt, gpa) || level > NPT_LEVEL_1G ||
	    ((gpa | hpa) & (npt_level_size(level) - 1)))
		return -EINVAL;
	for (unsigned int at = npt->levels - 1; at > level; at--) {
		value = npt_entry_ensure_table(npt, cache, &table[npt_level_index(gpa, at)]);
		if (!value)
			return -ENOMEM;
		if (npt_entry_is_leaf(npt, value, at))
			return 0;
		table = npt_table_of(value);
	}
	if (level != NPT_LEVEL_4K)
		leaf |= npt->format->large;
	value = npt_entry_install(&table[npt_level_index(gpa, level)], leaf);
	return npt_entry_is_leaf(npt, value, level) ? 0 : -EEXIST;
}

/* The table's entry for gpa at NPT_LEVEL_2M. NULL: a larger page, or nothing, is there. */
static uint64_t *npt_large_entry(const struct npt *npt, uint64_t gpa)
{
	uint64_t *table = npt->root;

	for (unsigned int at = npt->levels - 1; at > NPT_LEVEL_2M; at--) {
		uint64_t value = npt_entry_load(&table[npt_level_index(gpa, at)]);

		if (!npt_entry_present(npt, value) || npt_entry_is_leaf(npt, value, at))
			return NULL;
		table = npt_table_of(value);
	}
	return &table[npt_level_index(gpa, NPT_LEVEL_2M)];
}

int npt_split(struct npt *npt, struct npt_cache *cache, uint64_t gpa, int prot, int memory_type)
{
	uint64_t *entry = npt_reaches(npt, gpa) ? npt_large_entry(npt, gpa) : NULL;
	uint64_t large = entry ? npt_entry_load(entry) : 0;
	uint64_t *table;

	if (!npt_entry_present(npt, large) || !npt_entry_is_leaf(npt, large, NPT_LEVEL_2M))
		return 0;
	if (cache->count == 0)
		return -ENOMEM;
	table = cache->page[cache->count - 1];
	for (unsigned int i = 0; i < TABLE_ENTRIES; i++)
		table[i] = ((large & NPT_ADDRESS) + i * OS_PAGE_SIZE) |
			   npt->format->leaf(prot, memory_type);
	if (__atomic_compare_exchange_n(entry, &large, os_virt_to_phys(table) | npt->format->table,
					false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		cache->count--;
	else
		memset(table, 0, OS_PAGE_SIZE); /* another vCPU was first */
	return 0;
}

/* --- removing ------------------------------------------------------------------ */

static bool npt_table_is_empty(const uint64_t *table)
{
	for (unsigned int i = 0; i < TABLE_ENTRIES; i++) {
		if (table[i])
			return false;
	}
	return true;
}

/*
 * Remove [start, end) from a table whose first entry maps 'base'. Tables that
 * become empty go too; a large page that is touched goes as a whole.
 */
static void npt_unmap_in_table(struct npt *npt, uint64_t *table, unsigned int level, uint64_t base,
			       uint64_t start, uint64_t end)
{
	uint64_t size = npt_level_size(level);
	unsigned int first = start > base ? (unsigned int)((start - base) / size) : 0;

	for (unsigned int i = first; i < TABLE_ENTRIES && base + i * size < end; i++) {
		uint64_t value = table[i];
		uint64_t *below;

		if (npt_entry_present(npt, value) && !npt_entry_is_leaf(npt, value, level)) {
			below = npt_table_of(value);
			npt_unmap_in_table(npt, below, level - 1, base + i * size, start, end);
			os_yield();
			if (!npt_table_is_empty(below))
				continue;
			os_page_free(below);
		}
		__atomic_store_n(&table[i], 0, __ATOMIC_RELEASE);
	}
}

void npt_unmap(struct npt *npt, uint64_t gpa, uint64_t len)
{
	uint64_t limit = npt_level_size(npt->levels);

	if (gpa >= limit || len == 0)
		return;
	if (len > limit - gpa)
		len = limit - gpa;
	npt_unmap_in_table(npt, npt->root, npt->levels - 1, 0, gpa, gpa + len);
}

/* --- looking ------------------------------------------------------------------- */

unsigned int npt_lookup(const struct npt *npt, uint64_t gpa, uint64_t entries[5])
{
	const uint64_t *table = npt->root;
	unsigned int count = 0;

	if (!npt_reaches(npt, gpa))
		return 0;
	for (unsigned int level = npt->levels; level-- > 0;) {
		uint64_t value = npt_entry_load(&table[npt_level_index(gpa, level)]);

		entries[count++] = value;
		if (!npt_entry_present(npt, value) || npt_entry_is_leaf(npt, value, level))
			break;
		table = npt_table_of(value);
	}
	return count;
}
