/* SPDX-License-Identifier: BSD-2-Clause */
/* The format of AMD's nested page table. */
#ifndef SVM_NESTED_H
#define SVM_NESTED_H

#include <vmm/vmm_dev.h>
#include "vm/npt.h"

extern const struct npt_format svm_npt_format;
unsigned int svm_npt_levels(void); /* as in struct npt_format */

/*
 * Memory types of nested entries go through the host's PAT (APM vol. 2, 15.25.8): find
 * them in its value. Before the first VM.
 */
void svm_npt_init(uint64_t pat);

#endif
