// SPDX-License-Identifier: BSD-2-Clause
/* Hardware task switches. */
#include "unit.h"

#include "x86/cpu/context.h"
#include "x86/exits/exits.h"
#include "vm/regs.h"
#include "x86_guest.h"

#define GDT	  0x2000ull
#define OLD_TSS	  0x3000ull
#define NEW_TSS	  0x4000ull
#define NEW_STACK 0x5800u
#define NEW_EIP	  0x1800u

/* Selectors, in the order of the GDT. */
enum {
	NULL_SELECTOR,
	CODE = 8,
	DATA = 0x10,
	OLD = 0x18,
	NEW = 0x20,
	USER_CODE = 0x28,
	USER_DATA = 0x30,
	ABSENT = 0x38,
	LDT = 0x40,
	GDT_SIZE = 0x48
};

#define FLAT_CODE 0x00cf9a000000ffffull /* not accessed yet */
#define FLAT_DATA 0x00cf92000000ffffull
#define DPL3	  (3ull << 45)
#define PRESENT	  (1ull << 47)
#define TSS32	  0x89ull
#define TSS16	  0x81ull
#define BUSY	  2ull

static struct vm *vm;
static struct vcpu *vcpu;
static uint64_t *reg;
static struct seg_desc *desc;
static uint64_t *gdt;
static uint32_t *old_tss;
static uint32_t *new_tss;

static uint64_t system_descriptor(uint64_t base, uint64_t limit, uint64_t access)
{
	return limit | base << 16 | access << 40;
}

/* The task to come: everything it needs, in a TSS of 32 bits. */
static void fill_new_tss(void)
{
	static const uint16_t selectors[6] = { DATA, CODE, DATA, DATA, 0, DATA };

	new_tss[0x20 / 4] = NEW_EIP;
	new_tss[0x24 / 4] = REG_RFLAGS_FIXED1 | REG_RFLAGS_IF;
	for (unsigned int i = 0; i < 8; i++)
		new_tss[0x28 / 4 + i] = 0x11111111 * (i + 1);
	new_tss[0x38 / 4] = NEW_STACK;
	for (unsigned int i = 0; i < 6; i++)
		new_tss[0x48 / 4 + i] = selectors[i];
}

static void fill_gdt(void)
{
	gdt[CODE / 8] = FLAT_CODE;
	gdt[DATA / 8] = FLAT_DATA;
	gdt[OLD / 8] = system_descriptor(OLD_TSS, 0x67, TSS32 | BUSY);
	gdt[NEW / 8] = system_descriptor(NEW_TSS, 0x67, TSS32);
	gdt[USER_CODE / 8] = FLAT_CODE | DPL3;
	gdt[USER_DATA / 8] = FLAT_DATA | DPL3;
	gdt[ABSENT / 8] = FLAT_DATA & ~PRESENT;
	gdt[LDT / 8] = system_descriptor(0x6000, 0xf, 0x82);
}

static void begin(void)
{
	static const uint8_t jump[] = { 0xea, 0, 0, 0, 0, NEW, 0 };

	vm = guest_create();
	vcpu = fake_vm_vcpu(vm, 0);
	reg = fake_vcpu(vcpu)->reg;
	desc = fake_vcpu(vcpu)->desc;
	gdt = guest_memory(vm, GDT);
	old_tss = guest_memory(vm, OLD_TSS);
	new_tss = guest_memory(vm, NEW_TSS);
	guest_code(vcpu, jump, sizeof(jump));
	fill_gdt();
	fill_new_tss();
	desc[VM_REG_GUEST_GDTR] = (struct seg_desc){ .base = GDT, .limit = GDT_SIZE - 1 };
	desc[VM_REG_GUEST_TR] = (struct seg_desc){ .base = OLD_TSS, .limit = 0x67, .access = 0x8b };
	reg[VM_REG_GUEST_TR] = OLD;
	reg[VM_REG_GUEST_CS] = CODE;
	reg[VM_REG_GUEST_SS] = DATA;
	reg[VM_REG_GUEST_FS] = 0x5555;
	reg[VM_REG_GUEST_DR7] = 0x7ff;
	for (unsigned int i = 0; i < 8; i++)
		vcpu->gpr[i] = 0x100 + i;
}

static void end(void)
{
	guest_destroy(vm);
}

static void switch_task(const struct x86_task_switch *task)
{
	REQUIRE(x86_exit_task_switch(vcpu, task) == EXIT_OUTER);
	REQUIRE(vcpu->deferred != NULL);
	CHECK_EQ(vcpu->deferred(vcpu), EXIT_RESUME);
	vcpu->deferred = NULL;
}

