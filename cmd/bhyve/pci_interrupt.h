/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts of an emulated function: MSI-X with a table and pending bits in a BAR of its
 * own (PCI Local Bus Specification 3.0, 6.8.2), and the line INTA while MSI-X is off.
 */
#ifndef BHYVE_PCI_INTERRUPT_H
#define BHYVE_PCI_INTERRUPT_H

#include "msix.h"
#include "pci.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <vmmapi.h>

#define PCI_MSIX_VECTORS 64u
#define PCI_NO_VECTOR	 0xffffu

struct pci_message {
	struct msix_entry entry;
	bool pending;
};

struct pci_interrupt {
	struct pci_function *function; /* constant, like the next four */
	struct vmctx *ctx;	       /* once started */
	unsigned capability;	       /* where MSI-X is in the configuration space */
	unsigned bar;		       /* that has the table */
	unsigned vectors;

	pthread_mutex_t lock; /* innermost; for the rest */
	struct pci_message message[PCI_MSIX_VECTORS];
	bool enabled;  /* MSI-X */
	bool masked;   /* as a whole */
	bool disabled; /* the command register's bit for the line */
	bool wanted;   /* the device asserts the line */
	bool line;     /* and the I/O APIC has been told so */
};

/* Add MSI-X with that many vectors (1..PCI_MSIX_VECTORS) and INTA. In the driver's init. */
void pci_interrupt_init(struct pci_interrupt *interrupt, struct pci_function *function,
			unsigned bar, unsigned vectors);
/* In the driver's start. */
void pci_interrupt_start(struct pci_interrupt *interrupt, struct vmctx *ctx);

/* Accesses to the BAR of the table. Any thread. */
uint64_t pci_interrupt_read(struct pci_interrupt *interrupt, uint64_t offset, unsigned bytes);
void pci_interrupt_write(struct pci_interrupt *interrupt, uint64_t offset, unsigned bytes,
			 uint64_t value);
/* The configuration space has been written. The function's lock is held. */
void pci_interrupt_config_written(struct pci_interrupt *interrupt);

/* Is MSI-X in use, so that the line is not? Any thread. */
bool pci_interrupt_uses_msix(struct pci_interrupt *interrupt);
/* Send a vector's message; nothing without MSI-X or for PCI_NO_VECTOR. Any thread. */
void pci_interrupt_send(struct pci_interrupt *interrupt, unsigned vector);
/* Assert or release INTA: a level, not counted. Any thread. */
void pci_interrupt_line(struct pci_interrupt *interrupt, bool asserted);

#endif
