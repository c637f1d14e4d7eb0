// SPDX-License-Identifier: BSD-2-Clause
/* Control registers: what is refused, and what follows from a write. */
#include "unit.h"

#include "x86/cpu/cpuid.h"
#include "x86/exits/exits.h"
#include "x86/exits/row.h"
#include "vm/regs.h"
#include "x86_guest.h"
#include "x86/cpu/control.h"

#define PDPTES 0x3020ull /* where a test puts page directory pointers */

static struct vm *vm;
static struct vcpu *vcpu;
static uint64_t *reg; /* the back end's */

static void begin(void)
{
	vm = guest_create();
	vcpu = fake_vm_vcpu(vm, 0);
	reg = fake_vcpu(vcpu)->reg;
}

static void end(void)
{
	guest_destroy(vm);
}

#define CODE(...)                                                    \
	do {                                                         \
		static const uint8_t code_bytes[] = { __VA_ARGS__ }; \
		guest_code(vcpu, code_bytes, sizeof(code_bytes));    \
	} while (0)

/* --- CR0 ------------------------------------------------------------------ */

TEST(cr0_combinations)
{
	begin();
	CODE(0x90);
	CHECK_EQ(x86_check_cr0(vcpu, REG_CR0_PE), 0);
	CHECK_EQ(x86_check_cr0(vcpu, REG_CR0_PE | REG_CR0_PG), 0);
	CHECK_EQ(x86_check_cr0(vcpu, REG_CR0_PG), -EINVAL);
	CHECK_EQ(x86_check_cr0(vcpu, REG_CR0_NW), -EINVAL);
	CHECK_EQ(x86_check_cr0(vcpu, REG_CR0_NW | REG_CR0_CD), 0);
	CHECK_EQ(x86_check_cr0(vcpu, REG_CR0_CD), 0);
	CHECK_EQ(x86_check_cr0(vcpu, 1ull << 32), -EINVAL);
	end();
}

TEST(cr0_undefined_bits_are_dropped_and_et_is_fixed)
{
	begin();
	CODE(0x90);
	CHECK_EQ(x86_write_cr0(vcpu, REG_CR0_PE | 1 << 10), 0);
	CHECK_EQ(reg[VM_REG_GUEST_CR0], REG_CR0_PE | REG_CR0_ET);
	end();
}

TEST(entering_and_leaving_long_mode)
{
	begin();
	CODE(0x90);
	reg[VM_REG_GUEST_EFER] = REG_EFER_LME;
	CHECK_EQ(x86_write_cr0(vcpu, REG_CR0_PE | REG_CR0_PG), -EINVAL); /* without PAE */
	CHECK_EQ(x86_write_cr4(vcpu, REG_CR4_PAE), 0);
	CHECK_EQ(x86_write_cr0(vcpu, REG_CR0_PE | REG_CR0_PG), 0);
	CHECK_EQ(reg[VM_REG_GUEST_EFER], REG_EFER_LME | REG_EFER_LMA);
	CHECK_EQ(x86_write_cr4(vcpu, 0), -EINVAL); /* PAE stays while it lasts */
	CHECK_EQ(x86_write_cr0(vcpu, REG_CR0_PE), 0);
	CHECK_EQ(reg[VM_REG_GUEST_EFER], REG_EFER_LME);
	end();
}

TEST(long_mode_is_not_entered_with_a_long_code_segment)
{
	begin();
	CODE(0x90);
	reg[VM_REG_GUEST_EFER] = REG_EFER_LME;
	reg[VM_REG_GUEST_CR4] = REG_CR4_PAE;
	fake_vcpu(vcpu)->desc[VM_REG_GUEST_CS].access |= SEG_ACCESS_L;
	CHECK_EQ(x86_write_cr0(vcpu, REG_CR0_PE | REG_CR0_PG), -EINVAL);
	CHECK_EQ(reg[VM_REG_GUEST_EFER], REG_EFER_LME);
	end();
}

TEST(paging_is_not_turned_off_in_64_bit_mode)
{
	begin();
	guest_long_mode(vcpu);
	CHECK_EQ(x86_write_cr0(vcpu, REG_CR0_PE), -EINVAL);
	fake_vcpu(vcpu)->desc[VM_REG_GUEST_CS].access &= ~SEG_ACCESS_L;
	CHECK_EQ(x86_write_cr0(vcpu, REG_CR0_PE), 0);
	end();
}

