/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VM itself: found or created, given memory, CPUs and devices. Each function
 * ends bhyve with a message where it fails; a VM that was created here
 * is destroyed then.
 */
#ifndef BHYVE_MACHINE_H
#define BHYVE_MACHINE_H

#include "options.h"

#include <vmmapi.h>

/* Open the VM, or create it; give it its topology and its memory. */
struct vmctx *machine_open(const struct options *options);

/* Give it its devices and firmware tables. */
void machine_add_devices(struct vmctx *ctx, const struct options *options);

/* Set up and start all vCPUs. From here on the VM outlives an error. */
void machine_run(struct vmctx *ctx, const struct options *options);

/* What -D and -M ask for, once the VM has stopped. */
void machine_end(const struct options *options, enum vm_suspend_how how);

#endif
