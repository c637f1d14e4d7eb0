/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Register values that are legal together with some others: what every back end
 * refuses when userspace sets registers one by one, and what a guest's write is refused
 * for first (control.h). What must fit together is checked before the next entry. Any
 * context.
 */
#ifndef X86_CPU_LEGAL_H
#define X86_CPU_LEGAL_H

#include <vmm/vmm.h>
#include "os/os.h"
#include "vm/regs.h"

#define LEGAL_UPPER_HALF 0xffffffff00000000ull

/* APM vol. 2, 15.5.1 and 3.1.1; SDM vol. 3, 2.5. */
static inline bool legal_cr0(uint64_t value)
{
	bool not_write_through = value & REG_CR0_NW;

	if (value & LEGAL_UPPER_HALF)
		return false;
	if (not_write_through && !(value & REG_CR0_CD))
		return false;
	return !(value & REG_CR0_PG) || (value & REG_CR0_PE);
}

/* As the register then reads: undefined bits are dropped, ET is fixed. */
static inline uint64_t legal_cr0_fixed(uint64_t value)
{
	return (value & REG_CR0_DEFINED) | REG_CR0_ET;
}

static inline bool legal_cr3(uint64_t value)
{
	return !(value & 0xfff0000000000000ull);
}

/* Virtualization is not the guest's to turn on. */
static inline bool legal_cr4(uint64_t value)
{
	return !(value & (LEGAL_UPPER_HALF | REG_CR4_VMXE | REG_CR4_SMXE));
}

/* CR0, CR3, CR4 and EFER; 'efer_bits' are those that the back end knows. */
static inline bool legal_control_register(int reg, uint64_t value, uint64_t efer_bits)
{
	switch (reg) {
	case VM_REG_GUEST_CR0:
		return legal_cr0(value);
	case VM_REG_GUEST_CR3:
		return legal_cr3(value);
	case VM_REG_GUEST_CR4:
		return legal_cr4(value);
	default:
		return !(value & ~efer_bits);
	}
}

/* DR6 and DR7. */
static inline bool legal_debug_register(uint64_t value)
{
	return !(value & LEGAL_UPPER_HALF);
}

/* As DR6 or DR7 then reads: reserved bits that are 1. */
static inline uint64_t legal_debug_fixed(int reg, uint64_t value)
{
	return value | (reg == VM_REG_GUEST_DR6 ? REG_DR6_RESET : REG_DR7_RESET);
}

static inline bool legal_cr8(uint64_t value)
{
	return !(value & ~REG_CR8_TPR);
}

/* EFER.LMA is LME and CR0.PG (APM vol. 2, 14.6.1): userspace may leave it to us. */
static inline uint64_t legal_efer_lma(uint64_t efer, uint64_t cr0)
{
	efer &= ~REG_EFER_LMA;
	return (efer & REG_EFER_LME) && (cr0 & REG_CR0_PG) ? efer | REG_EFER_LMA : efer;
}

/*
 * Bits of CR0, CR4 and EFER whose change makes a processor read PAE's directory pointers
 * anew (SDM vol. 3, 4.4.1).
 */
static inline uint64_t legal_reloads_pdptes(int reg)
{
	switch (reg) {
	case VM_REG_GUEST_CR0:
		return REG_CR0_CD | REG_CR0_NW | REG_CR0_PG;
	case VM_REG_GUEST_CR4:
		return REG_CR4_PAE | REG_CR4_PSE | REG_CR4_PGE | REG_CR4_SMEP;
	default:
		return REG_EFER_LME;
	}
}

#endif
