// SPDX-License-Identifier: BSD-2-Clause
/*
 * The AMD back end against a processor played by this file: svm_world_switch()
 * below notes what the VMCB asks for and answers with what a test has prepared.
 */
#include "unit.h"

#include "os/user/os_user.h"
#include "svm/nested.h"
#include "svm/permission.h"
#include "svm/svm.h"
#include "svm/switch.h"
#include "svm/vcpu.h"
#include "x86/cpu/context.h"
#include "vm/regs.h"

#define ALL_FEATURES                                                                 \
	(SVM_FEATURE_NESTED_PAGING | SVM_FEATURE_NEXT_RIP | SVM_FEATURE_CLEAN_BITS | \
	 SVM_FEATURE_FLUSH_BY_ASID | SVM_FEATURE_DECODE_ASSISTS | SVM_FEATURE_PAUSE_FILTER)
#define ASIDS 4

/* --- the processor ---------------------------------------------------------- */

static struct {
	struct vmcb seen; /* as the last entry found it */
	uint64_t exitcode;
	uint64_t exitintinfo;
	uint64_t rip;			/* 0: does not move */
	void (*run)(struct vmcb *vmcb); /* what else the guest does */
	unsigned int entries;
	unsigned int host_saves;
	uint64_t cr2; /* as written by hand */
	bool gif_set;
} cpu;

void svm_world_switch(uint64_t guest_pa, uint64_t *gpr, uint64_t host_pa, uint32_t flags)
{
	struct vmcb *vmcb = os_phys_to_virt(guest_pa);

	(void)gpr;
	(void)host_pa;
	(void)flags;
	cpu.seen = *vmcb;
	cpu.entries++;
	vmcb->control.exitcode = cpu.exitcode;
	vmcb->control.exitintinfo = cpu.exitintinfo;
	vmcb->control.interrupt_shadow = 0;
	if (cpu.rip)
		vmcb->save.rip = cpu.rip;
	if (cpu.run)
		cpu.run(vmcb);
}

void svm_save_host(uint64_t host_pa)
{
	struct vmcb *host = os_phys_to_virt(host_pa);

	host->save.ldtr.selector = os_read_ldtr();
	cpu.host_saves++;
}

void svm_write_cr2(uint64_t value)
{
	cpu.cr2 = value;
}

void svm_set_gif(void)
{
	cpu.gif_set = true;
}

/* --- a machine around it ------------------------------------------------------- */

static struct vm *vm;

static void offer(uint32_t features)
{
	const uint32_t max[4] = { 0x8000000a };
	const uint32_t extended[4] = { 0, 0, 4, 0 };
	const uint32_t svm[4] = { 1, ASIDS, 0, features };

	os_user_set_cpuid(0x80000000, 0, max);
	os_user_set_cpuid(0x80000001, 0, extended);
	os_user_set_cpuid(0x8000000a, 0, svm);
	os_user_set_msr(MSRN_EFER, REG_EFER_LMA | REG_EFER_LME);
	os_user_set_msr(MSRN_PAT, MSRN_PAT_RESET);
	os_user_set_msr(MSRN_VM_CR, 0);
}

static void start(uint32_t features)
{
	static struct vm the_vm;
	const char *why = "";
	char facts[160];

	os_user_reset();
	memset(&cpu, 0, sizeof(cpu));
	cpu.exitcode = VMEXIT_INTR;
	offer(features);
	REQUIRE(svm_backend.probe(&why, facts, sizeof(facts)) == 0);
	REQUIRE(svm_backend.module.init() == 0);
	for (unsigned int i = 0; i < 2; i++) {
		os_user_move_to_cpu(i);
		REQUIRE(svm_backend.cpu_enable() == 0);
	}
	os_user_move_to_cpu(0);
	vm = &the_vm;
	backend = &svm_backend;
	vm->max_vcpus = 2;
	REQUIRE(npt_init(&vm->npt, &svm_npt_format, 4) == 0);
}

static struct vcpu *make_vcpu(int id)
{
	struct vcpu *vcpu = os_alloc(sizeof(*vcpu));

	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->context = os_alloc(sizeof(*vcpu->context));
	vcpu->stats = os_alloc(stats_count() * sizeof(uint64_t));
	REQUIRE(svm_backend.vcpu_init(vcpu) == 0);
	svm_backend.vcpu_reset(vcpu, false);
	vcpu->rip = 0x1000;
	vcpu->rflags = REG_RFLAGS_FIXED1;
	return vcpu;
}

