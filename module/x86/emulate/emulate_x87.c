// SPDX-License-Identifier: BSD-2-Clause
/*
 * x87, MMX and what saves them, in the legacy image of the FPU's state (SDM vol. 1, 10.5.1;
 * APM vol. 2, 11.4.4). MMX registers are the mantissas of the x87's: with each MMX
 * instruction TOP becomes 0, and all registers are in use.
 */
#include "x86/emulate/emulate_internal.h"

#define IMAGE_FCW	 0
#define IMAGE_FSW	 2
#define IMAGE_FTW	 4
#define IMAGE_FOP	 6
#define IMAGE_FIP	 8
#define IMAGE_FDP	 16
#define IMAGE_MXCSR	 24
#define IMAGE_MXCSR_MASK 28
#define IMAGE_ST	 32
#define IMAGE_XMM	 160
#define IMAGE_XMM8	 288 /* from here on in 64-bit mode only */
#define IMAGE_END	 416

#define FSW_EXCEPTIONS	   0x3fu
#define FSW_SUMMARY	   0x80u
#define FSW_TOP_SHIFT	   11
#define FSW_TOP		   (7u << FSW_TOP_SHIFT)
#define MXCSR_MASK_DEFAULT 0xffbfu /* what a mask of 0 means */

#define PIECE 32 /* of an image, at a time */

static uint16_t get_word(const uint8_t *image, unsigned int offset)
{
	uint16_t value;

	memcpy(&value, image + offset, sizeof(value));
	return value;
}

static int get_image(struct emulator *emulator, uint8_t **image, bool change)
{
	if (!emulator->ops->legacy_image)
		return -EOPNOTSUPP;
	return emulator->ops->legacy_image(emulator, image, change);
}

/* --- MMX ------------------------------------------------------------------------- */

/* The image has registers from ST0 on: turned until ST0 is the first. */
static void enter_mmx(uint8_t *image)
{
	uint16_t status = get_word(image, IMAGE_FSW);
	unsigned int top = (status & FSW_TOP) >> FSW_TOP_SHIFT;
	uint8_t registers[8][16];

	memcpy(registers, image + IMAGE_ST, sizeof(registers));
	for (unsigned int i = 0; i < 8; i++)
		memcpy(image + IMAGE_ST + 16 * ((top + i) % 8), registers[i], 16);
	status &= (uint16_t)~FSW_TOP;
	memcpy(image + IMAGE_FSW, &status, sizeof(status));
	image[IMAGE_FTW] = 0xff;
}

/* The sign and the exponent are ones. */
static void set_mmx(uint8_t *image, unsigned int reg, uint64_t value)
{
	uint8_t *place = image + IMAGE_ST + 16 * (reg & 7);

	memcpy(place, &value, 8);
	memset(place + 8, 0xff, 2);
}

int emulate_mmx_load(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	uint8_t *image;
	uint64_t value;
	int error = get_image(emulator, &image, false);

	if (!error)
		error = emulate_load(emulator, insn->operand_size, &value);
	if (!error)
		error = get_image(emulator, &image, true);
	if (error)
		return error;
	enter_mmx(image);
	set_mmx(image, insn->reg, value);
	return 0;
}

int emulate_mmx_store(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	unsigned int top;
	uint8_t *image;
	uint64_t value;
	int error = get_image(emulator, &image, false);

	if (error)
		return error;
	top = (get_word(image, IMAGE_FSW) & FSW_TOP) >> FSW_TOP_SHIFT;
	memcpy(&value, image + IMAGE_ST + 16 * ((insn->reg - top) & 7), 8);
	error = emulate_store(emulator, insn->operand_size, value);
	if (!error)
		error = get_image(emulator, &image, true);
	if (!error)
		enter_mmx(image);
	return error;
}

/* --- x87 ------------------------------------------------------------------------- */

