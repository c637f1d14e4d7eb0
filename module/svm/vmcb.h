/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual machine control block: what the processor reads at VMRUN and
 * writes at #VMEXIT (APM vol. 2, appendix B), the intercept bits in it
 * (15.9-15.13), and the codes of exits (appendix C). Every field is aligned by
 * its size, so the structs need no packing; offsets are checked at compile time.
 */
#ifndef SVM_VMCB_H
#define SVM_VMCB_H

#include "os/os.h"

/*
 * Intercepts are numbered over the whole vector: word * 32 + bit, with the
 * words at offsets 0x00, 0x04 ... of the VMCB.
 */
#define INTERCEPT_CR_READ(cr)	    (0u * 32 + (cr))
#define INTERCEPT_CR_WRITE(cr)	    (0u * 32 + 16 + (cr))
#define INTERCEPT_DR_READ(dr)	    (1u * 32 + (dr))
#define INTERCEPT_DR_WRITE(dr)	    (1u * 32 + 16 + (dr))
#define INTERCEPT_EXCEPTION(vector) (2u * 32 + (vector))

#define INTERCEPT_INTR		(3u * 32 + 0)
#define INTERCEPT_NMI		(3u * 32 + 1)
#define INTERCEPT_SMI		(3u * 32 + 2)
#define INTERCEPT_INIT		(3u * 32 + 3)
#define INTERCEPT_VINTR		(3u * 32 + 4)
#define INTERCEPT_CR0_SELECTIVE (3u * 32 + 5)
#define INTERCEPT_RDTSC		(3u * 32 + 14)
#define INTERCEPT_RDPMC		(3u * 32 + 15)
#define INTERCEPT_PUSHF		(3u * 32 + 16)
#define INTERCEPT_POPF		(3u * 32 + 17)
#define INTERCEPT_CPUID		(3u * 32 + 18)
#define INTERCEPT_RSM		(3u * 32 + 19)
#define INTERCEPT_IRET		(3u * 32 + 20)
#define INTERCEPT_INTN		(3u * 32 + 21)
#define INTERCEPT_INVD		(3u * 32 + 22)
#define INTERCEPT_PAUSE		(3u * 32 + 23)
#define INTERCEPT_HLT		(3u * 32 + 24)
#define INTERCEPT_INVLPG	(3u * 32 + 25)
#define INTERCEPT_INVLPGA	(3u * 32 + 26)
#define INTERCEPT_IOIO		(3u * 32 + 27)
#define INTERCEPT_MSR		(3u * 32 + 28)
#define INTERCEPT_TASK_SWITCH	(3u * 32 + 29)
#define INTERCEPT_FERR_FREEZE	(3u * 32 + 30)
#define INTERCEPT_SHUTDOWN	(3u * 32 + 31)

#define INTERCEPT_VMRUN	      (4u * 32 + 0)
#define INTERCEPT_VMMCALL     (4u * 32 + 1)
#define INTERCEPT_VMLOAD      (4u * 32 + 2)
#define INTERCEPT_VMSAVE      (4u * 32 + 3)
#define INTERCEPT_STGI	      (4u * 32 + 4)
#define INTERCEPT_CLGI	      (4u * 32 + 5)
#define INTERCEPT_SKINIT      (4u * 32 + 6)
#define INTERCEPT_RDTSCP      (4u * 32 + 7)
#define INTERCEPT_ICEBP	      (4u * 32 + 8)
#define INTERCEPT_WBINVD      (4u * 32 + 9)
#define INTERCEPT_MONITOR     (4u * 32 + 10)
#define INTERCEPT_MWAIT	      (4u * 32 + 11)
#define INTERCEPT_MWAIT_ARMED (4u * 32 + 12)
#define INTERCEPT_XSETBV      (4u * 32 + 13)
#define INTERCEPT_RDPRU	      (4u * 32 + 14)

#define INTERCEPT_INVLPGB	  (5u * 32 + 0)
#define INTERCEPT_INVLPGB_ILLEGAL (5u * 32 + 1)
#define INTERCEPT_INVPCID	  (5u * 32 + 2)
#define INTERCEPT_MCOMMIT	  (5u * 32 + 3)
#define INTERCEPT_TLBSYNC	  (5u * 32 + 4)
#define INTERCEPT_WORDS		  6

/* TLB_CONTROL (15.16.2) */
#define TLB_CONTROL_NOTHING    0
#define TLB_CONTROL_FLUSH_ALL  1 /* every ASID, on any processor */
#define TLB_CONTROL_FLUSH_ASID 3 /* with FlushByAsid */

