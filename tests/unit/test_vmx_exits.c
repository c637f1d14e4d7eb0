// SPDX-License-Identifier: BSD-2-Clause
/* What the Intel back end makes of exits: the table of reasons, and what each reports. */
#include "vmx_vm.h"

#include "dev/lapic.h"
#include "x86/cpu/context.h"
#include "vm/regs.h"
#include "x86/emulate/emulate_state.h"

/* --- the table ------------------------------------------------------------ */

/* Reasons that are expected, by the names of their counters. */
static const struct {
	uint32_t reason;
	const char *name;
} expected[] = {
	{ VMX_EXIT_EXCEPTION_OR_NMI, "exit: exception or NMI" },
	{ VMX_EXIT_EXTERNAL_INTERRUPT, "vm exits due to external interrupt" },
	{ VMX_EXIT_TRIPLE_FAULT, "exit: triple fault" },
	{ VMX_EXIT_INIT, "exit: INIT of the host" },
	{ VMX_EXIT_INTERRUPT_WINDOW, "vm exits due to interrupt window opening" },
	{ VMX_EXIT_NMI_WINDOW, "vm exits due to nmi window opening" },
	{ VMX_EXIT_TASK_SWITCH, "exit: task switch" },
	{ VMX_EXIT_CPUID, "number of times cpuid was intercepted" },
	{ VMX_EXIT_GETSEC, "exit: GETSEC" },
	{ VMX_EXIT_HLT, "number of times hlt was intercepted" },
	{ VMX_EXIT_INVD, "exit: INVD" },
	{ VMX_EXIT_RDPMC, "exit: RDPMC" },
	{ VMX_EXIT_RSM, "exit: RSM" },
	{ VMX_EXIT_VMCALL, "exit: VMCALL" },
	{ VMX_EXIT_VMCLEAR, "exit: VMCLEAR" },
	{ VMX_EXIT_VMLAUNCH, "exit: VMLAUNCH" },
	{ VMX_EXIT_VMPTRLD, "exit: VMPTRLD" },
	{ VMX_EXIT_VMPTRST, "exit: VMPTRST" },
	{ VMX_EXIT_VMREAD, "exit: VMREAD" },
	{ VMX_EXIT_VMRESUME, "exit: VMRESUME" },
	{ VMX_EXIT_VMWRITE, "exit: VMWRITE" },
	{ VMX_EXIT_VMXOFF, "exit: VMXOFF" },
	{ VMX_EXIT_VMXON, "exit: VMXON" },
	{ VMX_EXIT_CR_ACCESS, "number of times %cr access was intercepted" },
	{ VMX_EXIT_MOV_DR, "exit: debug register" },
	{ VMX_EXIT_IO, "number of times in/out was intercepted" },
	{ VMX_EXIT_RDMSR, "number of times rdmsr was intercepted" },
	{ VMX_EXIT_WRMSR, "number of times wrmsr was intercepted" },
	{ VMX_EXIT_INVALID_STATE | EXIT_REASON_ENTRY_FAILED, "exit: invalid guest state" },
	{ VMX_EXIT_MSR_LOADING | EXIT_REASON_ENTRY_FAILED, "exit: MSR loading" },
	{ VMX_EXIT_MWAIT, "exit: MWAIT" },
	{ VMX_EXIT_MONITOR_TRAP, "number of monitor trap exits" },
	{ VMX_EXIT_MONITOR, "exit: MONITOR" },
	{ VMX_EXIT_PAUSE, "number of times pause was intercepted" },
	{ VMX_EXIT_MACHINE_CHECK | EXIT_REASON_ENTRY_FAILED, "exit: #MC at an entry" },
	{ VMX_EXIT_TPR_THRESHOLD, "exit: TPR below threshold" },
	{ VMX_EXIT_APIC_ACCESS, "exit: APIC access" },
	{ VMX_EXIT_VIRTUALIZED_EOI, "exit: EOI of a level interrupt" },
	{ VMX_EXIT_APIC_WRITE, "exit: APIC write" },
	{ VMX_EXIT_EPT_VIOLATION, "exit: nested page fault" },
	{ VMX_EXIT_EPT_MISCONFIGURATION, "exit: nested misconfiguration" },
	{ VMX_EXIT_INVEPT, "exit: INVEPT" },
	{ VMX_EXIT_PREEMPTION_TIMER, "exit: preemption timer" },
	{ VMX_EXIT_INVVPID, "exit: INVVPID" },
	{ VMX_EXIT_WBINVD, "exit: WBINVD" },
	{ VMX_EXIT_XSETBV, "exit: XSETBV" },
	{ VMX_EXIT_VMFUNC, "exit: VMFUNC" },
	{ VMX_EXIT_ENCLS, "exit: ENCLS" },
};