static void free_vcpu(struct vcpu *vcpu)
{
	svm_backend.vcpu_cleanup(vcpu);
	os_free(vcpu->context);
	os_free(vcpu->stats);
	os_free(vcpu);
}

static void stop(void)
{
	npt_fini(&vm->npt);
	svm_backend.module.fini();
	CHECK_EQ(os_user_alloc_outstanding(), 0);
}

/* One turn of the inner loop. */
static void enter(struct vcpu *vcpu)
{
	svm_backend.load(vcpu);
	os_irq_disable();
	svm_backend.enter(vcpu);
	os_irq_enable();
}

static enum exit_action enter_and_exit(struct vcpu *vcpu)
{
	enum exit_action action;

	enter(vcpu);
	action = svm_backend.exit(vcpu);
	return action;
}

static bool seen_intercept(unsigned int intercept)
{
	return cpu.seen.control.intercept[intercept / 32] >> (intercept % 32) & 1;
}

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

/* --- probe ------------------------------------------------------------------------------ */

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
	offer(ALL_FEATURES);
	CHECK_EQ(probe(&why), 0);

	os_user_set_cpuid(0x80000001, 0, none);
	CHECK_EQ(probe(&why), -ENXIO);

	offer(ALL_FEATURES & ~SVM_FEATURE_NESTED_PAGING);
	CHECK_EQ(probe(&why), -ENODEV);
	CHECK(why && strstr(why, "no nested paging"));

	offer(ALL_FEATURES);
	os_user_set_msr(MSRN_VM_CR, MSRN_VM_CR_SVMDIS | 8);
	CHECK_EQ(probe(&why), -ENODEV);
	CHECK(why && strstr(why, "locked by the firmware"));

	offer(ALL_FEATURES);
	os_user_set_msr(MSRN_EFER, REG_EFER_SVME);
	CHECK_EQ(probe(&why), -EBUSY);
	CHECK(why && strstr(why, "kvm"));
}

TEST(disabled_features_are_not_used)
{
	svm_disable_features = SVM_FEATURE_NEXT_RIP | SVM_FEATURE_CLEAN_BITS;
	start(ALL_FEATURES);
	CHECK(!svm_has(SVM_FEATURE_NEXT_RIP));
	CHECK(!svm_has(SVM_FEATURE_CLEAN_BITS));
	CHECK(svm_has(SVM_FEATURE_FLUSH_BY_ASID));
	stop();
}

/* --- physical CPUs -------------------------------------------------------------------------- */

TEST(cpus_are_left_clean)
{
	start(ALL_FEATURES);
	CHECK(os_rdmsr(MSRN_EFER) & REG_EFER_SVME);
	CHECK(os_rdmsr(MSRN_VM_HSAVE_PA) != 0);
	svm_backend.cpu_disable();
	CHECK(!(os_rdmsr(MSRN_EFER) & REG_EFER_SVME));
	CHECK_EQ(os_rdmsr(MSRN_VM_HSAVE_PA), 0);
	CHECK(cpu.gif_set);
	os_user_set_msr(MSRN_EFER, REG_EFER_SVME);
	CHECK_EQ(svm_backend.cpu_enable(), -EBUSY);
	CHECK(strstr(os_user_last_log(), "kvm.enable_virt_at_load=0"));
	stop();
}

TEST(init_fails_cleanly_without_memory)
{
	const char *why = "";
	char facts[160];

	for (unsigned int n = 1; n < 8; n++) {
		os_user_reset();
		offer(ALL_FEATURES);
		REQUIRE(svm_backend.probe(&why, facts, sizeof(facts)) == 0);
		os_user_fail_alloc(n);
		CHECK_EQ_AT(svm_backend.module.init(), -ENOMEM, "allocation %u", n);
		CHECK_EQ(os_user_alloc_outstanding(), 0);
	}
}

/* --- ASIDs ------------------------------------------------------------------------------------- */

