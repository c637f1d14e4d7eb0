// SPDX-License-Identifier: BSD-2-Clause
/*
 * The Intel back end before a guest runs: what it demands of a processor, the controls
 * it makes of what it finds, physical CPUs, the MSR bitmap, the nested table's format.
 */
#include "vmx_vm.h"

#include "vmx/nested.h"
#include "vmx/permission.h"
#include "x86/cpu/features.h"
#include "vm/regs.h"

/* --- probe ---------------------------------------------------------------- */

static const char *why;
static char facts[160];

static int probe(void)
{
	why = NULL;
	facts[0] = '\0';
	return vmx_backend.probe(&why, facts, sizeof(facts));
}

static void must_name(int error, const char *words)
{
	CHECK_EQ_AT(probe(), error, "%s", words);
	if (!why || !strstr(why, words))
		unit_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", why ? why : "(null)",
			  words);
}

TEST(probe_finds_what_is_there)
{
	processor_start();
	CHECK_EQ(probe(), 0);
	CHECK(!why);
	CHECK(strstr(facts, "VPID"));
	CHECK(strstr(facts, "preemption timer"));
	CHECK(strstr(facts, "virtual interrupt delivery"));
	CHECK_EQ(vmx_capabilities.features, 0x3ff);
	CHECK_EQ(vmx_capabilities.revision, 0x2b);
	CHECK_EQ(vmx_capabilities.timer_shift, 5);
}

TEST(numbers_by_freebsds_names)
{
	processor_start();
	CHECK_EQ(probe(), 0);
	CHECK_EQ(vmx_backend.offers.number("vmx.initialized"), 1);
	CHECK_EQ(vmx_backend.offers.number("vmx.cap.unrestricted_guest"), 1);
	CHECK_EQ(vmx_backend.offers.number("vmx.cap.rdtscp"), 1);
	vmx_capabilities.features &= ~VMX_OPTION_RDTSCP;
	CHECK_EQ(vmx_backend.offers.number("vmx.cap.rdtscp"), 0);
	CHECK_EQ(vmx_backend.offers.number("vmx.cap.rdpid"), 0);
	CHECK_EQ(vmx_backend.offers.number("vmx.cap"), 0);
	CHECK_EQ(vmx_backend.offers.number("svm.features"), 0);
}

TEST(another_vendors_processor_is_not_ours)
{
	const uint32_t none[4] = { 0 };

	processor_start();
	os_user_set_cpuid(1, 0, none);
	CHECK_EQ(probe(), -ENXIO);
	CHECK(!why);
}

/* Facts that do not fit are cut, not written behind the end. */
TEST(facts_are_cut)
{
	processor_start();
	memset(facts, 'x', sizeof(facts));
	CHECK_EQ(vmx_backend.probe(&why, facts, 30), 0);
	CHECK_EQ(strlen(facts), 29);
	CHECK_EQ(facts[30], 'x');
}

