// SPDX-License-Identifier: BSD-2-Clause
/*
 * Events on the Intel back end: what goes in and how, what an exit interrupted, NMIs,
 * windows, and what a debugger asks for.
 */
#include "vmx_vm.h"

#include "dev/lapic.h"
#include "x86/cpu/context.h"
#include "vm/regs.h"

#define EXCEPTION(vector) INTINFO(VM_INTINFO_HWEXCEPTION, vector)
#define WITH_CODE(code)	  (VM_INTINFO_DEL_ERRCODE | (uint64_t)(code) << 32)

/* --- injection ------------------------------------------------------------ */

/* One entry with the event. */
static void inject(struct vcpu *vcpu, uint64_t intinfo)
{
	os_irq_disable();
	vmx_backend.inject(vcpu, intinfo);
	vmx_backend.enter(vcpu);
	os_irq_enable();
}

TEST_BOTH(injection_is_for_one_entry)
{
	struct vcpu *vcpu = vmx_start();

	vcpu->rflags |= REG_RFLAGS_IF;
	vmx_begin(vcpu);
	inject(vcpu, INTINFO(VM_INTINFO_HWINTR, 0x41));
	CHECK_EQ(seen(VMCS_ENTRY_INTR_INFO), INTINFO(VM_INTINFO_HWINTR, 0x41));
	vmx_entry(vcpu);
	CHECK(!(seen(VMCS_ENTRY_INTR_INFO) & VM_INTINFO_VALID));
	vmx_end(vcpu);
	vmx_stop();
}

/*
 * Which exceptions push an error code is the processor's to say, and no entry is made
 * that says otherwise (SDM vol. 3, 26.2.1.3). In real mode none does.
 */
TEST_BOTH(error_codes_are_as_the_vector_has_them)
{
	static const struct {
		uint64_t intinfo;
		uint64_t protected, code; /* what goes in in protected mode */
	} rows[] = {
		{ EXCEPTION(VECTOR_PF) | WITH_CODE(6), EXCEPTION(VECTOR_PF) | WITH_CODE(0), 6 },
		{ EXCEPTION(VECTOR_DF) | WITH_CODE(0), EXCEPTION(VECTOR_DF) | WITH_CODE(0), 0 },
		{ EXCEPTION(VECTOR_AC) | WITH_CODE(0), EXCEPTION(VECTOR_AC) | WITH_CODE(0), 0 },
		{ EXCEPTION(VECTOR_TS) | WITH_CODE(0x18), EXCEPTION(VECTOR_TS) | WITH_CODE(0),
		  0x18 },
		{ EXCEPTION(VECTOR_UD), EXCEPTION(VECTOR_UD), 0 },
		/* Userspace may inject these. */
		{ EXCEPTION(VECTOR_GP), EXCEPTION(VECTOR_GP) | WITH_CODE(0), 0 },
		{ EXCEPTION(VECTOR_UD) | WITH_CODE(7), EXCEPTION(VECTOR_UD), 0 },
		{ EXCEPTION(VECTOR_GP) | WITH_CODE(0x12340008), EXCEPTION(VECTOR_GP) | WITH_CODE(0),
		  8 },
	};
	struct vcpu *vcpu = vmx_start();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		vmx_put_reg(vcpu, VM_REG_GUEST_CR0, REG_CR0_ET);
		vmx_begin(vcpu);
		inject(vcpu, rows[i].intinfo);
		CHECK_EQ_AT(seen(VMCS_ENTRY_INTR_INFO),
			    (uint32_t)rows[i].intinfo & ~VM_INTINFO_DEL_ERRCODE, "row %zu", i);
		vmx_put_reg(vcpu, VM_REG_GUEST_CR0, REG_CR0_ET | REG_CR0_PE);
		inject(vcpu, rows[i].intinfo);
		CHECK_EQ_AT(seen(VMCS_ENTRY_INTR_INFO), rows[i].protected, "row %zu", i);
		if (rows[i].protected & VM_INTINFO_DEL_ERRCODE)
			CHECK_EQ_AT(seen(VMCS_ENTRY_ERROR_CODE), rows[i].code, "row %zu", i);
		vmx_end(vcpu);
	}
	vmx_stop();
}

