// SPDX-License-Identifier: BSD-2-Clause
/*
 * Events: injection, deliveries that an exit interrupted, and the windows in which
 * the guest can take an interrupt or an NMI (APM vol. 2, 15.20 and 15.21).
 */
#include "svm/vcpu.h"

#include "svm/quirks.h"
#include "x86/exits/exits.h"
#include "vm/regs.h"
#include "x86/paging/walk.h"

static bool svm_is_nmi(uint64_t intinfo)
{
	return (intinfo & VM_INTINFO_TYPE) == VM_INTINFO_NMI;
}

static void svm_request_events(struct vcpu *vcpu)
{
	vcpu_request(vcpu, VCPU_REQ_EVENT);
}

/* --- NMI blocking --- */

/*
 * From an NMI's delivery until the next IRET is done, no other goes in (APM vol. 2,
 * 8.1.3). With virtual NMI the processor keeps track (15.21.10). Without, IRET is
 * intercepted; the exit comes before it runs, so then we wait until RIP has moved.
 */
bool svm_nmi_blocked(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);

	if (svm_has(SVM_FEATURE_VIRTUAL_NMI))
		return svm->vmcb->control.vintr & VINTR_NMI_MASK;
	return svm->nmi_masked;
}

void svm_set_nmi_blocked(struct vcpu *vcpu, bool blocked)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct vmcb_control *control = &svm->vmcb->control;

	svm->todo &= ~SVM_TODO_WATCH_IRET;
	svm->nmi_masked = blocked;
	if (svm_has(SVM_FEATURE_VIRTUAL_NMI)) {
		control->vintr &= ~VINTR_NMI_MASK;
		if (blocked)
			control->vintr |= VINTR_NMI_MASK;
		svm_dirty(svm, CLEAN_TPR);
		svm_set_intercept(svm, INTERCEPT_IRET, false);
	} else {
		svm_set_intercept(svm, INTERCEPT_IRET, blocked);
	}
}

enum exit_action svm_exit_iret(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);

	svm_set_intercept(svm, INTERCEPT_IRET, false);
	svm->todo |= SVM_TODO_WATCH_IRET;
	svm->iret_rip = vcpu->rip;
	svm_request_events(vcpu);
	return EXIT_RESUME;
}

/* The IRET has been left behind; with virtual NMI the processor keeps track. */
static void svm_iret_done(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);

	svm->todo &= ~SVM_TODO_WATCH_IRET;
	svm->nmi_masked = false;
	svm_request_events(vcpu);
}

/* --- single step --- */

/*
 * Make the next instruction end in a #DB exit. TF is set for the entry alone
 * (enter.c); if the instruction stores RFLAGS the guest sees it, which the only two
 * uses (an IRET, the one instruction under an interrupt shadow) make unlikely.
 */
static void svm_step_begin(struct vcpu *vcpu)
{
	svm_vcpu(vcpu)->todo |= SVM_TODO_STEP;
}

/* After each exit of an entry with TF set for us: hide it again. */
static void svm_step_hide(struct vcpu *vcpu, bool new_flags)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);

	if (!svm->step_tf && !new_flags)
		vcpu->rflags &= ~REG_RFLAGS_TF;
}

#define DR6_BREAKPOINTS 0xfull

/*
 * Did TF end the entry, if it was set for us? DR6 says so, or hides it
 * (SVM_QUIRK_DB_CAUSE_HIDDEN).
 */
static bool svm_step_ended(const struct vcpu *vcpu)
{
	const struct svm_vcpu *svm = svm_vcpu(vcpu);
	uint64_t dr6 = svm->vmcb->save.dr6;

	if (!svm->entry_step)
		return false;
	if (dr6 & REG_DR6_BS)
		return true;
	return SVM_QUIRK_DB_CAUSE_HIDDEN && dr6 == svm->step_dr6 && vcpu->rip != svm->entry_rip;
}

/* The #DB of an entry made with TF set for us. True: it was for us alone. */
static bool svm_step_taken(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct vmcb_save *save = &svm->vmcb->save;
	uint64_t breakpoints = save->dr6 & ~svm->step_dr6 & DR6_BREAKPOINTS;

	if (svm->todo & SVM_TODO_STEP)
		svm_request_events(vcpu);
	svm->todo &= ~SVM_TODO_STEP;
	vcpu->intr_shadow = false;
	if (svm->step_tf || breakpoints)
		return false;
	save->dr6 = svm->step_dr6;
	svm_dirty(svm, CLEAN_DR);
	return true;
}

