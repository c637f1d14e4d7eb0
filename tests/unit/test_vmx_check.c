// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which registers VM entry takes together (SDM vol. 3, 26.3.1), and what the back end
 * says of those it does not take.
 */
#include "vmx_vm.h"

#include "vm/regs.h"

static struct vcpu *vcpu;

static void reg(int number, uint64_t value)
{
	vmx_put_reg(vcpu, number, value);
}

static void access(int number, uint32_t value)
{
	vmx_put_desc(vcpu, number, 0, 0xffffffff, value);
}

static void msr(uint32_t number, uint64_t value)
{
	CHECK_EQ(vmx_backend.set_msr(vcpu, number, value), 0);
}

/* --- states --------------------------------------------------------------- */

/* Each row's line is to be in the log, however many there are. */
static void reset(void)
{
	os_ratelimit_init(&vcpu->vm->log);
	vcpu_reset(vcpu, false);
}

static void protected_mode(void)
{
	vmx_protected_mode(vcpu);
}

static void long_mode(void)
{
	vmx_long_mode(vcpu);
}

static void compatibility_mode(void)
{
	long_mode();
	access(VM_REG_GUEST_CS, 0xc09b);
}

static void virtual_8086_mode(void)
{
	protected_mode();
	for (int number = VM_REG_GUEST_ES; number <= VM_REG_GUEST_GS; number++) {
		reg(number, 0x1230);
		vmx_put_desc(vcpu, number, 0x12300, 0xffff, 0xf3);
	}
	vcpu->rflags |= REG_RFLAGS_VM;
}

static void (*const modes[])(void) = { reset, protected_mode, long_mode, compatibility_mode,
				       virtual_8086_mode };

/* Guests have 64 KiB of memory for PAE's page directory pointers. */
static void give_memory(void)
{
	struct vm_memmap map = { .segid = 0, .len = 0x200000, .prot = VM_PROT_ALL };

	REQUIRE(memory_alloc_segment(vmx_vm, 0, map.len, "") == 0);
	REQUIRE(memory_map(vmx_vm, &map) == 0);
	REQUIRE(memory_populate(vmx_vm, 0) == 0);
}

static void pae_paging(uint64_t cr3)
{
	protected_mode();
	reg(VM_REG_GUEST_CR4, REG_CR4_PAE);
	reg(VM_REG_GUEST_CR3, cr3);
	reg(VM_REG_GUEST_CR0, REG_CR0_PG | REG_CR0_PE | REG_CR0_NE);
}

/* --- legal ones ----------------------------------------------------------- */

static void user_mode(void)
{
	long_mode();
	access(VM_REG_GUEST_CS, 0xa0fb);
	access(VM_REG_GUEST_SS, 0xc0f3);
	access(VM_REG_GUEST_DS, 0xc0f3);
}

static void null_segments(void)
{
	long_mode();
	for (int number = VM_REG_GUEST_SS; number <= VM_REG_GUEST_LDTR; number++)
		access(number, 0x10000);
	access(VM_REG_GUEST_ES, 0x10000);
}

static void conforming_code(void)
{
	protected_mode();
	access(VM_REG_GUEST_CS, 0xc09f);
	access(VM_REG_GUEST_SS, 0xc0f3);
}

static void execute_only_code(void)
{
	protected_mode();
	access(VM_REG_GUEST_CS, 0xc099);
}

static void expand_down_stack(void)
{
	protected_mode();
	access(VM_REG_GUEST_SS, 0xc097);
	access(VM_REG_GUEST_DS, 0xc095);
}

static void small_tss(void)
{
	protected_mode();
	vmx_put_desc(vcpu, VM_REG_GUEST_TR, 0x1000, 0x2b, 0x83);
	vmx_put_desc(vcpu, VM_REG_GUEST_LDTR, 0x2000, 0xff, 0x82);
}

static void big_limits(void)
{
	protected_mode();
	vmx_put_desc(vcpu, VM_REG_GUEST_DS, 0, 0xfffff, 0x4093);
	vmx_put_desc(vcpu, VM_REG_GUEST_ES, 0, 0xfff, 0xc093);
}

