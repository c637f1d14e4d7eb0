// SPDX-License-Identifier: BSD-2-Clause
/* iommu_group_has_isolated_msi(): 6.3. */
#include <linux/iommu.h>

bool vmm_probe(struct iommu_group *group);
bool vmm_probe(struct iommu_group *group)
{
	return iommu_group_has_isolated_msi(group);
}
