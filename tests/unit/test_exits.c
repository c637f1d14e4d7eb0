// SPDX-License-Identifier: BSD-2-Clause
/* Exits of instructions, ports and memory. Others: test_control.c, test_task_switch.c. */
#include "unit.h"

#include "x86/cpu/context.h"
#include "x86/exits/exits.h"
#include "vm/regs.h"
#include "x86/emulate/skip.h"
#include "x86_guest.h"

#define FREE_PORT     0x5678 /* no device of ours */
#define PIC_MASK_PORT 0x21
#define NOT_MEMORY    0x80000000ull

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

#define CODE(...)                                                    \
	do {                                                         \
		static const uint8_t code_bytes[] = { __VA_ARGS__ }; \
		guest_code(vcpu, code_bytes, sizeof(code_bytes));    \
	} while (0)

static void set_capability(enum vm_cap_type capability)
{
	vcpu->capabilities |= 1u << capability;
}

/* --- finding the next instruction ----------------------------------------- */

TEST(reported_next_rip_is_believed)
{
	begin();
	CODE(0x90);
	vcpu->next_rip = GUEST_CODE + 7;
	CHECK_EQ(guest_exit(vcpu, x86_exit_cpuid, OP_CPUID), EXIT_RESUME);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 7);
	end();
}

TEST(unreported_next_rip_is_found)
{
	begin();
	CODE(0x66, 0x2e, 0x0f, 0xa2);
	CHECK_EQ(guest_exit(vcpu, x86_exit_cpuid, OP_CPUID), EXIT_RESUME);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 4);
	CHECK_EQ(guest_exception(vcpu), -1);
	end();
}

TEST(another_instruction_there_is_undefined)
{
	begin();
	CODE(0x0f, 0x30);
	CHECK_EQ(guest_exit(vcpu, x86_exit_cpuid, OP_CPUID), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_UD);
	CHECK_EQ(vcpu->rip, GUEST_CODE);
	CHECK_EQ(vcpu->next_rip, 0);
	end();
}

/* RDMSR and WRMSR may have one exit between them. */
TEST(either_instruction_of_a_row_is_found)
{
	static const struct exit_row row = {
		.handler = x86_exit_rdmsr,
		.needs = EXIT_NEEDS_LENGTH,
		.op = { OP_RDMSR, OP_WRMSR },
	};

	begin();
	CODE(0x0f, 0x32);
	vcpu->gpr[GPR_RCX] = MSRN_STAR;
	CHECK(!exit_row_ready(&row, vcpu));
	CHECK_EQ(exit_row_decode(&row, vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 2);
	CODE(0x2e, 0x0f, 0x30);
	CHECK_EQ(exit_row_decode(&row, vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 3);
	/* An instruction that the decoder knows by its length only is no second one. */
	CODE(0x90);
	CHECK_EQ(guest_exit(vcpu, x86_exit_rdmsr, OP_RDMSR), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_UD);
	CHECK_EQ(vcpu->rip, GUEST_CODE);
	end();
}

TEST(rip_wraps_at_32_bits)
{
	begin();
	CODE(0x0f, 0xa2);
	/* CS.base brings the code to the end of the address space of 32 bits. */
	fake_vcpu(vcpu)->desc[VM_REG_GUEST_CS].base = GUEST_CODE + 2;
	vcpu->rip = 0xfffffffe;
	CHECK_EQ(guest_exit(vcpu, x86_exit_cpuid, OP_CPUID), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), -1);
	CHECK_EQ(vcpu->rip, 0);
	end();
}

TEST(code_without_backing_is_fetched_later)
{
	begin();
	CODE(0x90);
	vcpu->rip = 0x300000;
	vcpu->next_rip = 0;
	if (!memory_hva(vm, 0x300000, VM_PROT_READ)) {
		CHECK_EQ(guest_exit(vcpu, x86_exit_cpuid, OP_CPUID), EXIT_OUTER);
		REQUIRE(vcpu->deferred != NULL);
		CHECK_EQ(vcpu->deferred(vcpu), EXIT_RESUME);
		CHECK(memory_hva(vm, 0x300000, VM_PROT_READ) != NULL);
		CHECK_EQ(guest_exception(vcpu), -1);
	}
	end();
}

TEST(the_end_of_an_instruction)
{
	begin();
	CODE(0x0f, 0xa2);
	vcpu->intr_shadow = true;
	vcpu->rflags |= REG_RFLAGS_RF;
	CHECK_EQ(guest_exit(vcpu, x86_exit_cpuid, OP_CPUID), EXIT_RESUME);
	CHECK(!vcpu->intr_shadow);
	CHECK(!(vcpu->rflags & REG_RFLAGS_RF));
	CHECK_EQ(guest_exception(vcpu), -1);
	CODE(0x0f, 0xa2);
	vcpu->rflags |= REG_RFLAGS_TF;
	CHECK_EQ(guest_exit(vcpu, x86_exit_cpuid, OP_CPUID), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_DB);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 2);
	end();
}

