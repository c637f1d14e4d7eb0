/* SPDX-License-Identifier: BSD-2-Clause */
/* The two hypervisors as the runner sees them. Whatever fails ends the runner. */
#ifndef BENCH_RUNNER_H
#define BENCH_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../payload/layout.h"

#define MOST_VCPUS 2

/* One access of the guest to a device in userspace; reads are answered in 'value'. */
struct access {
	uint64_t address;
	uint64_t value;
	unsigned int size;
	bool port;
	bool write;
};

struct machine; /* a VM of either kind */

struct hypervisor {
	const char *name;
	/* A VM with vCPUs and its in-kernel devices, no memory; as short as can be. */
	struct machine *(*create)(unsigned int vcpus);
	void (*destroy)(struct machine *machine);
	/* BENCH_MEMORY bytes at guest-physical 0; where userspace has them mapped. */
	char *(*add_memory)(struct machine *machine);
	/* vCPU 0 at the image's entry: see layout.h. */
	void (*set_entry)(struct machine *machine);
	/* Run to the next access. If the last one was a read, access->value answers it. */
	void (*run)(struct machine *machine, unsigned int vcpu, struct access *access);
	/* A call of "run" that comes back without entering the guest. */
	void (*stop)(struct machine *machine);
	void (*run_stopped)(struct machine *machine);
	/* An ioctl that does nothing. */
	void (*null_ioctl)(struct machine *machine);
};

extern const struct hypervisor kvm, vmm;

__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);
#define NEED(condition)                                                                        \
	do {                                                                                   \
		if (!(condition))                                                              \
			die("%s:%d: %s: %s", __FILE__, __LINE__, #condition, strerror(errno)); \
	} while (0)

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* Run the payload's test 'name' in a VM of its own; its rows become lines of output. */
void run_payload(const struct hypervisor *hypervisor, const char *path, const char *name,
		 unsigned int vcpus);
/* Rows of the host's side. */
void measure_host(const struct hypervisor *hypervisor);
/* One line: hypervisor, row, value. */
void print_row(const struct hypervisor *hypervisor, const char *row, uint64_t value);

#endif
