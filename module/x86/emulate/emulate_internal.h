/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the engine's files share. An instruction is a handler; handlers get their
 * operands with the functions here. All return 0 or a negative errno as
 * emulate_instruction() does.
 */
#ifndef X86_EMULATE_EMULATE_INTERNAL_H
#define X86_EMULATE_EMULATE_INTERNAL_H

#include "x86/emulate/emulate_insn.h"
#include "vm/regs.h"

/* Places in gpr[] that instructions imply. */
#define REGISTER_RAX 0
#define REGISTER_RCX 1
#define REGISTER_RDX 2
#define REGISTER_RBX 3
#define REGISTER_RSP 4
#define REGISTER_RSI 6
#define REGISTER_RDI 7

typedef int (*emulate_handler)(struct emulator *emulator);

/* --- values ------------------------------------------------------------------ */

/* The low 'size' (1, 2, 4, 8) bytes of a value. */
static inline uint64_t low_bytes(uint64_t value, unsigned int size)
{
	return size >= 8 ? value : value & ((1ull << (8 * size)) - 1);
}

/* Sign-extend from 'size' bytes to 64 bits. */
static inline int64_t sign_extend(uint64_t value, unsigned int size)
{
	unsigned int shift = 64 - 8 * size;

	return (int64_t)(value << shift) >> shift;
}

static inline uint64_t sign_bit(uint64_t value, unsigned int size)
{
	return value >> (8 * size - 1) & 1;
}

/* --- general registers --------------------------------------------------------- */

/* AH, CH, DH, BH: bits 15:8 of registers 0..3. */
static inline bool emulate_is_high_byte(const struct instruction *insn, unsigned int reg,
					unsigned int size)
{
	return size == 1 && reg >= 4 && !(insn->prefixes & PREFIX_REX);
}
/* A register operand of 'size' bytes; without REX, byte registers 4..7 are AH, CH, DH, BH. */
uint64_t emulate_get_reg(const struct emulator *emulator, unsigned int reg, unsigned int size);
void emulate_set_reg(struct emulator *emulator, unsigned int reg, unsigned int size,
		     uint64_t value);
/* A counter or pointer of the instruction's address size: writing 4 bytes clears the rest. */
uint64_t emulate_get_address_reg(const struct emulator *emulator, unsigned int reg);
void emulate_set_address_reg(struct emulator *emulator, unsigned int reg, uint64_t value);

/* --- memory ---------------------------------------------------------------------- */

/* Linear address of 'size' bytes at segment:offset, or the exception of the segment. */
int emulate_linear(struct emulator *emulator, enum segment segment, uint64_t offset,
		   unsigned int size, enum emulate_access access, uint64_t *linear);
/* Offset of the memory operand within its segment. */
uint64_t emulate_offset(const struct emulator *emulator);
/* Linear address of the memory operand. */
int emulate_operand(struct emulator *emulator, unsigned int size, enum emulate_access access,
		    uint64_t *linear);

/* Read the memory operand ('size' bytes, 1..8). For an update its address is returned too. */
int emulate_load(struct emulator *emulator, unsigned int size, uint64_t *value);
int emulate_load_for_update(struct emulator *emulator, unsigned int size, uint64_t *value,
			    uint64_t *linear);
int emulate_store(struct emulator *emulator, unsigned int size, uint64_t value);
/* The second half of an update. */
int emulate_exchange(struct emulator *emulator, uint64_t linear, unsigned int size, uint64_t old,
		     uint64_t new);

/* --- arithmetic: emulate_alu.c -------------------------------------------- */

/* ADD .. CMP and TEST: the result, and the flags in *rflags. */
uint64_t alu_binary(enum instruction_op op, uint64_t a, uint64_t b, unsigned int size,
		    uint64_t *rflags);
/* INC, DEC, NEG, NOT. */
uint64_t alu_unary(enum instruction_op op, uint64_t a, unsigned int size, uint64_t *rflags);
/* ROL .. SAR. The count is masked here. */
uint64_t alu_shift(enum instruction_op op, uint64_t a, unsigned int count, unsigned int size,
		   uint64_t *rflags);
/* SHLD, SHRD: bits come from b. */
uint64_t alu_double_shift(enum instruction_op op, uint64_t a, uint64_t b, unsigned int count,
			  unsigned int size, uint64_t *rflags);
/* BSF, BSR, TZCNT, LZCNT, POPCNT. False: the destination is left alone. */
bool alu_bit_count(enum instruction_op op, uint64_t a, unsigned int size, uint64_t *result,
		   uint64_t *rflags);
/* A field of bits of a: start in 7:0 of 'control', length in 15:8. */
uint64_t alu_bextr(uint64_t a, uint64_t control, unsigned int size, uint64_t *rflags);
uint64_t alu_andn(uint64_t a, uint64_t b, unsigned int size, uint64_t *rflags);
/* Two- and three-operand IMUL. */
uint64_t alu_imul(uint64_t a, uint64_t b, unsigned int size, uint64_t *rflags);
/* MUL, IMUL into two registers' worth. */
void alu_multiply(enum instruction_op op, uint64_t a, uint64_t b, unsigned int size, uint64_t *low,
		  uint64_t *high, uint64_t *rflags);
/* DIV, IDIV of high:low. False: #DE. */
bool alu_divide(enum instruction_op op, uint64_t low, uint64_t high, uint64_t divisor,
		unsigned int size, uint64_t *quotient, uint64_t *remainder);
/* The condition of Jcc, SETcc, CMOVcc: the low four bits of the opcode. */
bool alu_condition(uint8_t code, uint64_t rflags);

/* --- handlers in other files ---------------------------------------------- */

int emulate_string(struct emulator *emulator); /* emulate_string.c */
int emulate_push(struct emulator *emulator);   /* emulate_stack.c */
int emulate_pop(struct emulator *emulator);
int emulate_call(struct emulator *emulator);
int emulate_jump(struct emulator *emulator);
int emulate_store_system(struct emulator *emulator); /* emulate_system.c */
int emulate_store_table(struct emulator *emulator);
int emulate_load_status_word(struct emulator *emulator);
int emulate_vector_load(struct emulator *emulator); /* emulate_vector.c */
int emulate_vector_store(struct emulator *emulator);
int emulate_vector_load_half(struct emulator *emulator);
int emulate_vector_store_high(struct emulator *emulator);
int emulate_vector_duplicate(struct emulator *emulator);
int emulate_vector_broadcast(struct emulator *emulator);
int emulate_vector_extend(struct emulator *emulator);
int emulate_vector_insert(struct emulator *emulator);
int emulate_vector_insert_ps(struct emulator *emulator);
int emulate_vector_extract(struct emulator *emulator);
int emulate_vector_masked(struct emulator *emulator);
int emulate_vector_masked_bytes(struct emulator *emulator);
int emulate_mask_load(struct emulator *emulator);
int emulate_mask_store(struct emulator *emulator);
int emulate_mmx_load(struct emulator *emulator); /* emulate_x87.c */
int emulate_mmx_store(struct emulator *emulator);
int emulate_x87(struct emulator *emulator);
int emulate_mxcsr(struct emulator *emulator);
int emulate_fxsave(struct emulator *emulator);
int emulate_fxrstor(struct emulator *emulator);
int emulate_bls(struct emulator *emulator); /* emulate_bits.c */
int emulate_mulx(struct emulator *emulator);
int emulate_bit_move(struct emulator *emulator);
int emulate_bzhi(struct emulator *emulator);
int emulate_adx(struct emulator *emulator);
int emulate_crc32(struct emulator *emulator);
int emulate_xlat(struct emulator *emulator);

#endif
