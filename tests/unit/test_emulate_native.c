// SPDX-License-Identifier: BSD-2-Clause
/*
 * The emulation engine against the real processor: random encodings of everything
 * it knows, in 64-, 32- and 16-bit code, on random registers, flags, segments and
 * memory. Both have to end with the same registers, flags, memory and next address,
 * or in the same exception.
 */
#include <cpuid.h>
#include <stdlib.h>
#include <unistd.h>

#include "native.h"
#include "unit.h"
#include "x86/emulate/emulate_internal.h"

#define CASES 30000

/* Operands are around the middle of the data; a window of it is compared. */
#define WINDOW	    (NATIVE_DATA + 0x4000)
#define WINDOW_SIZE 0x1000
#define STACK	    (WINDOW + 0x800)

#define FLAGS_ARITHMETIC                                                                 \
	(REG_RFLAGS_CF | REG_RFLAGS_PF | REG_RFLAGS_AF | REG_RFLAGS_ZF | REG_RFLAGS_SF | \
	 REG_RFLAGS_OF)

static uint64_t random_state = 0x2545f4914f6cdd1dull;

static uint64_t random_bits(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x9e3779b97f4a7c15ull;
}

static unsigned int random_below(unsigned int bound)
{
	return (unsigned int)(random_bits() >> 32) % bound;
}

/* --- the emulator's side ----------------------------------------------------------- */

static struct native_state *emulated;

/* Which code it is, and outside 64-bit mode in which segments. */
static enum decode_mode mode;
static enum native_segment segments[SEGMENT_COUNT];
static struct native_selectors selectors;

static struct seg_desc segment_desc(enum segment segment)
{
	if (mode == DECODE_64)
		return (struct seg_desc){ .base = segment == SEGMENT_GS ? NATIVE_GS_BASE : 0 };
	if (segment == SEGMENT_CS)
		return (struct seg_desc){ .limit = 0xffffffff, .access = 0xfb };
	return native_segments[segments[segment]];
}

static void op_segment(struct emulator *emulator, enum segment segment, struct seg_desc *desc)
{
	(void)emulator;
	*desc = segment_desc(segment);
}

static uint16_t op_selector(struct emulator *emulator, enum segment segment)
{
	(void)emulator;
	if (mode == DECODE_64 || segment >= SEGMENT_FS)
		return native_selector(segment);
	return segment == SEGMENT_ES ? selectors.es :
	       segment == SEGMENT_CS ? selectors.cs :
	       segment == SEGMENT_SS ? selectors.ss :
				       selectors.ds;
}

static bool is_data(uint64_t linear, unsigned int size)
{
	return linear >= NATIVE_DATA && linear + size <= NATIVE_DATA + NATIVE_DATA_SIZE;
}

static int op_probe(struct emulator *emulator, uint64_t linear, unsigned int size,
		    enum emulate_access access)
{
	if (is_data(linear, size))
		return 0;
	return emulator_page_fault(emulator, linear, access == EMULATE_READ ? 4 : 6);
}

static int op_read(struct emulator *emulator, uint64_t linear, void *data, unsigned int size,
		   enum emulate_access access)
{
	int error = op_probe(emulator, linear, size, access);

	if (!error)
		memcpy(data, (const void *)linear, size);
	return error;
}

static int op_write(struct emulator *emulator, uint64_t linear, const void *data, unsigned int size)
{
	int error = op_probe(emulator, linear, size, EMULATE_WRITE);

	if (!error)
		memcpy((void *)linear, data, size);
	return error;
}

static int op_exchange(struct emulator *emulator, uint64_t linear, const void *old, const void *new,
		       unsigned int size)
{
	CHECK(memcmp((const void *)linear, old, size) == 0);
	return op_write(emulator, linear, new, size);
}

static int op_vector_read(struct emulator *emulator, unsigned int reg, void *data,
			  unsigned int size)
{
	(void)emulator;
	memcpy(data, emulated->ymm[reg], size);
	return 0;
}

static int op_vector_write(struct emulator *emulator, unsigned int reg, const void *data,
			   unsigned int size, bool clear)
{
	(void)emulator;
	if (clear)
		memset(emulated->ymm[reg], 0, 32);
	memcpy(emulated->ymm[reg], data, size);
	return 0;
}

