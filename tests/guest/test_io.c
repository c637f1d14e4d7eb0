// SPDX-License-Identifier: BSD-2-Clause
/* Ports and memory with a device and without: sizes, strings, faults in between. */
#include "payload/payload.h"

#define VECTOR_PF 14

/* A mask register, which keeps what is written, and four ports without a device. */
#define MASK_PORT 0x21
#define FREE_PORT 0x3e0

/* Beyond the guest's memory, below the devices. */
#define NOBODY 0x20000000ul
#define HPET   0xfed00000ul

#define PRESENT 1ull
#define WRITE	2ull
#define WINDOW	0x40000000ul

extern uint64_t boot_directories[];

static uint64_t table[512] __attribute__((aligned(4096)));
/* Not neighbours in the window: the first is page 0 there, the third page 1. */
static uint8_t pages[3][4096] __attribute__((aligned(4096)));

static void map_page(unsigned int index, uint64_t entry)
{
	boot_directories[512] = (uint64_t)table | PRESENT | WRITE;
	table[index] = entry;
	write_cr3(read_cr3());
}

/* --- plain ports ---------------------------------------------------------- */

#define IN_TO_RAX(instruction, port, rax) \
	asm volatile(instruction : "+a"(rax) : "d"((uint16_t)(port)) : "memory")

TEST(port_of_nobody_reads_ones_of_its_size)
{
	uint64_t b = 0x1122334455667700, w = 0x1122334455660000, l = 0x1122334400000000;

	IN_TO_RAX("inb %%dx, %%al", FREE_PORT, b);
	IN_TO_RAX("inw %%dx, %%ax", FREE_PORT, w);
	IN_TO_RAX("inl %%dx, %%eax", FREE_PORT, l);
	CHECK_EQ(b, 0x11223344556677ff);
	CHECK_EQ(w, 0x112233445566ffff);
	CHECK_EQ(l, 0xffffffff);
}

TEST(byte_from_a_port_leaves_the_rest_of_rax)
{
	uint64_t rax = 0x8877665544332211;

	outb(MASK_PORT, 0xa7);
	IN_TO_RAX("inb %%dx, %%al", MASK_PORT, rax);
	CHECK_EQ(rax, 0x88776655443322a7);
}

TEST(writes_to_ports_of_nobody_do_no_harm)
{
	uint64_t rax = 0x8877665544332211;

	asm volatile("outb %%al, %%dx; outw %%ax, %%dx; outl %%eax, %%dx"
		     : "+a"(rax)
		     : "d"(FREE_PORT)
		     : "memory");
	CHECK_EQ(rax, 0x8877665544332211);
	CHECK_EQ(inl(FREE_PORT), 0xffffffff);
}

TEST(last_port_is_reached_by_every_size)
{
	CHECK_EQ(inb(0xffff), 0xff);
	CHECK_EQ(inw(0xfffe), 0xffff);
	CHECK_EQ(inl(0xfffc), 0xffffffff);
}

TEST(immediate_port_is_the_same_port)
{
	uint8_t value;

	asm volatile("movb $0x69, %%al; outb %%al, $0x21; movb $0, %%al; inb $0x21, %%al"
		     : "=a"(value));
	CHECK_EQ(value, 0x69);
	CHECK_EQ(inb(MASK_PORT), 0x69);
}

/* --- strings -------------------------------------------------------------- */

TEST(string_of_no_elements_does_nothing)
{
	uint8_t byte = 0x11;
	void *to = &byte;
	uint64_t count = 0;
	uint16_t ports[] = { MASK_PORT, FREE_PORT };

	for (unsigned int i = 0; i < 2; i++) {
		asm volatile("rep insb" : "+D"(to), "+c"(count) : "d"(ports[i]) : "memory");
		CHECK_EQ(byte, 0x11);
		CHECK_EQ((uint64_t)to, (uint64_t)&byte);
		CHECK_EQ(count, 0);
	}
	outb(MASK_PORT, 0x42);
	asm volatile("rep outsb" : "+S"(to), "+c"(count) : "d"(MASK_PORT) : "memory");
	CHECK_EQ(inb(MASK_PORT), 0x42);
}

/* Of RCX only ECX counts: 0 here. */
TEST(string_count_of_32_bits_ignores_the_upper_half)
{
	uint8_t bytes[4] = { 1, 2, 3, 4 };
	uint64_t count = 0x100000000;
	void *to = bytes;

	asm volatile("addr32 rep insb" : "+D"(to), "+c"(count) : "d"(MASK_PORT) : "memory");
	CHECK_EQ(bytes[0], 1);
	CHECK_EQ((uint64_t)to, (uint64_t)bytes);
}

