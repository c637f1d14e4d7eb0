// SPDX-License-Identifier: BSD-2-Clause
/* The AMD back end: probe, physical CPUs, ASIDs, clean bits, permission maps, host state. */
#include "svm_vm.h"

#include "os/user/os_user.h"
#include "svm/nested.h"
#include "svm/permission.h"
#include "x86/cpu/context.h"
#include "vm/regs.h"

/* --- permission maps ---------------------------------------------------------------- */

TEST(msrpm_places)
{
	CHECK_EQ(msrpm_bit(0), 0);
	CHECK_EQ(msrpm_bit(0x1fff), 0x1fff * 2);
	CHECK_EQ(msrpm_bit(0x2000), -EINVAL);
	CHECK_EQ(msrpm_bit(0xc0000000), 0x800 * 8);
	CHECK_EQ(msrpm_bit(0xc0001fff), 0x1000 * 8 - 2);
	CHECK_EQ(msrpm_bit(0xc0010000), 0x1000 * 8);
	CHECK_EQ(msrpm_bit(0xc0011fff), 0x1800 * 8 - 2);
	CHECK_EQ(msrpm_bit(0xc0012000), -EINVAL);
	CHECK_EQ(msrpm_bit(0xbfffffff), -EINVAL);
	CHECK_EQ(msrpm_bit(0xffffffff), -EINVAL);
}

TEST(msrpm_holds_back_all_but_the_guests_own)
{
	static uint8_t map[MSRPM_SIZE];
	static const uint32_t own[] = { MSRN_FS_BASE,	  MSRN_GS_BASE,	    MSRN_KERNEL_GS_BASE,
					MSRN_STAR,	  MSRN_LSTAR,	    MSRN_CSTAR,
					MSRN_SFMASK,	  MSRN_SYSENTER_CS, MSRN_SYSENTER_ESP,
					MSRN_SYSENTER_EIP };
	unsigned int open = 0;

	msrpm_fill(map);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		int bit = msrpm_bit(own[i]);

		CHECK_EQ_AT(map[bit / 8] >> (bit % 8) & 3, 0, "MSR %#x", own[i]);
	}
	for (size_t i = 0; i < sizeof(map); i++)
		open += 8 - (unsigned int)__builtin_popcount(map[i]);
	CHECK_EQ(open, 2 * ARRAY_SIZE(own));
}

TEST(msrpm_allows_directions_apart)
{
	static uint8_t map[MSRPM_SIZE];
	int bit = msrpm_bit(MSRN_EFER);

	memset(map, 0xff, sizeof(map));
	CHECK(msrpm_allow(map, MSRN_EFER, true, false));
	CHECK_EQ(map[bit / 8] >> (bit % 8) & 3, 2);
	CHECK(msrpm_allow(map, MSRN_EFER, false, true));
	CHECK_EQ(map[bit / 8] >> (bit % 8) & 3, 0);
	CHECK(!msrpm_allow(map, 0x2000, true, true));
}

/* --- probe ---------------------------------------------------------------- */

static int probe(const char **why)
{
	char facts[160];

	*why = NULL;
	return svm_backend.probe(why, facts, sizeof(facts));
}

TEST(probe_names_what_is_missing)
{
	const uint32_t none[4] = { 0 };
	const char *why;

	os_user_reset();
	svm_offer(SVM_ALL_FEATURES);
	CHECK_EQ(probe(&why), 0);

	os_user_set_cpuid(0x80000001, 0, none);
	CHECK_EQ(probe(&why), -ENXIO);

	svm_offer(SVM_ALL_FEATURES & ~SVM_FEATURE_NESTED_PAGING);
	CHECK_EQ(probe(&why), -ENODEV);
	CHECK(why && strstr(why, "no nested paging"));

	svm_offer(SVM_ALL_FEATURES);
	os_user_set_msr(MSRN_VM_CR, MSRN_VM_CR_SVMDIS | 8);
	CHECK_EQ(probe(&why), -ENODEV);
	CHECK(why && strstr(why, "locked by the firmware"));

	svm_offer(SVM_ALL_FEATURES);
	os_user_set_msr(MSRN_EFER, REG_EFER_SVME);
	CHECK_EQ(probe(&why), -EBUSY);
	CHECK(why && strstr(why, "kvm"));
}

