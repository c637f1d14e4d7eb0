/* SPDX-License-Identifier: BSD-2-Clause */
/* Small VMs for the host tests, made and run through libvmmapi. */
#ifndef TESTS_HOST_MACHINE_H
#define TESTS_HOST_MACHINE_H

#include <stdint.h>
#include <vmmapi.h>

#include "unit.h"

#define MACHINE_CODE 0x1000 /* where a machine's code is */

/* STI; JMP to itself. With IF clear Bochs 2.7 exits for no host interrupt. */
extern const uint8_t machine_spin[3];

struct machine {
	struct vmctx *ctx;
	struct vcpu *vcpu;
	char *memory; /* guest-physical address 0 */
};

/*
 * A VM of 'size' bytes of memory with one vCPU in real mode at MACHINE_CODE, where
 * 'code' has been put. It goes when the test's process ends, however that ends.
 * Requires success of each step.
 */
struct machine machine_create(const char *name, size_t size, const void *code, size_t code_size);
/* Put vCPU 'id' of it, made if need be, into real mode at 'rip'. */
struct vcpu *machine_vcpu(struct machine *machine, int id, uint64_t rip);
void machine_destroy(struct machine *machine);
/* Run until an exit that is not BOGUS; requires that VM_RUN does not fail. */
struct vm_exit machine_run(struct machine *machine);

/* A number from /proc/meminfo, in KiB. */
long meminfo(const char *field);
/* Drop caches, and what the kernel frees later; then what is free, in KiB. */
long settled_free_memory(void);
/* A number for this host, from the file "counts". */
int count_of(const char *name);

/* What the module holds, by its own count. */
struct held {
	long guest_memory; /* KiB */
	long own_memory;   /* KiB */
	long own_objects;
};
struct held module_holds(void);
/* It holds again what it held then, to the byte. */
void check_held(struct held before);

#define WORK_GROUP "/sys/fs/cgroup/vmm-work"

/*
 * Run 'work' in a process of its own in the memory cgroup WORK_GROUP, made for it. Returns
 * the kernel memory still charged to that cgroup afterwards, in KiB: whatever was not freed,
 * also what the module's own count misses. Some tens of KiB are the kernel's own.
 */
long kernel_memory_left_by(void (*work)(void));

/* A number from a file, -1 if there is none. */
long read_number(const char *path);
/* Write 'text' to a file of the kernel's: 0 or -1. */
int write_file(const char *path, const char *text);

#endif
