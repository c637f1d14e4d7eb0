// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory segments, where they lie in guest-physical space, and guest memory in
 * the process: one range of addresses in which guest-physical X is at base + X,
 * with the hole below 4 GiB and a guard on both sides inaccessible.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define HIGHMEM_BASE (4 * GIB)
#define GUARD_SIZE   (4 * MIB)
#define BASE_ALIGN   (2 * MIB) /* lets the host map 2 MiB pages */

uint32_t vm_get_lowmem_limit(struct vmctx *ctx)
{
	return ctx->lowmem_limit;
}

void vm_set_lowmem_limit(struct vmctx *ctx, uint32_t limit)
{
	ctx->lowmem_limit = limit;
}

void vm_set_memflags(struct vmctx *ctx, int flags)
{
	ctx->memflags = flags;
}

int vm_get_memflags(struct vmctx *ctx)
{
	return ctx->memflags;
}

size_t vm_get_lowmem_size(struct vmctx *ctx)
{
	return ctx->lowmem;
}

size_t vm_get_highmem_size(struct vmctx *ctx)
{
	return ctx->highmem;
}

vm_paddr_t vm_get_highmem_base(struct vmctx *ctx)
{
	(void)ctx;
	return HIGHMEM_BASE;
}

int vm_get_guestmem_from_ctx(struct vmctx *ctx, char **guest_baseaddr, size_t *lowmem_size,
			     size_t *highmem_size)
{
	*guest_baseaddr = ctx->base;
	*lowmem_size = ctx->lowmem;
	*highmem_size = ctx->highmem;
	return 0;
}

int vm_get_memseg(struct vmctx *ctx, int segid, size_t *lenp, char *name, size_t namesiz)
{
	struct vm_memseg memseg = { .segid = segid };

	if (ioctl(ctx->fd, VM_GET_MEMSEG, &memseg))
		return -1;
	memseg.name[sizeof(memseg.name) - 1] = '\0';
	if (strlen(memseg.name) >= namesiz) {
		errno = ENAMETOOLONG;
		return -1;
	}
	*lenp = memseg.len;
	strcpy(name, memseg.name);
	return 0;
}

/* Allocates a segment, or finds the one that is there fit. */
static int alloc_memseg(struct vmctx *ctx, int segid, size_t len, const char *name)
{
	struct vm_memseg memseg = {
		.segid = segid,
		.len = len,
	};
	char old_name[sizeof(memseg.name)];
	size_t old_len;

	if (strlen(name) >= sizeof(memseg.name) || strchr(name, '/')) {
		errno = EINVAL;
		return -1;
	}
	if (vm_get_memseg(ctx, segid, &old_len, old_name, sizeof(old_name)))
		return -1;
	if (old_len == 0) {
		strcpy(memseg.name, name);
		return ioctl(ctx->fd, VM_ALLOC_MEMSEG, &memseg);
	}
	if (old_len != len || strcmp(old_name, name) != 0) {
		errno = EINVAL;
		return -1;
	}
	return 0;
}

int vm_mmap_getnext(struct vmctx *ctx, vm_paddr_t *gpa, int *segid, vm_ooffset_t *segoff,
		    size_t *len, int *prot, int *flags)
{
	struct vm_memmap memmap = { .gpa = *gpa };

	if (ioctl(ctx->fd, VM_MMAP_GETNEXT, &memmap))
		return -1;
	*gpa = memmap.gpa;
	*segid = memmap.segid;
	*segoff = memmap.segoff;
	*len = memmap.len;
	*prot = memmap.prot;
	*flags = memmap.flags;
	return 0;
}

/* An existing mapping may be wired without a request: an assigned device needs that. */
static bool is_same_mapping(const struct vm_memmap *existing, const struct vm_memmap *requested)
{
	return existing->gpa == requested->gpa && existing->segid == requested->segid &&
	       existing->segoff == requested->segoff && existing->len == requested->len &&
	       existing->prot == requested->prot && !(requested->flags & ~existing->flags);
}

