// SPDX-License-Identifier: BSD-2-Clause
/* Privilege: ring 3, system calls, gates, stacks, descriptor tables. */
#include "payload/user.h"

#define VECTOR_NMI 2
#define VECTOR_UD  6
#define VECTOR_GP  13

#define MSR_EFER   0xc0000080
#define MSR_STAR   0xc0000081
#define MSR_LSTAR  0xc0000082
#define MSR_SFMASK 0xc0000084

#define ICR_NMI	   (4u << 8)
#define ICR_ASSERT (1u << 14)
#define ICR_SELF   (1u << 18)

/* A port emulated by the module, which is a mask register, and one without a device. */
#define NEAR_PORT 0x21
#define FAR_PORT  0x3e0

#define FLAGS	   0x2
#define FLAGS_IF   0x202
#define FLAGS_IOPL 0x3002

extern uint64_t gdt_free[];

/* --- what ring 3 may not do ----------------------------------------------- */

static struct frame last;

static void note_frame(struct frame *frame)
{
	last = *frame;
}

static void note_frame_and_eoi(struct frame *frame)
{
	last = *frame;
	apic_eoi();
}

#define USER_CODE_OF(name, text)                                                       \
	static void user_##name(void *unused)                                          \
	{                                                                              \
		(void)unused;                                                          \
		asm volatile(text : : "a"(0), "c"(0), "d"(0) : "rbx", "memory", "cc"); \
		USER_DONE;                                                             \
	}

USER_CODE_OF(hlt, "hlt")
USER_CODE_OF(cli, "cli")
USER_CODE_OF(invd, "invd")
USER_CODE_OF(wbinvd, "wbinvd")
USER_CODE_OF(rdmsr, "movl $0xc0000080, %%ecx; rdmsr")
USER_CODE_OF(wrmsr, "movl $0xc0000102, %%ecx; wrmsr")
USER_CODE_OF(read_cr0, "mov %%cr0, %%rax")
USER_CODE_OF(write_cr0, "mov %%rax, %%cr0")
USER_CODE_OF(read_cr8, "mov %%cr8, %%rax")
USER_CODE_OF(write_cr4, "mov %%rax, %%cr4")
USER_CODE_OF(read_dr7, "mov %%dr7, %%rax")
USER_CODE_OF(write_dr0, "mov %%rax, %%dr0")
USER_CODE_OF(invlpg, "invlpg (%%rsp)")
USER_CODE_OF(clts, "clts")
USER_CODE_OF(lmsw, "lmsw %%ax")
USER_CODE_OF(ltr, "ltr %%ax")
USER_CODE_OF(swapgs, "swapgs")
USER_CODE_OF(rdpmc, "rdpmc")

TEST(privileged_instructions_of_user_mode_raise_gp)
{
	static void (*const all[])(void *) = {
		user_hlt,      user_cli,       user_invd,      user_wbinvd,   user_rdmsr,
		user_wrmsr,    user_read_cr0,  user_write_cr0, user_read_cr8, user_write_cr4,
		user_read_dr7, user_write_dr0, user_invlpg,    user_clts,     user_lmsw,
		user_ltr,      user_swapgs,    user_rdpmc,
	};

	user_enable();
	for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct trap trap = user_attempt(all[i], NULL, FLAGS);

		if (trap.vector != VECTOR_GP || trap.error != 0)
			fail("instruction %u: vector %u, error %x", (uint64_t)i,
			     (uint64_t)trap.vector, trap.error);
	}
	CHECK_EQ(rdmsr(0xc0000102), 0);
}

/* Which registers it may change is the processor's to know: nothing has changed. */
static void user_xsetbv(void *unused)
{
	(void)unused;
	asm volatile("xsetbv" : : "a"(1), "c"(0), "d"(0));
	USER_DONE;
}

TEST(xsetbv_of_user_mode_raises_gp)
{
	uint32_t before, after, high;

	if (!(cpuid(1).c & 1u << 26))
		return;
	write_cr4(read_cr4() | 1u << 18);
	asm volatile("xsetbv" : : "a"(3), "c"(0), "d"(0));
	asm volatile("xgetbv" : "=a"(before), "=d"(high) : "c"(0));
	user_enable();
	CHECK_EQ(user_attempt(user_xsetbv, NULL, FLAGS).vector, VECTOR_GP);
	asm volatile("xgetbv" : "=a"(after), "=d"(high) : "c"(0));
	CHECK_EQ(before, 3);
	CHECK_EQ(after, before);
}

USER_CODE_OF(vmmcall, "vmmcall")

