// SPDX-License-Identifier: BSD-2-Clause
/* Paging: permissions, error codes, accessed and dirty bits, sizes of pages. */
#include "payload/payload.h"

#define PRESENT	 1ull
#define WRITE	 2ull
#define USER	 4ull
#define ACCESSED 0x20ull
#define DIRTY	 0x40ull
#define LARGE	 0x80ull
#define NX	 (1ull << 63)

extern uint64_t boot_pml4[], boot_pointers[], boot_directories[];

/* The second gigabyte's first page directory entry becomes a table of 4 KiB pages. */
static uint64_t table[512] __attribute__((aligned(4096)));
static uint8_t page[4096] __attribute__((aligned(4096)));
#define WINDOW 0x40000000ul

static volatile uint8_t *const window = (volatile uint8_t *)WINDOW;

static void map_test_page(uint64_t entry)
{
	boot_directories[512] = (uint64_t)table | PRESENT | WRITE | USER;
	table[0] = entry;
	write_cr3(read_cr3());
}

static void read_window(void *unused)
{
	(void)unused;
	(void)*window;
}

static void write_window(void *unused)
{
	(void)unused;
	*window = 1;
}

static void call_window(void *unused)
{
	(void)unused;
	((void (*)(void))WINDOW)();
}

TEST(read_of_unmapped_page)
{
	struct trap trap;

	map_test_page(0);
	trap = attempt(read_window, NULL);
	CHECK_EQ(trap.vector, 14);
	CHECK_EQ(trap.error, 0);
	CHECK_EQ(trap.cr2, WINDOW);
}

TEST(write_to_unmapped_page)
{
	struct trap trap;

	map_test_page(0);
	trap = attempt(write_window, NULL);
	CHECK_EQ(trap.vector, 14);
	CHECK_EQ(trap.error, 2);
}

TEST(write_to_read_only_page_with_wp)
{
	struct trap trap;

	map_test_page((uint64_t)page | PRESENT);
	write_cr0(read_cr0() | 1u << 16);
	trap = attempt(write_window, NULL);
	CHECK_EQ(trap.vector, 14);
	CHECK_EQ(trap.error, 3);
}

TEST(write_to_read_only_page_without_wp)
{
	map_test_page((uint64_t)page | PRESENT);
	write_cr0(read_cr0() & ~(1ull << 16));
	CHECK(!attempt(write_window, NULL).taken);
	CHECK_EQ(page[0], 1);
}

TEST(fetch_from_no_execute_page)
{
	struct trap trap;

	page[0] = 0xc3;
	map_test_page((uint64_t)page | PRESENT | NX);
	trap = attempt(call_window, NULL);
	CHECK_EQ(trap.vector, 14);
	CHECK_EQ(trap.error, 0x11);
	map_test_page((uint64_t)page | PRESENT);
	CHECK(!attempt(call_window, NULL).taken);
}

TEST(reserved_bit_in_entry)
{
	struct trap trap;
	unsigned int width = cpuid(0x80000008).a & 0xff;

	if (width >= 51)
		return;
	map_test_page((uint64_t)page | PRESENT | 1ull << 51);
	trap = attempt(read_window, NULL);
	CHECK_EQ(trap.vector, 14);
	/* QEMU 7.2 leaves out the P bit here. */
	CHECK_EQ(trap.error & ~1ull, 8);
}

TEST(read_sets_accessed_only)
{
	map_test_page((uint64_t)page | PRESENT | WRITE);
	read_window(NULL);
	CHECK_EQ(table[0] & (ACCESSED | DIRTY), ACCESSED);
}

TEST(write_sets_accessed_and_dirty)
{
	map_test_page((uint64_t)page | PRESENT | WRITE);
	write_window(NULL);
	CHECK_EQ(table[0] & (ACCESSED | DIRTY), ACCESSED | DIRTY);
}

TEST(upper_levels_are_accessed)
{
	map_test_page((uint64_t)page | PRESENT | WRITE);
	boot_directories[512] &= ~ACCESSED;
	write_cr3(read_cr3());
	read_window(NULL);
	CHECK(boot_directories[512] & ACCESSED);
}

TEST(invlpg_forgets_a_translation)
{
	static uint8_t other[4096] __attribute__((aligned(4096)));

	page[0] = 1;
	other[0] = 2;
	map_test_page((uint64_t)page | PRESENT | WRITE);
	CHECK_EQ(*window, 1);
	table[0] = (uint64_t)other | PRESENT | WRITE;
	invlpg((void *)WINDOW);
	CHECK_EQ(*window, 2);
}

TEST(large_page_maps_2_mib)
{
	boot_directories[512] = 0 | PRESENT | WRITE | LARGE;
	write_cr3(read_cr3());
	CHECK_EQ(memcmp((void *)(WINDOW + 0x100000), (void *)0x100000, 4096), 0);
}

TEST(huge_page_maps_1_gib_where_offered)
{
	if (!(cpuid(0x80000001).d & 1u << 26))
		return;
	boot_pointers[1] = 0 | PRESENT | WRITE | LARGE;
	write_cr3(read_cr3());
	CHECK_EQ(memcmp((void *)(WINDOW + 0x100000), (void *)0x100000, 4096), 0);
}

TEST(smep_stops_fetch_from_user_page)
{
	struct trap trap;

	if (!(cpuid(7).b & 1u << 7))
		return;
	page[0] = 0xc3;
	boot_pml4[0] |= USER;
	boot_pointers[1] |= USER;
	map_test_page((uint64_t)page | PRESENT | USER);
	write_cr4(read_cr4() | 1u << 20);
	trap = attempt(call_window, NULL);
	CHECK_EQ(trap.vector, 14);
	CHECK_EQ(trap.error, 0x11);
}

TEST(smap_stops_access_to_user_page)
{
	struct trap trap;

	if (!(cpuid(7).b & 1u << 20))
		return;
	boot_pml4[0] |= USER;
	boot_pointers[1] |= USER;
	map_test_page((uint64_t)page | PRESENT | WRITE | USER);
	write_cr4(read_cr4() | 1u << 21);
	trap = attempt(read_window, NULL);
	CHECK_EQ(trap.vector, 14);
	CHECK_EQ(trap.error, 1);
	asm volatile("stac");
	CHECK(!attempt(read_window, NULL).taken);
}

static void clear_pae(void *unused)
{
	(void)unused;
	write_cr4(read_cr4() & ~(1ull << 5));
}

TEST(clearing_pae_in_long_mode_raises_gp)
{
	CHECK_EQ(attempt(clear_pae, NULL).vector, 13);
}

static void paging_without_protection(void *unused)
{
	(void)unused;
	write_cr0(read_cr0() & ~1ull);
}

TEST(paging_without_protection_raises_gp)
{
	CHECK_EQ(attempt(paging_without_protection, NULL).vector, 13);
}

static void reserved_cr4(void *unused)
{
	(void)unused;
	write_cr4(read_cr4() | 1u << 31);
}

TEST(reserved_bit_of_cr4_raises_gp)
{
	CHECK_EQ(attempt(reserved_cr4, NULL).vector, 13);
}

static void upper_half_of_cr0(void *unused)
{
	(void)unused;
	write_cr0(read_cr0() | 1ull << 32);
}

TEST(upper_half_of_cr0_raises_gp)
{
	CHECK_EQ(attempt(upper_half_of_cr0, NULL).vector, 13);
}
