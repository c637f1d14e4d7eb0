/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of vCPUs: bits in an array of 64-bit words, changed atomically. */
#ifndef VM_BITMAP_H
#define VM_BITMAP_H

#include "os/os.h"

#define BITMAP_WORDS(bits) (((bits) + 63) / 64)

static inline void bitmap_set_bit(uint64_t *map, unsigned int bit)
{
	__atomic_fetch_or(&map[bit / 64], 1ull << (bit % 64), __ATOMIC_SEQ_CST);
}

/* The same; true when it was set already. */
static inline bool bitmap_test_and_set_bit(uint64_t *map, unsigned int bit)
{
	uint64_t mask = 1ull << (bit % 64);

	return __atomic_fetch_or(&map[bit / 64], mask, __ATOMIC_SEQ_CST) & mask;
}

static inline void bitmap_clear_bit(uint64_t *map, unsigned int bit)
{
	__atomic_fetch_and(&map[bit / 64], ~(1ull << (bit % 64)), __ATOMIC_SEQ_CST);
}

static inline bool bitmap_test_bit(const uint64_t *map, unsigned int bit)
{
	return __atomic_load_n(&map[bit / 64], __ATOMIC_SEQ_CST) >> (bit % 64) & 1;
}

#endif
