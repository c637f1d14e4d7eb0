/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The seam between the hypervisor and a processor vendor. A back end is one
 * constant struct of these functions plus state of its own behind
 * vm->backend_state and vcpu->backend_state. Nothing else in core, x86 or dev
 * knows which vendor it runs on.
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

/* What decides about fetching instructions and translating addresses. */
struct guest_mode {
	uint64_t cr0, cr3, cr4, efer;
	struct seg_desc code; /* CS */
	uint64_t cpl;
};

struct vmm_backend {
	const char *name;		     /* "SVM" or "VMX" */
	const struct npt_format *npt_format; /* entry format of the nested page table */
	bool keeps_pdptes;		     /* PAE's directory pointers are registers (VMX) */
	unsigned int (*npt_levels)(void);    /* how deep it is: 4 or 5. After probe. any */

	/*
	 * Module load, any CPU. 0; -ENXIO (not this vendor's processor); -ENODEV (missing
	 * feature) or -EBUSY (another hypervisor), with *why a sentence for the log
	 * naming the feature.
	 * 'facts' is filled with a line such as "SVM, 32768 ASIDs, ...".
	 */
	int (*probe)(const char **why, char *facts, size_t facts_size);
	int (*init)(void); /* allocate what lives as long as the module. sleep */
	void (*fini)(void);

	/* Turn virtualization on or off on this CPU. Interrupts off. -EBUSY if held. */
	int (*cpu_enable)(void);
	void (*cpu_disable)(void);

	/* Life of a VM and of a vCPU. Errors leave nothing behind. sleep */
	int (*vm_init)(struct vm *vm);
	void (*vm_cleanup)(struct vm *vm);
	int (*vcpu_init)(struct vcpu *vcpu);
	void (*vcpu_cleanup)(struct vcpu *vcpu);
	/*
	 * Put what the back end holds (control registers, segments, EFER, DRs,
	 * MSRs in hardware, event state) into the state after RESET, or after
	 * INIT when 'init' (APM vol. 2, 14.1.3: what INIT leaves alone stays).
	 * gpr, rip and rflags are the core's. vCPU locked or owner.
	 */
	void (*vcpu_reset)(struct vcpu *vcpu, bool init);

	/* Edges of the inner loop, preemption off: guest MSRs etc. in and out. put may be NULL. */
	void (*load)(struct vcpu *vcpu);
	void (*put)(struct vcpu *vcpu);
	/*
	 * Virtualization may be turned off after this: what only the hardware can read
	 * is to be in memory, until the next load. Owner, not loaded. May be NULL.
	 */
	void (*settle)(struct vcpu *vcpu);
	/*
	 * One VM entry and exit. Interrupts off before and after. Takes gpr[],
	 * rip, rflags, cr2 and intr_shadow from struct vcpu and puts them back;
	 * records what exit() needs; an interrupted delivery goes to
	 * vcpu_set_exitintinfo().
	 */
	void (*enter)(struct vcpu *vcpu);
	/* Dispatch the exit recorded by enter(). Inner loop, interrupts on. */
	enum exit_action (*exit)(struct vcpu *vcpu);

	/*
	 * State that is not in struct vcpu: CR0, CR3, CR4, EFER, DR6, DR7, selectors
	 * and descriptors, PDPTEs, TPR (CR8: 0..15). As the guest
	 * sees it. The core has checked 'reg'; a back end checks what its
	 * hardware forbids: -EINVAL. vCPU locked or owner.
	 */
	int (*get_reg)(struct vcpu *vcpu, int reg, uint64_t *value);
	int (*set_reg)(struct vcpu *vcpu, int reg, uint64_t value);
	int (*get_desc)(struct vcpu *vcpu, int reg, struct seg_desc *desc);
	int (*set_desc)(struct vcpu *vcpu, int reg, const struct seg_desc *desc);
	/* All of this at once, for what is done at many exits. May be NULL: asked one by one. */
	void (*get_mode)(struct vcpu *vcpu, struct guest_mode *mode);
	/* MSRs that live in the back end's hardware state (x86/cpu/msr.c's table says which). */
	int (*get_msr)(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
	int (*set_msr)(struct vcpu *vcpu, uint32_t msr, uint64_t value);

	/*
	 * Events. inject: 'intinfo' (VM_INTINFO_*) is delivered by the next
	 * entry, which follows for certain. Interrupts off. request_window: exit
	 * when the guest can take it; for interrupts, 'vector' gives the priority
	 * that CR8 must allow (0 for ExtINT: any).
	 */
	void (*inject)(struct vcpu *vcpu, uint64_t intinfo);
	void (*request_window)(struct vcpu *vcpu, unsigned int windows, uint8_t vector);
	bool (*nmi_blocked)(struct vcpu *vcpu);
	void (*set_nmi_blocked)(struct vcpu *vcpu, bool blocked);

	/*
	 * The local APIC's interrupts, where the processor delivers them from the APIC's
	 * page: 'vector' is the highest requested, -1 none (or none may go in). False: it
	 * does not, and the core injects them one by one. Interrupts off, before an entry.
	 * NULL: it never does. apic_mode_changed: it is enabled, disabled or in another mode. Owner.
	 */
	bool (*virtual_interrupt)(struct vcpu *vcpu, int vector);
	void (*apic_mode_changed)(struct vcpu *vcpu);

	/* The nested page table lost or tightened entries: forget cached translations. */
	void (*flush_nested)(struct vcpu *vcpu);
	void (*set_tsc_offset)(struct vcpu *vcpu, uint64_t offset);
	/*
	 * Can a guest use a feature of the processor (enum cpu_feature) on this back
	 * end, when the host has it? Optional; NULL: every one. any
	 */
	bool (*offers)(unsigned int feature);
	/* Back-end half of VM_SET_CAPABILITY: -ENOTSUP where the hardware has no such thing. */
	int (*set_capability)(struct vcpu *vcpu, enum vm_cap_type cap, bool on);
};

/* The one in use; set at module load, constant afterwards. */
extern const struct vmm_backend *backend;

/* Counters of exits: the back end registers one per exit reason (vm/stats.h). */

#endif