/*
 * Bytes that d8 to df with ModRM.reg read (positive) or write. 0: undefined, or the
 * environment (FLDENV, FNSTENV, FRSTOR, FNSAVE).
 */
static const int x87_size[8][8] = {
	{ 4, 4, 4, 4, 4, 4, 4, 4 }, { 4, 0, -4, -4, 0, 2, 0, -2 },
	{ 4, 4, 4, 4, 4, 4, 4, 4 }, { 4, -4, -4, -4, 0, 10, 0, -10 },
	{ 8, 8, 8, 8, 8, 8, 8, 8 }, { 8, -8, -8, -8, 0, 0, 0, -2 },
	{ 2, 2, 2, 2, 2, 2, 2, 2 }, { 2, -2, -2, -2, 10, 8, -10, -8 },
};

/*
 * An exception of the x87 waits for the next instruction. The processor would have raised it
 * before this one touched memory; but another processor can have changed the code since, and
 * the host, which carries it out, must not be the one that takes it.
 */
static bool has_pending_exception(const uint8_t *image)
{
	uint16_t unmasked = get_word(image, IMAGE_FSW) & ~get_word(image, IMAGE_FCW);

	return (unmasked & FSW_EXCEPTIONS) || (get_word(image, IMAGE_FSW) & FSW_SUMMARY);
}

/* Control and status words are moved without a trace of where. */
static bool leaves_pointers(const struct instruction *insn)
{
	return (insn->opcode == 0xd9 && (insn->reg & 7) >= 4) ||
	       (insn->opcode == 0xdd && (insn->reg & 7) >= 4);
}

static void set_pointers(struct emulator *emulator, uint8_t *image)
{
	const struct instruction *insn = emulator->insn;
	uint16_t opcode = (uint16_t)((insn->opcode & 7) << 8 | insn->modrm);
	uint64_t offset = emulate_offset(emulator);

	if (leaves_pointers(insn))
		return;
	memcpy(image + IMAGE_FOP, &opcode, 2);
	memcpy(image + IMAGE_FIP, &emulator->rip, 8);
	memcpy(image + IMAGE_FDP, &offset, 8);
}

/*
 * The processor itself carries it out on an operand at hand, on a copy of the image that
 * replaces it once memory has been written. What ends in an exception that is not masked
 * stores nothing.
 */
int emulate_x87(struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;
	int size = x87_size[insn->opcode & 7][insn->reg & 7];
	uint8_t copy[IMAGE_XMM] = { 0 }, operand[16] = { 0 };
	enum emulate_access access = size < 0 ? EMULATE_WRITE : EMULATE_READ;
	unsigned int bytes = (unsigned int)(size < 0 ? -size : size);
	bool stored = true;
	uint64_t linear;
	uint8_t *image;
	int error;

	if (!size || !emulator->ops->x87)
		return -EOPNOTSUPP;
	error = get_image(emulator, &image, false);
	if (!error && has_pending_exception(image))
		return emulator_fault(emulator, VECTOR_MF, 0);
	if (!error)
		error = emulate_operand(emulator, bytes, access, &linear);
	if (!error && size > 0)
		error = emulator->ops->read(emulator, linear, operand, bytes, EMULATE_READ);
	if (!error)
		error = emulator->ops->x87(emulator, copy, operand, &stored);
	if (!error && size < 0 && stored)
		error = emulator->ops->write(emulator, linear, operand, bytes);
	if (!error)
		error = get_image(emulator, &image, true);
	if (error)
		return error;
	memcpy(image, copy, IMAGE_FOP);
	memcpy(image + IMAGE_ST, copy + IMAGE_ST, IMAGE_XMM - IMAGE_ST);
	set_pointers(emulator, image);
	return 0;
}

/* --- MXCSR ----------------------------------------------------------------------- */

static bool mxcsr_valid(const uint8_t *image, uint32_t value)
{
	uint32_t mask;

	memcpy(&mask, image + IMAGE_MXCSR_MASK, sizeof(mask));
	return !(value & ~(mask ? mask : MXCSR_MASK_DEFAULT));
}

