// SPDX-License-Identifier: BSD-2-Clause
/*
 * The table of MSRs and the functions its rows name. Registers that belong to a
 * feature the guest is not shown, and those refused by a row without functions,
 * are #GP; what has no row at all is left to userspace.
 */
#include "x86/cpu/msr.h"
#include "dev/lapic.h"
#include "x86/cpu/context.h"
#include "x86/cpu/cpuid.h"
#include "x86/cpu/control.h"
#include "vm/regs.h"

/*
 * MISC_ENABLE (SDM vol. 4, table 2-2): no branch trace store, no precise sampling. Bits of
 * heat, prefetching and turbo are the guest's to set; those about what CPUID shows stay 0.
 */
#define MISC_ENABLE_FAST_STRINGS (1ull << 0)
#define MISC_ENABLE_RESET	 (MISC_ENABLE_FAST_STRINGS | 1ull << 11 | 1ull << 12)
#define MISC_ENABLE_KEPT                                                                           \
	(MISC_ENABLE_FAST_STRINGS | 1ull << 3 | 1ull << 9 | 1ull << 19 | 1ull << 23 | 1ull << 37 | \
	 1ull << 38 | 1ull << 39)
#define MISC_ENABLE_ACCEPTED                                                                       \
	(MISC_ENABLE_KEPT | MISC_ENABLE_RESET | 1ull << 7 | 1ull << 10 | 1ull << 13 | 1ull << 16 | \
	 1ull << 18 | 1ull << 20 | 1ull << 22 | 1ull << 24 | 1ull << 34)

/* MTRRcap: fixed ranges, write combining, and as many variable ones as we keep. */
#define MTRR_VARIABLE_COUNT    8
#define MTRR_CAP	       (MTRR_VARIABLE_COUNT | 1ull << 8 | 1ull << 10)
#define MTRR_DEF_TYPE_RESERVED (~0xcffull)
#define MTRR_BASE_RESERVED     0xf00ull
#define MTRR_MASK_RESERVED     0x7ffull

/*
 * HWCR: the TSC counts at the frequency of P0; MCi_STATUS may be made writable. The rest a
 * guest may set without effect: TLB cache, INVD, flush filter, IGNNE, boost.
 */
#define HWCR_MC_STATUS_WRITABLE (1ull << 18)
#define HWCR_TSC_FREQ_SEL	(1ull << 24)
#define HWCR_ACCEPTED                                                                      \
	(HWCR_MC_STATUS_WRITABLE | HWCR_TSC_FREQ_SEL | 1ull << 3 | 1ull << 4 | 1ull << 6 | \
	 1ull << 8 | 1ull << 25)

#define DEBUGCTL_SWITCHED      0x3ull  /* LBR, BTF */
#define DEBUGCTL_PINS	       0x3cull /* AMD: once what the breakpoint pins showed */
#define CST_CONFIG_LOCKED      (1ull << 15)
#define ENERGY_BIAS_NORMAL     6ull
#define SPEC_CTRL_PSFD	       (1ull << 7)
#define FEATURE_CONTROL_LOCKED 1ull

/*
 * ARCH_CAPABILITIES: immunities and ways to flush. Left out is what would need
 * MSRs of its own (TSX_CTRL, MCU_OPT_CTRL, FB_CLEAR_CTRL, XAPIC_DISABLE ...).
 */
#define ARCH_CAPABILITIES_SHOWN 0x1d1ae17full

/* --- in the back end's hardware state -------------------------------------- */

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

static int read_efer(struct vcpu *vcpu, uint64_t *value)
{
	*value = vcpu_reg(vcpu, VM_REG_GUEST_EFER);
	return 0;
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
	if (vcpu->vm->cpuid->vendor == CPU_VENDOR_AMD)
		value &= ~DEBUGCTL_PINS;
	if (value & ~DEBUGCTL_SWITCHED)
		return -EINVAL;
	(void)backend->set_msr(vcpu, msr, value);
	return 0;
}

/* --- time ------------------------------------------------------------------ */

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

static int read_tsc(struct vcpu *vcpu, uint64_t *value)
{
	*value = msr_guest_tsc(vcpu);
	return 0;
}

/* TSC and TSC_ADJUST move together (SDM vol. 3, 18.17.3). */
static int write_tsc(struct vcpu *vcpu, uint64_t value)
{
	uint64_t offset = value - os_rdtsc();

	vcpu->tsc_adjust += offset - vcpu->tsc_offset;
	set_tsc_offset(vcpu, offset);
	return 0;
}

