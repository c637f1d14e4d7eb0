// SPDX-License-Identifier: BSD-2-Clause
/*
 * The decoder: chosen encodings field by field, its behaviour at every cut of the
 * bytes, and the length of some hundred thousand random encodings against objdump.
 */
#include <stdlib.h>
#include <unistd.h>

#include "unit.h"
#include "x86/emulate/decode.h"

/* --- field by field --------------------------------------------------------- */

struct field_case {
	const char *what;
	enum decode_mode mode;
	uint8_t bytes[INSTRUCTION_MAX + 1];
	struct instruction want;
};

#define NO REGISTER_NONE

/* Fields in the order: op, form, length, operand, source, address size, segment. */
#define HEAD(op_, form_, length_, operand_, source_, address_, segment_)                       \
	.op = OP_##op_, .form = FORM_##form_, .length = (length_), .operand_size = (operand_), \
	.source_size = (source_), .address_size = (address_), .segment = SEGMENT_##segment_
#define AT(base_, index_, scale_, displacement_)                               \
	.memory = true, .base = (base_), .index = (index_), .scale = (scale_), \
	.displacement = (displacement_)

static const struct field_case field_cases[] = {
	{ "mov %ecx,0xf0(%rdi)",
	  DECODE_64,
	  { 0x89, 0x8f, 0xf0, 0x00, 0x00, 0x00 },
	  { HEAD(MOV, RM_REG, 6, 4, 4, 8, DS), AT(7, NO, 0, 0xf0), .reg = 1, .rm = 7 } },
	{ "mov -8(%r13,%r12,4),%r9",
	  DECODE_64,
	  { 0x4f, 0x8b, 0x4c, 0xa5, 0xf8 },
	  { HEAD(MOV, REG_RM, 5, 8, 8, 8, DS), AT(13, 12, 2, -8), .reg = 9, .rm = 12,
	    .prefixes = PREFIX_REX } },
	{ "mov 8(%rbp),%al",
	  DECODE_64,
	  { 0x8a, 0x45, 0x08 },
	  { HEAD(MOV, REG_RM, 3, 1, 1, 8, SS), AT(5, NO, 0, 8), .reg = 0, .rm = 5 } },
	{ "movl $-2,0x10(%rip)",
	  DECODE_64,
	  { 0xc7, 0x05, 0x10, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff },
	  { HEAD(MOV, RM_IMM, 10, 4, 4, 8, DS), AT(NO, NO, 0, 0x10), .rm = 5, .rip_relative = true,
	    .immediate = -2 } },
	{ "ds override is void in 64-bit mode, gs is not",
	  DECODE_64,
	  { 0x65, 0x3e, 0x8b, 0x00 },
	  { HEAD(MOV, REG_RM, 4, 4, 4, 8, GS), AT(0, NO, 0, 0), .prefixes = PREFIX_SEGMENT } },
	{ "movabs 0x1122334455667788,%rax",
	  DECODE_64,
	  { 0x48, 0xa1, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11 },
	  { HEAD(MOV, ACC_MEM, 10, 8, 8, 8, DS), AT(NO, NO, 0, 0x1122334455667788),
	    .prefixes = PREFIX_REX } },
	{ "mov %al,%es:0x1234 in 16-bit code",
	  DECODE_16,
	  { 0x26, 0xa2, 0x34, 0x12 },
	  { HEAD(MOV, MEM_ACC, 4, 1, 1, 2, ES), AT(NO, NO, 0, 0x1234),
	    .prefixes = PREFIX_SEGMENT } },
	{ "mov %cx,2(%bp,%si)",
	  DECODE_16,
	  { 0x89, 0x4a, 0x02 },
	  { HEAD(MOV, RM_REG, 3, 2, 2, 2, SS), AT(5, 6, 0, 2), .reg = 1, .rm = 2 } },
	{ "mov %ecx,(,%esi,8) with both sizes overridden",
	  DECODE_16,
	  { 0x66, 0x67, 0x89, 0x0c, 0xf5, 0x44, 0x33, 0x22, 0x11 },
	  { HEAD(MOV, RM_REG, 9, 4, 4, 4, DS), AT(NO, 6, 3, 0x11223344), .reg = 1, .rm = 4,
	    .prefixes = PREFIX_OPERAND | PREFIX_ADDRESS } },
	{ "mov (%bx),%ax out of 32-bit code",
	  DECODE_32,
	  { 0x66, 0x67, 0x8b, 0x07 },
	  { HEAD(MOV, REG_RM, 4, 2, 2, 2, DS), AT(3, NO, 0, 0), .reg = 0, .rm = 7,
	    .prefixes = PREFIX_OPERAND | PREFIX_ADDRESS } },
	{ "movzbl (%rsp),%r8d",
	  DECODE_64,
	  { 0x44, 0x0f, 0xb6, 0x04, 0x24 },
	  { HEAD(MOVZX, REG_RM, 5, 4, 1, 8, SS), AT(4, NO, 0, 0), .reg = 8, .rm = 4,
	    .prefixes = PREFIX_REX } },
	{ "movslq (%rax),%rcx",
	  DECODE_64,
	  { 0x48, 0x63, 0x08 },
	  { HEAD(MOVSX, REG_RM, 3, 8, 4, 8, DS), AT(0, NO, 0, 0), .reg = 1,
	    .prefixes = PREFIX_REX } },
	{ "lock orl $0x80,(%rbx)",
	  DECODE_64,
	  { 0xf0, 0x81, 0x0b, 0x80, 0, 0, 0 },
	  { HEAD(OR, RM_IMM, 7, 4, 4, 8, DS), AT(3, NO, 0, 0), .reg = 1, .rm = 3, .immediate = 0x80,
	    .prefixes = PREFIX_LOCK } },
	{ "lock cmpxchg16b (%rdi)",
	  DECODE_64,
	  { 0xf0, 0x48, 0x0f, 0xc7, 0x0f },
	  { HEAD(CMPXCHG8B, RM, 5, 8, 8, 8, DS), AT(7, NO, 0, 0), .reg = 1, .rm = 7,
	    .prefixes = PREFIX_LOCK | PREFIX_REX } },
	{ "testw $0x1234,(%rax)",
	  DECODE_64,
	  { 0x66, 0xf7, 0x00, 0x34, 0x12 },
	  { HEAD(TEST, RM_IMM, 5, 2, 2, 8, DS), AT(0, NO, 0, 0), .immediate = 0x1234,
	    .prefixes = PREFIX_OPERAND } },
	{ "shlb (%rax)",
	  DECODE_64,
	  { 0xd0, 0x20 },
	  { HEAD(SHL, RM_IMM, 2, 1, 1, 8, DS), AT(0, NO, 0, 0), .reg = 4, .immediate = 1 } },
	{ "push (%rax) takes 64 bits",
	  DECODE_64,
	  { 0xff, 0x30 },
	  { HEAD(PUSH, RM, 2, 8, 8, 8, DS), AT(0, NO, 0, 0), .reg = 6 } },
	{ "rep movsl",
	  DECODE_64,
	  { 0xf3, 0xa5 },
	  { HEAD(MOVS, NONE, 2, 4, 4, 8, DS), .base = NO, .index = NO, .prefixes = PREFIX_REP } },
	{ "rep outsb with fs in 32-bit code",
	  DECODE_32,
	  { 0x64, 0xf3, 0x6e },
	  { HEAD(OUTS, NONE, 3, 1, 1, 4, FS), .base = NO, .index = NO,
	    .prefixes = PREFIX_REP | PREFIX_SEGMENT } },
	{ "movbe (%rax),%ecx",
	  DECODE_64,
	  { 0x0f, 0x38, 0xf0, 0x08 },
	  { HEAD(MOVBE, REG_RM, 4, 4, 4, 8, DS), AT(0, NO, 0, 0), .reg = 1 } },
	{ "movdqa %xmm9,(%rax)",
	  DECODE_64,
	  { 0x66, 0x44, 0x0f, 0x7f, 0x08 },
	  { HEAD(VECTOR_STORE, RM_REG, 5, 16, 16, 8, DS), AT(0, NO, 0, 0), .reg = 9,
	    .aligned = true, .prefixes = PREFIX_OPERAND | PREFIX_REX } },
	{ "vmovups (%rax),%ymm10",
	  DECODE_64,
	  { 0xc5, 0x7c, 0x10, 0x10 },
	  { HEAD(VECTOR_LOAD, REG_RM, 4, 32, 32, 8, DS), AT(0, NO, 0, 0), .reg = 10,
	    .prefixes = PREFIX_VEX } },
	{ "andn (%rax),%rcx,%rdx",
	  DECODE_64,
	  { 0xc4, 0xe2, 0xf0, 0xf2, 0x10 },
	  { HEAD(ANDN, REG_RM_VVVV, 5, 8, 8, 8, DS), AT(0, NO, 0, 0), .reg = 2, .vvvv = 1,
	    .prefixes = PREFIX_VEX } },
	{ "mov %cr4,%r9",
	  DECODE_64,
	  { 0x41, 0x0f, 0x20, 0xe1 },
	  { HEAD(MOV_FROM_CR, NONE, 4, 8, 8, 8, ES), .base = NO, .index = NO, .reg = 4, .rm = 9,
	    .prefixes = PREFIX_REX } },
	{ "lock mov %eax,%cr0 is CR8",
	  DECODE_32,
	  { 0xf0, 0x0f, 0x22, 0xc0 },
	  { HEAD(MOV_TO_CR, NONE, 4, 4, 4, 4, ES), .base = NO, .index = NO, .reg = 8,
	    .prefixes = PREFIX_LOCK } },
	{ "MOV CR has no memory form",
	  DECODE_64,
	  { 0x0f, 0x22, 0x1c },
	  { HEAD(MOV_TO_CR, NONE, 3, 8, 8, 8, ES), .base = NO, .index = NO, .reg = 3, .rm = 4 } },
	{ "pause",
	  DECODE_64,
	  { 0xf3, 0x90 },
	  { HEAD(PAUSE, NONE, 2, 4, 4, 8, DS), .base = NO, .index = NO, .prefixes = PREFIX_REP } },
	{ "vmmcall",
	  DECODE_64,
	  { 0x0f, 0x01, 0xd9 },
	  { HEAD(VMMCALL, NONE, 3, 4, 4, 8, ES), .base = NO, .index = NO, .reg = 3, .rm = 1 } },
	{ "in $0x80,%ax",
	  DECODE_32,
	  { 0x66, 0xe5, 0x80 },
	  { HEAD(IN, NONE, 3, 2, 2, 4, DS), .base = NO, .index = NO, .immediate = -128,
	    .prefixes = PREFIX_OPERAND } },
};

