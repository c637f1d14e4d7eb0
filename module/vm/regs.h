/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of the processor's own numbers: bits of control registers and RFLAGS,
 * exception vectors, error codes, MSRs. The prefixes REG_, VECTOR_, PFERR_,
 * PTE_X86_, SEG_ and MSRN_ keep clear of what kernel headers define.
 */
#ifndef VM_REGS_H
#define VM_REGS_H

/* CR0 (APM vol. 2, 3.1.1) */
#define REG_CR0_PE (1ull << 0)
#define REG_CR0_MP (1ull << 1)
#define REG_CR0_EM (1ull << 2)
#define REG_CR0_TS (1ull << 3)
#define REG_CR0_ET (1ull << 4)
#define REG_CR0_NE (1ull << 5)
#define REG_CR0_WP (1ull << 16)
#define REG_CR0_AM (1ull << 18)
#define REG_CR0_NW (1ull << 29)
#define REG_CR0_CD (1ull << 30)
#define REG_CR0_PG (1ull << 31)
#define REG_CR0_DEFINED                                                                \
	(REG_CR0_PE | REG_CR0_MP | REG_CR0_EM | REG_CR0_TS | REG_CR0_ET | REG_CR0_NE | \
	 REG_CR0_WP | REG_CR0_AM | REG_CR0_NW | REG_CR0_CD | REG_CR0_PG)
#define REG_CR0_RESET (REG_CR0_ET | REG_CR0_NW | REG_CR0_CD)

/* CR3 (APM vol. 2, 5.3.2 and 5.5.1) */
#define REG_CR3_PWT	  (1ull << 3)
#define REG_CR3_PCD	  (1ull << 4)
#define REG_CR3_PCID_MASK 0xfffull     /* with CR4.PCIDE */
#define REG_CR3_NOFLUSH	  (1ull << 63) /* with CR4.PCIDE: keep the PCID's translations */

/* CR4 (APM vol. 2, 3.1.3; SDM vol. 3, 2.5) */
#define REG_CR4_VME	   (1ull << 0)
#define REG_CR4_PVI	   (1ull << 1)
#define REG_CR4_TSD	   (1ull << 2)
#define REG_CR4_DE	   (1ull << 3)
#define REG_CR4_PSE	   (1ull << 4)
#define REG_CR4_PAE	   (1ull << 5)
#define REG_CR4_MCE	   (1ull << 6)
#define REG_CR4_PGE	   (1ull << 7)
#define REG_CR4_PCE	   (1ull << 8)
#define REG_CR4_OSFXSR	   (1ull << 9)
#define REG_CR4_OSXMMEXCPT (1ull << 10)
#define REG_CR4_UMIP	   (1ull << 11)
#define REG_CR4_LA57	   (1ull << 12)
#define REG_CR4_VMXE	   (1ull << 13)
#define REG_CR4_SMXE	   (1ull << 14)
#define REG_CR4_FSGSBASE   (1ull << 16)
#define REG_CR4_PCIDE	   (1ull << 17)
#define REG_CR4_OSXSAVE	   (1ull << 18)
#define REG_CR4_SMEP	   (1ull << 20)
#define REG_CR4_SMAP	   (1ull << 21)
#define REG_CR4_PKE	   (1ull << 22)
#define REG_CR4_CET	   (1ull << 23)
#define REG_CR4_PKS	   (1ull << 24)

/* CR8 */
#define REG_CR8_TPR 0xfull

/* EFER (APM vol. 2, 3.1.7) */
#define REG_EFER_SCE   (1ull << 0)
#define REG_EFER_LME   (1ull << 8)
#define REG_EFER_LMA   (1ull << 10)
#define REG_EFER_NXE   (1ull << 11)
#define REG_EFER_SVME  (1ull << 12)
#define REG_EFER_LMSLE (1ull << 13)
#define REG_EFER_FFXSR (1ull << 14)
#define REG_EFER_TCE   (1ull << 15)

/* XCR0: state components (SDM vol. 1, 13.1) */
#define REG_XCR0_X87	(1ull << 0)
#define REG_XCR0_SSE	(1ull << 1)
#define REG_XCR0_AVX	(1ull << 2)
#define REG_XCR0_MPX	(3ull << 3)
#define REG_XCR0_AVX512 (7ull << 5) /* opmask, upper halves, upper registers */
#define REG_XCR0_PKRU	(1ull << 9)
#define REG_XCR0_AMX	(3ull << 17)

