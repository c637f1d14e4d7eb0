// SPDX-License-Identifier: BSD-2-Clause
/* Edges of the inner loop, and one entry into the guest and exit from it. */
#include "svm/vcpu.h"

#include "svm/switch.h"
#include "x86/context.h"
#include "x86/regs.h"

/* What every exit handler wants to see where the entry was refused. */
static void refuse_entry(struct svm_vcpu *svm)
{
	struct vmcb_control *control = &svm->vmcb->control;

	control->exitcode = VMEXIT_INVALID;
	control->exitinfo1 = 0;
	control->exitinfo2 = 0;
	control->exitintinfo = 0;
	control->eventinj = 0;
}

/*
 * The host's debug address registers stay until the guest touches its own; the
 * handler of that exit lets it have them (exits.c).
 */
static void intercept_debug_registers(struct svm_vcpu *svm, bool on)
{
	uint32_t intercepts = on ? 0x00ff00ff : 0;

	if (svm->vmcb->control.intercept[1] == intercepts)
		return;
	svm->vmcb->control.intercept[1] = intercepts;
	svm_dirty(svm, CLEAN_INTERCEPTS);
}

static uint32_t switch_flags(void)
{
	const struct os_mitigations *mitigations = os_mitigations();
	uint32_t flags = 0;

	if (mitigations->rsb_fill)
		flags |= SVM_SWITCH_FILL_RSB;
	if (mitigations->clear_cpu_buffers)
		flags |= SVM_SWITCH_CLEAR_BUFFERS;
	return flags;
}

void svm_load(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct svm_cpu *cpu = svm_this_cpu();

	if (svm->cpu != cpu) {
		svm->cpu = cpu;
		svm->clean = 0; /* what this CPU has cached of the VMCB is old */
		asid_forget(&svm->asid);
	}
	intercept_debug_registers(svm, !context_dr_owned(vcpu));
	svm->switch_flags = switch_flags();
	svm_save_host(cpu->host_pa);
}

void svm_put(struct vcpu *vcpu)
{
	(void)vcpu; /* the world switch has left nothing of the guest's */
}

/* What the entry takes from struct vcpu. */
static void registers_in(struct vcpu *vcpu, struct svm_vcpu *svm)
{
	struct vmcb *vmcb = svm->vmcb;

	vmcb->save.rax = vcpu->gpr[GPR_RAX];
	vmcb->save.rsp = vcpu->gpr[GPR_RSP];
	vmcb->save.rip = vcpu->rip;
	vmcb->save.rflags = vcpu->rflags;
	if (vmcb->save.cr2 != vcpu->cr2) {
		vmcb->save.cr2 = vcpu->cr2;
		svm_dirty(svm, CLEAN_CR2);
	}
	vmcb->control.interrupt_shadow = vcpu->intr_shadow ? INTERRUPT_SHADOW : 0;
	svm->entry_step = svm->step || svm->debug_step;
	if (unlikely(svm->entry_step)) {
		svm->step_tf = vcpu->rflags & REG_RFLAGS_TF;
		svm->step_dr6 = vmcb->save.dr6;
		vmcb->save.rflags |= REG_RFLAGS_TF;
	}
	svm->entry_rip = vcpu->rip;
	svm->entry_shadow = vcpu->intr_shadow;
}

static void registers_out(struct vcpu *vcpu, const struct svm_vcpu *svm)
{
	const struct vmcb *vmcb = svm->vmcb;

	vcpu->gpr[GPR_RAX] = vmcb->save.rax;
	vcpu->gpr[GPR_RSP] = vmcb->save.rsp;
	vcpu->rip = vmcb->save.rip;
	vcpu->rflags = vmcb->save.rflags;
	vcpu->cr2 = vmcb->save.cr2;
	vcpu->intr_shadow = vmcb->control.interrupt_shadow & INTERRUPT_SHADOW;
	vcpu->next_rip = svm_has(SVM_FEATURE_NEXT_RIP) ? vmcb->control.next_rip : 0;
}

/*
 * An interrupt between two entries may give this process an LDT (modify_ldt in
 * another thread) or change it. VMLOAD would undo that with what was saved.
 */
static void refresh_host(const struct svm_cpu *cpu)
{
	if (unlikely(svm_read_ldtr() | cpu->host->save.ldtr.selector))
		svm_save_host(cpu->host_pa);
}

/*
 * CR2 is among what VMRUN loads (APM vol. 2, 15.5.1). One emulated host, which has no
 * decode assists, forgets to, and the guest would find the host's there. An NMI's
 * handler leaves CR2 as it was.
 */
static void load_cr2(const struct vcpu *vcpu)
{
	if (!svm_has(SVM_FEATURE_DECODE_ASSISTS))
		svm_write_cr2(vcpu->cr2);
}

void svm_enter(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct vmcb_control *control = &svm->vmcb->control;

	if (unlikely(svm->check_state) && !svm_state_valid(vcpu)) {
		refuse_entry(svm);
		return;
	}
	svm_asid_prepare(svm);
	registers_in(vcpu, svm);
	control->clean = svm_has(SVM_FEATURE_CLEAN_BITS) ? svm->clean : 0;
	refresh_host(svm->cpu);

	load_cr2(vcpu);
	context_enter(vcpu);
	svm_world_switch(svm->vmcb_pa, vcpu->gpr, svm->cpu->host_pa, svm->switch_flags);
	context_exit(vcpu);

	svm->clean = CLEAN_ALL;
	control->eventinj = 0;
	/* Where the entry failed, one emulated host leaves its own state in the VMCB. */
	if (unlikely((uint32_t)control->exitcode == VMEXIT_INVALID))
		return;
	registers_out(vcpu, svm);
	svm_events_after_exit(vcpu);
	if (unlikely(control->vintr & VINTR_IRQ))
		svm_look_through_window(vcpu);
	if (unlikely(svm->entry_step || svm->iret_watched || svm->entry_shadow))
		svm_events_after_exit_slow(vcpu);
}