TEST(firmware_decides)
{
	static const struct {
		uint64_t control;
		const char *words; /* NULL: fine */
	} rows[] = {
		{ 0, "though not locked" },
		{ FEATURE_CONTROL_LOCK, "locked by the firmware" },
		{ FEATURE_CONTROL_LOCK | 2, "locked by the firmware" }, /* inside SMX only */
		{ FEATURE_CONTROL_OUTSIDE_SMX, NULL },
		{ FEATURE_CONTROL_OUTSIDE_SMX | FEATURE_CONTROL_LOCK, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		processor_start();
		os_user_set_msr(MSRN_FEATURE_CONTROL, rows[i].control);
		if (rows[i].words)
			must_name(-ENODEV, rows[i].words);
		else
			CHECK_EQ_AT(probe(), 0, "row %zu", i);
	}
}

TEST(another_hypervisor_is_left_alone)
{
	processor_start();
	os_user_cpu(1)->cr4 |= REG_CR4_VMXE;
	must_name(-EBUSY, "CR4.VMXE is set");
	CHECK(strstr(why, "kvm_intel"));
}

TEST(fred_is_refused)
{
	processor_start();
	processor.fred = true;
	must_name(-ENODEV, "fred=off");
}

TEST(every_missing_control_is_named)
{
	static const struct {
		uint32_t msr;
		uint32_t bit;
		const char *words;
	} rows[] = {
		{ MSRN_VMX_PRIMARY, PRIMARY_SECONDARY, "no secondary controls" },
		{ MSRN_VMX_SECONDARY, SECONDARY_EPT, "no EPT" },
		{ MSRN_VMX_SECONDARY, SECONDARY_UNRESTRICTED_GUEST, "no unrestricted guest" },
		{ MSRN_VMX_PIN, PIN_EXTERNAL_INTERRUPT, "exit on external interrupts" },
		{ MSRN_VMX_PIN, PIN_NMI, "exit on NMIs" },
		{ MSRN_VMX_PIN, PIN_VIRTUAL_NMI, "virtual NMIs" },
		{ MSRN_VMX_PRIMARY, PRIMARY_INTERRUPT_WINDOW, "interrupt-window" },
		{ MSRN_VMX_PRIMARY, PRIMARY_NMI_WINDOW, "NMI-window" },
		{ MSRN_VMX_PRIMARY, PRIMARY_TSC_OFFSET, "TSC offset" },
		{ MSRN_VMX_PRIMARY, PRIMARY_HLT, "exit on HLT" },
		{ MSRN_VMX_PRIMARY, PRIMARY_MWAIT, "exit on MWAIT" },
		{ MSRN_VMX_PRIMARY, PRIMARY_MONITOR, "exit on MONITOR" },
		{ MSRN_VMX_PRIMARY, PRIMARY_RDPMC, "exit on RDPMC" },
		{ MSRN_VMX_PRIMARY, PRIMARY_MOV_DR, "exit on MOV DR" },
		{ MSRN_VMX_PRIMARY, PRIMARY_IO, "exit on all I/O" },
		{ MSRN_VMX_PRIMARY, PRIMARY_MSR_BITMAP, "MSR bitmap" },
		{ MSRN_VMX_PRIMARY, PRIMARY_PAUSE, "exit on PAUSE" },
		{ MSRN_VMX_EXIT, EXIT_CONTROL_HOST_64, "64-bit host" },
		{ MSRN_VMX_EXIT, EXIT_CONTROL_SAVE_DEBUG, "save DR7" },
		{ MSRN_VMX_EXIT, EXIT_CONTROL_LOAD_EFER, "switch EFER" },
		{ MSRN_VMX_EXIT, EXIT_CONTROL_LOAD_PAT, "switch PAT" },
		{ MSRN_VMX_ENTRY, ENTRY_CONTROL_LOAD_EFER, "switch EFER" },
		{ MSRN_VMX_ENTRY, ENTRY_CONTROL_LOAD_DEBUG, "load DR7" },
		{ MSRN_VMX_ENTRY, ENTRY_CONTROL_LOAD_PAT, "switch PAT" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		processor_start();
		processor_forbid(rows[i].msr, rows[i].bit);
		must_name(-ENODEV, rows[i].words);
	}
}

TEST(cr8_must_be_seen_somehow)
{
	processor_start();
	processor_forbid(MSRN_VMX_PRIMARY, PRIMARY_CR8_LOAD);
	CHECK_EQ(probe(), 0);
	processor_forbid(MSRN_VMX_PRIMARY, PRIMARY_TPR_SHADOW);
	must_name(-ENODEV, "CR8");
}

TEST(every_missing_property_is_named)
{
	static const struct {
		uint32_t msr;
		uint64_t clear, set;
		const char *words;
	} rows[] = {
		{ MSRN_VMX_EPT_VPID, EPT_CAP_WALK_4, 0, "four levels" },
		{ MSRN_VMX_EPT_VPID, EPT_CAP_WB, 0, "write-back" },
		{ MSRN_VMX_EPT_VPID, EPT_CAP_2M, 0, "2 MiB" },
		{ MSRN_VMX_EPT_VPID, EPT_CAP_INVEPT, 0, "INVEPT" },
		{ MSRN_VMX_EPT_VPID, EPT_CAP_INVEPT_ALL, 0, "INVEPT" },
		{ MSRN_VMX_BASIC, 0, VMX_BASIC_32BIT, "fit a page" },
		{ MSRN_VMX_BASIC, 0, 0x1001ull << 32, "fit a page" },
		{ MSRN_VMX_BASIC, 0xfull << 50, 0, "write-back" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		processor_start();
		processor_set_bits(rows[i].msr, rows[i].clear, false);
		processor_set_bits(rows[i].msr, rows[i].set, true);
		must_name(-ENODEV, rows[i].words);
	}
}

/* --- options -------------------------------------------------------------- */

static const struct {
	uint32_t option;
	uint32_t msr;
	uint32_t bit;
} options[] = {
	{ VMX_OPTION_VPID, MSRN_VMX_SECONDARY, SECONDARY_VPID },
	{ VMX_OPTION_PREEMPTION_TIMER, MSRN_VMX_PIN, PIN_PREEMPTION_TIMER },
	{ VMX_OPTION_TPR_SHADOW, MSRN_VMX_PRIMARY, PRIMARY_TPR_SHADOW },
	{ VMX_OPTION_PAUSE_LOOP, MSRN_VMX_SECONDARY, SECONDARY_PAUSE_LOOP },
	{ VMX_OPTION_MONITOR_TRAP, MSRN_VMX_PRIMARY, PRIMARY_MONITOR_TRAP },
	{ VMX_OPTION_RDTSCP, MSRN_VMX_SECONDARY, SECONDARY_RDTSCP },
	{ VMX_OPTION_INVPCID, MSRN_VMX_SECONDARY, SECONDARY_INVPCID },
	{ VMX_OPTION_WBINVD, MSRN_VMX_SECONDARY, SECONDARY_WBINVD },
	{ VMX_OPTION_APICV, MSRN_VMX_SECONDARY, SECONDARY_VIRTUAL_INTERRUPT },
	{ VMX_OPTION_APICV, MSRN_VMX_SECONDARY, SECONDARY_VIRTUAL_X2APIC },
	{ VMX_OPTION_APICV, MSRN_VMX_SECONDARY, SECONDARY_APIC_REGISTERS },
	{ VMX_OPTION_APICV, MSRN_VMX_SECONDARY, SECONDARY_VIRTUAL_APIC_ACCESS },
};

static void enter_once(void)
{
	struct vcpu *vcpu = vmx_start_here();

	CHECK_EQ(vmx_turn(vcpu), EXIT_RESUME);
	CHECK_EQ(processor.entries, 1);
	vmx_stop();
}

/* The played processor aborts where an entry's controls are not what the MSRs allow. */
TEST(each_option_may_be_absent)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		processor_start();
		processor_forbid(options[i].msr, options[i].bit);
		enter_once();
		CHECK_EQ_AT(vmx_capabilities.features & options[i].option, 0, "row %zu", i);
		CHECK_EQ_AT(seen(VMCS_PRIMARY_CONTROLS) & PRIMARY_MONITOR_TRAP, 0, "row %zu", i);
	}
}

TEST(each_option_may_be_disabled)
{
	for (uint32_t option = 1; option <= VMX_OPTION_APICV; option <<= 1) {
		vmx_disable_features = option;
		processor_start();
		enter_once();
		CHECK_EQ_AT(vmx_capabilities.features & option, 0, "option %#x", option);
	}
	vmx_disable_features = ~0u;
	processor_start();
	enter_once();
	CHECK_EQ(vmx_capabilities.features, 0);
	CHECK_EQ(seen(VMCS_SECONDARY_CONTROLS), SECONDARY_EPT | SECONDARY_UNRESTRICTED_GUEST);
	CHECK_EQ(seen(VMCS_PIN_CONTROLS) & PIN_PREEMPTION_TIMER, 0);
}

TEST(interrupts_of_its_own_need_the_tpr_shadow)
{
	vmx_disable_features = VMX_OPTION_TPR_SHADOW;
	processor_start();
	enter_once();
	CHECK(!vmx_has(VMX_OPTION_APICV));
	CHECK_EQ(seen(VMCS_PRIMARY_CONTROLS) & (PRIMARY_CR8_LOAD | PRIMARY_CR8_STORE),
		 PRIMARY_CR8_LOAD | PRIMARY_CR8_STORE);
	vmx_disable_features = 0;
	processor_start();
	enter_once();
	CHECK_EQ(seen(VMCS_PRIMARY_CONTROLS) & (PRIMARY_CR8_LOAD | PRIMARY_CR8_STORE), 0);
}

/* Old processors have no "true" controls, and exit at every MOV to or from CR3. */
TEST(controls_without_true_ones)
{
	processor_start();
	enter_once();
	CHECK_EQ(seen(VMCS_PRIMARY_CONTROLS) & (PRIMARY_CR3_LOAD | PRIMARY_CR3_STORE), 0);
	processor_start();
	processor_set_bits(MSRN_VMX_BASIC, VMX_BASIC_TRUE_CONTROLS, false);
	enter_once();
	CHECK_EQ(seen(VMCS_PRIMARY_CONTROLS) & (PRIMARY_CR3_LOAD | PRIMARY_CR3_STORE),
		 PRIMARY_CR3_LOAD | PRIMARY_CR3_STORE);
}

TEST(guests_see_what_controls_allow)
{
	processor_start();
	CHECK_EQ(probe(), 0);
	CHECK(vmx_backend.offers.feature(CPU_RDTSCP));
	CHECK(vmx_backend.offers.feature(CPU_RDPID));
	CHECK(vmx_backend.offers.feature(CPU_INVPCID));
	vmx_disable_features = VMX_OPTION_RDTSCP | VMX_OPTION_INVPCID;
	CHECK_EQ(probe(), 0);
	CHECK(!vmx_backend.offers.feature(CPU_RDTSCP));
	CHECK(!vmx_backend.offers.feature(CPU_RDPID));
	CHECK(!vmx_backend.offers.feature(CPU_INVPCID));
	CHECK(vmx_backend.offers.feature(CPU_SSE2));
}

/* --- physical CPUs -------------------------------------------------------- */

TEST(cpus_are_left_clean)
{
	processor_start();
	(void)vmx_start_here();
	for (unsigned int i = 0; i < 2; i++) {
		os_user_move_to_cpu(i);
		CHECK(vmx_is_on());
		CHECK(os_read_cr4() & REG_CR4_VMXE);
	}
	vmx_stop();
	for (unsigned int i = 0; i < 2; i++) {
		os_user_move_to_cpu(i);
		CHECK(!vmx_is_on());
		CHECK(!(os_read_cr4() & REG_CR4_VMXE));
	}
	vmx_backend.cpu_disable(); /* an emergency on a CPU where it is off */
}

static void init(void)
{
	processor_start();
	REQUIRE(probe() == 0);
	REQUIRE(vmx_backend.module.init() == 0);
}

TEST(a_cpu_that_cannot_be_had_says_why)
{
	init();
	os_user_cpu(0)->cr4 |= REG_CR4_VMXE;
	CHECK_EQ(vmx_backend.cpu_enable(), -EBUSY);
	CHECK(strstr(os_user_last_log(), "kvm.enable_virt_at_load=0"));
	os_user_cpu(0)->cr4 &= ~REG_CR4_VMXE;

	os_user_set_msr(MSRN_FEATURE_CONTROL, FEATURE_CONTROL_LOCK);
	CHECK_EQ(vmx_backend.cpu_enable(), -EBUSY);
	CHECK(strstr(os_user_last_log(), "FEATURE_CONTROL"));
	os_user_set_msr(MSRN_FEATURE_CONTROL, FEATURE_CONTROL_OUTSIDE_SMX);

	processor.refuse = 1;
	CHECK_EQ(vmx_backend.cpu_enable(), -EBUSY);
	CHECK(strstr(os_user_last_log(), "VMXON failed"));
	CHECK(!(os_read_cr4() & REG_CR4_VMXE));
	processor.refuse = 0;
	CHECK_EQ(vmx_backend.cpu_enable(), 0);
	vmx_backend.cpu_disable();
	vmx_backend.module.fini();
}

TEST(init_fails_cleanly_without_memory)
{
	for (unsigned int n = 1; n <= 5; n++) {
		processor_start();
		REQUIRE(probe() == 0);
		os_user_fail_alloc(n);
		CHECK_EQ_AT(vmx_backend.module.init(), -ENOMEM, "allocation %u", n);
		CHECK_EQ(os_user_alloc_outstanding(), 0);
	}
}

/* All that another hypervisor has left in the caches. */
TEST(turning_on_forgets_translations)
{
	init();
	REQUIRE(vmx_backend.cpu_enable() == 0);
	CHECK_EQ(processor.ept.all, 1);
	vmx_backend.cpu_disable();
	vmx_backend.module.fini();
}

/* --- the MSR bitmap ------------------------------------------------------- */

TEST(msr_bitmap_places)
{
	CHECK_EQ(msr_bitmap_bit(0), 0);
	CHECK_EQ(msr_bitmap_bit(0x1fff), 0x1fff);
	CHECK_EQ(msr_bitmap_bit(0x2000), -EINVAL);
	CHECK_EQ(msr_bitmap_bit(0xbfffffff), -EINVAL);
	CHECK_EQ(msr_bitmap_bit(0xc0000000), 1024 * 8);
	CHECK_EQ(msr_bitmap_bit(0xc0001fff), 1024 * 8 + 0x1fff);
	CHECK_EQ(msr_bitmap_bit(0xc0002000), -EINVAL);
	CHECK_EQ(msr_bitmap_bit(0xffffffff), -EINVAL);
}

/* What guests may do by themselves, spelled out: bits 0 read, 1 write. */
static unsigned int allowed(uint32_t msr)
{
	switch (msr) {
	case MSRN_FS_BASE:
	case MSRN_GS_BASE:
	case MSRN_KERNEL_GS_BASE:
		return 3;
	case MSRN_TSC:
	case MSRN_SYSENTER_CS:
	case MSRN_SYSENTER_ESP:
	case MSRN_SYSENTER_EIP:
	case MSRN_STAR:
	case MSRN_LSTAR:
	case MSRN_SFMASK:
		return 1;
	default:
		return 0;
	}
}

/* SDM vol. 3, 29.5: only what needs neither a clock nor a message is the processor's. */
static unsigned int allowed_x2apic(uint32_t msr)
{
	switch (msr) {
	case 0x808: /* TPR */
		return 3;
	case 0x80b: /* EOI */
	case 0x83f: /* self IPI */
		return 2;
	case 0x802 ... 0x803:
	case 0x80a: /* PPR */
	case 0x80d: /* LDR */
	case 0x80f ... 0x828:
	case 0x82f:
	case 0x832 ... 0x838:
	case 0x83e:
		return 1;
	default:
		return allowed(msr);
	}
}

static unsigned int open_directions(const uint8_t *map, uint32_t msr)
{
	unsigned int bit = (unsigned int)msr_bitmap_bit(msr);
	bool read = map[bit / 8] >> (bit % 8) & 1;
	bool write = map[2048 + bit / 8] >> (bit % 8) & 1;

	return (read ? 0 : 1) | (write ? 0 : 2);
}

static void check_range(const uint8_t *map, bool x2apic, uint32_t first)
{
	for (uint32_t msr = first; msr < first + 0x2000; msr++)
		CHECK_EQ_AT(open_directions(map, msr), x2apic ? allowed_x2apic(msr) : allowed(msr),
			    "MSR %#x, x2APIC %d", msr, x2apic);
}

TEST(msr_bitmap_bit_by_bit)
{
	static uint8_t map[4096];

	for (int x2apic = 0; x2apic < 2; x2apic++) {
		memset(map, 0, sizeof(map));
		msr_bitmap_fill(map, x2apic);
		check_range(map, x2apic, 0);
		check_range(map, x2apic, 0xc0000000);
	}
}

/* --- the nested table ----------------------------------------------------- */

TEST(nested_entries_say_what_may_be_done)
{
	const struct npt_format *format = &vmx_npt_format;
	uint64_t all = EPT_READ | EPT_ACCESSED | EPT_DIRTY;

	CHECK_EQ(format->leaf(VM_PROT_READ, NPT_MEMORY_UC), all);
	CHECK_EQ(format->leaf(VM_PROT_READ, NPT_MEMORY_WC), all | 1 << 3);
	CHECK_EQ(format->leaf(VM_PROT_READ, NPT_MEMORY_WB), all | 6 << 3);
	CHECK_EQ(format->leaf(VM_PROT_READ | VM_PROT_WRITE, NPT_MEMORY_WB),
		 all | EPT_WRITE | 6 << 3);
	CHECK_EQ(format->leaf(VM_PROT_ALL, NPT_MEMORY_WB), all | EPT_WRITE | EPT_EXECUTE | 6 << 3);
	/* Writable without readable would be a misconfiguration. */
	CHECK_EQ(format->leaf(VM_PROT_WRITE, NPT_MEMORY_WB), all | EPT_WRITE | 6 << 3);
	CHECK_EQ(format->large, 1 << 7);
	CHECK_EQ(format->present, 7);
	/* Bits 7:3 of an entry that leads to a table are reserved. */
	CHECK_EQ(format->table & 0xf8, 0);
}

TEST(the_table_is_as_deep_as_can_be)
{
	processor_start();
	CHECK_EQ(probe(), 0);
	CHECK_EQ(vmx_npt_levels(), 4);
	os_user_cpu(0)->cr4 |= REG_CR4_LA57;
	CHECK_EQ(vmx_npt_levels(), 4);
	processor_set_bits(MSRN_VMX_EPT_VPID, EPT_CAP_WALK_5, true);
	CHECK_EQ(probe(), 0);
	CHECK_EQ(vmx_npt_levels(), 5);
	os_user_cpu(0)->cr4 &= ~REG_CR4_LA57;
	CHECK_EQ(vmx_npt_levels(), 4);
}

TEST(eptp_says_depth_and_type)
{
	struct npt npt = { .levels = 4 };

	processor_start();
	CHECK_EQ(probe(), 0);
	npt.root = os_page_alloc();
	CHECK_EQ(vmx_eptp(&npt), os_virt_to_phys(npt.root) | 6 | 3 << 3 | 1 << 6);
	vmx_disable_features = VMX_OPTION_EPT_DIRTY;
	CHECK_EQ(probe(), 0);
	npt.levels = 5;
	CHECK_EQ(vmx_eptp(&npt), os_virt_to_phys(npt.root) | 6 | 4 << 3);
	os_page_free(npt.root);
}
