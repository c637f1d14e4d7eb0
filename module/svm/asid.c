// SPDX-License-Identifier: BSD-2-Clause
/* ASIDs: x86/cpu/asid.h allocates them, the VMCB requests flushes (APM vol. 2, 15.16). */
#include "svm/vcpu.h"

static void svm_take_asid(struct svm_vcpu *svm)
{
	struct vmcb_control *control = &svm->vmcb->control;

	if (asid_take(&svm->cpu->asids, &svm->asid))
		control->tlb_control = TLB_CONTROL_FLUSH_ALL;
	control->asid = svm->asid.id;
	svm_dirty(svm, CLEAN_ASID);
}

/* A new ASID forgets as well as a flush does, where one ASID cannot be flushed. */
void svm_asid_renew(struct svm_vcpu *svm)
{
	struct vmcb_control *control = &svm->vmcb->control;

	svm->todo &= ~SVM_TODO_FLUSH;
	if (!asid_is_current(&svm->cpu->asids, &svm->asid)) {
		control->clean = 0; /* the CPU may have been off meanwhile */
		svm_take_asid(svm);
	} else if (svm_has(SVM_FEATURE_FLUSH_BY_ASID)) {
		control->tlb_control = TLB_CONTROL_FLUSH_ASID;
	} else {
		svm_take_asid(svm);
	}
}