/* --- instructions --------------------------------------------------------- */

TEST(cpuid_clears_the_upper_halves)
{
	begin();
	CODE(0x0f, 0xa2);
	vcpu->gpr[GPR_RAX] = 0xffffffff40000000;
	vcpu->gpr[GPR_RCX] = ~0ull;
	vcpu->gpr[GPR_RBX] = ~0ull;
	vcpu->gpr[GPR_RDX] = ~0ull;
	CHECK_EQ(guest_exit(vcpu, x86_exit_cpuid, OP_CPUID), EXIT_RESUME);
	CHECK_EQ(vcpu->gpr[GPR_RAX], 0x40000000);
	CHECK_EQ(vcpu->gpr[GPR_RBX], 0x76796862); /* "bhyv" */
	CHECK_EQ(vcpu->gpr[GPR_RDX] >> 32 | vcpu->gpr[GPR_RCX] >> 32, 0);
	end();
}

TEST(msrs_by_instruction)
{
	begin();
	CODE(0x0f, 0x30, 0x0f, 0x32);
	vcpu->gpr[GPR_RCX] = 0xffffffff00000000 | MSRN_STAR;
	vcpu->gpr[GPR_RAX] = 0xaaaaaaaa11223344;
	vcpu->gpr[GPR_RDX] = 0xbbbbbbbb55667788;
	CHECK_EQ(guest_exit(vcpu, x86_exit_wrmsr, OP_WRMSR), EXIT_RESUME);
	vcpu->gpr[GPR_RAX] = vcpu->gpr[GPR_RDX] = ~0ull;
	vcpu->next_rip = 0;
	CHECK_EQ(guest_exit(vcpu, x86_exit_rdmsr, OP_RDMSR), EXIT_RESUME);
	CHECK_EQ(vcpu->gpr[GPR_RAX], 0x11223344);
	CHECK_EQ(vcpu->gpr[GPR_RDX], 0x55667788);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 4);
	end();
}

TEST(refused_msrs_are_general_protection)
{
	begin();
	CODE(0x0f, 0x32);
	vcpu->gpr[GPR_RCX] = MSRN_XSS;
	vcpu->gpr[GPR_RAX] = 5;
	CHECK_EQ(guest_exit(vcpu, x86_exit_rdmsr, OP_RDMSR), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_GP);
	CHECK_EQ(guest_error_code(vcpu), 0);
	CHECK_EQ(vcpu->rip, GUEST_CODE);
	CHECK_EQ(vcpu->gpr[GPR_RAX], 5);
	CODE(0x0f, 0x30);
	vcpu->gpr[GPR_RCX] = MSRN_XSS;
	CHECK_EQ(guest_exit(vcpu, x86_exit_wrmsr, OP_WRMSR), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_GP);
	end();
}

TEST(unknown_msrs_are_exits)
{
	begin();
	CODE(0x0f, 0x30);
	vcpu->gpr[GPR_RCX] = 0x11;
	vcpu->gpr[GPR_RAX] = 1;
	vcpu->gpr[GPR_RDX] = 2;
	CHECK_EQ(guest_exit(vcpu, x86_exit_wrmsr, OP_WRMSR), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_WRMSR);
	CHECK_EQ(vcpu->exit.u.msr.code, 0x11);
	CHECK_EQ(vcpu->exit.u.msr.wval, 0x200000001);
	CHECK_EQ(vcpu->exit.rip, GUEST_CODE);
	CHECK_EQ(vcpu->exit.inst_length, 2);
	CODE(0x0f, 0x32);
	CHECK_EQ(guest_exit(vcpu, x86_exit_rdmsr, OP_RDMSR), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_RDMSR);
	CHECK_EQ(vcpu->exit.u.msr.code, 0x11);
	end();
}

