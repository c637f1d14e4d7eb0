// SPDX-License-Identifier: BSD-2-Clause
/*
 * read() and write() of /dev/vmm/NAME: guest memory by guest-physical address.
 *
 * One page after the other: looked up, referenced, copied without a lock. A VM that is
 * destroyed meanwhile gives up its own reference only, and the next page is ENXIO. The bytes
 * may come from, or go to, a mapping of the very memory that is copied.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>
#include "vm/memory.h"
#include "front/linux/front.h"

/* Copies one page's part of 'count' bytes; returns the bytes done, or an errno if none. */
typedef ssize_t (*transfer_piece)(struct vm *vm, uint64_t gpa, size_t count, struct iov_iter *iter);

static ssize_t transfer_read_piece(struct vm *vm, uint64_t gpa, size_t count, struct iov_iter *iter)
{
	int error;
	char *page = memory_gpa_get(vm, gpa, VM_PROT_READ, &error);
	size_t done;

	if (page) {
		done = copy_to_iter(page + gpa % PAGE_SIZE, count, iter);
		put_page(virt_to_page(page));
	} else if (!error || error == -EFAULT) {
		done = iov_iter_zero(count, iter);
	} else {
		return error;
	}
	return done ? (ssize_t)done : -EFAULT;
}

static ssize_t transfer_write_piece(struct vm *vm, uint64_t gpa, size_t count,
				    struct iov_iter *iter)
{
	int error;
	char *page = memory_gpa_get(vm, gpa, VM_PROT_WRITE, &error);
	size_t done;

	if (!page)
		return error;
	done = copy_from_iter(page + gpa % PAGE_SIZE, count, iter);
	put_page(virt_to_page(page));
	return done ? (ssize_t)done : -EFAULT;
}

/* What has been done counts more than why no more was. */
static ssize_t transfer_pages(struct kiocb *iocb, struct iov_iter *iter, transfer_piece piece)
{
	const struct vmfile *vmfile = iocb->ki_filp->private_data;
	uint64_t start = (uint64_t)iocb->ki_pos;
	uint64_t gpa = start;
	ssize_t done = 0;

	while (iov_iter_count(iter) && gpa < MEMMAP_GPA_LIMIT) {
		size_t count = min_t(size_t, iov_iter_count(iter), PAGE_SIZE - gpa % PAGE_SIZE);

		done = fatal_signal_pending(current) ? -EINTR :
						       piece(vmfile->vmdev->vm, gpa, count, iter);
		if (done < 0)
			break;
		gpa += (uint64_t)done;
		cond_resched();
	}
	iocb->ki_pos = (loff_t)gpa;
	return gpa > start ? (ssize_t)(gpa - start) : done;
}

ssize_t transfer_read(struct kiocb *iocb, struct iov_iter *iter)
{
	return transfer_pages(iocb, iter, transfer_read_piece);
}

/* Beyond all memory there is nothing to write to, as in a hole. */
ssize_t transfer_write(struct kiocb *iocb, struct iov_iter *iter)
{
	if (iov_iter_count(iter) && (uint64_t)iocb->ki_pos >= MEMMAP_GPA_LIMIT)
		return -EFAULT;
	return transfer_pages(iocb, iter, transfer_write_piece);
}

loff_t transfer_llseek(struct file *file, loff_t offset, int whence)
{
	return fixed_size_llseek(file, offset, whence, MEMMAP_GPA_LIMIT);
}
