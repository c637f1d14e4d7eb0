// SPDX-License-Identifier: BSD-2-Clause
/*
 * SMBIOS 2.8 (DSP0134): an entry point, and the structures that a system's firmware must have.
 */
#include "smbios.h"
#include "layout.h"
#include "smbios_cpu.h"
#include "smbios_tables.h"
#include "common/checksum.h"

#include <errno.h>
#include <string.h>

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

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

static const char *const no_strings[] = { NULL };

void smbios_add(struct smbios_table *table, const void *structure, const char *const *strings)
{
	const struct structure *header = structure;
	uint8_t *start = table->data + table->used;
	uint8_t *at = start + header->length;

	memcpy(start, header, header->length);
	for (; *strings; strings++)
		at = (uint8_t *)stpcpy((char *)at, *strings) + 1;
	/* A zero byte ends the strings; without any there are two. */
	if (at == start + header->length)
		*at++ = 0;
	*at++ = 0;
	table->used = (size_t)(at - table->data);
	if ((size_t)(at - start) > table->largest)
		table->largest = (size_t)(at - start);
	table->count++;
}

static void add_bios(struct smbios_table *table)
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

	smbios_add(table, &bios, strings);
}

/* The first three fields of a UUID are little-endian here (DSP0134, 7.2.1). */
static void swap_uuid(uint8_t to[UUID_LENGTH], const uint8_t from[UUID_LENGTH])
{
	static const uint8_t order[UUID_LENGTH] = { 3, 2, 1,  0,  5,  4,  7,  6,
						    8, 9, 10, 11, 12, 13, 14, 15 };

	for (int i = 0; i < UUID_LENGTH; i++)
		to[i] = from[order[i]];
}

static void add_system(struct smbios_table *table, const uint8_t uuid[UUID_LENGTH])
{
	static const char *const strings[] = { "vmm",  "BHYVE",		  "1.0",
					       "None", "Virtual Machine", NULL };
	struct system_information system = {
		.header = { TYPE_SYSTEM, sizeof(system), 0x100 },
		.manufacturer = 1,
		.product = 2,
		.version = 3,
		.serial = 4,
		.sku = 4,
		.family = 5,
		.wake_up = WAKE_UP_POWER_SWITCH,
	};

	swap_uuid(system.uuid, uuid);
	smbios_add(table, &system, strings);
}

static void add_chassis(struct smbios_table *table)
{
	static const char *const strings[] = { "vmm", "1.0", "None", NULL };
	const struct chassis chassis = {
		.header = { TYPE_CHASSIS, sizeof(chassis), 0x300 },
		.manufacturer = 1,
		.type = CHASSIS_OTHER,
		.version = 2,
		.serial = 3,
		.asset = 3,
		.states = { CHASSIS_SAFE, CHASSIS_SAFE, CHASSIS_SAFE },
		.security = CHASSIS_SECURITY_NONE,
		.sku = 3,
	};

	smbios_add(table, &chassis, strings);
}

/* --- memory --------------------------------------------------------------------- */

#define ARRAY_HANDLE 0x1000

static void add_memory_array(struct smbios_table *table, uint64_t size)
{
	struct memory_array array = {
		.header = { TYPE_MEMORY_ARRAY, sizeof(array), ARRAY_HANDLE },
		.location = ARRAY_ON_BOARD,
		.use = ARRAY_SYSTEM_MEMORY,
		.error_correction = ARRAY_ECC_UNKNOWN,
		.capacity = (uint32_t)(size / KIB),
		.error_handle = ERROR_NOT_PROVIDED,
		.devices = 1,
	};

	if (size / KIB >= ARRAY_EXTENDED) {
		array.capacity = ARRAY_EXTENDED;
		array.extended_capacity = size;
	}
	smbios_add(table, &array, no_strings);
}

