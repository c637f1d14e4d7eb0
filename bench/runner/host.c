// SPDX-License-Identifier: BSD-2-Clause
/* What calls cost the VMM process, and what VMs cost the host. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

#define RUNS   15
#define REPEAT 16
#define VMS    32 /* at once, for the memory of one */

#define BUSY_TICKS 3000000

static const struct hypervisor *under_test;
static struct machine *machine;

/* --- calls ------------------------------------------------------------------------ */

static void call_nothing(void)
{
}

static void run_stopped(void)
{
	under_test->run_stopped(machine);
}

static void null_ioctl(void)
{
	under_test->null_ioctl(machine);
}

static void null_syscall(void)
{
	(void)syscall(SYS_getppid);
}

static uint64_t least_of_calls(void (*volatile call)(void))
{
	void (*fn)(void) = call;
	uint64_t least = UINT64_MAX;

	for (unsigned int run = 0; run < RUNS; run++) {
		uint64_t start = rdtsc(), ticks;

		for (unsigned int i = 0; i < REPEAT; i++)
			fn();
		ticks = rdtsc() - start;
		least = ticks < least ? ticks : least;
	}
	return least;
}

static void measure_call(const char *row, void (*call)(void))
{
	uint64_t ticks = least_of_calls(call) - least_of_calls(call_nothing);

	print_row(under_test, row, (ticks + REPEAT / 2) / REPEAT);
}

/* --- life --------------------------------------------------------------------------- */

/*
 * Of this thread's processor time, which the scheduler counts by the TSC as well: both
 * hypervisors wait for grace periods of RCU, which last as long as the host is idle.
 */
static uint64_t thread_cpu_time(void)
{
	struct timespec time;

	NEED(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* The TSC's ticks in a million nanoseconds of thread_cpu_time(). */
static uint64_t ticks_per_million(void)
{
	uint64_t start = rdtsc(), busy_start = thread_cpu_time(), end;

	do
		end = rdtsc();
	while (end - start < BUSY_TICKS);
	return (end - start) * 1000000 / (thread_cpu_time() - busy_start);
}

static uint64_t least_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void measure_life(void)
{
	uint64_t create = UINT64_MAX, destroy = UINT64_MAX, scale = ticks_per_million();

	for (unsigned int run = 0; run < RUNS; run++) {
		uint64_t start = thread_cpu_time(), made, gone;

		machine = under_test->create(1);
		made = thread_cpu_time();
		under_test->destroy(machine);
		gone = thread_cpu_time();
		create = least_of(create, made - start);
		destroy = least_of(destroy, gone - made);
	}
	print_row(under_test, "create", create * scale / 1000000);
	print_row(under_test, "destroy", destroy * scale / 1000000);
}

/* --- memory --------------------------------------------------------------------------- */

/* Sum of the numbers behind 'field' in a file of /proc. */
static long sum_of(const char *path, const char *format)
{
	FILE *file = fopen(path, "r");
	char line[128];
	long sum = 0, value;

	NEED(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, format, &value) == 1)
			sum += value;
	}
	fclose(file);
	return sum;
}

static void write_sysctl(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_CLOEXEC);

	if (file < 0)
		return;
	if (write(file, text, strlen(text)) < 0)
		perror(path);
	close(file);
}

/* KiB, with the pages on per-CPU lists. */
static long free_memory(void)
{
	for (unsigned int i = 0; i < 3; i++) {
		write_sysctl("/proc/sys/vm/drop_caches", "3");
		write_sysctl("/proc/sys/vm/stat_refresh", "1");
		usleep(50000); /* what waits for RCU */
	}
	return sum_of("/proc/meminfo", "MemFree: %ld") +
	       sum_of("/proc/zoneinfo", " count: %ld") * 4;
}

/* The second batch: what the first has left half used in the allocator is full by then. */
static void measure_memory(void)
{
	struct machine *machines[2 * VMS];
	long before = 0, after;

	for (unsigned int i = 0; i < 2 * VMS; i++) {
		if (i == VMS)
			before = free_memory();
		machines[i] = under_test->create(1);
	}
	after = free_memory();
	for (unsigned int i = 0; i < 2 * VMS; i++)
		under_test->destroy(machines[i]);
	print_row(under_test, "memory-per-vm", (uint64_t)((before - after + VMS / 2) / VMS));
}

void measure_host(const struct hypervisor *hypervisor)
{
	under_test = hypervisor;
	machine = hypervisor->create(1);
	hypervisor->stop(machine);
	measure_call("run-ioctl", run_stopped);
	measure_call("null-ioctl", null_ioctl);
	measure_call("null-syscall", null_syscall);
	hypervisor->destroy(machine);
	measure_life();
	measure_memory();
}
