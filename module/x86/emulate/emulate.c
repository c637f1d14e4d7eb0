// SPDX-License-Identifier: BSD-2-Clause
/*
 * From an exit to the engine and back: fetch and decode, run, and turn the outcome
 * into what the run loop does next.
 */
#include "vm/vcpu.h"
#include "dev/device.h"
#include "x86/cpu/breakpoints.h"
#include "x86/cpu/control.h"
#include "x86/cpu/cpuid.h"
#include "x86/emulate/emulate.h"
#include "x86/emulate/emulate_internal.h"
#include "x86/emulate/emulate_state.h"
#include "x86/emulate/fetch.h"
#include "x86/emulate/skip.h"
#include "x86/paging/walk.h"

/* Iterations of a repeated instruction in one go; then the guest makes another exit. */
#define ITERATIONS 256

#define NO_RIP (~0ull)

static void op_segment(struct emulator *emulator, enum segment segment, struct seg_desc *desc)
{
	*desc = (struct seg_desc){ .access = SEG_ACCESS_UNUSABLE };
	(void)backend->get_desc(emulation_of(emulator)->vcpu, VM_REG_GUEST_ES + (int)segment, desc);
}

static uint16_t op_selector(struct emulator *emulator, enum segment segment)
{
	return (uint16_t)vcpu_reg(emulation_of(emulator)->vcpu, VM_REG_GUEST_ES + (int)segment);
}

static uint64_t op_system_register(struct emulator *emulator, int reg)
{
	return vcpu_reg(emulation_of(emulator)->vcpu, reg);
}

static void op_table(struct emulator *emulator, int reg, struct seg_desc *desc)
{
	*desc = (struct seg_desc){ 0 };
	(void)backend->get_desc(emulation_of(emulator)->vcpu, reg, desc);
}

static int op_set_status_word(struct emulator *emulator, uint16_t value)
{
	if (x86_write_status_word(emulation_of(emulator)->vcpu, value))
		return emulator_fault(emulator, VECTOR_GP, 0);
	return 0;
}

/*
 * After a nested fault of the operand, which VMX reports before the exit of LMSW: checked
 * again, for another processor of the guest may have put the LMSW there since.
 */
static int op_set_status_word_if_allowed(struct emulator *emulator, uint16_t value)
{
	struct vm_guest_paging paging;

	x86_paging(emulation_of(emulator)->vcpu, &paging);
	return paging.cpl ? emulator_fault(emulator, VECTOR_GP, 0) :
			    op_set_status_word(emulator, value);
}

/* The operations on memory, which may look at breakpoints (emulate_watch.c), or need not. */
#define PLAIN_ACCESS \
	.read = emulation_read, .write = emulation_write, .exchange = emulation_exchange
#define WATCHED_ACCESS .read = watched_read, .write = watched_write, .exchange = watched_exchange

#define MEMORY_OPS                                                                             \
	.segment = op_segment, .selector = op_selector, .system_register = op_system_register, \
	.table = op_table, .probe = emulation_probe, .vector_read = emulation_vector_read,     \
	.vector_write = emulation_vector_write, .mask_read = emulation_mask_read,              \
	.mask_write = emulation_mask_write, .legacy_image = emulation_legacy_image,            \
	.x87 = emulation_x87, .set_status_word = op_set_status_word_if_allowed

/* For an intercepted INS or OUTS: the processor has checked that the guest may. */
#define PORT_OPS .segment = op_segment, .selector = op_selector, .probe = emulation_probe

static const struct emulator_ops memory_ops[2] = { { MEMORY_OPS, PLAIN_ACCESS },
						   { MEMORY_OPS, WATCHED_ACCESS } };
static const struct emulator_ops port_ops[2] = {
	{ PORT_OPS, PLAIN_ACCESS, .port = emulation_port },
	{ PORT_OPS, WATCHED_ACCESS, .port = watched_port },
};

/* For an intercepted LMSW: the same. */
#define STATUS_WORD_OPS \
	.segment = op_segment, .selector = op_selector, .set_status_word = op_set_status_word

static const struct emulator_ops status_word_ops[2] = {
	{ STATUS_WORD_OPS, .read = emulation_read },
	{ STATUS_WORD_OPS, .read = watched_read },
};

