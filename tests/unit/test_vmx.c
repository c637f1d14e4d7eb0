// SPDX-License-Identifier: BSD-2-Clause
/*
 * The Intel back end's vCPU: edges of the inner loop, the fields of the VMCS that are
 * kept in memory, registers, translations.
 */
#include "vmx_vm.h"

#include "vmx/switch.h"
#include "x86/cpu/asid.h"
#include "x86/cpu/context.h"
#include "x86/cpu/cpuid.h"
#include "x86/cpu/legal.h"
#include "vm/regs.h"

/* --- what a guest is loaded with ------------------------------------------ */

TEST_BOTH(msrs_of_system_calls_are_switched)
{
	static const uint32_t msrs[] = { MSRN_STAR, MSRN_LSTAR, MSRN_SFMASK, MSRN_KERNEL_GS_BASE };
	struct vcpu *vcpu = vmx_start();
	uint64_t host[ARRAY_SIZE(msrs)], value;

	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
		host[i] = os_rdmsr(msrs[i]);
		CHECK_EQ(vmx_backend.set_msr(vcpu, msrs[i], 0x1000 + i), 0);
		CHECK_EQ_AT(os_rdmsr(msrs[i]), host[i], "MSR %#x", msrs[i]);
	}
	vmx_begin(vcpu);
	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
		CHECK_EQ_AT(os_rdmsr(msrs[i]), 0x1000 + i, "MSR %#x", msrs[i]);
		CHECK_EQ(vmx_backend.set_msr(vcpu, msrs[i], 0x2000 + i), 0);
		CHECK_EQ_AT(os_rdmsr(msrs[i]), 0x2000 + i, "MSR %#x", msrs[i]);
	}
	os_wrmsr(MSRN_KERNEL_GS_BASE, 0x3000); /* by SWAPGS */
	CHECK_EQ(vmx_backend.get_msr(vcpu, MSRN_KERNEL_GS_BASE, &value), 0);
	CHECK_EQ(value, 0x3000);
	vmx_end(vcpu);
	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++)
		CHECK_EQ_AT(os_rdmsr(msrs[i]), host[i], "MSR %#x", msrs[i]);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_KGS_BASE), 0x3000);
	CHECK_EQ(vmx_backend.get_msr(vcpu, MSRN_LSTAR, &value), 0);
	CHECK_EQ(value, 0x2001);
	vmx_stop();
}

/* A write of an MSR costs hundreds of cycles: none where guest and host agree. */
TEST(equal_msrs_are_not_written)
{
	static const uint32_t msrs[] = { MSRN_STAR, MSRN_LSTAR, MSRN_SFMASK, MSRN_KERNEL_GS_BASE };
	struct vcpu *vcpu = vmx_start();
	struct os_user_cpu *cpu = os_user_cpu(0);
	unsigned int count;

	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++)
		CHECK_EQ(vmx_backend.set_msr(vcpu, msrs[i], os_rdmsr(msrs[i])), 0);
	/* What is not in this CPU's list shows when it is written. */
	for (unsigned int i = 0; i < cpu->msr_count; i++) {
		for (size_t j = 0; j < ARRAY_SIZE(msrs); j++) {
			if (cpu->msr_number[i] == msrs[j])
				cpu->msr_number[i] |= 0x10000000;
		}
	}
	CHECK_EQ(os_rdmsr(MSRN_LSTAR), 0);
	vmx_vcpu(vcpu)->kernel_gs_base = 0;
	count = cpu->msr_count;
	vmx_begin(vcpu);
	vmx_end(vcpu);
	CHECK_EQ(cpu->msr_count, count);
	vmx_stop();
}

TEST(debugctl_of_the_host_comes_back)
{
	struct vcpu *vcpu = vmx_start();

	os_wrmsr(MSRN_DEBUGCTL, 0x4001);
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME); /* the exit clears it */
	CHECK_EQ(os_rdmsr(MSRN_DEBUGCTL), 0x4001);
	CHECK_EQ(seen(VMCS_GUEST_DEBUGCTL), 0);
	vmx_stop();
}

/* --- the host's fields ---------------------------------------------------- */

static void check_host_fields(const struct os_host_segments *host)
{
	CHECK_EQ(seen(VMCS_HOST_CS), host->cs);
	CHECK_EQ(seen(VMCS_HOST_SS), host->ss);
	CHECK_EQ(seen(VMCS_HOST_TR), host->tr);
	CHECK_EQ(seen(VMCS_HOST_TR_BASE), host->tr_base);
	CHECK_EQ(seen(VMCS_HOST_FS_BASE), host->fs_base);
	CHECK_EQ(seen(VMCS_HOST_GS_BASE), host->gs_base);
	CHECK_EQ(seen(VMCS_HOST_GDTR_BASE), host->gdt.base);
	CHECK_EQ(seen(VMCS_HOST_IDTR_BASE), host->idt.base);
	CHECK_EQ(seen(VMCS_HOST_CR0), os_read_cr0());
	CHECK_EQ(seen(VMCS_HOST_CR3), os_read_cr3());
	CHECK_EQ(seen(VMCS_HOST_CR4), os_read_cr4());
	CHECK_EQ(seen(VMCS_HOST_EFER), os_rdmsr(MSRN_EFER));
	CHECK_EQ(seen(VMCS_HOST_PAT), os_rdmsr(MSRN_PAT));
	CHECK_EQ(seen(VMCS_HOST_SYSENTER_CS), os_rdmsr(MSRN_SYSENTER_CS));
	CHECK_EQ(seen(VMCS_HOST_SYSENTER_ESP), os_rdmsr(MSRN_SYSENTER_ESP));
	CHECK_EQ(seen(VMCS_HOST_SYSENTER_EIP), os_rdmsr(MSRN_SYSENTER_EIP));
}

