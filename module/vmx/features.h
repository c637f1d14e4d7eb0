/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this processor's VMX can do and what we make of it: the controls of every
 * VMCS, decided by the capability MSRs (SDM vol. 3, appendix A).
 */
#ifndef VMX_FEATURES_H
#define VMX_FEATURES_H

#include "os/os.h"

/* What is used where it is offered, and done without where it is not. */
#define VMX_OPTION_VPID		    0x001u
#define VMX_OPTION_EPT_DIRTY	    0x002u /* accessed and dirty bits */
#define VMX_OPTION_PREEMPTION_TIMER 0x004u
#define VMX_OPTION_TPR_SHADOW	    0x008u
#define VMX_OPTION_PAUSE_LOOP	    0x010u
#define VMX_OPTION_MONITOR_TRAP	    0x020u
#define VMX_OPTION_RDTSCP	    0x040u
#define VMX_OPTION_INVPCID	    0x080u
#define VMX_OPTION_WBINVD	    0x100u /* exits of WBINVD */
#define VMX_OPTION_APICV	    0x200u /* the APIC's registers and interrupts without exits */

/* Constant once probe() has succeeded. */
struct vmx_capabilities {
	uint32_t features; /* VMX_OPTION_*: offered and not disabled */
	uint32_t revision; /* first word of each region */

	/* What a VMCS begins with. */
	uint32_t pin;
	uint32_t primary;
	uint32_t secondary;
	uint32_t exit;
	uint32_t entry;

	uint64_t ept_vpid;		 /* EPT_CAP_* */
	uint64_t cr0_fixed0, cr0_fixed1; /* bits that must be 1; that may be 1 */
	uint64_t cr4_fixed0, cr4_fixed1;
	unsigned int timer_shift; /* the preemption timer counts TSC >> this */
};
extern struct vmx_capabilities vmx_capabilities;

static inline bool vmx_has(uint32_t feature)
{
	return vmx_capabilities.features & feature;
}

/* As struct vmm_backend's. */
int vmx_probe(const char **why, char *facts, size_t facts_size);
bool vmx_offers(unsigned int feature);
unsigned int vmx_number(const char *name);

#endif
