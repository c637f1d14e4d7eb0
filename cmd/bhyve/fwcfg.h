/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's firmware configuration device: numbered items, and named files among
 * them, that a guest reads through ports or by DMA. Layout and item numbers
 * are those of QEMU's docs/specs/fw_cfg.
 */
#ifndef BHYVE_FWCFG_H
#define BHYVE_FWCFG_H

#include <stddef.h>
#include <stdint.h>
#include <vmmapi.h>

/* Ports: selector, data, and the DMA address register. */
#define FWCFG_PORT   0x510
#define FWCFG_LENGTH 12

/*
 * Note one -f option: "NAME,string=TEXT" or "NAME,file=PATH". "kernel",
 * "initrd" and "cmdline" become the items of that name, others files. Ends
 * bhyve with a message if it cannot be read.
 */
void fwcfg_add_option(const char *option);

/*
 * Add a file with a copy of 'length' bytes. 0, -EEXIST, -ENAMETOOLONG, -ENOSPC or
 * -ENOMEM. Before vCPUs run.
 */
int fwcfg_add_file(const char *name, const void *data, size_t length);

/* Add the standard items and claim the ports. Ends bhyve on failure. */
void fwcfg_init(struct vmctx *ctx, unsigned cpus, const uint8_t uuid[16]);

#endif
