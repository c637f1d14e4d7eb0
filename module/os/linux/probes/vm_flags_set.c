// SPDX-License-Identifier: BSD-2-Clause
/* vm_flags_set(): 6.3. Before, a driver changes vma->vm_flags itself. */
#include <linux/mm.h>

void vmm_probe(struct vm_area_struct *vma);
void vmm_probe(struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_DONTEXPAND);
}
