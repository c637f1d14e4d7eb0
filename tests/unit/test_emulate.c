// SPDX-License-Identifier: BSD-2-Clause
/*
 * Emulation in a vCPU: devices in the kernel and in userspace, page tables,
 * memory that has no backing yet, repetition, exceptions. What the
 * instructions themselves compute is test_emulate_native.c's subject.
 */
#include "emulate_vm.h"
#include "fake_backend.h"
#include "x86/cpu/context.h"
#include "x86/emulate/emulate_internal.h"

#define TABLES 0x10000u

/* --- 64-bit mode with page tables: code, data, DEVICE_LINEAR ------------- */

#define DEVICE_LINEAR 0xffffffffff5fc000ull
#define UNMAPPED      0x7f0000000000ull
#define CODE_LINEAR   0x400000ull /* two pages: GUEST_CODE, and one that is not there */

static void put_entry(uint64_t table, unsigned int index, uint64_t entry)
{
	((uint64_t *)guest_memory(vm, table))[index] = entry;
}

static uint64_t next_table;

/* A table entry for 4 KiB at 'linear', and the tables above it where there are none. */
static void map_linear(uint64_t linear, uint64_t gpa, uint64_t bits)
{
	uint64_t table = TABLES;

	for (unsigned int level = 3; level > 0; level--) {
		unsigned int index = linear >> (12 + 9 * level) & 0x1ff;
		uint64_t entry = ((uint64_t *)guest_memory(vm, table))[index];

		if (!(entry & 1)) {
			next_table += 0x1000;
			entry = next_table | 7;
			put_entry(table, index, entry);
		}
		table = entry & ~0xfffull;
	}
	put_entry(table, linear >> 12 & 0x1ff, gpa | bits);
}

static void begin_64(void)
{
	begin();
	next_table = TABLES;
	map_linear(GUEST_CODE, GUEST_CODE, 7);
	map_linear(DATA, DATA, 7);
	map_linear(DEVICE_LINEAR, DEVICE, 3);
	map_linear(CODE_LINEAR, GUEST_CODE, 7);
}

#define CODE_64(...)                                             \
	do {                                                     \
		CODE(__VA_ARGS__);                               \
		guest_long_mode(vcpu);                           \
		fake_vcpu(vcpu)->reg[VM_REG_GUEST_CR3] = TABLES; \
	} while (0)

static void user_mode(void)
{
	fake_vcpu(vcpu)->desc[VM_REG_GUEST_SS].access |= 3u << SEG_ACCESS_DPL_SHIFT;
}

/* --- devices in the kernel ------------------------------------------------ */

TEST(local_apic)
{
	begin();
	CODE({ 0x89, 0x05, 0x80, 0x00, 0xe0, 0xfe }); /* mov %eax,APIC_TPR */
	vcpu->gpr[GPR_RAX] = 0x1234567890;
	CHECK_EQ(emulate_mmio(vcpu, APIC_TPR, VM_PROT_WRITE), EXIT_RESUME);
	CHECK_DONE(6);
	CODE({ 0x8b, 0x1d, 0x80, 0x00, 0xe0, 0xfe }); /* mov APIC_TPR,%ebx */
	vcpu->gpr[GPR_RBX] = ~0ull;
	CHECK_EQ(emulate_mmio(vcpu, APIC_TPR, VM_PROT_READ), EXIT_RESUME);
	CHECK_DONE(6);
	CHECK_EQ(vcpu->gpr[GPR_RBX], 0x90);
	CHECK_EQ(vcpu->stats[STAT_EMULATED], 2);
	CHECK_EQ(vcpu->stats[STAT_MMIO], 2);
	end();
}

/* A read-modify-write reads the device and writes it. */
TEST(local_apic_update)
{
	begin();
	/* orl $0x10000,APIC_LVT0: mask the pin */
	CODE({ 0x81, 0x0d, 0x50, 0x03, 0xe0, 0xfe, 0x00, 0x00, 0x01, 0x00 });
	CHECK_EQ(emulate_mmio(vcpu, APIC_LVT0, VM_PROT_WRITE), EXIT_RESUME);
	CHECK_DONE(10);
	CODE({ 0xa1, 0x50, 0x03, 0xe0, 0xfe }); /* mov APIC_LVT0,%eax */
	CHECK_EQ(emulate_mmio(vcpu, APIC_LVT0, VM_PROT_READ), EXIT_RESUME);
	CHECK_DONE(5);
	CHECK_EQ(vcpu->gpr[GPR_RAX] & 0x10000, 0x10000);
	end();
}

