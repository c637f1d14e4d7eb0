// SPDX-License-Identifier: BSD-2-Clause
/* The command line: those of bhyve(8)'s options that are implemented. */
#include "options.h"
#include "diag.h"
#include "fwcfg.h"
#include "pci.h"
#include "common/arguments.h"
#include "common/number.h"
#include "common/size.h"
#include "common/vm_name.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char program_name[] = "bhyve";

static const char usage_text[] =
	"usage: bhyve [-aADeHhMPSuwxY] [-c [cpus=]N[,sockets=N][,cores=N][,threads=N]]\n"
	"             [-f NAME,string=TEXT|file=PATH] [-l DEVICE[,CONF]] [-m SIZE]\n"
	"             [-p VCPU:CPU] [-s SLOT,DEVICE[,CONF]] [-U UUID] [--empty] VMNAME\n"
	"\n"
	"Runs a virtual machine that bhyveload has loaded.\n"
	"\n"
	"  -A  give the guest ACPI tables\n"
	"  -a  local APIC in xAPIC mode (the default)\n"
	"  -c  virtual CPUs and how they are arranged (1)\n"
	"  -D  destroy the VM when the guest powers it off\n"
	"  -e  an access to a port without a device is an error\n"
	"  -f  add a file to the firmware configuration device\n"
	"  -H  yield the CPU while the guest is idle in HLT (always done)\n"
	"  -h  this help\n"
	"  -l  com1,BACKEND or com2,BACKEND: a serial port, where BACKEND is stdio,\n"
	"      pty, or a terminal's path; fwcfg=qemu: firmware configuration device;\n"
	"      bootrom,CODE[,VARS]: firmware, and a file that keeps its variables;\n"
	"      testdev: ports for tests (0xf4 ends the run, 0xe9 prints)\n"
	"  -M  destroy the VM when bhyve ends\n"
	"  -m  memory, in MiB or with a suffix K, M, G, T (256M, or what the VM has)\n"
	"  -P  exit when the guest spins with PAUSE, and yield the CPU\n"
	"  -p  keep a virtual CPU on one processor of the host\n"
	"  -S  wire guest memory\n"
	"  -s  a PCI function; \"-s help\" lists the devices\n"
	"  -U  the machine's UUID\n"
	"  -u  the real-time clock keeps UTC\n"
	"  -w  ignore accesses to unknown MSRs\n"
	"  -x  local APIC in x2APIC mode\n"
	"  -Y  no MP table\n"
	"  --empty  start a VM into which nothing has been loaded, at the reset vector\n"
	"\n"
	"Exit status: 0 reboot, 1 power off, 2 halt, 3 triple fault, 4 error.\n";

/* What getopt_long() returns for an option that has no letter. */
#define OPTION_EMPTY 256

/* --- -c ---------------------------------------------------------------------- */

#define COUNT_MAX 65535u

/* A number from 1 to COUNT_MAX. */
static bool parse_positive(const char *text, unsigned *count)
{
	return number_parse_unsigned(text, COUNT_MAX, count) == 0 && *count > 0;
}

static bool parse_count(struct options *options, char *field)
{
	static char *const keys[] = { "cpus", "sockets", "cores", "threads", NULL };
	unsigned *const counts[] = { &options->cpus, &options->sockets, &options->cores,
				     &options->threads };
	char *value;
	int key;

	if (*field >= '0' && *field <= '9')
		return parse_positive(field, &options->cpus);
	key = getsubopt(&field, keys, &value);
	return key >= 0 && value && parse_positive(value, counts[key]);
}

/* What is not said follows: the CPUs from the rest, else the sockets, else one. */
static void complete_topology(struct options *options, const char *text)
{
	unsigned long per_socket, product;

	options->cores = options->cores ? options->cores : 1;
	options->threads = options->threads ? options->threads : 1;
	per_socket = (unsigned long)options->cores * options->threads;
	if (options->sockets == 0 && options->cpus % per_socket == 0)
		options->sockets = (unsigned)(options->cpus / per_socket);
	options->sockets = options->sockets ? options->sockets : 1;
	product = options->sockets * per_socket;
	if (options->cpus == 0 && product <= COUNT_MAX)
		options->cpus = (unsigned)product;
	if (options->cpus != product)
		fatal("-c %s: %u CPUs are not %u sockets of %u cores of %u threads", text,
		      options->cpus, options->sockets, options->cores, options->threads);
}