static const struct emulator_ops ops = {
	.segment = op_segment,
	.selector = op_selector,
	.read = op_read,
	.write = op_write,
	.probe = op_probe,
	.exchange = op_exchange,
	.vector_read = op_vector_read,
	.vector_write = op_vector_write,
};

/* As native_run(): NATIVE_DONE, or the vector. */
static int emulate(const struct instruction *insn, struct native_state *state, uint64_t *rip)
{
	struct emulator emulator = {
		.ops = &ops,
		.insn = insn,
		.cpu_mode = mode == DECODE_64 ? CPU_MODE_64BIT : CPU_MODE_COMPATIBILITY,
		.has_tzcnt = __builtin_cpu_supports("bmi"),
		.has_lzcnt = __builtin_cpu_supports("lzcnt"),
		.gpr = state->gpr,
		.rip = NATIVE_CODE,
		.rflags = state->rflags,
	};
	int result;

	emulated = state;
	do
		result = emulate_instruction(&emulator);
	while (result == EMULATE_REPEAT);
	state->rflags = emulator.rflags;
	*rip = emulator.rip;
	if (result == 0)
		return NATIVE_DONE;
	CHECK_EQ(result, -EFAULT);
	return emulator.vector;
}

/* --- an encoding ---------------------------------------------------------- */

struct encoding {
	uint8_t bytes[INSTRUCTION_MAX];
	unsigned int length;
	unsigned int displacement; /* where it is among the bytes */
	unsigned int displacement_size;
	struct instruction insn;
};

static void put(struct encoding *encoding, uint8_t byte)
{
	encoding->bytes[encoding->length++] = byte;
}

static void put_legacy_prefixes(struct encoding *encoding)
{
	static const uint8_t prefixes[2][9] = {
		{ 0x66, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0xf3, 0x26, 0x36 },
		{ 0x66, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0xf3, 0x65, 0x3e },
	};
	unsigned int count = random_below(3);

	while (count--)
		put(encoding, prefixes[mode == DECODE_64][random_below(9)]);
}

/* Any byte that is not a prefix, nor the first of a longer opcode. */
static uint8_t plain_opcode(void)
{
	for (;;) {
		uint8_t byte = (uint8_t)random_bits();

		if ((byte & 0xf0) != 0x40 && (byte & 0xe7) != 0x26 && (byte & 0xfc) != 0x64 &&
		    byte != 0x0f && byte != 0xf0 && (byte & 0xfe) != 0xf2 &&
		    (byte & 0xfe) != 0xc4 && byte != 0x62)
			return byte;
	}
}

/* The maps 0F38 and 0F3A with prefix 66 most of the time, or BMI's opcodes with any. */
static void put_vex3(struct encoding *encoding, uint8_t registers)
{
	bool bmi = random_below(2);

	if (random_below(8) == 0) { /* RORX */
		put(encoding, 0xc4);
		put(encoding, 3 | ((uint8_t)random_bits() & 0xe0) | registers);
		put(encoding, 0x7b | ((uint8_t)random_bits() & 0x80));
		put(encoding, 0xf0);
		return;
	}
	put(encoding, 0xc4);
	put(encoding,
	    (bmi || random_below(2) ? 2 : 3) | ((uint8_t)random_bits() & 0xe0) | registers);
	put(encoding, bmi ? (uint8_t)random_bits() & 0xfb :
			    ((uint8_t)random_bits() & (random_below(2) ? 0xfc : 0x84)) |
				      (random_below(4) ? 0x79 : 1));
	put(encoding, bmi ? 0xf2 + random_below(6) : (uint8_t)random_bits());
}