TEST_BOTH(an_exit_finds_the_host_again)
{
	struct vcpu *vcpu = vmx_start();

	os_user_cpu(0)->cr3 = 0x1234001;
	vmx_turn(vcpu);
	check_host_fields(&processor.segments);
	CHECK_EQ(seen(VMCS_HOST_DS), 0);
	CHECK_EQ(processor.segment_restores, 1);
	vmx_stop();
}

/* An exit loads no selector of user space's: those are put back by software. */
TEST(selectors_of_user_space_become_0)
{
	static const struct {
		uint16_t selector, loaded;
	} rows[] = { { 0, 0 },	  { 0x18, 0x18 }, { 0x2b, 0 },
		     { 0x19, 0 }, { 0x0f, 0 },	  /* LDT, RPL 3 */ { 0x0c, 0 } /* LDT */ };
	static const uint32_t fields[] = { VMCS_HOST_DS, VMCS_HOST_ES, VMCS_HOST_FS, VMCS_HOST_GS };
	struct vcpu *vcpu = vmx_start();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		processor.segments.ds = rows[i].selector;
		processor.segments.es = rows[i].selector;
		processor.segments.fs = rows[i].selector;
		processor.segments.gs = rows[i].selector;
		vmx_turn(vcpu);
		for (size_t j = 0; j < ARRAY_SIZE(fields); j++)
			CHECK_EQ_AT(seen(fields[j]), rows[i].loaded, "row %zu field %#x", i,
				    fields[j]);
	}
	vmx_stop();
}

TEST(what_belongs_to_a_cpu_is_written_on_arrival)
{
	struct vcpu *vcpu = vmx_start();

	vmx_turn(vcpu);
	forget_counts();
	vmx_turn(vcpu);
	CHECK_EQ(count_writes(VMCS_HOST_TR_BASE), 0);
	CHECK_EQ(count_writes(VMCS_PIN_CONTROLS), 0);

	os_user_move_to_cpu(1);
	processor.segments.gs_base = 0xffff888000020000;
	processor.segments.tr_base = 0xfffffe0000051000;
	vmx_turn(vcpu);
	check_host_fields(&processor.segments);

	/* The CPU has been off line meanwhile, and may be another one. */
	forget_counts();
	vmx_backend.cpu_disable();
	REQUIRE(vmx_backend.cpu_enable() == 0);
	vmx_turn(vcpu);
	CHECK_EQ(count_writes(VMCS_HOST_TR_BASE), 1);
	CHECK_EQ(count_writes(VMCS_PIN_CONTROLS), 0);
	os_user_move_to_cpu(0);
	vmx_stop();
}

TEST(what_an_interrupt_may_change_is_looked_at_each_time)
{
	struct vcpu *vcpu = vmx_start();

	vmx_begin(vcpu);
	vmx_entry_and_exit(vcpu);
	forget_counts();
	vmx_entry_and_exit(vcpu);
	CHECK_EQ(count_writes(VMCS_HOST_CR3), 0);
	os_user_cpu(0)->cr3 = 0x77000;
	os_user_cpu(0)->cr4 |= REG_CR4_PCE;
	vmx_entry_and_exit(vcpu);
	CHECK_EQ(seen(VMCS_HOST_CR3), 0x77000);
	CHECK_EQ(seen(VMCS_HOST_CR4), os_read_cr4());
	vmx_end(vcpu);
	vmx_stop();
}

