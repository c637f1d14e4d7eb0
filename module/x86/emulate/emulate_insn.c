// SPDX-License-Identifier: BSD-2-Clause
/*
 * The engine's instructions: a table of handlers by operation. Each handler reads
 * what it needs, computes, writes memory, and only then changes registers.
 */
#include "x86/emulate/emulate_internal.h"

/* The register operand, of the instruction's size. */
static uint64_t get_operand_reg(const struct emulator *emulator)
{
	return emulate_get_reg(emulator, emulator->insn->reg, emulator->insn->operand_size);
}

static void set_operand_reg(struct emulator *emulator, uint64_t value)
{
	emulate_set_reg(emulator, emulator->insn->reg, emulator->insn->operand_size, value);
}

/* What goes with the memory operand: register or immediate. */
static uint64_t source_operand(const struct emulator *emulator)
{
	if (emulator->insn->form == FORM_RM_IMM)
		return low_bytes((uint64_t)emulator->insn->immediate, emulator->insn->operand_size);
	return get_operand_reg(emulator);
}

/* --- moves ------------------------------------------------------------------------ */

/* The accumulator forms have reg 0, as they have no ModRM. */
static inline int do_mov(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint64_t value;
	int error;

	if (insn->form != FORM_REG_RM && insn->form != FORM_ACC_MEM)
		return emulate_store(emulator, insn->operand_size, source_operand(emulator));
	error = emulate_load(emulator, insn->operand_size, &value);
	if (likely(!error))
		set_operand_reg(emulator, value);
	return error;
}

static int do_mov_extend(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint64_t value;
	int error = emulate_load(emulator, insn->source_size, &value);

	if (error)
		return error;
	if (insn->op == OP_MOVSX)
		value = (uint64_t)sign_extend(value, insn->source_size);
	set_operand_reg(emulator, value);
	return 0;
}

static uint64_t byte_swap(uint64_t value, unsigned int size)
{
	return __builtin_bswap64(value) >> (64 - 8 * size);
}

static int do_movbe(struct emulator *emulator)
{
	unsigned int size = emulator->insn->operand_size;
	uint64_t value;
	int error;

	if (emulator->insn->form == FORM_RM_REG)
		return emulate_store(emulator, size, byte_swap(get_operand_reg(emulator), size));
	error = emulate_load(emulator, size, &value);
	if (!error)
		set_operand_reg(emulator, byte_swap(value, size));
	return error;
}

static int do_mov_from_segment(struct emulator *emulator)
{
	unsigned int segment = emulator->insn->reg & 7;

	if (segment >= SEGMENT_COUNT)
		return emulator_fault(emulator, VECTOR_UD, 0);
	return emulate_store(emulator, 2, emulator->ops->selector(emulator, (enum segment)segment));
}

static int do_setcc(struct emulator *emulator)
{
	return emulate_store(emulator, 1, alu_condition(emulator->insn->opcode, emulator->rflags));
}

/* The load happens either way, and so does the clearing of the upper half. */
static int do_cmovcc(struct emulator *emulator)
{
	uint64_t value;
	int error = emulate_load(emulator, emulator->insn->operand_size, &value);

	if (error)
		return error;
	if (!alu_condition(emulator->insn->opcode, emulator->rflags))
		value = get_operand_reg(emulator);
	set_operand_reg(emulator, value);
	return 0;
}

/* --- arithmetic --------------------------------------------------------------------- */

static bool writes_result(uint8_t op)
{
	return op != OP_CMP && op != OP_TEST && op != OP_TEST_ALIAS;
}

/* op reg, memory */
static int binary_to_register(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint64_t value;
	int error = emulate_load(emulator, insn->operand_size, &value);

	if (error)
		return error;
	value = alu_binary((enum instruction_op)insn->op, get_operand_reg(emulator), value,
			   insn->operand_size, &emulator->rflags);
	if (writes_result(insn->op))
		set_operand_reg(emulator, value);
	return 0;
}

static int do_binary(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	unsigned int size = insn->operand_size;
	uint64_t rflags = emulator->rflags;
	uint64_t old, new, linear = 0;
	int error;

	if (insn->form == FORM_REG_RM)
		return binary_to_register(emulator);
	if (writes_result(insn->op))
		error = emulate_load_for_update(emulator, size, &old, &linear);
	else
		error = emulate_load(emulator, size, &old);
	if (error)
		return error;
	new = alu_binary((enum instruction_op)insn->op, old, source_operand(emulator), size,
			 &rflags);
	if (writes_result(insn->op))
		error = emulate_exchange(emulator, linear, size, old, new);
	if (!error)
		emulator->rflags = rflags;
	return error;
}

