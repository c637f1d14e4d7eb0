// SPDX-License-Identifier: BSD-2-Clause
/* The played processor; vmx_processor.h. */
#include "vmx_processor.h"

#include <stdlib.h>

#include "vmx/switch.h"
#include "vm/regs.h"

#define REGIONS	 16
#define FIELDS	 0x400
#define NONE	 (~0ull)
#define NOWHERE	 (~0u)
#define REVISION 0x2bu

struct vmx_processor processor;

/* A VMCS. What software must not assume is that its memory means anything. */
struct region {
	uint64_t address;
	unsigned int cpu; /* where it is active; NOWHERE */
	bool clear;	  /* VMCLEAR has been done */
	bool launched;
	uint64_t field[FIELDS];
};

static struct region regions[REGIONS];
static uint64_t seen_field[FIELDS];
static unsigned int reads[FIELDS], writes[FIELDS];

/* A CPU, beyond what os/user has. */
static struct {
	uint64_t vmxon; /* region, NONE: off */
	struct region *current;
	uint64_t cr2;
} cpus[OS_USER_MAX_CPUS];

static void __attribute__((format(printf, 1, 2), noreturn)) misuse(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "VMX: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	abort();
}

/* --- capabilities --------------------------------------------------------- */

/* As a Haswell has them: what must be 1 below, what may be 1 above. */
static const struct {
	uint32_t msr;
	uint64_t value;
} capabilities[] = {
	{ MSRN_VMX_BASIC, 0x00da040000000000 | REVISION },
	{ MSRN_VMX_PIN, 0x0000007f00000016 },
	{ MSRN_VMX_PRIMARY, 0xfff9fffe0401e172 },
	{ MSRN_VMX_EXIT, 0x007fffff00036dff },
	{ MSRN_VMX_ENTRY, 0x0000ffff000011ff },
	{ MSRN_VMX_MISC, 0x00000000300481e5 },
	{ MSRN_VMX_CR0_FIXED0, 0x80000021 },
	{ MSRN_VMX_CR0_FIXED1, 0xffffffff },
	{ MSRN_VMX_CR4_FIXED0, 0x00002000 },
	{ MSRN_VMX_CR4_FIXED1, 0x003767ff },
	{ MSRN_VMX_SECONDARY, 0x00007fff00000000 },
	{ MSRN_VMX_EPT_VPID, 0x00000f0106334141 },
	{ MSRN_VMX_TRUE_PIN, 0x0000007f00000016 },
	{ MSRN_VMX_TRUE_PRIMARY, 0xfff9fffe04006172 },
	{ MSRN_VMX_TRUE_EXIT, 0x007fffff00036dfb },
	{ MSRN_VMX_TRUE_ENTRY, 0x0000ffff000011fb },
	{ MSRN_FEATURE_CONTROL, FEATURE_CONTROL_LOCK | FEATURE_CONTROL_OUTSIDE_SMX },
};

/* Of the host: each another value, so that what is mixed up shows. */
static const struct {
	uint32_t msr;
	uint64_t value;
} host_msrs[] = {
	{ MSRN_EFER, 0xd01 },
	{ MSRN_PAT, 0x0407050600070106 },
	{ MSRN_STAR, 0x0023001000000000 },
	{ MSRN_LSTAR, 0xffffffff81e00080 },
	{ MSRN_SFMASK, 0x47700 },
	{ MSRN_SYSENTER_CS, 0x10 },
	{ MSRN_SYSENTER_ESP, 0xfffffe0000003000 },
	{ MSRN_SYSENTER_EIP, 0xffffffff81e01500 },
	{ MSRN_KERNEL_GS_BASE, 0x00007f0011112222 },
	{ MSRN_DEBUGCTL, 0 },
};

static const struct os_host_segments host_segments = {
	.cs = 0x10,
	.ss = 0x18,
	.tr = 0x40,
	.fs_base = 0x00007f00aaaa0000,
	.gs_base = 0xffff888000010000,
	.tr_base = 0xfffffe0000001000,
	.gdt = { 0x7f, 0xfffffe0000002000 },
	.idt = { 0xfff, 0xfffffe0000000000 },
};