static void switch_by(enum task_switch_reason reason)
{
	const struct x86_task_switch task = { .selector = NEW, .reason = reason };

	vcpu->next_rip = GUEST_CODE + 7;
	switch_task(&task);
}

static uint64_t type_of(unsigned int selector)
{
	return gdt[selector / 8] >> 40 & 0xf;
}

/* Nothing of the switch has happened. */
static void check_old_task(int vector, int64_t error_code)
{
	CHECK_EQ(guest_exception(vcpu), vector);
	CHECK_EQ(guest_error_code(vcpu), error_code);
	CHECK_EQ(vcpu->rip, GUEST_CODE);
	CHECK_EQ(reg[VM_REG_GUEST_TR], OLD);
	CHECK_EQ(type_of(OLD), 0xb);
	CHECK_EQ(old_tss[0x20 / 4], 0);
}

/* --- the ways to switch ------------------------------------------------------------- */

TEST(jump)
{
	begin();
	switch_by(TSR_JMP);
	CHECK_EQ(guest_exception(vcpu), -1);
	CHECK_EQ(vcpu->rip, NEW_EIP);
	CHECK_EQ(vcpu->rflags, REG_RFLAGS_FIXED1 | REG_RFLAGS_IF);
	for (unsigned int i = 0; i < 8; i++)
		CHECK_EQ(vcpu->gpr[i], i == GPR_RSP ? NEW_STACK : 0x11111111 * (i + 1));
	CHECK_EQ(reg[VM_REG_GUEST_TR], NEW);
	CHECK_EQ(desc[VM_REG_GUEST_TR].base, NEW_TSS);
	CHECK_EQ(desc[VM_REG_GUEST_TR].access & 0xff, TSS32 | BUSY);
	CHECK_EQ(type_of(OLD), 9);
	CHECK_EQ(type_of(NEW), 0xb);
	CHECK(reg[VM_REG_GUEST_CR0] & REG_CR0_TS);
	CHECK_EQ(reg[VM_REG_GUEST_DR7], 0x7ff & ~0x155);
	end();
}

TEST(old_task_is_saved)
{
	begin();
	vcpu->rflags |= REG_RFLAGS_DF;
	switch_by(TSR_JMP);
	CHECK_EQ(old_tss[0x20 / 4], GUEST_CODE + 7);
	CHECK_EQ(old_tss[0x24 / 4], REG_RFLAGS_FIXED1 | REG_RFLAGS_DF);
	for (unsigned int i = 0; i < 8; i++)
		CHECK_EQ(old_tss[0x28 / 4 + i], 0x100 + i);
	CHECK_EQ(old_tss[0x4c / 4], CODE);
	CHECK_EQ(old_tss[0x50 / 4], DATA);
	CHECK_EQ(old_tss[0x58 / 4], 0x5555);
	end();
}

TEST(segments_are_loaded)
{
	begin();
	switch_by(TSR_JMP);
	CHECK_EQ(reg[VM_REG_GUEST_ES], DATA);
	CHECK_EQ(desc[VM_REG_GUEST_ES].limit, 0xffffffff);
	CHECK_EQ(desc[VM_REG_GUEST_ES].access, 0xc093);
	CHECK_EQ(desc[VM_REG_GUEST_CS].access, 0xc09b);
	CHECK(SEG_DESC_UNUSABLE(desc[VM_REG_GUEST_FS].access));
	CHECK(SEG_DESC_UNUSABLE(desc[VM_REG_GUEST_LDTR].access));
	/* Marked accessed in memory too. */
	CHECK_EQ(type_of(CODE), 0xb);
	CHECK_EQ(type_of(DATA), 3);
	end();
}

TEST(call_links_back)
{
	begin();
	switch_by(TSR_CALL);
	CHECK_EQ(guest_exception(vcpu), -1);
	CHECK(vcpu->rflags & REG_RFLAGS_NT);
	CHECK_EQ(new_tss[0] & 0xffff, OLD);
	CHECK_EQ(type_of(OLD), 0xb);
	CHECK_EQ(type_of(NEW), 0xb);
	end();
}

