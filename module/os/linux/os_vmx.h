/* SPDX-License-Identifier: BSD-2-Clause */
/* os/vmx.h in the kernel: the instructions. */
#ifndef OS_LINUX_OS_VMX_H
#define OS_LINUX_OS_VMX_H

#include <linux/types.h>

#define OS_VMX_INLINE static inline

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

static inline int os_vmclear(vm_paddr_t vmcs)
{
	bool failed;

	asm volatile("vmclear %1" : "=@ccbe"(failed) : "m"(vmcs) : "memory");
	return failed ? -EIO : 0;
}

static inline int os_vmptrld(vm_paddr_t vmcs)
{
	bool failed;

	asm volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(vmcs) : "memory");
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
