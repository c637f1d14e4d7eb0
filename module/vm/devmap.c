// SPDX-License-Identifier: BSD-2-Clause
/*
 * Registers of devices in the nested page table: a guest reaches them without an
 * exit. They are no memory: nothing here can be fetched from, nor be a page table
 * of the guest, and DMA of another device does not go there.
 */
#include "vm/memory.h"

#include "vm/segment.h"
#include "vm/vcpu.h"
#include "vm/npt.h"

static bool ranges_overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

bool devmap_overlaps(const struct memory *memory, uint64_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < memory->device_count; i++) {
		const struct devmap_entry *entry = &memory->device[i];

		if (ranges_overlap(gpa, len, entry->gpa, entry->len))
			return true;
	}
	return false;
}

void memory_add_window(struct vm *vm, uint64_t gpa, uint64_t len)
{
	struct memory *memory = &vm->memory;

	if (memory->window_count < MEMORY_WINDOWS)
		memory->window[memory->window_count++] =
			(struct devmap_entry){ .gpa = gpa, .len = len };
}

static bool overlaps_window(const struct memory *memory, uint64_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < memory->window_count; i++) {
		const struct devmap_entry *window = &memory->window[i];

		if (ranges_overlap(gpa, len, window->gpa, window->len))
			return true;
	}
	return false;
}

static int devmap_check(struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t len)
{
	if ((gpa | hpa | len) % OS_PAGE_SIZE || len == 0)
		return -EINVAL;
	if (gpa >= MEMMAP_GPA_LIMIT || len > MEMMAP_GPA_LIMIT - gpa)
		return -EINVAL;
	if (memory_overlaps(&vm->memory, gpa, len) || devmap_overlaps(&vm->memory, gpa, len) ||
	    overlaps_window(&vm->memory, gpa, len))
		return -EEXIST;
	return vm->memory.device_count == DEVMAP_MAX ? -ENOSPC : 0;
}

/* One entry of the nested table, as large as both addresses allow. */
static int devmap_map_step(struct vm *vm, struct npt_cache *cache, uint64_t gpa, uint64_t hpa,
			   uint64_t left, int memory_type, uint64_t *step)
{
	bool large = (gpa | hpa) % CHUNK_SIZE == 0 && left >= CHUNK_SIZE;
	int error = npt_cache_fill(cache);

	*step = large ? CHUNK_SIZE : OS_PAGE_SIZE;
	if (error)
		return error;
	return npt_map(&vm->npt, cache, gpa, hpa, large ? NPT_LEVEL_2M : NPT_LEVEL_4K,
		       VM_PROT_READ | VM_PROT_WRITE, memory_type);
}

static int devmap_map_pages(struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t len,
			    int memory_type)
{
	struct npt_cache cache = { .count = 0 };
	uint64_t step;
	int error = 0;

	for (uint64_t at = 0; at < len && !error; at += step) {
		error = devmap_map_step(vm, &cache, gpa + at, hpa + at, len - at, memory_type,
					&step);
		os_yield();
	}
	npt_cache_free(&cache);
	return error;
}

int memory_map_device(struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t len, int memory_type)
{
	struct memory *memory = &vm->memory;
	int error = devmap_check(vm, gpa, hpa, len);

	if (error)
		return error;
	error = devmap_map_pages(vm, gpa, hpa, len, memory_type);
	if (error) {
		npt_unmap(&vm->npt, gpa, len);
		memory_flush(vm);
		return error;
	}
	memory->device[memory->device_count++] = (struct devmap_entry){ .gpa = gpa, .len = len };
	return 0;
}

int memory_unmap_device(struct vm *vm, uint64_t gpa, uint64_t len)
{
	struct memory *memory = &vm->memory;

	for (unsigned int i = 0; i < memory->device_count; i++) {
		if (memory->device[i].gpa != gpa || memory->device[i].len != len)
			continue;
		npt_unmap(&vm->npt, gpa, len);
		memory_flush(vm);
		memory->device[i] = memory->device[--memory->device_count];
		return 0;
	}
	return -EINVAL;
}
