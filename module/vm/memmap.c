// SPDX-License-Identifier: BSD-2-Clause
/* The guest-physical map: which piece of which segment is where, and faults on it. */
#include "vm/memory.h"

#include "vm/dma.h"
#include "vm/segment.h"
#include "vm/vcpu.h"
#include "vm/npt.h"

static bool entry_contains(const struct memmap_entry *entry, uint64_t gpa)
{
	return gpa - entry->gpa < entry->len;
}

const struct memmap_entry *memory_lookup(struct vm *vm, uint64_t gpa)
{
	const struct memory *memory = &vm->memory;

	for (unsigned int i = 0; i < memory->map_count; i++) {
		if (entry_contains(&memory->map[i], gpa))
			return &memory->map[i];
	}
	return NULL;
}

void *memory_hva(struct vm *vm, uint64_t gpa, int prot)
{
	const struct memmap_entry *entry = memory_lookup(vm, gpa);
	char *page;
	bool huge;

	if (!entry || (entry->prot & prot) != prot)
		return NULL;
	page = memseg_peek(entry->seg, entry_offset(entry, gpa), &huge);
	return page ? page + gpa % OS_PAGE_SIZE : NULL;
}

int memory_populate(struct vm *vm, uint64_t gpa)
{
	const struct memmap_entry *entry = memory_lookup(vm, gpa);

	if (!entry)
		return -EFAULT;
	return memseg_populate(vm, entry->seg, entry_offset(entry, gpa));
}

/* May the 2 MiB around gpa be one entry of the nested page table? */
static bool entry_fits_large(const struct memmap_entry *entry, uint64_t gpa)
{
	uint64_t start = gpa / CHUNK_SIZE * CHUNK_SIZE;

	return start >= entry->gpa && start + CHUNK_SIZE <= entry->gpa + entry->len &&
	       entry_offset(entry, start) % CHUNK_SIZE == 0;
}

/*
 * Enter the 2 MiB around gpa, whose host address is 'page', as one. Where fetches through a large
 * page can make the processor stop (iTLB multihit), it is executable only once it is split, which
 * the first fetch from it does.
 */
static int entry_map_large(struct npt *npt, struct npt_cache *cache,
			   const struct memmap_entry *entry, uint64_t gpa, const char *page,
			   int access)
{
	bool split = os_mitigations()->split_executable && (entry->prot & VM_PROT_EXEC);
	uint64_t start = gpa / CHUNK_SIZE * CHUNK_SIZE;
	int error = npt_map(npt, cache, start, os_virt_to_phys(page), NPT_LEVEL_2M,
			    split ? entry->prot & ~VM_PROT_EXEC : entry->prot, NPT_MEMORY_WB);

	if (error || !split || !(access & VM_PROT_EXEC))
		return error;
	return npt_split(npt, cache, start, entry->prot, NPT_MEMORY_WB);
}

/* Enter the page at gpa, which has backing, into the nested page table. */
static int entry_map_page(struct npt *npt, struct npt_cache *cache,
			  const struct memmap_entry *entry, uint64_t gpa, int access)
{
	uint64_t page_gpa = gpa & ~(OS_PAGE_SIZE - 1);
	bool huge;
	char *page = memseg_peek(entry->seg, entry_offset(entry, page_gpa), &huge);
	int error;

	if (!page)
		return -EAGAIN;
	if (huge && entry_fits_large(entry, gpa)) {
		error = entry_map_large(npt, cache, entry, gpa, page - page_gpa % CHUNK_SIZE,
					access);
		if (error != -EEXIST)
			return error;
	}
	return npt_map(npt, cache, page_gpa, os_virt_to_phys(page), NPT_LEVEL_4K, entry->prot,
		       NPT_MEMORY_WB);
}

