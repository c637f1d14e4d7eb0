/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ioctls of /dev/vmmctl and /dev/vmm/NAME and their arguments. Names,
 * numbers and field order follow FreeBSD 14 (and 15 for /dev/vmmctl); numbers
 * from 192 up are ours. The encoding of size and direction is Linux's.
 *
 * Who may call each and which locks it takes: module/api/ioctl.c, one row per
 * command. All fail with ENXIO on a VM that has been destroyed, EINVAL on
 * arguments out of range and EFAULT on bad pointers.
 */
#ifndef VMM_VMM_DEV_H
#define VMM_VMM_DEV_H

#include <vmm/vmm.h>

/* Destroy the VM when the file that created it closes ("monitor mode"). */
#define VMMCTL_CREATE_DESTROY_ON_CLOSE 0x1
#define VMMCTL_FLAGS_MASK	       VMMCTL_CREATE_DESTROY_ON_CLOSE

struct vmmctl_vm_create {
	char name[VM_MAX_NAMELEN + 1];
	uint32_t flags;
	int reserved[15]; /* zero */
};

struct vmmctl_vm_destroy {
	char name[VM_MAX_NAMELEN + 1];
	int reserved[16]; /* zero */
};

#define VMMCTL_VM_CREATE  _IOWR('V', 0, struct vmmctl_vm_create)
#define VMMCTL_VM_DESTROY _IOWR('V', 1, struct vmmctl_vm_destroy)

/* Protections of a mapping: the values of PROT_READ, PROT_WRITE, PROT_EXEC. */
#define VM_PROT_READ  0x1
#define VM_PROT_WRITE 0x2
#define VM_PROT_EXEC  0x4
#define VM_PROT_ALL   0x7

struct vm_memmap {
	vm_paddr_t gpa;
	int segid;
	vm_ooffset_t segoff;
	uint64_t len;
	int prot;
	int flags;
};
#define VM_MEMMAP_F_WIRED 0x01
#define VM_MEMMAP_F_IOMMU 0x02

struct vm_munmap {
	vm_paddr_t gpa;
	uint64_t len;
};

/* An empty name asks for system memory, any other for /dev/vmm.io/VM.NAME. */
struct vm_memseg {
	int segid;
	uint64_t len;
	char name[VM_MAX_SUFFIXLEN + 1];
};
#define VM_MEMSEG_NAME(m) ((m)->name[0] != '\0' ? (m)->name : NULL)

struct vm_register {
	int cpuid;
	int regnum; /* enum vm_reg_name */
	uint64_t regval;
};

struct vm_seg_desc {
	int cpuid;
	int regnum;
	struct seg_desc desc;
};

struct vm_register_set {
	int cpuid;
	unsigned int count; /* at most VM_REG_LAST */
	const int *regnums;
	uint64_t *regvals;
};

/*
 * 'cpuset' receives the destinations of an IPI exit, one bit for each vCPU, and zeros up
 * to 'cpusetsize', at most VM_RUN_CPUSET_MAX bytes (EINVAL); may be NULL with size 0.
 *
 * VM_RUN leaves starting vCPUs to userspace, as bhyve does it: it runs whatever it is
 * called for. A start-up IPI to a vCPU that has had none since RESET or INIT is an IPI
 * exit of the sender with VM_CAP_IPI_EXIT, as an INIT is then, or else a SPINUP_AP exit.
 * With VM_RUN_REPLY an INIT resets the vCPU, which sleeps until it has had a start-up IPI;
 * userspace sees of that what VM_CAP_IPI_EXIT shows.
 *
 * VM_RUN and VM_RUN_REPLY fail with EBUSY while another thread runs the vCPU, and
 * with EINTR when a signal is pending; a BOGUS exit may occur at any time.
 */
struct vm_run {
	int cpuid;
	void *cpuset;
	uint64_t cpusetsize;
	struct vm_exit *vm_exit;
};
#define VM_RUN_CPUSET_MAX 4096

/*
 * Ours: run, with exits that are completed by an answer instead of by
 * register writes. A read (INOUT with in=1, or MMIO with write=0) is finished
 * by the next VM_RUN_REPLY with VM_RUN_F_REPLY set and 'reply' the value read;
 * a write needs no flag. Without the flag a pending access is dropped: the
 * instruction restarts. String I/O and instructions with several memory
 * operands arrive as single accesses, one after the other.
 */
struct vm_run_reply {
	int cpuid;
	uint32_t flags;
	uint64_t reply;
	struct vm_exit *vm_exit;
};
#define VM_RUN_F_REPLY 0x1

