// SPDX-License-Identifier: BSD-2-Clause
/*
 * One handler for each exit reason that can come, in a constant table; what the
 * instruction or event then means is x86's business (x86/exits/exits.h).
 */
#include "vmx/vcpu.h"

#include "vmx/quirks.h"
#include "x86/cpu/context.h"
#include "x86/exits/exits.h"
#include "x86/exits/names.h"
#include "x86/exits/row.h"
#include "vm/regs.h"

static uint64_t vmx_exit_qualification(void)
{
	return vmx_exit_field(VMCS_EXIT_QUALIFICATION);
}

/*
 * Outside 64-bit mode RIP has 32 bits. Out of line: the kernel's compiler clears what a
 * function has on its stack, also for callers that need none of it.
 */
static noinline uint64_t vmx_next_rip_over_4g(struct vcpu *vcpu, uint64_t next)
{
	struct guest_mode mode;

	vmx_get_mode(vcpu, &mode);
	return (mode.efer & REG_EFER_LMA) && (mode.code.access & SEG_ACCESS_L) ? next :
										 (uint32_t)next;
}

static uint64_t vmx_next_rip(struct vcpu *vcpu)
{
	uint64_t next = vcpu->rip + vmx_exit_field(VMCS_EXIT_LENGTH);

	return likely(!((next ^ vcpu->rip) >> 32)) ? next : vmx_next_rip_over_4g(vcpu, next);
}

/* --- unexpected exits --- */

/*
 * An exit that was not asked for, or registers that no guest can have. The guest cannot go
 * on from here, but userspace can look at it or reset it.
 */
static enum exit_action vmx_exit_to_userspace(struct vcpu *vcpu, const char *what, uint64_t detail)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	struct guest_mode mode;

	vmx_get_mode(vcpu, &mode);
	os_warn_limited(&vcpu->vm->log,
			"%s/%d: %s: exit %#x info %#llx rip %#llx cr0 %#llx cr3 %#llx cr4 %#llx "
			"efer %#llx cs %#x ss %#x tr %#x rflags %#llx",
			vcpu->vm->name, vcpu->id, what, vmx->reason, (unsigned long long)detail,
			(unsigned long long)vcpu->rip, (unsigned long long)mode.cr0,
			(unsigned long long)mode.cr3, (unsigned long long)mode.cr4,
			(unsigned long long)mode.efer, mode.code.access,
			(unsigned int)vmx_get(vmx, FIELD_SS_ACCESS),
			(unsigned int)vmx_get(vmx, FIELD_TR_ACCESS),
			(unsigned long long)vcpu->rflags);
	vcpu->next_rip = 0;
	vcpu->exit.u.vmx.status = 0;
	vcpu->exit.u.vmx.exit_reason = vmx->reason;
	vcpu->exit.u.vmx.exit_qualification = detail;
	vcpu->exit.u.vmx.inst_type = 0;
	vcpu->exit.u.vmx.inst_error = 0;
	return vcpu_exit_userspace(vcpu, VM_EXITCODE_VMX);
}

static enum exit_action vmx_exit_unexpected(struct vcpu *vcpu)
{
	return vmx_exit_to_userspace(vcpu, "unexpected exit", vmx_exit_qualification());
}

/* Ours was the check, or the processor's, which names nothing: then ask ours once more. */
static enum exit_action vmx_exit_invalid(struct vcpu *vcpu)
{
	const char *why = vmx_check_state(vcpu);

	if (!why)
		why = "the processor refuses the guest's state";
	vmx_vcpu(vcpu)->check_state = true;
	return vmx_exit_to_userspace(vcpu, why, vmx_exit_qualification());
}

static enum exit_action vmx_exit_not_entered(struct vcpu *vcpu)
{
	return vmx_exit_to_userspace(vcpu, "the processor refuses the VMCS",
				     vmx_exit_field(VMCS_INSTRUCTION_ERROR));
}

static enum exit_action vmx_exit_misconfiguration(struct vcpu *vcpu)
{
	return vmx_exit_to_userspace(vcpu, "bad entry in the nested page table",
				     vmx_exit_field(VMCS_GUEST_PHYSICAL));
}

/* --- exceptions and NMI --- */