/* --- devices in userspace ------------------------------------------------- */

TEST(program_read)
{
	begin_64();
	CODE_64({ 0x48, 0x8b, 0x88, 0x10, 0xc0, 0x5f, 0xff }); /* mov -0xa03ff0(%rax),%rcx */
	CHECK_EQ(emulate_mmio(vcpu, DEVICE + 0x10, VM_PROT_READ), EXIT_USERSPACE);
	CHECK_MMIO(DEVICE + 0x10, 8, false, 0);
	CHECK(vcpu->access_pending);
	CHECK_EQ(answer(0x1122334455667788), EXIT_RESUME);
	CHECK_DONE(7);
	CHECK_EQ(vcpu->gpr[GPR_RCX], 0x1122334455667788);
	end();
}

/* What an answer leaves of the register: one byte, two, or none; and bits 15:8 alone. */
TEST(program_read_into_parts)
{
	static const struct {
		uint8_t code[8];
		unsigned int length, size;
		uint64_t rax;
	} rows[] = {
		{ { 0x8a, 0x05, 0x00, 0x00, 0x00, 0xd0 }, 6, 1, 0x11112222333344cc },
		{ { 0x8a, 0x25, 0x00, 0x00, 0x00, 0xd0 }, 6, 1, 0x111122223333cc44 }, /* AH */
		{ { 0x66, 0x8b, 0x05, 0x00, 0x00, 0x00, 0xd0 }, 7, 2, 0x111122223333bbcc },
		{ { 0x8b, 0x05, 0x00, 0x00, 0x00, 0xd0 }, 6, 4, 0xaaaabbcc },
		{ { 0xa1, 0x00, 0x00, 0x00, 0xd0 }, 5, 4, 0xaaaabbcc },
	};

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		guest_code(vcpu, rows[i].code, rows[i].length);
		vcpu->gpr[GPR_RAX] = 0x1111222233334444;
		CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_USERSPACE);
		CHECK_MMIO(DEVICE, rows[i].size, false, 0);
		CHECK_EQ(answer(0x99999999aaaabbcc), EXIT_RESUME);
		CHECK_DONE(rows[i].length);
		CHECK_EQ_AT(vcpu->gpr[GPR_RAX], rows[i].rax, "row %zu", i);
	}
	end();
}

TEST(program_write)
{
	begin_64();
	CODE_64({ 0x66, 0xc7, 0x80, 0x10, 0xc0, 0x5f, 0xff, 0xcd, 0xab }); /* movw $0xabcd, */
	CHECK_EQ(emulate_mmio(vcpu, DEVICE + 0x10, VM_PROT_WRITE), EXIT_USERSPACE);
	CHECK_MMIO(DEVICE + 0x10, 2, true, 0xabcd);
	CHECK_EQ(answer(0), EXIT_RESUME);
	CHECK_DONE(9);
	end();
}

/* Two exits; registers change only after the second. */
TEST(program_update)
{
	begin();
	CODE({ 0xf0, 0x0f, 0xc1, 0x0d, 0x00, 0x00, 0x00, 0xd0 }); /* lock xadd %ecx,DEVICE */
	vcpu->gpr[GPR_RCX] = 5;
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_WRITE), EXIT_USERSPACE);
	CHECK_MMIO(DEVICE, 4, false, 0);
	CHECK_EQ(answer(100), EXIT_USERSPACE);
	CHECK_MMIO(DEVICE, 4, true, 105);
	CHECK_EQ(vcpu->gpr[GPR_RCX], 5);
	CHECK_EQ(answer(0), EXIT_RESUME);
	CHECK_DONE(8);
	CHECK_EQ(vcpu->gpr[GPR_RCX], 100);
	end();
}

