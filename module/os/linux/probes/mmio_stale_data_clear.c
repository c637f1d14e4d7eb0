// SPDX-License-Identifier: BSD-2-Clause
/* mmio_stale_data_clear: until 6.16. */
#include <linux/jump_label.h>
#include <asm/nospec-branch.h>

bool vmm_probe(void);
bool vmm_probe(void)
{
	return static_key_enabled(&mmio_stale_data_clear);
}