static void parse_cpus(struct options *options, const char *text)
{
	char *copy = strdup(text);
	char *rest = copy;
	char *field;

	options->cpus = options->sockets = options->cores = options->threads = 0;
	while ((field = strsep(&rest, ",")))
		if (!parse_count(options, field))
			fatal("-c %s: not [cpus=]N[,sockets=N][,cores=N][,threads=N] with 1 to %u",
			      text, COUNT_MAX);
	free(copy);
	complete_topology(options, text);
}

struct vm_cpu_topology options_topology(const struct options *options)
{
	return (struct vm_cpu_topology){
		.sockets = (uint16_t)options->sockets,
		.cores = (uint16_t)options->cores,
		.threads = (uint16_t)options->threads,
	};
}

/* --- -l ---------------------------------------------------------------------- */

static bool parse_com(struct options *options, const char *text)
{
	unsigned number;

	if (strncmp(text, "com", 3) != 0 || text[3] < '1' || text[3] > '0' + SERIAL_PORTS ||
	    (text[4] != '\0' && text[4] != ','))
		return false;
	number = (unsigned)(text[3] - '1');
	if (options->com[number].present)
		fatal("-l %s: that port has been given already", text);
	if (strcmp(text + 4, ",") == 0)
		fatal("-l %s: no backend (stdio, pty, or a terminal's path)", text);
	options->com[number].present = true;
	options->com[number].backend = text[4] ? text + 5 : NULL;
	return true;
}

/* What FreeBSD's bhyve has besides. The words are those that libvirt looks for. */
static void report_isa_device(struct options *options, const char *text)
{
	static const char *const others[] = { "com3", "com4", "pctestdev", "tpm" };
	const char *why = "not com1, com2, bootrom, fwcfg=qemu or testdev";
	size_t length = strcspn(text, ",");

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strlen(others[i]) == length && strncmp(others[i], text, length) == 0)
			why = "bhyve has it, this version does not";
	complain("invalid lpc device configuration '%s': %s", text, why);
	options->unknown_devices = true;
}

/* Firmware learns of the machine through fw_cfg, and hands its tables on. */
static void parse_bootrom(struct options *options, const char *files)
{
	if (!*files)
		fatal("-l bootrom,: no file (bootrom,CODE[,VARS])");
	if (options->bootrom)
		fatal("-l bootrom,%s: there is firmware already", files);
	options->bootrom = files;
	options->fwcfg = true;
	options->acpi = true;
}

static void parse_isa_device(struct options *options, const char *text)
{
	if (parse_com(options, text))
		return;
	if (strcmp(text, "fwcfg=qemu") == 0 || strcmp(text, "fwcfg,qemu") == 0)
		options->fwcfg = true;
	else if (strncmp(text, "bootrom,", 8) == 0)
		parse_bootrom(options, text + 8);
	else if (strcmp(text, "testdev") == 0)
		options->testdev = true;
	else
		report_isa_device(options, text);
}

static void list_isa_devices(void)
{
	puts("com1[,stdio|pty|PATH]  serial port at 0x3f8, interrupt 4\n"
	     "com2[,stdio|pty|PATH]  serial port at 0x2f8, interrupt 3\n"
	     "bootrom,CODE[,VARS]    firmware, as in Debian's package ovmf; -A follows from it\n"
	     "fwcfg=qemu             firmware configuration device at 0x510\n"
	     "testdev                test device: exit at 0xf4, console at 0xe9");
}

/* --- the others -------------------------------------------------------------- */

static void parse_memory(struct options *options, const char *text)
{
	const char *problem = size_parse(text, &options->memory);

	if (problem)
		fatal("-m %s: %s", text, problem);
}

static void parse_pin(struct options *options, const char *text)
{
	struct pin *pin = calloc(1, sizeof(*pin));
	char *copy = strdup(text);
	char *colon = copy ? strchr(copy, ':') : NULL;
	unsigned host_cpu;

	if (!pin || !copy)
		fatal("-p %s: there is no memory left", text);
	if (!colon)
		fatal("-p %s: not VCPU:CPU", text);
	*colon = '\0';
	if (number_parse_unsigned(copy, COUNT_MAX, &pin->vcpu) ||
	    number_parse_unsigned(colon + 1, CPU_SETSIZE - 1, &host_cpu))
		fatal("-p %s: not VCPU:CPU", text);
	pin->host_cpu = (int)host_cpu;
	pin->next = options->pins;
	options->pins = pin;
	free(copy);
}

