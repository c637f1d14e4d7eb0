/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI devices bound to the driver "ppt": shared by os/linux and the driver itself
 * (front/linux/ppt_driver.c).
 */
#ifndef OS_LINUX_PCI_H
#define OS_LINUX_PCI_H

#include <linux/iommu.h>
#include <linux/pci.h>
#include "os/os.h"

struct ppt_device;

/* The name of the driver, for sysfs and driver_override. */
#define PPT_DRIVER "ppt"

/* One interrupt of a device that is on. */
struct os_pci_irq {
	struct os_pci *pci;
	void (*fn)(void *arg);
	void *arg;
	int number; /* Linux's; 0: off */
};

/* A device bound to our driver; from probe to remove. */
struct os_pci {
	struct pci_dev *pdev;	       /* constant */
	struct ppt_device *device;     /* constant once probed: room ppt's side */
	struct pci_saved_state *saved; /* constant: its registers when it was reserved */
	bool used;		       /* assigned since its last reset; atomic */
	enum os_pci_interrupt kind;    /* lock of the VM it is assigned to, like the rest */
	unsigned int irq_count;
	struct os_pci_irq *irq;
};

/* The driver, once registered; set by front/linux alone. */
extern struct pci_driver *os_linux_pci_driver;

/* PCI-to-PCI bridges and the host and ISA bridges are never assigned to guests. */
static inline bool os_linux_pci_is_bridge(struct pci_dev *pdev)
{
	return pdev->hdr_type != PCI_HEADER_TYPE_NORMAL ||
	       pdev->class >> 16 == PCI_BASE_CLASS_BRIDGE;
}

/* With the device's lock held: reset it, if it has been assigned to a guest. */
void os_linux_pci_reset_locked(struct os_pci *pci);

#endif
