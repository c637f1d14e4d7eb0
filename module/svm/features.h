/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this processor's SVM can do: bits of CPUID 8000_000AH EDX (APM vol. 3,
 * appendix E.4.9), and the number of ASIDs.
 */
#ifndef SVM_FEATURES_H
#define SVM_FEATURES_H

#include "os/os.h"

#define SVM_FEATURE_NESTED_PAGING   (1u << 0)
#define SVM_FEATURE_LBR		    (1u << 1)
#define SVM_FEATURE_LOCK	    (1u << 2) /* a key can undo the firmware's lock */
#define SVM_FEATURE_NEXT_RIP	    (1u << 3)
#define SVM_FEATURE_TSC_RATE	    (1u << 4)
#define SVM_FEATURE_CLEAN_BITS	    (1u << 5)
#define SVM_FEATURE_FLUSH_BY_ASID   (1u << 6)
#define SVM_FEATURE_DECODE_ASSISTS  (1u << 7)
#define SVM_FEATURE_PAUSE_FILTER    (1u << 10)
#define SVM_FEATURE_PAUSE_THRESHOLD (1u << 12)
#define SVM_FEATURE_AVIC	    (1u << 13)
#define SVM_FEATURE_VIRTUAL_GIF	    (1u << 16)
#define SVM_FEATURE_SPEC_CTRL	    (1u << 20)
#define SVM_FEATURE_VIRTUAL_NMI	    (1u << 25)

/* Constant once probe() has succeeded. */
extern uint32_t svm_features;	/* offered and not disabled */
extern uint32_t svm_asid_count; /* ASIDs are 1 .. count - 1; 0 is the host's */

static inline bool svm_has(uint32_t feature)
{
	return svm_features & feature;
}

/* What an exit leaves of them: CLEAN_* that it makes true, and where next-RIP is to be read. */
extern uint32_t svm_clean_after_exit; /* 0 without clean bits */
extern uint64_t svm_next_rip_mask;    /* all ones, or 0 without next-RIP save */

/* As struct vmm_backend's. */
int svm_probe(const char **why, char *facts, size_t facts_size);
unsigned int svm_number(const char *name);

#endif
