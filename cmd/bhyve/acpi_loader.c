// SPDX-License-Identifier: BSD-2-Clause
/* The tables and their script; acpi_loader.h. */
#include "acpi_loader.h"
#include "fwcfg.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RSDP_FILE   "etc/acpi/rsdp"
#define TABLES_FILE "etc/acpi/tables"
#define LOADER_FILE "etc/table-loader"

#define RSDP_LENGTH	    36u
#define RSDP_V1_LENGTH	    20u
#define RSDP_CHECKSUM	    8u
#define RSDP_RSDT	    16u
#define RSDP_XSDT	    24u
#define RSDP_CHECKSUM_WHOLE 32u
#define TABLE_LENGTH	    4u
#define TABLE_CHECKSUM	    9u

enum command { ALLOCATE = 1, ADD_POINTER = 2, ADD_CHECKSUM = 3 };
enum zone { ZONE_HIGH = 1, ZONE_FSEG = 2 };

#define FILE_NAME 56

/* One line of the script. */
struct entry {
	uint32_t command;
	union {
		struct {
			char file[FILE_NAME];
			uint32_t alignment;
			uint8_t zone;
		} __attribute__((packed)) allocate;
		struct {
			char file[FILE_NAME];
			char target[FILE_NAME];
			uint32_t offset;
			uint8_t bytes;
		} __attribute__((packed)) pointer;
		struct {
			char file[FILE_NAME];
			uint32_t offset;
			uint32_t start;
			uint32_t length;
		} __attribute__((packed)) checksum;
		char padding[124];
	};
} __attribute__((packed));
_Static_assert(sizeof(struct entry) == 128, "a line of the script");

struct script {
	struct entry entry[8 + ACPI_LOADER_POINTERS + ACPI_LOADER_TABLES];
	unsigned count;
};

int acpi_loader_pointer(struct acpi_loader *loader, uint32_t offset, uint8_t bytes)
{
	if (loader->pointers == ACPI_LOADER_POINTERS)
		return -ENOSPC;
	loader->pointer[loader->pointers].offset = offset;
	loader->pointer[loader->pointers++].bytes = bytes;
	return 0;
}

int acpi_loader_table(struct acpi_loader *loader, uint32_t offset)
{
	if (loader->tables == ACPI_LOADER_TABLES)
		return -ENOSPC;
	loader->table[loader->tables++] = offset;
	return 0;
}

/* --- the script ----------------------------------------------------------- */

static void add_allocation(struct script *script, const char *file, uint32_t alignment,
			   enum zone zone)
{
	struct entry *entry = &script->entry[script->count++];

	entry->command = htole32(ALLOCATE);
	strcpy(entry->allocate.file, file);
	entry->allocate.alignment = htole32(alignment);
	entry->allocate.zone = zone;
}

static void add_pointer(struct script *script, const char *file, uint32_t offset, uint8_t bytes)
{
	struct entry *entry = &script->entry[script->count++];

	entry->command = htole32(ADD_POINTER);
	strcpy(entry->pointer.file, file);
	strcpy(entry->pointer.target, TABLES_FILE);
	entry->pointer.offset = htole32(offset);
	entry->pointer.bytes = bytes;
}

static void add_checksum(struct script *script, const char *file, uint32_t offset, uint32_t start,
			 uint32_t length)
{
	struct entry *entry = &script->entry[script->count++];

	entry->command = htole32(ADD_CHECKSUM);
	strcpy(entry->checksum.file, file);
	entry->checksum.offset = htole32(offset);
	entry->checksum.start = htole32(start);
	entry->checksum.length = htole32(length);
}

/* --- the files ------------------------------------------------------------ */

/* An address in memory becomes an offset into the file; one that is 0 stays. */
static void relocate(uint8_t *field, uint8_t bytes, uint32_t base)
{
	uint64_t value = 0;

	memcpy(&value, field, bytes);
	value = value ? value - base : 0;
	memcpy(field, &value, bytes);
}

static uint32_t table_length(const uint8_t *tables, uint32_t offset)
{
	uint32_t length;

	memcpy(&length, tables + offset + TABLE_LENGTH, sizeof(length));
	return length;
}

static int publish_rsdp(const struct acpi_loader *loader, struct script *script)
{
	uint8_t rsdp[RSDP_LENGTH];

	memcpy(rsdp, loader->memory, sizeof(rsdp));
	relocate(rsdp + RSDP_RSDT, 4, loader->base);
	relocate(rsdp + RSDP_XSDT, 8, loader->base);
	rsdp[RSDP_CHECKSUM] = rsdp[RSDP_CHECKSUM_WHOLE] = 0;
	add_pointer(script, RSDP_FILE, RSDP_RSDT, 4);
	add_pointer(script, RSDP_FILE, RSDP_XSDT, 8);
	add_checksum(script, RSDP_FILE, RSDP_CHECKSUM, 0, RSDP_V1_LENGTH);
	add_checksum(script, RSDP_FILE, RSDP_CHECKSUM_WHOLE, 0, RSDP_LENGTH);
	return fwcfg_add_file(RSDP_FILE, rsdp, sizeof(rsdp));
}

static int publish_tables(const struct acpi_loader *loader, uint8_t *tables, struct script *script)
{
	for (unsigned i = 0; i < loader->pointers; i++) {
		uint32_t offset = loader->pointer[i].offset;
		uint8_t bytes = loader->pointer[i].bytes;

		relocate(tables + offset, bytes, loader->base);
		add_pointer(script, TABLES_FILE, offset, bytes);
	}
	for (unsigned i = 0; i < loader->tables; i++) {
		uint32_t offset = loader->table[i];

		tables[offset + TABLE_CHECKSUM] = 0;
		add_checksum(script, TABLES_FILE, offset + TABLE_CHECKSUM, offset,
			     table_length(tables, offset));
	}
	return fwcfg_add_file(TABLES_FILE, tables, loader->length);
}

int acpi_loader_publish(const struct acpi_loader *loader)
{
	struct script *script = calloc(1, sizeof(*script));
	uint8_t *tables = malloc(loader->length);
	int error = -ENOMEM;

	if (script && tables) {
		memcpy(tables, loader->memory, loader->length);
		add_allocation(script, RSDP_FILE, 16, ZONE_FSEG);
		add_allocation(script, TABLES_FILE, 64, ZONE_HIGH);
		error = publish_tables(loader, tables, script);
		if (!error)
			error = publish_rsdp(loader, script);
		if (!error)
			error = fwcfg_add_file(LOADER_FILE, script->entry,
					       script->count * sizeof(script->entry[0]));
	}
	free(tables);
	free(script);
	return error;
}
