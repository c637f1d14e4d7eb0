/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the module and userspace say to each other about a virtual machine: register
 * names, segment descriptors, capabilities and the reasons for which a virtual CPU
 * exits to userspace.
 *
 * Names, numbers and field order follow FreeBSD 14's <machine/vmm.h>, so that a
 * program written against bhyve's library compiles here. What is ours alone is
 * marked so.
 */
#ifndef VMM_VMM_H
#define VMM_VMM_H

#include <vmm/types.h>

/* Why a whole VM stops. Given to VM_SUSPEND, returned in a SUSPENDED exit. */
enum vm_suspend_how {
	VM_SUSPEND_NONE,
	VM_SUSPEND_RESET,
	VM_SUSPEND_POWEROFF,
	VM_SUSPEND_HALT,
	VM_SUSPEND_TRIPLEFAULT,
	VM_SUSPEND_DESTROY, /* the VM is being destroyed under the caller */
	VM_SUSPEND_LAST
};

/* Registers by name, for VM_GET_REGISTER and its relatives. */
enum vm_reg_name {
	VM_REG_GUEST_RAX,
	VM_REG_GUEST_RBX,
	VM_REG_GUEST_RCX,
	VM_REG_GUEST_RDX,
	VM_REG_GUEST_RSI,
	VM_REG_GUEST_RDI,
	VM_REG_GUEST_RBP,
	VM_REG_GUEST_R8,
	VM_REG_GUEST_R9,
	VM_REG_GUEST_R10,
	VM_REG_GUEST_R11,
	VM_REG_GUEST_R12,
	VM_REG_GUEST_R13,
	VM_REG_GUEST_R14,
	VM_REG_GUEST_R15,
	VM_REG_GUEST_CR0,
	VM_REG_GUEST_CR3,
	VM_REG_GUEST_CR4,
	VM_REG_GUEST_DR7,
	VM_REG_GUEST_RSP,
	VM_REG_GUEST_RIP,
	VM_REG_GUEST_RFLAGS,
	VM_REG_GUEST_ES, /* selectors; the hidden parts are seg_desc */
	VM_REG_GUEST_CS,
	VM_REG_GUEST_SS,
	VM_REG_GUEST_DS,
	VM_REG_GUEST_FS,
	VM_REG_GUEST_GS,
	VM_REG_GUEST_LDTR,
	VM_REG_GUEST_TR,
	VM_REG_GUEST_IDTR, /* descriptor only, no selector */
	VM_REG_GUEST_GDTR,
	VM_REG_GUEST_EFER,
	VM_REG_GUEST_CR2,
	VM_REG_GUEST_PDPTE0,
	VM_REG_GUEST_PDPTE1,
	VM_REG_GUEST_PDPTE2,
	VM_REG_GUEST_PDPTE3,
	VM_REG_GUEST_INTR_SHADOW, /* 1 while STI or MOV SS blocks interrupts */
	VM_REG_GUEST_DR0,
	VM_REG_GUEST_DR1,
	VM_REG_GUEST_DR2,
	VM_REG_GUEST_DR3,
	VM_REG_GUEST_DR6,
	VM_REG_GUEST_ENTRY_INST_LENGTH,
	VM_REG_GUEST_FS_BASE,
	VM_REG_GUEST_GS_BASE,
	VM_REG_GUEST_KGS_BASE,
	VM_REG_GUEST_TPR, /* CR8: bits 7:4 of the local APIC's TPR */
	VM_REG_LAST
};

enum x2apic_state { X2APIC_DISABLED, X2APIC_ENABLED, X2APIC_STATE_LAST };

/*
 * An event in delivery to a guest, as VM_GET_INTINFO and VM_SET_INTINFO carry
 * it. The layout is the processors' own (APM vol. 2, 15.20; SDM vol. 3, 24.8.3).
 * The error code is in bits 63:32.
 */
#define VM_INTINFO_VECTOR(info) ((info)&0xff)
#define VM_INTINFO_DEL_ERRCODE	0x800
#define VM_INTINFO_RSVD		0x7ffff000
#define VM_INTINFO_VALID	0x80000000
#define VM_INTINFO_TYPE		0x700
#define VM_INTINFO_HWINTR	(0 << 8)
#define VM_INTINFO_NMI		(2 << 8)
#define VM_INTINFO_HWEXCEPTION	(3 << 8)
#define VM_INTINFO_SWINTR	(4 << 8)

