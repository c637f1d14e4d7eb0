// SPDX-License-Identifier: BSD-2-Clause
/*
 * Mapping a device's registers into the guest. Only whole pages of a memory BAR, so that
 * no registers of another device are mapped with them; and not those with the MSI-X table
 * or its pending bits, which the host owns.
 */
#include "vm/vcpu.h"
#include "ppt/device.h"

#define MSIX_ENTRY_SIZE 16

static bool host_ranges_overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

/* Does [hpa, hpa+len) overlap the pages that hold 'size' bytes at 'offset' of a BAR? */
static bool overlaps_bar_pages(const struct os_pci_info *info, unsigned int bar, uint32_t offset,
			       uint64_t size, uint64_t hpa, uint64_t len)
{
	uint64_t start = info->bar[bar].base + offset;
	uint64_t first = start & ~(OS_PAGE_SIZE - 1);
	uint64_t end = (start + size + OS_PAGE_SIZE - 1) & ~(OS_PAGE_SIZE - 1);

	return host_ranges_overlap(hpa, len, first, end - first);
}

static bool overlaps_msix(const struct os_pci_info *info, uint64_t hpa, uint64_t len)
{
	uint64_t vectors = info->msix_vectors;

	if (!vectors)
		return false;
	return overlaps_bar_pages(info, info->msix_table_bar, info->msix_table_offset,
				  vectors * MSIX_ENTRY_SIZE, hpa, len) ||
	       overlaps_bar_pages(info, info->msix_pba_bar, info->msix_pba_offset,
				  (vectors + 63) / 64 * 8, hpa, len);
}

static const struct os_pci_bar *find_bar(const struct os_pci_info *info, uint64_t hpa, uint64_t len)
{
	for (unsigned int i = 0; i < OS_PCI_BARS; i++) {
		const struct os_pci_bar *bar = &info->bar[i];

		if (!bar->io && len <= bar->size && hpa >= bar->base &&
		    hpa - bar->base <= bar->size - len)
			return bar;
	}
	return NULL;
}

static struct ppt_piece *find_piece(struct ppt_device *device, uint64_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < PPT_PIECES; i++) {
		struct ppt_piece *piece = &device->piece[i];

		if (piece->len == len && (len == 0 || piece->gpa == gpa))
			return piece;
	}
	return NULL;
}

int ppt_map_mmio(struct ppt_device *device, uint64_t gpa, uint64_t hpa, uint64_t len)
{
	struct ppt_piece *piece = find_piece(device, 0, 0);
	const struct os_pci_bar *bar;
	int error;

	if (len == 0 || (hpa | len) % OS_PAGE_SIZE)
		return -EINVAL;
	bar = find_bar(&device->info, hpa, len);
	if (!bar || overlaps_msix(&device->info, hpa, len))
		return -EINVAL;
	if (!piece)
		return -ENOSPC;
	error = memory_map_device(device->vm, gpa, hpa, len,
				  bar->prefetchable ? NPT_MEMORY_WC : NPT_MEMORY_UC);
	if (!error)
		*piece = (struct ppt_piece){ .gpa = gpa, .len = len };
	return error;
}

int ppt_unmap_mmio(struct ppt_device *device, uint64_t gpa, uint64_t len)
{
	struct ppt_piece *piece = len ? find_piece(device, gpa, len) : NULL;

	if (!piece)
		return -ENOENT;
	(void)memory_unmap_device(device->vm, gpa, len);
	piece->len = 0;
	return 0;
}

void ppt_unmap_all(struct ppt_device *device)
{
	for (unsigned int i = 0; i < PPT_PIECES; i++) {
		if (device->piece[i].len)
			(void)ppt_unmap_mmio(device, device->piece[i].gpa, device->piece[i].len);
	}
}
