// SPDX-License-Identifier: BSD-2-Clause
/*
 * Operands of an emulated instruction: registers, effective addresses, segments
 * (APM vol. 2, 4.5 to 4.12), and memory behind them.
 */
#include "x86/emulate/emulate_internal.h"

int emulator_fault(struct emulator *emulator, uint8_t vector, uint32_t error_code)
{
	emulator->vector = vector;
	emulator->has_error_code = (vector >= VECTOR_TS && vector <= VECTOR_PF) ||
				   vector == VECTOR_DF || vector == VECTOR_AC;
	emulator->error_code = error_code;
	return -EFAULT;
}

int emulator_page_fault(struct emulator *emulator, uint64_t address, uint32_t error_code)
{
	emulator->fault_address = address;
	return emulator_fault(emulator, VECTOR_PF, error_code);
}

/* --- registers ----------------------------------------------------------------- */

uint64_t emulate_get_reg(const struct emulator *emulator, unsigned int reg, unsigned int size)
{
	if (unlikely(emulate_is_high_byte(emulator->insn, reg, size)))
		return emulator->gpr[(reg - 4) & 3] >> 8 & 0xff;
	return low_bytes(emulator->gpr[reg & 15], size);
}

void emulate_set_reg(struct emulator *emulator, unsigned int reg, unsigned int size, uint64_t value)
{
	uint64_t *gpr = &emulator->gpr[reg & 15];

	if (unlikely(emulate_is_high_byte(emulator->insn, reg, size))) {
		gpr = &emulator->gpr[(reg - 4) & 3];
		*gpr = (*gpr & ~0xff00ull) | (value & 0xff) << 8;
		return;
	}
	if (size >= 4)
		*gpr = low_bytes(value, size); /* 32-bit results clear the upper half */
	else
		*gpr = (*gpr & ~low_bytes(~0ull, size)) | low_bytes(value, size);
}

uint64_t emulate_get_address_reg(const struct emulator *emulator, unsigned int reg)
{
	return low_bytes(emulator->gpr[reg], emulator->insn->address_size);
}

void emulate_set_address_reg(struct emulator *emulator, unsigned int reg, uint64_t value)
{
	unsigned int size = emulator->insn->address_size;

	if (size >= 4)
		emulator->gpr[reg] = low_bytes(value, size);
	else
		emulator->gpr[reg] = (emulator->gpr[reg] & ~0xffffull) | (value & 0xffff);
}

/* --- segments ------------------------------------------------------------------- */

static int segment_fault(struct emulator *emulator, enum segment segment)
{
	return emulator_fault(emulator, segment == SEGMENT_SS ? VECTOR_SS : VECTOR_GP, 0);
}

static bool is_canonical(const struct emulator *emulator, uint64_t linear)
{
	unsigned int shift = emulator->wide_canonical ? 64 - 57 : 64 - 48;

	return (uint64_t)((int64_t)(linear << shift) >> shift) == linear;
}

/* In 64-bit mode FS and GS have a base, and addresses must be canonical. */
static inline int linear_64(struct emulator *emulator, enum segment segment, uint64_t offset,
			    unsigned int size, uint64_t *linear)
{
	struct seg_desc desc;

	if (unlikely(segment >= SEGMENT_FS)) {
		emulator->ops->segment(emulator, segment, &desc);
		offset += desc.base;
	}
	if (unlikely(!is_canonical(emulator, offset) || !is_canonical(emulator, offset + size - 1)))
		return segment_fault(emulator, segment);
	*linear = offset;
	return 0;
}

/* May the segment be used so at all? Real and virtual-8086 mode do not ask. */
static bool segment_allows(const struct emulator *emulator, const struct seg_desc *desc,
			   enum emulate_access access)
{
	uint32_t bits = desc->access;

	if (emulator->cpu_mode == CPU_MODE_REAL || (emulator->rflags & REG_RFLAGS_VM))
		return true;
	if ((bits & SEG_ACCESS_UNUSABLE) || !(bits & SEG_ACCESS_PRESENT))
		return false;
	if (!(bits & SEG_ACCESS_CODE)) /* data: always readable */
		return access == EMULATE_READ || (bits & SEG_ACCESS_WRITABLE);
	/* The bit that makes data writable makes code readable. */
	return access == EMULATE_READ && (bits & SEG_ACCESS_WRITABLE);
}

static bool offset_within_limit(const struct seg_desc *desc, uint64_t offset, unsigned int size)
{
	const uint32_t expand_down = SEG_ACCESS_S | SEG_ACCESS_EXPAND_DOWN;
	uint64_t last = offset + size - 1;

	if ((desc->access & (expand_down | SEG_ACCESS_CODE)) == expand_down)
		return offset > desc->limit &&
		       last <= (desc->access & SEG_ACCESS_DB ? 0xffffffffu : 0xffffu);
	return last <= desc->limit;
}

static int linear_legacy(struct emulator *emulator, enum segment segment, uint64_t offset,
			 unsigned int size, enum emulate_access access, uint64_t *linear)
{
	struct seg_desc desc;

	emulator->ops->segment(emulator, segment, &desc);
	if (!segment_allows(emulator, &desc, access) || !offset_within_limit(&desc, offset, size))
		return segment_fault(emulator, segment);
	*linear = (uint32_t)(desc.base + offset);
	return 0;
}

int emulate_linear(struct emulator *emulator, enum segment segment, uint64_t offset,
		   unsigned int size, enum emulate_access access, uint64_t *linear)
{
	if (likely(emulator->cpu_mode == CPU_MODE_64BIT))
		return linear_64(emulator, segment, offset, size, linear);
	return linear_legacy(emulator, segment, offset, size, access, linear);
}

/* --- the memory operand ------------------------------------------------------------ */

uint64_t emulate_offset(const struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint64_t offset = (uint64_t)insn->displacement;

	if (insn->base != REGISTER_NONE)
		offset += emulator->gpr[insn->base];
	if (insn->index != REGISTER_NONE)
		offset += emulator->gpr[insn->index] << insn->scale;
	if (insn->rip_relative)
		offset += emulator->rip + insn->length;
	return low_bytes(offset, insn->address_size);
}

int emulate_operand(struct emulator *emulator, unsigned int size, enum emulate_access access,
		    uint64_t *linear)
{
	return emulate_linear(emulator, (enum segment)emulator->insn->segment,
			      emulate_offset(emulator), size, access, linear);
}

int emulate_load(struct emulator *emulator, unsigned int size, uint64_t *value)
{
	uint64_t linear;
	int error = emulate_operand(emulator, size, EMULATE_READ, &linear);

	*value = 0;
	return error ? error : emulator->ops->read(emulator, linear, value, size, EMULATE_READ);
}

int emulate_load_for_update(struct emulator *emulator, unsigned int size, uint64_t *value,
			    uint64_t *linear)
{
	int error = emulate_operand(emulator, size, EMULATE_UPDATE, linear);

	*value = 0;
	return error ? error : emulator->ops->read(emulator, *linear, value, size, EMULATE_UPDATE);
}

int emulate_store(struct emulator *emulator, unsigned int size, uint64_t value)
{
	uint64_t linear;
	int error = emulate_operand(emulator, size, EMULATE_WRITE, &linear);

	return error ? error : emulator->ops->write(emulator, linear, &value, size);
}

int emulate_exchange(struct emulator *emulator, uint64_t linear, unsigned int size, uint64_t old,
		     uint64_t new)
{
	return emulator->ops->exchange(emulator, linear, &old, &new, size);
}
