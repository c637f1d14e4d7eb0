/* SPDX-License-Identifier: BSD-2-Clause */
/* Where programs written for bhyve's library look for <vmm/vmm_dev.h>. */
#ifndef VMM_MACHINE_VMM_DEV_H
#define VMM_MACHINE_VMM_DEV_H

#include <vmm/vmm_dev.h>

#endif
