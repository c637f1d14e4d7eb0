// SPDX-License-Identifier: BSD-2-Clause
/* Memory: segments, the guest-physical map, translations. */
#include "api/handlers.h"

#include "vm/vcpu.h"
#include "x86/paging/walk.h"

int ioctl_alloc_memseg(struct vm *vm, void *arg)
{
	struct vm_memseg *seg = arg;

	if (seg->name[VM_MAX_SUFFIXLEN])
		return -EINVAL;
	return memory_alloc_segment(vm, seg->segid, seg->len, seg->name);
}

/* A segment that does not exist has length 0, as bhyve has it. */
int ioctl_get_memseg(struct vm *vm, void *arg)
{
	struct vm_memseg *result = arg;
	struct memseg *seg = memory_segment(vm, result->segid);

	if (result->segid < 0 || result->segid >= MEMSEG_MAX)
		return -EINVAL;
	memset(result->name, 0, sizeof(result->name));
	result->len = seg ? memseg_len(seg) : 0;
	if (seg)
		strscpy(result->name, memseg_name(seg), sizeof(result->name));
	return 0;
}

int ioctl_mmap_memseg(struct vm *vm, void *arg)
{
	return memory_map(vm, arg);
}

int ioctl_munmap_memseg(struct vm *vm, void *arg)
{
	const struct vm_munmap *map = arg;

	return memory_unmap(vm, map->gpa, map->len);
}

int ioctl_mmap_getnext(struct vm *vm, void *arg)
{
	return memory_getnext(vm, arg);
}

int ioctl_get_gpa_pmap(struct vm *vm, void *arg)
{
	struct vm_gpa_pte *result = arg;
	uint64_t hidden = os_may_see_addresses() ? 0 : NPT_ADDRESS;

	result->ptenum = (int)npt_lookup(&vm->npt, result->gpa, result->pte);
	/* Where the host's memory is helps to attack it: rowhammer, cache side channels. */
	for (int i = 0; i < result->ptenum; i++)
		result->pte[i] &= ~hidden;
	return 0;
}

/* Walk the guest's own page tables; memory without backing gets it on the way. */
static int translate_gla(struct vcpu *vcpu, struct vm_gla2gpa *arg, unsigned int access,
			 uint32_t *error_code)
{
	int error;

	if (arg->prot & VM_PROT_WRITE)
		access |= WALK_WRITE;
	if (arg->prot & VM_PROT_EXEC)
		access |= WALK_EXECUTE;
	error = walk_translate(vcpu, &arg->paging, arg->gla, access, &arg->gpa, error_code);
	arg->fault = error == -EFAULT;
	return error == -EFAULT ? 0 : error;
}

static bool paging_valid(const struct vm_guest_paging *paging)
{
	return paging->cpl >= 0 && paging->cpl <= 3 && (int)paging->cpu_mode >= 0 &&
	       paging->cpu_mode <= CPU_MODE_64BIT && (int)paging->paging_mode >= 0 &&
	       paging->paging_mode <= PAGING_MODE_64_LA57;
}

int ioctl_gla2gpa_nofault(struct vcpu *vcpu, void *arg)
{
	struct vm_gla2gpa *request = arg;
	uint32_t error_code;

	if (!paging_valid(&request->paging))
		return -EINVAL;
	return translate_gla(vcpu, request, WALK_PROBE, &error_code);
}

int ioctl_gla2gpa(struct vcpu *vcpu, void *arg)
{
	struct vm_gla2gpa *request = arg;
	uint32_t error_code = 0;
	int error;

	if (!paging_valid(&request->paging))
		return -EINVAL;
	error = translate_gla(vcpu, request, 0, &error_code);
	if (!error && request->fault)
		vcpu_raise_page_fault(vcpu, request->gla, error_code);
	return error;
}
