// SPDX-License-Identifier: BSD-2-Clause
/*
 * Events on their way into the guest: which of those that wait goes next, and
 * what becomes of two that meet (APM vol. 2, 8.2.9; SDM vol. 3, 6.15).
 */
#include "core/private.h"
#include "dev/lapic.h"
#include "dev/pic.h"
#include "x86/regs.h"

#define INTINFO_EXCEPTION(vector) (VM_INTINFO_VALID | VM_INTINFO_HWEXCEPTION | (vector))
#define INTINFO_NMI		  (VM_INTINFO_VALID | VM_INTINFO_NMI | VECTOR_NMI)
#define INTINFO_INTERRUPT(vector) (VM_INTINFO_VALID | VM_INTINFO_HWINTR | (vector))

/* combine() of a fault while #DF was being delivered. */
#define INTINFO_SHUTDOWN 0

static bool is_exception(uint64_t intinfo)
{
	return (intinfo & VM_INTINFO_TYPE) == VM_INTINFO_HWEXCEPTION;
}

static bool is_contributory(uint8_t vector)
{
	return vector == VECTOR_DE || (vector >= VECTOR_TS && vector <= VECTOR_GP);
}

static uint64_t double_fault(void)
{
	return INTINFO_EXCEPTION(VECTOR_DF) | VM_INTINFO_DEL_ERRCODE;
}

/*
 * 'second' was raised while 'first' was being delivered. An interrupt that loses
 * to an exception is gone, as on the processor, which has acknowledged it already.
 */
static uint64_t combine(uint64_t first, uint64_t second)
{
	uint8_t vector1 = VM_INTINFO_VECTOR(first);
	uint8_t vector2 = VM_INTINFO_VECTOR(second);

	if (!is_exception(first) || !is_exception(second))
		return second;
	if (vector1 == VECTOR_DF)
		return is_contributory(vector2) || vector2 == VECTOR_PF ? INTINFO_SHUTDOWN : second;
	if (is_contributory(vector1) && is_contributory(vector2))
		return double_fault();
	if (vector1 == VECTOR_PF && (is_contributory(vector2) || vector2 == VECTOR_PF))
		return double_fault();
	return second;
}

/* --- raising -------------------------------------------------------------------- */

static void raise(struct vcpu *vcpu, uint64_t intinfo)
{
	if (vcpu->exception)
		intinfo = combine(vcpu->exception, intinfo);
	if (intinfo == INTINFO_SHUTDOWN)
		(void)vm_suspend(vcpu->vm, VM_SUSPEND_TRIPLEFAULT);
	vcpu->exception = intinfo;
	vcpu_request(vcpu, VCPU_REQ_EXCEPTION);
}

void vcpu_raise(struct vcpu *vcpu, uint8_t vector)
{
	raise(vcpu, INTINFO_EXCEPTION(vector));
}

void vcpu_raise_error(struct vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
	raise(vcpu,
	      INTINFO_EXCEPTION(vector) | VM_INTINFO_DEL_ERRCODE | (uint64_t)error_code << 32);
}

void vcpu_raise_page_fault(struct vcpu *vcpu, uint64_t address, uint32_t error_code)
{
	vcpu->cr2 = address;
	vcpu_raise_error(vcpu, VECTOR_PF, error_code);
}

void vcpu_set_exitintinfo(struct vcpu *vcpu, uint64_t intinfo)
{
	vcpu->exitintinfo = intinfo;
	vcpu_request(vcpu, VCPU_REQ_EVENT);
}

void vcpu_nmi(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->nmi_pending, 1, __ATOMIC_SEQ_CST);
	vcpu_request(vcpu, VCPU_REQ_EVENT);
}

void vcpu_init_ipi(struct vcpu *vcpu)
{
	vcpu_request(vcpu, VCPU_REQ_INIT);
}

void vcpu_startup_ipi(struct vcpu *vcpu, uint8_t vector)
{
	__atomic_store_n(&vcpu->sipi_vector, vector, __ATOMIC_SEQ_CST);
	vcpu_request(vcpu, VCPU_REQ_SIPI);
}

/* --- choosing ---------------------------------------------------------------------- */

static bool masks_interrupts(const struct vcpu *vcpu)
{
	return vcpu->capabilities & (1u << VM_CAP_MASK_HWINTR);
}

static bool extint_pending(struct vcpu *vcpu)
{
	return lapic_extint_allowed(vcpu) && pic_pending(vcpu->vm);
}

/* The guest can take a maskable interrupt at this instruction. */
static bool interrupts_open(const struct vcpu *vcpu)
{
	return (vcpu->rflags & REG_RFLAGS_IF) && !vcpu->intr_shadow;
}

static void inject(struct vcpu *vcpu, uint64_t intinfo, enum vmm_stat stat)
{
	vcpu_stat_inc(vcpu, stat);
	backend->inject(vcpu, intinfo);
}

