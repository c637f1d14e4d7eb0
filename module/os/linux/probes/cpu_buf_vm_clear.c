// SPDX-License-Identifier: BSD-2-Clause
/* cpu_buf_vm_clear: from 6.17 on; before, mmio_stale_data_clear. */
#include <linux/jump_label.h>
#include <asm/nospec-branch.h>

bool vmm_probe(void);
bool vmm_probe(void)
{
	return static_key_enabled(&cpu_buf_vm_clear);
}
