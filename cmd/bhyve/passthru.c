// SPDX-License-Identifier: BSD-2-Clause
/* -s SLOT,passthru,BUS/SLOT/FUNCTION[,rom=FILE]: a device of the host for the guest. */
#include "passthru.h"
#include "diag.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE ((uint64_t)4096)

#define ROM_MAX (16u << 20)

/* --- the option ----------------------------------------------------------- */

static int passthru_init(struct pci_function *function, const char *options)
{
	struct passthru *device = calloc(1, sizeof(*device));
	size_t length = options ? strcspn(options, ",") : 0;

	if (!device)
		return -ENOMEM;
	device->function = function;
	function->state = device;
	pthread_mutex_init(&device->lock, NULL);
	if (!options || !pci_place_parse(options, length, &device->place))
		fatal("-s %u,passthru: which device? BUS/SLOT/FUNCTION, in decimal",
		      function->slot);
	options += length;
	if (strncmp(options, ",rom=", 5) == 0)
		device->rom_file = options + 5;
	else if (*options)
		fatal("-s %u,passthru%s: not ,rom=FILE", function->slot, options);
	device->bus = (int)(device->place.domain << 8 | device->place.bus);
	device->slot = (int)device->place.slot;
	device->func = (int)device->place.function;
	return 0;
}

/* --- start ---------------------------------------------------------------- */

static const char *assign_problem(int error)
{
	switch (error) {
	case ENOENT:
		return "it is not reserved for guests (bhyvectl --ppt-attach does)";
	case EBUSY:
		return "another VM, or the host, has it or its IOMMU group";
	case EXDEV:
		return "not all of its IOMMU group is reserved for guests";
	case EOPNOTSUPP:
		return "there is no IOMMU to keep its DMA within the guest";
	case EACCES:
		return "there is no interrupt remapping to keep its interrupts within the guest";
	case EPERM:
		return "only root may give a device to a guest";
	default:
		return strerror(error);
	}
}

static _Noreturn void device_failed(const struct passthru *device, const char *what)
{
	fatal("-s %u,passthru,%u/%u/%u: %s", device->function->slot, device->place.bus,
	      device->place.slot, device->place.function, what);
}

static void open_device(struct passthru *device)
{
	int error = host_pci_open(&device->host, &device->place);

	if (error == -ENOENT)
		device_failed(device, "there is no such device");
	if (error)
		device_failed(device, assign_problem(error == -EACCES ? EPERM : -error));
	if (vm_assign_pptdev(device->ctx, device->bus, device->slot, device->func))
		device_failed(device, assign_problem(errno));
}

