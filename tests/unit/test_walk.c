// SPDX-License-Identifier: BSD-2-Clause
/*
 * The walk of a guest's page tables: every paging mode, each reason to fault with
 * its error code, accessed and dirty bits, and tables that change underneath.
 */
#include "unit.h"
#include "x86/paging/walk.h"
#include "x86_guest.h"

#define MEMORY 0x10000
#define P      PTE_X86_PRESENT
#define W      PTE_X86_WRITE
#define U      PTE_X86_USER
#define A      PTE_X86_ACCESSED
#define D      PTE_X86_DIRTY
#define PS     PTE_X86_LARGE
#define NX     PTE_X86_NX

static uint8_t memory[MEMORY] __attribute__((aligned(4096)));
static uint64_t not_backed;  /* page that is not there yet; 0: none */
static uint64_t read_only;   /* page that cannot be written; 0: none */
static unsigned int changes; /* how often an entry changes before it is marked */

static void *find_memory(void *arg, uint64_t gpa, bool write, int *error)
{
	CHECK(arg == memory);
	if (not_backed && (gpa & ~0xfffull) == not_backed) {
		*error = -EAGAIN;
		return NULL;
	}
	if (gpa >= MEMORY || (write && read_only && (gpa & ~0xfffull) == read_only)) {
		*error = -EFAULT;
		return NULL;
	}
	if (write && changes) {
		changes--;
		memory[gpa + 1] ^= 0x02; /* a bit for software */
	}
	return memory + gpa;
}

static void put64(uint64_t gpa, uint64_t entry)
{
	memcpy(memory + gpa, &entry, 8);
}

static void put32(uint64_t gpa, uint32_t entry)
{
	memcpy(memory + gpa, &entry, 4);
}

static uint64_t get64(uint64_t gpa)
{
	uint64_t entry;

	memcpy(&entry, memory + gpa, 8);
	return entry;
}

static uint32_t get32(uint64_t gpa)
{
	uint32_t entry;

	memcpy(&entry, memory + gpa, 4);
	return entry;
}

static struct walk_state state;

static void begin(enum vm_paging_mode mode)
{
	memset(memory, 0, sizeof(memory));
	not_backed = read_only = 0;
	changes = 0;
	state = (struct walk_state){
		.paging = { .cr3 = 0x1000, .cpl = 0, .paging_mode = mode },
		.cr0 = REG_CR0_PE | REG_CR0_PG | REG_CR0_WP,
		.cr4 = mode == PAGING_MODE_32 ? REG_CR4_PSE : REG_CR4_PAE,
		.efer = REG_EFER_NXE | (mode >= PAGING_MODE_64 ? REG_EFER_LMA : 0),
		.physical_bits = 40,
		.gigabyte_pages = true,
	};
}

static int walk(uint64_t linear, unsigned int access, uint64_t *gpa, uint32_t *code)
{
	return walk_tables(&state, find_memory, memory, linear, access, gpa, code);
}

#define CHECK_WALK(linear, access, expected)                              \
	do {                                                              \
		uint64_t walk_gpa = ~0ull;                                \
		uint32_t walk_code = 0;                                   \
		CHECK_EQ(walk(linear, access, &walk_gpa, &walk_code), 0); \
		CHECK_EQ(walk_gpa, expected);                             \
	} while (0)

#define CHECK_FAULT(linear, access, expected)                                   \
	do {                                                                    \
		uint64_t walk_gpa;                                              \
		uint32_t walk_code = ~0u;                                       \
		CHECK_EQ(walk(linear, access, &walk_gpa, &walk_code), -EFAULT); \
		CHECK_EQ(walk_code, expected);                                  \
	} while (0)

/* --- modes ------------------------------------------------------------------------ */

TEST(flat)
{
	begin(PAGING_MODE_FLAT);
	CHECK_WALK(0xfee00300, WALK_WRITE, 0xfee00300);
}

