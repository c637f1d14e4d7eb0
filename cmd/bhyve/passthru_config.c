// SPDX-License-Identifier: BSD-2-Clause
/*
 * The configuration space of an assigned device. The header is emulated, with the
 * device's identity. Only capabilities that make sense in a guest are shown: power
 * management and PCI Express have few registers that do anything, MSI and MSI-X are
 * emulated, vendor-specific ones are the device's own.
 */
#include "passthru.h"
#include "acpi.h"
#include "diag.h"

#include <errno.h>
#include <string.h>

#define FIRST_CAPABILITY 0x40u
#define FIRST_EXTENDED	 0x100u
#define MAX_CAPABILITIES 48 /* more do not fit: a list that is longer is a loop */

#define CAP_PM	    0x01
#define CAP_MSI	    0x05
#define CAP_VENDOR  0x09
#define CAP_EXPRESS 0x10
#define CAP_MSIX    0x11

#define EXT_SERIAL 0x0003
#define EXT_VENDOR 0x000b

#define PM_PME_SUPPORT	 0xf800u
#define PM_NO_SOFT_RESET 0x0008u
#define PM_STATE	 0x0003u

#define MSI_ENABLE	   0x0001u
#define MSI_64BIT	   0x0080u
#define MSI_VECTOR_MASK	   0x0100u
#define MSI_WRITABLE	   0x0071u
#define MSI_COUNT(control) (1 << ((control) >> 4 & 7))

#define MSIX_VECTORS(control) (((control)&0x7ffu) + 1)
#define MSIX_WRITABLE	      0xc000u
#define MSIX_BAR	      0x7u

/* PCI Express capability: offsets, and what is in them (3.0, 7.8). */
#define EXPRESS_FLAGS	   0x02
#define EXPRESS_DEVCAP	   0x04
#define EXPRESS_DEVCTL	   0x08
#define EXPRESS_DEVSTA	   0x0a
#define EXPRESS_LINK	   0x0c
#define EXPRESS_DEVCAP2	   0x24
#define EXPRESS_DEVCTL2	   0x28
#define EXPRESS_LINK2	   0x2c
#define EXPRESS_LENGTH	   0x3c
#define EXPRESS_TYPE	   0x00f0u
#define TYPE_ENDPOINT	   0x0000u
#define TYPE_ROOT_ENDPOINT 0x0090u /* integrated into the root complex: without a link */
#define DEVCAP_RESET	   0x10000000u
#define DEVCTL_RESET	   0x8000u

/* --- building ------------------------------------------------------------- */

static uint16_t read_host16(const struct passthru *device, unsigned offset)
{
	return (uint16_t)host_pci_read(&device->host, offset, 2);
}

static uint8_t read_host8(const struct passthru *device, unsigned offset)
{
	return (uint8_t)host_pci_read(&device->host, offset, 1);
}

static void set_kind(struct passthru *device, unsigned offset, unsigned length,
		     enum passthru_kind kind)
{
	for (unsigned i = offset; i < offset + length && i < PCI_CONFIG_LENGTH; i++)
		device->kind[i] = (uint8_t)kind;
}

/* A register of the register file, and which of its bits the guest may change. */
static void set_config_register(struct passthru *device, unsigned offset, uint16_t value,
				uint16_t writable)
{
	struct pci_function *function = device->function;

	set_kind(device, offset, 2, CONFIG_EMULATED);
	pci_set16(function, offset, value);
	function->writable[offset] = (uint8_t)writable;
	function->writable[offset + 1] = (uint8_t)(writable >> 8);
}

static void copy_registers(struct passthru *device, unsigned offset, unsigned length)
{
	for (unsigned i = 0; i < length; i += 2)
		set_config_register(device, offset + i, read_host16(device, offset + i), 0);
}

