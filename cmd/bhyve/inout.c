// SPDX-License-Identifier: BSD-2-Clause
/*
 * The table of I/O ports. It is filled before the vCPUs start and constant from
 * then on, so an access takes no lock to find its handler.
 */
#include "inout.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define PORT_COUNT 0x10000

static const struct inout_range *ports[PORT_COUNT];

int inout_register(const struct inout_range *range)
{
	if (range->count == 0 || (uint32_t)range->base + range->count > PORT_COUNT)
		return -EINVAL;
	for (unsigned i = 0; i < range->count; i++)
		if (ports[range->base + i])
			return -EBUSY;
	for (unsigned i = 0; i < range->count; i++)
		ports[range->base + i] = range;
	return 0;
}

/* Whether 'range' takes an access of this width at this port in one piece. */
static bool takes_whole(const struct inout_range *range, uint16_t port, unsigned bytes)
{
	return (range->widths & bytes) &&
	       (range->count == 1 ||
		(uint32_t)port + bytes <= (uint32_t)range->base + range->count);
}

static uint32_t read_whole(const struct inout_range *range, uint16_t port, unsigned bytes)
{
	if (!range || !(range->widths & bytes) || !range->read)
		return UINT32_MAX;
	return range->read(range->arg, port - range->base, bytes);
}

static void write_whole(const struct inout_range *range, uint16_t port, unsigned bytes,
			uint32_t value)
{
	if (range && (range->widths & bytes) && range->write)
		range->write(range->arg, port - range->base, bytes, value);
}

static uint32_t read_split(uint16_t port, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < bytes; i++) {
		uint16_t at = (uint16_t)(port + i);

		value |= (read_whole(ports[at], at, 1) & 0xff) << (8 * i);
	}
	return value;
}

static void write_split(uint16_t port, unsigned bytes, uint32_t value)
{
	for (unsigned i = 0; i < bytes; i++) {
		uint16_t at = (uint16_t)(port + i);

		write_whole(ports[at], at, 1, (value >> (8 * i)) & 0xff);
	}
}

/* All ones in the width of the access, zeroes above. */
static uint32_t width_mask(unsigned bytes)
{
	return bytes >= 4 ? UINT32_MAX : (1u << (8 * bytes)) - 1;
}

uint32_t inout_read(uint16_t port, unsigned bytes)
{
	const struct inout_range *range = ports[port];
	uint32_t value;

	if (range && takes_whole(range, port, bytes))
		value = read_whole(range, port, bytes);
	else
		value = read_split(port, bytes);
	return value & width_mask(bytes);
}

void inout_write(uint16_t port, unsigned bytes, uint32_t value)
{
	const struct inout_range *range = ports[port];

	value &= width_mask(bytes);
	if (range && takes_whole(range, port, bytes))
		write_whole(range, port, bytes, value);
	else
		write_split(port, bytes, value);
}

const char *inout_owner(uint16_t port)
{
	return ports[port] ? ports[port]->name : NULL;
}

void inout_reset(void)
{
	memset(ports, 0, sizeof(ports));
}
