/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF executables for x86, 32 and 64 bits wide, as far as loading them by
 * physical address needs.
 */
#ifndef BHYVELOAD_ELF_IMAGE_H
#define BHYVELOAD_ELF_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "guest.h"
#include "image.h"

struct elf {
	const struct image *image;
	bool is64;
	uint64_t entry;		  /* virtual */
	uint64_t program_headers; /* offset in the file */
	uint16_t header_size;	  /* of one of them */
	uint16_t header_count;
};

/* Does the image begin like an ELF file? */
bool elf_probe(const struct image *image);

/* Reads and checks the header. */
int elf_open(struct elf *elf, const struct image *image, struct failure *failure);

/*
 * Puts every loadable segment at its physical address, zeroes what has no
 * contents in the file, and writes where the highest ends to *end.
 */
int elf_load(const struct elf *elf, struct guest *guest, uint64_t *end);

/*
 * The physical address of the entry point: translated by the segment that it
 * lies in, as it is if in none.
 */
int elf_physical_entry(const struct elf *elf, uint64_t *entry, struct failure *failure);

/*
 * The value, 4 or 8 bytes, of the note called 'name' of 'type'. Returns 1 if
 * there is one, 0 if not.
 */
int elf_find_note(const struct elf *elf, const char *name, uint32_t type, uint64_t *value,
		  struct failure *failure);

#endif
