/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How SMBIOS' structures lie in memory (DSP0134 2.8, chapter 7), what goes into their
 * fields, and the table while it is made.
 */
#ifndef BHYVE_SMBIOS_TABLES_H
#define BHYVE_SMBIOS_TABLES_H

#include <stddef.h>
#include <stdint.h>

#include "uuid.h"

#define PACKED __attribute__((packed))

enum {
	TYPE_BIOS = 0,
	TYPE_SYSTEM = 1,
	TYPE_CHASSIS = 3,
	TYPE_PROCESSOR = 4,
	TYPE_CACHE = 7,
	TYPE_MEMORY_ARRAY = 16,
	TYPE_MEMORY_DEVICE = 17,
	TYPE_MAPPED_MEMORY = 19,
	TYPE_BOOT = 32,
	TYPE_END = 127,
};

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

struct chassis {
	struct structure header;
	uint8_t manufacturer;
	uint8_t type;
	uint8_t version;
	uint8_t serial;
	uint8_t asset;
	uint8_t states[3]; /* at boot: of the whole, of the power supply, thermal */
	uint8_t security;
	uint32_t oem;
	uint8_t height;
	uint8_t power_cords;
	uint8_t elements;
	uint8_t element_length;
	uint8_t sku;
} PACKED;
_Static_assert(sizeof(struct chassis) == 22, "SMBIOS type 3");
#define CHASSIS_OTHER	      1
#define CHASSIS_SAFE	      3
#define CHASSIS_SECURITY_NONE 3

struct processor {
	struct structure header;
	uint8_t socket;
	uint8_t type;
	uint8_t family;
	uint8_t manufacturer;
	uint32_t signature; /* EAX and EDX of CPUID leaf 1 */
	uint32_t features;
	uint8_t version;
	uint8_t voltage;
	uint16_t external_clock;
	uint16_t max_speed;
	uint16_t current_speed;
	uint8_t status;
	uint8_t upgrade;
	uint16_t cache[3]; /* handles of L1 to L3 */
	uint8_t serial;
	uint8_t asset;
	uint8_t part;
	uint8_t cores;
	uint8_t cores_enabled;
	uint8_t threads;
	uint16_t characteristics;
	uint16_t family2;
} PACKED;
_Static_assert(offsetof(struct processor, cache) == 0x1a, "SMBIOS type 4");
_Static_assert(sizeof(struct processor) == 42, "SMBIOS type 4");
#define PROCESSOR_CENTRAL      3
#define PROCESSOR_FAMILY_OTHER 1
#define PROCESSOR_ENABLED      0x41 /* the socket is populated, the processor enabled */
#define PROCESSOR_UPGRADE_NONE 6
#define PROCESSOR_64BIT	       0x04
#define PROCESSOR_MULTICORE    0x08
#define PROCESSOR_THREADS      0x10
#define PROCESSOR_NX	       0x20
#define NO_HANDLE	       0xffff

struct cache_information {
	struct structure header;
	uint8_t socket;
	uint16_t configuration;
	uint16_t max_size; /* KiB, or in 64 KiB with bit 15 */
	uint16_t size;
	uint16_t supported_sram;
	uint16_t current_sram;
	uint8_t speed;
	uint8_t error_correction;
	uint8_t type;
	uint8_t associativity;
} PACKED;
_Static_assert(sizeof(struct cache_information) == 19, "SMBIOS type 7");
#define CACHE_ENABLED	 0x80 /* the level less 1 is in the bits below */
#define CACHE_WRITE_BACK 0x100
#define CACHE_UNKNOWN	 2 /* SRAM's type, and error correction */
#define CACHE_64K_UNITS	 0x8000

struct memory_array {
	struct structure header;
	uint8_t location;
	uint8_t use;
	uint8_t error_correction;
	uint32_t capacity; /* KiB */
	uint16_t error_handle;
	uint16_t devices;
	uint64_t extended_capacity; /* bytes */
} PACKED;
_Static_assert(sizeof(struct memory_array) == 23, "SMBIOS type 16");
#define ARRAY_ON_BOARD	    3
#define ARRAY_SYSTEM_MEMORY 3
#define ARRAY_ECC_UNKNOWN   2
#define ARRAY_EXTENDED	    0x80000000u /* in 'capacity': see extended_capacity */
#define ERROR_NOT_PROVIDED  0xfffe

struct memory_device {
	struct structure header;
	uint16_t array;
	uint16_t error_handle;
	uint16_t total_width;
	uint16_t data_width;
	uint16_t size; /* MiB, or KiB with bit 15 */
	uint8_t form;
	uint8_t set;
	uint8_t locator;
	uint8_t bank;
	uint8_t type;
	uint16_t detail;
	uint16_t speed;
	uint8_t manufacturer;
	uint8_t serial;
	uint8_t asset;
	uint8_t part;
	uint8_t attributes;
	uint32_t extended_size; /* MiB */
	uint16_t configured_speed;
	uint16_t voltages[3];
} PACKED;
_Static_assert(offsetof(struct memory_device, extended_size) == 0x1c, "SMBIOS type 17");
_Static_assert(sizeof(struct memory_device) == 40, "SMBIOS type 17");
#define MEMORY_WIDTH_UNKNOWN 0xffff
#define MEMORY_SIZE_EXTENDED 0x7fff
#define MEMORY_SIZE_KIB	     0x8000
#define MEMORY_FORM_DIMM     9
#define MEMORY_TYPE_RAM	     7
#define MEMORY_DETAIL_OTHER  0x02

struct mapped_memory {
	struct structure header;
	uint32_t start; /* KiB */
	uint32_t last;
	uint16_t array;
	uint8_t partition_width;
	uint64_t extended_start; /* bytes */
	uint64_t extended_last;
} PACKED;
_Static_assert(sizeof(struct mapped_memory) == 31, "SMBIOS type 19");
#define MAPPED_EXTENDED 0xffffffffu /* in 'start' and 'last': see the others */

struct boot_information {
	struct structure header;
	uint8_t reserved[6];
	uint8_t status; /* 0: no errors were detected */
} PACKED;
_Static_assert(sizeof(struct boot_information) == 11, "SMBIOS type 32");

/* Structures follow each other in this. */
struct smbios_table {
	uint8_t *data;
	size_t room;
	size_t used;
	size_t largest;
	unsigned count;
};

/* Append a structure: its fields, then its strings, which NULL ends and fields number from 1. */
void smbios_add(struct smbios_table *table, const void *structure, const char *const *strings);

#endif