static int do_unary(struct emulator *emulator)
{
	unsigned int size = emulator->insn->operand_size;
	uint64_t rflags = emulator->rflags;
	uint64_t old, new, linear;
	int error = emulate_load_for_update(emulator, size, &old, &linear);

	if (error)
		return error;
	new = alu_unary((enum instruction_op)emulator->insn->op, old, size, &rflags);
	error = emulate_exchange(emulator, linear, size, old, new);
	if (!error)
		emulator->rflags = rflags;
	return error;
}

static unsigned int shift_count(const struct emulator *emulator)
{
	uint8_t form = emulator->insn->form;

	if (form == FORM_RM_CL || form == FORM_RM_REG_CL)
		return emulator->gpr[REGISTER_RCX] & 0xff;
	return emulator->insn->immediate & 0xff;
}

static int do_shift(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	unsigned int size = insn->operand_size;
	uint64_t rflags = emulator->rflags;
	uint64_t old, new, linear;
	int error = emulate_load_for_update(emulator, size, &old, &linear);

	if (error)
		return error;
	if (insn->op == OP_SHLD || insn->op == OP_SHRD)
		new = alu_double_shift((enum instruction_op)insn->op, old,
				       get_operand_reg(emulator), shift_count(emulator), size,
				       &rflags);
	else
		new = alu_shift((enum instruction_op)insn->op, old, shift_count(emulator), size,
				&rflags);
	error = emulate_exchange(emulator, linear, size, old, new);
	if (!error)
		emulator->rflags = rflags;
	return error;
}

static int do_bit_count(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	enum instruction_op op = (enum instruction_op)insn->op;
	uint64_t value, result;
	int error = emulate_load(emulator, insn->operand_size, &value);

	if (error)
		return error;
	if (op == OP_TZCNT && !emulator->has_tzcnt)
		op = OP_BSF;
	if (op == OP_LZCNT && !emulator->has_lzcnt)
		op = OP_BSR;
	if (alu_bit_count(op, value, insn->operand_size, &result, &emulator->rflags))
		set_operand_reg(emulator, result);
	return 0;
}

static int do_bmi(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint64_t vvvv = emulate_get_reg(emulator, insn->vvvv, insn->operand_size);
	uint64_t value;
	int error = emulate_load(emulator, insn->operand_size, &value);

	if (error)
		return error;
	if (insn->op == OP_ANDN)
		value = alu_andn(vvvv, value, insn->operand_size, &emulator->rflags);
	else
		value = alu_bextr(value, vvvv, insn->operand_size, &emulator->rflags);
	set_operand_reg(emulator, value);
	return 0;
}

static int do_imul(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint64_t value, factor;
	int error = emulate_load(emulator, insn->operand_size, &value);

	if (error)
		return error;
	factor = insn->op == OP_IMUL_IMM ? (uint64_t)insn->immediate : get_operand_reg(emulator);
	set_operand_reg(emulator, alu_imul(value, factor, insn->operand_size, &emulator->rflags));
	return 0;
}

/* The double-width accumulator: AX for bytes, else rDX:rAX. */
static void set_accumulator(struct emulator *emulator, unsigned int size, uint64_t low,
			    uint64_t high)
{
	if (size == 1) {
		emulate_set_reg(emulator, REGISTER_RAX, 2, high << 8 | low);
		return;
	}
	emulate_set_reg(emulator, REGISTER_RAX, size, low);
	emulate_set_reg(emulator, REGISTER_RDX, size, high);
}

static int do_multiply(struct emulator *emulator)
{
	unsigned int size = emulator->insn->operand_size;
	uint64_t value, low, high;
	int error = emulate_load(emulator, size, &value);

	if (error)
		return error;
	alu_multiply((enum instruction_op)emulator->insn->op, emulator->gpr[REGISTER_RAX], value,
		     size, &low, &high, &emulator->rflags);
	set_accumulator(emulator, size, low, high);
	return 0;
}

static int do_divide(struct emulator *emulator)
{
	unsigned int size = emulator->insn->operand_size;
	uint64_t low = low_bytes(emulator->gpr[REGISTER_RAX], size);
	uint64_t high = low_bytes(emulator->gpr[REGISTER_RDX], size);
	uint64_t divisor, quotient, remainder;
	int error = emulate_load(emulator, size, &divisor);

	if (error)
		return error;
	if (size == 1)
		high = emulator->gpr[REGISTER_RAX] >> 8 & 0xff;
	if (!alu_divide((enum instruction_op)emulator->insn->op, low, high, divisor, size,
			&quotient, &remainder))
		return emulator_fault(emulator, VECTOR_DE, 0);
	set_accumulator(emulator, size, quotient, remainder);
	return 0;
}

