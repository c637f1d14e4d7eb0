/* SPDX-License-Identifier: BSD-2-Clause */
/* The checksum of firmware tables: ACPI's (6.4, 5.2.5.3) and SMBIOS's (DSP0134, 5.2.1). */
#ifndef COMMON_CHECKSUM_H
#define COMMON_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* The byte that makes the sum of all bytes 0, modulo 256: for a field that is 0 so far. */
uint8_t checksum(const void *data, size_t length);

#endif