#define CHECK_FIELD(field) CHECK_EQ_AT(got.field, want->field, "%s", test->what)

static void check_fields(const struct field_case *test)
{
	const struct instruction *want = &test->want;
	struct instruction got;
	int result = decode_instruction(&got, test->bytes, INSTRUCTION_MAX, test->mode);

	CHECK_EQ_AT(result, 0, "%s", test->what);
	if (result)
		return;
	CHECK_FIELD(op);
	CHECK_FIELD(form);
	CHECK_FIELD(length);
	CHECK_FIELD(prefixes);
	CHECK_FIELD(operand_size);
	CHECK_FIELD(source_size);
	CHECK_FIELD(address_size);
	CHECK_FIELD(memory);
	CHECK_FIELD(reg);
	CHECK_FIELD(rm);
	CHECK_FIELD(displacement);
	CHECK_FIELD(immediate);
	CHECK_FIELD(rip_relative);
	CHECK_FIELD(vvvv);
	CHECK_FIELD(aligned);
	CHECK_EQ_AT(got.mode, test->mode, "%s", test->what);
	if (want->segment) /* 0 (ES) where nothing is addressed */
		CHECK_FIELD(segment);
	if (!got.memory)
		return;
	CHECK_FIELD(base);
	CHECK_FIELD(index);
	CHECK_FIELD(scale);
}

