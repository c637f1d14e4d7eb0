// SPDX-License-Identifier: BSD-2-Clause
/*
 * Emulation in a vCPU: any code on any registers, segments and page tables; exits,
 * answers, deferred work and resets in any order. No exception changes registers,
 * what goes to userspace is never RAM, and nothing runs on for long.
 */
#include <stdlib.h>

#include "fake_backend.h"
#include "x86/cpu/context.h"
#include "x86/emulate/emulate.h"
#include "x86/emulate/emulate_state.h"
#include "x86/exits/exits.h"
#include "vm/regs.h"

#define RAM    0x400000ull
#define ROM    0xffff0000ull
#define DEVICE 0xd0000000ull
#define CODE   0x1000ull
#define TABLES 0x10000ull
#define STEPS  24

#define EXPECT(condition)         \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vm *vm;
static struct vcpu *vcpu;

/* --- input --------------------------------------------------------------------- */

static const uint8_t *input;
static size_t left;

static uint8_t next8(void)
{
	if (!left)
		return 0;
	left--;
	return *input++;
}

static uint64_t next64(void)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < 8; i++)
		value |= (uint64_t)next8() << (8 * i);
	return value;
}

/* Somewhere that matters, or anywhere. */
static uint64_t next_address(void)
{
	static const uint64_t places[] = {
		0,
		CODE,
		0x3ff0,
		RAM - 8,
		RAM - 4096,
		DEVICE,
		DEVICE + 0xff8,
		0xfee00000,
		0xfee000f0,
		0xfee00380,
		0xfec00000,
		0xfed00000,
		ROM,
		ROM + 0xfff8,
		0x80000000,
		0xfffffff8,
		0x7fffffffff00,
		0xffffffffff600000,
	};
	uint8_t choice = next8();

	if (choice < ARRAY_SIZE(places))
		return places[choice] + (next8() & 0x3f);
	return choice & 1 ? next64() : next8();
}

/* --- the guest -------------------------------------------------------------------- */

static void map_segment(int segid, uint64_t gpa, uint64_t len, int prot)
{
	struct vm_memmap map = { .gpa = gpa, .segid = segid, .len = len, .prot = prot };

	EXPECT(memory_alloc_segment(vm, segid, len, segid ? "rom" : "") == 0);
	EXPECT(memory_map(vm, &map) == 0);
}

static uint8_t *ram(uint64_t gpa)
{
	uint8_t *hva = memory_hva(vm, gpa, VM_PROT_READ);

	EXPECT(hva);
	return hva;
}

/* Any bytes, or any bytes behind the beginning of an instruction that they rarely make. */
static void set_code(void)
{
	static const char *const beginnings[] = {
		"\x0f\xc7\x0f",	    "\x48\x0f\xc7\x0f", "\x0f\x38\xf0", "\x0f\x38\xf1",
		"\xf3\x0f\xb8",	    "\xf3\x0f\xbc",	"\xf3\x0f\xbd", "\xc4\xe2\x70\xf2",
		"\xc4\xe2\x70\xf7", "\x0f\x10",		"\xc5\xfc\x10", "\xc5\xf8\x28",
		"\x66\x0f\x6e",	    "\xf3\x0f\x7e",	"\x66\x0f\xd6", "\xf3\xa5",
	};
	uint8_t choice = next8();
	unsigned int i = 0;

	if (choice < ARRAY_SIZE(beginnings))
		for (; beginnings[choice][i]; i++)
			ram(CODE)[i] = (uint8_t)beginnings[choice][i];
	for (; i < 16; i++)
		ram(CODE)[i] = next8();
}

static void put_entry(uint64_t table, unsigned int index, uint64_t entry)
{
	((uint64_t *)ram(TABLES + table))[index] = entry;
}

/* Root, one table of each kind, all entries alike but for where large pages lead. */
static void make_tables(void)
{
	for (unsigned int i = 0; i < 512; i++) {
		put_entry(0, i, (TABLES + 0x1000) | 7);
		put_entry(0x1000, i, (TABLES + 0x2000) | 7);
		put_entry(0x2000, i, (i == 511 ? DEVICE : i * 0x200000ull % RAM) | 0x87);
		put_entry(0x3000, i, i * 0x1000ull | 7);
	}
	/* The first 2 MiB are a table, so that single pages are met as well. */
	put_entry(0x2000, 0, (TABLES + 0x3000) | 7);
}

/* Other rights at some levels, here and there. */
static void set_tables(void)
{
	uint8_t bits = next8();

	put_entry(0, 0, (TABLES + 0x1000) | (bits & 1 ? 5 : 7));
	put_entry(0x2000, 511, DEVICE | 0x80 | (bits >> 1 & 7));
	for (unsigned int i = 0; i < 4; i++)
		put_entry(0x3000, 2 + i, (2 + i) * 0x1000ull | (next8() & 7));
}