/* The virtual interrupt word at 0x060 (15.21) */
#define VINTR_TPR_MASK	     0xffull
#define VINTR_IRQ	     (1ull << 8)
#define VINTR_NMI_PENDING    (1ull << 11)
#define VINTR_NMI_MASK	     (1ull << 12)
#define VINTR_PRIORITY_SHIFT 16
#define VINTR_PRIORITY_MASK  (0xfull << 16)
#define VINTR_PRIORITY(n)    ((uint64_t)(n) * (1u << VINTR_PRIORITY_SHIFT))
#define VINTR_IGNORE_TPR     (1ull << 20)
#define VINTR_MASKING	     (1ull << 24)
#define VINTR_NMI_ENABLE     (1ull << 26)
#define VINTR_VECTOR_MASK    (0xffull << 32)

#define INTERRUPT_SHADOW 1ull /* bit 0 of the word at 0x068 */

#define NESTED_PAGING_ENABLE 1ull /* bit 0 of the word at 0x090 */

/* Clean bits (15.15.3): set, the processor may use what it has cached. */
#define CLEAN_INTERCEPTS	(1u << 0) /* also TSC offset, pause filter */
#define CLEAN_PERMISSION_MAPS	(1u << 1)
#define CLEAN_ASID		(1u << 2)
#define CLEAN_TPR		(1u << 3) /* the virtual interrupt word */
#define CLEAN_NESTED_PAGING	(1u << 4) /* N_CR3, G_PAT */
#define CLEAN_CR		(1u << 5) /* CR0, CR3, CR4, EFER */
#define CLEAN_DR		(1u << 6) /* DR6, DR7 */
#define CLEAN_DESCRIPTOR_TABLES (1u << 7) /* GDTR, IDTR */
#define CLEAN_SEGMENTS		(1u << 8) /* ES, CS, SS, DS, CPL */
#define CLEAN_CR2		(1u << 9)
#define CLEAN_LBR		(1u << 10)
#define CLEAN_AVIC		(1u << 11)
#define CLEAN_ALL		0xfffu

/* EVENTINJ and EXITINTINFO have the layout of VM_INTINFO_* (15.20). */

/* EXITINFO1 of an I/O exit (15.10.2) */
#define IOIO_IN		   (1ull << 0)
#define IOIO_STRING	   (1ull << 2)
#define IOIO_REP	   (1ull << 3)
#define IOIO_SIZE_SHIFT	   4 /* three bits: 1, 2 or 4 bytes */
#define IOIO_SIZE_MASK	   0x7
#define IOIO_ADDRESS_SHIFT 7 /* three bits: 16, 32 or 64 */
#define IOIO_ADDRESS_MASK  0x7
#define IOIO_SEGMENT_SHIFT 10
#define IOIO_SEGMENT_MASK  0x7
#define IOIO_PORT_SHIFT	   16

/* EXITINFO1 of a nested page fault (15.25.6): a page-fault error code and: */
#define NPF_PRESENT  (1ull << 0)
#define NPF_WRITE    (1ull << 1)
#define NPF_USER     (1ull << 2)
#define NPF_RESERVED (1ull << 3)
#define NPF_FETCH    (1ull << 4)
#define NPF_FINAL    (1ull << 32) /* on the guest's final address */
#define NPF_TABLE    (1ull << 33) /* on the walk of the guest's tables */

/* EXITINFO2 of a task switch (15.14.1) */
#define TASK_SWITCH_IRET       (1ull << 36)
#define TASK_SWITCH_JUMP       (1ull << 38)
#define TASK_SWITCH_ERROR_CODE (1ull << 44)

/* EXITINFO1 of a MOV to or from a control or debug register, decode assists (15.33) */
#define CR_EXIT_MOV	 (1ull << 63) /* not LMSW, CLTS or SMSW */
#define CR_EXIT_GPR_MASK 0xfull

/* A segment register (15.5.1). 'attributes': descriptor bits 55:52 and 47:40. */
struct vmcb_segment {
	uint16_t selector;
	uint16_t attributes;
	uint32_t limit;
	uint64_t base;
};

