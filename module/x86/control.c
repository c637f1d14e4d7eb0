// SPDX-License-Identifier: BSD-2-Clause
/*
 * Control and debug registers: what the guest may put into them, and what follows
 * from a change (APM vol. 2, 3.1 and 14.6; SDM vol. 3, 2.5 and 4.1).
 */
#include "x86/context.h"
#include "x86/cpuid.h"
#include "x86/exits.h"
#include "x86/regs.h"
#include "x86/skip.h"

/* Page directory pointer of PAE paging: bits that must be 0 (APM vol. 2, 5.2.3). */
#define PDPTE_RESERVED	0x1e6ull
#define PDPTE_BASE(cr3) ((cr3)&0xffffffe0ull)

#define DR6_FIXED_ONES 0xffff0ff0ull
#define DR6_WRITABLE   0x1e00full
#define DR7_FIXED_ONES 0x400ull
#define DR7_WRITABLE   0xffff27ffull

/* --- state --------------------------------------------------------------------------- */

static bool in_long_mode(struct vcpu *vcpu)
{
	return vcpu_reg(vcpu, VM_REG_GUEST_EFER) & REG_EFER_LMA;
}

static bool code_is_long(struct vcpu *vcpu)
{
	struct seg_desc code = { 0 };

	(void)backend->get_desc(vcpu, VM_REG_GUEST_CS, &code);
	return code.access & SEG_ACCESS_L;
}

/* A general register as the current mode reads it. */
static uint64_t read_gpr(struct vcpu *vcpu, unsigned int gpr)
{
	uint64_t value = vcpu->gpr[gpr & 15];

	return in_long_mode(vcpu) && code_is_long(vcpu) ? value : (uint32_t)value;
}

static int set_reg(struct vcpu *vcpu, int reg, uint64_t value)
{
	return backend->set_reg(vcpu, reg, value) ? -EINVAL : 0;
}

/* --- checks --------------------------------------------------------------------------- */

/* Turning paging on in long mode. */
static bool may_enter_long_mode(struct vcpu *vcpu)
{
	return (vcpu_reg(vcpu, VM_REG_GUEST_CR4) & REG_CR4_PAE) && !code_is_long(vcpu);
}

int x86_check_cr0(struct vcpu *vcpu, uint64_t value)
{
	uint64_t old = vcpu_reg(vcpu, VM_REG_GUEST_CR0);
	uint64_t efer = vcpu_reg(vcpu, VM_REG_GUEST_EFER);

	if (value >> 32)
		return -EINVAL;
	if ((value & REG_CR0_NW) && !(value & REG_CR0_CD))
		return -EINVAL;
	if ((value & REG_CR0_PG) && !(value & REG_CR0_PE))
		return -EINVAL;
	if (!((value ^ old) & REG_CR0_PG))
		return 0;
	if (value & REG_CR0_PG)
		return (efer & REG_EFER_LME) && !may_enter_long_mode(vcpu) ? -EINVAL : 0;
	if ((efer & REG_EFER_LMA) && code_is_long(vcpu))
		return -EINVAL;
	return vcpu_reg(vcpu, VM_REG_GUEST_CR4) & REG_CR4_PCIDE ? -EINVAL : 0;
}

int x86_check_cr3(struct vcpu *vcpu, uint64_t value)
{
	if (in_long_mode(vcpu) && (value & cpuid_phys_reserved(vcpu->vm)))
		return -EINVAL;
	return 0;
}

/* PCIDs are turned on in long mode only, and with PCID 0 in use. */
static bool may_enable_pcid(struct vcpu *vcpu)
{
	return in_long_mode(vcpu) && !(vcpu_reg(vcpu, VM_REG_GUEST_CR3) & REG_CR3_PCID_MASK);
}

