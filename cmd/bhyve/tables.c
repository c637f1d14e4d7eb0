// SPDX-License-Identifier: BSD-2-Clause
/* Which tables a machine has, and what they say; tables.h. */
#include "tables.h"
#include "acpi.h"
#include "diag.h"
#include "mptable.h"
#include "pci.h"
#include "smbios.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void build_acpi(struct vmctx *ctx, const struct options *options)
{
	struct acpi_machine machine = {
		.cpus = options->cpus,
		.topology = options_topology(options),
		.com1 = options->com[0].present,
		.com2 = options->com[1].present,
		.fwcfg = options->fwcfg,
		.firmware = options->bootrom,
		.lpc_slot = pci_find_slot(pci_lpc.name),
	};
	int error;

	pci_windows_of(ctx, &machine.windows);
	if (vm_get_hpet_capabilities(ctx, &machine.hpet_id))
		fatal("-A: the HPET: %s", strerror(errno));
	error = acpi_build(ctx, &machine);
	if (error)
		fatal("-A: %s", strerror(-error));
}

/* Firmware makes its own, and a VM that starts empty stays so. */
static bool has_mp_table(const struct options *options)
{
	return !options->no_mp_table && !options->bootrom && !options->empty;
}

void tables_build(struct vmctx *ctx, const struct options *options, const uint8_t *uuid)
{
	struct smbios_machine machine = { .topology = options_topology(options) };
	int error;

	memcpy(machine.uuid, uuid, sizeof(machine.uuid));
	error = smbios_build(ctx, &machine);
	if (!error && has_mp_table(options))
		error = mptable_build(ctx, options->cpus, &machine.topology);
	/* Small machines for tests have no RAM where the tables go. */
	if (error && options->acpi)
		fatal("-A: the tables need 1M of memory");
	if (options->acpi)
		build_acpi(ctx, options);
}
