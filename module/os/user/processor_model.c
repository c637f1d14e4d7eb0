// SPDX-License-Identifier: BSD-2-Clause
/*
 * What CPUID answers on the simulated processors: an AMD one with nested
 * paging, AVX2 and the usual rest, so that tests give the same result on every
 * machine. Any leaf can be overridden.
 */
#include "os/os.h"
#include "os/user/internal.h"
#include "os/user/os_user.h"

#define MAX_OVERRIDES 64
#define ANY_SUBLEAF   0xffffffffu

struct cpuid_row {
	uint32_t leaf;
	uint32_t subleaf;
	uint32_t regs[4]; /* EAX, EBX, ECX, EDX */
};

/* Family 17h; feature bits as APM vol. 3, appendix E numbers them. */
static const struct cpuid_row defaults[] = {
	{ 0x00000000, ANY_SUBLEAF, { 0x0000000d, 0x68747541, 0x444d4163, 0x69746e65 } },
	{ 0x00000001, ANY_SUBLEAF, { 0x00800f12, 0x00020800, 0x7ed8320b, 0x178bfbff } },
	{ 0x00000005, ANY_SUBLEAF, { 0x00000040, 0x00000040, 0x00000003, 0x00000011 } },
	{ 0x00000006, ANY_SUBLEAF, { 0x00000004, 0x00000000, 0x00000001, 0x00000000 } },
	{ 0x00000007, 0, { 0x00000000, 0x209c01ab, 0x00000004, 0x00000000 } },
	{ 0x0000000d, 0, { 0x00000007, 0x00000340, 0x00000340, 0x00000000 } },
	{ 0x0000000d, 1, { 0x00000007, 0x00000340, 0x00000000, 0x00000000 } },
	{ 0x0000000d, 2, { 0x00000100, 0x00000240, 0x00000000, 0x00000000 } },
	{ 0x80000000, ANY_SUBLEAF, { 0x8000001e, 0x68747541, 0x444d4163, 0x69746e65 } },
	{ 0x80000001, ANY_SUBLEAF, { 0x00800f12, 0x40000000, 0x00c003f7, 0x2fd3fbff } },
	{ 0x80000002, ANY_SUBLEAF, { 0x756d6953, 0x6574616c, 0x72702064, 0x7365636f } },
	{ 0x80000003, ANY_SUBLEAF, { 0x00726f73, 0x00000000, 0x00000000, 0x00000000 } },
	{ 0x80000005, ANY_SUBLEAF, { 0xff40ff40, 0xff40ff40, 0x20080140, 0x40040140 } },
	{ 0x80000006, ANY_SUBLEAF, { 0x26006400, 0x66006400, 0x02006140, 0x00808140 } },
	{ 0x80000007, ANY_SUBLEAF, { 0x00000000, 0x00000000, 0x00000000, 0x00000100 } },
	{ 0x80000008, ANY_SUBLEAF, { 0x00003030, 0x00001000, 0x00004001, 0x00000000 } },
	{ 0x8000000a, ANY_SUBLEAF, { 0x00000001, 0x00008000, 0x00000000, 0x0001bcff } },
	{ 0x8000001d, 0, { 0x00004121, 0x01c0003f, 0x0000003f, 0x00000000 } },
	{ 0x8000001d, 1, { 0x00004122, 0x00c0003f, 0x000000ff, 0x00000000 } },
	{ 0x8000001d, 2, { 0x00004143, 0x01c0003f, 0x000003ff, 0x00000002 } },
	{ 0x8000001d, 3, { 0x0001c163, 0x03c0003f, 0x00001fff, 0x00000001 } },
	{ 0x8000001e, ANY_SUBLEAF, { 0x00000000, 0x00000100, 0x00000000, 0x00000000 } },
};

static struct cpuid_row overrides[MAX_OVERRIDES];
static unsigned int override_count;

static const struct cpuid_row *find_row(const struct cpuid_row *rows, unsigned int count,
					uint32_t leaf, uint32_t subleaf)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (rows[i].leaf == leaf &&
		    (rows[i].subleaf == subleaf || rows[i].subleaf == ANY_SUBLEAF))
			return &rows[i];
	}
	return NULL;
}

void os_user_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *regs)
{
	const struct cpuid_row *row = find_row(overrides, override_count, leaf, subleaf);

	if (!row)
		row = find_row(defaults, ARRAY_SIZE(defaults), leaf, subleaf);
	if (!row) {
		memset(regs, 0, 4 * sizeof(regs[0]));
		return;
	}
	memcpy(regs, row->regs, sizeof(row->regs));
	/* The APIC ID is the number of the CPU (APM vol. 3, E.3.2 and E.4.17). */
	if (leaf == 1)
		regs[1] |= os_cpu_id() << 24;
	else if (leaf == 0x8000001e)
		regs[0] |= os_cpu_id();
}

void os_user_set_cpuid(uint32_t leaf, uint32_t subleaf, const uint32_t regs[4])
{
	unsigned int i;

	for (i = 0; i < override_count; i++) {
		if (overrides[i].leaf == leaf && overrides[i].subleaf == subleaf)
			break;
	}
	if (i == MAX_OVERRIDES)
		os_user_die("more than %d CPUID leaves overridden", MAX_OVERRIDES);
	if (i == override_count)
		override_count++;
	overrides[i].leaf = leaf;
	overrides[i].subleaf = subleaf;
	memcpy(overrides[i].regs, regs, sizeof(overrides[i].regs));
}

void os_user_cpuid_reset(void)
{
	override_count = 0;
}