TEST(two_levels)
{
	begin(PAGING_MODE_32);
	/* 0x00403xxx: directory entry 1, table entry 3; CR3's low bits do not count. */
	state.paging.cr3 = 0x1018;
	put32(0x1004, 0x2000 | P | W | U);
	put32(0x200c, 0xabcde000 | P | W | U);
	CHECK_WALK(0x00403123, 0, 0xabcde123);
	CHECK_EQ(get32(0x1004), 0x2000 | P | W | U | A);
	CHECK_EQ(get32(0x200c), 0xabcde000 | P | W | U | A);
	CHECK_WALK(0x00403ffc, WALK_WRITE, 0xabcdeffc);
	CHECK_EQ(get32(0x200c), 0xabcde000 | P | W | U | A | D);
	CHECK_FAULT(0x00404000, 0, 0);
	CHECK_FAULT(0x00800000, WALK_WRITE, PFERR_WRITE);
}

TEST(four_megabytes)
{
	begin(PAGING_MODE_32);
	put32(0x1000 + 4 * 0x3fb, 0xfec00000 | P | W | PS);
	CHECK_WALK(0xfeed1234, WALK_WRITE, 0xfeed1234);
	CHECK_EQ(get32(0x1000 + 4 * 0x3fb), 0xfec00000 | P | W | PS | A | D);
	/* PSE-36: bits 20:13 are address bits 39:32. */
	put32(0x1000, 0x00c00000 | 0x5a << 13 | P | PS);
	CHECK_WALK(0x00123456, 0, 0x5a00d23456);
	put32(0x1000, 0x00c00000 | 1 << 21 | P | PS);
	CHECK_FAULT(0x00123456, 0, PFERR_PRESENT | PFERR_RESERVED);
	/* With fewer physical bits their places are reserved. */
	state.physical_bits = 36;
	put32(0x1000, 0x00c00000 | 0x0f << 13 | P | PS);
	CHECK_WALK(0, 0, 0xf00c00000);
	put32(0x1000, 0x00c00000 | 0x10 << 13 | P | PS);
	CHECK_FAULT(0, 0, PFERR_PRESENT | PFERR_RESERVED);
	/* Without CR4.PSE the bit means nothing. */
	state.cr4 = 0;
	put32(0x1000, 0x2000 | P | PS);
	put32(0x2000, 0x7000 | P);
	CHECK_WALK(0, 0, 0x7000);
}

/* No execute-disable and no protection keys with entries of four bytes. */
TEST(two_levels_execute)
{
	begin(PAGING_MODE_32);
	put32(0x1000, 0x2000 | P | U);
	put32(0x2000, 0x5000 | P | U);
	state.cr4 |= REG_CR4_PKE;
	state.pkru = 0xffffffff;
	CHECK_WALK(0, WALK_EXECUTE, 0x5000);
	/* The fetch bit of the code: only when NX or SMEP is in use. */
	CHECK_FAULT(0x1000, WALK_EXECUTE, 0);
	state.cr4 |= REG_CR4_SMEP;
	CHECK_FAULT(0x1000, WALK_EXECUTE, PFERR_FETCH);
	CHECK_FAULT(0, WALK_EXECUTE, PFERR_PRESENT | PFERR_FETCH);
}

TEST(pae)
{
	begin(PAGING_MODE_PAE);
	state.paging.cr3 = 0x1020;
	put64(0x1020 + 8 * 3, 0x2000 | P);
	put64(0x2000 + 8 * 0x1f7, 0x3000 | P | W | U);
	put64(0x3000 + 8 * 0x0d1, 0x12345000 | P | W | U);
	CHECK_WALK(0xfeed1789, WALK_WRITE, 0x12345789);
	/* The pointers have no accessed bit. */
	CHECK_EQ(get64(0x1020 + 8 * 3), 0x2000 | P);
	CHECK_EQ(get64(0x2000 + 8 * 0x1f7), 0x3000 | P | W | U | A);
	CHECK_EQ(get64(0x3000 + 8 * 0x0d1), 0x12345000 | P | W | U | A | D);
	/* Only 32 bits of the linear address count. */
	CHECK_WALK(0xffffffff00000000 | 0xfeed1789, 0, 0x12345789);
	/* 2 MiB */
	put64(0x2000, 0x7e00000 | P | W | PS);
	CHECK_WALK(0xc0012345, 0, 0x7e12345);
	CHECK_FAULT(0, 0, 0);
	put64(0x1020, 0x2000 | P | W);
	CHECK_FAULT(0, 0, PFERR_PRESENT | PFERR_RESERVED);
	put64(0x1020, 0x2000 | P);
	put64(0x2000, 0x7e00000 | P | PS | 1ull << 52);
	CHECK_FAULT(0, 0, PFERR_PRESENT | PFERR_RESERVED);
}

