/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's memory while it is being filled: which parts are RAM, which of
 * them are taken, and access to them. Nothing is ever put outside RAM or over
 * something else.
 */
#ifndef BHYVELOAD_GUEST_H
#define BHYVELOAD_GUEST_H

#include <stddef.h>
#include <stdint.h>

#include "common/failure.h"
#include "common/size.h"
#include "image.h"

/*
 * Low memory as on a PC: RAM to LOW_RAM_END, then the extended BIOS data area,
 * the VGA hole, and firmware, where bhyve puts its tables, up to 1 MiB.
 */
#define PAGE_BYTES     0x1000ULL
#define LOW_RAM_END    0x9fc00ULL
#define EBDA_END       0xa0000ULL
#define FIRMWARE_START 0xe0000ULL
#define HIGH_RAM_START 0x100000ULL
#define ABOVE_4G       0x100000000ULL

/*
 * The configuration space of PCI bus 0, where bhyve has it (cmd/bhyve/layout.h). Kernels use
 * the MCFG table only if the memory map reserves what it names.
 */
#define ECAM_START  0xe0000000ULL
#define ECAM_LENGTH 0x100000ULL

/* The tables that every kernel gets need as much. */
#define LEAST_MEMORY (2 * MIB)

/* An ELF file's segments, modules and their command lines, our own tables. */
#define MOST_RANGES 320

/* Access to guest memory: vm_map_gpa() of a VM, or a test's buffer. */
struct memory_ops {
	/* The bytes at [gpa, gpa + length), NULL if that is not all RAM. */
	void *(*map)(void *context, uint64_t gpa, size_t length);
	void *context;
};

/* [start, end), taken. */
struct range {
	uint64_t start;
	uint64_t end;
};

struct guest {
	struct memory_ops memory;
	uint64_t lowmem;  /* bytes of RAM below 4 GiB, from 0 */
	uint64_t highmem; /* bytes of RAM from 4 GiB */
	struct failure failure;
	struct range ranges[MOST_RANGES]; /* disjoint, in no order */
	unsigned int range_count;
};

/* Fails if 'lowmem' is less than LEAST_MEMORY. */
int guest_init(struct guest *guest, const struct memory_ops *memory, uint64_t lowmem,
	       uint64_t highmem);

/* Takes [start, start + length) for 'what': fails if it is no RAM or taken. */
int guest_claim(struct guest *guest, uint64_t start, uint64_t length, const char *what);

/*
 * Takes the lowest free 'length' bytes aligned to 'align' (a power of two) in
 * [min, max), and writes where they are to *start.
 */
int guest_find(struct guest *guest, uint64_t length, uint64_t align, uint64_t min, uint64_t max,
	       const char *what, uint64_t *start);

/* The same, but the highest. */
int guest_find_top(struct guest *guest, uint64_t length, uint64_t align, uint64_t min, uint64_t max,
		   const char *what, uint64_t *start);

/* The bytes of a range that was taken, zeroed; NULL after a failure. */
void *guest_zeroed(struct guest *guest, uint64_t start, size_t length);

/* Takes room for a copy of 'bytes' in low memory, else above 1 MiB; below 4 GiB. */
int guest_put(struct guest *guest, const void *bytes, size_t length, uint64_t align,
	      const char *what, uint64_t *start);

/* Reads part of an image into a range that was taken. */
int guest_read_image(struct guest *guest, uint64_t start, const struct image *image,
		     uint64_t offset, uint64_t length);

/* Takes room for a whole image from 'min' up, and reads it there. */
int guest_put_image(struct guest *guest, const struct image *image, uint64_t min, uint64_t *start);

/* The types are the same in E820, Multiboot and PVH maps. */
#define MEMORY_RAM	  1
#define MEMORY_RESERVED	  2
#define MOST_MEMORY_AREAS 6

struct memory_area {
	uint64_t start;
	uint64_t length;
	uint32_t type;
};

/* The guest's physical memory map, in order; returns the number of areas. */
unsigned int guest_memory_map(const struct guest *guest,
			      struct memory_area areas[MOST_MEMORY_AREAS]);

#endif
