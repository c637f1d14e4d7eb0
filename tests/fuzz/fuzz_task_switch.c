// SPDX-License-Identifier: BSD-2-Clause
/*
 * Task switches between tasks whose descriptors and segments hold anything. The
 * switch ends in one of three ways: refused with an exception and nothing changed;
 * carried out; carried out, with an exception in the new task.
 */
#include <stdlib.h>

#include "fake_backend.h"
#include "x86/cpu/context.h"
#include "x86/exits/exits.h"
#include "vm/regs.h"

#define RAM	0x200000ull
#define GDT	0x2000u
#define OLD_TSS 0x3000u
#define NEW_TSS 0x4000u
#define LDT	0x5000u
#define TABLES	0x6000u /* of pages, all of RAM */
#define WINDOW	0x5000u /* bytes from GDT on that the input may change */
#define RIP	0x1000u

#define OLD_SELECTOR 0x18
#define NEW_SELECTOR 0x20

#define EXPECT(condition)         \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What an input begins with; the rest is changes. */
struct input {
	uint16_t selector;
	uint8_t reason;
	uint8_t flags; /* 1: error code, 2: paging, 4: 16-bit tasks, 8: any selector */
	uint32_t type; /* of the event, as in VM_INTINFO */
	uint32_t rflags;
} __attribute__((packed));

struct change {
	uint16_t offset;
	uint32_t value;
} __attribute__((packed));

static struct vm *vm;
static struct vcpu *vcpu;
static uint8_t *memory;

static void create(void)
{
	struct vm_memmap map = { .segid = 0, .len = RAM, .prot = VM_PROT_ALL };

	vm = fake_vm_create(1);
	os_mutex_lock(&vm->lock);
	EXPECT(memory_alloc_segment(vm, 0, RAM, "") == 0);
	EXPECT(memory_map(vm, &map) == 0);
	os_mutex_unlock(&vm->lock);
	EXPECT(memory_populate(vm, 0) == 0);
	memory = memory_hva(vm, 0, VM_PROT_WRITE);
	EXPECT(memory);
	vcpu = fake_vm_vcpu(vm, 0);
}

static void put32(uint32_t address, uint32_t value)
{
	memcpy(memory + address, &value, sizeof(value));
}

static void put64(uint32_t address, uint64_t value)
{
	memcpy(memory + address, &value, sizeof(value));
}

/* Two tasks that a switch between works for. */
static void fill_memory(const struct input *input)
{
	uint64_t type = input->flags & 4 ? 0x81 : 0x89;
	uint64_t busy = input->reason % 4 == TSR_IRET ? 2 : 0;

	memset(memory + GDT, 0, WINDOW);
	put64(GDT + 0x08, 0x00cf9a000000ffff);
	put64(GDT + 0x10, 0x00cf92000000ffff);
	put64(GDT + OLD_SELECTOR, 0x67 | (uint64_t)OLD_TSS << 16 | (type | 2) << 40);
	put64(GDT + NEW_SELECTOR, 0x67 | (uint64_t)NEW_TSS << 16 | (type | busy) << 40);
	put64(GDT + 0x28, 0x00cffa000000ffff);
	put64(GDT + 0x30, 0x00cff2000000ffff);
	put64(GDT + 0x38, 0xff | (uint64_t)LDT << 16 | 0x82ull << 40);
	put32(NEW_TSS + 0x1c, TABLES);
	put32(NEW_TSS + 0x20, RIP);
	put32(NEW_TSS + 0x4c, 0x08);
	put32(NEW_TSS + 0x50, 0x10);
	put32(TABLES, 0x83); /* 4 MiB at 0 */
}