/* In a pointer the bit is reserved, but some processors set it. */
TEST(pae_pointer_marked_as_accessed)
{
	begin(PAGING_MODE_PAE);
	put64(0x1000, 0x2000 | P | A);
	put64(0x2000, 0x7e00000 | P | W | PS);
	CHECK_WALK(0x12345, 0, 0x7e12345);
	state.has_pdpte = true;
	state.pdpte[0] = 0x2000 | P | A;
	CHECK_FAULT(0x12345, 0, PFERR_PRESENT | PFERR_RESERVED);
}

/* Where the processor holds the pointers, memory may say what it likes. */
TEST(pae_registers)
{
	begin(PAGING_MODE_PAE);
	state.has_pdpte = true;
	state.pdpte[1] = 0x4000 | P;
	put64(0x4000, 0x600000 | P | PS);
	CHECK_WALK(0x40000010, 0, 0x600010);
	CHECK_FAULT(0x80000000, 0, 0);
}

#define LINEAR_64    0xffff812345678abcull
#define INDEX(level) (LINEAR_64 >> (12 + 9 * (level)) & 0x1ff)

/* Entries for LINEAR_64 in tables at 0x1000 (the root), 0x2000, ... */
static uint64_t place(unsigned int levels, unsigned int level)
{
	return 0x1000ull * (levels - level) + 8 * INDEX(level);
}

static void build_64(unsigned int levels)
{
	begin(levels == 5 ? PAGING_MODE_64_LA57 : PAGING_MODE_64);
	for (unsigned int level = levels - 1; level > 0; level--)
		put64(place(levels, level), (0x1000ull * (levels - level + 1)) | P | W | U);
	put64(place(levels, 0), 0xfee00000 | P | W | U);
}

TEST(long_mode)
{
	for (unsigned int levels = 4; levels <= 5; levels++) {
		build_64(levels);
		CHECK_WALK(LINEAR_64, WALK_WRITE, 0xfee00abc);
		for (unsigned int level = 1; level < levels; level++)
			CHECK_EQ(get64(place(levels, level)) & (A | D), A);
		CHECK_EQ(get64(place(levels, 0)) & (A | D), A | D);
		put64(place(levels, 1), 0xf8600000 | P | PS);
		CHECK_WALK(LINEAR_64, 0, 0xf8600000 | (LINEAR_64 & 0x1fffff));
		put64(place(levels, 2), 0x240000000 | P | PS);
		CHECK_WALK(LINEAR_64, 0, 0x240000000 | (LINEAR_64 & 0x3fffffff));
		state.gigabyte_pages = false;
		CHECK_FAULT(LINEAR_64, 0, PFERR_PRESENT | PFERR_RESERVED);
	}
}

TEST(not_present_at_each_level)
{
	for (unsigned int level = 0; level < 5; level++) {
		build_64(5);
		put64(place(5, level), get64(place(5, level)) & ~P);
		CHECK_FAULT(LINEAR_64, WALK_EXECUTE, PFERR_FETCH);
		/* Nothing is marked on the way to a fault. */
		for (unsigned int other = 0; other < 5; other++)
			CHECK_EQ(get64(place(5, other)) & (A | D), 0);
	}
}

TEST(reserved_at_each_level)
{
	for (unsigned int level = 0; level < 5; level++) {
		uint64_t entry;

		build_64(5);
		entry = get64(place(5, level));
		put64(place(5, level), entry | 1ull << 40);
		CHECK_FAULT(LINEAR_64, WALK_WRITE, PFERR_PRESENT | PFERR_RESERVED | PFERR_WRITE);
		put64(place(5, level), entry | 1ull << 51);
		CHECK_FAULT(LINEAR_64, 0, PFERR_PRESENT | PFERR_RESERVED);
		/* Bits for software, and NX where it exists. */
		put64(place(5, level), entry | 0x7ffull << 52 | 7 << 9);
		CHECK_WALK(LINEAR_64, 0, 0xfee00abc);
		put64(place(5, level), entry | NX);
		CHECK_WALK(LINEAR_64, 0, 0xfee00abc);
		state.efer &= ~REG_EFER_NXE;
		CHECK_FAULT(LINEAR_64, 0, PFERR_PRESENT | PFERR_RESERVED);
		/* A page table entry's bit 7 is PAT; in the top two it must be zero. */
		state.efer |= REG_EFER_NXE;
		put64(place(5, level), entry | PS);
		if (level == 0)
			CHECK_WALK(LINEAR_64, 0, 0xfee00abc);
		else
			CHECK_FAULT(LINEAR_64, 0, PFERR_PRESENT | PFERR_RESERVED);
	}
}

