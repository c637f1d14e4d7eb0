/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Register values that are legal together with some others: what every back end
 * refuses when a program sets registers one by one. What must fit together is checked
 * before the next entry. Any context.
 */
#ifndef X86_CPU_LEGAL_H
#define X86_CPU_LEGAL_H

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

static inline bool legal_cr3(uint64_t value)
{
	return !(value & 0xfff0000000000000ull);
}

/* Virtualization is not the guest's to turn on. */
static inline bool legal_cr4(uint64_t value)
{
	return !(value & (LEGAL_UPPER_HALF | REG_CR4_VMXE | REG_CR4_SMXE));
}

static inline bool legal_debug_register(uint64_t value)
{
	return !(value & LEGAL_UPPER_HALF);
}

static inline bool legal_cr8(uint64_t value)
{
	return !(value & ~REG_CR8_TPR);
}

/* EFER.LMA is LME and CR0.PG (APM vol. 2, 14.6.1): programs may leave it to us. */
static inline uint64_t legal_efer_lma(uint64_t efer, uint64_t cr0)
{
	efer &= ~REG_EFER_LMA;
	return (efer & REG_EFER_LME) && (cr0 & REG_CR0_PG) ? efer | REG_EFER_LMA : efer;
}

#endif
