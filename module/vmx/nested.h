/* SPDX-License-Identifier: BSD-2-Clause */
/* The format of Intel's nested page table (EPT). */
#ifndef VMX_NESTED_H
#define VMX_NESTED_H

#include <vmm/vmm_dev.h>
#include "vm/npt.h"

extern const struct npt_format vmx_npt_format;
unsigned int vmx_npt_levels(void); /* as in struct npt_format */

#endif