/* From one device to another, with the accesses that are done not made again. */
TEST(program_to_program)
{
	begin();
	CODE({ 0xa5 }); /* movsl */
	vcpu->gpr[GPR_RSI] = DEVICE + 0x100;
	vcpu->gpr[GPR_RDI] = DEVICE + 0x200;
	CHECK_EQ(emulate_mmio(vcpu, DEVICE + 0x100, VM_PROT_READ), EXIT_USERSPACE);
	CHECK_MMIO(DEVICE + 0x100, 4, false, 0);
	CHECK_EQ(answer(0xfeedbeef), EXIT_USERSPACE);
	CHECK_MMIO(DEVICE + 0x200, 4, true, 0xfeedbeef);
	CHECK_EQ(vcpu->gpr[GPR_RSI], DEVICE + 0x100);
	CHECK_EQ(answer(0), EXIT_RESUME);
	CHECK_DONE(1);
	CHECK_EQ(vcpu->gpr[GPR_RSI], DEVICE + 0x104);
	CHECK_EQ(vcpu->gpr[GPR_RDI], DEVICE + 0x204);
	end();
}

/* Across a page: pieces of powers of two, and a byte order that survives it. */
TEST(program_across_pages)
{
	static const struct {
		uint64_t gpa;
		unsigned int size;
		uint64_t value;
	} pieces[] = {
		{ DEVICE + 0xffb, 4, 0x55667788 },
		{ DEVICE + 0xfff, 1, 0x44 },
		{ DEVICE + 0x1000, 2, 0x2233 },
		{ DEVICE + 0x1002, 1, 0x11 },
	};

	begin_64();
	map_linear(DEVICE_LINEAR + 0x1000, DEVICE + 0x1000, 3);
	CODE_64({ 0x48, 0x89, 0x88, 0xfb, 0xcf, 0x5f, 0xff }); /* mov %rcx,.. */
	vcpu->gpr[GPR_RCX] = 0x1122334455667788;
	CHECK_EQ(emulate_mmio(vcpu, DEVICE + 0xffb, VM_PROT_WRITE), EXIT_USERSPACE);
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		CHECK_MMIO(pieces[i].gpa, pieces[i].size, true, pieces[i].value);
		CHECK_EQ(answer(0), i + 1 < ARRAY_SIZE(pieces) ? EXIT_USERSPACE : EXIT_RESUME);
	}
	CHECK_DONE(7);
	end();
}

/* Without answers userspace gets the whole instruction for the library's emulator. */
TEST(program_runs_it)
{
	static const uint8_t code[] = { 0x89, 0x05, 0x40, 0x00, 0x00, 0xd0 };

	begin();
	guest_code(vcpu, code, sizeof(code));
	vcpu->reply_mode = false;
	CHECK_EQ(emulate_mmio(vcpu, DEVICE + 0x40, VM_PROT_WRITE), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_INST_EMUL);
	CHECK_EQ(vcpu->exit.rip, GUEST_CODE);
	CHECK_EQ(vcpu->exit.inst_length, 6);
	CHECK_EQ(vcpu->exit.u.inst_emul.gpa, DEVICE + 0x40);
	CHECK(vcpu->exit.u.inst_emul.vie.num_valid >= 6);
	CHECK_MEM(vcpu->exit.u.inst_emul.vie.inst, code, sizeof(code));
	CHECK(!emulate_pending(vcpu));
	end();
}

TEST(given_up)
{
	begin();
	CODE({ 0x03, 0x0d, 0x00, 0x00, 0x00, 0xd0 }); /* add DEVICE,%ecx */
	vcpu->gpr[GPR_RCX] = 0;
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_USERSPACE);
	CHECK(emulate_pending(vcpu));
	emulation_reset(vcpu);
	CHECK(!emulate_pending(vcpu));
	/* The instruction starts again, and asks again. */
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_USERSPACE);
	CHECK_EQ(answer(7), EXIT_RESUME);
	CHECK_EQ(vcpu->gpr[GPR_RCX], 7);
	end();
}

/* --- repetition ----------------------------------------------------------- */

TEST(repeat_to_program)
{
	begin();
	CODE({ 0xf3, 0xaa }); /* rep stosb */
	vcpu->gpr[GPR_RAX] = 0x5a;
	vcpu->gpr[GPR_RCX] = 3;
	vcpu->gpr[GPR_RDI] = DEVICE + 0x10;
	CHECK_EQ(emulate_mmio(vcpu, DEVICE + 0x10, VM_PROT_WRITE), EXIT_USERSPACE);
	for (unsigned int i = 0; i < 3; i++) {
		CHECK_MMIO(DEVICE + 0x10 + i, 1, true, 0x5a);
		CHECK_EQ(vcpu->gpr[GPR_RCX], 3 - i);
		CHECK_EQ(vcpu->gpr[GPR_RDI], DEVICE + 0x10 + i);
		CHECK_EQ(answer(0), i < 2 ? EXIT_USERSPACE : EXIT_RESUME);
	}
	CHECK_DONE(2);
	CHECK_EQ(vcpu->gpr[GPR_RCX], 0);
	end();
}

