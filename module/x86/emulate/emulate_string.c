// SPDX-License-Identifier: BSD-2-Clause
/*
 * String instructions, one element at a time (APM vol. 3, 1.2.6 and the
 * instructions' pages). The source is DS:rSI, or another segment by a prefix; the
 * destination is ES:rDI, always.
 */
#include "x86/emulate/emulate_internal.h"

#define PREFIX_REPEAT (PREFIX_REP | PREFIX_REPNE)

/* Linear address of the element at segment:register. */
static int element_address(struct emulator *emulator, enum segment segment, unsigned int reg,
			   enum emulate_access access, uint64_t *linear)
{
	return emulate_linear(emulator, segment, emulate_get_address_reg(emulator, reg),
			      emulator->insn->operand_size, access, linear);
}

static int read_element(struct emulator *emulator, enum segment segment, unsigned int reg,
			uint64_t *value)
{
	uint64_t linear;
	int error = element_address(emulator, segment, reg, EMULATE_READ, &linear);

	*value = 0;
	return error ? error :
		       emulator->ops->read(emulator, linear, value, emulator->insn->operand_size,
					   EMULATE_READ);
}

static int read_source(struct emulator *emulator, uint64_t *value)
{
	return read_element(emulator, (enum segment)emulator->insn->segment, REGISTER_RSI, value);
}

static int write_destination(struct emulator *emulator, uint64_t value)
{
	uint64_t linear;
	int error = element_address(emulator, SEGMENT_ES, REGISTER_RDI, EMULATE_WRITE, &linear);

	return error ? error :
		       emulator->ops->write(emulator, linear, &value, emulator->insn->operand_size);
}

/* Moves a pointer by one element, up or down. */
static void step_pointer(struct emulator *emulator, unsigned int reg)
{
	uint64_t size = emulator->insn->operand_size;
	uint64_t distance = emulator->rflags & REG_RFLAGS_DF ? -size : size;

	emulate_set_address_reg(emulator, reg, emulate_get_address_reg(emulator, reg) + distance);
}

/* --- one element of each -------------------------------------------------------- */

static int do_movs(struct emulator *emulator)
{
	uint64_t value;
	int error = read_source(emulator, &value);

	if (!error)
		error = write_destination(emulator, value);
	if (error)
		return error;
	step_pointer(emulator, REGISTER_RSI);
	step_pointer(emulator, REGISTER_RDI);
	return 0;
}

static int do_stos(struct emulator *emulator)
{
	int error = write_destination(emulator, emulator->gpr[REGISTER_RAX]);

	if (!error)
		step_pointer(emulator, REGISTER_RDI);
	return error;
}

static int do_lods(struct emulator *emulator)
{
	uint64_t value;
	int error = read_source(emulator, &value);

	if (error)
		return error;
	emulate_set_reg(emulator, REGISTER_RAX, emulator->insn->operand_size, value);
	step_pointer(emulator, REGISTER_RSI);
	return 0;
}

static int do_cmps(struct emulator *emulator)
{
	uint64_t first, second;
	int error = read_source(emulator, &first);

	if (!error)
		error = read_element(emulator, SEGMENT_ES, REGISTER_RDI, &second);
	if (error)
		return error;
	(void)alu_binary(OP_CMP, first, second, emulator->insn->operand_size, &emulator->rflags);
	step_pointer(emulator, REGISTER_RSI);
	step_pointer(emulator, REGISTER_RDI);
	return 0;
}

static int do_scas(struct emulator *emulator)
{
	unsigned int size = emulator->insn->operand_size;
	uint64_t value;
	int error = read_element(emulator, SEGMENT_ES, REGISTER_RDI, &value);

	if (error)
		return error;
	(void)alu_binary(OP_CMP, low_bytes(emulator->gpr[REGISTER_RAX], size), value, size,
			 &emulator->rflags);
	step_pointer(emulator, REGISTER_RDI);
	return 0;
}

static uint16_t port_number(const struct emulator *emulator)
{
	return (uint16_t)emulator->gpr[REGISTER_RDX];
}

/* What is read from a port may not be lost: the destination is checked first. */
static int do_ins(struct emulator *emulator)
{
	unsigned int size = emulator->insn->operand_size;
	uint64_t linear;
	uint32_t value = 0;
	int error = emulate_linear(emulator, SEGMENT_ES,
				   emulate_get_address_reg(emulator, REGISTER_RDI), size,
				   EMULATE_WRITE, &linear);

	if (!error)
		error = emulator->ops->probe(emulator, linear, size, EMULATE_WRITE);
	if (!error)
		error = emulator->ops->port(emulator, port_number(emulator), false, &value, size);
	if (!error)
		error = emulator->ops->write(emulator, linear, &value, size);
	if (!error)
		step_pointer(emulator, REGISTER_RDI);
	return error;
}

static int do_outs(struct emulator *emulator)
{
	unsigned int size = emulator->insn->operand_size;
	uint64_t linear;
	uint32_t value = 0;
	int error = emulate_linear(emulator, (enum segment)emulator->insn->segment,
				   emulate_get_address_reg(emulator, REGISTER_RSI), size,
				   EMULATE_READ, &linear);

	if (!error)
		error = emulator->ops->read(emulator, linear, &value, size, EMULATE_READ);
	if (!error)
		error = emulator->ops->port(emulator, port_number(emulator), true, &value, size);
	if (!error)
		step_pointer(emulator, REGISTER_RSI);
	return error;
}

static int do_element(struct emulator *emulator)
{
	switch (emulator->insn->op) {
	case OP_MOVS:
		return do_movs(emulator);
	case OP_CMPS:
		return do_cmps(emulator);
	case OP_STOS:
		return do_stos(emulator);
	case OP_LODS:
		return do_lods(emulator);
	case OP_SCAS:
		return do_scas(emulator);
	case OP_INS:
		return emulator->ops->port ? do_ins(emulator) : -EOPNOTSUPP;
	default: /* OP_OUTS */
		return emulator->ops->port ? do_outs(emulator) : -EOPNOTSUPP;
	}
}

/* --- repetition -------------------------------------------------------------------- */

/* Comparisons end as soon as ZF is not what the prefix asks for. */
static bool comparison_ends(const struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	bool equal = emulator->rflags & REG_RFLAGS_ZF;

	if (insn->op != OP_CMPS && insn->op != OP_SCAS)
		return false;
	return insn->prefixes & PREFIX_REPNE ? equal : !equal;
}

int emulate_string(struct emulator *emulator)
{
	uint64_t count;
	int error;

	if (!(emulator->insn->prefixes & PREFIX_REPEAT))
		return do_element(emulator);
	count = emulate_get_address_reg(emulator, REGISTER_RCX);
	if (count == 0)
		return 0;
	error = do_element(emulator);
	if (error)
		return error;
	emulate_set_address_reg(emulator, REGISTER_RCX, --count);
	return count == 0 || comparison_ends(emulator) ? 0 : EMULATE_REPEAT;
}
