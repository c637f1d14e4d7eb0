// SPDX-License-Identifier: BSD-2-Clause
/* What an emulator of a VMM process checks of an operand in memory. */
#include <machine/vmm_instruction_emul.h>
#include <x86/segments.h>

#include "vm/regs.h"

#include "internal.h"

/* Bits of SEG_DESC_TYPE (APM vol. 2, 4.8): which of the others mean what depends on CODE. */
#define TYPE_CODE	 0x08u
#define TYPE_EXPAND_DOWN 0x04u /* of data */
#define TYPE_READ_WRITE	 0x02u /* data can be written, code be read */

#define CANONICAL_BITS 48

uint64_t vie_size2mask(int size)
{
	return size >= 8 ? UINT64_MAX : (1ULL << 8 * size) - 1;
}

int vie_alignment_check(int cpl, int operand_size, uint64_t cr0, uint64_t rflags, uint64_t gla)
{
	if (cpl != 3 || !(cr0 & REG_CR0_AM) || !(rflags & REG_RFLAGS_AC))
		return 0;
	return (gla & (uint64_t)(operand_size - 1)) != 0;
}

int vie_canonical_check(enum vm_cpu_mode cpu_mode, uint64_t gla)
{
	int64_t upper = (int64_t)gla >> (CANONICAL_BITS - 1);

	return cpu_mode == CPU_MODE_64BIT && upper != 0 && upper != -1;
}

static bool type_allows(uint32_t type, int prot)
{
	if (type & TYPE_CODE)
		return !(prot & VM_PROT_WRITE) &&
		       (type & TYPE_READ_WRITE || !(prot & VM_PROT_READ));
	return type & TYPE_READ_WRITE || !(prot & VM_PROT_WRITE);
}

/* Offsets first to last lie within the segment (APM vol. 2, 4.12.2). */
static bool limit_allows(const struct seg_desc *desc, uint64_t first, uint64_t last)
{
	uint32_t type = SEG_DESC_TYPE(desc->access);
	uint64_t top = SEG_DESC_DEF32(desc->access) ? UINT32_MAX : UINT16_MAX;

	if (last < first)
		return false;
	if (!(type & TYPE_CODE) && (type & TYPE_EXPAND_DOWN))
		return first > desc->limit && last <= top;
	return last <= desc->limit;
}

int vie_calculate_gla(enum vm_cpu_mode cpu_mode, enum vm_reg_name seg, struct seg_desc *desc,
		      uint64_t off, int length, int addrsize, int prot, uint64_t *gla)
{
	uint64_t offset = off & vie_size2mask(addrsize);
	bool has_base = true;

	if (cpu_mode == CPU_MODE_64BIT) {
		has_base = seg == VM_REG_GUEST_FS || seg == VM_REG_GUEST_GS;
	} else if (SEG_DESC_UNUSABLE(desc->access) ||
		   !type_allows(SEG_DESC_TYPE(desc->access), prot) ||
		   !limit_allows(desc, offset, offset + (uint64_t)length - 1)) {
		return -1;
	}
	*gla = offset + (has_base ? desc->base : 0);
	if (cpu_mode != CPU_MODE_64BIT)
		*gla &= UINT32_MAX;
	return 0;
}
