// SPDX-License-Identifier: BSD-2-Clause
/* Firmware's side of bhyve: its code and variables, the flash, the tables it is given. */
#include "acpi_loader.h"
#include "bootrom.h"
#include "fake_vmmapi.h"
#include "flash.h"
#include "fwcfg.h"
#include "fwcfg_items.h"
#include "mmio.h"
#include "pci.h"
#include "unit.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define CODE_BYTES 8192u
#define VARS_BYTES 8192u
#define VARS_GPA   ((1ull << 32) - CODE_BYTES - VARS_BYTES)

static char code_path[64], vars_path[64];

static void make_file(char *path, size_t bytes, uint8_t value)
{
	uint8_t *content = malloc(bytes);
	int file;

	strcpy(path, "/tmp/firmware.XXXXXX");
	file = mkstemp(path);
	memset(content, value, bytes);
	REQUIRE(file >= 0 && write(file, content, bytes) == (ssize_t)bytes);
	close(file);
	free(content);
}

static void make_files(void)
{
	make_file(code_path, CODE_BYTES, 0xc0);
	make_file(vars_path, VARS_BYTES, 0xff);
}

static void remove_files(void)
{
	unlink(code_path);
	unlink(vars_path);
}

static void start(void)
{
	char files[160];

	snprintf(files, sizeof(files), "%s,%s", code_path, vars_path);
	bootrom_init(fake_ctx, files);
}

static uint8_t saved(off_t offset)
{
	uint8_t byte = 0;
	int file = open(vars_path, O_RDONLY);

	CHECK_EQ(pread(file, &byte, 1, offset), 1);
	close(file);
	return byte;
}

TEST(code_lies_behind_variables)
{
	make_files();
	start();
	CHECK_EQ(fake.mappings, 2);
	CHECK_EQ(fake.devmem[0], 0xff);
	CHECK_EQ(fake.devmem[VARS_BYTES], 0xc0);
	CHECK_EQ(fake.devmem[VARS_BYTES + CODE_BYTES - 1], 0xc0);
	remove_files();
}

/* What OVMF does to find out that this is flash, and neither RAM nor ROM. */
TEST(flash_is_told_from_ram_and_rom)
{
	make_files();
	start();
	mmio_write(VARS_GPA, 1, 0x50);
	CHECK_EQ(fake.devmem[0], 0xff);
	mmio_write(VARS_GPA, 1, 0x70);
	CHECK_EQ(fake.mappings, 1); /* reads come to us now */
	CHECK_EQ(mmio_read(VARS_GPA, 1), 0);
	CHECK_EQ(mmio_read(VARS_GPA + 77, 1), 0);
	mmio_write(VARS_GPA, 1, 0xff);
	CHECK_EQ(fake.mappings, 2);
	CHECK_EQ(mmio_read(VARS_GPA, 1), 0xff);
	remove_files();
}

TEST(programming_clears_bits_and_is_in_the_file)
{
	make_files();
	start();
	mmio_write(VARS_GPA + 5, 1, 0x10);
	mmio_write(VARS_GPA + 5, 1, 0x5a);
	CHECK_EQ(fake.devmem[5], 0x5a);
	CHECK_EQ(saved(5), 0x5a);
	mmio_write(VARS_GPA + 5, 1, 0x40);
	mmio_write(VARS_GPA + 5, 1, 0xf0);
	CHECK_EQ(saved(5), 0x50);
	mmio_write(VARS_GPA, 1, 0x70);
	CHECK_EQ(mmio_read(VARS_GPA, 1), 0x80);
	remove_files();
}

TEST(erasing_sets_a_block)
{
	make_files();
	start();
	for (unsigned i = 0; i < 2; i++) {
		uint64_t at = VARS_GPA + i * FLASH_BLOCK + 9;

		mmio_write(at, 1, 0x10);
		mmio_write(at, 1, 0);
	}
	mmio_write(VARS_GPA + FLASH_BLOCK + 100, 1, 0x20);
	mmio_write(VARS_GPA + FLASH_BLOCK + 100, 1, 0xd0);
	CHECK_EQ(saved(9), 0);
	CHECK_EQ(saved(FLASH_BLOCK + 9), 0xff);
	/* Without the confirmation nothing is erased, and the status says so. */
	mmio_write(VARS_GPA, 1, 0x20);
	mmio_write(VARS_GPA, 1, 0x00);
	CHECK_EQ(saved(9), 0);
	mmio_write(VARS_GPA, 1, 0x70);
	CHECK_EQ(mmio_read(VARS_GPA, 1), 0xb0);
	remove_files();
}

static void load_bootrom(const void *files)
{
	bootrom_init(fake_ctx, files);
}

/* The status that bhyve ends with for these files. */
static int refusal(const char *files)
{
	char text[256];

	return unit_exit_status(load_bootrom, files, STDERR_FILENO, text, sizeof(text));
}

