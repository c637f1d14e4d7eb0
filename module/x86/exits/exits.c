// SPDX-License-Identifier: BSD-2-Clause
/* What instructions and faults of the guest come down to. See exits.h. */
#include "x86/exits/exits.h"
#include "dev/device.h"
#include "dev/pic.h"
#include "x86/cpu/context.h"
#include "x86/cpu/control.h"
#include "x86/cpu/cpuid.h"
#include "x86/emulate/emulate.h"
#include "x86/emulate/fetch.h"
#include "x86/cpu/msr.h"
#include "vm/regs.h"
#include "x86/emulate/skip.h"
#include "x86/paging/walk.h"

/* IRQ that a floating-point error raises in a machine without CR0.NE. */
#define FERR_IRQ 13

static void set_edx_eax(struct vcpu *vcpu, uint64_t value)
{
	vcpu->gpr[GPR_RAX] = (uint32_t)value;
	vcpu->gpr[GPR_RDX] = value >> 32;
}

static uint64_t edx_eax(const struct vcpu *vcpu)
{
	return vcpu->gpr[GPR_RDX] << 32 | (uint32_t)vcpu->gpr[GPR_RAX];
}

static bool has_capability(const struct vcpu *vcpu, enum vm_cap_type capability)
{
	return vcpu->capabilities >> capability & 1;
}

/* An exit about an instruction that is complete once userspace has seen it. */
static enum exit_action exit_after(struct vcpu *vcpu, enum vm_exitcode code)
{
	(void)vcpu_exit_userspace(vcpu, code);
	vcpu->intr_shadow = false;
	return EXIT_USERSPACE;
}

/* --- CPUID, MSRs, TSC --- */

static void set_cpuid(struct vcpu *vcpu, const uint32_t *regs)
{
	vcpu->gpr[GPR_RAX] = regs[CPUID_REG_EAX];
	vcpu->gpr[GPR_RBX] = regs[CPUID_REG_EBX];
	vcpu->gpr[GPR_RCX] = regs[CPUID_REG_ECX];
	vcpu->gpr[GPR_RDX] = regs[CPUID_REG_EDX];
}

static noinline enum exit_action exit_cpuid_query(struct vcpu *vcpu)
{
	uint32_t regs[4];

	cpuid_query(vcpu, (uint32_t)vcpu->gpr[GPR_RAX], (uint32_t)vcpu->gpr[GPR_RCX], regs);
	set_cpuid(vcpu, regs);
	return x86_complete(vcpu);
}

enum exit_action x86_exit_cpuid(struct vcpu *vcpu)
{
	const uint32_t *regs = cpuid_constant(vcpu->vm->cpuid, (uint32_t)vcpu->gpr[GPR_RAX]);

	if (!regs)
		return exit_cpuid_query(vcpu);
	set_cpuid(vcpu, regs);
	return x86_complete(vcpu);
}

static enum exit_action exit_unknown_msr(struct vcpu *vcpu, enum vm_exitcode code, uint64_t value)
{
	vcpu->exit.u.msr.code = (uint32_t)vcpu->gpr[GPR_RCX];
	vcpu->exit.u.msr.wval = value;
	return exit_after(vcpu, code);
}

/* RAX takes all 64 bits first: a variable of ours would cost a stack protector. */
enum exit_action x86_exit_rdmsr(struct vcpu *vcpu)
{
	int error = msr_read(vcpu, (uint32_t)vcpu->gpr[GPR_RCX], &vcpu->gpr[GPR_RAX]);

	if (error == -ENOENT)
		return exit_unknown_msr(vcpu, VM_EXITCODE_RDMSR, 0);
	if (error)
		return x86_raise_gp(vcpu);
	set_edx_eax(vcpu, vcpu->gpr[GPR_RAX]);
	return x86_complete(vcpu);
}

enum exit_action x86_exit_wrmsr(struct vcpu *vcpu)
{
	uint64_t value = edx_eax(vcpu);
	enum exit_action action;
	int error = msr_write(vcpu, (uint32_t)vcpu->gpr[GPR_RCX], value);

