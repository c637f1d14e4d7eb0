/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest test is written with. A test asserts one architectural fact; its
 * name is given on the kernel's command line, one test per boot. It runs in long
 * mode, ring 0, interrupts off, the first 4 GiB mapped to themselves by 2 MiB
 * pages, an IDT that reports any exception it did not expect.
 *
 *	TEST(cpuid_has_hypervisor_bit)
 *	{
 *		CHECK(cpuid(1).c & 1u << 31);
 *	}
 *
 * Such a test runs with one vCPU and without x2APIC, and passes when it ends through
 * the test device (port 0xf4) with TEST_PASSED; if it fails, one line on the debug
 * console (port 0xe9) says what was wrong. What a test needs beyond that stands behind
 * its name, each word once:
 *
 *	CPUS(n)		n vCPUs (bhyve -c n); smp.h starts the others
 *	X2APIC		x2APIC is offered (bhyve -x)
 *	ENDS_WITH(n)	it passes when bhyve ends with status n: 0 reset, 1 powered off,
 *			2 halted, 3 triple fault
 *	BY_HAND		not in the list: other tests boot it for their own ends
 *
 *	TEST(smp2_sipi_names_the_code_segment, CPUS(2))
 *	{
 *		...
 *	}
 *
 * Nothing else names the test. The words go into a section of the ELF file that is not
 * loaded; tests/guest/prepare makes the list of tests from it, in-host obeys it.
 */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a run writes to the test device, and bhyve's status then: twice the value plus
 * one, so that none is a status that bhyve has for other ends.
 */
#define TEST_PASSED  0x10 /* 33 */
#define TEST_FAILED  0x11 /* 35 */
#define TEST_UNKNOWN 0x12 /* 37 */

struct test {
	const char *name;
	void (*run)(void);
};

#define CPUS(n)	     " cpus=" #n
#define X2APIC	     " x2apic"
#define ENDS_WITH(n) " ends_with=" #n
#define BY_HAND	     " by_hand"

/* TEST(name) or TEST(name, WORD...), the words with nothing but spaces between them. */
#define TEST(test_name, ...)                                                                 \
	asm(".pushsection .test_list, \"\", @progbits\n"                                     \
	    ".ascii \"" #test_name __VA_ARGS__ "\\n\"\n"                                     \
	    ".popsection");                                                                  \
	static void test_##test_name(void);                                                  \
	static const struct test entry_##test_name                                           \
		__attribute__((section(".tests"), used, aligned(8))) = { #test_name,         \
									 test_##test_name }; \
	static void test_##test_name(void)

#define CHECK(condition)                                                   \
	do {                                                               \
		if (!(condition))                                          \
			fail("%s:%d: %s", __FILE__, __LINE__, #condition); \
	} while (0)

#define CHECK_EQ(actual, expected)                                                            \
	do {                                                                                  \
		uint64_t actual_ = (uint64_t)(actual);                                        \
		uint64_t expected_ = (uint64_t)(expected);                                    \
		if (actual_ != expected_)                                                     \
			fail("%s:%d: %s is %x, not %x", __FILE__, __LINE__, #actual, actual_, \
			     expected_);                                                      \
	} while (0)

/* Formats: %s, %d and %u (64 bits), %x (64 bits), %c. */
void print(const char *format, ...);
__attribute__((noreturn)) void fail(const char *format, ...);
__attribute__((noreturn)) void finish(uint8_t status);
/* The command line after the test's name, "" if there is none. */
extern const char *arguments;

void *memset(void *to, int byte, size_t size);
void *memcpy(void *to, const void *from, size_t size);
int memcmp(const void *a, const void *b, size_t size);
int strcmp(const char *a, const char *b);

/* --- instructions ------------------------------------------------------------ */

struct cpuid {
	uint32_t a, b, c, d;
};

static inline struct cpuid cpuid_sub(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r;

	asm volatile("cpuid"
		     : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
		     : "a"(leaf), "c"(subleaf));
	return r;
}

static inline struct cpuid cpuid(uint32_t leaf)
{
	return cpuid_sub(leaf, 0);
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	asm volatile("wrmsr"
		     :
		     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		     : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

#define DEFINE_PORT(type, suffix)                                                            \
	static inline type in##suffix(uint16_t port)                                         \
	{                                                                                    \
		type value;                                                                  \
		asm volatile("in" #suffix " %1, %0" : "=a"(value) : "Nd"(port) : "memory");  \
		return value;                                                                \
	}                                                                                    \
	static inline void out##suffix(uint16_t port, type value)                            \
	{                                                                                    \
		asm volatile("out" #suffix " %0, %1" : : "a"(value), "Nd"(port) : "memory"); \
	}
DEFINE_PORT(uint8_t, b)
DEFINE_PORT(uint16_t, w)
DEFINE_PORT(uint32_t, l)

#define DEFINE_CONTROL(register)                                                    \
	static inline uint64_t read_##register(void)                                \
	{                                                                           \
		uint64_t value;                                                     \
		asm volatile("mov %%" #register ", %0" : "=r"(value) : : "memory"); \
		return value;                                                       \
	}                                                                           \
	static inline void write_##register(uint64_t value)                         \
	{                                                                           \
		asm volatile("mov %0, %%" #register : : "r"(value) : "memory");     \
	}
DEFINE_CONTROL(cr0)
DEFINE_CONTROL(cr2)
DEFINE_CONTROL(cr3)
DEFINE_CONTROL(cr4)
DEFINE_CONTROL(cr8)
DEFINE_CONTROL(dr0)
DEFINE_CONTROL(dr6)
DEFINE_CONTROL(dr7)

static inline void interrupts_on(void)
{
	asm volatile("sti" : : : "memory");
}

static inline void interrupts_off(void)
{
	asm volatile("cli" : : : "memory");
}

/* STI and HLT with nothing between them, then CLI. */
static inline void wait_for_interrupt(void)
{
	asm volatile("sti; hlt; cli" : : : "memory");
}

static inline void pause(void)
{
	asm volatile("pause" : : : "memory");
}

static inline void invlpg(void *address)
{
	asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/* --- exceptions and interrupts --------------------------------------------------- */

struct frame {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

struct trap {
	bool taken;
	uint8_t vector;
	uint64_t error; /* 0 where the vector has none */
	uint64_t rip;	/* where it was raised */
	uint64_t cr2;
	uint64_t rflags;
};

#define NO_TRAP 0xff

/*
 * Run fn(argument) and report the first exception it raises; fn is left where it
 * happened. No exception: taken is false, vector NO_TRAP.
 */
struct trap attempt(void (*fn)(void *argument), void *argument);

/* Handler of an interrupt or exception; it returns with IRET. NULL: as before. */
typedef void (*handler)(struct frame *frame);
void set_handler(uint8_t vector, handler fn);
/* Times a vector has been taken, whoever handled it. */
extern volatile unsigned int taken[256];

/* The IDT itself, for tests that change gates: 256 entries of two words. */
extern uint64_t idt[512];
void load_idt(void);

/* --- local APIC -------------------------------------------------------------------- */

#define APIC_BASE 0xfee00000ul
static inline uint32_t apic_read(uint32_t offset)
{
	return *(volatile uint32_t *)(APIC_BASE + offset);
}

static inline void apic_write(uint32_t offset, uint32_t value)
{
	*(volatile uint32_t *)(APIC_BASE + offset) = value;
}

static inline void apic_eoi(void)
{
	apic_write(0xb0, 0);
}

/* xAPIC mode, software-enabled with spurious vector 0xff; mask both 8259s. */
void apic_enable(void);

#endif
