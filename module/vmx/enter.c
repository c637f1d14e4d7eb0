// SPDX-License-Identifier: BSD-2-Clause
/* Edges of the inner loop, and one entry into the guest and exit from it. */
#include "vmx/vcpu.h"

#include "vmx/quirks.h"
#include "vmx/l1d.h"
#include "vmx/switch.h"
#include "x86/cpu/context.h"
#include "vm/regs.h"

/* The preemption timer ends a guest this often (VMX_QUIRK_IF_HOLDS_INTERRUPTS). */
#define TIMER_HZ 100

/* Selectors that user space may have: a VM exit loads none but the kernel's (26.2.3). */
#define SELECTOR_NOT_KERNELS 0x7u

static const uint32_t switched_msr_number[SWITCHED_COUNT] = {
	[SWITCHED_STAR] = MSRN_STAR,
	[SWITCHED_LSTAR] = MSRN_LSTAR,
	[SWITCHED_SFMASK] = MSRN_SFMASK,
};

/* --- what a VMCS is made with --- */

static void vmx_write_controls(const struct vcpu *vcpu, const struct vmx_vcpu *vmx)
{
	os_vmwrite(VMCS_PIN_CONTROLS, vmx_capabilities.pin);
	os_vmwrite(VMCS_EXIT_CONTROLS, vmx_capabilities.exit);
	os_vmwrite(VMCS_PF_MASK, 0);
	os_vmwrite(VMCS_PF_MATCH, 0);
	os_vmwrite(VMCS_CR3_TARGET_COUNT, 0);
	os_vmwrite(VMCS_EXIT_MSR_STORE_COUNT, 0);
	os_vmwrite(VMCS_EXIT_MSR_LOAD_COUNT, 0);
	os_vmwrite(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
	os_vmwrite(VMCS_ENTRY_INTR_INFO, 0);
	os_vmwrite(VMCS_CR0_MASK, vmx_cr0_mask());
	os_vmwrite(VMCS_CR4_MASK, vmx_cr4_mask(vcpu));
	os_vmwrite(VMCS_EPTP, vmx->eptp);
	os_vmwrite(VMCS_LINK_POINTER, ~0ull);
	os_vmwrite(VMCS_GUEST_DEBUGCTL, 0);
	os_vmwrite(VMCS_GUEST_ACTIVITY, 0);
}

static void vmx_write_optional(const struct vcpu *vcpu)
{
	vmx_apic_write_fields(vcpu);
	if (vmx_has(VMX_OPTION_PAUSE_LOOP)) {
		os_vmwrite(VMCS_PLE_GAP, VMX_PAUSE_GAP);
		os_vmwrite(VMCS_PLE_WINDOW, VMX_PAUSE_WINDOW);
	}
	/* It is not saved at exits: each entry begins anew, without a write. */
	if (vmx_has(VMX_OPTION_PREEMPTION_TIMER))
		os_vmwrite(VMCS_PREEMPTION_TIMER,
			   (os_tsc_khz() * (1000ull / TIMER_HZ) >> vmx_capabilities.timer_shift) +
				   1);
}

/* --- the host's state, which exits load --- */

static uint16_t kernel_selector(uint16_t selector)
{
	return selector & SELECTOR_NOT_KERNELS ? 0 : selector;
}

static void vmx_write_host_process(const struct os_host_segments *host)
{
	os_vmwrite(VMCS_HOST_DS, kernel_selector(host->ds));
	os_vmwrite(VMCS_HOST_ES, kernel_selector(host->es));
	os_vmwrite(VMCS_HOST_FS, kernel_selector(host->fs));
	os_vmwrite(VMCS_HOST_GS, kernel_selector(host->gs));
	os_vmwrite(VMCS_HOST_FS_BASE, host->fs_base);
}

/* The same for every process on a CPU. */
static void vmx_write_host_cpu(const struct os_host_segments *host, const struct vmx_cpu *cpu)
{
	os_vmwrite(VMCS_HOST_CS, host->cs);
	os_vmwrite(VMCS_HOST_SS, host->ss);
	os_vmwrite(VMCS_HOST_TR, host->tr);
	os_vmwrite(VMCS_HOST_TR_BASE, host->tr_base);
	os_vmwrite(VMCS_HOST_GS_BASE, host->gs_base);
	os_vmwrite(VMCS_HOST_GDTR_BASE, host->gdt.base);
	os_vmwrite(VMCS_HOST_IDTR_BASE, host->idt.base);
	os_vmwrite(VMCS_HOST_CR0, os_read_cr0());
	os_vmwrite(VMCS_HOST_EFER, cpu->efer);
	os_vmwrite(VMCS_HOST_PAT, cpu->pat);
	os_vmwrite(VMCS_HOST_SYSENTER_CS, cpu->sysenter[0]);
	os_vmwrite(VMCS_HOST_SYSENTER_ESP, cpu->sysenter[1]);
	os_vmwrite(VMCS_HOST_SYSENTER_EIP, cpu->sysenter[2]);
}

/* --- edges of the inner loop --- */

static void vmx_load_msrs(struct vmx_vcpu *vmx)
{
#pragma GCC unroll 3
	for (unsigned int i = 0; i < SWITCHED_COUNT; i++) {
		if (vmx->msr[i] != vmx->cpu->msr[i])
			os_wrmsr(switched_msr_number[i], vmx->msr[i]);
	}
	vmx->host_kernel_gs_base = os_rdmsr(MSRN_KERNEL_GS_BASE);
	if (vmx->kernel_gs_base != vmx->host_kernel_gs_base)
		os_wrmsr(MSRN_KERNEL_GS_BASE, vmx->kernel_gs_base);
	vmx->host_debugctl = os_rdmsr(MSRN_DEBUGCTL);
}

/* An exit clears DEBUGCTL; the guest may have changed KERNEL_GS_BASE by SWAPGS. */
static void vmx_put_msrs(struct vmx_vcpu *vmx)
{
#pragma GCC unroll 3
	for (unsigned int i = 0; i < SWITCHED_COUNT; i++) {
		if (vmx->msr[i] != vmx->cpu->msr[i])
			os_wrmsr(switched_msr_number[i], vmx->cpu->msr[i]);
	}
	vmx->kernel_gs_base = os_rdmsr(MSRN_KERNEL_GS_BASE);
	if (vmx->kernel_gs_base != vmx->host_kernel_gs_base)
		os_wrmsr(MSRN_KERNEL_GS_BASE, vmx->host_kernel_gs_base);
	if (unlikely(vmx->host_debugctl))
		os_wrmsr(MSRN_DEBUGCTL, vmx->host_debugctl);
}

static __always_inline void vmx_load_debug_registers(struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
	bool owned = context_dr_owned(vcpu);

	if (unlikely(owned))
		os_write_dr(6, vmx->dr6);
	if (unlikely(!(vmx->field[FIELD_PRIMARY_CONTROLS] & PRIMARY_MOV_DR) != owned))
		vmx_set_bits(vmx, FIELD_PRIMARY_CONTROLS, PRIMARY_MOV_DR, !owned);
}

void vmx_own_debug_registers(struct vcpu *vcpu)
{
	context_own_dr(vcpu);
	vmx_load_debug_registers(vcpu, vmx_vcpu(vcpu));
}

static bool vmx_vcpu_stayed(const struct vmx_vcpu *vmx, const struct vmx_cpu *cpu)
{
	return vmx->cpu == cpu && vmx->epoch == cpu->epoch;
}

/* What the VMCS needs on a CPU on which the vCPU was not loaded last, and at the first of all. */
static noinline void vmx_vcpu_migrated(struct vcpu *vcpu, struct vmx_vcpu *vmx, struct vmx_cpu *cpu)
{
	if (!vmx->made) {
		vmx_write_controls(vcpu, vmx);
		vmx_write_optional(vcpu);
		vmx->made = true;
	}
	vmx->cpu = cpu;
	vmx->epoch = cpu->epoch;
	os_host_segments_save(&vmx->host);
	vmx_write_host_cpu(&vmx->host, cpu);
	vmx_write_host_process(&vmx->host);
	vmx->host_cr3 = 0;
	vmx->host_cr4 = 0;
	vmx_translations_forget(vmx);
}

/*
 * A VMCS is current only in here, and cleared at the other edge: no CPU that goes off
 * line, nor another one that the vCPU migrates to, finds it active elsewhere.
 */
void vmx_load(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	struct vmx_cpu *cpu = vmx_this_cpu();

	if (unlikely(!vmx->made))
		(void)os_vmclear(&vmx->vmcs_pa);
	(void)os_vmptrld(&vmx->vmcs_pa);
	vmx->loaded = true;
	vmx->launched = false;
	if (unlikely(!vmx_vcpu_stayed(vmx, cpu)))
		vmx_vcpu_migrated(vcpu, vmx, cpu);
	else if (unlikely(os_host_segments_refresh(&vmx->host)))
		vmx_write_host_process(&vmx->host);
	vmx_load_msrs(vmx);
	context_load_dr(vcpu, vmx_get(vmx, FIELD_DR7));
	vmx_load_debug_registers(vcpu, vmx);
}

/* DR7 is looked at before each load: to know it saves fetching every field then. */
void vmx_put(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);

	(void)vmx_get_loaded(vmx, FIELD_DR7, VMCS_GUEST_DR7);
	if (unlikely(context_dr_owned(vcpu)))
		vmx->dr6 = os_read_dr(6);
	vmx_put_msrs(vmx);
	(void)os_vmclear(&vmx->vmcs_pa);
	vmx->loaded = false;
	os_host_segments_restore(&vmx->host);
}

