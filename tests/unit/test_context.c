// SPDX-License-Identifier: BSD-2-Clause
/* Switching guest and host state at the edges of the inner loop. */
#include "unit.h"

#include "x86/cpu/context.h"
#include "x86/cpu/cpuid.h"
#include "vm/regs.h"
#include "x86_guest.h"

#define HOST_AUX 0x1001

static struct vm *vm;
static struct vcpu *vcpu;

static void begin(void)
{
	vm = guest_create();
	vcpu = fake_vm_vcpu(vm, 0);
}

static void end(void)
{
	guest_destroy(vm);
}

static void load(void)
{
	os_run_begin();
	context_load(vcpu);
	context_load_dr(vcpu, vcpu_reg(vcpu, VM_REG_GUEST_DR7)); /* as every back end does */
}

static void put(void)
{
	context_put(vcpu);
	os_run_end();
}

/* --- FPU ------------------------------------------------------------------ */

static uint16_t fpu_control(void)
{
	uint16_t control;

	asm volatile("fnstcw %0" : "=m"(control));
	return control;
}

static uint32_t mxcsr(void)
{
	uint32_t value;

	asm volatile("stmxcsr %0" : "=m"(value));
	return value;
}

static uint64_t read_xmm7(void)
{
	uint64_t value;

	asm volatile("movq %%xmm7, %0" : "=r"(value));
	return value;
}

static void write_xmm7(uint64_t value)
{
	asm volatile("movq %0, %%xmm7" : : "r"(value) : "xmm7");
}

TEST(reset_state_is_the_manuals)
{
	uint16_t control;
	uint32_t sse;

	begin();
	load();
	control = fpu_control();
	sse = mxcsr();
	put();
	CHECK_EQ(control, 0x40);
	CHECK_EQ(sse, 0x1f80);
	CHECK_EQ(context_xcr0(vcpu), 1);
	end();
}

TEST(registers_survive_while_others_run)
{
	uint64_t first, second, again;
	struct vcpu *other;

	begin();
	other = fake_vm_vcpu(vm, 1);
	load();
	first = read_xmm7();
	write_xmm7(0x1111);
	put();
	write_xmm7(0x2222);
	os_run_begin();
	context_load(other);
	second = read_xmm7();
	write_xmm7(0x3333);
	context_put(other);
	os_run_end();
	load();
	again = read_xmm7();
	put();
	CHECK_EQ(first, 0);
	CHECK_EQ(second, 0);
	CHECK_EQ(again, 0x1111);
	end();
}

TEST(init_keeps_the_fpu_and_reset_does_not)
{
	uint64_t after_init, after_reset;

	begin();
	load();
	write_xmm7(0x77);
	context_set_xcr0(vcpu, 7);
	put();
	context_reset(vcpu, true);
	CHECK_EQ(context_xcr0(vcpu), 7);
	load();
	after_init = read_xmm7();
	put();
	context_reset(vcpu, false);
	CHECK_EQ(context_xcr0(vcpu), 1);
	load();
	after_reset = read_xmm7();
	put();
	CHECK_EQ(after_init, 0x77);
	CHECK_EQ(after_reset, 0);
	end();
}

TEST(processes_registers_are_kept_for_them)
{
	uint16_t control = fpu_control();
	uint32_t sse = mxcsr();

	begin();
	load();
	put();
	CHECK_EQ(fpu_control(), control);
	CHECK_EQ(mxcsr(), sse);
	end();
}

/* --- XCR0 ----------------------------------------------------------------- */

TEST(xcr0_is_the_guests_while_loaded)
{
	begin();
	load();
	CHECK_EQ(os_xgetbv(0), 1);
	context_set_xcr0(vcpu, 7);
	CHECK_EQ(os_xgetbv(0), 7);
	put();
	CHECK_EQ(os_xgetbv(0), 7);
	CHECK_EQ(context_xcr0(vcpu), 7);
	context_set_xcr0(vcpu, 3);
	CHECK_EQ(os_xgetbv(0), 7);
	load();
	CHECK_EQ(os_xgetbv(0), 3);
	put();
	CHECK_EQ(os_xgetbv(0), 7);
	end();
}

TEST(xcr0_set_behind_our_back_is_read_and_limited)
{
	begin();
	load();
	os_xsetbv(0, 3);
	put();
	CHECK_EQ(context_xcr0(vcpu), 3);
	load();
	os_xsetbv(0, 0x21f);
	CHECK_EQ(context_xcr0(vcpu), 0x21f);
	put();
	CHECK_EQ(context_xcr0(vcpu), 7);
	CHECK_EQ(os_xgetbv(0), 7);
	end();
}

TEST(host_without_xsave)
{
	const uint32_t leaf1[4] = { 0x00800f12, 0x00000800, 0x00802009, 0x178bfbff };
	uint64_t value;

	os_user_set_cpuid(1, 0, leaf1);
	os_user_cpu(0)->xcr0 = 0;
	begin();
	CHECK_EQ(vcpu->context->components, 0);
	load();
	write_xmm7(0x99);
	put();
	write_xmm7(0);
	load();
	value = read_xmm7();
	put();
	CHECK_EQ(value, 0x99);
	CHECK_EQ(os_xgetbv(0), 0);
	end();
}

