// SPDX-License-Identifier: BSD-2-Clause
/* Arithmetic of the MSR bitmap, and what is in ours. */
#include "vmx/permission.h"

#include "x86/regs.h"

#define RANGE_MSRS   0x2000u
#define HIGH_FIRST   0xc0000000u
#define WRITE_OFFSET (OS_PAGE_SIZE / 2)

/*
 * What VM entry and exit switch. The MSRs of system calls are the guest's while it is
 * loaded, but writes are ours to know of, so that they need not be read back.
 */
static const struct {
	uint32_t msr;
	bool write;
} guest_msrs[] = {
	{ MSRN_TSC, false }, /* with the TSC offset */
	{ MSRN_SYSENTER_CS, false }, { MSRN_SYSENTER_ESP, false }, { MSRN_SYSENTER_EIP, false },
	{ MSRN_STAR, false },	     { MSRN_LSTAR, false },	   { MSRN_SFMASK, false },
	{ MSRN_FS_BASE, true },	     { MSRN_GS_BASE, true },	   { MSRN_KERNEL_GS_BASE, true },
};

int msr_bitmap_bit(uint32_t msr)
{
	if (msr < RANGE_MSRS)
		return (int)msr;
	if (msr - HIGH_FIRST < RANGE_MSRS)
		return (int)(RANGE_MSRS + (msr - HIGH_FIRST));
	return -EINVAL;
}

static void allow(uint8_t *map, unsigned int bit)
{
	map[bit / 8] &= (uint8_t) ~(1u << (bit % 8));
}

void msr_bitmap_fill(uint8_t *map)
{
	memset(map, 0xff, OS_PAGE_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(guest_msrs); i++) {
		unsigned int bit = (unsigned int)msr_bitmap_bit(guest_msrs[i].msr);

		allow(map, bit);
		if (guest_msrs[i].write)
			allow(map + WRITE_OFFSET, bit);
	}
}