static void set_cpuid(void)
{
	const uint32_t vendor[4] = { 0xd, 0x756e6547, 0x6c65746e, 0x49656e69 };
	const uint32_t leaf1[4] = { 0x000306c3, 0x00020800, 0x7ed8322b, 0x178bfbff };

	os_user_set_cpuid(0, 0, vendor);
	os_user_set_cpuid(1, 0, leaf1);
}

void processor_start(void)
{
	os_user_reset();
	memset(&processor, 0, sizeof(processor));
	memset(regions, 0, sizeof(regions));
	for (unsigned int i = 0; i < OS_USER_MAX_CPUS; i++) {
		cpus[i].vmxon = NONE;
		cpus[i].current = NULL;
	}
	for (unsigned int i = 0; i < os_cpu_possible(); i++)
		os_user_cpu(i)->cr3 = 0x1000000 * (i + 1);
	set_cpuid();
	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++)
		os_user_set_msr(capabilities[i].msr, capabilities[i].value);
	for (size_t i = 0; i < ARRAY_SIZE(host_msrs); i++)
		os_user_set_msr(host_msrs[i].msr, host_msrs[i].value);
	processor.segments = host_segments;
	processor.reason = VMX_EXIT_EXTERNAL_INTERRUPT;
	forget_counts();
}

void processor_set_bits(uint32_t msr, uint64_t bits, bool on)
{
	uint64_t value = os_rdmsr(msr);

	os_user_set_msr(msr, on ? value | bits : value & ~bits);
}

void processor_forbid(uint32_t msr, uint32_t controls)
{
	processor_set_bits(msr, (uint64_t)controls << 32, false);
	if (msr >= MSRN_VMX_PIN && msr <= MSRN_VMX_ENTRY)
		processor_set_bits(msr - MSRN_VMX_PIN + MSRN_VMX_TRUE_PIN, (uint64_t)controls << 32,
				   false);
}

/* --- fields --------------------------------------------------------------- */

static bool may(uint32_t msr, uint32_t control)
{
	return os_rdmsr(msr) >> 32 & control;
}

/* Fields that come with a control (SDM vol. 3, appendix B). */
static bool exists(uint32_t field)
{
	switch (field) {
	case VMCS_VPID:
		return may(MSRN_VMX_SECONDARY, SECONDARY_VPID);
	case VMCS_VIRTUAL_APIC:
	case VMCS_TPR_THRESHOLD:
		return may(MSRN_VMX_PRIMARY, PRIMARY_TPR_SHADOW);
	case VMCS_APIC_ACCESS:
		return may(MSRN_VMX_SECONDARY, SECONDARY_VIRTUAL_APIC_ACCESS);
	case VMCS_GUEST_INTR_STATUS:
	case VMCS_EOI_EXIT0 ... VMCS_EOI_EXIT0 + 6:
		return may(MSRN_VMX_SECONDARY, SECONDARY_VIRTUAL_INTERRUPT);
	case VMCS_PLE_GAP:
	case VMCS_PLE_WINDOW:
		return may(MSRN_VMX_SECONDARY, SECONDARY_PAUSE_LOOP);
	case VMCS_PREEMPTION_TIMER:
		return may(MSRN_VMX_PIN, PIN_PREEMPTION_TIMER);
	default:
		return !(field & ~0x6ffeu) && (field >> 1 & 0x1ff) < 64;
	}
}

/* Width and type of a field, and its number among those. */
static unsigned int place(uint32_t field)
{
	if (!exists(field))
		misuse("there is no field %#x", field);
	return (field >> 13 & 3) << 8 | (field >> 10 & 3) << 6 | (field >> 1 & 63);
}

static bool is_read_only(uint32_t field)
{
	return (field >> 10 & 3) == 1;
}

static uint64_t width_mask(uint32_t field)
{
	static const uint64_t masks[] = { 0xffff, ~0ull, 0xffffffff, ~0ull };

	return masks[field >> 13 & 3];
}

static struct region *current(const char *what)
{
	struct region *region = cpus[os_cpu_id()].current;

	if (!vmx_is_on())
		misuse("%s outside VMX operation", what);
	if (!region)
		misuse("%s without a current VMCS", what);
	return region;
}