/* --- life --------------------------------------------------------------------------- */

int emulation_create(struct vcpu *vcpu)
{
	struct emulation *emulation = os_alloc(sizeof(*emulation));

	if (!emulation)
		return -ENOMEM;
	emulation->vcpu = vcpu;
	emulation->emulator.gpr = vcpu->gpr;
	emulation->emulator.has_tzcnt = cpuid_has(vcpu->vm, CPU_BMI1);
	emulation->emulator.has_lzcnt = cpuid_has(vcpu->vm, CPU_ABM);
	emulation->failed_rip = NO_RIP;
	vcpu->emulation = emulation;
	return 0;
}

void emulation_destroy(struct vcpu *vcpu)
{
	os_free(vcpu->emulation);
	vcpu->emulation = NULL;
}

void emulation_reset(struct vcpu *vcpu)
{
	struct emulation *emulation = vcpu->emulation;

	vcpu->emulation_pending = false;
	emulation->log_count = 0;
}

/* --- ends ----------------------------------------------------------------- */

void emulate_single_step(struct vcpu *vcpu, uint64_t rflags)
{
	if (!(rflags & REG_RFLAGS_TF))
		return;
	(void)backend->set_reg(vcpu, VM_REG_GUEST_DR6,
			       vcpu_reg(vcpu, VM_REG_GUEST_DR6) | REG_DR6_BS);
	vcpu_raise(vcpu, VECTOR_DB);
}

/* Under VM_RUN userspace has an emulator of its own and gets the bytes; else it is #UD. */
static enum exit_action cannot_emulate(struct vcpu *vcpu)
{
	const struct emulation *emulation = vcpu->emulation;

	vcpu_stat_inc(vcpu, STAT_EMULATION_FAILED);
	if (vcpu->reply_mode || !emulation->prot)
		return x86_raise_ud(vcpu);
	vcpu->next_rip = 0;
	return emulate_exit_memory(vcpu, emulation->gpa, 0, emulation->prot & VM_PROT_WRITE, 0);
}

/*
 * What cannot be emulated may not be what made the exit: another processor can have
 * changed it since. Only if the guest comes back with it, it is to blame.
 */
static enum exit_action give_up(struct vcpu *vcpu)
{
	struct emulation *emulation = vcpu->emulation;

	emulation_reset(vcpu);
	if (emulation->failed_rip != vcpu->rip) {
		emulation->failed_rip = vcpu->rip;
		return EXIT_RESUME;
	}
	emulation->failed_rip = NO_RIP;
	return cannot_emulate(vcpu);
}

static enum exit_action raise_fault(struct vcpu *vcpu)
{
	const struct emulator *emulator = &vcpu->emulation->emulator;

	emulation_reset(vcpu);
	if (emulator->vector == VECTOR_PF)
		vcpu_raise_page_fault(vcpu, emulator->fault_address, emulator->error_code);
	else if (emulator->has_error_code)
		vcpu_raise_error(vcpu, emulator->vector, emulator->error_code);
	else
		vcpu_raise(vcpu, emulator->vector);
	return EXIT_RESUME;
}

static noinline enum exit_action emulate_leave(struct vcpu *vcpu, enum exit_action action)
{
	unsigned int why = vcpu->emulation->leave;

	vcpu->emulation->leave = 0;
	if (why & LEAVE_BREAKPOINT)
		breakpoints_raise(vcpu, why & LEAVE_BREAKPOINT);
	if (!(why & LEAVE_USERSPACE))
		return action;
	vcpu->resume_rip = vcpu->rip;
	return EXIT_USERSPACE;
}

/*
 * The instruction, or an iteration of it, may have become an exit to userspace, or have
 * hit a breakpoint, whose #DB is a trap.
 */
static enum exit_action leave_or(struct vcpu *vcpu, enum exit_action action)
{
	return likely(!vcpu->emulation->leave) ? action : emulate_leave(vcpu, action);
}

static enum exit_action finish_instruction(struct vcpu *vcpu)
{
	struct emulation *emulation = vcpu->emulation;

