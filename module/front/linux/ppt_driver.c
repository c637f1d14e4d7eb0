// SPDX-License-Identifier: BSD-2-Clause
/*
 * The PCI driver "ppt": being bound to it is what makes a device reserved. Its table of
 * IDs is empty; devices are bound by the module's parameters and through sysfs
 * (driver_override, or new_id).
 *
 * Its sysfs files 'bind' and 'unbind' are our own, because a driver cannot refuse the
 * kernel's unbind: an assigned device stays bound.
 */
#include <linux/device.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include "os/linux/compat.h"
#include "os/linux/pci.h"
#include "front/linux/front.h"
#include "ppt/ppt.h"

/* --- facts about a device ------------------------------------------------- */

static void describe_bars(struct pci_dev *pdev, struct os_pci_info *info)
{
	for (int i = 0; i < OS_PCI_BARS; i++) {
		unsigned long flags = pci_resource_flags(pdev, i);

		if (!pci_resource_len(pdev, i) || !(flags & (IORESOURCE_MEM | IORESOURCE_IO)))
			continue;
		info->bar[i].base = pci_resource_start(pdev, i);
		info->bar[i].size = pci_resource_len(pdev, i);
		info->bar[i].io = flags & IORESOURCE_IO;
		info->bar[i].prefetchable = flags & IORESOURCE_PREFETCH;
	}
}

static void describe_msix(struct pci_dev *pdev, struct os_pci_info *info)
{
	int vectors = pci_msix_vec_count(pdev);
	u32 table, pba;

	if (vectors <= 0)
		return;
	pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_TABLE, &table);
	pci_read_config_dword(pdev, pdev->msix_cap + PCI_MSIX_PBA, &pba);
	if ((table & PCI_MSIX_TABLE_BIR) >= OS_PCI_BARS || (pba & PCI_MSIX_PBA_BIR) >= OS_PCI_BARS)
		return;
	info->msix_vectors = vectors;
	info->msix_table_bar = table & PCI_MSIX_TABLE_BIR;
	info->msix_table_offset = table & PCI_MSIX_TABLE_OFFSET;
	info->msix_pba_bar = pba & PCI_MSIX_PBA_BIR;
	info->msix_pba_offset = pba & PCI_MSIX_PBA_OFFSET;
}

static int group_of(struct pci_dev *pdev)
{
	struct iommu_group *group = iommu_group_get(&pdev->dev);
	int number = group ? iommu_group_id(group) : -1;

	iommu_group_put(group);
	return number;
}

static void describe_device(struct pci_dev *pdev, struct os_pci_info *info)
{
	*info = (struct os_pci_info){
		.address = {
			.domain = pci_domain_nr(pdev->bus),
			.bus = pdev->bus->number,
			.slot = PCI_SLOT(pdev->devfn),
			.function = PCI_FUNC(pdev->devfn),
		},
		.group = group_of(pdev),
		.msi_vectors = max(pci_msi_vec_count(pdev), 0),
		.intx = pdev->pin && !pdev->broken_intx_masking,
	};
	describe_bars(pdev, info);
	describe_msix(pdev, info);
}

/* --- probe and remove; the device's lock is held -------------------------- */

/* No DMA, no interrupts: the state that a reset returns to. */
static int quiesce_device(struct os_pci *pci)
{
	struct pci_dev *pdev = pci->pdev;
	int error = pci_enable_device(pdev);

	if (error)
		return error;
	pci_clear_master(pdev);
	if (pdev->pin)
		pci_intx(pdev, 0);
	pci_save_state(pdev);
	pci->saved = pci_store_saved_state(pdev);
	if (pci->saved)
		return 0;
	pci_disable_device(pdev);
	return -ENOMEM;
}

static int ppt_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct os_pci_info info;
	struct os_pci *pci;
	int error;

	if (os_linux_pci_is_bridge(pdev))
		return -EINVAL;
	pci = kzalloc(sizeof(*pci), GFP_KERNEL);
	if (!pci)
		return -ENOMEM;
	pci->pdev = pdev;
	error = quiesce_device(pci);
	if (error)
		goto fail;
	describe_device(pdev, &info);
	pci->device = ppt_add(pci, &info);
	if (!pci->device) {
		error = -ENOMEM;
		goto fail_enabled;
	}
	pci_set_drvdata(pdev, pci);
	return 0;

fail_enabled:
	kfree(pci->saved);
	pci_disable_device(pdev);
fail:
	kfree(pci);
	return error;
}

/* The next driver finds the device as after power on. */
static void ppt_remove_device(struct pci_dev *pdev)
{
	struct os_pci *pci = pci_get_drvdata(pdev);

	ppt_remove(pci->device);
	os_linux_pci_reset_locked(pci);
	pci_set_drvdata(pdev, NULL);
	kfree(pci->saved);
	pci_disable_device(pdev);
	kfree(pci);
}

/* --- files in sysfs ------------------------------------------------------- */

/* The device stays bound while the file is read. */
static ssize_t ppt_owner_show(struct device *dev, struct device_attribute *attribute, char *buffer)
{
	struct os_pci *pci = dev_get_drvdata(dev);
	char name[VM_MAX_NAMELEN + 1];

	ppt_owner(pci->device, name, sizeof(name));
	return sysfs_emit(buffer, "%s\n", name);
}
static DEVICE_ATTR_RO(ppt_owner);

static struct attribute *device_attrs[] = { &dev_attr_ppt_owner.attr, NULL };
ATTRIBUTE_GROUPS(device);

static struct device *find_device(const char *text)
{
	return bus_find_device_by_name(&pci_bus_type, NULL, text);
}

static ssize_t bind_store(struct device_driver *driver, const char *text, size_t size)
{
	struct device *dev = find_device(text);
	int error = dev ? device_driver_attach(driver, dev) : -ENODEV;

	put_device(dev);
	return error ? error : size;
}
static DRIVER_ATTR_WO(bind);

/* Under the device's lock, so that it is bound to us meanwhile. */
static int prepare_unbind(struct device *dev)
{
	int error = -ENODEV;

	device_lock(dev);
	if (dev->driver == &ppt_driver.driver)
		error = ppt_prepare_removal(((struct os_pci *)dev_get_drvdata(dev))->device);
	device_unlock(dev);
	return error;
}

static ssize_t unbind_store(struct device_driver *driver, const char *text, size_t size)
{
	struct device *dev = find_device(text);
	int error = dev ? prepare_unbind(dev) : -ENODEV;

	if (!error)
		device_release_driver(dev);
	put_device(dev);
	return error ? error : size;
}
static DRIVER_ATTR_WO(unbind);

static struct attribute *driver_attrs[] = { &driver_attr_bind.attr, &driver_attr_unbind.attr,
					    NULL };
ATTRIBUTE_GROUPS(driver);

struct pci_driver ppt_driver = {
	.name = PPT_DRIVER,
	.probe = ppt_probe,
	.remove = ppt_remove_device,
	.driver_managed_dma = true,
	.groups = driver_groups,
	.dev_groups = device_groups,
	.driver = { .suppress_bind_attrs = true },
};