/* --- one entry and exit --- */

/* There is no shadow of STI with IF clear (26.3.1.5): what comes from outside is MOV SS's. */
static uint64_t vmx_interruptibility(const struct vcpu *vcpu, uint64_t interruptibility)
{
	uint64_t shadow = interruptibility & (BLOCKING_STI | BLOCKING_MOV_SS);

	interruptibility &= ~shadow;
	if (likely(!vcpu->intr_shadow))
		return interruptibility;
	if (!(vcpu->rflags & REG_RFLAGS_IF))
		shadow = BLOCKING_MOV_SS;
	return interruptibility | (shadow ? shadow : BLOCKING_STI);
}

/*
 * The trap of TF that a shadow holds back is a pending debug exception (26.3.1.5); it is
 * none any more where the shadow has gone with the instruction.
 */
static noinline void vmx_set_shadow(struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
	uint64_t new = vmx_interruptibility(vcpu, vmx_get(vmx, FIELD_INTERRUPTIBILITY));

	vmx_set(vmx, FIELD_INTERRUPTIBILITY, new);
	vmx_set_bits(vmx, FIELD_PENDING_DEBUG, PENDING_DEBUG_BS,
		     vcpu->intr_shadow && (vcpu->rflags & REG_RFLAGS_TF));
}

