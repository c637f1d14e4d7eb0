// SPDX-License-Identifier: BSD-2-Clause
/* The local APIC that the processor plays (SDM vol. 3, chapter 29), and what is left to us. */
#include "vmx_vm.h"

#include "dev/ioapic.h"
#include "dev/lapic.h"
#include "vm/regs.h"

#define APIC_MODES (SECONDARY_VIRTUAL_APIC_ACCESS | SECONDARY_VIRTUAL_X2APIC)

static uint8_t *page;

/* A vCPU whose APIC is enabled. */
static struct vcpu *start(void)
{
	struct vcpu *vcpu = vmx_start();

	page = vmx_vcpu(vcpu)->virtual_apic;
	CHECK_EQ(lapic_mmio_write(vcpu, 0xf0, 4, 0x1ff), 0);
	(void)vmx_requests(vcpu);
	return vcpu;
}

static uint32_t apic_read(struct vcpu *vcpu, uint32_t offset)
{
	uint64_t value = 0;

	CHECK_EQ(lapic_mmio_read(vcpu, offset, 4, &value), 0);
	return (uint32_t)value;
}

/* Interrupts off, as right before an entry. */
static bool virtual_interrupt(struct vcpu *vcpu, int vector)
{
	bool taken;

	os_irq_disable();
	taken = vmx_backend.apic.interrupt(vcpu, vector);
	os_irq_enable();
	return taken;
}

/* --- interrupts ----------------------------------------------------------- */

TEST(requests_and_services_are_told)
{
	struct vcpu *vcpu = start();

	vmx_begin(vcpu);
	vmx_entry(vcpu);
	CHECK_EQ(seen(VMCS_GUEST_INTR_STATUS), 0);
	CHECK_EQ(seen(VMCS_VIRTUAL_APIC), os_virt_to_phys(page));
	lapic_accept(vcpu, 0x35);
	CHECK(virtual_interrupt(vcpu, 0x61));
	vmx_entry(vcpu);
	CHECK_EQ(seen(VMCS_GUEST_INTR_STATUS), 0x3561);
	CHECK(virtual_interrupt(vcpu, -1));
	vmx_entry(vcpu);
	CHECK_EQ(seen(VMCS_GUEST_INTR_STATUS), 0x3500);
	vmx_end(vcpu);
	vmx_stop();
}

static uint64_t eoi_exits(unsigned int i)
{
	return seen(VMCS_EOI_EXIT0 + 2 * i);
}

/* The I/O APIC is to hear of the end of what is level-triggered. */
TEST(level_vectors_exit_at_their_eoi)
{
	struct vcpu *vcpu = start();

	vmx_begin(vcpu);
	vmx_entry(vcpu);
	for (unsigned int i = 0; i < 4; i++)
		CHECK_EQ(eoi_exits(i), 0);
	lapic_post(vcpu, 0x41, true);
	lapic_post(vcpu, 0xe0, true);
	lapic_post(vcpu, 0x52, false);
	forget_counts();
	CHECK(virtual_interrupt(vcpu, lapic_highest_request(vcpu)));
	vmx_entry(vcpu);
	CHECK_EQ(eoi_exits(0), 0);
	CHECK_EQ(eoi_exits(1), 1ull << 1);
	CHECK_EQ(eoi_exits(2), 0);
	CHECK_EQ(eoi_exits(3), 1ull << 0x20);
	CHECK_EQ(count_writes(VMCS_EOI_EXIT0), 0);
	CHECK(virtual_interrupt(vcpu, 0xe0));
	CHECK_EQ(count_writes(VMCS_EOI_EXIT0 + 2), 1);
	lapic_post(vcpu, 0x41, false);
	CHECK(virtual_interrupt(vcpu, lapic_highest_request(vcpu)));
	vmx_entry(vcpu);
	CHECK_EQ(eoi_exits(1), 0);
	vmx_end(vcpu);
	vmx_stop();
}

TEST(without_the_option_software_injects)
{
	struct vcpu *vcpu;

	vmx_disable_features = VMX_OPTION_APICV;
	vcpu = start();
	vmx_begin(vcpu);
	vmx_entry(vcpu);
	CHECK(!virtual_interrupt(vcpu, 0x61));
	CHECK_EQ(seen(VMCS_SECONDARY_CONTROLS) &
			 (APIC_MODES | SECONDARY_APIC_REGISTERS | SECONDARY_VIRTUAL_INTERRUPT),
		 0);
	vmx_end(vcpu);
	CHECK(!vmx_vm->backend_state);
	vmx_stop();
}