static void read_rom(struct passthru *device)
{
	int file = open(device->rom_file, O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (file < 0 || fstat(file, &status))
		fatal("rom=%s: %s", device->rom_file, strerror(errno));
	if (status.st_size == 0 || status.st_size > ROM_MAX)
		fatal("rom=%s: %s", device->rom_file,
		      status.st_size ? "more than 16M" : "it is empty");
	device->rom_length = (uint64_t)status.st_size;
	device->rom = malloc(device->rom_length);
	if (!device->rom || read(file, device->rom, device->rom_length) != status.st_size)
		fatal("rom=%s: cannot be read", device->rom_file);
	close(file);
}

/* Removes [start, start + length), in whole pages, from the last piece. */
static void exclude_pages(struct passthru_piece *pieces, unsigned *count, uint64_t start,
			  uint64_t length)
{
	struct passthru_piece *last = &pieces[*count - 1];
	uint64_t end = (start + length + PAGE - 1) & ~(PAGE - 1);
	uint64_t last_end = last->offset + last->length;

	start &= ~(PAGE - 1);
	if (start >= last_end || end <= last->offset)
		return;
	last->length = start > last->offset ? start - last->offset : 0;
	if (end < last_end)
		pieces[(*count)++] = (struct passthru_piece){ end, last_end - end, false };
}

/* The pages of a BAR that are mapped into the guest. */
static void find_pieces(struct passthru *device, unsigned index)
{
	const struct host_pci_bar *bar = &device->host.bar[index];
	struct passthru_piece *pieces = device->piece[index];
	uint64_t table = device->table_offset, pba = device->pba_offset;
	uint64_t table_length = (uint64_t)device->vectors * MSIX_ENTRY_SIZE;
	uint64_t pba_length = (device->vectors + 63) / 64 * 8;
	bool has_table = device->vectors && device->table_bar == index;
	bool has_pba = device->vectors && device->pba_bar == index;
	unsigned count = 1;

	if (bar->io || bar->size < PAGE || bar->base % PAGE)
		return;
	pieces[0] = (struct passthru_piece){ 0, bar->size & ~(PAGE - 1), false };
	if (has_table && has_pba && pba < table) {
		exclude_pages(pieces, &count, pba, pba_length);
		exclude_pages(pieces, &count, table, table_length);
		return;
	}
	if (has_table)
		exclude_pages(pieces, &count, table, table_length);
	if (has_pba)
		exclude_pages(pieces, &count, pba, pba_length);
}

static void add_bars(struct passthru *device)
{
	for (unsigned i = 0; i < HOST_PCI_BARS; i++) {
		const struct host_pci_bar *bar = &device->host.bar[i];

		device->ports[i] = -1;
		if (!bar->size)
			continue;
		pci_bar_add(device->function, i,
			    bar->io   ? PCI_BAR_IO :
			    bar->wide ? PCI_BAR_MEMORY64 :
					PCI_BAR_MEMORY32,
			    bar->prefetchable, bar->size);
		if (bar->io)
			device->ports[i] = host_pci_open_ports(&device->host, i);
		find_pieces(device, i);
	}
	if (device->rom_file) {
		read_rom(device);
		pci_bar_add(device->function, PCI_BAR_ROM, PCI_BAR_MEMORY32, false,
			    device->rom_length);
	}
}

static void passthru_start(struct pci_function *function, struct vmctx *ctx)
{
	struct passthru *device = function->state;
	uint8_t multifunction = function->config[PCI_HEADER_TYPE] & PCI_HEADER_MULTIFUNCTION;

	device->ctx = ctx;
	open_device(device);
	passthru_config_init(device);
	function->config[PCI_HEADER_TYPE] = multifunction;
	passthru_msix_init(device);
	add_bars(device);
	passthru_update_intx(device);
}

/* --- BARs ----------------------------------------------------------------- */

static void map_piece(struct passthru *device, const struct pci_bar *bar,
		      struct passthru_piece *piece)
{
	uint64_t gpa = bar->address + piece->offset;
	uint64_t hpa = device->host.bar[bar->index].base + piece->offset;

	/* If it cannot be mapped, accesses exit to userspace: slower, but right. */
	piece->mapped = vm_map_pptdev_mmio(device->ctx, device->bus, device->slot, device->func,
					   gpa, piece->length, hpa) == 0;
	if (!piece->mapped)
		complain("-s %u:%u: BAR %u at %#llx: %s", bar->function->slot,
			 bar->function->number, bar->index, (unsigned long long)gpa,
			 strerror(errno));
}

static void unmap_piece(struct passthru *device, const struct pci_bar *bar,
			struct passthru_piece *piece)
{
	if (piece->mapped)
		(void)vm_unmap_pptdev_mmio(device->ctx, device->bus, device->slot, device->func,
					   bar->address + piece->offset, piece->length);
	piece->mapped = false;
}

static void passthru_bar_moved(struct pci_function *function, struct pci_bar *bar)
{
	struct passthru *device = function->state;

	if (bar->index == PCI_BAR_ROM)
		return;
	for (unsigned i = 0; i < PASSTHRU_PIECES; i++) {
		struct passthru_piece *piece = &device->piece[bar->index][i];

		if (!piece->length)
			continue;
		if (bar->decoded)
			map_piece(device, bar, piece);
		else
			unmap_piece(device, bar, piece);
	}
}

/* The BAR in this process, for accesses that exit to userspace. */
static volatile uint8_t *bar_memory(struct passthru *device, unsigned bar)
{
	pthread_mutex_lock(&device->lock);
	if (!device->memory[bar])
		device->memory[bar] =
			host_pci_map(&device->host, bar, 0, device->host.bar[bar].size);
	pthread_mutex_unlock(&device->lock);
	return device->memory[bar];
}

static uint64_t memory_read(volatile uint8_t *at, unsigned bytes)
{
	switch (bytes) {
	case 1:
		return *at;
	case 2:
		return *(volatile uint16_t *)at;
	case 4:
		return *(volatile uint32_t *)at;
	default:
		return *(volatile uint64_t *)at;
	}
}

static void memory_write(volatile uint8_t *at, unsigned bytes, uint64_t value)
{
	switch (bytes) {
	case 1:
		*at = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)at = (uint16_t)value;
		break;
	case 4:
		*(volatile uint32_t *)at = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)at = value;
	}
}

static uint64_t rom_read(const struct passthru *device, uint64_t offset, unsigned bytes)
{
	uint64_t value = 0;

	if (offset >= device->rom_length || bytes > device->rom_length - offset)
		return UINT64_MAX;
	memcpy(&value, device->rom + offset, bytes);
	return value;
}

/* A guest's BAR is at least a page; the device's may be smaller. */
static bool is_there(const struct passthru *device, unsigned bar, uint64_t offset, unsigned bytes)
{
	uint64_t size = device->host.bar[bar].size;

	return offset < size && bytes <= size - offset && offset % bytes == 0;
}

static uint64_t passthru_bar_read(struct pci_function *function, unsigned bar, uint64_t offset,
				  unsigned bytes)
{
	struct passthru *device = function->state;
	volatile uint8_t *memory;

	if (bar == PCI_BAR_ROM)
		return rom_read(device, offset, bytes);
	if (!is_there(device, bar, offset, bytes))
		return UINT64_MAX;
	if (device->host.bar[bar].io)
		return host_pci_port_read(device->ports[bar], (unsigned)offset, bytes);
	if (passthru_in_table(device, bar, offset))
		return passthru_table_read(device, offset - device->table_offset, bytes);
	memory = bar_memory(device, bar);
	return memory ? memory_read(memory + offset, bytes) : UINT64_MAX;
}

static void passthru_bar_write(struct pci_function *function, unsigned bar, uint64_t offset,
			       unsigned bytes, uint64_t value)
{
	struct passthru *device = function->state;
	volatile uint8_t *memory;

	if (bar == PCI_BAR_ROM || !is_there(device, bar, offset, bytes))
		return;
	if (device->host.bar[bar].io) {
		host_pci_port_write(device->ports[bar], (unsigned)offset, bytes, (uint32_t)value);
		return;
	}
	if (passthru_in_table(device, bar, offset)) {
		passthru_table_write(device, offset - device->table_offset, bytes, value);
		return;
	}
	memory = bar_memory(device, bar);
	if (memory)
		memory_write(memory + offset, bytes, value);
}

const struct pci_driver pci_passthru = {
	.name = "passthru",
	.summary = "a device of the host: BUS/SLOT/FUNCTION[,rom=FILE]",
	.has_settings = true,
	.init = passthru_init,
	.start = passthru_start,
	.config_read = passthru_config_read,
	.config_write = passthru_config_write,
	.bar_moved = passthru_bar_moved,
	.bar_read = passthru_bar_read,
	.bar_write = passthru_bar_write,
};
