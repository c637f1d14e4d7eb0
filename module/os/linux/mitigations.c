// SPDX-License-Identifier: BSD-2-Clause
/*
 * Mitigations to apply around guests: the kernel's choice, from its command line and
 * the processor's bugs, read from the feature bits that its own mitigations set.
 */
#include <linux/cpu.h>
#include <linux/init.h>
#include <asm/cpufeature.h>
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

static bool wants_rsb_fill(void)
{
	return boot_cpu_has(X86_FEATURE_RSB_VMEXIT) || boot_cpu_has(X86_FEATURE_RSB_VMEXIT_LITE);
}

/* Without the flush command, which is in newer microcode, there is only a warning. */
static bool wants_l1d_flush(void)
{
	if (!boot_cpu_has_bug(X86_BUG_L1TF) || cpu_mitigations_off())
		return false;
	if (boot_cpu_has(X86_FEATURE_FLUSH_L1D))
		return true;
	os_warn("this processor leaks its L1 data cache to guests (L1TF) and has no command to "
		"flush it: update its microcode");
	return false;
}

void __init mitigations_init(void)
{
	os_linux_mitigations.ibpb = boot_cpu_has(X86_FEATURE_USE_IBPB);
	os_linux_mitigations.spec_ctrl = boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL);
	os_linux_mitigations.rsb_fill = wants_rsb_fill();
	os_linux_mitigations.clear_cpu_buffers = wants_cleared_buffers();
	os_linux_mitigations.flush_l1d = wants_l1d_flush();
}
