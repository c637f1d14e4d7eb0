// SPDX-License-Identifier: BSD-2-Clause
/*
 * The module parameters pptdevs, pptdevs2, pptdevs3: the devices they name are reserved
 * at load, or when they are hot-plugged later.
 */
#include <linux/device.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include "os/linux/compat.h"
#include "os/linux/pci.h"
#include "front/linux/front.h"
#include "ppt/ppt.h"

/* Named as on FreeBSD, where a value of loader.conf has 128 characters at most. */
static char *pptdevs, *pptdevs2, *pptdevs3;
module_param(pptdevs, charp, 0444);
module_param(pptdevs2, charp, 0444);
module_param(pptdevs3, charp, 0444);
MODULE_PARM_DESC(pptdevs, "PCI devices for guests: bus/slot/function ..., separated by spaces");
MODULE_PARM_DESC(pptdevs2, "more of them");
MODULE_PARM_DESC(pptdevs3, "more of them");

/* A device is hot-plugged; no driver has been tried yet. */
static int reserve_hotplugged(struct notifier_block *block, unsigned long event, void *data)
{
	struct pci_dev *pdev = to_pci_dev(data);
	struct os_pci_address address = {
		.domain = pci_domain_nr(pdev->bus),
		.bus = pdev->bus->number,
		.slot = PCI_SLOT(pdev->devfn),
		.function = PCI_FUNC(pdev->devfn),
	};

	if (event == BUS_NOTIFY_ADD_DEVICE && !os_linux_pci_is_bridge(pdev) && ppt_wanted(&address))
		compat_set_override(pdev, PPT_DRIVER);
	return NOTIFY_DONE;
}

static struct notifier_block bus_block = { .notifier_call = reserve_hotplugged };

static void ppt_driver_unregister(void)
{
	pci_unregister_driver(&ppt_driver);
	os_linux_pci_driver = NULL;
}

int ppt_devices_init(void)
{
	int error = pci_register_driver(&ppt_driver);

	if (error)
		return error;
	os_linux_pci_driver = &ppt_driver;
	ppt_reserve("pptdevs", pptdevs);
	ppt_reserve("pptdevs2", pptdevs2);
	ppt_reserve("pptdevs3", pptdevs3);
	error = bus_register_notifier(&pci_bus_type, &bus_block);
	if (error)
		ppt_driver_unregister();
	return error;
}

/* Other drivers may bind to them again, at a probe (sysfs' drivers_probe). */
static void clear_overrides(void)
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
	ppt_driver_unregister();
	clear_overrides();
}
