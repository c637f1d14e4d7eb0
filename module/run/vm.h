/* SPDX-License-Identifier: BSD-2-Clause */
/* Life of a VM and of its vCPUs, and running one: what front ends call. */
#ifndef RUN_VM_H
#define RUN_VM_H

#include <vmm/vmm.h>
#include "os/os.h"

struct vcpu;
struct vm;

/* --- a VM ---------------------------------------------------------------------- */

/*
 * Create a VM that may have vCPUs 0..max_vcpus-1. One reference belongs to the
 * caller. -EINVAL (bad name), -ENOMEM, -EBUSY (another hypervisor holds a CPU), -EAGAIN
 * (the calling process's user has as many VMs as are allowed).
 * Names are unique among VMs by the front end's doing. sleep
 */
int vm_create(const char *name, uint32_t max_vcpus, struct vm **vm);
/*
 * Stop every vCPU, free the memory, make later ioctls fail with ENXIO. The
 * structure stays until the last reference. Idempotent. sleep
 */
void vm_destroy(struct vm *vm);
/*
 * Back to the state after power on, memory kept. -EBUSY while a guest runs: it has
 * vCPUs and has not stopped, or one of them is still in VM_RUN. All vCPUs frozen.
 */
int vm_reinit(struct vm *vm);

/* --- a vCPU -------------------------------------------------------------------- */

/* The vCPU of that number, created if need be: -EINVAL, -ENOMEM, -ENXIO. sleep */
int vm_vcpu_create(struct vm *vm, int id, struct vcpu **vcpu);
/* Free a vCPU that no thread can reach any more. sleep */
void vcpu_free(struct vcpu *vcpu);
/* State after RESET (or INIT), registers and APIC included. Owner. */
void vcpu_reset(struct vcpu *vcpu, bool init);
/*
 * A capability, set: -ENOENT this back end does not have it, -EINVAL it is always on; its
 * value, 0 or 1, or -ENOENT; all off, as VM_REINIT leaves them. Owner.
 */
int vcpu_set_capability(struct vcpu *vcpu, enum vm_cap_type type, bool on);
int vcpu_get_capability(struct vcpu *vcpu, enum vm_cap_type type);
void vcpu_reset_capabilities(struct vcpu *vcpu);

/*
 * Run the guest until userspace is needed. Caller owns the vCPU, which no
 * other thread runs (vcpu->running); others get at it meanwhile. 0 with
 * vcpu->exit filled in; -EINTR signal; -ENOMEM no memory for the guest's RAM;
 * -ENXIO destroyed.
 */
int vcpu_run(struct vcpu *vcpu);

#endif