TEST(vcpus_of_one_cpu_have_different_asids)
{
	struct vcpu *a, *b;
	uint32_t asid;

	start(ALL_FEATURES);
	a = make_vcpu(0);
	b = make_vcpu(1);
	enter(a);
	asid = cpu.seen.control.asid;
	CHECK(asid != 0);
	enter(b);
	CHECK(cpu.seen.control.asid != 0);
	CHECK(cpu.seen.control.asid != asid);
	enter(a);
	CHECK_EQ(cpu.seen.control.asid, asid);
	CHECK_EQ(cpu.seen.control.tlb_control, TLB_CONTROL_NOTHING);
	free_vcpu(a);
	free_vcpu(b);
	stop();
}

TEST(asids_that_run_out_flush_everything)
{
	struct vcpu *vcpu;
	unsigned int flushes = 0;

	start(ALL_FEATURES & ~SVM_FEATURE_FLUSH_BY_ASID);
	vcpu = make_vcpu(0);
	enter(vcpu);
	CHECK_EQ(cpu.seen.control.tlb_control, TLB_CONTROL_FLUSH_ALL);
	for (unsigned int i = 1; i < 2 * (ASIDS - 1); i++) {
		svm_backend.flush_nested(vcpu);
		enter(vcpu);
		CHECK(cpu.seen.control.asid > 0 && cpu.seen.control.asid < ASIDS);
		CHECK(!(cpu.seen.control.clean & CLEAN_ASID));
		flushes += cpu.seen.control.tlb_control == TLB_CONTROL_FLUSH_ALL;
	}
	CHECK_EQ(flushes, 1);
	enter(vcpu);
	CHECK_EQ(cpu.seen.control.tlb_control, TLB_CONTROL_NOTHING);
	free_vcpu(vcpu);
	stop();
}

TEST(flush_by_asid_keeps_the_asid)
{
	struct vcpu *vcpu;
	uint32_t asid;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	enter(vcpu);
	asid = cpu.seen.control.asid;
	svm_backend.flush_nested(vcpu);
	enter(vcpu);
	CHECK_EQ(cpu.seen.control.asid, asid);
	CHECK_EQ(cpu.seen.control.tlb_control, TLB_CONTROL_FLUSH_ASID);
	enter(vcpu);
	CHECK_EQ(cpu.seen.control.tlb_control, TLB_CONTROL_NOTHING);
	free_vcpu(vcpu);
	stop();
}

/* Having been elsewhere and come back counts as a move: what is cached here is old. */
TEST(a_move_takes_a_new_asid_and_cleans_nothing)
{
	struct vcpu *vcpu;
	uint32_t asid;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	enter(vcpu);
	asid = cpu.seen.control.asid;
	os_user_move_to_cpu(1);
	enter(vcpu);
	CHECK_EQ(cpu.seen.control.clean, 0);
	os_user_move_to_cpu(0);
	enter(vcpu);
	CHECK(cpu.seen.control.asid != asid);
	CHECK_EQ(cpu.seen.control.clean, 0);
	free_vcpu(vcpu);
	stop();
}

TEST(asids_are_void_after_svm_was_off)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	enter(vcpu);
	svm_backend.cpu_disable();
	REQUIRE(svm_backend.cpu_enable() == 0);
	enter(vcpu);
	CHECK_EQ(cpu.seen.control.tlb_control, TLB_CONTROL_FLUSH_ALL);
	free_vcpu(vcpu);
	stop();
}

/* --- clean bits ------------------------------------------------------------------------------------ */

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

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	enter(vcpu);
	CHECK_EQ(cpu.seen.control.clean, 0);
	enter(vcpu);
	CHECK_EQ(cpu.seen.control.clean, CLEAN_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		CHECK_EQ(svm_backend.set_reg(vcpu, changes[i].reg, changes[i].value), 0);
		enter(vcpu);
		CHECK_EQ_AT(cpu.seen.control.clean & changes[i].part, 0, "row %zu", i);
		enter(vcpu);
		CHECK_EQ(cpu.seen.control.clean, CLEAN_ALL);
	}
	CHECK_EQ(svm_backend.set_desc(vcpu, VM_REG_GUEST_GDTR, &desc), 0);
	enter(vcpu);
	CHECK(!(cpu.seen.control.clean & CLEAN_DESCRIPTOR_TABLES));
	vcpu->cr2 = 0x1234;
	enter(vcpu);
	CHECK_EQ(cpu.seen.control.clean, CLEAN_ALL & ~CLEAN_CR2);
	CHECK_EQ(cpu.seen.save.cr2, 0x1234);
	svm_backend.set_tsc_offset(vcpu, 77);
	enter(vcpu);
	CHECK_EQ(cpu.seen.control.clean, CLEAN_ALL & ~CLEAN_INTERCEPTS);
	CHECK_EQ(cpu.seen.control.tsc_offset, 77);
	CHECK_EQ(svm_backend.set_msr(vcpu, MSRN_PAT, 6), 0);
	enter(vcpu);
	CHECK_EQ(cpu.seen.control.clean, CLEAN_ALL & ~CLEAN_NESTED_PAGING);
	free_vcpu(vcpu);
	stop();
}

