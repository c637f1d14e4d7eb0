// SPDX-License-Identifier: BSD-2-Clause
/*
 * /dev/vmm.io/NAME.SEG: one device-memory segment of a VM, for mmap() from offset 0.
 * Its owner is the VM's, and it is removed with the VM.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/module.h>
#include "vm/memory.h"
#include "vm/vcpu.h"
#include "front/linux/front.h"

#define NODE_NAME_SIZE 256 /* "vmm.io!" NAME "." SEGMENT, see VM_MAX_NAMELEN */

const struct file_operations vmio_fops = {
	.owner = THIS_MODULE,
	.release = vmfile_release,
	.mmap = mapping_mmap,
};

/*
 * "a.b" of VM "x" and "b" of VM "x.a" have the same name: the second one is refused
 * with -EEXIST.
 */
int vmio_segment_publish(struct vm *vm, struct memseg *seg)
{
	struct vmdev *vmdev = vm->front_state;
	struct vmnode_owner owner = { .mode = 0600, .uid = vmdev->uid, .gid = vmdev->gid };
	char name[NODE_NAME_SIZE];
	struct vmnode *node;

	snprintf(name, sizeof(name), "vmm.io!%s.%s", vm->name, memseg_name(seg));
	node = vmnode_create(NODE_SEGMENT, &owner, vmdev, memseg_id(seg), name);
	if (IS_ERR(node))
		return PTR_ERR(node);
	memseg_set_front_state(seg, node);
	return 0;
}

void vmio_segment_withdraw(struct vm *vm, struct memseg *seg)
{
	(void)vm;
	vmnode_free(memseg_front_state(seg));
	memseg_set_front_state(seg, NULL);
}
