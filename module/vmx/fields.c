// SPDX-License-Identifier: BSD-2-Clause
/*
 * Fields of the VMCS with a copy in memory. One is read from the VMCS when it is
 * asked for first after an exit, and written there before the next entry if it has
 * been changed. Where the vCPU is not loaded, the copy is all there is.
 */
#include "vmx/vcpu.h"

/* Selector, base, limit and access rights of a segment register's number in the VMCS. */
#define SEGMENT(n)                                                                            \
	VMCS_GUEST_ES + 2 * (n), VMCS_GUEST_ES_BASE + 2 * (n), VMCS_GUEST_ES_LIMIT + 2 * (n), \
		VMCS_GUEST_ES_ACCESS + 2 * (n)

const uint16_t vmx_field_number[FIELD_COUNT] = {
	SEGMENT(0), /* ES, CS, SS, DS, FS, GS, LDTR, TR */
	SEGMENT(1),
	SEGMENT(2),
	SEGMENT(3),
	SEGMENT(4),
	SEGMENT(5),
	SEGMENT(6),
	SEGMENT(7),
	[FIELD_IDTR_BASE] = VMCS_GUEST_IDTR_BASE,
	[FIELD_IDTR_LIMIT] = VMCS_GUEST_IDTR_LIMIT,
	[FIELD_GDTR_BASE] = VMCS_GUEST_GDTR_BASE,
	[FIELD_GDTR_LIMIT] = VMCS_GUEST_GDTR_LIMIT,
	[FIELD_CR0] = VMCS_GUEST_CR0,
	[FIELD_CR3] = VMCS_GUEST_CR3,
	[FIELD_CR4] = VMCS_GUEST_CR4,
	[FIELD_DR7] = VMCS_GUEST_DR7,
	[FIELD_RSP] = VMCS_GUEST_RSP,
	[FIELD_RIP] = VMCS_GUEST_RIP,
	[FIELD_RFLAGS] = VMCS_GUEST_RFLAGS,
	[FIELD_INTERRUPTIBILITY] = VMCS_GUEST_INTERRUPTIBILITY,
	[FIELD_PENDING_DEBUG] = VMCS_GUEST_PENDING_DEBUG,
	[FIELD_PDPTE0] = VMCS_GUEST_PDPTE0,
	[FIELD_PDPTE0 + 1] = VMCS_GUEST_PDPTE0 + 2,
	[FIELD_PDPTE0 + 2] = VMCS_GUEST_PDPTE0 + 4,
	[FIELD_PDPTE3] = VMCS_GUEST_PDPTE0 + 6,
	[FIELD_CR0_SHADOW] = VMCS_CR0_SHADOW,
	[FIELD_CR4_SHADOW] = VMCS_CR4_SHADOW,
	[FIELD_EFER] = VMCS_GUEST_EFER,
	[FIELD_PAT] = VMCS_GUEST_PAT,
	[FIELD_SYSENTER_CS] = VMCS_GUEST_SYSENTER_CS,
	[FIELD_SYSENTER_ESP] = VMCS_GUEST_SYSENTER_ESP,
	[FIELD_SYSENTER_EIP] = VMCS_GUEST_SYSENTER_EIP,
	[FIELD_ENTRY_CONTROLS] = VMCS_ENTRY_CONTROLS,
	[FIELD_PRIMARY_CONTROLS] = VMCS_PRIMARY_CONTROLS,
	[FIELD_EXCEPTION_BITMAP] = VMCS_EXCEPTION_BITMAP,
	[FIELD_TSC_OFFSET] = VMCS_TSC_OFFSET,
	[FIELD_TPR_THRESHOLD] = VMCS_TPR_THRESHOLD,
	[FIELD_VPID] = VMCS_VPID,
	[FIELD_SECONDARY_CONTROLS] = VMCS_SECONDARY_CONTROLS,
	[FIELD_MSR_BITMAP] = VMCS_MSR_BITMAP,
};

static void vmx_read_field(struct vmx_vcpu *vmx, unsigned int field)
{
	vmx->field[field] = os_vmread(vmx_field_number[field]);
	vmx->cached |= BIT_ULL(field);
}

void vmx_fields_sync(struct vmx_vcpu *vmx)
{
	uint64_t missing = ~vmx->cached & FIELDS_ALL;

	if (!missing)
		return;
	os_irq_disable();
	(void)os_vmptrld(&vmx->vmcs_pa);
	while (missing) {
		vmx_read_field(vmx, (unsigned int)__builtin_ctzll(missing));
		missing &= missing - 1;
	}
	(void)os_vmclear(&vmx->vmcs_pa);
	os_irq_enable();
}

uint64_t vmx_field_fetch(struct vmx_vcpu *vmx, unsigned int field)
{
	if (vmx->loaded)
		vmx_read_field(vmx, field);
	else
		vmx_fields_sync(vmx);
	return vmx->field[field];
}

void vmx_fields_flush(struct vmx_vcpu *vmx)
{
	uint64_t dirty = vmx->dirty;

	vmx->dirty = 0;
	for (; dirty; dirty &= dirty - 1) {
		unsigned int field = (unsigned int)__builtin_ctzll(dirty);

		os_vmwrite(vmx_field_number[field], vmx->field[field]);
	}
}