/* The control area, at offset 0. */
struct vmcb_control {
	uint32_t intercept[INTERCEPT_WORDS]; /* 0x000 */
	uint8_t reserved_018[0x03c - 0x018];
	uint16_t pause_threshold; /* 0x03c */
	uint16_t pause_count;	  /* 0x03e */
	uint64_t iopm_pa;	  /* 0x040 */
	uint64_t msrpm_pa;	  /* 0x048 */
	uint64_t tsc_offset;	  /* 0x050 */
	uint32_t asid;		  /* 0x058 */
	uint8_t tlb_control;	  /* 0x05c */
	uint8_t reserved_05d[3];
	uint64_t vintr;		   /* 0x060 */
	uint64_t interrupt_shadow; /* 0x068 */
	uint64_t exitcode;	   /* 0x070 */
	uint64_t exitinfo1;	   /* 0x078 */
	uint64_t exitinfo2;	   /* 0x080 */
	uint64_t exitintinfo;	   /* 0x088 */
	uint64_t nested_ctl;	   /* 0x090 */
	uint64_t avic_bar;	   /* 0x098 */
	uint64_t ghcb_pa;	   /* 0x0a0 */
	uint64_t eventinj;	   /* 0x0a8 */
	uint64_t n_cr3;		   /* 0x0b0 */
	uint64_t virt_ext;	   /* 0x0b8: LBR virtualization, virtual VMLOAD and VMSAVE */
	uint32_t clean;		   /* 0x0c0 */
	uint32_t reserved_0c4;
	uint64_t next_rip;	    /* 0x0c8 */
	uint8_t fetched;	    /* 0x0d0 */
	uint8_t instruction[15];    /* 0x0d1 */
	uint64_t avic_backing_page; /* 0x0e0 */
	uint64_t reserved_0e8;
	uint64_t avic_logical_table;  /* 0x0f0 */
	uint64_t avic_physical_table; /* 0x0f8 */
	uint64_t reserved_100;
	uint64_t vmsa_pa; /* 0x108 */
	uint8_t reserved_110[0x3e0 - 0x110];
	uint8_t software[0x20]; /* 0x3e0: ours to use */
};

/* The state save area, at offset 0x400. */
struct vmcb_save {
	struct vmcb_segment es;	  /* 0x000 */
	struct vmcb_segment cs;	  /* 0x010 */
	struct vmcb_segment ss;	  /* 0x020 */
	struct vmcb_segment ds;	  /* 0x030 */
	struct vmcb_segment fs;	  /* 0x040 */
	struct vmcb_segment gs;	  /* 0x050 */
	struct vmcb_segment gdtr; /* 0x060 */
	struct vmcb_segment ldtr; /* 0x070 */
	struct vmcb_segment idtr; /* 0x080 */
	struct vmcb_segment tr;	  /* 0x090 */
	uint8_t reserved_0a0[0x0cb - 0x0a0];
	uint8_t cpl; /* 0x0cb */
	uint32_t reserved_0cc;
	uint64_t efer; /* 0x0d0 */
	uint8_t reserved_0d8[0x148 - 0x0d8];
	uint64_t cr4;	 /* 0x148 */
	uint64_t cr3;	 /* 0x150 */
	uint64_t cr0;	 /* 0x158 */
	uint64_t dr7;	 /* 0x160 */
	uint64_t dr6;	 /* 0x168 */
	uint64_t rflags; /* 0x170 */
	uint64_t rip;	 /* 0x178 */
	uint8_t reserved_180[0x1d8 - 0x180];
	uint64_t rsp;		 /* 0x1d8 */
	uint64_t s_cet;		 /* 0x1e0 */
	uint64_t ssp;		 /* 0x1e8 */
	uint64_t isst_addr;	 /* 0x1f0 */
	uint64_t rax;		 /* 0x1f8 */
	uint64_t star;		 /* 0x200 */
	uint64_t lstar;		 /* 0x208 */
	uint64_t cstar;		 /* 0x210 */
	uint64_t sfmask;	 /* 0x218 */
	uint64_t kernel_gs_base; /* 0x220 */
	uint64_t sysenter_cs;	 /* 0x228 */
	uint64_t sysenter_esp;	 /* 0x230 */
	uint64_t sysenter_eip;	 /* 0x238 */
	uint64_t cr2;		 /* 0x240 */
	uint8_t reserved_248[0x268 - 0x248];
	uint64_t g_pat;		 /* 0x268 */
	uint64_t dbgctl;	 /* 0x270 */
	uint64_t br_from;	 /* 0x278 */
	uint64_t br_to;		 /* 0x280 */
	uint64_t last_excp_from; /* 0x288 */
	uint64_t last_excp_to;	 /* 0x290 */
	uint8_t reserved_298[0x2e0 - 0x298];
	uint64_t spec_ctrl; /* 0x2e0: with virtualized SPEC_CTRL */
	uint8_t reserved_2e8[0xc00 - 0x2e8];
};