TEST(files_that_are_refused)
{
	char files[160];
	int file;

	make_files();
	CHECK_EQ(refusal(code_path), 0);
	CHECK_EQ(refusal(""), 4);
	CHECK_EQ(refusal("/nowhere"), 4);
	snprintf(files, sizeof(files), "%s,/nowhere", code_path);
	CHECK_EQ(refusal(files), 4);
	snprintf(files, sizeof(files), "%s,%s", code_path, vars_path);
	file = open(vars_path, O_RDWR);
	REQUIRE(flock(file, LOCK_EX) == 0);
	CHECK_EQ(refusal(files), 4); /* another bhyve has it */
	close(file);
	CHECK_EQ(refusal(files), 0);
	REQUIRE(truncate(code_path, 5000) == 0);
	CHECK_EQ(refusal(code_path), 4);
	REQUIRE(truncate(code_path, 0) == 0);
	CHECK_EQ(refusal(code_path), 4);
	REQUIRE(truncate(code_path, (16 << 20) + 4096) == 0);
	CHECK_EQ(refusal(code_path), 4);
	remove_files();
}

/* --- tables --------------------------------------------------------------- */

#define BASE 0xf2400u

static const struct fwcfg_item *file_of(const char *name)
{
	const struct fwcfg_item *directory = fwcfg_item(FWCFG_FILE_DIR);
	uint32_t count;

	memcpy(&count, directory->data, 4);
	for (uint32_t i = 0; i < be32toh(count); i++) {
		const uint8_t *entry = directory->data + 4 + 64 * i;
		uint16_t key;

		memcpy(&key, entry + 4, 2);
		if (strcmp((const char *)entry + 8, name) == 0)
			return fwcfg_item(be16toh(key));
	}
	return NULL;
}

/* Plays firmware's part: what it computes from the script is what we had at BASE. */
TEST(script_makes_the_tables_anew)
{
	uint8_t memory[256] = { 0 }, original[256];
	struct acpi_loader loader = { .memory = memory, .base = BASE, .length = sizeof(memory) };
	const struct fwcfg_item *tables, *script;
	uint32_t pointer = BASE + 128, length = 64;
	uint8_t sum = 0;

	memcpy(memory + 16, &pointer, 4); /* RSDP's */
	memcpy(memory + 64 + 4, &length, 4);
	memcpy(memory + 64 + 36, &pointer, 4);
	for (unsigned i = 0; i < 64; i++)
		sum = (uint8_t)(sum + memory[64 + i]);
	memory[64 + 9] = (uint8_t)-sum;
	memcpy(original, memory, sizeof(original));
	CHECK_EQ(acpi_loader_table(&loader, 64), 0);
	CHECK_EQ(acpi_loader_pointer(&loader, 64 + 36, 4), 0);
	CHECK_EQ(acpi_loader_publish(&loader), 0);
	CHECK_EQ(fwcfg_make_directory(), 0);
	tables = file_of("etc/acpi/tables");
	script = file_of("etc/table-loader");
	REQUIRE(tables && script && file_of("etc/acpi/rsdp"));
	CHECK_EQ(tables->length, sizeof(memory));
	CHECK_EQ(script->length % 128, 0);
	memcpy(memory, tables->data, sizeof(memory));
	for (size_t at = 0; at < script->length; at += 128) {
		const uint8_t *line = script->data + at;
		uint32_t command, offset;

		memcpy(&command, line, 4);
		if (command == 2 && strcmp((const char *)line + 4, "etc/acpi/tables") == 0) {
			CHECK_EQ(strcmp((const char *)line + 60, "etc/acpi/tables"), 0);
			memcpy(&offset, line + 116, 4);
			CHECK_EQ(line[120], 4);
			memcpy(&pointer, memory + offset, 4);
			CHECK_EQ(pointer, 128);
			pointer += BASE;
			memcpy(memory + offset, &pointer, 4);
		} else if (command == 3 && strcmp((const char *)line + 4, "etc/acpi/tables") == 0) {
			memcpy(&offset, line + 60, 4);
			CHECK_EQ(offset, 64 + 9);
			CHECK_EQ(memory[offset], 0);
			sum = 0;
			for (unsigned i = 0; i < 64; i++)
				sum = (uint8_t)(sum + memory[64 + i]);
			memory[offset] = (uint8_t)-sum;
		}
	}
	CHECK_EQ(memcmp(memory + 64, original + 64, 64), 0);
	fwcfg_items_reset();
}

TEST(no_more_pointers_than_there_is_room_for)
{
	struct acpi_loader loader = { 0 };

	for (unsigned i = 0; i < ACPI_LOADER_POINTERS; i++)
		CHECK_EQ(acpi_loader_pointer(&loader, i, 4), 0);
	CHECK_EQ(acpi_loader_pointer(&loader, 0, 4), -ENOSPC);
	for (unsigned i = 0; i < ACPI_LOADER_TABLES; i++)
		CHECK_EQ(acpi_loader_table(&loader, i), 0);
	CHECK_EQ(acpi_loader_table(&loader, 0), -ENOSPC);
}

/* OVMF asks these which chipset it is on, and where the ACPI timer is. */
TEST(chipset_that_firmware_knows)
{
	pci_add("0,hostbridge");
	pci_add_firmware_functions();
	CHECK_EQ(pci_config_read(0, 0, 0, 4), 0x12378086);
	CHECK_EQ(pci_config_read(1, 3, 0, 4), 0x71138086);
	CHECK_EQ(pci_config_read(1, 3, 0x40, 4), 0x401);
	CHECK_EQ(pci_config_read(1, 3, 0x80, 1), 1);
	/* Operating systems look at function 0 first: there is none. */
	CHECK_EQ(pci_config_read(1, 0, 0, 4), UINT32_MAX);
}
