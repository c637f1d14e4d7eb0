// SPDX-License-Identifier: BSD-2-Clause
/*
 * MTRRs (SDM vol. 3, 11.11): memory is write-back but for PCI's windows, the VGA hole and
 * firmware's area, whose RAM is not to be written.
 */
#include "mtrr.h"
#include "pci_bar.h"

#include <cpuid.h>
#include <stddef.h>
#include <stdint.h>

#define MTRR_PHYSBASE0 0x200u
#define MTRR_DEF_TYPE  0x2ffu

#define VARIABLE_RANGES 8u /* as MTRRcap says */
#define RANGE_VALID	0x800u
#define MTRR_ENABLE	0x800u
#define FIXED_ENABLE	0x400u

#define UNCACHED   0u
#define WRITE_BACK 6u
/* The same type for all eight parts of a fixed range. */
#define EIGHT(type) ((type)*UINT64_C(0x0101010101010101))

#define END_OF_4G ((uint64_t)1 << 32)

static const struct {
	uint32_t msr;
	uint64_t types;
} fixed[] = {
	{ 0x250, EIGHT(WRITE_BACK) }, /* 0 to 512K */
	{ 0x258, EIGHT(WRITE_BACK) }, /* to 640K */
	{ 0x259, EIGHT(UNCACHED) },   /* the VGA hole */
	{ 0x268, EIGHT(5) },	      /* write-protected, 32K each */
	{ 0x269, EIGHT(5) },	      { 0x26a, EIGHT(5) }, { 0x26b, EIGHT(5) }, { 0x26c, EIGHT(5) },
	{ 0x26d, EIGHT(5) },	      { 0x26e, EIGHT(5) }, { 0x26f, EIGHT(5) },
};

/* Ranges are numbered as they are added. */
struct mtrr_writer {
	struct vcpu *vcpu;
	unsigned used;
	unsigned address_bits;
};

static int add_range(struct mtrr_writer *writer, uint64_t base, uint64_t size)
{
	uint64_t addresses = ((uint64_t)1 << writer->address_bits) - 1;
	uint32_t msr = MTRR_PHYSBASE0 + 2 * writer->used++;

	if (vm_set_mtrr(writer->vcpu, msr, base | UNCACHED))
		return -1;
	return vm_set_mtrr(writer->vcpu, msr + 1, (~(size - 1) & addresses) | RANGE_VALID);
}

/* A power of two that 'base' is a multiple of, and that does not pass 'end'. */
static uint64_t piece(uint64_t base, uint64_t end)
{
	uint64_t size = base & -base;

	while (size > end - base)
		size >>= 1;
	return size;
}

/* What there are no registers left for stays write-back, which only the PAT then changes. */
static int add_uncached(struct mtrr_writer *writer, uint64_t base, uint64_t end)
{
	while (base < end && writer->used < VARIABLE_RANGES) {
		uint64_t size = piece(base, end);

		if (add_range(writer, base, size))
			return -1;
		base += size;
	}
	return 0;
}

/*
 * Of a guest-physical address. The nested page tables bound it to 48 if they have four levels,
 * and a mask with more bits is refused then.
 */
static unsigned address_bits(struct vcpu *vcpu)
{
	unsigned eax = 0, ebx, ecx, edx, bits;

	if (!__get_cpuid(0x80000008, &eax, &ebx, &ecx, &edx))
		return 36;
	bits = eax & 0xff;
	if (bits > 48 && vm_set_mtrr(vcpu, MTRR_PHYSBASE0 + 1, (uint64_t)1 << (bits - 1)))
		bits = 48;
	return bits;
}

int mtrr_set(struct vmctx *ctx, struct vcpu *vcpu)
{
	struct mtrr_writer writer = { vcpu, 0, address_bits(vcpu) };
	struct pci_windows windows;

	pci_windows_of(ctx, &windows);
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (vm_set_mtrr(vcpu, fixed[i].msr, fixed[i].types))
			return -1;
	if (add_uncached(&writer, vm_get_lowmem_limit(ctx), END_OF_4G) ||
	    add_uncached(&writer, windows.memory64, windows.memory64_end))
		return -1;
	return vm_set_mtrr(vcpu, MTRR_DEF_TYPE, MTRR_ENABLE | FIXED_ENABLE | WRITE_BACK);
}