/* RFLAGS (APM vol. 2, 3.1.6) */
#define REG_RFLAGS_CF	      (1ull << 0)
#define REG_RFLAGS_FIXED1     (1ull << 1)
#define REG_RFLAGS_PF	      (1ull << 2)
#define REG_RFLAGS_AF	      (1ull << 4)
#define REG_RFLAGS_ZF	      (1ull << 6)
#define REG_RFLAGS_SF	      (1ull << 7)
#define REG_RFLAGS_TF	      (1ull << 8)
#define REG_RFLAGS_IF	      (1ull << 9)
#define REG_RFLAGS_DF	      (1ull << 10)
#define REG_RFLAGS_OF	      (1ull << 11)
#define REG_RFLAGS_IOPL	      (3ull << 12)
#define REG_RFLAGS_IOPL_SHIFT 12
#define REG_RFLAGS_NT	      (1ull << 14)
#define REG_RFLAGS_RF	      (1ull << 16)
#define REG_RFLAGS_VM	      (1ull << 17)
#define REG_RFLAGS_AC	      (1ull << 18)
#define REG_RFLAGS_VIF	      (1ull << 19)
#define REG_RFLAGS_VIP	      (1ull << 20)
#define REG_RFLAGS_ID	      (1ull << 21)

/* DR6 and DR7 (APM vol. 2, 13.1.1) */
#define REG_DR6_BD		  (1ull << 13)
#define REG_DR6_BS		  (1ull << 14)
#define REG_DR6_BT		  (1ull << 15)
#define REG_DR6_RTM		  (1ull << 16) /* active low */
#define REG_DR6_RESET		  0xffff0ff0ull
#define REG_DR7_LOCAL_ENABLES	  0x55ull
#define REG_DR7_GLOBAL_ENABLES	  0xaaull
#define REG_DR7_ENABLES		  0xffull
#define REG_DR7_CONDITION(dr7, i) ((unsigned int)((dr7) >> (16 + 4 * (i))) & 3) /* R/W */
#define REG_DR7_LENGTH(dr7, i)	  ((unsigned int)((dr7) >> (18 + 4 * (i))) & 3)
#define REG_DR7_GD		  (1ull << 13)
#define REG_DR7_RESET		  0x400ull

/* Exception vectors (APM vol. 2, 8.1) */
#define VECTOR_DE  0
#define VECTOR_DB  1
#define VECTOR_NMI 2
#define VECTOR_BP  3
#define VECTOR_OF  4
#define VECTOR_BR  5
#define VECTOR_UD  6
#define VECTOR_NM  7
#define VECTOR_DF  8
#define VECTOR_TS  10
#define VECTOR_NP  11
#define VECTOR_SS  12
#define VECTOR_GP  13
#define VECTOR_PF  14
#define VECTOR_MF  16
#define VECTOR_AC  17
#define VECTOR_MC  18
#define VECTOR_XF  19
#define VECTOR_VE  20
#define VECTOR_CP  21

/* Page-fault error code (APM vol. 2, 8.4.2) */
#define PFERR_PRESENT  (1u << 0)
#define PFERR_WRITE    (1u << 1)
#define PFERR_USER     (1u << 2)
#define PFERR_RESERVED (1u << 3)
#define PFERR_FETCH    (1u << 4)
#define PFERR_KEY      (1u << 5)

/* Selector error code: #TS, #NP, #SS, #GP (APM vol. 2, 8.4.1) */
#define SELERR_EXT (1u << 0)
#define SELERR_IDT (1u << 1)

/* Entries of the guest's page tables, all modes (APM vol. 2, 5.4) */
#define PTE_X86_PRESENT	 (1ull << 0)
#define PTE_X86_WRITE	 (1ull << 1)
#define PTE_X86_USER	 (1ull << 2)
#define PTE_X86_PWT	 (1ull << 3)
#define PTE_X86_PCD	 (1ull << 4)
#define PTE_X86_ACCESSED (1ull << 5)
#define PTE_X86_DIRTY	 (1ull << 6)
#define PTE_X86_LARGE	 (1ull << 7) /* above the last level */
#define PTE_X86_GLOBAL	 (1ull << 8)
#define PTE_X86_NX	 (1ull << 63)

/*
 * Bits of seg_desc.access (SDM vol. 3, 24.4.1) and the types there, S included.
 */