/* VMRUN and the like raise #GP before any intercept: SVME has to be set while guests run. */
TEST(vmmcall_of_user_mode_raises_ud)
{
	struct trap trap;

	user_enable();
	trap = user_attempt(user_vmmcall, NULL, FLAGS);
	CHECK_EQ(trap.vector, VECTOR_UD);
	/* Not at the UD2 that would have followed. */
	CHECK_EQ(*(uint16_t *)trap.rip, 0x010f);
}

static void user_cpuid(void *result)
{
	*(struct cpuid *)result = cpuid(0x40000000);
	USER_DONE;
}

TEST(cpuid_of_user_mode_is_answered)
{
	struct cpuid kernel = cpuid(0x40000000), user = { 0 };

	user_enable();
	CHECK_EQ(user_attempt(user_cpuid, &user, FLAGS).vector, VECTOR_UD);
	CHECK_EQ(memcmp(&kernel, &user, sizeof(user)), 0);
}

/* --- ports ---------------------------------------------------------------- */

struct port_read {
	uint16_t port;
	uint32_t value;
};

static void user_inb(void *arg)
{
	struct port_read *read = arg;

	read->value = inb(read->port);
	USER_DONE;
}

static void user_inl(void *arg)
{
	struct port_read *read = arg;

	read->value = inl(read->port);
	USER_DONE;
}

static void user_insb(void *arg)
{
	struct port_read *read = arg;
	void *to = &read->value;

	asm volatile("insb" : "+D"(to) : "d"(read->port) : "memory");
	USER_DONE;
}

TEST(ports_of_user_mode_without_a_bitmap_raise_gp)
{
	static const uint16_t ports[] = { NEAR_PORT, FAR_PORT };

	user_enable();
	for (unsigned int i = 0; i < 2; i++) {
		struct port_read read = { ports[i], 0x1234 };

		CHECK_EQ(user_attempt(user_inb, &read, FLAGS).vector, VECTOR_GP);
		CHECK_EQ(user_attempt(user_insb, &read, FLAGS).vector, VECTOR_GP);
		CHECK_EQ(read.value, 0x1234);
	}
}

TEST(ports_the_bitmap_allows_are_read_by_user_mode)
{
	struct port_read near = { NEAR_PORT, 0 }, far = { FAR_PORT, 0 }, other = { 0x20, 0x77 };

	user_enable();
	tss_deny_all_ports();
	tss_allow_port(NEAR_PORT);
	tss_allow_port(FAR_PORT);
	outb(NEAR_PORT, 0x5a);
	CHECK_EQ(user_attempt(user_inb, &near, FLAGS).vector, VECTOR_UD);
	CHECK_EQ(near.value, 0x5a);
	CHECK_EQ(user_attempt(user_inb, &far, FLAGS).vector, VECTOR_UD);
	CHECK_EQ(far.value, 0xff);
	CHECK_EQ(user_attempt(user_inb, &other, FLAGS).vector, VECTOR_GP);
	CHECK_EQ(other.value, 0x77);
}

TEST(every_port_of_a_wide_access_must_be_allowed)
{
	struct port_read read = { FAR_PORT, 0 };

	user_enable();
	tss_deny_all_ports();
	for (unsigned int i = 0; i < 3; i++)
		tss_allow_port((uint16_t)(FAR_PORT + i));
	CHECK_EQ(user_attempt(user_inl, &read, FLAGS).vector, VECTOR_GP);
	tss_allow_port(FAR_PORT + 3);
	CHECK_EQ(user_attempt(user_inl, &read, FLAGS).vector, VECTOR_UD);
	CHECK_EQ(read.value, 0xffffffff);
}

TEST(iopl_3_lets_user_mode_at_ports_and_cli)
{
	struct port_read read = { NEAR_PORT, 0 };
	struct trap trap;

	user_enable();
	outb(NEAR_PORT, 0x3c);
	CHECK_EQ(user_attempt(user_inb, &read, FLAGS_IOPL).vector, VECTOR_UD);
	CHECK_EQ(read.value, 0x3c);
	trap = user_attempt(user_cli, NULL, FLAGS_IOPL | FLAGS_IF);
	CHECK_EQ(trap.vector, VECTOR_UD);
	CHECK(!(trap.rflags & 0x200));
}