static void put_opcode(struct encoding *encoding)
{
	unsigned int map = random_below(10);
	uint8_t registers = mode == DECODE_64 ? 0 : 0xc0; /* VEX's R and X, which 0 makes LES */

	if (map == 9 && native_has_avx()) {
		put(encoding, 0xc5);
		put(encoding, (uint8_t)random_bits() | 0x78 | registers); /* vvvv unused */
		put(encoding, (uint8_t)random_bits());
		return;
	}
	if (map == 8 && __builtin_cpu_supports("bmi")) {
		put_vex3(encoding, registers);
		return;
	}
	put_legacy_prefixes(encoding);
	if (mode == DECODE_64 && random_below(2))
		put(encoding, 0x40 | random_below(16));
	if (map < 3) {
		put(encoding, plain_opcode());
		return;
	}
	put(encoding, 0x0f);
	if (map == 7)
		put(encoding, random_below(3) ? 0x38 : 0x3a);
	put(encoding,
	    map == 7 && random_below(2) ? 0xf0 + random_below(8) : (uint8_t)random_bits());
}

static bool has_prefix(const struct encoding *encoding, uint8_t prefix)
{
	for (unsigned int i = 0; i < 2; i++) /* they come first */
		if (encoding->bytes[i] == prefix)
			return true;
	return false;
}

static void put_rest(struct encoding *encoding)
{
	while (encoding->length < INSTRUCTION_MAX)
		put(encoding, (uint8_t)random_bits());
}

/* An operand in memory, but for MASKMOVDQU, whose is elsewhere. */
static unsigned int choose_mod(const struct encoding *encoding)
{
	unsigned int length = encoding->length;
	const uint8_t *end = encoding->bytes + length;
	bool is_maskmov = length >= 2 && end[-1] == 0xf7 &&
			  (end[-2] == 0x0f || encoding->bytes[0] == 0xc5);

	return is_maskmov ? 3 : random_below(3);
}

static void put_operand_16(struct encoding *encoding)
{
	unsigned int mod = choose_mod(encoding), rm = random_below(8);

	put(encoding, (uint8_t)(mod << 6 | random_below(8) << 3 | rm));
	encoding->displacement = encoding->length;
	encoding->displacement_size = mod == 2 || (mod == 0 && rm == 6) ? 2 : mod;
	put_rest(encoding);
}

/* ModRM, SIB and displacement of some memory operand; then bytes for immediates. */
static void put_operand(struct encoding *encoding)
{
	unsigned int mod = choose_mod(encoding), rm = random_below(8);
	uint8_t sib = (uint8_t)random_bits();
	bool has_base = true;

	put(encoding, (uint8_t)(mod << 6 | random_below(8) << 3 | rm));
	if (rm == 4 && mod != 3) {
		put(encoding, sib);
		has_base = mod != 0 || (sib & 7) != 5;
	} else if (rm == 5 && mod == 0) {
		has_base = false;
	}
	encoding->displacement = encoding->length;
	encoding->displacement_size = mod == 1 ? 1 : mod == 2 || !has_base ? 4 : 0;
	put_rest(encoding);
}

/* Supported by the engine, allowed to a process, and not set apart below. */
static bool is_wanted(const struct instruction *insn)
{
	switch (insn->op) {
	case OP_OTHER:
	case OP_CALL_FAR:
	case OP_JMP_FAR:
	case OP_MOV_TO_SEGMENT:
	case OP_INS:
	case OP_OUTS:
		return false;
	case OP_MOVS:
	case OP_CMPS:
	case OP_STOS:
	case OP_LODS:
	case OP_SCAS:
		return insn->segment != SEGMENT_FS;
	case OP_XLAT:
	case OP_VECTOR_MASKED_BYTES:
		return insn->segment != SEGMENT_FS &&
		       (mode == DECODE_64 || insn->segment != SEGMENT_GS);
	case OP_CALL:
	case OP_JMP:
		return insn->memory && insn->operand_size == (mode == DECODE_64 ? 8 : 4);
	case OP_SHLD:
	case OP_SHRD:
		return insn->memory && insn->operand_size > 2;
	case OP_MXCSR: /* and what else needs registers that the trampoline does not load */
		return false;
	default:
		return insn->memory && insn->op <= OP_VECTOR_STORE;
	}
}

static bool native_has_adx(void)
{
	unsigned int eax, ebx = 0, ecx, edx;

	return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx >> 19 & 1);
}