struct vmcb {
	struct vmcb_control control;
	struct vmcb_save save;
};

#define VMCB_ASSERT_CONTROL(field, offset) \
	_Static_assert(offsetof(struct vmcb, control.field) == (offset), "VMCB: " #field)
#define VMCB_ASSERT_SAVE(field, offset) \
	_Static_assert(offsetof(struct vmcb, save.field) == 0x400 + (offset), "VMCB: " #field)

_Static_assert(sizeof(struct vmcb_segment) == 16, "VMCB segment");
_Static_assert(sizeof(struct vmcb_control) == 0x400, "VMCB control area");
_Static_assert(sizeof(struct vmcb) == 0x1000, "VMCB");

VMCB_ASSERT_CONTROL(intercept, 0x000);
VMCB_ASSERT_CONTROL(pause_threshold, 0x03c);
VMCB_ASSERT_CONTROL(pause_count, 0x03e);
VMCB_ASSERT_CONTROL(iopm_pa, 0x040);
VMCB_ASSERT_CONTROL(msrpm_pa, 0x048);
VMCB_ASSERT_CONTROL(tsc_offset, 0x050);
VMCB_ASSERT_CONTROL(asid, 0x058);
VMCB_ASSERT_CONTROL(tlb_control, 0x05c);
VMCB_ASSERT_CONTROL(vintr, 0x060);
VMCB_ASSERT_CONTROL(interrupt_shadow, 0x068);
VMCB_ASSERT_CONTROL(exitcode, 0x070);
VMCB_ASSERT_CONTROL(exitinfo1, 0x078);
VMCB_ASSERT_CONTROL(exitinfo2, 0x080);
VMCB_ASSERT_CONTROL(exitintinfo, 0x088);
VMCB_ASSERT_CONTROL(nested_ctl, 0x090);
VMCB_ASSERT_CONTROL(avic_bar, 0x098);
VMCB_ASSERT_CONTROL(ghcb_pa, 0x0a0);
VMCB_ASSERT_CONTROL(eventinj, 0x0a8);
VMCB_ASSERT_CONTROL(n_cr3, 0x0b0);
VMCB_ASSERT_CONTROL(virt_ext, 0x0b8);
VMCB_ASSERT_CONTROL(clean, 0x0c0);
VMCB_ASSERT_CONTROL(next_rip, 0x0c8);
VMCB_ASSERT_CONTROL(fetched, 0x0d0);
VMCB_ASSERT_CONTROL(instruction, 0x0d1);
VMCB_ASSERT_CONTROL(avic_backing_page, 0x0e0);
VMCB_ASSERT_CONTROL(avic_logical_table, 0x0f0);
VMCB_ASSERT_CONTROL(avic_physical_table, 0x0f8);
VMCB_ASSERT_CONTROL(vmsa_pa, 0x108);
VMCB_ASSERT_CONTROL(software, 0x3e0);

VMCB_ASSERT_SAVE(es, 0x000);
VMCB_ASSERT_SAVE(cs, 0x010);
VMCB_ASSERT_SAVE(ss, 0x020);
VMCB_ASSERT_SAVE(ds, 0x030);
VMCB_ASSERT_SAVE(fs, 0x040);
VMCB_ASSERT_SAVE(gs, 0x050);
VMCB_ASSERT_SAVE(gdtr, 0x060);
VMCB_ASSERT_SAVE(ldtr, 0x070);
VMCB_ASSERT_SAVE(idtr, 0x080);
VMCB_ASSERT_SAVE(tr, 0x090);
VMCB_ASSERT_SAVE(cpl, 0x0cb);
VMCB_ASSERT_SAVE(efer, 0x0d0);
VMCB_ASSERT_SAVE(cr4, 0x148);
VMCB_ASSERT_SAVE(cr3, 0x150);
VMCB_ASSERT_SAVE(cr0, 0x158);
VMCB_ASSERT_SAVE(dr7, 0x160);
VMCB_ASSERT_SAVE(dr6, 0x168);
VMCB_ASSERT_SAVE(rflags, 0x170);
VMCB_ASSERT_SAVE(rip, 0x178);
VMCB_ASSERT_SAVE(rsp, 0x1d8);
VMCB_ASSERT_SAVE(s_cet, 0x1e0);
VMCB_ASSERT_SAVE(ssp, 0x1e8);
VMCB_ASSERT_SAVE(isst_addr, 0x1f0);
VMCB_ASSERT_SAVE(rax, 0x1f8);
VMCB_ASSERT_SAVE(star, 0x200);
VMCB_ASSERT_SAVE(lstar, 0x208);
VMCB_ASSERT_SAVE(cstar, 0x210);
VMCB_ASSERT_SAVE(sfmask, 0x218);
VMCB_ASSERT_SAVE(kernel_gs_base, 0x220);
VMCB_ASSERT_SAVE(sysenter_cs, 0x228);
VMCB_ASSERT_SAVE(sysenter_esp, 0x230);
VMCB_ASSERT_SAVE(sysenter_eip, 0x238);
VMCB_ASSERT_SAVE(cr2, 0x240);
VMCB_ASSERT_SAVE(g_pat, 0x268);
VMCB_ASSERT_SAVE(dbgctl, 0x270);
VMCB_ASSERT_SAVE(br_from, 0x278);
VMCB_ASSERT_SAVE(br_to, 0x280);
VMCB_ASSERT_SAVE(last_excp_from, 0x288);
VMCB_ASSERT_SAVE(last_excp_to, 0x290);
VMCB_ASSERT_SAVE(spec_ctrl, 0x2e0);

/* Exit codes (appendix C). */
#define VMEXIT_CR_READ(cr)	 (0x000u + (cr))
#define VMEXIT_CR_WRITE(cr)	 (0x010u + (cr))
#define VMEXIT_DR_READ(dr)	 (0x020u + (dr))
#define VMEXIT_DR_WRITE(dr)	 (0x030u + (dr))
#define VMEXIT_EXCEPTION(vector) (0x040u + (vector))
#define VMEXIT_INTR		 0x060u
#define VMEXIT_NMI		 0x061u
#define VMEXIT_SMI		 0x062u
#define VMEXIT_INIT		 0x063u
#define VMEXIT_VINTR		 0x064u
#define VMEXIT_CR0_SELECTIVE	 0x065u
#define VMEXIT_RDTSC		 0x06eu
#define VMEXIT_RDPMC		 0x06fu
#define VMEXIT_PUSHF		 0x070u
#define VMEXIT_POPF		 0x071u
#define VMEXIT_CPUID		 0x072u
#define VMEXIT_RSM		 0x073u
#define VMEXIT_IRET		 0x074u
#define VMEXIT_INTN		 0x075u
#define VMEXIT_INVD		 0x076u
#define VMEXIT_PAUSE		 0x077u
#define VMEXIT_HLT		 0x078u
#define VMEXIT_INVLPG		 0x079u
#define VMEXIT_INVLPGA		 0x07au
#define VMEXIT_IOIO		 0x07bu
#define VMEXIT_MSR		 0x07cu
#define VMEXIT_TASK_SWITCH	 0x07du
#define VMEXIT_FERR_FREEZE	 0x07eu
#define VMEXIT_SHUTDOWN		 0x07fu
#define VMEXIT_VMRUN		 0x080u
#define VMEXIT_VMMCALL		 0x081u
#define VMEXIT_VMLOAD		 0x082u
#define VMEXIT_VMSAVE		 0x083u
#define VMEXIT_STGI		 0x084u
#define VMEXIT_CLGI		 0x085u
#define VMEXIT_SKINIT		 0x086u
#define VMEXIT_RDTSCP		 0x087u
#define VMEXIT_ICEBP		 0x088u
#define VMEXIT_WBINVD		 0x089u
#define VMEXIT_MONITOR		 0x08au
#define VMEXIT_MWAIT		 0x08bu
#define VMEXIT_MWAIT_ARMED	 0x08cu
#define VMEXIT_XSETBV		 0x08du
#define VMEXIT_RDPRU		 0x08eu
#define VMEXIT_INVLPGB		 0x0a0u
#define VMEXIT_INVLPGB_ILLEGAL	 0x0a1u
#define VMEXIT_INVPCID		 0x0a2u
#define VMEXIT_MCOMMIT		 0x0a3u
#define VMEXIT_TLBSYNC		 0x0a4u
#define VMEXIT_NPF		 0x400u
/* Negative codes: 64 bits on processors, 32 in QEMU (quirks.h). Compare the low half. */
#define VMEXIT_INVALID 0xffffffffu
#define VMEXIT_BUSY    0xfffffffeu

#endif
