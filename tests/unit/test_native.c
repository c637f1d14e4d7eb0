// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ground test_emulate_native stands on: in 32- and in 16-bit code each segment
 * register has the base, the limit and the rights of the descriptor it was given.
 * What fails here is this machine or native.c, not the emulator.
 */
#include "native.h"
#include "unit.h"
#include "x86/emulate/emulate_internal.h"

#define OVERRIDE_ES 0x26
#define OVERRIDE_SS 0x36
#define OVERRIDE_DS 0x3e
#define LOAD_AL	    0xa0 /* MOV AL, moffs8 and back */
#define STORE_AL    0xa2

static const struct {
	const char *name;
	uint8_t override;
	uint8_t vector; /* beyond the limit (APM vol. 2, 8.2.13 and 8.2.14) */
} registers[] = {
	{ "ES", OVERRIDE_ES, VECTOR_GP },
	{ "SS", OVERRIDE_SS, VECTOR_SS },
	{ "DS", OVERRIDE_DS, VECTOR_GP },
};

/* Offsets of the data area's bytes in each segment, and one that is outside. */
static const struct {
	const char *name;
	uint32_t first, last, outside;
	bool writable, stack, limited;
} expected[NATIVE_SEGMENTS] = {
	[NATIVE_FLAT] = { "flat", NATIVE_DATA, NATIVE_DATA + 0xffff, 0, true, true, false },
	[NATIVE_BASED] = { "based", 0, 0xffff, 0x10000, true, true, true },
	[NATIVE_READ_ONLY] = { "read-only", 0, 0xffff, 0x10000, false, false, true },
	[NATIVE_DOWN] = { "expand-down", NATIVE_DOWN_START, 0xffff, NATIVE_DOWN_START - 1, true,
			  true, true },
	[NATIVE_STACK16] = { "16-bit stack", 0, 0xffff, 0x10000, true, true, true },
};

static void select_only(bool wide, size_t reg, enum native_segment segment,
			struct native_selectors *selectors)
{
	enum native_segment es = NATIVE_FLAT, ss = NATIVE_FLAT, ds = NATIVE_FLAT;

	if (registers[reg].override == OVERRIDE_ES)
		es = segment;
	else if (registers[reg].override == OVERRIDE_SS)
		ss = segment;
	else
		ds = segment;
	native_select(wide, es, ss, ds, selectors);
}

/* MOV between AL and a byte of the segment, with a 32-bit offset. */
static int access_byte(bool wide, const struct native_selectors *selectors, uint8_t override,
		       uint8_t opcode, uint32_t offset, uint8_t *al)
{
	struct native_state state = { .gpr = { *al, [REGISTER_RSP] = 0x4000 }, .rflags = 0x202 };
	uint8_t bytes[16];
	unsigned int length = 0;
	int result;

	if (!wide)
		bytes[length++] = 0x67;
	bytes[length++] = override;
	bytes[length++] = opcode;
	memcpy(bytes + length, &offset, sizeof(offset));
	result = native_run_legacy(wide, selectors, bytes, length + sizeof(offset), &state);
	*al = (uint8_t)state.gpr[0];
	CHECK_EQ(state.gpr[REGISTER_RSP], 0x4000);
	return result;
}

static void check_byte(bool wide, size_t reg, enum native_segment segment, uint32_t offset)
{
	uint8_t *byte = (uint8_t *)NATIVE_DATA + (uint16_t)offset;
	struct native_selectors selectors;
	uint8_t al = 0;

	select_only(wide, reg, segment, &selectors);
	*byte = 0x5a;
	CHECK_EQ_AT(access_byte(wide, &selectors, registers[reg].override, LOAD_AL, offset, &al),
		    NATIVE_DONE, "wide %d, %s %s, %#x: %s", wide, registers[reg].name,
		    expected[segment].name, offset, native_trap());
	CHECK_EQ_AT(al, 0x5a, "wide %d, %s %s, %#x", wide, registers[reg].name,
		    expected[segment].name, offset);
	al = 0xa5;
	CHECK_EQ_AT(access_byte(wide, &selectors, registers[reg].override, STORE_AL, offset, &al),
		    expected[segment].writable ? NATIVE_DONE : VECTOR_GP, "wide %d, %s %s, %#x: %s",
		    wide, registers[reg].name, expected[segment].name, offset, native_trap());
	CHECK_EQ_AT(*byte, expected[segment].writable ? 0xa5 : 0x5a, "wide %d, %s %s, %#x", wide,
		    registers[reg].name, expected[segment].name, offset);
}

static void check_outside(bool wide, size_t reg, enum native_segment segment)
{
	struct native_selectors selectors;
	uint8_t al = 0;

	select_only(wide, reg, segment, &selectors);
	CHECK_EQ_AT(access_byte(wide, &selectors, registers[reg].override, LOAD_AL,
				expected[segment].outside, &al),
		    registers[reg].vector, "wide %d, %s %s: %s", wide, registers[reg].name,
		    expected[segment].name, native_trap());
}

static void check_segments(bool wide)
{
	native_init();
	if (!native_legacy_init()) {
		printf("this kernel has no modify_ldt: nothing is tested\n");
		return;
	}
	for (size_t reg = 0; reg < sizeof(registers) / sizeof(registers[0]); reg++)
		for (unsigned int i = 0; i < NATIVE_SEGMENTS; i++) {
			enum native_segment segment = (enum native_segment)i;

			if (registers[reg].override == OVERRIDE_SS && !expected[i].stack)
				continue;
			check_byte(wide, reg, segment, expected[i].first);
			check_byte(wide, reg, segment, expected[i].last);
			if (expected[i].limited)
				check_outside(wide, reg, segment);
		}
}

TEST(segments_of_32_bit_code)
{
	check_segments(true);
}

TEST(segments_of_16_bit_code)
{
	check_segments(false);
}

/* SS cannot be loaded with what is not writable: the way to the instruction ends there. */
TEST(exceptions_on_the_way_are_told_apart)
{
	struct native_selectors selectors;
	uint8_t al = 0;

	native_init();
	if (!native_legacy_init())
		return;
	native_select(true, NATIVE_FLAT, NATIVE_READ_ONLY, NATIVE_FLAT, &selectors);
	CHECK_EQ(access_byte(true, &selectors, OVERRIDE_DS, LOAD_AL, NATIVE_DATA, &al),
		 NATIVE_ON_THE_WAY);
	CHECK(strstr(native_trap(), "exception 13, error code 0x14, at 0x201005"));
}
