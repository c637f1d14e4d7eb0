// SPDX-License-Identifier: BSD-2-Clause
/*
 * Making a VM's CPUID table. Everything that is not a feature bit is built here,
 * leaf by leaf (APM vol. 3, appendix E; SDM vol. 2, CPUID); the feature bits of
 * all leaves are then set from the features that are shown. A leaf without a row
 * in leaves[] reads as zeros.
 */
#include "x86/cpu/cpuid.h"
#include "vm/regs.h"

#define VENDOR_AMD_EBX	 0x68747541 /* "Auth" */
#define VENDOR_HYGON_EBX 0x6f677948 /* "Hygo" */
#define VENDOR_INTEL_EBX 0x756e6547 /* "Genu" */

/* Features that AMD repeats in leaf 0x80000001 EDX at the same place as in leaf 1. */
#define EXT1_MIRRORED 0x0183f3ffu

#define CACHE_LEVEL(eax) ((eax) >> 5 & 7)
#define CACHE_SUBLEAVES	 8

#define TOPOLOGY_THREAD 1 /* level types of leaf 0xb */
#define TOPOLOGY_CORE	2

/* --- tools ------------------------------------------------------------------------- */

static unsigned int log2_ceil(unsigned int n)
{
	unsigned int shift = 0;

	while ((1u << shift) < n)
		shift++;
	return shift;
}

static bool table_shows(const struct cpuid_table *table, unsigned int feature)
{
	return feature_shown(&table->features, feature);
}

static uint8_t *leaf_slot(struct cpuid_table *table, uint32_t leaf)
{
	if (leaf < CPUID_BASIC_LEAVES)
		return &table->basic[leaf];
	if (leaf >= 0x80000000 && leaf - 0x80000000 < CPUID_EXTENDED_LEAVES)
		return &table->extended[leaf - 0x80000000];
	return leaf == 0x40000000 ? &table->hypervisor : NULL;
}

/*
 * A new entry behind the last; those of one leaf must come one after the other.
 * The table has room for all that this file adds; a guard all the same.
 */
static struct cpuid_entry *add_entry(struct cpuid_table *table, uint32_t leaf, uint32_t subleaf,
				     uint32_t flags)
{
	uint8_t *slot = leaf_slot(table, leaf);
	struct cpuid_entry *entry;

	if (table->count < CPUID_ENTRIES - 1)
		table->count++;
	entry = &table->entry[table->count - 1];
	*entry = (struct cpuid_entry){ .leaf = leaf, .subleaf = subleaf, .flags = flags };
	if (slot && *slot == 0)
		*slot = (uint8_t)table->count;
	return entry;
}

static struct cpuid_entry *find_entry(struct cpuid_table *table, uint32_t leaf, uint32_t subleaf)
{
	for (unsigned int i = 0; i < table->count; i++) {
		struct cpuid_entry *entry = &table->entry[i];

		if (entry->leaf == leaf &&
		    (!(entry->flags & CPUID_SUBLEAF) || entry->subleaf == subleaf))
			return entry;
	}
	return NULL;
}

/* --- basic leaves --------------------------------------------------------- */

static void build_host(struct cpuid_table *table, uint32_t leaf)
{
	os_cpuid(leaf, 0, add_entry(table, leaf, 0, 0)->regs);
}

/* Descriptors of caches: Intel's alone, and as the host has them. */
static void build_2(struct cpuid_table *table, uint32_t leaf)
{
	if (table->vendor == CPU_VENDOR_INTEL)
		build_host(table, leaf);
}

static void build_0(struct cpuid_table *table, uint32_t leaf)
{
	struct cpuid_entry *entry = add_entry(table, leaf, 0, 0);

	os_cpuid(0, 0, entry->regs);
	entry->regs[CPUID_REG_EAX] = table->max_basic;
}

static void build_1(struct cpuid_table *table, uint32_t leaf)
{
	struct cpuid_entry *entry = add_entry(table, leaf, 0, CPUID_DYNAMIC_1);
	uint32_t host[4];

	os_cpuid(1, 0, host);
	entry->regs[CPUID_REG_EAX] = host[CPUID_REG_EAX];
	/* CLFLUSH size; APIC IDs set aside for a socket. Brand index 0: see leaf 0x80000002. */
	entry->regs[CPUID_REG_EBX] = (host[CPUID_REG_EBX] & 0xff00) |
				     min_t(uint32_t, 1u << table->socket_shift, 0xff) << 16;
}

