// SPDX-License-Identifier: BSD-2-Clause
/*
 * Running a vCPU: two loops. The inner one owns the processor (preemption off, guest's
 * FPU loaded) and ends only when something needs sleep, userspace or another thread. The
 * outer one does what needs sleep and starts the inner one again.
 */
#include "dev/device.h"
#include "dev/lapic.h"
#include "run/host.h"
#include "run/inject.h"
#include "run/sleep.h"
#include "run/vm.h"
#include "vm/bitmap.h"
#include "vm/regs.h"
#include "vm/timer.h"
#include "vm/vcpu.h"
#include "x86/cpu/breakpoints.h"
#include "x86/cpu/context.h"
#include "x86/emulate/emulate.h"
#include "x86/exits/exits.h"

/* What the inner loop can act on; anything else is for the outer one. */
#define VCPU_REQ_INNER (VCPU_REQ_EVENTS | VCPU_REQ_TIMER | VCPU_REQ_FLUSH | VCPU_REQ_BREAKPOINT)

/* CS after a start-up IPI: a real-mode code segment (SDM vol. 3, 8.4.3; APM vol. 2, 14.1.3). */
#define SIPI_CS_ACCESS                                                                \
	(SEG_ACCESS_CODE | SEG_ACCESS_WRITABLE | SEG_ACCESS_ACCESSED | SEG_ACCESS_S | \
	 SEG_ACCESS_PRESENT)

/* --- pending requests, outer loop ---------------------------------------------- */

static enum exit_action vcpu_exit_suspended(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	if (READ_ONCE(vm->destroyed))
		return vcpu_exit_error(vcpu, -ENXIO);
	bitmap_set_bit(vm->suspended, (unsigned int)vcpu->id);
	vcpu->exit.u.suspended.how =
		(enum vm_suspend_how)__atomic_load_n(&vm->suspend, __ATOMIC_SEQ_CST);
	return vcpu_exit_between(vcpu, VM_EXITCODE_SUSPENDED);
}

/*
 * Held by VM_SUSPEND_CPU: one exit to userspace; if that runs the vCPU again, the
 * thread sleeps until VM_RESUME_CPU.
 */
static enum exit_action vcpu_exit_held(struct vcpu *vcpu)
{
	if (!bitmap_test_bit(vcpu->vm->debug, (unsigned int)vcpu->id)) {
		vcpu_requests_clear(vcpu, VCPU_REQ_DEBUG);
		if (bitmap_test_bit(vcpu->vm->debug, (unsigned int)vcpu->id))
			vcpu_request(vcpu, VCPU_REQ_DEBUG);
		return EXIT_RESUME;
	}
	if (!__atomic_exchange_n(&vcpu->debug_reported, true, __ATOMIC_SEQ_CST))
		return vcpu_exit_between(vcpu, VM_EXITCODE_DEBUG);
	return EXIT_OUTER;
}

static void vcpu_serve_init(struct vcpu *vcpu)
{
	vcpu_requests_clear(vcpu, VCPU_REQ_INIT);
	vcpu_reset(vcpu, true);
}

static void vcpu_serve_sipi(struct vcpu *vcpu)
{
	struct seg_desc code = { .limit = 0xffff, .access = SIPI_CS_ACCESS };
	uint8_t vector = __atomic_load_n(&vcpu->sipi_vector, __ATOMIC_SEQ_CST);

	vcpu_requests_clear(vcpu, VCPU_REQ_SIPI);
	if (!vcpu_end_wait_sipi(vcpu))
		return;
	code.base = (uint64_t)vector << 12;
	(void)backend->set_reg(vcpu, VM_REG_GUEST_CS, (uint64_t)vector << 8);
	(void)backend->set_desc(vcpu, VM_REG_GUEST_CS, &code);
	vcpu->rip = 0;
	vcpu->halted = false;
}

