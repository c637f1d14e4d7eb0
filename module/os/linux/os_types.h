/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * os/os.h in the Linux kernel: the types and the inline functions. Included by
 * every room through os/os.h; it includes no more of the kernel than these need,
 * and nothing here is for direct use outside os/linux.
 */
#ifndef OS_LINUX_OS_TYPES_H
#define OS_LINUX_OS_TYPES_H

#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/container_of.h>
#include <linux/errno.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/ratelimit_types.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/task_work.h>
#include <linux/tracepoint-defs.h>
#include <linux/types.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <asm/fpu/api.h>
#include <asm/hardirq.h>
#include <asm/msr.h>
#include <asm/page.h>
#include <asm/processor.h>
#include <vmm/types.h>

#ifdef CONFIG_PREEMPT_RT
#error "vmm does not support PREEMPT_RT: timers wake vCPUs from hard interrupt context"
#endif

/* --- names of C's library that the kernel spells otherwise ------------------ */

#ifndef ENOTSUP
#define ENOTSUP EOPNOTSUPP
#endif
#ifndef UINT8_MAX
#define UINT8_MAX  U8_MAX
#define UINT16_MAX U16_MAX
#define UINT32_MAX U32_MAX
#define INT32_MAX  S32_MAX
#define INT32_MIN  S32_MIN
#define INT64_MAX  S64_MAX
#define INT64_MIN  S64_MIN
#endif
#ifndef UINT64_MAX
#define UINT64_MAX U64_MAX
#endif
#ifndef PRIx64
#define PRId32 "d"
#define PRIu32 "u"
#define PRIx32 "x"
#define PRId64 "lld"
#define PRIu64 "llu"
#define PRIx64 "llx"
#endif

/* --- types ---------------------------------------------------------------- */

/* Raw: device state is touched from hard interrupt context. */
struct os_spinlock {
	raw_spinlock_t lock;
};

struct os_mutex {
	struct mutex mutex;
};

struct os_waitq {
	wait_queue_head_t head;
};

/*
 * The task that runs a vCPU, NULL when none does. Only that task writes it; others
 * read it under RCU, so that a task that has just detached and exited is not freed
 * under them.
 */
struct os_thread {
	struct task_struct *task;
};

struct os_ratelimit {
	struct ratelimit_state state;
};

struct os_timer {
	struct hrtimer hrtimer;
	void (*fn)(struct os_timer *timer);
};

/* --- memory --------------------------------------------------------------- */

static inline vm_paddr_t os_virt_to_phys(const void *ptr)
{
	return __pa(ptr);
}

static inline void *os_phys_to_virt(vm_paddr_t hpa)
{
	return __va(hpa);
}

static __always_inline int os_copyin_words(const void *user, uint64_t *kernel, size_t words)
{
	const u64 __user *from = (const u64 __user *)user;

	might_fault();
	if (!user_read_access_begin(from, words * sizeof(u64)))
		return -EFAULT;
#pragma GCC unroll 8
	for (size_t i = 0; i < words; i++)
		unsafe_get_user(kernel[i], from + i, fault);
	user_read_access_end();
	return 0;
fault:
	user_read_access_end();
	return -EFAULT;
}

static __always_inline int os_copyout_words(const uint64_t *kernel, void *user, size_t words)
{
	u64 __user *to = (u64 __user *)user;

	might_fault();
	if (!user_write_access_begin(to, words * sizeof(u64)))
		return -EFAULT;
#pragma GCC unroll 8
	for (size_t i = 0; i < words; i++)
		unsafe_put_user(kernel[i], to + i, fault);
	user_write_access_end();
	return 0;
fault:
	user_write_access_end();
	return -EFAULT;
}

/* --- locks and waiting ---------------------------------------------------- */

#define os_spin_init(spinlock)	 raw_spin_lock_init(&(spinlock)->lock)
#define os_mutex_init(sleeplock) mutex_init(&(sleeplock)->mutex)
#define os_waitq_init(waitq)	 init_waitqueue_head(&(waitq)->head)

/* More than lockdep lets a task hold. */
#define OS_LOCK_ORDERS 64