/*
 * INT1 is a trap, which no register tells of: RIP is at the instruction while it exits (27.3.3),
 * and behind it for the handler.
 */
static enum exit_action vmx_exit_int1(struct vcpu *vcpu)
{
	vcpu->next_rip = vmx_next_rip(vcpu);
	vcpu_skip(vcpu);
	vcpu_raise(vcpu, VECTOR_DB);
	return EXIT_RESUME;
}

static enum exit_action vmx_exit_debug(struct vcpu *vcpu)
{
	uint32_t type = vmx_vcpu(vcpu)->intr_info & VM_INTINFO_TYPE;

	return type == INTR_TYPE_PRIVILEGED ? vmx_exit_int1(vcpu) : vmx_exit_db(vcpu);
}

static enum exit_action vmx_exit_exception(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	unsigned int vector = VM_INTINFO_VECTOR(vmx->intr_info);

	if (unlikely(vmx->intr_info & EXIT_INTR_UNBLOCKED_BY_IRET) && vector != VECTOR_DF)
		vmx_nmi_still_blocked(vcpu);
	switch (vector) {
	case VECTOR_NMI:
	case VECTOR_MC: /* both have been served */
		return EXIT_RESUME;
	case VECTOR_DB:
		return vmx_exit_debug(vcpu);
	case VECTOR_BP:
		vcpu->next_rip = vmx_next_rip(vcpu);
		return x86_exit_breakpoint(vcpu);
	case VECTOR_AC:
		return x86_exit_alignment_check(vcpu);
	case VECTOR_MF:
		return x86_exit_fpu_error(vcpu);
	default:
		return vmx_exit_unexpected(vcpu);
	}
}

/* --- registers --- */

static enum exit_action vmx_exit_cr(struct vcpu *vcpu)
{
	uint64_t info = vmx_exit_qualification();
	unsigned int type = CR_QUALIFICATION_TYPE(info);

	switch (type) {
	case CR_TYPE_CLTS:
		return x86_exit_clts(vcpu);
	case CR_TYPE_LMSW:
		return x86_exit_lmsw(vcpu, CR_QUALIFICATION_LMSW(info));
	default:
		return x86_exit_cr_access(vcpu, CR_QUALIFICATION_CR(info), type == CR_TYPE_MOV_TO,
					  CR_QUALIFICATION_GPR(info));
	}
}

/* First use: from here on until the inner loop ends, the guest owns the registers. */
static enum exit_action vmx_exit_mov_dr(struct vcpu *vcpu)
{
	vmx_own_debug_registers(vcpu);
	return EXIT_RESUME;
}

/* --- I/O and memory --- */

/* What INS and OUTS work on is described only where the instruction is; the rest is here. */
static noinline enum exit_action vmx_exit_string_io(struct vcpu *vcpu, uint64_t info)
{
	struct x86_io io = {
		.port = IO_QUALIFICATION_PORT(info),
		.size = IO_QUALIFICATION_SIZE(info),
		.in = info & IO_QUALIFICATION_IN,
		.rep = info & IO_QUALIFICATION_REP,
		.segment = -1,
	};

	return x86_exit_string_io(vcpu, &io);
}

bool vmx_last_port(struct vcpu *vcpu, uint16_t *port, unsigned int *size)
{
	uint64_t info;

	if (vmx_vcpu(vcpu)->reason != VMX_EXIT_IO)
		return false;
	info = vmx_exit_qualification();
	*port = IO_QUALIFICATION_PORT(info);
	*size = IO_QUALIFICATION_SIZE(info);
	return !(info & IO_QUALIFICATION_STRING);
}

static enum exit_action vmx_exit_io(struct vcpu *vcpu)
{
	uint64_t info = vmx_exit_qualification();

	if (unlikely(info & IO_QUALIFICATION_STRING))
		return vmx_exit_string_io(vcpu, info);
	return x86_exit_port(vcpu, IO_QUALIFICATION_PORT(info), IO_QUALIFICATION_SIZE(info),
			     info & IO_QUALIFICATION_IN);
}

/*
 * The processor's walk of the guest's tables counts as a write where it may set A and D
 * bits. An IRET that faulted here has unblocked NMIs too early.
 */