int memory_fault_fast(struct vcpu *vcpu, uint64_t gpa, int prot)
{
	const struct memmap_entry *entry = memory_lookup(vcpu->vm, gpa);
	int error;

	if (!entry || (entry->prot & prot) != prot)
		return -EFAULT;
	error = entry_map_page(&vcpu->vm->npt, &vcpu->npt_cache, entry, gpa, prot);
	return error == -ENOMEM ? -EAGAIN : error;
}

int memory_fault_slow(struct vcpu *vcpu, uint64_t gpa, int prot)
{
	int error = npt_cache_fill(&vcpu->npt_cache);

	if (!error)
		error = memory_populate(vcpu->vm, gpa);
	return error ? error : memory_fault_fast(vcpu, gpa, prot);
}

/* --- changing the map: vm->lock held, all vCPUs frozen ------------------------- */

void memory_flush(struct vm *vm)
{
	vm_request_all(vm, VCPU_REQ_FLUSH);
}

static int map_check(struct vm *vm, const struct vm_memmap *map)
{
	struct memseg *seg = memory_segment(vm, map->segid);
	uint64_t offset = (uint64_t)map->segoff;

	if (!seg)
		return -EINVAL;
	if ((map->gpa | map->len | offset) % OS_PAGE_SIZE || map->len == 0)
		return -EINVAL;
	if (map->segoff < 0 || offset > seg->len || map->len > seg->len - offset)
		return -EINVAL;
	if (map->gpa >= MEMMAP_GPA_LIMIT || map->len > MEMMAP_GPA_LIMIT - map->gpa)
		return -EINVAL;
	/* No vendor's nested table can say "writable, not readable". */
	if ((map->prot & ~VM_PROT_ALL) || !(map->prot & VM_PROT_READ))
		return -EINVAL;
	if (map->flags & ~(VM_MEMMAP_F_WIRED | VM_MEMMAP_F_IOMMU))
		return -EINVAL;
	return 0;
}

bool memory_overlaps(const struct memory *memory, uint64_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < memory->map_count; i++) {
		const struct memmap_entry *entry = &memory->map[i];

		if (gpa < entry->gpa + entry->len && entry->gpa < gpa + len)
			return true;
	}
	return false;
}

/* The index of a new piece: -EEXIST when it overlaps an old one, or a device. */
static int map_position(const struct memory *memory, const struct vm_memmap *map)
{
	unsigned int i = 0;

	if (memory_overlaps(memory, map->gpa, map->len) ||
	    devmap_overlaps(memory, map->gpa, map->len))
		return -EEXIST;
	while (i < memory->map_count && memory->map[i].gpa < map->gpa)
		i++;
	return (int)i;
}

static void map_insert(struct vm *vm, unsigned int position, const struct vm_memmap *map)
{
	struct memory *memory = &vm->memory;
	struct memmap_entry *entry = &memory->map[position];

	os_mutex_lock(&memory->lock);
	memmove(entry + 1, entry, (memory->map_count - position) * sizeof(*entry));
	*entry = (struct memmap_entry){
		.gpa = map->gpa,
		.len = map->len,
		.segoff = (uint64_t)map->segoff,
		.seg = memory_segment(vm, map->segid),
		.segid = map->segid,
		.prot = map->prot,
		.flags = map->flags & ~VM_MEMMAP_F_IOMMU,
	};
	memory->map_count++;
	memory->generation++;
	os_mutex_unlock(&memory->lock);
}

static void map_remove(struct vm *vm, unsigned int position)
{
	struct memory *memory = &vm->memory;
	struct memmap_entry *entry = &memory->map[position];

	dma_unmap(vm, entry);
	npt_unmap(&vm->npt, entry->gpa, entry->len);
	os_mutex_lock(&memory->lock);
	memory->generation++;
	memory->map_count--;
	memmove(entry, entry + 1, (memory->map_count - position) * sizeof(*entry));
	os_mutex_unlock(&memory->lock);
	memory_flush(vm);
}