TEST(fields)
{
	for (size_t i = 0; i < ARRAY_SIZE(field_cases); i++)
		check_fields(&field_cases[i]);
}

/* Every proper prefix of an instruction wants more bytes; with none missing it is whole. */
TEST(cut_short)
{
	for (size_t i = 0; i < ARRAY_SIZE(field_cases); i++) {
		const struct field_case *test = &field_cases[i];
		struct instruction insn;

		for (unsigned int n = 0; n < test->want.length; n++)
			CHECK_EQ_AT(decode_instruction(&insn, test->bytes, n, test->mode), -ENODATA,
				    "%s, %u bytes", test->what, n);
		CHECK_EQ_AT(decode_instruction(&insn, test->bytes, test->want.length, test->mode),
			    0, "%s", test->what);
	}
}

struct undefined_case {
	const char *what;
	enum decode_mode mode;
	uint8_t bytes[INSTRUCTION_MAX + 1];
};

static const struct undefined_case undefined_cases[] = {
	{ "push %es in 64-bit mode", DECODE_64, { 0x06 } },
	{ "82 in 64-bit mode", DECODE_64, { 0x82, 0, 0 } },
	{ "lock mov", DECODE_64, { 0xf0, 0x89, 0x00 } },
	{ "lock add to a register", DECODE_64, { 0xf0, 0x01, 0xc0 } },
	{ "lock add from memory", DECODE_64, { 0xf0, 0x03, 0x00 } },
	{ "lock cmp", DECODE_64, { 0xf0, 0x39, 0x00 } },
	{ "lock bt", DECODE_64, { 0xf0, 0x0f, 0xa3, 0x00 } },
	{ "ff /7", DECODE_64, { 0xff, 0x38 } },
	{ "fe /2", DECODE_64, { 0xfe, 0x10 } },
	{ "c6 /1", DECODE_64, { 0xc6, 0x08, 0 } },
	{ "8f /4", DECODE_64, { 0x8f, 0x20 } },
	{ "0f ba /0", DECODE_64, { 0x0f, 0xba, 0x00, 0 } },
	{ "0f 04", DECODE_64, { 0x0f, 0x04 } },
	{ "rex before vex", DECODE_64, { 0x48, 0xc5, 0xfc, 0x10, 0x10 } },
	{ "66 before vex", DECODE_64, { 0x66, 0xc5, 0xfc, 0x10, 0x10 } },
	{ "vex map 4", DECODE_64, { 0xc4, 0xe4, 0x70, 0xf2, 0x10 } },
};