/* A request is looked at between iterations; however long the count, it ends soon. */
TEST(repeat_is_bounded)
{
	begin();
	CODE({ 0xf3, 0xad }); /* rep lodsl */
	vcpu->gpr[GPR_RCX] = 0xffffffff;
	vcpu->gpr[GPR_RSI] = APIC_LVT0;
	fake_vcpu(vcpu)->desc[VM_REG_GUEST_DS].limit = 0xffffffff;
	vcpu_request(vcpu, VCPU_REQ_EVENT);
	CHECK_EQ(emulate_mmio(vcpu, APIC_LVT0, VM_PROT_READ), EXIT_RESUME);
	CHECK_EQ(vcpu->rip, GUEST_CODE);
	CHECK_EQ(vcpu->gpr[GPR_RCX], 0xfffffffe);
	(void)fake_requests(vcpu);
	CHECK_EQ(emulate_mmio(vcpu, APIC_LVT0 + 4, VM_PROT_READ), EXIT_RESUME);
	CHECK_EQ(vcpu->rip, GUEST_CODE);
	CHECK(vcpu->gpr[GPR_RCX] < 0xfffffffe);
	CHECK(vcpu->gpr[GPR_RCX] > 0xfffffffe - 10000);
	end();
}

/* --- ports ----------------------------------------------------------------- */

static enum exit_action string_io(uint16_t port, bool in, unsigned int size)
{
	struct x86_io io = { .port = port, .size = (uint8_t)size, .in = in };

	io.segment = -1;
	vcpu->gpr[GPR_RDX] = port;
	return emulate_string_io(vcpu, &io);
}

TEST(ins_from_kernel)
{
	uint8_t *data;

	begin();
	data = guest_memory(vm, DATA);
	memset(data, 0x33, 4);
	CODE({ 0xf3, 0x6c }); /* rep insb */
	vcpu->gpr[GPR_RCX] = 2;
	vcpu->gpr[GPR_RDI] = DATA;
	CHECK_EQ(string_io(0x21, true, 1), EXIT_RESUME); /* the 8259's mask */
	CHECK_DONE(2);
	CHECK_EQ(vcpu->gpr[GPR_RDI], DATA + 2);
	CHECK_EQ(data[0], data[1]);
	CHECK_EQ(data[2], 0x33);
	CHECK_EQ(vcpu->stats[STAT_PIO], 2);
	end();
}

TEST(ins_from_program)
{
	uint32_t *data;

	begin();
	data = guest_memory(vm, DATA);
	CODE({ 0x6d }); /* insl */
	vcpu->gpr[GPR_RDI] = DATA;
	CHECK_EQ(string_io(SOME_PORT, true, 4), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_INOUT);
	CHECK_EQ(vcpu->exit.u.inout.port, SOME_PORT);
	CHECK_EQ(vcpu->exit.u.inout.bytes, 4);
	CHECK_EQ(vcpu->exit.u.inout.in, 1);
	CHECK_EQ(data[0], 0);
	CHECK_EQ(answer(0xcafef00d), EXIT_RESUME);
	CHECK_DONE(1);
	CHECK_EQ(data[0], 0xcafef00d);
	end();
}

TEST(outs_to_program)
{
	uint16_t *data;

	begin();
	data = guest_memory(vm, DATA);
	data[0] = 0x1111;
	data[1] = 0x2222;
	CODE({ 0xf3, 0x66, 0x6f }); /* rep outsw */
	vcpu->gpr[GPR_RSI] = DATA;
	vcpu->gpr[GPR_RCX] = 2;
	CHECK_EQ(string_io(SOME_PORT, false, 2), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.u.inout.eax, 0x1111);
	CHECK_EQ(answer(0), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.u.inout.eax, 0x2222);
	CHECK_EQ(answer(0), EXIT_RESUME);
	CHECK_DONE(3);
	end();
}

/* Nothing is read from a port when it could not be stored. */
TEST(ins_faults_first)
{
	begin_64();
	CODE_64({ 0x6c });
	vcpu->gpr[GPR_RDI] = UNMAPPED;
	CHECK_EQ(string_io(0x71, true, 1), EXIT_RESUME);
	CHECK_RAISED(VECTOR_PF);
	CHECK_EQ(guest_error_code(vcpu), PFERR_WRITE);
	CHECK_EQ(vcpu->cr2, UNMAPPED);
	CHECK_EQ(vcpu->stats[STAT_PIO], 0);
	end();
}

