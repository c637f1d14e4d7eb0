// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sleeping vCPUs, and a VM that has halted for good: when all its active vCPUs wait for
 * one another, in HLT with interrupts off or for a start-up IPI.
 */
#include "run/sleep.h"

#include "vm/bitmap.h"
#include "vm/regs.h"
#include "vm/vcpu.h"

/* --- what wakes a vCPU --------------------------------------------------------- */

static bool vcpu_is_held(const struct vcpu *vcpu)
{
	return bitmap_test_bit(vcpu->vm->debug, (unsigned int)vcpu->id);
}

/* Held, and userspace has had its exit. */
static bool vcpu_sleeps_held(const struct vcpu *vcpu)
{
	return vcpu_is_held(vcpu) && __atomic_load_n(&vcpu->debug_reported, __ATOMIC_SEQ_CST);
}

/* Requests that end a sleep: none that the vCPU would not act on in its state. */
static uint32_t vcpu_wake_mask(const struct vcpu *vcpu)
{
	uint32_t mask = ~VCPU_REQ_BREAKPOINT; /* of no interest but to an entry */

	if (vcpu_sleeps_for_sipi(vcpu))
		mask &= ~(VCPU_REQ_EVENTS | VCPU_REQ_TIMER | VCPU_REQ_FLUSH);
	if (vcpu->halted)
		mask &= ~VCPU_REQ_FLUSH;
	if (vcpu_sleeps_held(vcpu))
		mask &= ~(VCPU_REQ_EVENTS | VCPU_REQ_TIMER | VCPU_REQ_INIT | VCPU_REQ_SIPI |
			  VCPU_REQ_FLUSH | VCPU_REQ_DEBUG);
	return mask;
}

static bool vcpu_should_wake(const struct vcpu *vcpu)
{
	return vcpu_requests(vcpu) & vcpu_wake_mask(vcpu);
}

/* --- halted for good ------------------------------------------------------------- */

/* Only another vCPU could wake it. One that is held is userspace's to wake. */
static bool vcpu_is_dead_halted(const struct vcpu *vcpu)
{
	if (vcpu_is_held(vcpu))
		return false;
	return vcpu_sleeps_for_sipi(vcpu) || (vcpu->halted && !(vcpu->rflags & REG_RFLAGS_IF));
}

/* vm->halt_lock. */
static bool vm_is_dead_halted(struct vm *vm)
{
	struct vcpu *vcpu;

	for_each_vcpu(vm, vcpu) {
		unsigned int id = (unsigned int)vcpu->id;

		if (!bitmap_test_bit(vm->active, id))
			continue;
		if (!bitmap_test_bit(vm->dead_halted, id) || vcpu_should_wake(vcpu))
			return false;
	}
	return true;
}

/*
 * With the lock no vCPU leaves the set: each one in it sleeps, with the state it went to
 * sleep in. Whoever could still send to a sleeper has done so before it went to sleep
 * itself, so a request that is not there now never comes from a vCPU. One that is there
 * has yet to be acted on, by a vCPU that comes here again if it goes on sleeping: whoever
 * is last sees all of them, and nothing pending.
 */
static void vcpu_enter_dead_halt(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	unsigned long flags = os_spin_lock(&vm->halt_lock);
	bool dead;

	bitmap_set_bit(vm->dead_halted, (unsigned int)vcpu->id);
	dead = bitmap_test_bit(vm->active, (unsigned int)vcpu->id) && vm_is_dead_halted(vm);
	os_spin_unlock(&vm->halt_lock, flags);
	if (dead)
		(void)vm_suspend(vm, VM_SUSPEND_HALT);
}

/* Before it clears any request. */
static void vcpu_leave_dead_halt(struct vcpu *vcpu)
{
	unsigned long flags = os_spin_lock(&vcpu->vm->halt_lock);

	bitmap_clear_bit(vcpu->vm->dead_halted, (unsigned int)vcpu->id);
	os_spin_unlock(&vcpu->vm->halt_lock, flags);
}

/* --- sleeping -------------------------------------------------------------------- */

enum exit_action vcpu_sleep(struct vcpu *vcpu)
{
	bool dead = vcpu_is_dead_halted(vcpu);
	int error;

	if (dead)
		vcpu_enter_dead_halt(vcpu);
	vcpu_stat_inc(vcpu, STAT_HALTS);
	__atomic_store_n(&vcpu->mode, VCPU_SLEEPING, __ATOMIC_SEQ_CST);
	error = os_wait_event(&vcpu->waitq, vcpu_should_wake(vcpu));
	__atomic_store_n(&vcpu->mode, VCPU_OUTSIDE, __ATOMIC_SEQ_CST);
	if (dead)
		vcpu_leave_dead_halt(vcpu);
	/* A return to user space without a signal is vcpu_turn_slow()'s to see to. */
	return error && !os_return_pending() ? vcpu_exit_error(vcpu, error) : EXIT_OUTER;
}
