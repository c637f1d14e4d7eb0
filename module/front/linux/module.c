// SPDX-License-Identifier: BSD-2-Clause
/* The module: its parameters and its parts. */
#include <linux/cc_platform.h>
#include <linux/cpumask.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>
#include "vm/timer.h"
#include "vm/vcpu.h"
#include "front/linux/front.h"
#include "os/linux/os_linux.h"
#include "os/parts.h"
#include "run/host.h"
#include "svm/svm.h"
#include "vmx/vmx.h"

MODULE_DESCRIPTION("bhyve's virtual machine monitor");
MODULE_AUTHOR("The vmm authors");
MODULE_LICENSE("Dual BSD/GPL");
MODULE_VERSION(__stringify(VMM_VERSION));

/* --- parameters ------------------------------------------------------------------- */

static unsigned int maxcpu;
module_param(maxcpu, uint, 0444);
MODULE_PARM_DESC(maxcpu, "most vCPUs of one VM, 1 to 255 (default: CPUs online at load)");

static unsigned int gid;
module_param(gid, uint, 0444);
MODULE_PARM_DESC(gid, "group whose members may create VMs: owner of /dev/vmmctl (default: 0)");

module_param(svm_disable_features, uint, 0444);
MODULE_PARM_DESC(svm_disable_features,
		 "SVM features not to use: bits of CPUID 8000_000AH EDX (for tests)");

module_param(vmx_disable_features, uint, 0444);
MODULE_PARM_DESC(vmx_disable_features,
		 "VMX features not to use: VMX_OPTION_* of module/vmx/features.h (for tests)");

static unsigned int min_timer_period_us = 200;
module_param(min_timer_period_us, uint, 0444);
MODULE_PARM_DESC(min_timer_period_us,
		 "shortest period of a timer of a guest's HPET, 8254 or RTC, in us (default: 200)");

unsigned int vmm_maxcpu(void)
{
	return maxcpu;
}

kgid_t vmm_control_gid(void)
{
	return make_kgid(&init_user_ns, gid);
}

static int parameters_init(void)
{
	if (maxcpu > VMM_MAXCPU_LIMIT) {
		os_warn("maxcpu=%u: the limit is %u", maxcpu, VMM_MAXCPU_LIMIT);
		return -EINVAL;
	}
	if (maxcpu == 0)
		maxcpu = min_t(unsigned int, num_online_cpus(), VMM_MAXCPU_LIMIT);
	if (!gid_valid(vmm_control_gid())) {
		os_warn("gid=%u: no such group number", gid);
		return -EINVAL;
	}
	vm_timer_min_ns = (uint64_t)min_timer_period_us * 1000;
	return 0;
}

static void parameters_exit(void)
{
}

/* --- parts ---------------------------------------------------------------- */

static int hypervisor_init(void)
{
	static const struct vmm_backend *const candidates[] = { &svm_backend, &vmx_backend, NULL };

	return vmm_init(candidates);
}

static struct vmnode *control_node;

static int control_init(void)
{
	struct vmnode_owner owner = { .mode = 0660, .uid = GLOBAL_ROOT_UID };

	owner.gid = vmm_control_gid();
	control_node = vmnode_create(NODE_CONTROL, &owner, NULL, -1, "vmmctl");
	return PTR_ERR_OR_ZERO(control_node);
}

static void control_exit(void)
{
	vmnode_free(control_node);
}

/* /dev/vmmctl is last: once it can be opened everything else is initialized. */
PARTS(module_parts, void) = {
	{ parameters_init, parameters_exit }, { hypervisor_init, vmm_fini },
	{ mapping_init, mapping_exit },	      { vmnodes_init, vmnodes_exit },
	{ hotplug_init, hotplug_exit },	      { power_init, power_exit },
	{ sysctl_init, sysctl_exit },	      { ppt_devices_init, ppt_devices_exit },
	{ control_init, control_exit },
};

/*
 * With SME every address that the processor is given (page tables, the VMCB's own, the IOMMU's)
 * must carry the C-bit. They are made from physical addresses here, which have none.
 */
static int __init refuse_encrypted_memory(void)
{
	if (!cc_platform_has(CC_ATTR_HOST_MEM_ENCRYPT))
		return 0;
	os_warn("cannot run here: the host encrypts its memory (SME), boot it with "
		"mem_encrypt=off");
	return -ENODEV;
}

static int __init vmm_module_init(void)
{
	int error = refuse_encrypted_memory();

	if (error)
		return error;
	mitigations_init();
	guest_limits_init();
	return parts_create(module_parts);
}

static void __exit vmm_module_exit(void)
{
	parts_destroy(module_parts);
}

module_init(vmm_module_init);
module_exit(vmm_module_exit);
