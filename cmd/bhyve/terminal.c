// SPDX-License-Identifier: BSD-2-Clause
/*
 * Raw terminals and their restoration, at exit and by fatal signals.
 */
#include "terminal.h"
#include "common/complain.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#define TERMINAL_MAX 4

struct terminal {
	int fd;
	struct termios original;
	struct termios raw;
};

/* Written before other threads run, then only read. */
static struct terminal terminals[TERMINAL_MAX];
static int terminal_count;

/* Signals that a fault of the process itself raises. */
static const int fatal_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS };

static void set_all(bool raw)
{
	for (int i = 0; i < terminal_count; i++)
		tcsetattr(terminals[i].fd, TCSANOW,
			  raw ? &terminals[i].raw : &terminals[i].original);
}

void terminal_restore(void)
{
	set_all(false);
	complain_to_raw_terminal(false);
}

void terminal_resume(void)
{
	set_all(true);
	complain_to_raw_terminal(terminal_count > 0 && isatty(STDERR_FILENO));
}

/* SA_RESETHAND is set: raised again, the signal has its default action. */
static void restore_and_die(int number)
{
	set_all(false);
	raise(number);
}

static void restore_at_end(void)
{
	struct sigaction action = { .sa_handler = restore_and_die, .sa_flags = SA_RESETHAND };

	atexit(terminal_restore);
	for (size_t i = 0; i < sizeof(fatal_signals) / sizeof(fatal_signals[0]); i++)
		sigaction(fatal_signals[i], &action, NULL);
}

int terminal_make_raw(int fd)
{
	struct terminal *terminal = &terminals[terminal_count];

	if (!isatty(fd))
		return 0;
	if (terminal_count == TERMINAL_MAX)
		return -EBUSY;
	if (tcgetattr(fd, &terminal->original))
		return -errno;
	terminal->raw = terminal->original;
	cfmakeraw(&terminal->raw);
	terminal->fd = fd;
	if (terminal_count++ == 0)
		restore_at_end();
	if (tcsetattr(fd, TCSANOW, &terminal->raw))
		return -errno;
	complain_to_raw_terminal(isatty(STDERR_FILENO));
	return 0;
}
