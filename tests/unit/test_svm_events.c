// SPDX-License-Identifier: BSD-2-Clause
/* Events on the AMD back end: injection, interrupted deliveries, windows, NMIs, steps. */
#include "svm_vm.h"

#include "vm/regs.h"

/* --- events --------------------------------------------------------------- */

TEST(injection_is_for_one_entry)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	svm_backend.inject(vcpu, INTINFO(VM_INTINFO_HWINTR, 0x41));
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.seen.control.eventinj, INTINFO(VM_INTINFO_HWINTR, 0x41));
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.seen.control.eventinj, 0);
	svm_free_vcpu(vcpu);
	svm_stop();
}

TEST(interrupted_deliveries_are_kept_unless_the_instruction_repeats_them)
{
	static const struct {
		uint64_t info;
		uint64_t kept;
	} rows[] = {
		{ 0x41, 0 }, /* not valid: junk */
		{ INTINFO(VM_INTINFO_HWINTR, 0x41), INTINFO(VM_INTINFO_HWINTR, 0x41) },
		{ INTINFO(VM_INTINFO_NMI, 2), INTINFO(VM_INTINFO_NMI, 2) },
		{ INTINFO(VM_INTINFO_SWINTR, 0x80), 0 },
		{ INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_BP), 0 },
		{ INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_OF), 0 },
		{ INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_PF) | VM_INTINFO_DEL_ERRCODE | 2ull << 32,
		  INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_PF) | VM_INTINFO_DEL_ERRCODE |
			  2ull << 32 },
		{ INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_UD) | 7ull << 32,
		  INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_UD) },
	};
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		vcpu->exitintinfo = 0;
		amd_processor.exitintinfo = rows[i].info;
		svm_entry(vcpu);
		CHECK_EQ_AT(vcpu->exitintinfo, rows[i].kept, "row %zu", i);
	}
	svm_free_vcpu(vcpu);
	svm_stop();
}

TEST(an_interrupt_window_honours_the_priority)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	svm_backend.set_reg(vcpu, VM_REG_GUEST_TPR, 9);
	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	amd_processor.exitcode = VMEXIT_VINTR;
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.seen.control.vintr &
			 (VINTR_IRQ | VINTR_PRIORITY_MASK | VINTR_IGNORE_TPR),
		 VINTR_IRQ | 6 << VINTR_PRIORITY_SHIFT);
	CHECK_EQ(amd_processor.seen.control.vintr & VINTR_TPR_MASK, 9);
	CHECK(amd_processor.seen.control.vintr & VINTR_MASKING);
	CHECK(svm_seen_intercept(INTERCEPT_VINTR));
	vcpu->requests = 0;
	CHECK_EQ(svm_backend.exit(vcpu), EXIT_RESUME);
	CHECK(vcpu->requests & VCPU_REQ_EVENT);
	svm_entry(vcpu);
	CHECK(!(amd_processor.seen.control.vintr & VINTR_IRQ));
	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0);
	svm_entry(vcpu);
	CHECK(amd_processor.seen.control.vintr & VINTR_IGNORE_TPR);
	svm_free_vcpu(vcpu);
	svm_stop();
}

/* Without decode assists the write of CR8, not V_TPR, tells when it lets one in. */
TEST(without_decode_assists_cr8_is_watched_while_one_waits)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES & ~SVM_FEATURE_DECODE_ASSISTS);
	vcpu = svm_make_vcpu(0);
	svm_entry(vcpu);
	CHECK(!svm_seen_intercept(INTERCEPT_CR_WRITE(8)));
	svm_backend.set_reg(vcpu, VM_REG_GUEST_TPR, 6);
	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	svm_entry(vcpu);
	CHECK(svm_seen_intercept(INTERCEPT_CR_WRITE(8)));
	CHECK(!(amd_processor.seen.control.vintr & VINTR_IRQ));

	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x71);
	amd_processor.exitcode = VMEXIT_VINTR;
	CHECK_EQ(svm_entry_and_exit(vcpu), EXIT_RESUME);
	CHECK(amd_processor.seen.control.vintr & VINTR_IRQ);
	svm_entry(vcpu);
	CHECK(!svm_seen_intercept(INTERCEPT_CR_WRITE(8)));

	/* The last request counts. */
	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x71);
	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	svm_entry(vcpu);
	CHECK(!(amd_processor.seen.control.vintr & VINTR_IRQ));
	svm_free_vcpu(vcpu);
	svm_stop();
}

