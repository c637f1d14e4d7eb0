/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * os/os.h in a user process: the types, the inline functions and the helpers.
 * The machine is simulated: a clock that moves only when told to, processors
 * whose registers are plain memory, allocations that can be made to fail. A
 * test controls all that through os/user/os_user.h.
 *
 * Rules that the kernel enforces by crashing are enforced here by abort():
 * sleeping with a spinlock held, with interrupts off or inside the inner loop,
 * acquiring a lock twice, unlocking another thread's lock.
 */
#ifndef OS_USER_OS_TYPES_H
#define OS_USER_OS_TYPES_H

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <vmm/types.h>

/* --- macros that os/linux has from the kernel's headers -------------------- */

#define ARRAY_SIZE(array)		(sizeof(array) / sizeof((array)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define likely(x)			__builtin_expect(!!(x), 1)
#define unlikely(x)			__builtin_expect(!!(x), 0)
#define READ_ONCE(x)			(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, value)		(*(volatile __typeof__(x) *)&(x) = (value))
#define BIT_ULL(n)			(1ull << (n))
#define min(a, b)                                  \
	({                                         \
		__typeof__(a) min_a_ = (a);        \
		__typeof__(b) min_b_ = (b);        \
		min_a_ < min_b_ ? min_a_ : min_b_; \
	})
#define max(a, b)                                  \
	({                                         \
		__typeof__(a) max_a_ = (a);        \
		__typeof__(b) max_b_ = (b);        \
		max_a_ > max_b_ ? max_a_ : max_b_; \
	})
/* Copies at most size - 1 bytes and ends them with a zero; -E2BIG when cut. */
static inline ssize_t strscpy(char *to, const char *from, size_t size)
{
	int length = snprintf(to, size, "%s", from);

	return (size_t)length < size ? (ssize_t)length : -E2BIG;
}
#define min_t(type, a, b) min((type)(a), (type)(b))
#define max_t(type, a, b) max((type)(a), (type)(b))
#define fallthrough	  __attribute__((fallthrough))
#define noinline	  __attribute__((noinline))
#ifndef __packed
#define __packed __attribute__((packed))
#endif
#ifndef __aligned
#define __aligned(n) __attribute__((aligned(n)))
#endif
#define OS_STATIC_ASSERT_(expr, message, ...) _Static_assert(expr, message)
#undef static_assert
#define static_assert(expr, ...) OS_STATIC_ASSERT_(expr, ##__VA_ARGS__, #expr)

/* --- types ---------------------------------------------------------------- */

struct os_spinlock {
	pthread_mutex_t mutex;
};

struct os_mutex {
	pthread_mutex_t mutex;
};

struct os_waitq {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	uint64_t wakeups; /* mutex */
};

struct os_thread {
	bool attached;	    /* atomic */
	unsigned int kicks; /* atomic; how often os_thread_kick() was called */
};

struct os_ratelimit {
	uint64_t begin;	    /* of the interval; atomic, like the rest */
	unsigned int lines; /* logged in it */
};

struct os_timer {
	void (*fn)(struct os_timer *timer);
	uint64_t expires; /* the clock's lock, like the rest */
	bool armed;
	bool running;
	pthread_t runner;      /* thread that runs fn, while running */
	struct os_timer *next; /* armed timers, soonest first */
};

/* One simulated processor; tests reach it by os_user_cpu(). */
#define OS_USER_MSRS 256
struct os_user_cpu {
	uint64_t cr0, cr3, cr4;
	uint16_t ldtr;
	uint64_t dr[8];
	uint64_t xcr0;
	uint32_t msr_number[OS_USER_MSRS];
	uint64_t msr_value[OS_USER_MSRS];
	unsigned int msr_count;
};

/* Implementation of the inline functions below; in os/user/ *.c. */
void os_user_atomic_enter(void);
void os_user_atomic_leave(void);
/* abort() unless the thread may sleep now. */
void os_user_may_sleep(const char *what);
void os_user_spin_lock(struct os_spinlock *lock);
void os_user_spin_unlock(struct os_spinlock *lock);
uint64_t os_user_wait_prepare(struct os_waitq *wq);
int os_user_wait_sleep(struct os_waitq *wq, uint64_t seen, bool killable);
uint64_t os_user_tsc(void);
struct os_user_cpu *os_user_this_cpu(void);
int os_user_msr_read(uint32_t msr, uint64_t *value);
void os_user_msr_write(uint32_t msr, uint64_t value);
void os_user_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *regs);
bool os_user_should_leave(void);
bool os_user_traces_exits(void);
void os_user_count_exit(uint32_t reason);

/* --- the inline part of os/os.h -------------------------------------------- */

