// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench kvm|vmm IMAGE [VCPUS]: measures one of the two, in an emulated host. Every row
 * comes three times, each time from a VM of its own, as "HYPERVISOR ROW VALUE". VCPUS 1:
 * without those of two.
 *
 * bench kvm|vmm IMAGE for-ever TEST ROW: one operation of the payload's TEST, for ever.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner.h"

#define TIMES 3

void die(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	fputs("bench: ", stdout);
	vprintf(format, list);
	putchar('\n');
	va_end(list);
	exit(1);
}

void print_row(const struct hypervisor *hypervisor, const char *row, uint64_t value)
{
	printf("%s %s %llu\n", hypervisor->name, row, (unsigned long long)value);
}

int main(int argc, char **argv)
{
	const struct hypervisor *hypervisor = argc > 1 && strcmp(argv[1], "kvm") == 0 ? &kvm : &vmm;
	char line[64];
	bool two = argc <= 3 || strcmp(argv[3], "1") != 0;

	if (argc < 3)
		die("usage: bench kvm|vmm IMAGE [VCPUS]");
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 6) {
		snprintf(line, sizeof(line), "%s %s", argv[4], argv[5]);
		run_payload(hypervisor, argv[2], line, strcmp(argv[4], "two") == 0 ? 2 : 1);
	}
	for (unsigned int i = 0; i < TIMES; i++) {
		run_payload(hypervisor, argv[2], "one", 1);
		if (two)
			run_payload(hypervisor, argv[2], "two", 2);
		measure_host(hypervisor);
	}
	return 0;
}