/* A host that ignores the shadow exits before the instruction under it has run. */
TEST(a_shadow_the_host_ignores_is_stepped_over)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	vcpu->intr_shadow = true;
	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	amd_processor.exitcode = VMEXIT_VINTR;
	CHECK_EQ(svm_entry_and_exit(vcpu), EXIT_RESUME);
	CHECK(vcpu->intr_shadow);

	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	amd_processor.exitcode = VMEXIT_INTR;
	svm_entry(vcpu);
	CHECK(!(amd_processor.seen.control.vintr & VINTR_IRQ));
	CHECK(amd_processor.seen.save.rflags & REG_RFLAGS_TF);
	CHECK(!(vcpu->rflags & REG_RFLAGS_TF));
	CHECK(vcpu->intr_shadow);
	svm_free_vcpu(vcpu);
	svm_stop();
}

/* Nor does one that has no decode assists wait for it to take the window's interrupt. */
TEST(a_window_under_a_shadow_is_a_step_without_decode_assists)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES & ~SVM_FEATURE_DECODE_ASSISTS);
	vcpu = svm_make_vcpu(0);
	vcpu->intr_shadow = true;
	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	svm_entry(vcpu);
	CHECK(amd_processor.seen.save.rflags & REG_RFLAGS_TF);
	CHECK(!(amd_processor.seen.control.vintr & VINTR_IRQ));
	svm_free_vcpu(vcpu);
	svm_stop();
}

static void set_if(struct vmcb *vmcb)
{
	vmcb->save.rflags |= REG_RFLAGS_IF;
}

TEST(an_exit_behind_sti_is_as_good_as_the_window)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	vcpu->requests = 0;
	svm_entry(vcpu);
	CHECK(amd_processor.seen.control.vintr & VINTR_IRQ);
	CHECK_EQ(vcpu->requests, 0);
	amd_processor.run = set_if;
	svm_entry(vcpu);
	CHECK(amd_processor.seen.control.vintr & VINTR_IRQ);
	CHECK(vcpu->requests & VCPU_REQ_EVENT);
	svm_entry(vcpu);
	CHECK(!(amd_processor.seen.control.vintr & VINTR_IRQ));

	/* CR8 holds it back: the window stays. */
	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	svm_vcpu(vcpu)->vmcb->control.vintr |= 6;
	vcpu->requests = 0;
	svm_entry(vcpu);
	svm_entry(vcpu);
	CHECK(amd_processor.seen.control.vintr & VINTR_IRQ);
	CHECK_EQ(vcpu->requests, 0);
	svm_free_vcpu(vcpu);
	svm_stop();
}

static void take_step(struct vmcb *vmcb)
{
	vmcb->save.dr6 |= REG_DR6_BS;
}

static void take_iret(struct vmcb *vmcb)
{
	take_step(vmcb);
	vmcb->save.rflags = REG_RFLAGS_FIXED1;
}

TEST(nmi_stays_blocked_until_iret_is_done)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	CHECK(!vcpu_nmi_blocked(vcpu));
	svm_backend.inject(vcpu, INTINFO(VM_INTINFO_NMI, 2));
	CHECK(vcpu_nmi_blocked(vcpu));
	svm_backend.request_window(vcpu, WINDOW_NMI, 0);
	svm_entry(vcpu);
	CHECK(svm_seen_intercept(INTERCEPT_IRET));

	/* The exit comes before the IRET. */
	amd_processor.exitcode = VMEXIT_IRET;
	CHECK_EQ(svm_entry_and_exit(vcpu), EXIT_RESUME);
	CHECK(vcpu_nmi_blocked(vcpu));
	svm_backend.request_window(vcpu, WINDOW_NMI, 0);

	/* An interrupt of the host: it has not run yet. */
	amd_processor.exitcode = VMEXIT_INTR;
	svm_entry(vcpu);
	CHECK(amd_processor.seen.save.rflags & REG_RFLAGS_TF);
	CHECK(!svm_seen_intercept(INTERCEPT_IRET));
	CHECK(vcpu_nmi_blocked(vcpu));

	/* Now it has, with a #DB that the guest does not see. */
	amd_processor.exitcode = VMEXIT_EXCEPTION(VECTOR_DB);
	amd_processor.rip = 0x2000;
	amd_processor.run = take_iret;
	vcpu->requests = 0;
	CHECK_EQ(svm_entry_and_exit(vcpu), EXIT_RESUME);
	CHECK(!vcpu_nmi_blocked(vcpu));
	CHECK(vcpu->requests & VCPU_REQ_EVENT);
	CHECK_EQ(vcpu->exception, 0);
	amd_processor.run = NULL;
	svm_entry(vcpu);
	CHECK(!(amd_processor.seen.save.rflags & REG_RFLAGS_TF));
	CHECK_EQ(amd_processor.seen.save.dr6, REG_DR6_RESET);
	svm_free_vcpu(vcpu);
	svm_stop();
}

