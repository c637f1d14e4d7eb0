// SPDX-License-Identifier: BSD-2-Clause
/*
 * QEMU's device "ivshmem": 4 MiB of memory behind a 64-bit BAR, which the host sees
 * as well. It has written its pattern and looks for ours.
 */
#include "pci.h"

#define SIZE	     0x400000u
#define HOST_PATTERN 0x12345678u
#define OUR_PATTERN  0x9abcdef0u

#define WINDOW 0xd0000000u

static volatile uint8_t *open_memory(void)
{
	unsigned int slot = find_device(0x1af4, 0x1110);

	CHECK_EQ(config_read(slot, 0x18) & 0xf, 0xc); /* 64 bits, prefetchable */
	CHECK(config_read(slot, 0x1c) >= 1);
	/* Where our page tables reach. */
	config_write(slot, 0x18, WINDOW);
	config_write(slot, 0x1c, 0);
	enable_device(slot);
	CHECK_EQ((uint64_t)bar_of(slot, 2), WINDOW);
	return (volatile uint8_t *)(uint64_t)WINDOW;
}

TEST(ivshmem_is_shared_with_the_host)
{
	volatile uint8_t *memory = open_memory();

	CHECK_EQ(read32(memory), HOST_PATTERN);
	CHECK_EQ(read32(memory + SIZE - 4), HOST_PATTERN);
	write32(memory + 4, OUR_PATTERN);
	write32(memory + SIZE - 8, OUR_PATTERN);
	CHECK_EQ(read32(memory + 4), OUR_PATTERN);
}

/* The host counts the exits of this. */
TEST(ivshmem_without_exits)
{
	volatile uint8_t *memory = open_memory();

	for (unsigned int turn = 0; turn < 4; turn++) {
		for (uint32_t at = 0; at < SIZE; at += 64)
			write32(memory + at, at + turn);
		for (uint32_t at = 0; at < SIZE; at += 64)
			CHECK_EQ(read32(memory + at), at + turn);
	}
}
