/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processor's numbers for VMX: fields of the VMCS (SDM vol. 3, appendix B),
 * control bits (24.6 to 24.8), exit reasons (appendix C), capability MSRs (appendix A).
 */
#ifndef VMX_VMCS_H
#define VMX_VMCS_H

#include "os/os.h"

/* --- the region --- */

/* A VMCS or VMXON region (24.2): the rest is the processor's own. */
struct vmcs_region {
	uint32_t revision; /* from IA32_VMX_BASIC */
	uint32_t abort;	   /* why a VM exit could not be completed */
	uint8_t data[4088];
};
static_assert(sizeof(struct vmcs_region) == 4096);
static_assert(offsetof(struct vmcs_region, data) == 8);

/* --- fields --- */

/* 16 bits: controls, guest, host */
#define VMCS_VPID	       0x0000u
#define VMCS_GUEST_ES	       0x0800u /* CS, SS, DS, FS, GS, LDTR, TR follow, 2 apart */
#define VMCS_GUEST_INTR_STATUS 0x0810u
#define VMCS_HOST_ES	       0x0c00u
#define VMCS_HOST_CS	       0x0c02u
#define VMCS_HOST_SS	       0x0c04u
#define VMCS_HOST_DS	       0x0c06u
#define VMCS_HOST_FS	       0x0c08u
#define VMCS_HOST_GS	       0x0c0au
#define VMCS_HOST_TR	       0x0c0cu

/* 64 bits */
#define VMCS_MSR_BITMAP	    0x2004u
#define VMCS_TSC_OFFSET	    0x2010u
#define VMCS_VIRTUAL_APIC   0x2012u
#define VMCS_APIC_ACCESS    0x2014u
#define VMCS_EPTP	    0x201au
#define VMCS_EOI_EXIT0	    0x201cu /* four, 2 apart */
#define VMCS_GUEST_PHYSICAL 0x2400u
#define VMCS_LINK_POINTER   0x2800u
#define VMCS_GUEST_DEBUGCTL 0x2802u
#define VMCS_GUEST_PAT	    0x2804u
#define VMCS_GUEST_EFER	    0x2806u
#define VMCS_GUEST_PDPTE0   0x280au /* four, 2 apart */
#define VMCS_HOST_PAT	    0x2c00u
#define VMCS_HOST_EFER	    0x2c02u

/* 32 bits */
#define VMCS_PIN_CONTROLS	    0x4000u
#define VMCS_PRIMARY_CONTROLS	    0x4002u
#define VMCS_EXCEPTION_BITMAP	    0x4004u
#define VMCS_PF_MASK		    0x4006u
#define VMCS_PF_MATCH		    0x4008u
#define VMCS_CR3_TARGET_COUNT	    0x400au
#define VMCS_EXIT_CONTROLS	    0x400cu
#define VMCS_EXIT_MSR_STORE_COUNT   0x400eu
#define VMCS_EXIT_MSR_LOAD_COUNT    0x4010u
#define VMCS_ENTRY_CONTROLS	    0x4012u
#define VMCS_ENTRY_MSR_LOAD_COUNT   0x4014u
#define VMCS_ENTRY_INTR_INFO	    0x4016u
#define VMCS_ENTRY_ERROR_CODE	    0x4018u
#define VMCS_ENTRY_LENGTH	    0x401au
#define VMCS_TPR_THRESHOLD	    0x401cu
#define VMCS_SECONDARY_CONTROLS	    0x401eu
#define VMCS_PLE_GAP		    0x4020u
#define VMCS_PLE_WINDOW		    0x4022u
#define VMCS_INSTRUCTION_ERROR	    0x4400u
#define VMCS_EXIT_REASON	    0x4402u
#define VMCS_EXIT_INTR_INFO	    0x4404u
#define VMCS_EXIT_INTR_ERROR	    0x4406u
#define VMCS_VECTORING_INFO	    0x4408u
#define VMCS_VECTORING_ERROR	    0x440au
#define VMCS_EXIT_LENGTH	    0x440cu
#define VMCS_EXIT_INSTRUCTION_INFO  0x440eu
#define VMCS_GUEST_ES_LIMIT	    0x4800u /* the others follow as above */
#define VMCS_GUEST_GDTR_LIMIT	    0x4810u
#define VMCS_GUEST_IDTR_LIMIT	    0x4812u
#define VMCS_GUEST_ES_ACCESS	    0x4814u
#define VMCS_GUEST_INTERRUPTIBILITY 0x4824u
#define VMCS_GUEST_ACTIVITY	    0x4826u
#define VMCS_GUEST_SYSENTER_CS	    0x482au
#define VMCS_PREEMPTION_TIMER	    0x482eu
#define VMCS_HOST_SYSENTER_CS	    0x4c00u

