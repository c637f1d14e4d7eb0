// SPDX-License-Identifier: BSD-2-Clause
/* CPUID in a guest: a VM's table and the lookup in it. See cpuid_build.c for its making. */
#include "x86/cpu/cpuid.h"
#include "dev/lapic.h"
#include "x86/cpu/context.h"
#include "vm/regs.h"

#define LEAF1_APIC    (1u << 9)	 /* EDX; in 0x80000001 as well */
#define LEAF1_X2APIC  (1u << 21) /* ECX */
#define LEAF1_OSXSAVE (1u << 27) /* ECX */
#define LEAF7_OSPKE   (1u << 4)	 /* ECX */

/* Legacy area and header, which every XSAVE area begins with (SDM vol. 1, 13.4). */
#define XSAVE_MINIMUM 576

static void rebuild_cpuid(struct vm *vm)
{
	struct cpuid_table *table = vm->cpuid;
	bool multiprocessor = vm->topology.cores > 1 || vm->topology.threads > 1;

	memset(table, 0, sizeof(*table));
	feature_set_compute(&table->features, multiprocessor);
	cpuid_build(table, &vm->topology, vm->npt.levels);
}

int cpuid_create(struct vm *vm)
{
	vm->cpuid = os_alloc(sizeof(*vm->cpuid));
	if (!vm->cpuid)
		return -ENOMEM;
	rebuild_cpuid(vm);
	return 0;
}

void cpuid_destroy(struct vm *vm)
{
	os_free(vm->cpuid);
	vm->cpuid = NULL;
}

void cpuid_update(struct vm *vm)
{
	rebuild_cpuid(vm);
}

uint32_t cpuid_xsave_size(const struct cpuid_table *table, uint64_t xcr0)
{
	uint32_t size = XSAVE_MINIMUM;

	for (unsigned int i = 2; i < CPUID_XSAVE_COMPONENTS; i++) {
		uint32_t end = table->xsave_offset[i] + table->xsave_size[i];

		if ((xcr0 & BIT_ULL(i)) && end > size)
			size = end;
	}
	return size;
}

/* The same in the format that XSAVEC writes (SDM vol. 1, 13.4.3). */
static uint32_t compacted_size(const struct cpuid_table *table, uint64_t xcr0)
{
	uint32_t size = XSAVE_MINIMUM;

	for (unsigned int i = 2; i < CPUID_XSAVE_COMPONENTS; i++) {
		if (!(xcr0 & BIT_ULL(i)))
			continue;
		if (table->xsave_aligned >> i & 1)
			size = (size + 63) & ~63u;
		size += table->xsave_size[i];
	}
	return size;
}

/* --- what depends on the vCPU's state ------------------------------------- */

static bool apic_enabled(struct vcpu *vcpu)
{
	return lapic_get_base(vcpu) & LAPIC_BASE_ENABLE;
}

static void fill_leaf1(struct vcpu *vcpu, uint32_t regs[4])
{
	regs[CPUID_REG_EBX] |= lapic_id(vcpu) << 24;
	if (vcpu_reg(vcpu, VM_REG_GUEST_CR4) & REG_CR4_OSXSAVE)
		regs[CPUID_REG_ECX] |= LEAF1_OSXSAVE;
	if (lapic_get_x2apic_state(vcpu) != X2APIC_ENABLED)
		regs[CPUID_REG_ECX] &= ~LEAF1_X2APIC;
	if (!apic_enabled(vcpu))
		regs[CPUID_REG_EDX] &= ~LEAF1_APIC;
}

static void fill_xsave(struct vcpu *vcpu, uint32_t subleaf, uint32_t regs[4])
{
	const struct cpuid_table *table = vcpu->vm->cpuid;
	uint64_t xcr0 = context_xcr0(vcpu);

	if (subleaf == 0)
		regs[CPUID_REG_EBX] = cpuid_xsave_size(table, xcr0);
	else if (feature_shown(&table->features, CPU_XSAVEC))
		regs[CPUID_REG_EBX] = compacted_size(table, xcr0);
}

