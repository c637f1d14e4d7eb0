// SPDX-License-Identifier: BSD-2-Clause
#include "common/checksum.h"

uint8_t checksum(const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint8_t sum = 0;

	while (length--)
		sum = (uint8_t)(sum + *bytes++);
	return (uint8_t)-sum;
}