/* natural width */
#define VMCS_CR0_MASK		 0x6000u
#define VMCS_CR4_MASK		 0x6002u
#define VMCS_CR0_SHADOW		 0x6004u
#define VMCS_CR4_SHADOW		 0x6006u
#define VMCS_EXIT_QUALIFICATION	 0x6400u
#define VMCS_GUEST_LINEAR	 0x640au
#define VMCS_GUEST_CR0		 0x6800u
#define VMCS_GUEST_CR3		 0x6802u
#define VMCS_GUEST_CR4		 0x6804u
#define VMCS_GUEST_ES_BASE	 0x6806u
#define VMCS_GUEST_GDTR_BASE	 0x6816u
#define VMCS_GUEST_IDTR_BASE	 0x6818u
#define VMCS_GUEST_DR7		 0x681au
#define VMCS_GUEST_RSP		 0x681cu
#define VMCS_GUEST_RIP		 0x681eu
#define VMCS_GUEST_RFLAGS	 0x6820u
#define VMCS_GUEST_PENDING_DEBUG 0x6822u
#define VMCS_GUEST_SYSENTER_ESP	 0x6824u
#define VMCS_GUEST_SYSENTER_EIP	 0x6826u
#define VMCS_HOST_CR0		 0x6c00u
#define VMCS_HOST_CR3		 0x6c02u
#define VMCS_HOST_CR4		 0x6c04u
#define VMCS_HOST_FS_BASE	 0x6c06u
#define VMCS_HOST_GS_BASE	 0x6c08u
#define VMCS_HOST_TR_BASE	 0x6c0au
#define VMCS_HOST_GDTR_BASE	 0x6c0cu
#define VMCS_HOST_IDTR_BASE	 0x6c0eu
#define VMCS_HOST_SYSENTER_ESP	 0x6c10u
#define VMCS_HOST_SYSENTER_EIP	 0x6c12u
#define VMCS_HOST_RSP		 0x6c14u /* and RIP: switch.S writes them */
#define VMCS_HOST_RIP		 0x6c16u

/* --- control bits --- */

/* Pin-based (24.6.1) */
#define PIN_EXTERNAL_INTERRUPT (1u << 0)
#define PIN_NMI		       (1u << 3)
#define PIN_VIRTUAL_NMI	       (1u << 5)
#define PIN_PREEMPTION_TIMER   (1u << 6)

/* Primary processor-based (24.6.2) */
#define PRIMARY_INTERRUPT_WINDOW (1u << 2)
#define PRIMARY_TSC_OFFSET	 (1u << 3)
#define PRIMARY_HLT		 (1u << 7)
#define PRIMARY_INVLPG		 (1u << 9)
#define PRIMARY_MWAIT		 (1u << 10)
#define PRIMARY_RDPMC		 (1u << 11)
#define PRIMARY_RDTSC		 (1u << 12)
#define PRIMARY_CR3_LOAD	 (1u << 15)
#define PRIMARY_CR3_STORE	 (1u << 16)
#define PRIMARY_CR8_LOAD	 (1u << 19)
#define PRIMARY_CR8_STORE	 (1u << 20)
#define PRIMARY_TPR_SHADOW	 (1u << 21)
#define PRIMARY_NMI_WINDOW	 (1u << 22)
#define PRIMARY_MOV_DR		 (1u << 23)
#define PRIMARY_IO		 (1u << 24)
#define PRIMARY_MONITOR_TRAP	 (1u << 27)
#define PRIMARY_MSR_BITMAP	 (1u << 28)
#define PRIMARY_MONITOR		 (1u << 29)
#define PRIMARY_PAUSE		 (1u << 30)
#define PRIMARY_SECONDARY	 (1u << 31)