/* --- CR4 ------------------------------------------------------------------ */

TEST(cr4_takes_what_is_offered)
{
	begin();
	CODE(0x90);
	CHECK_EQ(x86_write_cr4(vcpu, vm->cpuid->features.cr4 & ~REG_CR4_PCIDE), 0);
	for (unsigned int bit = 0; bit < 64; bit++) {
		uint64_t value = 1ull << bit;

		if (value & vm->cpuid->features.cr4)
			continue;
		CHECK_EQ_AT(x86_write_cr4(vcpu, value), -EINVAL, "bit %u", bit);
	}
	end();
}

/* A host with PCID and 57-bit addresses. */
static void new_host(void)
{
	const uint32_t leaf1[4] = { 0x00800f12, 0x00020800, 0x7efa320b, 0x178bfbff };
	const uint32_t leaf7[4] = { 0, 0x209c01ab, 0x00010004, 0 };

	os_user_set_cpuid(1, 0, leaf1);
	os_user_set_cpuid(7, 0, leaf7);
}

TEST(pcids_only_in_long_mode_with_pcid_0)
{
	new_host();
	begin();
	CODE(0x90);
	CHECK_EQ(x86_write_cr4(vcpu, REG_CR4_PCIDE), -EINVAL);
	guest_long_mode(vcpu);
	reg[VM_REG_GUEST_CR3] = 0x5001;
	CHECK_EQ(x86_write_cr4(vcpu, REG_CR4_PAE | REG_CR4_PCIDE), -EINVAL);
	reg[VM_REG_GUEST_CR3] = 0x5000;
	CHECK_EQ(x86_write_cr4(vcpu, REG_CR4_PAE | REG_CR4_PCIDE), 0);
	/* Once on, CR3 may hold any, and paging stays on. */
	CHECK_EQ(x86_write_cr3(vcpu, 0x5001 | REG_CR3_NOFLUSH), 0);
	CHECK_EQ(reg[VM_REG_GUEST_CR3], 0x5001);
	CHECK_EQ(x86_write_cr4(vcpu, REG_CR4_PAE | REG_CR4_PCIDE | REG_CR4_PGE), 0);
	fake_vcpu(vcpu)->desc[VM_REG_GUEST_CS].access &= ~SEG_ACCESS_L;
	CHECK_EQ(x86_write_cr0(vcpu, REG_CR0_PE), -EINVAL);
	end();
}

TEST(width_of_addresses_is_fixed_in_long_mode)
{
	new_host();
	begin();
	CODE(0x90);
	CHECK_EQ(x86_write_cr4(vcpu, REG_CR4_PAE | REG_CR4_LA57), 0);
	guest_long_mode(vcpu);
	CHECK_EQ(x86_write_cr4(vcpu, REG_CR4_PAE | REG_CR4_LA57), -EINVAL);
	CHECK_EQ(x86_write_cr4(vcpu, REG_CR4_PAE), 0);
	end();
}

/* --- CR3 and PAE ---------------------------------------------------------- */

TEST(cr3_in_long_mode_has_physical_bits)
{
	begin();
	guest_long_mode(vcpu);
	CHECK_EQ(x86_write_cr3(vcpu, 0xfffffffff000), 0);
	CHECK_EQ(x86_write_cr3(vcpu, 1ull << 48), -EINVAL);
	CHECK_EQ(x86_write_cr3(vcpu, REG_CR3_NOFLUSH), -EINVAL); /* without PCIDE */
	CHECK_EQ(reg[VM_REG_GUEST_CR3], 0xfffffffff000);
	end();
}

TEST(cr3_in_legacy_mode_has_32_bits)
{
	begin();
	CODE(0x90);
	CHECK_EQ(x86_write_cr3(vcpu, 0xffffffff00005018), 0);
	CHECK_EQ(reg[VM_REG_GUEST_CR3], 0x5018);
	end();
}