/* Until the guest pauses, which is at once. */
static void run(struct vcpu *vcpu)
{
	vcpu->capabilities |= 1u << VM_CAP_PAUSE_EXIT;
	processor.reason = VMX_EXIT_PAUSE;
	processor.length = 2;
	CHECK_EQ(vcpu_run(vcpu), 0);
}

/* Through the run loop. */
TEST_BOTH(a_posted_interrupt_is_delivered)
{
	struct vcpu *vcpu = start();

	vmx_put_reg(vcpu, VM_REG_GUEST_RFLAGS, REG_RFLAGS_IF);
	lapic_post(vcpu, 0x51, false);
	run(vcpu);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_PAUSE);
	CHECK_EQ(processor.entries, 1);
	if (vmx_has(VMX_OPTION_APICV)) {
		CHECK(!(seen(VMCS_ENTRY_INTR_INFO) & VM_INTINFO_VALID));
		CHECK_EQ(seen(VMCS_GUEST_INTR_STATUS), 0x51);
		CHECK_EQ(apic_read(vcpu, 0x220), 1u << 0x11); /* the processor's to move */
	} else {
		CHECK_EQ(seen(VMCS_ENTRY_INTR_INFO), INTINFO(VM_INTINFO_HWINTR, 0x51));
		CHECK_EQ(apic_read(vcpu, 0x120), 1u << 0x11);
	}
	vmx_stop();
}

static bool delivers(void)
{
	return seen(VMCS_SECONDARY_CONTROLS) & SECONDARY_VIRTUAL_INTERRUPT;
}

/* What the VMCS was told of before a reset is not delivered after it. */
TEST(a_reset_forgets_requests_and_services)
{
	struct vcpu *vcpu = start();

	lapic_accept(vcpu, 0x45);
	lapic_post(vcpu, 0x51, false);
	run(vcpu);
	CHECK_EQ(seen(VMCS_GUEST_INTR_STATUS), 0x4551);
	vcpu_reset(vcpu, true); /* switches the APIC off by software */
	run(vcpu);
	CHECK(!delivers());
	CHECK_EQ(lapic_mmio_write(vcpu, 0xf0, 4, 0x1ff), 0);
	run(vcpu);
	CHECK(delivers());
	CHECK_EQ(seen(VMCS_GUEST_INTR_STATUS), 0);
	lapic_accept(vcpu, 0x45);
	lapic_post(vcpu, 0x51, false);
	run(vcpu);
	CHECK_EQ(seen(VMCS_GUEST_INTR_STATUS), 0x4551);
	REQUIRE(lapic_set_base(vcpu, 0xfee00100) == 0); /* off */
	run(vcpu);
	CHECK(!delivers());
	vmx_stop();
}

/* An EOI that software carries out: SVI would hold back what comes next. */
TEST(an_emulated_eoi_ends_the_service)
{
	struct vcpu *vcpu = start();

	lapic_accept(vcpu, 0x45);
	lapic_post(vcpu, 0x51, false);
	run(vcpu);
	CHECK_EQ(seen(VMCS_GUEST_INTR_STATUS), 0x4551);
	CHECK_EQ(lapic_mmio_write(vcpu, 0xb0, 4, 0), 0);
	run(vcpu);
	CHECK_EQ(seen(VMCS_GUEST_INTR_STATUS), 0x0051);
	vmx_stop();
}

/* --- modes ---------------------------------------------------------------- */

static void check_mode(struct vcpu *vcpu, uint32_t mode, bool x2apic)
{
	vmx_turn(vcpu);
	CHECK_EQ(seen(VMCS_SECONDARY_CONTROLS) & APIC_MODES, mode);
	CHECK_EQ(seen(VMCS_MSR_BITMAP), vmx_msr_bitmap_pa(x2apic));
}

