// SPDX-License-Identifier: BSD-2-Clause
/* Signals, read from a signalfd(2) by the event loop. */
#include "signals.h"
#include "diag.h"
#include "event.h"
#include "pm.h"
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int served[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGCONT };

/* The main thread's, where the event loop is. */
static struct {
	int fd;
	struct vmctx *ctx;
	int deadly; /* the signal that is to end the process, or 0 */
} signals;

static void served_set(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < sizeof(served) / sizeof(served[0]); i++)
		sigaddset(set, served[i]);
}

void signals_block(void)
{
	sigset_t set;

	served_set(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN); /* a console's reader may go */
}

static void serve_signal(int number)
{
	switch (number) {
	case SIGTERM:
		if (!pm_power_button())
			vm_suspend(signals.ctx, VM_SUSPEND_POWEROFF);
		break;
	case SIGCONT:
		terminal_resume();
		break;
	default:
		signals.deadly = number;
		event_stop();
	}
}

static void signals_ready(void *arg)
{
	struct signalfd_siginfo info;

	(void)arg;
	while (read(signals.fd, &info, sizeof(info)) == sizeof(info))
		serve_signal((int)info.ssi_signo);
}

void signals_init(struct vmctx *ctx)
{
	sigset_t set;

	served_set(&set);
	signals.ctx = ctx;
	signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals.fd < 0 || !event_add(signals.fd, signals_ready, NULL))
		fatal("signals: %s", strerror(errno));
}

void signals_die(void)
{
	sigset_t set;

	if (!signals.deadly)
		return;
	terminal_restore();
	signal(signals.deadly, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, signals.deadly);
	raise(signals.deadly);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}