TEST(string_input_of_user_mode_by_the_bitmap)
{
	struct port_read near = { NEAR_PORT, 0 }, far = { FAR_PORT, 0 };

	user_enable();
	tss_deny_all_ports();
	tss_allow_port(NEAR_PORT);
	tss_allow_port(FAR_PORT);
	outb(NEAR_PORT, 0xc3);
	CHECK_EQ(user_attempt(user_insb, &near, FLAGS).vector, VECTOR_UD);
	CHECK_EQ(near.value, 0xc3);
	CHECK_EQ(user_attempt(user_insb, &far, FLAGS).vector, VECTOR_UD);
	CHECK_EQ(far.value, 0xff);
}

/* --- memory of a device --------------------------------------------------- */

static void user_read_hpet(void *result)
{
	*(uint32_t *)result = *(volatile uint32_t *)0xfed00004;
	USER_DONE;
}

TEST(user_mode_reads_a_device_where_its_page_allows)
{
	extern uint64_t boot_directories[];
	uint32_t value = 0, period = *(volatile uint32_t *)0xfed00004;
	struct trap trap;

	user_enable();
	CHECK_EQ(user_attempt(user_read_hpet, &value, FLAGS).vector, VECTOR_UD);
	CHECK_EQ(value, period);
	boot_directories[0xfed00000 >> 21] &= ~4ull;
	write_cr3(read_cr3());
	trap = user_attempt(user_read_hpet, &value, FLAGS);
	CHECK_EQ(trap.vector, 14);
	CHECK_EQ(trap.error, 5);
	CHECK_EQ(trap.cr2, 0xfed00004);
}

/* --- gates ---------------------------------------------------------------- */

static void user_int_80(void *unused)
{
	(void)unused;
	asm volatile("int $0x80");
	USER_DONE;
}

TEST(int_n_of_user_mode_needs_the_gates_privilege)
{
	struct trap trap;

	user_enable();
	set_handler(0x80, note_frame);
	trap = user_attempt(user_int_80, NULL, FLAGS);
	CHECK_EQ(trap.vector, VECTOR_GP);
	/* The index, which QEMU 7.2 scales by 16, not 8, and the IDT bit. */
	CHECK_EQ(trap.error & 7, 2);
	CHECK((trap.error >> 3) % 0x80 == 0);
	CHECK_EQ(taken[0x80], 0);
}

TEST(int_n_of_user_mode_goes_to_ring_0_and_back)
{
	struct trap trap;

	user_enable();
	set_handler(0x80, note_frame);
	idt[2 * 0x80] |= 3ull << 45;
	trap = user_attempt(user_int_80, NULL, FLAGS);
	CHECK_EQ(trap.vector, VECTOR_UD);
	CHECK_EQ(taken[0x80], 1);
	CHECK_EQ(last.cs, USER_CODE);
	CHECK_EQ(last.ss, USER_DATA);
}

static uint64_t handler_stack;
static uint16_t handler_ss;

static void note_stack(struct frame *frame)
{
	last = *frame;
	handler_stack = (uint64_t)&frame->ss + 8;
	asm volatile("mov %%ss, %0" : "=r"(handler_ss));
}

TEST(interrupts_of_user_mode_take_the_stack_of_ring_0)
{
	user_enable();
	set_handler(0x80, note_stack);
	idt[2 * 0x80] |= 3ull << 45;
	CHECK_EQ(user_attempt(user_int_80, NULL, FLAGS).vector, VECTOR_UD);
	CHECK_EQ(handler_stack, (uint64_t)user_kernel_stack + sizeof(user_kernel_stack));
	CHECK_EQ(handler_ss, 0);
}

/* It waits while IF is 0 in ring 0 and comes before the first instruction of ring 3. */
TEST(waiting_interrupt_is_taken_at_the_first_of_user_mode)
{
	user_enable();
	apic_enable();
	set_handler(0x41, note_frame_and_eoi);
	apic_write(0x300, ICR_SELF | ICR_ASSERT | 0x41);
	CHECK_EQ(user_attempt(user_cli, NULL, FLAGS_IF).vector, VECTOR_GP);
	CHECK_EQ(taken[0x41], 1);
	CHECK_EQ(last.rip, (uint64_t)user_cli);
	CHECK_EQ(last.cs, USER_CODE);
	CHECK(last.rflags & 0x200);
}

static uint8_t ist_stack[8192] __attribute__((aligned(16)));

static void note_stack_and_skip(struct frame *frame)
{
	note_stack(frame);
	if (frame->vector == VECTOR_UD)
		frame->rip += 2;
}

TEST(ist_of_an_exception_is_its_stack)
{
	tss_load();
	tss.ist[2] = (uint64_t)ist_stack + sizeof(ist_stack) - 5; /* aligned down by 16 */
	idt[2 * VECTOR_UD] |= 3ull << 32;
	set_handler(VECTOR_UD, note_stack_and_skip);
	asm volatile("ud2");
	CHECK_EQ(taken[VECTOR_UD], 1);
	CHECK_EQ(handler_stack, (uint64_t)ist_stack + sizeof(ist_stack) - 16);
}

