// SPDX-License-Identifier: BSD-2-Clause
/* Loads the payload into a VM and plays its devices. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner.h"

#define TEST_PASSED 0x10 /* as in the payload's runtime */

/* hvm_start_info of the PVH boot protocol: the part that the payload reads. */
struct start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, command_line;
};

struct runner {
	const struct hypervisor *hypervisor;
	struct machine *machine;
	unsigned int vcpu;
	pthread_t thread;
	char line[128];
	size_t length;
};

static void load_payload(char *memory, const char *path, const char *command_line)
{
	struct start_info info = { .magic = 0x336ec578, .command_line = BENCH_COMMAND_LINE };
	int file = open(path, O_RDONLY | O_CLOEXEC);
	char *to = memory + BENCH_IMAGE;
	ssize_t got;

	NEED(file >= 0);
	while ((got = read(file, to, 65536)) > 0)
		to += got;
	NEED(got == 0);
	close(file);
	memcpy(memory + BENCH_START_INFO, &info, sizeof(info));
	strcpy(memory + BENCH_COMMAND_LINE, command_line);
}

/* The first GiB, in pages of 2 MiB. */
static void make_tables(char *memory)
{
	uint64_t *tables = (uint64_t *)(memory + BENCH_TABLES);

	tables[0] = (BENCH_TABLES + 0x1000) | 3;
	tables[512] = (BENCH_TABLES + 0x2000) | 3;
	for (unsigned long i = 0; i < 512; i++)
		tables[1024 + i] = i * BENCH_PAGE | 0x83;
}

static void touch_backed_pages(char *memory)
{
	for (unsigned long page = 0; page < BENCH_PAGES; page++)
		memory[BENCH_BACKED + page * BENCH_PAGE] = 1;
}

/* A line is "ROW VALUE", unless the payload complains. */
static void end_line(struct runner *runner)
{
	char row[64];
	unsigned long long value;

	runner->line[runner->length] = '\0';
	runner->length = 0;
	if (sscanf(runner->line, "%63s %llu", row, &value) != 2)
		die("%s: the payload says: %s", runner->hypervisor->name, runner->line);
	print_row(runner->hypervisor, row, value);
}

static void take_text(struct runner *runner, char character)
{
	if (character == '\n')
		end_line(runner);
	else if (runner->length < sizeof(runner->line) - 1)
		runner->line[runner->length++] = character;
}

/* Until the vCPU writes to the port of the end. */
static void *run_vcpu_thread(void *argument)
{
	struct runner *runner = argument;
	struct access access = { .write = true };

	for (;;) {
		runner->hypervisor->run(runner->machine, runner->vcpu, &access);
		if (access.write && access.port && access.address == BENCH_PORT_TEXT)
			take_text(runner, (char)access.value);
		else if (access.write && access.port && access.address == BENCH_PORT_END)
			break;
		else if (!access.write)
			access.value = 0;
	}
	if ((uint8_t)access.value != TEST_PASSED)
		die("%s: the payload failed: %.*s", runner->hypervisor->name, (int)runner->length,
		    runner->line);
	return NULL;
}

void run_payload(const struct hypervisor *hypervisor, const char *path, const char *name,
		 unsigned int vcpus)
{
	struct machine *machine = hypervisor->create(vcpus);
	char *memory = hypervisor->add_memory(machine);
	struct runner runners[MOST_VCPUS] = { 0 };

	load_payload(memory, path, name);
	make_tables(memory);
	touch_backed_pages(memory);
	hypervisor->set_entry(machine);
	for (unsigned int i = 0; i < vcpus; i++) {
		runners[i] = (struct runner){ hypervisor, machine, i, .length = 0 };
		NEED(pthread_create(&runners[i].thread, NULL, run_vcpu_thread, &runners[i]) == 0);
	}
	for (unsigned int i = 0; i < vcpus; i++)
		pthread_join(runners[i].thread, NULL);
	hypervisor->destroy(machine);
}