int vm_mmap_memseg(struct vmctx *ctx, vm_paddr_t gpa, int segid, vm_ooffset_t segoff, size_t len,
		   int prot)
{
	struct vm_memmap requested = {
		.gpa = gpa,
		.segid = segid,
		.segoff = segoff,
		.len = len,
		.prot = prot,
		.flags = ctx->memflags & VM_MEM_F_WIRED ? VM_MEMMAP_F_WIRED : 0,
	};
	struct vm_memmap existing = { .gpa = gpa };

	/* bhyveload has mapped what bhyve maps again. */
	if (ioctl(ctx->fd, VM_MMAP_GETNEXT, &existing) == 0 && existing.gpa == gpa) {
		if (is_same_mapping(&existing, &requested))
			return 0;
		errno = EEXIST;
		return -1;
	}
	return ioctl(ctx->fd, VM_MMAP_MEMSEG, &requested);
}

int vm_munmap_memseg(struct vmctx *ctx, vm_paddr_t gpa, size_t len)
{
	struct vm_munmap request = {
		.gpa = gpa,
		.len = len,
	};

	return ioctl(ctx->fd, VM_MUNMAP_MEMSEG, &request);
}

/* As many as bhyve's programs have room for. */
#define GPA_PMAP_ENTRIES 4

int vm_get_gpa_pmap(struct vmctx *ctx, uint64_t gpa, uint64_t *pte, int *num)
{
	struct vm_gpa_pte request = { .gpa = gpa };
	int above;

	if (ioctl(ctx->fd, VM_GET_GPA_PMAP, &request))
		return -1;
	above = request.ptenum > GPA_PMAP_ENTRIES ? request.ptenum - GPA_PMAP_ENTRIES : 0;
	memcpy(pte, request.pte + above, GPA_PMAP_ENTRIES * sizeof(*pte));
	*num = request.ptenum - above;
	return 0;
}

static int map_into_process(struct vmctx *ctx, vm_paddr_t gpa, size_t len)
{
	void *address = ctx->base + gpa;

	if (mmap(address, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, ctx->fd,
		 (off_t)gpa) == MAP_FAILED)
		return -1;
	/* Dumping a guest into a core file is for those who ask for it. */
	if (!(ctx->memflags & VM_MEM_F_INCORE))
		(void)madvise(address, len, MADV_DONTDUMP);
	return 0;
}

static size_t guest_span(const struct vmctx *ctx)
{
	return ctx->highmem ? HIGHMEM_BASE + ctx->highmem : ctx->lowmem;
}

static int reserve_addresses(struct vmctx *ctx)
{
	size_t len = guest_span(ctx) + 2 * GUARD_SIZE + BASE_ALIGN;
	void *start =
		mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED)
		return -1;
	ctx->reserved = start;
	ctx->reserved_len = len;
	ctx->base = (char *)(((uintptr_t)start + GUARD_SIZE + BASE_ALIGN - 1) & ~(BASE_ALIGN - 1));
	return 0;
}

static int map_guest_memory(struct vmctx *ctx)
{
	if (reserve_addresses(ctx))
		return -1;
	if (ctx->style == VM_MMAP_SPARSE) {
		ctx->sparse_map = calloc(guest_span(ctx) / SPARSE_CHUNK + 1, 1);
		return ctx->sparse_map ? 0 : -1;
	}
	if (map_into_process(ctx, 0, ctx->lowmem))
		return -1;
	return ctx->highmem ? map_into_process(ctx, HIGHMEM_BASE, ctx->highmem) : 0;
}

void vmmapi_unmap_memory(struct vmctx *ctx)
{
	if (ctx->reserved)
		munmap(ctx->reserved, ctx->reserved_len);
	free(ctx->sparse_map);
	ctx->reserved = NULL;
	ctx->sparse_map = NULL;
	ctx->base = NULL;
	ctx->lowmem = 0;
	ctx->highmem = 0;
}

static int place_sysmem(struct vmctx *ctx)
{
	if (alloc_memseg(ctx, VM_SYSMEM, ctx->lowmem + ctx->highmem, ""))
		return -1;
	if (vm_mmap_memseg(ctx, 0, VM_SYSMEM, 0, ctx->lowmem, VM_PROT_ALL))
		return -1;
	if (ctx->highmem == 0)
		return 0;
	return vm_mmap_memseg(ctx, HIGHMEM_BASE, VM_SYSMEM, (vm_ooffset_t)ctx->lowmem, ctx->highmem,
			      VM_PROT_ALL);
}

