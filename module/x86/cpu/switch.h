/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What both back ends' world switches do for the host's mitigations: vcpu->switch_flags, which
 * context_load() sets. The flags are for assembly too (switch_asm.h); bits from
 * X86_SWITCH_BACKEND up are the back ends' own.
 *
 * What every exit needs where the host needs it at all is no flag but the kernel's alternatives
 * in switch_asm.h: before the return stack is filled there is no branch, nor a return.
 */
#ifndef X86_CPU_SWITCH_H
#define X86_CPU_SWITCH_H

#define X86_SWITCH_HOST_SPEC_CTRL 0x1 /* write the host's SPEC_CTRL after the exit */
#define X86_SWITCH_CLEAR_BUFFERS  0x2 /* VERW right before the entry */
#define X86_SWITCH_BACKEND	  0x4

#endif
