// SPDX-License-Identifier: BSD-2-Clause
/* A VM's references, its vCPUs, and stopping it; vm.h. */
#include "vm/vm.h"

#include "vm/vcpu.h"

const struct vmm_backend *backend;

struct vm *vm_get(struct vm *vm)
{
	__atomic_fetch_add(&vm->references, 1, __ATOMIC_RELAXED);
	return vm;
}

void vm_put(struct vm *vm)
{
	if (__atomic_sub_fetch(&vm->references, 1, __ATOMIC_ACQ_REL) == 0)
		vm->released(vm);
}

int vm_suspend(struct vm *vm, enum vm_suspend_how how)
{
	uint32_t none = VM_SUSPEND_NONE;

	if (how <= VM_SUSPEND_NONE || how >= VM_SUSPEND_LAST)
		return -EINVAL;
	if (!__atomic_compare_exchange_n(&vm->suspend, &none, how, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		return -EALREADY;
	vm_request_all(vm, VCPU_REQ_SUSPEND);
	return 0;
}
