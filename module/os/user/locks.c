// SPDX-License-Identifier: BSD-2-Clause
/*
 * Locks and waiting in a user process: pthread's, with the kernel's rules on
 * sleeping enforced.
 */
#include <time.h>

#include "os/os.h"
#include "os/user/internal.h"
#include "os/user/os_user.h"

/* A sleeper notices os_user_set_signal() after this long at the latest. */
#define SIGNAL_POLL_NS 5000000

/* Spinlocks held, interrupts off, inner loop entered: levels of "may not sleep". */
static __thread unsigned int atomic_depth;
static int signal_state = OS_USER_SIGNAL_NONE;
static bool return_wanted;

void os_user_atomic_enter(void)
{
	atomic_depth++;
}

void os_user_atomic_leave(void)
{
	if (atomic_depth == 0)
		os_user_die("interrupts or preemption enabled once too often");
	atomic_depth--;
}

void os_user_may_sleep(const char *what)
{
	if (atomic_depth != 0)
		os_user_die("%s where sleeping is forbidden", what);
}

void os_user_spin_lock(struct os_spinlock *lock)
{
	int error = pthread_mutex_lock(&lock->mutex);

	if (error != 0)
		os_user_die("os_spin_lock: %s", strerror(error));
	os_user_atomic_enter();
}

void os_user_spin_unlock(struct os_spinlock *lock)
{
	int error = pthread_mutex_unlock(&lock->mutex);

	if (error != 0)
		os_user_die("os_spin_unlock: %s", strerror(error));
	os_user_atomic_leave();
}

void os_mutex_init(struct os_mutex *mutex)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&mutex->mutex, &attr);
	pthread_mutexattr_destroy(&attr);
}

void os_mutex_lock(struct os_mutex *mutex)
{
	int error;

	os_user_may_sleep("os_mutex_lock");
	error = pthread_mutex_lock(&mutex->mutex);
	if (error != 0)
		os_user_die("os_mutex_lock: %s", strerror(error));
}

int os_mutex_lock_killable(struct os_mutex *mutex)
{
	struct timespec deadline;
	int error;

	os_user_may_sleep("os_mutex_lock_killable");
	for (;;) {
		clock_gettime(CLOCK_REALTIME, &deadline);
		deadline.tv_nsec += SIGNAL_POLL_NS;
		if (deadline.tv_nsec >= 1000000000) {
			deadline.tv_nsec -= 1000000000;
			deadline.tv_sec++;
		}
		error = pthread_mutex_timedlock(&mutex->mutex, &deadline);
		if (error == 0)
			return 0;
		if (error != ETIMEDOUT)
			os_user_die("os_mutex_lock_killable: %s", strerror(error));
		if (__atomic_load_n(&signal_state, __ATOMIC_SEQ_CST) == OS_USER_SIGNAL_FATAL)
			return -EINTR;
	}
}

bool os_mutex_trylock(struct os_mutex *mutex)
{
	return pthread_mutex_trylock(&mutex->mutex) == 0;
}

void os_mutex_unlock(struct os_mutex *mutex)
{
	int error = pthread_mutex_unlock(&mutex->mutex);

	if (error != 0)
		os_user_die("os_mutex_unlock: %s", strerror(error));
}

void os_waitq_init(struct os_waitq *wq)
{
	pthread_mutex_init(&wq->mutex, NULL);
	pthread_cond_init(&wq->cond, NULL);
	wq->wakeups = 0;
}

void os_wake(struct os_waitq *wq)
{
	pthread_mutex_lock(&wq->mutex);
	wq->wakeups++;
	pthread_cond_broadcast(&wq->cond);
	pthread_mutex_unlock(&wq->mutex);
}

uint64_t os_user_wait_prepare(struct os_waitq *wq)
{
	uint64_t seen;

	os_user_may_sleep("os_wait_event");
	pthread_mutex_lock(&wq->mutex);
	seen = wq->wakeups;
	pthread_mutex_unlock(&wq->mutex);
	return seen;
}

static bool wait_interrupted(bool killable)
{
	int state = __atomic_load_n(&signal_state, __ATOMIC_SEQ_CST);

	return state == OS_USER_SIGNAL_FATAL || (state == OS_USER_SIGNAL_PENDING && !killable);
}

/* Sleeps until a wake-up, or for a moment. wq->mutex held. */
static void wait_a_moment(struct os_waitq *wq)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_nsec += SIGNAL_POLL_NS;
	if (deadline.tv_nsec >= 1000000000) {
		deadline.tv_nsec -= 1000000000;
		deadline.tv_sec++;
	}
	pthread_cond_timedwait(&wq->cond, &wq->mutex, &deadline);
}

int os_user_wait_sleep(struct os_waitq *wq, uint64_t seen, bool killable)
{
	int error = 0;

	if (os_user_clock_idle_advances()) {
		if (wait_interrupted(killable) || !os_user_clock_jump())
			return -EINTR;
		return 0;
	}
	pthread_mutex_lock(&wq->mutex);
	while (wq->wakeups == seen) {
		if (wait_interrupted(killable)) {
			error = -EINTR;
			break;
		}
		wait_a_moment(wq);
	}
	pthread_mutex_unlock(&wq->mutex);
	return error;
}

void os_thread_attach(struct os_thread *thread)
{
	__atomic_store_n(&thread->attached, true, __ATOMIC_SEQ_CST);
}

void os_thread_detach(struct os_thread *thread)
{
	__atomic_store_n(&thread->attached, false, __ATOMIC_SEQ_CST);
}

void os_thread_kick(struct os_thread *thread)
{
	if (__atomic_load_n(&thread->attached, __ATOMIC_SEQ_CST))
		__atomic_fetch_add(&thread->kicks, 1, __ATOMIC_SEQ_CST);
}

bool os_thread_wanted(void)
{
	return os_signal_pending() || __atomic_load_n(&return_wanted, __ATOMIC_SEQ_CST);
}

bool os_signal_pending(void)
{
	return __atomic_load_n(&signal_state, __ATOMIC_SEQ_CST) != OS_USER_SIGNAL_NONE;
}

bool os_return_pending(void)
{
	return __atomic_exchange_n(&return_wanted, false, __ATOMIC_SEQ_CST);
}

void os_user_want_return(void)
{
	__atomic_store_n(&return_wanted, true, __ATOMIC_SEQ_CST);
}

void os_user_set_signal(enum os_user_signal signal)
{
	__atomic_store_n(&signal_state, (int)signal, __ATOMIC_SEQ_CST);
}

void os_user_sync_reset(void)
{
	os_user_set_signal(OS_USER_SIGNAL_NONE);
	(void)os_return_pending();
	os_user_may_sleep("os_user_reset");
}
