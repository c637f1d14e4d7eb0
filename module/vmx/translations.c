// SPDX-License-Identifier: BSD-2-Clause
/*
 * Cached translations: whose they are (VPID, EPT pointer) and when they are forgotten
 * (SDM vol. 3, 28.4). Linear ones are tagged with the VPID, those of the nested table
 * with its address, on each CPU that has run the vCPU.
 */
#include "vmx/vcpu.h"

#include "vmx/nested.h"

#define VPID_COUNT 0x10000u

static bool vmx_can_invalidate(uint64_t capability)
{
	return vmx_capabilities.ept_vpid & capability;
}

uint64_t vmx_eptp(const struct npt *npt)
{
	uint64_t eptp = os_virt_to_phys(npt->root) | EPTP_WB;

	eptp |= (uint64_t)(npt->levels - 1) << EPTP_LEVELS_SHIFT;
	if (vmx_has(VMX_OPTION_EPT_DIRTY))
		eptp |= EPTP_ACCESSED_DIRTY;
	return eptp;
}

static void vmx_forget_nested(uint64_t eptp)
{
	if (vmx_can_invalidate(EPT_CAP_INVEPT_SINGLE))
		os_invept(INVALIDATE_SINGLE, eptp);
	else
		os_invept(INVALIDATE_ALL, 0);
}

static void vmx_forget_every_linear(void)
{
	if (vmx_can_invalidate(EPT_CAP_INVVPID) && vmx_can_invalidate(EPT_CAP_INVVPID_ALL))
		os_invvpid(INVALIDATE_ALL, 0);
	else
		os_invept(INVALIDATE_ALL, 0); /* combined ones, which is all a guest has */
}

/* Whatever another hypervisor, or we before, left under these tags. */
void vmx_translations_restart(struct vmx_cpu *cpu)
{
	asid_pool_restart(&cpu->vpids, VPID_COUNT);
	os_invept(INVALIDATE_ALL, 0);
}

void vmx_translations_forget(struct vmx_vcpu *vmx)
{
	asid_forget(&vmx->vpid);
	vmx->flush_nested = true;
}

static void vmx_take_vpid(struct vmx_vcpu *vmx)
{
	if (asid_take(&vmx->cpu->vpids, &vmx->vpid))
		vmx_forget_every_linear();
	vmx_set(vmx, FIELD_VPID, vmx->vpid.id);
}

/* Without VPIDs each entry flushes the linear ones (28.4.3.1). */
void vmx_translations_renew(struct vmx_vcpu *vmx)
{
	if (vmx_has(VMX_OPTION_VPID)) {
		if (unlikely(!asid_is_current(&vmx->cpu->vpids, &vmx->vpid)))
			vmx_take_vpid(vmx);
		else if (unlikely(vmx->flush_linear) && vmx_can_invalidate(EPT_CAP_INVVPID) &&
			 vmx_can_invalidate(EPT_CAP_INVVPID_SINGLE))
			os_invvpid(INVALIDATE_SINGLE, (uint16_t)vmx->vpid.id);
		else if (unlikely(vmx->flush_linear))
			vmx_take_vpid(vmx);
	}
	if (unlikely(vmx->flush_nested))
		vmx_forget_nested(vmx->eptp);
	vmx->flush_linear = false;
	vmx->flush_nested = false;
}
