// SPDX-License-Identifier: BSD-2-Clause
/* Many processors: as many as the argument says, 32 without one. */
#include "payload/payload.h"
#include "payload/smp.h"

#define COUNT 32

static volatile unsigned int started[SMP_MOST];

/* Each says by its APIC ID that it is there; the boot processor waits for that. */
static void say_so_and_halt(void *unused)
{
	(void)unused;
	__atomic_fetch_add(&started[smp_self()], 1, __ATOMIC_SEQ_CST);
	for (;;)
		asm volatile("cli; hlt");
}

static unsigned int count_asked_for(void)
{
	unsigned int count = 0;

	for (const char *c = arguments; *c >= '0' && *c <= '9'; c++)
		count = count * 10 + (unsigned int)(*c - '0');
	return count ? count : COUNT;
}

TEST(smp32_all_processors_start, CPUS(32))
{
	unsigned int count = count_asked_for();

	CHECK(count <= SMP_MOST);
	apic_enable();
	for (unsigned int cpu = 1; cpu < count; cpu++)
		smp_start(cpu, say_so_and_halt, NULL);
	for (unsigned int cpu = 1; cpu < count; cpu++) {
		uint64_t start = rdtsc();

		while (!started[cpu] && rdtsc() - start < 4000000000ull)
			pause();
		CHECK_EQ(started[cpu], 1);
	}
	CHECK_EQ(started[0], 0);
}