TEST(ist_of_the_nmi_is_its_stack)
{
	tss_load();
	apic_enable();
	tss.ist[0] = (uint64_t)ist_stack + sizeof(ist_stack);
	idt[2 * VECTOR_NMI] |= 1ull << 32;
	set_handler(VECTOR_NMI, note_stack_and_skip);
	apic_write(0x310, apic_read(0x20) & 0xff000000);
	apic_write(0x300, ICR_NMI | ICR_ASSERT);
	(void)inb(NEAR_PORT);
	CHECK_EQ(taken[VECTOR_NMI], 1);
	CHECK_EQ(handler_stack, (uint64_t)ist_stack + sizeof(ist_stack));
}

TEST(ist_of_an_interrupt_is_its_stack)
{
	tss_load();
	apic_enable();
	tss.ist[6] = (uint64_t)ist_stack + sizeof(ist_stack);
	idt[2 * 0x41] |= 7ull << 32;
	set_handler(0x41, note_stack_and_skip);
	apic_write(0x300, ICR_SELF | ICR_ASSERT | 0x41);
	asm volatile("sti; nop; nop; cli");
	CHECK_EQ(taken[0x41], 1);
	CHECK_EQ(handler_stack, (uint64_t)ist_stack + sizeof(ist_stack));
}

static volatile uint64_t gate_cs;

asm("	.text\n"
    "gate_target:\n"
    "	movq %cs, %rax\n"
    "	movq %rax, gate_cs(%rip)\n"
    "	lretq\n");
extern const char gate_target[];

static void user_call_gate(void *pointer)
{
	asm volatile("lcall *(%0)" : : "r"(pointer) : "rax", "memory");
	USER_DONE;
}

TEST(call_gate_takes_user_mode_to_ring_0_and_back)
{
	struct __attribute__((packed)) {
		uint32_t offset;
		uint16_t selector;
	} pointer = { 0, 0x58 | 3 };
	uint64_t target = (uint64_t)gate_target;
	struct trap trap;

	user_enable();
	/* 64-bit call gate, DPL 3, selector 8 (APM vol. 2, 4.8.3). */
	gdt_free[0] = (target & 0xffff) | 0x8ull << 16 | 0xecull << 40 |
		      (target >> 16 & 0xffff) << 48;
	gdt_free[1] = target >> 32;
	trap = user_attempt(user_call_gate, &pointer, FLAGS);
	CHECK_EQ(trap.vector, VECTOR_UD);
	CHECK_EQ(gate_cs, 0x08);
}

/* --- system calls --------------------------------------------------------- */

static volatile uint64_t syscall_rcx, syscall_r11, syscall_flags, syscall_cs, syscall_ss;

/* Back to ring 3 with an exit of each kind on the way. */
asm("	.text\n"
    "syscall_target:\n"
    "	movq %rcx, syscall_rcx(%rip)\n"
    "	movq %r11, syscall_r11(%rip)\n"
    "	movq %cs, %rax\n"
    "	movq %rax, syscall_cs(%rip)\n"
    "	movq %ss, %rax\n"
    "	movq %rax, syscall_ss(%rip)\n"
    "	pushfq\n"
    "	popq syscall_flags(%rip)\n"
    "	inb $0x21, %al\n"
    "	movw $0x3e0, %dx\n"
    "	outb %al, %dx\n"
    "	sysretq\n");
extern const char syscall_target[];

static void user_syscall(void *arg)
{
	uint64_t *selectors = arg;

	asm volatile("stc; syscall; mov %%cs, %0; mov %%ss, %1"
		     : "=r"(selectors[0]), "=r"(selectors[1])
		     :
		     : "rax", "rcx", "rdx", "r11", "memory", "cc");
	USER_DONE;
}

static void set_system_call(void)
{
	wrmsr(MSR_STAR, 0x08ull << 32 | 0x2bull << 48);
	wrmsr(MSR_LSTAR, (uint64_t)syscall_target);
	wrmsr(MSR_SFMASK, 0x200 | 1);
}