static void fill_registers(const struct input *input)
{
	struct fake_vcpu *fake = fake_vcpu(vcpu);
	struct seg_desc flat = { .limit = 0xffffffff, .access = 0xc093 };

	vcpu_reset(vcpu, false);
	fake->reg[VM_REG_GUEST_CR0] = REG_CR0_PE | (input->flags & 2 ? REG_CR0_PG : 0);
	fake->reg[VM_REG_GUEST_CR3] = TABLES;
	fake->reg[VM_REG_GUEST_CR4] = REG_CR4_PSE;
	fake->reg[VM_REG_GUEST_DR7] = 0x755;
	fake->reg[VM_REG_GUEST_TR] = OLD_SELECTOR;
	for (int reg = VM_REG_GUEST_ES; reg <= VM_REG_GUEST_GS; reg++)
		fake->desc[reg] = flat;
	fake->desc[VM_REG_GUEST_CS].access |= 8;
	fake->desc[VM_REG_GUEST_GDTR] = (struct seg_desc){ .base = GDT, .limit = 0x3f };
	fake->desc[VM_REG_GUEST_IDTR] = (struct seg_desc){ .base = LDT, .limit = 0x7ff };
	fake->desc[VM_REG_GUEST_TR] = (struct seg_desc){
		.base = OLD_TSS,
		.limit = 0x67,
		.access = input->flags & 4 ? 0x83 : 0x8b,
	};
	vcpu->rip = RIP;
	vcpu->next_rip = RIP + 2;
	vcpu->rflags = (input->rflags & 0x3f7fd5) | REG_RFLAGS_FIXED1;
}

static void change_memory(const uint8_t *data, size_t size)
{
	struct change change;

	for (; size >= sizeof(change); data += sizeof(change), size -= sizeof(change)) {
		memcpy(&change, data, sizeof(change));
		put32(GDT + change.offset % (WINDOW - 3), change.value);
	}
}

/* A segment that has been loaded is one that its register may hold. */
static void check_segments(void)
{
	const struct fake_vcpu *fake = fake_vcpu(vcpu);
	uint32_t code = fake->desc[VM_REG_GUEST_CS].access;
	uint32_t stack = fake->desc[VM_REG_GUEST_SS].access;

	EXPECT(SEG_DESC_PRESENT(code) && SEG_DESC_PRESENT(stack));
	EXPECT(vcpu->rip <= fake->desc[VM_REG_GUEST_CS].limit);
	if (vcpu->rflags & REG_RFLAGS_VM)
		return;
	EXPECT((code & 0x18) == 0x18);
	EXPECT((stack & 0x1a) == 0x12);
	EXPECT((fake->reg[VM_REG_GUEST_CS] & 3) == SEG_DESC_DPL(stack));
}

static void check_outcome(const struct x86_task_switch *task)
{
	const struct fake_vcpu *fake = fake_vcpu(vcpu);
	bool traps = vcpu->exception && VM_INTINFO_VECTOR(vcpu->exception) == VECTOR_DB;

	EXPECT(vcpu->rflags & REG_RFLAGS_FIXED1);
	if (fake->reg[VM_REG_GUEST_TR] != task->selector || vcpu->next_rip) {
		EXPECT(vcpu->exception);
		EXPECT(vcpu->rip == RIP);
		EXPECT(fake->reg[VM_REG_GUEST_TR] == OLD_SELECTOR);
		EXPECT(!(fake->reg[VM_REG_GUEST_CR0] & REG_CR0_TS));
		return;
	}
	if (!(fake->reg[VM_REG_GUEST_CR0] & REG_CR0_TS)) {
		/* An event's task to itself, refused. */
		EXPECT(vcpu->exception);
		return;
	}
	EXPECT(!(fake->reg[VM_REG_GUEST_DR7] & 0x155));
	EXPECT((fake->desc[VM_REG_GUEST_TR].access & 0x97) == 0x83);
	if (!vcpu->exception || traps)
		check_segments();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x86_task_switch task = { 0 };
	struct input input;

	if (!vm)
		create();
	if (size < sizeof(input))
		return 0;
	memcpy(&input, data, sizeof(input));
	fill_memory(&input);
	fill_registers(&input);
	change_memory(data + sizeof(input), size - sizeof(input));
	task.selector = input.flags & 8 ? input.selector : NEW_SELECTOR;
	task.reason = (enum task_switch_reason)(input.reason % 4);
	task.has_error_code = input.flags & 1;
	task.error_code = input.selector;
	task.intinfo = VM_INTINFO_VALID | (input.type & (VM_INTINFO_TYPE | 0xff));

	EXPECT(x86_exit_task_switch(vcpu, &task) == EXIT_OUTER);
	EXPECT(vcpu->deferred(vcpu) == EXIT_RESUME);
	check_outcome(&task);
	vcpu->deferred = NULL;
	vcpu->exception = 0;
	vcpu->exitintinfo = 0;
	__atomic_store_n(&vm->suspend, VM_SUSPEND_NONE, __ATOMIC_SEQ_CST);
	(void)fake_requests(vcpu);
	return 0;
}
