// SPDX-License-Identifier: BSD-2-Clause
/*
 * Entries of the extended page table (SDM vol. 3, 28.3.2), and its depth. A memory
 * type there goes together with the guest's PAT (28.3.7), as on AMD.
 */
#include "vmx/nested.h"

#include "vmx/features.h"
#include "vmx/vmcs.h"
#include "vm/regs.h"

/*
 * Four levels reach 256 TiB; where the processor can do five, and has addresses that
 * want them, the table is as deep as the host's own.
 */
unsigned int vmx_npt_levels(void)
{
	bool deep = os_read_cr4() & REG_CR4_LA57;

	return deep && (vmx_capabilities.ept_vpid & EPT_CAP_WALK_5) ? 5 : 4;
}

/*
 * A and D are set from the start: nobody looks at them, and the processor need not
 * set them. Every mapping can be read: an entry that can be written only is no entry.
 */
static uint64_t ept_leaf(int prot, int memory_type)
{
	uint64_t bits = EPT_READ | EPT_ACCESSED | EPT_DIRTY;

	if (prot & VM_PROT_WRITE)
		bits |= EPT_WRITE;
	if (prot & VM_PROT_EXEC)
		bits |= EPT_EXECUTE;
	return bits | (uint64_t)memory_type << EPT_MEMORY_TYPE_SHIFT;
}

const struct npt_format vmx_npt_format = {
	.present = EPT_READ | EPT_WRITE | EPT_EXECUTE,
	.large = EPT_LARGE,
	.table = EPT_READ | EPT_WRITE | EPT_EXECUTE | EPT_ACCESSED,
	.leaf = ept_leaf,
	.levels = vmx_npt_levels,
};