int x86_check_cr4(struct vcpu *vcpu, uint64_t value)
{
	uint64_t changed = value ^ vcpu_reg(vcpu, VM_REG_GUEST_CR4);

	if (value & ~vcpu->vm->cpuid->features.cr4)
		return -EINVAL;
	if (in_long_mode(vcpu)) {
		if (!(value & REG_CR4_PAE) || (changed & REG_CR4_LA57))
			return -EINVAL;
	}
	if ((changed & value & REG_CR4_PCIDE) && !may_enable_pcid(vcpu))
		return -EINVAL;
	return 0;
}

int x86_check_efer(struct vcpu *vcpu, uint64_t value)
{
	uint64_t changed = value ^ vcpu_reg(vcpu, VM_REG_GUEST_EFER);

	if (value & ~vcpu->vm->cpuid->features.efer)
		return -EINVAL;
	if ((changed & REG_EFER_LME) && (vcpu_reg(vcpu, VM_REG_GUEST_CR0) & REG_CR0_PG))
		return -EINVAL;
	return 0;
}

/* SDM vol. 1, 13.3: x87 always; AVX needs SSE; AVX-512's three go together, with AVX. */
int x86_check_xcr0(struct vcpu *vcpu, uint64_t value)
{
	uint64_t avx512 = value & REG_XCR0_AVX512;

	if ((value & ~vcpu->vm->cpuid->features.xcr0) || !(value & REG_XCR0_X87))
		return -EINVAL;
	if ((value & REG_XCR0_AVX) && !(value & REG_XCR0_SSE))
		return -EINVAL;
	if (avx512 && (avx512 != REG_XCR0_AVX512 || !(value & REG_XCR0_AVX)))
		return -EINVAL;
	return 0;
}

/* --- PAE paging ------------------------------------------------------------------------ */

static bool uses_pae_paging(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	return (cr0 & REG_CR0_PG) && (cr4 & REG_CR4_PAE) && !(efer & REG_EFER_LME);
}

/* Memory without backing reads as zeros; where there is none, as ones. */
static int read_pdptes(struct vcpu *vcpu, uint64_t cr3, uint64_t pdpte[4])
{
	const void *hva = memory_hva(vcpu->vm, PDPTE_BASE(cr3), VM_PROT_READ);

	if (hva)
		memcpy(pdpte, hva, 4 * sizeof(pdpte[0]));
	else if (memory_lookup(vcpu->vm, PDPTE_BASE(cr3)))
		memset(pdpte, 0, 4 * sizeof(pdpte[0]));
	else
		return -EINVAL;
	return 0;
}

/*
 * A processor with registers reads them when PAE paging begins or CR3 is loaded, and
 * refuses bad ones then. Another finds them out in a walk (APM vol. 2, 15.25.10): what
 * is in memory is then not for us to judge, and MOV to CR3 does not exit there anyhow.
 */
static int load_pdptes(struct vcpu *vcpu, uint64_t cr3)
{
	uint64_t reserved = PDPTE_RESERVED | cpuid_phys_reserved(vcpu->vm);
	uint64_t pdpte[4];

	if (!backend->keeps_pdptes)
		return 0;
	if (read_pdptes(vcpu, cr3, pdpte))
		return -EINVAL;
	for (unsigned int i = 0; i < 4; i++) {
		if ((pdpte[i] & PTE_X86_PRESENT) && (pdpte[i] & reserved))
			return -EINVAL;
	}
	for (unsigned int i = 0; i < 4; i++)
		(void)backend->set_reg(vcpu, VM_REG_GUEST_PDPTE0 + (int)i, pdpte[i]);
	return 0;
}

int x86_reload_pdptes(struct vcpu *vcpu)
{
	bool pae = uses_pae_paging(vcpu_reg(vcpu, VM_REG_GUEST_CR0),
				   vcpu_reg(vcpu, VM_REG_GUEST_CR4),
				   vcpu_reg(vcpu, VM_REG_GUEST_EFER));

	return pae ? load_pdptes(vcpu, vcpu_reg(vcpu, VM_REG_GUEST_CR3)) : 0;
}

/* --- writes ---------------------------------------------------------------------------- */

