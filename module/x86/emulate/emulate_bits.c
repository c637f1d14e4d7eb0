// SPDX-License-Identifier: BSD-2-Clause
/*
 * BMI, ADX and CRC32 (APM vol. 3; SDM vol. 2). Flags that the manuals leave undefined are
 * kept.
 */
#include "x86/emulate/emulate_internal.h"

#define FLAGS_BMI (REG_RFLAGS_CF | REG_RFLAGS_ZF | REG_RFLAGS_SF | REG_RFLAGS_OF)

static void set_bmi_flags(struct emulator *emulator, uint64_t result, bool carry)
{
	unsigned int size = emulator->insn->operand_size;

	emulator->rflags &= ~FLAGS_BMI;
	if (carry)
		emulator->rflags |= REG_RFLAGS_CF;
	if (!low_bytes(result, size))
		emulator->rflags |= REG_RFLAGS_ZF;
	if (sign_bit(result, size))
		emulator->rflags |= REG_RFLAGS_SF;
}

/* --- one source, in memory ------------------------------------------------------ */

/* By ModRM.reg: BLSR, BLSMSK, BLSI. The destination is VEX's register. */
int emulate_bls(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint64_t value, result;
	int error = emulate_load(emulator, insn->operand_size, &value);

	if (error)
		return error;
	switch (insn->reg & 7) {
	case 1:
		result = (value - 1) & value;
		break;
	case 2:
		result = (value - 1) ^ value;
		break;
	case 3:
		result = -value & value;
		break;
	default:
		return -EOPNOTSUPP;
	}
	set_bmi_flags(emulator, result, (insn->reg & 7) == 3 ? value != 0 : value == 0);
	emulate_set_reg(emulator, insn->vvvv, insn->operand_size, result);
	return 0;
}

/* To the high half first, which stays if both are one register. */
int emulate_mulx(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint64_t value, low, high, rflags = 0;
	int error = emulate_load(emulator, insn->operand_size, &value);

	if (error)
		return error;
	alu_multiply(OP_MUL, emulate_get_reg(emulator, REGISTER_RDX, insn->operand_size), value,
		     insn->operand_size, &low, &high, &rflags);
	emulate_set_reg(emulator, insn->vvvv, insn->operand_size, low);
	emulate_set_reg(emulator, insn->reg, insn->operand_size, high);
	return 0;
}

/* --- memory and a register that chooses ------------------------------------------ */

/* The lowest bits of 'value' go to where 'mask' has ones. */
static uint64_t deposit_bits(uint64_t value, uint64_t mask)
{
	uint64_t result = 0;

	for (; mask; mask &= mask - 1, value >>= 1)
		if (value & 1)
			result |= mask & -mask;
	return result;
}

static uint64_t extract_bits(uint64_t value, uint64_t mask)
{
	uint64_t result = 0;
	unsigned int to = 0;

	for (; mask; mask &= mask - 1, to++)
		if (value & mask & -mask)
			result |= 1ull << to;
	return result;
}

static uint64_t shift_without_flags(const struct instruction *insn, uint64_t value, uint64_t count)
{
	unsigned int size = insn->operand_size, width = 8 * size;

	count &= width - 1;
	switch (insn->op) {
	case OP_SHLX:
		return value << count;
	case OP_SHRX:
		return value >> count;
	case OP_SARX:
		return (uint64_t)(sign_extend(value, size) >> count);
	default: /* OP_RORX */
		return count ? value >> count | value << (width - count) : value;
	}
}

/* Without flags. */
int emulate_bit_move(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	unsigned int size = insn->operand_size;
	uint64_t other = emulate_get_reg(emulator, insn->vvvv, size);
	uint64_t value;
	int error = emulate_load(emulator, size, &value);

	if (error)
		return error;
	if (insn->op == OP_PDEP)
		value = deposit_bits(other, value);
	else if (insn->op == OP_PEXT)
		value = extract_bits(other, value);
	else
		value = shift_without_flags(
			insn, value, insn->op == OP_RORX ? (uint64_t)insn->immediate : other);
	emulate_set_reg(emulator, insn->reg, size, value);
	return 0;
}

int emulate_bzhi(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	unsigned int width = 8u * insn->operand_size;
	unsigned int count = emulator->gpr[insn->vvvv & 15] & 0xff;
	uint64_t value;
	int error = emulate_load(emulator, insn->operand_size, &value);

	if (error)
		return error;
	if (count < width)
		value &= (1ull << count) - 1;
	set_bmi_flags(emulator, value, count > width - 1);
	emulate_set_reg(emulator, insn->reg, insn->operand_size, value);
	return 0;
}

/* --- sums ------------------------------------------------------------------------ */

/* ADCX has its carry in CF, ADOX in OF; no other flag changes. */
int emulate_adx(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint64_t flag = insn->op == OP_ADCX ? REG_RFLAGS_CF : REG_RFLAGS_OF;
	uint64_t rflags = emulator->rflags & flag ? REG_RFLAGS_CF : 0;
	uint64_t value;
	int error = emulate_load(emulator, insn->operand_size, &value);

	if (error)
		return error;
	value = alu_binary(OP_ADC, emulate_get_reg(emulator, insn->reg, insn->operand_size), value,
			   insn->operand_size, &rflags);
	emulator->rflags &= ~flag;
	if (rflags & REG_RFLAGS_CF)
		emulator->rflags |= flag;
	emulate_set_reg(emulator, insn->reg, insn->operand_size, value);
	return 0;
}

/* The polynomial 11EDC6F41, its bits and those of the operand in reverse. */
#define CRC32C_REVERSED 0x82f63b78u

int emulate_crc32(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint32_t crc = (uint32_t)emulator->gpr[insn->reg & 15];
	uint64_t value;
	int error = emulate_load(emulator, insn->source_size, &value);

	if (error)
		return error;
	for (unsigned int i = 0; i < 8u * insn->source_size; i++) {
		bool bit = (crc ^ value) & 1;

		crc >>= 1;
		value >>= 1;
		if (bit)
			crc ^= CRC32C_REVERSED;
	}
	emulator->gpr[insn->reg & 15] = crc;
	return 0;
}

/* --- a table in memory ----------------------------------------------------------- */

int emulate_xlat(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint64_t offset = emulator->gpr[REGISTER_RBX] + (emulator->gpr[REGISTER_RAX] & 0xff);
	uint64_t linear, value = 0;
	int error = emulate_linear(emulator, (enum segment)insn->segment,
				   low_bytes(offset, insn->address_size), 1, EMULATE_READ, &linear);

	if (!error)
		error = emulator->ops->read(emulator, linear, &value, 1, EMULATE_READ);
	if (!error)
		emulate_set_reg(emulator, REGISTER_RAX, 1, value);
	return error;
}
