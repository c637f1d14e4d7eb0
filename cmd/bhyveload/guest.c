// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guest's memory while it is being filled. Taken ranges are few and kept in
 * a plain array; looking for room jumps from one range that is in the way to
 * its end, so it ends after at most as many steps as there are ranges.
 */
#include "guest.h"

#include <stdbool.h>
#include <string.h>

#define LOW_AREA_START PAGE_BYTES /* the interrupt table and the BIOS's data stay free */

static unsigned long long to_ull(uint64_t value)
{
	return value;
}

static struct range *find_overlap(struct guest *guest, uint64_t start, uint64_t end)
{
	for (unsigned int i = 0; i < guest->range_count; i++)
		if (start < guest->ranges[i].end && guest->ranges[i].start < end)
			return &guest->ranges[i];
	return NULL;
}

static int add_range(struct guest *guest, uint64_t start, uint64_t end)
{
	if (start == end)
		return 0;
	if (guest->range_count == MOST_RANGES)
		return fail(&guest->failure, "kernel: too many pieces to load");
	guest->ranges[guest->range_count++] = (struct range){ start, end };
	return 0;
}

int guest_init(struct guest *guest, const struct memory_ops *memory, uint64_t lowmem,
	       uint64_t highmem)
{
	memset(guest, 0, sizeof(*guest));
	guest->memory = *memory;
	guest->lowmem = lowmem;
	guest->highmem = highmem;
	if (lowmem < LEAST_MEMORY)
		return fail(&guest->failure, "memory: %llu KiB are too few for any kernel",
			    to_ull(lowmem / KIB));
	return add_range(guest, LOW_RAM_END, HIGH_RAM_START);
}

int guest_claim(struct guest *guest, uint64_t start, uint64_t length, const char *what)
{
	if (length > guest->lowmem || start > guest->lowmem - length)
		return fail(&guest->failure,
			    "%s: wants memory from %#llx to %#llx, but it ends at %#llx", what,
			    to_ull(start), to_ull(start + length), to_ull(guest->lowmem));
	if (length && find_overlap(guest, start, start + length))
		return fail(&guest->failure, "%s: wants memory from %#llx to %#llx, which is %s",
			    what, to_ull(start), to_ull(start + length),
			    find_overlap(guest, start, start + length) == &guest->ranges[0] ?
				    "not all RAM" :
				    "taken already");
	return add_range(guest, start, start + length);
}

static int no_room(struct guest *guest, uint64_t length, const char *what)
{
	return fail(&guest->failure, "%s: no room for its %llu KiB in %llu MiB of memory", what,
		    to_ull((length + KIB - 1) / KIB),
		    to_ull((guest->lowmem + guest->highmem) / MIB));
}

int guest_find(struct guest *guest, uint64_t length, uint64_t align, uint64_t min, uint64_t max,
	       const char *what, uint64_t *start)
{
	uint64_t end = max < guest->lowmem ? max : guest->lowmem;
	uint64_t at = min;
	struct range *taken;

	for (;;) {
		if (at > end)
			return no_room(guest, length, what);
		at = (at + align - 1) & ~(align - 1);
		if (at > end || length > end - at)
			return no_room(guest, length, what);
		taken = find_overlap(guest, at, at + length);
		if (!taken)
			break;
		at = taken->end;
	}
	*start = at;
	return add_range(guest, at, at + length);
}

int guest_find_top(struct guest *guest, uint64_t length, uint64_t align, uint64_t min, uint64_t max,
		   const char *what, uint64_t *start)
{
	uint64_t end = max < guest->lowmem ? max : guest->lowmem;
	struct range *taken;
	uint64_t at;

	for (;;) {
		if (end < min || length > end - min)
			return no_room(guest, length, what);
		at = (end - length) & ~(align - 1);
		if (at < min)
			return no_room(guest, length, what);
		taken = find_overlap(guest, at, at + length);
		if (!taken)
			break;
		end = taken->start;
	}
	*start = at;
	return add_range(guest, at, at + length);
}

static void *map_range(struct guest *guest, uint64_t start, size_t length)
{
	void *bytes = guest->memory.map(guest->memory.context, start, length);

	if (!bytes)
		failure_note(&guest->failure, "memory: %#llx to %#llx cannot be reached",
			     to_ull(start), to_ull(start + length));
	return bytes;
}

void *guest_zeroed(struct guest *guest, uint64_t start, size_t length)
{
	void *bytes = map_range(guest, start, length);

	if (bytes)
		memset(bytes, 0, length);
	return bytes;
}

int guest_put(struct guest *guest, const void *bytes, size_t length, uint64_t align,
	      const char *what, uint64_t *start)
{
	void *to;

	if (guest_find(guest, length, align, LOW_AREA_START, LOW_RAM_END, what, start) &&
	    guest_find(guest, length, align, HIGH_RAM_START, guest->lowmem, what, start))
		return -1;
	to = map_range(guest, *start, length);
	if (!to)
		return -1;
	if (length)
		memcpy(to, bytes, length);
	return 0;
}

int guest_read_image(struct guest *guest, uint64_t start, const struct image *image,
		     uint64_t offset, uint64_t length)
{
	void *to = map_range(guest, start, length);

	return to ? image_read(image, offset, to, length, &guest->failure) : -1;
}

int guest_put_image(struct guest *guest, const struct image *image, uint64_t min, uint64_t *start)
{
	if (guest_find(guest, image->size, PAGE_BYTES, min, guest->lowmem, image->name, start))
		return -1;
	return guest_read_image(guest, *start, image, 0, image->size);
}

unsigned int guest_memory_map(const struct guest *guest,
			      struct memory_area areas[MOST_MEMORY_AREAS])
{
	unsigned int count = 0;

	areas[count++] = (struct memory_area){ 0, LOW_RAM_END, MEMORY_RAM };
	areas[count++] =
		(struct memory_area){ LOW_RAM_END, EBDA_END - LOW_RAM_END, MEMORY_RESERVED };
	areas[count++] = (struct memory_area){ FIRMWARE_START, HIGH_RAM_START - FIRMWARE_START,
					       MEMORY_RESERVED };
	areas[count++] =
		(struct memory_area){ HIGH_RAM_START, guest->lowmem - HIGH_RAM_START, MEMORY_RAM };
	areas[count++] = (struct memory_area){ ECAM_START, ECAM_LENGTH, MEMORY_RESERVED };
	if (guest->highmem)
		areas[count++] = (struct memory_area){ ABOVE_4G, guest->highmem, MEMORY_RAM };
	return count;
}
