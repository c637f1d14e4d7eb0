/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ACPI tables (-A): written into guest memory below 1 MiB, where a guest
 * finds them by scanning.
 */
#ifndef BHYVE_ACPI_H
#define BHYVE_ACPI_H

#include "pci_bar.h"

#include <stdbool.h>
#include <stdint.h>
#include <vmm/topology.h>
#include <vmmapi.h>

/* What the tables describe. */
struct acpi_machine {
	unsigned cpus;
	struct vm_cpu_topology topology; /* says their APIC IDs */
	bool com1;
	bool com2;
	bool fwcfg;
	bool firmware;		    /* it gets the tables through fw_cfg */
	int lpc_slot;		    /* -1: there is no bridge */
	struct pci_windows windows; /* of bus 0 */
	uint32_t hpet_id;	    /* low half of its capabilities register */
};

/* I/O APIC input of an interrupt pin (0 is INTA#) of a PCI slot. */
static inline unsigned acpi_intx_pin(unsigned slot, unsigned pin)
{
	return 16 + (slot + pin) % 8;
}

/*
 * Write all tables. 0, -EFAULT without RAM there, -ENOSPC when they do not fit.
 * Before vCPUs run.
 */
int acpi_build(struct vmctx *ctx, const struct acpi_machine *machine);

#endif
