// SPDX-License-Identifier: BSD-2-Clause
/*
 * One handler for each exit code that can come, in a constant table; what the
 * instruction or event then means is x86's business (x86/exits/exits.h).
 */
#include "svm/vcpu.h"

#include "svm/quirks.h"
#include "x86/cpu/context.h"
#include "x86/exits/exits.h"
#include "x86/exits/names.h"
#include "x86/exits/row.h"

static const struct vmcb_control *svm_control(const struct vcpu *vcpu)
{
	return &svm_vcpu(vcpu)->vmcb->control;
}

/* --- unexpected exits --- */

/*
 * An exit that was not asked for, or registers that VMRUN refuses. The guest cannot go on
 * from here, but userspace can look at it or reset it.
 */
static enum exit_action svm_exit_to_userspace(struct vcpu *vcpu, const char *what)
{
	const struct vmcb *vmcb = svm_vcpu(vcpu)->vmcb;
	const struct vmcb_control *control = &vmcb->control;

	os_warn_limited(
		&vcpu->vm->log,
		"%s/%d: %s: exit %#llx info %#llx %#llx rip %#llx cr0 %#llx cr3 %#llx cr4 %#llx "
		"efer %#llx cs %#x:%#x rflags %#llx",
		vcpu->vm->name, vcpu->id, what, (unsigned long long)control->exitcode,
		(unsigned long long)control->exitinfo1, (unsigned long long)control->exitinfo2,
		(unsigned long long)vcpu->rip, (unsigned long long)vmcb->save.cr0,
		(unsigned long long)vmcb->save.cr3, (unsigned long long)vmcb->save.cr4,
		(unsigned long long)vmcb->save.efer, vmcb->save.cs.selector,
		vmcb->save.cs.attributes, (unsigned long long)vcpu->rflags);
	vcpu->next_rip = 0;
	vcpu->exit.u.svm.exitcode = control->exitcode;
	vcpu->exit.u.svm.exitinfo1 = control->exitinfo1;
	vcpu->exit.u.svm.exitinfo2 = control->exitinfo2;
	return vcpu_exit_userspace(vcpu, VM_EXITCODE_SVM);
}

static enum exit_action svm_exit_unexpected(struct vcpu *vcpu)
{
	return svm_exit_to_userspace(vcpu, "unexpected exit");
}

/* Of our own check, or the processor's, which may leave the host's registers in the save area. */
static enum exit_action svm_exit_invalid(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	bool refused = svm->todo & SVM_TODO_CHECK;
	enum exit_action action =
		svm_exit_to_userspace(vcpu, "the processor refuses the guest's state");

	if (SVM_QUIRK_INVALID_LEAVES_HOST && !refused) {
		svm_state_reset(vcpu, false);
		svm_events_reset(vcpu);
	}
	return action;
}

/* --- events of the host --- */

static enum exit_action svm_exit_machine_check(struct vcpu *vcpu)
{
	(void)vcpu;
	os_irq_disable();
	os_host_machine_check();
	os_irq_enable();
	return EXIT_RESUME;
}

/* --- registers --- */

static enum exit_action svm_exit_cr_write(struct vcpu *vcpu, unsigned int cr)
{
	uint64_t info = svm_control(vcpu)->exitinfo1;

	if (svm_has(SVM_FEATURE_DECODE_ASSISTS) && vcpu->next_rip && (info & CR_EXIT_MOV))
		return x86_exit_cr_access(vcpu, cr, true, info & CR_EXIT_GPR_MASK);
	return exit_with_operands(vcpu, x86_exit_cr_instruction);
}

/* The instruction is fetched by the tables that are still in use: those of LMA as it is. */
static enum exit_action svm_exit_cr0_write(struct vcpu *vcpu)
{
	if (SVM_QUIRK_LMA_EARLY)
		svm_derive_lma(&svm_vcpu(vcpu)->vmcb->save);
	return svm_exit_cr_write(vcpu, 0);
}

/* What the guest is not shown it must not turn on. */
static enum exit_action svm_exit_cr4_write(struct vcpu *vcpu)
{
	return svm_exit_cr_write(vcpu, 4);
}

/* While an interrupt waits (svm_quirk_vintr_priority). */
static enum exit_action svm_exit_cr8_write(struct vcpu *vcpu)
{
	svm_close_interrupt_window(svm_vcpu(vcpu));
	vcpu_request(vcpu, VCPU_REQ_EVENT);
	return svm_exit_cr_write(vcpu, 8);
}

