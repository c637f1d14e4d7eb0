// SPDX-License-Identifier: BSD-2-Clause
/*
 * Vector, mask and x87 registers of a guest, in its XSAVE area (standard format: SDM
 * vol. 1, 13.4; APM vol. 2, 11.5.2). Inside the inner loop they are in the processor
 * and the area is old: an instruction that has one waits for the outer loop.
 */
#include "x86/cpu/context.h"
#include "x86/cpu/cpuid.h"
#include "x86/cpu/fpu.h"
#include "x86/emulate/emulate.h"
#include "x86/emulate/emulate_state.h"

#define COMPONENT_AVX	    2
#define COMPONENT_MASKS	    5
#define COMPONENT_ZMM_UPPER 6 /* of registers 0 to 15 */
#define COMPONENT_ZMM_HIGH  7 /* registers 16 to 31 */

#define AREA_XMM	160 /* XMM0; also in FXSAVE's area */
#define VECTOR_HALF	16
#define VECTOR_ZMM_HALF 32
#define VECTOR_ZMM	64

/* Components that are not marked are loaded as after reset, whatever the area holds. */
static void mark_components(struct vcpu *vcpu, uint64_t components)
{
	struct guest_context *context = vcpu->context;
	uint64_t state;

	if (!context->components)
		return;
	memcpy(&state, (uint8_t *)context->fpu + CONTEXT_XSTATE_BV, sizeof(state));
	state |= components;
	memcpy((uint8_t *)context->fpu + CONTEXT_XSTATE_BV, &state, sizeof(state));
}

static int wait_for_area(struct emulation *emulation)
{
	if (!emulation->vcpu->context->loaded)
		return 0;
	emulation->wait = WAIT_OUTER;
	return -EAGAIN;
}

/* --- vector registers ------------------------------------------------------------ */

/* A register is in pieces, each in a component of its own. */
struct vector_piece {
	unsigned int component; /* 1: SSE */
	unsigned int first;	/* byte of the register */
	unsigned int size;
};

static const struct vector_piece low_pieces[] = {
	{ 1, 0, VECTOR_HALF },
	{ COMPONENT_AVX, VECTOR_HALF, VECTOR_HALF },
	{ COMPONENT_ZMM_UPPER, VECTOR_ZMM_HALF, VECTOR_ZMM_HALF },
};
static const struct vector_piece high_pieces[] = {
	{ COMPONENT_ZMM_HIGH, 0, VECTOR_ZMM },
};

static const struct vector_piece *pieces_of(unsigned int reg, unsigned int *count)
{
	*count = reg < 16 ? ARRAY_SIZE(low_pieces) : ARRAY_SIZE(high_pieces);
	return reg < 16 ? low_pieces : high_pieces;
}

/* Where a piece is; NULL without its component. */
static uint8_t *piece_area(const struct vcpu *vcpu, const struct vector_piece *piece,
			   unsigned int reg)
{
	uint8_t *area = piece->component == 1 ? (uint8_t *)vcpu->context->fpu + AREA_XMM :
						context_component(vcpu, piece->component);

	return area ? area + piece->size * (reg & 15) : NULL;
}

int emulation_vector_read(struct emulator *emulator, unsigned int reg, void *data,
			  unsigned int size)
{
	struct emulation *emulation = emulation_of(emulator);
	const struct vector_piece *pieces;
	unsigned int count;
	int error = wait_for_area(emulation);

	if (error)
		return error;
	pieces = pieces_of(reg, &count);
	for (unsigned int i = 0; i < count && pieces[i].first < size; i++) {
		const uint8_t *area = piece_area(emulation->vcpu, &pieces[i], reg);

		if (!area)
			return -EOPNOTSUPP;
		memcpy((uint8_t *)data + pieces[i].first, area,
		       min_t(unsigned int, pieces[i].size, size - pieces[i].first));
	}
	return 0;
}

/* 'size' bytes, perhaps none, and zeros behind them if 'clear'. */
static void write_piece(struct vcpu *vcpu, const struct vector_piece *piece, uint8_t *area,
			const uint8_t *data, unsigned int size, bool clear)
{
	unsigned int own = size > piece->first ? size - piece->first : 0;

	own = min_t(unsigned int, own, piece->size);
	if (own) {
		memcpy(area, data + piece->first, own);
		mark_components(vcpu, 1ull << piece->component);
	}
	if (clear)
		memset(area + own, 0, piece->size - own);
}

