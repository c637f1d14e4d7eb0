// SPDX-License-Identifier: BSD-2-Clause
/* The MP table, walked as a guest does it. */
#include "fake_vmmapi.h"
#include "mptable.h"
#include "unit.h"

static uint32_t get(uint32_t at, unsigned bytes)
{
	uint32_t value = 0;

	memcpy(&value, fake.memory + at, bytes);
	return value;
}

static uint8_t sum(uint32_t at, uint32_t length)
{
	uint8_t total = 0;

	while (length--)
		total += fake.memory[at++];
	return total;
}

struct mp_counts {
	unsigned type[5];
};

/* Builds it, and walks it as a guest does. */
static struct mp_counts build_mp(unsigned cpus, struct vm_cpu_topology topology)
{
	struct mp_counts counts = { { 0 } };
	uint32_t table, at, end;

	fake_reset();
	REQUIRE(mptable_build(fake_ctx, cpus, &topology) == 0);
	CHECK_MEM(fake.memory + 0xf0000, "_MP_", 4);
	CHECK_EQ(sum(0xf0000, 16), 0);
	table = get(0xf0004, 4);
	CHECK_MEM(fake.memory + table, "PCMP", 4);
	end = table + get(table + 4, 2);
	CHECK(end <= 0xe4000);
	CHECK_EQ(sum(table, end - table), 0);
	for (at = table + 44; at < end; at += fake.memory[at] == 0 ? 20 : 8) {
		REQUIRE(fake.memory[at] < 5);
		counts.type[fake.memory[at]]++;
	}
	CHECK(at == end);
	CHECK_EQ(get(table + 34, 2), counts.type[0] + counts.type[1] + counts.type[2] +
					     counts.type[3] + counts.type[4]);
	return counts;
}

#define MP_TABLE 0xe0000

TEST(mp_table_of_two)
{
	struct mp_counts counts = build_mp(2, (struct vm_cpu_topology){ 2, 1, 1, 0 });

	CHECK_EQ(counts.type[0], 2);
	CHECK_EQ(counts.type[1], 2);
	CHECK_EQ(counts.type[2], 1);
	CHECK_EQ(counts.type[3], 15 + 32 * 4);
	CHECK_EQ(counts.type[4], 2);
	CHECK_EQ(get(MP_TABLE + 36, 4), 0xfee00000);
	/* APIC 0, version 14h, enabled, and the first one boots. */
	CHECK_EQ(get(MP_TABLE + 44, 4), 0x03140000);
	CHECK_EQ(get(MP_TABLE + 64, 4), 0x01140100);
}

TEST(mp_table_interrupts)
{
	uint32_t isa = MP_TABLE + 44 + 20 + 3 * 8;
	uint32_t pci = isa + 15 * 8;

	build_mp(1, (struct vm_cpu_topology){ 1, 1, 1, 0 });
	CHECK_EQ(get(isa - 4, 4), 0xfec00000);
	/* The PIT is at input 2; interrupt 2 is no device's; 9 is active high and level. */
	CHECK_EQ(get(isa + 4, 4), 0x02000001);
	CHECK_EQ(get(isa + 8 + 4, 4), 0x01000101);
	CHECK_EQ(get(isa + 16 + 4, 4), 0x03000301);
	CHECK_EQ(get(isa + 8 * 8, 4), 0x000d0003);
	CHECK_EQ(get(isa + 8 * 8 + 4, 4), 0x09000901);
	/* INTB# of slot 3 is input 20. */
	CHECK_EQ(get(pci + (3 * 4 + 1) * 8 + 4, 4), 0x14000d00);
}

TEST(mp_table_of_many)
{
	CHECK_EQ(build_mp(255, (struct vm_cpu_topology){ 255, 1, 1, 0 }).type[0], 255);
	CHECK_EQ(build_mp(300, (struct vm_cpu_topology){ 300, 1, 1, 0 }).type[0], 255);
	/* 4 IDs for 3 cores. */
	CHECK_EQ(build_mp(300, (struct vm_cpu_topology){ 100, 3, 1, 0 }).type[0], 64 * 3);
}
