/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of front/linux share. */
#ifndef FRONT_LINUX_FRONT_H
#define FRONT_LINUX_FRONT_H

#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/rwsem.h>
#include <linux/uidgid.h>
#include <vmm/version.h>
#include "os/os.h"
#include "vm/vm.h"

struct pci_driver;

/* Most vCPUs of one VM: APIC IDs have 8 bits, and 255 is the broadcast. */
#define VMM_MAXCPU_LIMIT 255

/* --- device nodes: vmnode.c --------------------------------------------------- */

enum vmnode_kind {
	NODE_CONTROL, /* /dev/vmmctl */
	NODE_VM,      /* /dev/vmm/NAME */
	NODE_SEGMENT, /* /dev/vmm.io/NAME.SEG */
	NODE_KINDS
};

/*
 * One device node. All fields but the list's are constant from vmnode_create() on.
 * A NODE_VM or NODE_SEGMENT is freed before the reference that its VM's name holds is
 * dropped, so a node that can be looked up has a valid vmdev.
 */
struct vmnode {
	struct device device;	   /* first; its release frees the whole */
	struct hlist_node by_name; /* vmnode.c's lock */
	enum vmnode_kind kind;
	umode_t mode;
	kuid_t uid;
	kgid_t gid;
	struct vmdev *vmdev; /* NULL for NODE_CONTROL */
	int segid;	     /* of a NODE_SEGMENT, else -1 */
};

/* Initial owner and mode of a node in /dev. */
struct vmnode_owner {
	umode_t mode;
	kuid_t uid;
	kgid_t gid;
};

/* Module load and unload. vmnodes_init: 0 or a negative errno. sleep */
int vmnodes_init(void);
void vmnodes_exit(void);

/*
 * Create a node; it can be opened at once. 'name' is the path below /dev, with '!' for
 * '/'. ERR_PTR: -EEXIST (name in use), -ENOMEM, -ENOSPC (no minor number left). sleep
 */
struct vmnode *vmnode_create(enum vmnode_kind kind, const struct vmnode_owner *owner,
			     struct vmdev *vmdev, int segid, const char *name);
/* Remove the node from /dev; its name stays in use until vmnode_free(). Idempotent. sleep */
void vmnode_remove(struct vmnode *node);
/* Release the name and drop the node; implies vmnode_remove(). sleep */
void vmnode_free(struct vmnode *node);
/* The VM of the node of that name, with a reference; NULL. sleep */
struct vmdev *vmnode_find_vmdev(const char *name);

/* --- a VM and the open files of it: vmdev.c -------------------------------------- */

/*
 * The front end's side of a VM; vm->front_state. References: one held by the name,
 * dropped by vmdev_destroy(), and one by each open file. It holds front/linux's only
 * reference to 'vm', and one to the module.
 */
struct vmdev {
	struct kref references;
	struct vm *vm;	     /* constant */
	struct vmnode *node; /* constant until destroyed */
	kuid_t uid;	     /* constant: fsuid of the creator */
	kgid_t gid;	     /* constant */
	/*
	 * Its address space lists every mapping of the VM's memory, whichever file
	 * was mapped. Constant.
	 */
	struct inode *inode;
	/* Read: a page fault installs pages. Write: waits for such faults to finish. */
	struct rw_semaphore mapping_lock;
	atomic_t users; /* files of /dev/vmm/NAME that use the VM: vmfile_use() */
	bool dying;	/* vmdevs lock: a thread is destroying it */
	/* vmdevs lock: in the list of the /dev/vmmctl file whose close destroys it. */
	struct list_head monitor;
};

/*
 * Create a VM and its node for the calling process. With 'monitor' the VM is
 * put on that list, for vmdev_destroy_monitored(). 0, -EEXIST, -ENOMEM, -EBUSY. sleep
 */
int vmdev_create(const char *name, struct list_head *monitor);
/*
 * Destroy the VM of that name. 0; -ENOENT; -EPERM (caller is neither its creator nor
 * root); -EBUSY (another thread is destroying it). The name is free afterwards. sleep
 */
int vmdev_destroy_by_name(const char *name);
/* Destroy the VMs on a list that vmdev_create() put there. sleep */
void vmdev_destroy_monitored(struct list_head *monitor);

/* A reference for an open file; and whether the caller may use the VM: 0 or -EPERM. */
struct vmdev *vmdev_get(struct vmdev *vmdev);
void vmdev_put(struct vmdev *vmdev); /* sleep */
int vmdev_may_use(const struct vmdev *vmdev);
/* Number of VMs, for the sysctl to read. */
extern unsigned int vmdev_vms;

/* What file->private_data of a /dev/vmm or /dev/vmm.io file points to. */
struct vmfile {
	struct vmdev *vmdev; /* holds a reference; constant */
	bool used;	     /* atomic; counted in vmdev->users */
	bool killed;	     /* a signal killed the process that closed it last */
	int segid;	     /* of /dev/vmm.io; -1: /dev/vmm, by guest-physical address; constant */
};

/*
 * Attach a vmfile for the VM to 'file'. Consumes the caller's reference, also when it
 * fails: -EPERM, -ENOMEM. sleep
 */
int vmfile_open(struct file *file, struct vmdev *vmdev, int segid);
int vmfile_release(struct inode *inode, struct file *file);
/*
 * The file's process runs the VM or has its memory mapped, rather than only looks into it
 * like bhyvectl: if a signal kills the last such process, the VM is destroyed. any
 */
void vmfile_use(struct vmfile *vmfile);

/* --- mapping guest memory: mapping.c --------------------------------------------- */

int mapping_init(void);
void mapping_exit(void);
/* An inode whose address space holds a VM's mappings; ERR_PTR(-ENOMEM). iput() frees it. */
struct inode *mapping_inode(void);
/* file_operations.mmap of both kinds of file. */
int mapping_mmap(struct file *file, struct vm_area_struct *vma);

/* vmm_front of every VM: unmap_userspace of mapping.c, the nodes of segments of vmio.c. */
extern const struct vmm_front vmdev_front;
void mapping_unmap_userspace(struct vm *vm);
int vmio_segment_publish(struct vm *vm, struct memseg *seg);
void vmio_segment_withdraw(struct vm *vm, struct memseg *seg);

/* --- file_operations of the nodes, after open ----------------------------------- */

extern const struct file_operations vmmctl_fops;
extern const struct file_operations vmdev_fops;
extern const struct file_operations vmio_fops;
/* Opening /dev/vmmctl: 0 or -ENOMEM. */
int vmmctl_open(struct file *file);

/* --- reading and writing guest memory: transfer.c ---------------------------------- */

/*
 * file_operations.read_iter and write_iter of /dev/vmm/NAME: the position is a guest-physical
 * address. sleep
 */
ssize_t transfer_read(struct kiocb *iocb, struct iov_iter *iter);
ssize_t transfer_write(struct kiocb *iocb, struct iov_iter *iter);
loff_t transfer_llseek(struct file *file, loff_t offset, int whence);

/* --- the rest -------------------------------------------------------------------- */

/* Module parameters, constant once parameters_init() has checked them. */
unsigned int vmm_maxcpu(void);
kgid_t vmm_control_gid(void);

/* The PCI driver ppt: ppt_driver.c; the devices that parameters reserve: ppt_reserve.c. */
extern struct pci_driver ppt_driver;
int ppt_devices_init(void);
void ppt_devices_exit(void);
int sysctl_init(void);
void sysctl_exit(void);
int power_init(void);
void power_exit(void);
int hotplug_init(void);
void hotplug_exit(void);

#endif
