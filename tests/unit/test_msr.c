// SPDX-License-Identifier: BSD-2-Clause
/* The table of MSRs. */
#include "unit.h"

#include "dev/lapic.h"
#include "x86/cpu/context.h"
#include "x86/cpu/cpuid.h"
#include "x86/cpu/msr.h"
#include "vm/regs.h"
#include "x86_guest.h"
#include "x86/cpu/registers.h"

#define NOT_CANONICAL 0x0000800000000000ull

static struct vm *vm;
static struct vcpu *vcpu;

static void begin(void)
{
	vm = guest_create();
	vcpu = fake_vm_vcpu(vm, 0);
}

static void end(void)
{
	guest_destroy(vm);
}

static uint64_t read_msr(uint32_t msr)
{
	uint64_t value = 0xdeadbeef;

	CHECK_EQ_AT(msr_read(vcpu, msr, &value), 0, "MSR %#x", msr);
	return value;
}

static void check_refused(uint32_t msr)
{
	uint64_t value;

	CHECK_EQ_AT(msr_read(vcpu, msr, &value), -EINVAL, "reading %#x", msr);
	CHECK_EQ_AT(msr_write(vcpu, msr, 0), -EINVAL, "writing %#x", msr);
}

static void become_intel(void)
{
	const uint32_t leaf0[4] = { 0xd, 0x756e6547, 0x6c65746e, 0x49656e69 };

	os_user_set_cpuid(0, 0, leaf0);
}

TEST(rows_are_sorted_and_disjoint)
{
	for (unsigned int i = 0; i < msr_row_count; i++) {
		CHECK_EQ_AT(msr_rows[i].first <= msr_rows[i].last, 1, "row %u", i);
		if (i > 0)
			CHECK_EQ_AT(msr_rows[i - 1].last < msr_rows[i].first, 1, "row %u", i);
	}
}

TEST(every_row_is_found)
{
	begin();
	for (unsigned int i = 0; i < msr_row_count; i++) {
		uint64_t value;

		CHECK_EQ_AT(msr_read(vcpu, msr_rows[i].first, &value) != -ENOENT, 1, "row %u", i);
		CHECK_EQ_AT(msr_read(vcpu, msr_rows[i].last, &value) != -ENOENT, 1, "row %u", i);
	}
	end();
}

TEST(unknown_registers_are_left_to_userspace)
{
	static const uint32_t unknown[] = { 0x2,	0x11,		0x2ff + 1, 0x4d1,
					    0x40000000, 0xc0010114 + 1, 0xffffffff };
	uint64_t value;

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		CHECK_EQ_AT(msr_read(vcpu, unknown[i], &value), -ENOENT, "%#x", unknown[i]);
		CHECK_EQ_AT(msr_write(vcpu, unknown[i], 0), -ENOENT, "%#x", unknown[i]);
	}
	end();
}

TEST(what_is_hidden_is_refused)
{
	static const uint32_t hidden[] = {
		MSRN_XSS,
		MSRN_XFD,
		MSRN_MPERF,
		MSRN_APERF,
		0xc1,
		0x186,
		0x38f,
		0xc0010200,
		MSRN_TSC_RATIO,
		MSRN_VM_HSAVE_PA,
		MSRN_OSVW_STATUS,
		MSRN_MC0_CTL + 16,
		MSRN_VIRT_SPEC_CTRL,
		MSRN_CORE_CAPABILITIES,
		MSRN_SMM_BASE,
		MSRN_LS_CFG,
	};

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
		check_refused(hidden[i]);
	end();
}