TEST(undefined)
{
	for (size_t i = 0; i < ARRAY_SIZE(undefined_cases); i++) {
		const struct undefined_case *test = &undefined_cases[i];
		struct instruction insn;

		CHECK_EQ_AT(decode_instruction(&insn, test->bytes, INSTRUCTION_MAX, test->mode),
			    -EINVAL, "%s", test->what);
	}
}

/* Fifteen bytes are an instruction, sixteen are not, however many are offered. */
TEST(longest)
{
	uint8_t bytes[20];
	struct instruction insn;

	memset(bytes, 0x66, sizeof(bytes));
	CHECK_EQ(decode_instruction(&insn, bytes, sizeof(bytes), DECODE_64), -E2BIG);
	bytes[14] = 0x90;
	CHECK_EQ(decode_instruction(&insn, bytes, sizeof(bytes), DECODE_64), 0);
	CHECK_EQ(insn.length, 15);
	bytes[14] = 0x66;
	bytes[15] = 0x90;
	CHECK_EQ(decode_instruction(&insn, bytes, sizeof(bytes), DECODE_64), -E2BIG);
}

/* --- against objdump ----------------------------------------------------------- */

/*
 * Each encoding lies in a slot of its own, followed by enough NOPs for objdump,
 * which reads straight on, to be in step again at the next slot.
 */
#define SLOT  32
#define SLOTS 40000

static uint64_t random_state;

