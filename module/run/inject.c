// SPDX-License-Identifier: BSD-2-Clause
/* Injection: which of a vCPU's pending events the next entry delivers. */
#include "run/inject.h"

#include "dev/lapic.h"
#include "dev/pic.h"
#include "vm/regs.h"
#include "vm/vcpu.h"

#define INTINFO_NMI		  (VM_INTINFO_VALID | VM_INTINFO_NMI | VECTOR_NMI)
#define INTINFO_INTERRUPT(vector) (VM_INTINFO_VALID | VM_INTINFO_HWINTR | (vector))

static bool hardware_interrupts_masked(const struct vcpu *vcpu)
{
	return vcpu->capabilities & (1u << VM_CAP_MASK_HWINTR);
}

static bool extint_pending(struct vcpu *vcpu)
{
	return lapic_extint_allowed(vcpu) && pic_pending(vcpu->vm);
}

/* A maskable interrupt can be injected at this instruction. */
static bool interrupt_window_open(const struct vcpu *vcpu)
{
	return (vcpu->rflags & REG_RFLAGS_IF) && !vcpu->intr_shadow;
}

static void event_deliver(struct vcpu *vcpu, uint64_t intinfo, enum vmm_stat stat)
{
	vcpu_stat_inc(vcpu, stat);
	backend->inject(vcpu, intinfo);
}

/* A pending exception, or a delivery to be re-injected. False: there is none. */
static bool event_inject_pending(struct vcpu *vcpu, enum exit_action *action)
{
	uint64_t intinfo = vcpu->exitintinfo;

	if (!intinfo && !vcpu->exception)
		return false;
	if (vcpu->exitintinfo && vcpu->exception)
		intinfo = event_combine(vcpu->exitintinfo, vcpu->exception);
	else if (vcpu->exception)
		intinfo = vcpu->exception;

	if (intinfo == EVENT_SHUTDOWN) {
		(void)vm_suspend(vcpu->vm, VM_SUSPEND_TRIPLEFAULT);
		*action = EXIT_OUTER;
		return true;
	}
	event_deliver(vcpu, intinfo, vcpu->exception ? STAT_EXCEPTIONS : STAT_REINJECTIONS);
	vcpu->exitintinfo = 0;
	vcpu->exception = 0;
	return true;
}

/* False: no NMI was injected; if one is pending, its window has been requested. */
static bool event_inject_nmi(struct vcpu *vcpu, bool busy)
{
	uint32_t pending = __atomic_load_n(&vcpu->nmi_pending, __ATOMIC_SEQ_CST);
	bool blocked;

	if (!pending)
		return false;
	blocked = vcpu_nmi_blocked(vcpu);
	/* While one is being handled the processor remembers one more, not two. */
	if (blocked && pending > 1)
		__atomic_store_n(&vcpu->nmi_pending, 1, __ATOMIC_SEQ_CST);
	if (busy || vcpu->intr_shadow || blocked) {
		backend->request_window(vcpu, WINDOW_NMI, 0);
		return false;
	}
	event_deliver(vcpu, INTINFO_NMI, STAT_NMIS);
	if (__atomic_sub_fetch(&vcpu->nmi_pending, 1, __ATOMIC_SEQ_CST))
		backend->request_window(vcpu, WINDOW_NMI, 0);
	return true;
}

/* Before the local APIC's interrupts: LINT0 has no priority. False: none is pending. */
static bool event_inject_extint(struct vcpu *vcpu, bool busy)
{
	int vector;

	if (!extint_pending(vcpu))
		return false;
	if (busy || !interrupt_window_open(vcpu)) {
		backend->request_window(vcpu, WINDOW_INTERRUPT, 0);
		return true;
	}
	vector = pic_intack(vcpu->vm);
	event_deliver(vcpu, INTINFO_INTERRUPT((unsigned int)vector & 0xff), STAT_INTERRUPTS);
	if (extint_pending(vcpu) || lapic_has_work(vcpu))
		vcpu_request(vcpu, VCPU_REQ_EVENT);
	return true;
}

/* The processor delivers from the APIC's page, when the guest can take it. */
static bool event_deliver_from_page(struct vcpu *vcpu)
{
	int vector = hardware_interrupts_masked(vcpu) ? -1 : lapic_highest_request(vcpu);

	return backend->apic.interrupt(vcpu, vector);
}

static void event_inject_lapic(struct vcpu *vcpu, bool busy)
{
	int vector = lapic_pending(vcpu);

	if (vector < 0) {
		/* Held back by CR8, which the guest lowers without an exit. */
		vector = lapic_blocked_by_tpr(vcpu);
		if (vector >= 0)
			backend->request_window(vcpu, WINDOW_INTERRUPT, (uint8_t)vector);
		return;
	}
	if (busy || !interrupt_window_open(vcpu)) {
		backend->request_window(vcpu, WINDOW_INTERRUPT, (uint8_t)vector);
		return;
	}
	lapic_accept(vcpu, (uint8_t)vector);
	event_deliver(vcpu, INTINFO_INTERRUPT((unsigned int)vector), STAT_INTERRUPTS);
	vector = lapic_pending(vcpu);
	if (vector >= 0)
		backend->request_window(vcpu, WINDOW_INTERRUPT, (uint8_t)vector);
}

/* Slow path, out of line: the fast path has nothing on its stack. */
static noinline enum exit_action event_inject_exception_slow(struct vcpu *vcpu)
{
	enum exit_action action = EXIT_RESUME;

	(void)event_inject_pending(vcpu, &action);
	return action;
}

/*
 * Fast path of an exception that an exit's handler has raised: every other pending event has
 * its window or a request of its own, and stays pending.
 */
enum exit_action event_inject_exception(struct vcpu *vcpu)
{
	uint64_t exception = vcpu->exception;

	if (unlikely(!exception) || unlikely(exception == EVENT_SHUTDOWN) ||
	    unlikely(vcpu->exitintinfo))
		return event_inject_exception_slow(vcpu);
	vcpu->exception = 0;
	event_deliver(vcpu, exception, STAT_EXCEPTIONS);
	return EXIT_RESUME;
}

enum exit_action event_inject(struct vcpu *vcpu)
{
	enum exit_action action = EXIT_RESUME;
	bool busy = event_inject_pending(vcpu, &action);
	bool extint;

	if (action != EXIT_RESUME)
		return action;
	busy |= event_inject_nmi(vcpu, busy);
	extint = !hardware_interrupts_masked(vcpu) && event_inject_extint(vcpu, busy);
	if (backend->apic.interrupt && event_deliver_from_page(vcpu))
		return EXIT_RESUME;
	if (!hardware_interrupts_masked(vcpu) && !extint)
		event_inject_lapic(vcpu, busy);
	return EXIT_RESUME;
}

bool event_pending(struct vcpu *vcpu)
{
	if (vcpu->exception || vcpu->exitintinfo)
		return true;
	if (__atomic_load_n(&vcpu->nmi_pending, __ATOMIC_SEQ_CST) && !vcpu_nmi_blocked(vcpu))
		return true;
	if (!(vcpu->rflags & REG_RFLAGS_IF) || hardware_interrupts_masked(vcpu))
		return false;
	return extint_pending(vcpu) || lapic_pending(vcpu) >= 0;
}