/*
 * The code has been changed since the intercept, which has checked the permission
 * for another port: the guest starts again; it must not get at this one.
 */
TEST(ports_are_checked)
{
	struct x86_io io = { .port = 0x70, .size = 1, .in = true };

	begin();
	CODE({ 0x6c }); /* insb */
	vcpu->gpr[GPR_RDI] = DATA;
	vcpu->gpr[GPR_RDX] = 0x71;
	CHECK_EQ(emulate_string_io(vcpu, &io), EXIT_RESUME);
	CHECK_DONE(0);
	CHECK_EQ(vcpu->stats[STAT_PIO], 0);
	/* And a nested page fault is no permission for ports at all. */
	vcpu->gpr[GPR_RDI] = DEVICE;
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_WRITE), EXIT_RESUME);
	CHECK_EQ(vcpu->stats[STAT_PIO], 0);
	CHECK_EQ(vcpu->rip, GUEST_CODE);
	end();
}

/* --- page tables ----------------------------------------------------------- */

TEST(page_fault_second_operand)
{
	begin_64();
	CODE_64({ 0x48, 0xa5 }); /* movsq */
	vcpu->gpr[GPR_RSI] = DATA;
	vcpu->gpr[GPR_RDI] = UNMAPPED + 8;
	(void)guest_memory(vm, DATA);
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_RESUME);
	CHECK_RAISED(VECTOR_PF);
	CHECK_EQ(guest_error_code(vcpu), PFERR_WRITE);
	CHECK_EQ(vcpu->cr2, UNMAPPED + 8);
	CHECK_EQ(vcpu->gpr[GPR_RSI], DATA);
	end();
}

/* The second page of an operand is the one that faults: CR2 is its start. */
TEST(page_fault_second_page)
{
	begin_64();
	CODE_64({ 0x48, 0x89, 0x88, 0xfb, 0xcf, 0x5f, 0xff });
	CHECK_EQ(emulate_mmio(vcpu, DEVICE + 0xffb, VM_PROT_WRITE), EXIT_RESUME);
	CHECK_RAISED(VECTOR_PF);
	CHECK_EQ(vcpu->cr2, DEVICE_LINEAR + 0x1000);
	CHECK_EQ(guest_error_code(vcpu), PFERR_WRITE);
	end();
}

/*
 * An operand elsewhere than the fault was: it is translated, with the rights of
 * the code that runs.
 */
TEST(page_fault_user)
{
	begin_64();
	map_linear(DEVICE_LINEAR + 0x1000, DEVICE + 0x1000, 3); /* supervisor's */
	CODE_64({ 0x8b, 0x88, 0x20, 0xd0, 0x5f, 0xff });	/* mov DEVICE_LINEAR+0x1020,%ecx */
	user_mode();
	CHECK_EQ(emulate_mmio(vcpu, DEVICE + 0x10, VM_PROT_READ), EXIT_RESUME);
	CHECK_RAISED(VECTOR_PF);
	CHECK_EQ(guest_error_code(vcpu), PFERR_PRESENT | PFERR_USER);
	CHECK_EQ(vcpu->cr2, DEVICE_LINEAR + 0x1020);
	end();
}

/* A read was allowed; a write where it was is checked for itself. */
TEST(page_fault_read_became_write)
{
	begin_64();
	map_linear(DEVICE_LINEAR, DEVICE, 1);
	CODE_64({ 0x89, 0x88, 0x10, 0xc0, 0x5f, 0xff });
	fake_vcpu(vcpu)->reg[VM_REG_GUEST_CR0] |= REG_CR0_WP;
	CHECK_EQ(emulate_mmio(vcpu, DEVICE + 0x10, VM_PROT_READ), EXIT_RESUME);
	CHECK_RAISED(VECTOR_PF);
	CHECK_EQ(guest_error_code(vcpu), PFERR_PRESENT | PFERR_WRITE);
	end();
}

TEST(fetch_faults)
{
	begin_64();
	CODE_64({ 0x90 });
	vcpu->rip = UNMAPPED;
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_PF);
	CHECK_EQ(vcpu->cr2, UNMAPPED);
	end();
}