static int write_tsc_adjust(struct vcpu *vcpu, uint64_t value)
{
	uint64_t change = value - vcpu->tsc_adjust;

	vcpu->tsc_adjust = value;
	set_tsc_offset(vcpu, vcpu->tsc_offset + change);
	return 0;
}

static int read_deadline(struct vcpu *vcpu, uint64_t *value)
{
	*value = lapic_get_deadline(vcpu);
	return 0;
}

static int write_deadline(struct vcpu *vcpu, uint64_t value)
{
	lapic_set_deadline(vcpu, value);
	return 0;
}

static int read_tsc_aux(struct vcpu *vcpu, uint64_t *value)
{
	if (!vcpu->context->has_tsc_aux)
		return -EINVAL;
	*value = vcpu->context->tsc_aux;
	return 0;
}

static int write_tsc_aux(struct vcpu *vcpu, uint64_t value)
{
	if (!vcpu->context->has_tsc_aux || value >> 32)
		return -EINVAL;
	context_set_tsc_aux(vcpu, value);
	return 0;
}

/* --- local APIC ------------------------------------------------------------ */

static int read_apic_base(struct vcpu *vcpu, uint64_t *value)
{
	*value = lapic_get_base(vcpu);
	return 0;
}

/* Bits above MAXPHYADDR are reserved (SDM vol. 3, 11.4.4). */
static int write_apic_base(struct vcpu *vcpu, uint64_t value)
{
	if (value & cpuid_phys_reserved(vcpu->vm))
		return -EINVAL;
	return lapic_set_base(vcpu, value);
}

/* --- memory types ---------------------------------------------------------- */

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