static bool is_expected(uint32_t basic)
{
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		if (EXIT_REASON_BASIC(expected[i].reason) == basic)
			return true;
	return false;
}

/* The only counter of exits that is not 0. */
static const char *counted(struct vcpu *vcpu)
{
	const char *name = "none";

	for (unsigned int i = STAT_COMMON; i < stats_count(); i++) {
		if (vcpu->stats[i] == 0)
			continue;
		CHECK_STR(name, "none");
		CHECK_EQ(vcpu->stats[i], 1);
		name = stats_name(i);
		vcpu->stats[i] = 0;
	}
	return name;
}

/* On the fast path, and on the slow one of exits that are traced. */
static void check_counters(struct vcpu *vcpu)
{
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		vcpu_reset(vcpu, false);
		processor.reason = expected[i].reason;
		processor.length = 2;
		processor.intr_info = INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_AC);
		(void)vmx_turn(vcpu);
		CHECK_STR(counted(vcpu), expected[i].name);
	}
}

TEST_BOTH(every_reason_has_its_counter)
{
	struct vcpu *vcpu = vmx_start();

	check_counters(vcpu);
	CHECK_EQ(os_user_exits(), 0);
	os_user_trace_exits();
	check_counters(vcpu);
	CHECK_EQ(os_user_exits(), ARRAY_SIZE(expected));
	vmx_stop();
}

TEST_BOTH(unknown_exits_go_to_userspace)
{
	struct vcpu *vcpu = vmx_start();

	vcpu->rip = 0x1234;
	processor.qualification = 0x5678;
	for (uint32_t basic = 0; basic < 200; basic++) {
		if (is_expected(basic))
			continue;
		processor.reason = basic;
		CHECK_EQ_AT(vmx_turn(vcpu), EXIT_USERSPACE, "reason %u", basic);
		CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_VMX);
		CHECK_EQ(vcpu->exit.u.vmx.exit_reason, basic);
		CHECK_EQ(vcpu->exit.u.vmx.exit_qualification, 0x5678);
		CHECK_EQ(vcpu->exit.inst_length, 0);
		CHECK(strstr(os_user_last_log(), "unexpected exit"));
		CHECK(strstr(os_user_last_log(), "rip 0x1234"));
		CHECK_STR(counted(vcpu), "number of vm exits for unknown reason");
	}
	vmx_stop();
}

TEST_BOTH(a_vmcs_that_is_refused_goes_to_userspace)
{
	struct vcpu *vcpu = vmx_start();

	processor.refuse = 8;
	CHECK_EQ(vmx_turn(vcpu), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_VMX);
	CHECK_EQ(vcpu->exit.u.vmx.exit_qualification, 8);
	CHECK(strstr(os_user_last_log(), "refuses the VMCS"));
	CHECK_STR(counted(vcpu), "exit: not entered");
	vmx_stop();
}

static void leak_host(struct vcpu *vcpu)
{
	(void)vcpu;
	vmcs_write(VMCS_GUEST_RIP, 0xffffffff81000000);
	vmcs_write(VMCS_GUEST_RSP, 0xffffc90000000000);
}

