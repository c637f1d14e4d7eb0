/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI tables for firmware that puts them where it likes: as files of fw_cfg, with the script
 * "etc/table-loader" that says where they refer to one another (QEMU's docs/specs/fw_cfg and
 * hw/acpi/bios-linker-loader have its form).
 */
#ifndef BHYVE_ACPI_LOADER_H
#define BHYVE_ACPI_LOADER_H

#include <stddef.h>
#include <stdint.h>

#define ACPI_LOADER_POINTERS 32
#define ACPI_LOADER_TABLES   16

/* Tables as they lie in memory at 'base', RSDP first. */
struct acpi_loader {
	uint8_t *memory;
	uint32_t base;
	uint32_t length;
	struct {
		uint32_t offset; /* from base */
		uint8_t bytes;	 /* 4 or 8 */
	} pointer[ACPI_LOADER_POINTERS];
	unsigned pointers;
	uint32_t table[ACPI_LOADER_TABLES]; /* offsets of those that have pointers and a checksum */
	unsigned tables;
};

/* Note a pointer or a table, while the tables are made; more than there is room for: -ENOSPC. */
int acpi_loader_pointer(struct acpi_loader *loader, uint32_t offset, uint8_t bytes);
int acpi_loader_table(struct acpi_loader *loader, uint32_t offset);
/* Add the three files to fw_cfg. 0 or a negative errno. */
int acpi_loader_publish(const struct acpi_loader *loader);

#endif