/* Core and node within the socket, and socket (APM vol. 3, E.4.18). */
static void fill_ext1e(struct vcpu *vcpu, uint32_t regs[4])
{
	const struct cpuid_table *table = vcpu->vm->cpuid;
	uint32_t id = lapic_id(vcpu);
	uint32_t in_socket = id & ((1u << table->socket_shift) - 1);

	regs[CPUID_REG_EAX] = id;
	regs[CPUID_REG_EBX] |= in_socket >> table->thread_shift & 0xff;
	regs[CPUID_REG_ECX] |= id >> table->socket_shift & 0xff;
}

static void fill_dynamic(struct vcpu *vcpu, uint32_t flags, uint32_t subleaf, uint32_t regs[4])
{
	if (flags & CPUID_DYNAMIC_1)
		fill_leaf1(vcpu, regs);
	if ((flags & CPUID_DYNAMIC_7) && (vcpu_reg(vcpu, VM_REG_GUEST_CR4) & REG_CR4_PKE))
		regs[CPUID_REG_ECX] |= LEAF7_OSPKE;
	if (flags & CPUID_DYNAMIC_TOPOLOGY) {
		/* Beyond the last level: its own number, type 0, and the ID. */
		regs[CPUID_REG_ECX] |= subleaf & 0xff;
		regs[CPUID_REG_EDX] = lapic_id(vcpu);
	}
	if (flags & CPUID_DYNAMIC_XSAVE)
		fill_xsave(vcpu, subleaf, regs);
	if ((flags & CPUID_DYNAMIC_EXT1) && !apic_enabled(vcpu))
		regs[CPUID_REG_EDX] &= ~LEAF1_APIC;
	if (flags & CPUID_DYNAMIC_EXT1E)
		fill_ext1e(vcpu, regs);
}

/* --- lookup --------------------------------------------------------------- */

/* 1 + index of a leaf's first entry, or 0. */
static unsigned int first_entry(const struct cpuid_table *table, uint32_t leaf)
{
	if (leaf < CPUID_BASIC_LEAVES)
		return table->basic[leaf];
	if (leaf - 0x80000000u < CPUID_EXTENDED_LEAVES)
		return table->extended[leaf - 0x80000000u];
	return leaf == 0x40000000 ? table->hypervisor : 0;
}

/* Intel answers a leaf that is too high as it does the highest basic one; AMD with zeros. */
static bool is_past_end(const struct cpuid_table *table, uint32_t leaf)
{
	const struct cpuid_entry *extended;

	if (leaf <= table->max_basic || leaf == 0x40000000)
		return false;
	if (leaf < 0x80000000 || !table->extended[0])
		return true;
	extended = &table->entry[table->extended[0] - 1];
	return leaf > extended->regs[CPUID_REG_EAX];
}

static const struct cpuid_entry *find_cpuid_entry(const struct cpuid_table *table, uint32_t leaf,
						  uint32_t subleaf)
{
	unsigned int i = first_entry(table, leaf);

	if (i == 0)
		return NULL;
	for (i--; i < table->count && table->entry[i].leaf == leaf; i++) {
		const struct cpuid_entry *entry = &table->entry[i];

		if (!(entry->flags & CPUID_SUBLEAF) || entry->subleaf == subleaf)
			return entry;
	}
	return NULL;
}

void cpuid_query(struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	const struct cpuid_table *table = vcpu->vm->cpuid;
	const struct cpuid_entry *entry = find_cpuid_entry(table, leaf, subleaf);

	if (!entry && table->vendor == CPU_VENDOR_INTEL && is_past_end(table, leaf))
		entry = find_cpuid_entry(table, table->max_basic, subleaf);
	if (!entry) {
		memset(regs, 0, 4 * sizeof(regs[0]));
		return;
	}
	memcpy(regs, entry->regs, sizeof(entry->regs));
	if (entry->flags & ~CPUID_SUBLEAF)
		fill_dynamic(vcpu, entry->flags, subleaf, regs);
}