TEST(clean_bits_are_left_alone_without_the_feature)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES & ~SVM_FEATURE_CLEAN_BITS);
	vcpu = make_vcpu(0);
	enter(vcpu);
	enter(vcpu);
	CHECK_EQ(cpu.seen.control.clean, 0);
	free_vcpu(vcpu);
	stop();
}

/* --- registers ----------------------------------------------------------------------------------------- */

TEST(descriptors_survive_the_round_trip)
{
	static const uint32_t access[] = { 0xc093, 0xa09b, 0x008b, 0x0082, 0xf0f3, 0x10000 };
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
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
	free_vcpu(vcpu);
	stop();
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

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_EQ_AT(svm_backend.set_reg(vcpu, bad[i].reg, bad[i].value), -EINVAL, "row %zu",
			    i);
	CHECK_EQ(svm_backend.set_desc(vcpu, VM_REG_GUEST_IDTR, &wide), -EINVAL);
	CHECK_EQ(svm_backend.set_desc(vcpu, VM_REG_GUEST_CR0, &wide), -EINVAL);
	enter(vcpu);
	CHECK_EQ(cpu.entries, 1);
	free_vcpu(vcpu);
	stop();
}

TEST(long_mode_is_derived_and_checked_before_entry)
{
	struct vcpu *vcpu;
	uint64_t efer = 0;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	CHECK_EQ(svm_backend.set_reg(vcpu, VM_REG_GUEST_EFER, REG_EFER_LME), 0);
	CHECK_EQ(svm_backend.set_reg(vcpu, VM_REG_GUEST_CR0, REG_CR0_PG | REG_CR0_PE), 0);
	cpu.exitcode = VMEXIT_INTR;
	CHECK_EQ(enter_and_exit(vcpu), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_SVM);
	CHECK_EQ((uint32_t)vcpu->exit.u.svm.exitcode, VMEXIT_INVALID);
	CHECK_EQ(cpu.entries, 0);
	CHECK_EQ(svm_backend.set_reg(vcpu, VM_REG_GUEST_CR4, REG_CR4_PAE), 0);
	CHECK_EQ(enter_and_exit(vcpu), EXIT_RESUME);
	CHECK_EQ(cpu.entries, 1);
	CHECK_EQ(cpu.seen.save.efer, REG_EFER_LME | REG_EFER_LMA | REG_EFER_SVME);
	CHECK_EQ(svm_backend.get_reg(vcpu, VM_REG_GUEST_EFER, &efer), 0);
	CHECK_EQ(efer, REG_EFER_LME | REG_EFER_LMA);
	free_vcpu(vcpu);
	stop();
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

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	cpu.exitcode = VMEXIT_INVALID; /* 32 bits wide, as one emulator has it */
	cpu.run = leak_host;
	CHECK_EQ(enter_and_exit(vcpu), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_SVM);
	CHECK_EQ(vcpu->rip, 0x1000);
	CHECK_EQ(vcpu->gpr[GPR_RSP], 0);
	CHECK_EQ(svm_backend.get_reg(vcpu, VM_REG_GUEST_CR3, &value), 0);
	CHECK_EQ(value, 0);
	CHECK_EQ(svm_backend.get_desc(vcpu, VM_REG_GUEST_GDTR, &desc), 0);
	CHECK_EQ(desc.base, 0);
	free_vcpu(vcpu);
	stop();
}

TEST(init_keeps_what_it_must)
{
	struct vcpu *vcpu;
	uint64_t value = 0;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
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
	free_vcpu(vcpu);
	stop();
}

/* --- host state -------------------------------------------------------------------------------------------- */

