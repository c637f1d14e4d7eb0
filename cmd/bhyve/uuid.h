/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's UUID, as -U gives it or as it follows from names. */
#ifndef BHYVE_UUID_H
#define BHYVE_UUID_H

#include <stdbool.h>
#include <stdint.h>

#define UUID_LENGTH 16

/* Read "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" as RFC 4122 orders the bytes. */
bool uuid_parse(const char *text, uint8_t uuid[UUID_LENGTH]);

/* A UUID that is the same each time for a VM's name on this host. */
void uuid_generate(const char *name, uint8_t uuid[UUID_LENGTH]);

#endif
