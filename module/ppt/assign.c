// SPDX-License-Identifier: BSD-2-Clause
/*
 * Assigning a device to a VM and unassigning it. Both reset it; unassigning frees its
 * interrupts first and then blocks its DMA, before any page of the guest can be freed.
 */
#include "vm/dma.h"
#include "vm/vcpu.h"
#include "ppt/device.h"

/* --- checks --------------------------------------------------------------- */

static int refuse_assignment(struct vm *vm, const struct ppt_device *device, int error,
			     const char *why)
{
	os_warn_limited(&vm->log, "ppt: %s: %s cannot have it: %s", device->name, vm->name, why);
	return error;
}

struct peer_check {
	struct vm *vm;
	const struct ppt_device *device;
};

/* Bridges do no DMA of their own; every other member of the group must be reserved. */
static int check_peer(const struct os_pci_peer *peer, void *arg)
{
	const struct peer_check *check = arg;

	if (peer->bridge || peer->ours)
		return 0;
	os_warn_limited(
		&check->vm->log,
		"ppt: %s: %s cannot have it: its IOMMU group %d is not whole: %s, %s%s, is not reserved",
		check->device->name, check->vm->name, check->device->info.group, peer->name,
		peer->driver[0] ? "with driver " : "without a driver", peer->driver);
	return -EXDEV;
}

static int check_group(struct vm *vm, struct ppt_device *device)
{
	struct peer_check check = { .vm = vm, .device = device };

	if (device->info.group < 0)
		return refuse_assignment(
			vm, device, -ENOTSUP,
			"no IOMMU would keep its DMA away from the host (VT-d or AMD-Vi, on "
			"in firmware and kernel)");
	return os_pci_each_peer(device->pci, check_peer, &check);
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
	return refuse_assignment(
		vm, device, -EACCES,
		"without interrupt remapping it could forge interrupts of the host");
}

/* --- assigning ------------------------------------------------------------ */

/* A device without a reset is assigned with its last user's state. */
static int reset_for(struct vm *vm, struct ppt_device *device)
{
	int error = os_pci_reset(device->pci);

	if (error == -ENOTTY) {
		os_info("ppt: %s has no reset: what one user left in it the next may find",
			device->name);
		return 0;
	}
	if (error == -EAGAIN)
		return refuse_assignment(vm, device, -EBUSY, "the host holds it");
	return error ? refuse_assignment(vm, device, -EIO, "its reset failed") : 0;
}

static int attach_to_vm(struct vm *vm, struct ppt_device *device)
{
	int error = dma_attach(vm, device->pci);

	switch (error) {
	case 0:
		device->attached = true;
		return 0;
	case -EBUSY:
		return refuse_assignment(vm, device, error,
					 "the host does DMA with its IOMMU group");
	case -ENOMEM:
		return refuse_assignment(vm, device, error, "no memory to wire the guest's RAM");
	case -EINTR:
		return error;
	default:
		return refuse_assignment(vm, device, error,
					 "the IOMMU does not take the guest's memory");
	}
}

static int prepare_assignment(struct vm *vm, struct ppt_device *device)
{
	int error = check_group(vm, device);

	if (!error)
		error = check_interrupts(vm, device);
	if (!error)
		error = reset_for(vm, device);
	if (!error)
		error = attach_to_vm(vm, device);
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
	error = prepare_assignment(vm, device);
	if (error) {
		ppt_disclaim(device);
		return error;
	}
	device->vm_next = vm->ppt;
	vm->ppt = device;
	os_info("ppt: %s is with %s", device->name, vm->name);
	return 0;
}

/* --- unassigning ---------------------------------------------------------- */

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