/* The processor may not have the instruction. */
static bool is_native(const struct instruction *insn)
{
	switch (insn->op) {
	case OP_MOVBE:
		return __builtin_cpu_supports("movbe");
	case OP_POPCNT:
		return __builtin_cpu_supports("popcnt");
	case OP_CMPXCHG8B:
		return insn->operand_size == 4 || __builtin_cpu_supports("cmpxchg16b");
	case OP_CACHE_LINE: /* CLWB and CLFLUSHOPT; CLFLUSH is where SSE2 is */
		if (insn->opcode != 0xae || !(insn->prefixes & PREFIX_OPERAND))
			return true;
		return (insn->reg & 7) == 6 ? __builtin_cpu_supports("clwb") :
					      __builtin_cpu_supports("clflushopt");
	case OP_BLS:
		return __builtin_cpu_supports("bmi") && (insn->reg & 7) - 1u < 3;
	case OP_BZHI:
	case OP_PDEP:
	case OP_PEXT:
	case OP_MULX:
	case OP_SHLX:
	case OP_SHRX:
	case OP_SARX:
	case OP_RORX:
		return __builtin_cpu_supports("bmi2");
	case OP_ADCX:
	case OP_ADOX:
		return native_has_adx();
	case OP_CRC32:
		return __builtin_cpu_supports("sse4.2");
	case OP_VECTOR_DUPLICATE:
		return __builtin_cpu_supports("sse3");
	case OP_VECTOR_EXTEND:
	case OP_VECTOR_INSERT:
	case OP_VECTOR_INSERT_PS:
	case OP_VECTOR_EXTRACT:
		return __builtin_cpu_supports("sse4.1") &&
		       (!(insn->prefixes & PREFIX_VEX) || __builtin_cpu_supports("avx2"));
	case OP_VECTOR_BROADCAST:
	case OP_VECTOR_MASKED_LOAD:
	case OP_VECTOR_MASKED_STORE:
		return __builtin_cpu_supports("avx2");
	case OP_MOV: /* MOVDIRI */
		return insn->opcode != 0xf9;
	case OP_VECTOR_LOAD: /* LDDQU, MOVNTDQA, and those that are SSE4a's or AVX2's */
	case OP_VECTOR_STORE:
		return insn->opcode != 0xf0 && insn->opcode != 0x2a && insn->opcode != 0x2b;
	default:
		return true;
	}
}

static bool make_encoding(struct encoding *encoding)
{
	*encoding = (struct encoding){ 0 };
	put_opcode(encoding);
	if (mode != DECODE_64 && (mode == DECODE_16) != has_prefix(encoding, 0x67))
		put_operand_16(encoding);
	else
		put_operand(encoding);
	if (decode_instruction(&encoding->insn, encoding->bytes, INSTRUCTION_MAX, mode))
		return false;
	encoding->length = encoding->insn.length;
	return is_wanted(&encoding->insn) && is_native(&encoding->insn);
}

/* --- operands that make sense --------------------------------------------- */

static void patch_displacement(struct encoding *encoding, unsigned int where, unsigned int size,
			       uint64_t value)
{
	memcpy(encoding->bytes + where, &value, size);
	(void)decode_instruction(&encoding->insn, encoding->bytes, INSTRUCTION_MAX, mode);
}

/* Whatever is above the address size does not count. */
static uint64_t above(const struct instruction *insn)
{
	if (mode != DECODE_64)
		return insn->address_size == 2 ? (uint32_t)random_bits() & 0xffff0000 : 0;
	return insn->address_size == 4 ? random_bits() << 32 : 0;
}

/* Chooses registers or displacement so that the operand is at 'target'. */
static bool aim(struct encoding *encoding, struct native_state *state, uint64_t target)
{
	const struct instruction *insn = &encoding->insn;

	if (insn->segment == SEGMENT_FS || (mode != DECODE_64 && insn->segment == SEGMENT_GS))
		return false;
	target -= segment_desc((enum segment)insn->segment).base;
	if (insn->form == FORM_ACC_MEM || insn->form == FORM_MEM_ACC) {
		patch_displacement(encoding, encoding->length - insn->address_size,
				   insn->address_size, target);
		return true;
	}
	if (insn->base == insn->index && insn->index != REGISTER_NONE)
		return false;
	if (insn->index != REGISTER_NONE) {
		state->gpr[insn->index] = random_below(0x100) | above(insn);
		target -= state->gpr[insn->index] << insn->scale;
	}
	if (insn->rip_relative)
		target -= NATIVE_CODE + insn->length;
	if (insn->base != REGISTER_NONE) {
		target -= (uint64_t)insn->displacement;
		state->gpr[insn->base] = low_bytes(target, insn->address_size) | above(insn);
		return true;
	}
	patch_displacement(encoding, encoding->displacement, encoding->displacement_size, target);
	return true;
}

