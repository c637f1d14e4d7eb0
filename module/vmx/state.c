// SPDX-License-Identifier: BSD-2-Clause
/*
 * Registers that live in the VMCS, as the guest and userspace see them.
 *
 * Values that no combination of other registers makes legal are refused when they are
 * set. What must fit together (userspace sets registers one by one) is checked once,
 * before the next entry, in check.c.
 */
#include "vmx/vcpu.h"

#include "x86/cpu/context.h"
#include "x86/cpu/cpuid.h"
#include "x86/cpu/legal.h"

/*
 * Bits of CR0 that the guest may change without an exit: nothing here follows from them. The
 * others it reads from the shadow, and changes by an exit: PG decides about long mode,
 * NE, CD and NW are the host's while the guest runs (SDM vol. 3, 24.6.6 and 27.3.1).
 */
#define CR0_GUEST (REG_CR0_PE | REG_CR0_MP | REG_CR0_EM | REG_CR0_TS | REG_CR0_WP | REG_CR0_AM)
#define CR0_REAL  (CR0_GUEST | REG_CR0_PG)
/* Without MCE a machine check of the host, in the guest, would stop the processor. */
#define CR4_HOST   (REG_CR4_MCE | REG_CR4_VMXE)
#define EFER_KNOWN (REG_EFER_SCE | REG_EFER_LME | REG_EFER_LMA | REG_EFER_NXE)

#define SEGMENT_SELECTOR(n) (FIELD_ES_SELECTOR + 4u * (n))
#define SEGMENT_BASE(n)	    (FIELD_ES_BASE + 4u * (n))
#define SEGMENT_LIMIT(n)    (FIELD_ES_LIMIT + 4u * (n))
#define SEGMENT_ACCESS(n)   (FIELD_ES_ACCESS + 4u * (n))
#define SEGMENTS	    8u /* ES, CS, SS, DS, FS, GS, LDTR, TR */

/* --- control registers --- */

uint64_t vmx_cr0_mask(void)
{
	return ~CR0_GUEST;
}

/* What the guest is not shown it must not turn on. */
uint64_t vmx_cr4_mask(const struct vcpu *vcpu)
{
	return ~vcpu->vm->cpuid->features.cr4 | CR4_HOST;
}

static uint64_t vmx_guest_view(uint64_t real, uint64_t shadow, uint64_t mask)
{
	return (real & ~mask) | (shadow & mask);
}

static uint64_t vmx_get_cr0(struct vmx_vcpu *vmx)
{
	return vmx_guest_view(vmx_get(vmx, FIELD_CR0), vmx->field[FIELD_CR0_SHADOW],
			      vmx_cr0_mask());
}

static uint64_t vmx_get_cr4(const struct vcpu *vcpu, struct vmx_vcpu *vmx)
{
	return vmx_guest_view(vmx_get(vmx, FIELD_CR4), vmx->field[FIELD_CR4_SHADOW],
			      vmx_cr4_mask(vcpu));
}

/* With CR0.NE clear, x87 errors are not #MF but an interrupt from outside. */
void vmx_set_exception(struct vmx_vcpu *vmx, unsigned int vector, bool on)
{
	vmx_set_bits(vmx, FIELD_EXCEPTION_BITMAP, BIT_ULL(vector), on);
}

static void vmx_set_cr0(struct vmx_vcpu *vmx, uint64_t value)
{
	uint64_t fixed = vmx_capabilities.cr0_fixed0 & ~(REG_CR0_PE | REG_CR0_PG);

	value = legal_cr0_fixed(value);
	vmx_set(vmx, FIELD_CR0_SHADOW, value);
	vmx_set(vmx, FIELD_CR0, (value & CR0_REAL) | REG_CR0_ET | REG_CR0_NE | fixed);
	vmx_set_exception(vmx, VECTOR_MF, !(value & REG_CR0_NE));
}

static void vmx_set_cr4(struct vmx_vcpu *vmx, uint64_t value)
{
	vmx_set(vmx, FIELD_CR4_SHADOW, value);
	vmx_set(vmx, FIELD_CR4, value | CR4_HOST | vmx_capabilities.cr4_fixed0);
}

