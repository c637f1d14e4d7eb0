// SPDX-License-Identifier: BSD-2-Clause
/*
 * Can this machine run us? What is missing is named, for the log. What is there
 * decides every control bit (SDM vol. 3, 23.6, 23.7, 24.6 to 24.8, appendix A).
 */
#include "vmx/features.h"

#include "os/vmx.h"
#include "vmx/vmcs.h"
#include "vmx/vmx.h"
#include "x86/cpu/features.h"
#include "vm/regs.h"

#define CPUID_ECX_VMX  (1u << 5) /* leaf 1 */
#define MEMORY_TYPE_WB 6

uint32_t vmx_disable_features;
struct vmx_capabilities vmx_capabilities;

/* --- controls --- */

/* A word of controls, while it is put together. */
struct control_word {
	uint32_t must; /* bits that the processor wants to be 1 */
	uint32_t may;  /* bits that it allows to be 1 */
	uint32_t value;
};

enum control_name { PIN, PRIMARY, SECONDARY, EXIT, ENTRY, CONTROL_WORDS };

static struct control_word read_control(uint32_t msr)
{
	uint64_t value = os_rdmsr(msr);
	struct control_word word = { .must = (uint32_t)value, .may = (uint32_t)(value >> 32) };

	word.value = word.must;
	return word;
}

/* Where "true" controls exist, some bits that the others want to be 1 may be 0 (A.3.1). */
static void read_controls(struct control_word words[CONTROL_WORDS], uint64_t basic)
{
	bool is_true = basic & VMX_BASIC_TRUE_CONTROLS;

	words[PIN] = read_control(is_true ? MSRN_VMX_TRUE_PIN : MSRN_VMX_PIN);
	words[PRIMARY] = read_control(is_true ? MSRN_VMX_TRUE_PRIMARY : MSRN_VMX_PRIMARY);
	words[EXIT] = read_control(is_true ? MSRN_VMX_TRUE_EXIT : MSRN_VMX_EXIT);
	words[ENTRY] = read_control(is_true ? MSRN_VMX_TRUE_ENTRY : MSRN_VMX_ENTRY);
	memset(&words[SECONDARY], 0, sizeof(words[SECONDARY]));
	if (words[PRIMARY].may & PRIMARY_SECONDARY)
		words[SECONDARY] = read_control(MSRN_VMX_SECONDARY);
}

/* Without these there is no running; the first one missing is named. */
static const struct {
	enum control_name word;
	uint32_t bit;
	const char *why;
} required[] = {
	{ PRIMARY, PRIMARY_SECONDARY, "this processor's VMX has no secondary controls" },
	{ SECONDARY, SECONDARY_EPT, "this processor's VMX has no EPT (nested paging)" },
	{ SECONDARY, SECONDARY_UNRESTRICTED_GUEST,
	  "this processor's VMX has no unrestricted guest" },
	{ PIN, PIN_EXTERNAL_INTERRUPT, "this processor's VMX has no exit on external interrupts" },
	{ PIN, PIN_NMI, "this processor's VMX has no exit on NMIs" },
	{ PIN, PIN_VIRTUAL_NMI, "this processor's VMX has no virtual NMIs" },
	{ PRIMARY, PRIMARY_INTERRUPT_WINDOW, "this processor's VMX has no interrupt-window exit" },
	{ PRIMARY, PRIMARY_NMI_WINDOW, "this processor's VMX has no NMI-window exit" },
	{ PRIMARY, PRIMARY_TSC_OFFSET, "this processor's VMX has no TSC offset" },
	{ PRIMARY, PRIMARY_HLT, "this processor's VMX has no exit on HLT" },
	{ PRIMARY, PRIMARY_MWAIT, "this processor's VMX has no exit on MWAIT" },
	{ PRIMARY, PRIMARY_MONITOR, "this processor's VMX has no exit on MONITOR" },
	{ PRIMARY, PRIMARY_RDPMC, "this processor's VMX has no exit on RDPMC" },
	{ PRIMARY, PRIMARY_MOV_DR, "this processor's VMX has no exit on MOV DR" },
	{ PRIMARY, PRIMARY_IO, "this processor's VMX has no exit on all I/O" },
	{ PRIMARY, PRIMARY_MSR_BITMAP, "this processor's VMX has no MSR bitmap" },
	{ PRIMARY, PRIMARY_PAUSE, "this processor's VMX has no exit on PAUSE" },
	{ EXIT, EXIT_CONTROL_HOST_64, "this processor's VMX has no 64-bit host" },
	{ EXIT, EXIT_CONTROL_SAVE_DEBUG, "this processor's VMX does not save DR7" },
	{ EXIT, EXIT_CONTROL_LOAD_EFER, "this processor's VMX does not switch EFER" },
	{ ENTRY, ENTRY_CONTROL_LOAD_EFER, "this processor's VMX does not switch EFER" },
	{ ENTRY, ENTRY_CONTROL_LOAD_DEBUG, "this processor's VMX does not load DR7" },
	{ EXIT, EXIT_CONTROL_LOAD_PAT, "this processor's VMX does not switch PAT" },
	{ ENTRY, ENTRY_CONTROL_LOAD_PAT, "this processor's VMX does not switch PAT" },
};

