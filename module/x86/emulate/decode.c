// SPDX-License-Identifier: BSD-2-Clause
/*
 * The instruction decoder: prefixes, opcode, ModRM and SIB, immediates (APM vol. 3,
 * chapter 1). What an opcode means is in decode_table.c.
 *
 * A MOV between a register and device memory is what exits most; decode_instruction()
 * is laid out as its fast path, the rest branches off.
 */
#include "x86/emulate/decode_table.h"

#define REX_W 8
#define REX_R 4
#define REX_X 2
#define REX_B 1

#define SEGMENT_DEFAULT 0xff

/* VEX's, XOP's and EVEX's selection of an opcode map. */
#define MAP_0F	 1
#define MAP_0F38 2
#define MAP_0F3A 3

struct decoder {
	const uint8_t *bytes;
	unsigned int count;
	unsigned int position;
	enum decode_mode mode;
	struct instruction *insn;

	uint8_t prefixes;    /* PREFIX_* */
	uint8_t segment;     /* override, or SEGMENT_DEFAULT */
	uint8_t rex;	     /* REX_* bits, also out of VEX */
	uint8_t mandatory;   /* column of opcode_mandatory */
	uint8_t vector_size; /* of VEX and EVEX: 16, 32, 64; else 0 */
	bool vex_vvvv;	     /* a register is named there, even one that 32-bit modes lack */
	bool vex_w;	     /* in all modes, while REX_W is 64-bit mode's */
	bool evex;	     /* a displacement of one byte counts operands */
	bool evex_reg_16;    /* ModRM.reg names one of registers 16 to 31 */
	uint8_t modrm;

	/* The row in use, with a group's flags added. */
	uint8_t op;
	uint8_t form;
	uint32_t flags;
};

/* Why there is no further byte. */
static int out_of_bytes(const struct decoder *decoder)
{
	return decoder->position >= INSTRUCTION_MAX ? -E2BIG : -ENODATA;
}

/* The next byte (0..255), or a negative errno. */
static inline int next_byte(struct decoder *decoder)
{
	if (unlikely(decoder->position >= decoder->count))
		return out_of_bytes(decoder);
	return decoder->bytes[decoder->position++];
}

static inline int peek_byte(const struct decoder *decoder)
{
	if (unlikely(decoder->position >= decoder->count))
		return out_of_bytes(decoder);
	return decoder->bytes[decoder->position];
}

/* The next 'size' (1, 2, 4, 8) bytes, sign-extended. */
static inline int next_value(struct decoder *decoder, unsigned int size, int64_t *value)
{
	const uint8_t *bytes = decoder->bytes + decoder->position;
	uint64_t result = 0;
	unsigned int i;

	if (unlikely(decoder->count - decoder->position < size)) {
		decoder->position = decoder->count;
		return out_of_bytes(decoder);
	}
	decoder->position += size;
	if (size == 1) {
		*value = (int64_t)((uint64_t)bytes[0] << 56) >> 56;
		return 0;
	}
	if (size == 4) {
		*value = (int32_t)(bytes[0] | bytes[1] << 8 | bytes[2] << 16 |
				   (uint32_t)bytes[3] << 24);
		return 0;
	}
	for (i = 0; i < size; i++)
		result |= (uint64_t)bytes[i] << (8 * i);
	*value = size == 2 ? (int16_t)result : (int64_t)result;
	return 0;
}

static inline void use_row(struct decoder *decoder, const struct opcode_row *row)
{
	decoder->op = row->op;
	decoder->form = row->form;
	decoder->flags = row->flags;
}

/* --- prefixes ------------------------------------------------------------- */

/* In 64-bit mode overrides other than FS and GS are as if not there. */
static void segment_prefix(struct decoder *decoder, uint8_t segment)
{
	if (decoder->mode == DECODE_64 && segment < SEGMENT_FS)
		return;
	decoder->segment = segment;
	decoder->prefixes |= PREFIX_SEGMENT;
}

static void legacy_prefix(struct decoder *decoder, uint8_t byte)
{
	switch (byte) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
		segment_prefix(decoder, byte >> 3 & 3);
		break;
	case 0x64:
	case 0x65:
		segment_prefix(decoder, byte & 7);
		break;
	case 0x66:
		decoder->prefixes |= PREFIX_OPERAND;
		break;
	case 0x67:
		decoder->prefixes |= PREFIX_ADDRESS;
		break;
	case 0xf0:
		decoder->prefixes |= PREFIX_LOCK;
		break;
	case 0xf2:
		decoder->prefixes = (decoder->prefixes & ~PREFIX_REP) | PREFIX_REPNE;
		break;
	default: /* 0xf3 */
		decoder->prefixes = (decoder->prefixes & ~PREFIX_REPNE) | PREFIX_REP;
		break;
	}
}

