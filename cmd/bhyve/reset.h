/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two chipset registers that reset a PC: the reset control register at port
 * 0xcf9, which the FADT names, and system control port A at 0x92.
 */
#ifndef BHYVE_RESET_H
#define BHYVE_RESET_H

#include <vmmapi.h>

#define RESET_CONTROL_PORT  0xcf9
#define RESET_CONTROL_RESET 0x06 /* what a full reset writes there */

/* Claim the ports; ends bhyve with a message on failure. */
void reset_init(struct vmctx *ctx);

#endif
