// SPDX-License-Identifier: BSD-2-Clause
/* What the AMD back end makes of exits. */
#include "svm_vm.h"

#include "vm/regs.h"

/* --- exits ---------------------------------------------------------------- */

TEST(unknown_exits_go_to_userspace)
{
	static const uint64_t codes[] = { 0x13,	 0xff,	  0x100,      0x401, 0x407,
					  0x408, 0x10072, 0xfffffffe, ~1ull };
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		amd_processor.exitcode = codes[i];
		CHECK_EQ_AT(svm_entry_and_exit(vcpu), EXIT_USERSPACE, "code %#" PRIx64, codes[i]);
		CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_SVM);
		CHECK_EQ(vcpu->exit.u.svm.exitcode, codes[i]);
		CHECK_EQ(vcpu->stats[STAT_COMMON], i + 1);
	}
	svm_free_vcpu(vcpu);
	svm_stop();
}

TEST(cr2_is_loaded_by_hand_without_decode_assists)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	vcpu->cr2 = 0x123000;
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.seen.save.cr2, 0x123000);
	CHECK_EQ(amd_processor.cr2, 0);
	svm_free_vcpu(vcpu);
	svm_stop();

	svm_start(SVM_ALL_FEATURES & ~SVM_FEATURE_DECODE_ASSISTS);
	vcpu = svm_make_vcpu(0);
	vcpu->cr2 = 0x123000;
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.cr2, 0x123000);
	svm_free_vcpu(vcpu);
	svm_stop();
}

static void leave_long_mode_early(struct vmcb *vmcb)
{
	vmcb->save.cr0 = REG_CR0_PG | REG_CR0_PE | REG_CR0_NE | REG_CR0_ET;
	vmcb->save.cr4 = REG_CR4_PAE;
	vmcb->save.efer = REG_EFER_SVME | REG_EFER_LME;
	vmcb->control.exitinfo1 = CR_EXIT_MOV | 0;
	vmcb->control.next_rip = vmcb->save.rip + 3;
	vmcb->save.rax = REG_CR0_PG; /* without PE: refused */
}

/* SVM_QUIRK_LMA_EARLY: what reads the guest's memory trusts LMA. */
TEST(lma_at_a_cr0_exit_is_lme_and_pg)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	amd_processor.exitcode = VMEXIT_CR_WRITE(0);
	amd_processor.run = leave_long_mode_early;
	CHECK_EQ(svm_entry_and_exit(vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->exception,
		 INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_GP) | VM_INTINFO_DEL_ERRCODE);
	CHECK(svm_vcpu(vcpu)->vmcb->save.efer & REG_EFER_LMA);
	svm_free_vcpu(vcpu);
	svm_stop();
}