static void data_as_code(void)
{
	reset();
	vmx_put_desc(vcpu, VM_REG_GUEST_CS, 0, 0xffff, 0x93);
}

static void high_bases(void)
{
	long_mode();
	reg(VM_REG_GUEST_FS_BASE, 0xffff800000000000);
	reg(VM_REG_GUEST_GS_BASE, 0x00007fffffffffff);
	vmx_put_desc(vcpu, VM_REG_GUEST_GDTR, 0xfffffe0000000000, 0xffff, 0);
	msr(MSRN_SYSENTER_ESP, 0xffff800000001000);
	vcpu->rip = 0xffffffff81000000;
}

/* The page behind the last one of the lower half: entered by running on, it faults there. */
static void end_of_lower_half(void)
{
	long_mode();
	vcpu->rip = 0x0000800000000000;
}

static void pcid(void)
{
	long_mode();
	reg(VM_REG_GUEST_CR4, REG_CR4_PAE | REG_CR4_PCIDE);
}

static void pae_pointers(void)
{
	pae_paging(0x1000);
}

/* The processor must agree: the entry is made, too. */
static void must_be_legal(void (*state)(void), size_t row)
{
	const char *why;

	reset();
	state();
	why = vmx_check_state(vcpu);
	if (why)
		unit_fail(__FILE__, __LINE__, "row %zu: %s", row, why);
	CHECK(!vmx_vcpu(vcpu)->check_state);
	CHECK_EQ_AT(vmx_turn(vcpu), EXIT_RESUME, "row %zu", row);
}

TEST_BOTH(legal_states_are_entered)
{
	static void (*const states[])(void) = {
		user_mode,	   null_segments, conforming_code, execute_only_code,
		expand_down_stack, small_tss,	  big_limits,	   data_as_code,
		high_bases,	   pcid,	  pae_pointers,	   end_of_lower_half,
	};

	vcpu = vmx_start();
	give_memory();
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		must_be_legal(modes[i], i);
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		must_be_legal(states[i], 100 + i);
	vmx_stop();
}

/* --- those that are not --------------------------------------------------- */

static void fixed_cr0(void)
{
	vmx_capabilities.cr0_fixed1 &= ~REG_CR0_AM;
	reg(VM_REG_GUEST_CR0, REG_CR0_ET | REG_CR0_AM);
}

static void fixed_cr4(void)
{
	reg(VM_REG_GUEST_CR4, REG_CR4_PKE);
}

static void no_pae(void)
{
	long_mode();
	reg(VM_REG_GUEST_CR4, 0);
}

static void pcid_too_early(void)
{
	protected_mode();
	reg(VM_REG_GUEST_CR4, REG_CR4_PCIDE);
}

static void high_cr3(void)
{
	reg(VM_REG_GUEST_CR3, BIT_ULL(51));
}

static void bad_sysenter_esp(void)
{
	msr(MSRN_SYSENTER_ESP, BIT_ULL(47));
}

static void bad_sysenter_eip(void)
{
	msr(MSRN_SYSENTER_EIP, BIT_ULL(63));
}

static void v8086_base(void)
{
	virtual_8086_mode();
	vmx_put_desc(vcpu, VM_REG_GUEST_GS, 0x12310, 0xffff, 0xf3);
}

static void v8086_limit(void)
{
	virtual_8086_mode();
	vmx_put_desc(vcpu, VM_REG_GUEST_SS, 0x12300, 0xfffff, 0xf3);
}

static void v8086_access(void)
{
	virtual_8086_mode();
	vmx_put_desc(vcpu, VM_REG_GUEST_CS, 0x12300, 0xffff, 0xfb);
}

static void v8086_in_real_mode(void)
{
	virtual_8086_mode();
	reg(VM_REG_GUEST_CR0, REG_CR0_ET);
}

static void v8086_in_long_mode(void)
{
	virtual_8086_mode();
	reg(VM_REG_GUEST_CR4, REG_CR4_PAE);
	reg(VM_REG_GUEST_EFER, REG_EFER_LME);
	reg(VM_REG_GUEST_CR0, REG_CR0_PG | REG_CR0_PE | REG_CR0_NE);
}

static void no_code(void)
{
	access(VM_REG_GUEST_CS, 0);
}

