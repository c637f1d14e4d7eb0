// SPDX-License-Identifier: BSD-2-Clause
/* os/vmx.h in the kernel: the host's segments, and CR4.VMXE. */
#include <asm/desc.h>
#include <asm/perf_event.h>
#include <asm/segment.h>
#include <asm/tlbflush.h>
#include "os/vmx.h"

#define MSRN_GS_BASE 0xc0000101u

/* Loading a TSS's base from its descriptor: SDM vol. 3, 7.2.3. */
static uint64_t tss_base(uint64_t gdt_base, uint16_t selector)
{
	const uint64_t *descriptor = (const uint64_t *)(gdt_base + (selector & ~7u));
	uint64_t low = descriptor[0];

	return (low >> 16 & 0xffffff) | (low >> 56 & 0xff) << 24 | descriptor[1] << 32;
}

void os_host_segments_save(struct os_host_segments *segments)
{
	asm volatile("mov %%cs, %0" : "=rm"(segments->cs));
	asm volatile("mov %%ss, %0" : "=rm"(segments->ss));
	asm volatile("str %0" : "=rm"(segments->tr));
	asm volatile("sgdt %0" : "=m"(segments->gdt));
	asm volatile("sidt %0" : "=m"(segments->idt));
	segments->gs_base = os_rdmsr(MSRN_GS_BASE);
	segments->tr_base = tss_base(segments->gdt.base, segments->tr);
	(void)os_host_segments_refresh(segments);
}

/*
 * A selector whose descriptor another thread has removed from the LDT loads as 0: the
 * kernel's helpers handle that fault. Loading FS changes its base, which is restored;
 * GS is loaded between two SWAPGS, which preserves the kernel's base.
 */
void os_linux_restore_selectors(const struct os_host_segments *segments)
{
	if (unlikely(segments->ldtr))
		asm volatile("lldt %0" : : "rm"(segments->ldtr));
	if (unlikely(segments->ds))
		loadsegment(ds, segments->ds);
	if (unlikely(segments->es))
		loadsegment(es, segments->es);
	if (unlikely(segments->fs)) {
		loadsegment(fs, segments->fs);
		x86_fsbase_write_cpu(segments->fs_base);
	}
	if (unlikely(segments->gs)) {
		unsigned long flags;

		local_irq_save(flags);
		load_gs_index(segments->gs);
		local_irq_restore(flags);
	}
}

/*
 * Through the kernel, which keeps a shadow copy of CR4. Perf must be told, because some
 * processors cannot use Processor Trace in VMX operation.
 */
void os_set_vmxe(bool on)
{
	intel_pt_handle_vmx(on);
	cr4_update_irqsoff(on ? X86_CR4_VMXE : 0, on ? 0 : X86_CR4_VMXE);
}

bool os_uses_fred(void)
{
#ifdef X86_FEATURE_FRED
	return boot_cpu_has(X86_FEATURE_FRED) && (os_read_cr4() & 1ull << 32);
#else
	return false;
#endif
}
