// SPDX-License-Identifier: BSD-2-Clause
/*
 * Instructions that the hypervisor emulates, because their operand is a device's
 * register: each runs on a word of RAM, where the processor executes it, and on the
 * halted counter of the HPET, which keeps what is written to it. Both results have to
 * be the same.
 */
#include "payload/payload.h"

#define HPET	    0xfed00000ul
#define HPET_CONFIG (HPET + 0x10)
#define COUNTER	    (HPET + 0xf0)

#define RFLAGS_CF (1u << 0)
#define RFLAGS_PF (1u << 2)
#define RFLAGS_AF (1u << 4)
#define RFLAGS_ZF (1u << 6)
#define RFLAGS_SF (1u << 7)
#define RFLAGS_DF (1u << 10)
#define RFLAGS_OF (1u << 11)
#define ALL	  (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)
#define NOT_AF	  (ALL & ~RFLAGS_AF)
#define ONLY_CF	  RFLAGS_CF
#define ONLY_ZF	  RFLAGS_ZF
#define CF_OF	  (RFLAGS_CF | RFLAGS_OF)
#define NONE	  0

static volatile uint64_t *const counter = (volatile uint64_t *)COUNTER;
static uint64_t ram[4] __attribute__((aligned(64)));

static void halt_counter(void)
{
	*(volatile uint64_t *)HPET_CONFIG &= ~1ull;
}

struct registers {
	uint64_t rax, rbx, rcx, rdx, rflags;
};

struct instruction {
	const char *name;
	void (*run)(volatile void *cell, struct registers *registers);
	uint32_t flags;	  /* those that the manual defines */
	uint32_t divisor; /* 1: keep it from faulting */
};

/* The operand is at (%rdi). */
#define DEFINE(function, text)                                                                     \
	static void function(volatile void *cell, struct registers *registers)                     \
	{                                                                                          \
		uint64_t flags = registers->rflags;                                                \
                                                                                                   \
		asm volatile("push %[flags]\n\tpopfq\n\t" text "\n\tpushfq\n\tpop %[flags]\n\tcld" \
			     : "+a"(registers->rax), "+b"(registers->rbx), "+c"(registers->rcx),   \
			       "+d"(registers->rdx), [flags] "+r"(flags)                           \
			     : "D"(cell)                                                           \
			     : "memory", "cc", "r8", "r9");                                        \
		registers->rflags = flags;                                                         \
	}