/* An exception or a delivery that was cut short. False: there is none. */
static bool inject_exception(struct vcpu *vcpu, enum exit_action *action)
{
	uint64_t intinfo = vcpu->exitintinfo;

	if (!intinfo && !vcpu->exception)
		return false;
	if (vcpu->exitintinfo && vcpu->exception)
		intinfo = combine(vcpu->exitintinfo, vcpu->exception);
	else if (vcpu->exception)
		intinfo = vcpu->exception;

	if (intinfo == INTINFO_SHUTDOWN) {
		(void)vm_suspend(vcpu->vm, VM_SUSPEND_TRIPLEFAULT);
		*action = EXIT_OUTER;
		return true;
	}
	inject(vcpu, intinfo, vcpu->exception ? STAT_EXCEPTIONS : STAT_REINJECTIONS);
	vcpu->exitintinfo = 0;
	vcpu->exception = 0;
	return true;
}

/* False: no NMI went in; if one waits, its window has been asked for. */
static bool inject_nmi(struct vcpu *vcpu, bool busy)
{
	if (!__atomic_load_n(&vcpu->nmi_pending, __ATOMIC_SEQ_CST))
		return false;
	if (busy || vcpu->intr_shadow || backend->nmi_blocked(vcpu)) {
		backend->request_window(vcpu, WINDOW_NMI, 0);
		return false;
	}
	__atomic_store_n(&vcpu->nmi_pending, 0, __ATOMIC_SEQ_CST);
	inject(vcpu, INTINFO_NMI, STAT_NMIS);
	return true;
}

/* The 8259's interrupt goes before the local APIC's, as LINT0 knows no priority. */
static bool inject_extint(struct vcpu *vcpu, bool busy)
{
	int vector;

	if (!extint_pending(vcpu))
		return false;
	if (busy || !interrupts_open(vcpu)) {
		backend->request_window(vcpu, WINDOW_INTERRUPT, 0);
		return true;
	}
	vector = pic_intack(vcpu->vm);
	inject(vcpu, INTINFO_INTERRUPT((unsigned int)vector & 0xff), STAT_INTERRUPTS);
	if (extint_pending(vcpu) || lapic_has_work(vcpu))
		vcpu_request(vcpu, VCPU_REQ_EVENT);
	return true;
}

/* The processor knows by itself when the guest can take what it is told of. */
static bool delivered_by_processor(struct vcpu *vcpu)
{
	int vector = masks_interrupts(vcpu) ? -1 : lapic_highest_request(vcpu);

	return backend->virtual_interrupt(vcpu, vector);
}

static void inject_lapic(struct vcpu *vcpu, bool busy)
{
	int vector = lapic_pending(vcpu);

	if (vector < 0) {
		/* Held back by CR8, which the guest lowers without an exit. */
		vector = lapic_blocked_by_tpr(vcpu);
		if (vector >= 0)
			backend->request_window(vcpu, WINDOW_INTERRUPT, (uint8_t)vector);
		return;
	}
	if (busy || !interrupts_open(vcpu)) {
		backend->request_window(vcpu, WINDOW_INTERRUPT, (uint8_t)vector);
		return;
	}
	lapic_accept(vcpu, (uint8_t)vector);
	inject(vcpu, INTINFO_INTERRUPT((unsigned int)vector), STAT_INTERRUPTS);
	vector = lapic_pending(vcpu);
	if (vector >= 0)
		backend->request_window(vcpu, WINDOW_INTERRUPT, (uint8_t)vector);
}

/* By itself, so that the short way has nothing on its stack. */
static noinline enum exit_action inject_exception_slow(struct vcpu *vcpu)
{
	enum exit_action action = EXIT_RESUME;

	(void)inject_exception(vcpu, &action);
	return action;
}

/*
 * The common case of an exception that an exit has raised: whatever else waits, waits for a
 * window or another request, and goes on waiting.
 */
enum exit_action event_inject_exception(struct vcpu *vcpu)
{
	uint64_t exception = vcpu->exception;

	if (unlikely(!exception) || unlikely(exception == INTINFO_SHUTDOWN) ||
	    unlikely(vcpu->exitintinfo))
		return inject_exception_slow(vcpu);
	vcpu->exception = 0;
	inject(vcpu, exception, STAT_EXCEPTIONS);
	return EXIT_RESUME;
}

enum exit_action event_inject(struct vcpu *vcpu)
{
	enum exit_action action = EXIT_RESUME;
	bool busy = inject_exception(vcpu, &action);
	bool extint;

	if (action != EXIT_RESUME)
		return action;
	busy |= inject_nmi(vcpu, busy);
	extint = !masks_interrupts(vcpu) && inject_extint(vcpu, busy);
	if (backend->virtual_interrupt && delivered_by_processor(vcpu))
		return EXIT_RESUME;
	if (!masks_interrupts(vcpu) && !extint)
		inject_lapic(vcpu, busy);
	return EXIT_RESUME;
}

bool event_pending(struct vcpu *vcpu)
{
	if (vcpu->exception || vcpu->exitintinfo)
		return true;
	if (__atomic_load_n(&vcpu->nmi_pending, __ATOMIC_SEQ_CST) && !backend->nmi_blocked(vcpu))
		return true;
	if (!(vcpu->rflags & REG_RFLAGS_IF) || masks_interrupts(vcpu))
		return false;
	return extint_pending(vcpu) || lapic_pending(vcpu) >= 0;
}
