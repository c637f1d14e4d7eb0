// SPDX-License-Identifier: BSD-2-Clause
/*
 * Events: injection, deliveries that an exit interrupted, and the windows in which the
 * guest can take an interrupt or an NMI (SDM vol. 3, 24.8.3, 25.3, 26.6 and 27.2.4).
 */
#include "vmx/vcpu.h"

#include "vmx/quirks.h"
#include "x86/cpu/context.h"
#include "x86/exits/exits.h"
#include "vm/regs.h"

/* Of an error code; others must be 0 at an entry (26.2.1.3). */
#define ERROR_CODE_BITS 0x7fffu

static void vmx_request_events(struct vcpu *vcpu)
{
	vcpu_request(vcpu, VCPU_REQ_EVENT);
}

/* --- NMI blocking --- */

void vmx_set_nmi_blocked(struct vcpu *vcpu, bool blocked)
{
	vmx_vcpu(vcpu)->nmi_taken = blocked;
	vmx_set_bits(vmx_vcpu(vcpu), FIELD_INTERRUPTIBILITY, BLOCKING_NMI, blocked);
}

/* The processor keeps track: virtual NMIs are in use always. */
bool vmx_nmi_blocked(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	bool blocked = vmx_get(vmx, FIELD_INTERRUPTIBILITY) & BLOCKING_NMI;

	if (VMX_QUIRK_NMI_BLOCKING_STAYS && blocked && !vmx->nmi_taken) {
		vmx_set_nmi_blocked(vcpu, false);
		return false;
	}
	vmx->nmi_taken = blocked;
	return blocked;
}

void vmx_nmi_still_blocked(struct vcpu *vcpu)
{
	if (!(vmx_vcpu(vcpu)->vectoring & VM_INTINFO_VALID))
		vmx_set_nmi_blocked(vcpu, true);
}

/* --- injection --- */

static bool vmx_is_software_event(uint64_t type)
{
	return type == VM_INTINFO_SWINTR || type == INTR_TYPE_PRIVILEGED ||
	       type == INTR_TYPE_SOFTWARE;
}

/* No entry is made that says otherwise of an exception (26.2.1.3). In real mode none has one. */
static bool vmx_has_error_code(struct vmx_vcpu *vmx, uint32_t info)
{
	unsigned int vector = VM_INTINFO_VECTOR(info);

	if ((info & VM_INTINFO_TYPE) != VM_INTINFO_HWEXCEPTION)
		return false;
	if (vector != VECTOR_DF && vector != VECTOR_AC &&
	    (vector < VECTOR_TS || vector > VECTOR_PF))
		return false;
	return vmx_get(vmx, FIELD_CR0) & REG_CR0_PE;
}

/*
 * A software interrupt pushes RIP and the length it is given, which must not be 0 on
 * every processor: RIP, as it is, is meant.
 */
void vmx_inject(struct vcpu *vcpu, uint64_t intinfo)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	uint32_t info = (uint32_t)intinfo & ~(uint32_t)VM_INTINFO_DEL_ERRCODE;

	if (vmx_has_error_code(vmx, info)) {
		info |= VM_INTINFO_DEL_ERRCODE;
		os_vmwrite(VMCS_ENTRY_ERROR_CODE, intinfo >> 32 & ERROR_CODE_BITS);
	}
	if ((info & VM_INTINFO_TYPE) == VM_INTINFO_NMI)
		vmx->nmi_taken = true;
	if (unlikely(vmx_is_software_event(info & VM_INTINFO_TYPE))) {
		os_vmwrite(VMCS_ENTRY_LENGTH, 1);
		vcpu->rip--;
	}
	os_vmwrite(VMCS_ENTRY_INTR_INFO, info);
}

/*
 * INT3, INTO, INT1 and INTn are not resumed: RIP is still at the instruction, which
 * raises them again. An NMI that did not get in blocks no other.
 */
void vmx_delivery_interrupted(struct vcpu *vcpu)
{
	uint64_t intinfo = vmx_vcpu(vcpu)->vectoring;

	if (vmx_is_software_event(intinfo & VM_INTINFO_TYPE))
		return;
	if ((intinfo & VM_INTINFO_TYPE) == VM_INTINFO_NMI)
		vmx_set_nmi_blocked(vcpu, false);
	intinfo &= 0xffffffff & ~(uint64_t)VM_INTINFO_RSVD;
	if (intinfo & VM_INTINFO_DEL_ERRCODE)
		intinfo |= vmx_exit_field(VMCS_VECTORING_ERROR) << 32;
	vcpu_set_exitintinfo(vcpu, intinfo);
}