TEST(iret_frees_the_task_it_leaves)
{
	const struct x86_task_switch back = { .selector = OLD, .reason = TSR_IRET };

	begin();
	reg[VM_REG_GUEST_ES] = reg[VM_REG_GUEST_DS] = reg[VM_REG_GUEST_GS] = DATA;
	reg[VM_REG_GUEST_FS] = 0;
	switch_by(TSR_CALL);
	vcpu->next_rip = NEW_EIP + 1;
	switch_task(&back);
	CHECK_EQ(guest_exception(vcpu), -1);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 7);
	CHECK(!(vcpu->rflags & REG_RFLAGS_NT));
	CHECK(!(new_tss[0x24 / 4] & REG_RFLAGS_NT));
	CHECK_EQ(new_tss[0x20 / 4], NEW_EIP + 1);
	CHECK_EQ(type_of(NEW), 9);
	CHECK_EQ(type_of(OLD), 0xb);
	CHECK_EQ(vcpu->gpr[GPR_RDI], 0x107);
	end();
}

TEST(exception_through_a_task_gate)
{
	const struct x86_task_switch task = {
		.selector = NEW,
		.reason = TSR_IDT_GATE,
		.has_error_code = true,
		.error_code = 0xabcd,
		.intinfo = VM_INTINFO_VALID | VM_INTINFO_HWEXCEPTION | VECTOR_GP,
	};
	const uint32_t *stack;

	begin();
	stack = guest_memory(vm, NEW_STACK - 4);
	switch_task(&task);
	CHECK_EQ(guest_exception(vcpu), -1);
	CHECK_EQ(vcpu->gpr[GPR_RSP], NEW_STACK - 4);
	CHECK_EQ(*stack, 0xabcd);
	CHECK_EQ(old_tss[0x20 / 4], GUEST_CODE);
	CHECK(vcpu->rflags & REG_RFLAGS_NT);
	CHECK_EQ(new_tss[0] & 0xffff, OLD);
	end();
}

TEST(nmi_through_a_task_gate_blocks_nmis)
{
	const struct x86_task_switch task = {
		.selector = NEW,
		.reason = TSR_IDT_GATE,
		.intinfo = VM_INTINFO_VALID | VM_INTINFO_NMI | VECTOR_NMI,
	};

	begin();
	switch_task(&task);
	CHECK(vcpu_nmi_blocked(vcpu));
	end();
}

TEST(int_needs_the_gates_privilege)
{
	const struct x86_task_switch task = {
		.selector = NEW,
		.reason = TSR_IDT_GATE,
		.intinfo = VM_INTINFO_VALID | VM_INTINFO_SWINTR | 0x30,
	};
	uint64_t *idt;

	begin();
	idt = guest_memory(vm, 0x7000);
	desc[VM_REG_GUEST_IDTR] = (struct seg_desc){ .base = 0x7000, .limit = 0x7ff };
	desc[VM_REG_GUEST_SS].access |= SEG_ACCESS_DPL;
	idt[0x30] = 0x0000850000000000 | (uint64_t)NEW << 16;
	vcpu->next_rip = GUEST_CODE + 2;
	switch_task(&task);
	check_old_task(VECTOR_GP, 0x30 << 3 | SELERR_IDT);
	vcpu->exception = 0;
	idt[0x30] |= DPL3;
	vcpu->next_rip = GUEST_CODE + 2;
	switch_task(&task);
	CHECK_EQ(guest_exception(vcpu), -1);
	CHECK_EQ(old_tss[0x20 / 4], GUEST_CODE + 2);
	end();
}

TEST(instruction_length_is_found)
{
	const struct x86_task_switch task = { .selector = NEW, .reason = TSR_JMP };

	begin();
	vcpu->next_rip = 0;
	switch_task(&task);
	CHECK_EQ(old_tss[0x20 / 4], GUEST_CODE + 7);
	end();
}

/* --- other kinds of task -------------------------------------------------- */

TEST(sixteen_bits)
{
	uint16_t *tss;

	begin();
	tss = (uint16_t *)new_tss;
	memset(tss, 0, 0x68);
	gdt[NEW / 8] = system_descriptor(NEW_TSS, 0x2b, TSS16);
	tss[0x0e / 2] = 0x1234;
	tss[0x10 / 2] = REG_RFLAGS_FIXED1;
	for (unsigned int i = 0; i < 8; i++)
		tss[0x12 / 2 + i] = (uint16_t)(0x1111 * (i + 1));
	tss[0x22 / 2] = DATA;
	tss[0x24 / 2] = CODE;
	tss[0x26 / 2] = DATA;
	tss[0x28 / 2] = DATA;
	switch_by(TSR_JMP);
	CHECK_EQ(guest_exception(vcpu), -1);
	CHECK_EQ(vcpu->rip, 0x1234);
	CHECK_EQ(vcpu->rflags, REG_RFLAGS_FIXED1);
	CHECK_EQ(vcpu->gpr[GPR_RDI], 0xffff8888);
	CHECK_EQ(reg[VM_REG_GUEST_FS], 0);
	CHECK_EQ(desc[VM_REG_GUEST_TR].access & 0xf, 3);
	CHECK_EQ(type_of(NEW), 3);
	end();
}

