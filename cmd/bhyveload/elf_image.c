// SPDX-License-Identifier: BSD-2-Clause
/*
 * ELF executables (System V ABI, "Object Files" and "Program Loading").
 */
#include "elf_image.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

/* No kernel has as many; a header that claims more is not worth reading. */
#define MOST_HEADERS 128

/* Notes beyond this many bytes are not looked at. */
#define MOST_NOTE_BYTES (64 * KIB)

/* What matters of a program header of either width. */
struct segment {
	uint32_t type;
	uint64_t offset;
	uint64_t virtual_start;
	uint64_t physical_start;
	uint64_t file_size;
	uint64_t memory_size;
	uint64_t align;
};

bool elf_probe(const struct image *image)
{
	struct failure ignored = { "" };
	char magic[SELFMAG];

	return image->size >= sizeof(Elf32_Ehdr) &&
	       image_read(image, 0, magic, sizeof(magic), &ignored) == 0 &&
	       memcmp(magic, ELFMAG, SELFMAG) == 0;
}

static int read_header64(struct elf *elf, uint16_t *machine, uint16_t *type,
			 struct failure *failure)
{
	Elf64_Ehdr header;

	if (image_read(elf->image, 0, &header, sizeof(header), failure))
		return -1;
	elf->entry = header.e_entry;
	elf->program_headers = header.e_phoff;
	elf->header_size = header.e_phentsize;
	elf->header_count = header.e_phnum;
	*machine = header.e_machine;
	*type = header.e_type;
	return 0;
}

static int read_header32(struct elf *elf, uint16_t *machine, uint16_t *type,
			 struct failure *failure)
{
	Elf32_Ehdr header;

	if (image_read(elf->image, 0, &header, sizeof(header), failure))
		return -1;
	elf->entry = header.e_entry;
	elf->program_headers = header.e_phoff;
	elf->header_size = header.e_phentsize;
	elf->header_count = header.e_phnum;
	*machine = header.e_machine;
	*type = header.e_type;
	return 0;
}