static bool is_addressing(const struct instruction *insn, unsigned int reg)
{
	return insn->base == reg || insn->index == reg;
}

static void set_free(const struct instruction *insn, struct native_state *state, unsigned int reg,
		     uint64_t value)
{
	if (!is_addressing(insn, reg))
		state->gpr[reg] = value;
}

static uint64_t load(uint64_t address, unsigned int size)
{
	uint64_t value = 0;

	memcpy(&value, (const void *)address, size);
	return value;
}

static void prepare_string(const struct instruction *insn, struct native_state *state)
{
	uint64_t source = segment_desc((enum segment)insn->segment).base;
	uint64_t destination = segment_desc(SEGMENT_ES).base;

	state->gpr[REGISTER_RSI] =
		low_bytes(WINDOW + 0x200 + random_below(0x100) - source, insn->address_size);
	state->gpr[REGISTER_RDI] =
		low_bytes(WINDOW + 0x280 + random_below(0x100) - destination, insn->address_size);
	state->gpr[REGISTER_RCX] = random_below(12);
	/* With a count of zero some processors clear the upper halves, some do not. */
	if (state->gpr[REGISTER_RCX]) {
		state->gpr[REGISTER_RSI] |= above(insn);
		state->gpr[REGISTER_RDI] |= above(insn);
		state->gpr[REGISTER_RCX] |= above(insn);
	}
	if (random_below(2))
		state->rflags |= REG_RFLAGS_DF;
	if (random_below(2)) /* so that comparisons find something equal */
		memset((void *)(WINDOW + 0x100), 0x5a, 0x300);
	if (random_below(2))
		state->gpr[REGISTER_RAX] = 0x5a5a5a5a5a5a5a5aull;
}

static void prepare_implied(const struct instruction *insn, struct native_state *state,
			    uint64_t target)
{
	target -= segment_desc((enum segment)insn->segment).base;
	if (insn->op == OP_XLAT)
		state->gpr[REGISTER_RBX] =
			low_bytes(target - (state->gpr[REGISTER_RAX] & 0xff), insn->address_size) |
			above(insn);
	else
		state->gpr[REGISTER_RDI] = low_bytes(target, insn->address_size) | above(insn);
}

static uint64_t landing_address(void)
{
	return mode == DECODE_64 ? NATIVE_LANDING :
	       mode == DECODE_32 ? NATIVE_LANDING_32 :
				   NATIVE_LANDING_16;
}

/* Some instructions rarely do anything interesting with random values. */
static bool prepare_special(const struct instruction *insn, struct native_state *state,
			    uint64_t target)
{
	uint64_t landing = landing_address();

	switch (insn->op) {
	case OP_CALL:
	case OP_JMP:
		memcpy((void *)target, &landing, insn->operand_size);
		return true;
	case OP_CMPXCHG:
		if (random_below(2))
			set_free(insn, state, REGISTER_RAX, load(target, insn->operand_size));
		return true;
	case OP_CMPXCHG8B:
		if (random_below(2)) {
			unsigned int size = insn->operand_size;

			set_free(insn, state, REGISTER_RAX, load(target, size));
			set_free(insn, state, REGISTER_RDX, load(target + size, size));
		}
		return true;
	case OP_DIV:
	case OP_IDIV:
		if (random_below(2))
			set_free(insn, state, REGISTER_RDX, random_below(2) ? 0 : ~0ull);
		if (random_below(2))
			set_free(insn, state, REGISTER_RAX, random_bits() >> random_below(64));
		return true;
	case OP_BT:
	case OP_BTS:
	case OP_BTR:
	case OP_BTC:
		if (insn->form == FORM_RM_REG && is_addressing(insn, insn->reg))
			return false;
		if (insn->form == FORM_RM_REG)
			state->gpr[insn->reg] =
				low_bytes(random_below(4000) - 2000ull, mode == DECODE_64 ? 8 : 4);
		return true;
	default:
		return true;
	}
}