TEST(virtual_8086)
{
	begin();
	new_tss[0x24 / 4] |= REG_RFLAGS_VM;
	new_tss[0x4c / 4] = 0x123;
	switch_by(TSR_JMP);
	CHECK_EQ(guest_exception(vcpu), -1);
	CHECK(vcpu->rflags & REG_RFLAGS_VM);
	CHECK_EQ(desc[VM_REG_GUEST_CS].base, 0x1230);
	CHECK_EQ(desc[VM_REG_GUEST_CS].limit, 0xffff);
	CHECK_EQ(desc[VM_REG_GUEST_CS].access, 0xf3);
	CHECK_EQ(SEG_DESC_DPL(desc[VM_REG_GUEST_SS].access), 3);
	end();
}

TEST(user_task_with_an_ldt)
{
	uint64_t *ldt;

	begin();
	ldt = guest_memory(vm, 0x6000);
	ldt[1] = FLAT_DATA | DPL3;
	new_tss[0x60 / 4] = LDT;
	new_tss[0x4c / 4] = USER_CODE | 3;
	new_tss[0x50 / 4] = USER_DATA | 3;
	new_tss[0x48 / 4] = new_tss[0x54 / 4] = new_tss[0x5c / 4] = 0xf; /* in the LDT */
	switch_by(TSR_JMP);
	CHECK_EQ(guest_exception(vcpu), -1);
	CHECK_EQ(desc[VM_REG_GUEST_LDTR].base, 0x6000);
	CHECK_EQ(SEG_DESC_DPL(desc[VM_REG_GUEST_SS].access), 3);
	CHECK_EQ(desc[VM_REG_GUEST_ES].access, 0xc0f3);
	CHECK_EQ(ldt[1] >> 40 & 1, 1);
	end();
}

TEST(trap_bit)
{
	begin();
	new_tss[0x64 / 4] = 1;
	switch_by(TSR_JMP);
	CHECK_EQ(guest_exception(vcpu), VECTOR_DB);
	CHECK(reg[VM_REG_GUEST_DR6] & REG_DR6_BT);
	CHECK_EQ(vcpu->rip, NEW_EIP);
	end();
}

TEST(address_space_changes_with_paging)
{
	uint32_t *directory;

	begin();
	directory = guest_memory(vm, 0x8000);
	directory[0] = 0x83; /* the first 4 MiB, one page */
	reg[VM_REG_GUEST_CR0] |= REG_CR0_PG;
	reg[VM_REG_GUEST_CR4] |= REG_CR4_PSE;
	reg[VM_REG_GUEST_CR3] = 0x8000;
	directory = guest_memory(vm, 0x9000);
	directory[0] = 0x83;
	new_tss[0x1c / 4] = 0x9000;
	switch_by(TSR_JMP);
	CHECK_EQ(guest_exception(vcpu), -1);
	CHECK_EQ(reg[VM_REG_GUEST_CR3], 0x9000);
	CHECK_EQ(vcpu->rip, NEW_EIP);
	end();
}

/* --- what goes wrong before ----------------------------------------------- */

TEST(busy_task)
{
	begin();
	gdt[NEW / 8] |= BUSY << 40;
	switch_by(TSR_JMP);
	check_old_task(VECTOR_GP, NEW);
	end();
}

TEST(return_to_a_task_that_is_not_busy)
{
	begin();
	switch_by(TSR_IRET);
	check_old_task(VECTOR_TS, NEW);
	end();
}

TEST(absent_task)
{
	begin();
	gdt[NEW / 8] &= ~PRESENT;
	switch_by(TSR_CALL);
	check_old_task(VECTOR_NP, NEW);
	end();
}

TEST(short_task)
{
	begin();
	gdt[NEW / 8] = system_descriptor(NEW_TSS, 0x66, TSS32);
	switch_by(TSR_JMP);
	check_old_task(VECTOR_TS, NEW);
	end();
}

TEST(no_such_descriptor)
{
	const struct x86_task_switch outside = { .selector = 0x100, .reason = TSR_JMP };
	const struct x86_task_switch local = { .selector = 0xc, .reason = TSR_JMP };

	begin();
	switch_task(&outside);
	check_old_task(VECTOR_GP, 0x100);
	vcpu->exception = 0;
	switch_task(&local);
	check_old_task(VECTOR_GP, 0xc);
	end();
}

