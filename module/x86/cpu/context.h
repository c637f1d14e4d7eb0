/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest state that no vendor's hardware switches: FPU, SSE and AVX registers,
 * XCR0, PKRU, debug address registers, TSC_AUX and SPEC_CTRL; and on AMD IA32_XSS
 * and DEBUGCTL. It is loaded and put back at the edges of the inner loop; SPEC_CTRL,
 * which changes what the host's own code may speculate on, around each entry.
 */
#ifndef X86_CPU_CONTEXT_H
#define X86_CPU_CONTEXT_H

#include "vm/vcpu.h"
#include "vm/regs.h"
#include "x86/cpu/switch.h"

struct guest_context {
	void *fpu;		 /* (c) XSAVE or FXSAVE area */
	unsigned int fpu_order;	 /* (c) of the pages it lies in */
	uint64_t components;	 /* (c) XSAVE components switched; 0: FXSAVE */
	uint64_t host_xcr0;	 /* (c) */
	bool has_tsc_aux;	 /* (c) */
	bool has_spec_ctrl;	 /* (c) */
	bool host_has_keys;	 /* (c) the host runs with CR4.PKE */
	bool keeps_debugctl;	 /* (c) VMRUN leaves it the host's */
	uint64_t host_xss;	 /* (c) that VMRUN leaves; 0: none */
	bool clear_fpu_pointers; /* (c) XRSTOR may leave the last process's FIP and FDP */

	bool loaded;	    /* (o) between context_load and context_put */
	bool dr_loaded;	    /* (o) guest's DR0..3 are in the hardware */
	uint64_t xcr0;	    /* (o) current while not loaded */
	uint64_t dr[4];	    /* (o) current while !dr_loaded */
	uint64_t tsc_aux;   /* (o) */
	uint64_t spec_ctrl; /* (o) */

	/* (o) Host's values while loaded. */
	uint64_t host_dr[4]; /* while dr_loaded, if host_dr7 enables any */
	uint64_t host_dr7;
	uint64_t host_debugctl; /* of AMD */
	uint32_t host_pkru;
	uint64_t host_tsc_aux; /* of host_tsc_aux_cpu: it is constant on each CPU */
	unsigned int host_tsc_aux_cpu;
};

/*
 * Module load and unload, around everything else. Without context_init guests run,
 * but every load is preceded by a predictor barrier where those are enabled.
 * 0 or -ENOMEM. sleep
 */
int context_init(void);
void context_fini(void);

/* Make vcpu->context, in the state after RESET; vm->cpuid must exist. 0 or -ENOMEM. sleep */
int context_create(struct vcpu *vcpu);
void context_destroy(struct vcpu *vcpu);
/* State after RESET, or after INIT, which leaves the FPU and XCR0 alone. Owner, not loaded. */
void context_reset(struct vcpu *vcpu, bool init);

/*
 * Edges of the inner loop: after os_run_begin() and before the back end's load();
 * after its put() and before os_run_end(). Owner; preemption off.
 */
void context_load(struct vcpu *vcpu);
void context_put(struct vcpu *vcpu);

/* Right before the world switch, which brings the host's SPEC_CTRL back. Interrupts off, loaded. */
static inline void context_enter(struct vcpu *vcpu)
{
	if (unlikely(vcpu->switch_flags & X86_SWITCH_HOST_SPEC_CTRL))
		os_wrmsr(MSRN_SPEC_CTRL, vcpu->context->spec_ctrl);
}

/* XCR0; the setter has been given a legal value (x86_check_xcr0). Owner. */
uint64_t context_xcr0(struct vcpu *vcpu);
void context_set_xcr0(struct vcpu *vcpu, uint64_t value);

/*
 * DR0..3 (index 0..3). The back end's get_reg and set_reg come here for them.
 * context_own_dr puts the guest's into the hardware until context_put, so that the
 * back end need not intercept them meanwhile; the back end's load() has it done by
 * context_load_dr for a guest whose DR7 enables a breakpoint. context_dr_owned says
 * whether it is so: the back end asks before it sets its intercepts for an entry. Owner.
 */
uint64_t context_dr(struct vcpu *vcpu, unsigned int index);
void context_set_dr(struct vcpu *vcpu, unsigned int index, uint64_t value);
void context_own_dr(struct vcpu *vcpu); /* inner loop */
static inline void context_load_dr(struct vcpu *vcpu, uint64_t dr7)
{
	if (unlikely(dr7 & REG_DR7_ENABLES))
		context_own_dr(vcpu);
}
static inline bool context_dr_owned(const struct vcpu *vcpu)
{
	return vcpu->context->dr_loaded;
}

/* MSRs; the caller has checked the value. Owner. */
void context_set_tsc_aux(struct vcpu *vcpu, uint64_t value);
void context_set_spec_ctrl(struct vcpu *vcpu, uint64_t value);

/* Where the XSAVE area says which components are not in their initial state: 64 bits. */
#define CONTEXT_XSTATE_BV 512
/* The part of the area that holds a component, NULL if it is not switched. Owner, not loaded. */
uint8_t *context_component(const struct vcpu *vcpu, unsigned int number);
/* The guest's PKRU, wherever it is now. Owner; any context. */
uint32_t context_pkru(const struct vcpu *vcpu);

#endif
