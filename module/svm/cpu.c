// SPDX-License-Identifier: BSD-2-Clause
/* Physical CPUs: what each needs for SVM, and turning it on and off there. */
#include "svm/vcpu.h"

#include "svm/switch.h"
#include "vm/regs.h"

#define BP_CFG_BP_SPEC_REDUCE (1ull << 4)

/* By CPU number; entries of CPUs that cannot come online stay empty. */
struct svm_cpu *svm_cpus;
static unsigned int svm_cpu_count;

static int svm_cpu_create(struct svm_cpu *cpu)
{
	cpu->hsave = os_page_alloc();
	cpu->host = os_page_alloc();
	if (!cpu->hsave || !cpu->host)
		return -ENOMEM;
	cpu->host_pa = os_virt_to_phys(cpu->host);
	return 0;
}

void svm_cpus_destroy(void)
{
	for (unsigned int i = 0; i < svm_cpu_count; i++) {
		os_page_free(svm_cpus[i].host);
		os_page_free(svm_cpus[i].hsave);
	}
	os_free(svm_cpus);
	svm_cpus = NULL;
	svm_cpu_count = 0;
}

int svm_cpus_create(void)
{
	unsigned int count = os_cpu_possible();

	svm_cpus = os_alloc(count * sizeof(*svm_cpus));
	if (!svm_cpus)
		return -ENOMEM;
	for (; svm_cpu_count < count; svm_cpu_count++) {
		int error = svm_cpu_create(&svm_cpus[svm_cpu_count]);

		if (error) {
			svm_cpu_count++;
			svm_cpus_destroy();
			return error;
		}
	}
	return 0;
}

/*
 * SRSO on processors that need no other measure against guests: their branch predictions are not
 * taken over into the host while this is set, which costs the host something (AMD, "Technical
 * Update Regarding Speculative Return Stack Overflow").
 */
static void svm_reduce_speculation(bool on)
{
	uint64_t value;

	if (!os_mitigations()->reduce_bp_speculation || os_rdmsr_safe(MSRN_BP_CFG, &value))
		return;
	value = on ? value | BP_CFG_BP_SPEC_REDUCE : value & ~BP_CFG_BP_SPEC_REDUCE;
	os_wrmsr(MSRN_BP_CFG, value);
}

/*
 * ASIDs start anew: while SVM was off on this CPU another hypervisor may have
 * used them. Generation 0 is nobody's, so a vCPU's old ASID never fits.
 */
int svm_cpu_enable(void)
{
	struct svm_cpu *cpu = svm_this_cpu();
	uint64_t efer = os_rdmsr(MSRN_EFER);

	if (efer & REG_EFER_SVME) {
		os_warn("CPU %u is held by another hypervisor (EFER.SVME is set): if it is KVM, "
			"stop its VMs and unload kvm_amd, or boot with kvm.enable_virt_at_load=0",
			os_cpu_id());
		return -EBUSY;
	}
	os_wrmsr(MSRN_EFER, efer | REG_EFER_SVME);
	svm_reduce_speculation(true);
	os_wrmsr(MSRN_VM_HSAVE_PA, os_virt_to_phys(cpu->hsave));
	asid_pool_restart(&cpu->asids, svm_asid_count);
	return 0;
}

/* An emergency may come at any instruction: GIF first, while EFER.SVME still allows it. */
void svm_cpu_disable(void)
{
	uint64_t efer = os_rdmsr(MSRN_EFER);

	if (!(efer & REG_EFER_SVME))
		return;
	svm_set_gif();
	os_wrmsr(MSRN_VM_HSAVE_PA, 0);
	svm_reduce_speculation(false);
	os_wrmsr(MSRN_EFER, efer & ~REG_EFER_SVME);
}
