// SPDX-License-Identifier: BSD-2-Clause
/*
 * bhyvectl: looks into a VM and changes it, as bhyvectl(8) has it. The arguments
 * are read twice: first the parameters, then the actions in the order given.
 */
#include "bhyvectl.h"
#include "common/complain.h"
#include "common/number.h"
#include "common/version.h"
#include "common/vm_name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char program_name[] = "bhyvectl";

int parse_number(struct session *session, const char *text, uint64_t max, uint64_t *value)
{
	switch (number_parse(text, NUMBER_C, max, value)) {
	case 0:
		return 0;
	case -ERANGE:
		return session_fail(session, "%s is more than %#llx", text,
				    (unsigned long long)max);
	default:
		return session_fail(session, "'%s' is no number", text);
	}
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
	const char *given = argv[(*index)++];
	const char *text = strcmp(given, "-h") == 0 ? "--help" : given;
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

/* Prints which argument failed and why, in one line. */
static void complain_about(const struct session *session, const char *text)
{
	int length = (int)strcspn(text, "=");
	const char *why = session->failure.text[0] ? session->failure.text : strerror(errno);

	if (session->vm_name)
		complain("%.*s: VM %s: %s", length, text, session->vm_name, why);
	else
		complain("%.*s: %s", length, text, why);
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
			complain_about(session, text);
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

/* A vCPU that the VM cannot have would be no more than an invalid argument. */
static int check_cpu(struct session *session)
{
	uint16_t sockets, cores, threads, maxcpus;

	if (vm_get_topology(session->ctx, &sockets, &cores, &threads, &maxcpus) ||
	    session->cpu < maxcpus)
		return 0;
	failure_note(&session->failure, "there is no vCPU %d: its numbers are 0 to %d",
		     session->cpu, maxcpus - 1);
	complain_about(session, "--cpu");
	return -1;
}

static int open_vm(struct session *session)
{
	const char *problem;

	if (check_vm_name(session)) {
		complain_about(session, "--vm");
		return -1;
	}
	session->ctx = vm_open(session->vm_name);
	if (session->ctx && check_cpu(session))
		return -1;
	if (session->ctx)
		session->vcpu = vm_vcpu_open(session->ctx, session->cpu);
	if (session->vcpu)
		return 0;
	problem = vm_access_problem(errno);
	complain("VM %s: %s", session->vm_name, problem);
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
		complain("command line: nothing to do; see bhyvectl --help");
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct session session = { .nvram_offset = -1 };
	int error;

	answer_version(argc, argv);
	error = run_all(&session, argv);
	close_vm(&session);
	if (!error)
		error = finish_standard_output();
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
