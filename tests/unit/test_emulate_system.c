// SPDX-License-Identifier: BSD-2-Clause
/* Instructions that move registers of the system to and from memory. */
#include "emulate_vm.h"
#include "fake_backend.h"
#include "vm/regs.h"

static uint64_t *reg(int number)
{
	return &fake_vcpu(vcpu)->reg[number];
}

/* --- LMSW (APM vol. 3: PE is never cleared) --- */

TEST(lmsw_of_ram)
{
	begin();
	CODE({ 0x0f, 0x01, 0x35, 0x00, 0x30, 0x00, 0x00 }); /* lmsw DATA */
	*(uint16_t *)guest_memory(vm, DATA) = 0xfff8 | REG_CR0_TS | REG_CR0_MP;
	CHECK_EQ(emulate_lmsw(vcpu), EXIT_RESUME);
	CHECK_DONE(7);
	CHECK_EQ(*reg(VM_REG_GUEST_CR0), REG_CR0_PE | REG_CR0_ET | REG_CR0_TS | REG_CR0_MP);
	end();
}

/* A CR0 write intercept that does not say what the operand is. */
TEST(lmsw_by_its_exit)
{
	static const uint8_t code[] = { 0x0f, 0x01, 0x35, 0x00, 0x30, 0x00, 0x00 };
	struct instruction insn;

	begin();
	guest_code(vcpu, code, sizeof(code));
	REQUIRE(decode_instruction(&insn, code, sizeof(code), DECODE_32) == 0);
	*(uint16_t *)guest_memory(vm, DATA) = REG_CR0_EM;
	CHECK_EQ(x86_exit_cr_instruction(vcpu, &insn), EXIT_RESUME);
	CHECK_DONE(7);
	CHECK_EQ(*reg(VM_REG_GUEST_CR0), REG_CR0_PE | REG_CR0_ET | REG_CR0_EM);
	end();
}

TEST(lmsw_of_memory_without_backing)
{
	begin();
	CODE({ 0x0f, 0x01, 0x35, 0x00, 0x00, 0x3f, 0x00 }); /* lmsw 0x3f0000 */
	CHECK_EQ(emulate_lmsw(vcpu), EXIT_OUTER);
	CHECK_EQ(run_deferred(), EXIT_RESUME);
	CHECK_DONE(7);
	CHECK_EQ(*reg(VM_REG_GUEST_CR0), REG_CR0_PE | REG_CR0_ET);
	end();
}

TEST(lmsw_of_a_device)
{
	begin();
	CODE({ 0x0f, 0x01, 0x35, 0x00, 0x00, 0x00, 0xd0 }); /* lmsw DEVICE */
	CHECK_EQ(emulate_lmsw(vcpu), EXIT_USERSPACE);
	CHECK_MMIO(DEVICE, 2, false, 0);
	CHECK_EQ(answer(REG_CR0_TS), EXIT_RESUME);
	CHECK_DONE(7);
	CHECK_EQ(*reg(VM_REG_GUEST_CR0), REG_CR0_PE | REG_CR0_ET | REG_CR0_TS);
	end();
}

/* VMX reports the fault of the operand first: the whole instruction is ours then. */
TEST(lmsw_by_the_fault_of_its_operand)
{
	begin();
	CODE({ 0x0f, 0x01, 0x35, 0x00, 0x00, 0x00, 0xd0 }); /* lmsw DEVICE */
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_USERSPACE);
	CHECK_MMIO(DEVICE, 2, false, 0);
	CHECK_EQ(answer(REG_CR0_TS), EXIT_RESUME);
	CHECK_DONE(7);
	CHECK_EQ(*reg(VM_REG_GUEST_CR0), REG_CR0_PE | REG_CR0_ET | REG_CR0_TS);
	end();
}