static void system_code(void)
{
	access(VM_REG_GUEST_CS, 0x8b);
}

static void high_code(void)
{
	vmx_put_desc(vcpu, VM_REG_GUEST_CS, BIT_ULL(32), 0xffff, 0x9b);
}

static void fine_limit(void)
{
	protected_mode();
	vmx_put_desc(vcpu, VM_REG_GUEST_CS, 0, 0x100000, 0x409b);
}

static void coarse_limit(void)
{
	protected_mode();
	vmx_put_desc(vcpu, VM_REG_GUEST_CS, 0, 0xffffe, 0xc09b);
}

static void two_sizes(void)
{
	long_mode();
	access(VM_REG_GUEST_CS, 0xe09b);
}

static void data_with_dpl(void)
{
	vmx_put_desc(vcpu, VM_REG_GUEST_CS, 0, 0xffff, 0xf3);
}

static void code_of_others(void)
{
	protected_mode();
	access(VM_REG_GUEST_CS, 0xc0fb);
}

static void conforming_above(void)
{
	protected_mode();
	access(VM_REG_GUEST_CS, 0xc0ff);
}

static void code_not_accessed(void)
{
	protected_mode();
	access(VM_REG_GUEST_CS, 0xc09a);
}

static void stack_dpl_in_real_mode(void)
{
	vmx_put_desc(vcpu, VM_REG_GUEST_SS, 0, 0xffff, 0xf3);
}

static void stack_dpl_under_data_code(void)
{
	protected_mode();
	access(VM_REG_GUEST_CS, 0xc093);
	access(VM_REG_GUEST_SS, 0xc0f3);
}

static void stack_read_only(void)
{
	protected_mode();
	access(VM_REG_GUEST_SS, 0xc091);
}

static void stack_is_code(void)
{
	protected_mode();
	access(VM_REG_GUEST_SS, 0xc09b);
}

static void high_stack(void)
{
	protected_mode();
	vmx_put_desc(vcpu, VM_REG_GUEST_SS, BIT_ULL(32), 0xffff, 0x93);
}

static void bad_fs(void)
{
	vmx_put_desc(vcpu, VM_REG_GUEST_FS, BIT_ULL(47), 0xffff, 0x10000);
}

static void data_not_accessed(void)
{
	protected_mode();
	access(VM_REG_GUEST_DS, 0xc092);
}

static void high_data(void)
{
	protected_mode();
	vmx_put_desc(vcpu, VM_REG_GUEST_ES, BIT_ULL(32), 0xffff, 0x93);
}

static void data_execute_only(void)
{
	protected_mode();
	access(VM_REG_GUEST_DS, 0xc099);
}

static void no_task(void)
{
	access(VM_REG_GUEST_TR, 0x10000);
}

static void task_in_ldt(void)
{
	reg(VM_REG_GUEST_TR, 0x2c);
}

static void bad_task_base(void)
{
	vmx_put_desc(vcpu, VM_REG_GUEST_TR, BIT_ULL(47), 0x67, 0x8b);
}

static void small_task_in_long_mode(void)
{
	long_mode();
	vmx_put_desc(vcpu, VM_REG_GUEST_TR, 0, 0x67, 0x83);
}

static void ldt_of_other_type(void)
{
	vmx_put_desc(vcpu, VM_REG_GUEST_LDTR, 0, 0xff, 0x8b);
}

static void ldt_in_ldt(void)
{
	reg(VM_REG_GUEST_LDTR, 0x2c);
}

static void bad_gdtr(void)
{
	vmx_put_desc(vcpu, VM_REG_GUEST_GDTR, BIT_ULL(47), 0xffff, 0);
}

static void bad_idtr(void)
{
	vmx_put_desc(vcpu, VM_REG_GUEST_IDTR, BIT_ULL(63), 0xffff, 0);
}

static void high_rip(void)
{
	compatibility_mode();
	vcpu->rip = BIT_ULL(32);
}

static void bad_rip(void)
{
	long_mode();
	vcpu->rip = 0x0001000000000000;
}

static void no_pointers(void)
{
	pae_paging(0x40000000);
}