DEFINE(load_1, "mov (%%rdi), %%bl")
DEFINE(load_1_high, "mov 1(%%rdi), %%ah")
DEFINE(load_2, "mov (%%rdi), %%cx")
DEFINE(load_4, "mov 4(%%rdi), %%edx")
DEFINE(load_8, "mov (%%rdi), %%rbx")
DEFINE(load_indexed, "xor %%r8d, %%r8d\n\tmov -8(%%rdi, %%r8, 8), %%r9\n\tmov (%%rdi, %%r8), %%rax")
DEFINE(store_1, "mov %%bl, 3(%%rdi)")
DEFINE(store_1_high, "mov %%dh, (%%rdi)")
DEFINE(store_2, "mov %%cx, 2(%%rdi)")
DEFINE(store_4, "mov %%edx, (%%rdi)")
DEFINE(store_8, "mov %%rax, (%%rdi)")
DEFINE(store_immediate, "movq $-0x12345678, (%%rdi)")
DEFINE(store_immediate_1, "movb $0x5a, 7(%%rdi)")
DEFINE(store_nontemporal, "movnti %%rbx, (%%rdi)")
DEFINE(zero_extend_1, "movzbl (%%rdi), %%eax")
DEFINE(zero_extend_2, "movzwq (%%rdi), %%rbx")
DEFINE(sign_extend_1, "movsbw 2(%%rdi), %%cx")
DEFINE(sign_extend_2, "movswl (%%rdi), %%edx")
DEFINE(sign_extend_4, "movslq (%%rdi), %%rax")
DEFINE(add_to, "add %%rax, (%%rdi)")
DEFINE(add_from, "add (%%rdi), %%ebx")
DEFINE(adc_to, "adc %%cl, (%%rdi)")
DEFINE(sbb_to, "sbb %%edx, (%%rdi)")
DEFINE(sub_immediate, "subw $0x1234, (%%rdi)")
DEFINE(and_to, "and %%rbx, (%%rdi)")
DEFINE(or_immediate, "orl $0x10000, (%%rdi)")
DEFINE(xor_from, "xor (%%rdi), %%rcx")
DEFINE(cmp_to, "cmp %%rax, (%%rdi)")
DEFINE(cmp_immediate, "cmpb $0x40, (%%rdi)")
DEFINE(test_immediate, "testl $0xf0f0f0f0, (%%rdi)")
DEFINE(increment, "incw (%%rdi)")
DEFINE(decrement_locked, "lock decq (%%rdi)")
DEFINE(negate, "negl (%%rdi)")
DEFINE(invert, "notq (%%rdi)")
DEFINE(exchange, "xchg %%rax, (%%rdi)")
DEFINE(exchange_add, "lock xadd %%ebx, (%%rdi)")
DEFINE(compare_exchange, "lock cmpxchg %%rcx, (%%rdi)")
DEFINE(compare_exchange_equal, "mov (%%rdi), %%rax\n\tlock cmpxchg %%rcx, (%%rdi)")
DEFINE(compare_exchange_8b, "lock cmpxchg8b (%%rdi)")
DEFINE(bit_test, "btl $5, (%%rdi)")
DEFINE(bit_set, "and $63, %%eax\n\tlock btsq %%rax, (%%rdi)")
DEFINE(bit_reset, "lock btrl $17, (%%rdi)")
DEFINE(bit_complement, "btcq $63, (%%rdi)")
DEFINE(shift_left_1, "shlq (%%rdi)")
DEFINE(shift_right, "shrl $1, (%%rdi)")
DEFINE(shift_arithmetic, "sarw $1, (%%rdi)")
DEFINE(rotate_left, "rolb $1, (%%rdi)")
DEFINE(rotate_right, "rorq $1, (%%rdi)")
DEFINE(rotate_carry, "rcll $1, (%%rdi)")
DEFINE(shift_double, "shldq $1, %%rax, (%%rdi)")
DEFINE(multiply, "mull (%%rdi)")
DEFINE(multiply_signed, "imulq (%%rdi)")
DEFINE(multiply_register, "imul (%%rdi), %%rbx")
DEFINE(divide, "xor %%edx, %%edx\n\tdivq (%%rdi)")
DEFINE(divide_signed, "movslq %%eax, %%rax\n\tcqo\n\tidivq (%%rdi)")
DEFINE(push_pop, "pushq (%%rdi)\n\tpop %%rbx\n\tpush %%rcx\n\tpopq (%%rdi)")
DEFINE(set_condition, "setl (%%rdi)")
DEFINE(move_condition, "cmovne (%%rdi), %%rdx")
DEFINE(bit_scan, "bsf (%%rdi), %%rax")

