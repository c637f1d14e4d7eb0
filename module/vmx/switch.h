/* SPDX-License-Identifier: BSD-2-Clause */
/* The world switch, in switch.S. */
#ifndef VMX_SWITCH_H
#define VMX_SWITCH_H

#include "x86/cpu/switch.h"

#define VMX_SWITCH_LAUNCHED X86_SWITCH_BACKEND /* VMRESUME, not VMLAUNCH */

#ifndef __ASSEMBLER__
#include "os/os.h"

/*
 * Run the guest of the current VMCS until its next exit. gpr[]: vcpu->gpr[], all but RSP in
 * and out; RSP is in the VMCS. flags: X86_SWITCH_*, VMX_SWITCH_*. False: the processor has not even begun
 * (VMCS_INSTRUCTION_ERROR). Interrupts off before and after; one that comes while the
 * guest runs ends it and stays pending.
 */
bool vmx_world_switch(uint64_t *gpr, uint32_t flags);
#endif

#endif