struct vm_exception {
	int cpuid;
	int vector;
	uint32_t error_code;
	int error_code_valid;
	int restart_instruction;
};

struct vm_lapic_msi {
	uint64_t msg;
	uint64_t addr;
};

struct vm_lapic_irq {
	int cpuid;
	int vector;
};

struct vm_ioapic_irq {
	int irq;
};

struct vm_isa_irq {
	int atpic_irq;
	int ioapic_irq; /* -1: none */
};

struct vm_isa_irq_trigger {
	int atpic_irq;
	enum vm_intr_trigger trigger;
};

struct vm_capability {
	int cpuid;
	enum vm_cap_type captype;
	int capval;
	int allcpus;
};

struct vm_nmi {
	int cpuid;
};

struct vm_timeval {
	int64_t tv_sec;
	int64_t tv_usec;
};

/* Counters come in pages of MAX_VM_STATS, from 'index' on (FreeBSD 14). */
#define MAX_VM_STATS 64
struct vm_stats {
	int cpuid;			/* in */
	int index;			/* in */
	int num_entries;		/* out */
	struct vm_timeval tv;		/* out: time since boot */
	uint64_t statbuf[MAX_VM_STATS]; /* out */
};

struct vm_stat_desc {
	int index;	/* in */
	char desc[128]; /* out */
};

struct vm_x2apic {
	int cpuid;
	enum x2apic_state state;
};

struct vm_gpa_pte {
	uint64_t gpa;	 /* in */
	uint64_t pte[5]; /* out, root first */
	int ptenum;	 /* out */
};

struct vm_hpet_cap {
	uint32_t capabilities;
};

struct vm_suspend {
	enum vm_suspend_how how;
};

struct vm_gla2gpa {
	int vcpuid; /* in, like the next three */
	int prot;
	uint64_t gla;
	struct vm_guest_paging paging;
	int fault;    /* out: 1 when the guest's tables do not allow it */
	uint64_t gpa; /* out */
};

struct vm_activate_cpu {
	int vcpuid; /* -1: all, for suspend and resume */
};

struct vm_cpuset {
	int which;
	int cpusetsize; /* bytes */
	void *cpus;
};
#define VM_ACTIVE_CPUS	  0
#define VM_SUSPENDED_CPUS 1
#define VM_DEBUG_CPUS	  2

struct vm_intinfo {
	int vcpuid;
	uint64_t info1; /* what was interrupted while being delivered */
	uint64_t info2; /* what userspace or the emulator has queued */
};

struct vm_rtc_time {
	int64_t secs;
};

struct vm_rtc_data {
	int offset;
	uint8_t value;
};

struct vm_cpu_topology {
	uint16_t sockets;
	uint16_t cores;
	uint16_t threads;
	uint16_t maxcpus;
};

/* access_width is the logarithm of the size in bytes: 0, 1, 2, 3. */
struct vm_readwrite_kernemu_device {
	int vcpuid;
	unsigned access_width : 3;
	unsigned _unused : 29;
	uint64_t gpa;
	uint64_t value;
};

/*
 * Passthrough. A device is named by its place in the host; one in a PCI domain
 * other than 0 by 'bus' = 256 * domain + bus.
 */
struct vm_pptdev {
	int bus;
	int slot;
	int func;
};

struct vm_pptdev_mmio {
	int bus;
	int slot;
	int func;
	vm_paddr_t gpa;
	vm_paddr_t hpa; /* whole pages of one of the device's BARs */
	size_t len;
};

struct vm_pptdev_msi {
	int vcpu; /* unused */
	int bus;
	int slot;
	int func;
	int numvec; /* 0: off */
	uint64_t msg;
	uint64_t addr;
};

struct vm_pptdev_msix {
	int vcpu; /* unused */
	int bus;
	int slot;
	int func;
	int idx;
	uint64_t msg;
	uint32_t vector_control; /* bit 0: masked */
	uint64_t addr;
};

/* Ours: the device's interrupt line drives this pin of the I/O APIC; -1: none. */
struct vm_pptdev_intx {
	int bus;
	int slot;
	int func;
	int ioapic_irq;
};

/* Ours. */
struct vm_pptdev_limits {
	int bus; /* in, like the next two */
	int slot;
	int func;
	int msi_limit; /* out: vectors it has */
	int msix_limit;
};

/* Ours: a memory type range register (MTRR), by its number as an MSR. */
struct vm_mtrr {
	int cpuid;
	uint32_t msr;
	uint64_t value;
};

