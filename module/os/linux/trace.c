// SPDX-License-Identifier: BSD-2-Clause
/* Slow path of os_trace_exit(): called only while the tracepoint is on. */
#include "os/os.h"

#define CREATE_TRACE_POINTS
#include "vmm_trace.h"

void os_linux_trace_exit(const char *name, int vcpuid, uint32_t reason, uint64_t rip,
			 uint64_t info1, uint64_t info2)
{
	trace_vmm_exit(name, vcpuid, reason, rip, info1, info2);
}
