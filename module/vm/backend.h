/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The seam between the hypervisor and a processor vendor. A back end is one constant
 * struct of these functions plus state of its own behind vm->backend_state and
 * vcpu->backend_state. No room but svm and vmx knows which vendor it runs on.
 *
 * Required operations come first; optional ones are in groups by what they are for. An
 * optional operation that is NULL is not there, and its caller does without: no back end
 * has an empty function.
 *
 * Who may call: "any" needs nothing; "owner" holds the vCPU's mutex (vm/vcpu.h); "loaded"
 * is the owner between load() and edges.put(), with preemption off; "sleep" may sleep.
 */
#ifndef VM_BACKEND_H
#define VM_BACKEND_H

#include <vmm/vmm.h>
#include "os/os.h"
#include "vm/exit.h"

struct vm;
struct vcpu;
struct npt_format;

/* Windows a back end can be asked to report by an exit (backend->request_window). */
#define WINDOW_INTERRUPT 0x1 /* the guest can take an interrupt */
#define WINDOW_NMI	 0x2 /* the guest can take an NMI */

/* Registers of get_reg and set_reg beside bhyve's, which userspace cannot name. */
#define BACKEND_REG_NMI_BLOCKED VM_REG_LAST /* 0 or 1: an NMI is being handled */
#define BACKEND_REG_COUNT	(VM_REG_LAST + 1)

/* What decides about fetching instructions and translating addresses. */
struct guest_mode {
	uint64_t cr0, cr3, cr4, efer;
	struct seg_desc code; /* CS */
	uint64_t cpl;
};

/* Memory that lives as long as the module. Both or neither. Module load and unload; sleep. */
struct backend_module {
	int (*init)(void); /* 0 or -ENOMEM, with nothing left behind. After probe */
	void (*fini)(void);
};

/* The edges of the inner loop, beside load(). Each on its own. */
struct backend_edges {
	/* The guest's state goes out of the hardware, the host's comes back. Loaded, at its end. */
	void (*put)(struct vcpu *vcpu);
	/*
	 * Virtualization may be turned off after this: what only the hardware can read is to be
	 * in memory, until the next load. Owner, not loaded.
	 */
	void (*settle)(struct vcpu *vcpu);
};

/* A processor that delivers the local APIC's interrupts from the APIC's page. All or none. */
struct backend_apic {
	/* What a VM needs for it. create: 0 or -ENOMEM. vm->lock or nobody else knows it; sleep */
	int (*create)(struct vm *vm);
	void (*destroy)(struct vm *vm);
	/*
	 * 'vector' is the highest requested, -1 none (or none may go in). False: this vCPU's are
	 * not delivered so now, and are injected singly. Loaded, interrupts off, before an entry.
	 */
	bool (*interrupt)(struct vcpu *vcpu, int vector);
	/* The APIC has been enabled, disabled or put into another mode. Owner. */
	void (*mode_changed)(struct vcpu *vcpu);
};

/* What a guest or userspace can have on this back end. Each on its own. */
struct backend_offers {
	/* May a guest use a feature (enum cpu_feature) that the host has? NULL: every one. any */
	bool (*feature)(unsigned int feature);
	/*
	 * Back-end half of VM_SET_CAPABILITY, for those that software alone cannot keep. 0;
	 * -ENOTSUP where the hardware has no such thing. NULL: it has none. Owner.
	 */
	int (*set_capability)(struct vcpu *vcpu, enum vm_cap_type cap, bool on);
	/*
	 * What FreeBSD's sysctl of this name, below hw.vmm, says: "vmx.cap.rdtscp". 0 for what
	 * is another back end's. NULL: 0. After the probe. any
	 */
	unsigned int (*number)(const char *name);
};

/* Several operations in one, for what is done at many exits. Each on its own. */
struct backend_shortcuts {
	/* Registers that make up the mode. NULL: they are asked for one by one. Owner. */
	void (*get_mode)(struct vcpu *vcpu, struct guest_mode *mode);
};

struct vmm_backend {
	const char *name;		     /* "SVM" or "VMX" */
	const struct npt_format *npt_format; /* of the nested page table */
	bool keeps_pdptes;		     /* PAE's directory pointers are registers (VMX) */

	/* --- required: this processor ---------------------------------------------- */

