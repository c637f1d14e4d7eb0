// SPDX-License-Identifier: BSD-2-Clause
/* The test devices. */
#include "testdev.h"
#include "diag.h"
#include "inout.h"
#include "output.h"
#include "run.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static struct output *console; /* constant once vCPUs run */

static void exit_write(void *arg, unsigned offset, unsigned bytes, uint32_t value)
{
	(void)offset, (void)bytes;
	run_set_status((int)((value << 1 | 1) & 0xff));
	vm_suspend(arg, VM_SUSPEND_POWEROFF);
}

static uint32_t console_read(void *arg, unsigned offset, unsigned bytes)
{
	(void)arg, (void)offset, (void)bytes;
	return TESTDEV_CONSOLE_PORT;
}

static void console_write(void *arg, unsigned offset, unsigned bytes, uint32_t value)
{
	(void)arg, (void)offset, (void)bytes;
	output_put_all(console, (uint8_t)value);
}

void testdev_init(struct vmctx *ctx)
{
	static struct inout_range exit_range = {
		"test exit", TESTDEV_EXIT_PORT, 4, INOUT_ANY, NULL, exit_write, NULL,
	};
	static const struct inout_range console_range = {
		"test console", TESTDEV_CONSOLE_PORT, 1,    INOUT_BYTE,
		console_read,	console_write,	      NULL,
	};

	exit_range.arg = ctx;
	console = output_open(STDOUT_FILENO, false);
	if (!console)
		fatal("testdev: no thread for its output: %s", strerror(errno));
	if (inout_register(&exit_range) || inout_register(&console_range))
		fatal("testdev: its ports are taken");
}
