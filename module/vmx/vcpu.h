/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the Intel back end know of a vCPU and of a physical CPU. */
#ifndef VMX_VCPU_H
#define VMX_VCPU_H

#include "vm/vcpu.h"
#include "os/vmx.h"
#include "vmx/features.h"
#include "vmx/vmcs.h"
#include "x86/cpu/asid.h"

/*
 * MSRs of system calls that the VMCS has no place for. The guest's are in the
 * processor while its vCPU is loaded.
 */
enum switched_msr { SWITCHED_STAR, SWITCHED_LSTAR, SWITCHED_SFMASK, SWITCHED_COUNT };

/* A physical CPU. Touched only on that CPU with preemption off, but for init and fini. */
struct vmx_cpu {
	struct vmcs_region *vmxon;
	struct asid_pool vpids;
	uint64_t epoch;		      /* counts how often VMX has been turned on here */
	uint64_t msr[SWITCHED_COUNT]; /* the host's, which never change */
	uint64_t sysenter[3];	      /* CS, ESP, EIP; likewise */
	uint64_t efer, pat;	      /* likewise */
};

/*
 * Fields of the VMCS that are kept in memory too. Bits of vmx->cached and vmx->dirty.
 * Segment registers come in the order of VM_REG_GUEST_ES, four fields each.
 */
enum vmx_field {
	FIELD_ES_SELECTOR,
	FIELD_ES_BASE,
	FIELD_ES_LIMIT,
	FIELD_ES_ACCESS,
	FIELD_CS_ACCESS = FIELD_ES_ACCESS + 4,
	FIELD_SS_ACCESS = FIELD_ES_ACCESS + 8,
	FIELD_TR_ACCESS = FIELD_ES_ACCESS + 28,
	FIELD_IDTR_BASE = 32,
	FIELD_IDTR_LIMIT,
	FIELD_GDTR_BASE,
	FIELD_GDTR_LIMIT,
	FIELD_CR0,
	FIELD_CR3,
	FIELD_CR4,
	FIELD_DR7,
	FIELD_RSP,
	FIELD_RIP,
	FIELD_RFLAGS,
	FIELD_INTERRUPTIBILITY,
	FIELD_PENDING_DEBUG,
	FIELD_PDPTE0,
	FIELD_PDPTE3 = FIELD_PDPTE0 + 3,
	FIELD_GUEST_LAST = FIELD_PDPTE3, /* those up to here the guest changes without an exit */
	FIELD_CR0_SHADOW,
	FIELD_CR4_SHADOW,
	FIELD_EFER,
	FIELD_PAT,
	FIELD_SYSENTER_CS,
	FIELD_SYSENTER_ESP,
	FIELD_SYSENTER_EIP,
	FIELD_ENTRY_CONTROLS,
	FIELD_PRIMARY_CONTROLS,
	FIELD_EXCEPTION_BITMAP,
	FIELD_TSC_OFFSET,
	FIELD_TPR_THRESHOLD,
	FIELD_VPID,
	FIELD_SECONDARY_CONTROLS,
	FIELD_MSR_BITMAP,
	FIELD_COUNT
};
static_assert(FIELD_COUNT <= 64);
#define FIELDS_ALL (~0ull >> (64 - FIELD_COUNT))

/* Where PAUSE is filtered: so close together, for so long, is a spin loop. In TSC ticks. */
#define VMX_PAUSE_GAP	 128
#define VMX_PAUSE_WINDOW 4096

/* A reason of our own, beside the processor's: VMLAUNCH or VMRESUME failed. */
#define VMX_EXIT_NOT_ENTERED 0xffffu

/* Who wants single steps. */
#define STEP_TRAP  0x1u /* VM_CAP_MTRAP_EXIT */
#define STEP_DEBUG 0x2u /* VM_CAP_RFLAGS_TF: in place of the flag */

/* A vCPU; vcpu->backend_state. All (o) in the terms of vm/vm.h. */
struct vmx_vcpu {
	struct vmcs_region *vmcs; /* (c) */
	uint64_t vmcs_pa;	  /* (c) */
	uint8_t *virtual_apic;	  /* (c) the APIC's page; CR8 lives in it. VIRTUAL_APIC_* */
	uint64_t eptp;		  /* (c) */

	/* The fields: 'cached' says which are known here, 'dirty' which the VMCS does not know. */
	uint64_t field[FIELD_COUNT];
	uint64_t cached;
	uint64_t dirty;
	uint64_t level_vectors[4]; /* as the VMCS has them: their EOI is an exit */

	bool made;     /* the VMCS has been filled for the first time */
	bool loaded;   /* it is current on 'cpu' */
	bool launched; /* since it became current */

	/* Where it is loaded, or was last; compared, not followed, elsewhere. */
	struct vmx_cpu *cpu;
	uint64_t epoch; /* of 'cpu' then */
	struct asid vpid;
	bool flush_linear; /* forget translations of the guest's own tables */
	bool flush_nested; /* forget those of the nested table */