TEST(syscall_and_sysret_change_rings)
{
	uint64_t selectors[2] = { 0, 0 };

	user_enable();
	set_system_call();
	CHECK_EQ(user_attempt(user_syscall, selectors, FLAGS_IF).vector, VECTOR_UD);
	CHECK_EQ(selectors[0], USER_CODE);
	CHECK_EQ(selectors[1], USER_DATA);
	CHECK_EQ(syscall_cs, 0x08);
	CHECK_EQ(syscall_ss, 0x10);
	CHECK_EQ(syscall_r11 & 0x201, 0x201);
	CHECK_EQ(syscall_flags & 0x201, 0);
	CHECK_EQ(*(uint16_t *)(syscall_rcx - 2), 0x050f);
}

TEST(syscall_without_its_enable_raises_ud)
{
	uint64_t selectors[2];
	struct trap trap;

	user_enable();
	set_system_call();
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~1ull);
	trap = user_attempt(user_syscall, selectors, FLAGS);
	CHECK_EQ(trap.vector, VECTOR_UD);
	CHECK_EQ(*(uint16_t *)trap.rip, 0x050f);
}

/* --- tables and their registers ------------------------------------------- */

static void load_task_register(void *unused)
{
	(void)unused;
	asm volatile("ltr %w0" : : "r"(TSS_SELECTOR));
}

TEST(task_register_survives_exits_and_its_tss_is_busy)
{
	extern uint64_t gdt_tss[];
	uint16_t selector;
	struct trap trap;

	tss_load();
	outl(FAR_PORT, 0);
	(void)inb(NEAR_PORT);
	asm volatile("str %0" : "=r"(selector));
	CHECK_EQ(selector, TSS_SELECTOR);
	CHECK_EQ(gdt_tss[0] >> 40 & 0xff, 0x8b);
	trap = attempt(load_task_register, NULL);
	CHECK_EQ(trap.vector, VECTOR_GP);
	CHECK_EQ(trap.error, TSS_SELECTOR);
}

static uint64_t local_table[4];

TEST(local_descriptor_table_survives_exits)
{
	uint64_t base = (uint64_t)local_table, word = 0x1122334455667788, read;
	uint64_t data = (uint64_t)&word;
	uint16_t selector;

	gdt_free[0] = 31 | (base & 0xffffff) << 16 | 0x82ull << 40 | (base >> 24 & 0xff) << 56;
	gdt_free[1] = 0;
	/* Data, its base at the word: FS from there has it. */
	local_table[2] = 0x00cf93000000ffff | (data & 0xffffff) << 16 | (data >> 24 & 0xff) << 56;
	asm volatile("lldt %w0" : : "r"(0x58));
	outl(FAR_PORT, 0);
	asm volatile("mov %0, %%fs" : : "r"(0x14));
	outl(FAR_PORT, 0);
	asm volatile("movq %%fs:0, %0" : "=r"(read));
	CHECK_EQ(read, word);
	asm volatile("sldt %0" : "=r"(selector));
	CHECK_EQ(selector, 0x58);
}

struct __attribute__((packed)) table_register {
	uint16_t limit;
	uint64_t base;
};

TEST(table_registers_survive_exits)
{
	struct table_register gdtr, idtr, gdtr_after, idtr_after;

	asm volatile("sgdt %0; sidt %1" : "=m"(gdtr), "=m"(idtr));
	gdtr.limit -= 8;
	idtr.limit -= 16;
	asm volatile("lgdt %0; lidt %1" : : "m"(gdtr), "m"(idtr));
	outl(FAR_PORT, 0);
	(void)inb(NEAR_PORT);
	asm volatile("sgdt %0; sidt %1" : "=m"(gdtr_after), "=m"(idtr_after));
	CHECK_EQ(memcmp(&gdtr, &gdtr_after, sizeof(gdtr)), 0);
	CHECK_EQ(memcmp(&idtr, &idtr_after, sizeof(idtr)), 0);
}

static void interrupt_beyond_the_table(void *unused)
{
	(void)unused;
	asm volatile("int $0xff");
}

TEST(vector_beyond_the_limit_of_the_table_raises_gp)
{
	struct table_register idtr;
	struct trap trap;

	asm volatile("sidt %0" : "=m"(idtr));
	idtr.limit = 0xff * 16 - 1;
	asm volatile("lidt %0" : : "m"(idtr));
	trap = attempt(interrupt_beyond_the_table, NULL);
	CHECK_EQ(trap.vector, VECTOR_GP);
	CHECK_EQ(trap.error & 7, 2);
}

TEST(swapgs_exchanges_the_bases)
{
	wrmsr(0xc0000101, 0x1000);
	wrmsr(0xc0000102, 0x2000);
	asm volatile("swapgs");
	outl(FAR_PORT, 0);
	CHECK_EQ(rdmsr(0xc0000101), 0x2000);
	CHECK_EQ(rdmsr(0xc0000102), 0x1000);
}
