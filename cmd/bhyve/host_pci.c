// SPDX-License-Identifier: BSD-2-Clause
/* PCI devices of the host, through sysfs. */
#include "host_pci.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Flags of the file "resource", the kernel's. */
#define RESOURCE_IO	  0x100u
#define RESOURCE_MEMORY	  0x200u
#define RESOURCE_PREFETCH 0x2000u
#define RESOURCE_64BIT	  0x100000u

#define PAGE_MASK 0xfffu

const char *host_pci_root = "/sys/bus/pci/devices";

/* --- what it is ------------------------------------------------------------------- */

static FILE *open_text(const struct host_pci *host, const char *name)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", host->path, name);
	return fopen(path, "re");
}

static uint16_t read_id(const struct host_pci *host, const char *name)
{
	FILE *file = open_text(host, name);
	unsigned value = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%x", &value) != 1)
		value = 0;
	fclose(file);
	return (uint16_t)value;
}

/* The kernel has a number for devices with a line; a virtual function's pin register lies. */
static bool has_line(const struct host_pci *host)
{
	FILE *file = open_text(host, "irq");
	unsigned number = 0;

	if (!file)
		return false;
	if (fscanf(file, "%u", &number) != 1)
		number = 0;
	fclose(file);
	return number != 0;
}

static void read_bar(FILE *file, struct host_pci_bar *bar)
{
	uint64_t start, end, flags;

	if (fscanf(file, "%" SCNx64 " %" SCNx64 " %" SCNx64, &start, &end, &flags) != 3)
		return;
	if (end <= start || !(flags & (RESOURCE_IO | RESOURCE_MEMORY)))
		return;
	bar->base = start;
	bar->size = end - start + 1;
	bar->io = flags & RESOURCE_IO;
	bar->prefetchable = flags & RESOURCE_PREFETCH;
	bar->wide = flags & RESOURCE_64BIT;
}

static int read_bars(struct host_pci *host)
{
	FILE *file = open_text(host, "resource");

	if (!file)
		return -errno;
	for (unsigned i = 0; i < HOST_PCI_BARS; i++)
		read_bar(file, &host->bar[i]);
	fclose(file);
	return 0;
}

static int open_config(struct host_pci *host)
{
	char path[192];
	struct stat status;

	snprintf(path, sizeof(path), "%s/config", host->path);
	host->config = open(path, O_RDWR | O_CLOEXEC);
	if (host->config < 0)
		return -errno;
	host->config_length = 256;
	if (fstat(host->config, &status) == 0 && status.st_size >= 4096)
		host->config_length = 4096;
	return 0;
}

int host_pci_open(struct host_pci *host, const struct pci_place *place)
{
	char name[PCI_PLACE_NAME_LENGTH];
	int error;

	*host = (struct host_pci){ .config = -1 };
	pci_place_name(place, name);
	snprintf(host->path, sizeof(host->path), "%s/%s", host_pci_root, name);
	error = open_config(host);
	if (!error)
		error = read_bars(host);
	if (error) {
		host_pci_close(host);
		return error;
	}
	/* From the kernel, for virtual functions do not have them in their registers. */
	host->vendor = read_id(host, "vendor");
	host->device = read_id(host, "device");
	host->subvendor = read_id(host, "subsystem_vendor");
	host->subdevice = read_id(host, "subsystem_device");
	host->line = has_line(host);
	return 0;
}

void host_pci_close(struct host_pci *host)
{
	if (host->config >= 0)
		close(host->config);
	host->config = -1;
}

/* --- its registers -------------------------------------------------------- */

static uint32_t file_read(int file, unsigned offset, unsigned bytes)
{
	uint32_t value = 0;

	if (pread(file, &value, bytes, offset) != (ssize_t)bytes)
		return UINT32_MAX;
	return value;
}

uint32_t host_pci_read(const struct host_pci *host, unsigned offset, unsigned bytes)
{
	return file_read(host->config, offset, bytes);
}

void host_pci_write(const struct host_pci *host, unsigned offset, unsigned bytes, uint32_t value)
{
	/* A write that fails is lost, as one to a read-only register is. */
	if (pwrite(host->config, &value, bytes, offset) < 0)
		return;
}

static int open_resource(const struct host_pci *host, unsigned bar)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/resource%u", host->path, bar);
	return open(path, O_RDWR | O_SYNC | O_CLOEXEC);
}

volatile void *host_pci_map(const struct host_pci *host, unsigned bar, uint64_t offset,
			    size_t length)
{
	/* A BAR of less than a page may begin anywhere in one. */
	uint64_t within = (host->bar[bar].base + offset) & PAGE_MASK;
	uint64_t start = host->bar[bar].base + offset - within;
	uint64_t file_offset = start - (host->bar[bar].base & ~(uint64_t)PAGE_MASK);
	int file = open_resource(host, bar);
	char *memory;

	if (file < 0)
		return NULL;
	memory = mmap(NULL, within + length, PROT_READ | PROT_WRITE, MAP_SHARED, file,
		      (off_t)file_offset);
	close(file);
	return memory == MAP_FAILED ? NULL : memory + within;
}

int host_pci_open_ports(const struct host_pci *host, unsigned bar)
{
	return open_resource(host, bar);
}

uint32_t host_pci_port_read(int file, unsigned offset, unsigned bytes)
{
	return file_read(file, offset, bytes);
}

void host_pci_port_write(int file, unsigned offset, unsigned bytes, uint32_t value)
{
	if (pwrite(file, &value, bytes, offset) < 0)
		return;
}