TEST(each_vendor_has_its_own)
{
	begin();
	CHECK_EQ(read_msr(MSRN_HWCR), 1 << 24);
	CHECK_EQ(read_msr(MSRN_VM_CR), MSRN_VM_CR_SVMDIS);
	CHECK_EQ(msr_write(vcpu, MSRN_VM_CR, 0x1), -EINVAL);
	CHECK_EQ(read_msr(MSRN_DE_CFG), MSRN_DE_CFG_LFENCE_SERIALIZE);
	check_refused(MSRN_MISC_ENABLE);
	check_refused(MSRN_FEATURE_CONTROL);
	end();
	become_intel();
	begin();
	check_refused(MSRN_HWCR);
	check_refused(MSRN_VM_CR);
	CHECK_EQ(read_msr(MSRN_FEATURE_CONTROL), 1);
	CHECK_EQ(msr_write(vcpu, MSRN_FEATURE_CONTROL, 5), -EINVAL);
	CHECK_EQ(read_msr(MSRN_MISC_ENABLE), 0x1801);
	CHECK_EQ(msr_write(vcpu, MSRN_MISC_ENABLE, 0x1800), 0);
	CHECK_EQ(read_msr(MSRN_MISC_ENABLE), 0x1800);
	CHECK_EQ(msr_write(vcpu, MSRN_MISC_ENABLE, 0x1800 | 1ull << 63), -EINVAL);
	CHECK_EQ(read_msr(MSRN_PLATFORM_INFO) >> 8 & 0xff, 20);
	end();
}

/* --- time ----------------------------------------------------------------- */

TEST(tsc_starts_at_zero_and_runs)
{
	begin();
	CHECK_EQ(read_msr(MSRN_TSC), 0);
	os_user_clock_advance(1000000);
	CHECK_EQ(read_msr(MSRN_TSC), 2000000);
	end();
}

TEST(vcpus_made_later_agree)
{
	begin();
	os_user_clock_advance(12345678);
	CHECK_EQ(msr_guest_tsc(fake_vm_vcpu(vm, 1)), msr_guest_tsc(vcpu));
	end();
}

TEST(writing_tsc_moves_tsc_adjust)
{
	begin();
	os_user_clock_advance(1000000);
	CHECK_EQ(msr_write(vcpu, MSRN_TSC, 5000000), 0);
	CHECK_EQ(read_msr(MSRN_TSC), 5000000);
	CHECK_EQ(read_msr(MSRN_TSC_ADJUST), 3000000);
	CHECK_EQ(fake_vcpu(vcpu)->tsc_offset, vcpu->tsc_offset);
	end();
}

TEST(writing_tsc_adjust_moves_tsc)
{
	begin();
	os_user_clock_advance(1000000);
	CHECK_EQ(msr_write(vcpu, MSRN_TSC_ADJUST, -1000000ull), 0);
	CHECK_EQ(read_msr(MSRN_TSC), 1000000);
	CHECK_EQ(fake_vcpu(vcpu)->tsc_offset, vcpu->tsc_offset);
	/* What undoes the change undoes it exactly. */
	CHECK_EQ(msr_write(vcpu, MSRN_TSC_ADJUST, 0), 0);
	CHECK_EQ(read_msr(MSRN_TSC), 2000000);
	CHECK_EQ(vcpu->tsc_offset, vm->tsc_offset);
	end();
}

TEST(tsc_aux)
{
	begin();
	CHECK_EQ(read_msr(MSRN_TSC_AUX), 0);
	CHECK_EQ(msr_write(vcpu, MSRN_TSC_AUX, 0x12345), 0);
	CHECK_EQ(read_msr(MSRN_TSC_AUX), 0x12345);
	CHECK_EQ(msr_write(vcpu, MSRN_TSC_AUX, 1ull << 32), -EINVAL);
	end();
}

/* --- memory types --------------------------------------------------------- */

TEST(pat)
{
	begin();
	CHECK_EQ(read_msr(MSRN_PAT), MSRN_PAT_RESET);
	CHECK_EQ(msr_write(vcpu, MSRN_PAT, 0x0407050600070106), 0);
	CHECK_EQ(read_msr(MSRN_PAT), 0x0407050600070106);
	CHECK_EQ(msr_write(vcpu, MSRN_PAT, 0x0407050600070102), -EINVAL);
	CHECK_EQ(msr_write(vcpu, MSRN_PAT, 0x0807050600070106), -EINVAL);
	CHECK_EQ(read_msr(MSRN_PAT), 0x0407050600070106);
	end();
}