/* --- exchanges ------------------------------------------------------------ */

static int do_xchg(struct emulator *emulator)
{
	unsigned int size = emulator->insn->operand_size;
	uint64_t old, linear;
	int error = emulate_load_for_update(emulator, size, &old, &linear);

	if (!error)
		error = emulate_exchange(emulator, linear, size, old, get_operand_reg(emulator));
	if (!error)
		set_operand_reg(emulator, old);
	return error;
}

static int do_xadd(struct emulator *emulator)
{
	unsigned int size = emulator->insn->operand_size;
	uint64_t rflags = emulator->rflags;
	uint64_t old, new, linear;
	int error = emulate_load_for_update(emulator, size, &old, &linear);

	if (error)
		return error;
	new = alu_binary(OP_ADD, old, get_operand_reg(emulator), size, &rflags);
	error = emulate_exchange(emulator, linear, size, old, new);
	if (error)
		return error;
	set_operand_reg(emulator, old);
	emulator->rflags = rflags;
	return 0;
}

/* The destination is written either way (APM vol. 3, CMPXCHG). */
static int do_cmpxchg(struct emulator *emulator)
{
	unsigned int size = emulator->insn->operand_size;
	uint64_t accumulator = low_bytes(emulator->gpr[REGISTER_RAX], size);
	uint64_t rflags = emulator->rflags;
	uint64_t old, linear;
	int error = emulate_load_for_update(emulator, size, &old, &linear);

	if (error)
		return error;
	(void)alu_binary(OP_CMP, accumulator, old, size, &rflags);
	error = emulate_exchange(emulator, linear, size, old,
				 old == accumulator ? get_operand_reg(emulator) : old);
	if (error)
		return error;
	if (old != accumulator)
		emulate_set_reg(emulator, REGISTER_RAX, size, old);
	emulator->rflags = rflags;
	return 0;
}

/* The pair high:low in registers, as memory has it. */
static void get_pair(const struct emulator *emulator, unsigned int high, unsigned int low,
		     uint64_t pair[2])
{
	if (emulator->insn->operand_size == 8) {
		pair[0] = emulator->gpr[low];
		pair[1] = emulator->gpr[high];
	} else {
		pair[0] = low_bytes(emulator->gpr[low], 4) | emulator->gpr[high] << 32;
		pair[1] = 0;
	}
}

static void set_pair(struct emulator *emulator, unsigned int high, unsigned int low,
		     const uint64_t pair[2])
{
	bool wide = emulator->insn->operand_size == 8;

	emulate_set_reg(emulator, low, wide ? 8 : 4, pair[0]);
	emulate_set_reg(emulator, high, wide ? 8 : 4, wide ? pair[1] : pair[0] >> 32);
}

static int do_cmpxchg8b(struct emulator *emulator)
{
	unsigned int size = 2u * emulator->insn->operand_size;
	uint64_t expected[2], new[2], old[2] = { 0 };
	uint64_t linear;
	bool equal;
	int error = emulate_operand(emulator, size, EMULATE_UPDATE, &linear);

	if (error)
		return error;
	if (size == 16 && linear % 16 != 0)
		return emulator_fault(emulator, VECTOR_GP, 0);
	error = emulator->ops->read(emulator, linear, old, size, EMULATE_UPDATE);
	if (error)
		return error;
	get_pair(emulator, REGISTER_RDX, REGISTER_RAX, expected);
	get_pair(emulator, REGISTER_RCX, REGISTER_RBX, new);
	equal = old[0] == expected[0] && old[1] == expected[1];
	error = emulator->ops->exchange(emulator, linear, old, equal ? new : old, size);
	if (error)
		return error;
	if (!equal)
		set_pair(emulator, REGISTER_RDX, REGISTER_RAX, old);
	emulator->rflags = (emulator->rflags & ~REG_RFLAGS_ZF) | (equal ? REG_RFLAGS_ZF : 0);
	return 0;
}

/* --- bits ----------------------------------------------------------------- */

/*
 * A bit number in a register is signed and reaches beyond the operand: it moves
 * the address by whole operands (APM vol. 3, BT).
 */
