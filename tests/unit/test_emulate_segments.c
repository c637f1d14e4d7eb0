// SPDX-License-Identifier: BSD-2-Clause
/*
 * The emulation engine's segments: limits, types, canonical addresses (APM vol. 2, 4.5 to
 * 4.12), without a vCPU around it.
 */
#include "unit.h"
#include "x86/emulate/emulate_internal.h"

#define DATA_RW	 (SEG_ACCESS_S | SEG_ACCESS_PRESENT | SEG_ACCESS_WRITABLE)
#define DATA_RO	 (SEG_ACCESS_S | SEG_ACCESS_PRESENT)
#define DOWN	 (DATA_RW | SEG_ACCESS_EXPAND_DOWN)
#define CODE_RX	 (SEG_ACCESS_S | SEG_ACCESS_PRESENT | SEG_ACCESS_CODE | SEG_ACCESS_WRITABLE)
#define CODE_X	 (SEG_ACCESS_S | SEG_ACCESS_PRESENT | SEG_ACCESS_CODE)
#define NO_FAULT -1

struct segment_case {
	const char *what;
	enum vm_cpu_mode mode;
	enum segment segment;
	struct seg_desc desc;
	uint64_t offset;
	unsigned int size;
	enum emulate_access access;
	int vector; /* or NO_FAULT */
	uint64_t linear;
	uint64_t rflags;
};

#define PROTECTED CPU_MODE_PROTECTED
#define LONG	  CPU_MODE_64BIT
#define DS	  SEGMENT_DS
#define SS	  SEGMENT_SS
#define READ	  EMULATE_READ
#define WRITE	  EMULATE_WRITE
#define UPDATE	  EMULATE_UPDATE

/* clang-format off */
static const struct segment_case segment_cases[] = {
	{ "base is added",
	  PROTECTED, DS, { 0x1000, 0xffff, DATA_RW }, 0x234, 4, READ, NO_FAULT, 0x1234, 0 },
	{ "last byte",
	  PROTECTED, DS, { 0, 0xffff, DATA_RW }, 0xfffc, 4, WRITE, NO_FAULT, 0xfffc, 0 },
	{ "one too many",
	  PROTECTED, DS, { 0, 0xffff, DATA_RW }, 0xfffd, 4, READ, VECTOR_GP, 0, 0 },
	{ "stack", PROTECTED, SS, { 0, 0xffff, DATA_RW }, 0xfffd, 4, READ, VECTOR_SS, 0, 0 },
	{ "wraps at 4 GiB",
	  PROTECTED, DS, { 0x10, 0xffffffff, DATA_RW }, 0xfffffff8, 8, READ, NO_FAULT, 8, 0 },
	{ "offset wraps",
	  PROTECTED, DS, { 0, 0xffffffff, DATA_RW }, 0xfffffffe, 4, READ, VECTOR_GP, 0, 0 },
	{ "null",
	  PROTECTED, DS, { 0, 0xffffffff, SEG_ACCESS_UNUSABLE | DATA_RW }, 0, 1, READ, VECTOR_GP, 0, 0 },
	{ "null stack",
	  PROTECTED, SS, { 0, 0xffffffff, SEG_ACCESS_UNUSABLE | DATA_RW }, 0, 1, READ, VECTOR_SS, 0, 0 },
	{ "not present",
	  PROTECTED, DS, { 0, 0xffff, SEG_ACCESS_S | SEG_ACCESS_WRITABLE }, 0, 1, READ, VECTOR_GP, 0, 0 },
	{ "read-only, read",
	  PROTECTED, DS, { 0, 0xffff, DATA_RO }, 0, 1, READ, NO_FAULT, 0, 0 },
	{ "read-only, written",
	  PROTECTED, DS, { 0, 0xffff, DATA_RO }, 0, 1, WRITE, VECTOR_GP, 0, 0 },
	{ "read-only, updated",
	  PROTECTED, DS, { 0, 0xffff, DATA_RO }, 0, 1, UPDATE, VECTOR_GP, 0, 0 },
	{ "code, read",
	  PROTECTED, SEGMENT_CS, { 0, 0xffff, CODE_RX }, 0, 1, READ, NO_FAULT, 0, 0 },
	{ "code, written",
	  PROTECTED, SEGMENT_CS, { 0, 0xffff, CODE_RX }, 0, 1, WRITE, VECTOR_GP, 0, 0 },
	{ "execute-only, read",
	  PROTECTED, SEGMENT_CS, { 0, 0xffff, CODE_X }, 0, 1, READ, VECTOR_GP, 0, 0 },
	{ "conforming code is no expand-down",
	  PROTECTED, SEGMENT_CS, { 0, 0xff, CODE_RX | SEG_ACCESS_EXPAND_DOWN }, 0x10, 1, READ, NO_FAULT, 0x10, 0 },
	{ "expand-down, below",
	  PROTECTED, DS, { 0, 0xfff, DOWN | SEG_ACCESS_DB }, 0xfff, 1, READ, VECTOR_GP, 0, 0 },
	{ "expand-down, inside",
	  PROTECTED, DS, { 0, 0xfff, DOWN | SEG_ACCESS_DB }, 0x1000, 1, READ, NO_FAULT, 0x1000, 0 },
	{ "expand-down, top of 4 GiB",
	  PROTECTED, DS, { 0, 0xfff, DOWN | SEG_ACCESS_DB }, 0xffffffff, 1, READ, NO_FAULT, 0xffffffff, 0 },
	{ "expand-down, top of 64 KiB",
	  PROTECTED, DS, { 0, 0xfff, DOWN }, 0xffff, 1, WRITE, NO_FAULT, 0xffff, 0 },
	{ "expand-down, beyond 64 KiB",
	  PROTECTED, DS, { 0, 0xfff, DOWN }, 0xffff, 2, READ, VECTOR_GP, 0, 0 },
	{ "compatibility mode",
	  CPU_MODE_COMPATIBILITY, DS, { 0, 0xff, DATA_RW }, 0x100, 1, READ, VECTOR_GP, 0, 0 },
	{ "real mode asks for no type",
	  CPU_MODE_REAL, DS, { 0x12340, 0xffff, SEG_ACCESS_UNUSABLE }, 5, 2, WRITE, NO_FAULT, 0x12345, 0 },
	{ "real mode has limits",
	  CPU_MODE_REAL, DS, { 0x12340, 0xffff, DATA_RW }, 0xffff, 2, WRITE, VECTOR_GP, 0, 0 },
	{ "virtual-8086 asks for no type",
	  PROTECTED, DS, { 0x12340, 0xffff, CODE_X }, 5, 2, WRITE, NO_FAULT, 0x12345, REG_RFLAGS_VM },
	{ "64-bit: no base", LONG, DS, { 0x1000, 0, 0 }, 0x234, 4, WRITE, NO_FAULT, 0x234, 0 },
	{ "64-bit: base of fs",
	  LONG, SEGMENT_FS, { 0x1000, 0, 0 }, 0x234, 4, WRITE, NO_FAULT, 0x1234, 0 },
	{ "64-bit: base and offset wrap",
	  LONG, SEGMENT_GS, { 0xffffffff80000000, 0, 0 }, 0x80000010, 4, READ, NO_FAULT, 0x10, 0 },
	{ "64-bit: last of the lower half",
	  LONG, DS, { 0, 0, 0 }, 0x7ffffffffff8, 8, READ, NO_FAULT, 0x7ffffffffff8, 0 },
	{ "64-bit: into the hole",
	  LONG, DS, { 0, 0, 0 }, 0x7ffffffffff9, 8, READ, VECTOR_GP, 0, 0 },
	{ "64-bit: out of the hole",
	  LONG, DS, { 0, 0, 0 }, 0xffff7fffffffffff, 2, READ, VECTOR_GP, 0, 0 },
	{ "64-bit: first of the upper half",
	  LONG, DS, { 0, 0, 0 }, 0xffff800000000000, 8, READ, NO_FAULT, 0xffff800000000000, 0 },
	{ "64-bit: stack in the hole",
	  LONG, SS, { 0, 0, 0 }, 0x800000000000, 8, READ, VECTOR_SS, 0, 0 },
};
/* clang-format on */

