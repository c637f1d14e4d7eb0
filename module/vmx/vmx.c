// SPDX-License-Identifier: BSD-2-Clause
/* The Intel back end: its table, and the life of VMs and vCPUs. */
#include "vmx/vmx.h"

#include "dev/lapic.h"
#include "vmx/nested.h"
#include "vmx/permission.h"
#include "vmx/l1d.h"
#include "vmx/vcpu.h"
#include "vm/regs.h"

/* Exceptions that are always intercepted; CR0.NE and a capability decide about more. */
#define EXCEPTIONS (BIT_ULL(VECTOR_DB) | BIT_ULL(VECTOR_AC) | BIT_ULL(VECTOR_MC))

/* Which MSRs a guest accesses without an exit, the same for every guest; and with an x2APIC. */
static uint8_t *msr_bitmap[2];

uint64_t vmx_msr_bitmap_pa(bool x2apic)
{
	return os_virt_to_phys(msr_bitmap[x2apic]);
}

/* --- module --- */

static void vmx_fini(void)
{
	vmx_cpus_destroy();
	vmx_l1d_fini();
	for (unsigned int i = 0; i < ARRAY_SIZE(msr_bitmap); i++) {
		os_page_free(msr_bitmap[i]);
		msr_bitmap[i] = NULL;
	}
}

static int vmx_init(void)
{
	msr_bitmap[0] = os_page_alloc();
	msr_bitmap[1] = os_page_alloc();
	if (!msr_bitmap[0] || !msr_bitmap[1] || vmx_l1d_init() || vmx_cpus_create()) {
		vmx_fini();
		return -ENOMEM;
	}
	msr_bitmap_fill(msr_bitmap[0], false);
	msr_bitmap_fill(msr_bitmap[1], true);
	vmx_exits_register();
	return 0;
}

/* --- VMs and vCPUs --- */

/*
 * Where the processor does not find spin loops itself, each PAUSE is an exit if vCPUs may
 * wait for each other's turn on a CPU.
 */
static void vmx_set_pause_exits(struct vcpu *vcpu, bool every)
{
	bool crowded = vcpu->vm->max_vcpus > os_cpu_online();

	vmx_set_bits(vmx_vcpu(vcpu), FIELD_PRIMARY_CONTROLS, PRIMARY_PAUSE,
		     every || (crowded && !vmx_has(VMX_OPTION_PAUSE_LOOP)));
}

/* A field of a feature that the processor does not have is not there (SDM vol. 3, appendix B). */
static uint64_t vmx_absent_fields(void)
{
	uint64_t absent = 0;

	if (!vmx_has(VMX_OPTION_VPID))
		absent |= BIT_ULL(FIELD_VPID);
	if (!vmx_has(VMX_OPTION_TPR_SHADOW))
		absent |= BIT_ULL(FIELD_TPR_THRESHOLD);
	return absent;
}

/* Nothing is in the VMCS yet: the first entry writes every field. */
static void vmx_fill_fields(struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
	vmx->cached = FIELDS_ALL;
	vmx->dirty = vmx->cached & ~vmx_absent_fields();
	vmx->field[FIELD_ENTRY_CONTROLS] = vmx_capabilities.entry;
	vmx->field[FIELD_PRIMARY_CONTROLS] = vmx_capabilities.primary;
	vmx->field[FIELD_EXCEPTION_BITMAP] = EXCEPTIONS;
	vmx->field[FIELD_SECONDARY_CONTROLS] = vmx_capabilities.secondary;
	vmx->field[FIELD_MSR_BITMAP] = vmx_msr_bitmap_pa(false);
	vmx_set_pause_exits(vcpu, false);
}

static int vmx_vcpu_init(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = os_alloc(sizeof(*vmx));

	if (!vmx)
		return -ENOMEM;
	vmx->vmcs = os_page_alloc();
	if (!vmx->vmcs) {
		os_free(vmx);
		return -ENOMEM;
	}
	vmx->vmcs->revision = vmx_capabilities.revision;
	vmx->vmcs_pa = os_virt_to_phys(vmx->vmcs);
	vmx->virtual_apic = lapic_page(vcpu, vmx_has(VMX_OPTION_APICV));
	vmx->eptp = vmx_eptp(&vcpu->vm->npt);
	vcpu->backend_state = vmx;
	vcpu->capabilities = 1u << VM_CAP_UNRESTRICTED_GUEST;
	vmx_fill_fields(vcpu, vmx);
	return 0;
}

