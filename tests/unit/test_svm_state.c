// SPDX-License-Identifier: BSD-2-Clause
/* Registers on the AMD back end: what is refused, derived, reset; and failed entries. */
#include "svm_vm.h"

#include "vm/regs.h"

/* --- registers ------------------------------------------------------------ */

TEST(descriptors_survive_the_round_trip)
{
	static const uint32_t access[] = { 0xc093, 0xa09b, 0x008b, 0x0082, 0xf0f3, 0x10000 };
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	for (int reg = VM_REG_GUEST_ES; reg <= VM_REG_GUEST_TR; reg++) {
		for (size_t i = 0; i < ARRAY_SIZE(access); i++) {
			struct seg_desc in = { 0x123456789, 0xfffff, access[i] }, out = { 0 };

			CHECK_EQ(svm_backend.set_desc(vcpu, reg, &in), 0);
			CHECK_EQ(svm_backend.get_desc(vcpu, reg, &out), 0);
			CHECK_EQ(out.base, in.base);
			CHECK_EQ(out.limit, in.limit);
			if (reg == VM_REG_GUEST_TR) /* always busy */
				in.access |= 2;
			CHECK_EQ_AT(out.access, in.access, "register %d", reg);
		}
	}
	svm_free_vcpu(vcpu);
	svm_stop();
}

TEST(registers_the_hardware_would_refuse_are_refused)
{
	static const struct {
		int reg;
		uint64_t value;
	} bad[] = {
		{ VM_REG_GUEST_CR0, 1ull << 32 },
		{ VM_REG_GUEST_CR0, REG_CR0_NW },
		{ VM_REG_GUEST_CR0, REG_CR0_PG },
		{ VM_REG_GUEST_CR3, 1ull << 52 },
		{ VM_REG_GUEST_CR4, 1ull << 32 },
		{ VM_REG_GUEST_CR4, REG_CR4_VMXE },
		{ VM_REG_GUEST_EFER, REG_EFER_SVME },
		{ VM_REG_GUEST_EFER, 1ull << 63 },
		{ VM_REG_GUEST_DR6, 1ull << 32 },
		{ VM_REG_GUEST_DR7, 1ull << 32 },
		{ VM_REG_GUEST_TPR, 16 },
		{ VM_REG_GUEST_CS, 0x10000 },
		{ VM_REG_GUEST_GDTR, 0 },
		{ VM_REG_GUEST_PDPTE0, 0 },
	};
	struct seg_desc wide = { .limit = 0x10000 };
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_EQ_AT(svm_backend.set_reg(vcpu, bad[i].reg, bad[i].value), -EINVAL, "row %zu",
			    i);
	CHECK_EQ(svm_backend.set_desc(vcpu, VM_REG_GUEST_IDTR, &wide), -EINVAL);
	CHECK_EQ(svm_backend.set_desc(vcpu, VM_REG_GUEST_CR0, &wide), -EINVAL);
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.entries, 1);
	svm_free_vcpu(vcpu);
	svm_stop();
}

TEST(long_mode_is_derived_and_checked_before_entry)
{
	struct vcpu *vcpu;
	uint64_t efer = 0;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	CHECK_EQ(svm_backend.set_reg(vcpu, VM_REG_GUEST_EFER, REG_EFER_LME), 0);
	CHECK_EQ(svm_backend.set_reg(vcpu, VM_REG_GUEST_CR0, REG_CR0_PG | REG_CR0_PE), 0);
	amd_processor.exitcode = VMEXIT_INTR;
	CHECK_EQ(svm_entry_and_exit(vcpu), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_SVM);
	CHECK_EQ((uint32_t)vcpu->exit.u.svm.exitcode, VMEXIT_INVALID);
	CHECK_EQ(amd_processor.entries, 0);
	CHECK_EQ(svm_backend.set_reg(vcpu, VM_REG_GUEST_CR4, REG_CR4_PAE), 0);
	CHECK_EQ(svm_entry_and_exit(vcpu), EXIT_RESUME);
	CHECK_EQ(amd_processor.entries, 1);
	CHECK_EQ(amd_processor.seen.save.efer, REG_EFER_LME | REG_EFER_LMA | REG_EFER_SVME);
	CHECK_EQ(svm_backend.get_reg(vcpu, VM_REG_GUEST_EFER, &efer), 0);
	CHECK_EQ(efer, REG_EFER_LME | REG_EFER_LMA);
	svm_free_vcpu(vcpu);
	svm_stop();
}

static void leak_host(struct vmcb *vmcb)
{
	vmcb->save.rip = 0xffffffff81000000;
	vmcb->save.rsp = 0xffffc90000000000;
	vmcb->save.cr3 = 0xdead000;
	vmcb->save.gdtr.base = 0xfffffe0000001000;
}

TEST(a_failed_entry_shows_nothing_of_the_host)
{
	struct seg_desc desc;
	struct vcpu *vcpu;
	uint64_t value = 1;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	amd_processor.exitcode = VMEXIT_INVALID; /* 32 bits wide, as one emulator has it */
	amd_processor.run = leak_host;
	CHECK_EQ(svm_entry_and_exit(vcpu), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_SVM);
	CHECK_EQ(vcpu->rip, 0x1000);
	CHECK_EQ(vcpu->gpr[GPR_RSP], 0);
	CHECK_EQ(svm_backend.get_reg(vcpu, VM_REG_GUEST_CR3, &value), 0);
	CHECK_EQ(value, 0);
	CHECK_EQ(svm_backend.get_desc(vcpu, VM_REG_GUEST_GDTR, &desc), 0);
	CHECK_EQ(desc.base, 0);
	svm_free_vcpu(vcpu);
	svm_stop();
}

TEST(init_keeps_what_it_must)
{
	struct vcpu *vcpu;
	uint64_t value = 0;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	CHECK_EQ(svm_backend.set_msr(vcpu, MSRN_LSTAR, 0x1234), 0);
	CHECK_EQ(svm_backend.set_reg(vcpu, VM_REG_GUEST_CR0, REG_CR0_PE), 0);
	CHECK_EQ(svm_backend.set_msr(vcpu, MSRN_FS_BASE, 0x5678), 0);
	svm_backend.vcpu_reset(vcpu, true);
	CHECK_EQ(svm_backend.get_msr(vcpu, MSRN_LSTAR, &value), 0);
	CHECK_EQ(value, 0x1234);
	CHECK_EQ(svm_backend.get_reg(vcpu, VM_REG_GUEST_CR0, &value), 0);
	CHECK_EQ(value, REG_CR0_ET);
	CHECK_EQ(svm_backend.get_msr(vcpu, MSRN_FS_BASE, &value), 0);
	CHECK_EQ(value, 0);
	svm_backend.vcpu_reset(vcpu, false);
	CHECK_EQ(svm_backend.get_msr(vcpu, MSRN_LSTAR, &value), 0);
	CHECK_EQ(value, 0);
	svm_free_vcpu(vcpu);
	svm_stop();
}
