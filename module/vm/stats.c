// SPDX-License-Identifier: BSD-2-Clause
/* Names of the counters: FreeBSD's where it counts the same. */
#include "vm/stats.h"

static const char *const common_names[STAT_COMMON] = {
	[STAT_EXITS] = "total number of vm exits",
	[STAT_EXITS_USERSPACE] = "number of vm exits handled in userspace",
	[STAT_INNER_LOOPS] = "inner loops begun",
	[STAT_MIGRATIONS] = "vcpu migration across host cpus",
	[STAT_HALTS] = "sleeps in HLT",
	[STAT_KICKS] = "kicks by another thread",
	[STAT_INTERRUPTS] = "interrupts injected",
	[STAT_NMIS] = "number of NMIs delivered to vcpu",
	[STAT_EXCEPTIONS] = "exceptions injected",
	[STAT_REINJECTIONS] = "deliveries resumed",
	[STAT_NESTED_FAULTS] = "vm exits due to nested page fault",
	[STAT_EMULATED] = "instructions emulated",
	[STAT_EMULATION_FAILED] = "instructions that cannot be emulated",
	[STAT_MMIO] = "accesses to in-kernel memory-mapped devices",
	[STAT_PIO] = "accesses to in-kernel I/O ports",
	[STAT_RESIDENT] = "Resident memory",
	[STAT_WIRED] = "Wired memory",
};

/* Set once, before the first VM. */
static const char *const *exit_names;
static unsigned int exit_count;

void stats_register_exits(const char *const *names, unsigned int count)
{
	exit_names = names;
	exit_count = count;
}

unsigned int stats_count(void)
{
	return STAT_COMMON + exit_count;
}

const char *stats_name(unsigned int index)
{
	if (index < STAT_COMMON)
		return common_names[index];
	return index < stats_count() ? exit_names[index - STAT_COMMON] : NULL;
}
