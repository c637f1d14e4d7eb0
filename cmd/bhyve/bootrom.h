/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Firmware of the guest's ("-l bootrom,CODE[,VARS]"): its code ends at 4 GiB, where the
 * processor starts; below it lies the flash with its variables, which a file keeps.
 */
#ifndef BHYVE_BOOTROM_H
#define BHYVE_BOOTROM_H

#include <vmmapi.h>

/* Load and map it; ends the program with a message that begins with "-l bootrom". */
void bootrom_init(struct vmctx *ctx, const char *files);

#endif