int emulation_vector_write(struct emulator *emulator, unsigned int reg, const void *data,
			   unsigned int size, bool clear)
{
	struct emulation *emulation = emulation_of(emulator);
	struct vcpu *vcpu = emulation->vcpu;
	const struct vector_piece *pieces;
	unsigned int count;
	int error = wait_for_area(emulation);

	if (error)
		return error;
	pieces = pieces_of(reg, &count);
	for (unsigned int i = 0; i < count; i++)
		if (pieces[i].first < size && !piece_area(vcpu, &pieces[i], reg))
			return -EOPNOTSUPP;
	for (unsigned int i = 0; i < count; i++) {
		uint8_t *area = piece_area(vcpu, &pieces[i], reg);

		if (area)
			write_piece(vcpu, &pieces[i], area, data, size, clear);
	}
	return 0;
}

/* --- mask registers --------------------------------------------------------------- */

static int mask_area(struct emulation *emulation, unsigned int reg, uint8_t **area)
{
	int error = wait_for_area(emulation);

	if (error)
		return error;
	*area = context_component(emulation->vcpu, COMPONENT_MASKS);
	if (!*area)
		return -EOPNOTSUPP;
	*area += sizeof(uint64_t) * (reg & 7);
	return 0;
}

int emulation_mask_read(struct emulator *emulator, unsigned int reg, uint64_t *value)
{
	uint8_t *area;
	int error = mask_area(emulation_of(emulator), reg, &area);

	if (!error)
		memcpy(value, area, sizeof(*value));
	return error;
}

int emulation_mask_write(struct emulator *emulator, unsigned int reg, uint64_t value)
{
	uint8_t *area;
	int error = mask_area(emulation_of(emulator), reg, &area);

	if (error)
		return error;
	memcpy(area, &value, sizeof(value));
	mark_components(emulation_of(emulator)->vcpu, 1ull << COMPONENT_MASKS);
	return 0;
}

/* --- x87 -------------------------------------------------------------------------- */

int emulation_legacy_image(struct emulator *emulator, uint8_t **image, bool change)
{
	struct vcpu *vcpu = emulation_of(emulator)->vcpu;
	int error = wait_for_area(emulation_of(emulator));

	if (error)
		return error;
	*image = vcpu->context->fpu;
	if (change)
		mark_components(vcpu, REG_XCR0_X87 | REG_XCR0_SSE);
	return 0;
}

#define X87_FCW	       0
#define X87_FSW	       2
#define X87_NOT_STORED 0x1f /* exceptions that keep a store from being made, if not masked */

/* d8 to df with an operand at 'operand', by ModRM.reg. */
#define X87_ROW(opcode, reg)                                              \
	case ((opcode)&7) * 8 + (reg):                                    \
		asm volatile(".byte %c1, %c2" /* op (%%rax) */            \
			     :                                            \
			     : "a"(operand), "i"(opcode), "i"((reg) << 3) \
			     : "memory");                                 \
		break;
#define X87_ROWS(opcode)   \
	X87_ROW(opcode, 0) \
	X87_ROW(opcode, 1) \
	X87_ROW(opcode, 2) \
	X87_ROW(opcode, 3) \
	X87_ROW(opcode, 4) X87_ROW(opcode, 5) X87_ROW(opcode, 6) X87_ROW(opcode, 7)

static void execute_x87(const struct instruction *insn, void *operand)
{
	switch ((insn->opcode & 7) * 8 + (insn->reg & 7)) {
		X87_ROWS(0xd8)
		X87_ROWS(0xd9)
		X87_ROWS(0xda)
		X87_ROWS(0xdb)
		X87_ROWS(0xdc)
		X87_ROWS(0xdd)
		X87_ROWS(0xde)
		X87_ROWS(0xdf)
	}
}

static bool is_stored(const uint8_t *image)
{
	uint16_t control, status;

	memcpy(&control, image + X87_FCW, sizeof(control));
	memcpy(&status, image + X87_FSW, sizeof(status));
	return (status & ~control & X87_NOT_STORED) == 0;
}

/*
 * The engine has seen that no exception is pending in the guest's state: so none is raised
 * here, and what the instruction leaves pending goes with the state.
 */
int emulation_x87(struct emulator *emulator, uint8_t *after, void *operand, bool *stored)
{
	static const unsigned int size = 512;
	struct emulation *emulation = emulation_of(emulator);
	uint8_t areas[2 * 512 + 16];
	uint8_t *own = areas + (-(uintptr_t)areas & 15), *guest = own + size;

	os_run_begin();
	fpu_fxsave(own);
	fpu_fxrstor(emulation->vcpu->context->fpu);
	execute_x87(emulator->insn, operand);
	fpu_fxsave(guest);
	fpu_fxrstor(own);
	os_run_end();
	*stored = is_stored(guest);
	memcpy(after, guest, AREA_XMM);
	return 0;
}