	if (error == -ENOENT)
		return exit_unknown_msr(vcpu, VM_EXITCODE_WRMSR, value);
	if (error < 0)
		return x86_raise_gp(vcpu);
	action = x86_complete(vcpu);
	return error ? EXIT_USERSPACE : action;
}

enum exit_action x86_exit_rdpmc(struct vcpu *vcpu)
{
	return x86_raise_gp(vcpu);
}

/* --- waiting --- */

/* An event that waits for the end of this instruction's shadow wakes it at once. */
enum exit_action x86_exit_hlt(struct vcpu *vcpu)
{
	(void)x86_complete(vcpu);
	vcpu->halted = true;
	vcpu_request(vcpu, VCPU_REQ_EVENT);
	return EXIT_OUTER;
}

/* The outer loop lets other threads run: one of them may be what is waited for. */
enum exit_action x86_exit_pause(struct vcpu *vcpu)
{
	if (has_capability(vcpu, VM_CAP_PAUSE_EXIT))
		return exit_after(vcpu, VM_EXITCODE_PAUSE);
	(void)x86_complete(vcpu);
	return EXIT_OUTER;
}

/* --- caches, translations, XCR0 --- */

enum exit_action x86_exit_invd(struct vcpu *vcpu)
{
	return x86_complete(vcpu);
}

enum exit_action x86_exit_wbinvd(struct vcpu *vcpu)
{
	return x86_complete(vcpu);
}

static unsigned int privilege_level(struct vcpu *vcpu)
{
	struct vm_guest_paging paging;

	x86_paging(vcpu, &paging);
	return (unsigned int)paging.cpl;
}

/* Checked here as well as by the hardware, which on VMX exits first (SDM vol. 3, 26.1.2). */
enum exit_action x86_exit_xsetbv(struct vcpu *vcpu)
{
	uint64_t value = edx_eax(vcpu);

	if (!(vcpu_reg(vcpu, VM_REG_GUEST_CR4) & REG_CR4_OSXSAVE))
		return x86_raise_ud(vcpu);
	if (privilege_level(vcpu) != 0 || (uint32_t)vcpu->gpr[GPR_RCX] != 0 ||
	    x86_check_xcr0(vcpu, value))
		return x86_raise_gp(vcpu);
	context_set_xcr0(vcpu, value);
	return x86_complete(vcpu);
}

/* --- what is not offered, and the end --- */

enum exit_action x86_exit_hypercall(struct vcpu *vcpu)
{
	return x86_raise_ud(vcpu);
}

enum exit_action x86_exit_undefined(struct vcpu *vcpu)
{
	return x86_raise_ud(vcpu);
}

enum exit_action x86_exit_triple_fault(struct vcpu *vcpu)
{
	(void)vm_suspend(vcpu->vm, VM_SUSPEND_TRIPLEFAULT);
	return EXIT_OUTER;
}

/* RIP stays: userspace decides whether the guest is to have the exception. */
enum exit_action x86_exit_breakpoint(struct vcpu *vcpu)
{
	vcpu->exit.u.bpt.inst_length = (int)(vcpu->next_rip - vcpu->rip);
	vcpu->next_rip = 0;
	return vcpu_exit_userspace(vcpu, VM_EXITCODE_BPT);
}

enum exit_action x86_exit_alignment_check(struct vcpu *vcpu)
{
	vcpu_raise_error(vcpu, VECTOR_AC, 0);
	return EXIT_RESUME;
}

enum exit_action x86_exit_fpu_error(struct vcpu *vcpu)
{
	(void)pic_pulse(vcpu->vm, FERR_IRQ);
	return EXIT_RESUME;
}

enum exit_action x86_exit_debug_step(struct vcpu *vcpu, bool tf)
{
	vcpu->next_rip = 0;
	memset(&vcpu->exit.u.dbg, 0, sizeof(vcpu->exit.u.dbg));
	vcpu->exit.u.dbg.trace_trap = 1;
	vcpu->exit.u.dbg.tf_shadow_val = tf;
	x86_paging(vcpu, &vcpu->exit.u.dbg.paging);
	return vcpu_exit_userspace(vcpu, VM_EXITCODE_DB);
}