#define CR0_RELOADS_PDPTES (REG_CR0_CD | REG_CR0_NW | REG_CR0_PG)
#define CR4_RELOADS_PDPTES (REG_CR4_PAE | REG_CR4_PSE | REG_CR4_PGE | REG_CR4_SMEP)

int x86_write_cr0(struct vcpu *vcpu, uint64_t value)
{
	uint64_t old = vcpu_reg(vcpu, VM_REG_GUEST_CR0);
	uint64_t cr4 = vcpu_reg(vcpu, VM_REG_GUEST_CR4);
	uint64_t efer = vcpu_reg(vcpu, VM_REG_GUEST_EFER);
	uint64_t new_efer = efer & ~REG_EFER_LMA;

	if (x86_check_cr0(vcpu, value))
		return -EINVAL;
	value = (value & REG_CR0_DEFINED) | REG_CR0_ET;
	if (uses_pae_paging(value, cr4, efer) && ((value ^ old) & CR0_RELOADS_PDPTES) &&
	    load_pdptes(vcpu, vcpu_reg(vcpu, VM_REG_GUEST_CR3)))
		return -EINVAL;
	if ((value & REG_CR0_PG) && (efer & REG_EFER_LME))
		new_efer |= REG_EFER_LMA;
	if (new_efer != efer && set_reg(vcpu, VM_REG_GUEST_EFER, new_efer))
		return -EINVAL;
	return set_reg(vcpu, VM_REG_GUEST_CR0, value);
}

int x86_write_cr3(struct vcpu *vcpu, uint64_t value)
{
	uint64_t cr0 = vcpu_reg(vcpu, VM_REG_GUEST_CR0);
	uint64_t cr4 = vcpu_reg(vcpu, VM_REG_GUEST_CR4);
	uint64_t efer = vcpu_reg(vcpu, VM_REG_GUEST_EFER);

	if (cr4 & REG_CR4_PCIDE)
		value &= ~REG_CR3_NOFLUSH;
	if (!(efer & REG_EFER_LMA))
		value = (uint32_t)value;
	if (x86_check_cr3(vcpu, value))
		return -EINVAL;
	if (uses_pae_paging(cr0, cr4, efer) && load_pdptes(vcpu, value))
		return -EINVAL;
	return set_reg(vcpu, VM_REG_GUEST_CR3, value);
}

int x86_write_cr4(struct vcpu *vcpu, uint64_t value)
{
	uint64_t old = vcpu_reg(vcpu, VM_REG_GUEST_CR4);
	uint64_t cr0 = vcpu_reg(vcpu, VM_REG_GUEST_CR0);
	uint64_t efer = vcpu_reg(vcpu, VM_REG_GUEST_EFER);

	if (x86_check_cr4(vcpu, value))
		return -EINVAL;
	if (uses_pae_paging(cr0, value, efer) && ((value ^ old) & CR4_RELOADS_PDPTES) &&
	    load_pdptes(vcpu, vcpu_reg(vcpu, VM_REG_GUEST_CR3)))
		return -EINVAL;
	return set_reg(vcpu, VM_REG_GUEST_CR4, value);
}

/* LMA is the processor's: what is written there does not count. */
int x86_write_efer(struct vcpu *vcpu, uint64_t value)
{
	if (x86_check_efer(vcpu, value))
		return -EINVAL;
	value &= ~REG_EFER_LMA;
	value |= vcpu_reg(vcpu, VM_REG_GUEST_EFER) & REG_EFER_LMA;
	return set_reg(vcpu, VM_REG_GUEST_EFER, value);
}

/* CR8: an interrupt that it held back may go now. */
static int write_cr8(struct vcpu *vcpu, uint64_t value)
{
	if (value & ~REG_CR8_TPR)
		return -EINVAL;
	vcpu_request(vcpu, VCPU_REQ_EVENT);
	return set_reg(vcpu, VM_REG_GUEST_TPR, value);
}