/* HLT ends if one of the pending events can be injected now. */
static void vcpu_wake_from_halt(struct vcpu *vcpu)
{
	vcpu_requests_clear(vcpu, VCPU_REQ_EVENTS);
	if (!event_pending(vcpu))
		return;
	vcpu->halted = false;
	vcpu_request(vcpu, VCPU_REQ_EVENT);
}

static void vcpu_serve_timer(struct vcpu *vcpu)
{
	vcpu_requests_clear(vcpu, VCPU_REQ_TIMER);
	lapic_timer_event(vcpu);
}

/* Act on pending requests: EXIT_RESUME to run, EXIT_OUTER to sleep, EXIT_USERSPACE. */
static enum exit_action vcpu_serve_requests(struct vcpu *vcpu)
{
	uint32_t bits = vcpu_requests(vcpu);

	/* Whoever had the vCPU locked may have changed everything, even destroyed the VM. */
	if (bits & VCPU_REQ_YIELD) {
		vcpu_yield_to_waiters(vcpu);
		bits = vcpu_requests(vcpu);
	}
	if (bits & VCPU_REQ_SUSPEND)
		return vcpu_exit_suspended(vcpu);
	if (bits & VCPU_REQ_DEBUG) {
		enum exit_action action = vcpu_exit_held(vcpu);

		if (action != EXIT_RESUME)
			return action;
	}
	if (bits & VCPU_REQ_INIT)
		vcpu_serve_init(vcpu);
	if (bits & VCPU_REQ_SIPI)
		vcpu_serve_sipi(vcpu);
	if (bits & VCPU_REQ_TIMER)
		vcpu_serve_timer(vcpu);
	if (vcpu_sleeps_for_sipi(vcpu))
		return EXIT_OUTER;
	if (vcpu->halted && (vcpu_requests(vcpu) & VCPU_REQ_EVENTS))
		vcpu_wake_from_halt(vcpu);
	return vcpu->halted ? EXIT_OUTER : EXIT_RESUME;
}

/* --- the inner loop ------------------------------------------------------------ */

/* Interrupts off, right before entry. EXIT_RESUME: enter. */
static enum exit_action vcpu_serve_inner_requests(struct vcpu *vcpu)
{
	uint32_t bits = vcpu_requests(vcpu);

	if (bits & ~VCPU_REQ_INNER)
		return EXIT_OUTER;
	vcpu_requests_clear(vcpu, bits & ~VCPU_REQ_BREAKPOINT);
	if (bits & VCPU_REQ_BREAKPOINT)
		breakpoints_after_exit(vcpu);
	if (bits == VCPU_REQ_EXCEPTION)
		return event_inject_exception(vcpu);
	if (bits & VCPU_REQ_FLUSH)
		backend->flush_nested(vcpu);
	if (bits & VCPU_REQ_TIMER)
		lapic_timer_event(vcpu);
	return event_inject(vcpu);
}

static enum exit_action vcpu_enter(struct vcpu *vcpu)
{
	enum exit_action action = EXIT_RESUME;

	os_irq_disable();
	(void)__atomic_exchange_n(&vcpu->mode, VCPU_IN_GUEST, __ATOMIC_SEQ_CST);
	if (unlikely(os_run_should_leave()))
		action = EXIT_OUTER;
	else if (unlikely(vcpu_requests(vcpu)))
		action = vcpu_serve_inner_requests(vcpu);
	if (likely(action == EXIT_RESUME))
		backend->enter(vcpu);
	__atomic_store_n(&vcpu->mode, VCPU_OUTSIDE, __ATOMIC_RELEASE);
	os_irq_enable();
	return action;
}

/* Where interrupts of assigned devices follow it to (ppt/interrupt.c). Preemption off. */
static void vcpu_note_cpu(struct vcpu *vcpu)
{
	int cpu = (int)os_cpu_id();

	if (likely(vcpu->last_cpu == cpu))
		return;
	if (vcpu->last_cpu >= 0)
		vcpu_stat_inc(vcpu, STAT_MIGRATIONS);
	WRITE_ONCE(vcpu->last_cpu, cpu);
}