static void choose_segments(void)
{
	if (mode == DECODE_64)
		return;
	segments[SEGMENT_ES] = (enum native_segment)random_below(NATIVE_SEGMENTS);
	segments[SEGMENT_DS] = (enum native_segment)random_below(NATIVE_SEGMENTS);
	segments[SEGMENT_SS] = random_below(2) ? NATIVE_STACK16 : NATIVE_FLAT;
	native_select(mode == DECODE_32, segments[SEGMENT_ES], segments[SEGMENT_SS],
		      segments[SEGMENT_DS], &selectors);
}

/*
 * An operand's place; aligned half of the time, for the instructions that insist.
 * Outside 64-bit mode sometimes at the borders of the segments.
 */
static uint64_t choose_target(void)
{
	if (mode != DECODE_64 && random_below(4) == 0)
		return NATIVE_DATA - 16 + (random_below(2) ? NATIVE_DOWN_START : NATIVE_DATA_SIZE) +
		       random_below(20);
	return WINDOW + 0x400 + random_below(0x40) * (random_below(2) ? 32 : 1);
}

/* Is it where random values are? */
static bool is_window(uint64_t target)
{
	return target >= WINDOW && target + 64 <= WINDOW + WINDOW_SIZE;
}

/* It is not at the mercy of what is in memory, nor reaches far from its operand. */
static bool needs_no_window(uint8_t op)
{
	return op != OP_CALL && op != OP_JMP && (op < OP_BT || op > OP_BTC) &&
	       (op < OP_VECTOR_MASKED_LOAD || op > OP_VECTOR_MASKED_BYTES);
}

static bool prepare(struct encoding *encoding, struct native_state *state)
{
	uint64_t target = choose_target();

	choose_segments();
	for (unsigned int i = 0; i < 16; i++)
		state->gpr[i] = random_bits() >> (random_below(3) ? 0 : random_below(64));
	for (unsigned int i = 0; i < sizeof(state->ymm); i += 8)
		memcpy((uint8_t *)state->ymm + i, &(uint64_t){ random_bits() }, 8);
	if (!native_has_avx())
		for (unsigned int i = 0; i < 16; i++)
			memset(state->ymm[i] + 16, 0, 16);
	state->gpr[REGISTER_RSP] = STACK + random_below(0x400) - segment_desc(SEGMENT_SS).base;
	for (unsigned int i = 0; mode != DECODE_64 && i < 16; i++) {
		state->gpr[i] = i < 8 ? (uint32_t)state->gpr[i] : 0;
		if (i >= 8)
			memset(state->ymm[i], 0, sizeof(state->ymm[i]));
	}
	state->rflags = 0x202 | (random_bits() & FLAGS_ARITHMETIC);
	for (uint64_t i = WINDOW; i < WINDOW + WINDOW_SIZE; i += 8)
		memcpy((void *)i, &(uint64_t){ random_bits() >> random_below(64) }, 8);

	if (encoding->insn.memory)
		return aim(encoding, state, target) &&
		       (is_window(target) ? prepare_special(&encoding->insn, state, target) :
					    needs_no_window(encoding->insn.op));
	if (!is_window(target) && !needs_no_window(encoding->insn.op))
		return false;
	if (encoding->insn.op == OP_XLAT || encoding->insn.op == OP_VECTOR_MASKED_BYTES)
		prepare_implied(&encoding->insn, state, target);
	else
		prepare_string(&encoding->insn, state);
	return true;
}

/* --- what the manual leaves open ------------------------------------------ */

static unsigned int count_of(const struct instruction *insn, const struct native_state *state)
{
	uint64_t count = insn->form == FORM_RM_CL || insn->form == FORM_RM_REG_CL ?
				 state->gpr[REGISTER_RCX] :
				 (uint64_t)insn->immediate;

	return (unsigned int)count & (insn->operand_size == 8 ? 63 : 31);
}