TEST(mitigations_are_the_switchs_to_do)
{
	static const struct {
		struct os_mitigations mitigations;
		uint32_t flags;
	} rows[] = {
		{ { 0 }, 0 },
		{ { .clear_cpu_buffers_for_devices = true }, 0 },
		{ { .clear_cpu_buffers = true, .flush_l1d = true, .flush_l1d_command = true },
		  X86_SWITCH_CLEAR_BUFFERS },
		{ { .flush_l1d = true }, 0 },
		{ { .spec_ctrl = true, .kernel_ibrs = true }, X86_SWITCH_HOST_SPEC_CTRL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vcpu *vcpu;

		processor_start();
		os_user_set_mitigations(&rows[i].mitigations);
		os_user_set_msr(MSRN_SPEC_CTRL, MSRN_SPEC_CTRL_IBRS);
		vcpu = vmx_start_here();
		os_wrmsr(MSRN_FLUSH_CMD, 0);
		vmx_turn(vcpu);
		CHECK_EQ(processor.switch_flags, rows[i].flags);
		CHECK_EQ(os_rdmsr(MSRN_FLUSH_CMD), rows[i].mitigations.flush_l1d_command);
		vmx_stop();
	}
}

/* One entry, and an exit for this reason; was the cache emptied before? */
static bool was_flushed_before(struct vcpu *vcpu, uint32_t reason)
{
	processor.reason = reason;
	os_wrmsr(MSRN_FLUSH_CMD, 0);
	vmx_entry(vcpu);
	return os_rdmsr(MSRN_FLUSH_CMD) == MSRN_FLUSH_CMD_L1D;
}

TEST(the_cache_is_emptied_behind_other_code)
{
	static const struct os_mitigations flush = { .flush_l1d = true, .flush_l1d_command = true };
	static const struct os_mitigations full = { .flush_l1d = true,
						    .flush_l1d_always = true,
						    .flush_l1d_command = true };
	struct vcpu *vcpu;

	processor_start();
	os_user_set_mitigations(&flush);
	vcpu = vmx_start_here();
	vmx_begin(vcpu);
	CHECK(was_flushed_before(vcpu, VMX_EXIT_CPUID));
	CHECK(!was_flushed_before(vcpu, VMX_EXIT_IO));
	CHECK(!was_flushed_before(vcpu, VMX_EXIT_EXTERNAL_INTERRUPT));
	os_user_l1d_used = true;
	CHECK(was_flushed_before(vcpu, VMX_EXIT_CPUID));
	CHECK(!was_flushed_before(vcpu, VMX_EXIT_CPUID));
	vmx_end(vcpu);
	vmx_begin(vcpu);
	CHECK(was_flushed_before(vcpu, VMX_EXIT_CPUID));
	CHECK(!was_flushed_before(vcpu, VMX_EXIT_CPUID));
	os_user_set_mitigations(&full);
	CHECK(was_flushed_before(vcpu, VMX_EXIT_CPUID));
	vmx_end(vcpu);
	vmx_stop();
}

/* --- VMLAUNCH, VMRESUME --------------------------------------------------- */

TEST_BOTH(a_loaded_vmcs_is_launched_once)
{
	struct vcpu *a = vmx_start(), *b = vmx_second();

	vmx_begin(a);
	vmx_entry_and_exit(a);
	vmx_entry_and_exit(a);
	vmx_entry_and_exit(a);
	CHECK_EQ(processor.launches, 1);
	vmx_end(a);
	CHECK_EQ(current_vmcs(), ~0ull);
	vmx_turn(b);
	vmx_turn(a);
	CHECK_EQ(processor.launches, 3);
	/* Nobody has to be told before another CPU takes it over. */
	os_user_move_to_cpu(1);
	vmx_turn(a);
	vmx_turn(b);
	os_user_move_to_cpu(0);
	CHECK_EQ(processor.entries, 7);
	vmx_stop();
}

TEST(an_entry_that_fails_launches_nothing)
{
	struct vcpu *vcpu = vmx_start();

	vmx_begin(vcpu);
	processor.reason = EXIT_REASON_ENTRY_FAILED | VMX_EXIT_INVALID_STATE;
	CHECK_EQ(vmx_entry_and_exit(vcpu), EXIT_USERSPACE);
	processor.reason = VMX_EXIT_EXTERNAL_INTERRUPT;
	processor.refuse = 7;
	CHECK_EQ(vmx_entry_and_exit(vcpu), EXIT_USERSPACE);
	processor.refuse = 0;
	CHECK_EQ(vmx_entry_and_exit(vcpu), EXIT_RESUME);
	CHECK_EQ(processor.launches, 1);
	vmx_end(vcpu);
	vmx_stop();
}

/* --- fields in memory ----------------------------------------------------- */

TEST(the_first_entry_writes_every_field)
{
	struct vcpu *vcpu = vmx_start();

	vmx_turn(vcpu);
	for (unsigned int field = 0; field < FIELD_COUNT; field++)
		CHECK_EQ_AT(seen(vmx_field_number[field]), vmx_vcpu(vcpu)->field[field],
			    "field %#x", vmx_field_number[field]);
	CHECK_EQ(seen(VMCS_LINK_POINTER), ~0ull);
	CHECK_EQ(seen(VMCS_CR3_TARGET_COUNT), 0);
	CHECK_EQ(seen(VMCS_EXIT_MSR_STORE_COUNT), 0);
	CHECK_EQ(seen(VMCS_EXIT_MSR_LOAD_COUNT), 0);
	CHECK_EQ(seen(VMCS_ENTRY_MSR_LOAD_COUNT), 0);
	CHECK_EQ(seen(VMCS_ENTRY_INTR_INFO), 0);
	CHECK_EQ(seen(VMCS_GUEST_ACTIVITY), 0);
	CHECK_EQ(seen(VMCS_PF_MASK), 0);
	CHECK_EQ(seen(VMCS_PF_MATCH), 0);
	CHECK_EQ(seen(VMCS_EPTP), vmx_vcpu(vcpu)->eptp);
	/* Ten milliseconds of a TSC of 2 GHz, in units of 32 ticks. */
	CHECK_EQ(seen(VMCS_PREEMPTION_TIMER), 20000000 / 32 + 1);
	vmx_stop();
}

TEST(fields_are_written_when_they_change)
{
	struct vcpu *vcpu = vmx_start();

	vmx_begin(vcpu);
	vmx_entry_and_exit(vcpu);
	forget_counts();
	vmx_entry_and_exit(vcpu);
	CHECK_EQ(count_writes(0xffff), 0);
	vmx_put_reg(vcpu, VM_REG_GUEST_DS, 0x20);
	vmx_put_reg(vcpu, VM_REG_GUEST_DS, 0x28);
	vcpu->rip += 2;
	vmx_entry_and_exit(vcpu);
	CHECK_EQ(count_writes(0xffff), 2);
	CHECK_EQ(seen(VMCS_GUEST_ES + 6), 0x28);
	CHECK_EQ(seen(VMCS_GUEST_RIP), vcpu->rip);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_DS), 0x28);
	vmx_put_reg(vcpu, VM_REG_GUEST_DS, 0x28);
	forget_counts();
	vmx_backend.set_tsc_offset(vcpu, 77);
	vmx_entry_and_exit(vcpu);
	CHECK_EQ(count_writes(0xffff), 1);
	CHECK_EQ(seen(VMCS_TSC_OFFSET), 77);
	vmx_end(vcpu);
	vmx_stop();
}

static void guest_loads_segment(struct vcpu *vcpu)
{
	(void)vcpu;
	vmcs_write(VMCS_GUEST_ES, 0x38);
	vmcs_write(VMCS_GUEST_ES_BASE, 0x380000);
}

TEST(fields_are_read_once_per_exit)
{
	struct vcpu *vcpu = vmx_start();

	vmx_begin(vcpu);
	processor.guest = guest_loads_segment;
	vmx_entry_and_exit(vcpu);
	forget_counts();
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_ES), 0x38);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_ES), 0x38);
	CHECK_EQ(count_reads(0xffff), 1);
	vmx_entry_and_exit(vcpu);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_ES), 0x38);
	CHECK_EQ(count_reads(VMCS_GUEST_ES), 2);
	vmx_end(vcpu);
	vmx_stop();
}