static void init_header(struct passthru *device)
{
	struct pci_function *function = device->function;
	uint8_t pin = read_host8(device, PCI_PIN);

	set_kind(device, 0, PCI_CONFIG_LENGTH, CONFIG_HIDDEN);
	set_kind(device, 0, FIRST_CAPABILITY, CONFIG_EMULATED);
	set_kind(device, FIRST_CAPABILITY, FIRST_EXTENDED - FIRST_CAPABILITY, CONFIG_HOST);
	pci_set16(function, PCI_VENDOR_ID, device->host.vendor);
	pci_set16(function, PCI_DEVICE_ID, device->host.device);
	set_config_register(device, PCI_COMMAND, 0,
			    PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | 0x0140 |
				    PCI_COMMAND_INTX_DISABLE);
	set_kind(device, PCI_STATUS, 2, CONFIG_HOST);
	copy_registers(device, PCI_REVISION, 4);
	set_config_register(device, PCI_CACHE_LINE, 0, 0xffff);
	pci_set16(function, PCI_SUBVENDOR_ID, device->host.subvendor);
	pci_set16(function, PCI_SUBSYSTEM_ID, device->host.subdevice);
	if (pin >= 1 && pin <= 4 && device->host.line)
		device->intx = acpi_intx_pin(function->slot, pin - 1);
	function->config[PCI_PIN] = device->intx ? pin : 0;
	function->config[PCI_LINE] = (uint8_t)device->intx;
	function->writable[PCI_LINE] = 0xff;
}

static bool init_pm(struct passthru *device, unsigned at)
{
	set_config_register(device, at + 2,
			    (uint16_t)(read_host16(device, at + 2) & ~PM_PME_SUPPORT), 0);
	set_config_register(device, at + 4, PM_NO_SOFT_RESET, PM_STATE);
	set_config_register(device, at + 6, 0, 0);
	return true;
}

static bool init_msi(struct passthru *device, unsigned at)
{
	uint16_t control = read_host16(device, at + 2) & ~(MSI_VECTOR_MASK | MSI_ENABLE | 0x70u);
	unsigned data = control & MSI_64BIT ? 12 : 8;

	device->msi = at;
	set_config_register(device, at + 2, control, MSI_WRITABLE);
	set_config_register(device, at + 4, 0, 0xfffc);
	set_config_register(device, at + 6, 0, 0xffff);
	if (control & MSI_64BIT) {
		set_config_register(device, at + 8, 0, 0xffff);
		set_config_register(device, at + 10, 0, 0xffff);
	}
	set_config_register(device, at + data, 0, 0xffff);
	set_config_register(device, at + data + 2, 0, 0);
	return true;
}

/* False, and the capability is hidden, if its table is in a BAR that the device lacks. */
static bool init_msix(struct passthru *device, unsigned at)
{
	uint16_t control = read_host16(device, at + 2);
	uint32_t table = host_pci_read(&device->host, at + 4, 4);
	uint32_t pba = host_pci_read(&device->host, at + 8, 4);
	unsigned bar = table & MSIX_BAR, pba_bar = pba & MSIX_BAR;

	if (bar >= HOST_PCI_BARS || pba_bar >= HOST_PCI_BARS || !device->host.bar[bar].size ||
	    !device->host.bar[pba_bar].size)
		return false;
	device->msix = at;
	device->vectors = MSIX_VECTORS(control);
	device->table_bar = bar;
	device->table_offset = table & ~MSIX_BAR;
	device->pba_bar = pba_bar;
	device->pba_offset = pba & ~MSIX_BAR;
	set_config_register(device, at + 2, (uint16_t)(control & 0x7ff), MSIX_WRITABLE);
	copy_registers(device, at + 4, 8);
	return true;
}

static bool init_vendor(struct passthru *device, unsigned at)
{
	unsigned length = read_host8(device, at + 2);

	if (length > FIRST_EXTENDED - at)
		length = FIRST_EXTENDED - at;
	set_kind(device, at + 2, length > 2 ? length - 2 : 0, CONFIG_HOST);
	return true;
}

/*
 * On bus 0 there is no link above it, so an endpoint becomes one of the root complex.
 * The host controls the device's own; what the guest writes is only remembered.
 */