static unsigned int cache_sharers(const struct cpuid_table *table, unsigned int level)
{
	return level < 3 ? table->threads : table->socket_threads;
}

/* Caches as the host's, shared as far as a socket of the guest goes (Intel). */
static void build_4(struct cpuid_table *table, uint32_t leaf)
{
	uint32_t cores =
		min_t(uint32_t, (1u << (table->socket_shift - table->thread_shift)) - 1, 0x3f);

	if (table->vendor != CPU_VENDOR_INTEL)
		return;
	for (uint32_t i = 0; i < CACHE_SUBLEAVES; i++) {
		struct cpuid_entry *entry;
		uint32_t regs[4];
		uint32_t ids;

		os_cpuid(leaf, i, regs);
		if ((regs[CPUID_REG_EAX] & 0x1f) == 0)
			break;
		ids = 1u << log2_ceil(cache_sharers(table, CACHE_LEVEL(regs[CPUID_REG_EAX])));
		entry = add_entry(table, leaf, i, CPUID_SUBLEAF);
		memcpy(entry->regs, regs, sizeof(regs));
		entry->regs[CPUID_REG_EAX] = (regs[CPUID_REG_EAX] & 0x3ff) |
					     min_t(uint32_t, ids - 1, 0xfff) << 14 | cores << 26;
	}
}

/* Nothing but feature bits: subleaf 1 only if it has any. */
static void build_7(struct cpuid_table *table, uint32_t leaf)
{
	struct cpuid_entry *first = add_entry(table, leaf, 0, CPUID_SUBLEAF | CPUID_DYNAMIC_7);

	for (unsigned int i = 1; i < CPU_FEATURE_COUNT; i++) {
		const struct feature_row *row = feature_row(i);

		if (row->leaf != 7 || row->subleaf != 1 || !table_shows(table, i))
			continue;
		first->regs[CPUID_REG_EAX] = 1;
		(void)add_entry(table, leaf, 1, CPUID_SUBLEAF);
		return;
	}
}

static void build_features_only(struct cpuid_table *table, uint32_t leaf)
{
	(void)add_entry(table, leaf, 0, 0);
}

static void add_topology_level(struct cpuid_table *table, uint32_t leaf, uint32_t level,
			       uint32_t type, uint32_t shift, uint32_t count)
{
	struct cpuid_entry *entry =
		add_entry(table, leaf, level, CPUID_SUBLEAF | CPUID_DYNAMIC_TOPOLOGY);

	entry->regs[CPUID_REG_EAX] = shift;
	entry->regs[CPUID_REG_EBX] = count;
	entry->regs[CPUID_REG_ECX] = type << 8 | level;
}

/* Topology by x2APIC ID. Subleaves beyond the last level: see cpuid_query(). */
static void build_topology(struct cpuid_table *table, uint32_t leaf)
{
	add_topology_level(table, leaf, 0, TOPOLOGY_THREAD, table->thread_shift, table->threads);
	add_topology_level(table, leaf, 1, TOPOLOGY_CORE, table->socket_shift,
			   table->socket_threads);
	(void)add_entry(table, leaf, 2, CPUID_DYNAMIC_TOPOLOGY);
}

static void build_xsave(struct cpuid_table *table, uint32_t leaf)
{
	uint64_t xcr0 = table->features.xcr0;
	struct cpuid_entry *entry;

	if (!xcr0)
		return;
	entry = add_entry(table, leaf, 0, CPUID_SUBLEAF | CPUID_DYNAMIC_XSAVE);
	entry->regs[CPUID_REG_EAX] = (uint32_t)xcr0;
	entry->regs[CPUID_REG_EDX] = (uint32_t)(xcr0 >> 32);
	(void)add_entry(table, leaf, 1, CPUID_SUBLEAF | CPUID_DYNAMIC_XSAVE);
	for (uint32_t i = 2; i < CPUID_XSAVE_COMPONENTS; i++) {
		if (!(xcr0 & BIT_ULL(i)))
			continue;
		entry = add_entry(table, leaf, i, CPUID_SUBLEAF);
		os_cpuid(leaf, i, entry->regs);
		table->xsave_size[i] = entry->regs[CPUID_REG_EAX];
		table->xsave_offset[i] = entry->regs[CPUID_REG_EBX];
		if (entry->regs[CPUID_REG_ECX] & 2)
			table->xsave_aligned |= 1u << i;
		entry->regs[CPUID_REG_ECX] &= 2;
		entry->regs[CPUID_REG_EDX] = 0;
	}
	find_entry(table, leaf, 0)->regs[CPUID_REG_ECX] = cpuid_xsave_size(table, xcr0);
}