static void bad_pointers(void)
{
	uint64_t *pointers = memory_hva(vmx_vm, 0x2000, VM_PROT_WRITE);

	REQUIRE(pointers);
	pointers[3] = PTE_X86_PRESENT | PTE_X86_WRITE; /* reserved here */
	pae_paging(0x2000);
}

static const struct {
	void (*state)(void);
	const char *why;
} illegal[] = {
	{ fixed_cr4, "CR4 has bits" },
	{ no_pae, "without CR4.PAE" },
	{ pcid_too_early, "PCIDE outside long mode" },
	{ high_cr3, "CR3 lies beyond" },
	{ bad_sysenter_esp, "SYSENTER_ESP" },
	{ bad_sysenter_eip, "SYSENTER_EIP" },
	{ v8086_base, "virtual-8086 mode has it" },
	{ v8086_limit, "virtual-8086 mode has it" },
	{ v8086_access, "virtual-8086 mode has it" },
	{ v8086_in_real_mode, "no virtual-8086 mode" },
	{ v8086_in_long_mode, "no virtual-8086 mode" },
	{ no_code, "CS cannot be used" },
	{ system_code, "CS cannot be used" },
	{ high_code, "CS cannot be used" },
	{ fine_limit, "CS cannot be used" },
	{ coarse_limit, "CS cannot be used" },
	{ two_sizes, "CS.L and CS.D" },
	{ data_with_dpl, "data segment with a DPL" },
	{ code_of_others, "CS.DPL is not SS.DPL" },
	{ conforming_above, "CS.DPL is above SS.DPL" },
	{ code_not_accessed, "no code segment has" },
	{ stack_dpl_in_real_mode, "SS.DPL is not 0" },
	{ stack_dpl_under_data_code, "SS.DPL is not 0" },
	{ stack_read_only, "SS is no writable" },
	{ stack_is_code, "SS is no writable" },
	{ high_stack, "SS is no writable" },
	{ bad_fs, "base of FS or GS" },
	{ data_not_accessed, "not what a MOV" },
	{ high_data, "not what a MOV" },
	{ data_execute_only, "cannot be read" },
	{ no_task, "TR cannot be used" },
	{ task_in_ldt, "TR cannot be used" },
	{ bad_task_base, "TR cannot be used" },
	{ small_task_in_long_mode, "no busy TSS" },
	{ ldt_of_other_type, "LDTR is no LDT" },
	{ ldt_in_ldt, "LDTR is no LDT" },
	{ bad_gdtr, "GDTR or IDTR" },
	{ bad_idtr, "GDTR or IDTR" },
	{ high_rip, "RIP is above 4 GiB" },
	{ bad_rip, "RIP is not canonical" },
	{ no_pointers, "page directory pointers" },
	{ bad_pointers, "page directory pointers" },
	{ fixed_cr0, "CR0 has bits" }, /* the last: it changes the processor */
};

/* Said in the log, and userspace gets the exit without an entry. */
TEST_BOTH(each_illegal_state_is_named)
{
	vcpu = vmx_start();
	give_memory();
	for (size_t i = 0; i < ARRAY_SIZE(illegal); i++) {
		reset();
		illegal[i].state();
		processor.entries = 0;
		CHECK_EQ_AT(vmx_turn(vcpu), EXIT_USERSPACE, "row %zu", i);
		CHECK_EQ(processor.entries, 0);
		CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_VMX);
		CHECK_EQ(vcpu->exit.u.vmx.exit_reason,
			 EXIT_REASON_ENTRY_FAILED | VMX_EXIT_INVALID_STATE);
		if (!strstr(os_user_last_log(), illegal[i].why))
			unit_fail(__FILE__, __LINE__, "row %zu: \"%s\" does not say \"%s\"", i,
				  os_user_last_log(), illegal[i].why);
	}
	vmx_stop();
}

/* Userspace puts right what was wrong, and the guest goes on. */
TEST(what_is_put_right_is_entered)
{
	vcpu = vmx_start();
	bad_fs();
	CHECK_EQ(vmx_turn(vcpu), EXIT_USERSPACE);
	CHECK_EQ(vmx_turn(vcpu), EXIT_USERSPACE);
	vmx_put_desc(vcpu, VM_REG_GUEST_FS, 0, 0xffff, 0x93);
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(processor.entries, 1);
	vmx_stop();
}

