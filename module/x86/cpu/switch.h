/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What both back ends' world switches do for the host's mitigations. The flags are for
 * assembly too (switch_asm.h); bits from X86_SWITCH_BACKEND up are the back ends' own.
 */
#ifndef X86_CPU_SWITCH_H
#define X86_CPU_SWITCH_H

#define X86_SWITCH_FILL_RSB	 0x1 /* overwrite the return stack buffer after the exit */
#define X86_SWITCH_CLEAR_BUFFERS 0x2 /* VERW right before the entry */
#define X86_SWITCH_BACKEND	 0x4

#ifndef __ASSEMBLER__
#include "os/os.h"

/* What the host asks of every entry and exit. Constant. any */
static inline uint32_t x86_switch_flags(void)
{
	const struct os_mitigations *mitigations = os_mitigations();
	uint32_t flags = 0;

	if (mitigations->rsb_fill)
		flags |= X86_SWITCH_FILL_RSB;
	if (mitigations->clear_cpu_buffers)
		flags |= X86_SWITCH_CLEAR_BUFFERS;
	return flags;
}
#endif

#endif
