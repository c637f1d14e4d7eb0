// SPDX-License-Identifier: BSD-2-Clause
/*
 * Pending events: who raises them, and what becomes of two that meet (APM vol. 2, 8.2.9;
 * SDM vol. 3, 6.15).
 */
#include "vm/regs.h"
#include "vm/vcpu.h"

/* One to be delivered, and the one that the processor remembers while it is (SDM vol. 3, 6.7.1). */
#define NMI_PENDING_MAX 2

#define INTINFO_EXCEPTION(vector) (VM_INTINFO_VALID | VM_INTINFO_HWEXCEPTION | (vector))

static bool intinfo_is_exception(uint64_t intinfo)
{
	return (intinfo & VM_INTINFO_TYPE) == VM_INTINFO_HWEXCEPTION;
}

static bool vector_is_contributory(uint8_t vector)
{
	return vector == VECTOR_DE || (vector >= VECTOR_TS && vector <= VECTOR_GP);
}

static uint64_t intinfo_double_fault(void)
{
	return INTINFO_EXCEPTION(VECTOR_DF) | VM_INTINFO_DEL_ERRCODE;
}

/*
 * An interrupt that loses to an exception is gone, as on the processor, which has
 * acknowledged it already.
 */
uint64_t event_combine(uint64_t first, uint64_t second)
{
	uint8_t vector1 = VM_INTINFO_VECTOR(first);
	uint8_t vector2 = VM_INTINFO_VECTOR(second);

	if (!intinfo_is_exception(first) || !intinfo_is_exception(second))
		return second;
	if (vector1 == VECTOR_DF)
		return vector_is_contributory(vector2) || vector2 == VECTOR_PF ? EVENT_SHUTDOWN :
										 second;
	if (vector_is_contributory(vector1) && vector_is_contributory(vector2))
		return intinfo_double_fault();
	if (vector1 == VECTOR_PF && (vector_is_contributory(vector2) || vector2 == VECTOR_PF))
		return intinfo_double_fault();
	return second;
}

/* --- raising ------------------------------------------------------------------- */

/*
 * Exceptions that are faults: RFLAGS is pushed with RF, so that an instruction breakpoint
 * which has been taken before the fault is not taken again after it (SDM vol. 3, 17.3.1.1;
 * APM vol. 2, 3.1.6). Not among them: traps, aborts, and #DB, which is either and leaves RF
 * as it is. Injection pushes RF as it finds it, whatever the event (SDM vol. 3, 26.6.1.1).
 */
#define NOT_FAULTS                                                                \
	(1u << VECTOR_DB | 1u << VECTOR_NMI | 1u << VECTOR_BP | 1u << VECTOR_OF | \
	 1u << VECTOR_DF | 1u << VECTOR_MC)

/* Out of line: one was raised before, and has not been injected yet. */
static noinline void vcpu_raise_second(struct vcpu *vcpu, uint64_t intinfo)
{
	vcpu->exception = event_combine(vcpu->exception, intinfo);
	if (vcpu->exception == EVENT_SHUTDOWN)
		(void)vm_suspend(vcpu->vm, VM_SUSPEND_TRIPLEFAULT);
	vcpu_request(vcpu, VCPU_REQ_EXCEPTION);
}

static void vcpu_raise_intinfo(struct vcpu *vcpu, uint64_t intinfo)
{
	if (~NOT_FAULTS >> (VM_INTINFO_VECTOR(intinfo) & 31) & 1)
		vcpu->rflags |= REG_RFLAGS_RF;
	if (unlikely(vcpu->exception)) {
		vcpu_raise_second(vcpu, intinfo);
		return;
	}
	vcpu->exception = intinfo;
	vcpu_request(vcpu, VCPU_REQ_EXCEPTION);
}

void vcpu_raise(struct vcpu *vcpu, uint8_t vector)
{
	vcpu_raise_intinfo(vcpu, INTINFO_EXCEPTION(vector));
}

void vcpu_raise_error(struct vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
	vcpu_raise_intinfo(vcpu, INTINFO_EXCEPTION(vector) | VM_INTINFO_DEL_ERRCODE |
					 (uint64_t)error_code << 32);
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
	uint32_t pending = __atomic_load_n(&vcpu->nmi_pending, __ATOMIC_SEQ_CST);

	while (pending < NMI_PENDING_MAX &&
	       !__atomic_compare_exchange_n(&vcpu->nmi_pending, &pending, pending + 1, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
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