/* Consumes prefixes; the opcode's first byte, or a negative errno. */
static inline int decode_prefixes(struct decoder *decoder)
{
	uint8_t rex = 0;
	int byte;

	while ((byte = next_byte(decoder)) >= 0) {
		if (decoder->mode == DECODE_64 && (byte & 0xf0) == 0x40) {
			rex = (uint8_t)byte;
			continue;
		}
		if (likely(!(opcode_one_byte[byte].flags & ROW_PREFIX)))
			break;
		/* REX counts only right before the opcode (APM vol. 3, 1.2.7). */
		rex = 0;
		legacy_prefix(decoder, (uint8_t)byte);
	}
	if (rex) {
		decoder->rex = rex & 0xf;
		decoder->prefixes |= PREFIX_REX;
	}
	return byte;
}

/* --- VEX, XOP, EVEX -------------------------------------------------------- */

/* These prefixes may not come before them (APM vol. 3, 1.2.9). */
static bool vex_forbidden(const struct decoder *decoder)
{
	return decoder->prefixes &
	       (PREFIX_LOCK | PREFIX_REP | PREFIX_REPNE | PREFIX_OPERAND | PREFIX_REX);
}

/* Opcodes of the vector forms of map 0F that have an immediate byte. */
static bool vex_0f_immediate(uint8_t opcode)
{
	return (opcode >= 0x70 && opcode <= 0x73) || opcode == 0xc2 ||
	       (opcode >= 0xc4 && opcode <= 0xc6);
}

static uint32_t vex_flags(unsigned int map, uint8_t opcode)
{
	if (map == MAP_0F && vex_0f_immediate(opcode))
		return ROW_MODRM | ROW_IMM8;
	return map == MAP_0F3A ? ROW_MODRM | ROW_IMM8 : ROW_MODRM;
}

/* A vector instruction of which only the length is known. */
static void use_plain(struct decoder *decoder, uint32_t flags)
{
	decoder->op = OP_OTHER;
	decoder->form = FORM_NONE;
	decoder->flags = flags;
}

static bool is_vector_move(uint8_t op)
{
	return op >= OP_VECTOR_LOAD && op <= OP_VECTOR_STORE;
}

/* Of BMI and BMI2. */
static bool is_bmi(uint8_t op)
{
	return op >= OP_ANDN && op <= OP_RORX;
}

/* The operations that VEX has with the meaning that the tables give. */
static bool is_vex_op(uint8_t op)
{
	return is_vector_move(op) || is_bmi(op);
}

/* Opcodes of map 0F that are something else without VEX. */
static const struct opcode_row *vex_0f_row(uint8_t opcode)
{
	static const struct opcode_row kmov[] = {
		{ MANDATORY_KMOV_LOAD, FORM_NONE, ROW_MANDATORY },
		{ MANDATORY_KMOV_STORE, FORM_NONE, ROW_MANDATORY },
	};
	static const struct opcode_row mxcsr = { OP_MXCSR, FORM_RM, ROW_MODRM | ROW_SIZE4 };

	if (opcode == 0xae)
		return &mxcsr;
	return opcode == 0x90 || opcode == 0x91 ? &kmov[opcode & 1] : &opcode_0f[opcode];
}

static const struct opcode_row *vex_row(const struct decoder *decoder, unsigned int map,
					uint8_t opcode)
{
	const struct opcode_row *row = map == MAP_0F   ? vex_0f_row(opcode) :
				       map == MAP_0F38 ? &opcode_vex_0f38[opcode] :
							 &opcode_0f3a[opcode];

	return row->flags & ROW_MANDATORY ? &opcode_mandatory[row->op][decoder->mandatory] : row;
}

/* KMOVW, KMOVB, KMOVQ, KMOVD. */
static uint32_t kmov_size(const struct decoder *decoder)
{
	if (decoder->vex_w)
		return decoder->mandatory ? ROW_SIZE4 : ROW_SIZE8;
	return decoder->mandatory ? ROW_BYTE : ROW_SIZE2;
}

/* What only VEX has of a row: sizes by W. */
static void use_vex_sizes(struct decoder *decoder, uint8_t opcode)
{
	if (decoder->op == OP_MASK_LOAD || decoder->op == OP_MASK_STORE)
		decoder->flags |= kmov_size(decoder);
	else if (opcode < 0x30) /* VMASKMOVPS, VMASKMOVPD */
		decoder->insn->element_size = opcode & 1 ? 8 : 4;
	else /* VPMASKMOVD, VPMASKMOVQ */
		decoder->insn->element_size = decoder->vex_w ? 8 : 4;
}

