/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The features of the processor that a guest can be shown: one table (in
 * features.c) says where CPUID reports each, what of the host it depends on, and
 * which bits of CR4, EFER and XCR0 a guest that is shown it may set. What is
 * not in the table is hidden, and what is hidden is refused.
 */
#ifndef X86_CPU_FEATURES_H
#define X86_CPU_FEATURES_H

#include "os/os.h"

enum cpu_feature {
	CPU_NONE, /* always there: for tables that want no feature */
	/* CPUID 1 EDX */
	CPU_FPU,
	CPU_VME,
	CPU_DE,
	CPU_PSE,
	CPU_TSC,
	CPU_MSR,
	CPU_PAE,
	CPU_MCE,
	CPU_CX8,
	CPU_APIC,
	CPU_SEP,
	CPU_MTRR,
	CPU_PGE,
	CPU_MCA,
	CPU_CMOV,
	CPU_PAT,
	CPU_PSE36,
	CPU_CLFLUSH,
	CPU_MMX,
	CPU_FXSR,
	CPU_SSE,
	CPU_SSE2,
	CPU_SELFSNOOP,
	CPU_HTT,
	/* CPUID 1 ECX */
	CPU_SSE3,
	CPU_PCLMULQDQ,
	CPU_SSSE3,
	CPU_FMA,
	CPU_CX16,
	CPU_PCID,
	CPU_SSE41,
	CPU_SSE42,
	CPU_X2APIC,
	CPU_MOVBE,
	CPU_POPCNT,
	CPU_TSC_DEADLINE,
	CPU_AES,
	CPU_XSAVE,
	CPU_AVX,
	CPU_F16C,
	CPU_RDRAND,
	CPU_HYPERVISOR,
	/* CPUID 6 EAX */
	CPU_ARAT,
	/* CPUID 7.0 EBX */
	CPU_FSGSBASE,
	CPU_TSC_ADJUST,
	CPU_BMI1,
	CPU_HLE,
	CPU_AVX2,
	CPU_FDP_EXCEPTION_ONLY,
	CPU_SMEP,
	CPU_BMI2,
	CPU_ERMS,
	CPU_INVPCID,
	CPU_RTM,
	CPU_ZERO_FCS_FDS,
	CPU_AVX512F,
	CPU_AVX512DQ,
	CPU_RDSEED,
	CPU_ADX,
	CPU_SMAP,
	CPU_AVX512IFMA,
	CPU_CLFLUSHOPT,
	CPU_CLWB,
	CPU_AVX512CD,
	CPU_SHA,
	CPU_AVX512BW,
	CPU_AVX512VL,
	/* CPUID 7.0 ECX */
	CPU_AVX512VBMI,
	CPU_UMIP,
	CPU_PKU,
	CPU_AVX512VBMI2,
	CPU_GFNI,
	CPU_VAES,
	CPU_VPCLMULQDQ,
	CPU_AVX512VNNI,
	CPU_AVX512BITALG,
	CPU_AVX512VPOPCNTDQ,
	CPU_LA57,
	CPU_RDPID,
	CPU_CLDEMOTE,
	CPU_MOVDIRI,
	CPU_MOVDIR64B,
	/* CPUID 7.0 EDX */
	CPU_FSRM,
	CPU_AVX512VP2INTERSECT,
	CPU_MD_CLEAR,
	CPU_SERIALIZE,
	CPU_AVX512FP16,
	CPU_IBRS,
	CPU_STIBP,
	CPU_L1D_FLUSH,
	CPU_ARCH_CAPABILITIES,
	CPU_SSBD,
	/* CPUID 7.1 EAX */
	CPU_SHA512,
	CPU_SM3,
	CPU_SM4,
	CPU_AVXVNNI,
	CPU_AVX512BF16,
	CPU_CMPCCXADD,
	CPU_FZRM,
	CPU_FSRS,
	CPU_FSRC,
	CPU_AVXIFMA,
	/* CPUID 7.1 EDX */
	CPU_AVXVNNIINT8,
	CPU_AVXNECONVERT,
	CPU_AVXVNNIINT16,
	/* CPUID 0xd.1 EAX */
	CPU_XSAVEOPT,
	CPU_XSAVEC,
	CPU_XGETBV1,
	/* CPUID 0x80000001 ECX */
	CPU_LAHF_LM,
	CPU_CMP_LEGACY,
	CPU_CR8_LEGACY,
	CPU_ABM,
	CPU_SSE4A,
	CPU_MISALIGNSSE,
	CPU_PREFETCHW,
	CPU_XOP,
	CPU_FMA4,
	CPU_TCE,
	CPU_TBM,
	CPU_TOPOEXT,
	/* CPUID 0x80000001 EDX */
	CPU_SYSCALL,
	CPU_NX,
	CPU_MMXEXT,
	CPU_FFXSR,
	CPU_PAGE1G,
	CPU_RDTSCP,
	CPU_LM,
	/* CPUID 0x80000007 EDX */
	CPU_INVARIANT_TSC,
	/* CPUID 0x80000008 EBX */
	CPU_CLZERO,
	CPU_XSAVEERPTR,
	CPU_AMD_IBPB,
	CPU_AMD_IBRS,
	CPU_AMD_STIBP,
	CPU_AMD_SSBD,
	CPU_AMD_SSB_NO,
	CPU_AMD_PSFD,
	/* CPUID 0x80000021 EAX */
	CPU_NO_NESTED_DATA_BP,
	CPU_LFENCE_SERIALIZING,
	CPU_NULL_SELECTOR_CLEARS_BASE,
	CPU_FEATURE_COUNT
};

#define CPU_FEATURE_WORDS ((CPU_FEATURE_COUNT + 63) / 64)

enum cpuid_register { CPUID_REG_EAX, CPUID_REG_EBX, CPUID_REG_ECX, CPUID_REG_EDX };

/* Where a feature comes from. */
enum feature_source {
	FEATURE_HOST,	     /* shown when the host has it */
	FEATURE_EMULATED,    /* shown always: this hypervisor provides it */
	FEATURE_SPECULATION, /* shown when the host has it and lets guests own SPEC_CTRL */
	FEATURE_COMPUTED, /* features.c decides, by topology or by what the host's kernel knows */
};

struct feature_row {
	uint32_t leaf;
	uint8_t subleaf;
	uint8_t reg; /* enum cpuid_register */
	uint8_t bit;
	uint8_t source; /* enum feature_source */
	uint8_t needs;	/* enum cpu_feature shown as well, or CPU_NONE */
	uint64_t cr4;	/* bits a guest that is shown it may set in CR4 */
	uint64_t efer;	/* ... in EFER */
	uint64_t xcr0;	/* ... in XCR0; the host must have them set as well */
};

/* What the guest gets, derived from the table. */
struct feature_set {
	uint64_t shown[CPU_FEATURE_WORDS];
	uint64_t cr4; /* bits that may be 1 */
	uint64_t efer;
	uint64_t xcr0; /* 0 without XSAVE */
};

/* The row of a feature; CPU_NONE and numbers out of range have none: NULL. any */
const struct feature_row *feature_row(unsigned int feature);

/*
 * Decide what a guest on this host sees. 'multiprocessor': its sockets hold more
 * than one logical processor. Reads CPUID, XCR0 and the back end. any
 */
void feature_set_compute(struct feature_set *set, bool multiprocessor);

static inline bool feature_shown(const struct feature_set *set, unsigned int feature)
{
	return feature == CPU_NONE || (set->shown[feature / 64] >> (feature % 64) & 1);
}

#endif
