/* SPDX-License-Identifier: BSD-2-Clause */
/* The MSR bitmap: one page, the same for every guest (SDM vol. 3, 24.6.9). */
#ifndef VMX_PERMISSION_H
#define VMX_PERMISSION_H

#include "os/os.h"

/* The bit of the page for reads of an MSR; -EINVAL: it has none. Writes: half a page on. */
int msr_bitmap_bit(uint32_t msr);
/*
 * Everything exits, but what the guest may access without: with 'x2apic' also what the
 * processor does for it on the APIC's page (29.5).
 */
void msr_bitmap_fill(uint8_t *map, bool x2apic);

#endif
