// SPDX-License-Identifier: BSD-2-Clause
/*
 * bhyvectl: looks into a VM and changes it, as bhyvectl(8) has it. The arguments
 * are read twice: first the parameters, then the actions in the order given.
 */
#include "bhyvectl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void session_note(struct session *session, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(session->message, sizeof(session->message), format, args);
	va_end(args);
}

int parse_number(struct session *session, const char *text, uint64_t max, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	if (*text == '\0' || *end != '\0' || strchr(text, '-') || errno)
		return session_fail(session, "'%s' is no number", text);
	if (*value > max)
		return session_fail(session, "%s is more than %#llx", text,
				    (unsigned long long)max);
	return 0;
}

/* One argument of the command, taken apart. */
struct word {
	struct option option;
	const char *argument;
};

/*
 * Takes argv[*index] apart, and the next one if the option's argument is there.
 */
static int read_word(struct session *session, char **argv, int *index, struct word *word)
{
	const char *text = argv[(*index)++];
	const char *equals = strchr(text, '=');
	size_t length = equals ? (size_t)(equals - text) : strlen(text);

	if (strncmp(text, "--", 2) != 0 || !find_option(text + 2, length - 2, &word->option))
		return session_fail(session, "no such option; see bhyvectl --help");
	word->argument = equals ? equals + 1 : NULL;
	if (!word->option.argument && equals)
		return session_fail(session, "takes no value");
	if (word->option.argument && !equals)
		word->argument = argv[*index] ? argv[(*index)++] : NULL;
	if (word->option.argument && !word->argument)
		return session_fail(session, "needs a value: --%.*s=%s", (int)(length - 2),
				    text + 2, word->option.argument);
	return 0;
}

/* Tells which argument failed and why, in one line. */
static void complain(const struct session *session, const char *text)
{
	int length = (int)strcspn(text, "=");
	const char *why = session->message[0] ? session->message : strerror(errno);

	if (session->vm_name)
		fprintf(stderr, "bhyvectl: %.*s: VM %s: %s\n", length, text, session->vm_name, why);
	else
		fprintf(stderr, "bhyvectl: %.*s: %s\n", length, text, why);
}

/* Performs what belongs to one phase; counts it in *count. */
static int run_phase(struct session *session, char **argv, enum when when, int *count)
{
	int index = 1;

	while (argv[index]) {
		const char *text = argv[index];
		struct word word;

		if (read_word(session, argv, &index, &word) ||
		    (word.option.when == when &&
		     word.option.act(session, &word.option, word.argument))) {
			complain(session, text);
			return -1;
		}
		*count += word.option.when == when;
	}
	return 0;
}

static int count_phase(struct session *session, char **argv, enum when when)
{
	int index = 1;
	int count = 0;
	struct word word;

	/* The arguments have been read before: nothing fails now. */
	while (argv[index] && read_word(session, argv, &index, &word) == 0)
		count += word.option.when == when;
	return count;
}

static int open_vm(struct session *session)
{
	if (!session->vm_name) {
		fprintf(stderr, "bhyvectl: no VM is named (--vm)\n");
		return -1;
	}
	session->ctx = vm_open(session->vm_name);
	if (session->ctx)
		session->vcpu = vm_vcpu_open(session->ctx, session->cpu);
	if (session->vcpu)
		return 0;
	fprintf(stderr, "bhyvectl: cannot open VM %s: %s\n", session->vm_name,
		errno != ENOENT			 ? strerror(errno) :
		access("/dev/vmmctl", F_OK) == 0 ? "no such VM" :
						   "the module is not loaded");
	return -1;
}

static void close_vm(struct session *session)
{
	if (session->vcpu)
		vm_vcpu_close(session->vcpu);
	if (session->ctx)
		vm_close(session->ctx);
	session->vcpu = NULL;
	session->ctx = NULL;
}

static int run_all(struct session *session, char **argv)
{
	int with_vm;
	int done = 0;
	int parameters = 0;

	if (run_phase(session, argv, PARAMETER, &parameters) ||
	    run_phase(session, argv, WITHOUT_VM, &done))
		return -1;
	with_vm = count_phase(session, argv, WITH_VM);
	if (with_vm && (open_vm(session) || run_phase(session, argv, WITH_VM, &done)))
		return -1;
	close_vm(session);
	if (run_phase(session, argv, AT_END, &done))
		return -1;
	if (done == 0) {
		fprintf(stderr, "bhyvectl: nothing to do; see bhyvectl --help\n");
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct session session = { .nvram_offset = -1 };
	int error;

	(void)argc;
	error = run_all(&session, argv);
	close_vm(&session);
	if (fflush(stdout) == EOF && !error) {
		fprintf(stderr, "bhyvectl: standard output: %s\n", strerror(errno));
		error = -1;
	}
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