TEST(modes_switch_controls_and_bitmap)
{
	struct vcpu *vcpu = start();

	check_mode(vcpu, SECONDARY_VIRTUAL_APIC_ACCESS, false);
	memset(&processor.ept, 0, sizeof(processor.ept));
	REQUIRE(lapic_set_x2apic_state(vcpu, X2APIC_ENABLED) == 0);
	REQUIRE(lapic_set_base(vcpu, 0xfee00d00) == 0);
	check_mode(vcpu, SECONDARY_VIRTUAL_X2APIC, true);
	CHECK_EQ(processor.ept.single, 1); /* what is cached of the page */
	REQUIRE(lapic_set_base(vcpu, 0xfee00100) == 0);
	check_mode(vcpu, 0, false);
	REQUIRE(lapic_set_base(vcpu, 0xfee00900) == 0);
	check_mode(vcpu, SECONDARY_VIRTUAL_APIC_ACCESS, false);
	/* Elsewhere in memory it is played by software. */
	REQUIRE(lapic_set_base(vcpu, 0xfed00900) == 0);
	check_mode(vcpu, 0, false);
	vcpu_reset(vcpu, false);
	check_mode(vcpu, SECONDARY_VIRTUAL_APIC_ACCESS, false);
	vmx_stop();
}

/* It would take interrupts from itself that such an APIC does not take. */
TEST(an_apic_off_by_software_is_played_by_software)
{
	struct vcpu *vcpu = start();

	check_mode(vcpu, SECONDARY_VIRTUAL_APIC_ACCESS, false);
	CHECK(delivers());
	lapic_post(vcpu, 0x51, false);
	CHECK_EQ(lapic_highest_request(vcpu), 0x51);
	(void)vmx_requests(vcpu);
	CHECK_EQ(lapic_mmio_write(vcpu, 0xf0, 4, 0xff), 0);
	check_mode(vcpu, SECONDARY_VIRTUAL_APIC_ACCESS, false);
	CHECK_EQ(seen(VMCS_SECONDARY_CONTROLS) &
			 (SECONDARY_APIC_REGISTERS | SECONDARY_VIRTUAL_INTERRUPT),
		 0);
	/* What it has accepted before is injected by software. */
	vmx_put_reg(vcpu, VM_REG_GUEST_RFLAGS, REG_RFLAGS_IF);
	run(vcpu);
	CHECK_EQ(seen(VMCS_ENTRY_INTR_INFO), INTINFO(VM_INTINFO_HWINTR, 0x51));
	CHECK_EQ(lapic_mmio_write(vcpu, 0xf0, 4, 0x1ff), 0);
	run(vcpu);
	CHECK(delivers());
	CHECK_EQ(seen(VMCS_GUEST_INTR_STATUS), 0x5100);

	REQUIRE(lapic_set_x2apic_state(vcpu, X2APIC_ENABLED) == 0);
	REQUIRE(lapic_set_base(vcpu, 0xfee00d00) == 0);
	check_mode(vcpu, SECONDARY_VIRTUAL_X2APIC, true);
	CHECK_EQ(lapic_wrmsr(vcpu, 0x80f, 0xff), 0);
	check_mode(vcpu, 0, false);
	CHECK(!delivers());
	vmx_stop();
}

TEST(without_the_option_modes_change_nothing)
{
	struct vcpu *vcpu;

	vmx_disable_features = VMX_OPTION_APICV;
	vcpu = start();
	check_mode(vcpu, 0, false);
	REQUIRE(lapic_set_x2apic_state(vcpu, X2APIC_ENABLED) == 0);
	REQUIRE(lapic_set_base(vcpu, 0xfee00d00) == 0);
	check_mode(vcpu, 0, false);
	vmx_stop();
}

/* --- the page in memory --------------------------------------------------- */

static enum exit_action violate(struct vcpu *vcpu, uint64_t gpa, uint64_t qualification)
{
	processor.reason = VMX_EXIT_EPT_VIOLATION;
	processor.guest_physical = gpa;
	processor.qualification = qualification;
	return vmx_turn(vcpu);
}

/* The entry that maps the APIC's address; 0 none. */
static uint64_t mapping(void)
{
	uint64_t entries[5] = { 0 };
	unsigned int count = npt_lookup(&vmx_vm->npt, LAPIC_DEFAULT_BASE, entries);

	return count == 4 ? entries[3] : 0;
}

