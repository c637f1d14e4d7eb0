// SPDX-License-Identifier: BSD-2-Clause
/* Passthrough: assigning devices, and what of a device is where. */
#include "api/handlers.h"

#include "ppt/device.h"
#include "vm/vm.h"

/* The assigned device at an address: -EINVAL (no address), -ENOENT. */
static int find_assigned_device(struct vm *vm, int bus, int slot, int func,
				struct ppt_device **device)
{
	struct os_pci_address address;
	int error = ppt_ioctl_address(bus, slot, func, &address);

	if (error)
		return error;
	*device = ppt_of_vm(vm, &address);
	return *device ? 0 : -ENOENT;
}

int ioctl_ppt_bind(struct vm *vm, void *arg)
{
	const struct vm_pptdev *place = arg;
	struct os_pci_address address;
	int error = ppt_ioctl_address(place->bus, place->slot, place->func, &address);

	return error ? error : ppt_assign(vm, &address);
}

int ioctl_ppt_unbind(struct vm *vm, void *arg)
{
	const struct vm_pptdev *place = arg;
	struct os_pci_address address;
	int error = ppt_ioctl_address(place->bus, place->slot, place->func, &address);

	return error ? error : ppt_unassign(vm, &address);
}

int ioctl_ppt_map_mmio(struct vm *vm, void *arg)
{
	const struct vm_pptdev_mmio *mmio = arg;
	struct ppt_device *device;
	int error = find_assigned_device(vm, mmio->bus, mmio->slot, mmio->func, &device);

	return error ? error : ppt_map_mmio(device, mmio->gpa, mmio->hpa, mmio->len);
}

int ioctl_ppt_unmap_mmio(struct vm *vm, void *arg)
{
	const struct vm_pptdev_mmio *mmio = arg;
	struct ppt_device *device;
	int error = find_assigned_device(vm, mmio->bus, mmio->slot, mmio->func, &device);

	return error ? error : ppt_unmap_mmio(device, mmio->gpa, mmio->len);
}

int ioctl_ppt_msi(struct vm *vm, void *arg)
{
	const struct vm_pptdev_msi *msi = arg;
	struct ppt_device *device;
	int error = find_assigned_device(vm, msi->bus, msi->slot, msi->func, &device);

	return error ? error : ppt_set_msi(device, msi->addr, msi->msg, msi->numvec);
}

int ioctl_ppt_msix(struct vm *vm, void *arg)
{
	const struct vm_pptdev_msix *msix = arg;
	struct ppt_device *device;
	int error = find_assigned_device(vm, msix->bus, msix->slot, msix->func, &device);

	return error ? error : ppt_set_msix(device, msix);
}

int ioctl_ppt_disable_msix(struct vm *vm, void *arg)
{
	const struct vm_pptdev *place = arg;
	struct ppt_device *device;
	int error = find_assigned_device(vm, place->bus, place->slot, place->func, &device);

	if (!error && device->interrupts == OS_PCI_MSIX)
		ppt_interrupts_off(device);
	return error;
}

int ioctl_ppt_intx(struct vm *vm, void *arg)
{
	const struct vm_pptdev_intx *intx = arg;
	struct ppt_device *device;
	int error = find_assigned_device(vm, intx->bus, intx->slot, intx->func, &device);

	return error ? error : ppt_set_intx(device, intx->ioapic_irq);
}

/* As the guest's own reset of the function: where its registers are mapped is userspace's. */
int ioctl_ppt_reset(struct vm *vm, void *arg)
{
	const struct vm_pptdev *place = arg;
	struct ppt_device *device;
	int error = find_assigned_device(vm, place->bus, place->slot, place->func, &device);

	return error ? error : ppt_restart(device, true);
}

int ioctl_ppt_limits(struct vm *vm, void *arg)
{
	struct vm_pptdev_limits *limits = arg;
	struct ppt_device *device;
	int error = find_assigned_device(vm, limits->bus, limits->slot, limits->func, &device);

	if (error)
		return error;
	limits->msi_limit = (int)device->info.msi_vectors;
	limits->msix_limit = (int)device->info.msix_vectors;
	return 0;
}