/* What is pushed is RIP and the length: RIP as it is, is meant. */
TEST(a_software_interrupt_returns_to_rip)
{
	struct vcpu *vcpu = vmx_start();

	vmx_protected_mode(vcpu);
	vmx_begin(vcpu);
	inject(vcpu, INTINFO(VM_INTINFO_SWINTR, 0x80));
	CHECK_EQ(seen(VMCS_GUEST_RIP) + seen(VMCS_ENTRY_LENGTH), 0x1000);
	CHECK_EQ(seen(VMCS_ENTRY_INTR_INFO), INTINFO(VM_INTINFO_SWINTR, 0x80));
	vmx_end(vcpu);
	vmx_stop();
}

/* --- deliveries that an exit interrupted ---------------------------------- */

TEST_BOTH(interrupted_deliveries_are_kept_unless_the_instruction_repeats_them)
{
	static const struct {
		uint32_t info, code;
		uint64_t kept;
	} rows[] = {
		{ 0x41, 0, 0 }, /* not valid: junk */
		{ INTINFO(VM_INTINFO_HWINTR, 0x41), 0, INTINFO(VM_INTINFO_HWINTR, 0x41) },
		{ INTINFO(VM_INTINFO_NMI, 2), 0, INTINFO(VM_INTINFO_NMI, 2) },
		{ INTINFO(VM_INTINFO_SWINTR, 0x80), 0, 0 },
		{ INTINFO(INTR_TYPE_SOFTWARE, VECTOR_BP), 0, 0 },
		{ INTINFO(INTR_TYPE_SOFTWARE, VECTOR_OF), 0, 0 },
		{ INTINFO(INTR_TYPE_PRIVILEGED, VECTOR_DB), 0, 0 },
		{ EXCEPTION(VECTOR_PF) | VM_INTINFO_DEL_ERRCODE, 2,
		  EXCEPTION(VECTOR_PF) | WITH_CODE(2) },
		{ EXCEPTION(VECTOR_UD), 7, EXCEPTION(VECTOR_UD) },
		/* Bit 12 is undefined here. */
		{ EXCEPTION(VECTOR_UD) | 0x1000, 0, EXCEPTION(VECTOR_UD) },
	};
	struct vcpu *vcpu = vmx_start();

	vmx_begin(vcpu);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		vcpu->exitintinfo = 0;
		(void)vmx_requests(vcpu);
		processor.vectoring = rows[i].info;
		processor.vectoring_error = rows[i].code;
		vmx_entry(vcpu);
		CHECK_EQ_AT(vcpu->exitintinfo, rows[i].kept, "row %zu", i);
		CHECK_EQ(vmx_requests(vcpu), rows[i].kept ? VCPU_REQ_EVENT : 0);
	}
	vmx_end(vcpu);
	vmx_stop();
}

/* --- NMIs ----------------------------------------------------------------- */

TEST_BOTH(the_processor_blocks_nmis)
{
	struct vcpu *vcpu = vmx_start();

	vmx_begin(vcpu);
	CHECK(!vcpu_nmi_blocked(vcpu));
	inject(vcpu, INTINFO(VM_INTINFO_NMI, 2));
	CHECK(vcpu_nmi_blocked(vcpu));
	vmx_entry(vcpu);
	CHECK_EQ(seen(VMCS_GUEST_INTERRUPTIBILITY), BLOCKING_NMI);
	vcpu_set_nmi_blocked(vcpu, false);
	vmx_entry(vcpu);
	CHECK_EQ(seen(VMCS_GUEST_INTERRUPTIBILITY), 0);
	vmx_end(vcpu);
	vmx_stop();
}

static void guest_leaves_blocking(struct vcpu *vcpu)
{
	(void)vcpu;
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_NMI);
}

