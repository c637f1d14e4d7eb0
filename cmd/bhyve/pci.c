// SPDX-License-Identifier: BSD-2-Clause
/*
 * PCI bus 0: the table of functions and access to their configuration space.
 */
#include "pci.h"
#include "diag.h"
#include "inout.h"
#include "layout.h"
#include "mmio.h"
#include "common/number.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pci_driver *const drivers[] = {
	&pci_hostbridge,
	&pci_amd_hostbridge,
	&pci_lpc,
	&pci_passthru,
	&pci_virtio_blk,
	&pci_virtio_net,
	/* Last, for "-s help": not for people. */
	&pci_piix4_pm,
};

#define DRIVER_COUNT (sizeof(drivers) / sizeof(drivers[0]))

/* Filled by pci_add(), constant once vCPUs run. */
static struct pci_function *functions[PCI_SLOTS][PCI_FUNCTIONS];

/* --- configuration space --------------------------------------------------- */

uint32_t pci_register_read(const struct pci_function *function, unsigned offset, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint32_t)function->config[offset + i] << (8 * i);
	return value;
}

void pci_register_write(struct pci_function *function, unsigned offset, unsigned bytes,
			uint32_t value)
{
	for (unsigned i = 0; i < bytes; i++) {
		uint8_t mask = function->writable[offset + i];
		uint8_t *byte = &function->config[offset + i];

		*byte = (uint8_t)((*byte & ~mask) | ((value >> (8 * i)) & mask));
	}
}

static struct pci_function *find_register(unsigned slot, unsigned number, unsigned offset,
					  unsigned bytes)
{
	if (slot >= PCI_SLOTS || number >= PCI_FUNCTIONS || offset % bytes != 0 ||
	    offset + bytes > PCI_CONFIG_LENGTH)
		return NULL;
	return functions[slot][number];
}

uint32_t pci_config_read(unsigned slot, unsigned number, unsigned offset, unsigned bytes)
{
	struct pci_function *function = find_register(slot, number, offset, bytes);
	uint32_t value;

	if (!function)
		return UINT32_MAX;
	pthread_mutex_lock(&function->lock);
	if (function->driver->config_read)
		value = function->driver->config_read(function, offset, bytes);
	else
		value = pci_register_read(function, offset, bytes);
	pthread_mutex_unlock(&function->lock);
	return value;
}

void pci_config_write(unsigned slot, unsigned number, unsigned offset, unsigned bytes,
		      uint32_t value)
{
	struct pci_function *function = find_register(slot, number, offset, bytes);

	if (!function)
		return;
	pthread_mutex_lock(&function->lock);
	if (function->driver->config_write)
		function->driver->config_write(function, offset, bytes, value);
	else
		pci_register_write(function, offset, bytes, value);
	pci_bars_written(function, offset, bytes);
	pthread_mutex_unlock(&function->lock);
}

/* --- mechanism #1: CONFIG_ADDRESS at 0xcf8, CONFIG_DATA at 0xcfc ------------- */

#define ADDRESS_PORT	 0xcf8
#define DATA_PORT	 0xcfc
#define ADDRESS_ENABLE	 0x80000000u
#define ADDRESS_WRITABLE 0x80fffffcu

static _Atomic uint32_t config_address;

static uint32_t config_address_read(void *arg, unsigned offset, unsigned bytes)
{
	(void)arg, (void)offset, (void)bytes;
	return atomic_load(&config_address);
}

static void config_address_write(void *arg, unsigned offset, unsigned bytes, uint32_t value)
{
	(void)arg, (void)offset, (void)bytes;
	atomic_store(&config_address, value & ADDRESS_WRITABLE);
}

/* Only configuration cycles to bus 0 reach anything. */
static bool is_selected(uint32_t address)
{
	return (address & ADDRESS_ENABLE) && ((address >> 16) & 0xff) == 0;
}

static uint32_t config_data_read(void *arg, unsigned offset, unsigned bytes)
{
	uint32_t address = atomic_load(&config_address);

	(void)arg;
	if (!is_selected(address))
		return UINT32_MAX;
	return pci_config_read((address >> 11) & 0x1f, (address >> 8) & 7,
			       (address & 0xfc) + offset, bytes);
}