TEST(performance_counters_are_general_protection)
{
	begin();
	CODE(0x0f, 0x33);
	CHECK_EQ(x86_exit_rdpmc(vcpu), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_GP);
	CHECK_EQ(vcpu->rip, GUEST_CODE);
	end();
}

TEST(halt_waits_for_an_event)
{
	begin();
	CODE(0xf4);
	vcpu->intr_shadow = true;
	(void)fake_requests(vcpu);
	CHECK_EQ(guest_exit(vcpu, x86_exit_hlt, OP_HLT), EXIT_OUTER);
	CHECK(vcpu->halted);
	CHECK(!vcpu->intr_shadow);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 1);
	/* What came during the shadow has to be looked at before sleeping. */
	CHECK(fake_requests(vcpu) & VCPU_REQ_EVENT);
	end();
}

/* As FreeBSD's: the capability makes HLT sleep in the module. */
TEST(halt_sleeps_with_the_capability)
{
	begin();
	set_capability(VM_CAP_HALT_EXIT);
	CODE(0xf4);
	vcpu->rflags |= REG_RFLAGS_IF;
	CHECK_EQ(guest_exit(vcpu, x86_exit_hlt, OP_HLT), EXIT_OUTER);
	CHECK(vcpu->halted);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 1);
	end();
}

TEST(pause_is_an_exit_if_wanted)
{
	begin();
	set_capability(VM_CAP_PAUSE_EXIT);
	CODE(0xf3, 0x90);
	CHECK_EQ(guest_exit(vcpu, x86_exit_pause, OP_PAUSE), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_PAUSE);
	CHECK_EQ(vcpu->exit.inst_length, 2);
	end();
}

TEST(pause_gives_others_a_turn)
{
	begin();
	CODE(0xf3, 0x90);
	CHECK_EQ(guest_exit(vcpu, x86_exit_pause, OP_PAUSE), EXIT_OUTER);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 2);
	CHECK(!vcpu->halted);
	end();
}

TEST(caches_need_nothing)
{
	begin();
	CODE(0x0f, 0x08, 0x0f, 0x09);
	CHECK_EQ(guest_exit(vcpu, x86_exit_invd, OP_INVD), EXIT_RESUME);
	vcpu->next_rip = 0;
	CHECK_EQ(guest_exit(vcpu, x86_exit_wbinvd, OP_WBINVD), EXIT_RESUME);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 4);
	end();
}

static void xsetbv(uint64_t value, uint32_t index)
{
	CODE(0x0f, 0x01, 0xd1);
	fake_vcpu(vcpu)->reg[VM_REG_GUEST_CR4] = REG_CR4_OSXSAVE;
	vcpu->gpr[GPR_RAX] = (uint32_t)value;
	vcpu->gpr[GPR_RDX] = value >> 32;
	vcpu->gpr[GPR_RCX] = index;
	CHECK_EQ(guest_exit(vcpu, x86_exit_xsetbv, OP_XSETBV), EXIT_RESUME);
}

TEST(xsetbv_takes_what_is_offered)
{
	static const uint64_t bad[] = { 0, 2, 6, 5, 0xf, 0xe7, 0x207, 1ull << 63 | 7 };

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		xsetbv(bad[i], 0);
		CHECK_EQ_AT(guest_exception(vcpu), VECTOR_GP, "XCR0 %#llx",
			    (unsigned long long)bad[i]);
		CHECK_EQ(context_xcr0(vcpu), 1);
	}
	xsetbv(7, 1);
	CHECK_EQ(guest_exception(vcpu), VECTOR_GP);
	xsetbv(7, 0);
	CHECK_EQ(guest_exception(vcpu), -1);
	CHECK_EQ(context_xcr0(vcpu), 7);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 3);
	end();
}

TEST(xsetbv_needs_osxsave_and_privilege)
{
	begin();
	CODE(0x0f, 0x01, 0xd1);
	CHECK_EQ(guest_exit(vcpu, x86_exit_xsetbv, OP_XSETBV), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_UD);
	CODE(0x0f, 0x01, 0xd1);
	fake_vcpu(vcpu)->reg[VM_REG_GUEST_CR4] = REG_CR4_OSXSAVE;
	fake_vcpu(vcpu)->desc[VM_REG_GUEST_SS].access |= SEG_ACCESS_DPL;
	vcpu->gpr[GPR_RAX] = 7;
	vcpu->gpr[GPR_RDX] = vcpu->gpr[GPR_RCX] = 0;
	CHECK_EQ(guest_exit(vcpu, x86_exit_xsetbv, OP_XSETBV), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_GP);
	end();
}