	vcpu_stat_inc(vcpu, STAT_EMULATED);
	vcpu->rflags = emulation->emulator.rflags;
	vcpu->next_rip = emulation->emulator.rip;
	emulation->log_count = 0;
	emulation->failed_rip = NO_RIP;
	return leave_or(vcpu, x86_complete(vcpu));
}

/* One iteration is done. True: go on with the next; else *action. */
static bool next_iteration(struct vcpu *vcpu, unsigned int *iterations, enum exit_action *action)
{
	struct emulation *emulation = vcpu->emulation;

	vcpu->rflags = emulation->emulator.rflags;
	vcpu->intr_shadow = false;
	emulation->log_count = 0;
	emulation->gpa_is_operand = false;
	*action = leave_or(vcpu, EXIT_RESUME);
	if (unlikely(vcpu->rflags & REG_RFLAGS_TF)) {
		emulate_single_step(vcpu, vcpu->rflags);
		return false;
	}
	return *action == EXIT_RESUME && ++*iterations < ITERATIONS &&
	       !__atomic_load_n(&vcpu->requests, __ATOMIC_RELAXED);
}

/* --- running -------------------------------------------------------------- */

static enum exit_action run_emulation(struct vcpu *vcpu);

static enum exit_action run_after_populate(struct vcpu *vcpu)
{
	int error = memory_populate(vcpu->vm, vcpu->fault_gpa);

	/* Memory that has been unmapped meanwhile: run finds a device there. */
	if (error && error != -EFAULT) {
		emulation_reset(vcpu);
		return vcpu_exit_error(vcpu, error);
	}
	return run_emulation(vcpu);
}

static uint64_t rip_behind(const struct vcpu *vcpu)
{
	const struct instruction *insn = vcpu->emulation->emulator.insn;
	uint64_t rip = vcpu->rip + insn->length;

	return insn->mode == DECODE_64 ? rip : (uint32_t)rip;
}

/* Under VM_RUN userspace emulates the whole instruction, from what is in the exit. */
static enum exit_action exit_for_access(struct vcpu *vcpu)
{
	struct emulation *emulation = vcpu->emulation;
	const struct vcpu_access *access = &emulation->access;

	vcpu->next_rip = rip_behind(vcpu);
	vcpu->emulation_pending = vcpu->reply_mode;
	if (!vcpu->reply_mode)
		emulation_reset(vcpu);
	if (access->port)
		return vcpu_exit_port(vcpu, (uint16_t)access->address, access->size, !access->write,
				      access->write ? (uint32_t)access->data : 0);
	return emulate_exit_memory(vcpu, access->address, access->size, access->write,
				   access->data);
}

static enum exit_action suspend_emulation(struct vcpu *vcpu)
{
	struct emulation *emulation = vcpu->emulation;

	/* Until it goes on others may be fetched. */
	if (emulation->emulator.insn != &emulation->insn) {
		emulation->insn = *emulation->emulator.insn;
		emulation->emulator.insn = &emulation->insn;
	}
	switch (emulation->wait) {
	case WAIT_USERSPACE:
		return exit_for_access(vcpu);
	case WAIT_MEMORY:
		return vcpu_exit_defer(vcpu, run_after_populate);
	default: /* WAIT_OUTER */
		return vcpu_exit_defer(vcpu, run_emulation);
	}
}

static enum exit_action conclude_emulation(struct vcpu *vcpu, int result)
{
	switch (result) {
	case -EFAULT:
		return raise_fault(vcpu);
	case -EAGAIN:
		return suspend_emulation(vcpu);
	case -EBUSY: /* the guest starts again */
		emulation_reset(vcpu);
		return EXIT_RESUME;
	default:
		return give_up(vcpu);
	}
}

/* From the start of the instruction (of the iteration), with what the log holds. */
static enum exit_action run_emulation(struct vcpu *vcpu)
{
	struct emulation *emulation = vcpu->emulation;
	enum exit_action action = EXIT_RESUME;
	unsigned int iterations = 0;
	int result;

	do {
		emulation->log_next = 0;
		result = emulate_instruction(&emulation->emulator);
		if (likely(result == 0))
			return finish_instruction(vcpu);
		if (result != EMULATE_REPEAT)
			return conclude_emulation(vcpu, result);
	} while (next_iteration(vcpu, &iterations, &action));
	return action;
}

