// SPDX-License-Identifier: BSD-2-Clause
/*
 * Arithmetic with its flags (APM vol. 3, general-purpose instruction reference).
 * Flags that the manual leaves undefined are computed as if they were not, or kept.
 */
#include "x86/emulate/emulate_internal.h"

#define FLAGS_ARITHMETIC                                                                 \
	(REG_RFLAGS_CF | REG_RFLAGS_PF | REG_RFLAGS_AF | REG_RFLAGS_ZF | REG_RFLAGS_SF | \
	 REG_RFLAGS_OF)
#define FLAGS_RESULT (REG_RFLAGS_PF | REG_RFLAGS_ZF | REG_RFLAGS_SF)

static uint64_t flag_if(uint64_t which, bool set)
{
	return set ? which : 0;
}

/* SF, ZF, PF. */
static uint64_t result_flags(uint64_t result, unsigned int size)
{
	return flag_if(REG_RFLAGS_SF, sign_bit(result, size)) |
	       flag_if(REG_RFLAGS_ZF, low_bytes(result, size) == 0) |
	       flag_if(REG_RFLAGS_PF, !__builtin_parity((unsigned int)(result & 0xff)));
}

static void set_flags(uint64_t *rflags, uint64_t mask, uint64_t value)
{
	*rflags = (*rflags & ~mask) | value;
}

/* --- sums and logic ------------------------------------------------------------ */

static uint64_t add_with_carry(uint64_t a, uint64_t b, bool carry, unsigned int size,
			       uint64_t *rflags)
{
	uint64_t result = a + b + carry;
	uint64_t carries = (a & b) | ((a | b) & ~result);

	set_flags(rflags, FLAGS_ARITHMETIC,
		  result_flags(result, size) | flag_if(REG_RFLAGS_CF, sign_bit(carries, size)) |
			  flag_if(REG_RFLAGS_OF, sign_bit((a ^ result) & (b ^ result), size)) |
			  ((a ^ b ^ result) & REG_RFLAGS_AF));
	return low_bytes(result, size);
}

static uint64_t subtract_with_borrow(uint64_t a, uint64_t b, bool borrow, unsigned int size,
				     uint64_t *rflags)
{
	uint64_t result = a - b - borrow;
	uint64_t borrows = (~a & b) | ((~a | b) & result);

	set_flags(rflags, FLAGS_ARITHMETIC,
		  result_flags(result, size) | flag_if(REG_RFLAGS_CF, sign_bit(borrows, size)) |
			  flag_if(REG_RFLAGS_OF, sign_bit((a ^ b) & (a ^ result), size)) |
			  ((a ^ b ^ result) & REG_RFLAGS_AF));
	return low_bytes(result, size);
}

static uint64_t logic_result(uint64_t result, unsigned int size, uint64_t *rflags)
{
	set_flags(rflags, FLAGS_ARITHMETIC, result_flags(result, size));
	return low_bytes(result, size);
}

uint64_t alu_binary(enum instruction_op op, uint64_t a, uint64_t b, unsigned int size,
		    uint64_t *rflags)
{
	bool carry = *rflags & REG_RFLAGS_CF;

	switch (op) {
	case OP_ADD:
		return add_with_carry(a, b, false, size, rflags);
	case OP_ADC:
		return add_with_carry(a, b, carry, size, rflags);
	case OP_SUB:
	case OP_CMP:
		return subtract_with_borrow(a, b, false, size, rflags);
	case OP_SBB:
		return subtract_with_borrow(a, b, carry, size, rflags);
	case OP_OR:
		return logic_result(a | b, size, rflags);
	case OP_XOR:
		return logic_result(a ^ b, size, rflags);
	default: /* OP_AND, OP_TEST, OP_TEST_ALIAS */
		return logic_result(a & b, size, rflags);
	}
}

uint64_t alu_unary(enum instruction_op op, uint64_t a, unsigned int size, uint64_t *rflags)
{
	uint64_t carry = *rflags & REG_RFLAGS_CF;
	uint64_t result;

	switch (op) {
	case OP_NOT:
		return low_bytes(~a, size);
	case OP_NEG:
		return subtract_with_borrow(0, a, false, size, rflags);
	case OP_INC:
		result = add_with_carry(a, 1, false, size, rflags);
		break;
	default: /* OP_DEC */
		result = subtract_with_borrow(a, 1, false, size, rflags);
		break;
	}
	set_flags(rflags, REG_RFLAGS_CF, carry);
	return result;
}