static enum exit_action vcpu_inner_loop(struct vcpu *vcpu)
{
	enum exit_action action;

	os_run_begin();
	if (unlikely(!host_cpu_enabled())) {
		os_run_end();
		return EXIT_OUTER;
	}
	vcpu_note_cpu(vcpu);
	context_load(vcpu);
	backend->load(vcpu);
	vcpu_stat_inc(vcpu, STAT_INNER_LOOPS);
	do {
		action = vcpu_enter(vcpu);
		if (action != EXIT_RESUME)
			break;
		vcpu_stat_inc(vcpu, STAT_EXITS);
		action = backend->exit(vcpu);
	} while (action == EXIT_RESUME);
	if (backend->edges.put)
		backend->edges.put(vcpu);
	context_put(vcpu);
	os_run_end();
	return action;
}

/* --- the outer loop ------------------------------------------------------------ */

static enum exit_action vcpu_deferred(struct vcpu *vcpu)
{
	enum exit_action (*deferred)(struct vcpu * vcpu) = vcpu->deferred;

	vcpu->deferred = NULL;
	return deferred(vcpu);
}

/* The host is suspended, or going down. The vCPU is unlocked meanwhile: nobody waits for us. */
static enum exit_action vcpu_wait_host(struct vcpu *vcpu)
{
	int error;

	vcpu_unlock(vcpu);
	error = host_wait();
	os_mutex_lock(&vcpu->mutex);
	return error && !os_return_pending() ? vcpu_exit_error(vcpu, error) : EXIT_OUTER;
}

/* No pending request but the inner loop's, of the vCPU or of the thread that runs it. */
static bool vcpu_has_no_slow_request(const struct vcpu *vcpu)
{
	return !(vcpu_requests(vcpu) & ~VCPU_REQ_INNER) && !vcpu->halted && !vcpu->wait_sipi &&
	       !os_thread_wanted() && !host_quiesced();
}

static noinline enum exit_action vcpu_turn_slow(struct vcpu *vcpu)
{
	enum exit_action action;

	if (os_signal_pending())
		return vcpu_exit_error(vcpu, -EINTR);
	if (os_return_pending())
		return vcpu_exit_between(vcpu, VM_EXITCODE_BOGUS);
	os_yield();
	action = vcpu_serve_requests(vcpu);
	if (action == EXIT_OUTER)
		return vcpu_sleep(vcpu);
	if (unlikely(host_quiesced()))
		return vcpu_wait_host(vcpu);
	return action == EXIT_RESUME ? vcpu_inner_loop(vcpu) : action;
}

/* One turn; EXIT_USERSPACE ends it. */
static enum exit_action vcpu_turn(struct vcpu *vcpu)
{
	if (vcpu->deferred)
		return vcpu_deferred(vcpu);
	return likely(vcpu_has_no_slow_request(vcpu)) ? vcpu_inner_loop(vcpu) :
							vcpu_turn_slow(vcpu);
}

/*
 * The access of the last exit: a write, or a read that userspace has answered, is finished;
 * the instruction of a read without an answer starts again.
 */
static enum exit_action vcpu_continue(struct vcpu *vcpu)
{
	bool pending = vcpu->access_pending;

	vcpu->access_pending = false;
	if (pending && (vcpu->access.replied || vcpu->access.write))
		return x86_finish_access(vcpu);
	emulation_reset(vcpu);
	vcpu->rip = vcpu->resume_rip;
	return EXIT_RESUME;
}

int vcpu_run(struct vcpu *vcpu)
{
	enum exit_action action;

	os_thread_attach(&vcpu->thread);
	if (vm_timers_enter(vcpu))
		device_resume_all(vcpu->vm);
	vcpu->deferred = NULL;
	action = vcpu_continue(vcpu);
	while (action != EXIT_USERSPACE)
		action = vcpu_turn(vcpu);
	vm_timers_leave(vcpu);
	os_thread_detach(&vcpu->thread);
	vcpu_stat_inc(vcpu, STAT_EXITS_USERSPACE);
	return vcpu->error;
}