/* One of the registers that vcpu holds; 'number' is the field's. */
static void vmx_register_in(struct vmx_vcpu *vmx, unsigned int field, uint32_t number,
			    uint64_t value)
{
	if (vmx->field[field] == value)
		return;
	vmx->field[field] = value;
	os_vmwrite(number, value);
}

static void vmx_registers_in(struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
	uint64_t shadow = vmx->field[FIELD_INTERRUPTIBILITY] & (BLOCKING_STI | BLOCKING_MOV_SS);

	if (unlikely(shadow | vcpu->intr_shadow))
		vmx_set_shadow(vcpu, vmx);
	if (unlikely(vmx->dirty))
		vmx_fields_flush(vmx);
	vmx_register_in(vmx, FIELD_RSP, VMCS_GUEST_RSP, vcpu->gpr[GPR_RSP]);
	vmx_register_in(vmx, FIELD_RIP, VMCS_GUEST_RIP, vcpu->rip);
	vmx_register_in(vmx, FIELD_RFLAGS, VMCS_GUEST_RFLAGS, vcpu->rflags);
	if (os_read_cr2() != vcpu->cr2)
		os_write_cr2(vcpu->cr2);
}

/* The fields that every exit needs; what else the guest may have changed is read when asked for. */
static void vmx_registers_out(struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
	uint64_t shadow = vmx->field[FIELD_INTERRUPTIBILITY] =
		os_vmread(VMCS_GUEST_INTERRUPTIBILITY);

	vcpu->gpr[GPR_RSP] = vmx->field[FIELD_RSP] = os_vmread(VMCS_GUEST_RSP);
	vcpu->rip = vmx->field[FIELD_RIP] = os_vmread(VMCS_GUEST_RIP);
	vcpu->rflags = vmx->field[FIELD_RFLAGS] = os_vmread(VMCS_GUEST_RFLAGS);
	vcpu->cr2 = os_read_cr2();
	vcpu->intr_shadow = shadow & (BLOCKING_STI | BLOCKING_MOV_SS);
	vcpu->next_rip = 0;
	vmx_fields_forget(vmx);
}