static int vmx_set_control_register(struct vcpu *vcpu, int reg, uint64_t value)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	uint64_t changed = vcpu_reg(vcpu, reg) ^ value;

	if (!legal_control_register(reg, value, EFER_KNOWN))
		return -EINVAL;
	switch (reg) {
	case VM_REG_GUEST_CR0:
		vmx_set_cr0(vmx, value);
		break;
	case VM_REG_GUEST_CR3:
		vmx_set(vmx, FIELD_CR3, value);
		break;
	case VM_REG_GUEST_CR4:
		vmx_set_cr4(vmx, value);
		break;
	default:
		vmx_set(vmx, FIELD_EFER, value);
		break;
	}
	vmx->check_state = true;
	vmx->flush_linear = true; /* as a MOV to the register would */
	if (reg == VM_REG_GUEST_CR3 || (changed & legal_reloads_pdptes(reg)))
		vmx->pdptes_stale = true;
	return 0;
}

/* --- segments --- */

/* FIELD_*_BASE of a descriptor table, or 0. */
static unsigned int vmx_table_base(int reg)
{
	switch (reg) {
	case VM_REG_GUEST_GDTR:
		return FIELD_GDTR_BASE;
	case VM_REG_GUEST_IDTR:
		return FIELD_IDTR_BASE;
	default:
		return 0;
	}
}

int vmx_get_desc(struct vcpu *vcpu, int reg, struct seg_desc *desc)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	unsigned int index = (unsigned int)(reg - VM_REG_GUEST_ES);
	unsigned int table = vmx_table_base(reg);

	if (table) {
		desc->base = vmx_get(vmx, table);
		desc->limit = (uint32_t)vmx_get(vmx, table + 1);
		desc->access = 0;
		return 0;
	}
	if (index >= SEGMENTS)
		return -EINVAL;
	desc->base = vmx_get(vmx, SEGMENT_BASE(index));
	desc->limit = (uint32_t)vmx_get(vmx, SEGMENT_LIMIT(index));
	desc->access = (uint32_t)vmx_get(vmx, SEGMENT_ACCESS(index));
	return 0;
}

/* A segment that is not present is one that cannot be used. */
static uint32_t vmx_usable_access(uint32_t access)
{
	access &= SEG_ACCESS_TYPE | SEG_ACCESS_DPL | SEG_ACCESS_PRESENT | SEG_ACCESS_AVL |
		  SEG_ACCESS_L | SEG_ACCESS_DB | SEG_ACCESS_G | SEG_ACCESS_UNUSABLE;
	return access & SEG_ACCESS_PRESENT ? access : access | SEG_ACCESS_UNUSABLE;
}

/* A loaded TR is busy. */
int vmx_set_desc(struct vcpu *vcpu, int reg, const struct seg_desc *desc)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	unsigned int index = (unsigned int)(reg - VM_REG_GUEST_ES);
	unsigned int table = vmx_table_base(reg);
	uint32_t access = vmx_usable_access(desc->access);

	vmx->check_state = true;
	if (table) {
		if (desc->limit > 0xffff)
			return -EINVAL;
		vmx_set(vmx, table, desc->base);
		vmx_set(vmx, table + 1, desc->limit);
		return 0;
	}
	if (index >= SEGMENTS)
		return -EINVAL;
	if (reg == VM_REG_GUEST_TR)
		access |= SEG_TYPE_TSS16_BUSY & ~SEG_TYPE_TSS16;
	vmx_set(vmx, SEGMENT_BASE(index), desc->base);
	vmx_set(vmx, SEGMENT_LIMIT(index), desc->limit);
	vmx_set(vmx, SEGMENT_ACCESS(index), access);
	return 0;
}

/* --- debug registers, CR8, PDPTEs --- */

static bool vmx_holds_dr6(const struct vcpu *vcpu)
{
	return vmx_vcpu(vcpu)->loaded && context_dr_owned(vcpu);
}

static uint64_t vmx_get_dr6(struct vcpu *vcpu)
{
	return vmx_holds_dr6(vcpu) ? os_read_dr(6) : vmx_vcpu(vcpu)->dr6;
}