static uint64_t undefined_flags_of_shift(const struct instruction *insn, unsigned int count)
{
	uint64_t flags = count == 1 ? 0 : REG_RFLAGS_OF;

	if (count == 0)
		return 0;
	if (insn->op <= OP_RCR)
		return flags;
	if (count >= 8u * insn->operand_size)
		flags |= REG_RFLAGS_CF;
	return flags | REG_RFLAGS_AF;
}

static uint64_t undefined_flags(const struct instruction *insn, const struct native_state *before)
{
	switch (insn->op) {
	case OP_AND:
	case OP_OR:
	case OP_XOR:
	case OP_TEST:
	case OP_TEST_ALIAS:
		return REG_RFLAGS_AF;
	case OP_ROL:
	case OP_ROR:
	case OP_RCL:
	case OP_RCR:
	case OP_SHL:
	case OP_SHR:
	case OP_SAL:
	case OP_SAR:
	case OP_SHLD:
	case OP_SHRD:
		return undefined_flags_of_shift(insn, count_of(insn, before));
	case OP_MUL:
	case OP_IMUL:
	case OP_IMUL_REG:
	case OP_IMUL_IMM:
		return REG_RFLAGS_SF | REG_RFLAGS_ZF | REG_RFLAGS_AF | REG_RFLAGS_PF;
	case OP_DIV:
	case OP_IDIV:
		return FLAGS_ARITHMETIC;
	case OP_BT:
	case OP_BTS:
	case OP_BTR:
	case OP_BTC:
		return REG_RFLAGS_OF | REG_RFLAGS_SF | REG_RFLAGS_AF | REG_RFLAGS_PF;
	case OP_BSF:
	case OP_BSR:
		return FLAGS_ARITHMETIC & ~REG_RFLAGS_ZF;
	case OP_TZCNT:
	case OP_LZCNT:
		return FLAGS_ARITHMETIC & ~(REG_RFLAGS_ZF | REG_RFLAGS_CF);
	case OP_ANDN:
	case OP_BLS:
	case OP_BZHI:
		return REG_RFLAGS_AF | REG_RFLAGS_PF;
	case OP_BEXTR:
		return REG_RFLAGS_AF | REG_RFLAGS_PF | REG_RFLAGS_SF;
	default:
		return 0;
	}
}

/* BSF and BSR of zero leave the destination undefined. */
static bool undefined_register(const struct instruction *insn, unsigned int reg,
			       const struct native_state *after)
{
	return (insn->op == OP_BSF || insn->op == OP_BSR) && reg == insn->reg &&
	       (after->rflags & REG_RFLAGS_ZF);
}

/* --- one case ------------------------------------------------------------- */

static uint8_t area_before[NATIVE_DATA_SIZE], area_native[NATIVE_DATA_SIZE];
static unsigned int seen[OP_COUNT], faults[32];

static void describe(const struct encoding *encoding, char *text, size_t size)
{
	size_t used = (size_t)snprintf(text, size, "op %u:", encoding->insn.op);

	for (unsigned int i = 0; i < encoding->length && used + 4 < size; i++)
		used += (size_t)snprintf(text + used, size - used, " %02x", encoding->bytes[i]);
}

static void compare(const struct encoding *encoding, const struct native_state *before,
		    const struct native_state *native, const struct native_state *emulation,
		    const char *what)
{
	uint64_t flags = ~undefined_flags(&encoding->insn, before);
	unsigned int size = mode == DECODE_64 ? 8 : 4;

	for (unsigned int i = 0; i < (mode == DECODE_64 ? 16 : 8); i++)
		if (!undefined_register(&encoding->insn, i, native))
			CHECK_EQ_AT(low_bytes(emulation->gpr[i], size),
				    low_bytes(native->gpr[i], size), "register %u, %s", i, what);
	/* PUSHF may show RF or not; the rest of the flags is as loaded. */
	flags &= FLAGS_ARITHMETIC | REG_RFLAGS_DF;
	CHECK_EQ_AT(emulation->rflags & flags, native->rflags & flags, "before %#llx, %s",
		    (unsigned long long)before->rflags, what);
	for (unsigned int i = 0; i < 16; i++)
		if (memcmp(emulation->ymm[i], native->ymm[i], 32) != 0)
			unit_fail(__FILE__, __LINE__, "vector register %u, %s", i, what);
}

