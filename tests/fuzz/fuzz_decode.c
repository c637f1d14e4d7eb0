// SPDX-License-Identifier: BSD-2-Clause
/*
 * Any bytes into the decoder. It never reads past what it was given; what it
 * accepts, it accepts with no byte more than the length it says, and not with less.
 */
#include <stdlib.h>

#include "x86/emulate/decode.h"

#define EXPECT(condition)         \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_size(unsigned int size)
{
	return size == 1 || size == 2 || size == 4 || size == 8 || size == 16 || size == 32 ||
	       size == 64;
}

static bool is_register(unsigned int reg)
{
	return reg < 16 || reg == REGISTER_NONE;
}

/* EVEX names registers 16 to 31, in moves and in what is known by its length only. */
static bool may_have_32(const struct instruction *insn)
{
	return insn->op == OP_OTHER || (insn->op >= OP_VECTOR_LOAD && insn->op <= OP_VECTOR_STORE);
}

static void check_fields(const struct instruction *insn)
{
	EXPECT(insn->op < OP_COUNT);
	EXPECT(insn->form <= FORM_REG_RM_VVVV);
	EXPECT(is_size(insn->operand_size) && is_size(insn->source_size));
	EXPECT(insn->address_size == 2 || insn->address_size == 4 || insn->address_size == 8);
	EXPECT(insn->segment < SEGMENT_COUNT);
	EXPECT(insn->rm < 16 && insn->scale < 4 && insn->mask < 8 && insn->element_size <= 8);
	EXPECT(insn->reg < (may_have_32(insn) ? 32 : 16));
	EXPECT(insn->vvvv < (may_have_32(insn) ? 32 : 16));
	EXPECT(is_register(insn->base) && is_register(insn->index));
	EXPECT(insn->mode == DECODE_64 || (insn->base == REGISTER_NONE || insn->base < 8));
}

/* A copy of exactly 'count' bytes, so that one read beyond is noticed. */
static int decode_copy(struct instruction *insn, const uint8_t *bytes, size_t count,
		       enum decode_mode mode)
{
	uint8_t *copy = malloc(count ? count : 1);
	int result;

	EXPECT(copy);
	memcpy(copy, bytes, count);
	result = decode_instruction(insn, copy, (unsigned int)count, mode);
	free(copy);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct instruction insn, again;
	enum decode_mode mode;
	int result;

	if (size < 1 || size > 64)
		return 0;
	mode = (enum decode_mode)(data[0] % 3);
	data++;
	size--;
	result = decode_copy(&insn, data, size, mode);
	EXPECT(result == 0 || result == -EINVAL || result == -ENODATA || result == -E2BIG);
	EXPECT(result != -ENODATA || size < INSTRUCTION_MAX);
	EXPECT(result != -E2BIG || size >= INSTRUCTION_MAX);
	if (result)
		return 0;
	EXPECT(insn.length >= 1 && insn.length <= size && insn.length <= INSTRUCTION_MAX);
	check_fields(&insn);
	EXPECT(decode_copy(&again, data, insn.length, mode) == 0);
	EXPECT(memcmp(&again, &insn, sizeof(insn)) == 0);
	for (size_t cut = 0; cut < insn.length; cut++)
		EXPECT(decode_copy(&again, data, cut, mode) == -ENODATA);
	return 0;
}