static bool init_express(struct passthru *device, unsigned at)
{
	uint16_t flags = read_host16(device, at + EXPRESS_FLAGS);

	device->express = at;
	if ((flags & EXPRESS_TYPE) == TYPE_ENDPOINT)
		flags = (uint16_t)(flags | TYPE_ROOT_ENDPOINT);
	set_kind(device, at + 2, EXPRESS_LENGTH - 2, CONFIG_HIDDEN);
	set_config_register(device, at + EXPRESS_FLAGS, flags, 0);
	set_kind(device, at + EXPRESS_DEVCAP, 4, CONFIG_HOST_READ);
	set_config_register(device, at + EXPRESS_DEVCTL, read_host16(device, at + EXPRESS_DEVCTL),
			    (uint16_t)~DEVCTL_RESET);
	set_kind(device, at + EXPRESS_DEVSTA, 2, CONFIG_HOST);
	set_kind(device, at + EXPRESS_DEVCAP2, 4, CONFIG_HOST_READ);
	set_config_register(device, at + EXPRESS_DEVCTL2, 0, 0xffff);
	return true;
}

static const struct {
	uint8_t id;
	bool (*init)(struct passthru *device, unsigned at);
} shown[] = {
	{ CAP_PM, init_pm },	       { CAP_MSI, init_msi },	{ CAP_VENDOR, init_vendor },
	{ CAP_EXPRESS, init_express }, { CAP_MSIX, init_msix },
};

static bool init_capability(struct passthru *device, uint8_t id, unsigned at)
{
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (shown[i].id == id)
			return shown[i].init(device, at);
	return false;
}

/* The registers of a capability that is not shown: up to the next, 16 bytes at most. */
static void hide_capability(struct passthru *device, unsigned at)
{
	for (unsigned i = at; i < at + 16 && i < FIRST_EXTENDED; i++)
		if (device->kind[i] == CONFIG_HOST)
			device->kind[i] = CONFIG_HIDDEN;
}

/* Those that are shown stay where they are; each points to the next one that is. */
static void init_capabilities(struct passthru *device)
{
	uint8_t *config = device->function->config;
	unsigned link = PCI_CAPABILITIES;
	unsigned at = 0;

	if (read_host16(device, PCI_STATUS) & PCI_STATUS_CAPABILITIES)
		at = read_host8(device, PCI_CAPABILITIES) & 0xfcu;
	for (unsigned i = 0; at >= FIRST_CAPABILITY && i < MAX_CAPABILITIES; i++) {
		uint8_t id = read_host8(device, at);

		if (init_capability(device, id, at)) {
			set_config_register(device, at, id, 0);
			config[link] = (uint8_t)at;
			link = at + 1;
		} else {
			hide_capability(device, at);
		}
		at = read_host8(device, at + 1) & 0xfcu;
	}
}

/* --- extended capabilities ------------------------------------------------ */

/* How long one is that may be shown; 0: it is not. */
static unsigned extended_length(const struct passthru *device, uint32_t header, unsigned at)
{
	switch (header & 0xffff) {
	case EXT_SERIAL:
		return 12;
	case EXT_VENDOR:
		return host_pci_read(&device->host, at + 4, 4) >> 20;
	default:
		return 0;
	}
}

/* The header at FIRST_EXTENDED is always there; it may name no capability. */
static void init_extended(struct passthru *device)
{
	struct pci_function *function = device->function;
	unsigned at = FIRST_EXTENDED, link = FIRST_EXTENDED;

	if (!device->express || device->host.config_length < PCI_CONFIG_LENGTH)
		return;
	set_kind(device, FIRST_EXTENDED, 4, CONFIG_EMULATED);
	for (unsigned i = 0; at >= FIRST_EXTENDED && i < MAX_CAPABILITIES; i++) {
		uint32_t header = host_pci_read(&device->host, at, 4);
		unsigned length = header == UINT32_MAX ? 0 : extended_length(device, header, at);

		if (length >= 4) {
			set_kind(device, at + 4, length - 4, CONFIG_HOST_READ);
			set_kind(device, at, 4, CONFIG_EMULATED);
			pci_set32(function, at, header & 0x000fffff);
			if (at != FIRST_EXTENDED)
				pci_set16(function, link + 2,
					  (uint16_t)(pci_get16(function, link + 2) | at << 4));
			link = at;
		}
		at = header == UINT32_MAX ? 0 : header >> 20 & 0xffcu;
	}
}