/* A program asks between runs, on whatever CPU: all is fetched at once. */
TEST(registers_are_known_while_it_is_not_loaded)
{
	struct vcpu *vcpu = vmx_start();
	struct seg_desc desc;

	processor.guest = guest_loads_segment;
	vmx_turn(vcpu);
	os_user_move_to_cpu(1);
	forget_counts();
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_ES), 0x38);
	CHECK_EQ(vmx_backend.get_desc(vcpu, VM_REG_GUEST_ES, &desc), 0);
	CHECK_EQ(desc.base, 0x380000);
	CHECK_EQ(count_reads(VMCS_GUEST_ES), 1);
	CHECK_EQ(count_writes(0xffff), 0);
	CHECK_EQ(current_vmcs(), ~0ull);
	os_user_move_to_cpu(0);
	vmx_stop();
}

TEST(registers_are_known_while_vmx_is_off)
{
	struct vcpu *vcpu = vmx_start();

	processor.guest = guest_loads_segment;
	vmx_turn(vcpu);
	vmm_quiesce();
	CHECK(!vmx_is_on());
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_ES), 0x38);
	vmx_put_reg(vcpu, VM_REG_GUEST_ES, 0x48);
	vmm_resume();
	processor.guest = NULL;
	vmx_turn(vcpu);
	CHECK_EQ(seen(VMCS_GUEST_ES), 0x48);
	CHECK_EQ(seen(VMCS_GUEST_ES_BASE), 0x380000);
	vmx_stop();
}

/* Whether the guest's DR7 asks for the debug registers is looked at before each load. */
TEST(a_load_is_one_pointer_load)
{
	struct vcpu *vcpu = vmx_start();

	vmx_turn(vcpu);
	processor.pointer_loads = 0;
	vmx_turn(vcpu);
	CHECK_EQ(processor.pointer_loads, 1);
	vmx_stop();
}

/* --- general registers, CR2, the shadow ----------------------------------- */

static void guest_moves(struct vcpu *vcpu)
{
	vcpu->gpr[GPR_RAX] = 1;
	vmcs_write(VMCS_GUEST_RSP, 0x8000);
	vmcs_write(VMCS_GUEST_RIP, 0x2000);
	vmcs_write(VMCS_GUEST_RFLAGS, REG_RFLAGS_FIXED1 | REG_RFLAGS_ZF);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_MOV_SS);
	os_write_cr2(0xcccc);
}

TEST(registers_go_in_and_out)
{
	struct vcpu *vcpu = vmx_start();

	vmx_protected_mode(vcpu);
	vcpu->gpr[GPR_RSP] = 0x7000;
	vcpu->cr2 = 0xbbbb;
	vcpu->next_rip = 5;
	processor.guest = guest_moves;
	vmx_turn(vcpu);
	CHECK_EQ(seen(VMCS_GUEST_RSP), 0x7000);
	CHECK_EQ(seen(VMCS_GUEST_RIP), 0x1000);
	CHECK_EQ(vcpu->gpr[GPR_RSP], 0x8000);
	CHECK_EQ(vcpu->rip, 0x2000);
	CHECK_EQ(vcpu->rflags, REG_RFLAGS_FIXED1 | REG_RFLAGS_ZF);
	CHECK_EQ(vcpu->cr2, 0xcccc);
	CHECK(vcpu->intr_shadow);
	CHECK_EQ(vcpu->next_rip, 0);
	os_write_cr2(0);
	processor.guest = NULL;
	vmx_turn(vcpu);
	CHECK_EQ(os_read_cr2(), 0xcccc);
	CHECK_EQ(seen(VMCS_GUEST_INTERRUPTIBILITY), BLOCKING_MOV_SS);
	vmx_stop();
}

/* SDM vol. 3, 26.3.1.5; the played processor refuses what does not fit. */
TEST_BOTH(a_shadow_fits_the_flags)
{
	static const struct {
		uint64_t flags;
		uint64_t blocking, pending;
	} rows[] = {
		{ REG_RFLAGS_IF, BLOCKING_STI, 0 },
		{ 0, BLOCKING_MOV_SS, 0 },
		{ REG_RFLAGS_IF | REG_RFLAGS_TF, BLOCKING_STI, PENDING_DEBUG_BS },
		{ REG_RFLAGS_TF, BLOCKING_MOV_SS, PENDING_DEBUG_BS },
	};
	struct vcpu *vcpu = vmx_start();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		vmx_put_reg(vcpu, VM_REG_GUEST_RFLAGS, rows[i].flags);
		vmx_put_reg(vcpu, VM_REG_GUEST_INTR_SHADOW, 1);
		CHECK_EQ_AT(vmx_turn(vcpu), EXIT_RESUME, "row %zu", i);
		CHECK_EQ_AT(seen(VMCS_GUEST_INTERRUPTIBILITY), rows[i].blocking, "row %zu", i);
		CHECK_EQ_AT(seen(VMCS_GUEST_PENDING_DEBUG), rows[i].pending, "row %zu", i);
		vmx_put_reg(vcpu, VM_REG_GUEST_INTR_SHADOW, 0);
		CHECK_EQ_AT(vmx_turn(vcpu), EXIT_RESUME, "row %zu", i);
		CHECK_EQ_AT(seen(VMCS_GUEST_INTERRUPTIBILITY), 0, "row %zu", i);
		CHECK_EQ_AT(seen(VMCS_GUEST_PENDING_DEBUG), 0, "row %zu", i);
	}
	vmx_stop();
}