#define SEG_ACCESS_TYPE	       0x001fu
#define SEG_ACCESS_ACCESSED    0x0001u /* code and data */
#define SEG_ACCESS_WRITABLE    0x0002u /* data; readable for code */
#define SEG_ACCESS_EXPAND_DOWN 0x0004u /* data; conforming for code */
#define SEG_ACCESS_CODE	       0x0008u
#define SEG_ACCESS_S	       0x0010u /* code or data, not a system segment */
#define SEG_ACCESS_DPL_SHIFT   5
#define SEG_ACCESS_DPL	       0x0060u
#define SEG_ACCESS_PRESENT     0x0080u
#define SEG_ACCESS_AVL	       0x1000u
#define SEG_ACCESS_L	       0x2000u
#define SEG_ACCESS_DB	       0x4000u
#define SEG_ACCESS_G	       0x8000u
#define SEG_ACCESS_UNUSABLE    0x10000u

/* System segment types (S is 0) */
#define SEG_TYPE_TSS16	    0x1u
#define SEG_TYPE_LDT	    0x2u
#define SEG_TYPE_TSS16_BUSY 0x3u
#define SEG_TYPE_TASK_GATE  0x5u
#define SEG_TYPE_TSS32	    0x9u
#define SEG_TYPE_TSS32_BUSY 0xbu

/* Machine check (architectural) */
#define MSRN_P5_MC_ADDR	 0x000u
#define MSRN_P5_MC_TYPE	 0x001u
#define MSRN_MCG_CAP	 0x179u
#define MSRN_MCG_STATUS	 0x17au
#define MSRN_MCG_CTL	 0x17bu
#define MSRN_MCG_EXT_CTL 0x4d0u
#define MSRN_MC0_CTL	 0x400u
#define MSRN_MC0_STATUS	 0x401u
#define MSRN_MC0_ADDR	 0x402u
#define MSRN_MC0_MISC	 0x403u

/* Time */
#define MSRN_TSC	  0x010u
#define MSRN_TSC_ADJUST	  0x03bu
#define MSRN_MPERF	  0x0e7u
#define MSRN_APERF	  0x0e8u
#define MSRN_TSC_DEADLINE 0x6e0u
#define MSRN_TSC_AUX	  0xc0000103u
#define MSRN_TSC_RATIO	  0xc0000104u

/* Local APIC */
#define MSRN_APIC_BASE	      0x01bu
#define MSRN_APIC_BASE_BSP    (1ull << 8)
#define MSRN_APIC_BASE_X2APIC (1ull << 10)
#define MSRN_APIC_BASE_ENABLE (1ull << 11)
#define MSRN_X2APIC_FIRST     0x800u
#define MSRN_X2APIC_LAST      0x8ffu

/* Memory types */
#define MSRN_MTRR_CAP	       0x0feu
#define MSRN_MTRR_PHYSBASE0    0x200u /* base and mask alternate */
#define MSRN_MTRR_PHYSMASK7    0x20fu
#define MSRN_MTRR_FIX64K_00000 0x250u
#define MSRN_MTRR_FIX16K_80000 0x258u
#define MSRN_MTRR_FIX16K_A0000 0x259u
#define MSRN_MTRR_FIX4K_C0000  0x268u
#define MSRN_MTRR_FIX4K_F8000  0x26fu
#define MSRN_PAT	       0x277u
#define MSRN_PAT_RESET	       0x0007040600070406ull
#define MSRN_MTRR_DEF_TYPE     0x2ffu

/* System calls and bases */
#define MSRN_SYSENTER_CS    0x174u
#define MSRN_SYSENTER_ESP   0x175u
#define MSRN_SYSENTER_EIP   0x176u
#define MSRN_EFER	    0xc0000080u
#define MSRN_STAR	    0xc0000081u
#define MSRN_LSTAR	    0xc0000082u
#define MSRN_CSTAR	    0xc0000083u
#define MSRN_SFMASK	    0xc0000084u
#define MSRN_FS_BASE	    0xc0000100u
#define MSRN_GS_BASE	    0xc0000101u
#define MSRN_KERNEL_GS_BASE 0xc0000102u

/* Speculation */
#define MSRN_SPEC_CTRL	       0x048u
#define MSRN_SPEC_CTRL_IBRS    (1ull << 0)
#define MSRN_SPEC_CTRL_STIBP   (1ull << 1)
#define MSRN_SPEC_CTRL_SSBD    (1ull << 2)
#define MSRN_PRED_CMD	       0x049u
#define MSRN_PRED_CMD_IBPB     (1ull << 0)
#define MSRN_ARCH_CAPABILITIES 0x10au
#define MSRN_FLUSH_CMD	       0x10bu
#define MSRN_FLUSH_CMD_L1D     (1ull << 0)
#define MSRN_VIRT_SPEC_CTRL    0xc001011fu
#define MSRN_BP_CFG	       0xc001102eu