/* First use: from here on until the inner loop ends, the guest owns the registers. */
static enum exit_action svm_exit_dr(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);

	context_own_dr(vcpu);
	svm->vmcb->control.intercept[1] = 0;
	svm_dirty(svm, CLEAN_INTERCEPTS);
	return EXIT_RESUME;
}

static enum exit_action svm_exit_msr(struct vcpu *vcpu)
{
	return svm_control(vcpu)->exitinfo1 & 1 ? x86_exit_wrmsr(vcpu) : x86_exit_rdmsr(vcpu);
}

/* --- I/O and memory --- */

/* No segment without decode assists; address size 0: SVM_QUIRK_IO_ADDRESS_SIZE. */
static noinline enum exit_action svm_exit_string_io(struct vcpu *vcpu, uint64_t info)
{
	unsigned int segment = info >> IOIO_SEGMENT_SHIFT & IOIO_SEGMENT_MASK;
	struct x86_io io = {
		.port = (uint16_t)(info >> IOIO_PORT_SHIFT),
		.size = info >> IOIO_SIZE_SHIFT & IOIO_SIZE_MASK,
		.in = info & IOIO_IN,
		.rep = info & IOIO_REP,
		.address_size = (uint8_t)((info >> IOIO_ADDRESS_SHIFT & IOIO_ADDRESS_MASK) * 2),
		.segment = -1,
	};

	if (svm_has(SVM_FEATURE_DECODE_ASSISTS) && segment < 6)
		io.segment = VM_REG_GUEST_ES + (int)segment;
	return x86_exit_string_io(vcpu, &io);
}

bool svm_last_port(struct vcpu *vcpu, uint16_t *port, unsigned int *size)
{
	const struct vmcb_control *control = svm_control(vcpu);

	*port = (uint16_t)(control->exitinfo1 >> IOIO_PORT_SHIFT);
	*size = control->exitinfo1 >> IOIO_SIZE_SHIFT & IOIO_SIZE_MASK;
	return control->exitcode == VMEXIT_IOIO && !(control->exitinfo1 & IOIO_STRING);
}

static enum exit_action svm_exit_io(struct vcpu *vcpu)
{
	const struct vmcb_control *control = svm_control(vcpu);
	uint64_t info = control->exitinfo1;

	vcpu->next_rip = control->exitinfo2;
	if (unlikely(info & IOIO_STRING))
		return svm_exit_string_io(vcpu, info);
	return x86_exit_port(vcpu, (uint16_t)(info >> IOIO_PORT_SHIFT),
			     info >> IOIO_SIZE_SHIFT & IOIO_SIZE_MASK, info & IOIO_IN);
}

/* The processor's walk of the guest's tables counts as a write: it may set A and D bits. */
static enum exit_action svm_exit_nested_fault(struct vcpu *vcpu)
{
	const struct vmcb_control *control = svm_control(vcpu);
	int prot = VM_PROT_READ;

	if (unlikely(control->exitinfo1 & NPF_RESERVED))
		return svm_exit_to_userspace(vcpu, "reserved bit in the nested page table");
	if (control->exitinfo1 & NPF_WRITE)
		prot = VM_PROT_WRITE;
	else if (control->exitinfo1 & NPF_FETCH)
		prot = VM_PROT_EXEC;
	return x86_exit_nested_fault(vcpu, control->exitinfo2, prot);
}

/* --- the rest --- */

/* The switch completes the delivery, so that is not re-injected. */
static enum exit_action svm_exit_task_switch(struct vcpu *vcpu)
{
	const struct vmcb_control *control = svm_control(vcpu);
	uint64_t info = control->exitinfo2;
	struct x86_task_switch task = {
		.selector = (uint16_t)control->exitinfo1,
		.reason = TSR_CALL,
		.has_error_code = info & TASK_SWITCH_ERROR_CODE,
		.error_code = (uint32_t)info,
	};

	if (control->exitintinfo & VM_INTINFO_VALID) {
		task.reason = TSR_IDT_GATE;
		task.intinfo = control->exitintinfo;
		vcpu->exitintinfo = 0;
	} else if (info & TASK_SWITCH_IRET) {
		task.reason = TSR_IRET;
	} else if (info & TASK_SWITCH_JUMP) {
		task.reason = TSR_JMP;
	}
	return x86_exit_task_switch(vcpu, &task);
}

/* --- the table --- */

/* An event, or an instruction whose length nobody asks for; and one that needs it. */
#define EVENT(code_, name_, handler_)                                   \
	{                                                               \
		.name = (name_), .handler = (handler_), .code = (code_) \
	}