static int bit_operand(struct emulator *emulator, unsigned int *number, uint64_t *linear,
		       enum emulate_access access)
{
	const struct instruction *insn = emulator->insn;
	unsigned int width = 8u * insn->operand_size;
	uint64_t offset = emulate_offset(emulator);
	int64_t bit = insn->immediate;

	if (insn->form == FORM_RM_REG) {
		bit = sign_extend(get_operand_reg(emulator), insn->operand_size);
		/* Towards minus infinity. */
		offset += (uint64_t)((bit >> 3) & ~(int64_t)(insn->operand_size - 1));
		offset = low_bytes(offset, insn->address_size);
	}
	*number = (unsigned int)bit & (width - 1);
	return emulate_linear(emulator, (enum segment)insn->segment, offset, insn->operand_size,
			      access, linear);
}

static uint64_t changed_bit(uint8_t op, uint64_t value, unsigned int number)
{
	uint64_t mask = 1ull << number;

	switch (op) {
	case OP_BTS:
		return value | mask;
	case OP_BTR:
		return value & ~mask;
	default: /* OP_BTC */
		return value ^ mask;
	}
}

static int do_bit(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	enum emulate_access access = insn->op == OP_BT ? EMULATE_READ : EMULATE_UPDATE;
	uint64_t linear, old = 0, new;
	unsigned int number;
	int error = bit_operand(emulator, &number, &linear, access);

	if (!error)
		error = emulator->ops->read(emulator, linear, &old, insn->operand_size, access);
	if (!error && insn->op != OP_BT) {
		new = changed_bit(insn->op, old, number);
		error = emulate_exchange(emulator, linear, insn->operand_size, old, new);
	}
	if (error)
		return error;
	emulator->rflags = (emulator->rflags & ~REG_RFLAGS_CF) | (old >> number & 1);
	return 0;
}

/* --- the table ------------------------------------------------------------ */

/*
 * There is no cache to flush, but CLFLUSH and CLWB fault as a read of the byte would.
 * PREFETCHW never does.
 */
static int do_cache_line(struct emulator *emulator)
{
	uint64_t linear;
	int error;

	if (emulator->insn->opcode != 0xae)
		return 0;
	error = emulate_operand(emulator, 1, EMULATE_READ, &linear);
	return error ? error : emulator->ops->probe(emulator, linear, 1, EMULATE_READ);
}

