// SPDX-License-Identifier: BSD-2-Clause
/*
 * What unprivileged users may have and see. Each user's VMs and guest RAM are counted and
 * limited, and no guest, not even root's, gets memory that the host would run short of.
 */
#include <linux/atomic.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>
#include "os/linux/os_linux.h"
#include "os/os.h"

#define KIB_SHIFT     10
#define MIB_IN_KIB    1024ul
#define PAGES_TO_KIB  (PAGE_SHIFT - KIB_SHIFT)
#define LIMIT_DEFAULT ULONG_MAX

struct guest_limits guest_limits = {
	.user_memory_max = LIMIT_DEFAULT,
	.user_vms_max = 256,
	.memory_reserve = LIMIT_DEFAULT,
};

module_param_named(user_memory_max, guest_limits.user_memory_max, ulong, 0444);
MODULE_PARM_DESC(user_memory_max,
		 "most KiB of guest RAM of one user, root excepted (default: all but the reserve)");
module_param_named(user_vms_max, guest_limits.user_vms_max, uint, 0444);
MODULE_PARM_DESC(user_vms_max, "most VMs of one user, root excepted (default: 256)");
module_param_named(memory_reserve, guest_limits.memory_reserve, ulong, 0444);
MODULE_PARM_DESC(memory_reserve,
		 "KiB of available memory that no guest gets (default: 1/16, 64 MiB to 1 GiB)");

/* A user who has VMs. */
struct guest_user {
	struct hlist_node by_uid; /* lock */
	kuid_t uid;		  /* constant */
	unsigned int vms;	  /* lock */
	atomic_long_t ram;	  /* KiB charged */
	struct os_ratelimit log;
};

/* One VM's side of it. Constant. */
struct os_account {
	struct guest_user *user;
	bool unlimited; /* its creator may exceed the user's limits, but not the reserve */
};

static DEFINE_MUTEX(lock);
static DEFINE_HASHTABLE(users, 6); /* lock */

void __init guest_limits_init(void)
{
	unsigned long total = totalram_pages() << PAGES_TO_KIB;

	if (guest_limits.memory_reserve == LIMIT_DEFAULT)
		guest_limits.memory_reserve = clamp(total / 16, 64 * MIB_IN_KIB, 1024 * MIB_IN_KIB);
	if (guest_limits.user_memory_max == LIMIT_DEFAULT)
		guest_limits.user_memory_max = total - min(total, guest_limits.memory_reserve);
}

bool os_may_see_addresses(void)
{
	return capable(CAP_SYS_ADMIN);
}

/* --- users ---------------------------------------------------------------- */

/*
 * Whoever creates a user namespace pays for all users in it, or each of the IDs mapped
 * there would have a limit of its own.
 */
static kuid_t charged_uid(void)
{
	const struct user_namespace *ns = current_user_ns();
	kuid_t uid = current_uid();

	for (; ns != &init_user_ns; ns = ns->parent)
		uid = ns->owner;
	return uid;
}

/* The user, created if need be. The lock is held. NULL: out of memory. */
static struct guest_user *guest_user_get(kuid_t uid)
{
	struct guest_user *user;

	hash_for_each_possible(users, user, by_uid, __kuid_val(uid))
	{
		if (uid_eq(user->uid, uid))
			return user;
	}
	user = os_alloc(sizeof(*user));
	if (!user)
		return NULL;
	user->uid = uid;
	os_ratelimit_init(&user->log);
	hash_add(users, &user->by_uid, __kuid_val(uid));
	return user;
}

/* Free the user after the last VM. The lock is held. */
static void guest_user_free_unused(struct guest_user *user)
{
	if (user->vms)
		return;
	hash_del(&user->by_uid);
	os_free(user);
}

/* --- VMs ------------------------------------------------------------------ */

/* One VM more of the user: the lock is held. */
static int charge_vm(struct os_account *account)
{
	struct guest_user *user = account->user;
	unsigned int max = READ_ONCE(guest_limits.user_vms_max);

	if (user->vms >= max && !account->unlimited) {
		os_warn_limited(&user->log, "user %u has %u VMs: hw.vmm.user_vms_max is %u",
				__kuid_val(user->uid), user->vms, max);
		return -EAGAIN;
	}
	user->vms++;
	return 0;
}

int os_account_open(struct os_account **result)
{
	struct os_account *account = os_alloc(sizeof(*account));
	int error = -ENOMEM;

	if (!account)
		return -ENOMEM;
	account->unlimited = capable(CAP_SYS_RESOURCE);
	mutex_lock(&lock);
	account->user = guest_user_get(charged_uid());
	if (account->user) {
		error = charge_vm(account);
		guest_user_free_unused(account->user);
	}
	mutex_unlock(&lock);
	if (error)
		os_free(account);
	else
		*result = account;
	return error;
}

void os_account_close(struct os_account *account)
{
	mutex_lock(&lock);
	account->user->vms--;
	guest_user_free_unused(account->user);
	mutex_unlock(&lock);
	os_free(account);
}

/* --- memory --------------------------------------------------------------- */

/*
 * What the kernel could hand out without swapping, once 'kib' more are a guest's. A guest's
 * memory cannot be reclaimed: what the host needs has to be left to it.
 */
static bool leaves_reserve(const struct os_account *account, long kib)
{
	long reserve = READ_ONCE(guest_limits.memory_reserve) >> PAGES_TO_KIB;
	long available = si_mem_available() - (kib >> PAGES_TO_KIB);

	if (available >= reserve)
		return true;
	os_warn_limited(
		&account->user->log,
		"no memory for a guest of user %u: the host keeps hw.vmm.memory_reserve=%lu",
		__kuid_val(account->user->uid), READ_ONCE(guest_limits.memory_reserve));
	return false;
}

static bool within_user_limit(const struct os_account *account, long kib)
{
	unsigned long max = READ_ONCE(guest_limits.user_memory_max);

	if (account->unlimited || (unsigned long)kib <= max)
		return true;
	os_warn_limited(&account->user->log,
			"no memory for a guest of user %u: hw.vmm.user_memory_max is %lu",
			__kuid_val(account->user->uid), max);
	return false;
}

static long kib_of(uint64_t bytes)
{
	return min_t(uint64_t, DIV_ROUND_UP_ULL(bytes, 1 << KIB_SHIFT), LONG_MAX / 2);
}

bool os_account_allows(struct os_account *account, uint64_t bytes)
{
	long kib = kib_of(bytes);

	return within_user_limit(account, atomic_long_read(&account->user->ram) + kib) &&
	       leaves_reserve(account, kib);
}

int os_account_charge(struct os_account *account, uint64_t bytes)
{
	atomic_long_t *ram = &account->user->ram;
	long kib = kib_of(bytes);

	if (within_user_limit(account, atomic_long_add_return(kib, ram)) &&
	    leaves_reserve(account, kib))
		return 0;
	atomic_long_sub(kib, ram);
	return -ENOMEM;
}

void os_account_uncharge(struct os_account *account, uint64_t bytes)
{
	atomic_long_sub(kib_of(bytes), &account->user->ram);
}
