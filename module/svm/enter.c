// SPDX-License-Identifier: BSD-2-Clause
/* Edges of the inner loop, and one entry into the guest and exit from it. */
#include "svm/vcpu.h"

#include "svm/quirks.h"
#include "svm/switch.h"
#include "x86/cpu/context.h"
#include "vm/regs.h"

static void svm_forget_entry(struct svm_vcpu *svm)
{
	svm->entry_watched = false;
	svm->entry_step = false;
}

/* What every exit handler wants to see where the entry was refused. */
static void svm_refuse_entry(struct svm_vcpu *svm)
{
	struct vmcb_control *control = &svm->vmcb->control;

	svm_forget_entry(svm);
	control->exitcode = VMEXIT_INVALID;
	control->exitinfo1 = 0;
	control->exitinfo2 = 0;
	control->exitintinfo = 0;
	control->eventinj = 0;
}

/*
 * The host's debug address registers stay loaded until the guest uses its own; the
 * handler of that exit loads them (exits.c).
 */
static void svm_intercept_debug_registers(struct svm_vcpu *svm, bool on)
{
	uint32_t intercepts = on ? 0x00ff00ff : 0;

	if (svm->vmcb->control.intercept[1] == intercepts)
		return;
	svm->vmcb->control.intercept[1] = intercepts;
	svm_dirty(svm, CLEAN_INTERCEPTS);
}

/* Without a put: the world switch leaves nothing of the guest's in the processor. */
void svm_load(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct svm_cpu *cpu = svm_this_cpu();

	if (unlikely(svm->cpu != cpu)) {
		svm->cpu = cpu;
		svm->vmcb->control.clean = 0; /* what this CPU has cached of the VMCB is old */
		asid_forget(&svm->asid);
	}
	context_load_dr(vcpu, svm->vmcb->save.dr7);
	svm_intercept_debug_registers(svm, !context_dr_owned(vcpu));
	svm_save_host(cpu->host_pa);
}

/* What the entry takes from struct vcpu. */
static void svm_registers_in(struct vcpu *vcpu, struct svm_vcpu *svm)
{
	struct vmcb *vmcb = svm->vmcb;

	vmcb->save.rax = vcpu->gpr[GPR_RAX];
	vmcb->save.rsp = vcpu->gpr[GPR_RSP];
	vmcb->save.rip = vcpu->rip;
	vmcb->save.rflags = vcpu->rflags;
	if (unlikely(vmcb->save.cr2 != vcpu->cr2)) {
		vmcb->save.cr2 = vcpu->cr2;
		svm_dirty(svm, CLEAN_CR2);
	}
	vmcb->control.interrupt_shadow = vcpu->intr_shadow; /* INTERRUPT_SHADOW is bit 0 */
}

static void svm_registers_out(struct vcpu *vcpu, const struct svm_vcpu *svm)
{
	const struct vmcb *vmcb = svm->vmcb;

	vcpu->gpr[GPR_RAX] = vmcb->save.rax;
	vcpu->gpr[GPR_RSP] = vmcb->save.rsp;
	vcpu->rip = vmcb->save.rip;
	vcpu->rflags = vmcb->save.rflags;
	vcpu->cr2 = vmcb->save.cr2;
	vcpu->intr_shadow = vmcb->control.interrupt_shadow & INTERRUPT_SHADOW;
	vcpu->next_rip = vmcb->control.next_rip & svm_next_rip_mask;
}

/*
 * An interrupt between two entries may give this process an LDT (modify_ldt in
 * another thread) or change it. VMLOAD would undo that with what was saved.
 */
static void svm_refresh_host(const struct svm_cpu *cpu)
{
	if (unlikely(os_read_ldtr() | cpu->host->save.ldtr.selector))
		svm_save_host(cpu->host_pa);
}

/* Where VMRUN does not load CR2 from the VMCB. An NMI's handler leaves CR2 as it was. */
static void svm_load_cr2(const struct vcpu *vcpu)
{
	if (svm_quirk_cr2_not_loaded())
		svm_write_cr2(vcpu->cr2);
}

/* What has to be done before anything else happens to the guest. */
static void svm_after_exit(struct vcpu *vcpu, struct svm_vcpu *svm)
{
	const struct vmcb_control *control = &svm->vmcb->control;

	if (unlikely(control->exitintinfo & VM_INTINFO_VALID))
		svm_delivery_interrupted(vcpu, control->exitintinfo);
	if (unlikely(control->vintr & VINTR_IRQ))
		svm_check_window(vcpu);
	if (unlikely(svm->entry_watched))
		svm_watch_exit(vcpu);
}

/*
 * The slow path of an entry, out of line. False: the registers do not fit together, and no
 * entry is made.
 */
static noinline bool svm_prepare_entry(struct vcpu *vcpu, struct svm_vcpu *svm)
{
	if ((svm->todo & SVM_TODO_CHECK) && !svm_state_valid(vcpu)) {
		svm_refuse_entry(svm);
		return false;
	}
	if ((svm->todo & SVM_TODO_FLUSH) || !asid_is_current(&svm->cpu->asids, &svm->asid))
		svm_asid_renew(svm);
	svm_registers_in(vcpu, svm);
	if (vcpu->intr_shadow || (svm->todo & (SVM_TODO_STEPS | SVM_TODO_WATCH_IRET)))
		svm_watch_entry(vcpu);
	return true;
}

/* The fast path: no pending work, only registers to be moved. */
static bool svm_entry_is_plain(const struct vcpu *vcpu, const struct svm_vcpu *svm)
{
	return !(svm->todo | vcpu->intr_shadow) && asid_is_current(&svm->cpu->asids, &svm->asid);
}

void svm_enter(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct vmcb_control *control = &svm->vmcb->control;

	if (likely(svm_entry_is_plain(vcpu, svm)))
		svm_registers_in(vcpu, svm);
	else if (!svm_prepare_entry(vcpu, svm))
		return;
	svm_refresh_host(svm->cpu);
	svm_load_cr2(vcpu);
	context_enter(vcpu);
	svm_world_switch(svm->vmcb_pa, vcpu->gpr, svm->cpu->host_pa, vcpu->switch_flags);

	control->clean = svm_clean_after_exit;
	control->tlb_control = TLB_CONTROL_NOTHING;
	control->eventinj = 0;
	/* Of a failed entry the VMCB may hold the host's state (SVM_QUIRK_INVALID_LEAVES_HOST). */
	if (unlikely((uint32_t)control->exitcode == VMEXIT_INVALID)) {
		svm_forget_entry(svm);
		return;
	}
	svm_registers_out(vcpu, svm);
	svm_after_exit(vcpu, svm);
}
