// SPDX-License-Identifier: BSD-2-Clause
/* Exits of instructions that read and write control and debug registers; exits.h. */
#include "vm/regs.h"
#include "vm/vcpu.h"
#include "x86/cpu/context.h"
#include "x86/cpu/control.h"
#include "x86/emulate/skip.h"
#include "x86/exits/exits.h"

#define DR6_FIXED_ONES 0xffff0ff0ull
#define DR6_WRITABLE   0x1e00full
#define DR7_FIXED_ONES 0x400ull
#define DR7_WRITABLE   0xffff27ffull

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
	if (value & ~REG_CR8_TPR)
		return -EINVAL;
	vcpu_request(vcpu, VCPU_REQ_EVENT);
	return control_set_checked(vcpu, VM_REG_GUEST_TPR, value);
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

	return complete_or_raise(vcpu, control_set_checked(vcpu, VM_REG_GUEST_CR0, cr0));
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
	int error = control_set_checked(vcpu, VM_REG_GUEST_DR7,
					(value & DR7_WRITABLE) | DR7_FIXED_ONES);

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
	return control_set_checked(vcpu, VM_REG_GUEST_DR6, (value & DR6_WRITABLE) | DR6_FIXED_ONES);
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
