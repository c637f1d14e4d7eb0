// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory for the hypervisor and its guests. All of it is zeroed, charged to the
 * memory cgroup of the caller, and refused rather than taken by killing someone:
 * __GFP_RETRY_MAYFAIL and __GFP_NORETRY keep the OOM killer, also the cgroup's, out.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "os/os.h"

#define ALLOC_FLAGS (GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)
#define PAGE_FLAGS  (ALLOC_FLAGS | __GFP_ZERO)

/* GFP_USER keeps the pages inside the cpuset of the program. */
#define RAM_FLAGS (GFP_USER | __GFP_ACCOUNT | __GFP_ZERO | __GFP_NOWARN)

void *os_alloc(size_t size)
{
	/* kvmalloc warns about more. */
	if (size > INT_MAX)
		return NULL;
	return kvzalloc(size, ALLOC_FLAGS);
}

void os_free(void *ptr)
{
	kvfree(ptr);
}

void *os_page_alloc(void)
{
	return (void *)__get_free_page(PAGE_FLAGS);
}

void os_page_free(void *page)
{
	free_page((unsigned long)page);
}

void *os_pages_alloc(unsigned int order)
{
	return (void *)__get_free_pages(PAGE_FLAGS, order);
}

void os_pages_free(void *pages, unsigned int order)
{
	free_pages((unsigned long)pages, order);
}

/*
 * A large page is a compound one, so that a reference to any part of it holds
 * the whole. For it the allocator makes one attempt, compaction included: the
 * caller has a use for single pages. For a single page it tries hard.
 */
void *os_ram_alloc(unsigned int order)
{
	gfp_t flags = RAM_FLAGS | (order ? __GFP_COMP | __GFP_NORETRY : __GFP_RETRY_MAYFAIL);
	struct page *page = alloc_pages(flags, order);

	return page ? page_address(page) : NULL;
}

void os_ram_free(void *ram, unsigned int order)
{
	(void)order; /* a compound page knows its size */
	put_page(virt_to_page(ram));
}

void os_ram_get(void *page)
{
	get_page(virt_to_page(page));
}

int os_copyin(const void *user, void *kernel, size_t len)
{
	return copy_from_user(kernel, (const void __user *)user, len) ? -EFAULT : 0;
}

int os_copyout(const void *kernel, void *user, size_t len)
{
	return copy_to_user((void __user *)user, kernel, len) ? -EFAULT : 0;
}
