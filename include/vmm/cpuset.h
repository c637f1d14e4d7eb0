/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets of vCPUs under FreeBSD's names: the C library's cpu_set_t, and those of
 * FreeBSD's CPU_ macros that it lacks. For userspace only.
 *
 * CPU_ZERO, CPU_SET, CPU_CLR, CPU_ISSET, CPU_COUNT, CPU_AND, CPU_OR, CPU_XOR and
 * CPU_SETSIZE are the C library's own and mean the same on both systems.
 */
#ifndef VMM_CPUSET_H
#define VMM_CPUSET_H

#include <sched.h>
#include <string.h>

/* The GNU C library has the type always, its macros only for programs that ask for all of GNU's. */
#ifndef CPU_SETSIZE
#ifndef __CPU_SETSIZE
#error "vCPU sets need the C library's GNU interfaces: compile with -D_GNU_SOURCE"
#endif
#define CPU_SETSIZE	    __CPU_SETSIZE
#define CPU_ZERO(set)	    __CPU_ZERO_S(sizeof(cpu_set_t), set)
#define CPU_SET(cpu, set)   __CPU_SET_S(cpu, sizeof(cpu_set_t), set)
#define CPU_CLR(cpu, set)   __CPU_CLR_S(cpu, sizeof(cpu_set_t), set)
#define CPU_ISSET(cpu, set) __CPU_ISSET_S(cpu, sizeof(cpu_set_t), set)
#define CPU_COUNT(set)	    __CPU_COUNT_S(sizeof(cpu_set_t), set)
#define CPU_EQUAL(a, b)	    __CPU_EQUAL_S(sizeof(cpu_set_t), a, b)
#define CPU_AND(to, a, b)   __CPU_OP_S(sizeof(cpu_set_t), to, a, b, &)
#define CPU_OR(to, a, b)    __CPU_OP_S(sizeof(cpu_set_t), to, a, b, |)
#define CPU_XOR(to, a, b)   __CPU_OP_S(sizeof(cpu_set_t), to, a, b, ^)
#endif

typedef cpu_set_t cpuset_t;

/* Is the set empty? */
#define CPU_EMPTY(set) (CPU_COUNT(set) == 0)

/* 0 when both sets are equal, as memcmp() has it. */
#define CPU_CMP(a, b) (!CPU_EQUAL(a, b))

/* Copies a set: source first, as FreeBSD has it. */
#define CPU_COPY(from, to) ((void)(*(to) = *(from)))

/* Puts every possible CPU into the set. */
#define CPU_FILL(set) ((void)memset((set), 0xff, sizeof(cpuset_t)))

/* Makes the set hold CPU n and no other. */
#define CPU_SETOF(n, set)            \
	do {                         \
		CPU_ZERO(set);       \
		CPU_SET((n), (set)); \
	} while (0)

/* One more than the lowest CPU of the set, 0 when it is empty. */
#define CPU_FFS(set) vmm_cpuset_ffs(set)

static inline int vmm_cpuset_ffs(const cpuset_t *set)
{
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, set))
			return cpu + 1;
	return 0;
}

/* Runs the statement that follows for each CPU of the set, in order. */
#define CPU_FOREACH_ISSET(cpu, set)                   \
	for ((cpu) = 0; (cpu) < CPU_SETSIZE; (cpu)++) \
		if (CPU_ISSET((cpu), (set)))

#endif
