// SPDX-License-Identifier: BSD-2-Clause
/*
 * Registers that live in the VMCB, as the guest and userspace see them.
 *
 * Values that no combination of other registers makes legal are refused when
 * they are set. What must fit together (userspace sets registers one by one) is
 * checked once, before the next entry: VMRUN would fail (APM vol. 2, 15.5.1).
 */
#include "svm/vcpu.h"

#include "x86/cpu/context.h"
#include "x86/cpu/legal.h"

#define EFER_KNOWN                                                                    \
	(REG_EFER_SCE | REG_EFER_LME | REG_EFER_LMA | REG_EFER_NXE | REG_EFER_LMSLE | \
	 REG_EFER_FFXSR | REG_EFER_TCE)

/* --- where a register is --- */

/* Segment registers and tables, by distance from VM_REG_GUEST_ES. */
static const uint16_t segment_offset[] = {
	offsetof(struct vmcb_save, es),	  offsetof(struct vmcb_save, cs),
	offsetof(struct vmcb_save, ss),	  offsetof(struct vmcb_save, ds),
	offsetof(struct vmcb_save, fs),	  offsetof(struct vmcb_save, gs),
	offsetof(struct vmcb_save, ldtr), offsetof(struct vmcb_save, tr),
	offsetof(struct vmcb_save, idtr), offsetof(struct vmcb_save, gdtr),
};

static struct vmcb_segment *svm_segment(struct svm_vcpu *svm, int reg)
{
	unsigned int index = (unsigned int)(reg - VM_REG_GUEST_ES);

	if (index >= ARRAY_SIZE(segment_offset))
		return NULL;
	return (struct vmcb_segment *)((char *)&svm->vmcb->save + segment_offset[index]);
}

/* Which clean bit covers a segment register; VMLOAD's have none. */
static uint32_t svm_segment_clean(int reg)
{
	if (reg == VM_REG_GUEST_GDTR || reg == VM_REG_GUEST_IDTR)
		return CLEAN_DESCRIPTOR_TABLES;
	return reg <= VM_REG_GUEST_DS ? CLEAN_SEGMENTS : 0;
}

static bool is_descriptor_table(int reg)
{
	return reg == VM_REG_GUEST_GDTR || reg == VM_REG_GUEST_IDTR;
}

/* MSRs that VMLOAD and VMSAVE, or VMRUN itself, switch. NULL for others. */
static uint64_t *svm_msr_field(struct vmcb_save *save, uint32_t msr)
{
	switch (msr) {
	case MSRN_STAR:
		return &save->star;
	case MSRN_LSTAR:
		return &save->lstar;
	case MSRN_CSTAR:
		return &save->cstar;
	case MSRN_SFMASK:
		return &save->sfmask;
	case MSRN_KERNEL_GS_BASE:
		return &save->kernel_gs_base;
	case MSRN_SYSENTER_CS:
		return &save->sysenter_cs;
	case MSRN_SYSENTER_ESP:
		return &save->sysenter_esp;
	case MSRN_SYSENTER_EIP:
		return &save->sysenter_eip;
	case MSRN_PAT:
		return &save->g_pat;
	default:
		return NULL;
	}
}

/* A base inside a segment register, which the packed struct cannot point to. */
static struct vmcb_segment *svm_base_segment(struct svm_vcpu *svm, uint32_t msr)
{
	if (msr == MSRN_FS_BASE)
		return &svm->vmcb->save.fs;
	return msr == MSRN_GS_BASE ? &svm->vmcb->save.gs : NULL;
}

/* --- segment attributes --- */

/* The VMCB squeezes bits 15:12 of the descriptor's layout to 11:8. */
static uint16_t attributes_of_access(uint32_t access)
{
	if (access & SEG_ACCESS_UNUSABLE)
		return 0;
	return (uint16_t)((access & 0xff) | (access >> 4 & 0xf00));
}

static uint32_t access_of_attributes(uint16_t attributes)
{
	uint32_t access = (attributes & 0xffu) | (attributes & 0xf00u) << 4;

	return access & SEG_ACCESS_PRESENT ? access : access | SEG_ACCESS_UNUSABLE;
}

/*
 * SS.DPL is not kept up to date by SYSRET; CPL is (APM vol. 2, 15.5.1). A loaded TR is
 * busy, though not every processor saves it so.
 */
int svm_get_desc(struct vcpu *vcpu, int reg, struct seg_desc *desc)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	const struct vmcb_segment *seg = svm_segment(svm, reg);

	if (!seg)
		return -EINVAL;
	desc->base = seg->base;
	desc->limit = seg->limit;
	desc->access = is_descriptor_table(reg) ? 0 : access_of_attributes(seg->attributes);
	if (reg == VM_REG_GUEST_SS) {
		desc->access &= ~SEG_ACCESS_DPL;
		desc->access |= (uint32_t)svm->vmcb->save.cpl << SEG_ACCESS_DPL_SHIFT;
	} else if (reg == VM_REG_GUEST_TR) {
		desc->access |= SEG_TYPE_TSS16_BUSY & ~SEG_TYPE_TSS16;
	}
	return 0;
}