uint64_t os_vmread(uint32_t field)
{
	struct region *region = current("VMREAD");

	reads[place(field)]++;
	return region->field[place(field)];
}

void os_vmwrite(uint32_t field, uint64_t value)
{
	struct region *region = current("VMWRITE");

	if (is_read_only(field))
		misuse("VMWRITE of field %#x, which cannot be written", field);
	if (value & ~width_mask(field))
		misuse("VMWRITE of %#" PRIx64 " to field %#x, which is too narrow", value, field);
	writes[place(field)]++;
	region->field[place(field)] = value;
}

uint64_t vmcs_read(uint32_t field)
{
	return current("vmcs_read")->field[place(field)];
}

void vmcs_write(uint32_t field, uint64_t value)
{
	current("vmcs_write")->field[place(field)] = value & width_mask(field);
}

uint64_t seen(uint32_t field)
{
	return seen_field[place(field)];
}

static unsigned int count(const unsigned int *counts, uint32_t field)
{
	unsigned int sum = 0;

	if (field != 0xffff)
		return counts[place(field)];
	for (unsigned int i = 0; i < FIELDS; i++)
		sum += counts[i];
	return sum;
}

unsigned int count_reads(uint32_t field)
{
	return count(reads, field);
}

unsigned int count_writes(uint32_t field)
{
	return count(writes, field);
}

void forget_counts(void)
{
	memset(reads, 0, sizeof(reads));
	memset(writes, 0, sizeof(writes));
}

/* --- VMX operation -------------------------------------------------------- */

bool vmx_is_on(void)
{
	return cpus[os_cpu_id()].vmxon != NONE;
}

uint64_t current_vmcs(void)
{
	const struct region *region = cpus[os_cpu_id()].current;

	return region ? region->address : NONE;
}

static void check_region(uint64_t address)
{
	if (address & 0xfff)
		misuse("region %#" PRIx64 " is not aligned", address);
	if (*(const uint32_t *)os_phys_to_virt(address) != REVISION)
		misuse("region %#" PRIx64 " has another revision", address);
}

int os_vmxon(vm_paddr_t address)
{
	if (!(os_read_cr4() & REG_CR4_VMXE))
		misuse("VMXON without CR4.VMXE");
	if (!(os_rdmsr(MSRN_FEATURE_CONTROL) & FEATURE_CONTROL_OUTSIDE_SMX))
		misuse("VMXON that the firmware does not allow");
	if (vmx_is_on())
		misuse("VMXON twice");
	check_region(address);
	if (processor.refuse)
		return -EIO;
	cpus[os_cpu_id()].vmxon = address;
	return 0;
}

void os_vmxoff(void)
{
	if (!vmx_is_on())
		misuse("VMXOFF outside VMX operation");
	for (unsigned int i = 0; i < REGIONS; i++)
		if (regions[i].address && regions[i].cpu == os_cpu_id())
			misuse("VMXOFF with an active VMCS");
	cpus[os_cpu_id()].vmxon = NONE;
}

static struct region *find_region(uint64_t address)
{
	for (unsigned int i = 0; i < REGIONS; i++) {
		if (regions[i].address == address)
			return &regions[i];
		if (!regions[i].address) {
			regions[i].address = address;
			regions[i].cpu = NOWHERE;
			/* Nothing is 0 unless written. */
			memset(regions[i].field, 0xa5, sizeof(regions[i].field));
			return &regions[i];
		}
	}
	misuse("more than %d regions", REGIONS);
}

int os_vmclear(const vm_paddr_t *vmcs)
{
	vm_paddr_t address = *vmcs;
	struct region *region = find_region(address);

	check_region(address);
	if (!vmx_is_on())
		misuse("VMCLEAR outside VMX operation");
	if (region->cpu != NOWHERE && region->cpu != os_cpu_id())
		misuse("VMCLEAR of a VMCS that is active on CPU %u", region->cpu);
	if (cpus[os_cpu_id()].current == region)
		cpus[os_cpu_id()].current = NULL;
	region->cpu = NOWHERE;
	region->launched = false;
	region->clear = true;
	return 0;
}

