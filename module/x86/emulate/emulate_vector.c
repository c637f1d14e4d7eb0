// SPDX-License-Identifier: BSD-2-Clause
/*
 * Moves between memory and vector registers (SDM vol. 2; APM vol. 4). Whether the guest may
 * use them (CR0.TS, CR4.OSFXSR, XCR0) the processor has checked before it touched memory.
 */
#include "x86/emulate/emulate_internal.h"

#define VECTOR_MAX  64
#define VECTOR_HALF 16 /* of a YMM register; the least that is read and written */

/* Bytes of a register that an instruction is about. */
static unsigned int register_size(const struct instruction *insn)
{
	return insn->operand_size > VECTOR_HALF ? insn->operand_size : VECTOR_HALF;
}

static bool is_vex(const struct instruction *insn)
{
	return insn->prefixes & PREFIX_VEX;
}

static int read_vector(struct emulator *emulator, unsigned int reg, void *data, unsigned int size)
{
	if (!emulator->ops->vector_read)
		return -EOPNOTSUPP;
	return emulator->ops->vector_read(emulator, reg, data, size);
}

/* The destination; VEX clears what is above. */
static int write_vector(struct emulator *emulator, const void *data, unsigned int size)
{
	const struct instruction *insn = emulator->insn;

	if (!emulator->ops->vector_write)
		return -EOPNOTSUPP;
	return emulator->ops->vector_write(emulator, insn->reg, data, size, is_vex(insn));
}

/* The register that gives what memory does not: VEX's, else the destination. */
static int read_other_source(struct emulator *emulator, void *data, unsigned int size)
{
	const struct instruction *insn = emulator->insn;

	return read_vector(emulator, is_vex(insn) ? insn->vvvv : insn->reg, data, size);
}

/* --- whole operands ---------------------------------------------------------- */

static int vector_operand(struct emulator *emulator, unsigned int size, bool aligned,
			  enum emulate_access access, uint64_t *linear)
{
	int error = emulate_operand(emulator, size, access, linear);

	if (!error && aligned && *linear % size != 0)
		return emulator_fault(emulator, VECTOR_GP, 0);
	return error;
}

static int load_operand(struct emulator *emulator, void *data, unsigned int size, bool aligned)
{
	uint64_t linear;
	int error;

	/* Without registers the access would be for nothing. */
	if (!emulator->ops->vector_write)
		return -EOPNOTSUPP;
	error = vector_operand(emulator, size, aligned, EMULATE_READ, &linear);
	return error ? error : emulator->ops->read(emulator, linear, data, size, EMULATE_READ);
}

static int store_operand(struct emulator *emulator, const void *data, unsigned int size,
			 bool aligned)
{
	uint64_t linear;
	int error = vector_operand(emulator, size, aligned, EMULATE_WRITE, &linear);

	return error ? error : emulator->ops->write(emulator, linear, data, size);
}

/* --- elements under a mask --------------------------------------------------- */

/* One access for elements that follow each other; 'first' and 'count' in elements. */
static int access_run(struct emulator *emulator, uint64_t offset, uint8_t *data, unsigned int size,
		      bool write)
{
	enum emulate_access access = write ? EMULATE_WRITE : EMULATE_READ;
	uint64_t linear;
	int error = emulate_linear(emulator, (enum segment)emulator->insn->segment, offset, size,
				   access, &linear);

	if (error)
		return error;
	if (write)
		return emulator->ops->write(emulator, linear, data, size);
	return emulator->ops->read(emulator, linear, data, size, EMULATE_READ);
}

/*
 * The elements of 'element' bytes of data[0..size) whose bits are set in 'mask', from or to
 * memory at 'offset' in the segment. Others are not touched, and do not fault.
 */
static int access_masked(struct emulator *emulator, uint64_t offset, uint8_t *data,
			 unsigned int size, unsigned int element, uint64_t mask, bool write)
{
	unsigned int i = 0, start;

	while (i < size / element) {
		int error;

		start = i;
		while (i < size / element && (mask >> i & 1))
			i++;
		if (i == start) {
			i++;
			continue;
		}
		error = access_run(
			emulator, low_bytes(offset + start * element, emulator->insn->address_size),
			data + start * element, (i - start) * element, write);
		if (error)
			return error;
	}
	return 0;
}

static int check_alignment(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint64_t linear;

	if (!insn->aligned)
		return 0;
	return vector_operand(emulator, insn->operand_size, true, EMULATE_READ, &linear);
}

static int read_mask(struct emulator *emulator, uint64_t *mask)
{
	if (!emulator->ops->mask_read)
		return -EOPNOTSUPP;
	return emulator->ops->mask_read(emulator, emulator->insn->mask, mask);
}