int svm_set_desc(struct vcpu *vcpu, int reg, const struct seg_desc *desc)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct vmcb_segment *seg = svm_segment(svm, reg);

	if (!seg || (is_descriptor_table(reg) && desc->limit > 0xffff))
		return -EINVAL;
	seg->base = desc->base;
	seg->limit = desc->limit;
	if (!is_descriptor_table(reg))
		seg->attributes = attributes_of_access(desc->access);
	if (reg == VM_REG_GUEST_SS)
		svm->vmcb->save.cpl = SEG_DESC_DPL(desc->access);
	svm_dirty(svm, svm_segment_clean(reg));
	svm->todo |= SVM_TODO_CHECK;
	return 0;
}

/* --- reading --- */

/* PDPTEs are not state here: the processor reads them from memory (15.25.10). */
int svm_get_reg(struct vcpu *vcpu, int reg, uint64_t *value)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	const struct vmcb *vmcb = svm->vmcb;

	switch (reg) {
	case VM_REG_GUEST_CR0:
		*value = vmcb->save.cr0;
		return 0;
	case VM_REG_GUEST_CR3:
		*value = vmcb->save.cr3;
		return 0;
	case VM_REG_GUEST_CR4:
		*value = vmcb->save.cr4;
		return 0;
	case VM_REG_GUEST_EFER:
		*value = vmcb->save.efer & ~REG_EFER_SVME;
		return 0;
	case VM_REG_GUEST_DR6:
		*value = vmcb->save.dr6;
		return 0;
	case VM_REG_GUEST_DR7:
		*value = vmcb->save.dr7;
		return 0;
	case VM_REG_GUEST_TPR:
		*value = vmcb->control.vintr & REG_CR8_TPR;
		return 0;
	case BACKEND_REG_NMI_BLOCKED:
		*value = svm_nmi_blocked(vcpu);
		return 0;
	default:
		break;
	}
	if (is_descriptor_table(reg) || !svm_segment(svm, reg))
		return -EINVAL;
	*value = svm_segment(svm, reg)->selector;
	return 0;
}

void svm_get_mode(struct vcpu *vcpu, struct guest_mode *mode)
{
	const struct vmcb_save *save = &svm_vcpu(vcpu)->vmcb->save;

	mode->cr0 = save->cr0;
	mode->cr3 = save->cr3;
	mode->cr4 = save->cr4;
	mode->efer = save->efer & ~REG_EFER_SVME;
	mode->code.base = save->cs.base;
	mode->code.limit = save->cs.limit;
	mode->code.access = access_of_attributes(save->cs.attributes);
	mode->cpl = save->cpl;
}

/* --- setting --- */

static int svm_set_control_register(struct svm_vcpu *svm, int reg, uint64_t value)
{
	struct vmcb_save *save = &svm->vmcb->save;

	if (!legal_control_register(reg, value, EFER_KNOWN))
		return -EINVAL;
	switch (reg) {
	case VM_REG_GUEST_CR0:
		save->cr0 = legal_cr0_fixed(value);
		break;
	case VM_REG_GUEST_CR3:
		save->cr3 = value;
		break;
	case VM_REG_GUEST_CR4:
		save->cr4 = value;
		break;
	default:
		save->efer = value | REG_EFER_SVME;
		break;
	}
	svm_dirty(svm, CLEAN_CR);
	svm->todo |= SVM_TODO_CHECK | SVM_TODO_FLUSH; /* as a MOV to the register would */
	return 0;
}

static int svm_set_debug_register(struct svm_vcpu *svm, int reg, uint64_t value)
{
	if (!legal_debug_register(value))
		return -EINVAL;
	value = legal_debug_fixed(reg, value);
	if (reg == VM_REG_GUEST_DR6)
		svm->vmcb->save.dr6 = value;
	else
		svm->vmcb->save.dr7 = value;
	svm_dirty(svm, CLEAN_DR);
	return 0;
}

static int svm_set_tpr(struct svm_vcpu *svm, uint64_t value)
{
	if (!legal_cr8(value))
		return -EINVAL;
	svm->vmcb->control.vintr &= ~VINTR_TPR_MASK;
	svm->vmcb->control.vintr |= value;
	svm_dirty(svm, CLEAN_TPR);
	return 0;
}

static int svm_set_selector(struct svm_vcpu *svm, int reg, uint64_t value)
{
	struct vmcb_segment *seg = svm_segment(svm, reg);

	if (!seg || is_descriptor_table(reg) || value > 0xffff)
		return -EINVAL;
	seg->selector = (uint16_t)value;
	svm_dirty(svm, svm_segment_clean(reg));
	return 0;
}