#define os_mutex_init_ordered(sleeplock, order)                                           \
	do {                                                                              \
		static struct lock_class_key keys_[OS_LOCK_ORDERS];                       \
                                                                                          \
		mutex_init(&(sleeplock)->mutex);                                          \
		lockdep_set_class(&(sleeplock)->mutex, &keys_[(order) % OS_LOCK_ORDERS]); \
	} while (0)

static inline unsigned long os_spin_lock(struct os_spinlock *lock)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lock->lock, flags);
	return flags;
}

static inline void os_spin_unlock(struct os_spinlock *lock, unsigned long flags)
{
	raw_spin_unlock_irqrestore(&lock->lock, flags);
}

static inline bool os_mutex_trylock(struct os_mutex *mutex)
{
	return mutex_trylock(&mutex->mutex);
}

static inline void os_mutex_unlock(struct os_mutex *mutex)
{
	mutex_unlock(&mutex->mutex);
}

static inline void os_thread_attach(struct os_thread *thread)
{
	WRITE_ONCE(thread->task, current);
}

static inline void os_thread_detach(struct os_thread *thread)
{
	WRITE_ONCE(thread->task, NULL);
}

/* A pending signal is -ERESTARTSYS to the kernel, -EINTR to us. */
#define os_wait_event(wq, condition) (wait_event_interruptible((wq)->head, condition) ? -EINTR : 0)
#define os_wait_event_killable(wq, condition) \
	(wait_event_killable((wq)->head, condition) ? -EINTR : 0)

/* --- processors ------------------------------------------------------------ */

static inline uint64_t os_rdtsc(void)
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static inline void os_irq_disable(void)
{
	local_irq_disable();
}

static inline void os_irq_enable(void)
{
	local_irq_enable();
}

static inline unsigned int os_cpu_id(void)
{
	return raw_smp_processor_id();
}

/*
 * kernel_fpu_begin() saves the process's registers, which are restored on return to
 * user space, and turns preemption off.
 */
static inline void os_run_begin(void)
{
	kernel_fpu_begin();
}

static inline void os_run_end(void)
{
	kernel_fpu_end();
}

#define OS_LINUX_TIF_URGENT (_TIF_NEED_RESCHED | _TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL)

static inline bool os_thread_wanted(void)
{
	return READ_ONCE(current_thread_info()->flags) & (OS_LINUX_TIF_URGENT | _TIF_NOTIFY_RESUME);
}

/* TIF_NOTIFY_SIGNAL announces task work, no signal: see os_return_pending(). */
static inline bool os_signal_pending(void)
{
	return test_thread_flag(TIF_SIGPENDING);
}

static inline bool os_return_pending(void)
{
	return test_thread_flag(TIF_NOTIFY_SIGNAL) || task_work_pending(current);
}

static inline void os_yield(void)
{
	cond_resched();
}

extern struct os_mitigations os_linux_mitigations;

static inline const struct os_mitigations *os_mitigations(void)
{
	return &os_linux_mitigations;
}

/* The kernel notes for KVM which interrupts have come. */
static inline bool os_l1d_used(void)
{
#if IS_ENABLED(CONFIG_KVM_INTEL)
	return kvm_get_cpu_l1tf_flush_l1d();
#else
	return true;
#endif
}

static inline void os_l1d_flushed(void)
{
#if IS_ENABLED(CONFIG_KVM_INTEL)
	kvm_clear_cpu_l1tf_flush_l1d();
#endif
}

static inline void os_ibpb_before_user(void)
{
#ifdef X86_FEATURE_IBPB_EXIT_TO_USER
	this_cpu_write(x86_ibpb_exit_to_user, true);
#endif
}

/*
 * A reschedule, or a signal. TIF_NOTIFY_RESUME alone is no reason: it is set by every
 * context switch of a thread that uses rseq, and stays set until the thread returns
 * to user space; with work queued for the task (task_work_add) it is one. So is a
 * pending softirq where the inner loop disables them, as kernel_fpu_begin() does in
 * some kernels; elsewhere they run at the end of the hard interrupt, and ksoftirqd
 * runs the rest.
 */
static inline bool os_run_should_leave(void)
{
	unsigned long flags = READ_ONCE(current_thread_info()->flags);

	if (unlikely(flags & OS_LINUX_TIF_URGENT))
		return true;
	if (unlikely(flags & _TIF_NOTIFY_RESUME) && task_work_pending(current))
		return true;
	return unlikely(local_softirq_pending()) && in_softirq();
}

