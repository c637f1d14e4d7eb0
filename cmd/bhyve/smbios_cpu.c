// SPDX-License-Identifier: BSD-2-Clause
/*
 * Processors and caches; smbios_cpu.h. What they are the guest sees in CPUID as well, where it
 * is the host's: names, signature, and the sizes of caches.
 */
#include "smbios_cpu.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#define CPUID_CACHES	 4u
#define CPUID_AMD_CACHES 0x8000001du
#define CPUID_EXTENDED1	 0x80000001u
#define CPUID_BRAND	 0x80000002u
#define CPUID_NX	 (1u << 20)

/* Handles, by socket; a socket's caches follow each other. */
#define PROCESSOR_HANDLE  0x400
#define CACHE_HANDLE	  0x700
#define CACHES_PER_SOCKET 8
#define MOST_SOCKETS	  255u

/* More than a socket's structures take, and what ends the table. */
#define SOCKET_ROOM 512u

#define LEVELS 3

/* --- caches --------------------------------------------------------------------- */

enum cache_kind { CACHE_NONE = 0, CACHE_DATA = 1, CACHE_INSTRUCTION = 2, CACHE_UNIFIED = 3 };

struct cache {
	enum cache_kind kind;
	unsigned level;
	unsigned ways;
	uint64_t size; /* bytes */
};

/* Subleaf 'number' of a leaf with caches (SDM vol. 2, CPUID, leaf 4; APM vol. 3, E.4.15). */
static struct cache read_cache(uint32_t leaf, unsigned number)
{
	struct cache cache = { CACHE_NONE, 0, 0, 0 };
	unsigned eax, ebx, ecx, edx;

	if (!__get_cpuid_count(leaf, number, &eax, &ebx, &ecx, &edx))
		return cache;
	cache.kind = (enum cache_kind)(eax & 0x1f);
	cache.level = eax >> 5 & 7;
	cache.ways = (ebx >> 22) + 1;
	cache.size = (uint64_t)cache.ways * ((ebx >> 12 & 0x3ff) + 1) * ((ebx & 0xfff) + 1) *
		     ((uint64_t)ecx + 1);
	return cache;
}

/* Which leaf has them; they are those of a processor of one vendor. */
static uint32_t cache_leaf(void)
{
	return read_cache(CPUID_CACHES, 0).kind ? CPUID_CACHES : CPUID_AMD_CACHES;
}

/* In KiB, or where these are too many in 64 KiB. */
static uint16_t cache_size(uint64_t bytes)
{
	uint64_t kib = bytes >> 10;

	return (uint16_t)(kib < CACHE_64K_UNITS ? kib : kib >> 6 | CACHE_64K_UNITS);
}

/* DSP0134, 7.8.5: a code for each number of ways that is known. */
static uint8_t associativity(unsigned ways)
{
	static const struct {
		uint8_t ways;
		uint8_t code;
	} codes[] = {
		{ 1, 3 },   { 2, 4 },	{ 4, 5 },   { 8, 7 },	{ 16, 8 },  { 12, 9 },
		{ 24, 10 }, { 32, 11 }, { 48, 12 }, { 64, 13 }, { 20, 14 },
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].ways == ways)
			return codes[i].code;
	return 1; /* another */
}

static uint8_t cache_type(enum cache_kind kind)
{
	static const uint8_t types[] = {
		[CACHE_DATA] = 4, [CACHE_INSTRUCTION] = 3, [CACHE_UNIFIED] = 5
	};

	return types[kind];
}

static void add_cache(struct smbios_table *table, const struct cache *cache, uint16_t handle)
{
	char name[16];
	const char *const strings[] = { name, NULL };
	struct cache_information information = {
		.header = { TYPE_CACHE, sizeof(information), handle },
		.socket = 1,
		.configuration = (uint16_t)(CACHE_WRITE_BACK | CACHE_ENABLED | (cache->level - 1)),
		.max_size = cache_size(cache->size),
		.size = cache_size(cache->size),
		.supported_sram = CACHE_UNKNOWN,
		.current_sram = CACHE_UNKNOWN,
		.error_correction = CACHE_UNKNOWN,
		.type = cache_type(cache->kind),
		.associativity = associativity(cache->ways),
	};

	snprintf(name, sizeof(name), "L%u", cache->level);
	smbios_add(table, &information, strings);
}

