// SPDX-License-Identifier: BSD-2-Clause
/*
 * Time: CLOCK_MONOTONIC and high resolution timers on it, which expire in hard
 * interrupt context on the CPU that started them.
 */
#include <linux/ktime.h>
#include <linux/timekeeping.h>
#include <asm/cpufeature.h>
#include <asm/tsc.h>
#include "os/linux/compat.h"
#include "os/os.h"

uint64_t os_now_ns(void)
{
	return ktime_get_ns();
}

int64_t os_wall_seconds(void)
{
	return ktime_get_real_seconds();
}

uint32_t os_tsc_khz(void)
{
	return tsc_khz;
}

/*
 * The kernel checks that the CPUs' TSCs are synchronized. CONSTANT_TSC says that the rate
 * never changes; on another hypervisor the TSC is virtual, and has one rate.
 */
bool os_tsc_stable(void)
{
	return !check_tsc_unstable() &&
	       (boot_cpu_has(X86_FEATURE_CONSTANT_TSC) || boot_cpu_has(X86_FEATURE_HYPERVISOR));
}

/* A callback that restarts the timer has enqueued it already: no HRTIMER_RESTART. */
static enum hrtimer_restart timer_expired(struct hrtimer *hrtimer)
{
	struct os_timer *timer = container_of(hrtimer, struct os_timer, hrtimer);

	timer->fn(timer);
	return HRTIMER_NORESTART;
}

void os_timer_init(struct os_timer *timer, os_timer_fn fn)
{
	timer->fn = fn;
	hrtimer_setup(&timer->hrtimer, timer_expired, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_HARD);
}

void os_timer_start(struct os_timer *timer, uint64_t expires_ns)
{
	ktime_t expires = min_t(uint64_t, expires_ns, KTIME_MAX);

	hrtimer_start(&timer->hrtimer, expires, HRTIMER_MODE_ABS_HARD);
}

void os_timer_cancel(struct os_timer *timer)
{
	hrtimer_cancel(&timer->hrtimer);
}

bool os_timer_try_cancel(struct os_timer *timer)
{
	return hrtimer_try_to_cancel(&timer->hrtimer) >= 0;
}
