/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A scripted back end and front end for tests and fuzzers: registers are plain
 * arrays, and what the "guest" does is a function of the test's, called where the
 * processor would have run it.
 */
#ifndef TESTS_UNIT_FAKE_BACKEND_H
#define TESTS_UNIT_FAKE_BACKEND_H

#include "os/user/os_user.h"
#include "run/host.h"
#include "run/vm.h"
#include "vm/vcpu.h"

/* Bits of its nested page table's leaves. */
#define FAKE_NPT_LARGE 0x80ull
#define FAKE_NPT_EXEC  0x200ull

#define FAKE_EVENTS 64 /* injected events that are remembered */

/*
 * One stretch of guest and the exit that ends it: 'entry' counts the entries from 0. It may
 * do anything an exit handler may, and returns what one returns.
 */
typedef enum exit_action (*fake_guest)(struct vcpu *vcpu, unsigned int entry);

/* What the back end keeps for a vCPU; tests read and change it freely. */
struct fake_vcpu {
	uint64_t reg[BACKEND_REG_COUNT];
	struct seg_desc desc[VM_REG_LAST];
	uint64_t tsc_offset;
	fake_guest guest;		   /* NULL: every entry ends in a BOGUS exit */
	void (*inside)(struct vcpu *vcpu); /* what happens while the guest runs; NULL */
	unsigned int entries;
	uint64_t event[FAKE_EVENTS]; /* injected, in order */
	unsigned int events;	     /* how many, also beyond FAKE_EVENTS */
	unsigned int windows;	     /* WINDOW_* asked for before the last entry */
	uint8_t window_vector;
	unsigned int flushes;
	uint32_t capabilities; /* as set by the core: BIT of enum vm_cap_type */
};

extern const struct vmm_backend fake_backend;

static inline struct fake_vcpu *fake_vcpu(struct vcpu *vcpu)
{
	return vcpu->backend_state;
}

/* Capabilities that the processor does not have; none after fake_vm_create(). */
void fake_absent_capabilities(uint32_t capabilities);

/* The front end of fake_vm_create()'s VMs. Set, it has counted nothing yet. */
extern const struct vmm_front fake_front;
/* Make the next segment_publish() fail with this errno (negative). */
void fake_front_fail_publish(int error);
/* Segments published and not withdrawn; calls of unmap_userspace(). Since fake_vm_create(). */
unsigned int fake_front_published(void);
unsigned int fake_front_unmaps(void);

/* A VM on this back end, all devices made; aborts on failure. */
struct vm *fake_vm_create(uint32_t max_vcpus);
/* Destroys and frees it; aborts if memory or a timer is left over. */
void fake_vm_destroy(struct vm *vm);
/*
 * A vCPU of it, made if need be, in the state after RESET but not waiting for a
 * start-up IPI. Registers read 0 until written.
 */
struct vcpu *fake_vm_vcpu(struct vm *vm, int id);
/*
 * An ioctl as the front end does it, on the caller's argument; VM_RUN_REPLY is
 * ioctl_run_reply().
 */
int fake_ioctl(struct vm *vm, unsigned int command, void *arg);
/* The request bits set, cleared by asking. */
uint32_t fake_requests(struct vcpu *vcpu);

#endif
