/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a PCI device of the host is, as bhyve's users and as sysfs write it. */
#ifndef COMMON_PCI_PLACE_H
#define COMMON_PCI_PLACE_H

#include <stdbool.h>
#include <stddef.h>

struct pci_place {
	unsigned int domain;   /* to 65535 */
	unsigned int bus;      /* to 255 */
	unsigned int slot;     /* to 31 */
	unsigned int function; /* to 7 */
};

/*
 * The 'length' bytes at 'text' as "BUS/SLOT/FUNCTION" or
 * "DOMAIN/BUS/SLOT/FUNCTION", in decimal; behind them is no digit. False: they are
 * neither.
 */
bool pci_place_parse(const char *text, size_t length, struct pci_place *place);

/* Its name in sysfs, "0000:00:1f.2". */
#define PCI_PLACE_NAME_LENGTH 24
void pci_place_name(const struct pci_place *place, char name[PCI_PLACE_NAME_LENGTH]);

#endif
