// SPDX-License-Identifier: BSD-2-Clause
/*
 * The table of features and what it comes to on this host. Numbers of leaves and
 * bits: APM vol. 3, appendix E; SDM vol. 2, CPUID.
 *
 * Left out, hence hidden: virtualization itself (SVM, VMX), MONITOR, performance
 * counters and all that profiles (PMU, IBS, LWP, PT, RDPRU), MPX, AMX, CET and
 * whatever else lives in XSS, SGX, resource directors, thermal and power control.
 */
#include "vm/backend.h"
#include "x86/cpu/features.h"
#include "vm/regs.h"

#define AT(leaf_, subleaf_, reg_, bit_) \
	.leaf = (leaf_), .subleaf = (subleaf_), .reg = CPUID_REG_##reg_, .bit = (bit_)

static const struct feature_row rows[CPU_FEATURE_COUNT] = {
	/* CPUID 1 EDX */
	[CPU_FPU] = { AT(1, 0, EDX, 0) },
	[CPU_VME] = { AT(1, 0, EDX, 1), .cr4 = REG_CR4_VME | REG_CR4_PVI },
	[CPU_DE] = { AT(1, 0, EDX, 2), .cr4 = REG_CR4_DE },
	[CPU_PSE] = { AT(1, 0, EDX, 3), .cr4 = REG_CR4_PSE },
	[CPU_TSC] = { AT(1, 0, EDX, 4), .cr4 = REG_CR4_TSD },
	[CPU_MSR] = { AT(1, 0, EDX, 5) },
	[CPU_PAE] = { AT(1, 0, EDX, 6), .cr4 = REG_CR4_PAE },
	[CPU_MCE] = { AT(1, 0, EDX, 7), .source = FEATURE_EMULATED, .cr4 = REG_CR4_MCE },
	[CPU_CX8] = { AT(1, 0, EDX, 8) },
	[CPU_APIC] = { AT(1, 0, EDX, 9), .source = FEATURE_EMULATED },
	[CPU_SEP] = { AT(1, 0, EDX, 11) },
	[CPU_MTRR] = { AT(1, 0, EDX, 12), .source = FEATURE_EMULATED },
	[CPU_PGE] = { AT(1, 0, EDX, 13), .cr4 = REG_CR4_PGE },
	[CPU_MCA] = { AT(1, 0, EDX, 14), .source = FEATURE_EMULATED },
	[CPU_CMOV] = { AT(1, 0, EDX, 15) },
	[CPU_PAT] = { AT(1, 0, EDX, 16) },
	[CPU_PSE36] = { AT(1, 0, EDX, 17) },
	[CPU_CLFLUSH] = { AT(1, 0, EDX, 19) },
	[CPU_MMX] = { AT(1, 0, EDX, 23) },
	[CPU_FXSR] = { AT(1, 0, EDX, 24), .cr4 = REG_CR4_OSFXSR },
	[CPU_SSE] = { AT(1, 0, EDX, 25), .needs = CPU_FXSR, .cr4 = REG_CR4_OSXMMEXCPT },
	[CPU_SSE2] = { AT(1, 0, EDX, 26), .needs = CPU_SSE },
	[CPU_SELFSNOOP] = { AT(1, 0, EDX, 27) },
	[CPU_HTT] = { AT(1, 0, EDX, 28), .source = FEATURE_COMPUTED },

	/* CPUID 1 ECX */
	[CPU_SSE3] = { AT(1, 0, ECX, 0) },
	[CPU_PCLMULQDQ] = { AT(1, 0, ECX, 1) },
	[CPU_SSSE3] = { AT(1, 0, ECX, 9) },
	[CPU_FMA] = { AT(1, 0, ECX, 12), .needs = CPU_AVX },
	[CPU_CX16] = { AT(1, 0, ECX, 13) },
	[CPU_PCID] = { AT(1, 0, ECX, 17), .cr4 = REG_CR4_PCIDE },
	[CPU_SSE41] = { AT(1, 0, ECX, 19) },
	[CPU_SSE42] = { AT(1, 0, ECX, 20) },
	[CPU_X2APIC] = { AT(1, 0, ECX, 21), .source = FEATURE_EMULATED },
	[CPU_MOVBE] = { AT(1, 0, ECX, 22) },
	[CPU_POPCNT] = { AT(1, 0, ECX, 23) },
	[CPU_TSC_DEADLINE] = { AT(1, 0, ECX, 24), .source = FEATURE_EMULATED },
	[CPU_AES] = { AT(1, 0, ECX, 25) },
	[CPU_XSAVE] = { AT(1, 0, ECX, 26), .cr4 = REG_CR4_OSXSAVE,
			.xcr0 = REG_XCR0_X87 | REG_XCR0_SSE },
	[CPU_AVX] = { AT(1, 0, ECX, 28), .needs = CPU_XSAVE, .xcr0 = REG_XCR0_AVX },
	[CPU_F16C] = { AT(1, 0, ECX, 29), .needs = CPU_AVX },
	[CPU_RDRAND] = { AT(1, 0, ECX, 30) },
	[CPU_HYPERVISOR] = { AT(1, 0, ECX, 31), .source = FEATURE_EMULATED },

	/* CPUID 6 EAX */
	[CPU_ARAT] = { AT(6, 0, EAX, 2), .source = FEATURE_EMULATED },

	/* CPUID 7.0 EBX */
	[CPU_FSGSBASE] = { AT(7, 0, EBX, 0), .cr4 = REG_CR4_FSGSBASE },
	[CPU_TSC_ADJUST] = { AT(7, 0, EBX, 1), .source = FEATURE_EMULATED },
	[CPU_BMI1] = { AT(7, 0, EBX, 3) },
	[CPU_HLE] = { AT(7, 0, EBX, 4) },
	[CPU_AVX2] = { AT(7, 0, EBX, 5), .needs = CPU_AVX },
	[CPU_FDP_EXCEPTION_ONLY] = { AT(7, 0, EBX, 6) },
	[CPU_SMEP] = { AT(7, 0, EBX, 7), .cr4 = REG_CR4_SMEP },
	[CPU_BMI2] = { AT(7, 0, EBX, 8) },
	[CPU_ERMS] = { AT(7, 0, EBX, 9) },
	[CPU_INVPCID] = { AT(7, 0, EBX, 10) },
	[CPU_RTM] = { AT(7, 0, EBX, 11) },
	[CPU_ZERO_FCS_FDS] = { AT(7, 0, EBX, 13) },
	[CPU_AVX512F] = { AT(7, 0, EBX, 16), .needs = CPU_AVX, .xcr0 = REG_XCR0_AVX512 },
	[CPU_AVX512DQ] = { AT(7, 0, EBX, 17), .needs = CPU_AVX512F },
	[CPU_RDSEED] = { AT(7, 0, EBX, 18) },
	[CPU_ADX] = { AT(7, 0, EBX, 19) },
	[CPU_SMAP] = { AT(7, 0, EBX, 20), .cr4 = REG_CR4_SMAP },
	[CPU_AVX512IFMA] = { AT(7, 0, EBX, 21), .needs = CPU_AVX512F },
	[CPU_CLFLUSHOPT] = { AT(7, 0, EBX, 23) },
	[CPU_CLWB] = { AT(7, 0, EBX, 24) },
	[CPU_AVX512CD] = { AT(7, 0, EBX, 28), .needs = CPU_AVX512F },
	[CPU_SHA] = { AT(7, 0, EBX, 29) },
	[CPU_AVX512BW] = { AT(7, 0, EBX, 30), .needs = CPU_AVX512F },
	[CPU_AVX512VL] = { AT(7, 0, EBX, 31), .needs = CPU_AVX512F },

	/* CPUID 7.0 ECX */
	[CPU_AVX512VBMI] = { AT(7, 0, ECX, 1), .needs = CPU_AVX512F },
	[CPU_UMIP] = { AT(7, 0, ECX, 2), .cr4 = REG_CR4_UMIP },
	[CPU_PKU] = { AT(7, 0, ECX, 3), .needs = CPU_XSAVE, .cr4 = REG_CR4_PKE,
		      .xcr0 = REG_XCR0_PKRU },
	[CPU_AVX512VBMI2] = { AT(7, 0, ECX, 6), .needs = CPU_AVX512F },
	[CPU_GFNI] = { AT(7, 0, ECX, 8) },
	[CPU_VAES] = { AT(7, 0, ECX, 9), .needs = CPU_AVX },
	[CPU_VPCLMULQDQ] = { AT(7, 0, ECX, 10), .needs = CPU_AVX },
	[CPU_AVX512VNNI] = { AT(7, 0, ECX, 11), .needs = CPU_AVX512F },
	[CPU_AVX512BITALG] = { AT(7, 0, ECX, 12), .needs = CPU_AVX512F },
	[CPU_AVX512VPOPCNTDQ] = { AT(7, 0, ECX, 14), .needs = CPU_AVX512F },
	[CPU_LA57] = { AT(7, 0, ECX, 16), .cr4 = REG_CR4_LA57 },
	[CPU_RDPID] = { AT(7, 0, ECX, 22) },
	[CPU_CLDEMOTE] = { AT(7, 0, ECX, 25) },
	[CPU_MOVDIRI] = { AT(7, 0, ECX, 27) },
	[CPU_MOVDIR64B] = { AT(7, 0, ECX, 28) },

	/* CPUID 7.0 EDX */
	[CPU_FSRM] = { AT(7, 0, EDX, 4) },
	[CPU_AVX512VP2INTERSECT] = { AT(7, 0, EDX, 8), .needs = CPU_AVX512F },
	[CPU_MD_CLEAR] = { AT(7, 0, EDX, 10) },
	[CPU_SERIALIZE] = { AT(7, 0, EDX, 14) },
	[CPU_AVX512FP16] = { AT(7, 0, EDX, 23), .needs = CPU_AVX512BW },
	[CPU_IBRS] = { AT(7, 0, EDX, 26), .source = FEATURE_SPECULATION },
	[CPU_STIBP] = { AT(7, 0, EDX, 27), .source = FEATURE_SPECULATION },
	[CPU_L1D_FLUSH] = { AT(7, 0, EDX, 28) },
	[CPU_ARCH_CAPABILITIES] = { AT(7, 0, EDX, 29) },
	[CPU_SSBD] = { AT(7, 0, EDX, 31), .source = FEATURE_SPECULATION },

	/* CPUID 7.1 EAX */
	[CPU_SHA512] = { AT(7, 1, EAX, 0), .needs = CPU_AVX },
	[CPU_SM3] = { AT(7, 1, EAX, 1), .needs = CPU_AVX },
	[CPU_SM4] = { AT(7, 1, EAX, 2), .needs = CPU_AVX },
	[CPU_AVXVNNI] = { AT(7, 1, EAX, 4), .needs = CPU_AVX },
	[CPU_AVX512BF16] = { AT(7, 1, EAX, 5), .needs = CPU_AVX512F },
	[CPU_CMPCCXADD] = { AT(7, 1, EAX, 7) },
	[CPU_FZRM] = { AT(7, 1, EAX, 10) },
	[CPU_FSRS] = { AT(7, 1, EAX, 11) },
	[CPU_FSRC] = { AT(7, 1, EAX, 12) },
	[CPU_AVXIFMA] = { AT(7, 1, EAX, 23), .needs = CPU_AVX },

	/* CPUID 7.1 EDX */
	[CPU_AVXVNNIINT8] = { AT(7, 1, EDX, 4), .needs = CPU_AVX },
	[CPU_AVXNECONVERT] = { AT(7, 1, EDX, 5), .needs = CPU_AVX },
	[CPU_AVXVNNIINT16] = { AT(7, 1, EDX, 10), .needs = CPU_AVX },

	/* CPUID 0xd.1 EAX */
	[CPU_XSAVEOPT] = { AT(0xd, 1, EAX, 0), .needs = CPU_XSAVE },
	[CPU_XSAVEC] = { AT(0xd, 1, EAX, 1), .needs = CPU_XSAVE },
	[CPU_XGETBV1] = { AT(0xd, 1, EAX, 2), .needs = CPU_XSAVE },

	/* CPUID 0x80000001 ECX */
	[CPU_LAHF_LM] = { AT(0x80000001, 0, ECX, 0) },
	[CPU_CMP_LEGACY] = { AT(0x80000001, 0, ECX, 1), .source = FEATURE_COMPUTED },
	[CPU_CR8_LEGACY] = { AT(0x80000001, 0, ECX, 4) },
	[CPU_ABM] = { AT(0x80000001, 0, ECX, 5) },
	[CPU_SSE4A] = { AT(0x80000001, 0, ECX, 6) },
	[CPU_MISALIGNSSE] = { AT(0x80000001, 0, ECX, 7) },
	[CPU_PREFETCHW] = { AT(0x80000001, 0, ECX, 8) },
	[CPU_XOP] = { AT(0x80000001, 0, ECX, 11), .needs = CPU_AVX },
	[CPU_FMA4] = { AT(0x80000001, 0, ECX, 16), .needs = CPU_AVX },
	[CPU_TCE] = { AT(0x80000001, 0, ECX, 17), .efer = REG_EFER_TCE },
	[CPU_TBM] = { AT(0x80000001, 0, ECX, 21) },
	[CPU_TOPOEXT] = { AT(0x80000001, 0, ECX, 22) },

	/* CPUID 0x80000001 EDX */
	[CPU_SYSCALL] = { AT(0x80000001, 0, EDX, 11), .efer = REG_EFER_SCE },
	[CPU_NX] = { AT(0x80000001, 0, EDX, 20), .efer = REG_EFER_NXE },
	[CPU_MMXEXT] = { AT(0x80000001, 0, EDX, 22) },
	[CPU_FFXSR] = { AT(0x80000001, 0, EDX, 25), .efer = REG_EFER_FFXSR },
	[CPU_PAGE1G] = { AT(0x80000001, 0, EDX, 26) },
	[CPU_RDTSCP] = { AT(0x80000001, 0, EDX, 27) },
	[CPU_LM] = { AT(0x80000001, 0, EDX, 29), .efer = REG_EFER_LME | REG_EFER_LMA },

	/* CPUID 0x80000007 EDX */
	[CPU_INVARIANT_TSC] = { AT(0x80000007, 0, EDX, 8), .source = FEATURE_COMPUTED },

	/* CPUID 0x80000008 EBX */
	[CPU_CLZERO] = { AT(0x80000008, 0, EBX, 0) },
	[CPU_XSAVEERPTR] = { AT(0x80000008, 0, EBX, 2) },
	[CPU_AMD_IBPB] = { AT(0x80000008, 0, EBX, 12) },
	[CPU_AMD_IBRS] = { AT(0x80000008, 0, EBX, 14), .source = FEATURE_SPECULATION },
	[CPU_AMD_STIBP] = { AT(0x80000008, 0, EBX, 15), .source = FEATURE_SPECULATION },
	[CPU_AMD_SSBD] = { AT(0x80000008, 0, EBX, 24), .source = FEATURE_SPECULATION },
	[CPU_AMD_SSB_NO] = { AT(0x80000008, 0, EBX, 26) },
	[CPU_AMD_PSFD] = { AT(0x80000008, 0, EBX, 28), .source = FEATURE_SPECULATION },

	/* CPUID 0x80000021 EAX */
	[CPU_NO_NESTED_DATA_BP] = { AT(0x80000021, 0, EAX, 0) },
	[CPU_LFENCE_SERIALIZING] = { AT(0x80000021, 0, EAX, 2) },
	[CPU_NULL_SELECTOR_CLEARS_BASE] = { AT(0x80000021, 0, EAX, 6) },
};