/* --- shifts and rotates ------------------------------------------------------------ */

static uint64_t bit_of(uint64_t value, unsigned int number)
{
	return number < 64 ? value >> number & 1 : 0;
}

static uint64_t rotate_left(uint64_t a, unsigned int count, unsigned int size)
{
	unsigned int width = 8 * size;

	count &= width - 1;
	a = low_bytes(a, size);
	return count ? low_bytes(a << count | a >> (width - count), size) : a;
}

/* Through the carry, one bit at a time: at most 63 times. */
static uint64_t rotate_carry_left(uint64_t a, unsigned int count, unsigned int size,
				  uint64_t *carry)
{
	while (count--) {
		uint64_t top = sign_bit(a, size);

		a = low_bytes(a << 1 | *carry, size);
		*carry = top;
	}
	return a;
}

static uint64_t rotate_carry_right(uint64_t a, unsigned int count, unsigned int size,
				   uint64_t *carry)
{
	while (count--) {
		uint64_t bottom = a & 1;

		a = a >> 1 | *carry << (8 * size - 1);
		*carry = bottom;
	}
	return a;
}

/* Rotates change CF and OF only. OF is defined for a count of one. */
static uint64_t rotate_by_op(enum instruction_op op, uint64_t a, unsigned int count,
			     unsigned int size, uint64_t *rflags)
{
	unsigned int width = 8 * size;
	uint64_t carry = *rflags & REG_RFLAGS_CF;
	uint64_t result, overflow;

	switch (op) {
	case OP_ROL:
		result = rotate_left(a, count, size);
		carry = result & 1;
		break;
	case OP_ROR:
		result = rotate_left(a, width - count % width, size);
		carry = sign_bit(result, size);
		break;
	case OP_RCL:
		result = rotate_carry_left(a, count % (width + 1), size, &carry);
		break;
	default: /* OP_RCR */
		result = rotate_carry_right(a, count % (width + 1), size, &carry);
		break;
	}
	if (op == OP_ROL || op == OP_RCL)
		overflow = sign_bit(result, size) ^ carry;
	else
		overflow = sign_bit(result, size) ^ bit_of(result, width - 2);
	set_flags(rflags, REG_RFLAGS_CF | REG_RFLAGS_OF,
		  flag_if(REG_RFLAGS_CF, carry) | flag_if(REG_RFLAGS_OF, overflow));
	return result;
}

static uint64_t shift_by_op(enum instruction_op op, uint64_t a, unsigned int count,
			    unsigned int size, uint64_t *rflags)
{
	unsigned int width = 8 * size;
	uint64_t result, carry, overflow;

	switch (op) {
	case OP_SHR:
		result = a >> count;
		carry = bit_of(a, count - 1);
		overflow = sign_bit(a, size);
		break;
	case OP_SAR:
		result = (uint64_t)(sign_extend(a, size) >> count);
		carry = bit_of((uint64_t)sign_extend(a, size), count - 1);
		overflow = 0;
		break;
	default: /* OP_SHL, OP_SAL */
		result = a << count;
		carry = count <= width ? bit_of(a, width - count) : 0;
		overflow = sign_bit(result, size) ^ carry;
		break;
	}
	set_flags(rflags, FLAGS_ARITHMETIC & ~REG_RFLAGS_AF,
		  result_flags(result, size) | flag_if(REG_RFLAGS_CF, carry) |
			  flag_if(REG_RFLAGS_OF, overflow));
	return low_bytes(result, size);
}

static unsigned int masked_count(unsigned int count, unsigned int size)
{
	return count & (size == 8 ? 63 : 31);
}

uint64_t alu_shift(enum instruction_op op, uint64_t a, unsigned int count, unsigned int size,
		   uint64_t *rflags)
{
	count = masked_count(count, size);
	if (count == 0)
		return a;
	if (op <= OP_RCR)
		return rotate_by_op(op, a, count, size, rflags);
	return shift_by_op(op, a, count, size, rflags);
}