int os_vmptrld(const vm_paddr_t *vmcs)
{
	vm_paddr_t address = *vmcs;
	struct region *region = find_region(address);

	check_region(address);
	if (!vmx_is_on())
		misuse("VMPTRLD outside VMX operation");
	if (address == cpus[os_cpu_id()].vmxon)
		misuse("VMPTRLD of the VMXON region");
	if (region->cpu != NOWHERE && region->cpu != os_cpu_id())
		misuse("VMPTRLD of a VMCS that is active on CPU %u", region->cpu);
	if (!region->clear)
		misuse("VMPTRLD of a VMCS that has never been cleared");
	region->cpu = os_cpu_id();
	cpus[os_cpu_id()].current = region;
	processor.pointer_loads++;
	return 0;
}

static void invalidate(struct vmx_invalidations *log, uint64_t type, uint64_t operand)
{
	if (type == INVALIDATE_SINGLE)
		log->single++;
	else
		log->all++;
	log->last = operand;
}

void os_invept(uint64_t type, uint64_t eptp)
{
	uint64_t needed = type == INVALIDATE_SINGLE ? EPT_CAP_INVEPT_SINGLE : EPT_CAP_INVEPT_ALL;

	if (!vmx_is_on() || !(os_rdmsr(MSRN_VMX_EPT_VPID) & EPT_CAP_INVEPT) ||
	    !(os_rdmsr(MSRN_VMX_EPT_VPID) & needed))
		misuse("INVEPT of type %" PRIu64, type);
	invalidate(&processor.ept, type, eptp);
}

void os_invvpid(uint64_t type, uint16_t vpid)
{
	uint64_t needed = type == INVALIDATE_SINGLE ? EPT_CAP_INVVPID_SINGLE : EPT_CAP_INVVPID_ALL;

	if (!vmx_is_on() || !(os_rdmsr(MSRN_VMX_EPT_VPID) & EPT_CAP_INVVPID) ||
	    !(os_rdmsr(MSRN_VMX_EPT_VPID) & needed) || (type == INVALIDATE_SINGLE && !vpid))
		misuse("INVVPID of type %" PRIu64, type);
	invalidate(&processor.vpid, type, vpid);
}

/* --- the host around it --------------------------------------------------- */

uint64_t os_read_cr2(void)
{
	return cpus[os_cpu_id()].cr2;
}

void os_write_cr2(uint64_t value)
{
	cpus[os_cpu_id()].cr2 = value;
}

void os_host_segments_save(struct os_host_segments *segments)
{
	*segments = processor.segments;
}

bool os_host_segments_refresh(struct os_host_segments *segments)
{
	const struct os_host_segments *now = &processor.segments;
	size_t process = offsetof(struct os_host_segments, ds);

	if (memcmp(segments, now, process) != 0)
		misuse("the segments of another CPU are refreshed");
	if (memcmp(&segments->ds, &now->ds, sizeof(*now) - process) == 0)
		return false;
	*segments = *now;
	return true;
}

void os_host_segments_restore(const struct os_host_segments *segments)
{
	if (memcmp(segments, &processor.segments, sizeof(*segments)) != 0)
		misuse("segments are put back that were never saved");
	processor.segment_restores++;
}

void os_set_vmxe(bool on)
{
	struct os_user_cpu *cpu = os_user_cpu(os_cpu_id());

	if (!on && vmx_is_on())
		misuse("CR4.VMXE is cleared in VMX operation");
	cpu->cr4 = on ? cpu->cr4 | REG_CR4_VMXE : cpu->cr4 & ~REG_CR4_VMXE;
}

bool os_uses_fred(void)
{
	return processor.fred;
}

/* --- entries -------------------------------------------------------------- */

/* A word of controls against its MSR, the "true" one if there are such (A.3 to A.5). */
static void check_word(const struct region *region, uint32_t field, uint32_t msr)
{
	bool is_true = os_rdmsr(MSRN_VMX_BASIC) & VMX_BASIC_TRUE_CONTROLS;
	uint32_t value = (uint32_t)region->field[place(field)];
	uint64_t allowed;

	if (is_true && msr <= MSRN_VMX_ENTRY)
		msr = msr - MSRN_VMX_PIN + MSRN_VMX_TRUE_PIN;
	allowed = os_rdmsr(msr);
	if (((uint32_t)allowed & ~value) || (value & ~(uint32_t)(allowed >> 32)))
		misuse("entry with controls %#x in field %#x, allowed %#" PRIx64, value, field,
		       allowed);
}

