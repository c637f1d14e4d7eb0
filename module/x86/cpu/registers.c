// SPDX-License-Identifier: BSD-2-Clause
/* Registers by bhyve's names. */
#include "x86/cpu/registers.h"

#include "vm/regs.h"
#include "vm/vcpu.h"
#include "x86/cpu/context.h"
#include "x86/cpu/cpuid.h"

/* Place in gpr[], plus one so that zero means "not a general register". */
static const uint8_t gpr_index[VM_REG_LAST] = {
	[VM_REG_GUEST_RAX] = GPR_RAX + 1, [VM_REG_GUEST_RBX] = GPR_RBX + 1,
	[VM_REG_GUEST_RCX] = GPR_RCX + 1, [VM_REG_GUEST_RDX] = GPR_RDX + 1,
	[VM_REG_GUEST_RSI] = GPR_RSI + 1, [VM_REG_GUEST_RDI] = GPR_RDI + 1,
	[VM_REG_GUEST_RBP] = GPR_RBP + 1, [VM_REG_GUEST_RSP] = GPR_RSP + 1,
	[VM_REG_GUEST_R8] = GPR_R8 + 1,	  [VM_REG_GUEST_R9] = GPR_R9 + 1,
	[VM_REG_GUEST_R10] = GPR_R10 + 1, [VM_REG_GUEST_R11] = GPR_R11 + 1,
	[VM_REG_GUEST_R12] = GPR_R12 + 1, [VM_REG_GUEST_R13] = GPR_R13 + 1,
	[VM_REG_GUEST_R14] = GPR_R14 + 1, [VM_REG_GUEST_R15] = GPR_R15 + 1,
};

/* Reserved bits of RFLAGS: 3, 5, 15 and everything from 22 up (APM vol. 2, 3.1.6). */
#define RFLAGS_WRITABLE 0x003f7fd5ull

/* The MSR that a base is by its other name; 0: it is none. */
static uint32_t base_msr(int reg)
{
	switch (reg) {
	case VM_REG_GUEST_FS_BASE:
		return MSRN_FS_BASE;
	case VM_REG_GUEST_GS_BASE:
		return MSRN_GS_BASE;
	case VM_REG_GUEST_KGS_BASE:
		return MSRN_KERNEL_GS_BASE;
	default:
		return 0;
	}
}

static bool is_debug_address(int reg)
{
	return reg >= VM_REG_GUEST_DR0 && reg <= VM_REG_GUEST_DR3;
}

static int get_elsewhere(struct vcpu *vcpu, int reg, uint64_t *value)
{
	if (base_msr(reg))
		return backend->get_msr(vcpu, base_msr(reg), value);
	if (!is_debug_address(reg))
		return backend->get_reg(vcpu, reg, value);
	*value = context_dr(vcpu, (unsigned int)(reg - VM_REG_GUEST_DR0));
	return 0;
}

/* A base that is not canonical would be a fault of ours, when the MSR is loaded. */
static int set_elsewhere(struct vcpu *vcpu, int reg, uint64_t value)
{
	if (base_msr(reg))
		return cpuid_canonical(vcpu->vm, value) ?
			       backend->set_msr(vcpu, base_msr(reg), value) :
			       -EINVAL;
	if (!is_debug_address(reg))
		return backend->set_reg(vcpu, reg, value);
	context_set_dr(vcpu, (unsigned int)(reg - VM_REG_GUEST_DR0), value);
	return 0;
}

int vcpu_get_register(struct vcpu *vcpu, int reg, uint64_t *value)
{
	if (reg < 0 || reg >= VM_REG_LAST)
		return -EINVAL;
	if (gpr_index[reg]) {
		*value = vcpu->gpr[gpr_index[reg] - 1];
		return 0;
	}
	switch (reg) {
	case VM_REG_GUEST_RIP:
		*value = vcpu->rip;
		return 0;
	case VM_REG_GUEST_RFLAGS:
		*value = vcpu->rflags;
		return 0;
	case VM_REG_GUEST_CR2:
		*value = vcpu->cr2;
		return 0;
	case VM_REG_GUEST_INTR_SHADOW:
		*value = vcpu->intr_shadow;
		return 0;
	case VM_REG_GUEST_ENTRY_INST_LENGTH:
		*value = vcpu->next_rip ? vcpu->next_rip - vcpu->rip : 0;
		return 0;
	default:
		return get_elsewhere(vcpu, reg, value);
	}
}

static int set_rflags(struct vcpu *vcpu, uint64_t value)
{
	vcpu->rflags = (value & RFLAGS_WRITABLE) | REG_RFLAGS_FIXED1;
	return 0;
}

/* A new RIP is where the next VM_RUN starts, and cancels a pending access. */
static int set_rip(struct vcpu *vcpu, uint64_t value)
{
	vcpu->rip = value;
	vcpu->resume_rip = value;
	vcpu->access_pending = false;
	return 0;
}

int vcpu_set_register(struct vcpu *vcpu, int reg, uint64_t value)
{
	if (reg < 0 || reg >= VM_REG_LAST)
		return -EINVAL;
	if (gpr_index[reg]) {
		vcpu->gpr[gpr_index[reg] - 1] = value;
		return 0;
	}
	switch (reg) {
	case VM_REG_GUEST_RIP:
		return set_rip(vcpu, value);
	case VM_REG_GUEST_RFLAGS:
		return set_rflags(vcpu, value);
	case VM_REG_GUEST_CR2:
		vcpu->cr2 = value;
		return 0;
	case VM_REG_GUEST_INTR_SHADOW:
		vcpu->intr_shadow = value & 1;
		return 0;
	case VM_REG_GUEST_ENTRY_INST_LENGTH:
		return -EINVAL;
	default:
		return set_elsewhere(vcpu, reg, value);
	}
}
