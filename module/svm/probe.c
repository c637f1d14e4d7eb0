// SPDX-License-Identifier: BSD-2-Clause
/*
 * Can this machine run us? What is missing is named, for the log (APM vol. 2,
 * 15.4).
 */
#include "svm/features.h"

#include "svm/nested.h"
#include "svm/svm.h"
#include "svm/vmcb.h"
#include "vm/regs.h"

#define CPUID_EXTENDED_MAX	0x80000000u
#define CPUID_EXTENDED_FEATURES 0x80000001u
#define CPUID_SVM		0x8000000au
#define CPUID_EXTENDED_ECX_SVM	(1u << 2)

#define VM_CR_LOCK (1ull << 3)

uint32_t svm_disable_features;
uint32_t svm_features;
uint32_t svm_clean_after_exit;
uint64_t svm_next_rip_mask;
uint32_t svm_asid_count;

/* Names for the line in the log, in the order of the bits. */
static const struct {
	uint32_t feature;
	const char *name;
} feature_names[] = {
	{ SVM_FEATURE_NEXT_RIP, "next-RIP save" },
	{ SVM_FEATURE_CLEAN_BITS, "clean bits" },
	{ SVM_FEATURE_FLUSH_BY_ASID, "flush by ASID" },
	{ SVM_FEATURE_DECODE_ASSISTS, "decode assists" },
	{ SVM_FEATURE_PAUSE_FILTER, "pause filter" },
	{ SVM_FEATURE_VIRTUAL_NMI, "virtual NMI" },
};

static bool has_svm(void)
{
	uint32_t regs[4];

	os_cpuid(CPUID_EXTENDED_MAX, 0, regs);
	if (regs[0] < CPUID_SVM)
		return false;
	os_cpuid(CPUID_EXTENDED_FEATURES, 0, regs);
	return regs[2] & CPUID_EXTENDED_ECX_SVM;
}

/* Why the firmware's setting forbids SVM, or NULL. 'offered': EDX of CPUID_SVM. */
static const char *svm_firmware_lock(uint32_t offered)
{
	uint64_t vm_cr = 0;

	if (os_rdmsr_safe(MSRN_VM_CR, &vm_cr) || !(vm_cr & MSRN_VM_CR_SVMDIS))
		return NULL;
	if (!(vm_cr & VM_CR_LOCK))
		return "SVM is switched off by the firmware (VM_CR.SVMDIS), though not locked";
	if (offered & SVM_FEATURE_LOCK)
		return "SVM is switched off and locked by the firmware with a key";
	return "SVM is switched off and locked by the firmware: look for SVM or "
	       "virtualization in its setup";
}

/* On each CPU: -EBUSY if a hypervisor has turned SVM on there. */
static int svm_cpu_is_free(void *unused)
{
	(void)unused;
	return os_rdmsr(MSRN_EFER) & REG_EFER_SVME ? -EBUSY : 0;
}

static void svm_describe(char *facts, size_t size)
{
	size_t used = (size_t)snprintf(facts, size, "%u ASIDs, nested paging with %u levels",
				       svm_asid_count, svm_npt_levels());

	for (size_t i = 0; i < ARRAY_SIZE(feature_names) && used < size; i++) {
		if (svm_has(feature_names[i].feature))
			used += (size_t)snprintf(facts + used, size - used, ", %s",
						 feature_names[i].name);
	}
}

int svm_probe(const char **why, char *facts, size_t facts_size)
{
	uint32_t regs[4];

	if (!has_svm())
		return -ENXIO;
	os_cpuid(CPUID_SVM, 0, regs);
	*why = svm_firmware_lock(regs[3]);
	if (*why)
		return -ENODEV;
	if (!(regs[3] & SVM_FEATURE_NESTED_PAGING)) {
		*why = "this processor's SVM has no nested paging";
		return -ENODEV;
	}
	if (regs[1] < 2) {
		*why = "this processor's SVM has no ASID for a guest";
		return -ENODEV;
	}
	if (os_each_cpu(svm_cpu_is_free, NULL)) {
		*why = "another hypervisor holds the CPU (EFER.SVME is set); if it is KVM, "
		       "unload kvm_amd, or boot with kvm.enable_virt_at_load=0";
		return -EBUSY;
	}
	svm_features = regs[3] & ~svm_disable_features;
	svm_clean_after_exit = svm_has(SVM_FEATURE_CLEAN_BITS) ? CLEAN_ALL : 0;
	svm_next_rip_mask = svm_has(SVM_FEATURE_NEXT_RIP) ? ~0ull : 0;
	svm_asid_count = regs[1];
	svm_describe(facts, facts_size);
	return 0;
}

/* FreeBSD's names; features are CPUID's Fn8000_000A EDX. */
unsigned int svm_number(const char *name)
{
	if (strcmp(name, "svm.features") == 0)
		return svm_features;
	return strcmp(name, "svm.num_asids") == 0 ? svm_asid_count : 0;
}
