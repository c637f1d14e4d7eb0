// SPDX-License-Identifier: BSD-2-Clause
/* CPUID and exceptions: the first facts. */
#include "payload/payload.h"

TEST(cpuid_hypervisor_bit_is_set)
{
	CHECK(cpuid(1).c & 1u << 31);
}

TEST(cpuid_names_bhyve)
{
	struct cpuid leaf = cpuid(0x40000000);
	uint32_t name[3] = { leaf.b, leaf.c, leaf.d };

	CHECK(leaf.a >= 0x40000000);
	CHECK_EQ(memcmp(name, "bhyve bhyve ", 12), 0);
}

static void divide_by_zero(void *unused)
{
	(void)unused;
	asm volatile("xorl %%edx, %%edx; xorl %%ecx, %%ecx; divl %%ecx" : : "a"(1) : "ecx", "edx");
}

TEST(divide_by_zero_raises_de)
{
	struct trap trap = attempt(divide_by_zero, NULL);

	CHECK(trap.taken);
	CHECK_EQ(trap.vector, 0);
	CHECK_EQ(trap.error, 0);
}

static void execute_ud2(void *unused)
{
	(void)unused;
	asm volatile("ud2");
}

TEST(ud2_raises_ud)
{
	struct trap trap = attempt(execute_ud2, NULL);

	CHECK_EQ(trap.vector, 6);
	CHECK_EQ(*(uint16_t *)trap.rip, 0x0b0f);
}
