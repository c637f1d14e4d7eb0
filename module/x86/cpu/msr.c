// SPDX-License-Identifier: BSD-2-Clause
/*
 * The table of MSRs and the functions its rows name. Registers that belong to a
 * feature the guest is not shown, and those refused by a row without functions,
 * are #GP; what has no row at all is the program's to know.
 */
#include "x86/cpu/msr.h"
#include "dev/lapic.h"
#include "x86/cpu/context.h"
#include "x86/cpu/cpuid.h"
#include "x86/cpu/control.h"
#include "vm/regs.h"

/* MISC_ENABLE: fast strings; no branch trace store, no precise sampling. */
#define MISC_ENABLE_FAST_STRINGS (1ull << 0)
#define MISC_ENABLE_RESET	 (MISC_ENABLE_FAST_STRINGS | 1ull << 11 | 1ull << 12)

/* MTRRcap: fixed ranges, write combining, and as many variable ones as we keep. */
#define MTRR_VARIABLE_COUNT    8
#define MTRR_CAP	       (MTRR_VARIABLE_COUNT | 1ull << 8 | 1ull << 10)
#define MTRR_DEF_TYPE_RESERVED (~0xcffull)
#define MTRR_BASE_RESERVED     0xf00ull
#define MTRR_MASK_RESERVED     0x7ffull

/* HWCR: the TSC counts at the frequency of P0. The rest a guest may set in vain. */
#define HWCR_TSC_FREQ_SEL (1ull << 24)
#define HWCR_IGNORED	  (HWCR_TSC_FREQ_SEL | 1ull << 3 | 1ull << 6 | 1ull << 8 | 1ull << 18)

#define DEBUGCTL_IGNORED       0x3ull /* LBR, BTF */
#define SPEC_CTRL_PSFD	       (1ull << 7)
#define FLUSH_CMD_L1D	       (1ull << 0)
#define FEATURE_CONTROL_LOCKED 1ull

/*
 * ARCH_CAPABILITIES: immunities and ways to flush. Left out is what would need
 * MSRs of its own (TSX_CTRL, MCU_OPT_CTRL, FB_CLEAR_CTRL, XAPIC_DISABLE ...).
 */
#define ARCH_CAPABILITIES_SHOWN 0x1d1ae17full

/* --- reading constants, refusing, ignoring --------------------------------------------- */

static int read_zero(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	*value = 0;
	return 0;
}

static int write_ignored(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	(void)msr;
	(void)value;
	return 0;
}

static int write_zero_only(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	(void)msr;
	return value == 0 ? 0 : -EINVAL;
}

/* What the host has; 0 where it has not. */
static int read_host(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	if (os_rdmsr_safe(msr, value))
		*value = 0;
	return 0;
}

/* --- in the back end's hardware state --------------------------------------------------- */

static int read_backend(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	return backend->get_msr(vcpu, msr, value) ? -EINVAL : 0;
}

static int write_backend(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	return backend->set_msr(vcpu, msr, value) ? -EINVAL : 0;
}

static int write_address(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	if (!cpuid_canonical(vcpu->vm, value))
		return -EINVAL;
	return write_backend(vcpu, msr, value);
}

static int write_sfmask(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	return write_backend(vcpu, msr, value & 0xffffffff);
}

static int read_efer(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu_reg(vcpu, VM_REG_GUEST_EFER);
	return 0;
}

static int write_efer(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	return x86_write_efer(vcpu, value);
}

/* Branch recording and single-stepping on branches, if the back end switches them. */
static int read_debugctl(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	if (backend->get_msr(vcpu, msr, value))
		*value = 0;
	return 0;
}

static int write_debugctl(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	if (value & ~DEBUGCTL_IGNORED)
		return -EINVAL;
	(void)backend->set_msr(vcpu, msr, value);
	return 0;
}

/* --- time ----------------------------------------------------------------------------- */

static void set_tsc_offset(struct vcpu *vcpu, uint64_t offset)
{
	vcpu->tsc_offset = offset;
	backend->set_tsc_offset(vcpu, offset);
	lapic_tsc_changed(vcpu);
}

void msr_compensate_tsc(struct vcpu *vcpu, uint64_t change)
{
	set_tsc_offset(vcpu, vcpu->tsc_offset + change);
}

