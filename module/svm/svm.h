/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The AMD back end's face to the rest of the module: its table of functions,
 * and the switch that tests use to take optional features of the processor away.
 */
#ifndef SVM_SVM_H
#define SVM_SVM_H

#include "vm/backend.h"

extern const struct vmm_backend svm_backend;

/*
 * Optional features that are not to be used though the processor offers them:
 * bits of CPUID 8000_000AH EDX (svm/features.h). Set before probe(), by the os
 * layer's module parameter of the same name.
 */
extern uint32_t svm_disable_features;

#endif
