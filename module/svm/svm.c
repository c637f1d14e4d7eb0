// SPDX-License-Identifier: BSD-2-Clause
/* The AMD back end: its table, and the life of VMs and vCPUs. */
#include "svm/svm.h"

#include "svm/nested.h"
#include "svm/permission.h"
#include "svm/quirks.h"
#include "svm/switch.h"
#include "svm/vcpu.h"
#include "vm/regs.h"

/* Where PAUSE is filtered: so many within so many cycles are a spin loop. */
#define PAUSE_COUNT	3000
#define PAUSE_THRESHOLD 128

/* Permission maps, the same for every guest. */
static uint8_t *msrpm;
static uint8_t *iopm;

/*
 * Always intercepted: what belongs to the host, what must be emulated, and what
 * the guest is told it does not have. Not intercepted: CR3, whose bits do not depend on
 * what the guest is shown; CR8 (V_TPR); RDTSC (TSC offset); INVLPG (ASID).
 */
static const uint8_t always_intercepted[] = {
	INTERCEPT_CR_WRITE(4),
	INTERCEPT_EXCEPTION(VECTOR_DB),
	INTERCEPT_EXCEPTION(VECTOR_AC),
	INTERCEPT_EXCEPTION(VECTOR_MC),
	INTERCEPT_INTR,
	INTERCEPT_NMI,
	INTERCEPT_SMI,
	INTERCEPT_INIT,
	INTERCEPT_VINTR,
	INTERCEPT_RDPMC,
	INTERCEPT_CPUID,
	INTERCEPT_RSM,
	INTERCEPT_INVD,
	INTERCEPT_HLT,
	INTERCEPT_INVLPGA,
	INTERCEPT_IOIO,
	INTERCEPT_MSR,
	INTERCEPT_TASK_SWITCH,
	INTERCEPT_FERR_FREEZE,
	INTERCEPT_SHUTDOWN,
	INTERCEPT_VMRUN,
	INTERCEPT_VMMCALL,
	INTERCEPT_VMLOAD,
	INTERCEPT_VMSAVE,
	INTERCEPT_STGI,
	INTERCEPT_CLGI,
	INTERCEPT_SKINIT,
	INTERCEPT_WBINVD,
	INTERCEPT_MONITOR,
	INTERCEPT_MWAIT,
	INTERCEPT_XSETBV,
	INTERCEPT_RDPRU,
};

/* --- module --- */

static void svm_fini(void)
{
	svm_cpus_destroy();
	os_pages_free(iopm, IOPM_ORDER);
	os_pages_free(msrpm, MSRPM_ORDER);
	iopm = NULL;
	msrpm = NULL;
}

static int svm_init(void)
{
	msrpm = os_pages_alloc(MSRPM_ORDER);
	iopm = os_pages_alloc(IOPM_ORDER);
	if (!msrpm || !iopm || svm_cpus_create()) {
		svm_fini();
		return -ENOMEM;
	}
	msrpm_fill(msrpm);
	iopm_fill(iopm);
	svm_npt_init(os_rdmsr(MSRN_PAT));
	svm_exits_register();
	return 0;
}

/* --- VMs and vCPUs --- */

/*
 * PAUSE ends the guest where the processor filters spin loops out, and where it does
 * not, only if vCPUs may wait for each other's turn on a CPU.
 */
static void svm_set_pause_intercept(struct vcpu *vcpu, bool every)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);
	struct vmcb_control *control = &svm->vmcb->control;
	bool filter = svm_has(SVM_FEATURE_PAUSE_FILTER) && !every;
	bool crowded = vcpu->vm->max_vcpus > os_cpu_online();

	control->pause_count = filter ? PAUSE_COUNT : 0;
	control->pause_threshold =
		filter && svm_has(SVM_FEATURE_PAUSE_THRESHOLD) ? PAUSE_THRESHOLD : 0;
	svm_set_intercept(svm, INTERCEPT_PAUSE, every || filter || crowded);
	svm_dirty(svm, CLEAN_INTERCEPTS);
}

/* A processor refuses a bad CR0 itself: only changes other than of TS and MP matter. */
static unsigned int svm_cr0_intercept(void)
{
	return svm_quirk_cr0_unchecked() ? INTERCEPT_CR_WRITE(0) : INTERCEPT_CR0_SELECTIVE;
}

