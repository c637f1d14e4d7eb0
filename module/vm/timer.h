/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host timers of a VM's devices. They are the guest's, and a guest that does not run must
 * not cost the host anything: a timer is armed only while some vCPU is in VM_RUN.
 *
 * No vCPU counts itself in and out, which would be a write to a shared line at every VM_RUN.
 * A device asks vm_timers_wanted() before it arms a timer. Where the answer is no, it leaves
 * the timer off, and the VM notes that one is; the next vCPU that enters VM_RUN finds the note
 * (vm_timers_enter) and has the devices catch up and arm their timers anew. A timer that was
 * armed when the last vCPU left expires once, and is not armed again.
 */
#ifndef VM_TIMER_H
#define VM_TIMER_H

#include "os/os.h"
#include "vm/vcpu.h"

/* Shortest time between two expirations of a periodic timer, ns. Set at module load. */
extern uint64_t vm_timer_min_ns;

/*
 * May a host timer be armed? False: leave it off, it is noted. With the lock of the device held
 * under which it catches up when a vCPU enters. any
 */
bool vm_timers_wanted(struct vm *vm);

/*
 * The owner enters VM_RUN. True: the devices have to catch up (device_resume_all). Either
 * vm_timers_wanted() sees 'running' or this sees its note: each writes before it reads.
 */
static inline bool vm_timers_enter(struct vcpu *vcpu)
{
	(void)__atomic_exchange_n(&vcpu->running, true, __ATOMIC_SEQ_CST);
	return unlikely(__atomic_load_n(&vcpu->vm->timers_off, __ATOMIC_SEQ_CST));
}

/* The owner leaves VM_RUN. */
static inline void vm_timers_leave(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->running, false, __ATOMIC_RELEASE);
}

/* The note is taken back: the caller is about to have the devices catch up. any */
static inline void vm_timers_resume(struct vm *vm)
{
	__atomic_store_n(&vm->timers_off, false, __ATOMIC_SEQ_CST);
}

#endif