/* Counts above the width (of 16 bits) are undefined: take them modulo the width. */
uint64_t alu_double_shift(enum instruction_op op, uint64_t a, uint64_t b, unsigned int count,
			  unsigned int size, uint64_t *rflags)
{
	unsigned int width = 8 * size;
	uint64_t result, carry;

	count = masked_count(count, size);
	if (count > width)
		count -= width;
	if (count == 0)
		return a;
	if (op == OP_SHLD) {
		result = count == width ? b : a << count | b >> (width - count);
		carry = bit_of(a, width - count);
	} else {
		result = count == width ? b : a >> count | b << (width - count);
		carry = bit_of(a, count - 1);
	}
	set_flags(rflags, FLAGS_ARITHMETIC & ~REG_RFLAGS_AF,
		  result_flags(result, size) | flag_if(REG_RFLAGS_CF, carry) |
			  flag_if(REG_RFLAGS_OF, sign_bit(a ^ result, size)));
	return low_bytes(result, size);
}

/* --- bits ----------------------------------------------------------------- */

bool alu_bit_count(enum instruction_op op, uint64_t a, unsigned int size, uint64_t *result,
		   uint64_t *rflags)
{
	unsigned int width = 8 * size;
	unsigned int trailing = a ? (unsigned int)__builtin_ctzll(a) : width;
	unsigned int leading = a ? (unsigned int)__builtin_clzll(a) - (64 - width) : width;

	switch (op) {
	case OP_BSF:
	case OP_BSR:
		set_flags(rflags, REG_RFLAGS_ZF, flag_if(REG_RFLAGS_ZF, a == 0));
		*result = op == OP_BSF ? trailing : width - 1 - leading;
		return a != 0;
	case OP_POPCNT:
		/* No builtin: without the instruction that is a call of the compiler's library. */
		for (*result = 0; a; a &= a - 1)
			(*result)++;
		set_flags(rflags, FLAGS_ARITHMETIC, flag_if(REG_RFLAGS_ZF, *result == 0));
		return true;
	default: /* OP_TZCNT, OP_LZCNT */
		*result = op == OP_TZCNT ? trailing : leading;
		set_flags(rflags, REG_RFLAGS_ZF | REG_RFLAGS_CF,
			  flag_if(REG_RFLAGS_ZF, *result == 0) | flag_if(REG_RFLAGS_CF, a == 0));
		return true;
	}
}

uint64_t alu_bextr(uint64_t a, uint64_t control, unsigned int size, uint64_t *rflags)
{
	unsigned int start = control & 0xff;
	unsigned int length = control >> 8 & 0xff;
	uint64_t result = start < 8 * size ? low_bytes(a, size) >> start : 0;

	if (length < 64)
		result &= (1ull << length) - 1;
	set_flags(rflags, REG_RFLAGS_ZF | REG_RFLAGS_CF | REG_RFLAGS_OF,
		  flag_if(REG_RFLAGS_ZF, result == 0));
	return result;
}

uint64_t alu_andn(uint64_t a, uint64_t b, unsigned int size, uint64_t *rflags)
{
	uint64_t result = low_bytes(~a & b, size);

	set_flags(rflags, REG_RFLAGS_ZF | REG_RFLAGS_SF | REG_RFLAGS_CF | REG_RFLAGS_OF,
		  result_flags(result, size) & ~REG_RFLAGS_PF);
	return result;
}

/* --- products and quotients ----------------------------------------------- */

/* CF and OF: the upper half says something. The rest is undefined. */
static void product_flags(uint64_t *rflags, bool significant)
{
	set_flags(rflags, REG_RFLAGS_CF | REG_RFLAGS_OF,
		  significant ? REG_RFLAGS_CF | REG_RFLAGS_OF : 0);
}

uint64_t alu_imul(uint64_t a, uint64_t b, unsigned int size, uint64_t *rflags)
{
	__int128 product = (__int128)sign_extend(a, size) * sign_extend(b, size);

	product_flags(rflags, product != sign_extend((uint64_t)product, size));
	return low_bytes((uint64_t)product, size);
}