/* Controls that want each other (26.2.1.1). */
static void check_dependencies(const struct region *region)
{
	uint32_t primary = (uint32_t)region->field[place(VMCS_PRIMARY_CONTROLS)];
	uint32_t secondary = (uint32_t)region->field[place(VMCS_SECONDARY_CONTROLS)];
	uint32_t apicv = SECONDARY_VIRTUAL_X2APIC | SECONDARY_APIC_REGISTERS |
			 SECONDARY_VIRTUAL_INTERRUPT;
	uint32_t modes = SECONDARY_VIRTUAL_X2APIC | SECONDARY_VIRTUAL_APIC_ACCESS;

	if (!(primary & PRIMARY_TPR_SHADOW) && (secondary & apicv))
		misuse("entry with a virtual APIC but no TPR shadow");
	if ((secondary & modes) == modes)
		misuse("entry with an APIC of two modes");
	if ((secondary & SECONDARY_VPID) && !region->field[place(VMCS_VPID)])
		misuse("entry with VPID 0");
	if ((primary & PRIMARY_TPR_SHADOW) && !(secondary & SECONDARY_VIRTUAL_INTERRUPT)) {
		const uint8_t *page = os_phys_to_virt(region->field[place(VMCS_VIRTUAL_APIC)]);

		if (region->field[place(VMCS_TPR_THRESHOLD)] > page[VIRTUAL_APIC_TPR] >> 4)
			misuse("entry with a TPR below its threshold");
	}
}

static bool has_error_code(uint32_t vector)
{
	return vector == VECTOR_DF || (vector >= VECTOR_TS && vector <= VECTOR_PF) ||
	       vector == VECTOR_AC;
}

/* The event to be delivered (26.2.1.3). */
static void check_event(const struct region *region)
{
	uint32_t info = (uint32_t)region->field[place(VMCS_ENTRY_INTR_INFO)];
	uint32_t type = info & VM_INTINFO_TYPE, vector = VM_INTINFO_VECTOR(info);
	bool protected = region->field[place(VMCS_GUEST_CR0)] & REG_CR0_PE;
	bool wants = protected && type == VM_INTINFO_HWEXCEPTION && has_error_code(vector);

	if (!(info & VM_INTINFO_VALID))
		return;
	if ((info & VM_INTINFO_RSVD) || type == 0x100 || type == 0x700)
		misuse("entry with event %#x", info);
	if ((type == VM_INTINFO_NMI && vector != VECTOR_NMI) ||
	    (type == VM_INTINFO_HWEXCEPTION && vector > 31))
		misuse("entry with event %#x", info);
	if (wants != !!(info & VM_INTINFO_DEL_ERRCODE))
		misuse("entry with event %#x, %s error code", info, wants ? "without" : "with");
	if (wants && region->field[place(VMCS_ENTRY_ERROR_CODE)] >> 15)
		misuse("entry with an error code that is too wide");
	if (type >= VM_INTINFO_SWINTR && region->field[place(VMCS_ENTRY_LENGTH)] - 1 > 14)
		misuse("entry with a software event of no length");
}

/* RFLAGS, interruptibility and pending debug exceptions (26.3.1.4 and 26.3.1.5). False: refused. */
static bool check_flow(const struct region *region)
{
	uint64_t rflags = region->field[place(VMCS_GUEST_RFLAGS)];
	uint64_t blocking = region->field[place(VMCS_GUEST_INTERRUPTIBILITY)];
	uint64_t pending = region->field[place(VMCS_GUEST_PENDING_DEBUG)];
	uint32_t info = (uint32_t)region->field[place(VMCS_ENTRY_INTR_INFO)];
	uint64_t shadow = blocking & (BLOCKING_STI | BLOCKING_MOV_SS);
	bool event = info & VM_INTINFO_VALID;

	if (!(rflags & 2) || (rflags & 0xffffffffffc08028) || (blocking & ~0xfull))
		return false;
	if (shadow == (BLOCKING_STI | BLOCKING_MOV_SS) || (blocking & BLOCKING_SMI))
		return false;
	if ((shadow & BLOCKING_STI) && !(rflags & REG_RFLAGS_IF))
		return false;
	if (shadow && !(pending & PENDING_DEBUG_BS) != !(rflags & REG_RFLAGS_TF))
		return false;
	if (event && (info & VM_INTINFO_TYPE) == VM_INTINFO_HWINTR)
		return !shadow && (rflags & REG_RFLAGS_IF);
	if (event && (info & VM_INTINFO_TYPE) == VM_INTINFO_NMI)
		return !shadow && !(blocking & BLOCKING_NMI);
	return true;
}