static void set_pdptes(uint64_t third)
{
	uint64_t *pdpte = guest_memory(vm, PDPTES);

	pdpte[0] = 0x4001;
	pdpte[1] = 0;
	pdpte[2] = third;
	pdpte[3] = 0x7001;
}

TEST(pae_paging_loads_its_pointers)
{
	begin();
	CODE(0x90);
	guest_has_pdptes(true);
	set_pdptes(0x6001);
	reg[VM_REG_GUEST_CR3] = PDPTES;
	reg[VM_REG_GUEST_CR4] = REG_CR4_PAE;
	CHECK_EQ(x86_write_cr0(vcpu, REG_CR0_PE | REG_CR0_PG), 0);
	CHECK_EQ(reg[VM_REG_GUEST_PDPTE0], 0x4001);
	CHECK_EQ(reg[VM_REG_GUEST_PDPTE2], 0x6001);
	/* They stay as they were until CR3 is loaded again. */
	set_pdptes(0x8001);
	CHECK_EQ(x86_write_cr0(vcpu, REG_CR0_PE | REG_CR0_PG | REG_CR0_TS), 0);
	CHECK_EQ(reg[VM_REG_GUEST_PDPTE2], 0x6001);
	CHECK_EQ(x86_write_cr3(vcpu, PDPTES), 0);
	CHECK_EQ(reg[VM_REG_GUEST_PDPTE2], 0x8001);
	set_pdptes(0x9001);
	CHECK_EQ(x86_write_cr4(vcpu, REG_CR4_PAE | REG_CR4_PGE), 0);
	CHECK_EQ(reg[VM_REG_GUEST_PDPTE2], 0x9001);
	end();
}

TEST(bad_pae_pointers_are_refused)
{
	static const uint64_t bad[] = {
		0x6003, 0x6005, 0x6021, 0x6101, 1ull << 63 | 0x6001, 1ull << 48 | 0x6001
	};

	begin();
	CODE(0x90);
	guest_has_pdptes(true);
	reg[VM_REG_GUEST_CR4] = REG_CR4_PAE;
	reg[VM_REG_GUEST_CR0] = REG_CR0_PE | REG_CR0_PG | REG_CR0_ET;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		set_pdptes(bad[i]);
		CHECK_EQ_AT(x86_write_cr3(vcpu, PDPTES), -EINVAL, "%zu", i);
	}
	set_pdptes(0x6000 | 0x1e6); /* not present: the rest is free */
	CHECK_EQ(x86_write_cr3(vcpu, PDPTES), 0);
	CHECK_EQ(x86_write_cr3(vcpu, 0x90000000), -EINVAL); /* no memory */
	CHECK_EQ(reg[VM_REG_GUEST_CR3], PDPTES);
	end();
}

/* By a walk, that is. A processor that marks a pointer as accessed must not lose it by that. */
TEST(bad_pae_pointers_in_memory_are_found_later)
{
	begin();
	CODE(0x90);
	set_pdptes(0x6021);
	reg[VM_REG_GUEST_CR3] = PDPTES;
	reg[VM_REG_GUEST_CR4] = REG_CR4_PAE;
	CHECK_EQ(x86_write_cr0(vcpu, REG_CR0_PE | REG_CR0_PG), 0);
	CHECK_EQ(x86_write_cr4(vcpu, REG_CR4_PAE | REG_CR4_PGE), 0);
	CHECK_EQ(x86_write_cr3(vcpu, PDPTES), 0);
	end();
}

/* --- by instruction ------------------------------------------------------- */

TEST(moves_to_and_from_cr0)
{
	begin();
	CODE(0x0f, 0x22, 0xc1, 0x0f, 0x20, 0xc3);
	vcpu->next_rip = GUEST_CODE + 3;
	vcpu->gpr[GPR_RCX] = 0xffffffff00000000 | REG_CR0_PE | REG_CR0_MP;
	CHECK_EQ(x86_exit_cr_access(vcpu, 0, true, GPR_RCX), EXIT_RESUME);
	CHECK_EQ(reg[VM_REG_GUEST_CR0], REG_CR0_PE | REG_CR0_MP | REG_CR0_ET);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 3);
	vcpu->next_rip = GUEST_CODE + 6;
	CHECK_EQ(x86_exit_cr_access(vcpu, 0, false, GPR_RBX), EXIT_RESUME);
	CHECK_EQ(vcpu->gpr[GPR_RBX], REG_CR0_PE | REG_CR0_MP | REG_CR0_ET);
	CHECK_EQ(guest_exception(vcpu), -1);
	end();
}