static const struct instruction instructions[] = {
	{ "load_1", load_1, ALL, 0 },
	{ "load_1_high", load_1_high, ALL, 0 },
	{ "load_2", load_2, ALL, 0 },
	{ "load_4", load_4, ALL, 0 },
	{ "load_8", load_8, ALL, 0 },
	{ "load_indexed", load_indexed, NOT_AF, 0 },
	{ "store_1", store_1, ALL, 0 },
	{ "store_1_high", store_1_high, ALL, 0 },
	{ "store_2", store_2, ALL, 0 },
	{ "store_4", store_4, ALL, 0 },
	{ "store_8", store_8, ALL, 0 },
	{ "store_immediate", store_immediate, ALL, 0 },
	{ "store_immediate_1", store_immediate_1, ALL, 0 },
	{ "store_nontemporal", store_nontemporal, ALL, 0 },
	{ "zero_extend_1", zero_extend_1, ALL, 0 },
	{ "zero_extend_2", zero_extend_2, ALL, 0 },
	{ "sign_extend_1", sign_extend_1, ALL, 0 },
	{ "sign_extend_2", sign_extend_2, ALL, 0 },
	{ "sign_extend_4", sign_extend_4, ALL, 0 },
	{ "add_to", add_to, ALL, 0 },
	{ "add_from", add_from, ALL, 0 },
	{ "adc_to", adc_to, ALL, 0 },
	{ "sbb_to", sbb_to, ALL, 0 },
	{ "sub_immediate", sub_immediate, ALL, 0 },
	{ "and_to", and_to, NOT_AF, 0 },
	{ "or_immediate", or_immediate, NOT_AF, 0 },
	{ "xor_from", xor_from, NOT_AF, 0 },
	{ "cmp_to", cmp_to, ALL, 0 },
	{ "cmp_immediate", cmp_immediate, ALL, 0 },
	{ "test_immediate", test_immediate, NOT_AF, 0 },
	{ "increment", increment, ALL, 0 },
	{ "decrement_locked", decrement_locked, ALL, 0 },
	{ "negate", negate, ALL, 0 },
	{ "invert", invert, ALL, 0 },
	{ "exchange", exchange, ALL, 0 },
	{ "exchange_add", exchange_add, ALL, 0 },
	{ "compare_exchange", compare_exchange, ALL, 0 },
	{ "compare_exchange_equal", compare_exchange_equal, ALL, 0 },
	{ "compare_exchange_8b", compare_exchange_8b, ALL, 0 },
	{ "bit_test", bit_test, ONLY_CF, 0 },
	{ "bit_set", bit_set, ONLY_CF, 0 },
	{ "bit_reset", bit_reset, ONLY_CF, 0 },
	{ "bit_complement", bit_complement, ONLY_CF, 0 },
	{ "shift_left_1", shift_left_1, NOT_AF, 0 },
	{ "shift_right", shift_right, NOT_AF, 0 },
	{ "shift_arithmetic", shift_arithmetic, NOT_AF, 0 },
	{ "rotate_left", rotate_left, ALL, 0 },
	{ "rotate_right", rotate_right, ALL, 0 },
	{ "rotate_carry", rotate_carry, ALL, 0 },
	{ "shift_double", shift_double, NOT_AF, 0 },
	{ "multiply", multiply, CF_OF, 0 },
	{ "multiply_signed", multiply_signed, CF_OF, 0 },
	{ "multiply_register", multiply_register, CF_OF, 0 },
	{ "divide", divide, NONE, 1 },
	{ "divide_signed", divide_signed, NONE, 1 },
	{ "push_pop", push_pop, ALL, 0 },
	{ "set_condition", set_condition, ALL, 0 },
	{ "move_condition", move_condition, ALL, 0 },
	{ "bit_scan", bit_scan, ONLY_ZF, 1 },
};

static uint64_t random_state = 0x9e3779b97f4a7c15ull;