static int use_vex_row(struct decoder *decoder, unsigned int map, uint8_t opcode)
{
	const struct opcode_row *row;
	uint32_t flags = vex_flags(map, opcode);

	if (map < MAP_0F || map > MAP_0F3A)
		return -EINVAL;
	if (map == MAP_0F && opcode == 0x77) /* VZEROUPPER, VZEROALL */
		flags = 0;
	use_plain(decoder, flags);
	row = vex_row(decoder, map, opcode);
	if (is_vex_op(row->op) || row->op == OP_MASK_LOAD || row->op == OP_MASK_STORE ||
	    row->op == OP_MXCSR) {
		use_row(decoder, row);
		decoder->flags |= flags;
		use_vex_sizes(decoder, opcode);
	}
	return 0;
}

/* The last payload byte, of VEX and XOP alike: W vvvv L pp. */
static void vex_payload(struct decoder *decoder, uint8_t payload)
{
	decoder->mandatory = payload & 3;
	decoder->vector_size = payload & 4 ? 32 : 16;
	decoder->vex_vvvv = (payload & 0x78) != 0x78;
	decoder->insn->vvvv = (~payload >> 3) & (decoder->mode == DECODE_64 ? 0xf : 7);
	decoder->prefixes |= PREFIX_VEX;
}

/* RXB and W count in 64-bit mode only. */
static void vex_rex(struct decoder *decoder, uint8_t rex)
{
	decoder->rex = decoder->mode == DECODE_64 ? rex : 0;
}

static int decode_vex2(struct decoder *decoder)
{
	int payload = next_byte(decoder);
	int opcode = next_byte(decoder);

	if (opcode < 0)
		return opcode;
	vex_payload(decoder, (uint8_t)payload);
	vex_rex(decoder, payload & 0x80 ? 0 : REX_R);
	decoder->insn->opcode = (uint8_t)opcode;
	return use_vex_row(decoder, MAP_0F, (uint8_t)opcode);
}

/* VEX of three bytes and XOP: RXB and map, then the payload. The map, or an errno. */
static int vex3_bytes(struct decoder *decoder)
{
	int first = next_byte(decoder);
	int payload = next_byte(decoder);
	int opcode = next_byte(decoder);

	if (opcode < 0)
		return opcode;
	vex_payload(decoder, (uint8_t)payload);
	decoder->vex_w = payload & 0x80;
	vex_rex(decoder, (~first >> 5 & 7) | (payload & 0x80 ? REX_W : 0));
	decoder->insn->opcode = (uint8_t)opcode;
	return first & 0x1f;
}

static int decode_vex3(struct decoder *decoder)
{
	int map = vex3_bytes(decoder);

	return map < 0 ? map : use_vex_row(decoder, (unsigned int)map, decoder->insn->opcode);
}

static int decode_xop(struct decoder *decoder)
{
	int map;

	if (vex_forbidden(decoder))
		return -EINVAL;
	map = vex3_bytes(decoder);
	if (map < 0)
		return map;
	if (map < 8 || map > 10)
		return -EINVAL;
	use_plain(decoder, ROW_MODRM | (map == 8 ? ROW_IMM8 : 0) | (map == 10 ? ROW_IMMZ : 0));
	return 0;
}

/* Size of the elements that a mask is about: by W in the forms for integers, else by prefix. */
static uint8_t evex_element_size(const struct decoder *decoder, uint8_t opcode)
{
	bool wide = decoder->vex_w;

	if (opcode != 0x6f && opcode != 0x7f)
		return decoder->mandatory & 1 ? 8 : 4;
	if (decoder->mandatory == 3) /* VMOVDQU8, VMOVDQU16 */
		return wide ? 2 : 1;
	return wide ? 8 : 4;
}

/* The moves, which are VEX's with longer registers, more of them, and masks. */
static void use_evex_row(struct decoder *decoder, unsigned int map, uint8_t opcode)
{
	const struct opcode_row *row;
	uint8_t column = decoder->mandatory;

	use_plain(decoder, vex_flags(map, opcode));
	if (map != MAP_0F && map != MAP_0F38)
		return;
	if (column == 3 && (opcode == 0x6f || opcode == 0x7f))
		decoder->mandatory = 2; /* as if for VMOVDQU32 */
	row = vex_row(decoder, map, opcode);
	decoder->mandatory = column;
	if (!is_vector_move(row->op) || (map == MAP_0F38 && opcode != 0x2a))
		return;
	use_row(decoder, row);
	decoder->flags |= ROW_MODRM;
	decoder->insn->element_size = evex_element_size(decoder, opcode);
}