int os_copyin(const void *user, void *kernel, size_t len);
int os_copyout(const void *kernel, void *user, size_t len);

static inline int os_copyin_words(const void *user, uint64_t *kernel, size_t words)
{
	return os_copyin(user, kernel, words * sizeof(*kernel));
}

static inline int os_copyout_words(const uint64_t *kernel, void *user, size_t words)
{
	return os_copyout(kernel, user, words * sizeof(*kernel));
}

static inline vm_paddr_t os_virt_to_phys(const void *ptr)
{
	return (vm_paddr_t)(uintptr_t)ptr;
}

static inline void *os_phys_to_virt(vm_paddr_t hpa)
{
	return (void *)(uintptr_t)hpa;
}

void os_mutex_init(struct os_mutex *mutex);
#define os_mutex_init_ordered(mutex, order) ((void)(order), os_mutex_init(mutex))
void os_waitq_init(struct os_waitq *wq);

static inline void os_spin_init(struct os_spinlock *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&lock->mutex, &attr);
	pthread_mutexattr_destroy(&attr);
}

static inline unsigned long os_spin_lock(struct os_spinlock *lock)
{
	os_user_spin_lock(lock);
	return 0;
}

static inline void os_spin_unlock(struct os_spinlock *lock, unsigned long flags)
{
	(void)flags;
	os_user_spin_unlock(lock);
}

#define os_user_wait(wq, condition, killable)                                       \
	({                                                                          \
		int wait_error_ = 0;                                                \
		for (;;) {                                                          \
			uint64_t wait_seen_ = os_user_wait_prepare(wq);             \
			if (condition)                                              \
				break;                                              \
			wait_error_ = os_user_wait_sleep(wq, wait_seen_, killable); \
			if (wait_error_ != 0)                                       \
				break;                                              \
		}                                                                   \
		wait_error_;                                                        \
	})
#define os_wait_event(wq, condition)	      os_user_wait(wq, condition, false)
#define os_wait_event_killable(wq, condition) os_user_wait(wq, condition, true)

static inline uint64_t os_rdtsc(void)
{
	return os_user_tsc();
}

static inline void os_irq_disable(void)
{
	os_user_atomic_enter();
}

static inline void os_irq_enable(void)
{
	os_user_atomic_leave();
}

static inline bool os_run_should_leave(void)
{
	return os_user_should_leave();
}

/* An MSR that nobody has written reads as 0, except through _safe. */
static inline uint64_t os_rdmsr(uint32_t msr)
{
	uint64_t value = 0;

	(void)os_user_msr_read(msr, &value);
	return value;
}

static inline int os_rdmsr_safe(uint32_t msr, uint64_t *value)
{
	return os_user_msr_read(msr, value);
}

static inline void os_wrmsr(uint32_t msr, uint64_t value)
{
	os_user_msr_write(msr, value);
}

static inline void os_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *regs)
{
	os_user_cpuid(leaf, subleaf, regs);
}

static inline uint64_t os_xgetbv(uint32_t index)
{
	return index == 0 ? os_user_this_cpu()->xcr0 : 0;
}

static inline void os_xsetbv(uint32_t index, uint64_t value)
{
	if (index == 0)
		os_user_this_cpu()->xcr0 = value;
}

static inline uint64_t os_read_cr0(void)
{
	return os_user_this_cpu()->cr0;
}

static inline uint64_t os_read_cr3(void)
{
	return os_user_this_cpu()->cr3;
}

static inline uint64_t os_read_cr4(void)
{
	return os_user_this_cpu()->cr4;
}

static inline uint16_t os_read_ldtr(void)
{
	return os_user_this_cpu()->ldtr;
}

static inline unsigned int os_index_nospec(unsigned int index, unsigned int size)
{
	(void)size;
	return index;
}

/* Set by tests. */
extern bool os_user_l1d_used;

static inline bool os_l1d_used(void)
{
	return os_user_l1d_used;
}

static inline void os_l1d_flushed(void)
{
	os_user_l1d_used = false;
}

static inline void os_speculation_barrier(void)
{
	asm volatile("lfence" : : : "memory");
}

static inline uint64_t os_read_dr(unsigned int index)
{
	return os_user_this_cpu()->dr[index & 7];
}

static inline void os_write_dr(unsigned int index, uint64_t value)
{
	os_user_this_cpu()->dr[index & 7] = value;
}

static inline bool os_traces_exits(void)
{
	return os_user_traces_exits();
}

static inline void os_trace_exit(const char *name, int vcpuid, uint32_t reason, uint64_t rip,
				 uint64_t info1, uint64_t info2)
{
	(void)name;
	(void)vcpuid;
	(void)rip;
	(void)info1;
	(void)info2;
	os_user_count_exit(reason);
}

#endif
