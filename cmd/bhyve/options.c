// SPDX-License-Identifier: BSD-2-Clause
/* The command line: bhyve(8)'s options, as far as there is something behind them. */
#include "options.h"
#include "diag.h"
#include "fwcfg.h"
#include "pci.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage_text[] =
	"usage: bhyve [-aADeHhMPSuwxY] [-c [cpus=]N[,sockets=N][,cores=N][,threads=N]]\n"
	"             [-f NAME,string=TEXT|file=PATH] [-l DEVICE[,CONF]] [-m SIZE]\n"
	"             [-p VCPU:CPU] [-s SLOT,DEVICE[,CONF]] [-U UUID] VMNAME\n"
	"\n"
	"Runs a virtual machine: one that bhyveload has loaded, or a new, empty one.\n"
	"\n"
	"  -A  give the guest ACPI tables\n"
	"  -a  local APIC in xAPIC mode (the default)\n"
	"  -c  virtual CPUs and how they are arranged (1)\n"
	"  -D  destroy the VM when the guest powers it off\n"
	"  -e  an access to a port without a device is an error\n"
	"  -f  add a file to the firmware configuration device\n"
	"  -H  give up the processor while the guest waits in HLT (always done)\n"
	"  -h  this help\n"
	"  -l  com1,BACKEND or com2,BACKEND: a serial port, where BACKEND is stdio,\n"
	"      pty, or a terminal's path; fwcfg=qemu: firmware configuration device;\n"
	"      bootrom,CODE[,VARS]: firmware, and a file that keeps its variables;\n"
	"      testdev: ports for tests (0xf4 ends the run, 0xe9 prints)\n"
	"  -M  destroy the VM when this program ends\n"
	"  -m  memory, in MiB or with a suffix K, M, G, T (256M, or what the VM has)\n"
	"  -P  give up the processor when the guest spins with PAUSE\n"
	"  -p  keep a virtual CPU on one processor of the host\n"
	"  -S  wire guest memory\n"
	"  -s  a PCI function; \"-s help\" lists the devices\n"
	"  -U  the machine's UUID\n"
	"  -u  the real-time clock keeps UTC\n"
	"  -w  ignore accesses to unknown MSRs\n"
	"  -x  local APIC in x2APIC mode\n"
	"  -Y  no MP table (there is none)\n"
	"\n"
	"Exit status: 0 reboot, 1 power off, 2 halt, 3 triple fault, 4 error.\n";

/* Reads a whole decimal number; false if 'text' is something else or too big. */
static bool parse_number(const char *text, unsigned long limit, unsigned *number)
{
	unsigned long value;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end != '\0' || value > limit)
		return false;
	*number = (unsigned)value;
	return true;
}

/* --- -c ---------------------------------------------------------------------- */

#define COUNT_MAX 65535ul

static bool parse_count(struct options *options, char *field)
{
	static char *const keys[] = { "cpus", "sockets", "cores", "threads", NULL };
	unsigned *const counts[] = { &options->cpus, &options->sockets, &options->cores,
				     &options->threads };
	char *value;
	int key;

	if (*field >= '0' && *field <= '9')
		return parse_number(field, COUNT_MAX, &options->cpus) && options->cpus > 0;
	key = getsubopt(&field, keys, &value);
	return key >= 0 && value && parse_number(value, COUNT_MAX, counts[key]) && *counts[key] > 0;
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
			fatal("-c %s: not [cpus=]N[,sockets=N][,cores=N][,threads=N] with 1 to %lu",
			      text, COUNT_MAX);
	free(copy);
	complete_topology(options, text);
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

/* Firmware learns of the machine through fw_cfg, and hands its tables on. */
static void parse_bootrom(struct options *options, const char *files)
{
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
		fatal("-l %s: not com1, com2, bootrom, fwcfg=qemu or testdev", text);
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
	if (vm_parse_memsize(text, &options->memory))
		fatal("-m %s: %s", text, errno == ERANGE ? "too much" : "not a size");
	if (options->memory == 0)
		fatal("-m %s: a machine needs memory", text);
	if (options->memory % 4096 != 0)
		fatal("-m %s: not a multiple of 4K", text);
}

static void parse_pin(struct options *options, const char *text)
{
	struct pin *pin = calloc(1, sizeof(*pin));
	char *copy = strdup(text);
	char *colon = copy ? strchr(copy, ':') : NULL;
	unsigned host_cpu;

	if (!pin || !copy)
		fatal("%s", strerror(ENOMEM));
	if (!colon)
		fatal("-p %s: not VCPU:CPU", text);
	*colon = '\0';
	if (!parse_number(copy, COUNT_MAX, &pin->vcpu) ||
	    !parse_number(colon + 1, CPU_SETSIZE - 1, &host_cpu))
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
	case 'Y':
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
		pci_add(argument);
		break;
	case 'U':
		parse_uuid(options, argument);
		break;
	case 'h':
		fputs(usage_text, stdout);
		exit(EXIT_SUCCESS);
	case ':':
		fatal("-%c: it wants a value (\"bhyve -h\" shows how)", optopt);
	default:
		if (!optopt)
			fatal("no such long option (\"bhyve -h\" lists all)");
		fatal("-%c: no such option (\"bhyve -h\" lists them)", optopt);
	}
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
	exit(EXIT_SUCCESS);
}

static void check_pins(const struct options *options)
{
	for (const struct pin *pin = options->pins; pin; pin = pin->next)
		if (pin->vcpu >= options->cpus)
			fatal("-p %u:%d: there are only %u CPUs (-c)", pin->vcpu, pin->host_cpu,
			      options->cpus);
}

void options_parse(struct options *options, int argc, char **argv)
{
	static const struct option long_options[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	int letter;

	opterr = 0;
	*options = (struct options){ .cpus = 1, .sockets = 1, .cores = 1, .threads = 1 };
	while ((letter = getopt_long(argc, argv, ":AaDeHhMPSuwxYc:f:l:m:p:s:U:", long_options,
				     NULL)) >= 0) {
		serve_help(letter, optarg);
		if (!parse_flag(options, letter))
			parse_argument(options, letter, optarg);
	}
	if (optind == argc)
		fatal("no VM name (\"bhyve -h\" shows how)");
	if (optind < argc - 1)
		fatal("%s: more than one VM name", argv[optind + 1]);
	options->name = argv[optind];
	check_pins(options);
}
