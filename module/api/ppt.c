// SPDX-License-Identifier: BSD-2-Clause
/* The ioctls of passthrough; api/ioctl.c's table has their rows. */
#include "vm/vcpu.h"
#include "ppt/device.h"

/* The device of the VM that an ioctl names. */
static int named(struct vm *vm, int bus, int slot, int func, struct ppt_device **device)
{
	struct os_pci_address address;
	int error = ppt_ioctl_address(bus, slot, func, &address);

	if (error)
		return error;
	*device = ppt_of_vm(vm, &address);
	return *device ? 0 : -ENOENT;
}

int ppt_ioctl_bind(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_pptdev *place = arg;
	struct os_pci_address address;
	int error = ppt_ioctl_address(place->bus, place->slot, place->func, &address);

	(void)vcpu;
	return error ? error : ppt_assign(vm, &address);
}

int ppt_ioctl_unbind(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_pptdev *place = arg;
	struct os_pci_address address;
	int error = ppt_ioctl_address(place->bus, place->slot, place->func, &address);

	(void)vcpu;
	return error ? error : ppt_unassign(vm, &address);
}

int ppt_ioctl_map_mmio(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_pptdev_mmio *mmio = arg;
	struct ppt_device *device;
	int error = named(vm, mmio->bus, mmio->slot, mmio->func, &device);

	(void)vcpu;
	return error ? error : ppt_map_mmio(device, mmio->gpa, mmio->hpa, mmio->len);
}

int ppt_ioctl_unmap_mmio(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_pptdev_mmio *mmio = arg;
	struct ppt_device *device;
	int error = named(vm, mmio->bus, mmio->slot, mmio->func, &device);

	(void)vcpu;
	return error ? error : ppt_unmap_mmio(device, mmio->gpa, mmio->len);
}

int ppt_ioctl_msi(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_pptdev_msi *msi = arg;
	struct ppt_device *device;
	int error = named(vm, msi->bus, msi->slot, msi->func, &device);

	(void)vcpu;
	return error ? error : ppt_set_msi(device, msi->addr, msi->msg, msi->numvec);
}

int ppt_ioctl_msix(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_pptdev_msix *msix = arg;
	struct ppt_device *device;
	int error = named(vm, msix->bus, msix->slot, msix->func, &device);

	(void)vcpu;
	return error ? error : ppt_set_msix(device, msix);
}

int ppt_ioctl_disable_msix(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_pptdev *place = arg;
	struct ppt_device *device;
	int error = named(vm, place->bus, place->slot, place->func, &device);

	(void)vcpu;
	if (!error && device->interrupts == OS_PCI_MSIX)
		ppt_interrupts_off(device);
	return error;
}

int ppt_ioctl_intx(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_pptdev_intx *intx = arg;
	struct ppt_device *device;
	int error = named(vm, intx->bus, intx->slot, intx->func, &device);

	(void)vcpu;
	return error ? error : ppt_set_intx(device, intx->ioapic_irq);
}

/* As the guest's own reset of the function: where its registers are seen is the program's. */
int ppt_ioctl_reset(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_pptdev *place = arg;
	struct ppt_device *device;
	int error = named(vm, place->bus, place->slot, place->func, &device);

	(void)vcpu;
	return error ? error : ppt_restart(device, true);
}

int ppt_ioctl_limits(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	struct vm_pptdev_limits *limits = arg;
	struct ppt_device *device;
	int error = named(vm, limits->bus, limits->slot, limits->func, &device);

	(void)vcpu;
	if (error)
		return error;
	limits->msi_limit = (int)device->info.msi_vectors;
	limits->msix_limit = (int)device->info.msix_vectors;
	return 0;
}