static const emulate_handler handlers[OP_COUNT] = {
	[OP_ADD] = do_binary,
	[OP_OR] = do_binary,
	[OP_ADC] = do_binary,
	[OP_SBB] = do_binary,
	[OP_AND] = do_binary,
	[OP_SUB] = do_binary,
	[OP_XOR] = do_binary,
	[OP_CMP] = do_binary,
	[OP_ROL] = do_shift,
	[OP_ROR] = do_shift,
	[OP_RCL] = do_shift,
	[OP_RCR] = do_shift,
	[OP_SHL] = do_shift,
	[OP_SHR] = do_shift,
	[OP_SAL] = do_shift,
	[OP_SAR] = do_shift,
	[OP_TEST] = do_binary,
	[OP_TEST_ALIAS] = do_binary,
	[OP_NOT] = do_unary,
	[OP_NEG] = do_unary,
	[OP_MUL] = do_multiply,
	[OP_IMUL] = do_multiply,
	[OP_DIV] = do_divide,
	[OP_IDIV] = do_divide,
	[OP_INC] = do_unary,
	[OP_DEC] = do_unary,
	[OP_CALL] = emulate_call,
	[OP_JMP] = emulate_jump,
	[OP_PUSH] = emulate_push,
	[OP_BT] = do_bit,
	[OP_BTS] = do_bit,
	[OP_BTR] = do_bit,
	[OP_BTC] = do_bit,
	[OP_POP] = emulate_pop,
	[OP_MOV] = do_mov,
	[OP_MOVZX] = do_mov_extend,
	[OP_MOVSX] = do_mov_extend,
	[OP_MOVBE] = do_movbe,
	[OP_MOV_FROM_SEGMENT] = do_mov_from_segment,
	[OP_XCHG] = do_xchg,
	[OP_XADD] = do_xadd,
	[OP_CMPXCHG] = do_cmpxchg,
	[OP_CMPXCHG8B] = do_cmpxchg8b,
	[OP_SHLD] = do_shift,
	[OP_SHRD] = do_shift,
	[OP_SETCC] = do_setcc,
	[OP_CMOVCC] = do_cmovcc,
	[OP_IMUL_REG] = do_imul,
	[OP_IMUL_IMM] = do_imul,
	[OP_BSF] = do_bit_count,
	[OP_BSR] = do_bit_count,
	[OP_TZCNT] = do_bit_count,
	[OP_LZCNT] = do_bit_count,
	[OP_POPCNT] = do_bit_count,
	[OP_ANDN] = do_bmi,
	[OP_BEXTR] = do_bmi,
	[OP_BLS] = emulate_bls,
	[OP_BZHI] = emulate_bzhi,
	[OP_PDEP] = emulate_bit_move,
	[OP_PEXT] = emulate_bit_move,
	[OP_MULX] = emulate_mulx,
	[OP_SHLX] = emulate_bit_move,
	[OP_SHRX] = emulate_bit_move,
	[OP_SARX] = emulate_bit_move,
	[OP_RORX] = emulate_bit_move,
	[OP_ADCX] = emulate_adx,
	[OP_ADOX] = emulate_adx,
	[OP_CRC32] = emulate_crc32,
	[OP_XLAT] = emulate_xlat,
	[OP_CACHE_LINE] = do_cache_line,
	[OP_MOVS] = emulate_string,
	[OP_CMPS] = emulate_string,
	[OP_STOS] = emulate_string,
	[OP_LODS] = emulate_string,
	[OP_SCAS] = emulate_string,
	[OP_INS] = emulate_string,
	[OP_OUTS] = emulate_string,
	[OP_VECTOR_LOAD] = emulate_vector_load,
	[OP_VECTOR_LOAD_LOW] = emulate_vector_load_half,
	[OP_VECTOR_LOAD_HIGH] = emulate_vector_load_half,
	[OP_VECTOR_DUPLICATE] = emulate_vector_duplicate,
	[OP_VECTOR_BROADCAST] = emulate_vector_broadcast,
	[OP_VECTOR_EXTEND] = emulate_vector_extend,
	[OP_VECTOR_INSERT] = emulate_vector_insert,
	[OP_VECTOR_INSERT_PS] = emulate_vector_insert_ps,
	[OP_VECTOR_EXTRACT] = emulate_vector_extract,
	[OP_VECTOR_MASKED_LOAD] = emulate_vector_masked,
	[OP_VECTOR_MASKED_STORE] = emulate_vector_masked,
	[OP_VECTOR_MASKED_BYTES] = emulate_vector_masked_bytes,
	[OP_VECTOR_STORE_HIGH] = emulate_vector_store_high,
	[OP_VECTOR_STORE] = emulate_vector_store,
	[OP_MASK_LOAD] = emulate_mask_load,
	[OP_MASK_STORE] = emulate_mask_store,
	[OP_MMX_LOAD] = emulate_mmx_load,
	[OP_MMX_STORE] = emulate_mmx_store,
	[OP_X87] = emulate_x87,
	[OP_MXCSR] = emulate_mxcsr,
	[OP_FXSAVE] = emulate_fxsave,
	[OP_FXRSTOR] = emulate_fxrstor,
	[OP_SMSW] = emulate_store_system,
	[OP_SLDT] = emulate_store_system,
	[OP_STR] = emulate_store_system,
	[OP_SGDT] = emulate_store_table,
	[OP_SIDT] = emulate_store_table,
	[OP_LMSW] = emulate_load_status_word,
};

static bool is_string(uint8_t op)
{
	return op >= OP_MOVS && op <= OP_OUTS;
}

/* Its operand in memory is not the one that ModRM names. */
static bool has_implied_memory(uint8_t op)
{
	return is_string(op) || op == OP_XLAT || op == OP_VECTOR_MASKED_BYTES;
}

static bool is_branch(uint8_t op)
{
	return op == OP_CALL || op == OP_JMP;
}

/* RIP past the instruction: it wraps where the code segment does. */
static void advance_rip(struct emulator *emulator)
{
	uint64_t rip = emulator->rip + emulator->insn->length;

	emulator->rip = emulator->insn->mode == DECODE_64 ? rip : (uint32_t)rip;
}

int emulate_instruction(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	int result;

	/* The local APIC's registers are read and written by these. */
	if (likely(insn->op == OP_MOV && insn->memory)) {
		result = do_mov(emulator);
		if (likely(result == 0))
			advance_rip(emulator);
		return result;
	}
	if (!handlers[insn->op] || (!insn->memory && !has_implied_memory(insn->op)))
		return -EOPNOTSUPP;
	result = handlers[insn->op](emulator);
	if (result == 0 && !is_branch(insn->op))
		advance_rip(emulator);
	return result;
}
