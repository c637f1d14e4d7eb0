/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A keyboard controller without a keyboard or mouse: it answers its own
 * commands, so that a guest's probe ends at once, and can reset the machine.
 */
#ifndef BHYVE_I8042_H
#define BHYVE_I8042_H

#include <vmmapi.h>

/* Claim ports 0x60 and 0x64; ends bhyve with a message on failure. */
void i8042_init(struct vmctx *ctx);

#endif
