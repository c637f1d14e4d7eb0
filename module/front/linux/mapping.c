// SPDX-License-Identifier: BSD-2-Clause
/*
 * Guest memory in userspace: mmap() of /dev/vmm/NAME by guest-physical address and of
 * /dev/vmm.io/NAME.SEG by offset.
 *
 * Where guest-physical memory is, is looked up once, by mmap(): the mapping shows that piece
 * of the segment from then on, also when the guest's map changes.
 *
 * Pages are ordinary refcounted ones, so that O_DIRECT, io_uring and vhost can pin
 * them. They are mapped by the first touch and all unmapped when the VM is destroyed;
 * a page that is pinned then stays allocated until it is unpinned.
 *
 * Locks: mmap_lock, then vmdev->mapping_lock, then vm->memory.lock. vm->lock must not
 * be acquired here: its holder may wait for a vCPU whose thread is copying to the very
 * memory that faults.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>
#include "vm/memory.h"
#include "vm/vcpu.h"
#include "os/linux/compat.h"
#include "front/linux/front.h"

#define VMM_FS_MAGIC 0x766d6d2e /* "vmm." */

/* Pages mapped by one fault where a 2 MiB page lies under it. */
#define FAULT_PAGES 32

/* --- inodes for address spaces ------------------------------------------------ */

static int vmm_fs_init_context(struct fs_context *context)
{
	return init_pseudo(context, VMM_FS_MAGIC) ? 0 : -ENOMEM;
}

/* Mounted while the module is loaded; not registered, so it holds no module reference. */
static struct file_system_type vmm_fs = {
	.name = "vmm",
	.init_fs_context = vmm_fs_init_context,
	.kill_sb = kill_anon_super,
};
static struct vfsmount *vmm_mount;

int mapping_init(void)
{
	vmm_mount = kern_mount(&vmm_fs);
	return PTR_ERR_OR_ZERO(vmm_mount);
}

void mapping_exit(void)
{
	kern_unmount(vmm_mount);
}

struct inode *mapping_inode(void)
{
	return alloc_anon_inode(vmm_mount->mnt_sb);
}

/* --- faults -------------------------------------------------------------------- */

/*
 * vm_pgoff of a mapping is the page in its segment, with the segment's number above: so it
 * stays right when the mapping is split or moved.
 */
#define SEGID_SHIFT 48

static pgoff_t pgoff_of(int segid, uint64_t offset)
{
	return (pgoff_t)(((uint64_t)segid << SEGID_SHIFT | offset) >> PAGE_SHIFT);
}

static uint64_t offset_of(pgoff_t pgoff, int *segid)
{
	uint64_t position = (uint64_t)pgoff << PAGE_SHIFT;

	*segid = (int)(position >> SEGID_SHIFT);
	return position & ((1ull << SEGID_SHIFT) - 1);
}

/* How many pages from this one on are in the same large page and the same vma. */
static unsigned long fault_around(const struct vm_fault *vmf, struct page *page)
{
	unsigned long address = vmf->address & PAGE_MASK;
	unsigned long left = (vmf->vma->vm_end - address) >> PAGE_SHIFT;
	unsigned long in_page = 1;

	if (PageCompound(page)) {
		struct page *head = compound_head(page);

		in_page = (1ul << compound_order(head)) - (unsigned long)(page - head);
	}
	return min3(left, in_page, (unsigned long)FAULT_PAGES);
}

/*
 * Map 'page' and those that follow it. The first one that another thread has mapped
 * already ends the loop; that is no error.
 */
static int map_fault_pages(const struct vm_fault *vmf, struct page *page)
{
	struct page *pages[FAULT_PAGES];
	unsigned long count = fault_around(vmf, page);
	unsigned long left = count;
	unsigned long i;
	int error;

	for (i = 0; i < count; i++)
		pages[i] = page + i;
	error = vm_insert_pages(vmf->vma, vmf->address & PAGE_MASK, pages, &left);
	return error == -EBUSY || left < count ? 0 : error;
}

/*
 * The lock is held until the page is in the process's page table: after
 * mapping_unmap_userspace() has held it for writing, no fault that began earlier can
 * still map a page. Out of memory is SIGBUS: VM_FAULT_OOM would retry for ever.
 */
static vm_fault_t mapping_fault(struct vm_fault *vmf)
{
	const struct vmfile *vmfile = vmf->vma->vm_file->private_data;
	struct vmdev *vmdev = vmfile->vmdev;
	int segid;
	uint64_t offset = offset_of(vmf->pgoff, &segid);
	void *address;
	int error;

	down_read(&vmdev->mapping_lock);
	address = memory_page_get(vmdev->vm, segid, offset, &error);
	if (address) {
		error = map_fault_pages(vmf, virt_to_page(address));
		put_page(virt_to_page(address));
	}
	up_read(&vmdev->mapping_lock);
	return error ? VM_FAULT_SIGBUS : VM_FAULT_NOPAGE;
}

static const struct vm_operations_struct mapping_ops = {
	.fault = mapping_fault,
};

/* --- mmap ------------------------------------------------------------------------ */

static int segment_has(struct vm *vm, int segid, uint64_t offset, uint64_t len)
{
	struct memseg *seg;
	int error = -EINVAL;

	os_mutex_lock(&vm->memory.lock);
	seg = memory_segment(vm, segid);
	if (READ_ONCE(vm->destroyed))
		error = -ENXIO;
	else if (seg && offset <= memseg_len(seg) && len <= memseg_len(seg) - offset)
		error = 0;
	os_mutex_unlock(&vm->memory.lock);
	return error;
}

/* What the mapping shows: from the file's offset to vm_pgoff as above. */
static int mapping_resolve(struct vmfile *vmfile, struct vm_area_struct *vma)
{
	struct vm *vm = vmfile->vmdev->vm;
	uint64_t offset = (uint64_t)vma->vm_pgoff << PAGE_SHIFT;
	uint64_t len = vma->vm_end - vma->vm_start;
	int segid = vmfile->segid;
	int error;

	if (segid >= 0)
		error = segment_has(vm, segid, offset, len);
	else
		error = memory_locate(vm, offset, len, &segid, &offset);
	if (!error)
		vma->vm_pgoff = pgoff_of(segid, offset);
	return error;
}

/*
 * Only shared mappings: a private one would stop following the guest's writes at the
 * first copy-on-write. VM_MIXEDMAP lets the fault handler insert several pages at once.
 */
int mapping_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct vmfile *vmfile = file->private_data;
	int error;

	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	error = mapping_resolve(vmfile, vma);
	if (error)
		return error;
	if (vmfile->segid < 0)
		vmfile_use(vmfile);
	vm_flags_set(vma, VM_DONTEXPAND | VM_MIXEDMAP);
	vma->vm_ops = &mapping_ops;
	return 0;
}

void mapping_unmap_userspace(struct vm *vm)
{
	struct vmdev *vmdev = vm->front_state;

	down_write(&vmdev->mapping_lock);
	up_write(&vmdev->mapping_lock);
	unmap_mapping_range(vmdev->inode->i_mapping, 0, 0, 1);
}
