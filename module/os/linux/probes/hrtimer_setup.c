// SPDX-License-Identifier: BSD-2-Clause
/* hrtimer_setup(): 6.13, replaces hrtimer_init() and setting the function. */
#include <linux/hrtimer.h>

static enum hrtimer_restart expired(struct hrtimer *timer)
{
	return HRTIMER_NORESTART;
}

void vmm_probe(struct hrtimer *timer);
void vmm_probe(struct hrtimer *timer)
{
	hrtimer_setup(timer, expired, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_HARD);
}
