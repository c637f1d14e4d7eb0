/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI bus 0: its functions and their configuration space, reached by
 * configuration mechanism #1 (PCI Local Bus Specification 3.0, 3.2.2.3) and, all of
 * it, in memory (PCI Express Base Specification 3.0, 7.2.2).
 */
#ifndef BHYVE_PCI_H
#define BHYVE_PCI_H

#include "pci_bar.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <vmmapi.h>

#define PCI_SLOTS	  32
#define PCI_FUNCTIONS	  8
#define PCI_PORT_LENGTH	  256  /* what mechanism #1 reaches */
#define PCI_CONFIG_LENGTH 4096 /* what there is of a PCI Express function */

/* Registers of every function's header. */
#define PCI_VENDOR_ID	 0x00
#define PCI_DEVICE_ID	 0x02
#define PCI_COMMAND	 0x04
#define PCI_STATUS	 0x06
#define PCI_REVISION	 0x08
#define PCI_INTERFACE	 0x09
#define PCI_SUBCLASS	 0x0a
#define PCI_CLASS	 0x0b
#define PCI_CACHE_LINE	 0x0c
#define PCI_LATENCY	 0x0d
#define PCI_HEADER_TYPE	 0x0e
#define PCI_BAR(n)	 (0x10 + 4 * (n))
#define PCI_SUBVENDOR_ID 0x2c
#define PCI_SUBSYSTEM_ID 0x2e
#define PCI_ROM		 0x30
#define PCI_CAPABILITIES 0x34
#define PCI_LINE	 0x3c
#define PCI_PIN		 0x3d

#define PCI_COMMAND_IO		 0x0001
#define PCI_COMMAND_MEMORY	 0x0002
#define PCI_COMMAND_MASTER	 0x0004
#define PCI_COMMAND_INTX_DISABLE 0x0400
#define PCI_STATUS_CAPABILITIES	 0x0010

#define PCI_HEADER_MULTIFUNCTION 0x80

struct pci_function;

/*
 * A kind of function that -s can name. 'config_read' and 'config_write' stand in
 * for plain access to the register file; NULL for most. They run in a vCPU's
 * thread with the function's lock held, 'offset' aligned to 'bytes'.
 */
struct pci_driver {
	const char *name;
	const char *summary; /* for "-s help" */
	bool is_single;	     /* there can be one such function */
	bool has_settings;
	/* Fill in a new function; 'options' are its settings, or NULL. 0 or -errno. */
	int (*init)(struct pci_function *function, const char *options);
	/* What needs the VM, once there is one; NULL for most. Ends bhyve if that fails. */
	void (*start)(struct pci_function *function, struct vmctx *ctx);
	uint32_t (*config_read)(struct pci_function *function, unsigned offset, unsigned bytes);
	void (*config_write)(struct pci_function *function, unsigned offset, unsigned bytes,
			     uint32_t value);
	/*
	 * A BAR has come to an address, or is not decoded any more (bar->decoded).
	 * The function's lock is held, and no access to a BAR is under way. NULL for most.
	 */
	void (*bar_moved)(struct pci_function *function, struct pci_bar *bar);
	/* Accesses to a BAR where it is not mapped into the guest. A vCPU's thread, no lock. */
	uint64_t (*bar_read)(struct pci_function *function, unsigned bar, uint64_t offset,
			     unsigned bytes);
	void (*bar_write)(struct pci_function *function, unsigned bar, uint64_t offset,
			  unsigned bytes, uint64_t value);
};

struct pci_function {
	const struct pci_driver *driver; /* constant */
	unsigned slot;			 /* constant */
	unsigned number;		 /* constant */
	void *state;			 /* the driver's own; constant */
	unsigned last_capability;	 /* pci_capability.c's, constant once vCPUs run */
	unsigned capabilities_end;	 /* likewise */

	pthread_mutex_t lock; /* for all below once vCPUs run */
	uint8_t config[PCI_CONFIG_LENGTH];
	uint8_t writable[PCI_CONFIG_LENGTH]; /* bits that the guest may change */
	struct pci_bar bar[PCI_BARS];
};

/*
 * Read one -s option, "[BUS:]SLOT[:FUNCTION],DRIVER[,OPTIONS]", and make that
 * function. False, after a complaint, if there is no such driver, so that others
 * can be reported as well; ends bhyve with a message if anything else is wrong.
 */
bool pci_add(const char *option);

/*
 * Make bus 0 one that Debian's OVMF knows: it asks the host bridge which chipset this is, and
 * the chipset's power management where the ACPI timer is. After all pci_add().
 */
void pci_add_firmware_functions(void);

/* List the drivers on standard output ("-s help"). */
void pci_list_drivers(void);

/*
 * Claim the registers of the configuration mechanisms, start the functions and give
 * their BARs addresses. After all pci_add().
 */
void pci_init(struct vmctx *ctx);

/* The function at that place of bus 0, or NULL. */
struct pci_function *pci_find(unsigned slot, unsigned number);

/* The slot of the first function of this driver, or -1. */
int pci_find_slot(const char *driver);

/* The access behind the configuration mechanisms: all ones where nothing is. */
uint32_t pci_config_read(unsigned slot, unsigned number, unsigned offset, unsigned bytes);
void pci_config_write(unsigned slot, unsigned number, unsigned offset, unsigned bytes,
		      uint32_t value);

/* For drivers: a register of the header, little-endian. */
static inline uint16_t pci_get16(const struct pci_function *function, unsigned offset)
{
	return (uint16_t)(function->config[offset] | function->config[offset + 1] << 8);
}

static inline uint32_t pci_get32(const struct pci_function *function, unsigned offset)
{
	return pci_get16(function, offset) | (uint32_t)pci_get16(function, offset + 2) << 16;
}

static inline void pci_set16(struct pci_function *function, unsigned offset, uint16_t value)
{
	function->config[offset] = (uint8_t)value;
	function->config[offset + 1] = (uint8_t)(value >> 8);
}

static inline void pci_set32(struct pci_function *function, unsigned offset, uint32_t value)
{
	pci_set16(function, offset, (uint16_t)value);
	pci_set16(function, offset + 2, (uint16_t)(value >> 16));
}

/* For drivers: plain access to the register file, with the function's lock. */
uint32_t pci_register_read(const struct pci_function *function, unsigned offset, unsigned bytes);
void pci_register_write(struct pci_function *function, unsigned offset, unsigned bytes,
			uint32_t value);

/* Remove all functions (tests). */
void pci_reset(void);

/* The drivers there are. */
extern const struct pci_driver pci_hostbridge;
extern const struct pci_driver pci_amd_hostbridge;
extern const struct pci_driver pci_lpc;
extern const struct pci_driver pci_passthru;
extern const struct pci_driver pci_piix4_pm;
extern const struct pci_driver pci_virtio_blk;
extern const struct pci_driver pci_virtio_net;

#endif