enum {
	IOCNUM_ABIVERS = 0,
	IOCNUM_RUN = 1,
	IOCNUM_SET_CAPABILITY = 2,
	IOCNUM_GET_CAPABILITY = 3,
	IOCNUM_SUSPEND = 4,
	IOCNUM_REINIT = 5,
	IOCNUM_GET_GPA_PMAP = 12,
	IOCNUM_GLA2GPA = 13,
	IOCNUM_ALLOC_MEMSEG = 14,
	IOCNUM_GET_MEMSEG = 15,
	IOCNUM_MMAP_MEMSEG = 16,
	IOCNUM_MMAP_GETNEXT = 17,
	IOCNUM_GLA2GPA_NOFAULT = 18,
	IOCNUM_MUNMAP_MEMSEG = 19,
	IOCNUM_SET_REGISTER = 20,
	IOCNUM_GET_REGISTER = 21,
	IOCNUM_SET_SEGMENT_DESCRIPTOR = 22,
	IOCNUM_GET_SEGMENT_DESCRIPTOR = 23,
	IOCNUM_SET_REGISTER_SET = 24,
	IOCNUM_GET_REGISTER_SET = 25,
	IOCNUM_GET_KERNEMU_DEV = 26,
	IOCNUM_SET_KERNEMU_DEV = 27,
	IOCNUM_GET_INTINFO = 28,
	IOCNUM_SET_INTINFO = 29,
	IOCNUM_INJECT_EXCEPTION = 30,
	IOCNUM_LAPIC_IRQ = 31,
	IOCNUM_INJECT_NMI = 32,
	IOCNUM_IOAPIC_ASSERT_IRQ = 33,
	IOCNUM_IOAPIC_DEASSERT_IRQ = 34,
	IOCNUM_IOAPIC_PULSE_IRQ = 35,
	IOCNUM_LAPIC_MSI = 36,
	IOCNUM_LAPIC_LOCAL_IRQ = 37,
	IOCNUM_IOAPIC_PINCOUNT = 38,
	IOCNUM_RESTART_INSTRUCTION = 39,
	IOCNUM_BIND_PPTDEV = 40,
	IOCNUM_UNBIND_PPTDEV = 41,
	IOCNUM_MAP_PPTDEV_MMIO = 42,
	IOCNUM_PPTDEV_MSI = 43,
	IOCNUM_PPTDEV_MSIX = 44,
	IOCNUM_PPTDEV_DISABLE_MSIX = 45,
	IOCNUM_UNMAP_PPTDEV_MMIO = 46,
	IOCNUM_VM_STATS = 50,
	IOCNUM_VM_STAT_DESC = 51,
	IOCNUM_SET_X2APIC_STATE = 60,
	IOCNUM_GET_X2APIC_STATE = 61,
	IOCNUM_GET_HPET_CAPABILITIES = 62,
	IOCNUM_SET_TOPOLOGY = 63,
	IOCNUM_GET_TOPOLOGY = 64,
	IOCNUM_ISA_ASSERT_IRQ = 80,
	IOCNUM_ISA_DEASSERT_IRQ = 81,
	IOCNUM_ISA_PULSE_IRQ = 82,
	IOCNUM_ISA_SET_IRQ_TRIGGER = 83,
	IOCNUM_ACTIVATE_CPU = 90,
	IOCNUM_GET_CPUSET = 91,
	IOCNUM_SUSPEND_CPU = 92,
	IOCNUM_RESUME_CPU = 93,
	IOCNUM_RTC_READ = 100,
	IOCNUM_RTC_WRITE = 101,
	IOCNUM_RTC_SETTIME = 102,
	IOCNUM_RTC_GETTIME = 103,
	IOCNUM_RUN_REPLY = 192, /* from here on ours */
	IOCNUM_PPTDEV_INTX = 193,
	IOCNUM_PPTDEV_RESET = 194,
	IOCNUM_PPTDEV_LIMITS = 195,
	IOCNUM_SET_MTRR = 196,
	IOCNUM_GET_MTRR = 197,
};