TEST(an_ldt_that_comes_meanwhile_is_kept)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	svm_backend.load(vcpu);
	CHECK_EQ(cpu.host_saves, 1);
	svm_backend.enter(vcpu);
	CHECK_EQ(cpu.host_saves, 1);
	os_user_cpu(0)->ldtr = 0x28;
	svm_backend.enter(vcpu);
	CHECK_EQ(cpu.host_saves, 2);
	svm_backend.enter(vcpu);
	CHECK_EQ(cpu.host_saves, 3);
	os_user_cpu(0)->ldtr = 0;
	svm_backend.enter(vcpu);
	CHECK_EQ(cpu.host_saves, 4);
	svm_backend.enter(vcpu);
	CHECK_EQ(cpu.host_saves, 4);
	free_vcpu(vcpu);
	stop();
}

TEST(debug_registers_are_the_guests_at_first_use)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	vcpu->context->loaded = true;
	cpu.exitcode = VMEXIT_DR_WRITE(7);
	enter(vcpu);
	CHECK_EQ(cpu.seen.control.intercept[1], 0x00ff00ff);
	CHECK_EQ(svm_backend.exit(vcpu), EXIT_RESUME);
	CHECK(context_dr_owned(vcpu));
	enter(vcpu);
	CHECK_EQ(cpu.seen.control.intercept[1], 0);
	free_vcpu(vcpu);
	stop();
}

/* --- events ---------------------------------------------------------------------------------------------------- */

#define INTINFO(type, vector) (VM_INTINFO_VALID | (type) | (vector))

TEST(injection_is_for_one_entry)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	svm_backend.inject(vcpu, INTINFO(VM_INTINFO_HWINTR, 0x41));
	enter(vcpu);
	CHECK_EQ(cpu.seen.control.eventinj, INTINFO(VM_INTINFO_HWINTR, 0x41));
	enter(vcpu);
	CHECK_EQ(cpu.seen.control.eventinj, 0);
	free_vcpu(vcpu);
	stop();
}

TEST(deliveries_cut_short_are_kept_unless_the_instruction_repeats_them)
{
	static const struct {
		uint64_t info;
		uint64_t kept;
	} rows[] = {
		{ 0x41, 0 }, /* not valid: junk */
		{ INTINFO(VM_INTINFO_HWINTR, 0x41), INTINFO(VM_INTINFO_HWINTR, 0x41) },
		{ INTINFO(VM_INTINFO_NMI, 2), INTINFO(VM_INTINFO_NMI, 2) },
		{ INTINFO(VM_INTINFO_SWINTR, 0x80), 0 },
		{ INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_BP), 0 },
		{ INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_OF), 0 },
		{ INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_PF) | VM_INTINFO_DEL_ERRCODE | 2ull << 32,
		  INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_PF) | VM_INTINFO_DEL_ERRCODE |
			  2ull << 32 },
		{ INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_UD) | 7ull << 32,
		  INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_UD) },
	};
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		vcpu->exitintinfo = 0;
		cpu.exitintinfo = rows[i].info;
		enter(vcpu);
		CHECK_EQ_AT(vcpu->exitintinfo, rows[i].kept, "row %zu", i);
	}
	free_vcpu(vcpu);
	stop();
}

TEST(an_interrupt_window_honours_the_priority)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	svm_backend.set_reg(vcpu, VM_REG_GUEST_TPR, 9);
	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	cpu.exitcode = VMEXIT_VINTR;
	enter(vcpu);
	CHECK_EQ(cpu.seen.control.vintr & (VINTR_IRQ | VINTR_PRIORITY_MASK | VINTR_IGNORE_TPR),
		 VINTR_IRQ | 6 << VINTR_PRIORITY_SHIFT);
	CHECK_EQ(cpu.seen.control.vintr & VINTR_TPR_MASK, 9);
	CHECK(cpu.seen.control.vintr & VINTR_MASKING);
	CHECK(seen_intercept(INTERCEPT_VINTR));
	vcpu->requests = 0;
	CHECK_EQ(svm_backend.exit(vcpu), EXIT_RESUME);
	CHECK(vcpu->requests & VCPU_REQ_EVENT);
	enter(vcpu);
	CHECK(!(cpu.seen.control.vintr & VINTR_IRQ));
	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0);
	enter(vcpu);
	CHECK(cpu.seen.control.vintr & VINTR_IGNORE_TPR);
	free_vcpu(vcpu);
	stop();
}

