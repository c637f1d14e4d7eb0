// SPDX-License-Identifier: BSD-2-Clause
/* Physical CPUs: what each needs for VMX, and turning it on and off there. */
#include "vmx/vcpu.h"

#include "vm/regs.h"

/* By CPU number; entries of CPUs that cannot come online stay empty. */
struct vmx_cpu *vmx_cpus;
static unsigned int vmx_cpu_count;

void vmx_cpus_destroy(void)
{
	for (unsigned int i = 0; i < vmx_cpu_count; i++)
		os_page_free(vmx_cpus[i].vmxon);
	os_free(vmx_cpus);
	vmx_cpus = NULL;
	vmx_cpu_count = 0;
}

int vmx_cpus_create(void)
{
	unsigned int count = os_cpu_possible();

	vmx_cpus = os_alloc(count * sizeof(*vmx_cpus));
	if (!vmx_cpus)
		return -ENOMEM;
	for (; vmx_cpu_count < count; vmx_cpu_count++) {
		struct vmcs_region *region = os_page_alloc();

		if (!region) {
			vmx_cpus_destroy();
			return -ENOMEM;
		}
		region->revision = vmx_capabilities.revision;
		vmx_cpus[vmx_cpu_count].vmxon = region;
	}
	return 0;
}

/* What of the host a VM exit loads, or the inner loop replaces, and never changes. */
static void vmx_cpu_read_host(struct vmx_cpu *cpu)
{
	cpu->msr[SWITCHED_STAR] = os_rdmsr(MSRN_STAR);
	cpu->msr[SWITCHED_LSTAR] = os_rdmsr(MSRN_LSTAR);
	cpu->msr[SWITCHED_SFMASK] = os_rdmsr(MSRN_SFMASK);
	cpu->sysenter[0] = os_rdmsr(MSRN_SYSENTER_CS);
	cpu->sysenter[1] = os_rdmsr(MSRN_SYSENTER_ESP);
	cpu->sysenter[2] = os_rdmsr(MSRN_SYSENTER_EIP);
	cpu->efer = os_rdmsr(MSRN_EFER);
	cpu->pat = os_rdmsr(MSRN_PAT);
}

static int vmx_cpu_refuse(const char *why)
{
	os_warn("CPU %u: %s", os_cpu_id(), why);
	return -EBUSY;
}

int vmx_cpu_enable(void)
{
	struct vmx_cpu *cpu = vmx_this_cpu();

	if (os_read_cr4() & REG_CR4_VMXE)
		return vmx_cpu_refuse(
			"held by another hypervisor (CR4.VMXE is set): if it is KVM, stop "
			"its VMs and unload kvm_intel, or boot with "
			"kvm.enable_virt_at_load=0");
	if (!(os_rdmsr(MSRN_FEATURE_CONTROL) & FEATURE_CONTROL_OUTSIDE_SMX))
		return vmx_cpu_refuse("VT-x is switched off (FEATURE_CONTROL)");
	os_set_vmxe(true);
	if (os_vmxon(os_virt_to_phys(cpu->vmxon))) {
		os_set_vmxe(false);
		return vmx_cpu_refuse("VMXON failed");
	}
	cpu->epoch++;
	vmx_cpu_read_host(cpu);
	vmx_translations_restart(cpu);
	return 0;
}

/* An emergency may come at any instruction; a vCPU loaded here never runs again. */
void vmx_cpu_disable(void)
{
	if (!(os_read_cr4() & REG_CR4_VMXE))
		return;
	os_vmxoff();
	os_set_vmxe(false);
}