/* A failed entry saves nothing; what it leaves in the fields of exits is of an older one. */
TEST(a_failed_entry_changes_no_register)
{
	struct vcpu *vcpu = vmx_start();

	vcpu->rflags |= REG_RFLAGS_IF;
	processor.vectoring = INTINFO(VM_INTINFO_HWINTR, 0x41);
	vmx_turn(vcpu);
	vcpu->exitintinfo = 0;
	processor.guest = leak_host;
	processor.reason = EXIT_REASON_ENTRY_FAILED | VMX_EXIT_MSR_LOADING;
	vmx_begin(vcpu);
	vmx_backend.inject(vcpu, INTINFO(VM_INTINFO_HWINTR, 0x41));
	CHECK_EQ(vmx_entry_and_exit(vcpu), EXIT_USERSPACE);
	CHECK_EQ(vcpu->rip, 0xfff0);
	CHECK_EQ(vcpu->exitintinfo, 0);
	CHECK_EQ(vcpu->exit.u.vmx.exit_reason, EXIT_REASON_ENTRY_FAILED | VMX_EXIT_MSR_LOADING);
	/* The event was for that entry. */
	processor.reason = VMX_EXIT_EXTERNAL_INTERRUPT;
	processor.guest = NULL;
	vmx_entry(vcpu);
	CHECK(!(seen(VMCS_ENTRY_INTR_INFO) & VM_INTINFO_VALID));
	vmx_end(vcpu);
	vmx_stop();
}

TEST(a_misconfiguration_says_where)
{
	struct vcpu *vcpu = vmx_start();

	processor.reason = VMX_EXIT_EPT_MISCONFIGURATION;
	processor.guest_physical = 0xabc000;
	CHECK_EQ(vmx_turn(vcpu), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.u.vmx.exit_qualification, 0xabc000);
	CHECK(strstr(os_user_last_log(), "nested page table"));
	vmx_stop();
}

/* --- where the next instruction is ---------------------------------------- */

TEST_BOTH(rip_wraps_where_it_has_32_bits)
{
	struct vcpu *vcpu = vmx_start();

	processor.reason = VMX_EXIT_CPUID;
	processor.length = 2;
	vmx_protected_mode(vcpu);
	vcpu->rip = 0xffffffff;
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->rip, 1);
	vmx_long_mode(vcpu);
	vcpu->rip = 0xffffffff;
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->rip, 0x100000001);
	vmx_put_desc(vcpu, VM_REG_GUEST_CS, 0, 0xffffffff, 0xc09b);
	vcpu->rip = 0xffffffff;
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->rip, 1);
	vmx_stop();
}

TEST(an_instruction_ends_the_shadow)
{
	struct vcpu *vcpu = vmx_start();

	vmx_put_reg(vcpu, VM_REG_GUEST_INTR_SHADOW, 1);
	processor.reason = VMX_EXIT_CPUID;
	processor.length = 2;
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->rip, 0xfff2);
	vmx_turn(vcpu);
	CHECK_EQ(seen(VMCS_GUEST_INTERRUPTIBILITY), 0);
	vmx_stop();
}

/* --- control registers ---------------------------------------------------- */

static enum exit_action access_cr(struct vcpu *vcpu, uint64_t qualification)
{
	processor.reason = VMX_EXIT_CR_ACCESS;
	processor.length = 3;
	processor.qualification = qualification;
	return vmx_turn(vcpu);
}

#define CR(n, type, gpr) ((n) | (type) << 4 | (gpr) << 8)

TEST_BOTH(moves_of_control_registers)
{
	struct vcpu *vcpu = vmx_start();

	vmx_protected_mode(vcpu);
	vcpu->gpr[GPR_RDI] = REG_CR0_PE | REG_CR0_CD | REG_CR0_ET;
	CHECK_EQ(access_cr(vcpu, CR(0, CR_TYPE_MOV_TO, GPR_RDI)), EXIT_RESUME);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_CR0), REG_CR0_PE | REG_CR0_CD | REG_CR0_ET);
	CHECK_EQ(vcpu->rip, 0x1003);
	vcpu->gpr[GPR_R9] = 0;
	CHECK_EQ(access_cr(vcpu, CR(0, CR_TYPE_MOV_FROM, GPR_R9)), EXIT_RESUME);
	CHECK_EQ(vcpu->gpr[GPR_R9], REG_CR0_PE | REG_CR0_CD | REG_CR0_ET);
	vcpu->gpr[GPR_RAX] = 0x4000;
	CHECK_EQ(access_cr(vcpu, CR(3, CR_TYPE_MOV_TO, GPR_RAX)), EXIT_RESUME);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_CR3), 0x4000);
	vcpu->gpr[GPR_RAX] = REG_CR4_MCE | REG_CR4_PSE;
	CHECK_EQ(access_cr(vcpu, CR(4, CR_TYPE_MOV_TO, GPR_RAX)), EXIT_RESUME);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_CR4), REG_CR4_MCE | REG_CR4_PSE);
	CHECK_EQ(vcpu->exception, 0);
	/* What a guest must not turn on. */
	vcpu->gpr[GPR_RAX] = REG_CR4_VMXE;
	CHECK_EQ(access_cr(vcpu, CR(4, CR_TYPE_MOV_TO, GPR_RAX)), EXIT_RESUME);
	CHECK_EQ(vcpu->exception & 0xff, VECTOR_GP);
	vmx_stop();
}

