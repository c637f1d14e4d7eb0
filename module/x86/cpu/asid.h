/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Identifiers that tag cached translations: ASIDs on AMD (APM vol. 2, 15.16), VPIDs
 * on Intel (SDM vol. 3, 28.1).
 *
 * Each physical CPU hands them out in order. When they run out it forgets everything
 * and begins a new generation, in which those of the last one count for nothing. A
 * vCPU that has migrated gets a new one, because what this CPU has cached under an old
 * one may have been changed elsewhere.
 */
#ifndef X86_CPU_ASID_H
#define X86_CPU_ASID_H

#include "os/os.h"

/* A CPU's. That CPU, preemption off. Generation 0 is nobody's. */
struct asid_pool {
	uint64_t generation;
	uint32_t next;	/* first one not handed out yet in this generation */
	uint32_t count; /* they are 1 .. count - 1 */
};

/* A vCPU's. Owner. */
struct asid {
	uint32_t id;
	uint64_t generation; /* of the pool it came from */
};

/* Virtualization begins on this CPU: another hypervisor may have used them all. */
static inline void asid_pool_restart(struct asid_pool *pool, uint32_t count)
{
	pool->generation++;
	pool->count = count;
	pool->next = count; /* the first one handed out begins a generation, with its flush */
}

static inline void asid_forget(struct asid *asid)
{
	asid->generation = 0;
}

static inline bool asid_is_current(const struct asid_pool *pool, const struct asid *asid)
{
	return likely(asid->generation == pool->generation);
}

/* A new one. True: a generation begins with it, and the CPU must forget all translations. */
static inline bool asid_take(struct asid_pool *pool, struct asid *asid)
{
	bool fresh = pool->next >= pool->count;

	if (fresh) {
		pool->generation++;
		pool->next = 1;
	}
	asid->id = pool->next++;
	asid->generation = pool->generation;
	return fresh;
}

#endif