/* P0: R X B R' 0 m m m; P1: W vvvv 1 pp; P2: z L'L b V' aaa (SDM vol. 2, 2.7.1). */
static void evex_payload(struct decoder *decoder, int first, int second, int third)
{
	unsigned int length = third >> 5 & 3;

	vex_payload(decoder, (uint8_t)second);
	vex_rex(decoder, (~first >> 5 & 7) | (second & 0x80 ? REX_W : 0));
	decoder->vex_w = second & 0x80;
	decoder->evex = true;
	decoder->evex_reg_16 = decoder->mode == DECODE_64 && !(first & 0x10);
	decoder->vector_size = (uint8_t)(16u << (length < 3 ? length : 2));
	if (decoder->mode == DECODE_64 && !(third & 8))
		decoder->insn->vvvv |= 16;
	decoder->vex_vvvv |= !(third & 8);
	decoder->insn->mask = third & 7;
	decoder->insn->zeroing = third & 0x80;
}

static int decode_evex(struct decoder *decoder)
{
	int first = next_byte(decoder);
	int second = next_byte(decoder);
	int third = next_byte(decoder);
	int opcode = next_byte(decoder);
	unsigned int map = first & 7;

	if (opcode < 0)
		return opcode;
	if (vex_forbidden(decoder) || (first & 8) || !(second & 4) || map == 0 || map == 4 ||
	    map == 7)
		return -EINVAL;
	decoder->insn->opcode = (uint8_t)opcode;
	evex_payload(decoder, first, second, third);
	use_evex_row(decoder, map, (uint8_t)opcode);
	return 0;
}

/* --- opcodes with a story --------------------------------------------------- */

/* Outside 64-bit mode, a second byte that would be a register form means VEX or EVEX. */
static int is_vector_prefix(const struct decoder *decoder)
{
	int byte = peek_byte(decoder);

	if (byte < 0)
		return byte;
	return decoder->mode == DECODE_64 || (byte & 0xc0) == 0xc0;
}

static int special_c4_c5(struct decoder *decoder, uint8_t opcode)
{
	int vector = is_vector_prefix(decoder);

	if (vector < 0)
		return vector;
	if (!vector) {
		use_plain(decoder, ROW_MODRM); /* LES, LDS */
		return 0;
	}
	if (vex_forbidden(decoder))
		return -EINVAL;
	return opcode == 0xc5 ? decode_vex2(decoder) : decode_vex3(decoder);
}

static int special_62(struct decoder *decoder)
{
	int vector = is_vector_prefix(decoder);

	if (vector < 0)
		return vector;
	if (vector)
		return decode_evex(decoder);
	use_plain(decoder, ROW_MODRM); /* BOUND */
	return 0;
}

static int special_8f(struct decoder *decoder)
{
	static const struct opcode_row pop = { GROUP_1A, FORM_NONE, ROW_GROUP | ROW_MODRM };
	int byte = peek_byte(decoder);

	if (byte < 0)
		return byte;
	if ((byte & 0x1f) >= 8)
		return decode_xop(decoder);
	use_row(decoder, &pop);
	return 0;
}

static int special_0f38(struct decoder *decoder)
{
	int opcode = next_byte(decoder);

	if (opcode < 0)
		return opcode;
	decoder->insn->opcode = (uint8_t)opcode;
	use_row(decoder, &opcode_0f38[opcode]);
	return 0;
}

static int special_0f3a(struct decoder *decoder)
{
	int opcode = next_byte(decoder);

	if (opcode < 0)
		return opcode;
	decoder->insn->opcode = (uint8_t)opcode;
	use_row(decoder, &opcode_0f3a[opcode]);
	if ((opcode & 0xde) == 0x18 || opcode == 0xf0) /* VINSERT, VEXTRACT, RORX */
		use_plain(decoder, ROW_MODRM | ROW_IMM8);
	return 0;
}

static int special_63(struct decoder *decoder)
{
	static const struct opcode_row movsxd = { OP_MOVSX, FORM_REG_RM, ROW_MODRM | ROW_SOURCE4 };

	if (decoder->mode == DECODE_64)
		use_row(decoder, &movsxd);
	else
		use_plain(decoder, ROW_MODRM); /* ARPL */
	return 0;
}

static int special_90(struct decoder *decoder)
{
	use_plain(decoder, 0);
	if ((decoder->prefixes & PREFIX_REP) && !(decoder->rex & REX_B))
		decoder->op = OP_PAUSE;
	return 0;
}

/* Opcodes of the one-byte map that mean several things. */
static int special_one_byte(struct decoder *decoder, uint8_t opcode)
{
	switch (opcode) {
	case 0x62:
		return special_62(decoder);
	case 0x63:
		return special_63(decoder);
	case 0x8f:
		return special_8f(decoder);
	case 0x90:
		return special_90(decoder);
	default: /* 0xc4, 0xc5 */
		return special_c4_c5(decoder, opcode);
	}
}