static void create(void)
{
	os_user_reset();
	vm = fake_vm_create(1);
	os_mutex_lock(&vm->lock);
	map_segment(0, 0, RAM, VM_PROT_ALL);
	map_segment(1, ROM, 0x10000, VM_PROT_READ | VM_PROT_EXEC);
	os_mutex_unlock(&vm->lock);
	EXPECT(memory_populate(vm, CODE) == 0);
	vcpu = fake_vm_vcpu(vm, 0);
	make_tables();
}

static void set_segment(int reg, uint32_t type)
{
	uint8_t odd = next8();
	struct seg_desc desc = {
		.limit = 0xffffffff,
		.access = type | SEG_ACCESS_S | SEG_ACCESS_PRESENT | SEG_ACCESS_DB,
	};

	if (odd & 1)
		desc.access ^= next8();
	if (odd & 2)
		desc.access ^= (uint32_t)next8() << 12 & SEG_ACCESS_UNUSABLE;
	if (odd & 4)
		desc.limit = (uint32_t)next_address();
	if (odd & 8)
		desc.base = next_address();
	fake_vcpu(vcpu)->desc[reg] = desc;
}

static void set_mode(void)
{
	struct fake_vcpu *fake = fake_vcpu(vcpu);
	struct seg_desc *code = &fake->desc[VM_REG_GUEST_CS];
	uint8_t mode = next8();
	uint8_t bits = next8();

	for (int reg = VM_REG_GUEST_ES; reg <= VM_REG_GUEST_GS; reg++)
		set_segment(reg, SEG_ACCESS_WRITABLE);
	*code = (struct seg_desc){ .limit = 0xffffffff, .access = 0x9b };
	fake->reg[VM_REG_GUEST_CR0] = mode & 3 ? REG_CR0_PE : 0;
	fake->reg[VM_REG_GUEST_CR4] = 0;
	fake->reg[VM_REG_GUEST_EFER] = 0;
	fake->reg[VM_REG_GUEST_CR3] = TABLES;
	code->access |= mode & 4 ? SEG_ACCESS_DB : 0;
	if (mode & 8)
		fake->reg[VM_REG_GUEST_CR0] |= REG_CR0_PG | (bits & 1 ? REG_CR0_WP : 0);
	if (mode & 16)
		fake->reg[VM_REG_GUEST_CR4] = REG_CR4_PAE;
	if ((mode & 3) == 3) {
		fake->reg[VM_REG_GUEST_CR0] |= REG_CR0_PG;
		fake->reg[VM_REG_GUEST_CR4] = REG_CR4_PAE | (bits & 2 ? REG_CR4_SMAP : 0) |
					      (bits & 4 ? REG_CR4_SMEP : 0) |
					      (bits & 16 ? REG_CR4_PKE : 0);
		fake->reg[VM_REG_GUEST_EFER] = REG_EFER_LMA | (bits & 8 ? REG_EFER_NXE : 0);
		code->access = (code->access & ~SEG_ACCESS_DB) | (mode & 4 ? SEG_ACCESS_L : 0);
	}
	vcpu->rflags = REG_RFLAGS_FIXED1 | (next64() & 0x3f0dd5);
	vcpu->rip = CODE + (bits & 0x80 ? 0xff8 : 0);
	vcpu->reply_mode = !(bits & 0x40);
}

static void begin(void)
{
	emulation_reset(vcpu);
	vcpu->emulation->failed_rip = ~0ull;
	vcpu->access_pending = false;
	vcpu->deferred = NULL;
	vcpu->exception = 0;
	memset(ram(CODE), 0, 64);
	set_mode();
	set_tables();
	set_code();
	for (unsigned int i = 0; i < GPR_COUNT; i++)
		vcpu->gpr[i] = next_address();
	vcpu->gpr[GPR_RCX] = next8();
}

/* --- what must hold ------------------------------------------------------- */

struct snapshot {
	uint64_t gpr[GPR_COUNT];
	uint64_t rip;
	uint64_t rflags;
	uint64_t exception;
};

static void take_snapshot(struct snapshot *snapshot)
{
	memcpy(snapshot->gpr, vcpu->gpr, sizeof(snapshot->gpr));
	snapshot->rip = vcpu->rip;
	snapshot->rflags = vcpu->rflags;
	snapshot->exception = vcpu->exception;
}

/* A string instruction may have done some iterations before. */
static bool is_string(void)
{
	uint8_t op = vcpu->emulation->emulator.insn->op;

	return op >= OP_MOVS && op <= OP_OUTS;
}

