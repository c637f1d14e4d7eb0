// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reserving a device: driver_override is set to our driver, so that no other is tried.
 * And the policy: who may assign devices, and with which interrupts.
 */
#include <linux/capability.h>
#include <linux/device.h>
#include <linux/module.h>
#include <linux/pci.h>
#include "os/linux/compat.h"
#include "os/linux/pci.h"

struct pci_driver *os_linux_pci_driver;

static bool unsafe_interrupts_let_guests_attack_this_host;
module_param(unsafe_interrupts_let_guests_attack_this_host, bool, 0444);
MODULE_PARM_DESC(unsafe_interrupts_let_guests_attack_this_host,
		 "pass devices through although without interrupt remapping a guest that has one "
		 "can forge any interrupt of this host (default: refuse)");

bool os_pci_unsafe_interrupts(void)
{
	return unsafe_interrupts_let_guests_attack_this_host;
}

bool os_pci_allowed(void)
{
	return capable(CAP_SYS_ADMIN);
}

/* 0: it has no driver; -EALREADY: ours; -EBUSY: another, whose name is copied. */
static int pci_current_driver(struct pci_dev *pdev, char *holder, size_t size)
{
	int error = 0;

	device_lock(&pdev->dev);
	if (pdev->dev.driver) {
		strscpy(holder, pdev->dev.driver->name, size);
		error = pdev->dev.driver == &os_linux_pci_driver->driver ? -EALREADY : -EBUSY;
	}
	device_unlock(&pdev->dev);
	return error;
}

static int pci_reserve(struct pci_dev *pdev, char *holder, size_t size)
{
	int error;

	if (os_linux_pci_is_bridge(pdev))
		return -EOPNOTSUPP;
	error = pci_current_driver(pdev, holder, size);
	if (error)
		return error == -EALREADY ? 0 : error;
	error = compat_set_override(pdev, PPT_DRIVER);
	if (error)
		return error;
	error = device_driver_attach(&os_linux_pci_driver->driver, &pdev->dev);
	if (error)
		compat_set_override(pdev, "");
	return error;
}

int os_pci_reserve(const struct os_pci_address *address, char *holder, size_t size)
{
	struct pci_dev *pdev = pci_get_domain_bus_and_slot(
		address->domain, address->bus, PCI_DEVFN(address->slot, address->function));
	int error = pdev ? pci_reserve(pdev, holder, size) : -ENODEV;

	pci_dev_put(pdev);
	return error;
}