TEST(mtrr_default_type)
{
	begin();
	CHECK_EQ(read_msr(MSRN_MTRR_CAP), 0x508);
	CHECK_EQ(msr_write(vcpu, MSRN_MTRR_CAP, 0), -EINVAL);
	CHECK_EQ(read_msr(MSRN_MTRR_DEF_TYPE), 0);
	CHECK_EQ(msr_write(vcpu, MSRN_MTRR_DEF_TYPE, 0xc06), 0);
	CHECK_EQ(read_msr(MSRN_MTRR_DEF_TYPE), 0xc06);
	CHECK_EQ(msr_write(vcpu, MSRN_MTRR_DEF_TYPE, 0xc02), -EINVAL);
	CHECK_EQ(msr_write(vcpu, MSRN_MTRR_DEF_TYPE, 0x1006), -EINVAL);
	end();
}

TEST(mtrr_variable_ranges)
{
	uint64_t value;

	begin();
	for (uint32_t i = 0; i < 8; i++) {
		CHECK_EQ(msr_write(vcpu, 0x200 + 2 * i, (uint64_t)i << 32 | 6), 0);
		CHECK_EQ(msr_write(vcpu, 0x201 + 2 * i, 0xffff00000800), 0);
		CHECK_EQ(read_msr(0x200 + 2 * i), (uint64_t)i << 32 | 6);
		CHECK_EQ(read_msr(0x201 + 2 * i), 0xffff00000800);
	}
	CHECK_EQ(msr_write(vcpu, 0x200, 0x106), -EINVAL);
	CHECK_EQ(msr_write(vcpu, 0x200, 0x003), -EINVAL);
	CHECK_EQ(msr_write(vcpu, 0x200, 1ull << 48), -EINVAL);
	CHECK_EQ(msr_write(vcpu, 0x201, 0x801), -EINVAL);
	CHECK_EQ(msr_read(vcpu, 0x210, &value), -ENOENT);
	end();
}

TEST(mtrr_fixed_ranges_are_all_different)
{
	static const uint32_t fixed[] = { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
					  0x26b, 0x26c, 0x26d, 0x26e, 0x26f };

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		uint64_t type = i % 2 ? 6 : 5;

		CHECK_EQ(msr_write(vcpu, fixed[i], type << (8 * (i % 8))), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		CHECK_EQ(read_msr(fixed[i]), (i % 2 ? 6ull : 5ull) << (8 * (i % 8)));
	CHECK_EQ(msr_write(vcpu, 0x250, 0x0203), -EINVAL);
	end();
}

/* --- system calls and bases ----------------------------------------------- */

TEST(addresses_must_be_canonical)
{
	static const uint32_t addresses[] = {
		MSRN_LSTAR,   MSRN_CSTAR,   MSRN_SYSENTER_ESP,	 MSRN_SYSENTER_EIP,
		MSRN_FS_BASE, MSRN_GS_BASE, MSRN_KERNEL_GS_BASE,
	};

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		uint64_t good = 0xffff800000001000 + i;

		CHECK_EQ(msr_write(vcpu, addresses[i], good), 0);
		CHECK_EQ(msr_write(vcpu, addresses[i], NOT_CANONICAL), -EINVAL);
		CHECK_EQ_AT(read_msr(addresses[i]), good, "%#x", addresses[i]);
	}
	end();
}

