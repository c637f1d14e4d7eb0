// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reserving devices: the parameters pptdevs, pptdevs2, pptdevs3 at load, and
 * devices that appear later at a place that those name. A device without a driver is
 * given ours as driver_override, so that no other is tried.
 */
#include <linux/capability.h>
#include <linux/device.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include "os/linux/compat.h"
#include "os/linux/ppt_linux.h"
#include "os/linux/vmm_linux.h"

/* Named as on FreeBSD, where a value of loader.conf has 128 characters at most. */
static char *pptdevs, *pptdevs2, *pptdevs3;
module_param(pptdevs, charp, 0444);
module_param(pptdevs2, charp, 0444);
module_param(pptdevs3, charp, 0444);
MODULE_PARM_DESC(pptdevs, "PCI devices for guests: bus/slot/function ..., separated by spaces");
MODULE_PARM_DESC(pptdevs2, "more of them");
MODULE_PARM_DESC(pptdevs3, "more of them");

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

/* Who has it: ours -EALREADY, another -EBUSY with its name, nobody 0. */
static int who_has(struct pci_dev *pdev, char *holder, size_t size)
{
	int error = 0;

	device_lock(&pdev->dev);
	if (pdev->dev.driver) {
		strscpy(holder, pdev->dev.driver->name, size);
		error = pdev->dev.driver == &ppt_driver.driver ? -EALREADY : -EBUSY;
	}
	device_unlock(&pdev->dev);
	return error;
}

static int reserve(struct pci_dev *pdev, char *holder, size_t size)
{
	int error;

	if (ppt_is_bridge(pdev))
		return -EOPNOTSUPP;
	error = who_has(pdev, holder, size);
	if (error)
		return error == -EALREADY ? 0 : error;
	error = compat_set_override(pdev, PPT_DRIVER);
	if (error)
		return error;
	error = device_driver_attach(&ppt_driver.driver, &pdev->dev);
	if (error)
		compat_set_override(pdev, "");
	return error;
}

int os_pci_reserve(const struct os_pci_address *address, char *holder, size_t size)
{
	struct pci_dev *pdev = pci_get_domain_bus_and_slot(
		address->domain, address->bus, PCI_DEVFN(address->slot, address->function));
	int error = pdev ? reserve(pdev, holder, size) : -ENODEV;

	pci_dev_put(pdev);
	return error;
}

/* A device appears: before any driver is tried. */
static int bus_event(struct notifier_block *block, unsigned long event, void *data)
{
	struct pci_dev *pdev = to_pci_dev(data);
	struct os_pci_address address = {
		.domain = pci_domain_nr(pdev->bus),
		.bus = pdev->bus->number,
		.slot = PCI_SLOT(pdev->devfn),
		.function = PCI_FUNC(pdev->devfn),
	};

	if (event == BUS_NOTIFY_ADD_DEVICE && !ppt_is_bridge(pdev) && ppt_wanted(&address))
		compat_set_override(pdev, PPT_DRIVER);
	return NOTIFY_DONE;
}

static struct notifier_block bus_block = { .notifier_call = bus_event };

int ppt_devices_init(void)
{
	int error = pci_register_driver(&ppt_driver);

	if (error)
		return error;
	ppt_reserve("pptdevs", pptdevs);
	ppt_reserve("pptdevs2", pptdevs2);
	ppt_reserve("pptdevs3", pptdevs3);
	error = bus_register_notifier(&pci_bus_type, &bus_block);
	if (error)
		pci_unregister_driver(&ppt_driver);
	return error;
}

/* Other drivers may have them again: who wants one probes it (sysfs' drivers_probe). */
static void end_overrides(void)
{
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev)
	{
		if (compat_has_override(pdev, &ppt_driver.driver))
			compat_set_override(pdev, "");
	}
}

void ppt_devices_exit(void)
{
	bus_unregister_notifier(&pci_bus_type, &bus_block);
	pci_unregister_driver(&ppt_driver);
	end_overrides();
}