/* EVEX with a mask register. */
static int load_under_mask(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint8_t data[VECTOR_MAX] = { 0 };
	uint64_t mask;
	int error = read_mask(emulator, &mask);

	if (!error && !insn->zeroing)
		error = read_vector(emulator, insn->reg, data,
				    insn->operand_size < VECTOR_HALF ? VECTOR_HALF :
								       insn->operand_size);
	if (!error)
		error = check_alignment(emulator);
	if (!error && insn->operand_size < VECTOR_HALF) /* the rest of a scalar's register */
		memset(data + insn->operand_size, 0, VECTOR_HALF - insn->operand_size);
	if (!error)
		error = access_masked(emulator, emulate_offset(emulator), data, insn->operand_size,
				      insn->element_size, mask, false);
	return error ? error : write_vector(emulator, data, register_size(insn));
}

static int store_under_mask(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint8_t data[VECTOR_MAX];
	uint64_t mask;
	int error = read_mask(emulator, &mask);

	if (!error)
		error = read_vector(emulator, insn->reg, data, register_size(insn));
	if (!error)
		error = check_alignment(emulator);
	return error ? error :
		       access_masked(emulator, emulate_offset(emulator), data, insn->operand_size,
				     insn->element_size, mask, true);
}

/* --- plain moves ------------------------------------------------------------- */

int emulate_vector_load(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint8_t data[VECTOR_MAX] = { 0 };
	int error;

	if (unlikely(insn->mask))
		return load_under_mask(emulator);
	/* Shorter values are extended to 16 bytes. */
	error = load_operand(emulator, data, insn->operand_size, insn->aligned);
	return error ? error : write_vector(emulator, data, register_size(insn));
}

int emulate_vector_store(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint8_t data[VECTOR_MAX];
	int error;

	if (unlikely(insn->mask))
		return store_under_mask(emulator);
	error = read_vector(emulator, insn->reg, data, register_size(insn));
	return error ? error : store_operand(emulator, data, insn->operand_size, insn->aligned);
}

/* Half a register from memory, the other half from a register. */
int emulate_vector_load_half(struct emulator *emulator)
{
	uint8_t data[VECTOR_HALF];
	unsigned int place = emulator->insn->op == OP_VECTOR_LOAD_HIGH ? 8 : 0;
	int error = read_other_source(emulator, data, VECTOR_HALF);

	if (!error)
		error = load_operand(emulator, data + place, 8, false);
	return error ? error : write_vector(emulator, data, VECTOR_HALF);
}

int emulate_vector_store_high(struct emulator *emulator)
{
	uint8_t data[VECTOR_HALF];
	int error = read_vector(emulator, emulator->insn->reg, data, VECTOR_HALF);

	return error ? error : store_operand(emulator, data + 8, 8, false);
}

/* --- loads that rearrange ---------------------------------------------------- */

/* Each element twice: 8 bytes (MOVDDUP), or the even or odd ones of 4 (MOVSLDUP, MOVSHDUP). */
int emulate_vector_duplicate(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	unsigned int element = insn->source_size == 8 ? 8 : 4;
	unsigned int odd = insn->opcode == 0x16 ? element : 0;
	/* MOVDDUP of 16 bytes needs but 8. */
	unsigned int size = insn->operand_size == element * 2 ? element : insn->operand_size;
	uint8_t from[VECTOR_MAX], data[VECTOR_MAX];
	int error = load_operand(emulator, from, size, insn->aligned && !is_vex(insn));

	if (error)
		return error;
	for (unsigned int i = 0; i < insn->operand_size; i += element)
		memcpy(data + i, from + (i & ~(2 * element - 1)) + odd, element);
	return write_vector(emulator, data, insn->operand_size);
}

int emulate_vector_broadcast(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint8_t data[VECTOR_MAX];
	int error = load_operand(emulator, data, insn->source_size, false);

	if (error)
		return error;
	for (unsigned int i = insn->source_size; i < insn->operand_size; i += insn->source_size)
		memcpy(data + i, data, insn->source_size);
	return write_vector(emulator, data, insn->operand_size);
}

/* PMOVSX (2x) and PMOVZX (3x): BW, BD, BQ, WD, WQ, DQ. */
int emulate_vector_extend(struct emulator *emulator)
{
	static const uint8_t from_size[8] = { 1, 1, 1, 2, 2, 4, 1, 1 };
	static const uint8_t to_size[8] = { 2, 4, 8, 4, 8, 8, 2, 2 };
	const struct instruction *insn = emulator->insn;
	unsigned int from = from_size[insn->opcode & 7], to = to_size[insn->opcode & 7];
	unsigned int count = insn->operand_size / to;
	uint8_t memory[VECTOR_MAX], data[VECTOR_MAX];
	int error = load_operand(emulator, memory, count * from, false);

	if (error)
		return error;
	for (unsigned int i = 0; i < count; i++) {
		uint64_t value = 0;

		memcpy(&value, memory + i * from, from);
		if ((insn->opcode & 0xf0) == 0x20)
			value = (uint64_t)sign_extend(value, from);
		memcpy(data + i * to, &value, to);
	}
	return write_vector(emulator, data, insn->operand_size);
}