static int read_tsc(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = msr_guest_tsc(vcpu);
	return 0;
}

/* TSC and TSC_ADJUST move together (SDM vol. 3, 18.17.3). */
static int write_tsc(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	uint64_t offset = value - os_rdtsc();

	(void)msr;
	vcpu->tsc_adjust += offset - vcpu->tsc_offset;
	set_tsc_offset(vcpu, offset);
	return 0;
}

static int read_tsc_adjust(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->tsc_adjust;
	return 0;
}

static int write_tsc_adjust(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	uint64_t change = value - vcpu->tsc_adjust;

	(void)msr;
	vcpu->tsc_adjust = value;
	set_tsc_offset(vcpu, vcpu->tsc_offset + change);
	return 0;
}

static int read_deadline(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = lapic_get_deadline(vcpu);
	return 0;
}

static int write_deadline(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	lapic_set_deadline(vcpu, value);
	return 0;
}

static int read_tsc_aux(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	if (!vcpu->context->has_tsc_aux)
		return -EINVAL;
	*value = vcpu->context->tsc_aux;
	return 0;
}

static int write_tsc_aux(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	if (!vcpu->context->has_tsc_aux || value >> 32)
		return -EINVAL;
	context_set_tsc_aux(vcpu, value);
	return 0;
}

/* --- local APIC -------------------------------------------------------------------------- */

static int read_apic_base(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = lapic_get_base(vcpu);
	return 0;
}

static int write_apic_base(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	return lapic_set_base(vcpu, value);
}

/* --- memory types -------------------------------------------------------------------------- */

/* A type that an MTRR may hold; PAT has UC- (7) as well (APM vol. 2, 7.7 and 7.8). */
static bool is_memory_type(uint64_t type)
{
	return type <= 1 || (type >= 4 && type <= 6);
}

static int read_pat(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	if (backend->get_msr(vcpu, msr, value))
		*value = vcpu->pat;
	return 0;
}

static int write_pat(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	for (unsigned int i = 0; i < 8; i++) {
		uint64_t type = value >> (8 * i) & 0xff;

		if (!is_memory_type(type) && type != 7)
			return -EINVAL;
	}
	vcpu->pat = value;
	(void)backend->set_msr(vcpu, msr, value);
	return 0;
}

static int read_mtrr_cap(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	*value = MTRR_CAP;
	return 0;
}

static int read_mtrr_def_type(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->mtrr_def_type;
	return 0;
}

static int write_mtrr_def_type(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	if ((value & MTRR_DEF_TYPE_RESERVED) || !is_memory_type(value & 0xff))
		return -EINVAL;
	vcpu->mtrr_def_type = value;
	return 0;
}

static int read_mtrr_variable(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	*value = vcpu->mtrr_variable[msr - MSRN_MTRR_PHYSBASE0];
	return 0;
}

static int write_mtrr_variable(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	bool is_mask = (msr - MSRN_MTRR_PHYSBASE0) & 1;
	uint64_t reserved = cpuid_phys_reserved(vcpu->vm);

	reserved |= is_mask ? MTRR_MASK_RESERVED : MTRR_BASE_RESERVED;
	if ((value & reserved) || (!is_mask && !is_memory_type(value & 0xff)))
		return -EINVAL;
	vcpu->mtrr_variable[msr - MSRN_MTRR_PHYSBASE0] = value;
	return 0;
}

static uint64_t *mtrr_fixed(struct vcpu *vcpu, uint32_t msr)
{
	if (msr == MSRN_MTRR_FIX64K_00000)
		return &vcpu->mtrr_fixed[0];
	if (msr <= MSRN_MTRR_FIX16K_A0000)
		return &vcpu->mtrr_fixed[1 + msr - MSRN_MTRR_FIX16K_80000];
	return &vcpu->mtrr_fixed[3 + msr - MSRN_MTRR_FIX4K_C0000];
}

static int read_mtrr_fixed(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	*value = *mtrr_fixed(vcpu, msr);
	return 0;
}

static int write_mtrr_fixed(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	for (unsigned int i = 0; i < 8; i++) {
		if (!is_memory_type(value >> (8 * i) & 0xff))
			return -EINVAL;
	}
	*mtrr_fixed(vcpu, msr) = value;
	return 0;
}