#define DR6_CAUSES (DR6_BREAKPOINTS | REG_DR6_BD | REG_DR6_BS | REG_DR6_BT)

/* Where a #DB came without a cause, and the guest steps by TF, it was that (the same quirk). */
static void svm_step_name(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct vmcb_save *save = &svm->vmcb->save;

	if ((save->dr6 & DR6_CAUSES) || !(vcpu->rflags & REG_RFLAGS_TF))
		return;
	save->dr6 |= REG_DR6_BS;
	svm_dirty(svm, CLEAN_DR);
}

/*
 * #DB is intercepted always: its delivery can raise it again without end, which
 * would hold the processor in microcode with interrupts off. The guest's own are raised
 * again; DR6 in the VMCB is already what its handler is to see (APM vol. 2, 15.12.2).
 */
enum exit_action svm_exit_db(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	bool stepped = svm_step_ended(vcpu);

	svm->entry_step = false;
	if (!stepped || !svm_step_taken(vcpu)) {
		if (SVM_QUIRK_DB_CAUSE_HIDDEN)
			svm_step_name(vcpu);
		vcpu_raise(vcpu, VECTOR_DB);
	}
	return stepped && (svm->todo & SVM_TODO_DEBUG_STEP) ?
		       x86_exit_debug_step(vcpu, svm->step_tf) :
		       EXIT_RESUME;
}

/* --- injection --- */

void svm_inject(struct vcpu *vcpu, uint64_t intinfo)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);

	svm->vmcb->control.eventinj = intinfo;
	/* TF must not be in the RFLAGS that the delivery pushes: step later, if need be. */
	if (svm->todo & SVM_TODO_STEP) {
		svm->todo &= ~SVM_TODO_STEP;
		svm_request_events(vcpu);
	}
	/* A handler begins before the watched IRET has run: its IRET ends the NMI. */
	if (svm->todo & SVM_TODO_WATCH_IRET)
		svm_set_nmi_blocked(vcpu, true);
	if (svm_is_nmi(intinfo))
		svm_set_nmi_blocked(vcpu, true);
}

/*
 * INT3, INTO and INTn are not resumed: RIP is still at the instruction, which
 * raises them again. An NMI that did not get in blocks no other.
 */
void svm_delivery_interrupted(struct vcpu *vcpu, uint64_t intinfo)
{
	uint64_t type = intinfo & VM_INTINFO_TYPE;
	uint8_t vector = VM_INTINFO_VECTOR(intinfo);

	if (type == VM_INTINFO_SWINTR)
		return;
	if (type == VM_INTINFO_HWEXCEPTION && (vector == VECTOR_BP || vector == VECTOR_OF))
		return;
	if (type == VM_INTINFO_NMI)
		svm_set_nmi_blocked(vcpu, false);
	if (!(intinfo & VM_INTINFO_DEL_ERRCODE))
		intinfo &= 0xffffffff;
	vcpu_set_exitintinfo(vcpu, intinfo & ~(uint64_t)VM_INTINFO_RSVD);
}

/* --- what an entry is watched for --- */

void svm_watch_entry(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct vmcb_save *save = &svm->vmcb->save;

	svm->entry_rip = vcpu->rip;
	svm->entry_shadow = vcpu->intr_shadow;
	svm->entry_watched = true;
	svm->entry_step = svm->todo & SVM_TODO_STEPS;
	if (!svm->entry_step)
		return;
	svm->step_tf = vcpu->rflags & REG_RFLAGS_TF;
	svm->step_dr6 = save->dr6;
	save->rflags |= REG_RFLAGS_TF;
}

void svm_watch_exit(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	bool moved = vcpu->rip != svm->entry_rip;
	bool iret = (svm->todo & SVM_TODO_WATCH_IRET) && vcpu->rip != svm->iret_rip;

	/* An exit before the first instruction leaves the shadow where it was. */
	if (svm->entry_shadow && !moved)
		vcpu->intr_shadow = true;
	if (svm->entry_step)
		svm_step_hide(vcpu, iret);
	if (iret)
		svm_iret_done(vcpu);
	svm->entry_watched = false;
	/* For the handler of the #DB that may have come of it. */
	svm->entry_step &= svm->vmcb->control.exitcode == VMEXIT_EXCEPTION(VECTOR_DB);
}

