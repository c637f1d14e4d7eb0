// SPDX-License-Identifier: BSD-2-Clause
/* Assigned devices. */
#include "internal.h"

static int simple_request(struct vmctx *ctx, unsigned long request, int bus, int slot, int func)
{
	struct vm_pptdev device = { .bus = bus, .slot = slot, .func = func };

	return ioctl(ctx->fd, request, &device);
}

int vm_assign_pptdev(struct vmctx *ctx, int bus, int slot, int func)
{
	return simple_request(ctx, VM_BIND_PPTDEV, bus, slot, func);
}

int vm_unassign_pptdev(struct vmctx *ctx, int bus, int slot, int func)
{
	return simple_request(ctx, VM_UNBIND_PPTDEV, bus, slot, func);
}

int vm_map_pptdev_mmio(struct vmctx *ctx, int bus, int slot, int func, vm_paddr_t gpa, size_t len,
		       vm_paddr_t hpa)
{
	struct vm_pptdev_mmio mmio = {
		.bus = bus,
		.slot = slot,
		.func = func,
		.gpa = gpa,
		.hpa = hpa,
		.len = len,
	};

	return ioctl(ctx->fd, VM_MAP_PPTDEV_MMIO, &mmio);
}

int vm_unmap_pptdev_mmio(struct vmctx *ctx, int bus, int slot, int func, vm_paddr_t gpa, size_t len)
{
	struct vm_pptdev_mmio mmio = {
		.bus = bus,
		.slot = slot,
		.func = func,
		.gpa = gpa,
		.len = len,
	};

	return ioctl(ctx->fd, VM_UNMAP_PPTDEV_MMIO, &mmio);
}

int vm_setup_pptdev_msi(struct vmctx *ctx, int bus, int slot, int func, uint64_t addr, uint64_t msg,
			int numvec)
{
	struct vm_pptdev_msi msi = {
		.bus = bus,
		.slot = slot,
		.func = func,
		.numvec = numvec,
		.msg = msg,
		.addr = addr,
	};

	return ioctl(ctx->fd, VM_PPTDEV_MSI, &msi);
}

int vm_setup_pptdev_msix(struct vmctx *ctx, int bus, int slot, int func, int idx, uint64_t addr,
			 uint64_t msg, uint32_t vector_control)
{
	struct vm_pptdev_msix msix = {
		.bus = bus,
		.slot = slot,
		.func = func,
		.idx = idx,
		.msg = msg,
		.vector_control = vector_control,
		.addr = addr,
	};

	return ioctl(ctx->fd, VM_PPTDEV_MSIX, &msix);
}

int vm_disable_pptdev_msix(struct vmctx *ctx, int bus, int slot, int func)
{
	return simple_request(ctx, VM_PPTDEV_DISABLE_MSIX, bus, slot, func);
}

int vm_setup_pptdev_intx(struct vmctx *ctx, int bus, int slot, int func, int ioapic_irq)
{
	struct vm_pptdev_intx intx = {
		.bus = bus,
		.slot = slot,
		.func = func,
		.ioapic_irq = ioapic_irq,
	};

	return ioctl(ctx->fd, VM_PPTDEV_INTX, &intx);
}

int vm_reset_pptdev(struct vmctx *ctx, int bus, int slot, int func)
{
	return simple_request(ctx, VM_PPTDEV_RESET, bus, slot, func);
}

int vm_get_pptdev_limits(struct vmctx *ctx, int bus, int slot, int func, int *msi_limit,
			 int *msix_limit)
{
	struct vm_pptdev_limits limits = { .bus = bus, .slot = slot, .func = func };

	if (ioctl(ctx->fd, VM_PPTDEV_LIMITS, &limits))
		return -1;
	*msi_limit = limits.msi_limit;
	*msix_limit = limits.msix_limit;
	return 0;
}