/* Debugging */
#define MSRN_DEBUGCTL	      0x1d9u
#define MSRN_LAST_BRANCH_FROM 0x1dbu
#define MSRN_LAST_BRANCH_TO   0x1dcu
#define MSRN_LAST_INT_FROM    0x1ddu
#define MSRN_LAST_INT_TO      0x1deu

/* Extended state */
#define MSRN_XFD     0x1c4u
#define MSRN_XFD_ERR 0x1c5u
#define MSRN_XSS     0xda0u

/* Intel */
#define MSRN_PLATFORM_ID	   0x017u
#define MSRN_EBL_CR_POWERON	   0x02au
#define MSRN_SMI_COUNT		   0x034u
#define MSRN_FEATURE_CONTROL	   0x03au
#define MSRN_BIOS_UPDATE_TRIGGER   0x079u
#define MSRN_BIOS_SIGN_ID	   0x08bu
#define MSRN_PLATFORM_INFO	   0x0ceu
#define MSRN_CORE_CAPABILITIES	   0x0cfu
#define MSRN_PKG_CST_CONFIG	   0x0e2u
#define MSRN_MISC_FEATURES_ENABLES 0x140u
#define MSRN_PERF_STATUS	   0x198u
#define MSRN_PERF_CTL		   0x199u
#define MSRN_CLOCK_MODULATION	   0x19au
#define MSRN_THERM_STATUS	   0x19cu
#define MSRN_MISC_ENABLE	   0x1a0u
#define MSRN_TEMPERATURE_TARGET	   0x1a2u
#define MSRN_TURBO_RATIO_LIMIT	   0x1adu
#define MSRN_ENERGY_PERF_BIAS	   0x1b0u
#define MSRN_POWER_CTL		   0x1fcu
#define MSRN_RAPL_POWER_UNIT	   0x606u
#define MSRN_PKG_ENERGY_STATUS	   0x611u
#define MSRN_DRAM_ENERGY_STATUS	   0x619u
#define MSRN_PP0_ENERGY_STATUS	   0x639u
#define MSRN_PP1_ENERGY_STATUS	   0x641u

/* AMD (APM vol. 2, appendix A; the processors' PPR) */
#define MSRN_PATCH_LEVEL	     0x08bu
#define MSRN_PERF_EVENT_SELECT0	     0xc0010000u
#define MSRN_PERF_COUNTER3	     0xc0010007u
#define MSRN_SYSCFG		     0xc0010010u
#define MSRN_HWCR		     0xc0010015u
#define MSRN_IORR_FIRST		     0xc0010016u
#define MSRN_IORR_LAST		     0xc0010019u
#define MSRN_TOP_MEM		     0xc001001au
#define MSRN_TOP_MEM2		     0xc001001du
#define MSRN_NB_CFG		     0xc001001fu
#define MSRN_PATCH_LOADER	     0xc0010020u
#define MSRN_MC4_MISC_FIRST	     0xc0000408u
#define MSRN_MC0_CTL_MASK	     0xc0010044u
#define MSRN_MC6_CTL_MASK	     0xc001004au
#define MSRN_INT_PENDING	     0xc0010055u
#define MSRN_MMIO_CFG_BASE	     0xc0010058u
#define MSRN_PSTATE_LIMIT	     0xc0010061u
#define MSRN_PSTATE_CTL		     0xc0010062u
#define MSRN_PSTATE_STATUS	     0xc0010063u
#define MSRN_PSTATE_DEF0	     0xc0010064u
#define MSRN_SMM_BASE		     0xc0010111u
#define MSRN_SMM_ADDR		     0xc0010112u
#define MSRN_SMM_MASK		     0xc0010113u
#define MSRN_VM_CR		     0xc0010114u
#define MSRN_VM_CR_SVMDIS	     (1ull << 4)
#define MSRN_VM_HSAVE_PA	     0xc0010117u
#define MSRN_OSVW_ID_LENGTH	     0xc0010140u
#define MSRN_OSVW_STATUS	     0xc0010141u
#define MSRN_LS_CFG		     0xc0011020u
#define MSRN_IC_CFG		     0xc0011021u
#define MSRN_DC_CFG		     0xc0011022u
#define MSRN_BU_CFG		     0xc0011023u
#define MSRN_BU_CFG2		     0xc001102au
#define MSRN_FP_CFG		     0xc0011028u
#define MSRN_DE_CFG		     0xc0011029u
#define MSRN_LS_CFG2		     0xc001102du
#define MSRN_DE_CFG_LFENCE_SERIALIZE (1ull << 1)

#endif