static void svm_fill_control(struct vcpu *vcpu, struct svm_vcpu *svm)
{
	struct vmcb_control *control = &svm->vmcb->control;

	for (size_t i = 0; i < ARRAY_SIZE(always_intercepted); i++)
		svm_set_intercept(svm, always_intercepted[i], true);
	svm_set_intercept(svm, svm_cr0_intercept(), true);
	svm_set_pause_intercept(vcpu, false);
	control->iopm_pa = os_virt_to_phys(iopm);
	control->msrpm_pa = os_virt_to_phys(msrpm);
	control->nested_ctl = NESTED_PAGING_ENABLE;
	control->n_cr3 = os_virt_to_phys(vcpu->vm->npt.root);
}

static int svm_vcpu_init(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = os_alloc(sizeof(*svm));

	if (!svm)
		return -ENOMEM;
	svm->vmcb = os_page_alloc();
	if (!svm->vmcb) {
		os_free(svm);
		return -ENOMEM;
	}
	svm->vmcb_pa = os_virt_to_phys(svm->vmcb);
	vcpu->backend_state = svm;
	vcpu->capabilities = 1u << VM_CAP_UNRESTRICTED_GUEST; /* every SVM can */
	svm_fill_control(vcpu, svm);
	return 0;
}

static void svm_vcpu_cleanup(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);

	os_page_free(svm->vmcb);
	os_free(svm);
	vcpu->backend_state = NULL;
}

static void svm_vcpu_reset(struct vcpu *vcpu, bool init)
{
	svm_state_reset(vcpu, init);
	svm_events_reset(vcpu);
}

/* --- small operations --- */

static void svm_flush_nested(struct vcpu *vcpu)
{
	svm_vcpu(vcpu)->todo |= SVM_TODO_FLUSH;
}

static void svm_set_tsc_offset(struct vcpu *vcpu, uint64_t offset)
{
	struct svm_vcpu *svm = svm_vcpu(vcpu);

	svm->vmcb->control.tsc_offset = offset;
	svm_dirty(svm, CLEAN_INTERCEPTS);
}

static void svm_set_debug_step(struct svm_vcpu *svm, bool on)
{
	svm->todo &= ~SVM_TODO_DEBUG_STEP;
	if (on)
		svm->todo |= SVM_TODO_DEBUG_STEP;
}

static int svm_set_capability(struct vcpu *vcpu, enum vm_cap_type cap, bool on)
{
	switch (cap) {
	case VM_CAP_PAUSE_EXIT:
		svm_set_pause_intercept(vcpu, on);
		return 0;
	case VM_CAP_BPT_EXIT:
		svm_set_intercept(svm_vcpu(vcpu), INTERCEPT_EXCEPTION(VECTOR_BP), on);
		return 0;
	case VM_CAP_RFLAGS_TF:
		svm_set_debug_step(svm_vcpu(vcpu), on);
		return 0;
	case VM_CAP_UNRESTRICTED_GUEST:
		return on ? 0 : -ENOTSUP;
	default:
		return -ENOTSUP;
	}
}

const struct vmm_backend svm_backend = {
	.name = "SVM",
	.npt_format = &svm_npt_format,
	.probe = svm_probe,
	.cpu_enable = svm_cpu_enable,
	.cpu_disable = svm_cpu_disable,
	.vcpu_init = svm_vcpu_init,
	.vcpu_cleanup = svm_vcpu_cleanup,
	.vcpu_reset = svm_vcpu_reset,
	.load = svm_load,
	.enter = svm_enter,
	.exit = svm_exit,
	.last_port = svm_last_port,
	.get_reg = svm_get_reg,
	.set_reg = svm_set_reg,
	.get_desc = svm_get_desc,
	.set_desc = svm_set_desc,
	.get_msr = svm_get_msr,
	.set_msr = svm_set_msr,
	.inject = svm_inject,
	.request_window = svm_request_window,
	.flush_nested = svm_flush_nested,
	.set_tsc_offset = svm_set_tsc_offset,
	.module = { .init = svm_init, .fini = svm_fini },
	.offers = { .set_capability = svm_set_capability, .number = svm_number },
	.shortcuts = { .get_mode = svm_get_mode },
};