/* VMX_QUIRK_NMI_BLOCKING_STAYS: what another guest has left on the CPU blocks nothing. */
TEST_BOTH(blocking_without_an_nmi_is_none)
{
	struct vcpu *vcpu = vmx_start();

	vmx_begin(vcpu);
	processor.guest = guest_leaves_blocking;
	vmx_entry(vcpu);
	processor.guest = NULL;
	CHECK(!vcpu_nmi_blocked(vcpu));
	inject(vcpu, INTINFO(VM_INTINFO_NMI, 2));
	CHECK(vcpu_nmi_blocked(vcpu));
	vmx_end(vcpu);
	vmx_stop();
}

TEST(an_nmi_that_did_not_get_in_blocks_none)
{
	struct vcpu *vcpu = vmx_start();

	vmx_begin(vcpu);
	processor.vectoring = INTINFO(VM_INTINFO_NMI, 2);
	inject(vcpu, INTINFO(VM_INTINFO_NMI, 2));
	CHECK(!vcpu_nmi_blocked(vcpu));
	CHECK_EQ(vcpu->exitintinfo, INTINFO(VM_INTINFO_NMI, 2));
	processor.vectoring = 0;
	inject(vcpu, vcpu->exitintinfo);
	CHECK(vcpu_nmi_blocked(vcpu));
	vmx_end(vcpu);
	vmx_stop();
}

/* An IRET that faults has ended the blocking already (SDM vol. 3, 27.2.3 and 27.2.1). */
TEST_BOTH(an_iret_that_faults_has_unblocked_too_early)
{
	static const struct {
		uint32_t reason, intr_info;
		uint64_t qualification;
		uint32_t vectoring;
		bool blocked;
	} rows[] = {
		{ VMX_EXIT_EXCEPTION_OR_NMI, EXCEPTION(VECTOR_AC), 0, 0, false },
		{ VMX_EXIT_EXCEPTION_OR_NMI, EXCEPTION(VECTOR_AC) | 0x1000, 0, 0, true },
		{ VMX_EXIT_EXCEPTION_OR_NMI, EXCEPTION(VECTOR_DF) | 0x1000, 0, 0, false },
		{ VMX_EXIT_EXCEPTION_OR_NMI, EXCEPTION(VECTOR_AC) | 0x1000, 0, EXCEPTION(VECTOR_PF),
		  false },
		{ VMX_EXIT_EPT_VIOLATION, 0, EPT_QUALIFICATION_READ, 0, false },
		{ VMX_EXIT_EPT_VIOLATION, 0, EPT_QUALIFICATION_READ | 0x1000, 0, true },
		{ VMX_EXIT_EPT_VIOLATION, 0, EPT_QUALIFICATION_READ | 0x1000,
		  INTINFO(VM_INTINFO_HWINTR, 0x41), false },
	};
	struct vcpu *vcpu = vmx_start();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		vcpu_reset(vcpu, false);
		processor.reason = rows[i].reason;
		processor.intr_info = rows[i].intr_info;
		processor.qualification = rows[i].qualification;
		processor.vectoring = rows[i].vectoring;
		(void)vmx_turn(vcpu);
		CHECK_EQ_AT(vcpu_nmi_blocked(vcpu), rows[i].blocked, "row %zu", i);
	}
	vmx_stop();
}

TEST(nmis_and_machine_checks_of_the_host_are_the_hosts)
{
	struct vcpu *vcpu = vmx_start();

	processor.reason = VMX_EXIT_EXCEPTION_OR_NMI;
	processor.intr_info = INTINFO(VM_INTINFO_NMI, VECTOR_NMI);
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(os_user_host_nmis(), 1);
	processor.intr_info = EXCEPTION(VECTOR_MC);
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(os_user_host_nmis(), 1);
	CHECK_EQ(os_user_host_machine_checks(), 1);
	CHECK_EQ(vcpu->exception, 0);
	vmx_stop();
}

