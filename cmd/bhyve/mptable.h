/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MP table (Intel's MultiProcessor Specification 1.4): processors and how interrupts are
 * wired, for systems that do not read ACPI.
 */
#ifndef BHYVE_MPTABLE_H
#define BHYVE_MPTABLE_H

#include <vmm/topology.h>
#include <vmmapi.h>

/*
 * Write the table and the pointer to it into guest memory. CPUs whose APIC IDs have more
 * than 8 bits are not in it. 0, -EFAULT without RAM there. Before vCPUs run.
 */
int mptable_build(struct vmctx *ctx, unsigned cpus, const struct vm_cpu_topology *topology);

#endif