static int vmx_set_debug_register(struct vcpu *vcpu, int reg, uint64_t value)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);

	if (!legal_debug_register(value))
		return -EINVAL;
	value = legal_debug_fixed(reg, value);
	if (reg == VM_REG_GUEST_DR7) {
		vmx_set(vmx, FIELD_DR7, value);
		return 0;
	}
	vmx->dr6 = value;
	if (vmx_holds_dr6(vcpu))
		os_write_dr(6, vmx->dr6);
	return 0;
}

/* An interrupt that CR8 held back waits for the threshold no more: it is looked at anew. */
static int vmx_set_tpr(struct vcpu *vcpu, uint64_t value)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);

	if (!legal_cr8(value))
		return -EINVAL;
	vmx->virtual_apic[VIRTUAL_APIC_TPR] = (uint8_t)(value << 4);
	if (vmx->field[FIELD_TPR_THRESHOLD]) {
		vmx_set(vmx, FIELD_TPR_THRESHOLD, 0);
		vcpu_request(vcpu, VCPU_REQ_EVENT);
	}
	return 0;
}

/* Where they have not been set since paging was, they are in memory. */
static int vmx_get_pdpte(struct vmx_vcpu *vmx, int reg, uint64_t *value)
{
	if (vmx->pdptes_stale)
		return -EINVAL;
	*value = vmx_get(vmx, FIELD_PDPTE0 + (unsigned int)(reg - VM_REG_GUEST_PDPTE0));
	return 0;
}

static int vmx_set_pdpte(struct vmx_vcpu *vmx, int reg, uint64_t value)
{
	vmx_set(vmx, FIELD_PDPTE0 + (unsigned int)(reg - VM_REG_GUEST_PDPTE0), value);
	vmx->pdptes_stale = false;
	return 0;
}

/* --- by bhyve's names --- */

static int vmx_get_other(struct vcpu *vcpu, int reg, uint64_t *value)
{
	unsigned int index = (unsigned int)(reg - VM_REG_GUEST_ES);

	switch (reg) {
	case VM_REG_GUEST_PDPTE0:
	case VM_REG_GUEST_PDPTE1:
	case VM_REG_GUEST_PDPTE2:
	case VM_REG_GUEST_PDPTE3:
		return vmx_get_pdpte(vmx_vcpu(vcpu), reg, value);
	case BACKEND_REG_NMI_BLOCKED:
		*value = vmx_nmi_blocked(vcpu);
		return 0;
	default:
		break;
	}
	if (index >= SEGMENTS)
		return -EINVAL;
	*value = vmx_get(vmx_vcpu(vcpu), SEGMENT_SELECTOR(index));
	return 0;
}

int vmx_get_reg(struct vcpu *vcpu, int reg, uint64_t *value)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);

	switch (reg) {
	case VM_REG_GUEST_CR0:
		*value = vmx_get_cr0(vmx);
		return 0;
	case VM_REG_GUEST_CR3:
		*value = vmx_get(vmx, FIELD_CR3);
		return 0;
	case VM_REG_GUEST_CR4:
		*value = vmx_get_cr4(vcpu, vmx);
		return 0;
	case VM_REG_GUEST_EFER:
		*value = vmx->field[FIELD_EFER];
		return 0;
	case VM_REG_GUEST_DR6:
		*value = vmx_get_dr6(vcpu);
		return 0;
	case VM_REG_GUEST_DR7:
		*value = vmx_get(vmx, FIELD_DR7);
		return 0;
	case VM_REG_GUEST_TPR:
		*value = vmx->virtual_apic[VIRTUAL_APIC_TPR] >> 4;
		return 0;
	default:
		return vmx_get_other(vcpu, reg, value);
	}
}

static int vmx_set_other(struct vcpu *vcpu, int reg, uint64_t value)
{
	unsigned int index = (unsigned int)(reg - VM_REG_GUEST_ES);

	switch (reg) {
	case VM_REG_GUEST_PDPTE0:
	case VM_REG_GUEST_PDPTE1:
	case VM_REG_GUEST_PDPTE2:
	case VM_REG_GUEST_PDPTE3:
		return vmx_set_pdpte(vmx_vcpu(vcpu), reg, value);
	case BACKEND_REG_NMI_BLOCKED:
		vmx_set_nmi_blocked(vcpu, value);
		return 0;
	default:
		break;
	}
	if (index >= SEGMENTS || value > 0xffff)
		return -EINVAL;
	vmx_set(vmx_vcpu(vcpu), SEGMENT_SELECTOR(index), value);
	vmx_vcpu(vcpu)->check_state = true;
	return 0;
}