	/* MSRs and debug registers that the processor holds while loaded. */
	uint64_t msr[SWITCHED_COUNT];
	uint64_t cstar;		 /* of no use on Intel, but there */
	uint64_t kernel_gs_base; /* current while not loaded */
	uint64_t dr6;		 /* current while the guest does not own the debug registers */

	/* The host's, while loaded. */
	struct os_host_segments host;
	uint64_t host_cr3, host_cr4; /* as the VMCS has them */
	uint64_t host_kernel_gs_base;
	uint64_t host_debugctl;

	bool nmi_taken;	   /* an NMI may block others (VMX_QUIRK_NMI_BLOCKING_STAYS) */
	bool check_state;  /* registers were set from outside: check them before entry */
	bool pdptes_stale; /* and paging was changed without setting PDPTEs */
	uint32_t steps;	   /* STEP_*: userspace wants an exit after each instruction */

	/* The last exit. */
	uint32_t reason;
	uint32_t intr_info; /* of VMX_EXIT_EXCEPTION_OR_NMI */
	uint32_t vectoring; /* delivery that it interrupted */
};

static inline struct vmx_vcpu *vmx_vcpu(const struct vcpu *vcpu)
{
	return vcpu->backend_state;
}

/* --- fields.c --- */

/* The VMCS's number of each field. */
extern const uint16_t vmx_field_number[FIELD_COUNT];

/* Take into memory all that the VMCS alone knows. Not loaded; interrupts on. */
void vmx_fields_sync(struct vmx_vcpu *vmx);
/* Read one that is not cached: from the VMCS if it is loaded, else after a sync. Owner. */
uint64_t vmx_field_fetch(struct vmx_vcpu *vmx, unsigned int field);
/* Write the dirty ones. Loaded. */
void vmx_fields_flush(struct vmx_vcpu *vmx);

static inline uint64_t vmx_get(struct vmx_vcpu *vmx, unsigned int field)
{
	if (likely(vmx->cached >> field & 1))
		return vmx->field[field];
	return vmx_field_fetch(vmx, field);
}

/* From the next entry on. Owner. */
static inline void vmx_set(struct vmx_vcpu *vmx, unsigned int field, uint64_t value)
{
	if ((vmx->cached >> field & 1) && vmx->field[field] == value)
		return;
	vmx->field[field] = value;
	vmx->cached |= BIT_ULL(field);
	vmx->dirty |= BIT_ULL(field);
}

static inline void vmx_set_bits(struct vmx_vcpu *vmx, unsigned int field, uint64_t bits, bool on)
{
	uint64_t value = vmx_get(vmx, field);

	vmx_set(vmx, field, on ? value | bits : value & ~bits);
}

/* Where it is known that the vCPU is loaded; 'number' is the field's. */
static inline uint64_t vmx_get_loaded(struct vmx_vcpu *vmx, unsigned int field, uint32_t number)
{
	if (!(vmx->cached >> field & 1)) {
		vmx->field[field] = os_vmread(number);
		vmx->cached |= BIT_ULL(field);
	}
	return vmx->field[field];
}

/* Read after each exit, and written before each entry where they have changed (enter.c). */
#define FIELDS_OF_EVERY_EXIT                                               \
	(BIT_ULL(FIELD_RSP) | BIT_ULL(FIELD_RIP) | BIT_ULL(FIELD_RFLAGS) | \
	 BIT_ULL(FIELD_INTERRUPTIBILITY))

/* After an exit: of what the guest may have changed, nothing else is known. */
static inline void vmx_fields_forget(struct vmx_vcpu *vmx)
{
	vmx->cached &= ~(BIT_ULL(FIELD_GUEST_LAST + 1) - 1) | FIELDS_OF_EVERY_EXIT;
}

/* A field of the exit, which nobody changes. Loaded. */
static inline uint64_t vmx_exit_field(uint32_t number)
{
	return os_vmread(number);
}

/* --- cpu.c: physical CPUs; as in struct vmm_backend --- */

int vmx_cpus_create(void);   /* sleep */
void vmx_cpus_destroy(void); /* sleep */
int vmx_cpu_enable(void);
void vmx_cpu_disable(void);
extern struct vmx_cpu *vmx_cpus; /* by CPU number; of cpu.c */
/* This CPU. Preemption off. */
static inline struct vmx_cpu *vmx_this_cpu(void)
{
	return &vmx_cpus[os_cpu_id()];
}

/* --- translations.c --- */