/* The instruction goes on in a page that is not there; one that ends before does not care. */
TEST(fetch_across_pages)
{
	uint8_t *code;

	begin_64();
	CODE_64({ 0x90 });
	code = guest_memory(vm, GUEST_CODE);
	memcpy(code + 0xffd, "\x8b\x88\x10", 3);
	vcpu->rip = CODE_LINEAR + 0xffd;
	CHECK_EQ(emulate_mmio(vcpu, DEVICE + 0x10, VM_PROT_READ), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_PF);
	CHECK_EQ(vcpu->cr2, CODE_LINEAR + 0x1000);
	vcpu->exception = 0;
	memcpy(code + 0xffe, "\x89\x08", 2); /* mov %ecx,(%rax) */
	vcpu->rip = CODE_LINEAR + 0xffe;
	vcpu->gpr[GPR_RAX] = DEVICE_LINEAR;
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_WRITE), EXIT_USERSPACE);
	CHECK_EQ(guest_exception(vcpu), -1);
	end();
}

/* --- instructions met before ----------------------------------------------- */

#define OTHER_CODE 0x5000u

/* mov APIC_TPR,%eax; in its place something else comes up, by every way there is. */
static void meet_instruction(void)
{
	CODE_64({ 0x8b, 0x04, 0x25, 0x80, 0xc0, 0x5f, 0xff });
	map_linear(DEVICE_LINEAR, APIC, 3);
	for (unsigned int i = 0; i < 3; i++) {
		vcpu->rip = GUEST_CODE;
		CHECK_EQ(emulate_mmio(vcpu, APIC_TPR, VM_PROT_READ), EXIT_RESUME);
		CHECK_DONE(7);
	}
	vcpu->rip = GUEST_CODE;
	vcpu->gpr[GPR_RCX] = 0x10;
	memcpy(guest_memory(vm, OTHER_CODE), "\x89\x0c\x25\x80\xc0\x5f\xff", 7); /* mov %ecx, */
}

static uint64_t task_priority(void)
{
	uint64_t value = 0;

	CHECK_EQ(device_mmio(vcpu, APIC_TPR, false, 4, &value), 0);
	return value;
}

TEST(code_rewritten)
{
	begin_64();
	meet_instruction();
	((uint8_t *)guest_memory(vm, GUEST_CODE))[0] = 0x89; /* mov %eax,APIC_TPR */
	vcpu->gpr[GPR_RAX] = 0x20;
	CHECK_EQ(emulate_mmio(vcpu, APIC_TPR, VM_PROT_WRITE), EXIT_RESUME);
	CHECK_DONE(7);
	CHECK_EQ(task_priority(), 0x20);
	/* Bytes behind the instruction do not count; its last one does. */
	vcpu->rip = GUEST_CODE;
	((uint8_t *)guest_memory(vm, GUEST_CODE))[7] = 0xcc;
	((uint8_t *)guest_memory(vm, GUEST_CODE))[6] = 0xfe;
	CHECK_EQ(emulate_mmio(vcpu, APIC_LVT0, VM_PROT_WRITE), EXIT_RESUME);
	CHECK_RAISED(VECTOR_PF);
	CHECK_EQ(vcpu->cr2, 0xfffffffffe5fc080);
	end();
}

TEST(code_remapped)
{
	begin_64();
	meet_instruction();
	map_linear(GUEST_CODE, OTHER_CODE, 7);
	CHECK_EQ(emulate_mmio(vcpu, APIC_TPR, VM_PROT_WRITE), EXIT_RESUME);
	CHECK_DONE(7);
	CHECK_EQ(task_priority(), 0x10);
	end();
}

TEST(code_unmapped)
{
	begin_64();
	meet_instruction();
	map_linear(GUEST_CODE, 0, 0);
	CHECK_EQ(emulate_mmio(vcpu, APIC_TPR, VM_PROT_READ), EXIT_RESUME);
	CHECK_RAISED(VECTOR_PF);
	CHECK_EQ(vcpu->cr2, GUEST_CODE);
	end();
}

TEST(code_of_supervisor)
{
	begin_64();
	map_linear(GUEST_CODE, GUEST_CODE, 3);
	meet_instruction();
	user_mode();
	CHECK_EQ(emulate_mmio(vcpu, APIC_TPR, VM_PROT_READ), EXIT_RESUME);
	CHECK_RAISED(VECTOR_PF);
	CHECK_EQ(guest_error_code(vcpu), PFERR_PRESENT | PFERR_USER);
	end();
}