TEST(page_fault_on_the_new_task)
{
	uint32_t *directory;
	uint32_t *table;

	begin();
	directory = guest_memory(vm, 0x8000);
	table = guest_memory(vm, 0x9000);
	directory[0] = 0x9003;
	for (uint32_t i = 0; i < 16; i++)
		table[i] = i << 12 | 3;
	table[NEW_TSS >> 12] = 0;
	reg[VM_REG_GUEST_CR0] |= REG_CR0_PG;
	reg[VM_REG_GUEST_CR3] = 0x8000;
	switch_by(TSR_JMP);
	check_old_task(VECTOR_PF, 0);
	CHECK_EQ(vcpu->cr2, NEW_TSS);
	end();
}

TEST(page_fault_on_the_old_task)
{
	uint32_t *directory;
	uint32_t *table;

	begin();
	directory = guest_memory(vm, 0x8000);
	table = guest_memory(vm, 0x9000);
	directory[0] = 0x9003;
	for (uint32_t i = 0; i < 16; i++)
		table[i] = i << 12 | 3;
	table[OLD_TSS >> 12] &= ~2u;
	reg[VM_REG_GUEST_CR0] |= REG_CR0_PG | REG_CR0_WP;
	reg[VM_REG_GUEST_CR3] = 0x8000;
	switch_by(TSR_CALL);
	check_old_task(VECTOR_PF, PFERR_PRESENT | PFERR_WRITE);
	end();
}

TEST(event_is_kept_when_its_task_fails)
{
	const struct x86_task_switch task = {
		.selector = NEW,
		.reason = TSR_IDT_GATE,
		.intinfo = VM_INTINFO_VALID | VM_INTINFO_HWINTR | 0x30,
	};

	begin();
	gdt[NEW / 8] &= ~PRESENT;
	switch_task(&task);
	check_old_task(VECTOR_NP, NEW | SELERR_EXT);
	CHECK_EQ(vcpu->exitintinfo, task.intinfo);
	end();
}

/* --- what goes wrong after ------------------------------------------------ */

static void check_new_task(int vector, int64_t error_code)
{
	CHECK_EQ(guest_exception(vcpu), vector);
	CHECK_EQ(guest_error_code(vcpu), error_code);
	CHECK_EQ(vcpu->rip, NEW_EIP);
	CHECK_EQ(reg[VM_REG_GUEST_TR], NEW);
}

TEST(unfit_segments)
{
	static const struct {
		unsigned int slot; /* ES, CS, SS, DS, FS, GS */
		uint16_t selector;
		int vector;
	} bad[] = {
		{ 1, 0, VECTOR_TS },	     { 1, DATA, VECTOR_TS },
		{ 1, USER_CODE, VECTOR_TS }, { 1, 0x200, VECTOR_TS },
		{ 2, 0, VECTOR_TS },	     { 2, CODE, VECTOR_TS },
		{ 2, USER_DATA, VECTOR_TS }, { 2, DATA | 3, VECTOR_TS },
		{ 2, ABSENT, VECTOR_SS },    { 0, NEW, VECTOR_TS },
		{ 3, ABSENT, VECTOR_NP },    { 4, 0x404, VECTOR_TS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		begin();
		new_tss[0x48 / 4 + bad[i].slot] = bad[i].selector;
		switch_by(TSR_JMP);
		check_new_task(bad[i].vector, bad[i].selector & 0xfffc);
		end();
	}
}

TEST(unfit_ldt)
{
	begin();
	new_tss[0x60 / 4] = DATA;
	switch_by(TSR_JMP);
	check_new_task(VECTOR_TS, DATA);
	CHECK(SEG_DESC_UNUSABLE(desc[VM_REG_GUEST_LDTR].access));
	end();
}

TEST(no_room_for_the_error_code)
{
	const struct x86_task_switch task = {
		.selector = NEW,
		.reason = TSR_IDT_GATE,
		.has_error_code = true,
		.intinfo = VM_INTINFO_VALID | VM_INTINFO_HWEXCEPTION | VECTOR_GP,
	};

	begin();
	gdt[DATA / 8] = 0x0040920000001000; /* 4 KiB */
	switch_task(&task);
	check_new_task(VECTOR_SS, SELERR_EXT);
	CHECK_EQ(vcpu->gpr[GPR_RSP], NEW_STACK);
	end();
}

TEST(instruction_pointer_beyond_the_limit)
{
	begin();
	gdt[CODE / 8] = 0x00409a0000001000;
	switch_by(TSR_JMP);
	check_new_task(VECTOR_GP, 0);
	end();
}
