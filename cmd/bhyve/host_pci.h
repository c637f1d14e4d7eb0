/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PCI device of the host, through sysfs: what it is, its configuration space and
 * its registers. Root only.
 */
#ifndef BHYVE_HOST_PCI_H
#define BHYVE_HOST_PCI_H

#include "common/pci_place.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOST_PCI_BARS 6

struct host_pci_bar {
	uint64_t base;
	uint64_t size; /* 0: there is none */
	bool io;
	bool prefetchable;
	bool wide; /* 64-bit */
};

struct host_pci {
	char path[128]; /* its folder */
	int config;	/* open file of its configuration space */
	unsigned config_length;
	uint16_t vendor, device, subvendor, subdevice;
	bool line; /* it has an interrupt line */
	struct host_pci_bar bar[HOST_PCI_BARS];
};

/* 0 or a negative errno: -ENOENT there is no such device, -EACCES. */
int host_pci_open(struct host_pci *host, const struct pci_place *place);
void host_pci_close(struct host_pci *host);

/* Configuration space; what cannot be read is all ones. 1, 2 or 4 bytes. Any thread. */
uint32_t host_pci_read(const struct host_pci *host, unsigned offset, unsigned bytes);
void host_pci_write(const struct host_pci *host, unsigned offset, unsigned bytes, uint32_t value);

/* Maps the bytes [offset, offset + length) of a memory BAR into this process. NULL: failed. */
volatile void *host_pci_map(const struct host_pci *host, unsigned bar, uint64_t offset,
			    size_t length);
/* An open file for the ports of a BAR, or -1; and an access to them. */
int host_pci_open_ports(const struct host_pci *host, unsigned bar);
uint32_t host_pci_port_read(int file, unsigned offset, unsigned bytes);
void host_pci_port_write(int file, unsigned offset, unsigned bytes, uint32_t value);

/* The folder of devices in sysfs; tests set another. */
extern const char *host_pci_root;

#endif
