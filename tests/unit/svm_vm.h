/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM on the AMD back end against a processor played by svm_world_switch(): it notes what
 * the VMCB asks for and answers with what a test has prepared.
 */
#ifndef TESTS_UNIT_SVM_VM_H
#define TESTS_UNIT_SVM_VM_H

#include "unit.h"
#include "svm/svm.h"
#include "svm/vcpu.h"

#define SVM_ALL_FEATURES                                                             \
	(SVM_FEATURE_NESTED_PAGING | SVM_FEATURE_NEXT_RIP | SVM_FEATURE_CLEAN_BITS | \
	 SVM_FEATURE_FLUSH_BY_ASID | SVM_FEATURE_DECODE_ASSISTS | SVM_FEATURE_PAUSE_FILTER)
#define SVM_ASIDS 4

#define INTINFO(type, vector) (VM_INTINFO_VALID | (type) | (vector))

struct amd_processor {
	struct vmcb seen; /* as the last entry found it */
	uint64_t exitcode;
	uint64_t exitintinfo;
	uint64_t rip;			/* 0: does not move */
	void (*run)(struct vmcb *vmcb); /* what else the guest does */
	unsigned int entries;
	unsigned int host_saves;
	uint64_t cr2; /* as written by hand */
	bool gif_set;
};
extern struct amd_processor amd_processor;
/* Did the last entry intercept it (INTERCEPT_*)? */
bool svm_seen_intercept(unsigned int intercept);

/* Set the host's CPUID and MSRs to a processor with these SVM_FEATURE_*. */
void svm_offer(uint32_t features);
/* Power on, load the module, make a VM; the exit will be VMEXIT_INTR. Ends the test on failure. */
void svm_start(uint32_t features);
/* Free it all; a failure if something is left over. */
void svm_stop(void);
struct vcpu *svm_make_vcpu(int id);
void svm_free_vcpu(struct vcpu *vcpu);

/* One turn of the inner loop: load, one entry; and its exit's handling. */
void svm_entry(struct vcpu *vcpu);
enum exit_action svm_entry_and_exit(struct vcpu *vcpu);

#endif