int vmx_set_reg(struct vcpu *vcpu, int reg, uint64_t value)
{
	switch (reg) {
	case VM_REG_GUEST_CR0:
	case VM_REG_GUEST_CR3:
	case VM_REG_GUEST_CR4:
	case VM_REG_GUEST_EFER:
		return vmx_set_control_register(vcpu, reg, value);
	case VM_REG_GUEST_DR6:
	case VM_REG_GUEST_DR7:
		return vmx_set_debug_register(vcpu, reg, value);
	case VM_REG_GUEST_TPR:
		return vmx_set_tpr(vcpu, value);
	default:
		return vmx_set_other(vcpu, reg, value);
	}
}

#define MODE_FIELDS                                                                                \
	(BIT_ULL(FIELD_CR0) | BIT_ULL(FIELD_CR3) | BIT_ULL(FIELD_CR4) | BIT_ULL(SEGMENT_BASE(1)) | \
	 BIT_ULL(SEGMENT_LIMIT(1)) | BIT_ULL(FIELD_CS_ACCESS) | BIT_ULL(FIELD_SS_ACCESS))

/* All that the mode is made of. None of it is known. Loaded. */
static void vmx_read_mode_fields(struct vmx_vcpu *vmx)
{
	vmx->field[FIELD_CR0] = os_vmread(VMCS_GUEST_CR0);
	vmx->field[FIELD_CR3] = os_vmread(VMCS_GUEST_CR3);
	vmx->field[FIELD_CR4] = os_vmread(VMCS_GUEST_CR4);
	vmx->field[SEGMENT_BASE(1)] = os_vmread(VMCS_GUEST_ES_BASE + 2);
	vmx->field[SEGMENT_LIMIT(1)] = os_vmread(VMCS_GUEST_ES_LIMIT + 2);
	vmx->field[FIELD_CS_ACCESS] = os_vmread(VMCS_GUEST_ES_ACCESS + 2);
	vmx->field[FIELD_SS_ACCESS] = os_vmread(VMCS_GUEST_ES_ACCESS + 4);
	vmx->cached |= MODE_FIELDS;
}

void vmx_get_mode(struct vcpu *vcpu, struct guest_mode *mode)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);

	if (likely(vmx->loaded && !(vmx->cached & MODE_FIELDS)))
		vmx_read_mode_fields(vmx);
	mode->cr0 = vmx_get_cr0(vmx);
	mode->cr3 = vmx_get(vmx, FIELD_CR3);
	mode->cr4 = vmx_get_cr4(vcpu, vmx);
	mode->efer = vmx->field[FIELD_EFER];
	(void)vmx_get_desc(vcpu, VM_REG_GUEST_CS, &mode->code);
	mode->cpl = SEG_DESC_DPL(vmx_get(vmx, FIELD_SS_ACCESS));
}

/* --- MSRs --- */

/* The field that stands for an MSR; FIELD_COUNT: none does. */
static unsigned int vmx_msr_field(uint32_t msr)
{
	switch (msr) {
	case MSRN_FS_BASE:
		return SEGMENT_BASE(VM_REG_GUEST_FS - VM_REG_GUEST_ES);
	case MSRN_GS_BASE:
		return SEGMENT_BASE(VM_REG_GUEST_GS - VM_REG_GUEST_ES);
	case MSRN_SYSENTER_CS:
		return FIELD_SYSENTER_CS;
	case MSRN_SYSENTER_ESP:
		return FIELD_SYSENTER_ESP;
	case MSRN_SYSENTER_EIP:
		return FIELD_SYSENTER_EIP;
	case MSRN_PAT:
		return FIELD_PAT;
	default:
		return FIELD_COUNT;
	}
}