TEST(string_of_32_bit_addresses)
{
	uint8_t bytes[4] = { 1, 2, 3, 4 };
	uint64_t to = 0xabcdef0000000000 | (uint64_t)bytes, count = 0x5500000002;

	outb(MASK_PORT, 0x99);
	asm volatile("addr32 rep insb" : "+D"(to), "+c"(count) : "d"(MASK_PORT) : "memory");
	CHECK_EQ(bytes[0], 0x99);
	CHECK_EQ(bytes[1], 0x99);
	CHECK_EQ(bytes[2], 3);
	CHECK_EQ((uint32_t)to, (uint32_t)(uint64_t)bytes + 2);
	CHECK_EQ((uint32_t)count, 0);
}

TEST(string_input_downwards)
{
	uint16_t words[5] = { 0 };
	void *to = words + 3;
	uint64_t count = 2;

	asm volatile("std; rep insw; cld" : "+D"(to), "+c"(count) : "d"(FREE_PORT) : "memory");
	CHECK_EQ((uint64_t)to, (uint64_t)(words + 1));
	CHECK_EQ(words[1], 0);
	CHECK_EQ(words[2], 0xffff);
	CHECK_EQ(words[3], 0xffff);
	CHECK_EQ(words[4], 0);
}

TEST(string_input_across_pages)
{
	uint8_t *to = (uint8_t *)WINDOW + 4096 - 3;
	uint64_t count = 6;

	map_page(0, (uint64_t)pages[0] | PRESENT | WRITE);
	map_page(1, (uint64_t)pages[2] | PRESENT | WRITE);
	outb(MASK_PORT, 0x77);
	asm volatile("rep insb" : "+D"(to), "+c"(count) : "d"(MASK_PORT) : "memory");
	CHECK_EQ(pages[0][4092], 0);
	CHECK_EQ(pages[0][4093], 0x77);
	CHECK_EQ(pages[0][4095], 0x77);
	CHECK_EQ(pages[2][0], 0x77);
	CHECK_EQ(pages[2][2], 0x77);
	CHECK_EQ(pages[2][3], 0);
	CHECK_EQ(pages[1][0], 0);
}

/* One element half in each page. */
TEST(element_of_a_string_across_pages)
{
	uint32_t *to = (uint32_t *)(WINDOW + 4096 - 2);

	map_page(0, (uint64_t)pages[0] | PRESENT | WRITE);
	map_page(1, (uint64_t)pages[2] | PRESENT | WRITE);
	asm volatile("insl" : "+D"(to) : "d"(FREE_PORT) : "memory");
	CHECK_EQ(*(uint32_t *)&pages[0][4092], 0xffff0000);
	CHECK_EQ(*(uint32_t *)&pages[2][0], 0xffff);
	CHECK_EQ(*(uint32_t *)&pages[1][0], 0);
}

/* The registers where the page fault was, and the page it is to have. */
static struct frame fault;
static uint64_t fault_cr2;

static void map_second(struct frame *frame)
{
	fault = *frame;
	fault_cr2 = read_cr2();
	map_page(1, (uint64_t)pages[2] | PRESENT | WRITE);
}

#define TEST_FAULT_IN_STRING(name, port, expected)                                            \
	TEST(name)                                                                            \
	{                                                                                     \
		uint64_t to = WINDOW + 4096 - 3, count = 6, at;                               \
                                                                                              \
		map_page(0, (uint64_t)pages[0] | PRESENT | WRITE);                            \
		map_page(1, 0);                                                               \
		set_handler(VECTOR_PF, map_second);                                           \
		outb(MASK_PORT, 0x77);                                                        \
		asm volatile("1: rep insb; leaq 1b(%%rip), %2"                                \
			     : "+D"(to), "+c"(count), "=&r"(at)                               \
			     : "d"(port)                                                      \
			     : "memory");                                                     \
		CHECK_EQ(taken[VECTOR_PF], 1);                                                \
		CHECK_EQ(fault.rip, at);                                                      \
		CHECK_EQ(fault.error, 2);                                                     \
		CHECK_EQ(fault.rcx, 3);                                                       \
		CHECK_EQ(fault.rdi, WINDOW + 4096);                                           \
		CHECK_EQ(fault_cr2, WINDOW + 4096);                                           \
		CHECK_EQ(count, 0);                                                           \
		CHECK_EQ(to, WINDOW + 4096 + 3);                                              \
		for (unsigned int i = 0; i < 3; i++)                                          \
			CHECK(pages[0][4093 + i] == (expected) && pages[2][i] == (expected)); \
		CHECK_EQ(pages[2][3], 0);                                                     \
	}
