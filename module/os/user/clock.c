// SPDX-License-Identifier: BSD-2-Clause
/*
 * Time in a user process: a clock that stands still until a test moves it, and
 * timers that expire in order, in the thread that moves the clock.
 */
#include "os/os.h"
#include "os/user/internal.h"
#include "os/user/os_user.h"

#define NS_PER_SECOND 1000000000ull
#define CLOCK_START   NS_PER_SECOND
#define TSC_KHZ_START 2000000
#define WALL_START    1700000000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t finished = PTHREAD_COND_INITIALIZER; /* a callback has returned */
static struct os_timer *armed;				   /* lock */
static uint64_t now = CLOCK_START;			   /* written under lock, read atomically */
static uint32_t tsc_khz = TSC_KHZ_START;
static int64_t wall_at_zero = WALL_START;
static bool idle_advances;
static bool tsc_stable = true;
static uint64_t tsc_jumps; /* what it is ahead of the clock; atomic */

uint64_t os_now_ns(void)
{
	return __atomic_load_n(&now, __ATOMIC_SEQ_CST);
}

int64_t os_wall_seconds(void)
{
	return __atomic_load_n(&wall_at_zero, __ATOMIC_SEQ_CST) +
	       (int64_t)(os_now_ns() / NS_PER_SECOND);
}

uint32_t os_tsc_khz(void)
{
	return __atomic_load_n(&tsc_khz, __ATOMIC_SEQ_CST);
}

bool os_tsc_stable(void)
{
	return __atomic_load_n(&tsc_stable, __ATOMIC_SEQ_CST);
}

uint64_t os_user_tsc(void)
{
	return (uint64_t)((unsigned __int128)os_now_ns() * os_tsc_khz() / 1000000) +
	       __atomic_load_n(&tsc_jumps, __ATOMIC_SEQ_CST);
}

void os_timer_init(struct os_timer *timer, os_timer_fn fn)
{
	memset(timer, 0, sizeof(*timer));
	timer->fn = fn;
}

static void disarm(struct os_timer *timer)
{
	struct os_timer **link = &armed;

	while (*link && *link != timer)
		link = &(*link)->next;
	if (*link)
		*link = timer->next;
	timer->next = NULL;
	timer->armed = false;
}

void os_timer_start(struct os_timer *timer, uint64_t expires_ns)
{
	struct os_timer **link = &armed;

	pthread_mutex_lock(&lock);
	disarm(timer);
	while (*link && (*link)->expires <= expires_ns)
		link = &(*link)->next;
	timer->expires = expires_ns;
	timer->armed = true;
	timer->next = *link;
	*link = timer;
	pthread_mutex_unlock(&lock);
}

void os_timer_cancel(struct os_timer *timer)
{
	pthread_mutex_lock(&lock);
	disarm(timer);
	while (timer->running) {
		if (pthread_equal(timer->runner, pthread_self()))
			os_user_die("os_timer_cancel from the timer's own callback");
		pthread_cond_wait(&finished, &lock);
		/* The callback may have armed it again. */
		disarm(timer);
	}
	pthread_mutex_unlock(&lock);
}

bool os_timer_try_cancel(struct os_timer *timer)
{
	bool cancelled;

	pthread_mutex_lock(&lock);
	cancelled = !timer->running;
	if (cancelled)
		disarm(timer);
	pthread_mutex_unlock(&lock);
	return cancelled;
}

/* Runs the first timer's callback, at its expiry; lock held, dropped during the callback. */
static void expire_first(void)
{
	struct os_timer *timer = armed;

	disarm(timer);
	if (timer->expires > now)
		__atomic_store_n(&now, timer->expires, __ATOMIC_SEQ_CST);
	timer->running = true;
	timer->runner = pthread_self();
	pthread_mutex_unlock(&lock);

	os_user_atomic_enter(); /* interrupt context: the callback must not sleep */
	timer->fn(timer);
	os_user_atomic_leave();

	pthread_mutex_lock(&lock);
	timer->running = false;
	pthread_cond_broadcast(&finished);
}

void os_user_clock_advance(uint64_t ns)
{
	uint64_t target;

	pthread_mutex_lock(&lock);
	target = now + ns;
	while (armed && armed->expires <= target && !armed->running)
		expire_first();
	if (now < target)
		__atomic_store_n(&now, target, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&lock);
}

bool os_user_clock_jump(void)
{
	bool jumped = false;

	pthread_mutex_lock(&lock);
	if (armed && !armed->running) {
		expire_first();
		jumped = true;
	}
	pthread_mutex_unlock(&lock);
	return jumped;
}

uint64_t os_user_clock_next(void)
{
	uint64_t next;

	pthread_mutex_lock(&lock);
	next = armed ? armed->expires : UINT64_MAX;
	pthread_mutex_unlock(&lock);
	return next;
}

unsigned int os_user_timers(void)
{
	const struct os_timer *timer;
	unsigned int count = 0;

	pthread_mutex_lock(&lock);
	for (timer = armed; timer; timer = timer->next)
		count++;
	pthread_mutex_unlock(&lock);
	return count;
}

void os_user_idle_advances(bool on)
{
	__atomic_store_n(&idle_advances, on, __ATOMIC_SEQ_CST);
}

bool os_user_clock_idle_advances(void)
{
	return __atomic_load_n(&idle_advances, __ATOMIC_SEQ_CST);
}

void os_user_set_wall(int64_t seconds)
{
	__atomic_store_n(&wall_at_zero, seconds - (int64_t)(os_now_ns() / NS_PER_SECOND),
			 __ATOMIC_SEQ_CST);
}

void os_user_set_tsc_khz(uint32_t khz)
{
	__atomic_store_n(&tsc_khz, khz, __ATOMIC_SEQ_CST);
}

void os_user_jump_tsc(int64_t ticks)
{
	__atomic_fetch_add(&tsc_jumps, (uint64_t)ticks, __ATOMIC_SEQ_CST);
}

void os_user_set_tsc_stable(bool stable)
{
	__atomic_store_n(&tsc_stable, stable, __ATOMIC_SEQ_CST);
}

void os_user_clock_reset(void)
{
	if (os_user_timers() != 0)
		os_user_die("os_user_reset with %u timers armed", os_user_timers());
	__atomic_store_n(&now, CLOCK_START, __ATOMIC_SEQ_CST);
	__atomic_store_n(&wall_at_zero, WALL_START, __ATOMIC_SEQ_CST);
	os_user_set_tsc_khz(TSC_KHZ_START);
	os_user_set_tsc_stable(true);
	__atomic_store_n(&tsc_jumps, 0, __ATOMIC_SEQ_CST);
	os_user_idle_advances(false);
}
