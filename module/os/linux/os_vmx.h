/* SPDX-License-Identifier: BSD-2-Clause */
/* os/vmx.h in the kernel: the instructions. */
#ifndef OS_LINUX_OS_VMX_H
#define OS_LINUX_OS_VMX_H

#include <linux/types.h>
#include <asm/desc.h>
#include <asm/fsgsbase.h>

#define OS_VMX_INLINE static inline

/* A 64-bit process rarely has selectors other than 0: then only FS' base may change. */
static inline bool os_host_segments_refresh(struct os_host_segments *segments)
{
	uint32_t ds, es, fs, gs, ldtr, any;
	uint64_t fs_base = x86_fsbase_read_cpu();

	asm volatile("mov %%ds, %0" : "=r"(ds));
	asm volatile("mov %%es, %0" : "=r"(es));
	asm volatile("mov %%fs, %0" : "=r"(fs));
	asm volatile("mov %%gs, %0" : "=r"(gs));
	asm volatile("sldt %0" : "=r"(ldtr));
	any = ds | es | fs | gs | ldtr;
	if (likely(fs_base == segments->fs_base && !(any | segments->selectors)))
		return false;
	segments->fs_base = fs_base;
	segments->ds = (uint16_t)ds;
	segments->es = (uint16_t)es;
	segments->fs = (uint16_t)fs;
	segments->gs = (uint16_t)gs;
	segments->ldtr = (uint16_t)ldtr;
	segments->selectors = any;
	return true;
}

void os_linux_restore_selectors(const struct os_host_segments *segments);

static inline void os_host_segments_restore(const struct os_host_segments *segments)
{
	asm volatile("lgdt %0" : : "m"(segments->gdt));
	asm volatile("lidt %0" : : "m"(segments->idt));
	if (unlikely(segments->selectors))
		os_linux_restore_selectors(segments);
	/* A VM exit sets TR's limit to 67h, without an I/O bitmap (SDM vol. 3, 27.5.2). */
	if (unlikely(test_thread_flag(TIF_IO_BITMAP)))
		invalidate_tss_limit();
	else
		this_cpu_write(__tss_limit_invalid, true);
}

/* CF or ZF says that an instruction has failed (SDM vol. 3, 30.2). */
static inline int os_vmxon(vm_paddr_t region)
{
	bool failed;

	asm volatile("vmxon %1" : "=@ccbe"(failed) : "m"(region) : "memory");
	return failed ? -EIO : 0;
}

static inline void os_vmxoff(void)
{
	asm volatile("vmxoff" : : : "cc", "memory");
}

static inline int os_vmclear(const vm_paddr_t *vmcs)
{
	bool failed;

	asm volatile("vmclear %1" : "=@ccbe"(failed) : "m"(*vmcs) : "memory");
	return failed ? -EIO : 0;
}

static inline int os_vmptrld(const vm_paddr_t *vmcs)
{
	bool failed;

	asm volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(*vmcs) : "memory");
	return failed ? -EIO : 0;
}

static inline uint64_t os_vmread(uint32_t field)
{
	uint64_t value;

	asm volatile("vmread %1, %0" : "=r"(value) : "r"((uint64_t)field) : "cc");
	return value;
}

static inline void os_vmwrite(uint32_t field, uint64_t value)
{
	asm volatile("vmwrite %1, %0" : : "r"((uint64_t)field), "rm"(value) : "cc", "memory");
}

static inline void os_invept(uint64_t type, uint64_t eptp)
{
	struct {
		uint64_t eptp, reserved;
	} descriptor = { eptp, 0 };

	asm volatile("invept %0, %1" : : "m"(descriptor), "r"(type) : "cc", "memory");
}

static inline void os_invvpid(uint64_t type, uint16_t vpid)
{
	struct {
		uint64_t vpid, address;
	} descriptor = { vpid, 0 };

	asm volatile("invvpid %0, %1" : : "m"(descriptor), "r"(type) : "cc", "memory");
}

static inline uint64_t os_read_cr2(void)
{
	uint64_t value;

	asm volatile("mov %%cr2, %0" : "=r"(value));
	return value;
}

static inline void os_write_cr2(uint64_t value)
{
	asm volatile("mov %0, %%cr2" : : "r"(value) : "memory");
}

#endif