/* --- windows --- */

/*
 * A virtual interrupt that is never delivered: its intercept says that one could be
 * (15.21.4). While an instruction is stepped the #DB says so instead.
 */
static void svm_request_interrupt_window(struct vcpu *vcpu, uint8_t vector)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct vmcb_control *control = &svm->vmcb->control;
	uint32_t priority = vector >> 4;

	if (vcpu->intr_shadow && svm_quirk_vintr_under_shadow())
		svm_step_begin(vcpu);
	if (svm->todo & SVM_TODO_STEP)
		return;
	control->vintr &= ~(VINTR_IRQ | VINTR_PRIORITY_MASK | VINTR_VECTOR_MASK | VINTR_IGNORE_TPR);
	svm_dirty(svm, CLEAN_TPR);
	if (svm_quirk_vintr_priority()) {
		svm_set_intercept(svm, INTERCEPT_CR_WRITE(8), true);
		if (vector && priority <= (control->vintr & REG_CR8_TPR))
			return;
	}
	control->vintr |= VINTR_IRQ | VINTR_PRIORITY(priority);
	if (vector == 0)
		control->vintr |= VINTR_IGNORE_TPR;
}

void svm_close_interrupt_window(struct svm_vcpu *svm)
{
	svm_set_intercept(svm, INTERCEPT_CR_WRITE(8), false);
	svm->vmcb->control.vintr &= ~VINTR_IRQ;
	svm_dirty(svm, CLEAN_TPR);
}

/* Does CR8 hold back the interrupt for which the window has been requested? */
static bool svm_window_waits_for_cr8(const struct vmcb_control *control)
{
	uint64_t priority = (control->vintr & VINTR_PRIORITY_MASK) >> VINTR_PRIORITY_SHIFT;

	return !(control->vintr & VINTR_IGNORE_TPR) && priority <= (control->vintr & REG_CR8_TPR);
}

/*
 * An exit has come first, of the instruction behind STI say. With IF set the next entry
 * would end at once for the window, or not for long (SVM_QUIRK_VINTR_WAITS): so it is open.
 */
void svm_check_window(struct vcpu *vcpu)
{
	if (!(vcpu->rflags & REG_RFLAGS_IF) ||
	    svm_window_waits_for_cr8(&svm_vcpu(vcpu)->vmcb->control))
		return;
	svm_close_interrupt_window(svm_vcpu(vcpu));
	svm_request_events(vcpu);
}

/*
 * Blocked by an NMI in progress: the intercept of IRET opens the window. Otherwise it
 * opens after one instruction (the IRET, or the one under the shadow), or when
 * the event that goes in now has gone in: then the next exit will do.
 */
static void svm_request_nmi_window(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);

	if (svm->vmcb->control.eventinj & VM_INTINFO_VALID)
		svm_request_events(vcpu);
	else if ((svm->todo & SVM_TODO_WATCH_IRET) || !svm_nmi_blocked(vcpu))
		svm_step_begin(vcpu);
	else
		svm_set_intercept(svm, INTERCEPT_IRET, true);
}

void svm_request_window(struct vcpu *vcpu, unsigned int windows, uint8_t vector)
{
	if (windows & WINDOW_NMI)
		svm_request_nmi_window(vcpu);
	if (windows & WINDOW_INTERRUPT)
		svm_request_interrupt_window(vcpu, vector);
}

enum exit_action svm_exit_vintr(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);

	svm_close_interrupt_window(svm);
	if (SVM_QUIRK_SHADOW_IGNORED && vcpu->intr_shadow)
		svm_step_begin(vcpu);
	svm_request_events(vcpu);
	return EXIT_RESUME;
}

void svm_events_reset(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct vmcb_control *control = &svm->vmcb->control;

	control->eventinj = 0;
	control->exitintinfo = 0;
	svm_close_interrupt_window(svm);
	control->vintr = VINTR_MASKING;
	if (svm_has(SVM_FEATURE_VIRTUAL_NMI))
		control->vintr |= VINTR_NMI_ENABLE;
	svm_dirty(svm, CLEAN_TPR);
	svm->todo &= ~SVM_TODO_STEP;
	svm_set_nmi_blocked(vcpu, false);
}
