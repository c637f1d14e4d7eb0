// SPDX-License-Identifier: BSD-2-Clause
/* Emptying the L1 data cache: see l1d.h. */
#include "vmx/l1d.h"

#include "os/os.h"
#include "vmx/vcpu.h"
#include "vm/regs.h"

/*
 * Of the processors that have the bug the largest L1 data cache is 32 KiB, and what replaces its
 * lines is not always the oldest: twice the size drives everything out.
 */
#define L1D_ORDER     4
#define L1D_SIZE      (OS_PAGE_SIZE << L1D_ORDER)
#define L1D_LINE_SIZE 64

/* Nobody's data, read to displace the cache's. NULL where IA32_FLUSH_CMD does it. */
static volatile uint8_t *l1d_filling;

int vmx_l1d_init(void)
{
	const struct os_mitigations *mitigations = os_mitigations();

	if (!mitigations->flush_l1d || mitigations->flush_l1d_command)
		return 0;
	l1d_filling = os_pages_alloc(L1D_ORDER);
	return l1d_filling ? 0 : -ENOMEM;
}

void vmx_l1d_fini(void)
{
	os_pages_free((void *)l1d_filling, L1D_ORDER);
	l1d_filling = NULL;
}

/* A page walk would put its own lines back into the cache: all pages are in the TLB first. */
static void vmx_l1d_displace(void)
{
	for (uint32_t at = 0; at < L1D_SIZE; at += OS_PAGE_SIZE)
		(void)l1d_filling[at];
	os_speculation_barrier();
	for (uint32_t at = 0; at < L1D_SIZE; at += L1D_LINE_SIZE)
		(void)l1d_filling[at];
	os_speculation_barrier();
}

/* The VMCS is launched at the first entry after each load. */
static bool vmx_l1d_flush_is_due(const struct vmx_vcpu *vmx)
{
	return os_mitigations()->flush_l1d_always || !vmx->launched || os_l1d_used();
}

void vmx_l1d_flush(const struct vmx_vcpu *vmx)
{
	if (!vmx_l1d_flush_is_due(vmx))
		return;
	os_l1d_flushed();
	if (l1d_filling)
		vmx_l1d_displace();
	else
		os_wrmsr(MSRN_FLUSH_CMD, MSRN_FLUSH_CMD_L1D);
}