/* --- windows --- */

static void vmx_set_window(struct vcpu *vcpu, uint32_t window, bool on)
{
	vmx_set_bits(vmx_vcpu(vcpu), FIELD_PRIMARY_CONTROLS, window, on);
}

/*
 * What CR8 holds back becomes deliverable when the guest lowers it below the vector's
 * class; without a shadow each write of CR8 exits anyway.
 */
static void vmx_request_interrupt_window(struct vcpu *vcpu, uint8_t vector)
{
	struct vmx_vcpu *vmx = vmx_vcpu(vcpu);
	unsigned int class = vector >> 4;

	if (vector == 0 || class > vmx->virtual_apic[VIRTUAL_APIC_TPR] >> 4)
		vmx_set_window(vcpu, PRIMARY_INTERRUPT_WINDOW, true);
	else if (vmx_has(VMX_OPTION_TPR_SHADOW))
		vmx_set(vmx, FIELD_TPR_THRESHOLD, class);
}

void vmx_request_window(struct vcpu *vcpu, unsigned int windows, uint8_t vector)
{
	if (windows & WINDOW_NMI)
		vmx_set_window(vcpu, PRIMARY_NMI_WINDOW, true);
	if (windows & WINDOW_INTERRUPT)
		vmx_request_interrupt_window(vcpu, vector);
}

enum exit_action vmx_exit_interrupt_window(struct vcpu *vcpu)
{
	vmx_set_window(vcpu, PRIMARY_INTERRUPT_WINDOW, false);
	vmx_request_events(vcpu);
	return EXIT_RESUME;
}

enum exit_action vmx_exit_nmi_window(struct vcpu *vcpu)
{
	vmx_set_window(vcpu, PRIMARY_NMI_WINDOW, false);
	vmx_request_events(vcpu);
	return EXIT_RESUME;
}

enum exit_action vmx_exit_tpr_threshold(struct vcpu *vcpu)
{
	vmx_set(vmx_vcpu(vcpu), FIELD_TPR_THRESHOLD, 0);
	vmx_request_events(vcpu);
	return EXIT_RESUME;
}

void vmx_events_reset(struct vcpu *vcpu)
{
	vmx_set_window(vcpu, PRIMARY_INTERRUPT_WINDOW | PRIMARY_NMI_WINDOW, false);
	vmx_set(vmx_vcpu(vcpu), FIELD_TPR_THRESHOLD, 0);
	vmx_set(vmx_vcpu(vcpu), FIELD_INTERRUPTIBILITY, 0);
	vmx_vcpu(vcpu)->nmi_taken = false;
}

/* --- debugging --- */

/*
 * #DB is intercepted always: its delivery can raise it again without end, which would
 * hold the processor in microcode with interrupts off. The exit has changed neither DR6
 * nor DR7; what it would have done to them is in the qualification (27.2.1).
 */
enum exit_action vmx_exit_db(struct vcpu *vcpu)
{
	uint64_t cause = vmx_exit_field(VMCS_EXIT_QUALIFICATION) & DB_QUALIFICATION_DR6;
	uint64_t dr6 = vcpu_reg(vcpu, VM_REG_GUEST_DR6) & ~0xfull;
	uint64_t dr7 = vcpu_reg(vcpu, VM_REG_GUEST_DR7) & ~REG_DR7_GD;

	(void)backend->set_reg(vcpu, VM_REG_GUEST_DR6, dr6 | cause);
	(void)backend->set_reg(vcpu, VM_REG_GUEST_DR7, dr7);
	vcpu_raise(vcpu, VECTOR_DB);
	return EXIT_RESUME;
}

enum exit_action vmx_exit_monitor_trap(struct vcpu *vcpu)
{
	if (vmx_vcpu(vcpu)->steps & STEP_DEBUG)
		return x86_exit_debug_step(vcpu, vcpu->rflags & REG_RFLAGS_TF);
	vcpu->next_rip = 0;
	return vcpu_exit_userspace(vcpu, VM_EXITCODE_MTRAP);
}
