// SPDX-License-Identifier: BSD-2-Clause
/*
 * SMBIOS 2.8 (DSP0134): an entry point and three structures.
 */
#include "smbios.h"
#include "layout.h"
#include "common/checksum.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PACKED __attribute__((packed))

struct entry_point {
	char anchor[4];
	uint8_t checksum;
	uint8_t length;
	uint8_t major;
	uint8_t minor;
	uint16_t largest;
	uint8_t revision;
	uint8_t formatted[5];
	char intermediate_anchor[5];
	uint8_t intermediate_checksum;
	uint16_t table_length;
	uint32_t table;
	uint16_t count;
	uint8_t bcd_revision;
} PACKED;
_Static_assert(sizeof(struct entry_point) == 31, "SMBIOS entry point");
#define INTERMEDIATE_OFFSET offsetof(struct entry_point, intermediate_anchor)

struct structure {
	uint8_t type;
	uint8_t length;
	uint16_t handle;
} PACKED;

struct bios_information {
	struct structure header;
	uint8_t vendor;
	uint8_t version;
	uint16_t segment;
	uint8_t date;
	uint8_t rom_size;
	uint64_t characteristics;
	uint8_t extension[2];
	uint8_t release[4];
} PACKED;
_Static_assert(sizeof(struct bios_information) == 24, "SMBIOS type 0");
#define BIOS_CHARACTERISTICS_UNKNOWN 0x08
#define BIOS_EXTENSION_ACPI	     0x01
#define BIOS_EXTENSION_VIRTUAL	     0x10
#define BIOS_NO_RELEASE		     0xff

struct system_information {
	struct structure header;
	uint8_t manufacturer;
	uint8_t product;
	uint8_t version;
	uint8_t serial;
	uint8_t uuid[UUID_LENGTH];
	uint8_t wake_up;
	uint8_t sku;
	uint8_t family;
} PACKED;
_Static_assert(sizeof(struct system_information) == 27, "SMBIOS type 1");
#define WAKE_UP_POWER_SWITCH 6

#define TYPE_BIOS   0
#define TYPE_SYSTEM 1
#define TYPE_END    127

/* Structures follow each other at the front of this, entry point apart. */
struct table {
	uint8_t data[512];
	size_t used;
	size_t largest;
	unsigned count;
};

/* A structure is its fields, then its strings (numbered from 1), then a zero byte. */
static void add_structure(struct table *table, const void *structure, const char *const *strings)
{
	const struct structure *header = structure;
	size_t start = table->used;

	memcpy(table->data + table->used, header, header->length);
	table->used += header->length;
	for (; *strings; strings++) {
		strcpy((char *)table->data + table->used, *strings);
		table->used += strlen(*strings) + 1;
	}
	/* Without strings there are two zero bytes; the table comes zeroed. */
	table->used += table->used == start + header->length ? 2 : 1;
	if (table->used - start > table->largest)
		table->largest = table->used - start;
	table->count++;
}

static void add_bios(struct table *table)
{
	static const char *const strings[] = { "BHYVE", "1.0", "01/01/2026", NULL };
	const struct bios_information bios = {
		.header = { TYPE_BIOS, sizeof(bios), 0 },
		.vendor = 1,
		.version = 2,
		.date = 3,
		.segment = 0xf000,
		.characteristics = BIOS_CHARACTERISTICS_UNKNOWN,
		.extension = { BIOS_EXTENSION_ACPI, BIOS_EXTENSION_VIRTUAL },
		.release = { BIOS_NO_RELEASE, BIOS_NO_RELEASE, BIOS_NO_RELEASE, BIOS_NO_RELEASE },
	};

	add_structure(table, &bios, strings);
}

/* The first three fields of a UUID are little-endian here (DSP0134, 7.2.1). */
static void swap_uuid(uint8_t to[UUID_LENGTH], const uint8_t from[UUID_LENGTH])
{
	static const uint8_t order[UUID_LENGTH] = { 3, 2, 1,  0,  5,  4,  7,  6,
						    8, 9, 10, 11, 12, 13, 14, 15 };

	for (int i = 0; i < UUID_LENGTH; i++)
		to[i] = from[order[i]];
}

static void add_system(struct table *table, const uint8_t uuid[UUID_LENGTH])
{
	static const char *const strings[] = { "vmm",  "BHYVE",		  "1.0",
					       "None", "Virtual Machine", NULL };
	struct system_information system = {
		.header = { TYPE_SYSTEM, sizeof(system), 1 },
		.manufacturer = 1,
		.product = 2,
		.version = 3,
		.serial = 4,
		.sku = 4,
		.family = 5,
		.wake_up = WAKE_UP_POWER_SWITCH,
	};

	swap_uuid(system.uuid, uuid);
	add_structure(table, &system, strings);
}

static void add_end(struct table *table)
{
	static const char *const no_strings[] = { NULL };
	const struct structure end = { TYPE_END, sizeof(end), 2 };

	add_structure(table, &end, no_strings);
}

static struct entry_point make_entry_point(const struct table *table)
{
	struct entry_point entry = {
		.anchor = { '_', 'S', 'M', '_' },
		.length = sizeof(entry),
		.major = 2,
		.minor = 8,
		.largest = (uint16_t)table->largest,
		.intermediate_anchor = { '_', 'D', 'M', 'I', '_' },
		.table_length = (uint16_t)table->used,
		.table = SMBIOS_BASE + sizeof(entry) + 1,
		.count = (uint16_t)table->count,
		.bcd_revision = 0x28,
	};

	entry.intermediate_checksum =
		checksum(entry.intermediate_anchor, sizeof(entry) - INTERMEDIATE_OFFSET);
	entry.checksum = checksum(&entry, sizeof(entry));
	return entry;
}

int smbios_build(struct vmctx *ctx, const uint8_t uuid[UUID_LENGTH])
{
	uint8_t *memory = vm_map_gpa(ctx, SMBIOS_BASE, SMBIOS_LIMIT - SMBIOS_BASE);
	struct table table = { .used = 0 };
	struct entry_point entry;

	if (!memory)
		return -EFAULT;
	add_bios(&table);
	add_system(&table, uuid);
	add_end(&table);
	entry = make_entry_point(&table);
	memcpy(memory, &entry, sizeof(entry));
	memcpy(memory + (entry.table - SMBIOS_BASE), table.data, table.used);
	return 0;
}

/* --- UUIDs ------------------------------------------------------------------ */

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit = (char)tolower((unsigned char)digit);
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool uuid_parse(const char *text, uint8_t uuid[UUID_LENGTH])
{
	for (int i = 0; i < UUID_LENGTH; i++) {
		int high, low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return false;
		high = hex_digit(text[0]);
		low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0)
			return false;
		uuid[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	return *text == '\0';
}

/* FNV-1a, 64 bits, from a given start. */
static uint64_t hash_text(uint64_t value, const char *text)
{
	for (; *text; text++)
		value = (value ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return value;
}

void uuid_generate(const char *name, uint8_t uuid[UUID_LENGTH])
{
	char host[256] = "";
	uint64_t halves[2];

	gethostname(host, sizeof(host) - 1);
	halves[0] = hash_text(hash_text(UINT64_C(0xcbf29ce484222325), host), name);
	halves[1] = hash_text(hash_text(halves[0], name), host);
	memcpy(uuid, halves, UUID_LENGTH);
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x80); /* version 8: by our own rule (RFC 9562) */
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}