/* The host's #MC came while guest state was being loaded (SDM vol. 3, 26.9). */
TEST(a_machine_check_at_an_entry_is_the_hosts)
{
	struct vcpu *vcpu = vmx_start();

	processor.reason = EXIT_REASON_ENTRY_FAILED | VMX_EXIT_MACHINE_CHECK;
	CHECK_EQ(vmx_turn(vcpu), EXIT_USERSPACE);
	CHECK_EQ(os_user_host_machine_checks(), 1);
	vmx_stop();
}

/* --- windows -------------------------------------------------------------- */

static uint64_t windows(void)
{
	return seen(VMCS_PRIMARY_CONTROLS) & (PRIMARY_INTERRUPT_WINDOW | PRIMARY_NMI_WINDOW);
}

TEST_BOTH(windows_are_open_until_they_are_found)
{
	struct vcpu *vcpu = vmx_start();

	vmx_begin(vcpu);
	vmx_entry(vcpu);
	CHECK_EQ(windows(), 0);
	vmx_backend.request_window(vcpu, WINDOW_INTERRUPT | WINDOW_NMI, 0);
	processor.reason = VMX_EXIT_INTERRUPT_WINDOW;
	CHECK_EQ(vmx_entry_and_exit(vcpu), EXIT_RESUME);
	CHECK_EQ(windows(), PRIMARY_INTERRUPT_WINDOW | PRIMARY_NMI_WINDOW);
	CHECK_EQ(vmx_requests(vcpu), VCPU_REQ_EVENT);
	processor.reason = VMX_EXIT_NMI_WINDOW;
	CHECK_EQ(vmx_entry_and_exit(vcpu), EXIT_RESUME);
	CHECK_EQ(windows(), PRIMARY_NMI_WINDOW);
	CHECK_EQ(vmx_requests(vcpu), VCPU_REQ_EVENT);
	vmx_entry(vcpu);
	CHECK_EQ(windows(), 0);
	vmx_end(vcpu);
	vmx_stop();
}

TEST(a_reset_closes_windows)
{
	struct vcpu *vcpu = vmx_start();

	vmx_backend.request_window(vcpu, WINDOW_INTERRUPT | WINDOW_NMI, 0);
	vcpu_reset(vcpu, true);
	vmx_turn(vcpu);
	CHECK_EQ(windows(), 0);
	vmx_stop();
}

/* Below the TPR's class the window would open for nothing, again and again. */
TEST(an_interrupt_below_the_tpr_waits_for_the_threshold)
{
	struct vcpu *vcpu;

	vmx_disable_features = VMX_OPTION_APICV;
	vcpu = vmx_start();
	vmx_put_reg(vcpu, VM_REG_GUEST_TPR, 6);
	vmx_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	processor.reason = VMX_EXIT_TPR_THRESHOLD;
	(void)vmx_requests(vcpu);
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(windows(), 0);
	CHECK_EQ(seen(VMCS_TPR_THRESHOLD), 6);
	CHECK_EQ(vmx_requests(vcpu), VCPU_REQ_EVENT);
	processor.reason = VMX_EXIT_EXTERNAL_INTERRUPT;
	vmx_turn(vcpu);
	CHECK_EQ(seen(VMCS_TPR_THRESHOLD), 0);
	/* Above it, or for the 8259's, which knows no priority. */
	vmx_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x71);
	vmx_turn(vcpu);
	CHECK_EQ(windows(), PRIMARY_INTERRUPT_WINDOW);
	CHECK_EQ(seen(VMCS_TPR_THRESHOLD), 0);
	vcpu_reset(vcpu, true);
	vmx_put_reg(vcpu, VM_REG_GUEST_TPR, 15);
	vmx_backend.request_window(vcpu, WINDOW_INTERRUPT, 0);
	vmx_turn(vcpu);
	CHECK_EQ(windows(), PRIMARY_INTERRUPT_WINDOW);
	vmx_stop();
}