TEST(refused_values_fault)
{
	begin();
	CODE(0x0f, 0x22, 0xe0);
	vcpu->gpr[GPR_RAX] = REG_CR4_VMXE;
	CHECK_EQ(x86_exit_cr_access(vcpu, 4, true, GPR_RAX), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_GP);
	CHECK_EQ(guest_error_code(vcpu), 0);
	CHECK_EQ(reg[VM_REG_GUEST_CR4], 0);
	CHECK_EQ(vcpu->rip, GUEST_CODE);
	end();
}

TEST(instructions_without_reported_operands)
{
	begin();
	CODE(0x0f, 0x22, 0xe7); /* mov cr4, edi */
	vcpu->gpr[GPR_RDI] = REG_CR4_PSE;
	CHECK_EQ(exit_with_operands(vcpu, x86_exit_cr_instruction), EXIT_RESUME);
	CHECK_EQ(reg[VM_REG_GUEST_CR4], REG_CR4_PSE);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 3);
	CODE(0x0f, 0x06); /* clts */
	reg[VM_REG_GUEST_CR0] |= REG_CR0_TS;
	CHECK_EQ(exit_with_operands(vcpu, x86_exit_cr_instruction), EXIT_RESUME);
	CHECK_EQ(reg[VM_REG_GUEST_CR0] & REG_CR0_TS, 0);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 2);
	CODE(0x90);
	CHECK_EQ(exit_with_operands(vcpu, x86_exit_cr_instruction), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_UD);
	end();
}

TEST(clts_and_lmsw)
{
	begin();
	CODE(0x90);
	vcpu->next_rip = GUEST_CODE + 2;
	reg[VM_REG_GUEST_CR0] |= REG_CR0_TS;
	CHECK_EQ(x86_exit_clts(vcpu), EXIT_RESUME);
	CHECK_EQ(reg[VM_REG_GUEST_CR0], REG_CR0_PE | REG_CR0_ET);
	/* LMSW cannot clear PE, nor touch what is above TS. */
	CHECK_EQ(x86_exit_lmsw(vcpu, 0xfff0 | REG_CR0_TS), EXIT_RESUME);
	CHECK_EQ(reg[VM_REG_GUEST_CR0], REG_CR0_PE | REG_CR0_ET | REG_CR0_TS);
	reg[VM_REG_GUEST_CR0] = REG_CR0_ET;
	CHECK_EQ(x86_exit_lmsw(vcpu, REG_CR0_PE), EXIT_RESUME);
	CHECK_EQ(reg[VM_REG_GUEST_CR0], REG_CR0_PE | REG_CR0_ET);
	end();
}

TEST(cr8_is_the_task_priority)
{
	begin();
	guest_long_mode(vcpu);
	vcpu->next_rip = GUEST_CODE + 4;
	vcpu->gpr[GPR_R9] = 5;
	(void)fake_requests(vcpu);
	CHECK_EQ(x86_exit_cr_access(vcpu, 8, true, GPR_R9), EXIT_RESUME);
	CHECK_EQ(reg[VM_REG_GUEST_TPR], 5);
	CHECK(fake_requests(vcpu) & VCPU_REQ_EVENT);
	vcpu->gpr[GPR_R9] = 16;
	CHECK_EQ(x86_exit_cr_access(vcpu, 8, true, GPR_R9), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_GP);
	CHECK_EQ(reg[VM_REG_GUEST_TPR], 5);
	end();
}

TEST(other_control_registers_are_undefined)
{
	begin();
	CODE(0x90);
	vcpu->next_rip = GUEST_CODE + 3;
	CHECK_EQ(x86_exit_cr_access(vcpu, 1, false, GPR_RAX), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_UD);
	vcpu->exception = 0;
	CHECK_EQ(x86_exit_cr_access(vcpu, 15, true, GPR_RAX), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_UD);
	end();
}