static void vmx_vcpu_cleanup(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);

	os_page_free(vmx->vmcs);
	os_free(vmx);
	vcpu->backend_state = NULL;
}

static void vmx_vcpu_reset(struct vcpu *vcpu, bool init)
{
	vmx_state_reset(vcpu, init);
	vmx_events_reset(vcpu);
}

/* --- small operations --- */

static void vmx_settle(struct vcpu *vcpu)
{
	vmx_fields_sync(vmx_vcpu(vcpu));
}

static void vmx_flush_nested(struct vcpu *vcpu)
{
	vmx_vcpu(vcpu)->flush_nested = true;
	vmx_vcpu(vcpu)->flush_linear = true;
}

static void vmx_set_tsc_offset(struct vcpu *vcpu, uint64_t offset)
{
	vmx_set(vmx_vcpu(vcpu), FIELD_TSC_OFFSET, offset);
}

/* An exit after each instruction: for its own sake, or in place of RFLAGS.TF. */
static int vmx_set_monitor_trap(struct vcpu *vcpu, enum vm_cap_type cap, bool on)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	uint32_t step = cap == VM_CAP_RFLAGS_TF ? STEP_DEBUG : STEP_TRAP;

	if (!vmx_has(VMX_OPTION_MONITOR_TRAP))
		return -ENOTSUP;
	vmx->steps = on ? vmx->steps | step : vmx->steps & ~step;
	vmx_set_bits(vmx, FIELD_PRIMARY_CONTROLS, PRIMARY_MONITOR_TRAP, vmx->steps);
	return 0;
}

static int vmx_set_capability(struct vcpu *vcpu, enum vm_cap_type cap, bool on)
{
	switch (cap) {
	case VM_CAP_PAUSE_EXIT:
		vmx_set_pause_exits(vcpu, on);
		return 0;
	case VM_CAP_BPT_EXIT:
		vmx_set_exception(vmx_vcpu(vcpu), VECTOR_BP, on);
		return 0;
	case VM_CAP_MTRAP_EXIT:
	case VM_CAP_RFLAGS_TF:
		return vmx_set_monitor_trap(vcpu, cap, on);
	case VM_CAP_UNRESTRICTED_GUEST:
		return on ? 0 : -ENOTSUP;
	default:
		return -ENOTSUP;
	}
}

const struct vmm_backend vmx_backend = {
	.name = "VMX",
	.npt_format = &vmx_npt_format,
	.keeps_pdptes = true,
	.probe = vmx_probe,
	.cpu_enable = vmx_cpu_enable,
	.cpu_disable = vmx_cpu_disable,
	.vcpu_init = vmx_vcpu_init,
	.vcpu_cleanup = vmx_vcpu_cleanup,
	.vcpu_reset = vmx_vcpu_reset,
	.load = vmx_load,
	.enter = vmx_enter,
	.exit = vmx_exit,
	.last_port = vmx_last_port,
	.get_reg = vmx_get_reg,
	.set_reg = vmx_set_reg,
	.get_desc = vmx_get_desc,
	.set_desc = vmx_set_desc,
	.get_msr = vmx_get_msr,
	.set_msr = vmx_set_msr,
	.inject = vmx_inject,
	.request_window = vmx_request_window,
	.flush_nested = vmx_flush_nested,
	.set_tsc_offset = vmx_set_tsc_offset,
	.module = { .init = vmx_init, .fini = vmx_fini },
	.edges = { .put = vmx_put, .settle = vmx_settle },
	.apic = {
		.create = vmx_apic_create,
		.destroy = vmx_apic_destroy,
		.interrupt = vmx_apic_interrupt,
		.mode_changed = vmx_apic_mode_changed,
	},
	.offers = { .feature = vmx_offers, .set_capability = vmx_set_capability,
		    .number = vmx_number },
	.shortcuts = { .get_mode = vmx_get_mode },
};