/* No entry is made with a TPR below the threshold, the played processor sees to that. */
TEST(a_tpr_that_is_lowered_by_us_ends_the_wait)
{
	struct vcpu *vcpu;

	vmx_disable_features = VMX_OPTION_APICV;
	vcpu = vmx_start();
	vmx_put_reg(vcpu, VM_REG_GUEST_TPR, 6);
	vmx_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	vmx_turn(vcpu);
	(void)vmx_requests(vcpu);
	vmx_put_reg(vcpu, VM_REG_GUEST_TPR, 2);
	CHECK_EQ(vmx_requests(vcpu), VCPU_REQ_EVENT);
	vmx_turn(vcpu);
	CHECK_EQ(seen(VMCS_TPR_THRESHOLD), 0);
	vmx_stop();
}

/* Without a TPR shadow each write of CR8 exits anyway. */
TEST(without_a_tpr_shadow_cr8_is_watched)
{
	struct vcpu *vcpu;

	vmx_disable_features = VMX_OPTION_TPR_SHADOW;
	vcpu = vmx_start();
	vmx_long_mode(vcpu);
	vmx_put_reg(vcpu, VM_REG_GUEST_TPR, 6);
	vmx_backend.request_window(vcpu, WINDOW_INTERRUPT, 0x61);
	processor.reason = VMX_EXIT_CR_ACCESS;
	processor.qualification = 8 | CR_TYPE_MOV_TO << 4 | GPR_RBX << 8;
	processor.length = 4;
	vcpu->gpr[GPR_RBX] = 2;
	(void)vmx_requests(vcpu);
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(windows(), 0);
	CHECK(vmx_requests(vcpu) & VCPU_REQ_EVENT);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_TPR), 2);
	CHECK_EQ(vcpu->rip, 0x1004);
	vmx_stop();
}

/* --- #DB ------------------------------------------------------------------ */

/* The exit has changed neither DR6 nor DR7 (SDM vol. 3, 27.1). */
TEST_BOTH(debug_exceptions_set_their_registers)
{
	struct vcpu *vcpu = vmx_start();

	vmx_put_reg(vcpu, VM_REG_GUEST_DR6, 0xffff4ff1);
	vmx_put_reg(vcpu, VM_REG_GUEST_DR7, REG_DR7_GD | 0x400);
	processor.reason = VMX_EXIT_EXCEPTION_OR_NMI;
	processor.intr_info = EXCEPTION(VECTOR_DB);
	processor.qualification = REG_DR6_BD | 2;
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->exception, EXCEPTION(VECTOR_DB));
	/* BS is sticky, the breakpoints are not. */
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_DR6), 0xffff0ff0 | REG_DR6_BS | REG_DR6_BD | 2);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_DR7), 0x400);
	CHECK_EQ(vcpu->rip, 0xfff0);
	vmx_stop();
}

TEST(debug_exceptions_of_an_owner_of_the_registers)
{
	struct vcpu *vcpu = vmx_start();

	vmx_put_reg(vcpu, VM_REG_GUEST_DR7, 0x401);
	processor.reason = VMX_EXIT_EXCEPTION_OR_NMI;
	processor.intr_info = EXCEPTION(VECTOR_DB);
	processor.qualification = 1;
	vmx_begin(vcpu);
	CHECK(context_dr_owned(vcpu));
	CHECK_EQ(vmx_entry_and_exit(vcpu), EXIT_RESUME);
	CHECK_EQ(os_read_dr(6), 0xffff0ff1);
	vmx_end(vcpu);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_DR6), 0xffff0ff1);
	vmx_stop();
}

/*
 * INT1 is a trap that no register tells of: RIP is at the instruction when it exits (27.3.3),
 * behind it when the guest is to have its exception.
 */
