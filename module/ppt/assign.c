// SPDX-License-Identifier: BSD-2-Clause
/*
 * A VM gets a device and gives it back. On the way in and on the way out it is
 * reset; on the way out its interrupts end first, and then its DMA, before any page
 * of the guest can be freed.
 */
#include "vm/dma.h"
#include "vm/vcpu.h"
#include "ppt/device.h"

/* --- who may have what ---------------------------------------------------------------- */

static int refuse(struct vm *vm, const struct ppt_device *device, int error, const char *why)
{
	os_warn("ppt: %s: %s cannot have it: %s", device->name, vm->name, why);
	return error;
}

struct look {
	struct vm *vm;
	const struct ppt_device *device;
};

/* A bridge does no DMA of its own; all else of the group must be reserved as well. */
static int look_at_peer(const struct os_pci_peer *peer, void *arg)
{
	const struct look *look = arg;

	if (peer->bridge || peer->ours)
		return 0;
	os_warn("ppt: %s: %s cannot have it: its IOMMU group %d is not whole: %s, %s%s, is not reserved",
		look->device->name, look->vm->name, look->device->info.group, peer->name,
		peer->driver[0] ? "with driver " : "without a driver", peer->driver);
	return -EXDEV;
}

static int check_group(struct vm *vm, struct ppt_device *device)
{
	struct look look = { .vm = vm, .device = device };

	if (device->info.group < 0)
		return refuse(vm, device, -ENOTSUP,
			      "no IOMMU would keep its DMA away from the host (VT-d or AMD-Vi, on "
			      "in firmware and kernel)");
	return os_pci_each_peer(device->pci, look_at_peer, &look);
}

static int check_interrupts(struct vm *vm, struct ppt_device *device)
{
	if (os_pci_interrupts_isolated(device->pci))
		return 0;
	if (os_pci_unsafe_interrupts()) {
		os_warn("ppt: %s: %s gets it although it can forge interrupts of the host",
			device->name, vm->name);
		return 0;
	}
	return refuse(vm, device, -EACCES,
		      "without interrupt remapping it could forge interrupts of the host");
}

/* --- in ---------------------------------------------------------------------------------- */

/* A device without a reset goes on with what its last user left in it. */
static int reset_for(struct vm *vm, struct ppt_device *device)
{
	int error = os_pci_reset(device->pci);

	if (error == -ENOTTY) {
		os_info("ppt: %s has no reset: what one user left in it the next may find",
			device->name);
		return 0;
	}
	if (error == -EAGAIN)
		return refuse(vm, device, -EBUSY, "the host holds it");
	return error ? refuse(vm, device, -EIO, "its reset failed") : 0;
}

static int attach(struct vm *vm, struct ppt_device *device)
{
	int error = dma_attach(vm, device->pci);

	switch (error) {
	case 0:
		device->attached = true;
		return 0;
	case -EBUSY:
		return refuse(vm, device, error, "the host does DMA with its IOMMU group");
	case -ENOMEM:
		return refuse(vm, device, error, "no memory to wire the guest's RAM");
	case -EINTR:
		return error;
	default:
		return refuse(vm, device, error, "the IOMMU does not take the guest's memory");
	}
}

static int enter(struct vm *vm, struct ppt_device *device)
{
	int error = check_group(vm, device);

	if (!error)
		error = check_interrupts(vm, device);
	if (!error)
		error = reset_for(vm, device);
	if (!error)
		error = attach(vm, device);
	return error;
}

int ppt_assign(struct vm *vm, const struct os_pci_address *address)
{
	struct ppt_device *device;
	int error;

	error = ppt_claim(vm, address, &device);
	if (error == -EALREADY)
		return ppt_restart(device, false);
	if (error)
		return error;
	error = enter(vm, device);
	if (error) {
		ppt_disclaim(device);
		return error;
	}
	device->vm_next = vm->ppt;
	vm->ppt = device;
	ppt_set_state(device, PPT_ASSIGNED);
	os_info("ppt: %s is with %s", device->name, vm->name);
	return 0;
}

/* --- out --------------------------------------------------------------------------------- */

int ppt_restart(struct ppt_device *device, bool mapped)
{
	int error;

	ppt_interrupts_off(device);
	if (!mapped)
		ppt_unmap_all(device);
	error = os_pci_reset(device->pci);
	return error == -ENOTTY ? 0 : error;
}

void ppt_leave(struct vm *vm, struct ppt_device *device)
{
	struct ppt_device **link = &vm->ppt;
	int error;

	ppt_set_state(device, PPT_LEAVING);
	error = ppt_restart(device, false);
	if (error)
		os_warn("ppt: %s: not reset after %s (error %d)", device->name, vm->name, -error);
	if (device->attached)
		dma_detach(vm, device->pci);
	device->attached = false;
	while (*link != device)
		link = &(*link)->vm_next;
	*link = device->vm_next;
	ppt_disclaim(device);
	os_info("ppt: %s is free again", device->name);
}

struct ppt_device *ppt_of_vm(struct vm *vm, const struct os_pci_address *address)
{
	struct ppt_device *device = vm->ppt;

	while (device && !ppt_same_address(&device->info.address, address))
		device = device->vm_next;
	return device;
}

int ppt_unassign(struct vm *vm, const struct os_pci_address *address)
{
	struct ppt_device *device = ppt_of_vm(vm, address);

	if (!device)
		return -ENOENT;
	ppt_leave(vm, device);
	return 0;
}

void ppt_release_all(struct vm *vm)
{
	while (vm->ppt)
		ppt_leave(vm, vm->ppt);
}

void ppt_reset_all(struct vm *vm)
{
	for (struct ppt_device *device = vm->ppt; device; device = device->vm_next) {
		if (ppt_restart(device, false))
			os_warn("ppt: %s: not reset with %s", device->name, vm->name);
	}
}
