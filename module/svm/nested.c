// SPDX-License-Identifier: BSD-2-Clause
/*
 * Entries of AMD's nested page table: ordinary long-mode entries, walked as user
 * accesses (APM vol. 2, 15.25.5 and 15.25.7).
 */
#include "svm/nested.h"

#include "vm/regs.h"

#define PAT_INDEXES 4 /* those that PWT and PCD alone can name */

/* PWT and PCD for each memory type; set by svm_npt_init(). */
static uint64_t uncached_bits = PTE_X86_PCD | PTE_X86_PWT;
static uint64_t write_combining_bits = PTE_X86_PCD | PTE_X86_PWT;

/* Which of the host's first PAT entries has this type; 'otherwise' if none. */
static uint64_t bits_of_type(uint64_t pat, uint8_t type, uint64_t otherwise)
{
	for (unsigned int i = 0; i < PAT_INDEXES; i++) {
		if ((pat >> (i * 8) & 7) == type)
			return (i & 1 ? PTE_X86_PWT : 0) | (i & 2 ? PTE_X86_PCD : 0);
	}
	return otherwise;
}

/* As deep as the host's own tables (APM vol. 2, 15.25.3). */
unsigned int svm_npt_levels(void)
{
	return os_read_cr4() & REG_CR4_LA57 ? 5 : 4;
}

void svm_npt_init(uint64_t pat)
{
	uncached_bits = bits_of_type(pat, NPT_MEMORY_UC, PTE_X86_PCD | PTE_X86_PWT);
	write_combining_bits = bits_of_type(pat, NPT_MEMORY_WC, uncached_bits);
}

/*
 * A and D are set from the start: nobody looks at them, and the processor need not
 * set them. Every mapping can be read; there is no way to forbid that alone.
 */
static uint64_t svm_npt_leaf(int prot, int memory_type)
{
	uint64_t bits = PTE_X86_PRESENT | PTE_X86_USER | PTE_X86_ACCESSED | PTE_X86_DIRTY;

	if (prot & VM_PROT_WRITE)
		bits |= PTE_X86_WRITE;
	if (!(prot & VM_PROT_EXEC))
		bits |= PTE_X86_NX;
	if (memory_type == NPT_MEMORY_UC)
		bits |= uncached_bits;
	else if (memory_type == NPT_MEMORY_WC)
		bits |= write_combining_bits;
	return bits;
}

const struct npt_format svm_npt_format = {
	.present = PTE_X86_PRESENT,
	.large = PTE_X86_LARGE,
	.table = PTE_X86_PRESENT | PTE_X86_WRITE | PTE_X86_USER | PTE_X86_ACCESSED,
	.leaf = svm_npt_leaf,
	.levels = svm_npt_levels,
};