static const char *vmx_require_controls(struct control_word words[CONTROL_WORDS])
{
	for (size_t i = 0; i < ARRAY_SIZE(required); i++) {
		struct control_word *word = &words[required[i].word];

		if (!(word->may & required[i].bit))
			return required[i].why;
		word->value |= required[i].bit;
	}
	return NULL;
}

/* Of no use one without the other; the APIC's mode decides which are on. */
#define APICV                                                                                  \
	(SECONDARY_VIRTUAL_APIC_ACCESS | SECONDARY_VIRTUAL_X2APIC | SECONDARY_APIC_REGISTERS | \
	 SECONDARY_VIRTUAL_INTERRUPT)

/* What is used where it is offered; 'needs' are features listed before. */
static const struct {
	uint32_t feature;
	enum control_name word;
	uint32_t bit;
	uint32_t needs;
	const char *name; /* for the log; NULL: not worth it */
} optional[] = {
	{ VMX_OPTION_VPID, SECONDARY, SECONDARY_VPID, 0, "VPID" },
	{ VMX_OPTION_PREEMPTION_TIMER, PIN, PIN_PREEMPTION_TIMER, 0, "preemption timer" },
	{ VMX_OPTION_TPR_SHADOW, PRIMARY, PRIMARY_TPR_SHADOW, 0, "TPR shadow" },
	{ VMX_OPTION_PAUSE_LOOP, SECONDARY, SECONDARY_PAUSE_LOOP, 0, "pause-loop exiting" },
	{ VMX_OPTION_RDTSCP, SECONDARY, SECONDARY_RDTSCP, 0, NULL },
	{ VMX_OPTION_INVPCID, SECONDARY, SECONDARY_INVPCID, 0, NULL },
	{ VMX_OPTION_WBINVD, SECONDARY, SECONDARY_WBINVD, 0, NULL },
	{ VMX_OPTION_APICV, SECONDARY, APICV, VMX_OPTION_TPR_SHADOW,
	  "APIC-register virtualization, virtual interrupt delivery" },
};

/* A bit that stays set here is set in every VMCS. Monitor trap is set on demand. */
static uint32_t use_optional(struct control_word words[CONTROL_WORDS], uint64_t ept_vpid)
{
	uint32_t features = 0;

	for (size_t i = 0; i < ARRAY_SIZE(optional); i++) {
		struct control_word *word = &words[optional[i].word];

		if ((optional[i].bit & ~word->may) ||
		    (optional[i].feature & vmx_disable_features) || (optional[i].needs & ~features))
			continue;
		word->value |= optional[i].bit;
		features |= optional[i].feature;
	}
	words[SECONDARY].value &= ~APICV;
	if (words[PRIMARY].may & PRIMARY_MONITOR_TRAP)
		features |= VMX_OPTION_MONITOR_TRAP;
	if (ept_vpid & EPT_CAP_ACCESSED_DIRTY)
		features |= VMX_OPTION_EPT_DIRTY;
	return features & ~vmx_disable_features;
}

/* Without a TPR shadow it is ours to know of each access to CR8. */
static const char *watch_cr8(struct control_word *primary, uint32_t features)
{
	uint32_t exits = PRIMARY_CR8_LOAD | PRIMARY_CR8_STORE;

	if (features & VMX_OPTION_TPR_SHADOW)
		return NULL;
	if (exits & ~primary->may)
		return "this processor's VMX has neither TPR shadow nor exits on CR8";
	primary->value |= exits;
	return NULL;
}

/* --- what else there must be --- */

static const char *check_ept(uint64_t ept_vpid)
{
	if (!(ept_vpid & EPT_CAP_WALK_4))
		return "this processor's EPT has no tables of four levels";
	if (!(ept_vpid & EPT_CAP_WB))
		return "this processor's EPT tables cannot be cached (no write-back)";
	if (!(ept_vpid & EPT_CAP_2M))
		return "this processor's EPT has no 2 MiB pages";
	if (!(ept_vpid & EPT_CAP_INVEPT) || !(ept_vpid & EPT_CAP_INVEPT_ALL))
		return "this processor has no INVEPT of all contexts";
	return NULL;
}

static const char *check_basic(uint64_t basic)
{
	if (VMX_BASIC_SIZE(basic) > OS_PAGE_SIZE || (basic & VMX_BASIC_32BIT))
		return "this processor's VMCS does not fit a page anywhere in memory";
	if (VMX_BASIC_MEMORY_TYPE(basic) != MEMORY_TYPE_WB)
		return "this processor's VMCS cannot lie in write-back memory";
	return NULL;
}

static const char *vmx_firmware_lock(void)
{
	uint64_t control = os_rdmsr(MSRN_FEATURE_CONTROL);

	if (control & FEATURE_CONTROL_OUTSIDE_SMX)
		return NULL;
	if (control & FEATURE_CONTROL_LOCK)
		return "VT-x is switched off and locked by the firmware (FEATURE_CONTROL): look "
		       "for VT-x or virtualization in its setup";
	return "VT-x is switched off (FEATURE_CONTROL), though not locked";
}

