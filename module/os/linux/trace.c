// SPDX-License-Identifier: BSD-2-Clause
/* The slow half of os_trace_exit(): reached only while the tracepoint is on. */
#include "core/vm.h"
#include "os/os.h"

#define CREATE_TRACE_POINTS
#include "vmm_trace.h"

void os_linux_trace_exit(struct vm *vm, int vcpuid, uint32_t reason, uint64_t rip, uint64_t info1,
			 uint64_t info2)
{
	trace_vmm_exit(vm->name, vcpuid, reason, rip, info1, info2);
}