/* --- machine check -------------------------------------------------------------------------- */

static int read_mcg_cap(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	*value = VCPU_MC_BANKS;
	return 0;
}

/* Four registers a bank: CTL, and STATUS, ADDR, MISC, which stay 0. */
static int read_mc_bank(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	uint32_t offset = msr - MSRN_MC0_CTL;

	*value = offset % 4 == 0 ? vcpu->mc_ctl[offset / 4] : 0;
	return 0;
}

static int write_mc_bank(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	uint32_t offset = msr - MSRN_MC0_CTL;

	if (offset % 4 == 0)
		vcpu->mc_ctl[offset / 4] = value;
	else if (value)
		return -EINVAL;
	return 0;
}

/* --- speculation ------------------------------------------------------------------------------ */

static uint64_t spec_ctrl_bits(const struct vm *vm)
{
	uint64_t bits = 0;

	if (cpuid_has(vm, CPU_IBRS) || cpuid_has(vm, CPU_AMD_IBRS))
		bits |= MSRN_SPEC_CTRL_IBRS;
	if (cpuid_has(vm, CPU_STIBP) || cpuid_has(vm, CPU_AMD_STIBP))
		bits |= MSRN_SPEC_CTRL_STIBP;
	if (cpuid_has(vm, CPU_SSBD) || cpuid_has(vm, CPU_AMD_SSBD))
		bits |= MSRN_SPEC_CTRL_SSBD;
	if (cpuid_has(vm, CPU_AMD_PSFD))
		bits |= SPEC_CTRL_PSFD;
	return bits;
}

static int read_spec_ctrl(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	if (!vcpu->context->has_spec_ctrl)
		return -EINVAL;
	*value = vcpu->context->spec_ctrl;
	return 0;
}

static int write_spec_ctrl(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	if (!vcpu->context->has_spec_ctrl || (value & ~spec_ctrl_bits(vcpu->vm)))
		return -EINVAL;
	context_set_spec_ctrl(vcpu, value);
	return 0;
}

static int write_pred_cmd(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	if (!cpuid_has(vcpu->vm, CPU_IBRS) && !cpuid_has(vcpu->vm, CPU_AMD_IBPB))
		return -EINVAL;
	if (value & ~MSRN_PRED_CMD_IBPB)
		return -EINVAL;
	if (value)
		os_wrmsr(msr, value);
	return 0;
}

static int write_flush_cmd(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	if (value & ~FLUSH_CMD_L1D)
		return -EINVAL;
	if (value)
		os_wrmsr(msr, value);
	return 0;
}

static int read_arch_capabilities(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)read_host(vcpu, msr, value);
	*value &= ARCH_CAPABILITIES_SHOWN;
	return 0;
}

/* --- Intel --------------------------------------------------------------------------------------- */

/* Locked by the firmware, with VMX off. */
static int read_feature_control(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	*value = FEATURE_CONTROL_LOCKED;
	return 0;
}

/* Highest ratio without turbo, and the lowest: both the TSC's, in units of 100 MHz. */
static int read_platform_info(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	uint64_t ratio = os_tsc_khz() / 100000;

	(void)vcpu;
	(void)msr;
	*value = (ratio & 0xff) << 8 | (ratio & 0xff) << 40;
	return 0;
}

static int read_misc_enable(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu->misc_enable;
	return 0;
}

static int write_misc_enable(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr;
	if ((value ^ vcpu->misc_enable) & ~MISC_ENABLE_FAST_STRINGS)
		return -EINVAL;
	vcpu->misc_enable = value;
	return 0;
}

/* --- AMD ------------------------------------------------------------------------------------------- */

static int read_hwcr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	*value = HWCR_TSC_FREQ_SEL;
	return 0;
}

static int write_hwcr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	(void)msr;
	return value & ~HWCR_IGNORED ? -EINVAL : 0;
}

/* SVM has been disabled, as CPUID says too. */
static int read_vm_cr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	*value = MSRN_VM_CR_SVMDIS;
	return 0;
}

static int write_vm_cr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	(void)msr;
	return value & ~MSRN_VM_CR_SVMDIS ? -EINVAL : 0;
}

/* LFENCE serializes; a guest that makes sure of it finds it so. */
static int read_de_cfg(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	*value = MSRN_DE_CFG_LFENCE_SERIALIZE;
	return 0;
}