/* --- permissions: all combinations, against the manual's rules in other words --- */

struct rights {
	bool user, writable, nx; /* of the translation as a whole */
};

static bool user_may(const struct rights *rights, unsigned int access)
{
	return rights->user && (!(access & WALK_WRITE) || rights->writable) &&
	       (!(access & WALK_EXECUTE) || !rights->nx);
}

static bool supervisor_may(const struct rights *rights, unsigned int access)
{
	if (access & WALK_EXECUTE)
		return !rights->nx && !(rights->user && (state.cr4 & REG_CR4_SMEP));
	if (rights->user && (state.cr4 & REG_CR4_SMAP) &&
	    ((access & WALK_SYSTEM) || !(state.rflags & REG_RFLAGS_AC)))
		return false;
	return !(access & WALK_WRITE) || rights->writable || !(state.cr0 & REG_CR0_WP);
}

static void check_rights(const struct rights *rights, unsigned int access)
{
	bool user = state.paging.cpl == 3 && !(access & WALK_SYSTEM);
	bool may = user ? user_may(rights, access) : supervisor_may(rights, access);
	uint32_t expected = PFERR_PRESENT;
	uint32_t code;
	uint64_t gpa;
	int result = walk(LINEAR_64, access, &gpa, &code);

	if (access & WALK_WRITE)
		expected |= PFERR_WRITE;
	if (access & WALK_EXECUTE)
		expected |= PFERR_FETCH;
	if (user)
		expected |= PFERR_USER;
	CHECK_EQ_AT(result, may ? 0 : -EFAULT,
		    "user %d writable %d nx %d cpl %d access %#x cr0 %#llx cr4 %#llx ac %d",
		    rights->user, rights->writable, rights->nx, state.paging.cpl, access,
		    (unsigned long long)state.cr0, (unsigned long long)state.cr4,
		    state.rflags != 0);
	if (!may && result == -EFAULT)
		CHECK_EQ(code, expected);
}

static void check_all_accesses(const struct rights *rights)
{
	static const unsigned int accesses[] = {
		0, WALK_WRITE, WALK_EXECUTE, WALK_SYSTEM, WALK_SYSTEM | WALK_WRITE,
	};

	for (unsigned int i = 0; i < 32; i++) {
		state.paging.cpl = i & 1 ? 3 : 0;
		state.cr0 = REG_CR0_PE | REG_CR0_PG | (i & 2 ? REG_CR0_WP : 0);
		state.cr4 = REG_CR4_PAE | (i & 4 ? REG_CR4_SMEP : 0) | (i & 8 ? REG_CR4_SMAP : 0);
		state.rflags = i & 16 ? REG_RFLAGS_AC : 0;
		for (size_t j = 0; j < ARRAY_SIZE(accesses); j++)
			check_rights(rights, accesses[j]);
	}
}

/* Each right is taken away (or NX given) at each level in turn; or at none. */
TEST(permissions)
{
	for (unsigned int i = 0; i < 8 * 4; i++) {
		unsigned int level = i & 3;
		struct rights rights = { !(i & 4), !(i & 8), i & 16 };
		uint64_t entry;

		build_64(4);
		entry = get64(place(4, level));
		put64(place(4, level),
		      (entry & ~((rights.user ? 0 : U) | (rights.writable ? 0 : W))) |
			      (rights.nx ? NX : 0));
		check_all_accesses(&rights);
	}
}