/* --- exits: control registers -------------------------------------------------------------- */

/* 0; -EINVAL (#GP); -ENOENT: there is no such register (#UD). */
static int write_cr(struct vcpu *vcpu, unsigned int cr, uint64_t value)
{
	switch (cr) {
	case 0:
		return x86_write_cr0(vcpu, value);
	case 2:
		vcpu->cr2 = value;
		return 0;
	case 3:
		return x86_write_cr3(vcpu, value);
	case 4:
		return x86_write_cr4(vcpu, value);
	case 8:
		return write_cr8(vcpu, value);
	default:
		return -ENOENT;
	}
}

static int read_cr(struct vcpu *vcpu, unsigned int cr, uint64_t *value)
{
	switch (cr) {
	case 0:
		return backend->get_reg(vcpu, VM_REG_GUEST_CR0, value);
	case 2:
		*value = vcpu->cr2;
		return 0;
	case 3:
		return backend->get_reg(vcpu, VM_REG_GUEST_CR3, value);
	case 4:
		return backend->get_reg(vcpu, VM_REG_GUEST_CR4, value);
	case 8:
		return backend->get_reg(vcpu, VM_REG_GUEST_TPR, value);
	default:
		return -ENOENT;
	}
}

static enum exit_action complete_or_raise(struct vcpu *vcpu, int error)
{
	if (error == -ENOENT)
		return x86_raise_ud(vcpu);
	return error ? x86_raise_gp(vcpu) : x86_complete(vcpu);
}

/* next_rip is known. */
static enum exit_action access_cr(struct vcpu *vcpu, unsigned int cr, bool write, unsigned int gpr)
{
	if (write)
		return complete_or_raise(vcpu, write_cr(vcpu, cr, read_gpr(vcpu, gpr)));
	return complete_or_raise(vcpu, read_cr(vcpu, cr, &vcpu->gpr[gpr & 15]));
}

enum exit_action x86_exit_cr_access(struct vcpu *vcpu, unsigned int cr, bool write,
				    unsigned int gpr)
{
	if (!x86_locate(vcpu, write ? OP_MOV_TO_CR : OP_MOV_FROM_CR))
		return vcpu->not_located;
	return access_cr(vcpu, cr, write, gpr);
}

static enum exit_action clear_task_switched(struct vcpu *vcpu)
{
	uint64_t cr0 = vcpu_reg(vcpu, VM_REG_GUEST_CR0) & ~REG_CR0_TS;

	return complete_or_raise(vcpu, set_reg(vcpu, VM_REG_GUEST_CR0, cr0));
}

enum exit_action x86_exit_clts(struct vcpu *vcpu)
{
	return x86_locate(vcpu, OP_CLTS) ? clear_task_switched(vcpu) : vcpu->not_located;
}

/* LMSW sets PE, MP, EM and TS, but never clears PE. */
static enum exit_action load_status_word(struct vcpu *vcpu, uint64_t value)
{
	uint64_t cleared = REG_CR0_MP | REG_CR0_EM | REG_CR0_TS;
	uint64_t cr0 = vcpu_reg(vcpu, VM_REG_GUEST_CR0) & ~cleared;

	return complete_or_raise(vcpu, x86_write_cr0(vcpu, cr0 | (value & (cleared | REG_CR0_PE))));
}

enum exit_action x86_exit_lmsw(struct vcpu *vcpu, uint16_t value)
{
	return x86_locate(vcpu, OP_LMSW) ? load_status_word(vcpu, value) : vcpu->not_located;
}

enum exit_action x86_exit_cr_instruction(struct vcpu *vcpu)
{
	enum exit_action action;
	struct instruction insn;

	if (!x86_find(vcpu, &insn, &action))
		return action;
	switch (insn.op) {
	case OP_MOV_TO_CR:
		return access_cr(vcpu, insn.reg, true, insn.rm);
	case OP_MOV_FROM_CR:
		return access_cr(vcpu, insn.reg, false, insn.rm);
	case OP_CLTS:
		return clear_task_switched(vcpu);
	case OP_LMSW:
		if (!insn.memory)
			return load_status_word(vcpu, read_gpr(vcpu, insn.rm));
		return x86_raise_ud(vcpu);
	default:
		return x86_raise_ud(vcpu);
	}
}

