/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a BIOS leaves in low memory, for kernels that look there although a loader has started
 * them: the interrupt vectors, the BIOS data area, and the last page below 1 MiB with what
 * the vectors and a jump to F000:FFF0 lead to. No service is there: a call returns as one that
 * the BIOS does not have.
 */
#ifndef BHYVELOAD_BIOS_H
#define BHYVELOAD_BIOS_H

#include "guest.h"

#define BIOS_PAGE	  0xff000ULL
#define BIOS_DATA	  0x400ULL
#define BIOS_DATA_SERIAL  0x400ULL /* the ports of COM1 to COM4, 16 bits each */
#define BIOS_DATA_EBDA	  0x40eULL /* segment of the extended BIOS data area */
#define BIOS_DATA_MEMORY  0x413ULL /* KiB below it */
#define BIOS_DATA_COLUMNS 0x44aULL

/*
 * Fills them in; before the kernel, which may be loaded over vectors and data. Fails with the
 * reason in guest->failure if the memory cannot be reached.
 */
int bios_put(struct guest *guest);

#endif