/* Without decode assists the write of CR8, not V_TPR, tells when it lets one in. */
TEST(without_decode_assists_cr8_is_watched_while_one_waits)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES & ~SVM_FEATURE_DECODE_ASSISTS);
	vcpu = make_vcpu(0);
	enter(vcpu);
	CHECK(!seen_intercept(INTERCEPT_CR_WRITE(8)));
	svm_backend.set_reg(vcpu, VM_REG_GUEST_TPR, 6);
	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	enter(vcpu);
	CHECK(seen_intercept(INTERCEPT_CR_WRITE(8)));
	CHECK(!(cpu.seen.control.vintr & VINTR_IRQ));

	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x71);
	cpu.exitcode = VMEXIT_VINTR;
	CHECK_EQ(enter_and_exit(vcpu), EXIT_RESUME);
	CHECK(cpu.seen.control.vintr & VINTR_IRQ);
	enter(vcpu);
	CHECK(!seen_intercept(INTERCEPT_CR_WRITE(8)));

	/* The last request counts. */
	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x71);
	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	enter(vcpu);
	CHECK(!(cpu.seen.control.vintr & VINTR_IRQ));
	free_vcpu(vcpu);
	stop();
}

/* A host that ignores the shadow exits before the instruction under it has run. */
TEST(a_shadow_the_host_ignores_is_stepped_over)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	vcpu->intr_shadow = true;
	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	cpu.exitcode = VMEXIT_VINTR;
	CHECK_EQ(enter_and_exit(vcpu), EXIT_RESUME);
	CHECK(vcpu->intr_shadow);

	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	cpu.exitcode = VMEXIT_INTR;
	enter(vcpu);
	CHECK(!(cpu.seen.control.vintr & VINTR_IRQ));
	CHECK(cpu.seen.save.rflags & REG_RFLAGS_TF);
	CHECK(!(vcpu->rflags & REG_RFLAGS_TF));
	CHECK(vcpu->intr_shadow);
	free_vcpu(vcpu);
	stop();
}

/* Nor does one that has no decode assists wait for it to take the window's interrupt. */
TEST(a_window_under_a_shadow_is_a_step_without_decode_assists)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES & ~SVM_FEATURE_DECODE_ASSISTS);
	vcpu = make_vcpu(0);
	vcpu->intr_shadow = true;
	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	enter(vcpu);
	CHECK(cpu.seen.save.rflags & REG_RFLAGS_TF);
	CHECK(!(cpu.seen.control.vintr & VINTR_IRQ));
	free_vcpu(vcpu);
	stop();
}

static void set_if(struct vmcb *vmcb)
{
	vmcb->save.rflags |= REG_RFLAGS_IF;
}

TEST(an_exit_behind_sti_is_as_good_as_the_window)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	vcpu->requests = 0;
	enter(vcpu);
	CHECK(cpu.seen.control.vintr & VINTR_IRQ);
	CHECK_EQ(vcpu->requests, 0);
	cpu.run = set_if;
	enter(vcpu);
	CHECK(cpu.seen.control.vintr & VINTR_IRQ);
	CHECK(vcpu->requests & VCPU_REQ_EVENT);
	enter(vcpu);
	CHECK(!(cpu.seen.control.vintr & VINTR_IRQ));

	/* CR8 holds it back: the window stays. */
	svm_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	svm_vcpu(vcpu)->vmcb->control.vintr |= 6;
	vcpu->requests = 0;
	enter(vcpu);
	enter(vcpu);
	CHECK(cpu.seen.control.vintr & VINTR_IRQ);
	CHECK_EQ(vcpu->requests, 0);
	free_vcpu(vcpu);
	stop();
}

static void take_step(struct vmcb *vmcb)
{
	vmcb->save.dr6 |= REG_DR6_BS;
}

static void take_iret(struct vmcb *vmcb)
{
	take_step(vmcb);
	vmcb->save.rflags = REG_RFLAGS_FIXED1;
}

