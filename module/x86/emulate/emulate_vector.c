// SPDX-License-Identifier: BSD-2-Clause
/*
 * Moves between memory and vector registers. Whether the guest may use them (CR0.TS,
 * CR4.OSFXSR, XCR0) the processor has checked before it touched memory.
 */
#include "x86/emulate/emulate_internal.h"

#define VECTOR_MAX 32

static int vector_operand(struct emulator *emulator, enum emulate_access access, uint64_t *linear)
{
	unsigned int size = emulator->insn->operand_size;
	int error = emulate_operand(emulator, size, access, linear);

	if (!error && emulator->insn->aligned && *linear % size != 0)
		return emulator_fault(emulator, VECTOR_GP, 0);
	return error;
}

int emulate_vector_load(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint8_t data[VECTOR_MAX] = { 0 };
	uint64_t linear;
	int error;

	if (!emulator->ops->vector_write)
		return -EOPNOTSUPP;
	error = vector_operand(emulator, EMULATE_READ, &linear);
	if (!error)
		error = emulator->ops->read(emulator, linear, data, insn->operand_size,
					    EMULATE_READ);
	if (error)
		return error;
	/* Shorter values are extended to 16 bytes. */
	return emulator->ops->vector_write(emulator, insn->reg, data,
					   insn->operand_size == 32 ? 32 : 16,
					   insn->prefixes & PREFIX_VEX);
}

int emulate_vector_store(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint8_t data[VECTOR_MAX];
	uint64_t linear;
	int error;

	if (!emulator->ops->vector_read)
		return -EOPNOTSUPP;
	error = vector_operand(emulator, EMULATE_WRITE, &linear);
	if (!error)
		error = emulator->ops->vector_read(emulator, insn->reg, data,
						   insn->operand_size == 32 ? 32 : 16);
	return error ? error : emulator->ops->write(emulator, linear, data, insn->operand_size);
}
