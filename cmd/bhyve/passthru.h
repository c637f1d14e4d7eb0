/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of passthrough share: an assigned device as a function of bus 0.
 * Its registers are mapped into the guest, as far as whole pages go; its configuration
 * space is partly the device's, partly emulated.
 */
#ifndef BHYVE_PASSTHRU_H
#define BHYVE_PASSTHRU_H

#include "host_pci.h"
#include "msix.h"
#include "pci.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Who answers for a byte of the configuration space. */
enum passthru_kind {
	CONFIG_EMULATED,  /* the function's register file */
	CONFIG_HOST,	  /* the device */
	CONFIG_HOST_READ, /* the device; writes are lost */
	CONFIG_HIDDEN,	  /* reads 0 */
};

/* A vector as the guest sees it. */
struct passthru_vector {
	struct msix_entry entry;
	bool live; /* unmasked in the module */
};

/* Pages of a BAR that are mapped into the guest. */
struct passthru_piece {
	uint64_t offset;
	uint64_t length;
	bool mapped; /* the BARs' lock */
};
#define PASSTHRU_PIECES 3

struct passthru {
	struct vmctx *ctx; /* constant once started, like all to the next remark */
	struct pci_function *function;
	struct pci_place place;
	struct host_pci host;
	int bus, slot, func;		 /* as the module numbers them */
	uint8_t kind[PCI_CONFIG_LENGTH]; /* enum passthru_kind */
	unsigned msi, msix, express;	 /* where these capabilities are; 0: nowhere */
	unsigned intx;			 /* I/O APIC input of its line; 0: it has none */
	unsigned vectors;		 /* entries of the MSI-X table */
	unsigned table_bar;
	uint64_t table_offset;
	unsigned pba_bar;
	uint64_t pba_offset;
	const char *rom_file;
	uint8_t *rom;
	uint64_t rom_length;
	int ports[HOST_PCI_BARS]; /* open files, or -1 */

	struct passthru_piece piece[HOST_PCI_BARS][PASSTHRU_PIECES];

	/* The function's lock. */
	bool msi_on;
	bool intx_on;

	pthread_mutex_t lock; /* innermost; for the rest */
	struct passthru_vector *table;
	bool msix_enabled;
	bool msix_on; /* enabled, and not masked as a whole */
	volatile uint8_t *memory[HOST_PCI_BARS];
};

/* passthru_config.c: build the configuration space, and access to it. */
void passthru_config_init(struct passthru *device);
uint32_t passthru_config_read(struct pci_function *function, unsigned offset, unsigned bytes);
void passthru_config_write(struct pci_function *function, unsigned offset, unsigned bytes,
			   uint32_t value);
/* Its line is connected if nothing else is. With the function's lock, once vCPUs run. */
void passthru_update_intx(struct passthru *device);

/* passthru_msix.c */
void passthru_msix_init(struct passthru *device);
/* The capability's control register has been written. */
void passthru_msix_update(struct passthru *device, uint16_t control);
/* All masked, as after a reset. */
void passthru_msix_reset(struct passthru *device);
/* The table in a BAR: is this access for it? */
bool passthru_in_table(const struct passthru *device, unsigned bar, uint64_t offset);
uint64_t passthru_table_read(struct passthru *device, uint64_t offset, unsigned bytes);
void passthru_table_write(struct passthru *device, uint64_t offset, unsigned bytes, uint64_t value);

#endif
