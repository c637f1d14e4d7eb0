/* SPDX-License-Identifier: BSD-2-Clause */
/* SMBIOS tables: what kind of machine this is, for people and inventories. */
#ifndef BHYVE_SMBIOS_H
#define BHYVE_SMBIOS_H

#include <stdbool.h>
#include <stdint.h>
#include <vmmapi.h>

#define UUID_LENGTH 16

/*
 * Write the tables into guest memory. 0, -EFAULT without RAM there. Before
 * vCPUs run.
 */
int smbios_build(struct vmctx *ctx, const uint8_t uuid[UUID_LENGTH]);

/* Read "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" as RFC 4122 orders the bytes. */
bool uuid_parse(const char *text, uint8_t uuid[UUID_LENGTH]);

/* A UUID that is the same each time for a VM's name on this host. */
void uuid_generate(const char *name, uint8_t uuid[UUID_LENGTH]);

#endif
