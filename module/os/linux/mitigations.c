// SPDX-License-Identifier: BSD-2-Clause
/*
 * Mitigations to apply around guests: the kernel's choice, from its command line and
 * the processor's bugs, read from the feature bits that its own mitigations set.
 */
#include <linux/cpu.h>
#include <linux/init.h>
#include <linux/sched/smt.h>
#include <asm/cpufeature.h>
#include <asm/nospec-branch.h>
#include "os/linux/compat.h"
#include "os/linux/os_linux.h"
#include "os/os.h"

struct os_mitigations os_linux_mitigations __ro_after_init;

/* MDS, TAA, MMIO stale data, RFDS; on AMD TSA, which has a bit for guests alone. */
static bool wants_cleared_buffers(void)
{
#ifdef X86_FEATURE_CLEAR_CPU_BUF_VM
	if (boot_cpu_has(X86_FEATURE_CLEAR_CPU_BUF_VM))
		return true;
#endif
#ifdef X86_FEATURE_CLEAR_CPU_BUF
	return boot_cpu_has(X86_FEATURE_CLEAR_CPU_BUF);
#else
	return boot_cpu_has(X86_FEATURE_MD_CLEAR) && boot_cpu_has_bug(X86_BUG_MDS) &&
	       !cpu_mitigations_off();
#endif
}

/* Where nothing but the registers of devices needs it. */
static bool wants_cleared_buffers_for_devices(void)
{
#if defined(HAVE_MMIO_STALE_DATA_CLEAR)
	return static_key_enabled(&mmio_stale_data_clear);
#elif defined(HAVE_CPU_BUF_VM_CLEAR)
	return static_key_enabled(&cpu_buf_vm_clear);
#else
	return false;
#endif
}

static bool wants_ibpb_before_user(void)
{
#ifdef X86_FEATURE_IBPB_EXIT_TO_USER
	return boot_cpu_has(X86_FEATURE_IBPB_EXIT_TO_USER);
#else
	return false;
#endif
}

static bool wants_reduced_bp_speculation(void)
{
#ifdef X86_FEATURE_SRSO_BP_SPEC_REDUCE
	return boot_cpu_has(X86_FEATURE_SRSO_BP_SPEC_REDUCE);
#else
	return false;
#endif
}

/* The bugs whose victims share a core with the guest: only without SMT is the host safe. */
static void __init warn_of_smt(void)
{
	if (cpu_mitigations_off() || !sched_smt_active())
		return;
	if (boot_cpu_has_bug(X86_BUG_L1TF) || boot_cpu_has_bug(X86_BUG_MDS))
		os_warn("guests read what runs beside them on a core by L1TF or MDS: boot with "
			"nosmt where they are not trusted");
}

void __init mitigations_init(void)
{
	os_linux_mitigations.ibpb = boot_cpu_has(X86_FEATURE_USE_IBPB);
	os_linux_mitigations.ibpb_before_user = wants_ibpb_before_user();
	os_linux_mitigations.spec_ctrl = boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL);
	os_linux_mitigations.kernel_ibrs = boot_cpu_has(X86_FEATURE_KERNEL_IBRS);
	os_linux_mitigations.clear_cpu_buffers = wants_cleared_buffers();
	os_linux_mitigations.clear_cpu_buffers_for_devices = wants_cleared_buffers_for_devices();
	os_linux_mitigations.reduce_bp_speculation = wants_reduced_bp_speculation();
	os_linux_mitigations.flush_l1d = boot_cpu_has_bug(X86_BUG_L1TF) &&
					 l1tf_mitigation != L1TF_MITIGATION_OFF;
	os_linux_mitigations.flush_l1d_always = l1tf_mitigation >= L1TF_MITIGATION_FULL;
	os_linux_mitigations.flush_l1d_command = boot_cpu_has(X86_FEATURE_FLUSH_L1D);
	os_linux_mitigations.split_executable = boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT) &&
						!cpu_mitigations_off();
	warn_of_smt();
}