static uint64_t random_bits(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void check_same_result(const struct instruction *instruction, const char *what,
			      uint64_t emulated, uint64_t native)
{
	if (emulated != native)
		fail("%s: %s is %x, not %x", instruction->name, what, emulated, native);
}

static void run_both(const struct instruction *instruction)
{
	struct registers native = {
		.rax = random_bits(),
		.rbx = random_bits(),
		.rcx = random_bits(),
		.rdx = random_bits(),
		.rflags = 2 | (random_bits() & ALL),
	};
	struct registers emulated = native;
	uint64_t value = random_bits();

	if (instruction->divisor)
		value = (value & 0xffff) | 2;
	ram[1] = value;
	*counter = value;
	/* -8(%rdi) is read by one of them: an HPET register that is reserved. */
	instruction->run(&ram[1], &native);
	instruction->run(counter, &emulated);

	check_same_result(instruction, "memory", *counter, ram[1]);
	check_same_result(instruction, "rax", emulated.rax, native.rax);
	check_same_result(instruction, "rbx", emulated.rbx, native.rbx);
	check_same_result(instruction, "rcx", emulated.rcx, native.rcx);
	check_same_result(instruction, "rdx", emulated.rdx, native.rdx);
	check_same_result(instruction, "flags", emulated.rflags & instruction->flags,
			  native.rflags & instruction->flags);
}

TEST(emulated_instructions_compute_the_same)
{
	halt_counter();
	for (unsigned int i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++)
		for (unsigned int n = 0; n < 32; n++)
			run_both(&instructions[i]);
}

/* --- memory without a device ---------------------------------------------- */

#define NOWHERE 0xc8000000ul

/* Each access of an instruction is an exit to userspace, which answers reads with ones. */
TEST(emulated_accesses_of_the_program)
{
	uint64_t old = 5;
	uint32_t flags;

	CHECK_EQ(*(volatile uint8_t *)NOWHERE, 0xff);
	CHECK_EQ(*(volatile uint16_t *)(NOWHERE + 1), 0xffff);
	CHECK_EQ(*(volatile uint32_t *)(NOWHERE + 2), 0xffffffff);
	CHECK_EQ(*(volatile uint64_t *)(NOWHERE + 0xffc), ~0ull);
	*(volatile uint32_t *)NOWHERE = 1;
	asm volatile("lock xadd %0, (%2); pushfq; pop %q1"
		     : "+r"(old), "=r"(flags)
		     : "r"(NOWHERE)
		     : "memory", "cc");
	CHECK_EQ(old, ~0ull);
	CHECK_EQ(flags & ALL, RFLAGS_CF | RFLAGS_AF); /* 5 - 1: a carry out of everything */
}

/* --- strings -------------------------------------------------------------- */

static void stos_8(volatile void *to, uint64_t value, uint64_t count)
{
	asm volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(value) : "memory");
	CHECK_EQ(count, 0);
}

TEST(emulated_strings)
{
	uint64_t source[2] = { 0x1122334455667788, 0 };
	volatile uint64_t *to = counter, *from;
	uint64_t loaded, left = 1;

	halt_counter();
	stos_8(counter, 0x0123456789abcdef, 1);
	CHECK_EQ(*counter, 0x0123456789abcdef);

	from = source;
	asm volatile("movsl" : "+S"(from), "+D"(to) : : "memory");
	CHECK_EQ(*counter, 0x0123456755667788);
	CHECK_EQ((uint64_t)to, COUNTER + 4);
	CHECK_EQ((uint64_t)from, (uint64_t)source + 4);

	from = counter;
	to = &source[1];
	asm volatile("rep movsq" : "+S"(from), "+D"(to), "+c"(left) : : "memory");
	CHECK_EQ(source[1], 0x0123456755667788);
	CHECK_EQ(left, 0);

	/* Downwards, with the carry left alone. */
	from = (volatile uint64_t *)(COUNTER + 7);
	asm volatile("stc; std; lodsb; cld; sbb %%ah, %%ah"
		     : "+S"(from), "=a"(loaded)
		     :
		     : "memory");
	CHECK_EQ(loaded & 0xffff, 0xff01);
	CHECK_EQ((uint64_t)from, COUNTER + 6);
}

