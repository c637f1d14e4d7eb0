// SPDX-License-Identifier: BSD-2-Clause
/*
 * x87, MMX, FXSAVE and AVX-512 instructions with an operand in memory: the engine against the
 * real processor on random registers, and where in a vCPU's XSAVE area things go.
 */
#include <cpuid.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "emulate_vm.h"
#include "native_fpu.h"
#include "vm/regs.h"
#include "x86/cpu/context.h"
#include "x86/emulate/emulate_internal.h"

#define CASES	     20000
#define OPERAND_SIZE 512

static uint64_t random_state = 0x9e3779b97f4a7c15ull;

static uint64_t random_bits(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dull;
}

static unsigned int random_below(unsigned int bound)
{
	return (unsigned int)(random_bits() >> 32) % bound;
}

static void fill_random(void *to, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)to)[i] = (uint8_t)(random_bits() >> 24);
}

/* --- the processor's side ------------------------------------------------- */

/* Code with its operand at (%rdi), and a RET behind it. */
static uint8_t *code_page;
static uint8_t operand[OPERAND_SIZE] __attribute__((aligned(64)));

static void native_begin(void)
{
	code_page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(code_page != MAP_FAILED);
}

static void run_natively(struct native_fpu *fpu, const uint8_t *bytes, unsigned int length)
{
	memcpy(code_page, bytes, length);
	code_page[length] = 0xc3;
	native_fpu_run(fpu, code_page, operand);
}