/* --- parts of registers ------------------------------------------------------ */

/* Where the immediate says that a part of 'size' bytes is; halves are those of a YMM. */
static unsigned int part_offset(const struct instruction *insn, unsigned int size)
{
	unsigned int total = size == VECTOR_HALF ? 2 * VECTOR_HALF : VECTOR_HALF;

	return ((unsigned int)insn->immediate & (total / size - 1)) * size;
}

int emulate_vector_insert(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	unsigned int size = insn->operand_size;
	unsigned int total = size == VECTOR_HALF ? 2 * VECTOR_HALF : VECTOR_HALF;
	uint8_t data[VECTOR_MAX];
	int error = read_other_source(emulator, data, total);

	if (!error)
		error = load_operand(emulator, data + part_offset(insn, size), size, false);
	return error ? error : write_vector(emulator, data, total);
}

/* Bits 5:4 say where, bits 3:0 which elements become 0. */
int emulate_vector_insert_ps(struct emulator *emulator)
{
	unsigned int control = (unsigned int)emulator->insn->immediate;
	uint8_t data[VECTOR_HALF];
	int error = read_other_source(emulator, data, VECTOR_HALF);

	if (!error)
		error = load_operand(emulator, data + (control >> 4 & 3) * 4, 4, false);
	if (error)
		return error;
	for (unsigned int i = 0; i < 4; i++)
		if (control >> i & 1)
			memset(data + 4 * i, 0, 4);
	return write_vector(emulator, data, VECTOR_HALF);
}

int emulate_vector_extract(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	unsigned int size = insn->operand_size;
	uint8_t data[VECTOR_MAX];
	int error = read_vector(emulator, insn->reg, data,
				size == VECTOR_HALF ? 2 * VECTOR_HALF : VECTOR_HALF);

	return error ? error : store_operand(emulator, data + part_offset(insn, size), size, false);
}

/* --- masks that are in vector registers -------------------------------------- */

static uint64_t sign_mask(const uint8_t *signs, unsigned int size, unsigned int element)
{
	uint64_t mask = 0;

	for (unsigned int i = 0; i < size / element; i++)
		mask |= (uint64_t)(signs[(i + 1) * element - 1] >> 7) << i;
	return mask;
}

/* VMASKMOVPS, VPMASKMOVD and their like. */
int emulate_vector_masked(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	bool write = insn->op == OP_VECTOR_MASKED_STORE;
	unsigned int element = insn->element_size;
	uint8_t data[VECTOR_MAX] = { 0 }, signs[VECTOR_MAX];
	int error = read_vector(emulator, insn->vvvv, signs, insn->operand_size);

	if (!error && write)
		error = read_vector(emulator, insn->reg, data, insn->operand_size);
	if (!error)
		error = access_masked(emulator, emulate_offset(emulator), data, insn->operand_size,
				      element, sign_mask(signs, insn->operand_size, element),
				      write);
	return error || write ? error : write_vector(emulator, data, insn->operand_size);
}

/* MASKMOVDQU: bytes of reg whose sign in rm is set, to DS:rDI. */
int emulate_vector_masked_bytes(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint8_t data[VECTOR_HALF], signs[VECTOR_HALF];
	int error = read_vector(emulator, insn->reg, data, VECTOR_HALF);

	if (!error)
		error = read_vector(emulator, insn->rm, signs, VECTOR_HALF);
	return error ? error :
		       access_masked(emulator, emulate_get_address_reg(emulator, REGISTER_RDI),
				     data, VECTOR_HALF, 1, sign_mask(signs, VECTOR_HALF, 1), true);
}

/* --- mask registers ---------------------------------------------------------- */

/* KMOVW, B, Q, D: by W and the prefix, which the operand's size says. */
int emulate_mask_load(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint64_t value;
	int error;

	if (!emulator->ops->mask_write)
		return -EOPNOTSUPP;
	error = emulate_load(emulator, insn->operand_size, &value);
	return error ? error : emulator->ops->mask_write(emulator, insn->reg & 7, value);
}

int emulate_mask_store(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint64_t value;
	int error;

	if (!emulator->ops->mask_read)
		return -EOPNOTSUPP;
	error = emulator->ops->mask_read(emulator, insn->reg & 7, &value);
	return error ? error : emulate_store(emulator, insn->operand_size, value);
}
