/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bhyve's ioctl interface, one front end over the C interface of the rooms below. What
 * the host calls (front/<host>) copies arguments in and out; everything else about a
 * command is a row of the table in api/ioctl.c.
 */
#ifndef API_IOCTL_H
#define API_IOCTL_H

#include "os/os.h"

struct vm;
struct vcpu;
struct vm_exit;

/* Who may call a command. */
enum ioctl_caller {
	IOCTL_BY_OPENER, /* who has the file open: opening is where permission is checked */
	IOCTL_BY_ADMIN,	 /* who may also assign devices of the host: os_pci_allowed() */
};

/* What a command holds while its handler runs. */
enum ioctl_lock {
	IOCTL_LOCK_NONE, /* nothing: atomics and the devices' own locks */
	IOCTL_LOCK_VM,	 /* vm->lock */
	IOCTL_LOCK_ALL,	 /* vm->lock and every vCPU frozen */
	IOCTL_LOCK_VCPU, /* the vCPU named by the argument's first int, created if need be */
	/*
	 * Nothing yet: the handler locks the vCPU, and has unlocked it when it touches
	 * the caller's memory. An access there may wait for as long as userspace likes
	 * (userfaultfd, FUSE), and others wait for the vCPU without a way out: whoever
	 * destroys the VM, suspends or reboots the host.
	 */
	IOCTL_LOCK_SELF,
};

typedef int ioctl_vm_handler(struct vm *vm, void *arg);
typedef int ioctl_vcpu_handler(struct vcpu *vcpu, void *arg);

struct ioctl_row {
	uint32_t command; /* with Linux's encoding of size and direction */
	enum ioctl_caller caller;
	enum ioctl_lock lock;
	union {
		ioctl_vm_handler *vm;	  /* unless: */
		ioctl_vcpu_handler *vcpu; /* IOCTL_LOCK_VCPU */
	} handler;
};

/* The row of a command; NULL for a number we do not have (ENOTTY). any */
const struct ioctl_row *ioctl_lookup(unsigned int command);
/*
 * Run a command. 'arg' is a kernel copy of _IOC_SIZE bytes, copied back by the
 * caller when the command's direction says so and the result is 0. sleep
 */
int ioctl_run(struct vm *vm, const struct ioctl_row *row, void *arg);
/*
 * VM_RUN_REPLY, the command that VMM processes live in: it has no row, so that nothing is
 * between it and the vCPU. 'to' is in userspace; see struct vm_run_reply. sleep
 */
int ioctl_run_reply(struct vm *vm, int cpuid, uint32_t flags, uint64_t reply, struct vm_exit *to);
/* No command's argument is larger. */
#define IOCTL_MAX_ARG 640

#endif
