/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Base address registers: where functions of bus 0 are seen in memory and among
 * ports, within the windows that ACPI describes. A guest may move them.
 */
#ifndef BHYVE_PCI_BAR_H
#define BHYVE_PCI_BAR_H

#include <stdbool.h>
#include <stdint.h>
#include <vmmapi.h>

/* Six registers, and the one for a ROM. A 64-bit BAR takes two, the second of size 0. */
#define PCI_BARS    7
#define PCI_BAR_ROM 6

enum pci_bar_kind { PCI_BAR_IO, PCI_BAR_MEMORY32, PCI_BAR_MEMORY64 };

struct pci_function;

struct pci_bar {
	struct pci_function *function; /* constant, like the next four */
	unsigned index;
	enum pci_bar_kind kind;
	bool prefetchable;
	uint64_t size; /* a power of two; 0: there is none */
	bool decoded;  /* the lock of pci_bar.c to change, like 'address' */
	uint64_t address;
};

/* What bus 0 has of the address spaces. */
struct pci_windows {
	uint64_t memory32, memory32_end;
	uint64_t memory64, memory64_end; /* equal: there is none */
	uint32_t io, io_end;
};
/* Firmware places BARs as low as memory lets it, from 2 GiB on. Before the next two. */
void pci_windows_for_firmware(void);
void pci_windows_of(struct vmctx *ctx, struct pci_windows *windows);

/* Give a function a BAR, before pci_bars_start(). Sizes are rounded up. */
void pci_bar_add(struct pci_function *function, unsigned index, enum pci_bar_kind kind,
		 bool prefetchable, uint64_t size);

/* Give all BARs addresses, as firmware would, and claim the windows if there are any. */
void pci_bars_start(struct vmctx *ctx);

/*
 * The function's registers have changed: act on BARs that have moved. With the
 * function's lock. 'offset' and 'bytes' say what was written.
 */
void pci_bars_written(struct pci_function *function, unsigned offset, unsigned bytes);
void pci_bars_update(struct pci_function *function);

/* Forget all (tests). */
void pci_bars_reset(void);

#endif