static int write_de_cfg(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	(void)msr;
	return value & ~MSRN_DE_CFG_LFENCE_SERIALIZE ? -EINVAL : 0;
}

/* --- the table --------------------------------------------------------------------------------------- */

/* One register, or a range; the last two arguments may be NULL: #GP. */
#define ONE(msr_, read_, write_)                                                    \
	{                                                                           \
		.first = (msr_), .last = (msr_), .read = (read_), .write = (write_) \
	}
#define RANGE(first_, last_, read_, write_)                                            \
	{                                                                              \
		.first = (first_), .last = (last_), .read = (read_), .write = (write_) \
	}
#define NEEDS(msr_, feature_, read_, write_)                                             \
	{                                                                                \
		.first = (msr_), .last = (msr_), .feature = (feature_), .read = (read_), \
		.write = (write_)                                                        \
	}
#define NEEDS_RANGE(first_, last_, feature_, read_, write_)                                 \
	{                                                                                   \
		.first = (first_), .last = (last_), .feature = (feature_), .read = (read_), \
		.write = (write_)                                                           \
	}
#define INTEL(msr_, read_, write_)                                                            \
	{                                                                                     \
		.first = (msr_), .last = (msr_), .vendor = CPU_VENDOR_INTEL, .read = (read_), \
		.write = (write_)                                                             \
	}
#define AMD(msr_, read_, write_)                                                            \
	{                                                                                   \
		.first = (msr_), .last = (msr_), .vendor = CPU_VENDOR_AMD, .read = (read_), \
		.write = (write_)                                                           \
	}
#define REFUSED(first_, last_)                     \
	{                                          \
		.first = (first_), .last = (last_) \
	}

