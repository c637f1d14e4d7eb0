// SPDX-License-Identifier: BSD-2-Clause
/*
 * Guest memory by guest-physical address, for files of the VM: what to map, and what to
 * copy from and to. The callers own no vCPU and hold no lock, so the map is read under
 * memory.lock.
 */
#include "vm/memory.h"

#include "vm/segment.h"
#include "vm/vcpu.h"

int memory_locate(struct vm *vm, uint64_t gpa, uint64_t len, int *segid, uint64_t *offset)
{
	const struct memmap_entry *entry;
	int error = -EINVAL;

	os_mutex_lock(&vm->memory.lock);
	entry = memory_lookup(vm, gpa);
	if (READ_ONCE(vm->destroyed)) {
		error = -ENXIO;
	} else if (entry && len <= entry->len - (gpa - entry->gpa) && !*memseg_name(entry->seg)) {
		*segid = entry->segid;
		*offset = entry_offset(entry, gpa);
		error = 0;
	}
	os_mutex_unlock(&vm->memory.lock);
	return error;
}

/* 'gpa' is the caller's: its place in the segment is bounded in speculation, too. */
static uint64_t entry_offset_nospec(const struct memmap_entry *entry, uint64_t gpa)
{
	uint64_t offset = entry_offset(entry, gpa);
	uint64_t chunk = os_index_nospec((unsigned int)(offset / CHUNK_SIZE),
					 (unsigned int)segment_chunks(entry->seg));

	return chunk * CHUNK_SIZE + offset % CHUNK_SIZE;
}

void *memory_gpa_get(struct vm *vm, uint64_t gpa, int prot, int *error)
{
	const struct memmap_entry *entry;
	void *page = NULL;
	bool huge;

	*error = 0;
	os_mutex_lock(&vm->memory.lock);
	entry = memory_lookup(vm, gpa);
	if (READ_ONCE(vm->destroyed))
		*error = -ENXIO;
	else if (!entry || (entry->prot & prot) != prot)
		*error = -EFAULT;
	else if (prot & VM_PROT_WRITE)
		page = memseg_back(entry->seg, entry_offset_nospec(entry, gpa), error);
	else
		page = memseg_peek(entry->seg, entry_offset_nospec(entry, gpa), &huge);
	if (page)
		os_ram_get(page);
	os_mutex_unlock(&vm->memory.lock);
	return page;
}

void memory_usage(struct vm *vm, uint64_t *resident, uint64_t *wired)
{
	const struct memory *memory = &vm->memory;

	*resident = 0;
	*wired = 0;
	os_mutex_lock(&vm->memory.lock);
	for (int i = 0; i < MEMSEG_MAX; i++)
		*resident += memory->seg[i] ? memory->seg[i]->resident : 0;
	for (unsigned int i = 0; i < memory->map_count; i++)
		*wired += memory->map[i].flags & VM_MEMMAP_F_WIRED ? memory->map[i].len : 0;
	os_mutex_unlock(&vm->memory.lock);
}