static enum exit_action vmx_exit_ept_violation(struct vcpu *vcpu)
{
	uint64_t gpa = vmx_exit_field(VMCS_GUEST_PHYSICAL);
	uint64_t info = vmx_exit_qualification();
	int prot = VM_PROT_READ;

	if (unlikely(info & EPT_QUALIFICATION_UNBLOCKED_BY_IRET))
		vmx_nmi_still_blocked(vcpu);
	if (info & EPT_QUALIFICATION_WRITE)
		prot = VM_PROT_WRITE;
	else if (info & EPT_QUALIFICATION_FETCH)
		prot = VM_PROT_EXEC;
	if (unlikely(prot != VM_PROT_EXEC && vmx_apic_map(vcpu, gpa)))
		return EXIT_RESUME;
	return x86_exit_nested_fault(vcpu, gpa, prot);
}

/* --- the rest --- */

/* The switch completes the delivery, so that is not re-injected. INT3 and INTO are as INT n. */
static enum exit_action vmx_exit_task_switch(struct vcpu *vcpu)
{
	static const enum task_switch_reason reasons[] = { TSR_CALL, TSR_IRET, TSR_JMP,
							   TSR_IDT_GATE };
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	uint64_t info = vmx_exit_qualification();
	uint64_t vectoring = vmx->vectoring;
	struct x86_task_switch task = {
		.selector = TASK_QUALIFICATION_SELECTOR(info),
		.reason = reasons[TASK_QUALIFICATION_SOURCE(info)],
	};

	vcpu->next_rip = vmx_next_rip(vcpu);
	if (task.reason != TSR_IDT_GATE)
		return x86_exit_task_switch(vcpu, &task);
	if ((vectoring & VM_INTINFO_TYPE) == INTR_TYPE_SOFTWARE)
		vectoring = (vectoring & ~(uint64_t)VM_INTINFO_TYPE) | VM_INTINFO_SWINTR;
	task.intinfo = vectoring & ~(uint64_t)VM_INTINFO_RSVD;
	task.has_error_code = vectoring & VM_INTINFO_DEL_ERRCODE;
	if (task.has_error_code)
		task.error_code = (uint32_t)vmx_exit_field(VMCS_VECTORING_ERROR);
	vcpu->exitintinfo = 0;
	return x86_exit_task_switch(vcpu, &task);
}

/* --- the table --- */

#define INSTRUCTION(reason, name_, handler_)                \
	[VMX_EXIT_##reason] = {                             \
		.name = (name_),                            \
		.handler = (handler_),                      \
		.needs = EXIT_NEEDS_LENGTH | EXIT_AT_FAULT, \
	}