int elf_open(struct elf *elf, const struct image *image, struct failure *failure)
{
	unsigned char ident[EI_NIDENT];
	uint16_t machine;
	uint16_t type;

	memset(elf, 0, sizeof(*elf));
	elf->image = image;
	if (image_read(image, 0, ident, sizeof(ident), failure))
		return -1;
	elf->is64 = ident[EI_CLASS] == ELFCLASS64;
	if ((!elf->is64 && ident[EI_CLASS] != ELFCLASS32) || ident[EI_DATA] != ELFDATA2LSB)
		return fail(failure, "%s: an ELF file for another kind of machine", image->name);
	if (elf->is64 ? read_header64(elf, &machine, &type, failure) :
			read_header32(elf, &machine, &type, failure))
		return -1;
	if (machine != EM_386 && machine != EM_X86_64)
		return fail(failure, "%s: an ELF file for another kind of machine", image->name);
	if (type != ET_EXEC && type != ET_DYN)
		return fail(failure, "%s: an ELF file that is no executable", image->name);
	if (elf->header_count == 0 || elf->header_count > MOST_HEADERS ||
	    elf->header_size < (elf->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
		return fail(failure, "%s: %u ELF program headers of %u bytes make no sense",
			    image->name, elf->header_count, elf->header_size);
	return 0;
}

static int read_segment64(const struct elf *elf, uint64_t offset, struct segment *segment,
			  struct failure *failure)
{
	Elf64_Phdr header;

	if (image_read(elf->image, offset, &header, sizeof(header), failure))
		return -1;
	*segment = (struct segment){ header.p_type,  header.p_offset, header.p_vaddr,
				     header.p_paddr, header.p_filesz, header.p_memsz,
				     header.p_align };
	return 0;
}

static int read_segment32(const struct elf *elf, uint64_t offset, struct segment *segment,
			  struct failure *failure)
{
	Elf32_Phdr header;

	if (image_read(elf->image, offset, &header, sizeof(header), failure))
		return -1;
	*segment = (struct segment){ header.p_type,  header.p_offset, header.p_vaddr,
				     header.p_paddr, header.p_filesz, header.p_memsz,
				     header.p_align };
	return 0;
}

static int read_segment(const struct elf *elf, unsigned int index, struct segment *segment,
			struct failure *failure)
{
	uint64_t offset = elf->program_headers + (uint64_t)index * elf->header_size;

	if (elf->program_headers > elf->image->size)
		return fail(failure, "%s: truncated: no program headers", elf->image->name);
	if (elf->is64 ? read_segment64(elf, offset, segment, failure) :
			read_segment32(elf, offset, segment, failure))
		return -1;
	if (segment->type == PT_LOAD && segment->file_size > segment->memory_size)
		return fail(failure, "%s: an ELF segment is larger in the file than in memory",
			    elf->image->name);
	return 0;
}

static int load_segment(const struct elf *elf, const struct segment *segment, struct guest *guest)
{
	uint64_t rest = segment->memory_size - segment->file_size;

	if (guest_claim(guest, segment->physical_start, segment->memory_size, elf->image->name))
		return -1;
	if (segment->file_size && guest_read_image(guest, segment->physical_start, elf->image,
						   segment->offset, segment->file_size))
		return -1;
	if (rest && !guest_zeroed(guest, segment->physical_start + segment->file_size, rest))
		return -1;
	return 0;
}

int elf_load(const struct elf *elf, struct guest *guest, uint64_t *end)
{
	struct segment segment;

	*end = 0;
	for (unsigned int i = 0; i < elf->header_count; i++) {
		if (read_segment(elf, i, &segment, &guest->failure))
			return -1;
		if (segment.type != PT_LOAD || segment.memory_size == 0)
			continue;
		if (load_segment(elf, &segment, guest))
			return -1;
		if (segment.physical_start + segment.memory_size > *end)
			*end = segment.physical_start + segment.memory_size;
	}
	if (*end == 0)
		return fail(&guest->failure, "%s: an ELF file with nothing to load",
			    elf->image->name);
	return 0;
}

int elf_physical_entry(const struct elf *elf, uint64_t *entry, struct failure *failure)
{
	struct segment segment;

	*entry = elf->entry;
	for (unsigned int i = 0; i < elf->header_count; i++) {
		if (read_segment(elf, i, &segment, failure))
			return -1;
		if (segment.type == PT_LOAD && elf->entry >= segment.virtual_start &&
		    elf->entry - segment.virtual_start < segment.memory_size) {
			*entry = elf->entry - segment.virtual_start + segment.physical_start;
			break;
		}
	}
	return 0;
}

/* The values are as wide as the processor mode that a note's author had in mind. */
static bool read_note_value(const uint8_t *description, uint32_t size, uint64_t *value)
{
	uint32_t narrow;

	if (size == sizeof(*value)) {
		memcpy(value, description, sizeof(*value));
		return true;
	}
	if (size != sizeof(narrow))
		return false;
	memcpy(&narrow, description, sizeof(narrow));
	*value = narrow;
	return true;
}

static uint64_t align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

/* Looks through the notes in bytes[]: each a header, a name and a description. */
static bool search_notes(const uint8_t *bytes, uint64_t size, uint64_t align, const char *name,
			 uint32_t type, uint64_t *value)
{
	uint64_t at = 0;
	Elf64_Nhdr header; /* the same for both widths */

	while (at < size && size - at >= sizeof(header)) {
		uint64_t name_at = at + sizeof(header);
		uint64_t description_at;

		memcpy(&header, bytes + at, sizeof(header));
		description_at = align_up(name_at + header.n_namesz, align);
		if (description_at > size || header.n_descsz > size - description_at)
			return false;
		if (header.n_type == type && header.n_namesz == strlen(name) + 1 &&
		    memcmp(bytes + name_at, name, header.n_namesz) == 0 &&
		    read_note_value(bytes + description_at, header.n_descsz, value))
			return true;
		at = align_up(description_at + header.n_descsz, align);
	}
	return false;
}

static int search_note_segment(const struct elf *elf, const struct segment *segment,
			       const char *name, uint32_t type, uint64_t *value,
			       struct failure *failure)
{
	uint64_t size = segment->file_size < MOST_NOTE_BYTES ? segment->file_size : MOST_NOTE_BYTES;
	uint8_t *bytes = malloc(size ? size : 1);
	int found = -1;

	if (!bytes)
		return fail(failure, "%s: no memory to read its notes", elf->image->name);
	if (image_read(elf->image, segment->offset, bytes, size, failure) == 0)
		found = search_notes(bytes, size, segment->align == 8 ? 8 : 4, name, type, value);
	free(bytes);
	return found;
}

int elf_find_note(const struct elf *elf, const char *name, uint32_t type, uint64_t *value,
		  struct failure *failure)
{
	struct segment segment;
	int found = 0;

	for (unsigned int i = 0; i < elf->header_count && !found; i++) {
		if (read_segment(elf, i, &segment, failure))
			return -1;
		if (segment.type == PT_NOTE)
			found = search_note_segment(elf, &segment, name, type, value, failure);
	}
	return found;
}