static int write_mtrr_def_type(struct vcpu *vcpu, uint64_t value)
{
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

bool msr_is_mtrr(uint32_t msr)
{
	return (msr >= MSRN_MTRR_PHYSBASE0 && msr <= MSRN_MTRR_PHYSMASK7) ||
	       msr == MSRN_MTRR_FIX64K_00000 ||
	       (msr >= MSRN_MTRR_FIX16K_80000 && msr <= MSRN_MTRR_FIX16K_A0000) ||
	       (msr >= MSRN_MTRR_FIX4K_C0000 && msr <= MSRN_MTRR_FIX4K_F8000) ||
	       msr == MSRN_MTRR_DEF_TYPE;
}

/* --- machine check --------------------------------------------------------- */

static int read_mc_bank(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	*value = vcpu->mc_bank[msr - MSRN_MC0_CTL];
	return 0;
}

/* STATUS, ADDR and MISC can only be cleared (APM vol. 2, 9.3.2), unless AMD's HWCR says so. */
static int write_mc_bank(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	uint32_t offset = msr - MSRN_MC0_CTL;

	if (offset % 4 != 0 && value && !(vcpu->hwcr & HWCR_MC_STATUS_WRITABLE))
		return -EINVAL;
	vcpu->mc_bank[offset] = value;
	return 0;
}

/* --- speculation ----------------------------------------------------------- */

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

static int read_spec_ctrl(struct vcpu *vcpu, uint64_t *value)
{
	if (!vcpu->context->has_spec_ctrl)
		return -EINVAL;
	*value = vcpu->context->spec_ctrl;
	return 0;
}

static int write_spec_ctrl(struct vcpu *vcpu, uint64_t value)
{
	if (!vcpu->context->has_spec_ctrl || (value & ~spec_ctrl_bits(vcpu->vm)))
		return -EINVAL;
	context_set_spec_ctrl(vcpu, value);
	return 0;
}

/* A register of commands: those in 'accepted' are for the host's processor to carry out. */
static int write_host_command(uint32_t msr, uint64_t value, uint64_t accepted)
{
	if (value & ~accepted)
		return -EINVAL;
	if (value)
		os_wrmsr(msr, value);
	return 0;
}

static int write_pred_cmd(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	if (!cpuid_has(vcpu->vm, CPU_IBRS) && !cpuid_has(vcpu->vm, CPU_AMD_IBPB))
		return -EINVAL;
	return write_host_command(msr, value, MSRN_PRED_CMD_IBPB);
}

/* What the host has of a register; 0 where it has none. Out of line, for its stack protector. */
static noinline uint64_t host_msr(uint32_t msr)
{
	uint64_t value;

	return os_rdmsr_safe(msr, &value) ? 0 : value;
}

static uint64_t arch_capabilities(void)
{
	return host_msr(MSRN_ARCH_CAPABILITIES) & ARCH_CAPABILITIES_SHOWN;
}

/* --- Intel ----------------------------------------------------------------- */

/* Highest ratio without turbo, and the lowest: both the TSC's, in units of 100 MHz. */
static uint64_t platform_info(void)
{
	uint64_t ratio = os_tsc_khz() / 100000;

	return (ratio & 0xff) << 8 | (ratio & 0xff) << 40;
}

/* A byte for each number of busy cores: none makes the others faster. */
static uint64_t turbo_ratio_limit(void)
{
	return (os_tsc_khz() / 100000 & 0xff) * 0x0101010101010101ull;
}

/* --- the table ------------------------------------------------------------- */

/* Which registers, and who has them. */
#define ONE(msr)	.first = (msr), .last = (msr)
#define RANGE(from, to) .first = (from), .last = (to)
#define NEEDS(feature_) .feature = (feature_)
#define INTEL		.vendor = CPU_VENDOR_INTEL
#define AMD		.vendor = CPU_VENDOR_AMD

/* How they are read; #GP without one of these. */
#define READS(value)	  .read_form = MSR_READ_CONSTANT, .constant = (value)
#define READS_FIELD(name) .read_form = MSR_READ_FIELD, .field = offsetof(struct vcpu, name)
#define READS_HOST	  .read_form = MSR_READ_HOST
#define READS_MACHINE(fn) .read_form = MSR_READ_MACHINE, .machine = (fn)
#define READ_BY(fn)	  .read_form = MSR_READ_VCPU, .get = (fn)
#define READ_NUMBERED(fn) .read_form = MSR_READ_NUMBERED, .read = (fn)

/* How they are written; #GP without one of these, and for any bit that is not accepted. */
#define IGNORES(bits) .write_form = MSR_WRITE_IGNORED, .accepted = (bits)
/* Into the field of READS_FIELD. */
#define KEEPS(bits, kept_) .write_form = MSR_WRITE_FIELD, .accepted = (bits), .kept = (kept_)
#define COMMANDS(bits)	   .write_form = MSR_WRITE_COMMAND, .accepted = (bits)
#define WRITE_BY(fn)	   .write_form = MSR_WRITE_VCPU, .set = (fn)
#define WRITE_NUMBERED(fn) .write_form = MSR_WRITE_NUMBERED, .write = (fn)

#define ZERO_ONLY 0ull
#define ANYTHING  (~0ull)

/* Sorted by number. */
const struct msr_row msr_rows[] = {
	{ RANGE(MSRN_P5_MC_ADDR, MSRN_P5_MC_TYPE), READS(0), IGNORES(ZERO_ONLY) },
	{ ONE(MSRN_TSC), NEEDS(CPU_TSC), READ_BY(read_tsc), WRITE_BY(write_tsc) },
	{ ONE(MSRN_PLATFORM_ID), INTEL, READS_HOST },
	{ ONE(MSRN_APIC_BASE), NEEDS(CPU_APIC), READ_BY(read_apic_base),
	  WRITE_BY(write_apic_base) },
	{ ONE(MSRN_EBL_CR_POWERON), INTEL, READS(0), IGNORES(ZERO_ONLY) },
	{ ONE(MSRN_SMI_COUNT), INTEL, READS(0) },
	/* Locked by the firmware, with VMX off. */
	{ ONE(MSRN_FEATURE_CONTROL), INTEL, READS(FEATURE_CONTROL_LOCKED) },
	{ ONE(MSRN_TSC_ADJUST), NEEDS(CPU_TSC_ADJUST), READS_FIELD(tsc_adjust),
	  WRITE_BY(write_tsc_adjust) },
	{ ONE(MSRN_SPEC_CTRL), READ_BY(read_spec_ctrl), WRITE_BY(write_spec_ctrl) },
	{ ONE(MSRN_PRED_CMD), WRITE_NUMBERED(write_pred_cmd) },
	{ ONE(MSRN_BIOS_UPDATE_TRIGGER), INTEL, IGNORES(ANYTHING) },
	{ ONE(MSRN_PATCH_LEVEL), READS_HOST, IGNORES(ANYTHING) }, /* BIOS_SIGN_ID on Intel */
	{ RANGE(0x0c1, 0x0c8) },				  /* performance counters */
	{ ONE(MSRN_PLATFORM_INFO), INTEL, READS_MACHINE(platform_info) },
	{ ONE(MSRN_CORE_CAPABILITIES) },
	{ ONE(MSRN_PKG_CST_CONFIG), INTEL, READS(CST_CONFIG_LOCKED), IGNORES(ANYTHING) },
	{ RANGE(MSRN_MPERF, MSRN_APERF) },
	{ ONE(MSRN_MTRR_CAP), NEEDS(CPU_MTRR), READS(MTRR_CAP) },
	{ ONE(MSRN_ARCH_CAPABILITIES), NEEDS(CPU_ARCH_CAPABILITIES),
	  READS_MACHINE(arch_capabilities) },
	{ ONE(MSRN_FLUSH_CMD), NEEDS(CPU_L1D_FLUSH), COMMANDS(MSRN_FLUSH_CMD_L1D) },
	{ ONE(MSRN_MISC_FEATURES_ENABLES), INTEL, READS(0), IGNORES(ZERO_ONLY) },
	{ ONE(MSRN_SYSENTER_CS), NEEDS(CPU_SEP), READ_NUMBERED(read_backend),
	  WRITE_NUMBERED(write_backend) },
	{ RANGE(MSRN_SYSENTER_ESP, MSRN_SYSENTER_EIP), NEEDS(CPU_SEP), READ_NUMBERED(read_backend),
	  WRITE_NUMBERED(write_address) },
	{ ONE(MSRN_MCG_CAP), NEEDS(CPU_MCA), READS(VCPU_MC_BANKS) },
	{ ONE(MSRN_MCG_STATUS), NEEDS(CPU_MCA), READS(0), IGNORES(ZERO_ONLY) },
	{ ONE(MSRN_MCG_CTL) },
	{ RANGE(0x186, 0x18d) }, /* performance event select */
	{ ONE(MSRN_PERF_STATUS), INTEL, READS(0) },
	{ ONE(MSRN_PERF_CTL), INTEL, READS(0), IGNORES(ANYTHING) },
	{ RANGE(MSRN_CLOCK_MODULATION, MSRN_THERM_STATUS), INTEL, READS(0), IGNORES(ANYTHING) },
	{ ONE(MSRN_MISC_ENABLE), INTEL, READS_FIELD(misc_enable),
	  KEEPS(MISC_ENABLE_ACCEPTED, MISC_ENABLE_KEPT) },
	{ ONE(MSRN_TEMPERATURE_TARGET), INTEL, READS(0), IGNORES(ANYTHING) },
	{ ONE(MSRN_TURBO_RATIO_LIMIT), INTEL, READS_MACHINE(turbo_ratio_limit) },
	{ ONE(MSRN_ENERGY_PERF_BIAS), INTEL, READS(ENERGY_BIAS_NORMAL), IGNORES(0xf) },
	{ RANGE(MSRN_XFD, MSRN_XFD_ERR) },
	{ ONE(MSRN_DEBUGCTL), READ_NUMBERED(read_debugctl), WRITE_NUMBERED(write_debugctl) },
	{ RANGE(MSRN_LAST_BRANCH_FROM, MSRN_LAST_INT_TO), AMD, READS(0), IGNORES(ANYTHING) },
	{ ONE(MSRN_POWER_CTL), INTEL, READS(0), IGNORES(ANYTHING) },
	{ RANGE(MSRN_MTRR_PHYSBASE0, MSRN_MTRR_PHYSMASK7), NEEDS(CPU_MTRR),
	  READ_NUMBERED(read_mtrr_variable), WRITE_NUMBERED(write_mtrr_variable) },
	{ ONE(MSRN_MTRR_FIX64K_00000), NEEDS(CPU_MTRR), READ_NUMBERED(read_mtrr_fixed),
	  WRITE_NUMBERED(write_mtrr_fixed) },
	{ RANGE(MSRN_MTRR_FIX16K_80000, MSRN_MTRR_FIX16K_A0000), NEEDS(CPU_MTRR),
	  READ_NUMBERED(read_mtrr_fixed), WRITE_NUMBERED(write_mtrr_fixed) },
	{ RANGE(MSRN_MTRR_FIX4K_C0000, MSRN_MTRR_FIX4K_F8000), NEEDS(CPU_MTRR),
	  READ_NUMBERED(read_mtrr_fixed), WRITE_NUMBERED(write_mtrr_fixed) },
	{ ONE(MSRN_PAT), NEEDS(CPU_PAT), READ_NUMBERED(read_pat), WRITE_NUMBERED(write_pat) },
	{ ONE(MSRN_MTRR_DEF_TYPE), NEEDS(CPU_MTRR), READS_FIELD(mtrr_def_type),
	  WRITE_BY(write_mtrr_def_type) },
	{ RANGE(0x309, 0x30c) }, /* fixed performance counters */
	{ ONE(0x345) },		 /* PERF_CAPABILITIES */
	{ RANGE(0x38d, 0x391) }, /* control of performance counters */
	{ RANGE(MSRN_MC0_CTL, MSRN_MC0_CTL + 4 * VCPU_MC_BANKS - 1), NEEDS(CPU_MCA),
	  READ_NUMBERED(read_mc_bank), WRITE_NUMBERED(write_mc_bank) },
	{ RANGE(MSRN_MC0_CTL + 4 * VCPU_MC_BANKS, 0x47f) }, /* more banks */
	{ ONE(MSRN_RAPL_POWER_UNIT), INTEL, READS(0) },
	{ ONE(MSRN_PKG_ENERGY_STATUS), INTEL, READS(0) },
	{ ONE(MSRN_DRAM_ENERGY_STATUS), INTEL, READS(0) },
	{ ONE(MSRN_PP0_ENERGY_STATUS), INTEL, READS(0) },
	{ ONE(MSRN_PP1_ENERGY_STATUS), INTEL, READS(0) },
	{ ONE(MSRN_TSC_DEADLINE), NEEDS(CPU_TSC_DEADLINE), READ_BY(read_deadline),
	  WRITE_BY(write_deadline) },
	{ RANGE(MSRN_X2APIC_FIRST, MSRN_X2APIC_LAST), READ_NUMBERED(lapic_rdmsr),
	  WRITE_NUMBERED(lapic_wrmsr) },
	{ ONE(MSRN_XSS) },
	{ ONE(MSRN_EFER), NEEDS(CPU_LM), READ_BY(read_efer), WRITE_BY(x86_write_efer) },
	{ ONE(MSRN_STAR), NEEDS(CPU_SYSCALL), READ_NUMBERED(read_backend),
	  WRITE_NUMBERED(write_backend) },
	{ RANGE(MSRN_LSTAR, MSRN_CSTAR), NEEDS(CPU_LM), READ_NUMBERED(read_backend),
	  WRITE_NUMBERED(write_address) },
	{ ONE(MSRN_SFMASK), NEEDS(CPU_LM), READ_NUMBERED(read_backend),
	  WRITE_NUMBERED(write_sfmask) },
	{ RANGE(MSRN_FS_BASE, MSRN_KERNEL_GS_BASE), NEEDS(CPU_LM), READ_NUMBERED(read_backend),
	  WRITE_NUMBERED(write_address) },
	{ ONE(MSRN_TSC_AUX), READ_BY(read_tsc_aux), WRITE_BY(write_tsc_aux) },
	{ ONE(MSRN_TSC_RATIO) },
	{ RANGE(MSRN_MC4_MISC_FIRST, MSRN_MC4_MISC_FIRST + 8) },
	{ RANGE(0xc0002000, 0xc00023ff) }, /* machine check banks of newer AMD processors */
	/* Event selects and counters, without a bit in CPUID: nothing is counted. */
	{ RANGE(MSRN_PERF_EVENT_SELECT0, MSRN_PERF_COUNTER3), AMD, READS(0), IGNORES(ANYTHING) },
	{ ONE(MSRN_SYSCFG), AMD, READS(0), IGNORES(ANYTHING) },
	{ ONE(MSRN_HWCR), AMD, READS_FIELD(hwcr), KEEPS(HWCR_ACCEPTED, HWCR_MC_STATUS_WRITABLE) },
	{ RANGE(MSRN_IORR_FIRST, MSRN_IORR_LAST), AMD, READS(0), IGNORES(ANYTHING) },
	{ ONE(MSRN_TOP_MEM), AMD, READS(0), IGNORES(ANYTHING) },
	{ ONE(MSRN_TOP_MEM2), AMD, READS(0), IGNORES(ANYTHING) },
	{ ONE(MSRN_NB_CFG), AMD, READS(0), IGNORES(ANYTHING) },
	{ ONE(MSRN_PATCH_LOADER), AMD, IGNORES(ANYTHING) },
	{ RANGE(MSRN_MC0_CTL_MASK, MSRN_MC6_CTL_MASK), AMD, READS(0), IGNORES(ANYTHING) },
	{ ONE(MSRN_INT_PENDING), AMD, READS(0), IGNORES(ANYTHING) },
	{ ONE(MSRN_MMIO_CFG_BASE), AMD, READS(0), IGNORES(ANYTHING) },
	/* P-state 0 is the limit and the current one; no definition is enabled. */
	{ RANGE(MSRN_PSTATE_LIMIT, MSRN_PSTATE_DEF0 + 7), AMD, READS(0), IGNORES(ANYTHING) },
	{ ONE(MSRN_SMM_BASE) },
	{ RANGE(MSRN_SMM_ADDR, MSRN_SMM_MASK), AMD, READS(0), IGNORES(ANYTHING) },
	/* SVM has been disabled, as CPUID says too. */
	{ ONE(MSRN_VM_CR), AMD, READS(MSRN_VM_CR_SVMDIS), IGNORES(MSRN_VM_CR_SVMDIS) },
	{ ONE(MSRN_VM_HSAVE_PA) },
	{ ONE(MSRN_VIRT_SPEC_CTRL) },
	{ RANGE(MSRN_OSVW_ID_LENGTH, MSRN_OSVW_STATUS) },
	{ RANGE(0xc0010200, 0xc001020b) }, /* performance counters of the core */
	{ ONE(MSRN_LS_CFG) },		   /* would promise a way to disable store bypass */
	{ RANGE(MSRN_IC_CFG, MSRN_BU_CFG), AMD, READS(0), IGNORES(ANYTHING) },
	{ ONE(MSRN_FP_CFG), AMD, READS(0), IGNORES(ANYTHING) },
	/* LFENCE serializes; a guest that makes sure of it finds it so. */
	{ ONE(MSRN_DE_CFG), AMD, READS(MSRN_DE_CFG_LFENCE_SERIALIZE), IGNORES(ANYTHING) },
	{ RANGE(MSRN_BU_CFG2, MSRN_LS_CFG2), AMD, READS(0), IGNORES(ANYTHING) },
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

static uint64_t *row_field(struct vcpu *vcpu, const struct msr_row *row)
{
	return (uint64_t *)((uint8_t *)vcpu + row->field);
}

/* Forms that need no function of the vCPU. Out of line: msr_read() then needs no stack. */
static noinline int read_by_form(struct vcpu *vcpu, const struct msr_row *row, uint64_t *value)
{
	switch (row->read_form) {
	case MSR_READ_CONSTANT:
		*value = row->constant;
		return 0;
	case MSR_READ_FIELD:
		*value = *row_field(vcpu, row);
		return 0;
	case MSR_READ_HOST:
		*value = host_msr(row->first);
		return 0;
	case MSR_READ_MACHINE:
		*value = row->machine();
		return 0;
	default: /* MSR_READ_REFUSED */
		return -EINVAL;
	}
}

int msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	const struct msr_row *row = find_row(msr);

	if (!row)
		return -ENOENT;
	if (unlikely(!is_shown(vcpu->vm, row)))
		return -EINVAL;
	if (row->read_form == MSR_READ_NUMBERED)
		return row->read(vcpu, msr, value);
	if (row->read_form == MSR_READ_VCPU)
		return row->get(vcpu, value);
	return read_by_form(vcpu, row, value);
}

static int write_field(struct vcpu *vcpu, const struct msr_row *row, uint64_t value)
{
	uint64_t *field = row_field(vcpu, row);

	if (value & ~row->accepted)
		return -EINVAL;
	*field = (*field & ~row->kept) | (value & row->kept);
	return 0;
}

static noinline int write_by_form(struct vcpu *vcpu, const struct msr_row *row, uint64_t value)
{
	switch (row->write_form) {
	case MSR_WRITE_IGNORED:
		return value & ~row->accepted ? -EINVAL : 0;
	case MSR_WRITE_FIELD:
		return write_field(vcpu, row, value);
	case MSR_WRITE_COMMAND:
		return write_host_command(row->first, value, row->accepted);
	default: /* MSR_WRITE_REFUSED */
		return -EINVAL;
	}
}

int msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	const struct msr_row *row = find_row(msr);

	if (!row)
		return -ENOENT;
	if (unlikely(!is_shown(vcpu->vm, row)))
		return -EINVAL;
	if (row->write_form == MSR_WRITE_NUMBERED)
		return row->write(vcpu, msr, value);
	if (row->write_form == MSR_WRITE_VCPU)
		return row->set(vcpu, value);
	return write_by_form(vcpu, row, value);
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
	memset(vcpu->mc_bank, 0, sizeof(vcpu->mc_bank));
	vcpu->misc_enable = MISC_ENABLE_RESET;
	vcpu->hwcr = HWCR_TSC_FREQ_SEL;
}