TEST(hidden_instructions_are_undefined)
{
	begin();
	CODE(0x0f, 0x01, 0xd9);
	CHECK_EQ(x86_exit_hypercall(vcpu), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_UD);
	vcpu->exception = 0;
	CHECK_EQ(x86_exit_undefined(vcpu), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_UD);
	CHECK_EQ(vcpu->rip, GUEST_CODE);
	end();
}

/* SDM vol. 3, 17.3.1.1: with RF, but traps, aborts and #DB leave it as it is. */
TEST(faults_are_pushed_with_rf)
{
	static const uint8_t others[] = { VECTOR_DB, VECTOR_BP, VECTOR_OF, VECTOR_DF, VECTOR_MC };

	begin();
	CODE(0x0f, 0x32);
	CHECK_EQ(x86_exit_undefined(vcpu), EXIT_RESUME);
	CHECK(vcpu->rflags & REG_RFLAGS_RF);
	vcpu->exception = 0;
	vcpu->rflags &= ~REG_RFLAGS_RF;
	vcpu->gpr[GPR_RCX] = MSRN_XSS;
	CHECK_EQ(guest_exit(vcpu, x86_exit_rdmsr, OP_RDMSR), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_GP);
	CHECK(vcpu->rflags & REG_RFLAGS_RF);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		vcpu->exception = 0;
		vcpu->rflags = REG_RFLAGS_FIXED1;
		vcpu_raise(vcpu, others[i]);
		CHECK_EQ_AT(vcpu->rflags, REG_RFLAGS_FIXED1, "vector %u", others[i]);
		vcpu->rflags |= REG_RFLAGS_RF;
		vcpu->exception = 0;
		vcpu_raise(vcpu, others[i]);
		CHECK(vcpu->rflags & REG_RFLAGS_RF);
	}
	end();
}

TEST(breakpoints_restart)
{
	begin();
	CODE(0xcc);
	CHECK_EQ(guest_exit(vcpu, x86_exit_breakpoint, OP_INT3), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_BPT);
	CHECK_EQ(vcpu->exit.u.bpt.inst_length, 1);
	CHECK_EQ(vcpu->exit.inst_length, 0);
	CHECK_EQ(vcpu->exit.rip, GUEST_CODE);
	end();
}

TEST(triple_fault_suspends_the_vm)
{
	begin();
	CHECK_EQ(x86_exit_triple_fault(vcpu), EXIT_OUTER);
	CHECK_EQ(vm->suspend, VM_SUSPEND_TRIPLEFAULT);
	end();
}

/* --- ports ---------------------------------------------------------------- */

TEST(ports_of_ours_take_no_exit)
{
	begin();
	CODE(0xe6, 0x21, 0xe4, 0x21);
	vcpu->next_rip = GUEST_CODE + 2;
	vcpu->gpr[GPR_RAX] = 0x1234567890abcd5a;
	CHECK_EQ(x86_exit_port(vcpu, PIC_MASK_PORT, 1, false), EXIT_RESUME);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 2);
	vcpu->next_rip = GUEST_CODE + 4;
	vcpu->gpr[GPR_RAX] = 0x1122334455667788;
	CHECK_EQ(x86_exit_port(vcpu, PIC_MASK_PORT, 1, true), EXIT_RESUME);
	CHECK_EQ(vcpu->gpr[GPR_RAX], 0x112233445566775a);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 4);
	CHECK_EQ(vcpu->stats[STAT_PIO], 2);
	end();
}

TEST(out_to_userspace)
{
	begin();
	CODE(0x66, 0xef);
	vcpu->next_rip = GUEST_CODE + 2;
	vcpu->gpr[GPR_RAX] = 0xffffffff12345678;
	CHECK_EQ(x86_exit_port(vcpu, FREE_PORT, 2, false), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_INOUT);
	CHECK_EQ(vcpu->exit.u.inout.port, FREE_PORT);
	CHECK_EQ(vcpu->exit.u.inout.bytes, 2);
	CHECK_EQ(vcpu->exit.u.inout.in, 0);
	CHECK_EQ(vcpu->exit.u.inout.eax, 0x5678);
	CHECK_EQ(vcpu->exit.inst_length, 2);
	CHECK(!vcpu->access_pending);
	end();
}

