// SPDX-License-Identifier: BSD-2-Clause
/* The list of capabilities; pci_capability.h. */
#include "pci_capability.h"
#include "diag.h"

#define FIRST_CAPABILITY 0x40u

unsigned pci_capability_add(struct pci_function *function, uint8_t id, unsigned length)
{
	unsigned at = function->capabilities_end ? function->capabilities_end : FIRST_CAPABILITY;
	unsigned pointer = function->last_capability ? function->last_capability + 1 :
						       PCI_CAPABILITIES;

	if (at + length > PCI_PORT_LENGTH)
		fatal("-s %u:%u: too many capabilities", function->slot, function->number);
	function->config[pointer] = (uint8_t)at;
	function->config[at] = id;
	function->last_capability = at;
	function->capabilities_end = (at + length + 3) & ~3u;
	pci_set16(function, PCI_STATUS, pci_get16(function, PCI_STATUS) | PCI_STATUS_CAPABILITIES);
	return at;
}
