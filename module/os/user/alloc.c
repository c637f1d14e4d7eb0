// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory in a user process: the C library's, counted, and failing on demand. A
 * page's "physical" address is its address.
 */
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/os.h"
#include "os/user/internal.h"
#include "os/user/os_user.h"

#define RAM_ORDER_HUGE 9

static uint64_t alloc_count;
static uint64_t alloc_outstanding;
static uint64_t alloc_bytes;
static uint32_t fail_countdown;
static bool fragmented;
static uint64_t ram_references;

/* Counts down to the allocation that a test has made fail. */
static bool alloc_fails(void)
{
	uint32_t left = __atomic_load_n(&fail_countdown, __ATOMIC_SEQ_CST);

	while (left != 0) {
		if (__atomic_compare_exchange_n(&fail_countdown, &left, left - 1, false,
						__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return left == 1;
	}
	return false;
}

static void count_alloc(size_t size)
{
	__atomic_fetch_add(&alloc_count, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&alloc_outstanding, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&alloc_bytes, size, __ATOMIC_SEQ_CST);
}

static void count_free(size_t size)
{
	__atomic_fetch_sub(&alloc_outstanding, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_sub(&alloc_bytes, size, __ATOMIC_SEQ_CST);
}

/* The size of an os_alloc() block stands before it, in a slot that keeps it aligned. */
#define HEADER 64

void *os_alloc(size_t size)
{
	char *block;

	os_user_may_sleep("os_alloc");
	if (alloc_fails() || size > SIZE_MAX - HEADER)
		return NULL;
	block = calloc(1, size + HEADER);
	if (!block)
		return NULL;
	memcpy(block, &size, sizeof(size));
	count_alloc(size);
	return block + HEADER;
}

void os_free(void *ptr)
{
	size_t size;
	char *block;

	if (!ptr)
		return;
	os_user_may_sleep("os_free");
	block = (char *)ptr - HEADER;
	memcpy(&size, block, sizeof(size));
	count_free(size);
	free(block);
}

static void *pages_alloc(unsigned int order)
{
	size_t size = OS_PAGE_SIZE << order;
	void *pages;

	os_user_may_sleep("page allocation");
	if (alloc_fails() || posix_memalign(&pages, size, size) != 0)
		return NULL;
	memset(pages, 0, size);
	count_alloc(size);
	return pages;
}

static void pages_free(void *pages, unsigned int order)
{
	if (!pages)
		return;
	os_user_may_sleep("page release");
	count_free(OS_PAGE_SIZE << order);
	free(pages);
}

void *os_page_alloc(void)
{
	return pages_alloc(0);
}

void os_page_free(void *page)
{
	pages_free(page, 0);
}

void *os_pages_alloc(unsigned int order)
{
	return pages_alloc(order);
}

void os_pages_free(void *pages, unsigned int order)
{
	pages_free(pages, order);
}

/* --- accounts: all are one user's ----------------------------------------- */

struct os_account {
	uint64_t ram; /* bytes charged; atomic */
};

static uint64_t ram_limit = UINT64_MAX;
static uint64_t ram_charged;
static unsigned int vms_limit = UINT_MAX;
static unsigned int vms;

int os_account_open(struct os_account **account)
{
	if (__atomic_add_fetch(&vms, 1, __ATOMIC_SEQ_CST) > vms_limit) {
		__atomic_fetch_sub(&vms, 1, __ATOMIC_SEQ_CST);
		return -EAGAIN;
	}
	*account = os_alloc(sizeof(**account));
	if (*account)
		return 0;
	__atomic_fetch_sub(&vms, 1, __ATOMIC_SEQ_CST);
	return -ENOMEM;
}

void os_account_close(struct os_account *account)
{
	if (__atomic_load_n(&account->ram, __ATOMIC_SEQ_CST) != 0)
		os_user_die("an account is closed with memory charged to it");
	__atomic_fetch_sub(&vms, 1, __ATOMIC_SEQ_CST);
	os_free(account);
}

bool os_account_allows(struct os_account *account, uint64_t bytes)
{
	uint64_t charged = __atomic_load_n(&ram_charged, __ATOMIC_SEQ_CST);

	(void)account;
	return charged <= ram_limit && bytes <= ram_limit - charged;
}

int os_account_charge(struct os_account *account, uint64_t bytes)
{
	if (!os_account_allows(account, bytes))
		return -ENOMEM;
	__atomic_fetch_add(&account->ram, bytes, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&ram_charged, bytes, __ATOMIC_SEQ_CST);
	return 0;
}

void os_account_uncharge(struct os_account *account, uint64_t bytes)
{
	__atomic_fetch_sub(&account->ram, bytes, __ATOMIC_SEQ_CST);
	__atomic_fetch_sub(&ram_charged, bytes, __ATOMIC_SEQ_CST);
}

void os_user_limits(uint64_t ram, unsigned int vm_count)
{
	ram_limit = ram;
	vms_limit = vm_count;
}

/* --- guest RAM ------------------------------------------------------------ */

void *os_ram_alloc(struct os_account *account, unsigned int order)
{
	uint64_t size = OS_PAGE_SIZE << order;
	void *ram;

	if (order == RAM_ORDER_HUGE && __atomic_load_n(&fragmented, __ATOMIC_SEQ_CST))
		return NULL;
	if (os_account_charge(account, size))
		return NULL;
	ram = pages_alloc(order);
	if (!ram)
		os_account_uncharge(account, size);
	return ram;
}

void os_ram_free(struct os_account *account, void *ram, unsigned int order)
{
	os_account_uncharge(account, OS_PAGE_SIZE << order);
	pages_free(ram, order);
}

/* In the kernel the reference keeps the page allocated; here it is only counted. */
void os_ram_get(void *page)
{
	(void)page;
	__atomic_fetch_add(&ram_references, 1, __ATOMIC_SEQ_CST);
}

void os_user_ram_put(void *page)
{
	(void)page;
	if (__atomic_fetch_sub(&ram_references, 1, __ATOMIC_SEQ_CST) == 0)
		os_user_die("os_user_ram_put without a reference");
}

uint64_t os_user_ram_references(void)
{
	return __atomic_load_n(&ram_references, __ATOMIC_SEQ_CST);
}

/*
 * The system call checks the userspace address as the kernel would: a wild pointer is
 * -EFAULT and not a crash.
 */
int os_copyin(const void *user, void *kernel, size_t len)
{
	struct iovec local = { kernel, len };
	struct iovec remote = { (void *)(uintptr_t)user, len };

	os_user_may_sleep("os_copyin");
	if (len == 0)
		return 0;
	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != (ssize_t)len)
		return -EFAULT;
	return 0;
}

int os_copyout(const void *kernel, void *user, size_t len)
{
	struct iovec local = { (void *)(uintptr_t)kernel, len };
	struct iovec remote = { user, len };

	os_user_may_sleep("os_copyout");
	if (len == 0)
		return 0;
	if (process_vm_writev(getpid(), &local, 1, &remote, 1, 0) != (ssize_t)len)
		return -EFAULT;
	return 0;
}

void os_user_fail_alloc(unsigned int n)
{
	__atomic_store_n(&fail_countdown, n, __ATOMIC_SEQ_CST);
}

void os_user_fragment_memory(bool on)
{
	__atomic_store_n(&fragmented, on, __ATOMIC_SEQ_CST);
}

uint64_t os_user_alloc_count(void)
{
	return __atomic_load_n(&alloc_count, __ATOMIC_SEQ_CST);
}

uint64_t os_user_alloc_outstanding(void)
{
	return __atomic_load_n(&alloc_outstanding, __ATOMIC_SEQ_CST);
}

uint64_t os_user_alloc_bytes(void)
{
	return __atomic_load_n(&alloc_bytes, __ATOMIC_SEQ_CST);
}

void os_user_memory_reset(void)
{
	os_user_fail_alloc(0);
	os_user_fragment_memory(false);
	os_user_limits(UINT64_MAX, UINT_MAX);
}
