/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI bus 0: its functions and their configuration space, reached by
 * configuration mechanism #1 (PCI Local Bus Specification 3.0, 3.2.2.3).
 */
#ifndef BHYVE_PCI_H
#define BHYVE_PCI_H

#include <pthread.h>
#include <stdint.h>

#define PCI_SLOTS	  32
#define PCI_FUNCTIONS	  8
#define PCI_CONFIG_LENGTH 256

/* Registers of every function's header. */
#define PCI_VENDOR_ID	 0x00
#define PCI_DEVICE_ID	 0x02
#define PCI_COMMAND	 0x04
#define PCI_STATUS	 0x06
#define PCI_REVISION	 0x08
#define PCI_INTERFACE	 0x09
#define PCI_SUBCLASS	 0x0a
#define PCI_CLASS	 0x0b
#define PCI_HEADER_TYPE	 0x0e
#define PCI_SUBVENDOR_ID 0x2c
#define PCI_SUBSYSTEM_ID 0x2e

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
	/* Fill in a new function; 'options' is what follows the name, or NULL. 0 or -errno. */
	int (*init)(struct pci_function *function, const char *options);
	uint32_t (*config_read)(struct pci_function *function, unsigned offset, unsigned bytes);
	void (*config_write)(struct pci_function *function, unsigned offset, unsigned bytes,
			     uint32_t value);
};

struct pci_function {
	const struct pci_driver *driver; /* constant */
	unsigned slot;			 /* constant */
	unsigned number;		 /* constant */
	void *state;			 /* the driver's own; constant */

	pthread_mutex_t lock; /* for all below once vCPUs run */
	uint8_t config[PCI_CONFIG_LENGTH];
	uint8_t writable[PCI_CONFIG_LENGTH]; /* bits that the guest may change */
};

/*
 * Read one -s option, "[BUS:]SLOT[:FUNCTION],DRIVER[,OPTIONS]", and make that
 * function. Ends the program with a message if that cannot be.
 */
void pci_add(const char *option);

/* List the drivers on standard output ("-s help"). */
void pci_list_drivers(void);

/* Claim the two registers of the configuration mechanism. After all pci_add(). */
void pci_init(void);

/* The slot of the first function of this driver, or -1. */
int pci_find_slot(const char *driver);

/* The access behind the configuration mechanism: all ones where nothing is. */
uint32_t pci_config_read(unsigned slot, unsigned number, unsigned offset, unsigned bytes);
void pci_config_write(unsigned slot, unsigned number, unsigned offset, unsigned bytes,
		      uint32_t value);

/* For drivers: a register of the header, little-endian. */
static inline void pci_set16(struct pci_function *function, unsigned offset, uint16_t value)
{
	function->config[offset] = (uint8_t)value;
	function->config[offset + 1] = (uint8_t)(value >> 8);
}

/* Remove all functions (tests). */
void pci_reset(void);

/* The drivers there are. */
extern const struct pci_driver pci_hostbridge;
extern const struct pci_driver pci_amd_hostbridge;
extern const struct pci_driver pci_lpc;

#endif