TEST_FAULT_IN_STRING(page_fault_in_a_string_from_the_kernel, MASK_PORT, 0x77)
TEST_FAULT_IN_STRING(page_fault_in_a_string_from_the_program, FREE_PORT, 0xff)

TEST(page_fault_in_a_string_output)
{
	uint64_t from = WINDOW + 4096 - 2, count = 4;

	map_page(0, (uint64_t)pages[0] | PRESENT);
	map_page(1, 0);
	memcpy(pages[0] + 4094, "\x11\x22", 2);
	memcpy(pages[2], "\x33\x44", 2);
	set_handler(VECTOR_PF, map_second);
	asm volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(MASK_PORT) : "memory");
	CHECK_EQ(taken[VECTOR_PF], 1);
	CHECK_EQ(fault.error, 0);
	CHECK_EQ(fault.rcx, 2);
	CHECK_EQ(fault.rsi, WINDOW + 4096);
	CHECK_EQ(count, 0);
	CHECK_EQ(inb(MASK_PORT), 0x44);
}

static void input_to_window(void *port)
{
	uint64_t to = WINDOW;

	asm volatile("insb" : "+D"(to) : "d"((uint16_t)(uint64_t)port) : "memory");
}

TEST(string_input_to_a_read_only_page_faults)
{
	static const uint64_t ports[] = { MASK_PORT, FREE_PORT };

	map_page(0, (uint64_t)pages[0] | PRESENT);
	for (unsigned int i = 0; i < 2; i++) {
		struct trap trap = attempt(input_to_window, (void *)ports[i]);

		CHECK_EQ(trap.vector, VECTOR_PF);
		CHECK_EQ(trap.error, 3);
		CHECK_EQ(trap.cr2, WINDOW);
		CHECK_EQ(pages[0][0], 0);
	}
}

TEST(string_input_sets_accessed_and_dirty)
{
	map_page(0, (uint64_t)pages[0] | PRESENT | WRITE);
	input_to_window((void *)MASK_PORT);
	CHECK_EQ(table[0] & 0x60, 0x60);
}

TEST(string_output_takes_the_segment_of_its_prefix)
{
	uint8_t bytes[2] = { 0x13, 0x24 };
	uint64_t from = 1;

	wrmsr(0xc0000100, (uint64_t)bytes);
	asm volatile("outsb %%fs:(%%rsi), %%dx" : "+S"(from) : "d"(MASK_PORT) : "memory");
	CHECK_EQ(from, 2);
	CHECK_EQ(inb(MASK_PORT), 0x24);
	wrmsr(0xc0000101, (uint64_t)bytes - 1);
	asm volatile("outsb %%gs:(%%rsi), %%dx" : "+S"(from) : "d"(MASK_PORT) : "memory");
	CHECK_EQ(inb(MASK_PORT), 0x24);
	from = 1;
	asm volatile("outsb %%gs:(%%rsi), %%dx" : "+S"(from) : "d"(MASK_PORT) : "memory");
	CHECK_EQ(inb(MASK_PORT), 0x13);
}

/* --- memory without a device ---------------------------------------------- */

TEST(memory_of_nobody_reads_ones_of_every_size)
{
	uint64_t b = 0, w = 0, l = 0x1122334455667788, q = 0;

	asm volatile("movb (%1), %b0" : "+a"(b) : "r"(NOBODY));
	asm volatile("movw 2(%1), %w0" : "+a"(w) : "r"(NOBODY));
	asm volatile("movl 4(%1), %k0" : "+a"(l) : "r"(NOBODY));
	asm volatile("movq 8(%1), %0" : "+a"(q) : "r"(NOBODY));
	CHECK_EQ(b, 0xff);
	CHECK_EQ(w, 0xffff);
	CHECK_EQ(l, 0xffffffff);
	CHECK_EQ(q, ~0ull);
}

TEST(memory_of_nobody_ignores_writes_of_every_size)
{
	asm volatile("movb $0, (%0); movw $0, 2(%0); movl $0, 4(%0); movq $0, 8(%0)"
		     :
		     : "r"(NOBODY)
		     : "memory");
	for (unsigned int i = 0; i < 16; i += 8)
		CHECK_EQ(*(volatile uint64_t *)(NOBODY + i), ~0ull);
}

