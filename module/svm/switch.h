/* SPDX-License-Identifier: BSD-2-Clause */
/* The world switch and other privileged instructions, in switch.S. */
#ifndef SVM_SWITCH_H
#define SVM_SWITCH_H

#include "os/os.h"
#include "x86/cpu/switch.h"

/*
 * Run the guest of the VMCB at guest_pa until its next exit. gpr[]: of vcpu->gpr[], RCX, RDX,
 * RBX, RBP, RSI, RDI, R8-R15 in and out; RAX and RSP are in the VMCB. host_pa: where
 * svm_save_host() has put this CPU's state. flags: X86_SWITCH_*. Interrupts off before and
 * after; one that comes while the guest runs ends it and stays pending.
 */
void svm_world_switch(uint64_t guest_pa, uint64_t *gpr, uint64_t host_pa, uint32_t flags);

/* VMSAVE of this CPU's FS, GS, TR, LDTR and system call MSRs. Preemption off. */
void svm_save_host(uint64_t host_pa);

/* Interrupts off: until they are on again, page faults aside, it is still there. */
void svm_write_cr2(uint64_t value);

/* Set the global interrupt flag; EFER.SVME must be set. Interrupts off. */
void svm_set_gif(void);

#endif