/* The caches of a socket; handles[] gets what a processor names of them. */
static void add_caches(struct smbios_table *table, unsigned socket, uint16_t handles[LEVELS])
{
	uint32_t leaf = cache_leaf();

	memset(handles, 0xff, LEVELS * sizeof(handles[0])); /* NO_HANDLE */
	for (unsigned i = 0; i < CACHES_PER_SOCKET; i++) {
		uint16_t handle = (uint16_t)(CACHE_HANDLE + socket * CACHES_PER_SOCKET + i);
		struct cache cache = read_cache(leaf, i);

		if (cache.kind < CACHE_DATA || cache.kind > CACHE_UNIFIED || cache.level < 1 ||
		    cache.level > LEVELS)
			return;
		add_cache(table, &cache, handle);
		if (cache.kind != CACHE_INSTRUCTION)
			handles[cache.level - 1] = handle;
	}
}

/* --- processors ----------------------------------------------------------------- */

static void put_registers(char *to, const unsigned *registers, unsigned count)
{
	memcpy(to, registers, count * sizeof(registers[0]));
	to[count * sizeof(registers[0])] = '\0';
}

static void read_vendor(char vendor[13])
{
	unsigned eax, registers[3] = { 0 };

	__get_cpuid(0, &eax, &registers[0], &registers[2], &registers[1]);
	put_registers(vendor, registers, 3);
}

/* Without the blanks that some begin with; "Unknown" where there is none. */
static void read_brand(char brand[64])
{
	char text[3 * 16 + 1] = "";
	unsigned registers[4];

	for (unsigned i = 0; i < 3; i++)
		if (__get_cpuid(CPUID_BRAND + i, &registers[0], &registers[1], &registers[2],
				&registers[3]))
			put_registers(text + 16 * i, registers, 4);
	snprintf(brand, 64, "%s", text + strspn(text, " "));
	if (!*brand)
		strcpy(brand, "Unknown");
}

static uint16_t characteristics(const struct vm_cpu_topology *topology)
{
	unsigned eax, ebx, ecx, edx = 0;
	unsigned bits = PROCESSOR_64BIT;

	__get_cpuid(CPUID_EXTENDED1, &eax, &ebx, &ecx, &edx);
	if (topology->cores > 1)
		bits |= PROCESSOR_MULTICORE;
	if (topology->threads > 1)
		bits |= PROCESSOR_THREADS;
	if (edx & CPUID_NX)
		bits |= PROCESSOR_NX;
	return (uint16_t)bits;
}

/* Counts above 254 do not fit: "see another structure", of a later version. */
static uint8_t byte_count(unsigned count)
{
	return (uint8_t)(count < 0xff ? count : 0xff);
}

static void add_processor(struct smbios_table *table, unsigned socket,
			  const struct vm_cpu_topology *topology)
{
	unsigned eax = 0, ebx, ecx, edx = 0;
	char name[16], vendor[13], brand[64];
	const char *const strings[] = { name, vendor, brand, NULL };
	struct processor processor = {
		.header = { TYPE_PROCESSOR, sizeof(processor),
			    (uint16_t)(PROCESSOR_HANDLE + socket) },
		.socket = 1,
		.type = PROCESSOR_CENTRAL,
		.family = PROCESSOR_FAMILY_OTHER,
		.manufacturer = 2,
		.version = 3,
		.status = PROCESSOR_ENABLED,
		.upgrade = PROCESSOR_UPGRADE_NONE,
		.cores = byte_count(topology->cores),
		.cores_enabled = byte_count(topology->cores),
		.threads = byte_count((unsigned)topology->cores * topology->threads),
		.characteristics = characteristics(topology),
		.family2 = PROCESSOR_FAMILY_OTHER,
	};
	uint16_t caches[LEVELS];

	snprintf(name, sizeof(name), "CPU %u", socket);
	read_vendor(vendor);
	read_brand(brand);
	__get_cpuid(1, &eax, &ebx, &ecx, &edx);
	processor.signature = eax;
	processor.features = edx;
	add_caches(table, socket, caches);
	memcpy(processor.cache, caches, sizeof(caches));
	smbios_add(table, &processor, strings);
}

void smbios_add_processors(struct smbios_table *table, const struct vm_cpu_topology *topology)
{
	for (unsigned socket = 0; socket < topology->sockets && socket < MOST_SOCKETS; socket++) {
		if (table->room - table->used < SOCKET_ROOM)
			return;
		add_processor(table, socket, topology);
	}
}
