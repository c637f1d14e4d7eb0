/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of passthrough, ppt_*.c, say to each other. */
#ifndef OS_LINUX_PPT_LINUX_H
#define OS_LINUX_PPT_LINUX_H

#include <linux/iommu.h>
#include <linux/pci.h>
#include "ppt/ppt.h"

/* The name of the driver, for sysfs and driver_override. */
#define PPT_DRIVER "ppt"

/* One interrupt of a device that is on. */
struct ppt_irq {
	struct os_pci *pci;
	void (*fn)(void *arg);
	void *arg;
	int number; /* Linux's; 0: off */
};

/* A device of our driver; from probe to remove. */
struct os_pci {
	struct pci_dev *pdev;	       /* constant */
	struct ppt_device *device;     /* constant once probed: the policy's side */
	struct pci_saved_state *saved; /* constant: its registers when it was reserved */
	bool used;		       /* a guest has had it since its last reset; atomic */
	enum os_pci_interrupt kind;    /* vm->lock of the VM that has it, like the rest */
	unsigned int irq_count;
	struct ppt_irq *irq;
};

extern struct pci_driver ppt_driver;

/* What joins buses, and the bridges to the processors and to ISA, are not for guests. */
static inline bool ppt_is_bridge(struct pci_dev *pdev)
{
	return pdev->hdr_type != PCI_HEADER_TYPE_NORMAL ||
	       pdev->class >> 16 == PCI_BASE_CLASS_BRIDGE;
}

/* With the device's lock held: reset, if there has been a guest. */
void ppt_reset_locked(struct os_pci *pci);

#endif
