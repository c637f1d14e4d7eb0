/* SPDX-License-Identifier: BSD-2-Clause */
/* What both back ends' world switches do for the host's mitigations. */
#ifndef X86_CPU_SWITCH_H
#define X86_CPU_SWITCH_H

#include "os/os.h"

/* Also in each switch.S. Bits above are the back ends' own. */
#define X86_SWITCH_FILL_RSB	 0x1u /* overwrite the return stack buffer after the exit */
#define X86_SWITCH_CLEAR_BUFFERS 0x2u /* VERW right before the entry */

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
