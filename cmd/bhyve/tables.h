/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guest finds in memory about its machine, as firmware would leave it: tables of
 * SMBIOS, ACPI and the MP specification. What older software looks for is bhyveload's.
 */
#ifndef BHYVE_TABLES_H
#define BHYVE_TABLES_H

#include "options.h"

#include <vmmapi.h>

/*
 * Write those that the options ask for; for firmware (-l bootrom) only what it hands on. Ends
 * bhyve with a message if ACPI's do not fit. After pci_init(), before vCPUs run.
 */
void tables_build(struct vmctx *ctx, const struct options *options, const uint8_t *uuid);

#endif
