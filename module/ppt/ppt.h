/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Passthrough: which devices are reserved for guests, which guest has each, and
 * what of it is where. The host layer adds and removes devices; guests' programs
 * assign them by the ioctls at the end.
 *
 * Locks: what of a device is in use belongs to the VM that has it (vm->lock held,
 * all vCPUs frozen). Which VM that is, and the list of devices, has a lock of its
 * own below that one, under which nothing of the host is called.
 */
#ifndef PPT_PPT_H
#define PPT_PPT_H

#include <vmm/vmm_dev.h>
#include "os/os.h"

struct vm;
struct ppt_device;

/* Module's life. */
void ppt_init(void);

/* --- for the host layer ------------------------------------------------------------ */

/*
 * Reserve the devices that a parameter names: "BUS/SLOT/FUNCTION" or
 * "DOMAIN/BUS/SLOT/FUNCTION" in decimal, separated by spaces. What cannot be
 * reserved is named in the log, and the rest goes on. 'text' may be NULL. sleep
 */
void ppt_reserve(const char *parameter, const char *text);

/* Does some parameter so far name this device? For one that appears later. any */
bool ppt_wanted(const struct os_pci_address *address);

/* A device is reserved from now on. NULL: no memory. sleep */
struct ppt_device *ppt_add(struct os_pci *pci, const struct os_pci_info *info);
/* It goes; a guest that has it loses it first. sleep */
void ppt_remove(struct ppt_device *device);
/*
 * It is to go: 0, and no guest can get it any more, or -EBUSY. The right to come
 * back is ppt_stay(). sleep
 */
int ppt_may_go(struct ppt_device *device);
void ppt_stay(struct ppt_device *device);

/* The VM that has it, or an empty string. sleep */
void ppt_owner(struct ppt_device *device, char *name, size_t size);
/* Devices that are reserved, for the sysctl to read. */
extern unsigned int ppt_devices;

/* --- for the core ------------------------------------------------------------------ */

/* Take all devices from a VM that is being destroyed. VM frozen. sleep */
void ppt_release_all(struct vm *vm);
/* The machine starts again: its devices are as after power on. VM frozen. sleep */
void ppt_reset_all(struct vm *vm);

#endif