/* The shadow of an STI, and then userspace clears IF. */
TEST(a_shadow_of_sti_ends_with_if)
{
	struct vcpu *vcpu = vmx_start();

	vmx_put_reg(vcpu, VM_REG_GUEST_RFLAGS, REG_RFLAGS_IF);
	vmx_put_reg(vcpu, VM_REG_GUEST_INTR_SHADOW, 1);
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	vmx_put_reg(vcpu, VM_REG_GUEST_RFLAGS, 0);
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	vmx_stop();
}

/* --- control registers ---------------------------------------------------- */

/* The guest has what is not masked; what is masked it reads from the shadow. */
static void guest_toggles_all_it_owns(struct vcpu *vcpu)
{
	(void)vcpu;
	vmcs_write(VMCS_GUEST_CR0, vmcs_read(VMCS_GUEST_CR0) ^ ~vmcs_read(VMCS_CR0_MASK));
	vmcs_write(VMCS_GUEST_CR4, vmcs_read(VMCS_GUEST_CR4) ^ ~vmcs_read(VMCS_CR4_MASK));
}

TEST_BOTH(bits_the_guest_owns_pass)
{
	uint64_t own0 = REG_CR0_PE | REG_CR0_MP | REG_CR0_EM | REG_CR0_TS | REG_CR0_WP | REG_CR0_AM;
	struct vcpu *vcpu = vmx_start();
	uint64_t own4 = vmx_vm->cpuid->features.cr4 & ~(REG_CR4_MCE | REG_CR4_VMXE);

	CHECK(own4 & REG_CR4_PAE);
	processor.guest = guest_toggles_all_it_owns;
	vmx_turn(vcpu);
	CHECK_EQ(~seen(VMCS_CR0_MASK), own0);
	CHECK_EQ(~seen(VMCS_CR4_MASK), own4);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_CR0), own0 | REG_CR0_RESET);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_CR4), own4);
	vmx_stop();
}

TEST_BOTH(bits_of_the_host_are_shown_as_the_guest_has_them)
{
	uint64_t hidden = REG_CR0_CD | REG_CR0_NW | REG_CR0_NE;
	struct vcpu *vcpu;

	/* NE is the host's even where the processor would let it go. */
	processor_start();
	processor_set_bits(MSRN_VMX_CR0_FIXED0, REG_CR0_NE, false);
	vcpu = vmx_start_here();
	vmx_put_reg(vcpu, VM_REG_GUEST_CR0, REG_CR0_CD | REG_CR0_NW | REG_CR0_ET);
	vmx_put_reg(vcpu, VM_REG_GUEST_CR4, REG_CR4_PSE);
	vmx_turn(vcpu);
	CHECK_EQ(seen(VMCS_GUEST_CR0) & hidden, REG_CR0_NE);
	CHECK_EQ(seen(VMCS_CR0_SHADOW) & hidden, REG_CR0_CD | REG_CR0_NW);
	CHECK_EQ(seen(VMCS_GUEST_CR4), REG_CR4_PSE | REG_CR4_MCE | REG_CR4_VMXE);
	CHECK_EQ(seen(VMCS_CR4_SHADOW), REG_CR4_PSE);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_CR4), REG_CR4_PSE);
	CHECK(seen(VMCS_EXCEPTION_BITMAP) & BIT_ULL(VECTOR_MF));
	vmx_put_reg(vcpu, VM_REG_GUEST_CR0, REG_CR0_NE);
	vmx_turn(vcpu);
	CHECK(!(seen(VMCS_EXCEPTION_BITMAP) & BIT_ULL(VECTOR_MF)));
	CHECK_EQ(seen(VMCS_EXCEPTION_BITMAP),
		 BIT_ULL(VECTOR_DB) | BIT_ULL(VECTOR_AC) | BIT_ULL(VECTOR_MC));
	vmx_stop();
}

TEST_BOTH(long_mode_is_derived)
{
	struct vcpu *vcpu = vmx_start();

	vmx_turn(vcpu);
	CHECK_EQ(seen(VMCS_ENTRY_CONTROLS) & ENTRY_CONTROL_IA32E_GUEST, 0);
	vmx_long_mode(vcpu);
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(seen(VMCS_GUEST_EFER), REG_EFER_LME | REG_EFER_LMA);
	CHECK(seen(VMCS_ENTRY_CONTROLS) & ENTRY_CONTROL_IA32E_GUEST);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_EFER), REG_EFER_LME | REG_EFER_LMA);
	vmx_put_reg(vcpu, VM_REG_GUEST_EFER, REG_EFER_LMA);
	vmx_put_reg(vcpu, VM_REG_GUEST_CR0, REG_CR0_PE | REG_CR0_NE);
	vmx_put_desc(vcpu, VM_REG_GUEST_CS, 0, 0xffffffff, 0xc09b);
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(seen(VMCS_GUEST_EFER), 0);
	CHECK_EQ(seen(VMCS_ENTRY_CONTROLS) & ENTRY_CONTROL_IA32E_GUEST, 0);
	vmx_stop();
}

