// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory for the hypervisor and its guests. All of it is zeroed, charged to the
 * memory cgroup of the caller, and allocation fails rather than invoke the OOM killer,
 * also the cgroup's: that is what __GFP_RETRY_MAYFAIL and __GFP_NORETRY are for.
 */
#include <linux/atomic.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "os/linux/os_linux.h"
#include "os/os.h"

struct memory_held memory_held;

#define ALLOC_FLAGS (GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)
#define PAGE_FLAGS  (ALLOC_FLAGS | __GFP_ZERO)

/* GFP_USER keeps the pages inside the cpuset of the process. */
#define RAM_FLAGS (GFP_USER | __GFP_ACCOUNT | __GFP_ZERO | __GFP_NOWARN)

/* --- accounting --------------------------------------------------------------------- */

static long order_kib(unsigned int order)
{
	return (long)(PAGE_SIZE / 1024) << order;
}

/* Count an allocation that may have failed; uncount one that may be NULL. */
static void *count_allocation(void *ptr, atomic_long_t *count, long amount)
{
	if (ptr)
		atomic_long_add(amount, count);
	return ptr;
}

static void *uncount_allocation(void *ptr, atomic_long_t *count, long amount)
{
	if (ptr)
		atomic_long_sub(amount, count);
	return ptr;
}

/* --- the module's own --------------------------------------------------------------- */

void *os_alloc(size_t size)
{
	/* kvmalloc warns about more. */
	if (size > INT_MAX)
		return NULL;
	return count_allocation(kvzalloc(size, ALLOC_FLAGS), &memory_held.objects, 1);
}

void os_free(void *ptr)
{
	kvfree(uncount_allocation(ptr, &memory_held.objects, 1));
}

void *os_page_alloc(void)
{
	return os_pages_alloc(0);
}

void os_page_free(void *page)
{
	os_pages_free(page, 0);
}

void *os_pages_alloc(unsigned int order)
{
	return count_allocation((void *)__get_free_pages(PAGE_FLAGS, order), &memory_held.own,
				order_kib(order));
}

void os_pages_free(void *pages, unsigned int order)
{
	free_pages((unsigned long)uncount_allocation(pages, &memory_held.own, order_kib(order)),
		   order);
}

/* --- guest RAM ---------------------------------------------------------------------- */

/*
 * A large page is a compound one, so that a reference to any part of it holds
 * the whole. For it the allocator makes one attempt, compaction included: the
 * caller falls back to single pages. For a single page it tries hard.
 */
void *os_ram_alloc(struct os_account *account, unsigned int order)
{
	gfp_t flags = RAM_FLAGS | (order ? __GFP_COMP | __GFP_NORETRY : __GFP_RETRY_MAYFAIL);
	struct page *page;

	if (os_account_charge(account, PAGE_SIZE << order))
		return NULL;
	page = alloc_pages(flags, order);
	if (!page)
		os_account_uncharge(account, PAGE_SIZE << order);
	return count_allocation(page ? page_address(page) : NULL, &memory_held.ram,
				order_kib(order));
}

void os_ram_free(struct os_account *account, void *ram, unsigned int order)
{
	os_account_uncharge(account, PAGE_SIZE << order);
	put_page(virt_to_page(uncount_allocation(ram, &memory_held.ram, order_kib(order))));
}

void os_ram_get(void *page)
{
	get_page(virt_to_page(page));
}

/* --- userspace ---------------------------------------------------------------------- */

int os_copyin(const void *user, void *kernel, size_t len)
{
	return copy_from_user(kernel, (const void __user *)user, len) ? -EFAULT : 0;
}

int os_copyout(const void *kernel, void *user, size_t len)
{
	return copy_to_user((void __user *)user, kernel, len) ? -EFAULT : 0;
}