TEST(lmsw_and_clts)
{
	struct vcpu *vcpu = vmx_start();

	vmx_put_reg(vcpu, VM_REG_GUEST_CR0, REG_CR0_ET);
	CHECK_EQ(access_cr(vcpu, CR_TYPE_LMSW << 4 | 0xfff9ull << 16), EXIT_RESUME);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_CR0), REG_CR0_ET | REG_CR0_PE | REG_CR0_TS);
	CHECK_EQ(access_cr(vcpu, CR_TYPE_CLTS << 4), EXIT_RESUME);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_CR0), REG_CR0_ET | REG_CR0_PE);
	vmx_stop();
}

/* --- I/O and memory ------------------------------------------------------- */

TEST_BOTH(ports_of_userspace)
{
	static const struct {
		uint64_t qualification;
		unsigned int bytes, in;
	} rows[] = { { 0, 1, 0 }, { 1, 2, 0 }, { 3 | 8, 4, 1 } };
	struct vcpu *vcpu = vmx_start();

	vcpu->gpr[GPR_RAX] = 0x11223344;
	processor.reason = VMX_EXIT_IO;
	processor.length = 1;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		processor.qualification = rows[i].qualification | 0x3f8 << 16;
		CHECK_EQ_AT(vmx_turn(vcpu), EXIT_USERSPACE, "row %zu", i);
		CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_INOUT);
		CHECK_EQ(vcpu->exit.u.inout.port, 0x3f8);
		CHECK_EQ(vcpu->exit.u.inout.bytes, rows[i].bytes);
		CHECK_EQ(vcpu->exit.u.inout.in, rows[i].in);
		CHECK_EQ(vcpu->exit.inst_length, 1);
	}
	vmx_stop();
}

TEST_BOTH(a_nested_fault_says_what_was_wanted)
{
	static const struct {
		uint64_t qualification;
		uint32_t prot;
	} rows[] = {
		{ EPT_QUALIFICATION_READ, VM_PROT_READ },
		{ EPT_QUALIFICATION_WRITE, VM_PROT_WRITE },
		{ EPT_QUALIFICATION_READ | EPT_QUALIFICATION_WRITE, VM_PROT_WRITE },
		{ EPT_QUALIFICATION_FETCH, VM_PROT_EXEC },
	};
	struct vm_memmap map = { .segid = 0, .len = 0x200000, .prot = VM_PROT_ALL };
	struct vcpu *vcpu = vmx_start();

	REQUIRE(memory_alloc_segment(vmx_vm, 0, map.len, "") == 0);
	REQUIRE(memory_map(vmx_vm, &map) == 0);
	processor.reason = VMX_EXIT_EPT_VIOLATION;
	processor.guest_physical = 0x5678;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		processor.qualification = rows[i].qualification;
		CHECK_EQ(vmx_turn(vcpu), EXIT_OUTER);
		CHECK_EQ(vcpu->fault_gpa, 0x5678);
		CHECK_EQ_AT(vcpu->fault_access, rows[i].prot, "row %zu", i);
	}
	vmx_stop();
}

/* --- instructions that guests are not shown ------------------------------- */

