// SPDX-License-Identifier: BSD-2-Clause
/*
 * bhyveload: puts a kernel into a VM and its first vCPU at the kernel's entry, and
 * leaves the VM for bhyve. It may be run again on a VM whose guest has stopped.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmmapi.h>

#include "common/arguments.h"
#include "common/complain.h"
#include "common/version.h"
#include "common/vm_name.h"
#include "bios.h"
#include "load.h"
#include "target.h"

#define DEFAULT_MEMORY (256 * MIB)

const char program_name[] = "bhyveload";

static const char help[] =
	"usage: bhyveload [-CS] [-m SIZE] [-i INITRD] [-a COMMAND-LINE]\n"
	"                 [-M MODULE[=ARGUMENTS]]... -k KERNEL VM\n"
	"\n"
	"Puts a kernel into a VM, which is created if it does not exist, and leaves the\n"
	"VM for bhyve.\n"
	"\n"
	"  -k KERNEL              a Linux bzImage, or a Multiboot or PVH ELF kernel\n"
	"  -i INITRD              the initrd, or the first module\n"
	"  -a COMMAND-LINE        for the kernel\n"
	"  -M MODULE[=ARGUMENTS]  a file for a Multiboot or PVH kernel; may be repeated\n"
	"  -m SIZE                the VM's memory: 512, 512M, 4G (256M)\n"
	"  -S                     allocate all of it now\n"
	"  -C                     guest memory goes into core dumps of bhyveload\n"
	"  -h, --help             this help\n";

struct options {
	size_t memory;
	int memflags;
	const char *kernel;
	const char *initrd;
	const char *command_line;
	char *modules[MOST_MODULES]; /* "FILE=ARGUMENTS", in argv */
	unsigned int module_count;
	const char *vm;
};

static int parse_memory(struct options *options, const char *text, struct failure *failure)
{
	const char *problem = size_parse(text, &options->memory);

	return problem ? fail(failure, "-m %s: %s", text, problem) : 0;
}

static int add_module(struct options *options, char *text, struct failure *failure)
{
	/* One place is the initrd's. */
	if (options->module_count == MOST_MODULES - 1)
		return fail(failure, "-M %s: more than %d modules", text, MOST_MODULES - 1);
	options->modules[options->module_count++] = text;
	return 0;
}

static int parse_option(struct options *options, int letter, char *argument,
			struct failure *failure)
{
	switch (letter) {
	case 'm':
		return parse_memory(options, argument, failure);
	case 'M':
		return add_module(options, argument, failure);
	case 'k':
		options->kernel = argument;
		return 0;
	case 'i':
		options->initrd = argument;
		return 0;
	case 'a':
		options->command_line = argument;
		return 0;
	case 'C':
		options->memflags |= VM_MEM_F_INCORE;
		return 0;
	case 'S':
		options->memflags |= VM_MEM_F_WIRED;
		return 0;
	case 'h':
		fputs(help, stdout);
		exit(finish_standard_output() ? EXIT_FAILURE : EXIT_SUCCESS);
	default:
		return -1;
	}
}

static int parse_name(struct options *options, int argc, char **argv, struct failure *failure)
{
	const char *problem;

	options->vm = argument_only(failure, argc, argv, "VM");
	if (!options->vm)
		return -1;
	problem = vm_name_problem(options->vm);
	return problem ? fail(failure, "%s: %s", options->vm, problem) : 0;
}

static int parse_options(struct options *options, int argc, char **argv, struct failure *failure)
{
	int letter;

	opterr = 0;
	*options = (struct options){ .memory = DEFAULT_MEMORY, .command_line = "" };
	while ((letter = getopt_long(argc, argv, ":CSm:k:i:a:M:h", help_option, NULL)) != -1) {
		if (letter == ':' || letter == '?')
			return argument_refused(failure, letter, argv);
		if (parse_option(options, letter, optarg, failure))
			return -1;
	}
	if (parse_name(options, argc, argv, failure))
		return -1;
	if (!options->kernel)
		return fail(failure, "-k: no kernel is named; see bhyveload --help");
	return 0;
}

static int open_module(struct load_request *request, const char *path, const char *args,
		       struct failure *failure)
{
	struct module *module = &request->modules[request->module_count];

	if (image_open(&module->image, path, failure))
		return -1;
	module->args = args;
	request->module_count++;
	return 0;
}

/* Opens all files, so that what is missing is known before there is a VM. */
static int open_files(struct load_request *request, struct options *options,
		      struct failure *failure)
{
	memset(request, 0, sizeof(*request));
	request->command_line = options->command_line;
	if (image_open(&request->kernel, options->kernel, failure))
		return -1;
	if (options->initrd) {
		request->has_initrd = true;
		if (open_module(request, options->initrd, "", failure))
			return -1;
	}
	for (unsigned int i = 0; i < options->module_count; i++) {
		char *path = options->modules[i];
		char *equals = strchr(path, '=');

		if (equals)
			*equals = '\0';
		if (open_module(request, path, equals ? equals + 1 : "", failure))
			return -1;
	}
	return 0;
}

/* Signals that end the process: those that are not ignored, as SIGHUP is under nohup. */
static void ending_signals(sigset_t *set)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action;

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(set, signals[i]);
}

/*
 * Blocks the signals that end the process until the VM is complete or destroyed: one
 * that is half loaded would be left behind otherwise.
 */
static void hold_signals(void)
{
	sigset_t set;

	ending_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static bool is_interrupted(void)
{
	sigset_t pending, ending;

	ending_signals(&ending);
	return sigpending(&pending) == 0 && sigandset(&pending, &pending, &ending) == 0 &&
	       !sigisemptyset(&pending);
}

static int fill_vm(struct target *target, const struct load_request *request,
		   const struct kernel_format *format, struct failure *failure)
{
	static struct guest guest;
	struct boot_state state;

	if (target_guest(target, &guest) || bios_put(&guest) ||
	    format->load(request, &guest, &state)) {
		*failure = guest.failure;
		return -1;
	}
	if (target_set_state(target, &state, failure))
		return -1;
	return is_interrupted() ?
		       fail(failure, "%s: interrupted by a signal", vm_get_name(target->ctx)) :
		       0;
}

static int load_vm(struct options *options, struct failure *failure)
{
	static struct load_request request;
	const struct kernel_format *format;
	struct target target;
	int error;

	if (open_files(&request, options, failure))
		return -1;
	format = load_find_format(&request.kernel, failure);
	if (!format)
		return -1;
	hold_signals();
	if (target_open(&target, options->vm, options->memory, options->memflags, failure))
		return -1;
	error = fill_vm(&target, &request, format, failure);
	target_close(&target, error != 0);
	return error;
}

int main(int argc, char **argv)
{
	struct failure failure;
	struct options options;

	answer_version(argc, argv);
	if (parse_options(&options, argc, argv, &failure) || load_vm(&options, &failure)) {
		complain("%s", failure.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
