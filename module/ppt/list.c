// SPDX-License-Identifier: BSD-2-Clause
/* The reserved devices, and which VM each is assigned to. */
#include "vm/vcpu.h"
#include "ppt/device.h"

static struct {
	struct os_mutex lock;
	struct ppt_device *first; /* lock */
} list;

unsigned int ppt_devices; /* the lock to write */

void ppt_init(void)
{
	os_mutex_init(&list.lock);
}

struct ppt_device *ppt_add(struct os_pci *pci, const struct os_pci_info *info)
{
	struct ppt_device *device = os_alloc(sizeof(*device));

	if (!device)
		return NULL;
	device->pci = pci;
	device->info = *info;
	ppt_format_address(&info->address, device->name, sizeof(device->name));
	os_spin_init(&device->message_lock);
	os_mutex_lock(&list.lock);
	device->next = list.first;
	list.first = device;
	WRITE_ONCE(ppt_devices, ppt_devices + 1);
	os_mutex_unlock(&list.lock);
	os_info("ppt: %s is reserved for guests", device->name);
	return device;
}

static void unlink_device(struct ppt_device *device)
{
	struct ppt_device **link = &list.first;

	while (*link != device)
		link = &(*link)->next;
	*link = device->next;
	WRITE_ONCE(ppt_devices, ppt_devices - 1);
}

/*
 * A device is being removed: the VM it is assigned to, with a reference. NULL: it is
 * not assigned, and now not on the list any more.
 */
static struct vm *owner_or_unlink(struct ppt_device *device)
{
	struct vm *vm;

	os_mutex_lock(&list.lock);
	device->removing = true;
	vm = device->vm ? vm_get(device->vm) : NULL;
	if (!vm)
		unlink_device(device);
	os_mutex_unlock(&list.lock);
	return vm;
}

static void unassign_removed(struct vm *vm, struct ppt_device *device)
{
	os_mutex_lock(&vm->lock);
	vm_freeze_always(vm);
	if (ppt_of_vm(vm, &device->info.address) == device) {
		os_warn("ppt: %s is gone from %s, which had it", device->name, vm->name);
		ppt_leave(vm, device);
	}
	vm_thaw(vm);
	os_mutex_unlock(&vm->lock);
}

void ppt_remove(struct ppt_device *device)
{
	struct vm *vm;

	while ((vm = owner_or_unlink(device))) {
		unassign_removed(vm, device);
		vm_put(vm);
	}
	os_info("ppt: %s is not reserved any more", device->name);
	os_free(device);
}

int ppt_prepare_removal(struct ppt_device *device)
{
	int error = 0;

	os_mutex_lock(&list.lock);
	if (device->vm) {
		os_warn("ppt: %s stays: %s has it", device->name, device->vm->name);
		error = -EBUSY;
	} else {
		device->removing = true;
	}
	os_mutex_unlock(&list.lock);
	return error;
}

void ppt_owner(struct ppt_device *device, char *name, size_t size)
{
	os_mutex_lock(&list.lock);
	strscpy(name, device->vm ? device->vm->name : "", size);
	os_mutex_unlock(&list.lock);
}

/* --- claiming; the lock is held ----------------------------------------------------- */

static struct ppt_device *find_reserved(const struct os_pci_address *address)
{
	struct ppt_device *device = list.first;

	while (device && !ppt_same_address(&device->info.address, address))
		device = device->next;
	return device;
}

/* A device of the same IOMMU group that is assigned to another VM. */
static struct ppt_device *rival_in_group(const struct ppt_device *device, const struct vm *vm)
{
	struct ppt_device *other = list.first;

	if (device->info.group < 0)
		return NULL;
	while (other && (!other->vm || other->vm == vm || other->info.group != device->info.group))
		other = other->next;
	return other;
}

static int may_claim(struct vm *vm, const struct ppt_device *device)
{
	struct ppt_device *rival;

	if (device->vm == vm)
		return -EALREADY;
	if (device->vm) {
		os_warn_limited(&vm->log, "ppt: %s: %s cannot have it: %s has", device->name,
				vm->name, device->vm->name);
		return -EBUSY;
	}
	rival = rival_in_group(device, vm);
	if (!rival)
		return 0;
	os_warn_limited(&vm->log,
			"ppt: %s: %s cannot have it: %s of the same IOMMU group is with %s",
			device->name, vm->name, rival->name, rival->vm->name);
	return -EBUSY;
}

int ppt_claim(struct vm *vm, const struct os_pci_address *address, struct ppt_device **result)
{
	struct ppt_device *device;
	char name[PPT_NAME_SIZE];
	int error = -ENOENT;

	os_mutex_lock(&list.lock);
	device = find_reserved(address);
	if (device && !device->removing)
		error = may_claim(vm, device);
	if (!error)
		device->vm = vm;
	os_mutex_unlock(&list.lock);
	*result = device;
	if (error == -ENOENT) {
		ppt_format_address(address, name, sizeof(name));
		os_warn_limited(
			&vm->log,
			"ppt: %s: %s cannot have it: it is not reserved (pptdevs, or bhyvectl "
			"--ppt-attach)",
			name, vm->name);
	}
	return error;
}

void ppt_disclaim(struct ppt_device *device)
{
	os_mutex_lock(&list.lock);
	device->vm = NULL;
	os_mutex_unlock(&list.lock);
}
