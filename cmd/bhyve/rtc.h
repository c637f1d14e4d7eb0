/* SPDX-License-Identifier: BSD-2-Clause */
/* What bhyve writes into the real-time clock, which is in the module. */
#ifndef BHYVE_RTC_H
#define BHYVE_RTC_H

#include <stdbool.h>
#include <vmmapi.h>

/*
 * Set the clock, to UTC or to local time, and write the sizes of memory into
 * the NVRAM, where firmware looks for them. 0, or -1 with errno set. After
 * vm_setup_memory(), before vCPUs run.
 */
int rtc_init(struct vmctx *ctx, bool utc);

#endif