TEST(disabled_features_are_not_used)
{
	svm_disable_features = SVM_FEATURE_NEXT_RIP | SVM_FEATURE_CLEAN_BITS;
	svm_start(SVM_ALL_FEATURES);
	CHECK(!svm_has(SVM_FEATURE_NEXT_RIP));
	CHECK(!svm_has(SVM_FEATURE_CLEAN_BITS));
	CHECK(svm_has(SVM_FEATURE_FLUSH_BY_ASID));
	svm_stop();
}

/* --- physical CPUs -------------------------------------------------------- */

TEST(cpus_are_left_clean)
{
	svm_start(SVM_ALL_FEATURES);
	CHECK(os_rdmsr(MSRN_EFER) & REG_EFER_SVME);
	CHECK(os_rdmsr(MSRN_VM_HSAVE_PA) != 0);
	svm_backend.cpu_disable();
	CHECK(!(os_rdmsr(MSRN_EFER) & REG_EFER_SVME));
	CHECK_EQ(os_rdmsr(MSRN_VM_HSAVE_PA), 0);
	CHECK(amd_processor.gif_set);
	os_user_set_msr(MSRN_EFER, REG_EFER_SVME);
	CHECK_EQ(svm_backend.cpu_enable(), -EBUSY);
	CHECK(strstr(os_user_last_log(), "kvm.enable_virt_at_load=0"));
	svm_stop();
}

TEST(init_fails_cleanly_without_memory)
{
	const char *why = "";
	char facts[160];

	for (unsigned int n = 1; n < 8; n++) {
		os_user_reset();
		svm_offer(SVM_ALL_FEATURES);
		REQUIRE(svm_backend.probe(&why, facts, sizeof(facts)) == 0);
		os_user_fail_alloc(n);
		CHECK_EQ_AT(svm_backend.module.init(), -ENOMEM, "allocation %u", n);
		CHECK_EQ(os_user_alloc_outstanding(), 0);
	}
}

/* --- ASIDs ---------------------------------------------------------------- */

TEST(vcpus_of_one_cpu_have_different_asids)
{
	struct vcpu *a, *b;
	uint32_t asid;

	svm_start(SVM_ALL_FEATURES);
	a = svm_make_vcpu(0);
	b = svm_make_vcpu(1);
	svm_entry(a);
	asid = amd_processor.seen.control.asid;
	CHECK(asid != 0);
	svm_entry(b);
	CHECK(amd_processor.seen.control.asid != 0);
	CHECK(amd_processor.seen.control.asid != asid);
	svm_entry(a);
	CHECK_EQ(amd_processor.seen.control.asid, asid);
	CHECK_EQ(amd_processor.seen.control.tlb_control, TLB_CONTROL_NOTHING);
	svm_free_vcpu(a);
	svm_free_vcpu(b);
	svm_stop();
}

TEST(asids_that_run_out_flush_everything)
{
	struct vcpu *vcpu;
	unsigned int flushes = 0;

	svm_start(SVM_ALL_FEATURES & ~SVM_FEATURE_FLUSH_BY_ASID);
	vcpu = svm_make_vcpu(0);
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.seen.control.tlb_control, TLB_CONTROL_FLUSH_ALL);
	for (unsigned int i = 1; i < 2 * (SVM_ASIDS - 1); i++) {
		svm_backend.flush_nested(vcpu);
		svm_entry(vcpu);
		CHECK(amd_processor.seen.control.asid > 0 &&
		      amd_processor.seen.control.asid < SVM_ASIDS);
		CHECK(!(amd_processor.seen.control.clean & CLEAN_ASID));
		flushes += amd_processor.seen.control.tlb_control == TLB_CONTROL_FLUSH_ALL;
	}
	CHECK_EQ(flushes, 1);
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.seen.control.tlb_control, TLB_CONTROL_NOTHING);
	svm_free_vcpu(vcpu);
	svm_stop();
}

