// SPDX-License-Identifier: BSD-2-Clause
/* bhyve's command line: what it means, and one line for each thing that is wrong. */
#include "options.h"
#include "pci.h"
#include "unit.h"

#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#define ARGUMENTS_MAX 16

/* Splits at spaces. */
static void parse(struct options *options, const char *line)
{
	static char copy[256];
	char *argv[ARGUMENTS_MAX] = { (char *)"bhyve" };
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	optind = 0;
	options_parse(options, argc, argv);
}

static void parse_and_go_on(const void *line)
{
	struct options options;

	parse(&options, line);
	_exit(99);
}

/* Runs it in a child; returns its exit status, and what it printed on 'fd'. */
static int run(const char *line, int fd, char *text, size_t size)
{
	return unit_exit_status(parse_and_go_on, line, fd, text, size);
}

TEST(defaults)
{
	struct options options;

	parse(&options, "vm");
	CHECK_STR(options.name, "vm");
	CHECK_EQ(options.cpus, 1);
	CHECK_EQ(options.sockets, 1);
	CHECK_EQ(options.memory, 0);
	CHECK(!options.acpi && !options.x2apic && !options.monitor && !options.wired);
	CHECK(!options.com[0].present && !options.com[1].present);
	CHECK_EQ(options_host_cpu(&options, 0), -1);
}

TEST(cpu_topologies)
{
	static const struct {
		const char *text;
		unsigned cpus, sockets, cores, threads;
	} cases[] = {
		{ "-c 4 vm", 4, 4, 1, 1 },
		{ "-c cpus=4 vm", 4, 4, 1, 1 },
		{ "-c cores=2,threads=2 vm", 4, 1, 2, 2 },
		{ "-c 8,sockets=2,cores=2,threads=2 vm", 8, 2, 2, 2 },
		{ "-c cpus=8,cores=4 vm", 8, 2, 4, 1 },
		{ "-c threads=2,cpus=8,sockets=4 vm", 8, 4, 1, 2 },
		{ "-c sockets=3 vm", 3, 3, 1, 1 },
		{ "-c cpus=2,cpus=3 vm", 3, 3, 1, 1 },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct options options;

		parse(&options, cases[i].text);
		CHECK_EQ_AT(options.cpus, cases[i].cpus, "%s", cases[i].text);
		CHECK_EQ_AT(options.sockets, cases[i].sockets, "%s", cases[i].text);
		CHECK_EQ_AT(options.cores, cases[i].cores, "%s", cases[i].text);
		CHECK_EQ_AT(options.threads, cases[i].threads, "%s", cases[i].text);
	}
}

TEST(flags)
{
	struct options options;

	parse(&options, "-ADeHMPSuwx vm");
	CHECK(options.acpi && options.destroy_on_poweroff && options.run.strict_ports);
	CHECK(options.monitor && options.exit_on_pause && options.wired);
	CHECK(options.rtc_utc && options.run.ignore_msrs && options.x2apic);
	parse(&options, "-x -a vm");
	CHECK(!options.x2apic);
}

TEST(serial_ports)
{
	struct options options;

	parse(&options, "-l com1,stdio -l com2,/dev/ttyS9 vm");
	CHECK_STR(options.com[0].backend, "stdio");
	CHECK_STR(options.com[1].backend, "/dev/ttyS9");
	parse(&options, "-l com2 vm");
	CHECK(!options.com[0].present && options.com[1].present);
	CHECK(!options.com[1].backend);
}

TEST(devices)
{
	struct options options;

	parse(&options, "-s 0,hostbridge -s 31:0,lpc -l fwcfg=qemu -l testdev vm");
	CHECK(options.fwcfg && options.testdev);
	CHECK_EQ(pci_find_slot("hostbridge"), 0);
	CHECK_EQ(pci_find_slot("lpc"), 31);
}

TEST(memory_and_pins)
{
	static struct options options; /* the pins stay */

	parse(&options, "-m 512M -c 2 -p 0:3 -p 1:1 vm");
	CHECK_EQ(options.memory, 512u << 20);
	CHECK_EQ(options_host_cpu(&options, 0), 3);
	CHECK_EQ(options_host_cpu(&options, 1), 1);
}

TEST(help)
{
	char text[4096];

	CHECK_EQ(run("-h", STDOUT_FILENO, text, sizeof(text)), 0);
	CHECK(strstr(text, "usage: bhyve"));
	CHECK_EQ(run("--help", STDOUT_FILENO, text, sizeof(text)), 0);
	CHECK_EQ(run("-s help", STDOUT_FILENO, text, sizeof(text)), 0);
	CHECK(strstr(text, "hostbridge"));
	CHECK_EQ(run("-l help", STDOUT_FILENO, text, sizeof(text)), 0);
	CHECK(strstr(text, "com1"));
}

