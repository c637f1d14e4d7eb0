// SPDX-License-Identifier: BSD-2-Clause
/*
 * The table of device memory: ranges in ascending order, found by bisection.
 * Like the port table it is constant once the vCPUs run.
 */
#include "mmio.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define RANGE_MAX 256

static const struct mmio_range *ranges[RANGE_MAX];
static unsigned range_count;

/* The number of ranges that begin at or below 'gpa'. */
static unsigned ranges_up_to(uint64_t gpa)
{
	unsigned low = 0;
	unsigned high = range_count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (ranges[middle]->base <= gpa)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int mmio_register(const struct mmio_range *range)
{
	uint64_t last = range->base + range->length - 1;
	unsigned at = ranges_up_to(range->base);

	if (range->length == 0 || last < range->base)
		return -EINVAL;
	if (at > 0 && range->base - ranges[at - 1]->base < ranges[at - 1]->length)
		return -EBUSY;
	if (at < range_count && ranges[at]->base <= last)
		return -EBUSY;
	if (range_count == RANGE_MAX)
		return -ENOSPC;
	memmove(&ranges[at + 1], &ranges[at], (range_count - at) * sizeof(ranges[0]));
	ranges[at] = range;
	range_count++;
	return 0;
}

/* The range that has all of an access, or NULL. */
static const struct mmio_range *find_range(uint64_t gpa, unsigned bytes)
{
	unsigned at = ranges_up_to(gpa);
	const struct mmio_range *range;

	if (at == 0)
		return NULL;
	range = ranges[at - 1];
	if (gpa - range->base >= range->length || range->length - (gpa - range->base) < bytes)
		return NULL;
	return range;
}

uint64_t mmio_read(uint64_t gpa, unsigned bytes)
{
	const struct mmio_range *range = find_range(gpa, bytes);

	if (!range || !range->read)
		return UINT64_MAX;
	return range->read(range->arg, gpa - range->base, bytes);
}

void mmio_write(uint64_t gpa, unsigned bytes, uint64_t value)
{
	const struct mmio_range *range = find_range(gpa, bytes);

	if (range && range->write)
		range->write(range->arg, gpa - range->base, bytes, value);
}

void mmio_reset(void)
{
	range_count = 0;
}