/* On each CPU: -EBUSY if a hypervisor has turned VMX on there. */
static int vmx_cpu_is_free(void *unused)
{
	(void)unused;
	return os_read_cr4() & REG_CR4_VMXE ? -EBUSY : 0;
}

static bool has_vmx(void)
{
	uint32_t regs[4];

	os_cpuid(1, 0, regs);
	return regs[2] & CPUID_ECX_VMX;
}

/* --- all together --- */

static void vmx_describe(char *facts, size_t size)
{
	size_t used = (size_t)snprintf(facts, size, "EPT, unrestricted guest");

	for (size_t i = 0; i < ARRAY_SIZE(optional) && used < size; i++) {
		if (optional[i].name && vmx_has(optional[i].feature))
			used += (size_t)snprintf(facts + used, size - used, ", %s",
						 optional[i].name);
	}
}

static const char *vmx_measure(struct vmx_capabilities *capabilities)
{
	struct control_word words[CONTROL_WORDS];
	uint64_t basic = os_rdmsr(MSRN_VMX_BASIC);
	const char *why = check_basic(basic);

	if (why)
		return why;
	read_controls(words, basic);
	why = vmx_require_controls(words);
	if (why)
		return why;
	capabilities->ept_vpid = os_rdmsr(MSRN_VMX_EPT_VPID);
	why = check_ept(capabilities->ept_vpid);
	if (why)
		return why;
	capabilities->features = use_optional(words, capabilities->ept_vpid);
	why = watch_cr8(&words[PRIMARY], capabilities->features);
	if (why)
		return why;
	capabilities->revision = VMX_BASIC_REVISION(basic);
	capabilities->pin = words[PIN].value;
	capabilities->primary = words[PRIMARY].value;
	capabilities->secondary = words[SECONDARY].value;
	capabilities->exit = words[EXIT].value;
	capabilities->entry = words[ENTRY].value;
	capabilities->cr0_fixed0 = os_rdmsr(MSRN_VMX_CR0_FIXED0);
	capabilities->cr0_fixed1 = os_rdmsr(MSRN_VMX_CR0_FIXED1);
	capabilities->cr4_fixed0 = os_rdmsr(MSRN_VMX_CR4_FIXED0);
	capabilities->cr4_fixed1 = os_rdmsr(MSRN_VMX_CR4_FIXED1);
	capabilities->timer_shift = VMX_MISC_TIMER_SHIFT(os_rdmsr(MSRN_VMX_MISC));
	return NULL;
}

int vmx_probe(const char **why, char *facts, size_t facts_size)
{
	if (!has_vmx())
		return -ENXIO;
	*why = vmx_firmware_lock();
	if (*why)
		return -ENODEV;
	if (os_uses_fred()) {
		*why = "this kernel uses FRED, for which NMIs cannot be handed over yet; boot with fred=off";
		return -ENODEV;
	}
	*why = vmx_measure(&vmx_capabilities);
	if (*why)
		return -ENODEV;
	if (os_each_cpu(vmx_cpu_is_free, NULL)) {
		*why = "another hypervisor holds the CPU (CR4.VMXE is set); if it is KVM, "
		       "unload kvm_intel, or boot with kvm.enable_virt_at_load=0";
		return -EBUSY;
	}
	vmx_describe(facts, facts_size);
	return 0;
}

/* What a guest may use only if a control allows it; the rest is as the host has it. */
bool vmx_offers(unsigned int feature)
{
	switch (feature) {
	case CPU_RDTSCP:
	case CPU_RDPID:
		return vmx_has(VMX_OPTION_RDTSCP);
	case CPU_INVPCID:
		return vmx_has(VMX_OPTION_INVPCID);
	default:
		return true;
	}
}

/* FreeBSD's names. Without unrestricted guests and exits of HLT the probe fails. */
static const struct {
	const char *name;
	uint32_t option; /* 0: always */
} vmx_numbers[] = {
	{ "vmx.initialized", 0 },
	{ "vmx.cap.halt_exit", 0 },
	{ "vmx.cap.unrestricted_guest", 0 },
	{ "vmx.cap.pause_exit", 0 },
	{ "vmx.cap.monitor_trap", VMX_OPTION_MONITOR_TRAP },
	{ "vmx.cap.wbinvd_exit", VMX_OPTION_WBINVD },
	{ "vmx.cap.rdpid", VMX_OPTION_RDTSCP },
	{ "vmx.cap.rdtscp", VMX_OPTION_RDTSCP },
	{ "vmx.cap.invpcid", VMX_OPTION_INVPCID },
	{ "vmx.cap.tpr_shadowing", VMX_OPTION_TPR_SHADOW },
	{ "vmx.cap.virtual_interrupt_delivery", VMX_OPTION_APICV },
};

unsigned int vmx_number(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(vmx_numbers); i++) {
		if (strcmp(vmx_numbers[i].name, name) == 0)
			return !vmx_numbers[i].option || vmx_has(vmx_numbers[i].option);
	}
	return 0;
}
