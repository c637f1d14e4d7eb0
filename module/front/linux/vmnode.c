// SPDX-License-Identifier: BSD-2-Clause
/*
 * Device nodes: /dev/vmmctl, /dev/vmm/NAME, /dev/vmm.io/NAME.SEG. One range of
 * device numbers with one cdev serves all; an open file finds its node by minor
 * number. Nodes are looked up by name only to keep names unique.
 */
#include <linux/cdev.h>
#include <linux/hashtable.h>
#include <linux/kdev_t.h>
#include <linux/mutex.h>
#include <linux/stringhash.h>
#include <linux/xarray.h>
#include "os/linux/compat.h"
#include "front/linux/front.h"

#define MINORS (MINORMASK + 1)

static dev_t first_number;
static struct cdev cdev;
static DEFINE_MUTEX(lock);
static DEFINE_XARRAY_ALLOC(by_minor); /* lock: nodes that can be opened */
static DEFINE_HASHTABLE(by_name, 10); /* lock: nodes whose names are in use */

static struct class vmnode_class = {
	.name = "vmm",
};

static inline struct vmnode *vmnode_of(const struct device *device)
{
	return container_of(device, struct vmnode, device);
}

/* Called with null pointers when the node is removed. */
static char *vmnode_devnode(compat_devnode_device *device, umode_t *mode, kuid_t *uid, kgid_t *gid)
{
	const struct vmnode *node = vmnode_of(device);

	if (mode)
		*mode = node->mode;
	if (uid)
		*uid = node->uid;
	if (gid)
		*gid = node->gid;
	return NULL;
}

static const struct device_type vmnode_type = {
	.name = "vmm",
	.devnode = vmnode_devnode,
};

static void vmnode_release(struct device *device)
{
	os_free(vmnode_of(device));
}

/* --- opening ----------------------------------------------------------------- */

static const struct file_operations *const vmnode_fops[NODE_KINDS] = {
	[NODE_CONTROL] = &vmmctl_fops,
	[NODE_VM] = &vmdev_fops,
	[NODE_SEGMENT] = &vmio_fops,
};

/*
 * Replaces the file's operations by those of the node's kind. Neither the node nor its
 * VM can be freed while the lock is held.
 */
static int vmnode_open(struct inode *inode, struct file *file)
{
	struct vmdev *vmdev = NULL;
	struct vmnode *node;
	int segid;

	mutex_lock(&lock);
	node = xa_load(&by_minor, iminor(inode));
	if (!node) {
		mutex_unlock(&lock);
		return -ENXIO;
	}
	if (node->vmdev)
		vmdev = vmdev_get(node->vmdev);
	segid = node->segid;
	replace_fops(file, fops_get(vmnode_fops[node->kind]));
	mutex_unlock(&lock);
	return vmdev ? vmfile_open(file, vmdev, segid) : vmmctl_open(file);
}

static const struct file_operations open_fops = {
	.owner = THIS_MODULE,
	.open = vmnode_open,
};

/* --- finding by name ------------------------------------------------------------- */

static u32 name_hash(const char *name)
{
	return full_name_hash(NULL, name, strlen(name));
}

static struct vmnode *find_name(const char *name)
{
	struct vmnode *node;

	hash_for_each_possible(by_name, node, by_name, name_hash(name))
	{
		if (strcmp(dev_name(&node->device), name) == 0)
			return node;
	}
	return NULL;
}

/* A name is released before its reference to the VM is dropped: the VM is valid. */
struct vmdev *vmnode_find_vmdev(const char *name)
{
	struct vmdev *vmdev = NULL;
	struct vmnode *node;

	mutex_lock(&lock);
	node = find_name(name);
	if (node && node->kind == NODE_VM)
		vmdev = vmdev_get(node->vmdev);
	mutex_unlock(&lock);
	return vmdev;
}

/* --- creating and removing ------------------------------------------------------- */

/* Allocate the name and a minor number for the node: both or neither. */
static int vmnode_reserve(struct vmnode *node)
{
	u32 minor;
	int error;

	mutex_lock(&lock);
	if (find_name(dev_name(&node->device))) {
		error = -EEXIST;
		goto out;
	}
	error = xa_alloc(&by_minor, &minor, node, XA_LIMIT(0, MINORMASK), GFP_KERNEL);
	if (error) {
		error = error == -EBUSY ? -ENOSPC : error;
		goto out;
	}
	node->device.devt = MKDEV(MAJOR(first_number), minor);
	hash_add(by_name, &node->by_name, name_hash(dev_name(&node->device)));
out:
	mutex_unlock(&lock);
	return error;
}

/* It cannot be opened any more. False if that was so before. */
static bool vmnode_hide(struct vmnode *node)
{
	bool was_visible;

	mutex_lock(&lock);
	was_visible = xa_load(&by_minor, MINOR(node->device.devt)) == node;
	if (was_visible)
		xa_erase(&by_minor, MINOR(node->device.devt));
	mutex_unlock(&lock);
	return was_visible;
}

static void vmnode_forget_name(struct vmnode *node)
{
	mutex_lock(&lock);
	hash_del(&node->by_name);
	mutex_unlock(&lock);
}

static struct vmnode *vmnode_alloc(const char *name)
{
	struct vmnode *node = os_alloc(sizeof(*node));

	if (!node)
		return NULL;
	device_initialize(&node->device);
	node->device.class = &vmnode_class;
	node->device.type = &vmnode_type;
	node->device.release = vmnode_release;
	if (dev_set_name(&node->device, "%s", name)) {
		put_device(&node->device);
		return NULL;
	}
	return node;
}

struct vmnode *vmnode_create(enum vmnode_kind kind, const struct vmnode_owner *owner,
			     struct vmdev *vmdev, int segid, const char *name)
{
	struct vmnode *node = vmnode_alloc(name);
	int error;

	if (!node)
		return ERR_PTR(-ENOMEM);
	node->kind = kind;
	node->mode = owner->mode;
	node->uid = owner->uid;
	node->gid = owner->gid;
	node->vmdev = vmdev;
	node->segid = segid;
	error = vmnode_reserve(node);
	if (error)
		goto fail;
	error = device_add(&node->device);
	if (error)
		goto fail_reserved;
	return node;

fail_reserved:
	vmnode_hide(node);
	vmnode_forget_name(node);
fail:
	put_device(&node->device);
	return ERR_PTR(error);
}

void vmnode_remove(struct vmnode *node)
{
	if (vmnode_hide(node))
		device_del(&node->device);
}

void vmnode_free(struct vmnode *node)
{
	vmnode_remove(node);
	vmnode_forget_name(node);
	put_device(&node->device);
}

/* --- module load and unload -------------------------------------------------------- */

int vmnodes_init(void)
{
	int error = alloc_chrdev_region(&first_number, 0, MINORS, "vmm");

	if (error)
		return error;
	error = class_register(&vmnode_class);
	if (error)
		goto fail_region;
	cdev_init(&cdev, &open_fops);
	cdev.owner = THIS_MODULE;
	error = cdev_add(&cdev, first_number, MINORS);
	if (error)
		goto fail_class;
	return 0;

fail_class:
	class_unregister(&vmnode_class);
fail_region:
	unregister_chrdev_region(first_number, MINORS);
	return error;
}

void vmnodes_exit(void)
{
	cdev_del(&cdev);
	class_unregister(&vmnode_class);
	unregister_chrdev_region(first_number, MINORS);
	xa_destroy(&by_minor);
}