static int decode_0f(struct decoder *decoder)
{
	int opcode = next_byte(decoder);

	if (opcode < 0)
		return opcode;
	if (opcode == 0x38)
		return special_0f38(decoder);
	if (opcode == 0x3a)
		return special_0f3a(decoder);
	decoder->insn->opcode = (uint8_t)opcode;
	use_row(decoder, &opcode_0f[opcode]);
	return 0;
}

/* Adds a row's flags to those of the opcode that led to it. */
static int use_group_row(struct decoder *decoder, const struct opcode_row *row)
{
	decoder->op = row->op;
	decoder->form = row->form;
	decoder->flags = (decoder->flags & ~ROW_REDIRECT) | row->flags;
	return row->flags & ROW_UNDEFINED ? -EINVAL : 0;
}

/* CLWB, CLFLUSH and CLFLUSHOPT among the memory forms of 0f ae. */
static bool is_cache_line(const struct decoder *decoder, unsigned int reg)
{
	if (decoder->prefixes & (PREFIX_REP | PREFIX_REPNE))
		return false;
	return reg == 7 || (reg == 6 && (decoder->prefixes & PREFIX_OPERAND));
}

/* Memory forms of 0f ae: FXSAVE, FXRSTOR, LDMXCSR, STMXCSR; XSAVE and others are plain. */
static void use_0fae_row(struct decoder *decoder, unsigned int reg)
{
	static const struct opcode_row rows[] = {
		{ OP_FXSAVE, FORM_RM, ROW_MODRM },
		{ OP_FXRSTOR, FORM_RM, ROW_MODRM },
		{ OP_MXCSR, FORM_RM, ROW_MODRM | ROW_SIZE4 },
		{ OP_MXCSR, FORM_RM, ROW_MODRM | ROW_SIZE4 },
	};
	static const struct opcode_row cache_line = { OP_CACHE_LINE, FORM_RM,
						      ROW_MODRM | ROW_BYTE };

	if (is_cache_line(decoder, reg))
		use_row(decoder, &cache_line);
	else if (reg < ARRAY_SIZE(rows) && !(decoder->prefixes & (PREFIX_REP | PREFIX_REPNE)))
		use_row(decoder, &rows[reg]);
}

/* Opcodes of map 0F whose register forms are another group than their memory forms. */
static int special_modrm(struct decoder *decoder)
{
	bool memory = decoder->modrm < 0xc0;
	unsigned int reg = decoder->modrm >> 3 & 7;

	switch (decoder->insn->opcode) {
	case 0x01:
		return use_group_row(decoder, memory ? &opcode_groups[GROUP_7][reg] :
						       &opcode_0f01_register[decoder->modrm & 63]);
	case 0xae:
		use_plain(decoder, ROW_MODRM); /* fences, RDFSBASE, XSAVE ... */
		if (memory)
			use_0fae_row(decoder, reg);
		return 0;
	default: /* 0xc7 */
		return use_group_row(decoder,
				     &opcode_groups[memory ? GROUP_9 : GROUP_9_REGISTER][reg]);
	}
}

/* The column of opcode_mandatory; VEX names it, else prefixes do. */
static unsigned int mandatory_column(const struct decoder *decoder)
{
	if (decoder->prefixes & PREFIX_VEX)
		return decoder->mandatory;
	if (decoder->prefixes & PREFIX_REPNE)
		return 3;
	if (decoder->prefixes & PREFIX_REP)
		return 2;
	return decoder->prefixes & PREFIX_OPERAND ? 1 : 0;
}

/* Follows a row that leads to another one. The ModRM byte is known by now. */
static int redirect_row(struct decoder *decoder)
{
	if (decoder->flags & ROW_UNDEFINED)
		return -EINVAL;
	if (decoder->flags & ROW_GROUP)
		return use_group_row(decoder, &opcode_groups[decoder->op][decoder->modrm >> 3 & 7]);
	if (decoder->flags & ROW_MANDATORY)
		return use_group_row(decoder,
				     &opcode_mandatory[decoder->op][mandatory_column(decoder)]);
	return special_modrm(decoder);
}

/* --- operands ---------------------------------------------------------------- */

#define ROW_ANY_SIZE                                                                   \
	(ROW_BYTE | ROW_DEFAULT_64 | ROW_NATIVE | ROW_VECTOR | ROW_SIZE4 | ROW_SIZE8 | \
	 ROW_SIZE_W | ROW_SIZE16 | ROW_MAX4)

