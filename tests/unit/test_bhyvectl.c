// SPDX-License-Identifier: BSD-2-Clause
/* bhyvectl's command line: what it does, and what it says of a mistake. */
#include "unit.h"
#include "vmmapi/device.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define ARGUMENTS_MAX 16
#define VM_OPTION     "--vm=" DEVICE_NAME

int bhyvectl_main(int argc, char **argv);

static void reset(void)
{
	device_reset();
	device.exists = true;
	device.maxcpus = 4;
}

static void call_main(const void *line)
{
	char *argv[ARGUMENTS_MAX] = { (char *)"bhyvectl" };
	char copy[256];
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", (const char *)line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	_exit(bhyvectl_main(argc, argv));
}

/* Runs it in a child with its words; returns its exit status, and what it printed on 'fd'. */
static int run(const char *line, int fd, char *text, size_t size)
{
	return unit_exit_status(call_main, line, fd, text, size);
}

TEST(registers_are_printed)
{
	char text[512];

	reset();
	device.registers[VM_REG_GUEST_RIP] = 0x1234;
	CHECK_EQ(run(VM_OPTION " --get-rip", STDOUT_FILENO, text, sizeof(text)), 0);
	CHECK_STR(text, "rip[0]\t\t0x0000000000001234\n");
	CHECK_EQ(run(VM_OPTION " --cpu=3 --get-rip", STDOUT_FILENO, text, sizeof(text)), 0);
	CHECK_STR(text, "rip[3]\t\t0x0000000000001234\n");
}

/* The value, and what is allowed. */
TEST(mistakes_are_explained)
{
	static const struct {
		const char *line, *says;
	} cases[] = {
		{ "", "command line: nothing to do; see bhyvectl --help" },
		{ "--get-rip", "--vm: no VM is named; see bhyvectl --help" },
		{ "--vm=x --what", "--what: VM x: no such option; see bhyvectl --help" },
		{ "--vm=a/b --create", "--create: VM a/b: a VM's name is of ASCII characters, "
				       "without spaces, '/' and '!'" },
		{ VM_OPTION " --create", "--create: VM " DEVICE_NAME ": it exists already" },
		{ VM_OPTION " --cpu=4 --get-rip",
		  "--cpu: VM " DEVICE_NAME ": there is no vCPU 4: its numbers are 0 to 3" },
		{ VM_OPTION " --cpu=-1 --get-rip", "--cpu: VM " DEVICE_NAME ": '-1' is no number" },
		{ VM_OPTION " --set-cr0=0x80000000",
		  "--set-cr0: VM " DEVICE_NAME ": the processor would not accept 0x80000000" },
		{ VM_OPTION " --desc-base=1 --set-desc-cs",
		  "--set-desc-cs: VM " DEVICE_NAME ": the processor would not accept base 0x1, "
		  "limit 0, access 0" },
		{ VM_OPTION " --rtc-nvram-offset=128 --get-rtc-nvram",
		  "--rtc-nvram-offset: VM " DEVICE_NAME ": 128 is more than 0x7f" },
		{ VM_OPTION " --rtc-nvram-offset=4 --set-rtc-nvram=1",
		  "--set-rtc-nvram: VM " DEVICE_NAME ": byte 4 is the clock's "
		  "(--set-rtc-time sets it), or a status register" },
		{ VM_OPTION " --set-rtc-nvram=1",
		  "--set-rtc-nvram: VM " DEVICE_NAME ": at which offset? (--rtc-nvram-offset)" },
		{ VM_OPTION " --assert-lapic-lvt=7",
		  "--assert-lapic-lvt: VM " DEVICE_NAME ": 7 is more than 0x6" },
		{ VM_OPTION " --capname=rdpid --setcap=1",
		  "--setcap: VM " DEVICE_NAME ": this host does not have it" },
		{ VM_OPTION " --capname=rdpid --getcap",
		  "--getcap: VM " DEVICE_NAME ": this host does not have it" },
		{ VM_OPTION " --set-mem=1024P",
		  "--set-mem: VM " DEVICE_NAME ": 1024P: this host has " },
		{ VM_OPTION " --set-mem=none",
		  "--set-mem: VM " DEVICE_NAME ": none: not a size such as 512, 512M or 4G" },
	};

	reset();
	device.register_error = EINVAL;
	device.capability_error = ENOENT;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512], line[512];

		CHECK_EQ_AT(run(cases[i].line, STDERR_FILENO, text, sizeof(text)), 1, "%s",
			    cases[i].line);
		snprintf(line, sizeof(line), "bhyvectl: %s", cases[i].says);
		/* What follows of a host's memory differs. */
		if (cases[i].says[strlen(cases[i].says) - 1] == ' ')
			text[strlen(line)] = '\0';
		text[strcspn(text, "\n")] = '\0';
		CHECK_STR(text, line);
	}
}

TEST(memory_is_given_once)
{
	char text[512];

	reset();
	device.segments[0].len = 64 << 20;
	CHECK_EQ(run(VM_OPTION " --set-mem=128M", STDERR_FILENO, text, sizeof(text)), 1);
	CHECK_STR(text, "bhyvectl: --set-mem: VM " DEVICE_NAME ": 128M: it has 64M already\n");
}