TEST(emulated_string_search)
{
	uint64_t left = 8, address = COUNTER;
	uint8_t found;

	halt_counter();
	*counter = 0x1122334455667788;
	asm volatile("repne scasb; sete %2"
		     : "+D"(address), "+c"(left), "=q"(found)
		     : "a"(0x55)
		     : "memory", "cc");
	CHECK_EQ(found, 1);
	CHECK_EQ(address, COUNTER + 4);
	CHECK_EQ(left, 4);

	ram[0] = 0x1122334455ff7788;
	left = 8;
	address = COUNTER;
	asm volatile("mov %3, %%rsi; repe cmpsb; setb %2"
		     : "+D"(address), "+c"(left), "=q"(found)
		     : "r"(ram)
		     : "rsi", "memory", "cc");
	CHECK_EQ(found, 0); /* 0xff is not below 0x66 */
	CHECK_EQ(address, COUNTER + 3);
	CHECK_EQ(left, 5);
}

/* The 8259's mask register: a port that can be read back. */
#define MASK_PORT 0x21

TEST(string_port_input)
{
	uint8_t bytes[8] = { 0 };
	uint64_t left = 4;
	void *to = bytes;

	outb(MASK_PORT, 0xa5);
	asm volatile("rep insb" : "+D"(to), "+c"(left) : "d"(MASK_PORT) : "memory");
	CHECK_EQ(left, 0);
	CHECK_EQ((uint64_t)to, (uint64_t)bytes + 4);
	for (unsigned int i = 0; i < 8; i++)
		CHECK_EQ(bytes[i], i < 4 ? 0xa5 : 0);
}

TEST(string_port_output)
{
	const uint8_t bytes[] = { 0x11, 0x22, 0x33, 0x44 };
	const void *from = bytes + 3;
	uint64_t left = 3;

	asm volatile("std; rep outsb; cld" : "+S"(from), "+c"(left) : "d"(MASK_PORT) : "memory");
	CHECK_EQ(left, 0);
	CHECK_EQ((uint64_t)from, (uint64_t)bytes);
	CHECK_EQ(inb(MASK_PORT), 0x22);
}

/* A port without a device, handled in userspace: ones, as many as the string has elements. */
TEST(string_port_of_the_program)
{
	uint32_t words[4] = { 0 };
	uint64_t left = 3;
	void *to = words;

	asm volatile("rep insl" : "+D"(to), "+c"(left) : "d"(0x3e0) : "memory");
	CHECK_EQ(left, 0);
	CHECK_EQ(words[0], 0xffffffff);
	CHECK_EQ(words[2], 0xffffffff);
	CHECK_EQ(words[3], 0);
}

/* --- exceptions ----------------------------------------------------------- */

/* Beyond the 4 GiB that are mapped. */
#define UNMAPPED 0x10000000000ull

static void copy_counter_nowhere(void *unused)
{
	volatile uint64_t *from = counter;
	uint64_t to = UNMAPPED;

	(void)unused;
	asm volatile("movsq" : "+S"(from), "+D"(to) : : "memory");
}

static void copy_counter_to_noncanonical(void *unused)
{
	volatile uint64_t *from = counter;
	uint64_t to = 0x800000000000;

	(void)unused;
	asm volatile("movsq" : "+S"(from), "+D"(to) : : "memory");
}

static void input_nowhere(void *unused)
{
	uint64_t to = UNMAPPED;

	(void)unused;
	asm volatile("insb" : "+D"(to) : "d"(MASK_PORT) : "memory");
}

static void divide_by_counter(void *unused)
{
	(void)unused;
	asm volatile("xor %%edx, %%edx; divl (%0)" : : "r"(COUNTER) : "rax", "rdx", "memory");
}

TEST(emulated_page_faults)
{
	struct trap trap = attempt(copy_counter_nowhere, NULL);

	CHECK_EQ(trap.vector, 14);
	CHECK_EQ(trap.error, 2); /* a write to what is not present */
	CHECK_EQ(trap.cr2, UNMAPPED);
	trap = attempt(input_nowhere, NULL);
	CHECK_EQ(trap.vector, 14);
	CHECK_EQ(trap.error, 2);
	CHECK_EQ(trap.cr2, UNMAPPED);
}

