/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters of each vCPU, read by VM_STATS. A counter is a name in one table of
 * the whole module; its number is its place there. The back end's exit reasons
 * follow the common ones, so that every exit reason has its own counter.
 */
#ifndef VM_STATS_H
#define VM_STATS_H

#include "os/os.h"

enum vmm_stat {
	STAT_EXITS,	       /* all exits of the guest */
	STAT_EXITS_USERSPACE,  /* of those, returned to userspace */
	STAT_INNER_LOOPS,      /* inner loops begun */
	STAT_MIGRATIONS,       /* to another physical CPU */
	STAT_HALTS,	       /* slept in HLT */
	STAT_KICKS,	       /* interrupted by another thread */
	STAT_INTERRUPTS,       /* interrupts injected */
	STAT_NMIS,	       /* NMIs injected */
	STAT_EXCEPTIONS,       /* exceptions injected */
	STAT_REINJECTIONS,     /* deliveries resumed after an exit */
	STAT_NESTED_FAULTS,    /* nested page faults on RAM */
	STAT_EMULATED,	       /* instructions emulated */
	STAT_EMULATION_FAILED, /* instructions that could not be */
	STAT_MMIO,	       /* accesses to in-kernel memory-mapped devices */
	STAT_PIO,	       /* accesses to in-kernel ports */
	STAT_RESIDENT,	       /* of the VM, for vCPU 0: bytes of memory that have backing */
	STAT_WIRED,	       /* of the VM, for vCPU 0: bytes of memory that are wired */
	STAT_COMMON
};

struct vcpu;

/*
 * Called by the back end's init(): names of its counters, STAT_COMMON + i is the
 * number of names[i]. The array lives as long as the module.
 */
void stats_register_exits(const char *const *names, unsigned int count);
unsigned int stats_count(void);		    /* numbers in use */
const char *stats_name(unsigned int index); /* NULL when out of range */

/* One more. Owner; STAT_KICKS is counted by the senders, atomically. */
#define vcpu_stat_inc(vcpu, index) ((vcpu)->stats[index]++)

#endif