/* CR4.PCE has no feature of its own; RDPMC is refused whatever it says. */
#define CR4_ALWAYS REG_CR4_PCE

#define HOST_OSXSAVE (1u << 27) /* CPUID 1 ECX */
#define HOST_OSPKE   (1u << 4)	/* CPUID 7.0 ECX */

const struct feature_row *feature_row(unsigned int feature)
{
	return feature > CPU_NONE && feature < CPU_FEATURE_COUNT ? &rows[feature] : NULL;
}

/* CPUID, with zeros for leaves the host does not have. */
static void host_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	os_cpuid(leaf & 0x80000000u, 0, regs);
	if (leaf > regs[CPUID_REG_EAX] || (leaf ^ regs[CPUID_REG_EAX]) & 0x80000000u)
		memset(regs, 0, 4 * sizeof(regs[0]));
	else
		os_cpuid(leaf, subleaf, regs);
}

static bool host_has(const struct feature_row *row)
{
	uint32_t regs[4];

	if (row->leaf == 7 && row->subleaf > 0) {
		host_cpuid(7, 0, regs);
		if (regs[CPUID_REG_EAX] < row->subleaf)
			return false;
	}
	host_cpuid(row->leaf, row->subleaf, regs);
	return regs[row->reg] >> row->bit & 1;
}