int svm_set_reg(struct vcpu *vcpu, int reg, uint64_t value)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);

	switch (reg) {
	case VM_REG_GUEST_CR0:
	case VM_REG_GUEST_CR3:
	case VM_REG_GUEST_CR4:
	case VM_REG_GUEST_EFER:
		return svm_set_control_register(svm, reg, value);
	case VM_REG_GUEST_DR6:
	case VM_REG_GUEST_DR7:
		return svm_set_debug_register(svm, reg, value);
	case VM_REG_GUEST_TPR:
		return svm_set_tpr(svm, value);
	case BACKEND_REG_NMI_BLOCKED:
		svm_set_nmi_blocked(vcpu, value);
		return 0;
	default:
		return svm_set_selector(svm, reg, value);
	}
}

/* --- MSRs --- */

int svm_get_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	const struct vmcb_segment *seg = svm_base_segment(svm, msr);
	const uint64_t *field = svm_msr_field(&svm->vmcb->save, msr);

	if (!seg && !field)
		return -EINVAL;
	*value = seg ? seg->base : *field;
	return 0;
}

int svm_set_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct vmcb_segment *seg = svm_base_segment(svm, msr);
	uint64_t *field = svm_msr_field(&svm->vmcb->save, msr);

	if (!seg && !field)
		return -EINVAL;
	if (seg)
		seg->base = value;
	else
		*field = value;
	if (msr == MSRN_PAT)
		svm_dirty(svm, CLEAN_NESTED_PAGING);
	return 0;
}

/* --- together --- */

void svm_derive_lma(struct vmcb_save *save)
{
	save->efer = legal_efer_lma(save->efer, save->cr0);
}

static void svm_derive_state(struct vmcb_save *save)
{
	svm_derive_lma(save);
	if (!(save->cr0 & REG_CR0_PE))
		save->cpl = 0;
}

#define ATTRIBUTE_L 0x200
#define ATTRIBUTE_D 0x400

bool svm_state_valid(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct vmcb_save *save = &svm->vmcb->save;
	uint16_t both = ATTRIBUTE_L | ATTRIBUTE_D;

	svm_derive_state(save);
	svm_dirty(svm, CLEAN_CR | CLEAN_SEGMENTS);
	if ((save->efer & REG_EFER_LMA) && !(save->cr4 & REG_CR4_PAE))
		return false;
	if ((save->efer & REG_EFER_LMA) && (save->cs.attributes & both) == both)
		return false;
	svm->todo &= ~SVM_TODO_CHECK;
	return true;
}

/* --- reset --- */

#define ATTRIBUTES_DATA 0x93 /* present, writable, accessed */
#define ATTRIBUTES_CODE 0x9b
#define ATTRIBUTES_LDT	0x82
#define ATTRIBUTES_TSS	0x8b /* busy */

static void svm_reset_segment(struct vmcb_segment *seg, uint16_t attributes)
{
	*seg = (struct vmcb_segment){ .attributes = attributes, .limit = 0xffff };
}

static void svm_reset_segments(struct vmcb_save *save)
{
	svm_reset_segment(&save->es, ATTRIBUTES_DATA);
	svm_reset_segment(&save->cs, ATTRIBUTES_CODE);
	svm_reset_segment(&save->ss, ATTRIBUTES_DATA);
	svm_reset_segment(&save->ds, ATTRIBUTES_DATA);
	svm_reset_segment(&save->fs, ATTRIBUTES_DATA);
	svm_reset_segment(&save->gs, ATTRIBUTES_DATA);
	svm_reset_segment(&save->gdtr, 0);
	svm_reset_segment(&save->ldtr, ATTRIBUTES_LDT);
	svm_reset_segment(&save->idtr, 0);
	svm_reset_segment(&save->tr, ATTRIBUTES_TSS);
	save->cs.selector = 0xf000;
	save->cs.base = 0xffff0000;
	save->cpl = 0;
}

/* INIT leaves these alone (APM vol. 2, table 14-1). */
static void svm_reset_msrs(struct vmcb_save *save)
{
	save->star = 0;
	save->lstar = 0;
	save->cstar = 0;
	save->sfmask = 0;
	save->kernel_gs_base = 0;
	save->sysenter_cs = 0;
	save->sysenter_esp = 0;
	save->sysenter_eip = 0;
	save->g_pat = MSRN_PAT_RESET;
	save->dbgctl = 0;
}

void svm_state_reset(struct vcpu *vcpu, bool init)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct vmcb_save *save = &svm->vmcb->save;
	uint64_t cache = init ? save->cr0 & (REG_CR0_CD | REG_CR0_NW) : REG_CR0_CD | REG_CR0_NW;

	svm_reset_segments(save);
	save->cr0 = REG_CR0_ET | cache;
	save->cr3 = 0;
	save->cr4 = 0;
	save->efer = REG_EFER_SVME;
	save->dr6 = REG_DR6_RESET;
	save->dr7 = REG_DR7_RESET;
	if (!init)
		svm_reset_msrs(save);
	svm->vmcb->control.clean = 0;
	svm->todo |= SVM_TODO_CHECK | SVM_TODO_FLUSH;
}
