// SPDX-License-Identifier: BSD-2-Clause
/* Exceptions: which vector, which error code, and what happens when they meet. */
#include "payload/payload.h"

static void execute_int3(void *unused)
{
	(void)unused;
	asm volatile("int3");
}

TEST(int3_raises_bp_behind_itself)
{
	struct trap trap = attempt(execute_int3, NULL);

	CHECK_EQ(trap.vector, 3);
	CHECK_EQ(*(uint8_t *)(trap.rip - 1), 0xcc);
}

static void load_bad_selector(void *unused)
{
	(void)unused;
	asm volatile("mov %0, %%ds" : : "r"(0xfff8));
}

TEST(bad_selector_raises_gp_with_it_as_error_code)
{
	struct trap trap = attempt(load_bad_selector, NULL);

	CHECK_EQ(trap.vector, 13);
	CHECK_EQ(trap.error, 0xfff8);
}

extern uint64_t gdt_free[];

static void load_first_free(void *unused)
{
	(void)unused;
	asm volatile("mov %0, %%ds" : : "r"(0x58));
}

TEST(segment_not_present_raises_np)
{
	struct trap trap;

	gdt_free[0] = 0x00cf13000000ffff; /* data, P clear */
	trap = attempt(load_first_free, NULL);
	CHECK_EQ(trap.vector, 11);
	CHECK_EQ(trap.error, 0x58);
}

static void load_stack_segment(void *unused)
{
	(void)unused;
	asm volatile("mov %0, %%ss" : : "r"(0x58));
}

TEST(stack_segment_not_present_raises_ss)
{
	struct trap trap;

	gdt_free[0] = 0x00cf13000000ffff;
	trap = attempt(load_stack_segment, NULL);
	CHECK_EQ(trap.vector, 12);
	CHECK_EQ(trap.error, 0x58);
}

static void read_non_canonical(void *unused)
{
	(void)unused;
	(void)*(volatile uint8_t *)0x800000000000;
}

TEST(non_canonical_address_raises_gp_0)
{
	struct trap trap = attempt(read_non_canonical, NULL);

	CHECK_EQ(trap.vector, 13);
	CHECK_EQ(trap.error, 0);
}

static void push_non_canonical(void *unused)
{
	(void)unused;
	asm volatile("mov %%rsp, %%rbx\n"
		     "mov %0, %%rsp\n"
		     "push %%rax\n"
		     "mov %%rbx, %%rsp\n"
		     :
		     : "r"(0x800000000100)
		     : "rbx");
}

static void stack_fault_on_ist(struct frame *frame)
{
	(void)frame;
}

TEST(interrupt_gate_clears_if_and_iret_restores_it)
{
	uint64_t flags;

	set_handler(0x50, stack_fault_on_ist);
	asm volatile("sti; int $0x50; pushfq; pop %0; cli" : "=r"(flags));
	CHECK(flags & 0x200);
	CHECK_EQ(taken[0x50], 1);
}

static uint64_t flags_in_handler;

static void note_flags(struct frame *frame)
{
	(void)frame;
	asm volatile("pushfq; pop %0" : "=r"(flags_in_handler));
}

TEST(interrupt_gate_clears_if_in_the_handler)
{
	set_handler(0x50, note_flags);
	asm volatile("sti; int $0x50; cli");
	CHECK(!(flags_in_handler & 0x200));
}

TEST(trap_gate_leaves_if)
{
	set_handler(0x50, note_flags);
	idt[2 * 0x50] |= 1ull << 40; /* type 15 */
	asm volatile("sti; int $0x50; cli");
	CHECK(flags_in_handler & 0x200);
}

static void fpu_without_cr0(void *unused)
{
	(void)unused;
	asm volatile("fninit");
}

TEST(fpu_with_cr0_ts_raises_nm)
{
	struct trap trap;

	write_cr0(read_cr0() | 1u << 3);
	trap = attempt(fpu_without_cr0, NULL);
	CHECK_EQ(trap.vector, 7);
	asm volatile("clts");
	CHECK(!(read_cr0() & 1u << 3));
	CHECK(!attempt(fpu_without_cr0, NULL).taken);
}

static void overflow_int(void *unused)
{
	(void)unused;
	asm volatile("int $4");
}

TEST(int_4_takes_vector_4)
{
	CHECK_EQ(attempt(overflow_int, NULL).vector, 4);
}

static void unaligned_access(void *unused)
{
	(void)unused;
	asm volatile("int $0x60");
}

TEST(gate_not_present_raises_np_with_idt_bit)
{
	struct trap trap;

	idt[2 * 0x60] &= ~(1ull << 47);
	trap = attempt(unaligned_access, NULL);
	CHECK_EQ(trap.vector, 11);
	/* The index, which QEMU 7.2 scales by 16, not 8, and the IDT bit. */
	CHECK_EQ(trap.error & 7, 2);
	CHECK((trap.error >> 3) % 0x60 == 0);
}

/* A page fault whose handler's gate is not present: #PF then #NP is #DF. */
static void touch_unmapped(void *unused)
{
	(void)unused;
	(void)*(volatile uint8_t *)0x100000000;
}

TEST(fault_while_delivering_a_page_fault_is_double_fault)
{
	struct trap trap;

	idt[2 * 14] &= ~(1ull << 47);
	trap = attempt(touch_unmapped, NULL);
	CHECK_EQ(trap.vector, 8);
	CHECK_EQ(trap.error, 0);
}

/* A contributory exception whose gate is missing: the same. */
TEST(two_contributory_exceptions_are_double_fault)
{
	struct trap trap;

	idt[2 * 13] &= ~(1ull << 47);
	trap = attempt(read_non_canonical, NULL);
	CHECK_EQ(trap.vector, 8);
	(void)push_non_canonical;
}

/* A benign exception, #UD, whose gate is missing: only #NP. The manuals differ on EXT. */
static void execute_ud2(void *unused)
{
	(void)unused;
	asm volatile("ud2");
}

TEST(benign_then_contributory_is_the_second)
{
	struct trap trap;

	idt[2 * 6] &= ~(1ull << 47);
	trap = attempt(execute_ud2, NULL);
	CHECK_EQ(trap.vector, 11);
	CHECK_EQ(trap.error & 6, 2);
}