TEST_BOTH(registers_the_hardware_would_refuse_are_refused)
{
	static const struct {
		int reg;
		uint64_t value;
	} bad[] = {
		{ VM_REG_GUEST_CR0, 1ull << 32 },      { VM_REG_GUEST_CR0, REG_CR0_NW },
		{ VM_REG_GUEST_CR0, REG_CR0_PG },      { VM_REG_GUEST_CR3, 1ull << 52 },
		{ VM_REG_GUEST_CR4, 1ull << 32 },      { VM_REG_GUEST_CR4, REG_CR4_VMXE },
		{ VM_REG_GUEST_CR4, REG_CR4_SMXE },    { VM_REG_GUEST_EFER, REG_EFER_SVME },
		{ VM_REG_GUEST_EFER, 1ull << 63 },     { VM_REG_GUEST_DR6, 1ull << 32 },
		{ VM_REG_GUEST_DR7, 1ull << 32 },      { VM_REG_GUEST_TPR, 16 },
		{ VM_REG_GUEST_CS, 0x10000 },	       { VM_REG_GUEST_GDTR, 0 },
		{ VM_REG_GUEST_FS_BASE, 1ull << 47 },  { VM_REG_GUEST_GS_BASE, 1ull << 63 },
		{ VM_REG_GUEST_KGS_BASE, 1ull << 47 },
	};
	struct seg_desc wide = { .limit = 0x10000 };
	struct vcpu *vcpu = vmx_start();

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_EQ_AT(vcpu_set_register(vcpu, bad[i].reg, bad[i].value), -EINVAL, "row %zu",
			    i);
	CHECK_EQ(vmx_backend.set_desc(vcpu, VM_REG_GUEST_IDTR, &wide), -EINVAL);
	CHECK_EQ(vmx_backend.set_desc(vcpu, VM_REG_GUEST_CR0, &wide), -EINVAL);
	CHECK_EQ(vmx_backend.get_desc(vcpu, VM_REG_GUEST_CR0, &wide), -EINVAL);
	CHECK_EQ(vmx_backend.set_msr(vcpu, MSRN_TSC, 0), -EINVAL);
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	vmx_stop();
}

TEST(legal_values)
{
	CHECK(legal_cr0(REG_CR0_RESET));
	CHECK(legal_cr0(REG_CR0_PG | REG_CR0_PE));
	CHECK(!legal_cr0(REG_CR0_PG));
	CHECK(!legal_cr0(REG_CR0_NW));
	CHECK(!legal_cr0(BIT_ULL(32)));
	CHECK(legal_cr3(0x000fffffffffffffull));
	CHECK(!legal_cr3(BIT_ULL(52)));
	CHECK(!legal_cr3(BIT_ULL(63)));
	CHECK(legal_cr4(REG_CR4_PAE | REG_CR4_PKE));
	CHECK(!legal_cr4(REG_CR4_VMXE));
	CHECK(!legal_cr4(REG_CR4_SMXE));
	CHECK(!legal_cr4(BIT_ULL(32)));
	CHECK(legal_debug_register(0xffffffff));
	CHECK(!legal_debug_register(BIT_ULL(32)));
	CHECK(legal_cr8(15));
	CHECK(!legal_cr8(16));
	CHECK_EQ(legal_efer_lma(REG_EFER_LME, 0), REG_EFER_LME);
	CHECK_EQ(legal_efer_lma(REG_EFER_LME | REG_EFER_LMA, 0), REG_EFER_LME);
	CHECK_EQ(legal_efer_lma(REG_EFER_LMA | REG_EFER_NXE, REG_CR0_PG), REG_EFER_NXE);
	CHECK_EQ(legal_efer_lma(REG_EFER_LME, REG_CR0_PG), REG_EFER_LME | REG_EFER_LMA);
}

TEST(descriptors_survive_the_round_trip)
{
	static const uint32_t access[] = { 0xc093, 0xa09b, 0x008b, 0x0082, 0xf0f3, 0x10000 };
	struct vcpu *vcpu = vmx_start();

	for (int reg = VM_REG_GUEST_ES; reg <= VM_REG_GUEST_TR; reg++) {
		for (size_t i = 0; i < ARRAY_SIZE(access); i++) {
			struct seg_desc out = { 0 };

			vmx_put_desc(vcpu, reg, 0x123456789, 0xfffff, access[i]);
			CHECK_EQ(vmx_backend.get_desc(vcpu, reg, &out), 0);
			CHECK_EQ(out.base, 0x123456789);
			CHECK_EQ(out.limit, 0xfffff);
			/* A task register is always busy. */
			CHECK_EQ_AT(out.access, access[i] | (reg == VM_REG_GUEST_TR ? 2 : 0),
				    "register %d", reg);
		}
	}
	/* What is not present cannot be used; reserved bits are none. */
	vmx_put_desc(vcpu, VM_REG_GUEST_DS, 0, 0, 0xfffe0f13);
	CHECK_EQ(vmx_vcpu(vcpu)->field[FIELD_ES_ACCESS + 12], 0x10013);
	vmx_stop();
}

TEST(bases_are_msrs_as_well)
{
	struct vcpu *vcpu = vmx_start();
	struct seg_desc desc;
	uint64_t value;

	CHECK_EQ(vmx_backend.set_msr(vcpu, MSRN_GS_BASE, 0x1234000), 0);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_GS_BASE), 0x1234000);
	CHECK_EQ(vmx_backend.get_desc(vcpu, VM_REG_GUEST_GS, &desc), 0);
	CHECK_EQ(desc.base, 0x1234000);
	vmx_put_reg(vcpu, VM_REG_GUEST_FS_BASE, 0x5678000);
	CHECK_EQ(vmx_backend.get_msr(vcpu, MSRN_FS_BASE, &value), 0);
	CHECK_EQ(value, 0x5678000);
	CHECK_EQ(vmx_backend.set_msr(vcpu, MSRN_CSTAR, 0x99), 0);
	CHECK_EQ(vmx_backend.get_msr(vcpu, MSRN_CSTAR, &value), 0);
	CHECK_EQ(value, 0x99);
	CHECK_EQ(vmx_backend.set_msr(vcpu, MSRN_PAT, 0x0606060606060606), 0);
	CHECK_EQ(vmx_backend.set_msr(vcpu, MSRN_SYSENTER_EIP, 0x4321), 0);
	vmx_turn(vcpu);
	CHECK_EQ(seen(VMCS_GUEST_PAT), 0x0606060606060606);
	CHECK_EQ(seen(VMCS_GUEST_SYSENTER_EIP), 0x4321);
	vmx_stop();
}

