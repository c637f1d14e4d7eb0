/* SPDX-License-Identifier: BSD-2-Clause */
/* A memory segment from the inside; for vm/ alone. */
#ifndef VM_SEGMENT_H
#define VM_SEGMENT_H

#include "vm/memory.h"

struct memseg {
	uint64_t len;			 /* (c) bytes, whole pages */
	int id;				 /* (c) segid */
	char name[VM_MAX_SUFFIXLEN + 1]; /* (c) empty: system memory */
	void *front_state;		 /* the front end's device node; vm->lock */
	struct os_account *account;	 /* (c) the VM's: its backing is charged to that */
	uintptr_t *chunk;		 /* (a) backing of each 2 MiB; set under memory.lock */
	uint64_t resident;		 /* bytes with backing; memory.lock */
};

/* How many 2 MiB chunks it is cut into; the last may be cut short. */
static inline uint64_t segment_chunks(const struct memseg *seg)
{
	return (seg->len + CHUNK_SIZE - 1) / CHUNK_SIZE;
}

/* The page at 'offset' (< len) if it has backing, else NULL. 'huge': part of a 2 MiB page. any */
void *memseg_peek(const struct memseg *seg, uint64_t offset, bool *huge);
/* Where a piece of the map has its guest-physical address 'gpa'. */
static inline uint64_t entry_offset(const struct memmap_entry *entry, uint64_t gpa)
{
	return entry->segoff + (gpa - entry->gpa);
}

/* Have every vCPU forget cached translations: what was mapped is not any more. */
void memory_flush(struct vm *vm);
/* Does [gpa, gpa+len) touch a piece of the map, or registers of a device? VM frozen. */
bool memory_overlaps(const struct memory *memory, uint64_t gpa, uint64_t len);
bool devmap_overlaps(const struct memory *memory, uint64_t gpa, uint64_t len);

/* The page at 'offset' (< len), backed if it was not; NULL with *error -ENOMEM. memory.lock; sleep */
void *memseg_back(struct memseg *seg, uint64_t offset, int *error);
/* How many bytes of [offset, offset+len) have no backing. vm->lock, or an owner. */
uint64_t memseg_unbacked(const struct memseg *seg, uint64_t offset, uint64_t len);
/* Back the page at 'offset' (< len): 0 or -ENOMEM. Owner of a vCPU, or vm->lock. sleep */
int memseg_populate(struct vm *vm, struct memseg *seg, uint64_t offset);

#endif