/* Sizes that have a fraction of a MiB are small ones. */
static void add_memory_device(struct smbios_table *table, uint64_t size)
{
	static const char *const strings[] = { "DIMM 0", "vmm", NULL };
	struct memory_device device = {
		.header = { TYPE_MEMORY_DEVICE, sizeof(device), 0x1100 },
		.array = ARRAY_HANDLE,
		.error_handle = ERROR_NOT_PROVIDED,
		.total_width = MEMORY_WIDTH_UNKNOWN,
		.data_width = MEMORY_WIDTH_UNKNOWN,
		.size = (uint16_t)(size / MIB),
		.form = MEMORY_FORM_DIMM,
		.locator = 1,
		.type = MEMORY_TYPE_RAM,
		.detail = MEMORY_DETAIL_OTHER,
		.manufacturer = 2,
	};

	if (size / KIB < MEMORY_SIZE_KIB) {
		device.size = (uint16_t)(MEMORY_SIZE_KIB | size / KIB);
	} else if (size / MIB >= MEMORY_SIZE_EXTENDED) {
		device.size = MEMORY_SIZE_EXTENDED;
		device.extended_size = (uint32_t)(size / MIB);
	}
	smbios_add(table, &device, strings);
}

/* 'number' tells ranges apart. */
static void add_mapped_memory(struct smbios_table *table, unsigned number, uint64_t start,
			      uint64_t length)
{
	struct mapped_memory mapped = {
		.header = { TYPE_MAPPED_MEMORY, sizeof(mapped), (uint16_t)(0x1300 + number) },
		.start = (uint32_t)(start / KIB),
		.last = (uint32_t)((start + length) / KIB - 1),
		.array = ARRAY_HANDLE,
		.partition_width = 1,
	};

	if ((start + length) / KIB - 1 >= MAPPED_EXTENDED) {
		mapped.start = mapped.last = MAPPED_EXTENDED;
		mapped.extended_start = start;
		mapped.extended_last = start + length - 1;
	}
	smbios_add(table, &mapped, no_strings);
}

static void add_memory(struct smbios_table *table, struct vmctx *ctx)
{
	uint64_t low = vm_get_lowmem_size(ctx);
	uint64_t high = vm_get_highmem_size(ctx);

	add_memory_array(table, low + high);
	add_memory_device(table, low + high);
	add_mapped_memory(table, 0, 0, low);
	if (high)
		add_mapped_memory(table, 1, vm_get_highmem_base(ctx), high);
}

/* --- the whole ------------------------------------------------------------------ */

static void add_boot(struct smbios_table *table)
{
	const struct boot_information boot = { .header = { TYPE_BOOT, sizeof(boot), 0x2000 } };

	smbios_add(table, &boot, no_strings);
}

static void add_end(struct smbios_table *table)
{
	const struct structure end = { TYPE_END, sizeof(end), 0x7f00 };

	smbios_add(table, &end, no_strings);
}

static struct entry_point make_entry_point(const struct smbios_table *table)
{
	struct entry_point entry = {
		.anchor = { '_', 'S', 'M', '_' },
		.length = sizeof(entry),
		.major = 2,
		.minor = 8,
		.largest = (uint16_t)table->largest,
		.intermediate_anchor = { '_', 'D', 'M', 'I', '_' },
		.table_length = (uint16_t)table->used,
		.table = SMBIOS_TABLE,
		.count = (uint16_t)table->count,
		.bcd_revision = 0x28,
	};

	entry.intermediate_checksum =
		checksum(entry.intermediate_anchor, sizeof(entry) - INTERMEDIATE_OFFSET);
	entry.checksum = checksum(&entry, sizeof(entry));
	return entry;
}

int smbios_build(struct vmctx *ctx, const struct smbios_machine *machine)
{
	void *memory = vm_map_gpa(ctx, SMBIOS_BASE, sizeof(struct entry_point));
	struct smbios_table table = {
		.data = vm_map_gpa(ctx, SMBIOS_TABLE, SMBIOS_TABLE_END - SMBIOS_TABLE),
		.room = SMBIOS_TABLE_END - SMBIOS_TABLE,
	};
	struct entry_point entry;

	if (!memory || !table.data)
		return -EFAULT;
	add_bios(&table);
	add_system(&table, machine->uuid);
	add_chassis(&table);
	add_memory(&table, ctx);
	add_boot(&table);
	smbios_add_processors(&table, &machine->topology);
	add_end(&table);
	entry = make_entry_point(&table);
	memcpy(memory, &entry, sizeof(entry));
	return 0;
}
