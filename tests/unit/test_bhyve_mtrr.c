// SPDX-License-Identifier: BSD-2-Clause
/* The MTRRs that a kernel finds, taken apart as a processor does it. */
#include "fake_vmmapi.h"
#include "mtrr.h"
#include "pci_bar.h"
#include "unit.h"

/* Of a guest-physical address from 1M on: uncached where ranges overlap (SDM vol. 3, 11.11.4.1). */
static unsigned type_of(uint64_t address)
{
	unsigned type = fake.mtrr[0x2ff] & 0xff;

	for (unsigned msr = 0x200; msr < 0x210; msr += 2) {
		uint64_t mask = fake.mtrr[msr + 1];

		if ((mask & 0x800) && ((address ^ fake.mtrr[msr]) & mask & ~0xfffull) == 0)
			type = fake.mtrr[msr] & 0xff;
	}
	return type;
}

TEST(mtrrs_as_firmware_sets_them)
{
	struct pci_windows windows;

	fake_reset();
	CHECK_EQ(mtrr_set(fake_ctx, fake_vcpu), 0);
	/* On, with fixed ranges; what no range is about is write-back. */
	CHECK_EQ(fake.mtrr[0x2ff], 0xc06);
	CHECK_EQ(fake.mtrr[0x250], 0x0606060606060606);
	CHECK_EQ(fake.mtrr[0x258], 0x0606060606060606);
	CHECK_EQ(fake.mtrr[0x259], 0);
	for (unsigned msr = 0x268; msr <= 0x26f; msr++)
		CHECK_EQ(fake.mtrr[msr], 0x0505050505050505);
	pci_windows_of(fake_ctx, &windows);
	CHECK_EQ(type_of(0x100000), 6);
	CHECK_EQ(type_of(0xbffff000), 6);
	CHECK_EQ(type_of(0xc0000000), 0);
	CHECK_EQ(type_of(0xfffff000), 0);
	CHECK_EQ(type_of(0x100000000), 6);
	CHECK_EQ(type_of(windows.memory64 - 4096), 6);
	CHECK_EQ(type_of(windows.memory64), 0);
	CHECK_EQ(type_of(windows.memory64_end - 4096), 0);
	CHECK_EQ(type_of(windows.memory64_end), 6);
}

/* The mask has the bits of an address and no others: else the processor refuses it. */
TEST(mtrr_masks_fit_the_address)
{
	fake_reset();
	fake.mtrr_bits = 48;
	CHECK_EQ(mtrr_set(fake_ctx, fake_vcpu), 0);
	CHECK_EQ(fake.mtrr[0x200], 0xc0000000);
	CHECK_EQ(fake.mtrr[0x201] & 0xfffffff000, 0xffc0000000);
	CHECK_EQ(fake.mtrr[0x201] >> 48, 0);
	CHECK(fake.mtrr[0x2ff] != 0);
}