TEST(code_under_other_tables)
{
	begin_64();
	meet_instruction();
	next_table += 0x1000;
	memcpy(guest_memory(vm, next_table), guest_memory(vm, TABLES), 4096);
	((uint64_t *)guest_memory(vm, next_table))[0] = 0;
	fake_vcpu(vcpu)->reg[VM_REG_GUEST_CR3] = next_table;
	CHECK_EQ(emulate_mmio(vcpu, APIC_TPR, VM_PROT_READ), EXIT_RESUME);
	CHECK_RAISED(VECTOR_PF);
	end();
}

TEST(code_in_other_mode)
{
	begin_64();
	meet_instruction();
	fake_vcpu(vcpu)->desc[VM_REG_GUEST_CS].access ^= SEG_ACCESS_L | SEG_ACCESS_DB;
	/* Now it ends after seven bytes just so, but has another address. */
	CHECK_EQ(emulate_mmio(vcpu, APIC_LVT0, VM_PROT_READ), EXIT_RESUME);
	CHECK_RAISED(VECTOR_PF);
	CHECK_EQ(vcpu->cr2, 0xff5fc080);
	end();
}

/* A processor that looks at the tables sets the accessed bit again. */
TEST(code_accessed_bit)
{
	uint64_t *entry = NULL;

	begin_64();
	meet_instruction();
	for (uint64_t table = TABLES; table <= next_table; table += 0x1000) {
		entry = (uint64_t *)guest_memory(vm, table) + (GUEST_CODE >> 12);
		if ((*entry & ~0xfffull) == GUEST_CODE)
			break;
	}
	CHECK_EQ(*entry & PTE_X86_ACCESSED, PTE_X86_ACCESSED);
	*entry &= ~PTE_X86_ACCESSED;
	CHECK_EQ(emulate_mmio(vcpu, APIC_TPR, VM_PROT_READ), EXIT_RESUME);
	CHECK_DONE(7);
	CHECK_EQ(*entry & PTE_X86_ACCESSED, PTE_X86_ACCESSED);
	end();
}

TEST(code_memory_replaced)
{
	struct vm_memmap map = { .segid = 0, .len = GUEST_MEMORY / 2, .prot = VM_PROT_ALL };

	begin_64();
	meet_instruction();
	os_mutex_lock(&vm->lock);
	CHECK_EQ(memory_unmap(vm, 0, GUEST_MEMORY), 0);
	map.segoff = GUEST_MEMORY / 2;
	CHECK_EQ(memory_map(vm, &map), 0);
	os_mutex_unlock(&vm->lock);
	/* The tables are not there any more: memory without backing, then zeroes. */
	CHECK_EQ(emulate_mmio(vcpu, APIC_TPR, VM_PROT_READ), EXIT_OUTER);
	CHECK_EQ(run_deferred(), EXIT_RESUME);
	CHECK_EQ(emulate_mmio(vcpu, APIC_TPR, VM_PROT_READ), EXIT_RESUME);
	CHECK_RAISED(VECTOR_PF);
	end();
}

/* --- memory ---------------------------------------------------------------- */

#define NOT_BACKED 0x250000u /* another 2 MiB than everything else */

TEST(memory_without_backing)
{
	begin();
	CODE({ 0xa5 }); /* movsl */
	vcpu->gpr[GPR_RSI] = DEVICE;
	vcpu->gpr[GPR_RDI] = NOT_BACKED;
	CHECK(!memory_hva(vm, NOT_BACKED, VM_PROT_WRITE));
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_USERSPACE);
	CHECK_EQ(answer(0x12345678), EXIT_OUTER);
	CHECK_EQ(run_deferred(), EXIT_RESUME);
	CHECK_DONE(1);
	CHECK_EQ(*(uint32_t *)guest_memory(vm, NOT_BACKED), 0x12345678);
	end();
}

TEST(memory_exhausted)
{
	begin();
	CODE({ 0xa5 });
	vcpu->gpr[GPR_RSI] = DEVICE;
	vcpu->gpr[GPR_RDI] = NOT_BACKED;
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_USERSPACE);
	CHECK_EQ(answer(0x12345678), EXIT_OUTER);
	os_user_fragment_memory(true);
	os_user_fail_alloc(1);
	CHECK_EQ(run_deferred(), EXIT_USERSPACE);
	CHECK_EQ(vcpu->error, -ENOMEM);
	CHECK_EQ(vcpu->rip, GUEST_CODE);
	CHECK(!emulate_pending(vcpu));
	os_user_fail_alloc(0);
	os_user_fragment_memory(false);
	end();
}

