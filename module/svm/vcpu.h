/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the AMD back end know of a vCPU and of a physical CPU. */
#ifndef SVM_VCPU_H
#define SVM_VCPU_H

#include "vm/vcpu.h"
#include "svm/features.h"
#include "svm/vmcb.h"
#include "x86/cpu/asid.h"

/* A physical CPU. Touched only on that CPU with preemption off, but for init and fini. */
struct svm_cpu {
	void *hsave;	   /* page for VMRUN to keep the host's state in (VM_HSAVE_PA) */
	struct vmcb *host; /* the rest of the host's state, by VMSAVE */
	uint64_t host_pa;
	struct asid_pool asids;
};

/*
 * Pending work of the next entry, one word for all of it: registers were set from outside
 * and are to be checked; cached translations are to be flushed; one instruction is to be run,
 * then to exit by a #DB that is hidden from the guest, once for a window or always for
 * userspace (VM_CAP_RFLAGS_TF); the IRET at iret_rip may be about to complete.
 */
#define SVM_TODO_CHECK	    0x01u
#define SVM_TODO_FLUSH	    0x02u
#define SVM_TODO_STEP	    0x04u
#define SVM_TODO_DEBUG_STEP 0x08u
#define SVM_TODO_WATCH_IRET 0x10u

#define SVM_TODO_STEPS (SVM_TODO_STEP | SVM_TODO_DEBUG_STEP)

/* A vCPU; vcpu->backend_state. All (o) in the terms of vm/vm.h. */
struct svm_vcpu {
	struct vmcb *vmcb;   /* (c) */
	uint64_t vmcb_pa;    /* (c) */
	struct svm_cpu *cpu; /* where it is loaded; compared, not followed, elsewhere */
	struct asid asid;    /* allocated from 'cpu' */
	uint32_t todo;	     /* SVM_TODO_* */

	/* Without virtual NMI: an NMI's handler runs, until its IRET is done. */
	bool nmi_masked;
	uint64_t iret_rip;

	/* The last entry, if its exit needs more than a handler: stepped, or under a shadow. */
	bool entry_watched;
	bool entry_shadow; /* made under an interrupt shadow */
	bool entry_step;   /* made with TF set for us */
	bool step_tf;	   /* TF as the guest has it */
	uint64_t step_dr6; /* DR6 as the guest has it */
	uint64_t entry_rip;
};

/* --- small helpers --- */

static inline struct svm_vcpu *svm_vcpu(const struct vcpu *vcpu)
{
	return vcpu->backend_state;
}

/* The parts of the VMCB behind these clean bits have been changed. */
static inline void svm_dirty(struct svm_vcpu *svm, uint32_t parts)
{
	svm->vmcb->control.clean &= ~parts;
}

static inline bool svm_intercepts(const struct svm_vcpu *svm, unsigned int intercept)
{
	return svm->vmcb->control.intercept[intercept / 32] >> (intercept % 32) & 1;
}

/* Turn an intercept (INTERCEPT_*) on or off from the next entry on. */
static inline void svm_set_intercept(struct svm_vcpu *svm, unsigned int intercept, bool on)
{
	if (svm_intercepts(svm, intercept) == on)
		return;
	svm->vmcb->control.intercept[intercept / 32] ^= 1u << (intercept % 32);
	svm_dirty(svm, CLEAN_INTERCEPTS);
}

/* --- enter.c: the edges of the inner loop and the entry; as in struct vmm_backend --- */

void svm_load(struct vcpu *vcpu);
void svm_enter(struct vcpu *vcpu);

/* --- cpu.c: physical CPUs; as in struct vmm_backend --- */

int svm_cpus_create(void);   /* sleep */
void svm_cpus_destroy(void); /* sleep */
int svm_cpu_enable(void);
void svm_cpu_disable(void);
extern struct svm_cpu *svm_cpus; /* by CPU number; of cpu.c */
/* This CPU. Preemption off. */
static inline struct svm_cpu *svm_this_cpu(void)
{
	return &svm_cpus[os_cpu_id()];
}

/* --- asid.c --- */

/*
 * Before an entry on svm->cpu, where the vCPU has no ASID there or SVM_TODO_FLUSH: allocate
 * one, request the flush that is due. Interrupts off.
 */
void svm_asid_renew(struct svm_vcpu *svm);

/* --- events.c; the first two as in struct vmm_backend --- */

void svm_inject(struct vcpu *vcpu, uint64_t intinfo);
void svm_request_window(struct vcpu *vcpu, unsigned int windows, uint8_t vector);
bool svm_nmi_blocked(struct vcpu *vcpu);
void svm_set_nmi_blocked(struct vcpu *vcpu, bool blocked);

/* No exit any more when the guest can take an interrupt. Owner. */
void svm_close_interrupt_window(struct svm_vcpu *svm);
/* After an exit with the window requested: may it be open? Interrupts off. */
void svm_check_window(struct vcpu *vcpu);
/* No window requested, no NMI in progress. Owner. */
void svm_events_reset(struct vcpu *vcpu);
/* After an exit that interrupted a delivery: it is re-injected, or not. Interrupts off. */
void svm_delivery_interrupted(struct vcpu *vcpu, uint64_t intinfo);
/* Around an entry while stepping, watching an IRET or under a shadow. Interrupts off. */
void svm_watch_entry(struct vcpu *vcpu);
void svm_watch_exit(struct vcpu *vcpu);
/* Exits of the windows. Inner loop. */
enum exit_action svm_exit_vintr(struct vcpu *vcpu);
enum exit_action svm_exit_iret(struct vcpu *vcpu);
enum exit_action svm_exit_db(struct vcpu *vcpu);

/* --- exits.c --- */

void svm_exits_register(void);		      /* once, at init */
enum exit_action svm_exit(struct vcpu *vcpu); /* as in struct vmm_backend */
bool svm_last_port(struct vcpu *vcpu, uint16_t *port, unsigned int *size); /* the same */

/* --- state.c; as in struct vmm_backend --- */

void svm_state_reset(struct vcpu *vcpu, bool init); /* registers after RESET or INIT */
int svm_get_reg(struct vcpu *vcpu, int reg, uint64_t *value);
int svm_set_reg(struct vcpu *vcpu, int reg, uint64_t value);
void svm_get_mode(struct vcpu *vcpu, struct guest_mode *mode);
int svm_get_desc(struct vcpu *vcpu, int reg, struct seg_desc *desc);
int svm_set_desc(struct vcpu *vcpu, int reg, const struct seg_desc *desc);
int svm_get_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
int svm_set_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value);
/* EFER.LMA is EFER.LME and CR0.PG (APM vol. 2, 14.6.1): userspace may leave it to us. */
void svm_derive_lma(struct vmcb_save *save);
/*
 * Would VMRUN accept the registers together (APM vol. 2, 15.5.1)? Brings EFER.LMA
 * and CPL in line with the others first. Owner.
 */
bool svm_state_valid(struct vcpu *vcpu);

#endif