static uint64_t random_bits(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static unsigned int random_below(unsigned int bound)
{
	return (unsigned int)(random_bits() >> 20) % bound;
}

static size_t put_prefixes(uint8_t *bytes, enum decode_mode mode)
{
	static const uint8_t prefixes[] = { 0x66, 0x67, 0xf2, 0xf3, 0x26, 0x2e,
					    0x36, 0x3e, 0x64, 0x65, 0xf0 };
	size_t length = 0;
	unsigned int count = random_below(4);

	for (unsigned int i = 0; count != 3 && i < count; i++)
		bytes[length++] = prefixes[random_below(ARRAY_SIZE(prefixes))];
	if (mode == DECODE_64 && random_below(2))
		bytes[length++] = 0x40 | random_below(16);
	return length;
}

static size_t put_vex(uint8_t *bytes)
{
	static const uint8_t first[] = { 0xc5, 0xc4, 0xc4, 0x62, 0x8f };
	uint8_t kind = first[random_below(ARRAY_SIZE(first))];

	bytes[0] = kind;
	bytes[1] = (uint8_t)random_bits();
	bytes[2] = (uint8_t)random_bits();
	if (kind == 0xc5)
		return 2;
	if (kind == 0xc4)
		bytes[1] = (bytes[1] & 0xe0) | (1 + random_below(3));
	if (kind == 0x8f)
		bytes[1] = (bytes[1] & 0xe0) | (8 + random_below(3));
	if (kind != 0x62)
		return 3;
	bytes[1] = (bytes[1] & 0xf0) | (1 + random_below(3));
	bytes[2] |= 4;
	bytes[3] = (uint8_t)random_bits();
	return 4;
}

/* Prefixes and an escape to some opcode map; all that follows is random. */
static void fill_slot(uint8_t *slot, enum decode_mode mode)
{
	size_t length;

	memset(slot, 0x90, SLOT);
	for (size_t i = 0; i < INSTRUCTION_MAX; i++)
		slot[i] = (uint8_t)random_bits();
	length = put_prefixes(slot, mode);
	switch (random_below(6)) {
	case 0:
		slot[length] = 0x0f;
		break;
	case 1:
		slot[length++] = 0x0f;
		slot[length] = random_below(2) ? 0x38 : 0x3a;
		break;
	case 2:
		put_vex(slot);
		break;
	default:
		break;
	}
}

static void write_file(const char *name, const uint8_t *data, size_t length)
{
	FILE *file = fopen(name, "wb");

	REQUIRE(file);
	REQUIRE(fwrite(data, 1, length, file) == length);
	REQUIRE(fclose(file) == 0);
}

/* Whether objdump's text is but prefixes, which it prints apart from what they belong to. */
static bool only_prefixes(const char *text)
{
	static const char *const names[] = { "rex", "data16",  "data32",   "addr16",  "addr32",
					     "cs",  "ds",      "es",	   "ss",      "fs",
					     "gs",  "lock",    "repz",	   "repnz",   "rep",
					     "bnd", "notrack", "xacquire", "xrelease" };
	char copy[64], *rest = copy, *word;

	snprintf(copy, sizeof(copy), "%s", text);
	while ((word = strsep(&rest, " \n"))) {
		bool found = word[0] == '\0' || strncmp(word, "rex.", 4) == 0;

		for (size_t i = 0; i < ARRAY_SIZE(names) && !found; i++)
			found = strcmp(word, names[i]) == 0;
		if (!found)
			return false;
	}
	return true;
}

struct listing {
	int8_t length[SLOTS]; /* of the instruction in the slot; 0 none seen, -1 "(bad)" */
	char text[SLOTS][64];
};

/* One line: "  a0:<tab>8b 07   <tab>mov (%rdi),%eax". False if it is something else. */
static bool parse_line(char *line, unsigned long *address, unsigned int *length, char **text)
{
	char *bytes, *end;

	*address = strtoul(line, &end, 16);
	if (end == line || *end != ':')
		return false;
	bytes = strchr(line, '\t');
	if (!bytes)
		return false;
	*text = strchr(bytes + 1, '\t');
	if (!*text)
		return false;
	*length = 0;
	for (bytes++; bytes < *text; bytes += 3, (*length)++)
		if (bytes[0] == ' ')
			break;
	(*text)++;
	return true;
}

static void note_instruction(struct listing *listing, size_t slot, unsigned int length,
			     const char *text)
{
	bool bad = strstr(text, "(bad)") || strstr(text, ".byte");

	listing->length[slot] = bad ? -1 : (int8_t)length;
	snprintf(listing->text[slot], sizeof(listing->text[slot]), "%.*s", (int)strcspn(text, "\n"),
		 text);
}

static void read_listing(FILE *pipe, struct listing *listing)
{
	unsigned long address, start = 0;
	unsigned int length, before = 0;
	bool forgotten = false; /* after a REX in the wrong place it forgets the prefixes before */
	char line[512], *text;

	while (fgets(line, sizeof(line), pipe)) {
		if (!parse_line(line, &address, &length, &text))
			continue;
		if (before && address != start + before)
			before = 0;
		if (!before)
			start = address;
		if (only_prefixes(text)) {
			before += length;
			forgotten |= strstr(text, "rex") != NULL;
			continue;
		}
		if (start % SLOT == 0 && start / SLOT < SLOTS)
			note_instruction(listing, start / SLOT, forgotten ? 0 : before + length,
					 text);
		before = 0;
		forgotten = false;
	}
}

static void disassemble(const uint8_t *code, const char *machine, struct listing *listing)
{
	char name[] = "/tmp/vmm-decode-XXXXXX";
	char command[128];
	int fd = mkstemp(name);
	FILE *pipe;

	REQUIRE(fd >= 0);
	close(fd);
	write_file(name, code, (size_t)SLOTS * SLOT);
	snprintf(command, sizeof(command), "LC_ALL=C objdump -D -b binary -m %s --insn-width=16 %s",
		 machine, name);
	pipe = popen(command, "r");
	REQUIRE(pipe);
	read_listing(pipe, listing);
	CHECK_EQ(pclose(pipe), 0);
	unlink(name);
}

static void show_bytes(char *text, size_t size, const uint8_t *bytes)
{
	for (size_t i = 0; i < INSTRUCTION_MAX && i * 3 + 4 < size; i++)
		sprintf(text + i * 3, "%02x ", bytes[i]);
}

/* What objdump takes for one instruction, or for an instruction at all, and processors do not. */
static bool is_excused(const struct instruction *insn, const char *text)
{
	static const char *const others[] = { "%tr", "xstore", "xcrypt", "xsha", "montmul" };

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (strstr(text, others[i]))
			return true;
	return insn->opcode == 0x9b; /* FWAIT, joined with what follows */
}

static bool is_prefix(uint8_t byte, enum decode_mode mode)
{
	return (byte & 0xe7) == 0x26 || (byte & 0xfc) == 0x64 || byte == 0xf0 ||
	       (byte & 0xfe) == 0xf2 || (mode == DECODE_64 && (byte & 0xf0) == 0x40);
}

/*
 * objdump lets LOCK stand before anything, and any prefix before VEX. Decodes
 * without these, to know the length.
 */
static int decode_loosely(struct instruction *insn, const uint8_t *bytes, enum decode_mode mode)
{
	uint8_t copy[INSTRUCTION_MAX];
	int result = decode_instruction(insn, bytes, INSTRUCTION_MAX, mode);
	size_t n;

	if (result != -EINVAL)
		return result;
	memcpy(copy, bytes, sizeof(copy));
	for (n = 0; n < INSTRUCTION_MAX && is_prefix(copy[n], mode); n++)
		if (copy[n] == 0xf0)
			copy[n] = 0x3e;
	if (n < INSTRUCTION_MAX &&
	    (copy[n] == 0xc4 || copy[n] == 0xc5 || copy[n] == 0x62 || copy[n] == 0x8f))
		for (size_t i = 0; i < n; i++)
			copy[i] = copy[i] == 0x67 ? 0x67 : 0x3e;
	return decode_instruction(insn, copy, INSTRUCTION_MAX, mode);
}

static void compare_slot(const uint8_t *bytes, enum decode_mode mode, int length, const char *text)
{
	struct instruction insn;
	char shown[64];
	int result = decode_loosely(&insn, bytes, mode);

	if (is_excused(&insn, text))
		return;
	show_bytes(shown, sizeof(shown), bytes);
	CHECK_EQ_AT(result, 0, "%s(%s)", shown, text);
	if (result == 0)
		CHECK_EQ_AT(insn.length, length, "%s(%s)", shown, text);
}

static void compare(const uint8_t *code, enum decode_mode mode, const struct listing *listing)
{
	unsigned int compared = 0, seen = 0;

	for (size_t slot = 0; slot < SLOTS; slot++) {
		int length = listing->length[slot];

		seen += length != 0;
		if (length <= 0 || length > INSTRUCTION_MAX)
			continue;
		compared++;
		compare_slot(code + slot * SLOT, mode, length, listing->text[slot]);
	}
	/* objdump must have been in step nearly always, and have known most of it. */
	CHECK(seen > SLOTS * 95 / 100);
	CHECK(compared > SLOTS / 2);
}

static void check_lengths(enum decode_mode mode, const char *machine)
{
	uint8_t *code = malloc((size_t)SLOTS * SLOT);
	struct listing *listing = calloc(1, sizeof(*listing));

	REQUIRE(code && listing);
	random_state = 0x9e3779b97f4a7c15ull + mode;
	for (size_t slot = 0; slot < SLOTS; slot++)
		fill_slot(code + slot * SLOT, mode);
	disassemble(code, machine, listing);
	compare(code, mode, listing);
	free(listing);
	free(code);
}

TEST(lengths_64)
{
	check_lengths(DECODE_64, "i386:x86-64");
}

TEST(lengths_32)
{
	check_lengths(DECODE_32, "i386");
}

TEST(lengths_16)
{
	check_lengths(DECODE_16, "i8086");
}