TEST(the_page_is_mapped_at_first_use)
{
	struct vcpu *vcpu = start();
	uint64_t page_pa;

	REQUIRE(npt_cache_fill(&vcpu->npt_cache) == 0);
	CHECK_EQ(violate(vcpu, 0xfee00030, EPT_QUALIFICATION_READ), EXIT_RESUME);
	page_pa = seen(VMCS_APIC_ACCESS);
	CHECK_EQ(page_pa, os_virt_to_phys(vmx_vm->backend_state));
	CHECK_EQ(mapping(), page_pa | EPT_READ | EPT_WRITE | EPT_ACCESSED | EPT_DIRTY | 6 << 3);
	/* Another vCPU finds it there. */
	CHECK_EQ(violate(vmx_second(), 0xfee000b0, EPT_QUALIFICATION_WRITE), EXIT_RESUME);
	vmx_stop();
}

TEST(the_page_is_mapped_for_its_registers_only)
{
	struct vcpu *vcpu = start();

	REQUIRE(npt_cache_fill(&vcpu->npt_cache) == 0);
	vmx_begin(vcpu);
	CHECK(!vmx_apic_map(vcpu, 0xfee01000));
	CHECK(!vmx_apic_map(vcpu, 0xfedff000));
	vmx_end(vcpu);
	REQUIRE(lapic_set_base(vcpu, 0xfed00900) == 0);
	CHECK(!vmx_apic_map(vcpu, 0xfee00000));
	REQUIRE(lapic_set_base(vcpu, 0xfee00900) == 0);
	REQUIRE(lapic_set_x2apic_state(vcpu, X2APIC_ENABLED) == 0);
	REQUIRE(lapic_set_base(vcpu, 0xfee00d00) == 0);
	CHECK(!vmx_apic_map(vcpu, 0xfee00000));
	CHECK_EQ(mapping(), 0);
	vmx_stop();
}

TEST(memory_of_userspace_goes_first)
{
	struct vm_memmap map = { .gpa = 0xfee00000, .segid = 0, .len = 0x1000, .prot = VM_PROT_ALL };
	struct vcpu *vcpu = start();

	REQUIRE(memory_alloc_segment(vmx_vm, 0, map.len, "") == 0);
	REQUIRE(memory_map(vmx_vm, &map) == 0);
	REQUIRE(npt_cache_fill(&vcpu->npt_cache) == 0);
	CHECK_EQ(violate(vcpu, 0xfee00030, EPT_QUALIFICATION_READ), EXIT_OUTER);
	CHECK_EQ(mapping(), 0);
	vmx_stop();
}

/* It allows no fetches: the guest would come back for ever. */
TEST(nothing_is_fetched_from_the_page)
{
	struct vcpu *vcpu = start();

	REQUIRE(npt_cache_fill(&vcpu->npt_cache) == 0);
	vmx_protected_mode(vcpu);
	vcpu->rip = 0xfee00000;
	CHECK_EQ(violate(vcpu, 0xfee00000, EPT_QUALIFICATION_FETCH), EXIT_RESUME);
	CHECK_EQ(mapping(), 0);
	/* Once more, in case another processor has changed it. */
	CHECK_EQ(violate(vcpu, 0xfee00000, EPT_QUALIFICATION_FETCH), EXIT_USERSPACE);
	vmx_stop();
}

/* --- exits ---------------------------------------------------------------- */

/* Flat protected mode with memory at 0 and code at 0x1000. */
static void give_code(struct vcpu *vcpu, const char *code, size_t size)
{
	struct vm_memmap map = { .segid = 0, .len = 0x200000, .prot = VM_PROT_ALL };
	void *hva;

	REQUIRE(memory_alloc_segment(vmx_vm, 0, map.len, "") == 0);
	REQUIRE(memory_map(vmx_vm, &map) == 0);
	REQUIRE(memory_populate(vmx_vm, 0x1000) == 0);
	hva = memory_hva(vmx_vm, 0x1000, VM_PROT_WRITE);
	REQUIRE(hva);
	memcpy(hva, code, size);
	vmx_protected_mode(vcpu);
}

