/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of capabilities of an emulated function (PCI Local Bus Specification 3.0, 6.7). */
#ifndef BHYVE_PCI_CAPABILITY_H
#define BHYVE_PCI_CAPABILITY_H

#include "pci.h"

/*
 * Append a capability of 'length' bytes, header included: where it is. What is behind its
 * header is 0 and read-only until the caller says otherwise. Ends the program when there is
 * no room, which is a mistake of the driver's. In the driver's init.
 */
unsigned pci_capability_add(struct pci_function *function, uint8_t id, unsigned length);

#endif
