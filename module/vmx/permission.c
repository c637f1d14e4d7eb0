// SPDX-License-Identifier: BSD-2-Clause
/* Arithmetic of the MSR bitmap, and what is in ours. */
#include "vmx/permission.h"

#include "vm/regs.h"

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

static void msr_bitmap_allow(uint8_t *map, unsigned int bit)
{
	map[bit / 8] &= (uint8_t) ~(1u << (bit % 8));
}

/* Registers of the x2APIC: APIC ID, version, TPR, PPR, LDR, SVR, ISR to IRR, ESR, LVT, timer. */
static const struct {
	uint32_t first, last;
} x2apic_reads[] = {
	{ 0x802, 0x803 }, { 0x808, 0x808 }, { 0x80a, 0x80a }, { 0x80d, 0x80d },
	{ 0x80f, 0x828 }, { 0x82f, 0x82f }, { 0x832, 0x838 }, { 0x83e, 0x83e },
};
static const uint32_t x2apic_writes[] = { 0x808, 0x80b, 0x83f }; /* TPR, EOI, self IPI */

static void msr_bitmap_allow_x2apic(uint8_t *map)
{
	for (size_t i = 0; i < ARRAY_SIZE(x2apic_reads); i++) {
		for (uint32_t msr = x2apic_reads[i].first; msr <= x2apic_reads[i].last; msr++)
			msr_bitmap_allow(map, msr);
	}
	for (size_t i = 0; i < ARRAY_SIZE(x2apic_writes); i++)
		msr_bitmap_allow(map + WRITE_OFFSET, x2apic_writes[i]);
}

void msr_bitmap_fill(uint8_t *map, bool x2apic)
{
	memset(map, 0xff, OS_PAGE_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(guest_msrs); i++) {
		unsigned int bit = (unsigned int)msr_bitmap_bit(guest_msrs[i].msr);

		msr_bitmap_allow(map, bit);
		if (guest_msrs[i].write)
			msr_bitmap_allow(map + WRITE_OFFSET, bit);
	}
	if (x2apic)
		msr_bitmap_allow_x2apic(map);
}