/* Secondary processor-based (24.6.2) */
#define SECONDARY_VIRTUAL_APIC_ACCESS (1u << 0)
#define SECONDARY_EPT		      (1u << 1)
#define SECONDARY_RDTSCP	      (1u << 3)
#define SECONDARY_VIRTUAL_X2APIC      (1u << 4)
#define SECONDARY_VPID		      (1u << 5)
#define SECONDARY_WBINVD	      (1u << 6)
#define SECONDARY_UNRESTRICTED_GUEST  (1u << 7)
#define SECONDARY_APIC_REGISTERS      (1u << 8)
#define SECONDARY_VIRTUAL_INTERRUPT   (1u << 9)
#define SECONDARY_PAUSE_LOOP	      (1u << 10)
#define SECONDARY_INVPCID	      (1u << 12)

/* VM exit (24.7.1) and VM entry (24.8.1) */
#define EXIT_CONTROL_SAVE_DEBUG	  (1u << 2)
#define EXIT_CONTROL_HOST_64	  (1u << 9)
#define EXIT_CONTROL_SAVE_PAT	  (1u << 18)
#define EXIT_CONTROL_LOAD_PAT	  (1u << 19)
#define EXIT_CONTROL_LOAD_EFER	  (1u << 21)
#define ENTRY_CONTROL_LOAD_DEBUG  (1u << 2)
#define ENTRY_CONTROL_IA32E_GUEST (1u << 9)
#define ENTRY_CONTROL_LOAD_PAT	  (1u << 14)
#define ENTRY_CONTROL_LOAD_EFER	  (1u << 15)

/* --- guest state and information about exits --- */

/* Interruptibility (24.4.2) */
#define BLOCKING_STI	0x1u
#define BLOCKING_MOV_SS 0x2u
#define BLOCKING_SMI	0x4u
#define BLOCKING_NMI	0x8u

/* Pending debug exceptions (24.4.2) */
#define PENDING_DEBUG_BS (1ull << 14)

/*
 * Entry, exit and vectoring information (24.8.3, 24.9.2, 24.9.3): VM_INTINFO_*, and
 * types that VM_INTINFO_TYPE has no name for.
 */
#define INTR_TYPE_PRIVILEGED	    (5ull << 8) /* INT1 */
#define INTR_TYPE_SOFTWARE	    (6ull << 8) /* INT3, INTO */
#define EXIT_INTR_UNBLOCKED_BY_IRET (1u << 12)

/* Exit reason: the entry has failed; the basic reason. */
#define EXIT_REASON_ENTRY_FAILED (1u << 31)
#define EXIT_REASON_BASIC(r)	 ((r)&0xffffu)

/* Qualifications (27.2.1) */
#define CR_QUALIFICATION_CR(q)		    ((unsigned int)((q)&0xf))
#define CR_QUALIFICATION_TYPE(q)	    ((unsigned int)((q) >> 4 & 3))
#define CR_QUALIFICATION_GPR(q)		    ((unsigned int)((q) >> 8 & 0xf))
#define CR_QUALIFICATION_LMSW(q)	    ((uint16_t)((q) >> 16))
#define CR_TYPE_MOV_TO			    0u
#define CR_TYPE_MOV_FROM		    1u
#define CR_TYPE_CLTS			    2u
#define CR_TYPE_LMSW			    3u
#define DR_QUALIFICATION_DR(q)		    ((unsigned int)((q)&7))
#define DR_QUALIFICATION_READ		    (1ull << 4)
#define DR_QUALIFICATION_GPR(q)		    ((unsigned int)((q) >> 8 & 0xf))
#define DB_QUALIFICATION_DR6		    0x600full /* B0..B3, BD, BS; the rest as DR6 */
#define IO_QUALIFICATION_SIZE(q)	    ((uint8_t)(((q)&7) + 1))
#define IO_QUALIFICATION_IN		    (1ull << 3)
#define IO_QUALIFICATION_STRING		    (1ull << 4)
#define IO_QUALIFICATION_REP		    (1ull << 5)
#define IO_QUALIFICATION_PORT(q)	    ((uint16_t)((q) >> 16))
#define APIC_QUALIFICATION_OFFSET(q)	    ((uint32_t)((q)&0xfff))
#define APIC_QUALIFICATION_TYPE(q)	    ((unsigned int)((q) >> 12 & 0xf))
#define APIC_TYPE_WRITE			    1u
#define APIC_TYPE_FETCH			    2u
#define EPT_QUALIFICATION_READ		    (1ull << 0)
#define EPT_QUALIFICATION_WRITE		    (1ull << 1)
#define EPT_QUALIFICATION_FETCH		    (1ull << 2)
#define EPT_QUALIFICATION_UNBLOCKED_BY_IRET (1ull << 12)
#define TASK_QUALIFICATION_SELECTOR(q)	    ((uint16_t)(q))
#define TASK_QUALIFICATION_SOURCE(q)	    ((unsigned int)((q) >> 30 & 3))

