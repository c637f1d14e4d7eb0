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

/* Guests and userspace can cause these, so they are rate limited. */
void os_warn(const char *fmt, ...)
{
	struct va_format line = { .fmt = fmt };
	va_list args;

	va_start(args, fmt);
	line.va = &args;
	pr_warn_ratelimited("%pV\n", &line);
	va_end(args);
}
