// SPDX-License-Identifier: BSD-2-Clause
/*
 * Control registers: what the guest may put into them, and what follows from a change
 * (APM vol. 2, 3.1 and 14.6; SDM vol. 3, 2.5 and 4.1).
 */
#include "x86/cpu/control.h"

#include "vm/regs.h"
#include "vm/vcpu.h"
#include "x86/cpu/cpuid.h"
#include "x86/cpu/legal.h"

/* Page directory pointer of PAE paging: bits that must be 0 (APM vol. 2, 5.2.3). */
#define PDPTE_RESERVED	0x1e6ull
#define PDPTE_BASE(cr3) ((cr3)&0xffffffe0ull)

/* --- state ---------------------------------------------------------------- */

bool x86_in_long_mode(struct vcpu *vcpu)
{
	return vcpu_reg(vcpu, VM_REG_GUEST_EFER) & REG_EFER_LMA;
}

bool x86_code_is_long(struct vcpu *vcpu)
{
	struct seg_desc code = { 0 };

	(void)backend->get_desc(vcpu, VM_REG_GUEST_CS, &code);
	return code.access & SEG_ACCESS_L;
}

static int control_set(struct vcpu *vcpu, int reg, uint64_t value)
{
	return backend->set_reg(vcpu, reg, value) ? -EINVAL : 0;
}

/* --- checks --------------------------------------------------------------- */

/* Turning paging on in long mode. */
static bool may_enter_long_mode(struct vcpu *vcpu)
{
	return (vcpu_reg(vcpu, VM_REG_GUEST_CR4) & REG_CR4_PAE) && !x86_code_is_long(vcpu);
}

int x86_check_cr0(struct vcpu *vcpu, uint64_t value)
{
	uint64_t old = vcpu_reg(vcpu, VM_REG_GUEST_CR0);
	uint64_t efer = vcpu_reg(vcpu, VM_REG_GUEST_EFER);

	if (!legal_cr0(value))
		return -EINVAL;
	if (!((value ^ old) & REG_CR0_PG))
		return 0;
	if (value & REG_CR0_PG)
		return (efer & REG_EFER_LME) && !may_enter_long_mode(vcpu) ? -EINVAL : 0;
	if ((efer & REG_EFER_LMA) && x86_code_is_long(vcpu))
		return -EINVAL;
	return vcpu_reg(vcpu, VM_REG_GUEST_CR4) & REG_CR4_PCIDE ? -EINVAL : 0;
}

int x86_check_cr3(struct vcpu *vcpu, uint64_t value)
{
	if (x86_in_long_mode(vcpu) && (value & cpuid_phys_reserved(vcpu->vm)))
		return -EINVAL;
	return 0;
}

/* PCIDs are turned on in long mode only, and with PCID 0 in use. */
static bool may_enable_pcid(struct vcpu *vcpu)
{
	return x86_in_long_mode(vcpu) && !(vcpu_reg(vcpu, VM_REG_GUEST_CR3) & REG_CR3_PCID_MASK);
}

int x86_check_cr4(struct vcpu *vcpu, uint64_t value)
{
	uint64_t changed = value ^ vcpu_reg(vcpu, VM_REG_GUEST_CR4);

	if (value & ~vcpu->vm->cpuid->features.cr4)
		return -EINVAL;
	if (x86_in_long_mode(vcpu)) {
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

/* --- PAE paging ----------------------------------------------------------- */

static bool uses_pae_paging(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	return (cr0 & REG_CR0_PG) && (cr4 & REG_CR4_PAE) && !(efer & REG_EFER_LME);
}

/* Memory without backing reads as zeros; where there is none, as ones. */
static int read_pdptes_from_memory(struct vcpu *vcpu, uint64_t cr3, uint64_t pdpte[4])
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
	if (read_pdptes_from_memory(vcpu, cr3, pdpte))
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

/* --- writes --------------------------------------------------------------- */

int x86_write_cr0(struct vcpu *vcpu, uint64_t value)
{
	uint64_t old = vcpu_reg(vcpu, VM_REG_GUEST_CR0);
	uint64_t cr4 = vcpu_reg(vcpu, VM_REG_GUEST_CR4);
	uint64_t efer = vcpu_reg(vcpu, VM_REG_GUEST_EFER);
	uint64_t new_efer = legal_efer_lma(efer, value);

	if (x86_check_cr0(vcpu, value))
		return -EINVAL;
	value = legal_cr0_fixed(value);
	if (uses_pae_paging(value, cr4, efer) &&
	    ((value ^ old) & legal_reloads_pdptes(VM_REG_GUEST_CR0)) &&
	    load_pdptes(vcpu, vcpu_reg(vcpu, VM_REG_GUEST_CR3)))
		return -EINVAL;
	if (new_efer != efer && control_set(vcpu, VM_REG_GUEST_EFER, new_efer))
		return -EINVAL;
	return control_set(vcpu, VM_REG_GUEST_CR0, value);
}

int x86_write_status_word(struct vcpu *vcpu, uint16_t value)
{
	uint64_t written = REG_CR0_MP | REG_CR0_EM | REG_CR0_TS;
	uint64_t cr0 = vcpu_reg(vcpu, VM_REG_GUEST_CR0) & ~written;

	return x86_write_cr0(vcpu, cr0 | (value & (written | REG_CR0_PE)));
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
	return control_set(vcpu, VM_REG_GUEST_CR3, value);
}

int x86_write_cr4(struct vcpu *vcpu, uint64_t value)
{
	uint64_t old = vcpu_reg(vcpu, VM_REG_GUEST_CR4);
	uint64_t cr0 = vcpu_reg(vcpu, VM_REG_GUEST_CR0);
	uint64_t efer = vcpu_reg(vcpu, VM_REG_GUEST_EFER);

	if (x86_check_cr4(vcpu, value))
		return -EINVAL;
	if (uses_pae_paging(cr0, value, efer) &&
	    ((value ^ old) & legal_reloads_pdptes(VM_REG_GUEST_CR4)) &&
	    load_pdptes(vcpu, vcpu_reg(vcpu, VM_REG_GUEST_CR3)))
		return -EINVAL;
	return control_set(vcpu, VM_REG_GUEST_CR4, value);
}

/* LMA is the processor's: what is written there does not count. */
int x86_write_efer(struct vcpu *vcpu, uint64_t value)
{
	if (x86_check_efer(vcpu, value))
		return -EINVAL;
	value &= ~REG_EFER_LMA;
	value |= vcpu_reg(vcpu, VM_REG_GUEST_EFER) & REG_EFER_LMA;
	return control_set(vcpu, VM_REG_GUEST_EFER, value);
}