TEST(init_keeps_what_it_must)
{
	struct vcpu *vcpu = vmx_start();
	uint64_t value;

	CHECK_EQ(vmx_backend.set_msr(vcpu, MSRN_LSTAR, 0x1234), 0);
	CHECK_EQ(vmx_backend.set_msr(vcpu, MSRN_SYSENTER_CS, 0x10), 0);
	vmx_put_reg(vcpu, VM_REG_GUEST_CR0, REG_CR0_PE);
	vmx_put_reg(vcpu, VM_REG_GUEST_FS_BASE, 0x5678);
	vcpu_set_nmi_blocked(vcpu, true);
	vcpu_reset(vcpu, true);
	CHECK_EQ(vmx_backend.get_msr(vcpu, MSRN_LSTAR, &value), 0);
	CHECK_EQ(value, 0x1234);
	CHECK_EQ(vmx_backend.get_msr(vcpu, MSRN_SYSENTER_CS, &value), 0);
	CHECK_EQ(value, 0x10);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_CR0), REG_CR0_ET);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_FS_BASE), 0);
	CHECK(!vcpu_nmi_blocked(vcpu));
	vcpu_reset(vcpu, false);
	CHECK_EQ(vmx_backend.get_msr(vcpu, MSRN_LSTAR, &value), 0);
	CHECK_EQ(value, 0);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_CR0), REG_CR0_RESET);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_CS), 0xf000);
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	vmx_stop();
}

/* --- debug registers ------------------------------------------------------ */

TEST_BOTH(debug_registers_are_the_guests_at_first_use)
{
	struct vcpu *vcpu = vmx_start();

	vmx_put_reg(vcpu, VM_REG_GUEST_DR0, 0x1000);
	vmx_put_reg(vcpu, VM_REG_GUEST_DR6, 0xffff0ff1);
	processor.reason = VMX_EXIT_MOV_DR;
	vmx_begin(vcpu);
	CHECK_EQ(vmx_entry_and_exit(vcpu), EXIT_RESUME);
	CHECK(seen(VMCS_PRIMARY_CONTROLS) & PRIMARY_MOV_DR);
	CHECK_EQ(vcpu->rip, 0xfff0); /* the instruction runs again */
	CHECK_EQ(os_read_dr(0), 0x1000);
	CHECK_EQ(os_read_dr(6), 0xffff0ff1);
	vmx_entry_and_exit(vcpu);
	CHECK(!(seen(VMCS_PRIMARY_CONTROLS) & PRIMARY_MOV_DR));
	os_write_dr(6, 0xffff0ff8); /* by the guest */
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_DR6), 0xffff0ff8);
	vmx_put_reg(vcpu, VM_REG_GUEST_DR6, 0xffff0ff4);
	CHECK_EQ(os_read_dr(6), 0xffff0ff4);
	vmx_end(vcpu);
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_DR6), 0xffff0ff4);
	CHECK_EQ(os_read_dr(6), REG_DR6_RESET);
	vmx_begin(vcpu);
	vmx_entry(vcpu);
	CHECK(seen(VMCS_PRIMARY_CONTROLS) & PRIMARY_MOV_DR);
	vmx_end(vcpu);
	vmx_stop();
}

TEST(breakpoints_come_with_their_registers)
{
	struct vcpu *vcpu = vmx_start();

	vmx_put_reg(vcpu, VM_REG_GUEST_DR1, 0x2000);
	vmx_put_reg(vcpu, VM_REG_GUEST_DR7, 0x404);
	vmx_begin(vcpu);
	vmx_entry(vcpu);
	CHECK(!(seen(VMCS_PRIMARY_CONTROLS) & PRIMARY_MOV_DR));
	CHECK_EQ(seen(VMCS_GUEST_DR7), 0x404);
	CHECK_EQ(os_read_dr(1), 0x2000);
	vmx_end(vcpu);
	vmx_stop();
}

/* --- translations --------------------------------------------------------- */

TEST(asids_are_handed_out_in_order)
{
	struct asid_pool pool = { 0 };
	struct asid a = { 0 }, b = { 0 };

	CHECK(asid_is_current(&pool, &a)); /* generation 0: never in use after a restart */
	asid_pool_restart(&pool, 3);
	CHECK(!asid_is_current(&pool, &a));
	CHECK(asid_take(&pool, &a));
	CHECK_EQ(a.id, 1);
	CHECK(!asid_take(&pool, &b));
	CHECK_EQ(b.id, 2);
	CHECK(asid_is_current(&pool, &a));
	CHECK(asid_take(&pool, &b)); /* none left: all are forgotten */
	CHECK_EQ(b.id, 1);
	CHECK(!asid_is_current(&pool, &a));
	CHECK(asid_is_current(&pool, &b));
	asid_forget(&b);
	CHECK(!asid_is_current(&pool, &b));
	CHECK(!asid_take(&pool, &a));
	asid_pool_restart(&pool, 3);
	CHECK(!asid_is_current(&pool, &a));
}

static void forget_invalidations(void)
{
	memset(&processor.ept, 0, sizeof(processor.ept));
	memset(&processor.vpid, 0, sizeof(processor.vpid));
}

static unsigned int invalidations(void)
{
	return processor.ept.single + processor.ept.all + processor.vpid.single +
	       processor.vpid.all;
}

TEST(vcpus_of_one_cpu_have_different_vpids)
{
	struct vcpu *a = vmx_start(), *b = vmx_second();
	uint64_t vpid;

	vmx_turn(a);
	vpid = seen(VMCS_VPID);
	CHECK(vpid != 0);
	vmx_turn(b);
	CHECK(seen(VMCS_VPID) != 0);
	CHECK(seen(VMCS_VPID) != vpid);
	forget_invalidations();
	vmx_turn(a);
	CHECK_EQ(seen(VMCS_VPID), vpid);
	CHECK_EQ(invalidations(), 0);
	vmx_stop();
}

