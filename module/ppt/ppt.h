/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Passthrough: which devices are reserved, which VM each is assigned to, and where its
 * registers and interrupts are in the guest. The host's driver adds and removes devices;
 * VMM processes assign them by the ioctls at the end.
 *
 * Locks: the state of an assigned device is under its VM's lock (vm->lock held, all
 * vCPUs frozen). The list of devices, and which VM each is assigned to, has a lock of
 * its own below that one, under which no function of os/os.h that sleeps is called.
 */
#ifndef PPT_PPT_H
#define PPT_PPT_H

#include <vmm/vmm_dev.h>
#include "os/os.h"

struct vm;
struct ppt_device;

/* At module load. */
void ppt_init(void);

/* --- for the host's driver --------------------------------------------------------- */

/*
 * Reserve the devices that a parameter names: "BUS/SLOT/FUNCTION" or
 * "DOMAIN/BUS/SLOT/FUNCTION" in decimal, separated by spaces. Entries that cannot be
 * reserved are named in the log and skipped. 'text' may be NULL. sleep
 */
void ppt_reserve(const char *parameter, const char *text);

/* Has ppt_reserve() been called with this device? For hotplug. any */
bool ppt_wanted(const struct os_pci_address *address);

/* Add a reserved device. NULL: out of memory. sleep */
struct ppt_device *ppt_add(struct os_pci *pci, const struct os_pci_info *info);
/* Remove it; it is first unassigned from the VM it is assigned to. sleep */
void ppt_remove(struct ppt_device *device);
/*
 * Before its removal: 0, and it can no longer be assigned to a VM; or -EBUSY, it is
 * assigned to one. sleep
 */
int ppt_prepare_removal(struct ppt_device *device);

/* The name of the VM it is assigned to, or an empty string. sleep */
void ppt_owner(struct ppt_device *device, char *name, size_t size);
/* Number of reserved devices, for the sysctl to read. */
extern unsigned int ppt_devices;

/* --- for run and api --------------------------------------------------------------- */

/* Unassign all devices of a VM that is being destroyed. VM frozen. sleep */
void ppt_release_all(struct vm *vm);
/* The machine is reset: so are its devices. VM frozen. sleep */
void ppt_reset_all(struct vm *vm);

#endif