static inline uint64_t os_rdmsr(uint32_t msr)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
	return (uint64_t)high << 32 | low;
}

static inline int os_rdmsr_safe(uint32_t msr, uint64_t *value)
{
	unsigned long long raw = 0;
	int error = rdmsrl_safe(msr, &raw);

	*value = raw;
	return error ? -EIO : 0;
}

static inline void os_wrmsr(uint32_t msr, uint64_t value)
{
	asm volatile("wrmsr"
		     :
		     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		     : "memory");
}

static inline void os_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *regs)
{
	asm volatile("cpuid"
		     : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3])
		     : "a"(leaf), "c"(subleaf)
		     : "memory");
}

static inline uint64_t os_xgetbv(uint32_t index)
{
	uint32_t low, high;

	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
	return (uint64_t)high << 32 | low;
}

static inline void os_xsetbv(uint32_t index, uint64_t value)
{
	asm volatile("xsetbv"
		     :
		     : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		     : "memory");
}

static inline uint64_t os_read_cr0(void)
{
	uint64_t value;

	asm volatile("mov %%cr0, %0" : "=r"(value) : : "memory");
	return value;
}

static inline uint64_t os_read_cr3(void)
{
	uint64_t value;

	asm volatile("mov %%cr3, %0" : "=r"(value) : : "memory");
	return value;
}

static inline uint64_t os_read_cr4(void)
{
	uint64_t value;

	asm volatile("mov %%cr4, %0" : "=r"(value) : : "memory");
	return value;
}

static inline uint16_t os_read_ldtr(void)
{
	uint64_t selector;

	asm volatile("sldt %q0" : "=r"(selector));
	return (uint16_t)selector;
}

/* The register's number is part of the instruction, so each has a case. */
static inline uint64_t os_read_dr(unsigned int index)
{
	uint64_t value = 0;

	switch (index) {
	case 0:
		asm volatile("mov %%db0, %0" : "=r"(value));
		break;
	case 1:
		asm volatile("mov %%db1, %0" : "=r"(value));
		break;
	case 2:
		asm volatile("mov %%db2, %0" : "=r"(value));
		break;
	case 3:
		asm volatile("mov %%db3, %0" : "=r"(value));
		break;
	case 6:
		asm volatile("mov %%db6, %0" : "=r"(value));
		break;
	case 7:
		asm volatile("mov %%db7, %0" : "=r"(value));
		break;
	}
	return value;
}

static inline void os_write_dr(unsigned int index, uint64_t value)
{
	switch (index) {
	case 0:
		asm volatile("mov %0, %%db0" : : "r"(value) : "memory");
		break;
	case 1:
		asm volatile("mov %0, %%db1" : : "r"(value) : "memory");
		break;
	case 2:
		asm volatile("mov %0, %%db2" : : "r"(value) : "memory");
		break;
	case 3:
		asm volatile("mov %0, %%db3" : : "r"(value) : "memory");
		break;
	case 6:
		asm volatile("mov %0, %%db6" : : "r"(value) : "memory");
		break;
	case 7:
		asm volatile("mov %0, %%db7" : : "r"(value) : "memory");
		break;
	}
}

static inline unsigned int os_index_nospec(unsigned int index, unsigned int size)
{
	return array_index_nospec(index, size);
}

static inline void os_speculation_barrier(void)
{
	asm volatile("lfence" : : : "memory");
}

/* --- tracing --------------------------------------------------------------- */

DECLARE_TRACEPOINT(vmm_exit);
void os_linux_trace_exit(const char *name, int vcpuid, uint32_t reason, uint64_t rip,
			 uint64_t info1, uint64_t info2);

static inline bool os_traces_exits(void)
{
	return tracepoint_enabled(vmm_exit);
}

static inline void os_trace_exit(const char *name, int vcpuid, uint32_t reason, uint64_t rip,
				 uint64_t info1, uint64_t info2)
{
	if (tracepoint_enabled(vmm_exit))
		os_linux_trace_exit(name, vcpuid, reason, rip, info1, info2);
}

#endif
