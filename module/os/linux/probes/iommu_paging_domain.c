// SPDX-License-Identifier: BSD-2-Clause
/* iommu_paging_domain_alloc(): 6.11, replaces iommu_domain_alloc(). */
#include <linux/iommu.h>

struct iommu_domain *vmm_probe(struct device *dev);
struct iommu_domain *vmm_probe(struct device *dev)
{
	return iommu_paging_domain_alloc(dev);
}