/* What an interrupt of the host may have changed since the last entry. */
static void vmx_refresh_host(struct vmx_vcpu *vmx)
{
	uint64_t cr3 = os_read_cr3(), cr4 = os_read_cr4();

	if (unlikely(cr3 != vmx->host_cr3)) {
		os_vmwrite(VMCS_HOST_CR3, cr3);
		vmx->host_cr3 = cr3;
	}
	if (unlikely(cr4 != vmx->host_cr4)) {
		os_vmwrite(VMCS_HOST_CR4, cr4);
		vmx->host_cr4 = cr4;
	}
}

/* An entry that was not made; the exit handlers want to see nothing else of it. */
static void vmx_refuse_entry(struct vcpu *vcpu, uint32_t reason)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);

	os_vmwrite(VMCS_ENTRY_INTR_INFO, 0);
	vmx->reason = EXIT_REASON_ENTRY_FAILED | reason;
	vmx->vectoring = 0;
	vcpu->next_rip = 0;
}

/* NMI and #MC go to the host's handlers while interrupts are still off. */
static void vmx_serve_host_event(struct vmx_vcpu *vmx)
{
	unsigned int vector;

	vmx->intr_info = (uint32_t)vmx_exit_field(VMCS_EXIT_INTR_INFO);
	vector = VM_INTINFO_VECTOR(vmx->intr_info);
	if (vector == VECTOR_NMI && (vmx->intr_info & VM_INTINFO_TYPE) == VM_INTINFO_NMI)
		os_host_nmi();
	else if (vector == VECTOR_MC)
		os_host_machine_check();
}

static bool vmx_switch_worlds(struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
	uint32_t flags = vcpu->switch_flags | (vmx->launched ? VMX_SWITCH_LAUNCHED : 0);

	context_enter(vcpu);
	if (unlikely(os_mitigations()->flush_l1d))
		vmx_l1d_flush(vmx);
	return vmx_world_switch(vcpu->gpr, flags);
}

void vmx_enter(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);

	if (unlikely(vmx->check_state) && vmx_check_state(vcpu)) {
		vmx_refuse_entry(vcpu, VMX_EXIT_INVALID_STATE);
		return;
	}
	vmx_translations_prepare(vmx);
	vmx_registers_in(vcpu, vmx);
	vmx_refresh_host(vmx);

	if (unlikely(!vmx_switch_worlds(vcpu, vmx))) {
		vmx_refuse_entry(vcpu, VMX_EXIT_NOT_ENTERED);
		return;
	}
	vmx->reason = (uint32_t)vmx_exit_field(VMCS_EXIT_REASON);
	if (unlikely(vmx->reason & EXIT_REASON_ENTRY_FAILED)) {
		if (EXIT_REASON_BASIC(vmx->reason) == VMX_EXIT_MACHINE_CHECK)
			os_host_machine_check(); /* the host's own, while state was loaded */
		vmx_refuse_entry(vcpu, EXIT_REASON_BASIC(vmx->reason));
		return;
	}
	vmx->launched = true;
	vmx_registers_out(vcpu, vmx);
	if (unlikely(vmx->reason == VMX_EXIT_EXCEPTION_OR_NMI))
		vmx_serve_host_event(vmx);
	vmx->vectoring = (uint32_t)vmx_exit_field(VMCS_VECTORING_INFO);
	if (unlikely(vmx->vectoring & VM_INTINFO_VALID))
		vmx_delivery_interrupted(vcpu);
}