TEST(mistakes_are_one_line_and_4)
{
	static const char *const lines[] = {
		"",
		"one two",
		"-Q vm",
		"--what vm",
		"-m",
		"-m 0 vm",
		"-m much vm",
		"-c 0 vm",
		"-c -1 vm",
		"-c 99999999999999999999 vm",
		"-c 65536 vm",
		"-c two vm",
		"-c cpus= vm",
		"-c cpus vm",
		"-c dies=2 vm",
		"-c 2,cores=3 vm",
		"-c sockets=65535,cores=65535,threads=65535 vm",
		"-c , vm",
		"-s lpc vm",
		"-s 32,lpc vm",
		"-s 4294967296,lpc vm",
		"-s 0:8,lpc vm",
		"-s 0,lpc -s 1,lpc vm",
		"-s 3,virtio-blk,disk.img vm",
		"-l bootrom, vm",
		"-f a,string=x vm",
		"-f cmdline,string=x -f cmdline,string=y -l fwcfg=qemu vm",
		"a/b",
		"-s 256:0:0,lpc vm",
		"-s 1:0:0,lpc vm",
		"-s 0:0:0:0,lpc vm",
		"-s 0,nothing vm",
		"-s 0,lpc,option vm",
		"-s 0,lpc -s 0,lpc vm",
		"-s 0, vm",
		"-s , vm",
		"-l com3,stdio vm",
		"-l com1, vm",
		"-l com1 -l com1 vm",
		"-l com12 vm",
		"-l nothing vm",
		"-f name vm",
		"-f name,what=x vm",
		"-f ,string=x vm",
		"-f a,file=/nonexistent vm",
		"-f a,file=/ vm",
		"-f a,string=x -f a,string=y vm",
		"-p 0 vm",
		"-p 0:x vm",
		"-p 1:0 vm",
		"-U nothing vm",
	};

	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char text[4096];
		int status = run(lines[i], STDERR_FILENO, text, sizeof(text));
		char *end = strchr(text, '\n');

		CHECK_EQ_AT(status, 4, "%s", lines[i]);
		CHECK_EQ_AT(strncmp(text, "bhyve: ", 7), 0, "%s: %.60s", lines[i], text);
		CHECK_EQ_AT(end && end[1] == '\0', 1, "%s: %.60s", lines[i], text);
	}
}

/* What is said of a mistake: the value, and what is allowed. */
TEST(mistakes_are_explained)
{
	static const struct {
		const char *line, *says;
	} cases[] = {
		{ "-s 3,ahci-hd,disk.img vm", "pci slot 3:0: unknown device \"ahci-hd\": "
					      "bhyve has it, this version does not" },
		{ "-s 3,virtio-blkk,disk.img vm",
		  "pci slot 3:0: unknown device \"virtio-blkk\": \"-s help\" lists the devices" },
		{ "-l tpm,passthru vm", "invalid lpc device configuration 'tpm,passthru': "
					"bhyve has it, this version does not" },
		{ "-l bootroms vm", "invalid lpc device configuration 'bootroms': "
				    "not com1, com2, bootrom, fwcfg=qemu or testdev" },
		{ "-s 0,lpc -s 1,lpc vm", "-s 1,lpc: there is one already, in slot 0" },
		{ "-s 0,lpc,option vm", "-s 0,lpc,option: the device has no settings" },
		{ "-f a,string=x vm",
		  "-f a,string=x: there is no device to show it (-l fwcfg=qemu)" },
		{ "-f a,string=x -f a,string=y -l fwcfg=qemu vm",
		  "-f a,string=y: there is one of that name already" },
		{ "-f initrd,string=x -f initrd,string=y -l fwcfg=qemu vm",
		  "-f initrd,string=y: there is one of that name already" },
		{ "-f ,string=x -l fwcfg=qemu vm", "-f ,string=x: a name has 1 to 55 characters" },
		{ "-m lots vm", "-m lots: not a size such as 512, 512M or 4G" },
		{ "a/b", "a/b: a VM's name is of ASCII characters, without spaces, '/' and '!'" },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[4096], line[512];

		CHECK_EQ(run(cases[i].line, STDERR_FILENO, text, sizeof(text)), 4);
		snprintf(line, sizeof(line), "bhyve: %s\n", cases[i].says);
		CHECK_STR(text, line);
	}
}

TEST(all_unknown_devices_are_reported)
{
	char text[4096];

	CHECK_EQ(run("-s 1,nvme -s 2,lpc -s 3,nvmf -l tpm,x", STDERR_FILENO, text, sizeof(text)),
		 4);
	CHECK_STR(text,
		  "bhyve: pci slot 1:0: unknown device \"nvme\": "
		  "bhyve has it, this version does not\n"
		  "bhyve: pci slot 3:0: unknown device \"nvmf\": \"-s help\" lists the devices\n"
		  "bhyve: invalid lpc device configuration 'tpm,x': "
		  "bhyve has it, this version does not\n");
}

TEST(to_start_empty)
{
	struct options options;

	parse(&options, "vm");
	CHECK(!options.empty);
	parse(&options, "--empty vm");
	CHECK(options.empty);
}