/* Operand size of opcodes that do not simply follow mode and prefixes. */
static unsigned int odd_operand_size(const struct decoder *decoder, unsigned int usual)
{
	bool long_mode = decoder->mode == DECODE_64;

	if (decoder->flags & ROW_BYTE)
		return 1;
	if (decoder->flags & ROW_VECTOR)
		return decoder->vector_size ? decoder->vector_size : 16;
	if (decoder->flags & ROW_SIZE16)
		return 16;
	if (decoder->flags & ROW_SIZE4)
		return 4;
	if (decoder->flags & ROW_SIZE8)
		return 8;
	if (decoder->flags & ROW_SIZE_W)
		return decoder->rex & REX_W ? 8 : 4;
	if (decoder->flags & ROW_MAX4)
		return usual == 8 ? 4 : usual;
	if (decoder->flags & ROW_NATIVE)
		return long_mode ? 8 : 4;
	return long_mode && usual == 4 ? 8 : usual; /* ROW_DEFAULT_64 */
}

static inline unsigned int operand_size(const struct decoder *decoder)
{
	bool prefix = decoder->prefixes & PREFIX_OPERAND;
	unsigned int usual;

	if (decoder->rex & REX_W)
		usual = 8;
	else
		usual = (decoder->mode == DECODE_16) == prefix ? 4 : 2;
	if (unlikely(decoder->flags & ROW_ANY_SIZE))
		return odd_operand_size(decoder, usual);
	return usual;
}

static inline unsigned int address_size(const struct decoder *decoder)
{
	bool prefix = decoder->prefixes & PREFIX_ADDRESS;

	if (decoder->mode == DECODE_64)
		return prefix ? 4 : 8;
	return (decoder->mode == DECODE_16) == prefix ? 4 : 2;
}

static inline void set_operand_segment(struct decoder *decoder, enum segment usual)
{
	decoder->insn->segment = decoder->segment == SEGMENT_DEFAULT ? (uint8_t)usual :
								       decoder->segment;
}

/* APM vol. 3, table 1-16: BX+SI, BX+DI, BP+SI, BP+DI, SI, DI, BP, BX. */
static int decode_memory_16(struct decoder *decoder)
{
	static const uint8_t base[8] = { 3, 3, 5, 5, 6, 7, 5, 3 };
	/* clang-format off */
	static const uint8_t index[8] = {
		6, 7, 6, 7, REGISTER_NONE, REGISTER_NONE, REGISTER_NONE, REGISTER_NONE,
	};
	/* clang-format on */
	struct instruction *insn = decoder->insn;
	unsigned int mod = decoder->modrm >> 6;
	unsigned int rm = decoder->modrm & 7;
	bool absolute = mod == 0 && rm == 6;

	insn->base = absolute ? REGISTER_NONE : base[rm];
	insn->index = index[rm];
	set_operand_segment(decoder, insn->base == 5 ? SEGMENT_SS : SEGMENT_DS);
	if (absolute || mod == 2)
		return next_value(decoder, 2, &insn->displacement);
	return mod == 1 ? next_value(decoder, 1, &insn->displacement) : 0;
}

/* A SIB byte: base, index and scale (APM vol. 3, 1.4.3). */
static int decode_sib(struct decoder *decoder)
{
	struct instruction *insn = decoder->insn;
	uint8_t index;
	int sib = next_byte(decoder);

	if (sib < 0)
		return sib;
	index = (sib >> 3 & 7) | (decoder->rex & REX_X ? 8 : 0);
	insn->scale = (uint8_t)(sib >> 6);
	insn->index = index == 4 ? REGISTER_NONE : index;
	insn->base = (sib & 7) | (decoder->rex & REX_B ? 8 : 0);
	if ((sib & 7) == 5 && decoder->modrm < 0x40)
		insn->base = REGISTER_NONE;
	return 0;
}

static inline int decode_memory_32(struct decoder *decoder)
{
	struct instruction *insn = decoder->insn;
	unsigned int mod = decoder->modrm >> 6;
	unsigned int rm = decoder->modrm & 7;
	int error;

	insn->base = (uint8_t)(rm | (decoder->rex & REX_B ? 8 : 0));
	if (rm == 4) {
		error = decode_sib(decoder);
		if (error)
			return error;
	} else if (rm == 5 && mod == 0) {
		insn->base = REGISTER_NONE;
		insn->rip_relative = decoder->mode == DECODE_64;
	}
	set_operand_segment(decoder, insn->base == 4 || insn->base == 5 ? SEGMENT_SS : SEGMENT_DS);
	if (mod == 2 || (mod == 0 && insn->base == REGISTER_NONE))
		return next_value(decoder, 4, &insn->displacement);
	return mod == 1 ? next_value(decoder, 1, &insn->displacement) : 0;
}