/* One that the processor holds while the vCPU is loaded, and memory otherwise. NULL: it is none. */
static uint64_t *vmx_msr_memory(struct vmx_vcpu *vmx, uint32_t msr)
{
	switch (msr) {
	case MSRN_STAR:
		return &vmx->msr[SWITCHED_STAR];
	case MSRN_LSTAR:
		return &vmx->msr[SWITCHED_LSTAR];
	case MSRN_SFMASK:
		return &vmx->msr[SWITCHED_SFMASK];
	case MSRN_CSTAR:
		return &vmx->cstar;
	case MSRN_KERNEL_GS_BASE:
		return &vmx->kernel_gs_base;
	default:
		return NULL;
	}
}

int vmx_get_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	unsigned int field = vmx_msr_field(msr);
	const uint64_t *memory = vmx_msr_memory(vmx, msr);

	if (field < FIELD_COUNT)
		*value = vmx_get(vmx, field);
	else if (memory && vmx->loaded && msr == MSRN_KERNEL_GS_BASE)
		*value = os_rdmsr(msr);
	else if (memory)
		*value = *memory;
	else
		return -EINVAL;
	return 0;
}

int vmx_set_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	unsigned int field = vmx_msr_field(msr);
	uint64_t *memory = vmx_msr_memory(vmx, msr);

	if (field < FIELD_COUNT) {
		vmx_set(vmx, field, value);
		return 0;
	}
	if (!memory)
		return -EINVAL;
	*memory = value;
	if (vmx->loaded && msr != MSRN_CSTAR)
		os_wrmsr(msr, value);
	return 0;
}

/* --- reset --- */

#define ACCESS_DATA 0x93 /* present, writable, accessed */
#define ACCESS_CODE 0x9b
#define ACCESS_LDT  0x82
#define ACCESS_TSS  0x8b /* busy */

static void vmx_reset_segments(struct vmx_vcpu *vmx)
{
	static const uint16_t access[SEGMENTS] = { ACCESS_DATA, ACCESS_CODE, ACCESS_DATA,
						   ACCESS_DATA, ACCESS_DATA, ACCESS_DATA,
						   ACCESS_LDT,	ACCESS_TSS };

	for (unsigned int i = 0; i < SEGMENTS; i++) {
		vmx_set(vmx, SEGMENT_SELECTOR(i), i == 1 ? 0xf000 : 0);
		vmx_set(vmx, SEGMENT_BASE(i), i == 1 ? 0xffff0000 : 0);
		vmx_set(vmx, SEGMENT_LIMIT(i), 0xffff);
		vmx_set(vmx, SEGMENT_ACCESS(i), access[i]);
	}
	vmx_set(vmx, FIELD_GDTR_BASE, 0);
	vmx_set(vmx, FIELD_GDTR_LIMIT, 0xffff);
	vmx_set(vmx, FIELD_IDTR_BASE, 0);
	vmx_set(vmx, FIELD_IDTR_LIMIT, 0xffff);
}

/* INIT leaves these alone (SDM vol. 3, table 9-1). */
static void vmx_reset_msrs(struct vmx_vcpu *vmx)
{
	memset(vmx->msr, 0, sizeof(vmx->msr));
	vmx->cstar = 0;
	vmx->kernel_gs_base = 0;
	vmx_set(vmx, FIELD_SYSENTER_CS, 0);
	vmx_set(vmx, FIELD_SYSENTER_ESP, 0);
	vmx_set(vmx, FIELD_SYSENTER_EIP, 0);
	vmx_set(vmx, FIELD_PAT, MSRN_PAT_RESET);
}

void vmx_state_reset(struct vcpu *vcpu, bool init)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	uint64_t cache = REG_CR0_CD | REG_CR0_NW;

	if (init)
		cache &= vmx_get_cr0(vmx);
	vmx_reset_segments(vmx);
	vmx_set_cr0(vmx, REG_CR0_ET | cache);
	vmx_set_cr4(vmx, 0);
	vmx_set(vmx, FIELD_CR3, 0);
	vmx_set(vmx, FIELD_EFER, 0);
	vmx_set(vmx, FIELD_DR7, REG_DR7_RESET);
	vmx_set(vmx, FIELD_PENDING_DEBUG, 0);
	vmx->dr6 = REG_DR6_RESET;
	if (!init)
		vmx_reset_msrs(vmx);
	vmx->flush_linear = true;
	vmx->pdptes_stale = true;
	vmx->check_state = true;
}