static int load_mxcsr(struct emulator *emulator)
{
	uint8_t *image;
	uint64_t value;
	int error = get_image(emulator, &image, false);

	if (!error)
		error = emulate_load(emulator, 4, &value);
	if (!error && !mxcsr_valid(image, (uint32_t)value))
		return emulator_fault(emulator, VECTOR_GP, 0);
	if (!error)
		error = get_image(emulator, &image, true);
	if (!error)
		memcpy(image + IMAGE_MXCSR, &value, 4);
	return error;
}

/* LDMXCSR is /2, STMXCSR /3. */
int emulate_mxcsr(struct emulator *emulator)
{
	uint32_t value;
	uint8_t *image;
	int error;

	if ((emulator->insn->reg & 7) == 2)
		return load_mxcsr(emulator);
	error = get_image(emulator, &image, false);
	if (error)
		return error;
	memcpy(&value, image + IMAGE_MXCSR, sizeof(value));
	return emulate_store(emulator, 4, value);
}

/* --- FXSAVE, FXRSTOR ------------------------------------------------------------- */

static unsigned int image_end(const struct emulator *emulator)
{
	return emulator->cpu_mode == CPU_MODE_64BIT ? IMAGE_END : IMAGE_XMM8;
}

static int image_operand(struct emulator *emulator, enum emulate_access access, uint64_t *linear)
{
	int error = emulate_operand(emulator, 512, access, linear);

	if (!error && *linear % 16 != 0)
		return emulator_fault(emulator, VECTOR_GP, 0);
	return error ? error : emulator->ops->probe(emulator, *linear, 512, access);
}

/* Without REX.W pointers have 32 bits, and selectors that processors no longer keep. */
static void narrow_pointers(const struct instruction *insn, uint8_t *image)
{
	if (insn->operand_size == 8)
		return;
	memset(image + IMAGE_FIP + 4, 0, 4);
	memset(image + IMAGE_FDP + 4, 0, 4);
}

int emulate_fxsave(struct emulator *emulator)
{
	unsigned int end = image_end(emulator), size;
	uint8_t copy[IMAGE_END], *image;
	uint64_t linear;
	int error = get_image(emulator, &image, false);

	if (!error)
		error = image_operand(emulator, EMULATE_WRITE, &linear);
	if (error)
		return error;
	memcpy(copy, image, end);
	narrow_pointers(emulator->insn, copy);
	for (unsigned int done = 0; done < end && !error; done += size) {
		size = min_t(unsigned int, PIECE, end - done);
		error = emulator->ops->write(emulator, linear + done, copy + done, size);
	}
	return error;
}

int emulate_fxrstor(struct emulator *emulator)
{
	unsigned int end = image_end(emulator), size;
	uint8_t copy[IMAGE_END], *image;
	uint64_t linear;
	uint32_t mxcsr;
	int error = get_image(emulator, &image, false);

	if (!error)
		error = image_operand(emulator, EMULATE_READ, &linear);
	for (unsigned int done = 0; done < end && !error; done += size) {
		size = min_t(unsigned int, PIECE, end - done);
		error = emulator->ops->read(emulator, linear + done, copy + done, size,
					    EMULATE_READ);
	}
	if (error)
		return error;
	memcpy(&mxcsr, copy + IMAGE_MXCSR, sizeof(mxcsr));
	if (!mxcsr_valid(image, mxcsr))
		return emulator_fault(emulator, VECTOR_GP, 0);
	error = get_image(emulator, &image, true);
	if (error)
		return error;
	narrow_pointers(emulator->insn, copy);
	memcpy(image, copy, IMAGE_MXCSR_MASK);
	memcpy(image + IMAGE_ST, copy + IMAGE_ST, end - IMAGE_ST);
	return 0;
}