#define INSTRUCTION(code_, name_, handler_, ...)                         \
	{                                                                \
		.name = (name_), .handler = (handler_), .code = (code_), \
		.needs = EXIT_NEEDS_LENGTH,                              \
		.op = { __VA_ARGS__ }                                    \
	}

/* The first row stands for every code that has none of its own. */
static const struct exit_row exit_rows[] = {
	EVENT(0, NAME_OTHER, svm_exit_unexpected),
	EVENT(VMEXIT_NPF, "exit: nested page fault", svm_exit_nested_fault),
	EVENT(VMEXIT_IOIO, NAME_IO, svm_exit_io),
	INSTRUCTION(VMEXIT_MSR, "exit: RDMSR or WRMSR", svm_exit_msr, OP_RDMSR, OP_WRMSR),
	INSTRUCTION(VMEXIT_CPUID, NAME_CPUID, x86_exit_cpuid, OP_CPUID),
	INSTRUCTION(VMEXIT_HLT, NAME_HLT, x86_exit_hlt, OP_HLT),
	INSTRUCTION(VMEXIT_PAUSE, NAME_PAUSE, x86_exit_pause, OP_PAUSE),
	EVENT(VMEXIT_INTR, NAME_EXTERNAL_INTERRUPT, x86_exit_host_event),
	EVENT(VMEXIT_NMI, "exit: NMI of the host", x86_exit_host_event),
	EVENT(VMEXIT_SMI, "exit: SMI", x86_exit_host_event),
	EVENT(VMEXIT_INIT, "exit: INIT of the host", x86_exit_host_event),
	EVENT(VMEXIT_VINTR, NAME_INTERRUPT_WINDOW, svm_exit_vintr),
	EVENT(VMEXIT_IRET, "exit: IRET", svm_exit_iret),
	EVENT(VMEXIT_CR_WRITE(0), "exit: CR0 write", svm_exit_cr0_write),
	EVENT(VMEXIT_CR0_SELECTIVE, "exit: CR0 write, selective", svm_exit_cr0_write),
	EVENT(VMEXIT_CR_WRITE(4), "exit: CR4 write", svm_exit_cr4_write),
	EVENT(VMEXIT_CR_WRITE(8), "exit: CR8 write", svm_exit_cr8_write),
	INSTRUCTION(VMEXIT_XSETBV, "exit: XSETBV", x86_exit_xsetbv, OP_XSETBV),
	INSTRUCTION(VMEXIT_INVD, "exit: INVD", x86_exit_invd, OP_INVD),
	INSTRUCTION(VMEXIT_WBINVD, "exit: WBINVD", x86_exit_wbinvd, OP_WBINVD),
	EVENT(VMEXIT_RDPMC, "exit: RDPMC", x86_exit_rdpmc),
	EVENT(VMEXIT_TASK_SWITCH, "exit: task switch", svm_exit_task_switch),
	EVENT(VMEXIT_FERR_FREEZE, "exit: FERR", x86_exit_fpu_error),
	EVENT(VMEXIT_SHUTDOWN, "exit: shutdown", x86_exit_triple_fault),
	EVENT(VMEXIT_EXCEPTION(VECTOR_DB), "exit: #DB", svm_exit_db),
	INSTRUCTION(VMEXIT_EXCEPTION(VECTOR_BP), "exit: #BP", x86_exit_breakpoint, OP_INT3),
	EVENT(VMEXIT_EXCEPTION(VECTOR_AC), "exit: #AC", x86_exit_alignment_check),
	EVENT(VMEXIT_EXCEPTION(VECTOR_MC), "exit: #MC of the host", svm_exit_machine_check),
	EVENT(VMEXIT_VMMCALL, "exit: VMMCALL", x86_exit_hypercall),
	EVENT(VMEXIT_VMRUN, "exit: VMRUN", x86_exit_undefined),
	EVENT(VMEXIT_VMLOAD, "exit: VMLOAD", x86_exit_undefined),
	EVENT(VMEXIT_VMSAVE, "exit: VMSAVE", x86_exit_undefined),
	EVENT(VMEXIT_STGI, "exit: STGI", x86_exit_undefined),
	EVENT(VMEXIT_CLGI, "exit: CLGI", x86_exit_undefined),
	EVENT(VMEXIT_SKINIT, "exit: SKINIT", x86_exit_undefined),
	EVENT(VMEXIT_INVLPGA, "exit: INVLPGA", x86_exit_undefined),
	EVENT(VMEXIT_MONITOR, "exit: MONITOR", x86_exit_undefined),
	EVENT(VMEXIT_MWAIT, "exit: MWAIT", x86_exit_undefined),
	EVENT(VMEXIT_RSM, "exit: RSM", x86_exit_undefined),
	EVENT(VMEXIT_RDPRU, "exit: RDPRU", x86_exit_undefined),
	EVENT(VMEXIT_DR_READ(0), "exit: DR0 read", svm_exit_dr),
	EVENT(VMEXIT_DR_READ(1), "exit: DR1 read", svm_exit_dr),
	EVENT(VMEXIT_DR_READ(2), "exit: DR2 read", svm_exit_dr),
	EVENT(VMEXIT_DR_READ(3), "exit: DR3 read", svm_exit_dr),
	EVENT(VMEXIT_DR_READ(4), "exit: DR4 read", svm_exit_dr),
	EVENT(VMEXIT_DR_READ(5), "exit: DR5 read", svm_exit_dr),
	EVENT(VMEXIT_DR_READ(6), "exit: DR6 read", svm_exit_dr),
	EVENT(VMEXIT_DR_READ(7), "exit: DR7 read", svm_exit_dr),
	EVENT(VMEXIT_DR_WRITE(0), "exit: DR0 write", svm_exit_dr),
	EVENT(VMEXIT_DR_WRITE(1), "exit: DR1 write", svm_exit_dr),
	EVENT(VMEXIT_DR_WRITE(2), "exit: DR2 write", svm_exit_dr),
	EVENT(VMEXIT_DR_WRITE(3), "exit: DR3 write", svm_exit_dr),
	EVENT(VMEXIT_DR_WRITE(4), "exit: DR4 write", svm_exit_dr),
	EVENT(VMEXIT_DR_WRITE(5), "exit: DR5 write", svm_exit_dr),
	EVENT(VMEXIT_DR_WRITE(6), "exit: DR6 write", svm_exit_dr),
	EVENT(VMEXIT_DR_WRITE(7), "exit: DR7 write", svm_exit_dr),
	EVENT(VMEXIT_INVALID, "exit: invalid guest state", svm_exit_invalid),
};