/* Accesses that the processor does not play are instructions to be emulated. */
TEST(accesses_are_emulated)
{
	static const char code[] = "\xa1\x30\x00\xe0\xfe"  /* mov 0xfee00030, %eax */
				   "\xa3\xf0\x00\xe0\xfe"; /* mov %eax, 0xfee000f0 */
	struct vcpu *vcpu = start();

	give_code(vcpu, code, sizeof(code));
	processor.reason = VMX_EXIT_APIC_ACCESS;
	processor.qualification = 0x30;
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->gpr[GPR_RAX], 0x01060014);
	CHECK_EQ(vcpu->rip, 0x1005);
	vcpu->gpr[GPR_RAX] = 0x1aa;
	processor.qualification = 0xf0 | APIC_TYPE_WRITE << 12;
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(vcpu->rip, 0x100a);
	CHECK_EQ(apic_read(vcpu, 0xf0), 0x1aa);
	CHECK_EQ(page[0xf0], 0xaa);
	vmx_stop();
}

static void apic_write(struct vcpu *vcpu, uint32_t offset, uint32_t value,
		       enum exit_action expected)
{
	memcpy(page + offset, &value, sizeof(value));
	processor.reason = VMX_EXIT_APIC_WRITE;
	processor.qualification = offset;
	processor.length = 3; /* of no meaning */
	CHECK_EQ(vmx_turn(vcpu), expected);
}

TEST(writes_in_the_page_are_acted_on)
{
	struct vcpu *vcpu = start(), *other = vmx_second();
	uint32_t high = 1u << 24;

	CHECK_EQ(lapic_mmio_write(other, 0xf0, 4, 0x1ff), 0);
	apic_write(vcpu, 0x320, 0x20045, EXIT_RESUME);
	CHECK_EQ(apic_read(vcpu, 0x320), 0x20045);
	CHECK_EQ(vcpu->rip, 0xfff0); /* the instruction is done */
	memcpy(page + 0x310, &high, sizeof(high));
	apic_write(vcpu, 0x300, 0x4061, EXIT_RESUME);
	CHECK_EQ(lapic_highest_request(other), 0x61);
	vmx_stop();
}

TEST(an_ipi_becomes_an_exit)
{
	struct vcpu *vcpu = start();

	vcpu_begin_wait_sipi(vmx_second());
	vcpu->capabilities |= 1u << VM_CAP_IPI_EXIT;
	apic_write(vcpu, 0x300, 0xc4610, EXIT_USERSPACE);
	CHECK_EQ(vcpu->exit.exitcode, VM_EXITCODE_IPI);
	CHECK_EQ(vcpu->exit.u.ipi.mode, 0x600);
	CHECK_EQ(vcpu->exit.u.ipi.vector, 0x10);
	CHECK_EQ(lapic_ipi_destinations(vcpu)[0], 2);
	CHECK_EQ(vcpu->exit.inst_length, 0);
	CHECK_EQ(vcpu->resume_rip, 0xfff0);
	vmx_stop();
}

/* The I/O APIC's line is still high: its EOI sends the interrupt again. */
TEST(an_eoi_of_a_level_interrupt_is_told)
{
	struct vcpu *vcpu = start();

	ioapic_mmio_write(vmx_vm, 0, 4, 0x10 + 2 * 9);
	ioapic_mmio_write(vmx_vm, 0x10, 4, 0x8041);
	CHECK_EQ(ioapic_assert(vmx_vm, 9), 0);
	CHECK_EQ(lapic_highest_request(vcpu), 0x41);
	memset(page + 0x220, 0, 4); /* delivered and ended by the processor */
	CHECK_EQ(lapic_highest_request(vcpu), -1);
	processor.reason = VMX_EXIT_VIRTUALIZED_EOI;
	processor.qualification = 0x41;
	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(lapic_highest_request(vcpu), 0x41);
	vmx_stop();
}

/* The TPR is where the processor keeps it. */
TEST_BOTH(cr8_is_in_the_page)
{
	struct vcpu *vcpu = start();

	vmx_put_reg(vcpu, VM_REG_GUEST_TPR, 5);
	CHECK_EQ(page[0x80], 0x50);
	page[0x80] = 0x73;
	CHECK_EQ(vmx_reg(vcpu, VM_REG_GUEST_TPR), 7);
	CHECK_EQ(lapic_get_tpr(vcpu), 0x73);
	CHECK_EQ(apic_read(vcpu, 0x80), 0x73);
	vmx_stop();
}
