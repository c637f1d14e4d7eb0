// SPDX-License-Identifier: BSD-2-Clause
/* Locking vCPUs, and requests to their owners. */
#include "vm/vcpu.h"

/* --- one vCPU ------------------------------------------------------------------ */

static void vcpu_waiter_add(struct vcpu *vcpu)
{
	__atomic_fetch_add(&vcpu->waiters, 1, __ATOMIC_SEQ_CST);
	vcpu_request(vcpu, VCPU_REQ_YIELD);
}

static void vcpu_waiter_remove(struct vcpu *vcpu)
{
	if (__atomic_sub_fetch(&vcpu->waiters, 1, __ATOMIC_SEQ_CST) == 0)
		os_wake(&vcpu->waitq);
}

int vcpu_lock_contended(struct vcpu *vcpu)
{
	int error;

	vcpu_waiter_add(vcpu);
	error = os_mutex_lock_killable(&vcpu->mutex);
	vcpu_waiter_remove(vcpu);
	return error;
}

void vcpu_lock_always(struct vcpu *vcpu)
{
	vcpu_waiter_add(vcpu);
	os_mutex_lock(&vcpu->mutex);
	vcpu_waiter_remove(vcpu);
}

/*
 * The bit is cleared before 'waiters' is read again: a waiter that comes in between is
 * not missed.
 */
void vcpu_yield_to_waiters(struct vcpu *vcpu)
{
	vcpu_unlock(vcpu);
	os_wait_event_killable(&vcpu->waitq,
			       __atomic_load_n(&vcpu->waiters, __ATOMIC_SEQ_CST) == 0);
	os_mutex_lock(&vcpu->mutex);
	vcpu_requests_clear(vcpu, VCPU_REQ_YIELD);
	if (__atomic_load_n(&vcpu->waiters, __ATOMIC_SEQ_CST))
		vcpu_request(vcpu, VCPU_REQ_YIELD);
}

/* --- all of a VM --------------------------------------------------------------- */

static void vm_unlock_vcpus_below(struct vm *vm, uint32_t count)
{
	while (count-- > 0) {
		struct vcpu *vcpu = vm_vcpu(vm, (int)count);

		if (vcpu)
			vcpu_unlock(vcpu);
	}
}

int vm_freeze(struct vm *vm)
{
	struct vcpu *vcpu;

	for_each_vcpu(vm, vcpu) {
		int error = vcpu_lock(vcpu);

		if (error) {
			vm_unlock_vcpus_below(vm, (uint32_t)vcpu->id);
			return error;
		}
	}
	return 0;
}

void vm_freeze_always(struct vm *vm)
{
	struct vcpu *vcpu;

	for_each_vcpu(vm, vcpu)
		vcpu_lock_always(vcpu);
}

void vm_thaw(struct vm *vm)
{
	vm_unlock_vcpus_below(vm, vm->max_vcpus);
}

/* --- requests ------------------------------------------------------------------ */

/*
 * The bit is set before 'mode' is read; the owner sets 'mode' before it reads
 * the bits: one of the two always sees the other.
 */
void vcpu_request(struct vcpu *vcpu, uint32_t bits)
{
	__atomic_fetch_or(&vcpu->requests, bits, __ATOMIC_SEQ_CST);
	switch (__atomic_load_n(&vcpu->mode, __ATOMIC_SEQ_CST)) {
	case VCPU_IN_GUEST:
		__atomic_fetch_add(&vcpu->stats[STAT_KICKS], 1, __ATOMIC_RELAXED);
		os_thread_kick(&vcpu->thread);
		break;
	case VCPU_SLEEPING:
		os_wake(&vcpu->waitq);
		break;
	default:
		break;
	}
}

void vm_request_all(struct vm *vm, uint32_t bits)
{
	struct vcpu *vcpu;

	for_each_vcpu(vm, vcpu)
		vcpu_request(vcpu, bits);
}