/* --- debug registers ------------------------------------------------------ */

static void set_host_breakpoint(void)
{
	for (unsigned int i = 0; i < 4; i++)
		os_write_dr(i, 0xc000 + i);
	os_write_dr(7, 0x401);
}

TEST(unused_debug_registers_stay_the_hosts)
{
	set_host_breakpoint();
	begin();
	context_set_dr(vcpu, 1, 0x1234);
	load();
	CHECK(!context_dr_owned(vcpu));
	CHECK_EQ(os_read_dr(1), 0xc001);
	os_write_dr(7, REG_DR7_RESET); /* as an exit does */
	put();
	CHECK_EQ(os_read_dr(7), 0x401);
	CHECK_EQ(context_dr(vcpu, 1), 0x1234);
	end();
}

TEST(debug_registers_on_first_use)
{
	set_host_breakpoint();
	begin();
	context_set_dr(vcpu, 2, 0x5678);
	load();
	context_own_dr(vcpu);
	CHECK(context_dr_owned(vcpu));
	CHECK_EQ(os_read_dr(2), 0x5678);
	CHECK_EQ(os_read_dr(7) & REG_DR7_ENABLES, 0);
	os_write_dr(3, 0x9abc); /* the guest's doing */
	CHECK_EQ(context_dr(vcpu, 3), 0x9abc);
	os_write_dr(6, 0xffff4ff0);
	put();
	CHECK(!context_dr_owned(vcpu));
	CHECK_EQ(context_dr(vcpu, 3), 0x9abc);
	for (unsigned int i = 0; i < 4; i++)
		CHECK_EQ(os_read_dr(i), 0xc000 + i);
	CHECK_EQ(os_read_dr(7), 0x401);
	CHECK_EQ(os_read_dr(6), REG_DR6_RESET);
	end();
}

TEST(guest_with_a_breakpoint_owns_them_at_once)
{
	begin();
	context_set_dr(vcpu, 0, 0x4000);
	fake_vcpu(vcpu)->reg[VM_REG_GUEST_DR7] = 0x402;
	load();
	CHECK(context_dr_owned(vcpu));
	CHECK_EQ(os_read_dr(0), 0x4000);
	put();
	end();
}

TEST(reset_and_init_clear_debug_addresses)
{
	begin();
	context_set_dr(vcpu, 0, 0x4000);
	context_reset(vcpu, true);
	CHECK_EQ(context_dr(vcpu, 0), 0);
	end();
}

/* --- MSRs ------------------------------------------------------------------ */

TEST(tsc_aux_is_swapped)
{
	os_user_set_msr(MSRN_TSC_AUX, HOST_AUX);
	begin();
	context_set_tsc_aux(vcpu, 7);
	CHECK_EQ(os_rdmsr(MSRN_TSC_AUX), HOST_AUX);
	load();
	CHECK_EQ(os_rdmsr(MSRN_TSC_AUX), 7);
	context_set_tsc_aux(vcpu, 8);
	CHECK_EQ(os_rdmsr(MSRN_TSC_AUX), 8);
	put();
	CHECK_EQ(os_rdmsr(MSRN_TSC_AUX), HOST_AUX);
	end();
}

TEST(tsc_aux_of_each_cpu)
{
	begin();
	os_user_move_to_cpu(0);
	os_wrmsr(MSRN_TSC_AUX, HOST_AUX);
	load();
	put();
	os_user_move_to_cpu(1);
	os_wrmsr(MSRN_TSC_AUX, HOST_AUX + 1);
	load();
	put();
	CHECK_EQ(os_rdmsr(MSRN_TSC_AUX), HOST_AUX + 1);
	os_user_move_to_cpu(0);
	load();
	put();
	CHECK_EQ(os_rdmsr(MSRN_TSC_AUX), HOST_AUX);
	end();
}

TEST(spec_ctrl_only_inside_the_guest)
{
	const struct os_mitigations allow = { .spec_ctrl = true };
	const uint32_t ext8[4] = { 0x3030, 1u << 14 | 1u << 24 };

	os_user_set_mitigations(&allow);
	os_user_set_cpuid(0x80000008, 0, ext8);
	os_user_set_msr(MSRN_SPEC_CTRL, 1);
	begin();
	context_set_spec_ctrl(vcpu, 4);
	load();
	CHECK_EQ(os_rdmsr(MSRN_SPEC_CTRL), 1);
	context_enter(vcpu);
	CHECK_EQ(os_rdmsr(MSRN_SPEC_CTRL), 4);
	/* What brings the host's back is switch.S. */
	CHECK_EQ(vcpu->switch_flags, X86_SWITCH_HOST_SPEC_CTRL);
	CHECK_EQ(vcpu->host_spec_ctrl, 1);
	context_set_spec_ctrl(vcpu, 1);
	CHECK_EQ(vcpu->switch_flags, 0);
	put();
	end();
}