static void answer_in(uint8_t size, uint64_t expected)
{
	CODE(0xed);
	vcpu->next_rip = GUEST_CODE + 1;
	vcpu->reply_mode = true;
	vcpu->gpr[GPR_RAX] = 0xaaaaaaaabbbbbbbb;
	CHECK_EQ(x86_exit_port(vcpu, FREE_PORT, size, true), EXIT_USERSPACE);
	CHECK(vcpu->access_pending);
	CHECK_EQ(vcpu->exit.u.inout.in, 1);
	CHECK_EQ(vcpu->rip, GUEST_CODE);
	vcpu->access.data = 0x1122334455667788;
	vcpu->access.replied = true;
	CHECK_EQ(x86_finish_access(vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->gpr[GPR_RAX], expected);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 1);
}

TEST(answers_are_merged_by_size)
{
	begin();
	answer_in(1, 0xaaaaaaaabbbbbb88);
	answer_in(2, 0xaaaaaaaabbbb7788);
	answer_in(4, 0x55667788);
	end();
}

TEST(string_operations_as_a_whole)
{
	struct x86_io io = {
		.port = FREE_PORT,
		.size = 2,
		.rep = true,
		.address_size = 4,
		.segment = VM_REG_GUEST_FS,
	};

	begin();
	CODE(0xf3, 0x64, 0x66, 0x6f);
	vcpu->next_rip = GUEST_CODE + 4;
	vcpu->gpr[GPR_RSI] = 0xffffffff00001000;
	vcpu->gpr[GPR_RCX] = 0xffffffff00000003;
	fake_vcpu(vcpu)->desc[VM_REG_GUEST_FS].base = 0x7000;
	CHECK_EQ(x86_exit_string_io(vcpu, &io), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_INOUT_STR);
	CHECK_EQ(vcpu->exit.u.inout_str.inout.port, FREE_PORT);
	CHECK_EQ(vcpu->exit.u.inout_str.inout.string, 1);
	CHECK_EQ(vcpu->exit.u.inout_str.inout.rep, 1);
	CHECK_EQ(vcpu->exit.u.inout_str.inout.in, 0);
	CHECK_EQ(vcpu->exit.u.inout_str.index, 0x1000);
	CHECK_EQ(vcpu->exit.u.inout_str.count, 3);
	CHECK_EQ(vcpu->exit.u.inout_str.addrsize, 4);
	CHECK_EQ(vcpu->exit.u.inout_str.seg_name, VM_REG_GUEST_FS);
	CHECK_EQ(vcpu->exit.u.inout_str.seg_desc.base, 0x7000);
	CHECK_EQ(vcpu->exit.u.inout_str.paging.cpu_mode, CPU_MODE_PROTECTED);
	CHECK_EQ(vcpu->exit.inst_length, 4);
	end();
}

TEST(string_operands_are_decoded_if_need_be)
{
	struct x86_io io = { .port = FREE_PORT, .size = 1, .segment = -1 };

	begin();
	CODE(0x67, 0x65, 0x6e);
	vcpu->gpr[GPR_RSI] = 0x12345678;
	CHECK_EQ(x86_exit_string_io(vcpu, &io), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.u.inout_str.addrsize, 2);
	CHECK_EQ(vcpu->exit.u.inout_str.index, 0x5678);
	CHECK_EQ(vcpu->exit.u.inout_str.seg_name, VM_REG_GUEST_GS);
	CHECK_EQ(vcpu->exit.u.inout_str.count, 1);
	CHECK_EQ(vcpu->exit.inst_length, 3);
	/* An INS whose destination is always ES. */
	io.in = true;
	CODE(0x6c);
	vcpu->gpr[GPR_RDI] = 0x9999;
	CHECK_EQ(x86_exit_string_io(vcpu, &io), EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.u.inout_str.index, 0x9999);
	CHECK_EQ(vcpu->exit.u.inout_str.seg_name, VM_REG_GUEST_ES);
	end();
}

TEST(repeating_no_times_does_nothing)
{
	struct x86_io io = { .port = FREE_PORT, .size = 1, .in = true, .rep = true, .segment = -1 };

	begin();
	CODE(0xf3, 0x6c);
	vcpu->gpr[GPR_RCX] = 0xffffffff00000000;
	CHECK_EQ(x86_exit_string_io(vcpu, &io), EXIT_RESUME);
	CHECK_EQ(vcpu->rip, GUEST_CODE + 2);
	end();
}