void alu_multiply(enum instruction_op op, uint64_t a, uint64_t b, unsigned int size, uint64_t *low,
		  uint64_t *high, uint64_t *rflags)
{
	unsigned __int128 product;

	if (op == OP_IMUL)
		product =
			(unsigned __int128)((__int128)sign_extend(a, size) * sign_extend(b, size));
	else
		product = (unsigned __int128)low_bytes(a, size) * low_bytes(b, size);
	*low = low_bytes((uint64_t)product, size);
	*high = low_bytes((uint64_t)(product >> (8 * size)), size);
	if (op == OP_IMUL)
		product_flags(rflags, (__int128)product != sign_extend(*low, size));
	else
		product_flags(rflags, *high != 0);
}

/* high:low by a divisor greater than 'high': the quotient fits. */
static uint64_t divide_128(uint64_t low, uint64_t high, uint64_t divisor, uint64_t *remainder)
{
	uint64_t quotient;

	__asm__("divq %4"
		: "=a"(quotient), "=d"(*remainder)
		: "a"(low), "d"(high), "r"(divisor)
		: "cc");
	return quotient;
}

static bool divide_unsigned(uint64_t low, uint64_t high, uint64_t divisor, unsigned int size,
			    uint64_t *quotient, uint64_t *remainder)
{
	if (divisor == 0 || high >= divisor)
		return false;
	if (size < 8) {
		low |= high << (8 * size);
		high = 0;
	}
	*quotient = divide_128(low, high, divisor, remainder);
	return true;
}

/* By magnitudes; the quotient rounds towards zero, the remainder has the dividend's sign. */
static bool divide_signed(uint64_t low, uint64_t high, uint64_t divisor, unsigned int size,
			  uint64_t *quotient, uint64_t *remainder)
{
	unsigned int width = 8 * size;
	unsigned __int128 dividend = (unsigned __int128)high << width | low;
	bool negative = sign_bit(high, size), negative_divisor = sign_bit(divisor, size);
	uint64_t limit = 1ull << (width - 1); /* of the quotient's magnitude */

	if (negative)
		dividend = -dividend;
	if (negative_divisor)
		divisor = low_bytes(-divisor, size);
	low = low_bytes((uint64_t)dividend, size);
	high = low_bytes((uint64_t)(dividend >> width), size);
	if (!divide_unsigned(low, high, divisor, size, quotient, remainder))
		return false;
	if (*quotient > limit - (negative == negative_divisor))
		return false;
	if (negative != negative_divisor)
		*quotient = low_bytes(-*quotient, size);
	if (negative)
		*remainder = low_bytes(-*remainder, size);
	return true;
}

bool alu_divide(enum instruction_op op, uint64_t low, uint64_t high, uint64_t divisor,
		unsigned int size, uint64_t *quotient, uint64_t *remainder)
{
	if (op == OP_IDIV)
		return divide_signed(low, high, divisor, size, quotient, remainder);
	return divide_unsigned(low, high, divisor, size, quotient, remainder);
}

/* --- conditions ----------------------------------------------------------- */

/* APM vol. 3, table 1-2: pairs of conditions, the odd one of each the opposite. */
bool alu_condition(uint8_t code, uint64_t rflags)
{
	bool less = !(rflags & REG_RFLAGS_SF) != !(rflags & REG_RFLAGS_OF);
	bool holds;

	switch (code >> 1 & 7) {
	case 0:
		holds = rflags & REG_RFLAGS_OF;
		break;
	case 1:
		holds = rflags & REG_RFLAGS_CF;
		break;
	case 2:
		holds = rflags & REG_RFLAGS_ZF;
		break;
	case 3:
		holds = rflags & (REG_RFLAGS_CF | REG_RFLAGS_ZF);
		break;
	case 4:
		holds = rflags & REG_RFLAGS_SF;
		break;
	case 5:
		holds = rflags & REG_RFLAGS_PF;
		break;
	case 6:
		holds = less;
		break;
	default:
		holds = less || (rflags & REG_RFLAGS_ZF);
		break;
	}
	return holds != (code & 1);
}