/* What the engine has to know of the vCPU; the instruction and the mode are there. */
static inline void prepare_emulator(struct vcpu *vcpu, const struct emulator_ops *ops)
{
	struct emulation *emulation = vcpu->emulation;
	struct emulator *emulator = &emulation->emulator;

	emulator->ops = ops;
	emulator->cpu_mode = guest_cpu_mode(&emulation->mode);
	emulator->wide_canonical = emulation->mode.cr4 & REG_CR4_LA57;
	emulator->rip = vcpu->rip;
	emulator->rflags = vcpu->rflags;
	emulation->walk_ready = false;
	/* For an exit to userspace on the way (vcpu_exit_userspace). */
	vcpu->next_rip = rip_behind(vcpu);
	emulation->leave = 0;
	emulation->log_count = 0;
}

/* The instruction could not be had. */
static enum exit_action not_fetched(struct vcpu *vcpu, int error)
{
	if (error == -EFAULT)
		return EXIT_RESUME;
	if (error == -EAGAIN)
		return vcpu_exit_defer(vcpu, x86_populate);
	return give_up(vcpu);
}

/* --- exits ---------------------------------------------------------------- */

/* Instructions with two operands in memory: the fault may be about either. */
static bool has_two_operands(uint8_t op)
{
	switch (op) {
	case OP_MOVS:
	case OP_CMPS:
	case OP_PUSH:
	case OP_POP:
	case OP_CALL:
		return true;
	default:
		return false;
	}
}

/* Linear address of the memory operand. That it is allowed the processor has seen. */
static inline bool operand_address(struct emulator *emulator, bool write, uint64_t *linear)
{
	const struct instruction *insn = emulator->insn;

	if (likely(emulator->cpu_mode == CPU_MODE_64BIT && insn->segment < SEGMENT_FS)) {
		*linear = emulate_offset(emulator);
		return true;
	}
	return emulate_operand(emulator, insn->operand_size, write ? EMULATE_WRITE : EMULATE_READ,
			       linear) == 0;
}

static inline uint64_t mov_source(const struct emulator *emulator)
{
	const struct instruction *insn = emulator->insn;

	if (insn->form == FORM_RM_IMM)
		return low_bytes((uint64_t)insn->immediate, insn->operand_size);
	return emulate_get_reg(emulator, insn->reg, insn->operand_size);
}

/*
 * A MOV between a register and a device of userspace: x86_finish_access() ends it with the
 * answer. False: userspace emulates the whole instruction (VM_RUN), the register is AH to
 * BH, or what faulted was another kind of access, so that there may be memory.
 */
static bool exit_for_mov(struct vcpu *vcpu, bool write, uint64_t value)
{
	struct emulation *emulation = vcpu->emulation;
	const struct instruction *insn = emulation->emulator.insn;
	unsigned int size = insn->operand_size;

	if (!vcpu->reply_mode || write != !!(emulation->prot & VM_PROT_WRITE) ||
	    (!write && emulate_is_high_byte(insn, insn->reg, size)))
		return false;
	vcpu_stat_inc(vcpu, STAT_EMULATED);
	emulation->failed_rip = NO_RIP;
	vcpu->access.reg = insn->reg & 15;
	(void)emulate_exit_memory(vcpu, emulation->gpa, size, write, value);
	return true;
}

/*
 * The fast path, for a MOV between a register and a device at the address of the fault:
 * one access, nothing to translate, nothing to be kept. False: the slow path has to do it,
 * nothing has been done.
 */
static inline bool try_simple_mov(struct vcpu *vcpu, enum exit_action *action)
{
	struct emulation *emulation = vcpu->emulation;
	struct emulator *emulator = &emulation->emulator;
	const struct instruction *insn = emulator->insn;
	bool write = insn->form != FORM_REG_RM && insn->form != FORM_ACC_MEM;
	uint64_t linear, value = 0;
	int result;

	if (insn->op != OP_MOV || !insn->memory || !operand_address(emulator, write, &linear) ||
	    !emulation_is_faulting_operand(emulation, linear, insn->operand_size, write))
		return false;
	if (write)
		value = mov_source(emulator);
	result = device_mmio(vcpu, emulation->gpa, write, insn->operand_size, &value);
	if (result == -ENOENT) {
		*action = EXIT_USERSPACE;
		return exit_for_mov(vcpu, write, value);
	}
	if (!write)
		emulate_set_reg(emulator, insn->reg, insn->operand_size, value);
	emulation->leave = result == DEVICE_EXIT ? LEAVE_USERSPACE : 0;
	emulator->rip = vcpu->next_rip;
	*action = finish_instruction(vcpu);
	return true;
}

