/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bhyve's ioctl interface, one front end over the C interface of core. The host
 * layer copies arguments in and out; everything else about a command is a row
 * of the table in api/ioctl.c.
 */
#ifndef API_IOCTL_H
#define API_IOCTL_H

#include "os/os.h"

struct vm;
struct vcpu;
struct vm_exit;

/* What a command holds while its handler runs. */
enum ioctl_lock {
	IOCTL_LOCK_NONE, /* nothing: atomics and the devices' own locks */
	IOCTL_LOCK_VM,	 /* vm->lock */
	IOCTL_LOCK_VCPU, /* the vCPU named by the argument's first int, made if need be */
	IOCTL_LOCK_ALL,	 /* vm->lock and every vCPU frozen */
	/*
	 * Nothing yet: the handler takes the vCPU, and has given it up when it
	 * touches the program's memory. An access there may wait for as long as
	 * the program likes (userfaultfd, FUSE), and others wait for the vCPU
	 * without a way out: whoever destroys the VM, suspends or reboots the host.
	 */
	IOCTL_LOCK_SELF,
};

struct ioctl_row {
	uint32_t command; /* with Linux's encoding of size and direction */
	enum ioctl_lock lock;
	int (*handler)(struct vm *vm, struct vcpu *vcpu, void *arg);
};

/* The row of a command; NULL for a number we do not have (ENOTTY). any */
const struct ioctl_row *ioctl_lookup(unsigned int command);
/*
 * Run a command. 'arg' is a kernel copy of _IOC_SIZE bytes, copied back by the
 * caller when the command's direction says so and the result is 0. sleep
 */
int ioctl_run(struct vm *vm, const struct ioctl_row *row, void *arg);
/* VM_RUN_REPLY, the command that programs live in, by itself: see struct vm_run_reply. sleep */
int ioctl_run_reply(struct vm *vm, int cpuid, uint32_t flags, uint64_t reply, struct vm_exit *to);
/* No command's argument is larger. */
#define IOCTL_MAX_ARG 640

#endif
