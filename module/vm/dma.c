// SPDX-License-Identifier: BSD-2-Clause
/* DMA of a guest's devices; dma.h. */
#include "vm/dma.h"

#include "vm/segment.h"
#include "vm/vcpu.h"

#define SPACE_DEVICES 32

struct dma_space {
	struct dma_space *next;
	struct os_iommu *iommu;
	struct os_pci *device[SPACE_DEVICES];
	unsigned int devices;
};

bool dma_covers(const struct memmap_entry *entry)
{
	return entry->seg->name[0] == '\0';
}

bool memory_has_dma(const struct vm *vm)
{
	return vm->memory.dma;
}

/* --- memory of a space --------------------------------------------------------- */

/* The run of host memory at 'gpa': to the end of its large page, or one page. */
static uint64_t run_length(const struct memmap_entry *entry, uint64_t gpa, void **page)
{
	uint64_t offset = entry_offset(entry, gpa);
	uint64_t left = entry->gpa + entry->len - gpa;
	bool huge;

	*page = memseg_peek(entry->seg, offset, &huge);
	return huge ? min(left, CHUNK_SIZE - offset % CHUNK_SIZE) : OS_PAGE_SIZE;
}

static int space_map(struct dma_space *space, const struct memmap_entry *entry)
{
	uint64_t end = entry->gpa + entry->len;
	uint64_t length;
	void *page;
	int error = 0;

	for (uint64_t gpa = entry->gpa; gpa < end; gpa += length) {
		length = run_length(entry, gpa, &page);
		error = !page ? -EFAULT :
				os_iommu_map(space->iommu, gpa, os_virt_to_phys(page), length,
					     entry->prot & VM_PROT_WRITE);
		if (error) {
			os_iommu_unmap(space->iommu, entry->gpa, gpa - entry->gpa);
			return error;
		}
		os_yield();
	}
	return 0;
}

int dma_map(struct vm *vm, struct memmap_entry *entry)
{
	struct dma_space *space;
	int error = 0;

	if (!memory_has_dma(vm) || !dma_covers(entry))
		return 0;
	for (space = vm->memory.dma; space && !error; space = space->next)
		error = space_map(space, entry);
	if (!error) {
		entry->flags |= VM_MEMMAP_F_IOMMU;
		return 0;
	}
	/* The one that failed has cleaned up after itself; those before it have it all. */
	for (struct dma_space *done = vm->memory.dma; done->next != space; done = done->next)
		os_iommu_unmap(done->iommu, entry->gpa, entry->len);
	return error;
}

void dma_unmap(struct vm *vm, struct memmap_entry *entry)
{
	if (!(entry->flags & VM_MEMMAP_F_IOMMU))
		return;
	for (struct dma_space *space = vm->memory.dma; space; space = space->next)
		os_iommu_unmap(space->iommu, entry->gpa, entry->len);
	entry->flags &= ~VM_MEMMAP_F_IOMMU;
}

/* --- spaces -------------------------------------------------------------------- */

static void mark_pieces(struct vm *vm, bool reached)
{
	for (unsigned int i = 0; i < vm->memory.map_count; i++) {
		struct memmap_entry *entry = &vm->memory.map[i];

		if (!dma_covers(entry))
			continue;
		entry->flags = reached ? entry->flags | VM_MEMMAP_F_IOMMU :
					 entry->flags & ~VM_MEMMAP_F_IOMMU;
	}
}

static void space_destroy(struct dma_space *space)
{
	os_iommu_destroy(space->iommu);
	os_free(space);
}

static int space_fill(struct vm *vm, struct dma_space *space)
{
	int error = 0;

	for (unsigned int i = 0; i < vm->memory.map_count && !error; i++) {
		if (dma_covers(&vm->memory.map[i]))
			error = space_map(space, &vm->memory.map[i]);
	}
	return error;
}

/* A space with all of the VM's memory, for this device to be the first of. */
static int space_create(struct vm *vm, struct os_pci *pci, struct dma_space **result)
{
	struct dma_space *space = os_alloc(sizeof(*space));
	int error;

	if (!space)
		return -ENOMEM;
	space->iommu = os_iommu_create(pci);
	if (!space->iommu) {
		os_free(space);
		return -ENOMEM;
	}
	error = space_fill(vm, space);
	if (error) {
		space_destroy(space);
		return error;
	}
	*result = space;
	return 0;
}

static int space_attach(struct dma_space *space, struct os_pci *pci)
{
	int error;

	if (space->devices == SPACE_DEVICES)
		return -EINVAL;
	error = os_iommu_attach(space->iommu, pci);
	if (!error)
		space->device[space->devices++] = pci;
	return error;
}

static int attach_to_new(struct vm *vm, struct os_pci *pci)
{
	struct dma_space *space;
	int error = space_create(vm, pci, &space);

	if (error)
		return error;
	error = space_attach(space, pci);
	if (error) {
		space_destroy(space);
		return error;
	}
	space->next = vm->memory.dma;
	vm->memory.dma = space;
	mark_pieces(vm, true);
	return 0;
}

int dma_attach(struct vm *vm, struct os_pci *pci)
{
	int error = memory_wire(vm);

	if (error)
		return error;
	for (struct dma_space *space = vm->memory.dma; space; space = space->next) {
		error = space_attach(space, pci);
		if (error != -EINVAL)
			return error;
	}
	return attach_to_new(vm, pci);
}

static bool space_detach(struct dma_space *space, struct os_pci *pci)
{
	for (unsigned int i = 0; i < space->devices; i++) {
		if (space->device[i] != pci)
			continue;
		os_iommu_detach(space->iommu, pci);
		space->device[i] = space->device[--space->devices];
		return true;
	}
	return false;
}

void dma_detach(struct vm *vm, struct os_pci *pci)
{
	struct dma_space **link = &vm->memory.dma;
	struct dma_space *space;

	while (*link && !space_detach(*link, pci))
		link = &(*link)->next;
	space = *link;
	if (!space || space->devices)
		return;
	*link = space->next;
	space_destroy(space);
	if (!vm->memory.dma)
		mark_pieces(vm, false);
}