enum exit_action x86_exit_host_event(struct vcpu *vcpu)
{
	(void)vcpu;
	return EXIT_RESUME;
}

/* --- I/O ports --- */

/* 1 or 2 bytes leave the others alone, 4 clear the rest (APM vol. 1, 3.1.2.3). */
static void merge_gpr(struct vcpu *vcpu, unsigned int reg, unsigned int size, uint64_t value)
{
	uint64_t *gpr = &vcpu->gpr[reg];

	switch (size) {
	case 1:
		*gpr = (*gpr & ~0xffull) | (value & 0xff);
		break;
	case 2:
		*gpr = (*gpr & ~0xffffull) | (value & 0xffff);
		break;
	case 4:
		*gpr = (uint32_t)value;
		break;
	default:
		*gpr = value;
		break;
	}
}

static uint32_t port_value_mask(unsigned int size)
{
	return size >= 4 ? 0xffffffff : (1u << (8 * size)) - 1;
}

static inline enum exit_action exit_userspace_port(struct vcpu *vcpu, uint16_t port,
						   unsigned int size, bool in)
{
	uint32_t value = in ? 0 : (uint32_t)vcpu->gpr[GPR_RAX] & port_value_mask(size);

	/* In reply mode the instruction ends with the answer. */
	if (!vcpu->reply_mode)
		vcpu->intr_shadow = false;
	return vcpu_exit_port(vcpu, port, size, in, value);
}

static noinline enum exit_action exit_device_port(struct vcpu *vcpu, uint16_t port,
						  unsigned int size, bool in)
{
	int64_t value = device_port_access(vcpu, port, !in, size, (uint32_t)vcpu->gpr[GPR_RAX]);

	if (unlikely(value < 0))
		return exit_userspace_port(vcpu, port, size, in);
	if (in)
		merge_gpr(vcpu, GPR_RAX, size, (uint64_t)value);
	return x86_complete(vcpu);
}

enum exit_action x86_exit_port(struct vcpu *vcpu, uint16_t port, unsigned int size, bool in)
{
	return device_has_port(port) ? exit_device_port(vcpu, port, size, in) :
				       exit_userspace_port(vcpu, port, size, in);
}

static uint64_t string_address_mask(unsigned int size)
{
	return size == 8 ? ~0ull : (1ull << (8 * size)) - 1;
}

/* Operand of INS or OUTS where the hardware does not describe it. */
static bool describe_string(struct vcpu *vcpu, struct x86_io *io, enum exit_action *action)
{
	struct x86_found found;

	if (io->address_size && (io->in || io->segment >= 0) && vcpu->next_rip)
		return true;
	found = x86_find(vcpu);
	*action = found.action;
	if (!found.insn)
		return false;
	if (found.insn->op != (io->in ? OP_INS : OP_OUTS)) {
		*action = x86_raise_ud(vcpu);
		return false;
	}
	io->address_size = found.insn->address_size;
	io->segment = VM_REG_GUEST_ES + found.insn->segment;
	return true;
}

/* A whole string operation for the library's emulator (VM_RUN). Out of line. */
static noinline enum exit_action exit_string(struct vcpu *vcpu, struct x86_io io)
{
	struct vm_inout_str *string = &vcpu->exit.u.inout_str;
	enum exit_action action;
	uint64_t mask;

	if (!describe_string(vcpu, &io, &action))
		return action;
	mask = string_address_mask(io.address_size);
	memset(string, 0, sizeof(*string));
	string->count = io.rep ? vcpu->gpr[GPR_RCX] & mask : 1;
	if (string->count == 0)
		return x86_complete(vcpu);
	string->inout.bytes = io.size & 7;
	string->inout.in = io.in;
	string->inout.string = 1;
	string->inout.rep = io.rep;
	string->inout.port = io.port;
	x86_paging(vcpu, &string->paging);
	string->rflags = vcpu->rflags;
	string->cr0 = vcpu_reg(vcpu, VM_REG_GUEST_CR0);
	string->index = vcpu->gpr[io.in ? GPR_RDI : GPR_RSI] & mask;
	string->addrsize = io.address_size;
	string->seg_name = io.in ? VM_REG_GUEST_ES : (enum vm_reg_name)io.segment;
	(void)backend->get_desc(vcpu, (int)string->seg_name, &string->seg_desc);
	return exit_after(vcpu, VM_EXITCODE_INOUT_STR);
}

