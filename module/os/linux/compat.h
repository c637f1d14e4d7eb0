/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Differences between kernels, as small named shims. Each depends on a probe of the
 * headers (probes/ *.c, compiled by the build), not on a version number: stable kernels
 * backport interfaces.
 */
#ifndef OS_LINUX_COMPAT_H
#define OS_LINUX_COMPAT_H

#include <linux/device.h>
#include <linux/hrtimer.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/sysctl.h>
#include "vmm_probed.h"

/* 6.3 */
#ifndef HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#endif

/* 6.13 */
#ifndef HAVE_HRTIMER_SETUP
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock_id, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock_id, mode);
	timer->function = function;
}
#endif

/* The argument of device_type.devnode: 6.2 made it const. */
#ifdef HAVE_DEVNODE_CONST
#define compat_devnode_device const struct device
#else
#define compat_devnode_device struct device
#endif

/*
 * A table of 'count' entries followed by an empty one, which kernels before 6.6 need as
 * a terminator and later ones refuse: there register_sysctl is a macro.
 */
static inline struct ctl_table_header *compat_register_sysctl(const char *path,
							      struct ctl_table *table, size_t count)
{
#ifdef register_sysctl
	return register_sysctl_sz(path, table, count);
#else
	return register_sysctl(path, table);
#endif
}

/* 6.11: a domain is allocated for a device, not for a bus. NULL: out of memory. */
static inline struct iommu_domain *compat_domain_alloc(struct device *dev)
{
#ifdef HAVE_IOMMU_PAGING_DOMAIN
	struct iommu_domain *domain = iommu_paging_domain_alloc(dev);

	return IS_ERR(domain) ? NULL : domain;
#else
	return iommu_domain_alloc(dev->bus);
#endif
}

/* 6.3: with GFP flags for its tables. */
static inline int compat_iommu_map(struct iommu_domain *domain, unsigned long iova,
				   phys_addr_t paddr, size_t size, int prot)
{
#ifdef HAVE_IOMMU_MAP_GFP
	return iommu_map(domain, iova, paddr, size, prot, GFP_KERNEL_ACCOUNT);
#else
	return iommu_map(domain, iova, paddr, size, prot);
#endif
}

/* 6.3: a property of the group; before, of the device's IOMMU. */
static inline bool compat_interrupts_isolated(struct device *dev, struct iommu_group *group)
{
#ifdef HAVE_GROUP_ISOLATED_MSI
	return iommu_group_has_isolated_msi(group);
#else
	return device_iommu_capable(dev, IOMMU_CAP_INTR_REMAP);
#endif
}

/*
 * Restrict a device to the driver of that name; "": any driver. 6.12's stable series
 * moved driver_override from each bus to the device itself.
 */
#ifdef HAVE_DEVICE_DRIVER_OVERRIDE
static inline int compat_set_override(struct pci_dev *pdev, const char *name)
{
	return device_set_driver_override(&pdev->dev, name);
}

static inline bool compat_has_override(struct pci_dev *pdev, const struct device_driver *driver)
{
	return device_match_driver_override(&pdev->dev, driver) > 0;
}
#else
static inline int compat_set_override(struct pci_dev *pdev, const char *name)
{
	return driver_set_override(&pdev->dev, &pdev->driver_override, name, strlen(name));
}

static inline bool compat_has_override(struct pci_dev *pdev, const struct device_driver *driver)
{
	bool has;

	device_lock(&pdev->dev);
	has = pdev->driver_override && strcmp(pdev->driver_override, driver->name) == 0;
	device_unlock(&pdev->dev);
	return has;
}
#endif

#endif
