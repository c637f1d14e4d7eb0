/* SPDX-License-Identifier: BSD-2-Clause */
/* Where programs written for bhyve's library look for <vmm/vmm.h>. */
#ifndef VMM_MACHINE_VMM_H
#define VMM_MACHINE_VMM_H

#include <vmm/vmm.h>

#endif