#define VM_RUN			  _IOWR('v', IOCNUM_RUN, struct vm_run)
#define VM_RUN_REPLY		  _IOW('v', IOCNUM_RUN_REPLY, struct vm_run_reply)
#define VM_SUSPEND		  _IOW('v', IOCNUM_SUSPEND, struct vm_suspend)
#define VM_REINIT		  _IO('v', IOCNUM_REINIT)
#define VM_ALLOC_MEMSEG		  _IOW('v', IOCNUM_ALLOC_MEMSEG, struct vm_memseg)
#define VM_GET_MEMSEG		  _IOWR('v', IOCNUM_GET_MEMSEG, struct vm_memseg)
#define VM_MMAP_MEMSEG		  _IOW('v', IOCNUM_MMAP_MEMSEG, struct vm_memmap)
#define VM_MMAP_GETNEXT		  _IOWR('v', IOCNUM_MMAP_GETNEXT, struct vm_memmap)
#define VM_MUNMAP_MEMSEG	  _IOW('v', IOCNUM_MUNMAP_MEMSEG, struct vm_munmap)
#define VM_SET_REGISTER		  _IOW('v', IOCNUM_SET_REGISTER, struct vm_register)
#define VM_GET_REGISTER		  _IOWR('v', IOCNUM_GET_REGISTER, struct vm_register)
#define VM_SET_SEGMENT_DESCRIPTOR _IOW('v', IOCNUM_SET_SEGMENT_DESCRIPTOR, struct vm_seg_desc)
#define VM_GET_SEGMENT_DESCRIPTOR _IOWR('v', IOCNUM_GET_SEGMENT_DESCRIPTOR, struct vm_seg_desc)
#define VM_SET_REGISTER_SET	  _IOW('v', IOCNUM_SET_REGISTER_SET, struct vm_register_set)
#define VM_GET_REGISTER_SET	  _IOWR('v', IOCNUM_GET_REGISTER_SET, struct vm_register_set)
#define VM_SET_MTRR		  _IOW('v', IOCNUM_SET_MTRR, struct vm_mtrr)
#define VM_GET_MTRR		  _IOWR('v', IOCNUM_GET_MTRR, struct vm_mtrr)
#define VM_INJECT_EXCEPTION	  _IOW('v', IOCNUM_INJECT_EXCEPTION, struct vm_exception)
#define VM_LAPIC_IRQ		  _IOW('v', IOCNUM_LAPIC_IRQ, struct vm_lapic_irq)
#define VM_LAPIC_LOCAL_IRQ	  _IOW('v', IOCNUM_LAPIC_LOCAL_IRQ, struct vm_lapic_irq)
#define VM_LAPIC_MSI		  _IOW('v', IOCNUM_LAPIC_MSI, struct vm_lapic_msi)
#define VM_IOAPIC_ASSERT_IRQ	  _IOW('v', IOCNUM_IOAPIC_ASSERT_IRQ, struct vm_ioapic_irq)
#define VM_IOAPIC_DEASSERT_IRQ	  _IOW('v', IOCNUM_IOAPIC_DEASSERT_IRQ, struct vm_ioapic_irq)
#define VM_IOAPIC_PULSE_IRQ	  _IOW('v', IOCNUM_IOAPIC_PULSE_IRQ, struct vm_ioapic_irq)
#define VM_IOAPIC_PINCOUNT	  _IOR('v', IOCNUM_IOAPIC_PINCOUNT, int)
#define VM_ISA_ASSERT_IRQ	  _IOW('v', IOCNUM_ISA_ASSERT_IRQ, struct vm_isa_irq)
#define VM_ISA_DEASSERT_IRQ	  _IOW('v', IOCNUM_ISA_DEASSERT_IRQ, struct vm_isa_irq)
#define VM_ISA_PULSE_IRQ	  _IOW('v', IOCNUM_ISA_PULSE_IRQ, struct vm_isa_irq)
#define VM_ISA_SET_IRQ_TRIGGER	  _IOW('v', IOCNUM_ISA_SET_IRQ_TRIGGER, struct vm_isa_irq_trigger)
#define VM_SET_CAPABILITY	  _IOW('v', IOCNUM_SET_CAPABILITY, struct vm_capability)
#define VM_GET_CAPABILITY	  _IOWR('v', IOCNUM_GET_CAPABILITY, struct vm_capability)
#define VM_INJECT_NMI		  _IOW('v', IOCNUM_INJECT_NMI, struct vm_nmi)
#define VM_STATS		  _IOWR('v', IOCNUM_VM_STATS, struct vm_stats)
#define VM_STAT_DESC		  _IOWR('v', IOCNUM_VM_STAT_DESC, struct vm_stat_desc)
#define VM_SET_X2APIC_STATE	  _IOW('v', IOCNUM_SET_X2APIC_STATE, struct vm_x2apic)
#define VM_GET_X2APIC_STATE	  _IOWR('v', IOCNUM_GET_X2APIC_STATE, struct vm_x2apic)
#define VM_GET_HPET_CAPABILITIES  _IOR('v', IOCNUM_GET_HPET_CAPABILITIES, struct vm_hpet_cap)
#define VM_SET_TOPOLOGY		  _IOW('v', IOCNUM_SET_TOPOLOGY, struct vm_cpu_topology)
#define VM_GET_TOPOLOGY		  _IOR('v', IOCNUM_GET_TOPOLOGY, struct vm_cpu_topology)
#define VM_GET_GPA_PMAP		  _IOWR('v', IOCNUM_GET_GPA_PMAP, struct vm_gpa_pte)
#define VM_GLA2GPA		  _IOWR('v', IOCNUM_GLA2GPA, struct vm_gla2gpa)
#define VM_GLA2GPA_NOFAULT	  _IOWR('v', IOCNUM_GLA2GPA_NOFAULT, struct vm_gla2gpa)
#define VM_ACTIVATE_CPU		  _IOW('v', IOCNUM_ACTIVATE_CPU, struct vm_activate_cpu)
#define VM_GET_CPUS		  _IOW('v', IOCNUM_GET_CPUSET, struct vm_cpuset)
#define VM_SUSPEND_CPU		  _IOW('v', IOCNUM_SUSPEND_CPU, struct vm_activate_cpu)
#define VM_RESUME_CPU		  _IOW('v', IOCNUM_RESUME_CPU, struct vm_activate_cpu)
#define VM_SET_INTINFO		  _IOW('v', IOCNUM_SET_INTINFO, struct vm_intinfo)
#define VM_GET_INTINFO		  _IOWR('v', IOCNUM_GET_INTINFO, struct vm_intinfo)
#define VM_RTC_WRITE		  _IOW('v', IOCNUM_RTC_WRITE, struct vm_rtc_data)
#define VM_RTC_READ		  _IOWR('v', IOCNUM_RTC_READ, struct vm_rtc_data)
#define VM_RTC_SETTIME		  _IOW('v', IOCNUM_RTC_SETTIME, struct vm_rtc_time)
#define VM_RTC_GETTIME		  _IOR('v', IOCNUM_RTC_GETTIME, struct vm_rtc_time)
#define VM_BIND_PPTDEV		  _IOW('v', IOCNUM_BIND_PPTDEV, struct vm_pptdev)
#define VM_UNBIND_PPTDEV	  _IOW('v', IOCNUM_UNBIND_PPTDEV, struct vm_pptdev)
#define VM_MAP_PPTDEV_MMIO	  _IOW('v', IOCNUM_MAP_PPTDEV_MMIO, struct vm_pptdev_mmio)
#define VM_UNMAP_PPTDEV_MMIO	  _IOW('v', IOCNUM_UNMAP_PPTDEV_MMIO, struct vm_pptdev_mmio)
#define VM_PPTDEV_MSI		  _IOW('v', IOCNUM_PPTDEV_MSI, struct vm_pptdev_msi)
#define VM_PPTDEV_MSIX		  _IOW('v', IOCNUM_PPTDEV_MSIX, struct vm_pptdev_msix)
#define VM_PPTDEV_DISABLE_MSIX	  _IOW('v', IOCNUM_PPTDEV_DISABLE_MSIX, struct vm_pptdev)
#define VM_PPTDEV_INTX		  _IOW('v', IOCNUM_PPTDEV_INTX, struct vm_pptdev_intx)
#define VM_PPTDEV_RESET		  _IOW('v', IOCNUM_PPTDEV_RESET, struct vm_pptdev)
#define VM_PPTDEV_LIMITS	  _IOWR('v', IOCNUM_PPTDEV_LIMITS, struct vm_pptdev_limits)
#define VM_RESTART_INSTRUCTION	  _IOW('v', IOCNUM_RESTART_INSTRUCTION, int)

#define VM_SET_KERNEMU_DEV _IOW('v', IOCNUM_SET_KERNEMU_DEV, struct vm_readwrite_kernemu_device)
#define VM_GET_KERNEMU_DEV _IOWR('v', IOCNUM_GET_KERNEMU_DEV, struct vm_readwrite_kernemu_device)

/*
 * Files. The position in /dev/vmm/NAME is a guest-physical address; in /dev/vmm.io/NAME.SEG it
 * is a byte of the segment.
 *
 * mmap(), MAP_SHARED only (EINVAL): of /dev/vmm/NAME system memory that lies in one piece of the
 * map (EINVAL), of /dev/vmm.io/NAME.SEG a part of the segment (EINVAL). read() and write(), of
 * /dev/vmm/NAME only: memory of all kinds. Where there is none a read finds zeros, and a write is
 * EFAULT, as it is where the guest may not write. A write to memory that nobody has touched
 * allocates it (ENOMEM).
 */

#endif
