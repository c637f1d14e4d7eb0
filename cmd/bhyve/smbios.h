/* SPDX-License-Identifier: BSD-2-Clause */
/* SMBIOS tables: what kind of machine this is, for people and inventories. */
#ifndef BHYVE_SMBIOS_H
#define BHYVE_SMBIOS_H

#include "uuid.h"

#include <vmm/topology.h>
#include <vmmapi.h>

/* What the tables describe, besides the VM's memory. */
struct smbios_machine {
	uint8_t uuid[UUID_LENGTH];
	struct vm_cpu_topology topology;
};

/*
 * Write the tables into guest memory. Of more sockets than there is room for the first ones
 * are described. 0, -EFAULT without RAM there. Before vCPUs run.
 */
int smbios_build(struct vmctx *ctx, const struct smbios_machine *machine);

#endif
