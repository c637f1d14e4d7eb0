/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI's fixed hardware: the PM1 event and control registers with the power button and the
 * way to S5, a block of general-purpose events, and the command port that turns ACPI mode on.
 * The PM timer beside them is in the module.
 */
#ifndef BHYVE_PM_H
#define BHYVE_PM_H

#include <stdbool.h>
#include <vmmapi.h>

/* What the FADT says of these registers. */
#define PM1_EVENT_PORT	   0x400
#define PM1_EVENT_LENGTH   4
#define PM1_CONTROL_PORT   0x404
#define PM1_CONTROL_LENGTH 2
#define PM_TIMER_PORT	   0x408
#define PM_TIMER_LENGTH	   4
#define GPE0_PORT	   0x40c
#define GPE0_LENGTH	   4
#define SMI_COMMAND_PORT   0xb2
#define SMI_ACPI_ENABLE	   0xa0
#define SMI_ACPI_DISABLE   0xa1
#define SCI_IRQ		   9

/* SLP_TYP of the soft-off state, as the DSDT's _S5 gives it. */
#define PM_SLEEP_TYPE_S5 5

/* Claim the ports; ends bhyve with a message on failure. */
void pm_init(struct vmctx *ctx);

/*
 * Press the power button. Returns whether the guest has enabled its event:
 * if not, nothing happens. Any thread.
 */
bool pm_power_button(void);

#endif
