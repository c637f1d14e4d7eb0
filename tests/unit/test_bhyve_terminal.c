// SPDX-License-Identifier: BSD-2-Clause
/* Terminals go into raw mode and come back, whatever ends the program. */
#include "common/complain.h"
#include "terminal.h"
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* A terminal to try things on: its slave side; the master stays open. */
static int open_terminal(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	char name[64];

	REQUIRE(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	REQUIRE(ptsname_r(master, name, sizeof(name)) == 0);
	return open(name, O_RDWR | O_NOCTTY);
}

static bool is_cooked(int fd)
{
	struct termios settings;

	REQUIRE(tcgetattr(fd, &settings) == 0);
	return (settings.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG) &&
	       (settings.c_oflag & OPOST);
}

static bool is_raw(int fd)
{
	struct termios settings;

	REQUIRE(tcgetattr(fd, &settings) == 0);
	return !(settings.c_lflag & (ICANON | ECHO | ISIG)) && !(settings.c_oflag & OPOST);
}

/* How a child ends. */
enum ending { BY_EXIT, BY_ABORT, BY_FPE, BY_NOTHING_BUT_RESTORE };

/* Returns the wait status of a child that makes 'fd' raw and ends that way. */
static int end_raw(int fd, enum ending ending)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		if (terminal_make_raw(fd) || !is_raw(fd))
			_exit(77);
		switch (ending) {
		case BY_ABORT:
			abort();
		case BY_FPE:
			raise(SIGFPE);
			break;
		case BY_NOTHING_BUT_RESTORE:
			terminal_restore();
			_exit(0);
		default:
			exit(3);
		}
	}
	REQUIRE(pid > 0);
	waitpid(pid, &status, 0);
	return status;
}

TEST(what_is_no_terminal_is_left_alone)
{
	int saved = dup(STDERR_FILENO);
	char line[16] = "";
	int fds[2];

	REQUIRE(pipe(fds) == 0);
	CHECK_EQ(terminal_make_raw(fds[0]), 0);
	dup2(fds[1], STDERR_FILENO);
	complain("x");
	dup2(saved, STDERR_FILENO);
	REQUIRE(read(fds[0], line, sizeof(line) - 1) > 0);
	CHECK_STR(line, "bhyve: x\n");
}

TEST(restored_at_exit)
{
	int fd = open_terminal();
	int status;

	CHECK(is_cooked(fd));
	status = end_raw(fd, BY_EXIT);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	CHECK(is_cooked(fd));
}

TEST(restored_by_hand)
{
	int fd = open_terminal();

	CHECK_EQ(end_raw(fd, BY_NOTHING_BUT_RESTORE), 0);
	CHECK(is_cooked(fd));
}

TEST(restored_when_aborted)
{
	int fd = open_terminal();
	int status = end_raw(fd, BY_ABORT);

	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(is_cooked(fd));
}

TEST(restored_by_a_fatal_signal)
{
	int fd = open_terminal();
	int status = end_raw(fd, BY_FPE);

	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGFPE);
	CHECK(is_cooked(fd));
}

TEST(raw_again_after_a_stop)
{
	int fd = open_terminal();

	REQUIRE(terminal_make_raw(fd) == 0);
	terminal_restore();
	CHECK(is_cooked(fd));
	terminal_resume();
	CHECK(is_raw(fd));
	terminal_restore();
	terminal_restore();
	CHECK(is_cooked(fd));
}
