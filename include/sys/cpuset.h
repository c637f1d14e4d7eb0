/* SPDX-License-Identifier: BSD-2-Clause */
/* Where programs written for bhyve's library look for <vmm/cpuset.h>. */
#ifndef VMM_SYS_CPUSET_H
#define VMM_SYS_CPUSET_H

#include <vmm/cpuset.h>

#endif