static void config_data_write(void *arg, unsigned offset, unsigned bytes, uint32_t value)
{
	uint32_t address = atomic_load(&config_address);

	(void)arg;
	if (is_selected(address))
		pci_config_write((address >> 11) & 0x1f, (address >> 8) & 7,
				 (address & 0xfc) + offset, bytes, value);
}

/* CONFIG_ADDRESS answers whole; the ports behind it are others' (0xcf9: reset). */
static const struct inout_range address_range = {
	.name = "pci config address",
	.base = ADDRESS_PORT,
	.count = 1,
	.widths = INOUT_DWORD,
	.read = config_address_read,
	.write = config_address_write,
};

static const struct inout_range data_range = {
	.name = "pci config data",
	.base = DATA_PORT,
	.count = 4,
	.widths = INOUT_ANY,
	.read = config_data_read,
	.write = config_data_write,
};

/* --- in memory ----------------------------------------------------------------- */

/* The address says slot, function and register; only bus 0 is there. */
static uint64_t ecam_read(void *arg, uint64_t offset, unsigned bytes)
{
	unsigned slot = (unsigned)(offset >> 15), number = offset >> 12 & 7;
	unsigned at = offset & 0xfff;

	(void)arg;
	if (bytes == 8)
		return pci_config_read(slot, number, at, 4) |
		       (uint64_t)pci_config_read(slot, number, at + 4, 4) << 32;
	return pci_config_read(slot, number, at, bytes);
}

static void ecam_write(void *arg, uint64_t offset, unsigned bytes, uint64_t value)
{
	unsigned slot = (unsigned)(offset >> 15), number = offset >> 12 & 7;
	unsigned at = offset & 0xfff;

	(void)arg;
	pci_config_write(slot, number, at, bytes == 8 ? 4 : bytes, (uint32_t)value);
	if (bytes == 8)
		pci_config_write(slot, number, at + 4, 4, (uint32_t)(value >> 32));
}

static const struct mmio_range ecam_range = {
	.name = "pci configuration",
	.base = ECAM_BASE,
	.length = ECAM_LENGTH,
	.read = ecam_read,
	.write = ecam_write,
};

static void start_functions(struct vmctx *ctx)
{
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++)
		for (unsigned i = 0; i < PCI_FUNCTIONS; i++) {
			struct pci_function *function = functions[slot][i];

			if (function && function->driver->start)
				function->driver->start(function, ctx);
		}
}

void pci_init(struct vmctx *ctx)
{
	if (inout_register(&address_range) || inout_register(&data_range))
		fatal("pci: the configuration ports are taken");
	if (mmio_register(&ecam_range))
		fatal("pci: the memory of the configuration space is taken");
	start_functions(ctx);
	pci_bars_start(ctx);
}

/* --- the table ------------------------------------------------------------- */

static const struct pci_driver *find_driver(const char *name, size_t length)
{
	for (size_t i = 0; i < DRIVER_COUNT; i++)
		if (strlen(drivers[i]->name) == length &&
		    strncmp(drivers[i]->name, name, length) == 0)
			return drivers[i];
	return NULL;
}

/* Reads "[BUS:]SLOT[:FUNCTION]" up to the comma: "3", "3:1" or "0:3:1". */
static bool parse_place(const char *text, unsigned *bus, unsigned *slot, unsigned *number)
{
	unsigned fields[3] = { 0 };
	unsigned count = 0;

	for (;;) {
		if (!number_read(&text, 255, &fields[count++]))
			return false;
		if (count == 3 || *text != ':')
			break;
		text++;
	}

	/* Only the full form begins with the bus. */
	if (count < 3) {
		fields[2] = fields[1];
		fields[1] = fields[0];
		fields[0] = 0;
	}
	*bus = fields[0];
	*slot = fields[1];
	*number = fields[2];
	return *text == ',' && fields[1] < PCI_SLOTS && fields[2] < PCI_FUNCTIONS;
}