TEST(what_changes_is_forgotten)
{
	struct vcpu *vcpu = vmx_start();
	uint64_t vpid;

	vmx_turn(vcpu);
	vpid = seen(VMCS_VPID);
	forget_invalidations();
	vmx_put_reg(vcpu, VM_REG_GUEST_CR3, 0x7000);
	vmx_turn(vcpu);
	CHECK_EQ(processor.vpid.single, 1);
	CHECK_EQ(processor.vpid.last, vpid);
	CHECK_EQ(invalidations(), 1);
	vmx_backend.flush_nested(vcpu);
	vmx_turn(vcpu);
	CHECK_EQ(processor.ept.single, 1);
	CHECK_EQ(processor.ept.last, vmx_vcpu(vcpu)->eptp);
	CHECK_EQ(processor.vpid.single, 2);
	CHECK_EQ(invalidations(), 3);
	vmx_turn(vcpu);
	CHECK_EQ(invalidations(), 3);
	vmx_stop();
}

/* Having been elsewhere and come back counts as a move: what is cached here is old. */
TEST(a_move_takes_a_new_vpid)
{
	struct vcpu *vcpu = vmx_start();
	uint64_t vpid;

	vmx_turn(vcpu);
	vpid = seen(VMCS_VPID);
	os_user_move_to_cpu(1);
	vmx_turn(vcpu);
	os_user_move_to_cpu(0);
	forget_invalidations();
	vmx_turn(vcpu);
	CHECK(seen(VMCS_VPID) != vpid);
	CHECK_EQ(processor.ept.single, 1);
	CHECK_EQ(invalidations(), 1);
	vmx_stop();
}

TEST(vpids_are_void_after_vmx_was_off)
{
	struct vcpu *vcpu = vmx_start();

	vmx_turn(vcpu);
	forget_invalidations();
	vmx_backend.cpu_disable();
	REQUIRE(vmx_backend.cpu_enable() == 0);
	vmx_turn(vcpu);
	CHECK_EQ(processor.ept.all, 1);	 /* when it was turned on */
	CHECK_EQ(processor.vpid.all, 1); /* when a generation began */
	vmx_stop();
}

TEST(vpids_that_run_out_begin_anew)
{
	struct vcpu *vcpu = vmx_start();

	vmx_turn(vcpu);
	forget_invalidations();
	vmx_vcpu(vcpu)->cpu->vpids.next = 0xffff;
	asid_forget(&vmx_vcpu(vcpu)->vpid);
	vmx_turn(vcpu);
	CHECK_EQ(seen(VMCS_VPID), 0xffff);
	CHECK_EQ(invalidations(), 0);
	asid_forget(&vmx_vcpu(vcpu)->vpid);
	vmx_turn(vcpu);
	CHECK_EQ(seen(VMCS_VPID), 1);
	CHECK_EQ(processor.vpid.all, 1);
	vmx_stop();
}

/* A processor that invalidates neither by VPID nor by EPT pointer. */
TEST(without_single_contexts_there_are_detours)
{
	struct vcpu *vcpu;
	uint64_t vpid;

	processor_start();
	processor_set_bits(MSRN_VMX_EPT_VPID, EPT_CAP_INVVPID | EPT_CAP_INVEPT_SINGLE, false);
	vcpu = vmx_start_here();
	vmx_turn(vcpu);
	vpid = seen(VMCS_VPID);
	forget_invalidations();
	vmx_put_reg(vcpu, VM_REG_GUEST_CR3, 0x7000);
	vmx_turn(vcpu);
	CHECK(seen(VMCS_VPID) != vpid);
	CHECK_EQ(invalidations(), 0);
	vmx_backend.flush_nested(vcpu);
	vmx_turn(vcpu);
	CHECK_EQ(processor.ept.all, 1);
	forget_invalidations();
	vmx_vcpu(vcpu)->cpu->vpids.next = 0x10000;
	asid_forget(&vmx_vcpu(vcpu)->vpid);
	vmx_turn(vcpu);
	CHECK_EQ(processor.ept.all, 1);
	vmx_stop();
}

TEST(without_vpids_entries_forget_by_themselves)
{
	struct vcpu *vcpu;

	vmx_disable_features = VMX_OPTION_VPID;
	vcpu = vmx_start();
	vmx_turn(vcpu);
	forget_invalidations();
	vmx_put_reg(vcpu, VM_REG_GUEST_CR3, 0x7000);
	vmx_turn(vcpu);
	CHECK_EQ(invalidations(), 0);
	CHECK(!vmx_vcpu(vcpu)->flush_linear);
	vmx_stop();
}

/* --- memory runs short ---------------------------------------------------- */

TEST_BOTH(vcpus_are_made_whole_or_not_at_all)
{
	static const struct vmm_backend *const candidates[] = { &vmx_backend, NULL };
	struct vcpu *vcpu = NULL;
	unsigned int n = 1;

	processor_start();
	REQUIRE(vmm_init(candidates) == 0);
	REQUIRE(vm_create("vmx", 1, &vmx_vm) == 0);
	for (;; n++) {
		uint64_t before = os_user_alloc_outstanding();

		os_user_fail_alloc(n);
		if (vm_vcpu_create(vmx_vm, 0, &vcpu) == 0)
			break;
		CHECK_EQ_AT(os_user_alloc_outstanding(), before, "allocation %u", n);
	}
	CHECK(n > 5);
	os_user_fail_alloc(0);
	vmx_stop();
}