/* Sorted by number. */
const struct msr_row msr_rows[] = {
	RANGE(MSRN_P5_MC_ADDR, MSRN_P5_MC_TYPE, read_zero, write_zero_only),
	NEEDS(MSRN_TSC, CPU_TSC, read_tsc, write_tsc),
	INTEL(MSRN_PLATFORM_ID, read_host, NULL),
	NEEDS(MSRN_APIC_BASE, CPU_APIC, read_apic_base, write_apic_base),
	INTEL(MSRN_EBL_CR_POWERON, read_zero, write_zero_only),
	INTEL(MSRN_FEATURE_CONTROL, read_feature_control, NULL),
	NEEDS(MSRN_TSC_ADJUST, CPU_TSC_ADJUST, read_tsc_adjust, write_tsc_adjust),
	ONE(MSRN_SPEC_CTRL, read_spec_ctrl, write_spec_ctrl),
	ONE(MSRN_PRED_CMD, NULL, write_pred_cmd),
	INTEL(MSRN_BIOS_UPDATE_TRIGGER, NULL, write_ignored),
	ONE(MSRN_PATCH_LEVEL, read_host, write_ignored), /* BIOS_SIGN_ID on Intel */
	REFUSED(0x0c1, 0x0c8),				 /* performance counters */
	INTEL(MSRN_PLATFORM_INFO, read_platform_info, NULL),
	REFUSED(MSRN_CORE_CAPABILITIES, MSRN_CORE_CAPABILITIES),
	REFUSED(MSRN_MPERF, MSRN_APERF),
	NEEDS(MSRN_MTRR_CAP, CPU_MTRR, read_mtrr_cap, NULL),
	NEEDS(MSRN_ARCH_CAPABILITIES, CPU_ARCH_CAPABILITIES, read_arch_capabilities, NULL),
	NEEDS(MSRN_FLUSH_CMD, CPU_L1D_FLUSH, NULL, write_flush_cmd),
	INTEL(MSRN_MISC_FEATURES_ENABLES, read_zero, write_zero_only),
	NEEDS(MSRN_SYSENTER_CS, CPU_SEP, read_backend, write_backend),
	NEEDS(MSRN_SYSENTER_ESP, CPU_SEP, read_backend, write_address),
	NEEDS(MSRN_SYSENTER_EIP, CPU_SEP, read_backend, write_address),
	NEEDS(MSRN_MCG_CAP, CPU_MCA, read_mcg_cap, NULL),
	NEEDS(MSRN_MCG_STATUS, CPU_MCA, read_zero, write_zero_only),
	REFUSED(MSRN_MCG_CTL, MSRN_MCG_CTL),
	REFUSED(0x186, 0x18d), /* performance event select */
	INTEL(MSRN_PERF_STATUS, read_zero, NULL),
	INTEL(MSRN_MISC_ENABLE, read_misc_enable, write_misc_enable),
	REFUSED(MSRN_XFD, MSRN_XFD_ERR),
	ONE(MSRN_DEBUGCTL, read_debugctl, write_debugctl),
	NEEDS_RANGE(MSRN_MTRR_PHYSBASE0, MSRN_MTRR_PHYSMASK7, CPU_MTRR, read_mtrr_variable,
		    write_mtrr_variable),
	NEEDS(MSRN_MTRR_FIX64K_00000, CPU_MTRR, read_mtrr_fixed, write_mtrr_fixed),
	NEEDS_RANGE(MSRN_MTRR_FIX16K_80000, MSRN_MTRR_FIX16K_A0000, CPU_MTRR, read_mtrr_fixed,
		    write_mtrr_fixed),
	NEEDS_RANGE(MSRN_MTRR_FIX4K_C0000, MSRN_MTRR_FIX4K_F8000, CPU_MTRR, read_mtrr_fixed,
		    write_mtrr_fixed),
	NEEDS(MSRN_PAT, CPU_PAT, read_pat, write_pat),
	NEEDS(MSRN_MTRR_DEF_TYPE, CPU_MTRR, read_mtrr_def_type, write_mtrr_def_type),
	REFUSED(0x309, 0x30c), /* fixed performance counters */
	REFUSED(0x345, 0x345), /* PERF_CAPABILITIES */
	REFUSED(0x38d, 0x391), /* control of performance counters */
	NEEDS_RANGE(MSRN_MC0_CTL, MSRN_MC0_CTL + 4 * VCPU_MC_BANKS - 1, CPU_MCA, read_mc_bank,
		    write_mc_bank),
	REFUSED(MSRN_MC0_CTL + 4 * VCPU_MC_BANKS, 0x47f), /* more banks */
	NEEDS(MSRN_TSC_DEADLINE, CPU_TSC_DEADLINE, read_deadline, write_deadline),
	RANGE(MSRN_X2APIC_FIRST, MSRN_X2APIC_LAST, lapic_rdmsr, lapic_wrmsr),
	REFUSED(MSRN_XSS, MSRN_XSS),
	NEEDS(MSRN_EFER, CPU_LM, read_efer, write_efer),
	NEEDS(MSRN_STAR, CPU_SYSCALL, read_backend, write_backend),
	NEEDS(MSRN_LSTAR, CPU_LM, read_backend, write_address),
	NEEDS(MSRN_CSTAR, CPU_LM, read_backend, write_address),
	NEEDS(MSRN_SFMASK, CPU_LM, read_backend, write_sfmask),
	NEEDS_RANGE(MSRN_FS_BASE, MSRN_KERNEL_GS_BASE, CPU_LM, read_backend, write_address),
	ONE(MSRN_TSC_AUX, read_tsc_aux, write_tsc_aux),
	REFUSED(MSRN_TSC_RATIO, MSRN_TSC_RATIO),
	REFUSED(MSRN_MC4_MISC_FIRST, MSRN_MC4_MISC_FIRST + 8),
	REFUSED(0xc0002000, 0xc00023ff), /* machine check banks of newer AMD processors */
	REFUSED(0xc0010000, 0xc0010007), /* performance counters */
	AMD(MSRN_SYSCFG, read_zero, write_ignored),
	AMD(MSRN_HWCR, read_hwcr, write_hwcr),
	REFUSED(MSRN_TOP_MEM, MSRN_TOP_MEM),
	REFUSED(MSRN_TOP_MEM2, MSRN_TOP_MEM2),
	AMD(MSRN_NB_CFG, read_zero, write_ignored),
	AMD(MSRN_PATCH_LOADER, NULL, write_ignored),
	AMD(MSRN_INT_PENDING, read_zero, write_ignored),
	REFUSED(MSRN_MMIO_CFG_BASE, MSRN_MMIO_CFG_BASE),
	REFUSED(MSRN_PSTATE_LIMIT, MSRN_PSTATE_DEF0 + 7),
	REFUSED(MSRN_SMM_BASE, MSRN_SMM_MASK),
	AMD(MSRN_VM_CR, read_vm_cr, write_vm_cr),
	REFUSED(MSRN_VM_HSAVE_PA, MSRN_VM_HSAVE_PA),
	REFUSED(MSRN_VIRT_SPEC_CTRL, MSRN_VIRT_SPEC_CTRL),
	REFUSED(MSRN_OSVW_ID_LENGTH, MSRN_OSVW_STATUS),
	REFUSED(0xc0010200, 0xc001020b), /* performance counters of the core */
	AMD(MSRN_LS_CFG, NULL, NULL),	 /* would promise a way to disable store bypass */
	AMD(MSRN_IC_CFG, read_zero, write_ignored),
	AMD(MSRN_DC_CFG, read_zero, write_ignored),
	AMD(MSRN_FP_CFG, read_zero, write_ignored),
	AMD(MSRN_DE_CFG, read_de_cfg, write_de_cfg),
	AMD(MSRN_BU_CFG2, read_zero, write_ignored),
};