/* A displacement of one byte is in units of the operand (SDM vol. 2, 2.7.5). */
static int decode_evex_memory(struct decoder *decoder)
{
	struct instruction *insn = decoder->insn;
	int error = insn->address_size == 2 ? decode_memory_16(decoder) : decode_memory_32(decoder);

	if (decoder->modrm >> 6 == 1)
		insn->displacement *= insn->operand_size;
	if (decoder->evex_reg_16)
		insn->reg |= 16;
	return error;
}

/* What the ModRM byte says; 'modrm' has been read. */
static inline int decode_modrm(struct decoder *decoder)
{
	struct instruction *insn = decoder->insn;

	insn->reg = (decoder->modrm >> 3 & 7) | (decoder->rex & REX_R ? 8 : 0);
	insn->rm = (decoder->modrm & 7) | (decoder->rex & REX_B ? 8 : 0);
	if (decoder->modrm >= 0xc0 || unlikely(decoder->flags & ROW_REGISTER))
		return 0;
	insn->memory = true;
	if (unlikely(decoder->evex))
		return decode_evex_memory(decoder);
	if (insn->address_size == 2)
		return decode_memory_16(decoder);
	return decode_memory_32(decoder);
}

#define ROW_ANY_IMMEDIATE \
	(ROW_IMM8 | ROW_IMM8_MORE | ROW_IMM16 | ROW_IMMZ | ROW_IMMV | ROW_OFFSET | ROW_ONE)

/* Two- and four-byte immediates by the operand size, which may be 8 (or a vector's). */
static unsigned int immediate_size(const struct decoder *decoder)
{
	unsigned int size = decoder->insn->operand_size;

	if (decoder->flags & ROW_IMMV)
		return size;
	return size == 2 ? 2 : 4;
}

static int decode_immediates(struct decoder *decoder)
{
	struct instruction *insn = decoder->insn;
	uint32_t flags = decoder->flags;
	int error = 0;

	if (flags & (ROW_IMMZ | ROW_IMMV))
		error = next_value(decoder, immediate_size(decoder), &insn->immediate);
	if (!error && (flags & ROW_IMM16))
		error = next_value(decoder, 2, &insn->immediate);
	if (!error && (flags & ROW_IMM8))
		error = next_value(decoder, 1, &insn->immediate);
	if (!error && (flags & ROW_IMM8_MORE))
		error = next_value(decoder, 1, &insn->immediate);
	if (!error && (flags & ROW_OFFSET)) {
		error = next_value(decoder, insn->address_size, &insn->displacement);
		insn->memory = true;
		set_operand_segment(decoder, SEGMENT_DS);
	}
	if (flags & ROW_ONE)
		insn->immediate = 1;
	return error;
}

/* Sizes that only some instructions have. */
static void odd_sizes(struct decoder *decoder)
{
	struct instruction *insn = decoder->insn;

	if ((decoder->flags & ROW_SIZE2) && insn->memory)
		insn->operand_size = 2;
	insn->source_size = insn->operand_size;
	if (decoder->flags & ROW_SOURCE1)
		insn->source_size = 1;
	if (decoder->flags & ROW_SOURCE2)
		insn->source_size = 2;
	if (decoder->flags & ROW_SOURCE4)
		insn->source_size = insn->operand_size < 4 ? insn->operand_size : 4;
	if (decoder->flags & ROW_SOURCE8)
		insn->source_size = 8;
	if (decoder->flags & ROW_SOURCE16)
		insn->source_size = 16;
	insn->aligned = decoder->flags & ROW_ALIGNED;
	if (decoder->op == OP_VECTOR_MASKED_BYTES) /* at rDI, though ModRM names registers */
		set_operand_segment(decoder, SEGMENT_DS);
}

/* Moves that VEX gives a third operand. */
static bool has_third_operand(uint8_t op)
{
	switch (op) {
	case OP_VECTOR_LOAD_LOW:
	case OP_VECTOR_LOAD_HIGH:
	case OP_VECTOR_INSERT:
	case OP_VECTOR_INSERT_PS:
	case OP_VECTOR_MASKED_LOAD:
	case OP_VECTOR_MASKED_STORE:
		return true;
	default:
		return false;
	}
}

/* Short ones are of 128 bits, but MOVSS and MOVSD do not care; halves are of 256. */
static bool vex_length_undefined(const struct decoder *decoder)
{
	uint8_t opcode = decoder->insn->opcode;
	bool wide = decoder->vector_size > 16;

	if ((decoder->flags & ROW_SIZE16) || (decoder->op == OP_VECTOR_BROADCAST &&
					      (opcode == 0x19 || opcode == 0x1a || opcode == 0x5a)))
		return !wide;
	if ((decoder->flags & ROW_VECTOR) && decoder->op != OP_VECTOR_MASKED_BYTES)
		return false;
	return wide && opcode != 0x10 && opcode != 0x11;
}