TEST(flush_by_asid_keeps_the_asid)
{
	struct vcpu *vcpu;
	uint32_t asid;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	svm_entry(vcpu);
	asid = amd_processor.seen.control.asid;
	svm_backend.flush_nested(vcpu);
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.seen.control.asid, asid);
	CHECK_EQ(amd_processor.seen.control.tlb_control, TLB_CONTROL_FLUSH_ASID);
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.seen.control.tlb_control, TLB_CONTROL_NOTHING);
	svm_free_vcpu(vcpu);
	svm_stop();
}

/* Having been elsewhere and come back counts as a move: what is cached here is old. */
TEST(a_move_takes_a_new_asid_and_cleans_nothing)
{
	struct vcpu *vcpu;
	uint32_t asid;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	svm_entry(vcpu);
	asid = amd_processor.seen.control.asid;
	os_user_move_to_cpu(1);
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.seen.control.clean, 0);
	os_user_move_to_cpu(0);
	svm_entry(vcpu);
	CHECK(amd_processor.seen.control.asid != asid);
	CHECK_EQ(amd_processor.seen.control.clean, 0);
	svm_free_vcpu(vcpu);
	svm_stop();
}

TEST(numbers_by_freebsds_names)
{
	svm_start(SVM_ALL_FEATURES);
	CHECK_EQ(svm_backend.offers.number("svm.features"), svm_features);
	CHECK_EQ(svm_backend.offers.number("svm.num_asids"), svm_asid_count);
	CHECK_EQ(svm_backend.offers.number("vmx.initialized"), 0);
	svm_stop();
}

#define BP_SPEC_REDUCE (1ull << 4)

TEST(speculation_is_reduced_while_svm_is_on_where_the_host_says_so)
{
	const struct os_mitigations srso = { .reduce_bp_speculation = true };

	svm_start(SVM_ALL_FEATURES);
	os_user_set_msr(MSRN_BP_CFG, 0x21);
	CHECK_EQ(os_rdmsr(MSRN_BP_CFG), 0x21);
	svm_backend.cpu_disable();
	os_user_set_mitigations(&srso);
	REQUIRE(svm_backend.cpu_enable() == 0);
	CHECK_EQ(os_rdmsr(MSRN_BP_CFG), 0x21 | BP_SPEC_REDUCE);
	svm_backend.cpu_disable();
	CHECK_EQ(os_rdmsr(MSRN_BP_CFG), 0x21);
	REQUIRE(svm_backend.cpu_enable() == 0);
	svm_stop();
}

TEST(asids_are_void_after_svm_was_off)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	svm_entry(vcpu);
	svm_backend.cpu_disable();
	REQUIRE(svm_backend.cpu_enable() == 0);
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.seen.control.tlb_control, TLB_CONTROL_FLUSH_ALL);
	svm_free_vcpu(vcpu);
	svm_stop();
}

/* --- clean bits ----------------------------------------------------------- */

TEST(clean_bits_follow_changes)
{
	static const struct {
		int reg;
		uint64_t value;
		uint32_t part;
	} changes[] = {
		{ VM_REG_GUEST_CR3, 0x5000, CLEAN_CR },
		{ VM_REG_GUEST_CR4, REG_CR4_PSE, CLEAN_CR },
		{ VM_REG_GUEST_EFER, REG_EFER_NXE, CLEAN_CR },
		{ VM_REG_GUEST_DR7, 0x401, CLEAN_DR },
		{ VM_REG_GUEST_DR6, 0xffff0ff1, CLEAN_DR },
		{ VM_REG_GUEST_TPR, 5, CLEAN_TPR },
		{ VM_REG_GUEST_CS, 8, CLEAN_SEGMENTS },
	};
	struct seg_desc desc = { .base = 0x100, .limit = 0xff };
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.seen.control.clean, 0);
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.seen.control.clean, CLEAN_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		CHECK_EQ(svm_backend.set_reg(vcpu, changes[i].reg, changes[i].value), 0);
		svm_entry(vcpu);
		CHECK_EQ_AT(amd_processor.seen.control.clean & changes[i].part, 0, "row %zu", i);
		svm_entry(vcpu);
		CHECK_EQ(amd_processor.seen.control.clean, CLEAN_ALL);
	}
	CHECK_EQ(svm_backend.set_desc(vcpu, VM_REG_GUEST_GDTR, &desc), 0);
	svm_entry(vcpu);
	CHECK(!(amd_processor.seen.control.clean & CLEAN_DESCRIPTOR_TABLES));
	vcpu->cr2 = 0x1234;
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.seen.control.clean, CLEAN_ALL & ~CLEAN_CR2);
	CHECK_EQ(amd_processor.seen.save.cr2, 0x1234);
	svm_backend.set_tsc_offset(vcpu, 77);
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.seen.control.clean, CLEAN_ALL & ~CLEAN_INTERCEPTS);
	CHECK_EQ(amd_processor.seen.control.tsc_offset, 77);
	CHECK_EQ(svm_backend.set_msr(vcpu, MSRN_PAT, 6), 0);
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.seen.control.clean, CLEAN_ALL & ~CLEAN_NESTED_PAGING);
	svm_free_vcpu(vcpu);
	svm_stop();
}

