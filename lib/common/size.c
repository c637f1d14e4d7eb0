// SPDX-License-Identifier: BSD-2-Clause
#include "common/size.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/sysinfo.h>
#include <vmmapi.h>

#define PAGE_BYTES (4 * KIB)

const char *size_parse(const char *text, size_t *size)
{
	if (vm_parse_memsize(text, size))
		return errno == ERANGE ? "more than 64 bits can count" :
					 "not a size such as 512, 512M or 4G";
	if (*size == 0)
		return "a VM needs memory";
	if (*size % PAGE_BYTES != 0)
		return "not a multiple of 4K";
	return NULL;
}

uint64_t host_memory_size(void)
{
	struct sysinfo host;

	if (sysinfo(&host))
		return UINT64_MAX;
	return (uint64_t)host.totalram * host.mem_unit;
}

const char *size_format(uint64_t size, char text[SIZE_TEXT_LENGTH])
{
	static const char units[] = "BKMGT";
	unsigned int unit = 0;

	while (unit < sizeof(units) - 2 && size && size % 1024 == 0) {
		size /= 1024;
		unit++;
	}
	snprintf(text, SIZE_TEXT_LENGTH, "%" PRIu64 "%c", size, units[unit]);
	return text;
}