TEST(nmi_stays_blocked_until_iret_is_done)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	CHECK(!vcpu_nmi_blocked(vcpu));
	svm_backend.inject(vcpu, INTINFO(VM_INTINFO_NMI, 2));
	CHECK(vcpu_nmi_blocked(vcpu));
	svm_backend.request_window(vcpu, WINDOW_NMI, 0);
	enter(vcpu);
	CHECK(seen_intercept(INTERCEPT_IRET));

	/* The exit comes before the IRET. */
	cpu.exitcode = VMEXIT_IRET;
	CHECK_EQ(enter_and_exit(vcpu), EXIT_RESUME);
	CHECK(vcpu_nmi_blocked(vcpu));
	svm_backend.request_window(vcpu, WINDOW_NMI, 0);

	/* An interrupt of the host: it has not run yet. */
	cpu.exitcode = VMEXIT_INTR;
	enter(vcpu);
	CHECK(cpu.seen.save.rflags & REG_RFLAGS_TF);
	CHECK(!seen_intercept(INTERCEPT_IRET));
	CHECK(vcpu_nmi_blocked(vcpu));

	/* Now it has, with a #DB that the guest does not see. */
	cpu.exitcode = VMEXIT_EXCEPTION(VECTOR_DB);
	cpu.rip = 0x2000;
	cpu.run = take_iret;
	vcpu->requests = 0;
	CHECK_EQ(enter_and_exit(vcpu), EXIT_RESUME);
	CHECK(!vcpu_nmi_blocked(vcpu));
	CHECK(vcpu->requests & VCPU_REQ_EVENT);
	CHECK_EQ(vcpu->exception, 0);
	cpu.run = NULL;
	enter(vcpu);
	CHECK(!(cpu.seen.save.rflags & REG_RFLAGS_TF));
	CHECK_EQ(cpu.seen.save.dr6, REG_DR6_RESET);
	free_vcpu(vcpu);
	stop();
}

/* One emulated host does not say in DR6 why there was a #DB. */
TEST(a_step_is_known_without_its_cause)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	vcpu->intr_shadow = true;
	svm_backend.request_window(vcpu, WINDOW_NMI, 0);
	cpu.exitcode = VMEXIT_EXCEPTION(VECTOR_DB);
	cpu.rip = 0x1001;
	CHECK_EQ(enter_and_exit(vcpu), EXIT_RESUME);
	CHECK(cpu.seen.save.rflags & REG_RFLAGS_TF);
	CHECK_EQ(vcpu->exception, 0);
	CHECK(!vcpu->intr_shadow);
	CHECK(vcpu->requests & VCPU_REQ_EVENT);
	free_vcpu(vcpu);
	stop();
}

static void hit_breakpoint(struct vmcb *vmcb)
{
	vmcb->save.dr6 |= 1;
}

/* A breakpoint at the instruction that is to be stepped: it is the guest's, and nothing has run. */
TEST(a_breakpoint_is_no_step)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	vcpu->intr_shadow = true;
	svm_backend.request_window(vcpu, WINDOW_NMI, 0);
	cpu.exitcode = VMEXIT_EXCEPTION(VECTOR_DB);
	cpu.run = hit_breakpoint;
	CHECK_EQ(enter_and_exit(vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->exception, INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_DB));
	CHECK(vcpu->intr_shadow);
	/* The same one again, which DR6 shows already. */
	vcpu->exception = 0;
	CHECK_EQ(enter_and_exit(vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->exception, INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_DB));
	free_vcpu(vcpu);
	stop();
}

TEST(the_guests_own_single_step_is_given_back)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	vcpu->rflags |= REG_RFLAGS_TF;
	cpu.exitcode = VMEXIT_EXCEPTION(VECTOR_DB);
	cpu.run = take_step;
	CHECK_EQ(enter_and_exit(vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->exception, INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_DB));
	free_vcpu(vcpu);
	stop();
}

/* Where the processor does not say why there was a #DB, TF was it. */
TEST(the_guests_own_single_step_is_named)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	cpu.exitcode = VMEXIT_EXCEPTION(VECTOR_DB);
	vcpu->rflags = REG_RFLAGS_FIXED1;
	(void)enter_and_exit(vcpu);
	CHECK(!(svm_vcpu(vcpu)->vmcb->save.dr6 & REG_DR6_BS));
	vcpu->rflags |= REG_RFLAGS_TF;
	(void)enter_and_exit(vcpu);
	CHECK(svm_vcpu(vcpu)->vmcb->save.dr6 & REG_DR6_BS);
	free_vcpu(vcpu);
	stop();
}