TEST(other_hypervisors_instructions_are_undefined)
{
	static const uint32_t reasons[] = { VMX_EXIT_GETSEC,  VMX_EXIT_RSM,	VMX_EXIT_VMCALL,
					    VMX_EXIT_VMCLEAR, VMX_EXIT_VMXON,	VMX_EXIT_VMREAD,
					    VMX_EXIT_MONITOR, VMX_EXIT_MWAIT,	VMX_EXIT_INVEPT,
					    VMX_EXIT_VMFUNC,  VMX_EXIT_INVVPID, VMX_EXIT_ENCLS };
	struct vcpu *vcpu = vmx_start();

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		vcpu->exception = 0;
		processor.reason = reasons[i];
		CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
		CHECK_EQ_AT(vcpu->exception, INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_UD),
			    "reason %u", reasons[i]);
		CHECK_EQ(vcpu->rip, 0xfff0);
	}
	vmx_stop();
}

TEST(exceptions_by_vector)
{
	struct vcpu *vcpu = vmx_start();

	processor.reason = VMX_EXIT_EXCEPTION_OR_NMI;
	processor.intr_info = INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_AC) | VM_INTINFO_DEL_ERRCODE;
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->exception,
		 INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_AC) | VM_INTINFO_DEL_ERRCODE);
	vcpu->exception = 0;
	processor.intr_info = INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_MF);
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME); /* goes out as IRQ 13 */
	CHECK_EQ(vcpu->exception, 0);
	processor.intr_info = INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_UD);
	CHECK_EQ(vmx_turn(vcpu), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_VMX);
	vmx_stop();
}

/* --- tasks ---------------------------------------------------------------- */

TEST_BOTH(task_switches_say_what_for)
{
	static const struct {
		unsigned int source;
		uint32_t vectoring, code;
		enum task_switch_reason reason;
		uint64_t intinfo;
		bool has_code;
		uint64_t next_rip;
	} rows[] = {
		{ 0, 0, 0, TSR_CALL, 0, false, 0x1005 },
		{ 1, 0, 0, TSR_IRET, 0, false, 0x1005 },
		{ 2, 0, 0, TSR_JMP, 0, false, 0x1005 },
		{ 3, INTINFO(VM_INTINFO_HWINTR, 0x41), 0, TSR_IDT_GATE,
		  INTINFO(VM_INTINFO_HWINTR, 0x41), false, 0 },
		{ 3, INTINFO(VM_INTINFO_NMI, 2), 0, TSR_IDT_GATE, INTINFO(VM_INTINFO_NMI, 2), false,
		  0 },
		{ 3, INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_DF) | VM_INTINFO_DEL_ERRCODE, 0x18,
		  TSR_IDT_GATE, INTINFO(VM_INTINFO_HWEXCEPTION, VECTOR_DF) | VM_INTINFO_DEL_ERRCODE,
		  true, 0 },
		{ 3, INTINFO(VM_INTINFO_SWINTR, 0x80), 0, TSR_IDT_GATE,
		  INTINFO(VM_INTINFO_SWINTR, 0x80), false, 0x1005 },
		{ 3, INTINFO(INTR_TYPE_SOFTWARE, VECTOR_BP), 0, TSR_IDT_GATE,
		  INTINFO(VM_INTINFO_SWINTR, VECTOR_BP), false, 0x1005 },
	};
	struct vcpu *vcpu = vmx_start();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct x86_task_switch *task = &vcpu->emulation->task;

		vmx_protected_mode(vcpu);
		processor.reason = VMX_EXIT_TASK_SWITCH;
		processor.length = 5;
		processor.qualification = (uint64_t)rows[i].source << 30 | 0x28;
		processor.vectoring = rows[i].vectoring;
		processor.vectoring_error = rows[i].code;
		CHECK_EQ_AT(vmx_turn(vcpu), EXIT_OUTER, "row %zu", i);
		CHECK_EQ(task->selector, 0x28);
		CHECK_EQ_AT(task->reason, rows[i].reason, "row %zu", i);
		CHECK_EQ_AT(task->has_error_code, rows[i].has_code, "row %zu", i);
		CHECK_EQ(task->error_code, rows[i].code);
		CHECK_EQ_AT(vcpu->next_rip, rows[i].next_rip, "row %zu", i);
		if (rows[i].reason == TSR_IDT_GATE)
			CHECK_EQ_AT(task->intinfo, rows[i].intinfo, "row %zu", i);
		/* The switch carries the delivery out. */
		CHECK_EQ(vcpu->exitintinfo, 0);
	}
	vmx_stop();
}