void passthru_config_init(struct passthru *device)
{
	init_header(device);
	init_capabilities(device);
	init_extended(device);
}

/* --- reading -------------------------------------------------------------- */

static uint8_t read_byte(const struct passthru *device, unsigned offset, uint32_t host,
			 unsigned index)
{
	switch (device->kind[offset]) {
	case CONFIG_EMULATED:
		return device->function->config[offset];
	case CONFIG_HIDDEN:
		return 0;
	default:
		return (uint8_t)(host >> (8 * index));
	}
}

static bool any_of_host(const struct passthru *device, unsigned offset, unsigned bytes)
{
	for (unsigned i = offset; i < offset + bytes; i++)
		if (device->kind[i] == CONFIG_HOST || device->kind[i] == CONFIG_HOST_READ)
			return true;
	return false;
}

uint32_t passthru_config_read(struct pci_function *function, unsigned offset, unsigned bytes)
{
	const struct passthru *device = function->state;
	uint32_t host = 0, value = 0;

	if (any_of_host(device, offset, bytes))
		host = host_pci_read(&device->host, offset, bytes);
	for (unsigned i = 0; i < bytes; i++) {
		uint8_t byte = read_byte(device, offset + i, host, i);

		/* Whether there is a list of capabilities follows from those that are shown. */
		if (offset + i == PCI_STATUS && function->config[PCI_CAPABILITIES])
			byte |= PCI_STATUS_CAPABILITIES;
		else if (offset + i == PCI_STATUS)
			byte &= (uint8_t)~PCI_STATUS_CAPABILITIES;
		value |= (uint32_t)byte << (8 * i);
	}
	return value;
}

/* --- interrupts ------------------------------------------------------------------ */

static bool msix_enabled(const struct passthru *device)
{
	return device->msix &&
	       (pci_get16(device->function, device->msix + 2) & MSIX_CONTROL_ENABLE);
}

void passthru_update_intx(struct passthru *device)
{
	uint16_t command = pci_get16(device->function, PCI_COMMAND);
	bool on = device->intx && !device->msi_on && !msix_enabled(device) &&
		  !(command & PCI_COMMAND_INTX_DISABLE);

	if (on == device->intx_on)
		return;
	if (vm_setup_pptdev_intx(device->ctx, device->bus, device->slot, device->func,
				 on ? (int)device->intx : -1) &&
	    on)
		complain("-s %u:%u: its interrupt line: %s", device->function->slot,
			 device->function->number, strerror(errno));
	device->intx_on = on;
}

static void update_msi(struct passthru *device)
{
	const struct pci_function *function = device->function;
	unsigned at = device->msi;
	uint16_t control = pci_get16(function, at + 2);
	bool wide = control & MSI_64BIT;
	uint64_t address = pci_get32(function, at + 4);
	uint16_t data = pci_get16(function, at + (wide ? 12 : 8));
	bool on = control & MSI_ENABLE;

	if (wide)
		address |= (uint64_t)pci_get32(function, at + 8) << 32;
	if (!on && !device->msi_on)
		return;
	if (vm_setup_pptdev_msi(device->ctx, device->bus, device->slot, device->func, address, data,
				on ? MSI_COUNT(control) : 0))
		complain("-s %u:%u: MSI: %s", function->slot, function->number, strerror(errno));
	device->msi_on = on;
	/* The module disconnects the line when MSI is enabled. */
	device->intx_on &= !on;
}

