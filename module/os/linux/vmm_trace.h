/* SPDX-License-Identifier: BSD-2-Clause */
/* Tracepoints: /sys/kernel/tracing/events/vmm. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vmm

#if !defined(OS_LINUX_VMM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define OS_LINUX_VMM_TRACE_H

#include <linux/string.h>
#include <linux/tracepoint.h>
#include <linux/types.h>

/*
 * An exit: 'reason' is the processor's code (EXITCODE, or the VMX basic exit reason).
 * info1 and info2 are EXITINFO1 and EXITINFO2; under VMX the exit qualification, and the
 * guest-physical address of an EPT violation (of an exception: the interruption
 * information and the exit qualification). The name is copied by hand because
 * __assign_str() has changed its number of arguments.
 */
/* clang-format off */
TRACE_EVENT(vmm_exit,
	TP_PROTO(const char *name, int vcpu, u32 reason, u64 rip, u64 info1, u64 info2),
	TP_ARGS(name, vcpu, reason, rip, info1, info2),
	TP_STRUCT__entry(
		__field(u64, rip)
		__field(u64, info1)
		__field(u64, info2)
		__field(u32, reason)
		__field(int, vcpu)
		__dynamic_array(char, name, strlen(name) + 1)
	),
	TP_fast_assign(
		__entry->rip = rip;
		__entry->info1 = info1;
		__entry->info2 = info2;
		__entry->reason = reason;
		__entry->vcpu = vcpu;
		memcpy(__get_dynamic_array(name), name, strlen(name) + 1);
	),
	TP_printk("vm=%s vcpu=%d reason=%#x rip=%#llx info1=%#llx info2=%#llx",
		  (char *)__get_dynamic_array(name), __entry->vcpu, __entry->reason,
		  __entry->rip, __entry->info1, __entry->info2)
);
/* clang-format on */

#endif

/* Found through the include path, which contains this folder. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE vmm_trace
#include <trace/define_trace.h>