TEST(memory_of_nobody_takes_read_modify_write)
{
	uint64_t flags, rax = ~0ull;

	asm volatile("lock incl (%2); pushfq; popq %0; lock cmpxchgq %3, (%2)"
		     : "=&r"(flags), "+a"(rax)
		     : "r"(NOBODY), "r"(0ul)
		     : "memory", "cc");
	CHECK(flags & 0x40); /* ones and one are zero */
	CHECK_EQ(rax, ~0ull);
	CHECK_EQ(*(volatile uint32_t *)NOBODY, 0xffffffff);
}

TEST(strings_from_and_to_memory_of_nobody)
{
	uint32_t words[4] = { 0 };
	uint64_t from = NOBODY, count = 3;
	void *to = words;

	asm volatile("rep movsl" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
	CHECK_EQ(count, 0);
	CHECK_EQ(from, NOBODY + 12);
	CHECK_EQ(words[0], 0xffffffff);
	CHECK_EQ(words[2], 0xffffffff);
	CHECK_EQ(words[3], 0);
	to = (void *)NOBODY;
	count = 4;
	asm volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(0) : "memory");
	CHECK_EQ(count, 0);
	CHECK_EQ((uint64_t)to, NOBODY + 32);
}

/* --- the HPET's registers ------------------------------------------------- */

TEST(hpet_period_is_the_upper_half_of_its_first_register)
{
	uint64_t whole = *(volatile uint64_t *)HPET;

	CHECK_EQ(*(volatile uint32_t *)HPET, (uint32_t)whole);
	CHECK_EQ(*(volatile uint32_t *)(HPET + 4), whole >> 32);
	/* At most 100 ns, and not 0 (IA-PC HPET specification, 2.3.4). */
	CHECK(whole >> 32 > 0 && whole >> 32 <= 0x5f5e100);
}

TEST(hpet_counts_only_when_enabled)
{
	volatile uint64_t *config = (volatile uint64_t *)(HPET + 0x10);
	volatile uint64_t *counter = (volatile uint64_t *)(HPET + 0xf0);
	uint64_t first;

	*config = 0;
	*counter = 0x1234;
	CHECK_EQ(*counter, 0x1234);
	CHECK_EQ(*counter, 0x1234);
	*config = 1;
	for (first = *counter; *counter == first;)
		pause();
	CHECK(*counter > first);
}

/* --- instructions that lie in two pages ----------------------------------- */

/* They lie in pages that are not neighbours in memory, their middle at the boundary. */
static struct cpuid run_across_pages(const uint8_t *code, unsigned int size, unsigned int first,
				     uint64_t rax, uint64_t rdx)
{
	struct cpuid out;

	map_page(0, (uint64_t)pages[0] | PRESENT | WRITE);
	map_page(1, (uint64_t)pages[2] | PRESENT | WRITE);
	memset(pages[1], 0x90, sizeof(pages[1]));
	memcpy(pages[0] + 4096 - first, code, first);
	memcpy(pages[2], code + first, size - first);
	asm volatile("call *%4"
		     : "=a"(out.a), "=b"(out.b), "=c"(out.c), "=d"(out.d)
		     : "S"(WINDOW + 4096 - first), "a"(rax), "c"(0), "d"(rdx)
		     : "memory", "cc");
	return out;
}

TEST(cpuid_across_pages)
{
	struct cpuid expected = cpuid(0x40000000);
	struct cpuid out = run_across_pages((const uint8_t *)"\x0f\xa2\xc3", 3, 1, 0x40000000, 0);

	CHECK_EQ(memcmp(&expected, &out, sizeof(out)), 0);
}

TEST(device_access_across_pages)
{
	/* mov (%rdx), %eax with a displacement of 4; ret */
	static const uint8_t code[] = { 0x8b, 0x82, 4, 0, 0, 0, 0xc3 };

	for (unsigned int first = 1; first < 6; first++) {
		struct cpuid out = run_across_pages(code, sizeof(code), first, 0, HPET);

		CHECK_EQ(out.a, *(volatile uint32_t *)(HPET + 4));
	}
}

TEST(port_access_across_pages)
{
	static const uint8_t code[] = { 0xe4, MASK_PORT, 0xc3 };

	outb(MASK_PORT, 0x2f);
	CHECK_EQ(run_across_pages(code, sizeof(code), 1, 0x100, 0).a, 0x12f);
}
