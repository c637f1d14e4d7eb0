// SPDX-License-Identifier: BSD-2-Clause
/* Exits of instructions that read and write control registers; exits.h. */
#include "vm/regs.h"
#include "vm/vcpu.h"
#include "x86/cpu/control.h"
#include "x86/cpu/legal.h"
#include "x86/emulate/emulate.h"
#include "x86/emulate/skip.h"
#include "x86/exits/exits.h"

/* A general register as the current mode reads it. */
static uint64_t read_gpr(struct vcpu *vcpu, unsigned int gpr)
{
	uint64_t value = vcpu->gpr[gpr & 15];

	return x86_in_long_mode(vcpu) && x86_code_is_long(vcpu) ? value : (uint32_t)value;
}

static int control_set_checked(struct vcpu *vcpu, int reg, uint64_t value)
{
	return backend->set_reg(vcpu, reg, value) ? -EINVAL : 0;
}

/* CR8: an interrupt that it held back may go now. */
static int write_cr8(struct vcpu *vcpu, uint64_t value)
{
	if (!legal_cr8(value))
		return -EINVAL;
	vcpu_request(vcpu, VCPU_REQ_EVENT);
	return control_set_checked(vcpu, VM_REG_GUEST_TPR, value);
}

/* --- exits: control registers --- */

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

enum exit_action x86_exit_cr_access(struct vcpu *vcpu, unsigned int cr, bool write,
				    unsigned int gpr)
{
	if (write)
		return complete_or_raise(vcpu, write_cr(vcpu, cr, read_gpr(vcpu, gpr)));
	return complete_or_raise(vcpu, read_cr(vcpu, cr, &vcpu->gpr[gpr & 15]));
}

enum exit_action x86_exit_clts(struct vcpu *vcpu)
{
	uint64_t cr0 = vcpu_reg(vcpu, VM_REG_GUEST_CR0) & ~REG_CR0_TS;

	return complete_or_raise(vcpu, control_set_checked(vcpu, VM_REG_GUEST_CR0, cr0));
}

enum exit_action x86_exit_lmsw(struct vcpu *vcpu, uint16_t value)
{
	return complete_or_raise(vcpu, x86_write_status_word(vcpu, value));
}

enum exit_action x86_exit_cr_instruction(struct vcpu *vcpu, const struct instruction *insn)
{
	switch (insn->op) {
	case OP_MOV_TO_CR:
		return x86_exit_cr_access(vcpu, insn->reg, true, insn->rm);
	case OP_MOV_FROM_CR:
		return x86_exit_cr_access(vcpu, insn->reg, false, insn->rm);
	case OP_CLTS:
		return x86_exit_clts(vcpu);
	case OP_LMSW:
		if (insn->memory)
			return emulate_lmsw(vcpu);
		return x86_exit_lmsw(vcpu, (uint16_t)read_gpr(vcpu, insn->rm));
	default:
		return x86_raise_ud(vcpu);
	}
}