/* Those of AVX and AVX2 whose W would be an operand size that they do not have. */
static bool vex_w_undefined(const struct decoder *decoder)
{
	if (!decoder->vex_w || decoder->evex)
		return false;
	return decoder->op == OP_VECTOR_BROADCAST || (decoder->flags & ROW_SIZE16) ||
	       ((decoder->op == OP_VECTOR_MASKED_LOAD || decoder->op == OP_VECTOR_MASKED_STORE) &&
		decoder->insn->opcode < 0x30);
}

static bool vex_undefined(const struct decoder *decoder)
{
	const struct instruction *insn = decoder->insn;

	/* One length; RORX has no third operand. */
	if (is_bmi(decoder->op))
		return decoder->vector_size > 16 || (decoder->op == OP_RORX && decoder->vex_vvvv);

	if (!(decoder->prefixes & PREFIX_VEX) || !is_vector_move(decoder->op) ||
	    insn->memory == (decoder->op == OP_VECTOR_MASKED_BYTES))
		return false;
	return (decoder->vex_vvvv && !has_third_operand(decoder->op)) ||
	       vex_length_undefined(decoder) || vex_w_undefined(decoder);
}

/* What is undefined though its opcode exists. */
static int check_use(struct decoder *decoder)
{
	struct instruction *insn = decoder->insn;

	if (unlikely(vex_undefined(decoder)) ||
	    unlikely(decoder->op == OP_VECTOR_MASKED_BYTES && insn->memory))
		return -EINVAL;
	if ((decoder->flags & ROW_NOT_64) && decoder->mode == DECODE_64)
		return -EINVAL;
	if (!(decoder->prefixes & PREFIX_LOCK))
		return 0;
	if (!(decoder->flags & ROW_LOCK))
		return -EINVAL;
	/* LOCK MOV CR0 is AMD's way to CR8 outside 64-bit mode (APM vol. 3, MOV CRn). */
	if (decoder->flags & ROW_REGISTER)
		insn->reg |= 8;
	else if (!insn->memory || (decoder->form != FORM_RM_REG && decoder->form != FORM_RM_IMM &&
				   decoder->form != FORM_RM))
		return -EINVAL;
	return 0;
}

/* --- the whole ---------------------------------------------------------------- */

/* From the first opcode byte to a row that may still redirect. */
static inline int decode_opcode(struct decoder *decoder)
{
	const struct opcode_row *row;
	int opcode = decode_prefixes(decoder);

	if (unlikely(opcode < 0))
		return opcode;
	if (unlikely(opcode == 0x0f))
		return decode_0f(decoder);
	row = &opcode_one_byte[opcode];
	decoder->insn->opcode = (uint8_t)opcode;
	use_row(decoder, row);
	if (unlikely(row->flags & ROW_SPECIAL))
		return special_one_byte(decoder, (uint8_t)opcode);
	return 0;
}

static inline int decode_body(struct decoder *decoder)
{
	struct instruction *insn = decoder->insn;
	int error, byte;

	if (decoder->flags & ROW_MODRM) {
		byte = next_byte(decoder);
		if (unlikely(byte < 0))
			return byte;
		decoder->modrm = (uint8_t)byte;
		insn->modrm = (uint8_t)byte;
	}
	if (unlikely(decoder->flags & ROW_REDIRECT)) {
		error = redirect_row(decoder);
		if (error)
			return error;
	}
	insn->operand_size = (uint8_t)operand_size(decoder);
	insn->address_size = (uint8_t)address_size(decoder);
	if (decoder->flags & ROW_MODRM) {
		error = decode_modrm(decoder);
		if (unlikely(error))
			return error;
	} else {
		set_operand_segment(decoder, SEGMENT_DS);
	}
	if (decoder->flags & ROW_ANY_IMMEDIATE) {
		error = decode_immediates(decoder);
		if (unlikely(error))
			return error;
	}
	odd_sizes(decoder);
	return check_use(decoder);
}

int decode_instruction(struct instruction *insn, const uint8_t *bytes, unsigned int count,
		       enum decode_mode mode)
{
	struct decoder decoder = {
		.bytes = bytes,
		.count = count < INSTRUCTION_MAX ? count : INSTRUCTION_MAX,
		.mode = mode,
		.insn = insn,
		.segment = SEGMENT_DEFAULT,
	};
	int error;

	*insn = (struct instruction){
		.base = REGISTER_NONE,
		.index = REGISTER_NONE,
		.mode = (uint8_t)mode,
	};
	error = decode_opcode(&decoder);
	if (likely(!error))
		error = decode_body(&decoder);
	if (unlikely(error))
		return error;
	insn->length = (uint8_t)decoder.position;
	insn->op = decoder.op;
	insn->form = decoder.form;
	insn->prefixes = decoder.prefixes;
	return 0;
}
