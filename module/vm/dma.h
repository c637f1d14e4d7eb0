/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the DMA of a guest's devices reaches: its system memory, at the addresses
 * the guest sees it at, and nothing else. A VM has one such space, and more only
 * where devices sit behind IOMMUs that cannot share one.
 */
#ifndef VM_DMA_H
#define VM_DMA_H

#include "vm/memory.h"

struct vm;

/* All of these: vm->lock held and all vCPUs frozen. */

/* Attach a device to this VM's memory: 0 or a negative errno of os_iommu_attach(). sleep */
int dma_attach(struct vm *vm, struct os_pci *pci);
/* Its DMA reaches nothing afterwards. Nothing if it was not attached. sleep */
void dma_detach(struct vm *vm, struct os_pci *pci);

/* Add a piece of the map, all of it backed, to every space; remove it. sleep */
int dma_map(struct vm *vm, struct memmap_entry *entry);
void dma_unmap(struct vm *vm, struct memmap_entry *entry);

/* Devices see system memory only. */
bool dma_covers(const struct memmap_entry *entry);
/* Some device of the guest may reach its memory. */
bool memory_has_dma(const struct vm *vm);

#endif