int options_host_cpu(const struct options *options, unsigned vcpu)
{
	for (const struct pin *pin = options->pins; pin; pin = pin->next)
		if (pin->vcpu == vcpu)
			return pin->host_cpu;
	return -1;
}

static void parse_uuid(struct options *options, const char *text)
{
	if (!uuid_parse(text, options->uuid))
		fatal("-U %s: not a UUID", text);
	options->has_uuid = true;
}

/* Options that only switch something on. Returns false for another one. */
static bool parse_flag(struct options *options, int letter)
{
	switch (letter) {
	case 'A':
		options->acpi = true;
		break;
	case 'a':
		options->x2apic = false;
		break;
	case 'D':
		options->destroy_on_poweroff = true;
		break;
	case 'e':
		options->run.strict_ports = true;
		break;
	case 'H':
		break;
	case 'M':
		options->monitor = true;
		break;
	case 'P':
		options->exit_on_pause = true;
		break;
	case 'S':
		options->wired = true;
		break;
	case 'u':
		options->rtc_utc = true;
		break;
	case 'w':
		options->run.ignore_msrs = true;
		break;
	case 'x':
		options->x2apic = true;
		break;
	case 'Y':
		options->no_mp_table = true;
		break;
	case OPTION_EMPTY:
		options->empty = true;
		break;
	default:
		return false;
	}
	return true;
}

static void parse_argument(struct options *options, int letter, char *argument)
{
	switch (letter) {
	case 'c':
		parse_cpus(options, argument);
		break;
	case 'f':
		fwcfg_add_option(argument);
		options->fwcfg_item = argument;
		break;
	case 'l':
		parse_isa_device(options, argument);
		break;
	case 'm':
		parse_memory(options, argument);
		break;
	case 'p':
		parse_pin(options, argument);
		break;
	case 's':
		options->unknown_devices |= !pci_add(argument);
		break;
	case 'U':
		parse_uuid(options, argument);
		break;
	case 'h':
		fputs(usage_text, stdout);
		exit(finish_standard_output() ? STATUS_ERROR : EXIT_SUCCESS);
	default:
		break;
	}
}

static _Noreturn void refuse_argument(int result, char **argv)
{
	struct failure failure;

	argument_refused(&failure, result, argv);
	fatal("%s", failure.text);
}

static const char *parse_name(int argc, char **argv)
{
	struct failure failure;
	const char *name = argument_only(&failure, argc, argv, "VM");
	const char *problem;

	if (!name)
		fatal("%s", failure.text);
	problem = vm_name_problem(name);
	if (problem)
		fatal("%s: %s", name, problem);
	return name;
}

/* "-l help" and "-s help" only print. */
static void serve_help(int letter, const char *argument)
{
	if ((letter != 'l' && letter != 's') || strcmp(argument, "help") != 0)
		return;
	if (letter == 'l')
		list_isa_devices();
	else
		pci_list_drivers();
	exit(finish_standard_output() ? STATUS_ERROR : EXIT_SUCCESS);
}

static void check_pins(const struct options *options)
{
	for (const struct pin *pin = options->pins; pin; pin = pin->next)
		if (pin->vcpu >= options->cpus)
			fatal("-p %u:%d: there are only %u CPUs (-c)", pin->vcpu, pin->host_cpu,
			      options->cpus);
}

/* What the options say together. */
static void check_options(const struct options *options)
{
	if (options->fwcfg_item && !options->fwcfg)
		fatal("-f %s: there is no device to show it (-l fwcfg=qemu)", options->fwcfg_item);
	check_pins(options);
}

void options_parse(struct options *options, int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "empty", no_argument, NULL, OPTION_EMPTY },
		{ 0 },
	};
	int letter;

	opterr = 0;
	*options = (struct options){ .cpus = 1, .sockets = 1, .cores = 1, .threads = 1 };
	while ((letter = getopt_long(argc, argv, ":AaDeHhMPSuwxYc:f:l:m:p:s:U:", long_options,
				     NULL)) >= 0) {
		if (letter == ':' || letter == '?')
			refuse_argument(letter, argv);
		serve_help(letter, optarg);
		if (!parse_flag(options, letter))
			parse_argument(options, letter, optarg);
	}
	if (options->unknown_devices)
		exit(STATUS_ERROR);
	options->name = parse_name(argc, argv);
	check_options(options);
}
