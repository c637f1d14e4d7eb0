// SPDX-License-Identifier: BSD-2-Clause
/*
 * vmm-loader: loads the module as loader.conf says. It is run early in the boot,
 * so that a problem is reported in one line and stops as little as possible.
 */
#include "common/arguments.h"
#include "common/complain.h"
#include "common/version.h"
#include "conf.h"
#include "modprobe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_FILE  "/etc/vmm/loader.conf"
#define LOADED_MODULE "/sys/module/vmm"
#define COMMAND_LINE  "/proc/cmdline"
#define FILE_MOST     ((size_t)1 << 20)
#define EXIT_USAGE    2

const char program_name[] = "vmm-loader";

static const char usage[] =
	"usage: vmm-loader [-nov] [-f FILE]\n"
	"\n"
	"Loads the module vmm if " DEFAULT_FILE " has the line vmm_load=\"YES\",\n"
	"with what that file says in hw.vmm.maxcpu, pptdevs, pptdevs2 and pptdevs3.\n"
	"\n"
	"  -f FILE     read FILE instead\n"
	"  -n          print the command that would be run, and do nothing\n"
	"  -o          print the parameters as a line for modprobe.d, and do nothing\n"
	"  -v          tell what is done, and which lines are for other software\n"
	"  -h, --help  this help\n"
	"\n"
	"Exit status: 0 done, or nothing to do; 1 failed; 2 wrong usage.\n";

struct options {
	const char *file;
	bool file_given;
	bool file_missing;
	bool print_command;
	bool print_options;
	bool verbose;
};

/* --- options ------------------------------------------------------------------------ */

static bool parse_option(struct options *options, int letter)
{
	switch (letter) {
	case 'f':
		options->file = optarg;
		options->file_given = true;
		return true;
	case 'n':
		options->print_command = true;
		return true;
	case 'o':
		options->print_options = true;
		return true;
	case 'v':
		options->verbose = true;
		return true;
	default:
		return false;
	}
}

static bool parse_options(struct options *options, int argc, char **argv)
{
	struct failure failure;
	int letter;

	opterr = 0;
	*options = (struct options){ .file = DEFAULT_FILE };
	while ((letter = getopt_long(argc, argv, ":f:hnov", help_option, NULL)) >= 0) {
		if (letter == 'h') {
			fputs(usage, stdout);
			exit(finish_standard_output() ? EXIT_FAILURE : EXIT_SUCCESS);
		}
		if (!parse_option(options, letter)) {
			argument_refused(&failure, letter, argv);
			complain("%s", failure.text);
			return false;
		}
	}
	if (optind < argc)
		complain("%s: takes no arguments; see vmm-loader --help", argv[optind]);
	return optind == argc;
}

/* --- the file ------------------------------------------------------------- */

static void on_problem(void *context, unsigned int line, const char *text)
{
	const struct options *options = context;

	complain("%s:%u: %s", options->file, line, text);
}

static void on_ignored(void *context, unsigned int line, const char *name)
{
	const struct options *options = context;

	complain("%s:%u: %s is not about vmm", options->file, line, name);
}

/* Reads all of an open file into 'text', which has room for one byte more than it may have. */
static int read_all(FILE *file, char *text, size_t *length)
{
	*length = fread(text, 1, FILE_MOST + 1, file);
	if (ferror(file))
		return errno;
	return *length > FILE_MOST ? EFBIG : 0;
}

static int read_file(const char *path, char *text, size_t *length)
{
	FILE *file = fopen(path, "re");
	int error;

	if (!file)
		return errno;
	error = read_all(file, text, length);
	fclose(file);
	return error;
}

/* The usual file need not be there: then nothing is to be loaded. */
static int read_conf(struct options *options, struct conf *conf)
{
	const struct conf_listener listener = {
		.problem = on_problem,
		.ignored = options->verbose ? on_ignored : NULL,
		.context = options,
	};
	static char text[FILE_MOST + 1];
	size_t length = 0;
	int error = read_file(options->file, text, &length);

	if (error && (error != ENOENT || options->file_given)) {
		complain("%s: %s", options->file, strerror(error));
		return -1;
	}
	options->file_missing = error == ENOENT;
	conf_parse(conf, text, error ? 0 : length, &listener);
	return 0;
}

/* A command line that cannot be read forbids nothing. */
static bool is_load_forbidden(void)
{
	static char text[4096];
	FILE *file = fopen(COMMAND_LINE, "re");
	bool is_forbidden;

	if (!file)
		return false;
	is_forbidden = fgets(text, sizeof(text), file) && conf_forbidden(text);
	fclose(file);
	return is_forbidden;
}

/* --- loading -------------------------------------------------------------- */

static int load_module(struct modprobe *modprobe)
{
	int status = modprobe_run(modprobe);

	if (status == 0)
		return EXIT_SUCCESS;
	if (status < 0)
		complain("modprobe: %s", strerror(-status));
	else
		complain("modprobe vmm: it ended with status %d; \"dmesg | grep vmm:\" tells more",
			 status);
	return EXIT_FAILURE;
}

static int load_or_print(const struct options *options, const struct conf *conf)
{
	struct modprobe modprobe;

	modprobe_init(&modprobe, conf);
	if (options->print_options) {
		if (options->file_missing)
			complain("%s: there is no such file: no options", options->file);
		modprobe_print_options(&modprobe, stdout);
		return EXIT_SUCCESS;
	}
	if (!conf->load) {
		if (options->print_command || options->verbose)
			complain("%s: %s: nothing is loaded", options->file,
				 options->file_missing ? "there is no such file" :
							 "it does not say vmm_load=\"YES\"");
		return EXIT_SUCCESS;
	}
	if (is_load_forbidden()) {
		complain("kernel's command line: vmm_load=NO: nothing is loaded");
		return EXIT_SUCCESS;
	}
	if (access(LOADED_MODULE, F_OK) == 0) {
		complain("vmm: it is loaded already; its parameters stay as they are");
		return EXIT_SUCCESS;
	}
	if (options->print_command || options->verbose)
		modprobe_print_command(&modprobe, stdout);
	fflush(stdout);
	return options->print_command ? EXIT_SUCCESS : load_module(&modprobe);
}

int main(int argc, char **argv)
{
	struct options options;
	static struct conf conf;
	int status;

	answer_version(argc, argv);
	if (!parse_options(&options, argc, argv))
		return EXIT_USAGE;
	if (read_conf(&options, &conf))
		return EXIT_FAILURE;
	status = load_or_print(&options, &conf);
	return finish_standard_output() ? EXIT_FAILURE : status;
}