/* Row of an exit code: codes up to 0xff, then 0x400 to 0x407, INVALID, and all others. */
#define SLOT_NPF     0x100u
#define SLOT_INVALID 0x108u
#define SLOT_OTHER   0x109u
#define SLOT_COUNT   0x10au
static uint8_t row_of_slot[SLOT_COUNT];
static const char *counter_names[ARRAY_SIZE(exit_rows)];

static unsigned int svm_slot_of_code(uint64_t code)
{
	uint32_t low = (uint32_t)code;

	if (likely(low < SLOT_NPF))
		return low;
	if (likely(low - VMEXIT_NPF < 8))
		return SLOT_NPF + (low - VMEXIT_NPF);
	return low == VMEXIT_INVALID ? SLOT_INVALID : SLOT_OTHER;
}

void svm_exits_register(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(exit_rows); i++) {
		counter_names[i] = exit_rows[i].name;
		if (i > 0)
			row_of_slot[svm_slot_of_code(exit_rows[i].code)] = (uint8_t)i;
	}
	stats_register_exits(counter_names, ARRAY_SIZE(exit_rows));
}

static void svm_trace_exit(const struct vcpu *vcpu)
{
	const struct vmcb_control *control = svm_control(vcpu);

	os_trace_exit(vcpu->vm->name, vcpu->id, (uint32_t)control->exitcode, vcpu->rip,
		      control->exitinfo1, control->exitinfo2);
}

/* Slow path, out of line. */
static noinline enum exit_action svm_exit_traced(struct vcpu *vcpu, const struct exit_row *row)
{
	svm_trace_exit(vcpu);
	return exit_row_ready(row, vcpu) ? row->handler(vcpu) : exit_row_decode(row, vcpu);
}

/* Nothing is called on the fast path but the handler, at its end. */
enum exit_action svm_exit(struct vcpu *vcpu)
{
	unsigned int index = row_of_slot[svm_slot_of_code(svm_control(vcpu)->exitcode)];
	const struct exit_row *row = &exit_rows[index];

	vcpu_stat_inc(vcpu, STAT_COMMON + index);
	if (os_traces_exits())
		return svm_exit_traced(vcpu, row);
	return exit_row_ready(row, vcpu) ? row->handler(vcpu) : exit_row_decode(row, vcpu);
}