/* A fault is pushed with RF set: nothing else may have touched the flags. */
static uint64_t flags_expected(const struct snapshot *snapshot)
{
	if (vcpu->exception && vcpu->exception != snapshot->exception)
		return snapshot->rflags | REG_RFLAGS_RF;
	return snapshot->rflags;
}

static void check_unchanged(const struct snapshot *snapshot)
{
	EXPECT(vcpu->rip == snapshot->rip);
	if (is_string())
		return;
	EXPECT(memcmp(vcpu->gpr, snapshot->gpr, sizeof(snapshot->gpr)) == 0);
	EXPECT(vcpu->rflags == flags_expected(snapshot));
}

static void check_program_access(void)
{
	const struct vcpu_access *access = &vcpu->access;
	const struct memmap_entry *entry;

	if (!access->size) { /* could not be emulated */
		EXPECT(vcpu->exit.exitcode == VM_EXITCODE_INST_EMUL && !vcpu->exit.inst_length);
		return;
	}
	EXPECT(access->size == 1 || access->size == 2 || access->size == 4 || access->size == 8);
	if (access->port) {
		EXPECT(access->address < 0x10000 && access->size <= 4);
		return;
	}
	EXPECT((access->address & 0xfff) + access->size <= 0x1000);
	entry = memory_lookup(vm, access->address);
	EXPECT(!entry || (access->write && !(entry->prot & VM_PROT_WRITE)) ||
	       (vcpu->emulation->gpa ^ access->address) < 0x1000);
}

static void check(enum exit_action action, const struct snapshot *snapshot)
{
	switch (action) {
	case EXIT_RESUME:
		EXPECT(!emulate_pending(vcpu));
		if (vcpu->exception && vcpu->exception != snapshot->exception &&
		    VM_INTINFO_VECTOR(vcpu->exception) != VECTOR_DB)
			check_unchanged(snapshot);
		break;
	case EXIT_OUTER:
		EXPECT(vcpu->deferred);
		check_unchanged(snapshot);
		break;
	case EXIT_USERSPACE:
		if (vcpu->exit.exitcode == VM_EXITCODE_IPI)
			break;
		EXPECT(vcpu->exit.exitcode == VM_EXITCODE_MMIO ||
		       vcpu->exit.exitcode == VM_EXITCODE_INST_EMUL ||
		       vcpu->exit.exitcode == VM_EXITCODE_INOUT);
		EXPECT(vcpu->access_pending == vcpu->reply_mode);
		EXPECT(vcpu->access_pending || !emulate_pending(vcpu));
		check_program_access();
		check_unchanged(snapshot);
		break;
	default:
		abort();
	}
	vcpu->exception = 0;
}

/* --- steps ---------------------------------------------------------------- */

static enum exit_action string_io(void)
{
	struct x86_io io = {
		.port = (uint16_t)vcpu->gpr[GPR_RDX],
		.size = (uint8_t)(1 << next8() % 3),
		.in = next8() & 1,
		.segment = -1,
	};

	return emulate_string_io(vcpu, &io);
}

static enum exit_action answer(void)
{
	vcpu->access_pending = false;
	vcpu->access.data = next64();
	return x86_finish_access(vcpu);
}

static enum exit_action deferred(void)
{
	enum exit_action (*fn)(struct vcpu *) = vcpu->deferred;

	vcpu->deferred = NULL;
	return fn ? fn(vcpu) : EXIT_RESUME;
}

static enum exit_action start(void)
{
	uint64_t gpa = next_address() & 0xfffffffffffff;

	return emulate_mmio(vcpu, gpa, next8() & 1 ? VM_PROT_WRITE : VM_PROT_READ);
}

/* Between exits userspace, and other processors, may change everything. */
static void disturb(void)
{
	switch (next8() % 5) {
	case 0:
		vcpu->gpr[next8() & 15] = next_address();
		break;
	case 1:
		set_code();
		break;
	case 2:
		set_tables();
		break;
	case 3:
		vcpu_request(vcpu, VCPU_REQ_EVENT);
		break;
	default:
		(void)fake_requests(vcpu);
		break;
	}
}

static void step(void)
{
	struct snapshot snapshot;
	uint8_t choice = next8() % 16;

	if (choice < 3) {
		disturb();
		return;
	}
	if (choice == 3) {
		emulation_reset(vcpu);
		vcpu->access_pending = false;
		return;
	}
	take_snapshot(&snapshot);
	if (vcpu->deferred)
		check(deferred(), &snapshot);
	else if (vcpu->access_pending)
		check(answer(), &snapshot);
	else if (choice < 6)
		check(string_io(), &snapshot);
	else
		check(start(), &snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!vm)
		create();
	input = data;
	left = size;
	begin();
	for (unsigned int i = 0; i < STEPS && left; i++)
		step();
	return 0;
}