/* --- exits: debug registers -------------------------------------------------------------- */

static int write_dr7(struct vcpu *vcpu, uint64_t value)
{
	int error = set_reg(vcpu, VM_REG_GUEST_DR7, (value & DR7_WRITABLE) | DR7_FIXED_ONES);

	if (!error && (value & REG_DR7_ENABLES))
		context_own_dr(vcpu);
	return error;
}

static int write_dr(struct vcpu *vcpu, unsigned int dr, uint64_t value)
{
	if (dr < 4) {
		context_set_dr(vcpu, dr, value);
		return 0;
	}
	if (value >> 32)
		return -EINVAL;
	if (dr == 7)
		return write_dr7(vcpu, value);
	return set_reg(vcpu, VM_REG_GUEST_DR6, (value & DR6_WRITABLE) | DR6_FIXED_ONES);
}

static int read_dr(struct vcpu *vcpu, unsigned int dr, uint64_t *value)
{
	if (dr < 4) {
		*value = context_dr(vcpu, dr);
		return 0;
	}
	return backend->get_reg(vcpu, dr == 7 ? VM_REG_GUEST_DR7 : VM_REG_GUEST_DR6, value);
}

/* DR7.GD: the access is a fault, which clears GD (APM vol. 2, 13.1.1.3). */
static enum exit_action raise_general_detect(struct vcpu *vcpu)
{
	uint64_t dr6 = vcpu_reg(vcpu, VM_REG_GUEST_DR6) | REG_DR6_BD;
	uint64_t dr7 = vcpu_reg(vcpu, VM_REG_GUEST_DR7) & ~REG_DR7_GD;

	(void)backend->set_reg(vcpu, VM_REG_GUEST_DR6, dr6);
	(void)backend->set_reg(vcpu, VM_REG_GUEST_DR7, dr7);
	vcpu_raise(vcpu, VECTOR_DB);
	return EXIT_RESUME;
}

/* next_rip is known. DR4 and DR5 are DR6 and DR7 unless CR4.DE. */
static enum exit_action access_dr(struct vcpu *vcpu, unsigned int dr, bool write, unsigned int gpr)
{
	if (dr > 7)
		return x86_raise_ud(vcpu);
	if (dr == 4 || dr == 5) {
		if (vcpu_reg(vcpu, VM_REG_GUEST_CR4) & REG_CR4_DE)
			return x86_raise_ud(vcpu);
		dr += 2;
	}
	if (vcpu_reg(vcpu, VM_REG_GUEST_DR7) & REG_DR7_GD)
		return raise_general_detect(vcpu);
	if (write)
		return complete_or_raise(vcpu, write_dr(vcpu, dr, read_gpr(vcpu, gpr)));
	return complete_or_raise(vcpu, read_dr(vcpu, dr, &vcpu->gpr[gpr & 15]));
}

enum exit_action x86_exit_dr_access(struct vcpu *vcpu, unsigned int dr, bool write,
				    unsigned int gpr)
{
	if (!x86_locate(vcpu, write ? OP_MOV_TO_DR : OP_MOV_FROM_DR))
		return vcpu->not_located;
	return access_dr(vcpu, dr, write, gpr);
}

enum exit_action x86_exit_dr_instruction(struct vcpu *vcpu)
{
	enum exit_action action;
	struct instruction insn;

	if (!x86_find(vcpu, &insn, &action))
		return action;
	if (insn.op == OP_MOV_TO_DR || insn.op == OP_MOV_FROM_DR)
		return access_dr(vcpu, insn.reg, insn.op == OP_MOV_TO_DR, insn.rm);
	return x86_raise_ud(vcpu);
}
