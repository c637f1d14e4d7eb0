// SPDX-License-Identifier: BSD-2-Clause
/*
 * /dev/vmm/NAME: creating, opening and destroying a VM.
 *
 * vmdev_destroy() runs once for each VM: the thread that sets 'dying' under the lock
 * calls it. It removes the node, destroys the guest and its memory, releases the name,
 * and drops the name's reference. Files that are still open keep the (empty) VM; their
 * ioctls answer ENXIO.
 *
 * A VM outlives the processes that use it, so that bhyveload may hand it to bhyve. But one
 * whose last user was killed by a signal is destroyed: nobody else would free its memory
 * after the OOM killer or kill -9. The sticky bit of its node prevents that.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/stat.h>
#include <linux/uaccess.h>
#include <vmm/vmm_dev.h>
#include "api/ioctl.h"
#include "vm/vcpu.h"
#include "front/linux/front.h"
#include "run/vm.h"

const struct vmm_front vmdev_front = {
	.segment_publish = vmio_segment_publish,
	.segment_withdraw = vmio_segment_withdraw,
	.unmap_userspace = mapping_unmap_userspace,
};

#define NODE_PREFIX    "vmm!"
#define NODE_NAME_SIZE (sizeof(NODE_PREFIX) + VM_MAX_NAMELEN)

static DEFINE_MUTEX(lock);
static LIST_HEAD(unmonitored); /* lock: VMs that outlive the file that created them */
unsigned int vmdev_vms;	       /* lock to write */

/* --- references ---------------------------------------------------------------- */

struct vmdev *vmdev_get(struct vmdev *vmdev)
{
	kref_get(&vmdev->references);
	return vmdev;
}

/* The VM is destroyed already, unless its creation failed. */
static void vmdev_free(struct kref *references)
{
	struct vmdev *vmdev = container_of(references, struct vmdev, references);

	vm_put(vmdev->vm);
	iput(vmdev->inode);
	os_free(vmdev);
	module_put(THIS_MODULE);
}

void vmdev_put(struct vmdev *vmdev)
{
	kref_put(&vmdev->references, vmdev_free);
}

int vmdev_may_use(const struct vmdev *vmdev)
{
	if (uid_eq(current_fsuid(), vmdev->uid) || capable(CAP_SYS_ADMIN))
		return 0;
	return -EPERM;
}

/* --- creating --------------------------------------------------------------------- */

/* A VM without a node, with one reference. */
static struct vmdev *vmdev_alloc(const char *name)
{
	struct vmdev *vmdev = os_alloc(sizeof(*vmdev));
	int error;

	if (!vmdev)
		return ERR_PTR(-ENOMEM);
	kref_init(&vmdev->references);
	init_rwsem(&vmdev->mapping_lock);
	INIT_LIST_HEAD(&vmdev->monitor);
	vmdev->uid = current_fsuid();
	vmdev->gid = current_fsgid();
	vmdev->inode = mapping_inode();
	if (IS_ERR(vmdev->inode)) {
		error = PTR_ERR(vmdev->inode);
		goto fail;
	}
	error = vm_create(name, vmm_maxcpu(), &vmdev->vm);
	if (error)
		goto fail_inode;
	vmdev->vm->front = &vmdev_front;
	vmdev->vm->front_state = vmdev;
	/* The open /dev/vmmctl whose ioctl this is holds the module. */
	__module_get(THIS_MODULE);
	return vmdev;

fail_inode:
	iput(vmdev->inode);
fail:
	os_free(vmdev);
	return ERR_PTR(error);
}