static uint64_t host_xcr0(void)
{
	uint32_t regs[4];

	host_cpuid(1, 0, regs);
	return regs[CPUID_REG_ECX] & HOST_OSXSAVE ? os_xgetbv(0) : 0;
}

static bool host_uses_keys(void)
{
	uint32_t regs[4];

	host_cpuid(7, 0, regs);
	return regs[CPUID_REG_ECX] & HOST_OSPKE;
}

static bool is_amd(void)
{
	uint32_t regs[4];

	os_cpuid(0, 0, regs);
	/* "AuthenticAMD" and "HygonGenuine" begin thus. */
	return regs[CPUID_REG_EBX] == 0x68747541 || regs[CPUID_REG_EBX] == 0x6f677948;
}

static bool is_computed_offered(unsigned int feature, bool multiprocessor)
{
	switch (feature) {
	case CPU_HTT:
		return multiprocessor;
	case CPU_CMP_LEGACY:
		return multiprocessor && is_amd();
	case CPU_INVARIANT_TSC:
		return host_has(&rows[feature]) || os_tsc_stable();
	default:
		return false;
	}
}

static bool from_source(unsigned int feature, bool multiprocessor)
{
	const struct feature_row *row = &rows[feature];

	switch (row->source) {
	case FEATURE_EMULATED:
		return true;
	case FEATURE_SPECULATION:
		return os_mitigations()->spec_ctrl && host_has(row);
	case FEATURE_COMPUTED:
		return is_computed_offered(feature, multiprocessor);
	default:
		return host_has(row);
	}
}