/* The pointer to a nested page table. any */
uint64_t vmx_eptp(const struct npt *npt);
/* The vCPU has migrated to another CPU, or VMX was off: what it has cached is old. Loaded. */
void vmx_translations_forget(struct vmx_vcpu *vmx);
/* A VPID, and what is to be forgotten. Loaded, interrupts off. */
void vmx_translations_renew(struct vmx_vcpu *vmx);
/* Before each entry. Loaded, interrupts off. */
static inline void vmx_translations_prepare(struct vmx_vcpu *vmx)
{
	if (unlikely(vmx->flush_linear | vmx->flush_nested) ||
	    unlikely(!asid_is_current(&vmx->cpu->vpids, &vmx->vpid)))
		vmx_translations_renew(vmx);
}
/* VMX has been turned on on this CPU. Interrupts off. */
void vmx_translations_restart(struct vmx_cpu *cpu);

/* --- enter.c: the edges of the inner loop and the entry; as in struct vmm_backend --- */

void vmx_load(struct vcpu *vcpu);
void vmx_put(struct vcpu *vcpu);
void vmx_enter(struct vcpu *vcpu);
/* Stop and let the guest see the debug registers, until put. Loaded. */
void vmx_own_debug_registers(struct vcpu *vcpu);

/* --- events.c; the first two as in struct vmm_backend --- */

void vmx_inject(struct vcpu *vcpu, uint64_t intinfo);
void vmx_request_window(struct vcpu *vcpu, unsigned int windows, uint8_t vector);
bool vmx_nmi_blocked(struct vcpu *vcpu);
void vmx_set_nmi_blocked(struct vcpu *vcpu, bool blocked);
/* No window requested, no NMI in progress. Owner. */
void vmx_events_reset(struct vcpu *vcpu);
/* After an exit that interrupted a delivery (vmx->vectoring). Interrupts off. */
void vmx_delivery_interrupted(struct vcpu *vcpu);
/* IRET had ended the blocking of NMIs before it faulted: it is to be blocked again. */
void vmx_nmi_still_blocked(struct vcpu *vcpu);
/* Exits of the windows, and #DB. Inner loop. */
enum exit_action vmx_exit_interrupt_window(struct vcpu *vcpu);
enum exit_action vmx_exit_nmi_window(struct vcpu *vcpu);
enum exit_action vmx_exit_tpr_threshold(struct vcpu *vcpu);
enum exit_action vmx_exit_db(struct vcpu *vcpu);
enum exit_action vmx_exit_monitor_trap(struct vcpu *vcpu);

/* --- apic.c; the first two as in struct backend_apic --- */

bool vmx_apic_interrupt(struct vcpu *vcpu, int vector);
void vmx_apic_mode_changed(struct vcpu *vcpu);
/* The page of a VM that stands where its APICs' registers are. 0 or -ENOMEM. sleep */
int vmx_apic_create(struct vm *vm);
void vmx_apic_destroy(struct vm *vm);
/* Fields that are written once, when the VMCS is made. Loaded. */
void vmx_apic_write_fields(const struct vcpu *vcpu);
/*
 * A nested fault, no fetch, where the APIC's registers are: true when the processor plays
 * them from now on.
 */
bool vmx_apic_map(struct vcpu *vcpu, uint64_t gpa);
/* Exits. Inner loop. */
enum exit_action vmx_exit_apic_access(struct vcpu *vcpu);
enum exit_action vmx_exit_apic_write(struct vcpu *vcpu);
enum exit_action vmx_exit_virtual_eoi(struct vcpu *vcpu);

/* --- exits.c --- */

/* Name the counters. Once, before any vCPU. */
void vmx_exits_register(void);
enum exit_action vmx_exit(struct vcpu *vcpu);
bool vmx_last_port(struct vcpu *vcpu, uint16_t *port, unsigned int *size);

/* --- state.c; the first six as in struct vmm_backend --- */

int vmx_get_reg(struct vcpu *vcpu, int reg, uint64_t *value);
int vmx_set_reg(struct vcpu *vcpu, int reg, uint64_t value);
int vmx_get_desc(struct vcpu *vcpu, int reg, struct seg_desc *desc);
int vmx_set_desc(struct vcpu *vcpu, int reg, const struct seg_desc *desc);
int vmx_get_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
int vmx_set_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value);
void vmx_get_mode(struct vcpu *vcpu, struct guest_mode *mode);
/* Registers after RESET or INIT. Owner. */
void vmx_state_reset(struct vcpu *vcpu, bool init);
/* Bits of CR0 and CR4 that the guest may not change without an exit. */
uint64_t vmx_cr0_mask(void);
uint64_t vmx_cr4_mask(const struct vcpu *vcpu);
/* What NE, as the guest has it, makes of x87 errors: an intercept. Owner. */
void vmx_set_exception(struct vmx_vcpu *vmx, unsigned int vector, bool on);

/* --- vmx.c --- */

/* The MSR bitmap of a vCPU whose x2APIC the processor plays, or any other. After init. any */
uint64_t vmx_msr_bitmap_pa(bool x2apic);

/* --- check.c --- */

/*
 * Do the registers fit together, as VM entry wants them (SDM vol. 3, 26.3.1)? NULL, or
 * what is wrong, for the log. Also derives what follows from others. Owner.
 */
const char *vmx_check_state(struct vcpu *vcpu);

#endif
