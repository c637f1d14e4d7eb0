// SPDX-License-Identifier: BSD-2-Clause
#include "common/arguments.h"
#include "common/complain.h"

#include <stddef.h>
#include <string.h>

const struct option help_option[] = { { "help", no_argument, NULL, 'h' }, { 0 } };

/* For a long option optind is past it; within a group of letters it is not. */
static const char *long_option(char **argv)
{
	const char *last = argv[optind - 1];

	return optopt == 0 || (strncmp(last, "--", 2) == 0 && strchr(last, '=')) ? last : NULL;
}

int argument_refused(struct failure *failure, int result, char **argv)
{
	const char *name = long_option(argv);

	if (result == ':')
		return fail(failure, "-%c: it needs a value; see %s --help", optopt, program_name);
	if (name)
		return fail(failure, "%s: %s; see %s --help", name,
			    optopt ? "takes no value" : "no such option", program_name);
	return fail(failure, "-%c: no such option; see %s --help", optopt, program_name);
}

const char *argument_only(struct failure *failure, int argc, char **argv, const char *what)
{
	if (optind == argc - 1)
		return argv[optind];
	if (optind == argc)
		failure_note(failure, "command line: no %s is named; see %s --help", what,
			     program_name);
	else
		failure_note(failure, "%s: more than one %s is named; see %s --help",
			     argv[optind + 1], what, program_name);
	return NULL;
}
