// SPDX-License-Identifier: BSD-2-Clause
/*
 * IOMMU domains and groups. The kernel's DMA ownership of an assigned device's group is
 * claimed as a whole: no driver of the host can start DMA with a member of it, and while
 * no domain is attached all its DMA is blocked.
 */
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include "os/linux/compat.h"
#include "os/linux/pci.h"

struct os_iommu {
	struct iommu_domain *domain; /* constant */
};

/* A group whose DMA ownership is claimed, for one or several of its devices. */
struct claimed_group {
	struct list_head list;	   /* lock */
	struct iommu_group *group; /* constant; with a reference */
	struct os_iommu *iommu;	   /* constant */
	unsigned int users;	   /* lock */
};

static DEFINE_MUTEX(lock);
static LIST_HEAD(claimed_groups); /* lock */

/* --- domains -------------------------------------------------------------- */

struct os_iommu *os_iommu_create(struct os_pci *pci)
{
	struct os_iommu *iommu = kzalloc(sizeof(*iommu), GFP_KERNEL_ACCOUNT);

	if (!iommu)
		return NULL;
	iommu->domain = compat_domain_alloc(&pci->pdev->dev);
	if (iommu->domain)
		return iommu;
	kfree(iommu);
	return NULL;
}

void os_iommu_destroy(struct os_iommu *iommu)
{
	iommu_domain_free(iommu->domain);
	kfree(iommu);
}

int os_iommu_map(struct os_iommu *iommu, uint64_t gpa, vm_paddr_t hpa, uint64_t len, bool writable)
{
	int prot = IOMMU_READ | IOMMU_CACHE | (writable ? IOMMU_WRITE : 0);

	return compat_iommu_map(iommu->domain, gpa, hpa, len, prot);
}

void os_iommu_unmap(struct os_iommu *iommu, uint64_t gpa, uint64_t len)
{
	if (len)
		iommu_unmap(iommu->domain, gpa, len);
}

/* --- groups --------------------------------------------------------------- */

static struct claimed_group *find_claimed(struct iommu_group *group)
{
	struct claimed_group *claimed;

	list_for_each_entry(claimed, &claimed_groups, list) {
		if (claimed->group == group)
			return claimed;
	}
	return NULL;
}

/* Consumes the reference to the group if it succeeds. */
static int iommu_group_claim(struct os_iommu *iommu, struct iommu_group *group)
{
	struct claimed_group *claimed = kzalloc(sizeof(*claimed), GFP_KERNEL);
	int error;

	if (!claimed)
		return -ENOMEM;
	error = iommu_group_claim_dma_owner(group, claimed);
	if (error)
		goto fail;
	error = iommu_attach_group(iommu->domain, group);
	if (error)
		goto fail_claimed;
	claimed->group = group;
	claimed->iommu = iommu;
	claimed->users = 1;
	list_add(&claimed->list, &claimed_groups);
	return 0;

fail_claimed:
	iommu_group_release_dma_owner(group);
fail:
	kfree(claimed);
	return error;
}

static void iommu_group_unclaim(struct claimed_group *claimed)
{
	iommu_detach_group(claimed->iommu->domain, claimed->group);
	iommu_group_release_dma_owner(claimed->group);
	iommu_group_put(claimed->group);
	list_del(&claimed->list);
	kfree(claimed);
}

int os_iommu_attach(struct os_iommu *iommu, struct os_pci *pci)
{
	struct iommu_group *group = iommu_group_get(&pci->pdev->dev);
	struct claimed_group *claimed;
	int error = -EINVAL;

	if (!group)
		return -ENODEV;
	mutex_lock(&lock);
	claimed = find_claimed(group);
	if (!claimed) {
		error = iommu_group_claim(iommu, group);
	} else if (claimed->iommu == iommu) {
		claimed->users++;
		error = 0;
	}
	if (error || claimed)
		iommu_group_put(group);
	mutex_unlock(&lock);
	return error;
}

void os_iommu_detach(struct os_iommu *iommu, struct os_pci *pci)
{
	struct iommu_group *group = iommu_group_get(&pci->pdev->dev);
	struct claimed_group *claimed;

	(void)iommu;
	mutex_lock(&lock);
	claimed = find_claimed(group);
	if (claimed && --claimed->users == 0)
		iommu_group_unclaim(claimed);
	mutex_unlock(&lock);
	iommu_group_put(group);
}

/* --- members of a group --------------------------------------------------- */

struct peer_visit {
	int (*look)(const struct os_pci_peer *peer, void *arg);
	void *arg;
};

static int visit_peer(struct device *dev, void *data)
{
	struct peer_visit *visit = data;
	struct device_driver *driver = READ_ONCE(dev->driver);
	struct os_pci_peer peer = {
		.bridge = dev_is_pci(dev) && os_linux_pci_is_bridge(to_pci_dev(dev)),
		.ours = os_linux_pci_driver && driver == &os_linux_pci_driver->driver,
	};

	strscpy(peer.name, dev_name(dev), sizeof(peer.name));
	strscpy(peer.driver, driver ? driver->name : "", sizeof(peer.driver));
	return visit->look(&peer, visit->arg);
}

int os_pci_each_peer(struct os_pci *pci, int (*look)(const struct os_pci_peer *peer, void *arg),
		     void *arg)
{
	struct iommu_group *group = iommu_group_get(&pci->pdev->dev);
	struct peer_visit visit = { .look = look, .arg = arg };
	int error = group ? iommu_group_for_each_dev(group, &visit, visit_peer) : -ENODEV;

	iommu_group_put(group);
	return error;
}

bool os_pci_interrupts_isolated(struct os_pci *pci)
{
	struct iommu_group *group = iommu_group_get(&pci->pdev->dev);
	bool isolated = group && compat_interrupts_isolated(&pci->pdev->dev, group);

	iommu_group_put(group);
	return isolated;
}