	/*
	 * Module load, any CPU. 0; -ENXIO (not this vendor's processor); -ENODEV (missing
	 * feature) or -EBUSY (another hypervisor), with *why a sentence for the log
	 * naming the feature.
	 * 'facts' is filled with a line such as "SVM, 32768 ASIDs, ...".
	 */
	int (*probe)(const char **why, char *facts, size_t facts_size);
	/*
	 * Turn virtualization on or off on this CPU. Interrupts off. 0; -EBUSY if another
	 * hypervisor holds it. cpu_disable may come at any instruction, in an emergency.
	 */
	int (*cpu_enable)(void);
	void (*cpu_disable)(void);

	/* --- required: a vCPU's life ----------------------------------------------- */

	/* 0 or -ENOMEM, with nothing left behind. Nobody else knows the vCPU; sleep. */
	int (*vcpu_init)(struct vcpu *vcpu);
	void (*vcpu_cleanup)(struct vcpu *vcpu);
	/*
	 * Put what the back end holds (control registers, segments, EFER, DRs,
	 * MSRs in hardware, event state) into the state after RESET, or after
	 * INIT when 'init' (APM vol. 2, 14.1.3: what INIT leaves alone stays).
	 * gpr, rip and rflags are run/'s. Owner, not loaded.
	 */
	void (*vcpu_reset)(struct vcpu *vcpu, bool init);

	/* --- required: the inner loop ---------------------------------------------- */

	/* The guest's MSRs and the like go into the hardware. Owner, preemption off. */
	void (*load)(struct vcpu *vcpu);
	/*
	 * One VM entry and exit. Takes gpr[], rip, rflags, cr2 and intr_shadow from struct
	 * vcpu and puts them back; records what exit() needs; an interrupted delivery goes to
	 * vcpu_set_exitintinfo(). Loaded, interrupts off before and after.
	 */
	void (*enter)(struct vcpu *vcpu);
	/* Dispatch the exit recorded by enter(). Loaded, interrupts on. */
	enum exit_action (*exit)(struct vcpu *vcpu);

	/* --- required: registers ---------------------------------------------------- */

	/*
	 * State that is not in struct vcpu: CR0, CR3, CR4, EFER, DR6, DR7, selectors
	 * and descriptors, PDPTEs, TPR (CR8: 0..15), BACKEND_REG_*. As the guest
	 * sees it. The caller has checked 'reg'; a back end checks what its
	 * hardware forbids: 0 or -EINVAL. Owner.
	 */
	int (*get_reg)(struct vcpu *vcpu, int reg, uint64_t *value);
	int (*set_reg)(struct vcpu *vcpu, int reg, uint64_t value);
	int (*get_desc)(struct vcpu *vcpu, int reg, struct seg_desc *desc);
	int (*set_desc)(struct vcpu *vcpu, int reg, const struct seg_desc *desc);
	/*
	 * MSRs that live in the back end's hardware state (x86/cpu/msr.c's table says which).
	 * 0; -EINVAL for others, with *value left alone. Owner.
	 */
	int (*get_msr)(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
	int (*set_msr)(struct vcpu *vcpu, uint32_t msr, uint64_t value);

	/* --- required: events, memory, time ----------------------------------------- */

	/* The next entry, which is certain, delivers 'intinfo' (VM_INTINFO_*). Interrupts off. */
	void (*inject)(struct vcpu *vcpu, uint64_t intinfo);
	/*
	 * Exit when the guest can take what WINDOW_* says; for interrupts, 'vector' gives the
	 * priority that CR8 must allow (0 for ExtINT: any). Loaded, interrupts off.
	 */
	void (*request_window)(struct vcpu *vcpu, unsigned int windows, uint8_t vector);
	/* The nested page table lost or tightened entries: forget cached translations. Owner. */
	void (*flush_nested)(struct vcpu *vcpu);
	/* From the next entry on. Owner. */
	void (*set_tsc_offset)(struct vcpu *vcpu, uint64_t offset);

	/* --- optional --------------------------------------------------------------- */

	struct backend_module module;
	struct backend_edges edges;
	struct backend_apic apic;
	struct backend_offers offers;
	struct backend_shortcuts shortcuts;
	/*
	 * The last exit was for an IN or OUT (not INS, OUTS) of '*size' bytes at '*port'; false:
	 * for anything else. NULL: false. Loaded, interrupts off, before the next entry.
	 */
	bool (*last_port)(struct vcpu *vcpu, uint16_t *port, unsigned int *size);
};

/* The one in use; set at module load, constant afterwards. */
extern const struct vmm_backend *backend;

#endif