/* Instruction information of INS and OUTS (table 27-14): address size and segment. */
#define STRING_INFO_ADDRESS(i) ((unsigned int)((i) >> 7 & 7))
#define STRING_INFO_SEGMENT(i) ((unsigned int)((i) >> 15 & 7))

/* Basic exit reasons (appendix C) */
enum vmx_exit_reason {
	VMX_EXIT_EXCEPTION_OR_NMI = 0,
	VMX_EXIT_EXTERNAL_INTERRUPT = 1,
	VMX_EXIT_TRIPLE_FAULT = 2,
	VMX_EXIT_INIT = 3,
	VMX_EXIT_INTERRUPT_WINDOW = 7,
	VMX_EXIT_NMI_WINDOW = 8,
	VMX_EXIT_TASK_SWITCH = 9,
	VMX_EXIT_CPUID = 10,
	VMX_EXIT_GETSEC = 11,
	VMX_EXIT_HLT = 12,
	VMX_EXIT_INVD = 13,
	VMX_EXIT_INVLPG = 14,
	VMX_EXIT_RDPMC = 15,
	VMX_EXIT_RDTSC = 16,
	VMX_EXIT_RSM = 17,
	VMX_EXIT_VMCALL = 18,
	VMX_EXIT_VMCLEAR = 19,
	VMX_EXIT_VMLAUNCH = 20,
	VMX_EXIT_VMPTRLD = 21,
	VMX_EXIT_VMPTRST = 22,
	VMX_EXIT_VMREAD = 23,
	VMX_EXIT_VMRESUME = 24,
	VMX_EXIT_VMWRITE = 25,
	VMX_EXIT_VMXOFF = 26,
	VMX_EXIT_VMXON = 27,
	VMX_EXIT_CR_ACCESS = 28,
	VMX_EXIT_MOV_DR = 29,
	VMX_EXIT_IO = 30,
	VMX_EXIT_RDMSR = 31,
	VMX_EXIT_WRMSR = 32,
	VMX_EXIT_INVALID_STATE = 33,
	VMX_EXIT_MSR_LOADING = 34,
	VMX_EXIT_MWAIT = 36,
	VMX_EXIT_MONITOR_TRAP = 37,
	VMX_EXIT_MONITOR = 39,
	VMX_EXIT_PAUSE = 40,
	VMX_EXIT_MACHINE_CHECK = 41,
	VMX_EXIT_TPR_THRESHOLD = 43,
	VMX_EXIT_APIC_ACCESS = 44,
	VMX_EXIT_VIRTUALIZED_EOI = 45,
	VMX_EXIT_GDTR_IDTR = 46,
	VMX_EXIT_LDTR_TR = 47,
	VMX_EXIT_EPT_VIOLATION = 48,
	VMX_EXIT_EPT_MISCONFIGURATION = 49,
	VMX_EXIT_INVEPT = 50,
	VMX_EXIT_RDTSCP = 51,
	VMX_EXIT_PREEMPTION_TIMER = 52,
	VMX_EXIT_INVVPID = 53,
	VMX_EXIT_WBINVD = 54,
	VMX_EXIT_XSETBV = 55,
	VMX_EXIT_APIC_WRITE = 56,
	VMX_EXIT_RDRAND = 57,
	VMX_EXIT_INVPCID = 58,
	VMX_EXIT_VMFUNC = 59,
	VMX_EXIT_ENCLS = 60,
	VMX_EXIT_RDSEED = 61,
	VMX_EXIT_XSAVES = 63,
	VMX_EXIT_XRSTORS = 64,
	VMX_EXIT_REASON_COUNT = 80
};

