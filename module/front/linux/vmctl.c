// SPDX-License-Identifier: BSD-2-Clause
/*
 * /dev/vmmctl: creating and destroying VMs. Whoever may open it may create VMs: root,
 * and the group that the module parameter "gid" or a udev rule names.
 */
#include <linux/ctype.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include <vmm/vmm_dev.h>
#include "front/linux/front.h"

/* An open /dev/vmmctl, and the VMs that its close destroys. */
struct control {
	struct list_head monitored; /* vmdevs lock */
};

int vmmctl_open(struct file *file)
{
	struct control *control = os_alloc(sizeof(*control));

	if (!control)
		return -ENOMEM;
	INIT_LIST_HEAD(&control->monitored);
	file->private_data = control;
	return 0;
}

static int vmmctl_release(struct inode *inode, struct file *file)
{
	struct control *control = file->private_data;

	vmdev_destroy_monitored(&control->monitored);
	os_free(control);
	return 0;
}

/*
 * A name becomes a file name under /dev/vmm, where the kernel writes '/' as '!'
 * (so that '!' would be read as '/').
 */
static int check_name(const char *name, size_t size)
{
	size_t len = strnlen(name, size);
	size_t i;

	if (len == 0 || len > VM_MAX_NAMELEN)
		return -EINVAL;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	for (i = 0; i < len; i++) {
		if (name[i] <= ' ' || name[i] > '~' || name[i] == '/' || name[i] == '!')
			return -EINVAL;
	}
	return 0;
}

static long control_create(struct control *control, const void __user *user)
{
	struct vmmctl_vm_create arg;
	int error;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	if (arg.flags & ~VMMCTL_FLAGS_MASK)
		return -EINVAL;
	if (memchr_inv(arg.reserved, 0, sizeof(arg.reserved)))
		return -EINVAL;
	error = check_name(arg.name, sizeof(arg.name));
	if (error)
		return error;
	if (arg.flags & VMMCTL_CREATE_DESTROY_ON_CLOSE)
		return vmdev_create(arg.name, &control->monitored);
	return vmdev_create(arg.name, NULL);
}

static long control_destroy(const void __user *user)
{
	struct vmmctl_vm_destroy arg;
	int error;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	if (memchr_inv(arg.reserved, 0, sizeof(arg.reserved)))
		return -EINVAL;
	error = check_name(arg.name, sizeof(arg.name));
	return error ? error : vmdev_destroy_by_name(arg.name);
}

static long vmmctl_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
	switch (command) {
	case VMMCTL_VM_CREATE:
		return control_create(file->private_data, (const void __user *)arg);
	case VMMCTL_VM_DESTROY:
		return control_destroy((const void __user *)arg);
	default:
		return -ENOTTY;
	}
}

const struct file_operations vmmctl_fops = {
	.owner = THIS_MODULE,
	.release = vmmctl_release,
	.unlocked_ioctl = vmmctl_ioctl,
};