static int run_native(const struct encoding *encoding, struct native_state *state)
{
	if (mode == DECODE_64)
		return native_run(encoding->bytes, encoding->length, state);
	return native_run_legacy(mode == DECODE_32, &selectors, encoding->bytes, encoding->length,
				 state);
}

/* An operand neither aligned nor within the stack segment: which is seen first is free. */
static bool either_fault(const struct instruction *insn, int native, int emulated)
{
	return insn->aligned && native == VECTOR_GP && emulated == VECTOR_SS;
}

static void run_case(struct encoding *encoding)
{
	struct native_state before, native, emulation;
	const struct instruction *insn = &encoding->insn;
	int native_result, emulated_result;
	uint64_t rip, next;
	char what[80];

	if (!prepare(encoding, &before))
		return;
	describe(encoding, what, sizeof(what));
	native = emulation = before;
	memcpy(area_before, (void *)NATIVE_DATA, NATIVE_DATA_SIZE);
	native_result = run_native(encoding, &native);
	memcpy(area_native, (void *)NATIVE_DATA, NATIVE_DATA_SIZE);
	memcpy((void *)NATIVE_DATA, area_before, NATIVE_DATA_SIZE);
	emulated_result = emulate(insn, &emulation, &rip);

	if (!either_fault(insn, native_result, emulated_result))
		CHECK_EQ_AT(emulated_result, native_result, "%s; %s", what, native_trap());
	seen[insn->op]++;
	next = insn->op == OP_CALL || insn->op == OP_JMP ? landing_address() :
							   NATIVE_CODE + (uint64_t)insn->length;
	if (native_result != NATIVE_DONE) {
		faults[native_result & 31]++;
		/* A string may have got further before. */
		if (insn->op < OP_MOVS || insn->op > OP_OUTS)
			compare(encoding, &before, &before, &emulation, what);
		next = NATIVE_CODE;
	} else {
		compare(encoding, &before, &native, &emulation, what);
	}
	CHECK_EQ_AT(rip, next, "%s", what);
	if (memcmp((void *)NATIVE_DATA, area_native, NATIVE_DATA_SIZE) != 0)
		unit_fail(__FILE__, __LINE__, "memory differs, %s", what);
}

static void run_cases(enum decode_mode code, unsigned int cases)
{
	struct encoding encoding;

	mode = code;
	for (unsigned int done = 0; done < cases; done++) {
		while (!make_encoding(&encoding))
			;
		run_case(&encoding);
	}
}

/* Every operation has had its turn. */
static void check_seen(void)
{
	for (unsigned int op = OP_ADD; op <= OP_VECTOR_STORE; op++) {
		struct instruction insn = { .op = (uint8_t)op,
					    .memory = true,
					    .operand_size = mode == DECODE_64 ? 8 : 4,
					    .segment = SEGMENT_DS };

		if (is_wanted(&insn) && is_native(&insn) && op != OP_BLS)
			CHECK_EQ_AT(seen[op] >= (mode == DECODE_16 ? 1 : 5), 1, "operation %u", op);
	}
}

TEST(code_64)
{
	native_init();
	run_cases(DECODE_64, CASES);
	check_seen();
	CHECK(faults[VECTOR_DE] > 10);
	CHECK(faults[VECTOR_GP] > 10);
}

static void check_legacy(enum decode_mode code)
{
	native_init();
	if (!native_legacy_init()) {
		printf("this kernel has no modify_ldt: only 64-bit code is tested\n");
		return;
	}
	run_cases(code, CASES);
	check_seen();
	CHECK(faults[VECTOR_DE] > 10);
	CHECK(faults[VECTOR_GP] > 1000);
	CHECK(faults[VECTOR_SS] > 10);
}

TEST(code_32)
{
	check_legacy(DECODE_32);
}

TEST(code_16)
{
	check_legacy(DECODE_16);
}