TEST(bases_are_registers_by_another_name)
{
	uint64_t value = 0;

	begin();
	CHECK_EQ(msr_write(vcpu, MSRN_GS_BASE, 0x1234000), 0);
	CHECK_EQ(vcpu_get_register(vcpu, VM_REG_GUEST_GS_BASE, &value), 0);
	CHECK_EQ(value, 0x1234000);
	CHECK_EQ(vcpu_set_register(vcpu, VM_REG_GUEST_KGS_BASE, 0x5678000), 0);
	CHECK_EQ(read_msr(MSRN_KERNEL_GS_BASE), 0x5678000);
	CHECK_EQ(vcpu_set_register(vcpu, VM_REG_GUEST_FS_BASE, NOT_CANONICAL), -EINVAL);
	end();
}

TEST(sfmask_has_32_bits)
{
	begin();
	CHECK_EQ(msr_write(vcpu, MSRN_SFMASK, 0x1200000047700ull), 0);
	CHECK_EQ(read_msr(MSRN_SFMASK), 0x47700);
	end();
}

TEST(efer)
{
	begin();
	CHECK_EQ(msr_write(vcpu, MSRN_EFER, REG_EFER_LME | REG_EFER_NXE | REG_EFER_SCE), 0);
	CHECK_EQ(read_msr(MSRN_EFER), REG_EFER_LME | REG_EFER_NXE | REG_EFER_SCE);
	CHECK_EQ(msr_write(vcpu, MSRN_EFER, REG_EFER_SVME), -EINVAL);
	CHECK_EQ(msr_write(vcpu, MSRN_EFER, 1ull << 21), -EINVAL);
	/* LMA is not the guest's to write. */
	CHECK_EQ(msr_write(vcpu, MSRN_EFER, REG_EFER_LME | REG_EFER_LMA), 0);
	CHECK_EQ(read_msr(MSRN_EFER), REG_EFER_LME);
	/* With paging on, LME stays. */
	guest_long_mode(vcpu);
	CHECK_EQ(msr_write(vcpu, MSRN_EFER, 0), -EINVAL);
	CHECK_EQ(msr_write(vcpu, MSRN_EFER, REG_EFER_LME | REG_EFER_SCE), 0);
	CHECK_EQ(read_msr(MSRN_EFER), REG_EFER_LME | REG_EFER_LMA | REG_EFER_SCE);
	end();
}

/* --- speculation ---------------------------------------------------------- */

static void allow_speculation_controls(void)
{
	const struct os_mitigations allow = { .spec_ctrl = true };
	const uint32_t ext8[4] = { 0x3030, 1u << 12 | 1u << 14 | 1u << 24 };

	os_user_set_mitigations(&allow);
	os_user_set_cpuid(0x80000008, 0, ext8);
}

TEST(spec_ctrl_where_it_is_offered)
{
	const uint32_t none[4] = { 0x3030 };

	os_user_set_cpuid(0x80000008, 0, none);
	begin();
	check_refused(MSRN_SPEC_CTRL);
	check_refused(MSRN_PRED_CMD);
	end();
	allow_speculation_controls();
	begin();
	CHECK_EQ(read_msr(MSRN_SPEC_CTRL), 0);
	CHECK_EQ(msr_write(vcpu, MSRN_SPEC_CTRL, 5), 0);
	CHECK_EQ(read_msr(MSRN_SPEC_CTRL), 5);
	/* STIBP is not in this host. */
	CHECK_EQ(msr_write(vcpu, MSRN_SPEC_CTRL, 2), -EINVAL);
	CHECK_EQ(msr_write(vcpu, MSRN_SPEC_CTRL, 0x80), -EINVAL);
	end();
}

TEST(predictor_barrier_is_carried_out)
{
	uint64_t value;

	allow_speculation_controls();
	begin();
	CHECK_EQ(msr_read(vcpu, MSRN_PRED_CMD, &value), -EINVAL);
	CHECK_EQ(msr_write(vcpu, MSRN_PRED_CMD, 0), 0);
	CHECK_EQ(os_rdmsr_safe(MSRN_PRED_CMD, &value), -EIO);
	CHECK_EQ(msr_write(vcpu, MSRN_PRED_CMD, 1), 0);
	CHECK_EQ(os_rdmsr(MSRN_PRED_CMD), 1);
	CHECK_EQ(msr_write(vcpu, MSRN_PRED_CMD, 2), -EINVAL);
	end();
}