/* From here on other threads can find, use and destroy it. */
static int vmdev_publish(struct vmdev *vmdev, struct list_head *list)
{
	struct vmnode_owner owner = { .mode = 0600, .uid = vmdev->uid, .gid = vmdev->gid };
	char name[NODE_NAME_SIZE];
	struct vmnode *node;

	snprintf(name, sizeof(name), NODE_PREFIX "%s", vmdev->vm->name);
	mutex_lock(&lock);
	node = vmnode_create(NODE_VM, &owner, vmdev, -1, name);
	if (IS_ERR(node)) {
		mutex_unlock(&lock);
		return PTR_ERR(node);
	}
	vmdev->node = node;
	list_add_tail(&vmdev->monitor, list);
	WRITE_ONCE(vmdev_vms, vmdev_vms + 1);
	mutex_unlock(&lock);
	return 0;
}

int vmdev_create(const char *name, struct list_head *monitor)
{
	struct vmdev *vmdev = vmdev_alloc(name);
	int error;

	if (IS_ERR(vmdev))
		return PTR_ERR(vmdev);
	error = vmdev_publish(vmdev, monitor ? monitor : &unmonitored);
	if (error)
		vmdev_put(vmdev);
	return error;
}

/* --- destroying ------------------------------------------------------------------- */

/* Lock held: the caller is the one that destroys it. */
static void vmdev_claim(struct vmdev *vmdev)
{
	vmdev->dying = true;
	list_del_init(&vmdev->monitor);
	WRITE_ONCE(vmdev_vms, vmdev_vms - 1);
}

/* By the thread that claimed it; drops the name's reference. */
static void vmdev_destroy(struct vmdev *vmdev)
{
	vmnode_remove(vmdev->node);
	vm_destroy(vmdev->vm);
	vmnode_free(vmdev->node);
	vmdev->node = NULL;
	vmdev_put(vmdev);
}

int vmdev_destroy_by_name(const char *name)
{
	char node_name[NODE_NAME_SIZE];
	struct vmdev *vmdev;
	int error;

	snprintf(node_name, sizeof(node_name), NODE_PREFIX "%s", name);
	vmdev = vmnode_find_vmdev(node_name);
	if (!vmdev)
		return -ENOENT;
	mutex_lock(&lock);
	error = vmdev_may_use(vmdev);
	if (!error && vmdev->dying)
		error = -EBUSY;
	if (!error)
		vmdev_claim(vmdev);
	mutex_unlock(&lock);
	if (!error)
		vmdev_destroy(vmdev);
	vmdev_put(vmdev);
	return error;
}

void vmdev_destroy_monitored(struct list_head *monitor)
{
	struct vmdev *vmdev;

	mutex_lock(&lock);
	while (!list_empty(monitor)) {
		vmdev = list_first_entry(monitor, struct vmdev, monitor);
		vmdev_claim(vmdev);
		mutex_unlock(&lock);
		vmdev_destroy(vmdev);
		mutex_lock(&lock);
	}
	mutex_unlock(&lock);
}

/* The last process that used it was killed. */
static void vmdev_destroy_orphan(struct vmdev *vmdev)
{
	bool claimed;

	mutex_lock(&lock);
	claimed = !vmdev->dying;
	if (claimed)
		vmdev_claim(vmdev);
	mutex_unlock(&lock);
	if (!claimed)
		return;
	os_warn_limited(&vmdev->vm->log, "%s: destroyed, as the process that used it was killed",
			vmdev->vm->name);
	vmdev_destroy(vmdev);
}

/* --- files ------------------------------------------------------------------------ */

int vmfile_open(struct file *file, struct vmdev *vmdev, int segid)
{
	struct vmfile *vmfile = NULL;
	int error = vmdev_may_use(vmdev);

	if (error)
		goto fail;
	vmfile = os_alloc(sizeof(*vmfile));
	if (!vmfile) {
		error = -ENOMEM;
		goto fail;
	}
	vmfile->vmdev = vmdev;
	vmfile->segid = segid;
	file->private_data = vmfile;
	file->f_mapping = vmdev->inode->i_mapping;
	return 0;

fail:
	vmdev_put(vmdev);
	return error;
}