int vm_setup_memory(struct vmctx *ctx, size_t len, enum vm_mmap_style style)
{
	size_t page = (size_t)getpagesize();
	size_t total = (len + page - 1) & ~(page - 1);
	int saved;

	if (ctx->lowmem) {
		errno = EBUSY;
		return -1;
	}
	if (len == 0 || total < len || ctx->lowmem_limit == 0 || ctx->lowmem_limit % page != 0) {
		errno = EINVAL;
		return -1;
	}
	ctx->lowmem = MIN(total, ctx->lowmem_limit);
	ctx->highmem = total - ctx->lowmem;
	ctx->style = style;
	if (place_sysmem(ctx) || (style != VM_MMAP_NONE && map_guest_memory(ctx))) {
		saved = errno;
		vmmapi_unmap_memory(ctx);
		errno = saved;
		return -1;
	}
	return 0;
}

/* Where a chunk of the sparse mapping ends: with the memory it lies in. */
static int map_chunk(struct vmctx *ctx, vm_paddr_t start)
{
	uint64_t end = start < HIGHMEM_BASE ? ctx->lowmem : HIGHMEM_BASE + ctx->highmem;

	if (map_into_process(ctx, start, MIN(SPARSE_CHUNK, end - start)))
		return -1;
	ctx->sparse_map[start / SPARSE_CHUNK] = 1;
	return 0;
}

static int map_sparse_range(struct vmctx *ctx, vm_paddr_t gpa, size_t len)
{
	vm_paddr_t end = gpa + len;
	int error = 0;

	pthread_mutex_lock(&ctx->sparse_lock);
	for (vm_paddr_t at = gpa & ~(SPARSE_CHUNK - 1); at < end && !error; at += SPARSE_CHUNK)
		if (!ctx->sparse_map[at / SPARSE_CHUNK])
			error = map_chunk(ctx, at);
	pthread_mutex_unlock(&ctx->sparse_lock);
	return error;
}

static bool lies_within(vm_paddr_t start, size_t size, vm_paddr_t gpa, size_t len)
{
	return gpa >= start && len <= size && gpa - start <= size - len;
}

void *vm_map_gpa(struct vmctx *ctx, vm_paddr_t gpa, size_t len)
{
	if (!ctx->base)
		return NULL;
	if (!lies_within(0, ctx->lowmem, gpa, len) &&
	    !lies_within(HIGHMEM_BASE, ctx->highmem, gpa, len))
		return NULL;
	if (ctx->style == VM_MMAP_SPARSE && map_sparse_range(ctx, gpa, len))
		return NULL;
	return ctx->base + gpa;
}

vm_paddr_t vm_rev_map_gpa(struct vmctx *ctx, void *addr)
{
	vm_paddr_t gpa = (vm_paddr_t)((char *)addr - ctx->base);

	if (!ctx->base || (char *)addr < ctx->base)
		return (vm_paddr_t)-1;
	if (gpa < ctx->lowmem || lies_within(HIGHMEM_BASE, ctx->highmem, gpa, 1))
		return gpa;
	return (vm_paddr_t)-1;
}

static void *map_devmem(struct vmctx *ctx, const char *name, size_t len)
{
	char path[sizeof("/dev/vmm.io/.") + VM_MAX_NAMELEN + VM_MAX_SUFFIXLEN];
	void *address;
	int saved;
	int fd;

	snprintf(path, sizeof(path), "/dev/vmm.io/%s.%s", ctx->name, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return MAP_FAILED;
	address = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	saved = errno;
	close(fd);
	errno = saved;
	return address;
}

void *vm_create_devmem(struct vmctx *ctx, int segid, const char *name, size_t len)
{
	if (name[0] == '\0' || len == 0) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	if (alloc_memseg(ctx, segid, len, name))
		return MAP_FAILED;
	return map_devmem(ctx, name, len);
}