static const struct segment_case *current;

static void case_segment(struct emulator *emulator, enum segment segment, struct seg_desc *desc)
{
	(void)emulator;
	CHECK_EQ(segment, current->segment);
	*desc = current->desc;
}

static void check_segment(const struct segment_case *test)
{
	static const struct emulator_ops ops = { .segment = case_segment };
	struct emulator emulator = { .ops = &ops, .cpu_mode = test->mode };
	uint64_t linear = 0;
	int result;

	current = test;
	emulator.rflags = test->rflags;
	result = emulate_linear(&emulator, test->segment, test->offset, test->size, test->access,
				&linear);
	CHECK_EQ_AT(result, test->vector == NO_FAULT ? 0 : -EFAULT, "%s", test->what);
	if (result == 0) {
		CHECK_EQ_AT(linear, test->linear, "%s", test->what);
		return;
	}
	CHECK_EQ_AT(emulator.vector, test->vector, "%s", test->what);
	CHECK_EQ_AT(emulator.has_error_code, true, "%s", test->what);
	CHECK_EQ_AT(emulator.error_code, 0, "%s", test->what);
}

TEST(segments)
{
	for (size_t i = 0; i < ARRAY_SIZE(segment_cases); i++)
		check_segment(&segment_cases[i]);
}

/* With five levels of page tables the hole is elsewhere. */
TEST(wide_addresses)
{
	static const struct emulator_ops ops = { .segment = case_segment };
	struct emulator emulator = { .ops = &ops, .cpu_mode = LONG, .wide_canonical = true };
	uint64_t linear;

	CHECK_EQ(emulate_linear(&emulator, DS, 0x00ffffffffffff00, 8, READ, &linear), 0);
	CHECK_EQ(emulate_linear(&emulator, DS, 0x0100000000000000, 8, READ, &linear), -EFAULT);
}
