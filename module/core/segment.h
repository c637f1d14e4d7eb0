/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside of a memory segment, for memory.c and memmap.c only. */
#ifndef CORE_SEGMENT_H
#define CORE_SEGMENT_H

#include "core/memory.h"

struct memseg {
	uint64_t len;			 /* (c) bytes, whole pages */
	int id;				 /* (c) segid */
	char name[VM_MAX_SUFFIXLEN + 1]; /* (c) empty: system memory */
	void *host_state;		 /* os/<host>'s device node; vm->lock */
	uintptr_t *chunk;		 /* (a) backing of each 2 MiB; set under memory.lock */
};

/* The page at 'offset' (< len) if it has backing, else NULL. 'huge': part of a 2 MiB page. any */
void *memseg_peek(const struct memseg *seg, uint64_t offset, bool *huge);
/* Give the page at 'offset' (< len) backing: 0 or -ENOMEM. Owner of a vCPU, or vm->lock. sleep */
int memseg_populate(struct vm *vm, struct memseg *seg, uint64_t offset);

#endif
