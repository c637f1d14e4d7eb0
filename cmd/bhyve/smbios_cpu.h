/* SPDX-License-Identifier: BSD-2-Clause */
/* SMBIOS' structures of processors and their caches. */
#ifndef BHYVE_SMBIOS_CPU_H
#define BHYVE_SMBIOS_CPU_H

#include "smbios_tables.h"

#include <vmm/topology.h>

/* Append a processor with its caches for each socket, as long as there is room. */
void smbios_add_processors(struct smbios_table *table, const struct vm_cpu_topology *topology);

#endif