/* Most entries follow no change from outside. */
TEST(checks_are_made_after_changes_only)
{
	vcpu = vmx_start();
	CHECK(vmx_vcpu(vcpu)->check_state);
	vmx_turn(vcpu);
	CHECK(!vmx_vcpu(vcpu)->check_state);
	reg(VM_REG_GUEST_TPR, 3);
	CHECK(!vmx_vcpu(vcpu)->check_state);
	reg(VM_REG_GUEST_DS, 0);
	CHECK(vmx_vcpu(vcpu)->check_state);
	vmx_turn(vcpu);
	access(VM_REG_GUEST_DS, 0xc093);
	CHECK(vmx_vcpu(vcpu)->check_state);
	vmx_turn(vcpu);
	reg(VM_REG_GUEST_CR3, 0);
	CHECK(vmx_vcpu(vcpu)->check_state);
	vmx_stop();
}

/* What the processor refuses though the back end saw nothing: it may know why. */
TEST(a_refusal_of_the_processors_is_explained)
{
	vcpu = vmx_start();
	vmx_turn(vcpu);
	processor.reason = EXIT_REASON_ENTRY_FAILED | VMX_EXIT_INVALID_STATE;
	CHECK_EQ(vmx_turn(vcpu), EXIT_USERSPACE);
	CHECK(strstr(os_user_last_log(), "processor refuses the guest's state"));
	vcpu->rip = BIT_ULL(40);
	vmx_vcpu(vcpu)->check_state = false;
	CHECK_EQ(vmx_turn(vcpu), EXIT_USERSPACE);
	CHECK(strstr(os_user_last_log(), "RIP is above 4 GiB"));
	vmx_stop();
}

/* --- PAE's page directory pointers ---------------------------------------- */

TEST_BOTH(pointers_are_read_where_userspace_sets_none)
{
	uint64_t value, *pointers;

	vcpu = vmx_start();
	give_memory();
	pointers = memory_hva(vmx_vm, 0x3000, VM_PROT_WRITE);
	REQUIRE(pointers);
	for (unsigned int i = 0; i < 4; i++)
		pointers[i] = 0x10000 * (i + 1) | PTE_X86_PRESENT;
	pae_paging(0x3000);
	CHECK_EQ(vmx_backend.get_reg(vcpu, VM_REG_GUEST_PDPTE0, &value), -EINVAL);
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	for (unsigned int i = 0; i < 4; i++) {
		CHECK_EQ(seen(VMCS_GUEST_PDPTE0 + 2 * i), 0x10000 * (i + 1) | PTE_X86_PRESENT);
		CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_PDPTE0 + (int)i),
			 0x10000 * (i + 1) | PTE_X86_PRESENT);
	}
	/* Those that userspace sets are meant. */
	reg(VM_REG_GUEST_CR3, 0x3000);
	reg(VM_REG_GUEST_PDPTE1, 0x99001);
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(seen(VMCS_GUEST_PDPTE0 + 2), 0x99001);
	vmx_stop();
}

/* A MOV reloads them with some bits only (SDM vol. 3, 4.4.1): memory may hold others by now. */
TEST_BOTH(pointers_stay_when_nothing_asks_for_new_ones)
{
	uint64_t *pointers;

	vcpu = vmx_start();
	give_memory();
	pointers = memory_hva(vmx_vm, 0x3000, VM_PROT_WRITE);
	REQUIRE(pointers);
	pointers[0] = 0x10001;
	pae_paging(0x3000);
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	pointers[0] = 0x20001;
	reg(VM_REG_GUEST_CR0, REG_CR0_PG | REG_CR0_PE | REG_CR0_NE | REG_CR0_TS);
	reg(VM_REG_GUEST_CR4, REG_CR4_PAE | REG_CR4_MCE);
	reg(VM_REG_GUEST_EFER, REG_EFER_NXE);
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(seen(VMCS_GUEST_PDPTE0), 0x10001);
	reg(VM_REG_GUEST_CR4, REG_CR4_PAE | REG_CR4_PGE);
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(seen(VMCS_GUEST_PDPTE0), 0x20001);
	vmx_stop();
}
