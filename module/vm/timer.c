// SPDX-License-Identifier: BSD-2-Clause
/* Whether a VM's devices may have host timers; vm/timer.h. */
#include "vm/timer.h"

uint64_t vm_timer_min_ns = 200000;

static bool vm_has_running_vcpu(const struct vm *vm)
{
	struct vcpu *vcpu;

	for_each_vcpu(vm, vcpu)
		if (__atomic_load_n(&vcpu->running, __ATOMIC_SEQ_CST))
			return true;
	return false;
}

bool vm_timers_wanted(struct vm *vm)
{
	if (vm_has_running_vcpu(vm))
		return true;
	__atomic_store_n(&vm->timers_off, true, __ATOMIC_SEQ_CST);
	/* One that has entered since may have looked for the note before it was there. */
	return vm_has_running_vcpu(vm);
}
