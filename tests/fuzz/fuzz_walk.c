// SPDX-License-Identifier: BSD-2-Clause
/*
 * The walk over tables of any content, which link to each other in any way, some
 * of them absent, not backed or read-only. It ends, touches nothing but A and D
 * bits, and answers the same a second time; a write's right includes a read's.
 */
#include <stdlib.h>

#include "x86/paging/walk.h"

#define PAGES  4
#define MEMORY (PAGES * 0x1000u)

#define EXPECT(condition)         \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

/* What the input begins with. */
struct input {
	uint64_t linear;
	uint64_t pkru;
	uint32_t cr3;
	uint16_t controls;
	uint8_t mode;
	uint8_t access;
	uint8_t width;
	uint8_t not_backed; /* bit per page */
	uint8_t read_only;
	uint8_t busy;
	uint64_t linear2; /* spread over the tables where entries go */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t memory[MEMORY] __attribute__((aligned(4096)));
static uint8_t before[MEMORY];
static struct walk_state state;
static uint8_t not_backed, read_only, busy;
static unsigned int calls;

static void *find_memory(void *arg, uint64_t gpa, bool write, int *error)
{
	EXPECT(arg == memory);
	EXPECT(gpa % (state.paging.paging_mode == PAGING_MODE_32 ? 4 : 8) == 0);
	EXPECT(++calls < 1000);
	*error = -EFAULT;
	if (gpa >= MEMORY || (write && (read_only >> (gpa >> 12) & 1)))
		return NULL;
	if (not_backed >> (gpa >> 12) & 1) {
		*error = -EAGAIN;
		return NULL;
	}
	if (write && busy) {
		busy--;
		memory[gpa + 1] ^= 0x0e; /* another processor, in bits for software */
	}
	return memory + gpa;
}

static void set_state(const struct input *input)
{
	static const uint8_t widths[] = { 32, 36, 40, 48, 52 };
	unsigned int bits = input->controls;

	state = (struct walk_state){
		.paging = { .cr3 = input->cr3 % (2 * MEMORY),
			    .cpl = bits & 1 ? 3 : 0,
			    .paging_mode = (enum vm_paging_mode)(input->mode % 5) },
		.cr0 = bits & 2 ? REG_CR0_WP : 0,
		.cr4 = (bits & 4 ? REG_CR4_SMEP : 0) | (bits & 8 ? REG_CR4_SMAP : 0) |
		       (bits & 16 ? REG_CR4_PKE : 0) | (bits & 32 ? REG_CR4_PSE : 0),
		.efer = bits & 64 ? REG_EFER_NXE : 0,
		.rflags = bits & 128 ? REG_RFLAGS_AC : 0,
		.pkru = (uint32_t)input->pkru,
		.physical_bits = widths[input->width % ARRAY_SIZE(widths)],
		.gigabyte_pages = bits & 256,
		.has_pdpte = bits & 512,
		.pdpte = { 0x1001, 0x2001, 0, 0x3001 },
	};
	not_backed = input->not_backed;
	read_only = input->read_only;
	busy = input->busy % 16;
}

/* The entries repeat through all tables, so that a walk finds some wherever it goes. */
static void fill_memory(const uint8_t *data, size_t size)
{
	size_t chunk;

	memset(memory, 0, MEMORY);
	for (size_t i = 0; size >= 8 && i < MEMORY; i += chunk) {
		chunk = min_t(size_t, size & ~7ul, MEMORY - i);
		memcpy(memory + i, data, chunk);
	}
}

static int walk(uint64_t linear, unsigned int access, uint64_t *gpa, uint32_t *code)
{
	calls = 0;
	return walk_tables(&state, find_memory, memory, linear, access, gpa, code);
}

/* A and D, in the first byte of an entry; the busy neighbour's bits in the second. */
static void check_memory(bool probe)
{
	unsigned int entry_size = state.paging.paging_mode == PAGING_MODE_32 ? 4 : 8;

	if (memcmp(memory, before, MEMORY) == 0)
		return;
	for (size_t i = 0; i < MEMORY; i++) {
		uint8_t changed = memory[i] ^ before[i];

		if (!changed)
			continue;
		EXPECT(!probe);
		EXPECT((i % entry_size == 0 && !(changed & ~0x60) && !(before[i] & changed)) ||
		       (i % entry_size == 1 && !(changed & ~0x0e)));
	}
}

static void check_result(const struct input *input, int result, uint64_t gpa)
{
	EXPECT(result == 0 || result == -EFAULT || result == -EAGAIN || result == -EBUSY);
	if (result == 0 && state.paging.paging_mode != PAGING_MODE_FLAT) {
		EXPECT((gpa & 0xfff) == (input->linear & 0xfff));
		EXPECT(gpa < 1ull << 52);
	}
	if (result == -EAGAIN)
		EXPECT(gpa < MEMORY && (not_backed >> (gpa >> 12) & 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input;
	uint64_t gpa, again;
	uint32_t code;
	unsigned int access;
	int result;

	if (size < sizeof(input))
		return 0;
	memcpy(&input, data, sizeof(input));
	set_state(&input);
	fill_memory(data + sizeof(input), size - sizeof(input));
	memcpy(before, memory, MEMORY);
	access = input.access & (WALK_WRITE | WALK_EXECUTE | WALK_SYSTEM | WALK_PROBE);
	if (access & WALK_WRITE)
		access &= ~(unsigned int)WALK_EXECUTE;

	result = walk(input.linear, access, &gpa, &code);
	check_result(&input, result, gpa);
	check_memory(access & WALK_PROBE);
	if (result)
		return 0;
	/*
	 * An entry may serve at two levels here, and be reserved at the other once it is
	 * accessed (a PAE directory pointer): a walk that changed one may not find it again.
	 */
	if (memcmp(memory, before, MEMORY) != 0)
		return 0;
	busy = 0;
	EXPECT(walk(input.linear, access | WALK_PROBE, &again, &code) == 0 && again == gpa);
	access &= ~(unsigned int)(WALK_WRITE | WALK_EXECUTE);
	if (!(input.access & WALK_EXECUTE))
		EXPECT(walk(input.linear, access | WALK_PROBE, &again, &code) == 0 && again == gpa);
	return 0;
}
