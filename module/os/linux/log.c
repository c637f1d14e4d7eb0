// SPDX-License-Identifier: BSD-2-Clause
/* The kernel log. */
#define pr_fmt(fmt) "vmm: " fmt

#include <linux/printk.h>
#include <linux/ratelimit.h>
#include "os/os.h"

void os_info(const char *fmt, ...)
{
	struct va_format line = { .fmt = fmt };
	va_list args;

	va_start(args, fmt);
	line.va = &args;
	pr_info("%pV\n", &line);
	va_end(args);
}

void os_ratelimit_init(struct os_ratelimit *limit)
{
	ratelimit_state_init(&limit->state, DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST);
}

void os_warn_limited(struct os_ratelimit *limit, const char *fmt, ...)
{
	struct va_format line = { .fmt = fmt };
	va_list args;

	if (!___ratelimit(&limit->state, "vmm"))
		return;
	va_start(args, fmt);
	line.va = &args;
	pr_warn("%pV\n", &line);
	va_end(args);
}

void os_warn(const char *fmt, ...)
{
	struct va_format line = { .fmt = fmt };
	va_list args;

	va_start(args, fmt);
	line.va = &args;
	pr_warn_ratelimited("%pV\n", &line);
	va_end(args);
}
