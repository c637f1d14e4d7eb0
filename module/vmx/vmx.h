/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Intel back end's face to the rest of the module: its table of functions,
 * and the switch that tests use to take optional features of the processor away.
 */
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include "vm/backend.h"

extern const struct vmm_backend vmx_backend;

/*
 * Optional features that are not to be used though the processor offers them:
 * VMX_OPTION_* (vmx/features.h). Set before probe(), by the os layer's module
 * parameter of the same name.
 */
extern uint32_t vmx_disable_features;

#endif