TEST(emulated_protection_faults)
{
	struct trap trap = attempt(copy_counter_to_noncanonical, NULL);

	CHECK_EQ(trap.vector, 13);
	CHECK_EQ(trap.error, 0);
}

TEST(emulated_divide_error)
{
	struct trap trap;

	halt_counter();
	*counter = 0;
	trap = attempt(divide_by_counter, NULL);
	CHECK_EQ(trap.vector, 0);
}

/* The trap comes after the instruction, whether executed or emulated. */
static volatile uint64_t stepped_to;

static void note_step(struct frame *frame)
{
	if (!stepped_to)
		stepped_to = frame->rip;
	frame->rflags &= ~0x100ull;
}

TEST(emulated_single_step)
{
	uint64_t expected;

	halt_counter();
	set_handler(1, note_step);
	asm volatile("lea 1f(%%rip), %0\n\t"
		     "pushfq\n\t"
		     "orl $0x100, (%%rsp)\n\t"
		     "popfq\n\t"
		     "movl $1, (%1)\n"
		     "1:\n\t"
		     "nop"
		     : "=&r"(expected)
		     : "r"(COUNTER)
		     : "memory", "cc");
	CHECK_EQ(stepped_to, expected);
	CHECK_EQ(read_dr6() & 0x4000, 0x4000);
}

/* --- vector registers ----------------------------------------------------- */

#define CR4_OSFXSR (1u << 9)

TEST(emulated_vector_moves)
{
	uint64_t value[2] __attribute__((aligned(16))) = { 0x1122334455667788, 0x99aabbccddeeff00 };
	uint64_t back[2] __attribute__((aligned(16))) = { 1, 1 };

	halt_counter();
	write_cr4(read_cr4() | CR4_OSFXSR);
	write_cr0((read_cr0() | 2) & ~0xcull); /* MP, not EM or TS */
	asm volatile("movdqa (%0), %%xmm3\n\t"
		     "movq %%xmm3, (%2)\n\t" /* the counter */
		     "pcmpeqd %%xmm4, %%xmm4\n\t"
		     "movq (%2), %%xmm4\n\t" /* clears the upper half */
		     "movdqa %%xmm4, (%1)"
		     :
		     : "r"(value), "r"(back), "r"(COUNTER)
		     : "memory");
	CHECK_EQ(*counter, value[0]);
	CHECK_EQ(back[0], value[0]);
	CHECK_EQ(back[1], 0);
	/* 16 bytes: the counter and the reserved register behind it. */
	*counter = 0;
	asm volatile("movdqu %%xmm3, (%1)\n\t"
		     "movdqu (%1), %%xmm5\n\t"
		     "movdqa %%xmm5, (%0)"
		     :
		     : "r"(back), "r"(COUNTER)
		     : "memory");
	CHECK_EQ(*counter, value[0]);
	CHECK_EQ(back[0], value[0]);
}

static void enable_vectors(void)
{
	write_cr4(read_cr4() | CR4_OSFXSR);
	write_cr0((read_cr0() | 2) & ~0xcull); /* MP, not EM or TS */
}

/* Through MMX registers, into the x87's and out of a register of integers. */
TEST(emulated_mmx_moves)
{
	uint64_t back = 0;

	halt_counter();
	enable_vectors();
	*counter = 0x1122334455667788;
	asm volatile("movq (%1), %%mm3\n\t"
		     "paddb %%mm3, %%mm3\n\t"
		     "movq %%mm3, (%1)\n\t"
		     "movq %%mm3, (%0)\n\t"
		     "emms"
		     :
		     : "r"(&back), "r"(COUNTER)
		     : "memory");
	CHECK_EQ(back, 0x22446688aaccee10);
	CHECK_EQ(*counter, 0x22446688aaccee10);
}

