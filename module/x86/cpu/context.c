// SPDX-License-Identifier: BSD-2-Clause
/*
 * Switching what VMRUN and VM entry do not: see context.h.
 *
 * XSAVE, not XSAVEOPT, puts the guest's state away. XSAVEOPT may skip what it
 * thinks unchanged since an XRSTOR from the same address, and not every processor
 * promises to tell the guest's own XRSTOR from ours (SDM vol. 1, 13.5.4, does).
 */
#include "x86/cpu/context.h"
#include "x86/cpu/breakpoints.h"
#include "x86/cpu/cpuid.h"
#include "x86/cpu/fpu.h"

/* FXSAVE area (APM vol. 2, 11.5.2; all of it zero after RESET but these). */
#define FXSAVE_SIZE  512
#define FXSAVE_FCW   0	/* 16 bits */
#define FXSAVE_FTW   4	/* 8 bits: one for each register that is not empty */
#define FXSAVE_MXCSR 24 /* 32 bits */

#define RESET_FCW   0x0040
#define RESET_FTW   0xff /* +0.0 in each, not empty */
#define RESET_MXCSR 0x1f80

#define HOST_OSPKE  (1u << 4) /* CPUID 7.0 ECX */
#define HOST_XSAVES (1u << 3) /* CPUID 0xd.1 EAX */

/* The vCPU whose branches trained each CPU's predictors last. NULL: not known. */
static struct vcpu **last_vcpu;

/* switch.S finds it behind the general registers (switch_asm.h). */
static_assert(offsetof(struct vcpu, host_spec_ctrl) == offsetof(struct vcpu, gpr) + 0x80);

int context_init(void)
{
	last_vcpu = os_alloc(os_cpu_possible() * sizeof(last_vcpu[0]));
	return last_vcpu ? 0 : -ENOMEM;
}

void context_fini(void)
{
	os_free(last_vcpu);
	last_vcpu = NULL;
}

/* --- life -------------------------------------------------------------------------- */

static bool host_has_keys(void)
{
	uint32_t regs[4];

	os_cpuid(0, 0, regs);
	if (regs[CPUID_REG_EAX] < 7)
		return false;
	os_cpuid(7, 0, regs);
	return regs[CPUID_REG_ECX] & HOST_OSPKE;
}

/*
 * What the host's kernel has in XSAVES' supervisor components, shadow stacks for instance, a
 * guest could save and replace: no intercept keeps it from XSAVES and XRSTORS on AMD.
 */
static uint64_t read_host_xss(void)
{
	uint32_t regs[4];
	uint64_t value;

	os_cpuid(0, 0, regs);
	if (regs[CPUID_REG_EAX] < 0xd)
		return 0;
	os_cpuid(0xd, 1, regs);
	return (regs[CPUID_REG_EAX] & HOST_XSAVES) && !os_rdmsr_safe(MSRN_XSS, &value) ? value : 0;
}

static void measure_host_state(struct guest_context *context, const struct vm *vm)
{
	uint64_t value;

	context->components = vm->cpuid->features.xcr0;
	if (context->components)
		context->host_xcr0 = os_xgetbv(0);
	context->has_tsc_aux = cpuid_has(vm, CPU_RDTSCP) || cpuid_has(vm, CPU_RDPID);
	context->has_spec_ctrl = cpuid_has(vm, CPU_IBRS) || cpuid_has(vm, CPU_STIBP) ||
				 cpuid_has(vm, CPU_SSBD) || cpuid_has(vm, CPU_AMD_IBRS) ||
				 cpuid_has(vm, CPU_AMD_STIBP) || cpuid_has(vm, CPU_AMD_SSBD);
	context->host_has_keys = host_has_keys();
	if (vm->cpuid->vendor == CPU_VENDOR_AMD) {
		context->keeps_debugctl = !os_rdmsr_safe(MSRN_DEBUGCTL, &value);
		context->host_xss = read_host_xss();
	}
	context->clear_fpu_pointers = vm->cpuid->vendor == CPU_VENDOR_AMD &&
				      !cpuid_has(vm, CPU_XSAVEERPTR);
	context->host_tsc_aux_cpu = ~0u;
}