TEST(a_debugger_steps_unseen)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	CHECK_EQ(svm_backend.offers.set_capability(vcpu, VM_CAP_RFLAGS_TF, true), 0);
	cpu.exitcode = VMEXIT_EXCEPTION(VECTOR_DB);
	cpu.run = take_step;
	CHECK_EQ(enter_and_exit(vcpu), EXIT_USERSPACE);
	CHECK(cpu.seen.save.rflags & REG_RFLAGS_TF);
	CHECK(!(vcpu->rflags & REG_RFLAGS_TF));
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_DB);
	CHECK_EQ(vcpu->exit.u.dbg.trace_trap, 1);
	CHECK_EQ(vcpu->exception, 0);
	CHECK_EQ(svm_backend.offers.set_capability(vcpu, VM_CAP_RFLAGS_TF, false), 0);
	enter(vcpu);
	CHECK(!(cpu.seen.save.rflags & REG_RFLAGS_TF));
	CHECK_EQ(cpu.seen.save.dr6, REG_DR6_RESET);
	free_vcpu(vcpu);
	stop();
}

TEST(an_nmi_that_did_not_get_in_blocks_none)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	svm_backend.inject(vcpu, INTINFO(VM_INTINFO_NMI, 2));
	cpu.exitintinfo = INTINFO(VM_INTINFO_NMI, 2);
	enter(vcpu);
	CHECK(!vcpu_nmi_blocked(vcpu));
	CHECK_EQ(vcpu->exitintinfo, INTINFO(VM_INTINFO_NMI, 2));
	free_vcpu(vcpu);
	stop();
}

/* --- exits ------------------------------------------------------------------------------------------------------- */

TEST(unknown_exits_go_to_the_program)
{
	static const uint64_t codes[] = { 0x13,	 0xff,	  0x100,      0x401, 0x407,
					  0x408, 0x10072, 0xfffffffe, ~1ull };
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		cpu.exitcode = codes[i];
		CHECK_EQ_AT(enter_and_exit(vcpu), EXIT_USERSPACE, "code %#" PRIx64, codes[i]);
		CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_SVM);
		CHECK_EQ(vcpu->exit.u.svm.exitcode, codes[i]);
		CHECK_EQ(vcpu->stats[STAT_COMMON], i + 1);
	}
	free_vcpu(vcpu);
	stop();
}

TEST(cr2_is_loaded_by_hand_without_decode_assists)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	vcpu->cr2 = 0x123000;
	enter(vcpu);
	CHECK_EQ(cpu.seen.save.cr2, 0x123000);
	CHECK_EQ(cpu.cr2, 0);
	free_vcpu(vcpu);
	stop();

	start(ALL_FEATURES & ~SVM_FEATURE_DECODE_ASSISTS);
	vcpu = make_vcpu(0);
	vcpu->cr2 = 0x123000;
	enter(vcpu);
	CHECK_EQ(cpu.cr2, 0x123000);
	free_vcpu(vcpu);
	stop();
}

static void leave_long_mode_early(struct vmcb *vmcb)
{
	vmcb->save.cr0 = REG_CR0_PG | REG_CR0_PE | REG_CR0_NE | REG_CR0_ET;
	vmcb->save.cr4 = REG_CR4_PAE;
	vmcb->save.efer = REG_EFER_SVME | REG_EFER_LME;
	vmcb->control.exitinfo1 = CR_EXIT_MOV | 0;
	vmcb->control.next_rip = vmcb->save.rip + 3;
	vmcb->save.rax = REG_CR0_PG; /* without PE: refused */
}

/* One emulated host has it cleared before it asks us; what reads the guest's memory trusts it. */
TEST(lma_at_a_cr0_exit_is_lme_and_pg)
{
	struct vcpu *vcpu;

	start(ALL_FEATURES);
	vcpu = make_vcpu(0);
	cpu.exitcode = VMEXIT_CR_WRITE(0);
	cpu.run = leave_long_mode_early;
	CHECK_EQ(enter_and_exit(vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->exception,
		 INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_GP) | VM_INTINFO_DEL_ERRCODE);
	CHECK(svm_vcpu(vcpu)->vmcb->save.efer & REG_EFER_LMA);
	free_vcpu(vcpu);
	stop();
}

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