TEST_BOTH(int1_goes_on_behind_itself)
{
	struct vcpu *vcpu = vmx_start();

	vmx_protected_mode(vcpu);
	vmx_put_reg(vcpu, VM_REG_GUEST_DR6, 0xffff0ff3);
	processor.reason = VMX_EXIT_EXCEPTION_OR_NMI;
	processor.intr_info = INTINFO(INTR_TYPE_PRIVILEGED, VECTOR_DB);
	processor.length = 1;
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->exception, EXCEPTION(VECTOR_DB));
	CHECK_EQ(vcpu->rip, 0x1001);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_DR6), 0xffff0ff3);
	vmx_stop();
}

static void guest_steps(struct vcpu *vcpu)
{
	(void)vcpu;
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, PENDING_DEBUG_BS);
	vmcs_write(VMCS_GUEST_RFLAGS, REG_RFLAGS_FIXED1 | REG_RFLAGS_TF);
}

static void guest_steps_in_shadow(struct vcpu *vcpu)
{
	guest_steps(vcpu);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_MOV_SS);
}

/* The trap of TF comes behind an instruction, not before one that has done nothing yet. */
TEST_BOTH(a_trap_before_its_instruction_is_none)
{
	static const struct {
		uint32_t reason;
		void (*guest)(struct vcpu *vcpu);
		uint64_t pending;
	} rows[] = {
		{ VMX_EXIT_MOV_DR, guest_steps, 0 },
		{ VMX_EXIT_MOV_DR, guest_steps_in_shadow, PENDING_DEBUG_BS },
		{ VMX_EXIT_EXTERNAL_INTERRUPT, guest_steps, PENDING_DEBUG_BS },
	};
	struct vcpu *vcpu = vmx_start();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		vcpu_reset(vcpu, false);
		vmx_begin(vcpu);
		processor.reason = rows[i].reason;
		processor.guest = rows[i].guest;
		CHECK_EQ(vmx_entry_and_exit(vcpu), EXIT_RESUME);
		processor.guest = NULL;
		vmx_entry(vcpu);
		CHECK_EQ_AT(seen(VMCS_GUEST_PENDING_DEBUG), rows[i].pending, "row %zu", i);
		vmx_end(vcpu);
	}
	vmx_stop();
}

/* --- capabilities --------------------------------------------------------- */

static bool traps(struct vcpu *vcpu)
{
	vmx_turn(vcpu);
	return seen(VMCS_PRIMARY_CONTROLS) & PRIMARY_MONITOR_TRAP;
}

TEST(two_may_ask_for_single_steps)
{
	struct vcpu *vcpu = vmx_start();

	CHECK(!traps(vcpu));
	CHECK_EQ(vmx_backend.offers.set_capability(vcpu, VM_CAP_MTRAP_EXIT, true), 0);
	CHECK(traps(vcpu));
	CHECK_EQ(vmx_backend.offers.set_capability(vcpu, VM_CAP_RFLAGS_TF, true), 0);
	CHECK(traps(vcpu));
	CHECK_EQ(vmx_backend.offers.set_capability(vcpu, VM_CAP_RFLAGS_TF, false), 0);
	CHECK(traps(vcpu));
	CHECK_EQ(vmx_backend.offers.set_capability(vcpu, VM_CAP_MTRAP_EXIT, false), 0);
	CHECK(!traps(vcpu));
	vmx_stop();
}

TEST(steps_go_to_who_asked)
{
	struct vcpu *vcpu = vmx_start();

	processor.reason = VMX_EXIT_MONITOR_TRAP;
	CHECK_EQ(vmx_backend.offers.set_capability(vcpu, VM_CAP_MTRAP_EXIT, true), 0);
	CHECK_EQ(vmx_turn(vcpu), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_MTRAP);
	CHECK_EQ(vcpu->exit.inst_length, 0);
	vcpu->rflags |= REG_RFLAGS_TF; /* of the guest's own */
	CHECK_EQ(vmx_backend.offers.set_capability(vcpu, VM_CAP_RFLAGS_TF, true), 0);
	CHECK_EQ(vmx_turn(vcpu), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_DB);
	CHECK_EQ(vcpu->exit.u.dbg.trace_trap, 1);
	CHECK_EQ(vcpu->exit.u.dbg.tf_shadow_val, 1);
	vmx_stop();
}