#define VM_MAX_PREFIXLEN 10
#define VM_MAX_SUFFIXLEN 15
#define VM_MIN_NAMELEN	 6
/* A device node's name holds 255 bytes: "vmm.io/" NAME "." SEGMENT. */
#define VM_MAX_NAMELEN (255 - VM_MAX_PREFIXLEN - VM_MAX_SUFFIXLEN - 1)

/* Optional behaviour, set per vCPU by VM_SET_CAPABILITY. */
enum vm_cap_type {
	VM_CAP_HALT_EXIT,	   /* HLT sleeps in the module; here it always does */
	VM_CAP_MTRAP_EXIT,	   /* exits after each instruction */
	VM_CAP_PAUSE_EXIT,	   /* PAUSE exits to userspace */
	VM_CAP_UNRESTRICTED_GUEST, /* read-only: real mode runs unassisted */
	VM_CAP_ENABLE_INVPCID,
	VM_CAP_BPT_EXIT, /* INT3 exits to userspace */
	VM_CAP_RDPID,
	VM_CAP_RDTSCP,
	VM_CAP_IPI_EXIT,    /* INIT and SIPI exit on the sender; see struct vm_run */
	VM_CAP_MASK_HWINTR, /* no hardware interrupt is injected */
	VM_CAP_RFLAGS_TF,   /* single-step through RFLAGS.TF, hidden from the guest */
	VM_CAP_MAX
};

enum vm_intr_trigger { EDGE_TRIGGER, LEVEL_TRIGGER };

/*
 * The hidden part of a segment register. 'access' has the layout of a VMCS
 * access-rights field (SDM vol. 3, 24.4.1): type and S in 4:0, DPL 6:5, P 7,
 * AVL 12, L 13, D/B 14, G 15, unusable 16. 'limit' is in bytes.
 */
struct seg_desc {
	uint64_t base;
	uint32_t limit;
	uint32_t access;
};
#define SEG_DESC_TYPE(access)	     ((access)&0x001f)
#define SEG_DESC_DPL(access)	     (((access) >> 5) & 0x3)
#define SEG_DESC_PRESENT(access)     (((access)&0x0080) ? 1 : 0)
#define SEG_DESC_DEF32(access)	     (((access)&0x4000) ? 1 : 0)
#define SEG_DESC_GRANULARITY(access) (((access)&0x8000) ? 1 : 0)
#define SEG_DESC_UNUSABLE(access)    (((access)&0x10000) ? 1 : 0)

enum vm_cpu_mode {
	CPU_MODE_REAL,
	CPU_MODE_PROTECTED,
	CPU_MODE_COMPATIBILITY, /* long mode, CS.L = 0 */
	CPU_MODE_64BIT,		/* long mode, CS.L = 1 */
};

enum vm_paging_mode {
	PAGING_MODE_FLAT,
	PAGING_MODE_32,
	PAGING_MODE_PAE,
	PAGING_MODE_64,
	PAGING_MODE_64_LA57,
};

/* What a linear address needs to be translated by the guest's own tables. */
struct vm_guest_paging {
	uint64_t cr3;
	int cpl;
	enum vm_cpu_mode cpu_mode;
	enum vm_paging_mode paging_mode;
};

/*
 * An instruction that the module hands to the library's emulator: see
 * <machine/vmm_instruction_emul.h>.
 */
#define VIE_INST_SIZE 15
struct vie {
	uint8_t inst[VIE_INST_SIZE];
	uint8_t num_valid;     /* bytes of inst[] that hold the instruction */
	uint8_t num_processed; /* its length, once the library has decoded it */
	uint8_t decoded;       /* 0 in an exit */
};