static bool has_avx512(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

/* --- the engine's side ---------------------------------------------------- */

static struct native_fpu *emulated;

static int op_read(struct emulator *emulator, uint64_t linear, void *data, unsigned int size,
		   enum emulate_access access)
{
	(void)emulator;
	(void)access;
	CHECK(linear >= (uint64_t)operand && linear + size <= (uint64_t)operand + OPERAND_SIZE);
	memcpy(data, (const void *)linear, size);
	return 0;
}

static int op_write(struct emulator *emulator, uint64_t linear, const void *data, unsigned int size)
{
	(void)emulator;
	CHECK(linear >= (uint64_t)operand && linear + size <= (uint64_t)operand + OPERAND_SIZE);
	memcpy((void *)linear, data, size);
	return 0;
}

static int op_probe(struct emulator *emulator, uint64_t linear, unsigned int size,
		    enum emulate_access access)
{
	(void)emulator;
	(void)linear;
	(void)size;
	(void)access;
	return 0;
}

static int op_vector_read(struct emulator *emulator, unsigned int reg, void *data,
			  unsigned int size)
{
	(void)emulator;
	memcpy(data, emulated->zmm[reg], size);
	return 0;
}

static int op_vector_write(struct emulator *emulator, unsigned int reg, const void *data,
			   unsigned int size, bool clear)
{
	(void)emulator;
	if (clear)
		memset(emulated->zmm[reg], 0, 64);
	memcpy(emulated->zmm[reg], data, size);
	return 0;
}

static int op_mask_read(struct emulator *emulator, unsigned int reg, uint64_t *value)
{
	(void)emulator;
	*value = emulated->mask[reg];
	return 0;
}

static int op_mask_write(struct emulator *emulator, unsigned int reg, uint64_t value)
{
	(void)emulator;
	emulated->mask[reg] = value;
	return 0;
}

static int op_legacy_image(struct emulator *emulator, uint8_t **image, bool change)
{
	(void)emulator;
	(void)change;
	*image = emulated->legacy;
	return 0;
}

static const struct emulator_ops ops = {
	.read = op_read,
	.write = op_write,
	.probe = op_probe,
	.vector_read = op_vector_read,
	.vector_write = op_vector_write,
	.mask_read = op_mask_read,
	.mask_write = op_mask_write,
	.legacy_image = op_legacy_image,
};

static int run_engine(struct native_fpu *fpu, const struct instruction *insn)
{
	uint64_t gpr[16] = { [REGISTER_RDI] = (uint64_t)operand };
	struct emulator emulator = {
		.ops = &ops,
		.insn = insn,
		.cpu_mode = CPU_MODE_64BIT,
		.gpr = gpr,
		.rip = 0x1000,
	};

	emulated = fpu;
	return emulate_instruction(&emulator);
}

static void describe(const uint8_t *bytes, unsigned int length, char *text)
{
	for (unsigned int i = 0; i < length; i++)
		text += sprintf(text, " %02x", bytes[i]);
}

/* Both on the same state and memory: the same follows. What is compared of the legacy image
 * ends at 'legacy_end'. */
static void check_both(struct native_fpu *native, const uint8_t *bytes, unsigned int legacy_end)
{
	static struct native_fpu emulation;
	uint8_t before[OPERAND_SIZE], after[OPERAND_SIZE];
	struct instruction insn;
	char what[64] = "";

	REQUIRE(decode_instruction(&insn, bytes, INSTRUCTION_MAX, DECODE_64) == 0);
	describe(bytes, insn.length, what);
	emulation = *native;
	memcpy(before, operand, sizeof(before));
	run_natively(native, bytes, insn.length);
	memcpy(after, operand, sizeof(after));
	memcpy(operand, before, sizeof(before));
	CHECK_EQ_AT(run_engine(&emulation, &insn), 0, "%s", what);
	CHECK_EQ_AT(memcmp(operand, after, sizeof(after)), 0, "memory,%s", what);
	CHECK_EQ_AT(memcmp(emulation.legacy, native->legacy, legacy_end), 0, "x87,%s", what);
	if (!native->wide)
		return;
	for (unsigned int i = 0; i < 32; i++)
		CHECK_EQ_AT(memcmp(emulation.zmm[i], native->zmm[i], 64), 0, "zmm%u,%s", i, what);
	CHECK_EQ_AT(memcmp(emulation.mask, native->mask, sizeof(native->mask)), 0, "masks,%s",
		    what);
}

/* --- AVX-512 -------------------------------------------------------------- */

struct evex_case {
	uint8_t map, prefix, opcode; /* prefix: 0 none, 1 66, 2 F3, 3 F2 */
	int8_t w;		     /* -1: any */
	bool scalar;		     /* L'L is 0 */
	bool maskable;
	bool store; /* no zeroing */
};

static const struct evex_case evex_cases[] = {
	{ 1, 0, 0x10, 0, false, true, false },	{ 1, 1, 0x10, 1, false, true, false },
	{ 1, 2, 0x10, 0, true, true, false },	{ 1, 3, 0x10, 1, true, true, false },
	{ 1, 0, 0x11, 0, false, true, true },	{ 1, 1, 0x11, 1, false, true, true },
	{ 1, 2, 0x11, 0, true, true, true },	{ 1, 3, 0x11, 1, true, true, true },
	{ 1, 0, 0x28, 0, false, true, false },	{ 1, 1, 0x29, 1, false, true, true },
	{ 1, 0, 0x2b, 0, false, false, true },	{ 1, 1, 0x6e, -1, true, false, false },
	{ 1, 1, 0x7e, -1, true, false, true },	{ 1, 2, 0x7e, 1, true, false, false },
	{ 1, 1, 0xd6, 1, true, false, true },	{ 1, 1, 0xe7, 0, false, false, true },
	{ 1, 1, 0x6f, -1, false, true, false }, { 1, 2, 0x6f, -1, false, true, false },
	{ 1, 3, 0x6f, -1, false, true, false }, { 1, 1, 0x7f, -1, false, true, true },
	{ 1, 2, 0x7f, -1, false, true, true },	{ 1, 3, 0x7f, -1, false, true, true },
	{ 2, 1, 0x2a, 0, false, false, false }, { 1, 0, 0x13, 0, true, false, true },
	{ 1, 0, 0x17, 0, true, false, true },
};

/* disp8 of 0 or 1 operands. */
static void make_evex(const struct evex_case *test, uint8_t bytes[INSTRUCTION_MAX])
{
	unsigned int w = test->w < 0 ? random_below(2) : (unsigned int)test->w;
	unsigned int mask = test->maskable ? random_below(8) : 0;
	bool zeroing = mask && !test->store && random_below(2);
	unsigned int length = test->scalar ? 0 : random_below(3);

	bytes[0] = 0x62;
	bytes[1] = (uint8_t)(test->map | 0x60 | random_below(2) << 7 | random_below(2) << 4);
	bytes[2] = (uint8_t)(0x7c | w << 7 | test->prefix);
	bytes[3] = (uint8_t)(8 | mask | length << 5 | (unsigned int)zeroing << 7);
	bytes[4] = test->opcode;
	bytes[5] = (uint8_t)(0x47 | random_below(8) << 3); /* disp8(%rdi) */
	bytes[6] = (uint8_t)random_below(2);
}

TEST(evex_moves)
{
	static struct native_fpu fpu;
	uint8_t bytes[INSTRUCTION_MAX] = { 0 };

	if (!has_avx512()) {
		printf("this processor has no AVX-512\n");
		return;
	}
	native_begin();
	for (unsigned int i = 0; i < CASES; i++) {
		memset(&fpu, 0, sizeof(fpu));
		native_fpu_run(&fpu, memset(code_page, 0xc3, 1), operand);
		memset(fpu.legacy, 0, 24);
		fpu.legacy[1] = 0x03;
		fpu.legacy[0] = 0x7f;
		fpu.wide = 1;
		fill_random(fpu.zmm, sizeof(fpu.zmm));
		fill_random(fpu.mask, sizeof(fpu.mask));
		fill_random(operand, sizeof(operand));
		make_evex(&evex_cases[i % ARRAY_SIZE(evex_cases)], bytes);
		check_both(&fpu, bytes, 0);
	}
}

/* --- mask registers, MMX, MXCSR, FXSAVE ------------------------------------ */

TEST(mask_moves)
{
	static const uint8_t payloads[] = { 0x78, 0x79, 0xf8, 0xf9 }; /* W, B, Q, D */
	static struct native_fpu fpu;

	if (!has_avx512())
		return;
	native_begin();
	fpu.wide = 1;
	fpu.legacy[24] = 0x80;
	fpu.legacy[25] = 0x1f;
	for (unsigned int i = 0; i < 64; i++) {
		uint8_t bytes[INSTRUCTION_MAX] = { 0xc4, 0xe1, payloads[i & 3],
						   (uint8_t)(0x90 | (i >> 2 & 1)),
						   (uint8_t)(7 | (i >> 3 & 7) << 3) };

		fill_random(fpu.mask, sizeof(fpu.mask));
		fill_random(operand, sizeof(operand));
		check_both(&fpu, bytes, 0);
	}
}

/* Any TOP, tags, and contents; no exception pending. */
static void random_x87(struct native_fpu *fpu)
{
	uint16_t status = (uint16_t)(random_below(8) << 11 | random_below(2) << 8);
	uint16_t control = (uint16_t)(0x7f | random_below(16) << 8);
	uint32_t mxcsr = 0x1f80;

	memset(fpu, 0, sizeof(*fpu));
	fill_random(fpu->legacy + 32, 384);
	for (unsigned int i = 0; i < 8; i++) {
		uint8_t *exponent = fpu->legacy + 32 + 16 * i + 8;

		memset(exponent + 2, 0, 6);
		if (random_below(4)) { /* of a number that fits the short formats */
			exponent[0] = (uint8_t)(0xff - random_below(40));
			exponent[1] = (uint8_t)(0x3f | random_below(2) << 7);
			exponent[-1] |= 0x80;
		}
	}
	memcpy(fpu->legacy, &control, 2);
	memcpy(fpu->legacy + 2, &status, 2);
	fpu->legacy[4] = (uint8_t)random_bits();
	memcpy(fpu->legacy + 24, &mxcsr, 4);
}

TEST(mmx_moves)
{
	static const uint8_t opcodes[] = { 0x6e, 0x6f, 0x7e, 0x7f, 0xe7 };
	static struct native_fpu fpu;

	native_begin();
	for (unsigned int i = 0; i < 1000; i++) {
		uint8_t wide = opcodes[i % 5] == 0x6e || opcodes[i % 5] == 0x7e ?
				       (uint8_t)random_below(2) << 3 :
				       0;
		uint8_t bytes[INSTRUCTION_MAX] = { 0x40 | wide, 0x0f, opcodes[i % 5],
						   (uint8_t)(7 | random_below(8) << 3) };

		random_x87(&fpu);
		fill_random(operand, sizeof(operand));
		check_both(&fpu, bytes, 6);
		CHECK_EQ(memcmp(fpu.legacy + 32, emulated->legacy + 32, 128), 0);
	}
}

TEST(mxcsr_and_images)
{
	static const uint8_t stmxcsr[INSTRUCTION_MAX] = { 0x0f, 0xae, 0x1f };
	static const uint8_t ldmxcsr[INSTRUCTION_MAX] = { 0x0f, 0xae, 0x17 };
	static const uint8_t fxsave64[INSTRUCTION_MAX] = { 0x48, 0x0f, 0xae, 0x07 };
	static const uint8_t fxrstor64[INSTRUCTION_MAX] = { 0x48, 0x0f, 0xae, 0x0f };
	static struct native_fpu fpu, other;

	native_begin();
	random_x87(&fpu);
	native_fpu_run(&fpu, memset(code_page, 0xc3, 1), operand); /* for the mask of MXCSR */
	check_both(&fpu, stmxcsr, 416);
	memcpy(operand, "\xc0\x9f\x00\x00", 4);
	check_both(&fpu, ldmxcsr, 416);
	CHECK_EQ(memcmp(fpu.legacy + 24, "\xc0\x9f\x00\x00", 4), 0);
	check_both(&fpu, fxsave64, 416);
	CHECK_EQ(memcmp(operand, fpu.legacy, 416), 0);
	random_x87(&other);
	memcpy(operand, other.legacy, 512);
	check_both(&fpu, fxrstor64, 24);
	CHECK_EQ(memcmp(fpu.legacy + 32, emulated->legacy + 32, 384), 0);
}

TEST(reserved_bits_of_mxcsr)
{
	static const uint8_t bytes[INSTRUCTION_MAX] = { 0x0f, 0xae, 0x17 };
	static struct native_fpu fpu;
	struct instruction insn;

	REQUIRE(decode_instruction(&insn, bytes, INSTRUCTION_MAX, DECODE_64) == 0);
	memset(operand, 0xff, 4);
	CHECK_EQ(run_engine(&fpu, &insn), -EFAULT);
	CHECK_EQ(memcmp(fpu.legacy + 24, "\0\0\0\0", 4), 0);
}

/* --- x87 in a vCPU --------------------------------------------------------- */

#define FDP(area) (*(uint64_t *)((area) + 16))
#define FIP(area) (*(uint64_t *)((area) + 8))

/* The operand is answered with what is in 'operand', or written there. */
static void emulate_with_operand(bool write)
{
	enum exit_action action = emulate_mmio(vcpu, DEVICE, write ? VM_PROT_WRITE : VM_PROT_READ);

	while (action == EXIT_USERSPACE) {
		struct vm_mmio mmio = vcpu->exit.u.mmio;
		uint64_t value = mmio.data;
		uint8_t *place = operand + (mmio.gpa - DEVICE);

		REQUIRE(vcpu->exit.exitcode == VM_EXITCODE_MMIO);
		memcpy(mmio.write ? (void *)place : &value, mmio.write ? (void *)&value : place,
		       mmio.bytes);
		action = answer(value);
	}
	CHECK_EQ(action, EXIT_RESUME);
}

/* Positive: read, negative: written; 0: not emulated. */
static const int8_t sizes[8][8] = {
	{ 4, 4, 4, 4, 4, 4, 4, 4 }, { 4, 0, -4, -4, 0, 2, 0, -2 },
	{ 4, 4, 4, 4, 4, 4, 4, 4 }, { 4, -4, -4, -4, 0, 10, 0, -10 },
	{ 8, 8, 8, 8, 8, 8, 8, 8 }, { 8, -8, -8, -8, 0, 0, 0, -2 },
	{ 2, 2, 2, 2, 2, 2, 2, 2 }, { 2, -2, -2, -2, 10, 8, -10, -8 },
};

static void check_x87(uint8_t opcode, uint8_t reg)
{
	static struct native_fpu fpu;
	const uint8_t guest[] = { opcode, (uint8_t)(reg << 3 | 5), 0, 0, 0, 0xd0 };
	const uint8_t native[] = { opcode, (uint8_t)(reg << 3 | 7) };
	uint8_t before[OPERAND_SIZE], after[OPERAND_SIZE];
	uint8_t *area = vcpu->context->fpu;

	random_x87(&fpu);
	fill_random(operand, sizeof(operand));
	operand[5] = operand[11] = 0; /* FLDCW of any bits but the masks */
	operand[0] |= 0x3f;
	memcpy(area, fpu.legacy, 416);
	memcpy(before, operand, sizeof(before));
	run_natively(&fpu, native, sizeof(native));
	memcpy(after, operand, sizeof(after));
	memcpy(operand, before, sizeof(before));
	guest_code(vcpu, guest, sizeof(guest));
	emulate_with_operand(sizes[opcode & 7][reg] < 0);
	CHECK_DONE(6);
	CHECK_EQ_AT(memcmp(operand, after, sizeof(after)), 0, "memory, %x /%u", opcode, reg);
	CHECK_EQ_AT(memcmp(area, fpu.legacy, 6), 0, "control, %x /%u", opcode, reg);
	CHECK_EQ_AT(memcmp(area + 32, fpu.legacy + 32, 128), 0, "registers, %x /%u", opcode, reg);
	if (sizes[opcode & 7][reg] != 2 && sizes[opcode & 7][reg] != -2) {
		CHECK_EQ(FIP(area), GUEST_CODE);
		CHECK_EQ(FDP(area), DEVICE);
		CHECK_EQ(area[6] | area[7] << 8, (opcode & 7) << 8 | guest[1]);
	}
}

TEST(x87_on_a_device)
{
	native_begin();
	begin();
	for (unsigned int i = 0; i < 64 * 40; i++)
		if (sizes[i >> 3 & 7][i & 7])
			check_x87((uint8_t)(0xd8 | (i >> 3 & 7)), i & 7);
	end();
}

/* Another processor has put an x87 instruction where something else faulted. */
static void check_pending(const char *status)
{
	CODE({ 0xd9, 0x05, 0x00, 0x00, 0x00, 0xd0 });	      /* flds DEVICE */
	memcpy((uint8_t *)vcpu->context->fpu, "\x7e\x03", 2); /* invalid operation is not masked */
	memcpy((uint8_t *)vcpu->context->fpu + 2, status, 2);
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_RESUME);
	CHECK_RAISED(VECTOR_MF);
}

TEST(pending_x87_exception_is_the_guests)
{
	begin();
	check_pending("\x81\x80");
	check_pending("\x01\x00");
	check_pending("\x80\x00");
	end();
}

/* An exception that is not masked keeps the store from being made, and stays pending. */
TEST(x87_store_that_faults)
{
	uint8_t *area;
	uint64_t image[64] = { 0 };

	begin();
	area = vcpu->context->fpu;
	memcpy(area, image, 416);
	memcpy(area, "\x7e\x03", 2);		      /* invalid operation is not masked */
	memcpy(area + 24, "\x80\x1f", 2);	      /* and the stack is empty */
	CODE({ 0xd9, 0x15, 0x00, 0x00, 0x00, 0xd0 }); /* fsts DEVICE */
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_WRITE), EXIT_RESUME);
	CHECK_DONE(6);
	CHECK_EQ(area[2] & 0xc1, 0xc1); /* ES, SF, IE */
	end();
}
