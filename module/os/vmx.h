/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Intel back end's interface to its host beyond os/os.h: the VMX instructions, host
 * state that a VM exit loads or clobbers, and CR4.VMXE. "os_vmx.h" is found through the
 * include path and defines what is marked OS_VMX_INLINE; in a process those are ordinary
 * functions of the test that simulates the processor.
 */
#ifndef OS_VMX_H_CONTRACT
#define OS_VMX_H_CONTRACT

#include "os/os.h"

/*
 * Segment and table registers of this CPU and of the process on it. A VM exit loads
 * them from the VMCS, but not user space's selectors, which VM entry refuses as host
 * state, not LDTR, and with fixed table limits (SDM vol. 3, 27.5.2).
 */
struct os_host_table {
	uint16_t limit;
	uint64_t base;
} __packed; /* the operand of LGDT and LIDT */

struct os_host_segments {
	/* Of the CPU: the same for every process on it. */
	uint16_t cs, ss, tr;
	struct os_host_table gdt, idt;
	uint64_t gs_base, tr_base;

	/* Of the process. */
	uint16_t ds, es, fs, gs, ldtr;
	bool selectors; /* one of them is not 0 */
	uint64_t fs_base;
};

#include "os_vmx.h"

/* Read them. Preemption off. */
void os_host_segments_save(struct os_host_segments *segments);
/*
 * Reread the process's part, on the CPU where the rest was read. False: it is unchanged.
 * Preemption off.
 */
OS_VMX_INLINE bool os_host_segments_refresh(struct os_host_segments *segments);
/* Restore those that VM exits have changed. On the CPU they were read on, preemption off. */
OS_VMX_INLINE void os_host_segments_restore(const struct os_host_segments *segments);

/* Set or clear CR4.VMXE on this CPU, in the register and in the kernel's shadow. Interrupts off. */
void os_set_vmxe(bool on);

/* The host delivers events by FRED: INT 2 does not call its NMI handler. any */
bool os_uses_fred(void);

/*
 * The instructions (SDM vol. 3, chapter 30). 0, or -EIO where the processor reports a
 * failure. Virtualization is on; preemption off. A field that is read or written is
 * one of the current VMCS, and known to exist.
 */
OS_VMX_INLINE int os_vmxon(vm_paddr_t region);
OS_VMX_INLINE void os_vmxoff(void);
OS_VMX_INLINE int os_vmclear(const vm_paddr_t *vmcs); /* points to its address */
OS_VMX_INLINE int os_vmptrld(const vm_paddr_t *vmcs);
OS_VMX_INLINE uint64_t os_vmread(uint32_t field);
OS_VMX_INLINE void os_vmwrite(uint32_t field, uint64_t value);
OS_VMX_INLINE void os_invept(uint64_t type, uint64_t eptp);
OS_VMX_INLINE void os_invvpid(uint64_t type, uint16_t vpid);

/* CR2 of this CPU, which VM entry and exit do not switch. any */
OS_VMX_INLINE uint64_t os_read_cr2(void);
OS_VMX_INLINE void os_write_cr2(uint64_t value);

#endif