static void show_feature(struct feature_set *set, unsigned int feature)
{
	set->shown[feature / 64] |= BIT_ULL(feature % 64);
}

static void hide_feature(struct feature_set *set, unsigned int feature)
{
	set->shown[feature / 64] &= ~BIT_ULL(feature % 64);
}

/* Hide what needs a hidden feature, until nothing changes: chains are short. */
static void hide_dependents(struct feature_set *set)
{
	bool changed;

	do {
		changed = false;
		for (unsigned int i = 1; i < CPU_FEATURE_COUNT; i++) {
			if (!feature_shown(set, i) || feature_shown(set, rows[i].needs))
				continue;
			hide_feature(set, i);
			changed = true;
		}
	} while (changed);
}

static void collect_permissions(struct feature_set *set)
{
	set->cr4 = CR4_ALWAYS;
	set->efer = 0;
	set->xcr0 = 0;
	for (unsigned int i = 1; i < CPU_FEATURE_COUNT; i++) {
		if (!feature_shown(set, i))
			continue;
		set->cr4 |= rows[i].cr4;
		set->efer |= rows[i].efer;
		set->xcr0 |= rows[i].xcr0;
	}
}

void feature_set_compute(struct feature_set *set, bool multiprocessor)
{
	uint64_t xcr0 = host_xcr0();

	memset(set, 0, sizeof(*set));
	for (unsigned int i = 1; i < CPU_FEATURE_COUNT; i++) {
		if (rows[i].xcr0 & ~xcr0)
			continue;
		if (backend->offers.feature && !backend->offers.feature(i))
			continue;
		if (from_source(i, multiprocessor))
			show_feature(set, i);
	}
	/* PKRU is switched by RDPKRU and WRPKRU, which want CR4.PKE in the host. */
	if (!host_uses_keys())
		hide_feature(set, CPU_PKU);
	hide_dependents(set);
	collect_permissions(set);
}
