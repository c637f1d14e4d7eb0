// SPDX-License-Identifier: BSD-2-Clause
/*
 * Options about a VM's memory.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "bhyvectl.h"
#include "common/size.h"

#define ABOVE_4G 0x100000000ULL

/* One mapping, as VM_MMAP_GETNEXT returns it. */
struct mapping {
	vm_paddr_t gpa;
	int segid;
	vm_ooffset_t segoff;
	size_t len;
	int prot;
	int flags;
};

/*
 * Finds the first mapping at or after map->gpa: 1, or 0 when there is none left.
 */
static int next_mapping(struct session *session, struct mapping *map)
{
	if (vm_mmap_getnext(session->ctx, &map->gpa, &map->segid, &map->segoff, &map->len,
			    &map->prot, &map->flags) == 0)
		return 1;
	return errno == ENOENT ? 0 : -1;
}

static int print_mapping(struct session *session, const struct mapping *map)
{
	char name[VM_MAX_SUFFIXLEN + 1];
	char size[SIZE_TEXT_LENGTH];
	size_t seglen;

	if (vm_get_memseg(session->ctx, map->segid, &seglen, name, sizeof(name)))
		return -1;
	printf("%-12" PRIX64 "%-12s%-12s%-12" PRIX64 "%c%c%c   %s%s%s\n", map->gpa,
	       size_format(map->len, size), name[0] ? name : "sysmem", (uint64_t)map->segoff,
	       map->prot & VM_PROT_READ ? 'R' : '-', map->prot & VM_PROT_WRITE ? 'W' : '-',
	       map->prot & VM_PROT_EXEC ? 'X' : '-', map->flags & VM_MEMMAP_F_WIRED ? "wired" : "",
	       (map->flags & VM_MEMMAP_F_WIRED) && (map->flags & VM_MEMMAP_F_IOMMU) ? "/" : "",
	       map->flags & VM_MEMMAP_F_IOMMU ? "iommu" : "");
	return 0;
}

int get_memory_map(struct session *session, const struct option *option, const char *argument)
{
	struct mapping map = { 0 };
	int found;

	(void)option;
	(void)argument;
	printf("Address     Length      Segment     Offset      Prot  Flags\n");
	while ((found = next_mapping(session, &map)) == 1) {
		if (print_mapping(session, &map))
			return -1;
		map.gpa += map.len;
	}
	return found;
}

int get_segment_list(struct session *session, const struct option *option, const char *argument)
{
	char name[VM_MAX_SUFFIXLEN + 1];
	char text[SIZE_TEXT_LENGTH];
	size_t size;

	(void)option;
	(void)argument;
	printf("ID  Length      Name\n");
	/* EINVAL: there are no numbers from here on. */
	for (int segid = 0; vm_get_memseg(session->ctx, segid, &size, name, sizeof(name)) == 0;
	     segid++)
		if (size)
			printf("%-4d%-12s%s\n", segid, size_format(size, text),
			       name[0] ? name : "sysmem");
	return errno == EINVAL ? 0 : -1;
}

int get_sysmem(struct session *session, const struct option *option, const char *argument)
{
	const bool high = option->data;
	struct mapping map = { .gpa = high ? ABOVE_4G : 0 };
	const uint64_t start = map.gpa;
	uint64_t size = 0;
	int found;

	(void)argument;
	while ((found = next_mapping(session, &map)) == 1 && (high || map.gpa < ABOVE_4G)) {
		if (map.segid == VM_SYSMEM)
			size += map.len;
		map.gpa += map.len;
	}
	if (found < 0)
		return -1;
	printf("%s\t\t0x%016" PRIx64 "/%" PRIu64 "\n", high ? "highmem" : "lowmem", start, size);
	return 0;
}

/* The library's EINVAL says neither. */
static int give_memory(struct session *session, const char *argument, size_t size)
{
	char name[VM_MAX_SUFFIXLEN + 1], text[SIZE_TEXT_LENGTH];
	size_t existing;

	if (size > host_memory_size())
		return session_fail(session, "%s: this host has %llu MiB", argument,
				    host_memory_size() / MIB);
	if (vm_get_memseg(session->ctx, VM_SYSMEM, &existing, name, sizeof(name)))
		return -1;
	if (existing && existing != size)
		return session_fail(session, "%s: it has %s already", argument,
				    size_format(existing, text));
	return vm_setup_memory(session->ctx, size, VM_MMAP_NONE);
}

int set_memory(struct session *session, const struct option *option, const char *argument)
{
	const char *problem;
	size_t size;

	(void)option;
	problem = size_parse(argument, &size);
	if (problem)
		return session_fail(session, "%s: %s", argument, problem);
	return give_memory(session, argument, size);
}

int get_gpa_pmap(struct session *session, const struct option *option, const char *argument)
{
	uint64_t entries[4];
	uint64_t gpa;
	int count;

	(void)option;
	if (parse_number(session, argument, UINT64_MAX, &gpa) ||
	    vm_get_gpa_pmap(session->ctx, gpa, entries, &count))
		return -1;
	printf("gpa %#" PRIx64 ":", gpa);
	for (int i = 0; i < count; i++)
		printf(" 0x%016" PRIx64, entries[i]);
	printf("\n");
	return 0;
}
