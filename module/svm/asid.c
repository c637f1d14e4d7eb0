// SPDX-License-Identifier: BSD-2-Clause
/*
 * Address space identifiers, which tag cached translations (APM vol. 2, 15.16).
 *
 * Each physical CPU hands them out in order. When they run out it flushes
 * everything and begins a new generation, in which ASIDs of the last one count
 * for nothing. A vCPU that has moved takes a new one, because what this CPU has
 * cached under an old one may have been changed elsewhere.
 */
#include "svm/vcpu.h"

static void asid_take(struct svm_vcpu *svm)
{
	struct svm_cpu *cpu = svm->cpu;
	struct vmcb_control *control = &svm->vmcb->control;

	if (cpu->asid_next >= svm_asid_count) {
		cpu->asid_generation++;
		cpu->asid_next = 1;
		control->tlb_control = TLB_CONTROL_FLUSH_ALL;
	}
	svm->asid = cpu->asid_next++;
	svm->asid_generation = cpu->asid_generation;
	control->asid = svm->asid;
	svm_dirty(svm, CLEAN_ASID);
}

void svm_asid_forget(struct svm_vcpu *svm)
{
	svm->asid_generation = 0;
}

/* A new ASID forgets as well as a flush does, where one ASID cannot be flushed. */
void svm_asid_prepare(struct svm_vcpu *svm)
{
	struct vmcb_control *control = &svm->vmcb->control;

	control->tlb_control = TLB_CONTROL_NOTHING;
	if (unlikely(svm->asid_generation != svm->cpu->asid_generation)) {
		svm->clean = 0; /* the CPU may have been off meanwhile */
		asid_take(svm);
	} else if (unlikely(svm->flush) && svm_has(SVM_FEATURE_FLUSH_BY_ASID)) {
		control->tlb_control = TLB_CONTROL_FLUSH_ASID;
	} else if (unlikely(svm->flush)) {
		asid_take(svm);
	}
	svm->flush = false;
}