/* Both directions between RAM and a device; the RAM is seen by nobody else. */
TEST(push_and_pop)
{
	uint32_t *stack;

	begin();
	stack = guest_memory(vm, DATA);
	CODE({ 0xff, 0x35, 0x00, 0x00, 0x00, 0xd0 }); /* pushl DEVICE */
	vcpu->gpr[GPR_RSP] = DATA + 8;
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_USERSPACE);
	CHECK_EQ(answer(0x87654321), EXIT_RESUME);
	CHECK_DONE(6);
	CHECK_EQ(vcpu->gpr[GPR_RSP], DATA + 4);
	CHECK_EQ(stack[1], 0x87654321);
	CODE({ 0x8f, 0x05, 0x00, 0x00, 0x00, 0xd0 }); /* popl DEVICE */
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_WRITE), EXIT_USERSPACE);
	CHECK_MMIO(DEVICE, 4, true, 0x87654321);
	CHECK_EQ(answer(0), EXIT_RESUME);
	CHECK_DONE(6);
	CHECK_EQ(vcpu->gpr[GPR_RSP], DATA + 8);
	end();
}

/* --- exceptions ------------------------------------------------------------ */

TEST(cannot_be_emulated)
{
	begin();
	CODE({ 0xd9, 0x25, 0x00, 0x00, 0x00, 0xd0 }); /* fldenv DEVICE */
	/* It may have been changed under us: the guest tries again first. */
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_RESUME);
	CHECK_DONE(0);
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_RESUME);
	CHECK_RAISED(VECTOR_UD);
	CHECK_EQ(vcpu->stats[STAT_EMULATION_FAILED], 1);
	end();
}

/* Userspace's own emulator may know more. */
TEST(cannot_be_emulated_here)
{
	begin();
	CODE({ 0xd9, 0x25, 0x00, 0x00, 0x00, 0xd0 });
	vcpu->reply_mode = false;
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_RESUME);
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_INST_EMUL);
	CHECK_EQ(vcpu->exit.inst_length, 0);
	CHECK_EQ(vcpu->exit.u.inst_emul.gpa, DEVICE);
	CHECK_EQ(vcpu->exit.u.inst_emul.vie.inst[0], 0xd9);
	CHECK_EQ(guest_exception(vcpu), -1);
	CHECK_EQ(vcpu->stats[STAT_EMULATION_FAILED], 1);
	end();
}

TEST(undefined_code)
{
	begin();
	CODE({ 0x0f, 0x04 });
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_RESUME);
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_RESUME);
	CHECK_RAISED(VECTOR_UD);
	vcpu->exception = 0;
	CODE({ 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
	       0x66, 0x66 });
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_RESUME);
	CHECK_RAISED(VECTOR_GP);
	end();
}

TEST(single_step)
{
	begin();
	CODE({ 0x89, 0x05, 0x80, 0x00, 0xe0, 0xfe });
	vcpu->rflags |= REG_RFLAGS_TF | REG_RFLAGS_RF;
	vcpu->intr_shadow = true;
	CHECK_EQ(emulate_mmio(vcpu, APIC_TPR, VM_PROT_WRITE), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_DB);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 6);
	CHECK_EQ(fake_vcpu(vcpu)->reg[VM_REG_GUEST_DR6] & REG_DR6_BS, REG_DR6_BS);
	CHECK_EQ(vcpu->rflags & REG_RFLAGS_RF, 0);
	CHECK(!vcpu->intr_shadow);
	end();
}

/* With REP a trap comes after each iteration, RIP still at the instruction. */
TEST(single_step_repeat)
{
	begin();
	CODE({ 0xf3, 0xad });
	vcpu->rflags |= REG_RFLAGS_TF;
	vcpu->gpr[GPR_RCX] = 5;
	vcpu->gpr[GPR_RSI] = APIC_LVT0;
	CHECK_EQ(emulate_mmio(vcpu, APIC_LVT0, VM_PROT_READ), EXIT_RESUME);
	CHECK_RAISED(VECTOR_DB);
	CHECK_EQ(vcpu->gpr[GPR_RCX], 4);
	end();
}