/* --- memory --------------------------------------------------------------- */

/* The entry that ends the walk to gpa. */
static uint64_t nested_entry(uint64_t gpa)
{
	uint64_t entries[5];
	unsigned int count = npt_lookup(&vm->npt, gpa, entries);

	REQUIRE(count > 0);
	return entries[count - 1];
}

static void fault_in(uint64_t gpa, int access)
{
	enum exit_action action = x86_exit_nested_fault(vcpu, gpa, access);

	if (action == EXIT_OUTER)
		action = vcpu->deferred(vcpu);
	CHECK_EQ(action, EXIT_RESUME);
}

/* Fetches through a large page may stop the processor (iTLB multihit). */
TEST(a_fetch_splits_a_large_page_where_it_is_dangerous)
{
	const struct os_mitigations multihit = { .split_executable = true };

	os_user_set_mitigations(&multihit);
	begin();
	fault_in(0x201000, VM_PROT_WRITE);
	CHECK_EQ(nested_entry(0x201000) & (FAKE_NPT_LARGE | FAKE_NPT_EXEC), FAKE_NPT_LARGE);
	fault_in(0x202000, VM_PROT_EXEC);
	for (uint64_t gpa = 0x200000; gpa < 0x400000; gpa += 0x1000)
		CHECK_EQ(nested_entry(gpa) & (FAKE_NPT_LARGE | FAKE_NPT_EXEC), FAKE_NPT_EXEC);
	/* Also where the first touch is a fetch. */
	npt_unmap(&vm->npt, 0, GUEST_MEMORY);
	fault_in(0x203000, VM_PROT_EXEC);
	CHECK_EQ(nested_entry(0x203000) & (FAKE_NPT_LARGE | FAKE_NPT_EXEC), FAKE_NPT_EXEC);
	end();
}

TEST(a_fetch_from_a_large_page_is_as_good_as_any)
{
	begin();
	fault_in(0x201000, VM_PROT_EXEC);
	CHECK_EQ(nested_entry(0x201000) & (FAKE_NPT_LARGE | FAKE_NPT_EXEC),
		 FAKE_NPT_LARGE | FAKE_NPT_EXEC);
	end();
}

TEST(first_touch_is_mapped_in_the_outer_loop)
{
	uint64_t entries[5];
	enum exit_action action;
	unsigned int count;

	begin();
	action = x86_exit_nested_fault(vcpu, 0x201000, VM_PROT_WRITE);
	CHECK_EQ(action, EXIT_OUTER);
	REQUIRE(vcpu->deferred != NULL);
	CHECK_EQ(vcpu->deferred(vcpu), EXIT_RESUME);
	count = npt_lookup(&vm->npt, 0x201000, entries);
	CHECK(entries[count - 1] & 1);
	/* Now that there is backing, and a full cache, another fault needs no sleep. */
	REQUIRE(npt_cache_fill(&vcpu->npt_cache) == 0);
	npt_unmap(&vm->npt, 0, GUEST_MEMORY);
	CHECK_EQ(x86_exit_nested_fault(vcpu, 0x201000, VM_PROT_WRITE), EXIT_RESUME);
	CHECK_EQ(vcpu->stats[STAT_NESTED_FAULTS], 2);
	end();
}

TEST(no_memory_ends_the_run)
{
	begin();
	os_user_fragment_memory(true);
	CHECK_EQ(x86_exit_nested_fault(vcpu, 0x300000, VM_PROT_READ), EXIT_OUTER);
	REQUIRE(vcpu->deferred != NULL);
	os_user_fail_alloc(1);
	CHECK_EQ(vcpu->deferred(vcpu), EXIT_USERSPACE);
	CHECK_EQ(vcpu->error, -ENOMEM);
	os_user_fail_alloc(0);
	os_user_fragment_memory(false);
	end();
}

TEST(a_device_under_the_stack_escalates)
{
	begin();
	CODE(0x90);
	/* An interrupt's delivery wrote to a device: general protection ... */
	vcpu->exitintinfo = VM_INTINFO_VALID | VM_INTINFO_HWINTR | 0x40;
	CHECK_EQ(x86_exit_nested_fault(vcpu, NOT_MEMORY, VM_PROT_WRITE), EXIT_RESUME);
	CHECK_EQ(guest_exception(vcpu), VECTOR_GP);
	CHECK_EQ(vcpu->stats[STAT_EMULATION_FAILED], 1);
	end();
}
