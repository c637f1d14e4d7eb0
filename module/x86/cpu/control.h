/* SPDX-License-Identifier: BSD-2-Clause */
/* Control registers of a guest: what they may hold, and writing them. */
#ifndef X86_CPU_CONTROL_H
#define X86_CPU_CONTROL_H

#include "os/os.h"

struct vcpu;

/* EFER.LMA, and CS.L. Owner. */
bool x86_in_long_mode(struct vcpu *vcpu);
bool x86_code_is_long(struct vcpu *vcpu);

/*
 * May the guest put this value into the register, given its others? 0 or -EINVAL
 * (#GP). The cr0, cr4 and efer are whole new values. CR3 without bit 63. Owner.
 */
int x86_check_cr0(struct vcpu *vcpu, uint64_t value);
int x86_check_cr3(struct vcpu *vcpu, uint64_t value);
int x86_check_cr4(struct vcpu *vcpu, uint64_t value);
int x86_check_efer(struct vcpu *vcpu, uint64_t value);
int x86_check_xcr0(struct vcpu *vcpu, uint64_t value);

/*
 * A guest's write: checked, carried out with what follows from it: EFER.LMA and the
 * PAE directory pointers here, flushed translations in the back end's set_reg. 0 or
 * -EINVAL (#GP), with nothing changed. Owner.
 */
int x86_write_cr0(struct vcpu *vcpu, uint64_t value);
/* LMSW: PE, MP, EM and TS of CR0; PE is only ever set. */
int x86_write_status_word(struct vcpu *vcpu, uint16_t value);
int x86_write_cr3(struct vcpu *vcpu, uint64_t value);
int x86_write_cr4(struct vcpu *vcpu, uint64_t value);
int x86_write_efer(struct vcpu *vcpu, uint64_t value);

/*
 * CR0, CR3, CR4 or EFER have been set from outside: where they mean PAE paging, read the
 * directory pointers into the back end's registers. 0 or -EINVAL. Owner; any context.
 */
int x86_reload_pdptes(struct vcpu *vcpu);

#endif
