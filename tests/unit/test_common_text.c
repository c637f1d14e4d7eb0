// SPDX-License-Identifier: BSD-2-Clause
/* What the commands say: the error line, failures, command lines, names of VMs; checksums. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/arguments.h"
#include "common/checksum.h"
#include "common/complain.h"
#include "common/printable.h"
#include "common/vm_name.h"
#include "unit.h"

const char program_name[] = "command";

static int saved_error = -1;

/* What goes to standard error from here to heard(). */
static void listen_to_error(int pipe_fds[2])
{
	REQUIRE(pipe(pipe_fds) == 0);
	saved_error = dup(STDERR_FILENO);
	dup2(pipe_fds[1], STDERR_FILENO);
	close(pipe_fds[1]);
}

static void heard(const int pipe_fds[2], char *text, size_t size)
{
	ssize_t length;

	dup2(saved_error, STDERR_FILENO);
	close(saved_error);
	length = read(pipe_fds[0], text, size - 1);
	text[length > 0 ? length : 0] = '\0';
	close(pipe_fds[0]);
}

TEST(the_error_line)
{
	char text[1024];
	int fds[2];

	listen_to_error(fds);
	complain("%s: %s", "a\nb", "why \xc3\xa4");
	heard(fds, text, sizeof(text));
	CHECK_STR(text, "command: a?b: why \xc3\xa4\n");
}

TEST(the_error_line_of_a_raw_terminal)
{
	char text[1024];
	int fds[2];

	listen_to_error(fds);
	complain_to_raw_terminal(true);
	complain("one");
	complain_to_raw_terminal(false);
	complain("two");
	heard(fds, text, sizeof(text));
	CHECK_STR(text, "command: one\r\ncommand: two\n");
}

TEST(the_error_line_has_an_end)
{
	char text[1024];
	int fds[2];

	listen_to_error(fds);
	complain("%01000d", 1);
	heard(fds, text, sizeof(text));
	CHECK_EQ(strlen(text), strlen("command: ") + 511 + 1);
	CHECK_EQ(text[strlen(text) - 1], '\n');
}

TEST(standard_output_that_is_full_is_noticed)
{
	char text[1024];
	int fds[2];

	CHECK_EQ(finish_standard_output(), 0);
	REQUIRE(freopen("/dev/full", "w", stdout));
	listen_to_error(fds);
	fputs("text", stdout);
	CHECK_EQ(finish_standard_output(), -1);
	CHECK_EQ(finish_standard_output(), -1);
	heard(fds, text, sizeof(text));
	CHECK_STR(text, "command: standard output: No space left on device\n"
			"command: standard output: cannot be written\n");
	/* The harness prints as well. */
	REQUIRE(freopen("/dev/null", "w", stdout));
}

TEST(what_is_printable)
{
	char bytes[] = "a\t\x1b\x7f\xc3\xa4~ ", ascii[] = "a\t\x1b\x7f\xc3\xa4~ ";

	make_printable(bytes, PRINTABLE_BYTES);
	CHECK_STR(bytes, "a???\xc3\xa4~ ");
	make_printable(ascii, PRINTABLE_ASCII);
	CHECK_STR(ascii, "a?????~ ");
}

TEST(failures)
{
	struct failure failure;

	CHECK_EQ(fail(&failure, "%s: %d\n", "what", 5), -1);
	CHECK_STR(failure.text, "what: 5?");
	failure_note(&failure, "%01000d", 1);
	CHECK_EQ(strlen(failure.text), sizeof(failure.text) - 1);
}

/* Reads a command line with the options -a, -f VALUE and --help. */
static const char *refusal(char **argv)
{
	static struct failure failure;
	int argc = 0;
	int letter;

	while (argv[argc])
		argc++;
	optind = 0;
	opterr = 0;
	failure.text[0] = '\0';
	while ((letter = getopt_long(argc, argv, ":af:", help_option, NULL)) >= 0)
		if (letter == '?' || letter == ':') {
			CHECK_EQ(argument_refused(&failure, letter, argv), -1);
			return failure.text;
		}
	argument_only(&failure, argc, argv, "VM");
	return failure.text;
}

#define REFUSAL(...) refusal((char *[]){ (char *)"command", __VA_ARGS__ __VA_OPT__(, ) NULL })

TEST(arguments_that_are_refused)
{
	CHECK_STR(REFUSAL("-a", "vm"), "");
	CHECK_STR(REFUSAL("-q", "vm"), "-q: no such option; see command --help");
	CHECK_STR(REFUSAL("-aq", "vm"), "-q: no such option; see command --help");
	CHECK_STR(REFUSAL("-f"), "-f: it needs a value; see command --help");
	CHECK_STR(REFUSAL("--wrong", "vm"), "--wrong: no such option; see command --help");
	CHECK_STR(REFUSAL("--help=all", "vm"), "--help=all: takes no value; see command --help");
}

TEST(one_argument)
{
	CHECK_STR(REFUSAL("-a"), "command line: no VM is named; see command --help");
	CHECK_STR(REFUSAL("one", "two"), "two: more than one VM is named; see command --help");
}

TEST(names_of_vms)
{
	char longest[229 + 2];

	memset(longest, 'n', sizeof(longest));
	longest[229] = '\0';
	CHECK(!vm_name_problem("vm0"));
	CHECK(!vm_name_problem("a.b-c_d:e"));
	CHECK(!vm_name_problem("..."));
	CHECK(!vm_name_problem(longest));
	longest[229] = 'n';
	longest[230] = '\0';
	CHECK_STR(vm_name_problem(longest), "a VM's name has 1 to 229 characters");
	CHECK_STR(vm_name_problem(""), "a VM's name has 1 to 229 characters");
	CHECK(strstr(vm_name_problem("a/b"), "without spaces"));
	CHECK(strstr(vm_name_problem("a b"), "without spaces"));
	CHECK(strstr(vm_name_problem("a!"), "without spaces"));
	CHECK(strstr(vm_name_problem("\xc3\xa4"), "ASCII"));
	CHECK(vm_name_problem("."));
	CHECK(vm_name_problem(".."));
}

TEST(why_a_vm_cannot_be_had)
{
	/* Where these tests run, the module may or may not be there. */
	CHECK_STR(vm_access_problem(ENOENT),
		  access(CONTROL_DEVICE, F_OK) ? MODULE_NOT_LOADED : "no such VM");
	CHECK(strstr(vm_access_problem(EACCES), "permission"));
	CHECK(strstr(vm_access_problem(EBUSY), "another hypervisor"));
	CHECK_STR(vm_access_problem(ENOMEM), strerror(ENOMEM));
}

TEST(checksums)
{
	uint8_t table[8] = { 0xff, 0x80, 0x81, 0, 1, 2, 3, 0 };

	CHECK_EQ(checksum(table, 0), 0);
	CHECK_EQ(checksum(table, 1), 1);
	table[7] = checksum(table, sizeof(table));
	CHECK_EQ(table[7], 0xfa);
	CHECK_EQ(checksum(table, sizeof(table)), 0);
}
