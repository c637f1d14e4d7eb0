// SPDX-License-Identifier: BSD-2-Clause
/*
 * Turning virtualization off around CPU hotplug, suspend, reboot, kexec and panic.
 *
 * A crash kernel started by panic() is out of a module's reach: it starts before the
 * panic notifiers run, unless crash_kexec_post_notifiers is set. Hosts with VT-x and
 * kdump should set that, because in VMX operation the crash kernel cannot clear
 * CR4.VMXE. With SVM it merely inherits EFER.SVME, which has no effect until VMRUN.
 * (The kernel's own hook for emergencies holds one hypervisor, and warns if KVM
 * registers too.)
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/notifier.h>
#include <linux/panic_notifier.h>
#include <linux/reboot.h>
#include <linux/suspend.h>
#include "front/linux/front.h"
#include "run/host.h"

/* --- hotplug --------------------------------------------------------------------- */

static int hotplug_state;

/* Called on that CPU, in its hotplug thread. An error keeps the CPU offline. */
static int cpu_came_up(unsigned int cpu)
{
	unsigned long flags;
	int error;

	(void)cpu;
	local_irq_save(flags);
	error = vmm_cpu_online();
	local_irq_restore(flags);
	if (error)
		os_warn("CPU %u stays off line: virtualization cannot be turned on", cpu);
	return error;
}

/* Tasks are being migrated away; a vCPU that still runs here does not enter its guest again. */
static int cpu_goes_down(unsigned int cpu)
{
	unsigned long flags;

	(void)cpu;
	local_irq_save(flags);
	vmm_cpu_offline();
	local_irq_restore(flags);
	return 0;
}

int hotplug_init(void)
{
	int state =
		cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "vmm:online", cpu_came_up, cpu_goes_down);

	if (state < 0)
		return state;
	hotplug_state = state;
	return 0;
}

void hotplug_exit(void)
{
	cpuhp_remove_state(hotplug_state);
}

/* --- suspend, reboot, panic ----------------------------------------------- */

static int pm_event(struct notifier_block *block, unsigned long event, void *unused)
{
	switch (event) {
	case PM_SUSPEND_PREPARE:
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		vmm_quiesce();
		break;
	case PM_POST_SUSPEND:
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		vmm_resume();
		break;
	}
	return NOTIFY_DONE;
}

/* Reboot, halt, power off and kexec alike; guests do not run again. */
static int reboot_event(struct notifier_block *block, unsigned long event, void *unused)
{
	vmm_quiesce();
	return NOTIFY_DONE;
}

/* On the CPU that panics; the others are stopped already, or about to be. */
static int panic_event(struct notifier_block *block, unsigned long event, void *unused)
{
	vmm_cpu_emergency();
	return NOTIFY_DONE;
}

static struct notifier_block pm_block = { .notifier_call = pm_event };
static struct notifier_block reboot_block = { .notifier_call = reboot_event };
static struct notifier_block panic_block = { .notifier_call = panic_event };

int power_init(void)
{
	int error = register_pm_notifier(&pm_block);

	if (error)
		return error;
	error = register_reboot_notifier(&reboot_block);
	if (error) {
		unregister_pm_notifier(&pm_block);
		return error;
	}
	atomic_notifier_chain_register(&panic_notifier_list, &panic_block);
	return 0;
}

void power_exit(void)
{
	atomic_notifier_chain_unregister(&panic_notifier_list, &panic_block);
	unregister_reboot_notifier(&reboot_block);
	unregister_pm_notifier(&pm_block);
}