static inline enum exit_action emulate_fault_at(struct vcpu *vcpu, uint64_t gpa, int prot,
						const struct emulator_ops *ops, bool watched)
{
	struct emulation *emulation = vcpu->emulation;
	enum exit_action action;
	int error;

	emulation->gpa = gpa;
	emulation->prot = prot;
	error = x86_fetch_in_place(vcpu, &emulation->emulator.insn, &emulation->mode);
	if (unlikely(error))
		return not_fetched(vcpu, error);
	emulation->gpa_is_operand = !has_two_operands(emulation->emulator.insn->op);
	prepare_emulator(vcpu, ops);
	return !watched && try_simple_mov(vcpu, &action) ? action : run_emulation(vcpu);
}

enum exit_action emulate_mmio(struct vcpu *vcpu, uint64_t gpa, int prot)
{
	return emulate_fault_at(vcpu, gpa, prot, &memory_ops[0], false);
}

enum exit_action emulate_mmio_watched(struct vcpu *vcpu, uint64_t gpa, int prot)
{
	return emulate_fault_at(vcpu, gpa, prot, &memory_ops[1], true);
}

enum exit_action emulate_lmsw(struct vcpu *vcpu)
{
	struct emulation *emulation = vcpu->emulation;
	int error = x86_fetch_in_place(vcpu, &emulation->emulator.insn, &emulation->mode);

	emulation->prot = 0;
	if (unlikely(error))
		return not_fetched(vcpu, error);
	if (emulation->emulator.insn->op != OP_LMSW)
		return give_up(vcpu);
	emulation->gpa_is_operand = false;
	prepare_emulator(vcpu, &status_word_ops[vcpu->breakpoints]);
	return run_emulation(vcpu);
}

/* Is it still the instruction that was intercepted, with the port that was checked? */
static bool is_intercepted(const struct vcpu *vcpu, const struct x86_io *io)
{
	const struct instruction *insn = vcpu->emulation->emulator.insn;

	return insn->op == (io->in ? OP_INS : OP_OUTS) && insn->operand_size == io->size &&
	       (uint16_t)vcpu->gpr[GPR_RDX] == io->port;
}

static inline enum exit_action emulate_string_with(struct vcpu *vcpu, const struct x86_io *io,
						   const struct emulator_ops *ops)
{
	struct emulation *emulation = vcpu->emulation;
	int error = x86_fetch_in_place(vcpu, &emulation->emulator.insn, &emulation->mode);

	emulation->prot = 0;
	if (unlikely(error))
		return not_fetched(vcpu, error);
	if (!is_intercepted(vcpu, io))
		return give_up(vcpu);
	emulation->gpa_is_operand = false;
	prepare_emulator(vcpu, ops);
	return run_emulation(vcpu);
}

enum exit_action emulate_string_io(struct vcpu *vcpu, const struct x86_io *io)
{
	return emulate_string_with(vcpu, io, &port_ops[0]);
}

enum exit_action emulate_string_io_watched(struct vcpu *vcpu, const struct x86_io *io)
{
	return emulate_string_with(vcpu, io, &port_ops[1]);
}

enum exit_action emulate_resume(struct vcpu *vcpu)
{
	struct emulation *emulation = vcpu->emulation;
	struct vcpu_access answer = emulation->access;

	vcpu->emulation_pending = false;
	emulation->emulator.rflags = vcpu->rflags; /* userspace may have changed them */
	answer.data = vcpu->access.data;
	if (emulation->log_count < EMULATION_LOG)
		emulation->log[emulation->log_count++] = answer;
	return run_emulation(vcpu);
}