const unsigned int msr_row_count = ARRAY_SIZE(msr_rows);

static const struct msr_row *search_row(uint32_t msr)
{
	unsigned int low = 0;
	unsigned int high = ARRAY_SIZE(msr_rows);

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (msr > msr_rows[middle].last)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == ARRAY_SIZE(msr_rows) || msr < msr_rows[low].first)
		return NULL;
	return &msr_rows[low];
}

/* 1 + a register's row, for the blocks of numbers that processors have registers in; 0: none. */
#define LOW_REGISTERS 0x1000u
#define AMD64_BASE    0xc0000000u
#define AMD64_COUNT   0x200u

static uint8_t low_row[LOW_REGISTERS];
static uint8_t amd64_row[AMD64_COUNT];
static_assert(ARRAY_SIZE(msr_rows) < 256);

static void fill_rows(uint8_t *rows, uint32_t base, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct msr_row *row = search_row(base + i);

		rows[i] = row ? (uint8_t)(row - msr_rows + 1) : 0;
	}
}

void msr_init(void)
{
	fill_rows(low_row, 0, LOW_REGISTERS);
	fill_rows(amd64_row, AMD64_BASE, AMD64_COUNT);
}

static __always_inline const struct msr_row *find_row(uint32_t msr)
{
	unsigned int row;

	if (likely(msr < LOW_REGISTERS))
		row = low_row[os_index_nospec(msr, LOW_REGISTERS)];
	else if (msr - AMD64_BASE < AMD64_COUNT)
		row = amd64_row[os_index_nospec(msr - AMD64_BASE, AMD64_COUNT)];
	else
		return search_row(msr);
	return row ? &msr_rows[row - 1] : NULL;
}

static bool is_shown(const struct vm *vm, const struct msr_row *row)
{
	if (row->vendor && row->vendor != vm->cpuid->vendor)
		return false;
	return cpuid_has(vm, row->feature);
}

int msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	const struct msr_row *row = find_row(msr);

	if (!row)
		return -ENOENT;
	if (unlikely(!row->read) || unlikely(!is_shown(vcpu->vm, row)))
		return -EINVAL;
	return row->read(vcpu, msr, value);
}

int msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	const struct msr_row *row = find_row(msr);

	if (!row)
		return -ENOENT;
	if (unlikely(!row->write) || unlikely(!is_shown(vcpu->vm, row)))
		return -EINVAL;
	return row->write(vcpu, msr, value);
}

void msr_reset(struct vcpu *vcpu, bool init)
{
	/* INIT leaves them alone (APM vol. 2, 14.1.3). */
	if (init)
		return;
	(void)write_pat(vcpu, MSRN_PAT, MSRN_PAT_RESET);
	vcpu->mtrr_def_type = 0;
	memset(vcpu->mtrr_fixed, 0, sizeof(vcpu->mtrr_fixed));
	memset(vcpu->mtrr_variable, 0, sizeof(vcpu->mtrr_variable));
	memset(vcpu->mc_ctl, 0, sizeof(vcpu->mc_ctl));
	vcpu->misc_enable = MISC_ENABLE_RESET;
}