static void check_launch(const struct region *region, uint32_t flags)
{
	if (flags & VMX_SWITCH_LAUNCHED ? !region->launched : region->launched)
		misuse("%s of a VMCS whose launch state is another",
		       flags & VMX_SWITCH_LAUNCHED ? "VMRESUME" : "VMLAUNCH");
	check_word(region, VMCS_PIN_CONTROLS, MSRN_VMX_PIN);
	check_word(region, VMCS_PRIMARY_CONTROLS, MSRN_VMX_PRIMARY);
	check_word(region, VMCS_SECONDARY_CONTROLS, MSRN_VMX_SECONDARY);
	check_word(region, VMCS_EXIT_CONTROLS, MSRN_VMX_EXIT);
	check_word(region, VMCS_ENTRY_CONTROLS, MSRN_VMX_ENTRY);
	check_dependencies(region);
	check_event(region);
}

static void report_exit(struct region *region, uint32_t reason)
{
	region->field[place(VMCS_EXIT_REASON)] = reason;
	region->field[place(VMCS_EXIT_QUALIFICATION)] = processor.qualification;
	if (reason & EXIT_REASON_ENTRY_FAILED)
		return;
	region->field[place(VMCS_EXIT_LENGTH)] = processor.length;
	region->field[place(VMCS_EXIT_INTR_INFO)] = processor.intr_info;
	region->field[place(VMCS_VECTORING_INFO)] = processor.vectoring;
	region->field[place(VMCS_VECTORING_ERROR)] = processor.vectoring_error;
	region->field[place(VMCS_GUEST_PHYSICAL)] = processor.guest_physical;
	region->field[place(VMCS_ENTRY_INTR_INFO)] &= ~(uint64_t)VM_INTINFO_VALID;
}

/* What entry and delivery do to blocking. */
static void begin_guest(struct region *region)
{
	uint32_t info = (uint32_t)region->field[place(VMCS_ENTRY_INTR_INFO)];
	uint64_t *blocking = &region->field[place(VMCS_GUEST_INTERRUPTIBILITY)];

	if ((info & VM_INTINFO_VALID) && (info & VM_INTINFO_TYPE) == VM_INTINFO_NMI)
		*blocking |= BLOCKING_NMI;
	region->launched = true;
	processor.launches += !(processor.switch_flags & VMX_SWITCH_LAUNCHED);
}

bool vmx_world_switch(uint64_t *gpr, uint32_t flags)
{
	struct region *region = current("VMLAUNCH");
	uint32_t reason = processor.reason;

	(void)gpr;
	check_launch(region, flags);
	memcpy(seen_field, region->field, sizeof(seen_field));
	processor.entries++;
	processor.switch_flags = flags;
	if (processor.refuse) {
		region->field[place(VMCS_INSTRUCTION_ERROR)] = processor.refuse;
		return false;
	}
	if (!check_flow(region))
		reason = EXIT_REASON_ENTRY_FAILED | VMX_EXIT_INVALID_STATE;
	if (!(reason & EXIT_REASON_ENTRY_FAILED)) {
		begin_guest(region);
		if (processor.guest)
			processor.guest(processor.vcpu);
		os_wrmsr(MSRN_DEBUGCTL, 0);
		os_write_dr(7, REG_DR7_RESET);
	}
	report_exit(region, reason);
	if (flags & X86_SWITCH_HOST_SPEC_CTRL)
		os_wrmsr(MSRN_SPEC_CTRL, processor.vcpu->host_spec_ctrl);
	return true;
}