/* --- hypervisor leaf ------------------------------------------------------ */

static void build_hypervisor(struct cpuid_table *table, uint32_t leaf)
{
	struct cpuid_entry *entry = add_entry(table, leaf, 0, 0);

	entry->regs[CPUID_REG_EAX] = leaf;
	memcpy(&entry->regs[CPUID_REG_EBX], "bhyve bhyve ", 12);
}

/* --- extended leaves ------------------------------------------------------ */

static void build_ext0(struct cpuid_table *table, uint32_t leaf)
{
	struct cpuid_entry *entry = add_entry(table, leaf, 0, 0);

	os_cpuid(leaf, 0, entry->regs);
	entry->regs[CPUID_REG_EAX] =
		min_t(uint32_t, entry->regs[CPUID_REG_EAX], 0x80000000 + CPUID_EXTENDED_LEAVES - 1);
}

static void build_ext1(struct cpuid_table *table, uint32_t leaf)
{
	bool amd = table->vendor == CPU_VENDOR_AMD;
	struct cpuid_entry *entry = add_entry(table, leaf, 0, amd ? CPUID_DYNAMIC_EXT1 : 0);
	uint32_t host[4];

	os_cpuid(leaf, 0, host);
	entry->regs[CPUID_REG_EAX] = host[CPUID_REG_EAX];
	entry->regs[CPUID_REG_EBX] = host[CPUID_REG_EBX];
}

/* Address widths; 48 bits of guest-physical are what four nested levels reach. */
static void build_ext8(struct cpuid_table *table, uint32_t leaf)
{
	struct cpuid_entry *entry = add_entry(table, leaf, 0, 0);

	entry->regs[CPUID_REG_EAX] = table->phys_bits | table->linear_bits << 8;
	if (table->vendor == CPU_VENDOR_AMD)
		entry->regs[CPUID_REG_ECX] = min_t(uint32_t, table->socket_threads - 1, 0xff) |
					     table->socket_shift << 12;
}

/* Caches as the host's, shared as in leaf 4 (AMD). */
static void build_ext1d(struct cpuid_table *table, uint32_t leaf)
{
	if (!table_shows(table, CPU_TOPOEXT))
		return;
	for (uint32_t i = 0; i < CACHE_SUBLEAVES; i++) {
		struct cpuid_entry *entry;
		uint32_t regs[4];
		uint32_t sharers;

		os_cpuid(leaf, i, regs);
		if ((regs[CPUID_REG_EAX] & 0x1f) == 0)
			break;
		sharers = cache_sharers(table, CACHE_LEVEL(regs[CPUID_REG_EAX]));
		entry = add_entry(table, leaf, i, CPUID_SUBLEAF);
		memcpy(entry->regs, regs, sizeof(regs));
		entry->regs[CPUID_REG_EAX] = (regs[CPUID_REG_EAX] & 0x3ff) |
					     min_t(uint32_t, sharers - 1, 0xfff) << 14;
	}
}

/* Threads of a core; one node for each socket. IDs at the time of the query. */
static void build_ext1e(struct cpuid_table *table, uint32_t leaf)
{
	struct cpuid_entry *entry;

	if (!table_shows(table, CPU_TOPOEXT))
		return;
	entry = add_entry(table, leaf, 0, CPUID_DYNAMIC_EXT1E);
	entry->regs[CPUID_REG_EBX] = min_t(uint32_t, table->threads - 1, 0xff) << 8;
}

/* --- all together --------------------------------------------------------- */

static const struct leaf_builder {
	uint32_t leaf;
	void (*build)(struct cpuid_table *table, uint32_t leaf);
} leaves[] = {
	{ 0x00, build_0 },
	{ 0x01, build_1 },
	{ 0x02, build_2 },
	{ 0x04, build_4 },
	{ 0x06, build_features_only },
	{ 0x07, build_7 },
	{ 0x0b, build_topology },
	{ 0x0d, build_xsave },
	{ 0x1f, build_topology },
	{ 0x40000000, build_hypervisor },
	{ 0x80000000, build_ext0 },
	{ 0x80000001, build_ext1 },
	{ 0x80000002, build_host }, /* name */
	{ 0x80000003, build_host },
	{ 0x80000004, build_host },
	{ 0x80000005, build_host }, /* caches and TLBs */
	{ 0x80000006, build_host },
	{ 0x80000007, build_features_only },
	{ 0x80000008, build_ext8 },
	{ 0x80000019, build_host }, /* TLBs for 1 GiB pages */
	{ 0x8000001a, build_host }, /* width of the FPU's data path */
	{ 0x8000001d, build_ext1d },
	{ 0x8000001e, build_ext1e },
	{ 0x80000021, build_features_only },
};

