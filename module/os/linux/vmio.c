// SPDX-License-Identifier: BSD-2-Clause
/*
 * /dev/vmm.io/NAME.SEG: one device-memory segment of a VM, for mmap() from
 * offset 0. It belongs to whom the VM belongs to and goes with it.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/module.h>
#include "core/memory.h"
#include "core/vm.h"
#include "os/linux/vmm_linux.h"

#define NODE_NAME_SIZE 256 /* "vmm.io!" NAME "." SEGMENT, see VM_MAX_NAMELEN */

const struct file_operations vmio_fops = {
	.owner = THIS_MODULE,
	.release = vmfile_release,
	.mmap = mapping_mmap,
};

/*
 * "a.b" of VM "x" and "b" of VM "x.a" have the same name: the second one that
 * comes is refused with -EEXIST.
 */
int os_memseg_publish(struct vm *vm, struct memseg *seg)
{
	struct vmdev *vmdev = vm->host_state;
	struct vmnode_owner owner = { .mode = 0600, .uid = vmdev->uid, .gid = vmdev->gid };
	char name[NODE_NAME_SIZE];
	struct vmnode *node;

	snprintf(name, sizeof(name), "vmm.io!%s.%s", vm->name, memseg_name(seg));
	node = vmnode_create(NODE_SEGMENT, &owner, vmdev, memseg_id(seg), name);
	if (IS_ERR(node))
		return PTR_ERR(node);
	memseg_set_host_state(seg, node);
	return 0;
}

void os_memseg_withdraw(struct vm *vm, struct memseg *seg)
{
	(void)vm;
	vmnode_free(memseg_host_state(seg));
	memseg_set_host_state(seg, NULL);
}
