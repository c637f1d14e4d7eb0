// SPDX-License-Identifier: BSD-2-Clause
/*
 * The life of a VM: created and destroyed through /dev/vmmctl, opened as
 * /dev/vmm/NAME.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define CONTROL_DEVICE "/dev/vmmctl"
#define VM_DIRECTORY   "/dev/vmm/"

static int close_keeping_errno(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
	return -1;
}

/* A name becomes a file name, so it must be one. */
static int check_name(const char *name)
{
	if (strlen(name) > VM_MAX_NAMELEN) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (name[0] == '\0' || strchr(name, '/') || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0) {
		errno = EINVAL;
		return -1;
	}
	return 0;
}

/* Creates a VM; returns the open control device, whose closing may end it. */
static int create_through_control(const char *name, uint32_t flags)
{
	struct vmmctl_vm_create create = { .flags = flags };
	int fd;

	if (check_name(name))
		return -1;
	strcpy(create.name, name);

	fd = open(CONTROL_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (ioctl(fd, VMMCTL_VM_CREATE, &create))
		return close_keeping_errno(fd);
	return fd;
}

int vm_create(const char *name)
{
	int fd = create_through_control(name, 0);

	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

int vm_destroy_name(const char *name)
{
	struct vmmctl_vm_destroy destroy = { 0 };
	int fd;

	if (check_name(name))
		return -1;
	strcpy(destroy.name, name);

	fd = open(CONTROL_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (ioctl(fd, VMMCTL_VM_DESTROY, &destroy))
		return close_keeping_errno(fd);
	close(fd);
	return 0;
}

static int open_device(const char *name)
{
	char path[sizeof(VM_DIRECTORY) + VM_MAX_NAMELEN];

	if (check_name(name))
		return -1;
	snprintf(path, sizeof(path), "%s%s", VM_DIRECTORY, name);
	return open(path, O_RDWR | O_CLOEXEC);
}

static struct vmctx *new_context(const char *name)
{
	struct vmctx *ctx = calloc(1, sizeof(*ctx) + strlen(name) + 1);

	if (!ctx)
		return NULL;
	strcpy(ctx->name, name);
	ctx->fd = -1;
	ctx->ctl_fd = -1;
	ctx->lowmem_limit = 3 * GIB;
	pthread_mutex_init(&ctx->sparse_lock, NULL);
	return ctx;
}

/*
 * Creates the VM for a context that has found none. Another process may create it
 * first: then that VM is opened, unless it must be ours.
 */
static int create_and_open(struct vmctx *ctx, int flags)
{
	bool monitor = flags & VMMAPI_OPEN_CREATE_DESTROY_ON_CLOSE;
	int fd = create_through_control(ctx->name, monitor ? VMMCTL_CREATE_DESTROY_ON_CLOSE : 0);

	if (fd < 0 && (errno != EEXIST || monitor))
		return -1;
	if (monitor)
		ctx->ctl_fd = fd;
	else if (fd >= 0)
		close(fd);
	ctx->fd = open_device(ctx->name);
	return ctx->fd < 0 ? -1 : 0;
}

static int open_or_create(struct vmctx *ctx, int flags)
{
	int create = flags & (VMMAPI_OPEN_CREATE | VMMAPI_OPEN_CREATE_DESTROY_ON_CLOSE);

	ctx->fd = open_device(ctx->name);
	if (ctx->fd < 0)
		return errno == ENOENT && create ? create_and_open(ctx, flags) : -1;
	if (flags & VMMAPI_OPEN_CREATE_DESTROY_ON_CLOSE) {
		errno = EEXIST;
		return -1;
	}
	return flags & VMMAPI_OPEN_REINIT ? vm_reinit(ctx) : 0;
}

struct vmctx *vm_openf(const char *name, int flags)
{
	struct vmctx *ctx;
	int saved;

	if (flags &
	    ~(VMMAPI_OPEN_CREATE | VMMAPI_OPEN_REINIT | VMMAPI_OPEN_CREATE_DESTROY_ON_CLOSE)) {
		errno = EINVAL;
		return NULL;
	}
	ctx = new_context(name);
	if (!ctx)
		return NULL;
	if (open_or_create(ctx, flags)) {
		saved = errno;
		vm_close(ctx);
		errno = saved;
		return NULL;
	}
	return ctx;
}

struct vmctx *vm_open(const char *name)
{
	return vm_openf(name, 0);
}

void vm_close(struct vmctx *ctx)
{
	vmmapi_unmap_memory(ctx);
	if (ctx->fd >= 0)
		close(ctx->fd);
	if (ctx->ctl_fd >= 0)
		close(ctx->ctl_fd);
	pthread_mutex_destroy(&ctx->sparse_lock);
	free(ctx);
}

void vm_destroy(struct vmctx *ctx)
{
	/* By name and before closing: a monitored VM may not outlive its file. */
	vm_destroy_name(ctx->name);
	vm_close(ctx);
}

const char *vm_get_name(struct vmctx *ctx)
{
	return ctx->name;
}

int vm_get_device_fd(struct vmctx *ctx)
{
	return ctx->fd;
}

int vm_suspend(struct vmctx *ctx, enum vm_suspend_how how)
{
	struct vm_suspend request = { .how = how };

	return ioctl(ctx->fd, VM_SUSPEND, &request);
}

int vm_reinit(struct vmctx *ctx)
{
	return ioctl(ctx->fd, VM_REINIT, 0);
}

int vm_set_topology(struct vmctx *ctx, uint16_t sockets, uint16_t cores, uint16_t threads,
		    uint16_t maxcpus)
{
	struct vm_cpu_topology topology = {
		.sockets = sockets,
		.cores = cores,
		.threads = threads,
		.maxcpus = maxcpus,
	};

	return ioctl(ctx->fd, VM_SET_TOPOLOGY, &topology);
}

int vm_get_topology(struct vmctx *ctx, uint16_t *sockets, uint16_t *cores, uint16_t *threads,
		    uint16_t *maxcpus)
{
	struct vm_cpu_topology topology = { 0 };

	if (ioctl(ctx->fd, VM_GET_TOPOLOGY, &topology))
		return -1;
	*sockets = topology.sockets;
	*cores = topology.cores;
	*threads = topology.threads;
	*maxcpus = topology.maxcpus;
	return 0;
}