#define FAULT(reason, name_, handler_) \
	[VMX_EXIT_##reason] = { .name = (name_), .handler = (handler_), .needs = EXIT_AT_FAULT }
#define EVENT(reason, name_, handler_) \
	[VMX_EXIT_##reason] = { .name = (name_), .handler = (handler_) }

static const struct exit_row exit_rows[VMX_EXIT_REASON_COUNT] = {
	EVENT(EXCEPTION_OR_NMI, "exit: exception or NMI", vmx_exit_exception),
	EVENT(EXTERNAL_INTERRUPT, NAME_EXTERNAL_INTERRUPT, x86_exit_host_event),
	EVENT(TRIPLE_FAULT, "exit: triple fault", x86_exit_triple_fault),
	EVENT(INIT, "exit: INIT of the host", x86_exit_host_event),
	EVENT(INTERRUPT_WINDOW, NAME_INTERRUPT_WINDOW, vmx_exit_interrupt_window),
	EVENT(NMI_WINDOW, NAME_NMI_WINDOW, vmx_exit_nmi_window),
	EVENT(TASK_SWITCH, "exit: task switch", vmx_exit_task_switch),
	INSTRUCTION(CPUID, NAME_CPUID, x86_exit_cpuid),
	EVENT(GETSEC, "exit: GETSEC", x86_exit_undefined),
	INSTRUCTION(HLT, NAME_HLT, x86_exit_hlt),
	INSTRUCTION(INVD, "exit: INVD", x86_exit_invd),
	EVENT(RDPMC, "exit: RDPMC", x86_exit_rdpmc),
	EVENT(RSM, "exit: RSM", x86_exit_undefined),
	EVENT(VMCALL, "exit: VMCALL", x86_exit_hypercall),
	EVENT(VMCLEAR, "exit: VMCLEAR", x86_exit_undefined),
	EVENT(VMLAUNCH, "exit: VMLAUNCH", x86_exit_undefined),
	EVENT(VMPTRLD, "exit: VMPTRLD", x86_exit_undefined),
	EVENT(VMPTRST, "exit: VMPTRST", x86_exit_undefined),
	EVENT(VMREAD, "exit: VMREAD", x86_exit_undefined),
	EVENT(VMRESUME, "exit: VMRESUME", x86_exit_undefined),
	EVENT(VMWRITE, "exit: VMWRITE", x86_exit_undefined),
	EVENT(VMXOFF, "exit: VMXOFF", x86_exit_undefined),
	EVENT(VMXON, "exit: VMXON", x86_exit_undefined),
	INSTRUCTION(CR_ACCESS, NAME_CR_ACCESS, vmx_exit_cr),
	FAULT(MOV_DR, "exit: debug register", vmx_exit_mov_dr),
	INSTRUCTION(IO, NAME_IO, vmx_exit_io),
	INSTRUCTION(RDMSR, NAME_RDMSR, x86_exit_rdmsr),
	INSTRUCTION(WRMSR, NAME_WRMSR, x86_exit_wrmsr),
	EVENT(INVALID_STATE, "exit: invalid guest state", vmx_exit_invalid),
	EVENT(MSR_LOADING, "exit: MSR loading", vmx_exit_unexpected),
	EVENT(MWAIT, "exit: MWAIT", x86_exit_undefined),
	EVENT(MONITOR_TRAP, NAME_MONITOR_TRAP, vmx_exit_monitor_trap),
	EVENT(MONITOR, "exit: MONITOR", x86_exit_undefined),
	INSTRUCTION(PAUSE, NAME_PAUSE, x86_exit_pause),
	EVENT(MACHINE_CHECK, "exit: #MC at an entry", vmx_exit_unexpected),
	EVENT(TPR_THRESHOLD, "exit: TPR below threshold", vmx_exit_tpr_threshold),
	FAULT(APIC_ACCESS, "exit: APIC access", vmx_exit_apic_access),
	EVENT(VIRTUALIZED_EOI, "exit: EOI of a level interrupt", vmx_exit_virtual_eoi),
	EVENT(APIC_WRITE, "exit: APIC write", vmx_exit_apic_write),
	FAULT(EPT_VIOLATION, "exit: nested page fault", vmx_exit_ept_violation),
	EVENT(EPT_MISCONFIGURATION, "exit: nested misconfiguration", vmx_exit_misconfiguration),
	EVENT(INVEPT, "exit: INVEPT", x86_exit_undefined),
	EVENT(PREEMPTION_TIMER, "exit: preemption timer", x86_exit_host_event),
	EVENT(INVVPID, "exit: INVVPID", x86_exit_undefined),
	INSTRUCTION(WBINVD, "exit: WBINVD", x86_exit_wbinvd),
	INSTRUCTION(XSETBV, "exit: XSETBV", x86_exit_xsetbv),
	EVENT(VMFUNC, "exit: VMFUNC", x86_exit_undefined),
	EVENT(ENCLS, "exit: ENCLS", x86_exit_undefined),
};

/* Behind the counters of the rows that there are, one for everything else. */
static const struct exit_row not_entered = { .name = "exit: not entered",
					     .handler = vmx_exit_not_entered };
static const struct exit_row other = { .name = NAME_OTHER, .handler = vmx_exit_unexpected };

static uint8_t counter_of[VMX_EXIT_REASON_COUNT];
static const char *counter_names[VMX_EXIT_REASON_COUNT + 2];

void vmx_exits_register(void)
{
	unsigned int count = 2;

	counter_names[0] = other.name;
	counter_names[1] = not_entered.name;
	for (unsigned int i = 0; i < VMX_EXIT_REASON_COUNT; i++) {
		if (!exit_rows[i].handler)
			continue;
		counter_of[i] = (uint8_t)count;
		counter_names[count++] = exit_rows[i].name;
	}
	stats_register_exits(counter_names, count);
}

/*
 * The trap of TF comes behind an instruction: none is due where that has done nothing yet. A
 * shadow holds the one before it back.
 */
static void vmx_drop_early_trap(struct vcpu *vcpu)
{
	if (!vcpu->intr_shadow)
		vmx_set_bits(vmx_vcpu(vcpu), FIELD_PENDING_DEBUG, PENDING_DEBUG_BS, false);
}

/*
 * What the processor says beside the reason. The fields keep what an earlier exit has left
 * where this one has nothing to say: such are given as 0.
 */
static noinline void vmx_trace_exit(struct vcpu *vcpu, uint32_t reason)
{
	uint64_t info1 = 0, info2 = 0;

	switch (EXIT_REASON_BASIC(reason)) {
	case VMX_EXIT_EXCEPTION_OR_NMI:
		info1 = vmx_vcpu(vcpu)->intr_info;
		info2 = vmx_exit_field(VMCS_EXIT_QUALIFICATION);
		break;
	case VMX_EXIT_EPT_VIOLATION:
	case VMX_EXIT_EPT_MISCONFIGURATION:
		info2 = vmx_exit_field(VMCS_GUEST_PHYSICAL);
		fallthrough;
	case VMX_EXIT_TASK_SWITCH:
	case VMX_EXIT_CR_ACCESS:
	case VMX_EXIT_MOV_DR:
	case VMX_EXIT_IO:
	case VMX_EXIT_APIC_ACCESS:
	case VMX_EXIT_VIRTUALIZED_EOI:
	case VMX_EXIT_APIC_WRITE:
	case VMX_EXIT_INVLPG:
		info1 = vmx_exit_field(VMCS_EXIT_QUALIFICATION);
		break;
	}
	os_trace_exit(vcpu->vm->name, vcpu->id, reason, vcpu->rip, info1, info2);
}

static unsigned int vmx_counter_of_reason(uint32_t basic)
{
	if (basic < VMX_EXIT_REASON_COUNT)
		return counter_of[basic]; /* 0: other */
	return basic == VMX_EXIT_NOT_ENTERED;
}

static const struct exit_row *vmx_row_of_reason(uint32_t basic)
{
	if (basic < VMX_EXIT_REASON_COUNT && exit_rows[basic].handler)
		return &exit_rows[basic];
	return basic == VMX_EXIT_NOT_ENTERED ? &not_entered : &other;
}

/* Slow path, out of line: any reason, traced, with TF set, or at the end of 4 GiB. */
static noinline enum exit_action vmx_exit_slow(struct vcpu *vcpu)
{
	uint32_t reason = vmx_vcpu(vcpu)->reason;
	const struct exit_row *row = vmx_row_of_reason(EXIT_REASON_BASIC(reason));

	if (row->needs & EXIT_NEEDS_LENGTH)
		vcpu->next_rip = vmx_next_rip(vcpu);
	if (VMX_QUIRK_EARLY_STEP_TRAP && (vcpu->rflags & REG_RFLAGS_TF) &&
	    (row->needs & EXIT_AT_FAULT))
		vmx_drop_early_trap(vcpu);
	vcpu_stat_inc(vcpu, STAT_COMMON + vmx_counter_of_reason(EXIT_REASON_BASIC(reason)));
	if (os_traces_exits())
		vmx_trace_exit(vcpu, reason);
	return row->handler(vcpu);
}

/* Nothing is called on the fast path but the handler, at its end. */
enum exit_action vmx_exit(struct vcpu *vcpu)
{
	uint32_t basic = EXIT_REASON_BASIC(vmx_vcpu(vcpu)->reason);
	const struct exit_row *row;
	uint64_t next;

	if (unlikely(basic >= VMX_EXIT_REASON_COUNT) || unlikely(!exit_rows[basic].handler) ||
	    unlikely(vcpu->rflags & REG_RFLAGS_TF) || os_traces_exits())
		return vmx_exit_slow(vcpu);
	row = &exit_rows[basic];
	if (row->needs & EXIT_NEEDS_LENGTH) {
		next = vcpu->rip + vmx_exit_field(VMCS_EXIT_LENGTH);
		if (unlikely((next ^ vcpu->rip) >> 32))
			return vmx_exit_slow(vcpu);
		vcpu->next_rip = next;
	}
	vcpu_stat_inc(vcpu, STAT_COMMON + counter_of[basic]);
	return row->handler(vcpu);
}