static enum cpu_vendor host_vendor(void)
{
	uint32_t regs[4];

	os_cpuid(0, 0, regs);
	switch (regs[CPUID_REG_EBX]) {
	case VENDOR_AMD_EBX:
	case VENDOR_HYGON_EBX:
		return CPU_VENDOR_AMD;
	case VENDOR_INTEL_EBX:
		return CPU_VENDOR_INTEL;
	default:
		return CPU_VENDOR_OTHER;
	}
}

static void measure_topology(struct cpuid_table *table, const struct vm_cpu_topology *topology)
{
	unsigned int cores = max(topology->cores, (uint16_t)1);

	table->threads = max(topology->threads, (uint16_t)1);
	table->socket_threads = table->threads * cores;
	table->thread_shift = log2_ceil(table->threads);
	table->socket_shift = table->thread_shift + log2_ceil(cores);
}

/* Leaf 0xb is offered whatever the host has: x2APIC IDs are. */
static void measure_basic(struct cpuid_table *table)
{
	uint32_t regs[4];
	uint32_t floor = table->features.xcr0 ? 0xd : 0xb;

	os_cpuid(0, 0, regs);
	table->max_basic = min_t(uint32_t, regs[CPUID_REG_EAX], CPUID_BASIC_LEAVES - 1);
	if (table->vendor == CPU_VENDOR_AMD)
		table->max_basic = min_t(uint32_t, table->max_basic, 0xd);
	if (table->max_basic < floor)
		table->max_basic = floor;
}

static void measure_addresses(struct cpuid_table *table, unsigned int levels)
{
	uint32_t regs[4];

	os_cpuid(0x80000000, 0, regs);
	table->phys_bits = 36;
	if (regs[CPUID_REG_EAX] >= 0x80000008 && regs[CPUID_REG_EAX] < 0x90000000) {
		os_cpuid(0x80000008, 0, regs);
		table->phys_bits = regs[CPUID_REG_EAX] & 0xff;
	}
	table->phys_bits = min_t(uint32_t, table->phys_bits, levels == 5 ? 52 : 48);
	table->linear_bits = table_shows(table, CPU_LA57) ? 57 : 48;
}

static void set_feature_bits(struct cpuid_table *table)
{
	struct cpuid_entry *leaf1 = find_entry(table, 1, 0);
	struct cpuid_entry *ext1 = find_entry(table, 0x80000001, 0);

	for (unsigned int i = 1; i < CPU_FEATURE_COUNT; i++) {
		const struct feature_row *row = feature_row(i);
		struct cpuid_entry *entry;

		if (!table_shows(table, i))
			continue;
		entry = find_entry(table, row->leaf, row->subleaf);
		if (entry)
			entry->regs[row->reg] |= 1u << row->bit;
	}
	if (ext1 && table->vendor == CPU_VENDOR_AMD)
		ext1->regs[CPUID_REG_EDX] |= leaf1->regs[CPUID_REG_EDX] & EXT1_MIRRORED;
}

void cpuid_build(struct cpuid_table *table, const struct vm_cpu_topology *topology,
		 unsigned int levels)
{
	uint32_t regs[4];
	uint32_t max_extended;

	table->vendor = host_vendor();
	measure_topology(table, topology);
	measure_basic(table);
	measure_addresses(table, levels);
	os_cpuid(0x80000000, 0, regs);
	max_extended = regs[CPUID_REG_EAX];
	for (unsigned int i = 0; i < ARRAY_SIZE(leaves); i++) {
		uint32_t leaf = leaves[i].leaf;
		uint32_t last = leaf >= 0x80000000 ? max_extended :
				leaf >= 0x40000000 ? 0x40000000 :
						     table->max_basic;

		if (leaf <= last)
			leaves[i].build(table, leaf);
	}
	set_feature_bits(table);
}
