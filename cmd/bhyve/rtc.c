// SPDX-License-Identifier: BSD-2-Clause
/* The initial contents of the real-time clock and its NVRAM. */
#include "rtc.h"

#include <stdint.h>
#include <time.h>

/* Memory above 16 MiB and below 4 GiB, and above 4 GiB, in units of 64 KiB. */
#define NVRAM_LOW_MEMORY  0x34 /* two bytes, the lower first */
#define NVRAM_HIGH_MEMORY 0x5b /* three */

#define UNIT	   0x10000u
#define LOW_MEMORY (16u << 20)

static int write_bytes(struct vmctx *ctx, int offset, uint64_t value, int count)
{
	int error = 0;

	for (int i = 0; i < count && !error; i++)
		error = vm_rtc_write(ctx, offset + i, (uint8_t)(value >> (8 * i)));
	return error;
}

/* Seconds since 1970 of what a clock on the wall shows. */
static time_t local_time(time_t now)
{
	struct tm local;

	localtime_r(&now, &local);
	return now + local.tm_gmtoff;
}

int rtc_init(struct vmctx *ctx, bool utc)
{
	time_t now = time(NULL);
	uint64_t low = vm_get_lowmem_size(ctx);

	low = low > LOW_MEMORY ? (low - LOW_MEMORY) / UNIT : 0;
	if (vm_rtc_settime(ctx, utc ? now : local_time(now)))
		return -1;
	if (write_bytes(ctx, NVRAM_LOW_MEMORY, low, 2))
		return -1;
	return write_bytes(ctx, NVRAM_HIGH_MEMORY, vm_get_highmem_size(ctx) / UNIT, 3);
}
