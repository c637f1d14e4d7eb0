/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * APIC IDs: a vCPU's number among packages, cores and threads, each level in bits of its own
 * (SDM vol. 3, 8.9.1; APM vol. 3, E.4.11), so that numbers are left out where a level does not
 * have a power of two. vCPUs are numbered threads first, then cores, then packages; there
 * may be more packages than 'sockets'. For the module and for userspace, which must agree.
 */
#ifndef VMM_TOPOLOGY_H
#define VMM_TOPOLOGY_H

#include <vmm/types.h>
#include <vmm/vmm_dev.h>

#define VM_TOPOLOGY_NONE 0xffffffffu /* no vCPU */

/* Bits that numbers below 'count', which is not 0, take. */
static inline unsigned int vm_topology_bits(uint16_t count)
{
	return count > 1 ? 32 - (unsigned int)__builtin_clz((unsigned int)count - 1) : 0;
}

/* The APIC ID of a vCPU. */
static inline uint32_t vm_topology_apic_id(const struct vm_cpu_topology *topology, uint32_t vcpuid)
{
	uint32_t thread = vcpuid % topology->threads;
	uint32_t core = vcpuid / topology->threads % topology->cores;
	uint32_t package = vcpuid / topology->threads / topology->cores;

	return (package << vm_topology_bits(topology->cores) | core)
		       << vm_topology_bits(topology->threads) |
	       thread;
}

/* The vCPU that has an APIC ID; VM_TOPOLOGY_NONE if none can. */
static inline uint32_t vm_topology_vcpu(const struct vm_cpu_topology *topology, uint32_t apic_id)
{
	unsigned int thread_bits = vm_topology_bits(topology->threads);
	unsigned int core_bits = vm_topology_bits(topology->cores);
	uint32_t thread = apic_id & ((1u << thread_bits) - 1);
	uint32_t core = apic_id >> thread_bits & ((1u << core_bits) - 1);
	uint64_t package = (uint64_t)apic_id >> thread_bits >> core_bits;
	uint64_t vcpu = (package * topology->cores + core) * topology->threads + thread;

	if (thread >= topology->threads || core >= topology->cores || vcpu > VM_TOPOLOGY_NONE)
		return VM_TOPOLOGY_NONE;
	return (uint32_t)vcpu;
}

#endif
