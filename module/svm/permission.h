/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Permission maps: which ports and MSRs a guest may touch without an exit (APM
 * vol. 2, 15.10 and 15.11). They are the same for every guest, so there is one
 * of each in the module.
 */
#ifndef SVM_PERMISSION_H
#define SVM_PERMISSION_H

#include "os/os.h"

#define MSRPM_ORDER 1 /* 8 KiB, in os_pages_alloc's terms */
#define MSRPM_SIZE  (OS_PAGE_SIZE << MSRPM_ORDER)
/* 12 KiB are looked at: a bit for each port and 3 more, for accesses at the top. */
#define IOPM_ORDER 2
#define IOPM_SIZE  (OS_PAGE_SIZE << IOPM_ORDER)

/*
 * Number of the bit for reads of an MSR; the next is for writes. -EINVAL for an MSR
 * outside the map: those are always intercepted. Pure.
 */
int msrpm_bit(uint32_t msr);

/* Let the guest read or write an MSR. False if the map does not hold it. Pure. */
bool msrpm_allow(uint8_t *map, uint32_t msr, bool read, bool write);

/* Fill a map of MSRPM_SIZE bytes with what every guest may touch. Pure. */
void msrpm_fill(uint8_t *map);

/* Fill a map of IOPM_SIZE bytes: every port is intercepted. Pure. */
void iopm_fill(uint8_t *map);

#endif