TEST(protection_keys)
{
	build_64(4);
	put64(place(4, 0), 0xfee00000 | P | W | U | 5ull << 59);
	state.cr4 |= REG_CR4_PKE;
	state.paging.cpl = 3;
	state.pkru = 1u << 11; /* key 5: no writes */
	CHECK_WALK(LINEAR_64, 0, 0xfee00abc);
	CHECK_FAULT(LINEAR_64, WALK_WRITE, PFERR_PRESENT | PFERR_WRITE | PFERR_USER | PFERR_KEY);
	state.pkru = 1u << 10; /* no access, but fetches */
	CHECK_FAULT(LINEAR_64, 0, PFERR_PRESENT | PFERR_USER | PFERR_KEY);
	CHECK_WALK(LINEAR_64, WALK_EXECUTE, 0xfee00abc);
	/* Supervisor writes obey the key as far as CR0.WP says. */
	state.paging.cpl = 0;
	state.pkru = 1u << 11;
	CHECK_FAULT(LINEAR_64, WALK_WRITE, PFERR_PRESENT | PFERR_WRITE | PFERR_KEY);
	state.cr0 &= ~REG_CR0_WP;
	CHECK_WALK(LINEAR_64, WALK_WRITE, 0xfee00abc);
	/* Supervisor pages have no key. */
	put64(place(4, 0), 0xfee00000 | P | W | 5ull << 59);
	state.pkru = ~0u;
	CHECK_WALK(LINEAR_64, WALK_WRITE, 0xfee00abc);
	put64(place(4, 0), 0xfee00000 | P | W | U | 5ull << 59);
	state.cr4 &= ~REG_CR4_PKE;
	CHECK_WALK(LINEAR_64, WALK_WRITE, 0xfee00abc);
}

/* --- memory under the tables ---------------------------------------------- */

TEST(probe_leaves_no_trace)
{
	build_64(4);
	CHECK_WALK(LINEAR_64, WALK_WRITE | WALK_PROBE, 0xfee00abc);
	for (unsigned int level = 0; level < 4; level++)
		CHECK_EQ(get64(place(4, level)) & (A | D), 0);
}

TEST(tables_not_backed)
{
	for (unsigned int level = 0; level < 4; level++) {
		uint64_t gpa = 0;
		uint32_t code;

		build_64(4);
		not_backed = place(4, level) & ~0xfffull;
		CHECK_EQ(walk(LINEAR_64, 0, &gpa, &code), -EAGAIN);
		CHECK_EQ(gpa, place(4, level));
	}
}

TEST(tables_nowhere)
{
	build_64(4);
	put64(place(4, 1), 0x80000000 | P | W | U);
	CHECK_FAULT(LINEAR_64, 0, 0);
	state.paging.cr3 = 0x80000000;
	CHECK_FAULT(LINEAR_64, 0, 0);
}

/* Tables in ROM are walked; their bits stay as they are. */
TEST(tables_read_only)
{
	build_64(4);
	read_only = 0x4000;
	CHECK_WALK(LINEAR_64, WALK_WRITE, 0xfee00abc);
	CHECK_EQ(get64(place(4, 0)) & (A | D), 0);
	CHECK_EQ(get64(place(4, 1)) & (A | D), A);
}

TEST(entries_change_meanwhile)
{
	uint64_t gpa;
	uint32_t code;

	build_64(4);
	changes = 2;
	CHECK_WALK(LINEAR_64, WALK_WRITE, 0xfee00abc);
	CHECK_EQ(get64(place(4, 0)) & (A | D), A | D);
	build_64(4);
	changes = 1000;
	CHECK_EQ(walk(LINEAR_64, WALK_WRITE, &gpa, &code), -EBUSY);
	CHECK(changes > 900); /* it gave up soon */
}

/* --- in a VM -------------------------------------------------------------- */

/* Nothing has touched the table yet: it reads as zeros once it has its backing. */
TEST(tables_are_given_backing)
{
	struct vm *vm = guest_create();
	struct vcpu *vcpu = fake_vm_vcpu(vm, 0);
	uint64_t gpa = 0;
	uint32_t code = 0;

	walk_state_of(vcpu, &state);
	state.paging = (struct vm_guest_paging){
		.cr3 = GUEST_MEMORY - 0x1000,
		.cpu_mode = CPU_MODE_PROTECTED,
		.paging_mode = PAGING_MODE_32,
	};
	CHECK_EQ(walk_vcpu(vcpu, &state, 0x1000, 0, &gpa, &code), -EAGAIN);
	CHECK_EQ(walk_populate(vcpu, &state, 0x1000, 0, &gpa, &code), -EFAULT);
	CHECK_EQ(code, 0);
	/* A table where nothing is: a fault, too. */
	state.paging.cr3 = 0x80000000;
	CHECK_EQ(walk_populate(vcpu, &state, 0x1000, 0, &gpa, &code), -EFAULT);
	guest_destroy(vm);
}