TEST(without_monitor_trap_nobody_steps)
{
	struct vcpu *vcpu;

	vmx_disable_features = VMX_OPTION_MONITOR_TRAP;
	vcpu = vmx_start();
	CHECK_EQ(vmx_backend.offers.set_capability(vcpu, VM_CAP_MTRAP_EXIT, true), -ENOTSUP);
	CHECK_EQ(vmx_backend.offers.set_capability(vcpu, VM_CAP_RFLAGS_TF, true), -ENOTSUP);
	CHECK(!traps(vcpu));
	vmx_stop();
}

static bool pauses(struct vcpu *vcpu)
{
	vmx_turn(vcpu);
	return seen(VMCS_PRIMARY_CONTROLS) & PRIMARY_PAUSE;
}

TEST(pause_exits_where_vcpus_share_a_cpu)
{
	struct vcpu *vcpu = vmx_start();

	CHECK(!pauses(vcpu));
	CHECK_EQ(seen(VMCS_PLE_GAP), VMX_PAUSE_GAP);
	CHECK_EQ(seen(VMCS_PLE_WINDOW), VMX_PAUSE_WINDOW);
	CHECK_EQ(vmx_backend.offers.set_capability(vcpu, VM_CAP_PAUSE_EXIT, true), 0);
	CHECK(pauses(vcpu));
	CHECK_EQ(vmx_backend.offers.set_capability(vcpu, VM_CAP_PAUSE_EXIT, false), 0);
	CHECK(!pauses(vcpu));
	vmx_stop();

	/* Two vCPUs on one CPU that does not see spin loops itself. */
	processor_start();
	processor_forbid(MSRN_VMX_SECONDARY, SECONDARY_PAUSE_LOOP);
	os_user_set_cpus(1);
	vcpu = vmx_start_here();
	CHECK(pauses(vcpu));
	vmx_stop();
}

TEST_BOTH(breakpoints_go_to_userspace_that_asked)
{
	struct vcpu *vcpu = vmx_start();

	vmx_protected_mode(vcpu);
	vmx_turn(vcpu);
	CHECK(!(seen(VMCS_EXCEPTION_BITMAP) & BIT_ULL(VECTOR_BP)));
	CHECK_EQ(vmx_backend.offers.set_capability(vcpu, VM_CAP_BPT_EXIT, true), 0);
	processor.reason = VMX_EXIT_EXCEPTION_OR_NMI;
	processor.intr_info = INTINFO(INTR_TYPE_SOFTWARE, VECTOR_BP);
	processor.length = 1;
	CHECK_EQ(vmx_turn(vcpu), EXIT_USERSPACE);
	CHECK(seen(VMCS_EXCEPTION_BITMAP) & BIT_ULL(VECTOR_BP));
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_BPT);
	CHECK_EQ(vcpu->exit.u.bpt.inst_length, 1);
	CHECK_EQ(vcpu->rip, 0x1000);
	CHECK_EQ(vmx_backend.offers.set_capability(vcpu, VM_CAP_BPT_EXIT, false), 0);
	vmx_turn(vcpu);
	CHECK(!(seen(VMCS_EXCEPTION_BITMAP) & BIT_ULL(VECTOR_BP)));
	vmx_stop();
}

TEST(capabilities_that_every_guest_has_or_none)
{
	struct vcpu *vcpu = vmx_start();

	CHECK_EQ(vmx_backend.offers.set_capability(vcpu, VM_CAP_UNRESTRICTED_GUEST, true), 0);
	CHECK_EQ(vmx_backend.offers.set_capability(vcpu, VM_CAP_UNRESTRICTED_GUEST, false),
		 -ENOTSUP);
	CHECK_EQ(vmx_backend.offers.set_capability(vcpu, VM_CAP_ENABLE_INVPCID, true), -ENOTSUP);
	vmx_stop();
}
