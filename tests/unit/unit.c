// SPDX-License-Identifier: BSD-2-Clause
/*
 * The unit tests' harness: see unit.h. A test runs in a child process, which
 * sends the text of its first failure through a pipe and exits; what the exit
 * status says (a signal, a sanitizer's own status) is believed too.
 */
#include "unit.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* A test that takes this many seconds hangs, unless UNIT_SECONDS says otherwise. */
#define TEST_SECONDS 300

/* Failures shown of one test; the rest is only counted. */
#define FAILURES_SHOWN 10

static struct unit_test *first_test;
static struct unit_test **next_link = &first_test;

/* Of the running test. */
static int failures;
static int reason_fd = -1;

void unit_register(struct unit_test *test)
{
	*next_link = test;
	next_link = &test->next;
}

void unit_fail(const char *file, int line, const char *format, ...)
{
	const char *slash = strrchr(file, '/');
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);

	if (failures++ < FAILURES_SHOWN)
		fprintf(stderr, "%s:%d: %s\n", file, line, message);
	if (failures == 1 && reason_fd >= 0)
		dprintf(reason_fd, "%s:%d: %s", slash ? slash + 1 : file, line, message);
}

void unit_end(void)
{
	fflush(stdout);
	exit(failures ? EXIT_FAILURE : EXIT_SUCCESS);
}

void unit_check_mem(const char *file, int line, const char *what, const void *actual,
		    const void *expected, size_t length)
{
	const unsigned char *a = actual;
	const unsigned char *e = expected;

	for (size_t i = 0; i < length; i++) {
		if (a[i] != e[i]) {
			unit_fail(file, line, "%s: byte %zu is %#x, expected %#x", what, i, a[i],
				  e[i]);
			return;
		}
	}
}

void unit_check_str(const char *file, int line, const char *what, const char *actual,
		    const char *expected)
{
	if (!actual || strcmp(actual, expected) != 0)
		unit_fail(file, line, "%s is \"%s\", expected \"%s\"", what,
			  actual ? actual : "(null)", expected);
}

/* All that comes until nobody can write any more; what does not fit is dropped. */
static void read_to_the_end(int fd, char *text, size_t size)
{
	char dropped[512];
	size_t length = 0;
	ssize_t more;

	do {
		size_t room = size - 1 - length;

		more = room ? read(fd, text + length, room) : read(fd, dropped, sizeof(dropped));
		if (room && more > 0)
			length += (size_t)more;
	} while (more > 0);
	text[length] = '\0';
}

int unit_exit_status(void (*work)(const void *), const void *argument, int fd, char *text,
		     size_t size)
{
	int status;
	int fds[2];
	pid_t pid;

	REQUIRE(pipe(fds) == 0);
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], fd);
		close(fds[1]);
		work(argument);
		_exit(0);
	}
	close(fds[1]);
	read_to_the_end(fds[0], text, size);
	close(fds[0]);
	REQUIRE(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Prints "SUBJECT.NAME" of tests/unit/test_SUBJECT.c. */
static void print_name(const struct unit_test *test)
{
	const char *slash = strrchr(test->file, '/');
	const char *base = slash ? slash + 1 : test->file;
	int length = (int)strcspn(base, ".");

	if (strncmp(base, "test_", 5) == 0) {
		base += 5;
		length -= 5;
	}
	printf("%.*s.%s", length, base, test->name);
}

static unsigned int test_seconds(void)
{
	const char *text = getenv("UNIT_SECONDS");
	int seconds = text ? atoi(text) : 0;

	return seconds > 0 ? (unsigned int)seconds : TEST_SECONDS;
}

static void run_child(const struct unit_test *test, int fd)
{
	reason_fd = fd;
	alarm(test_seconds());
	test->run();
	unit_end();
}

/* Says in words how a child ended that left no reason. */
static void describe_status(int status, char *reason, size_t size)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		snprintf(reason, size, "still running after %u s", test_seconds());
	else if (WIFSIGNALED(status))
		snprintf(reason, size, "killed: %s", strsignal(WTERMSIG(status)));
	else
		snprintf(reason, size, "exit status %d (sanitizer?)", WEXITSTATUS(status));
}

/* Returns whether the test passed. */
static bool run_test(const struct unit_test *test)
{
	char reason[512] = "";
	ssize_t length;
	int status;
	int fds[2];
	pid_t pid;

	fflush(stdout);
	if (pipe(fds) < 0) {
		perror("pipe");
		exit(EXIT_FAILURE);
	}
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(EXIT_FAILURE);
	}
	if (pid == 0) {
		close(fds[0]);
		run_child(test, fds[1]);
	}
	close(fds[1]);
	waitpid(pid, &status, 0);
	length = read(fds[0], reason, sizeof(reason) - 1);
	close(fds[0]);

	if (status == 0) {
		printf("ok ");
		print_name(test);
		printf("\n");
		return true;
	}
	if (length <= 0)
		describe_status(status, reason, sizeof(reason));
	printf("not ok ");
	print_name(test);
	printf(": %s\n", reason);
	return false;
}

static bool is_wanted(const struct unit_test *test, int count, char **words)
{
	for (int i = 0; i < count; i++)
		if (strstr(test->name, words[i]))
			return true;
	return count == 0;
}

/* Whether the test's name is one of those, with commas between them, before the first space. */
static bool is_named(const struct unit_test *test, const char *names)
{
	size_t length = strlen(test->name);

	for (;; names++) {
		if (strncmp(names, test->name, length) == 0 &&
		    (names[length] == ',' || names[length] == ' '))
			return true;
		names += strcspn(names, ", ");
		if (*names != ',')
			return false;
	}
}

/* $UNIT_SKIP is names of tests and, behind a space, why they cannot be run here. */
static bool is_skipped(const struct unit_test *test)
{
	const char *skip = getenv("UNIT_SKIP");

	if (!skip || !is_named(test, skip))
		return false;
	printf("skip ");
	print_name(test);
	printf(":%s\n", skip + strcspn(skip, " "));
	return true;
}

int main(int argc, char **argv)
{
	const char *no_fork = getenv("UNIT_NOFORK");
	bool all_passed = true;

	for (struct unit_test *test = first_test; test; test = test->next) {
		if (!is_wanted(test, argc - 1, argv + 1) || is_skipped(test))
			continue;
		if (no_fork)
			test->run();
		else
			all_passed &= run_test(test);
	}
	return all_passed && failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