/* Put there after a user's access has faulted. */
TEST(lmsw_is_not_for_users)
{
	begin();
	CODE({ 0x0f, 0x01, 0x35, 0x00, 0x00, 0x00, 0xd0 });
	fake_vcpu(vcpu)->desc[VM_REG_GUEST_SS].access |= 3u << 5;
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_READ), EXIT_USERSPACE);
	CHECK_EQ(answer(REG_CR0_TS), EXIT_RESUME);
	CHECK_RAISED(VECTOR_GP);
	CHECK_EQ(*reg(VM_REG_GUEST_CR0) & REG_CR0_TS, 0);
	end();
}

/* Outside its segment. */
TEST(lmsw_beyond_the_limit)
{
	begin();
	CODE({ 0x0f, 0x01, 0x35, 0x00, 0x30, 0x00, 0x00 });
	fake_vcpu(vcpu)->desc[VM_REG_GUEST_DS].limit = 0x3000;
	CHECK_EQ(emulate_lmsw(vcpu), EXIT_RESUME);
	CHECK_RAISED(VECTOR_GP);
	end();
}

/* Another processor has changed the code since the intercept: the guest tries again. */
TEST(lmsw_that_is_none_any_more)
{
	begin();
	CODE({ 0x90, 0x90 });
	CHECK_EQ(emulate_lmsw(vcpu), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), -1);
	CHECK_EQ(vcpu->rip, GUEST_CODE);
	end();
}

/* --- stores to a device --- */

/* One store of two bytes, of the instruction 0f 'opcode' with ModRM.reg 'extension'. */
static void check_store(uint8_t opcode, uint8_t extension, uint16_t expected)
{
	const uint8_t code[] = { 0x0f, opcode, (uint8_t)(extension << 3 | 5), 0, 0, 0, 0xd0 };

	guest_code(vcpu, code, sizeof(code));
	*reg(VM_REG_GUEST_CR0) |= REG_CR0_MP | 0x50000;
	*reg(VM_REG_GUEST_LDTR) = 0x28;
	*reg(VM_REG_GUEST_TR) = 0x40;
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_WRITE), EXIT_USERSPACE);
	CHECK_MMIO(DEVICE, 2, true, expected);
	CHECK_EQ(answer(0), EXIT_RESUME);
	CHECK_DONE(7);
}

TEST(system_registers_are_stored)
{
	begin();
	check_store(0x01, 4, REG_CR0_PE | REG_CR0_MP | REG_CR0_ET); /* SMSW */
	check_store(0x00, 0, 0x28);				    /* SLDT */
	check_store(0x00, 1, 0x40);				    /* STR */
	end();
}

/* In pieces of 4 and 2 bytes. */
TEST(descriptor_tables_are_stored)
{
	begin();
	CODE({ 0x0f, 0x01, 0x05, 0x00, 0x00, 0x00, 0xd0 }); /* sgdt DEVICE */
	fake_vcpu(vcpu)->desc[VM_REG_GUEST_GDTR] =
		(struct seg_desc){ .base = 0x12345678, .limit = 0xabcd };
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_WRITE), EXIT_USERSPACE);
	CHECK_MMIO(DEVICE, 4, true, 0x5678abcd);
	CHECK_EQ(answer(0), EXIT_USERSPACE);
	CHECK_MMIO(DEVICE + 4, 2, true, 0x1234);
	CHECK_EQ(answer(0), EXIT_RESUME);
	CHECK_DONE(7);
	CODE({ 0x0f, 0x01, 0x0d, 0x00, 0x00, 0x00, 0xd0 }); /* sidt DEVICE */
	fake_vcpu(vcpu)->desc[VM_REG_GUEST_IDTR] =
		(struct seg_desc){ .base = 0x87654321, .limit = 0x7ff };
	CHECK_EQ(emulate_mmio(vcpu, DEVICE, VM_PROT_WRITE), EXIT_USERSPACE);
	CHECK_MMIO(DEVICE, 4, true, 0x432107ff);
	CHECK_EQ(answer(0), EXIT_USERSPACE);
	CHECK_MMIO(DEVICE + 4, 2, true, 0x8765);
	CHECK_EQ(answer(0), EXIT_RESUME);
	CHECK_DONE(7);
	end();
}
