// SPDX-License-Identifier: BSD-2-Clause
/* iommu_map() takes flags of allocation: 6.3. */
#include <linux/iommu.h>

int vmm_probe(struct iommu_domain *domain);
int vmm_probe(struct iommu_domain *domain)
{
	return iommu_map(domain, 0, 0, 4096, IOMMU_READ, GFP_KERNEL);
}