int context_create(struct vcpu *vcpu)
{
	struct guest_context *context = os_alloc(sizeof(*context));
	uint32_t size = FXSAVE_SIZE;

	if (!context)
		return -ENOMEM;
	measure_host_state(context, vcpu->vm);
	if (context->components)
		size = cpuid_xsave_size(vcpu->vm->cpuid, context->components);
	while ((OS_PAGE_SIZE << context->fpu_order) < size)
		context->fpu_order++;
	context->fpu = os_pages_alloc(context->fpu_order);
	if (!context->fpu) {
		os_free(context);
		return -ENOMEM;
	}
	vcpu->context = context;
	context_reset(vcpu, false);
	return 0;
}

/* Another vCPU may get the same address: it must not be mistaken for this one. */
static void context_forget_vcpu(struct vcpu *vcpu)
{
	for (unsigned int cpu = 0; last_vcpu && cpu < os_cpu_possible(); cpu++) {
		struct vcpu *expected = vcpu;

		(void)__atomic_compare_exchange_n(&last_vcpu[cpu], &expected, NULL, false,
						  __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	}
}

void context_destroy(struct vcpu *vcpu)
{
	struct guest_context *context = vcpu->context;

	if (!context)
		return;
	context_forget_vcpu(vcpu);
	os_pages_free(context->fpu, context->fpu_order);
	os_free(context);
	vcpu->context = NULL;
}

/* --- reset ------------------------------------------------------------------------- */

/* APM vol. 2, table 14-1; SDM vol. 3, table 9-1. The rest of the area is zero. */
static void reset_fpu(struct guest_context *context)
{
	uint8_t *area = context->fpu;
	uint16_t control = RESET_FCW;
	uint32_t mxcsr = RESET_MXCSR;
	uint64_t components = REG_XCR0_X87;

	memset(area, 0, OS_PAGE_SIZE << context->fpu_order);
	memcpy(area + FXSAVE_FCW, &control, sizeof(control));
	area[FXSAVE_FTW] = RESET_FTW;
	memcpy(area + FXSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
	if (context->components)
		memcpy(area + CONTEXT_XSTATE_BV, &components, sizeof(components));
}

void context_reset(struct vcpu *vcpu, bool init)
{
	struct guest_context *context = vcpu->context;

	memset(context->dr, 0, sizeof(context->dr));
	breakpoints_look(vcpu, false);
	if (init)
		return;
	reset_fpu(context);
	context->xcr0 = REG_XCR0_X87;
	context->tsc_aux = 0;
	context->spec_ctrl = 0;
}

/* --- extended state ------------------------------------------------------- */

/* XRSTOR and XSAVE run under the host's XCR0, which holds every component switched. */
static void load_fpu(struct guest_context *context)
{
	if (context->host_has_keys)
		context->host_pkru = fpu_rdpkru();
	if (context->clear_fpu_pointers)
		fpu_clear_pointers();
	if (!context->components) {
		fpu_fxrstor(context->fpu);
		return;
	}
	fpu_xrstor(context->fpu, context->components);
	if (context->xcr0 != context->host_xcr0)
		os_xsetbv(0, context->xcr0);
}

/*
 * The guest may have changed XCR0 without an exit (SVM where XSETBV is not
 * intercepted), even to components it is not offered; those are dropped.
 */
static void put_fpu(struct guest_context *context)
{
	if (!context->components) {
		fpu_fxsave(context->fpu);
	} else {
		uint64_t xcr0 = os_xgetbv(0);

		if (xcr0 != context->host_xcr0)
			os_xsetbv(0, context->host_xcr0);
		context->xcr0 = (xcr0 & context->components) | REG_XCR0_X87;
		fpu_xsave(context->fpu, context->components);
	}
	if (context->host_has_keys && fpu_rdpkru() != context->host_pkru)
		fpu_wrpkru(context->host_pkru);
}

uint64_t context_xcr0(struct vcpu *vcpu)
{
	const struct guest_context *context = vcpu->context;

	return context->loaded && context->components ? os_xgetbv(0) : context->xcr0;
}

void context_set_xcr0(struct vcpu *vcpu, uint64_t value)
{
	struct guest_context *context = vcpu->context;

	context->xcr0 = value;
	if (context->loaded && context->components)
		os_xsetbv(0, value);
}

/* --- debug registers ------------------------------------------------------ */

void context_own_dr(struct vcpu *vcpu)
{
	struct guest_context *context = vcpu->context;

	if (context->dr_loaded || !context->loaded)
		return;
	if (context->host_dr7 & REG_DR7_ENABLES) {
		/* The host's breakpoints must not fire on the guest's addresses. */
		os_write_dr(7, REG_DR7_RESET);
		for (unsigned int i = 0; i < 4; i++)
			context->host_dr[i] = os_read_dr(i);
	}
	for (unsigned int i = 0; i < 4; i++)
		os_write_dr(i, context->dr[i]);
	context->dr_loaded = true;
	breakpoints_look(vcpu, true);
}

static void disown_dr(struct vcpu *vcpu)
{
	struct guest_context *context = vcpu->context;

	for (unsigned int i = 0; i < 4; i++)
		context->dr[i] = os_read_dr(i);
	context->dr_loaded = false;
	breakpoints_look(vcpu, breakpoints_enabled(vcpu));
	if (!(context->host_dr7 & REG_DR7_ENABLES))
		return;
	for (unsigned int i = 0; i < 4; i++)
		os_write_dr(i, context->host_dr[i]);
}

/* An exit leaves DR7 disabled and DR6 the guest's (APM vol. 2, 15.6; SDM vol. 3, 28.5.1). */
static void put_debug(struct vcpu *vcpu)
{
	const struct guest_context *context = vcpu->context;

	if (context->dr_loaded)
		disown_dr(vcpu);
	if (os_read_dr(6) != REG_DR6_RESET)
		os_write_dr(6, REG_DR6_RESET);
	if (context->host_dr7 & REG_DR7_ENABLES)
		os_write_dr(7, context->host_dr7);
}

uint64_t context_dr(struct vcpu *vcpu, unsigned int index)
{
	const struct guest_context *context = vcpu->context;

	return context->dr_loaded ? os_read_dr(index & 3) : context->dr[index & 3];
}

void context_set_dr(struct vcpu *vcpu, unsigned int index, uint64_t value)
{
	struct guest_context *context = vcpu->context;

	context->dr[index & 3] = value;
	if (context->dr_loaded)
		os_write_dr(index & 3, value);
}

/* --- MSRs ----------------------------------------------------------------- */

static void load_tsc_aux(struct guest_context *context)
{
	unsigned int cpu = os_cpu_id();

	if (!context->has_tsc_aux)
		return;
	if (context->host_tsc_aux_cpu != cpu) {
		context->host_tsc_aux = os_rdmsr(MSRN_TSC_AUX);
		context->host_tsc_aux_cpu = cpu;
	}
	if (context->tsc_aux != context->host_tsc_aux)
		os_wrmsr(MSRN_TSC_AUX, context->tsc_aux);
}

static void put_tsc_aux(const struct guest_context *context)
{
	if (context->has_tsc_aux && context->tsc_aux != context->host_tsc_aux)
		os_wrmsr(MSRN_TSC_AUX, context->host_tsc_aux);
}

void context_set_tsc_aux(struct vcpu *vcpu, uint64_t value)
{
	struct guest_context *context = vcpu->context;

	if (context->loaded && context->has_tsc_aux)
		os_wrmsr(MSRN_TSC_AUX, value);
	context->tsc_aux = value;
}

/*
 * What VMRUN leaves the host's. The guest's of both are 0. With the host's DEBUGCTL the guest's branches would be single steps
 * while the thread is stepped so, and its bus locks #DB where the host looks for those.
 */
static void load_kept_msrs(struct guest_context *context)
{
	if (context->keeps_debugctl) {
		context->host_debugctl = os_rdmsr(MSRN_DEBUGCTL);
		if (context->host_debugctl)
			os_wrmsr(MSRN_DEBUGCTL, 0);
	}
	if (context->host_xss)
		os_wrmsr(MSRN_XSS, 0);
}

static void put_kept_msrs(const struct guest_context *context)
{
	if (context->host_xss)
		os_wrmsr(MSRN_XSS, context->host_xss);
	if (context->host_debugctl)
		os_wrmsr(MSRN_DEBUGCTL, context->host_debugctl);
}

/*
 * With IBRS of the first kind the write at an exit is itself the barrier, so that it is due also
 * when the value is the same (KERNEL_IBRS).
 */
static void context_choose_spec_ctrl(struct vcpu *vcpu)
{
	if (vcpu->context->spec_ctrl != vcpu->host_spec_ctrl || os_mitigations()->kernel_ibrs)
		vcpu->switch_flags |= X86_SWITCH_HOST_SPEC_CTRL;
	else
		vcpu->switch_flags &= ~X86_SWITCH_HOST_SPEC_CTRL;
}

/* Without the MSR both values stay 0, and nothing is written at entries and exits. */
static void load_switch_flags(struct vcpu *vcpu)
{
	const struct os_mitigations *mitigations = os_mitigations();

	vcpu->switch_flags = 0;
	/* Device registers are no RAM: reads of theirs leave old data in buffers (MMIO stale data). */
	if (mitigations->clear_cpu_buffers ||
	    (mitigations->clear_cpu_buffers_for_devices && vcpu->vm->ppt))
		vcpu->switch_flags |= X86_SWITCH_CLEAR_BUFFERS;
	if (vcpu->context->has_spec_ctrl || mitigations->kernel_ibrs) {
		vcpu->host_spec_ctrl = os_rdmsr(MSRN_SPEC_CTRL);
		context_choose_spec_ctrl(vcpu);
	}
}

/* Takes effect at the next entry. */
void context_set_spec_ctrl(struct vcpu *vcpu, uint64_t value)
{
	struct guest_context *context = vcpu->context;

	context->spec_ctrl = value;
	context_choose_spec_ctrl(vcpu);
}

/*
 * What another vCPU taught the branch predictors must not steer this one: also one of the same
 * VM, whose processes the guest's system takes for separate.
 */
static void load_predictors(struct vcpu *vcpu)
{
	unsigned int cpu = os_cpu_id();

	if (!os_mitigations()->ibpb)
		return;
	if (last_vcpu) {
		if (__atomic_load_n(&last_vcpu[cpu], __ATOMIC_RELAXED) == vcpu)
			return;
		__atomic_store_n(&last_vcpu[cpu], vcpu, __ATOMIC_RELAXED);
	}
	os_wrmsr(MSRN_PRED_CMD, MSRN_PRED_CMD_IBPB);
}

/* --- edges of the inner loop ---------------------------------------------- */

void context_load(struct vcpu *vcpu)
{
	struct guest_context *context = vcpu->context;

	context->loaded = true;
	load_predictors(vcpu);
	load_fpu(context);
	context->host_dr7 = os_read_dr(7);
	load_tsc_aux(context);
	load_kept_msrs(context);
	load_switch_flags(vcpu);
}

void context_put(struct vcpu *vcpu)
{
	struct guest_context *context = vcpu->context;

	put_kept_msrs(context);
	put_tsc_aux(context);
	put_debug(vcpu);
	put_fpu(context);
	/* VMSCAPE: what the guest taught the predictors must not steer the host's programs. */
	if (os_mitigations()->ibpb_before_user)
		os_ibpb_before_user();
	context->loaded = false;
}

/* --- in the XSAVE area ---------------------------------------------------- */

#define COMPONENT_PKRU 9

uint8_t *context_component(const struct vcpu *vcpu, unsigned int number)
{
	const struct guest_context *context = vcpu->context;

	if (!(context->components & (1ull << number)))
		return NULL;
	return (uint8_t *)context->fpu + vcpu->vm->cpuid->xsave_offset[number];
}

uint32_t context_pkru(const struct vcpu *vcpu)
{
	const struct guest_context *context = vcpu->context;
	const uint8_t *area = context_component(vcpu, COMPONENT_PKRU);
	uint64_t state;
	uint32_t pkru;

	if (!area)
		return 0;
	if (context->loaded)
		return fpu_rdpkru();
	memcpy(&state, (const uint8_t *)context->fpu + CONTEXT_XSTATE_BV, sizeof(state));
	if (!(state & REG_XCR0_PKRU))
		return 0;
	memcpy(&pkru, area, sizeof(pkru));
	return pkru;
}