/* --- writing --------------------------------------------------------------------- */

static bool access_covers(unsigned offset, unsigned bytes, unsigned start, unsigned length)
{
	return offset < start + length && start < offset + bytes;
}

/* Bus mastering is set in the device. One byte is written: the host changes the next one. */
static void update_master(struct passthru *device)
{
	uint8_t host = read_host8(device, PCI_COMMAND);
	uint8_t command = device->function->config[PCI_COMMAND];
	uint8_t updated = (uint8_t)((host & ~PCI_COMMAND_MASTER) | (command & PCI_COMMAND_MASTER));

	if (updated != host)
		host_pci_write(&device->host, PCI_COMMAND, 1, updated);
}

/* The guest resets the function: its registers here are as at the start. */
static void function_reset(struct passthru *device)
{
	struct pci_function *function = device->function;

	if (!(host_pci_read(&device->host, device->express + EXPRESS_DEVCAP, 4) & DEVCAP_RESET))
		return;
	if (vm_reset_pptdev(device->ctx, device->bus, device->slot, device->func))
		complain("-s %u:%u: its reset: %s", function->slot, function->number,
			 strerror(errno));
	pci_set16(function, PCI_COMMAND, 0);
	for (unsigned i = PCI_BAR(0); i < PCI_BAR(6); i++)
		function->config[i] &= (uint8_t)~function->writable[i];
	pci_set32(function, PCI_ROM, 0);
	if (device->msi)
		pci_set16(function, device->msi + 2,
			  (uint16_t)(pci_get16(function, device->msi + 2) & ~MSI_WRITABLE));
	if (device->msix)
		pci_set16(function, device->msix + 2,
			  (uint16_t)(pci_get16(function, device->msix + 2) & ~MSIX_WRITABLE));
	passthru_msix_reset(device);
	device->msi_on = false;
	device->intx_on = false;
	pci_bars_update(function);
	passthru_update_intx(device);
}

/* What follows from a write to the register file. */
static void registers_written(struct passthru *device, unsigned offset, unsigned bytes,
			      uint32_t value)
{
	unsigned control = device->express + EXPRESS_DEVCTL;

	if (access_covers(offset, bytes, PCI_COMMAND, 2))
		update_master(device);
	if (device->msi && access_covers(offset, bytes, device->msi, 16))
		update_msi(device);
	if (device->msix && access_covers(offset, bytes, device->msix + 2, 2)) {
		/* Disconnect the line before MSI-X is enabled. */
		if (msix_enabled(device))
			passthru_update_intx(device);
		passthru_msix_update(device, pci_get16(device->function, device->msix + 2));
	}
	if (device->express && offset <= control + 1 && control + 1 < offset + bytes &&
	    (value >> (8 * (control + 1 - offset)) & (DEVCTL_RESET >> 8)))
		function_reset(device);
	else
		passthru_update_intx(device);
}

/* The longest run of the device's own bytes from 'offset' on that is one access. */
static unsigned host_run(const struct passthru *device, unsigned offset, unsigned bytes)
{
	unsigned length = 0;

	while (length < bytes && device->kind[offset + length] == CONFIG_HOST)
		length++;
	if (length >= 4 && offset % 4 == 0)
		return 4;
	if (length >= 2 && offset % 2 == 0)
		return 2;
	return length ? 1 : 0;
}

void passthru_config_write(struct pci_function *function, unsigned offset, unsigned bytes,
			   uint32_t value)
{
	struct passthru *device = function->state;
	unsigned step;

	for (unsigned i = 0; i < bytes; i += step) {
		uint32_t part = value >> (8 * i);

		step = host_run(device, offset + i, bytes - i);
		if (step)
			host_pci_write(&device->host, offset + i, step, part);
		else if (device->kind[offset + i] == CONFIG_EMULATED)
			pci_register_write(function, offset + i, 1, part & 0xff);
		step = step ? step : 1;
	}
	registers_written(device, offset, bytes, value);
}