TEST(ibrs_of_the_first_kind_is_written_after_every_exit)
{
	const struct os_mitigations legacy = { .spec_ctrl = true, .kernel_ibrs = true };

	os_user_set_mitigations(&legacy);
	os_user_set_msr(MSRN_SPEC_CTRL, MSRN_SPEC_CTRL_IBRS);
	/* A guest that does not have the MSR is not slowed down by the host's. */
	begin();
	load();
	CHECK_EQ(vcpu->switch_flags, X86_SWITCH_HOST_SPEC_CTRL);
	CHECK_EQ(vcpu->host_spec_ctrl, MSRN_SPEC_CTRL_IBRS);
	context_enter(vcpu);
	CHECK_EQ(os_rdmsr(MSRN_SPEC_CTRL), 0);
	/* Nor is the write left out where guest and host agree. */
	context_set_spec_ctrl(vcpu, MSRN_SPEC_CTRL_IBRS);
	CHECK_EQ(vcpu->switch_flags, X86_SWITCH_HOST_SPEC_CTRL);
	put();
	end();
}

TEST(buffers_are_cleared_for_vms_with_devices)
{
	const struct os_mitigations stale = { .clear_cpu_buffers_for_devices = true };
	struct ppt_device *device = (struct ppt_device *)&stale; /* not looked into */

	os_user_set_mitigations(&stale);
	begin();
	load();
	CHECK_EQ(vcpu->switch_flags, 0);
	put();
	vcpu->vm->ppt = device;
	load();
	CHECK_EQ(vcpu->switch_flags, X86_SWITCH_CLEAR_BUFFERS);
	put();
	vcpu->vm->ppt = NULL;
	end();
}

TEST(a_guest_of_amd_does_not_run_on_the_hosts_xss_and_debugctl)
{
	const uint32_t xsaves[4] = { 1u << 3 };

	os_user_set_cpuid(0xd, 1, xsaves);
	os_user_set_msr(MSRN_XSS, 1ull << 11);
	os_user_set_msr(MSRN_DEBUGCTL, 1ull << 2);
	begin();
	load();
	CHECK_EQ(os_rdmsr(MSRN_XSS), 0);
	CHECK_EQ(os_rdmsr(MSRN_DEBUGCTL), 0);
	put();
	CHECK_EQ(os_rdmsr(MSRN_XSS), 1ull << 11);
	CHECK_EQ(os_rdmsr(MSRN_DEBUGCTL), 1ull << 2);
	end();
}

TEST(no_program_runs_on_what_a_guest_taught_the_predictors)
{
	const struct os_mitigations careful = { .ibpb_before_user = true };

	begin();
	load();
	put();
	CHECK_EQ(os_user_barriers_before_user(), 0);
	os_user_set_mitigations(&careful);
	load();
	CHECK_EQ(os_user_barriers_before_user(), 0);
	put();
	CHECK_EQ(os_user_barriers_before_user(), 1);
	end();
}

TEST(no_spec_ctrl_no_writes)
{
	uint64_t value;

	begin();
	load();
	context_enter(vcpu);
	CHECK_EQ(vcpu->switch_flags, 0);
	put();
	CHECK_EQ(os_rdmsr_safe(MSRN_SPEC_CTRL, &value), -EIO);
	end();
}

/* Was there a barrier since the last call? */
static bool had_barrier(void)
{
	bool had = os_rdmsr(MSRN_PRED_CMD) == 1;

	os_wrmsr(MSRN_PRED_CMD, 0);
	return had;
}

TEST(barrier_when_another_vcpu_ran)
{
	const struct os_mitigations careful = { .ibpb = true };
	struct vm *other = NULL;
	struct vcpu *others;

	os_user_set_mitigations(&careful);
	begin();
	load();
	put();
	CHECK(had_barrier());
	load();
	put();
	CHECK(!had_barrier());

	REQUIRE(vm_create("other", 2, &other) == 0);
	/* Of the same VM the second, too. */
	for (int i = 0; i < 2; i++) {
		others = fake_vm_vcpu(other, i);
		os_run_begin();
		context_load(others);
		context_put(others);
		os_run_end();
		CHECK(had_barrier());
	}
	load();
	put();
	CHECK(had_barrier());
	/* On a CPU where neither has run. */
	os_user_move_to_cpu(1);
	load();
	put();
	CHECK(had_barrier());
	os_user_move_to_cpu(0);
	vm_put(other);
	end();
}

TEST(barrier_for_a_vcpu_at_a_known_address)
{
	const struct os_mitigations careful = { .ibpb = true };

	os_user_set_mitigations(&careful);
	begin();
	load();
	put();
	CHECK(had_barrier());
	/* The vCPU goes: whoever has the address next is not it. */
	context_destroy(vcpu);
	REQUIRE(context_create(vcpu) == 0);
	load();
	put();
	CHECK(had_barrier());
	end();
}

TEST(no_memory_no_context)
{
	struct vcpu *next = NULL;

	begin();
	for (unsigned int n = 1; n < 8; n++) {
		int error;

		os_user_fail_alloc(n);
		error = vm_vcpu_create(vm, (int)n, &next);
		CHECK(error == 0 || error == -ENOMEM);
	}
	os_user_fail_alloc(0);
	end();
}
