/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What CPUID answers in a guest: a table made once per VM from the host's CPUID,
 * the features of features.h and the VM's topology. A query is a lookup; the few
 * bits that depend on the vCPU's state are filled in on the way.
 */
#ifndef X86_CPU_CPUID_H
#define X86_CPU_CPUID_H

#include "vm/vcpu.h"
#include "x86/cpu/features.h"

enum cpu_vendor { CPU_VENDOR_OTHER, CPU_VENDOR_INTEL, CPU_VENDOR_AMD };

#define CPUID_ENTRIES	       96 /* (leaf, subleaf) pairs in a table */
#define CPUID_BASIC_LEAVES     0x20
#define CPUID_EXTENDED_LEAVES  0x22
#define CPUID_XSAVE_COMPONENTS 10 /* state components 0..9 */

/* What has to be filled in at the time of the query. */
#define CPUID_DYNAMIC_1	       0x01u /* leaf 1: APIC ID, APIC enabled, OSXSAVE */
#define CPUID_DYNAMIC_7	       0x02u /* leaf 7: OSPKE */
#define CPUID_DYNAMIC_TOPOLOGY 0x04u /* leaves 0xb and 0x1f: EDX is the x2APIC ID */
#define CPUID_DYNAMIC_XSAVE    0x08u /* leaf 0xd: sizes depend on XCR0 */
#define CPUID_DYNAMIC_EXT1     0x10u /* leaf 0x80000001 on AMD: APIC enabled */
#define CPUID_DYNAMIC_EXT1E    0x20u /* leaf 0x8000001e: APIC ID, core, node */
#define CPUID_SUBLEAF	       0x80u /* the entry answers for one subleaf only */

struct cpuid_entry {
	uint32_t leaf;
	uint32_t subleaf;
	uint32_t flags;
	uint32_t regs[4]; /* enum cpuid_register */
};

struct cpuid_table {
	struct cpuid_entry entry[CPUID_ENTRIES]; /* entries of one leaf are neighbours */
	unsigned int count;
	uint8_t basic[CPUID_BASIC_LEAVES]; /* 1 + index of a leaf's first entry, 0 none */
	uint8_t extended[CPUID_EXTENDED_LEAVES];
	uint8_t hypervisor; /* of leaf 0x40000000 */
	uint32_t max_basic;
	enum cpu_vendor vendor;
	unsigned int phys_bits;	     /* width of a guest-physical address */
	unsigned int linear_bits;    /* 48, or 57 */
	unsigned int threads;	     /* of a core */
	unsigned int socket_threads; /* of a socket */
	unsigned int thread_shift;   /* APIC ID bits that number the threads of a core */
	unsigned int socket_shift;   /* ... and the logical processors of a socket */
	uint32_t xsave_size[CPUID_XSAVE_COMPONENTS]; /* bytes */
	uint32_t xsave_offset[CPUID_XSAVE_COMPONENTS];
	uint32_t xsave_aligned; /* bit set: starts at a multiple of 64 in the compacted format */
	struct feature_set features;
};

/*
 * Build vm->cpuid from the host and vm->topology: 0 or -ENOMEM. Once, before the
 * VM has vCPUs. sleep
 */
int cpuid_create(struct vm *vm);
void cpuid_destroy(struct vm *vm);
/* vm->topology has changed. vm->lock and all vCPUs frozen. */
void cpuid_update(struct vm *vm);

/*
 * Fill a table that is all zeros (cpuid_build.c): the host's processor with 'features'
 * already computed. levels: of the nested page table, which bounds guest-physical
 * addresses. any
 */
void cpuid_build(struct cpuid_table *table, const struct vm_cpu_topology *topology,
		 unsigned int levels);

/*
 * The registers of a leaf that answers the same always, whatever the subleaf: NULL, it does not
 * or is not in the table, and cpuid_query() has the answer. any
 */
static inline const uint32_t *cpuid_constant(const struct cpuid_table *table, uint32_t leaf)
{
	const struct cpuid_entry *entry;
	unsigned int first;

	if (leaf >= CPUID_BASIC_LEAVES)
		return NULL;
	first = table->basic[os_index_nospec(leaf, CPUID_BASIC_LEAVES)];
	if (!first)
		return NULL;
	entry = &table->entry[first - 1];
	return entry->flags ? NULL : entry->regs;
}

/* Execute CPUID: regs is EAX, EBX, ECX, EDX. Owner; any context. */
void cpuid_query(struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);

/* Is the guest shown a feature (enum cpu_feature)? any */
static inline bool cpuid_has(const struct vm *vm, unsigned int feature)
{
	return feature_shown(&vm->cpuid->features, feature);
}

/* Bytes of a standard-format XSAVE area that holds the components of 'xcr0'. any */
uint32_t cpuid_xsave_size(const struct cpuid_table *table, uint64_t xcr0);

/* Bits of a guest-physical address that a guest may not set. any */
static inline uint64_t cpuid_phys_reserved(const struct vm *vm)
{
	return ~0ull << vm->cpuid->phys_bits;
}

/* Is a linear address canonical in this VM? any */
static inline bool cpuid_canonical(const struct vm *vm, uint64_t address)
{
	unsigned int shift = 64 - vm->cpuid->linear_bits;

	return (uint64_t)((int64_t)(address << shift) >> shift) == address;
}

#endif