/* SVM_QUIRK_DB_CAUSE_HIDDEN */
TEST(a_step_is_known_without_its_cause)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	vcpu->intr_shadow = true;
	svm_backend.request_window(vcpu, WINDOW_NMI, 0);
	amd_processor.exitcode = VMEXIT_EXCEPTION(VECTOR_DB);
	amd_processor.rip = 0x1001;
	CHECK_EQ(svm_entry_and_exit(vcpu), EXIT_RESUME);
	CHECK(amd_processor.seen.save.rflags & REG_RFLAGS_TF);
	CHECK_EQ(vcpu->exception, 0);
	CHECK(!vcpu->intr_shadow);
	CHECK(vcpu->requests & VCPU_REQ_EVENT);
	svm_free_vcpu(vcpu);
	svm_stop();
}

static void hit_breakpoint(struct vmcb *vmcb)
{
	vmcb->save.dr6 |= 1;
}

/* A breakpoint at the instruction that is to be stepped: it is the guest's, and nothing has run. */
TEST(a_breakpoint_is_no_step)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	vcpu->intr_shadow = true;
	svm_backend.request_window(vcpu, WINDOW_NMI, 0);
	amd_processor.exitcode = VMEXIT_EXCEPTION(VECTOR_DB);
	amd_processor.run = hit_breakpoint;
	CHECK_EQ(svm_entry_and_exit(vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->exception, INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_DB));
	CHECK(vcpu->intr_shadow);
	/* The same one again, which DR6 shows already. */
	vcpu->exception = 0;
	CHECK_EQ(svm_entry_and_exit(vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->exception, INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_DB));
	svm_free_vcpu(vcpu);
	svm_stop();
}

TEST(the_guests_own_single_step_is_given_back)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	vcpu->rflags |= REG_RFLAGS_TF;
	amd_processor.exitcode = VMEXIT_EXCEPTION(VECTOR_DB);
	amd_processor.run = take_step;
	CHECK_EQ(svm_entry_and_exit(vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->exception, INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_DB));
	svm_free_vcpu(vcpu);
	svm_stop();
}

/* Where the processor does not say why there was a #DB, TF was it. */
TEST(the_guests_own_single_step_is_named)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	amd_processor.exitcode = VMEXIT_EXCEPTION(VECTOR_DB);
	vcpu->rflags = REG_RFLAGS_FIXED1;
	(void)svm_entry_and_exit(vcpu);
	CHECK(!(svm_vcpu(vcpu)->vmcb->save.dr6 & REG_DR6_BS));
	vcpu->rflags |= REG_RFLAGS_TF;
	(void)svm_entry_and_exit(vcpu);
	CHECK(svm_vcpu(vcpu)->vmcb->save.dr6 & REG_DR6_BS);
	svm_free_vcpu(vcpu);
	svm_stop();
}

TEST(a_debugger_steps_unseen)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	CHECK_EQ(svm_backend.offers.set_capability(vcpu, VM_CAP_RFLAGS_TF, true), 0);
	amd_processor.exitcode = VMEXIT_EXCEPTION(VECTOR_DB);
	amd_processor.run = take_step;
	CHECK_EQ(svm_entry_and_exit(vcpu), EXIT_USERSPACE);
	CHECK(amd_processor.seen.save.rflags & REG_RFLAGS_TF);
	CHECK(!(vcpu->rflags & REG_RFLAGS_TF));
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_DB);
	CHECK_EQ(vcpu->exit.u.dbg.trace_trap, 1);
	CHECK_EQ(vcpu->exception, 0);
	CHECK_EQ(svm_backend.offers.set_capability(vcpu, VM_CAP_RFLAGS_TF, false), 0);
	svm_entry(vcpu);
	CHECK(!(amd_processor.seen.save.rflags & REG_RFLAGS_TF));
	CHECK_EQ(amd_processor.seen.save.dr6, REG_DR6_RESET);
	svm_free_vcpu(vcpu);
	svm_stop();
}

TEST(an_nmi_that_did_not_get_in_blocks_none)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	svm_backend.inject(vcpu, INTINFO(VM_INTINFO_NMI, 2));
	amd_processor.exitintinfo = INTINFO(VM_INTINFO_NMI, 2);
	svm_entry(vcpu);
	CHECK(!vcpu_nmi_blocked(vcpu));
	CHECK_EQ(vcpu->exitintinfo, INTINFO(VM_INTINFO_NMI, 2));
	svm_free_vcpu(vcpu);
	svm_stop();
}
