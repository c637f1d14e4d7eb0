/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory: segments that belong to the VM, and the map that says where in
 * guest-physical space pieces of them are.
 *
 * A segment is cut into 2 MiB chunks. A chunk is backed, at its first touch,
 * by one 2 MiB page or, where the host's memory is fragmented or the segment's
 * tail is short, by single pages. Backing stays until the segment is freed, so a
 * lookup needs no lock once it has found a page.
 */
#ifndef VM_MEMORY_H
#define VM_MEMORY_H

#include <vmm/vmm.h>
#include <vmm/vmm_dev.h>
#include "os/os.h"

struct vm;
struct vcpu;

#define MEMSEG_MAX  16 /* segments of a VM */
#define MEMMAP_MAX  64 /* pieces of the map */
#define CHUNK_SIZE  0x200000ull
#define CHUNK_PAGES 512

/* Four levels of nested paging reach this far. */
#define MEMMAP_GPA_LIMIT (1ull << 47)

struct memseg; /* vm/memory.c */

struct memmap_entry {
	uint64_t gpa;
	uint64_t len;
	uint64_t segoff;
	struct memseg *seg;
	int segid;
	int prot;  /* VM_PROT_* */
	int flags; /* VM_MEMMAP_F_* */
};

/* Registers of a device that the guest reaches without an exit. */
#define DEVMAP_MAX 128
struct devmap_entry {
	uint64_t gpa;
	uint64_t len;
};

/* Where the registers of in-kernel devices are: nothing is mapped there. */
#define MEMORY_WINDOWS 4

struct memory {
	struct os_mutex lock;			/* innermost: seg[], map[], allocation of backing */
	struct memseg *seg[MEMSEG_MAX];		/* (f) and memory.lock; by segid */
	struct memmap_entry map[MEMMAP_MAX];	/* (f) and memory.lock; sorted by gpa */
	unsigned int map_count;			/* (f) and memory.lock */
	uint64_t generation;			/* (f) differs after each change of the map */
	struct devmap_entry device[DEVMAP_MAX]; /* (f) in no order */
	unsigned int device_count;		/* (f) */
	struct devmap_entry window[MEMORY_WINDOWS]; /* (c) of in-kernel devices */
	unsigned int window_count;		    /* (c) */
	struct dma_space *dma; /* (f) what DMA of assigned devices reaches, vm/dma.h */
};

/* Life of an empty memory; the VM is not visible yet, or not any more. */
void memory_init(struct vm *vm);

/* Registers of an in-kernel device are there. While the VM is being created; bounded. */
void memory_add_window(struct vm *vm, uint64_t gpa, uint64_t len);

/* Segments; vm->lock held, and all vCPUs frozen where they change the map. */
int memory_alloc_segment(struct vm *vm, int segid, uint64_t len, const char *name);
int memory_map(struct vm *vm, const struct vm_memmap *map);
int memory_unmap(struct vm *vm, uint64_t gpa, uint64_t len);
/*
 * Map [hpa, hpa+len) of a device at gpa, whole pages, with an NPT_MEMORY_* type; unmap
 * exactly what has been mapped. -EINVAL, -EEXIST (overlaps memory, another device or a
 * window of an in-kernel device), -ENOSPC, -ENOMEM. VM frozen.
 */
int memory_map_device(struct vm *vm, uint64_t gpa, uint64_t hpa, uint64_t len, int memory_type);
int memory_unmap_device(struct vm *vm, uint64_t gpa, uint64_t len);
/* Back all system memory and map it. 0, -ENOMEM, -EINTR. VM frozen. */
int memory_wire(struct vm *vm);

/* The first piece at or after map->gpa. -ENOENT when there is none. */
int memory_getnext(struct vm *vm, struct vm_memmap *map);
/* Unmap and free everything. VM frozen. */
void memory_free(struct vm *vm);

/* A segment by number or (device memory) by name; NULL. vm->lock or an owner. */
struct memseg *memory_segment(struct vm *vm, int segid);
struct memseg *memory_segment_by_name(struct vm *vm, const char *name);
uint64_t memseg_len(const struct memseg *seg);
int memseg_id(const struct memseg *seg);
const char *memseg_name(const struct memseg *seg); /* "" is system memory */
/* For the front end's device node of a segment. */
void memseg_set_front_state(struct memseg *seg, void *state);
void *memseg_front_state(const struct memseg *seg);

/*
 * The host page that holds byte 'offset' of segment 'segid', backed if it was not,
 * with a reference of its own (os_ram_get) for a mapping of userspace.
 * NULL with *error = -ENOMEM, -EINVAL (outside) or -ENXIO (VM destroyed). Takes
 * no lock but memory.lock, so it may be called from a page fault anywhere. sleep
 */
void *memory_page_get(struct vm *vm, int segid, uint64_t offset, int *error);

/*
 * Files of the VM, vm/access.c. All take no lock but memory.lock, and may be called from a
 * page fault or under mmap_lock. sleep
 *
 * Where [gpa, gpa+len) is, all in one piece of the map, of system memory: 0; -EINVAL: it is
 * not; -ENXIO: the VM is destroyed.
 */
int memory_locate(struct vm *vm, uint64_t gpa, uint64_t len, int *segid, uint64_t *offset);
/*
 * The host page at 'gpa' with a reference of its own (os_ram_get), of any memory that is
 * mapped with 'prot'. To write it is backed if it was not. NULL with *error = 0: nobody has
 * touched it, and it reads as zeros; -EFAULT: no memory there, or not with 'prot'; -ENXIO;
 * -ENOMEM.
 */
void *memory_gpa_get(struct vm *vm, uint64_t gpa, int prot, int *error);
/* Bytes of all segments that have backing, and bytes of the map that are wired. */
void memory_usage(struct vm *vm, uint64_t *resident, uint64_t *wired);

/* What is at a guest-physical address: the entry, or NULL. Owner of a vCPU, or memory.lock. */
const struct memmap_entry *memory_lookup(struct vm *vm, uint64_t gpa);
/*
 * Host address of guest RAM that is mapped with 'prot' and already backed; at most
 * to the end of the page. NULL otherwise: not RAM, or not backed yet. Owner; any context.
 */
void *memory_hva(struct vm *vm, uint64_t gpa, int prot);
/* Back the page at gpa. 0, -ENOMEM, -EFAULT (no memory there). Owner; sleep. */
int memory_populate(struct vm *vm, uint64_t gpa);

/*
 * A nested page fault: 0 when the guest may go on; -EFAULT when nothing (or
 * nothing with that permission) is mapped there, so that it is a device access;
 * -EAGAIN when only the half that may sleep can do it; -ENOMEM.
 * _fast: inner loop; _slow: outer loop. Owner.
 */
int memory_fault_fast(struct vcpu *vcpu, uint64_t gpa, int prot);
int memory_fault_slow(struct vcpu *vcpu, uint64_t gpa, int prot);

#endif