enum vm_exitcode {
	VM_EXITCODE_INOUT,
	VM_EXITCODE_VMX,
	VM_EXITCODE_BOGUS, /* nothing to do: run again */
	VM_EXITCODE_RDMSR,
	VM_EXITCODE_WRMSR,
	VM_EXITCODE_HLT, /* never: VM_CAP_HALT_EXIT */
	VM_EXITCODE_MTRAP,
	VM_EXITCODE_PAUSE,
	VM_EXITCODE_PAGING, /* memory mapped without that permission; VM_RUN_REPLY: MMIO */
	VM_EXITCODE_INST_EMUL,
	VM_EXITCODE_SPINUP_AP, /* a start-up IPI, for VM_RUN without VM_CAP_IPI_EXIT */
	VM_EXITCODE_DEPRECATED1,
	VM_EXITCODE_RENDEZVOUS,
	VM_EXITCODE_IOAPIC_EOI,
	VM_EXITCODE_SUSPENDED,
	VM_EXITCODE_INOUT_STR,
	VM_EXITCODE_TASK_SWITCH,
	VM_EXITCODE_MONITOR,
	VM_EXITCODE_MWAIT,
	VM_EXITCODE_SVM,
	VM_EXITCODE_REQIDLE,
	VM_EXITCODE_DEBUG, /* the vCPU was suspended by VM_SUSPEND_CPU */
	VM_EXITCODE_VMINSN,
	VM_EXITCODE_BPT,
	VM_EXITCODE_IPI,
	VM_EXITCODE_DB,
	/* Ours alone, only from VM_RUN_REPLY: one access to device memory. */
	VM_EXITCODE_MMIO,
	VM_EXITCODE_MAX
};

struct vm_inout {
	uint16_t bytes : 3; /* 1, 2 or 4 */
	uint16_t in : 1;
	uint16_t string : 1;
	uint16_t rep : 1;
	uint16_t port;
	uint32_t eax; /* valid for OUT */
};

struct vm_inout_str {
	struct vm_inout inout; /* first: userspace casts */
	struct vm_guest_paging paging;
	uint64_t rflags;
	uint64_t cr0;
	uint64_t index; /* RSI or RDI */
	uint64_t count; /* RCX when rep, else 1 */
	int addrsize;	/* bytes */
	enum vm_reg_name seg_name;
	struct seg_desc seg_desc;
};

enum task_switch_reason {
	TSR_CALL,
	TSR_IRET,
	TSR_JMP,
	TSR_IDT_GATE,
};

struct vm_task_switch {
	uint16_t tsssel;
	int ext;
	uint32_t errcode;
	int errcode_valid;
	enum task_switch_reason reason;
	struct vm_guest_paging paging;
};

/* One access to device memory (ours). 'data' is valid for a write. */
struct vm_mmio {
	uint64_t gpa;
	uint64_t data;
	uint8_t bytes; /* 1, 2, 4 or 8 */
	uint8_t write;
};

/*
 * Why VM_RUN has returned. RIP is that of the instruction the exit is about; the
 * next VM_RUN resumes at rip + inst_length, unless VM_RESTART_INSTRUCTION or a
 * new RIP says otherwise.
 */
struct vm_exit {
	enum vm_exitcode exitcode;
	int inst_length; /* bytes; 0 when unknown or to be restarted */
	uint64_t rip;
	union {
		struct vm_inout inout;
		struct vm_inout_str inout_str;
		struct vm_mmio mmio;
		struct {
			uint64_t gpa;
			int fault_type; /* 1 read, 2 write, 4 execute */
		} paging;
		struct {
			uint64_t gpa;
			uint64_t gla;
			uint64_t cs_base;
			int cs_d;
			struct vm_guest_paging paging;
			struct vie vie;
		} inst_emul;
		struct {
			int status;
			uint32_t exit_reason;
			uint64_t exit_qualification;
			int inst_type;
			int inst_error;
		} vmx;
		struct {
			uint64_t exitcode;
			uint64_t exitinfo1;
			uint64_t exitinfo2;
		} svm;
		struct {
			int inst_length;
		} bpt;
		struct {
			int trace_trap;
			int pushf_intercept;
			int tf_shadow_val;
			struct vm_guest_paging paging;
		} dbg;
		struct {
			uint32_t code; /* ECX */
			uint64_t wval; /* valid for WRMSR */
		} msr;
		struct {
			int vcpu;
			uint64_t rip;
		} spinup_ap;
		struct {
			uint64_t rflags;
			uint64_t intr_status;
		} hlt;
		struct {
			int vector;
		} ioapic_eoi;
		struct {
			enum vm_suspend_how how;
		} suspended;
		struct {
			uint32_t mode; /* APIC delivery mode: INIT or start-up */
			uint8_t vector;
		} ipi;
		struct vm_task_switch task_switch;
	} u;
};

#endif
