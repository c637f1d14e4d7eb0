/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the library's files share: the two handles and the way to an ioctl.
 */
#ifndef VMMAPI_INTERNAL_H
#define VMMAPI_INTERNAL_H

#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "vmmapi.h"

#define GIB (1024ULL * 1024 * 1024)
#define MIB (1024ULL * 1024)

#define nitems(array) (sizeof(array) / sizeof((array)[0]))

/* VM_MMAP_SPARSE maps memory in pieces of this size. */
#define SPARSE_CHUNK (2 * MIB)

struct vmctx {
	int fd;	    /* /dev/vmm/NAME */
	int ctl_fd; /* /dev/vmmctl in monitor mode, else -1 */
	uint32_t lowmem_limit;
	int memflags;

	/* Written once by vm_setup_memory(), constant after. */
	enum vm_mmap_style style;
	size_t lowmem;
	size_t highmem;
	char *base;	/* where guest-physical 0 is; NULL: no mapping */
	void *reserved; /* the address range around it */
	size_t reserved_len;

	pthread_mutex_t sparse_lock; /* guards sparse_map[] */
	uint8_t *sparse_map;	     /* one byte per SPARSE_CHUNK: mapped? */

	char stat_desc[sizeof(((struct vm_stat_desc *)NULL)->desc)];
	char name[]; /* constant */
};

struct vcpu {
	struct vmctx *ctx;
	int id;
	uint64_t *stats;   /* vm_get_stats()'s answer */
	size_t stats_room; /* entries */
};

/* Releases what vm_setup_memory() made in the process; the VM keeps its memory. */
void vmmapi_unmap_memory(struct vmctx *ctx);

#endif