/* --- capability MSRs (appendix A) --- */

#define MSRN_VMX_BASIC	      0x480u
#define MSRN_VMX_PIN	      0x481u
#define MSRN_VMX_PRIMARY      0x482u
#define MSRN_VMX_EXIT	      0x483u
#define MSRN_VMX_ENTRY	      0x484u
#define MSRN_VMX_MISC	      0x485u
#define MSRN_VMX_CR0_FIXED0   0x486u
#define MSRN_VMX_CR0_FIXED1   0x487u
#define MSRN_VMX_CR4_FIXED0   0x488u
#define MSRN_VMX_CR4_FIXED1   0x489u
#define MSRN_VMX_SECONDARY    0x48bu
#define MSRN_VMX_EPT_VPID     0x48cu
#define MSRN_VMX_TRUE_PIN     0x48du /* PRIMARY, EXIT, ENTRY follow */
#define MSRN_VMX_TRUE_PRIMARY 0x48eu
#define MSRN_VMX_TRUE_EXIT    0x48fu
#define MSRN_VMX_TRUE_ENTRY   0x490u

#define VMX_BASIC_REVISION(b)	 ((uint32_t)((b)&0x7fffffff))
#define VMX_BASIC_SIZE(b)	 ((uint32_t)((b) >> 32 & 0x1fff))
#define VMX_BASIC_32BIT		 (1ull << 48) /* regions below 4 GiB only */
#define VMX_BASIC_MEMORY_TYPE(b) ((unsigned int)((b) >> 50 & 0xf))
#define VMX_BASIC_TRUE_CONTROLS	 (1ull << 55)
#define VMX_MISC_TIMER_SHIFT(m)	 ((unsigned int)((m)&0x1f))

#define EPT_CAP_WALK_4	       (1ull << 6)
#define EPT_CAP_WALK_5	       (1ull << 7)
#define EPT_CAP_WB	       (1ull << 14)
#define EPT_CAP_2M	       (1ull << 16)
#define EPT_CAP_1G	       (1ull << 17)
#define EPT_CAP_INVEPT	       (1ull << 20)
#define EPT_CAP_ACCESSED_DIRTY (1ull << 21)
#define EPT_CAP_INVEPT_SINGLE  (1ull << 25)
#define EPT_CAP_INVEPT_ALL     (1ull << 26)
#define EPT_CAP_INVVPID	       (1ull << 32)
#define EPT_CAP_INVVPID_SINGLE (1ull << 41)
#define EPT_CAP_INVVPID_ALL    (1ull << 42)

/* Types of INVEPT and INVVPID */
#define INVALIDATE_SINGLE 1u
#define INVALIDATE_ALL	  2u

/* IA32_FEATURE_CONTROL (SDM vol. 3, 23.7) */
#define FEATURE_CONTROL_LOCK	    (1ull << 0)
#define FEATURE_CONTROL_OUTSIDE_SMX (1ull << 2)

/* EPT entries and pointer (28.3.2) */
#define EPT_READ	      (1ull << 0)
#define EPT_WRITE	      (1ull << 1)
#define EPT_EXECUTE	      (1ull << 2)
#define EPT_MEMORY_TYPE_SHIFT 3
#define EPT_LARGE	      (1ull << 7)
#define EPT_ACCESSED	      (1ull << 8)
#define EPT_DIRTY	      (1ull << 9)
#define EPTP_WB		      6ull
#define EPTP_LEVELS_SHIFT     3
#define EPTP_ACCESSED_DIRTY   (1ull << 6)

/* Offset in the virtual-APIC page (29.1.1) */
#define VIRTUAL_APIC_TPR 0x80u

/* Guest interrupt status (24.4.2): the highest vector requested, and in service */
#define INTR_STATUS(rvi, svi) ((uint64_t)(rvi) | (uint64_t)(svi) << 8)

#endif