void vmfile_use(struct vmfile *vmfile)
{
	if (!READ_ONCE(vmfile->used) && !xchg(&vmfile->used, true))
		atomic_inc(&vmfile->vmdev->users);
}

/*
 * Is the calling process being killed by a signal? exit() ends other threads by SIGKILL as
 * well, so the thread's own signals do not tell: the process's exit code does.
 */
static bool killed_by_signal(void)
{
	const struct signal_struct *process = current->signal;

	return (current->flags & PF_EXITING) && (READ_ONCE(process->flags) & SIGNAL_GROUP_EXIT) &&
	       (READ_ONCE(process->group_exit_code) & 0x7f);
}

/* Called for each close, by the process that closes: the last one decides. */
static int vmfile_flush(struct file *file, fl_owner_t id)
{
	struct vmfile *vmfile = file->private_data;

	WRITE_ONCE(vmfile->killed, killed_by_signal());
	return 0;
}

int vmfile_release(struct inode *inode, struct file *file)
{
	struct vmfile *vmfile = file->private_data;
	struct vmdev *vmdev = vmfile->vmdev;

	if (vmfile->used && atomic_dec_and_test(&vmdev->users) && vmfile->killed &&
	    !(READ_ONCE(inode->i_mode) & S_ISVTX))
		vmdev_destroy_orphan(vmdev);
	vmdev_put(vmdev);
	os_free(vmfile);
	return 0;
}

/* Allocating memory and making vCPUs runnable is using a VM; mmap() is, too. */
static bool command_uses_vm(unsigned int command)
{
	return command == VM_ALLOC_MEMSEG || command == VM_MMAP_MEMSEG ||
	       command == VM_ACTIVATE_CPU || command == VM_RUN;
}

/*
 * Generic: the command's number encodes its argument's size and direction. An argument
 * that userspace does not write reads as zero. VM_RUN's argument is not copied back: its
 * handler copies the exit out itself.
 */
static noinline long any_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
	struct vmfile *vmfile = file->private_data;
	const struct ioctl_row *row = ioctl_lookup(command);
	void __user *user = (void __user *)arg;
	size_t size = _IOC_SIZE(command);
	uint64_t buffer[IOCTL_MAX_ARG / sizeof(uint64_t)];
	int error;

	if (!row)
		return -ENOTTY;
	if (size > sizeof(buffer))
		return -EINVAL;
	if (!(_IOC_DIR(command) & _IOC_WRITE))
		memset(buffer, 0, size);
	else if (copy_from_user(buffer, user, size))
		return -EFAULT;
	if (command_uses_vm(command))
		vmfile_use(vmfile);
	error = ioctl_run(vmfile->vmdev->vm, row, buffer);
	if (error || !(_IOC_DIR(command) & _IOC_READ) || command == VM_RUN)
		return error;
	return copy_to_user(user, buffer, size) ? -EFAULT : 0;
}

/* The fast path of a VMM process: only the argument's three words are copied. */
static long run_reply(struct file *file, unsigned long arg)
{
	const struct vmfile *vmfile = file->private_data;
	uint64_t words[3];

	BUILD_BUG_ON(sizeof(struct vm_run_reply) != sizeof(words));
	if (os_copyin_words((const void *)arg, words, ARRAY_SIZE(words)))
		return -EFAULT;
	return ioctl_run_reply(vmfile->vmdev->vm, (int)words[0], words[0] >> 32, words[1],
			       (struct vm_exit *)words[2]);
}

static long vmdev_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
	if (likely(command == VM_RUN_REPLY))
		return run_reply(file, arg);
	return any_ioctl(file, command, arg);
}

const struct file_operations vmdev_fops = {
	.owner = THIS_MODULE,
	.flush = vmfile_flush,
	.release = vmfile_release,
	.unlocked_ioctl = vmdev_ioctl,
	.mmap = mapping_mmap,
	.llseek = transfer_llseek,
	.read_iter = transfer_read,
	.write_iter = transfer_write,
};