enum exit_action x86_exit_string_io(struct vcpu *vcpu, const struct x86_io *io)
{
	if (likely(vcpu->io_mode == VCPU_IO_PLAIN))
		return emulate_string_io(vcpu, io);
	return vcpu->reply_mode ? emulate_string_io_watched(vcpu, io) : exit_string(vcpu, *io);
}

enum exit_action x86_finish_access(struct vcpu *vcpu)
{
	const struct vcpu_access *access = &vcpu->access;

	if (emulate_pending(vcpu))
		return emulate_resume(vcpu);
	if (!access->write)
		merge_gpr(vcpu, access->reg, access->size, access->data);
	return x86_complete(vcpu);
}

/* --- memory --- */

/* VM_RUN: memory is mapped there, but not for this kind of access. RIP stays. */
static enum exit_action exit_forbidden(struct vcpu *vcpu, uint64_t gpa, int prot)
{
	vcpu->exit.u.paging.gpa = gpa;
	vcpu->exit.u.paging.fault_type = prot;
	return vcpu_exit_between(vcpu, VM_EXITCODE_PAGING);
}

/*
 * Not memory. If the access was part of delivering an event, no instruction can be
 * emulated for it: the delivery fails, and fails again on to a double and a triple
 * fault, as with a stack that is not there.
 */
static inline enum exit_action exit_device_with(struct vcpu *vcpu, uint64_t gpa, int prot,
						enum exit_action (*emulate)(struct vcpu *vcpu,
									    uint64_t gpa, int prot))
{
	if (likely(!vcpu->exitintinfo))
		return emulate(vcpu, gpa, prot);
	vcpu_stat_inc(vcpu, STAT_EMULATION_FAILED);
	return x86_raise_gp(vcpu);
}

/* Under VM_RUN, or with breakpoints to be looked at. Out of line. */
static noinline enum exit_action exit_device_slow(struct vcpu *vcpu, uint64_t gpa, int prot)
{
	const struct memmap_entry *entry = NULL;

	if (!vcpu->reply_mode)
		entry = memory_lookup(vcpu->vm, gpa);
	if (entry)
		return exit_forbidden(vcpu, gpa, prot & ~entry->prot);
	return exit_device_with(vcpu, gpa, prot,
				vcpu->breakpoints ? emulate_mmio_watched : emulate_mmio);
}

static enum exit_action exit_device(struct vcpu *vcpu, uint64_t gpa, int prot)
{
	if (unlikely(vcpu->io_mode != VCPU_IO_PLAIN))
		return exit_device_slow(vcpu, gpa, prot);
	return exit_device_with(vcpu, gpa, prot, emulate_mmio);
}

static enum exit_action nested_fault_result(struct vcpu *vcpu, uint64_t gpa, int prot, int error)
{
	switch (error) {
	case 0:
		vcpu_stat_inc(vcpu, STAT_NESTED_FAULTS);
		return EXIT_RESUME;
	case -EFAULT:
		return exit_device(vcpu, gpa, prot);
	default:
		return vcpu_exit_error(vcpu, error);
	}
}

static enum exit_action nested_fault_slow(struct vcpu *vcpu)
{
	uint64_t gpa = vcpu->fault_gpa;
	int prot = (int)vcpu->fault_access;

	return nested_fault_result(vcpu, gpa, prot, memory_fault_slow(vcpu, gpa, prot));
}

enum exit_action x86_exit_nested_fault(struct vcpu *vcpu, uint64_t gpa, int prot)
{
	int error = memory_fault_fast(vcpu, gpa, prot);

	if (error != -EAGAIN)
		return nested_fault_result(vcpu, gpa, prot, error);
	vcpu->fault_gpa = gpa;
	vcpu->fault_access = (uint32_t)prot;
	return vcpu_exit_defer(vcpu, nested_fault_slow);
}