TEST(arch_capabilities_are_filtered)
{
	const uint32_t leaf7[4] = { 0, 0, 0, 1u << 29 };

	become_intel();
	os_user_set_cpuid(7, 0, leaf7);
	os_user_set_msr(MSRN_ARCH_CAPABILITIES, ~0ull);
	begin();
	/* TSX_CTRL is not offered, MDS_NO is passed on. */
	CHECK_EQ(read_msr(MSRN_ARCH_CAPABILITIES) & (1 << 7 | 1 << 5), 1 << 5);
	CHECK_EQ(msr_write(vcpu, MSRN_ARCH_CAPABILITIES, 0), -EINVAL);
	end();
}

/* --- the rest -------------------------------------------------------------- */

TEST(apic_base)
{
	begin();
	CHECK_EQ(read_msr(MSRN_APIC_BASE),
		 LAPIC_DEFAULT_BASE | MSRN_APIC_BASE_ENABLE | MSRN_APIC_BASE_BSP);
	CHECK_EQ(msr_write(vcpu, MSRN_APIC_BASE, ~0ull), -EINVAL);
	end();
}

TEST(x2apic_registers_only_in_x2apic_mode)
{
	uint64_t value;

	begin();
	CHECK_EQ(msr_read(vcpu, 0x802, &value), -EINVAL);
	CHECK_EQ(lapic_set_x2apic_state(vcpu, X2APIC_ENABLED), 0);
	CHECK_EQ(msr_write(vcpu, MSRN_APIC_BASE, read_msr(MSRN_APIC_BASE) | MSRN_APIC_BASE_X2APIC),
		 0);
	CHECK_EQ(read_msr(0x802), 0);
	CHECK_EQ(msr_write(vcpu, 0x802, 1), -EINVAL);
	end();
}

TEST(machine_check_banks_never_report)
{
	begin();
	CHECK_EQ(read_msr(MSRN_MCG_CAP), 4);
	CHECK_EQ(read_msr(MSRN_MCG_STATUS), 0);
	CHECK_EQ(msr_write(vcpu, MSRN_MCG_STATUS, 4), -EINVAL);
	for (uint32_t bank = 0; bank < 4; bank++) {
		CHECK_EQ(msr_write(vcpu, MSRN_MC0_CTL + 4 * bank, ~0ull - bank), 0);
		CHECK_EQ(read_msr(MSRN_MC0_CTL + 4 * bank), ~0ull - bank);
		CHECK_EQ(msr_write(vcpu, MSRN_MC0_STATUS + 4 * bank, 0), 0);
		CHECK_EQ(msr_write(vcpu, MSRN_MC0_STATUS + 4 * bank, 1), -EINVAL);
		CHECK_EQ(read_msr(MSRN_MC0_MISC + 4 * bank), 0);
	}
	end();
}

TEST(reset_and_init)
{
	begin();
	CHECK_EQ(msr_write(vcpu, MSRN_PAT, 0), 0);
	CHECK_EQ(msr_write(vcpu, MSRN_MTRR_DEF_TYPE, 0xc06), 0);
	CHECK_EQ(msr_write(vcpu, 0x200, 6), 0);
	vcpu_reset(vcpu, true);
	CHECK_EQ(read_msr(MSRN_PAT), 0);
	CHECK_EQ(read_msr(MSRN_MTRR_DEF_TYPE), 0xc06);
	CHECK_EQ(read_msr(0x200), 6);
	vcpu_reset(vcpu, false);
	CHECK_EQ(read_msr(MSRN_PAT), MSRN_PAT_RESET);
	CHECK_EQ(read_msr(MSRN_MTRR_DEF_TYPE), 0);
	CHECK_EQ(read_msr(0x200), 0);
	end();
}