TEST(clean_bits_are_left_alone_without_the_feature)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES & ~SVM_FEATURE_CLEAN_BITS);
	vcpu = svm_make_vcpu(0);
	svm_entry(vcpu);
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.seen.control.clean, 0);
	svm_free_vcpu(vcpu);
	svm_stop();
}

/* --- host state ----------------------------------------------------------- */

TEST(an_ldt_that_comes_meanwhile_is_kept)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	svm_backend.load(vcpu);
	CHECK_EQ(amd_processor.host_saves, 1);
	svm_backend.enter(vcpu);
	CHECK_EQ(amd_processor.host_saves, 1);
	os_user_cpu(0)->ldtr = 0x28;
	svm_backend.enter(vcpu);
	CHECK_EQ(amd_processor.host_saves, 2);
	svm_backend.enter(vcpu);
	CHECK_EQ(amd_processor.host_saves, 3);
	os_user_cpu(0)->ldtr = 0;
	svm_backend.enter(vcpu);
	CHECK_EQ(amd_processor.host_saves, 4);
	svm_backend.enter(vcpu);
	CHECK_EQ(amd_processor.host_saves, 4);
	svm_free_vcpu(vcpu);
	svm_stop();
}

TEST(debug_registers_are_the_guests_at_first_use)
{
	struct vcpu *vcpu;

	svm_start(SVM_ALL_FEATURES);
	vcpu = svm_make_vcpu(0);
	vcpu->context->loaded = true;
	amd_processor.exitcode = VMEXIT_DR_WRITE(7);
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.seen.control.intercept[1], 0x00ff00ff);
	CHECK_EQ(svm_backend.exit(vcpu), EXIT_RESUME);
	CHECK(context_dr_owned(vcpu));
	svm_entry(vcpu);
	CHECK_EQ(amd_processor.seen.control.intercept[1], 0);
	svm_free_vcpu(vcpu);
	svm_stop();
}

/* --- nested page table --- */

TEST(nested_entries_say_what_may_be_done)
{
	const struct npt_format *format = &svm_npt_format;
	uint64_t all = PTE_X86_PRESENT | PTE_X86_USER | PTE_X86_ACCESSED | PTE_X86_DIRTY;

	svm_npt_init(0x0407050600070106); /* 6 1 7 0: WB, WC, UC-, UC */
	CHECK_EQ(format->leaf(VM_PROT_ALL, NPT_MEMORY_WB), all | PTE_X86_WRITE);
	CHECK_EQ(format->leaf(VM_PROT_READ, NPT_MEMORY_WB), all | PTE_X86_NX);
	CHECK_EQ(format->leaf(VM_PROT_READ, NPT_MEMORY_UC),
		 all | PTE_X86_NX | PTE_X86_PCD | PTE_X86_PWT);
	CHECK_EQ(format->leaf(VM_PROT_READ, NPT_MEMORY_WC), all | PTE_X86_NX | PTE_X86_PWT);
	svm_npt_init(MSRN_PAT_RESET); /* no WC: UC instead */
	CHECK_EQ(format->leaf(VM_PROT_READ, NPT_MEMORY_WC),
		 all | PTE_X86_NX | PTE_X86_PCD | PTE_X86_PWT);
}