static struct pci_function *new_function(const struct pci_driver *driver, unsigned slot,
					 unsigned number)
{
	struct pci_function *function = calloc(1, sizeof(*function));

	if (!function)
		fatal("%s", strerror(ENOMEM));
	function->driver = driver;
	function->slot = slot;
	function->number = number;
	pthread_mutex_init(&function->lock, NULL);
	functions[slot][number] = function;
	return function;
}

/* A slot says in each function's header that it has more than function 0. */
static void mark_multifunction(unsigned slot)
{
	bool several = false;

	for (unsigned i = 1; i < PCI_FUNCTIONS; i++)
		several |= functions[slot][i] != NULL;
	for (unsigned i = 0; several && i < PCI_FUNCTIONS; i++)
		if (functions[slot][i])
			functions[slot][i]->config[PCI_HEADER_TYPE] |= PCI_HEADER_MULTIFUNCTION;
}

/* The words are those that libvirt looks for. */
static void report_device(unsigned slot, unsigned number, const char *name, size_t length)
{
	/* What FreeBSD's bhyve has besides. */
	static const char *const others[] = {
		"ahci",		"ahci-cd",    "ahci-hd",     "e1000",	  "fbuf",
		"hda",		"nvme",	      "uart",	     "virtio-9p", "virtio-console",
		"virtio-input", "virtio-rnd", "virtio-scsi", "xhci",
	};
	const char *why = "\"-s help\" lists the devices";

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strlen(others[i]) == length && strncmp(others[i], name, length) == 0)
			why = "bhyve has it, this version does not";
	complain("pci slot %u:%u: unknown device \"%.*s\": %s", slot, number, (int)length, name,
		 why);
}

/* The place is free, and the driver can be there as the option says. */
static void check_function(const char *option, const struct pci_driver *driver, unsigned slot,
			   unsigned number, const char *settings)
{
	int other = pci_find_slot(driver->name);

	if (functions[slot][number])
		fatal("-s %s: that slot has %s already", option,
		      functions[slot][number]->driver->name);
	if (driver->is_single && other >= 0)
		fatal("-s %s: there is one already, in slot %d", option, other);
	if (settings && !driver->has_settings)
		fatal("-s %s: the device has no settings", option);
}

bool pci_add(const char *option)
{
	const struct pci_driver *driver;
	const char *name = strchr(option, ',');
	unsigned bus, slot, number;
	const char *settings;
	size_t length;
	int error;

	if (!name || !parse_place(option, &bus, &slot, &number))
		fatal("-s %s: not SLOT,DRIVER with a slot of 0 to 31 "
		      "(or SLOT:FUNCTION, BUS:SLOT:FUNCTION)",
		      option);
	if (bus != 0)
		fatal("-s %s: there is only bus 0", option);
	length = strcspn(++name, ",");
	settings = name[length] ? name + length + 1 : NULL;
	driver = find_driver(name, length);
	if (!driver) {
		report_device(slot, number, name, length);
		return false;
	}
	check_function(option, driver, slot, number, settings);
	error = driver->init(new_function(driver, slot, number), settings);
	if (error)
		fatal("-s %s: %s", option, strerror(-error));
	mark_multifunction(slot);
	return true;
}

void pci_list_drivers(void)
{
	for (size_t i = 0; i < DRIVER_COUNT; i++)
		printf("%-16s %s\n", drivers[i]->name, drivers[i]->summary);
}

struct pci_function *pci_find(unsigned slot, unsigned number)
{
	return functions[slot][number];
}

int pci_find_slot(const char *driver)
{
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++)
		for (unsigned i = 0; i < PCI_FUNCTIONS; i++)
			if (functions[slot][i] &&
			    strcmp(functions[slot][i]->driver->name, driver) == 0)
				return (int)slot;
	return -1;
}

void pci_reset(void)
{
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++)
		for (unsigned i = 0; i < PCI_FUNCTIONS; i++) {
			free(functions[slot][i]);
			functions[slot][i] = NULL;
		}
	pci_bars_reset();
	atomic_store(&config_address, 0);
}
