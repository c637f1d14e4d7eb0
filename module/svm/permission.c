// SPDX-License-Identifier: BSD-2-Clause
/* Arithmetic of the permission maps, and what is in ours. */
#include "svm/permission.h"

#include "vm/regs.h"

/* The map holds three ranges of MSRs, 2 bits each, 2 KiB a range (APM vol. 2, 15.11). */
#define MSRPM_RANGE_MSRS 0x2000u
static const uint32_t msrpm_range[] = { 0x00000000u, 0xc0000000u, 0xc0010000u };

/*
 * What the world switch moves with VMLOAD and VMSAVE, and SYSENTER's, is the guest's
 * own while it runs. Everything else goes through x86/cpu/msr.c, PAT and TSC too
 * (SVM_QUIRK_PAT_TSC).
 */
static const uint32_t guest_msrs[] = {
	MSRN_FS_BASE, MSRN_GS_BASE, MSRN_KERNEL_GS_BASE, MSRN_STAR,	    MSRN_LSTAR,
	MSRN_CSTAR,   MSRN_SFMASK,  MSRN_SYSENTER_CS,	 MSRN_SYSENTER_ESP, MSRN_SYSENTER_EIP,
};

int msrpm_bit(uint32_t msr)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(msrpm_range); i++) {
		uint32_t offset = msr - msrpm_range[i];

		if (offset < MSRPM_RANGE_MSRS)
			return (int)((i * MSRPM_RANGE_MSRS + offset) * 2);
	}
	return -EINVAL;
}

bool msrpm_allow(uint8_t *map, uint32_t msr, bool read, bool write)
{
	int bit = msrpm_bit(msr);
	unsigned int mask = (read ? 1u : 0u) | (write ? 2u : 0u);

	if (bit < 0)
		return false;
	map[bit / 8] &= (uint8_t) ~(mask << (bit % 8));
	return true;
}

void msrpm_fill(uint8_t *map)
{
	memset(map, 0xff, MSRPM_SIZE);
	for (unsigned int i = 0; i < ARRAY_SIZE(guest_msrs); i++)
		(void)msrpm_allow(map, guest_msrs[i], true, true);
}

void iopm_fill(uint8_t *map)
{
	memset(map, 0xff, IOPM_SIZE);
}