/* A float is loaded, doubled, and stored as an integer and as a double. */
TEST(emulated_x87_moves)
{
	halt_counter();
	enable_vectors();
	*counter = 0x42f70000; /* 123.5 */
	asm volatile("fninit\n\t"
		     "flds (%0)\n\t"
		     "fadds (%0)\n\t"
		     "fistl (%0)"
		     :
		     : "r"(COUNTER)
		     : "memory");
	CHECK_EQ(*counter & 0xffffffff, 247);
	asm volatile("fstpl (%0)" : : "r"(COUNTER) : "memory");
	CHECK_EQ(*counter, 0x406ee00000000000); /* 247.0 */
	asm volatile("fnstcw (%0)" : : "r"(COUNTER) : "memory");
	CHECK_EQ(*counter & 0xffff, 0x37f);
}

/* Halves, parts and copies of an XMM register. */
TEST(emulated_vector_parts)
{
	uint64_t back[2] __attribute__((aligned(16))) = { 0 };

	halt_counter();
	enable_vectors();
	*counter = 0x1122334455667788;
	asm volatile("pcmpeqd %%xmm1, %%xmm1\n\t"
		     "movhps (%1), %%xmm1\n\t"
		     "movdqa %%xmm1, (%0)"
		     :
		     : "r"(back), "r"(COUNTER)
		     : "memory");
	CHECK_EQ(back[0], ~0ull);
	CHECK_EQ(back[1], 0x1122334455667788);
	asm volatile("movlps (%1), %%xmm1\n\t"
		     "pcmpeqd %%xmm2, %%xmm2\n\t"
		     "pinsrw $2, (%1), %%xmm2\n\t"
		     "movhps %%xmm2, (%1)\n\t"
		     "movdqa %%xmm2, (%0)"
		     :
		     : "r"(back), "r"(COUNTER)
		     : "memory");
	CHECK_EQ(back[0], 0xffff7788ffffffff);
	CHECK_EQ(*counter, ~0ull);
}

/* CRC32, XLAT and the registers of the system. */
TEST(emulated_odd_operands)
{
	uint64_t rax = 0, rbx = COUNTER - 3;
	uint16_t expected;

	halt_counter();
	*counter = 0x1122334455667788;
	rax = 3 + 2;
	asm volatile("xlatb" : "+a"(rax) : "b"(rbx) : "memory");
	CHECK_EQ(rax, 0x66);
	asm volatile("smsw (%0)" : : "r"(COUNTER) : "memory");
	CHECK_EQ(*counter & 0xffff, read_cr0() & 0xffff);
	asm volatile("str %0" : "=m"(expected));
	asm volatile("str (%0)" : : "r"(COUNTER) : "memory");
	CHECK_EQ(*counter & 0xffff, expected);
	asm volatile("mov %%ds, (%0)" : : "r"(COUNTER) : "memory");
	if (!(cpuid(1).c & 1u << 20))
		return;
	*counter = 0x1122334455667788;
	rax = 0;
	asm volatile("crc32q (%1), %0" : "+r"(rax) : "r"(COUNTER) : "memory");
	ram[0] = 0x1122334455667788;
	rbx = 0;
	asm volatile("crc32q (%1), %0" : "+r"(rbx) : "r"(ram) : "memory");
	CHECK_EQ(rax, rbx);
}

/* Intercepted where CR0 is; the operand is in memory (APM vol. 3, LMSW). */
TEST(lmsw_of_memory)
{
	uint64_t cr0 = read_cr0();

	ram[0] = (cr0 & 0xf) | 8; /* TS */
	asm volatile("lmsw (%0)" : : "r"(ram) : "memory");
	CHECK_EQ(read_cr0(), cr0 | 8);
	ram[0] = cr0 & 0xe & ~8ull; /* PE stays */
	asm volatile("lmsw (%0)" : : "r"(ram) : "memory");
	CHECK_EQ(read_cr0(), cr0 & ~8ull);
	halt_counter();
	*counter = cr0 | 8;
	asm volatile("lmsw (%0)" : : "r"(COUNTER) : "memory");
	CHECK_EQ(read_cr0(), cr0 | 8);
}