/* The step to the next page that entry_map_page has not covered yet. */
static uint64_t wire_step(const struct memmap_entry *entry, uint64_t gpa)
{
	bool huge;

	(void)memseg_peek(entry->seg, entry_offset(entry, gpa), &huge);
	if (huge && entry_fits_large(entry, gpa))
		return CHUNK_SIZE - gpa % CHUNK_SIZE;
	return OS_PAGE_SIZE;
}

/*
 * Back and map all of a piece, so that the guest takes no fault on it. What will not fit is
 * refused before any of it is allocated.
 */
static int map_wire(struct vm *vm, const struct memmap_entry *entry)
{
	struct npt_cache cache = { .count = 0 };
	uint64_t end = entry->gpa + entry->len;
	int error = 0;

	if (!os_account_allows(vm->account, memseg_unbacked(entry->seg, entry->segoff, entry->len)))
		return -ENOMEM;
	for (uint64_t gpa = entry->gpa; gpa < end && !error; gpa += wire_step(entry, gpa)) {
		error = npt_cache_fill(&cache);
		if (!error)
			error = memseg_populate(vm, entry->seg, entry_offset(entry, gpa));
		if (!error)
			error = entry_map_page(&vm->npt, &cache, entry, gpa, entry->prot);
		if (!error && os_signal_pending())
			error = -EINTR;
		os_yield();
	}
	npt_cache_free(&cache);
	return error;
}

static bool entry_is_wired(const struct memmap_entry *entry)
{
	return entry->flags & VM_MEMMAP_F_WIRED;
}

int memory_wire(struct vm *vm)
{
	struct memory *memory = &vm->memory;
	int error = 0;

	for (unsigned int i = 0; i < memory->map_count && !error; i++) {
		struct memmap_entry *entry = &memory->map[i];

		if (entry_is_wired(entry) || !dma_covers(entry))
			continue;
		error = map_wire(vm, entry);
		if (!error)
			entry->flags |= VM_MEMMAP_F_WIRED;
	}
	return error;
}

/* Once a device of the guest may reach memory, new memory is wired like the old. */
static int map_populate(struct vm *vm, struct memmap_entry *entry)
{
	int error = 0;

	if (memory_has_dma(vm) && dma_covers(entry))
		entry->flags |= VM_MEMMAP_F_WIRED;
	if (entry_is_wired(entry))
		error = map_wire(vm, entry);
	return error ? error : dma_map(vm, entry);
}

int memory_map(struct vm *vm, const struct vm_memmap *map)
{
	struct memory *memory = &vm->memory;
	int error = map_check(vm, map);
	int position;

	if (error)
		return error;
	if (memory->map_count == MEMMAP_MAX)
		return -ENOSPC;
	position = map_position(memory, map);
	if (position < 0)
		return position;
	map_insert(vm, (unsigned int)position, map);
	error = map_populate(vm, &memory->map[position]);
	if (error)
		map_remove(vm, (unsigned int)position);
	return error;
}

int memory_unmap(struct vm *vm, uint64_t gpa, uint64_t len)
{
	struct memory *memory = &vm->memory;

	for (unsigned int i = 0; i < memory->map_count; i++) {
		if (memory->map[i].gpa != gpa || memory->map[i].len != len)
			continue;
		map_remove(vm, i);
		return 0;
	}
	return -EINVAL;
}

int memory_getnext(struct vm *vm, struct vm_memmap *map)
{
	const struct memory *memory = &vm->memory;

	for (unsigned int i = 0; i < memory->map_count; i++) {
		const struct memmap_entry *entry = &memory->map[i];

		if (entry->gpa < map->gpa)
			continue;
		map->gpa = entry->gpa;
		map->len = entry->len;
		map->segid = entry->segid;
		map->segoff = (int64_t)entry->segoff;
		map->prot = entry->prot;
		map->flags = entry->flags;
		return 0;
	}
	return -ENOENT;
}
