/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's interface to its host. Implemented twice: os/linux in the kernel,
 * os/user in a process for unit tests and fuzzers. "os_types.h" is found through the
 * include path; it defines the structs named here, the inline functions marked
 * [inline], and what C's library and the kernel both have:
 * fixed-size integers, errno names, memcpy and friends, snprintf, ARRAY_SIZE,
 * container_of, likely, unlikely, READ_ONCE, WRITE_ONCE, min, max, BIT_ULL.
 *
 * Contexts: "any" may be called with interrupts off; "sleep" may block.
 */
#ifndef OS_OS_H
#define OS_OS_H

#include "os_types.h"
#include <vmm/types.h>

#define OS_PAGE_SIZE  4096ul
#define OS_PAGE_SHIFT 12

/* --- memory ------------------------------------------------------------- */

/* Zeroed kernel memory, charged to the caller's cgroup. NULL: out of memory. sleep */
void *os_alloc(size_t size);
/* Frees what os_alloc() returned; NULL is ignored. sleep */
void os_free(void *ptr);

/* One zeroed, page-aligned page, charged like os_alloc(). NULL: out of memory. sleep */
void *os_page_alloc(void);
void os_page_free(void *page);
/* 2^order contiguous zeroed pages for permission maps and the like. sleep */
void *os_pages_alloc(unsigned int order);
void os_pages_free(void *pages, unsigned int order);

/*
 * An account is one VM's share of what its user may have: VMs, and guest RAM. It is
 * opened for the user of the calling process; closed with nothing charged to it. 0; -EAGAIN: the
 * user has as many VMs as are allowed; -ENOMEM. sleep
 */
struct os_account;
int os_account_open(struct os_account **account);
void os_account_close(struct os_account *account);
/*
 * May that many bytes more be allocated now, by the user's limit and by what the host has
 * left for guests? To refuse early; os_ram_alloc() asks again. any
 */
bool os_account_allows(struct os_account *account, uint64_t bytes);
/*
 * Charge other memory whose amount userspace chooses, before it is allocated: 0, or -ENOMEM
 * if the account allows no more. And the opposite. any
 */
int os_account_charge(struct os_account *account, uint64_t bytes);
void os_account_uncharge(struct os_account *account, uint64_t bytes);

/*
 * Guest RAM: 2^order zeroed contiguous pages (order 0 or 9) that a process may
 * map and pin. Charged to the account and to the cgroup; never invokes the OOM killer;
 * NULL: out of memory, or the account allows no more.
 * Freeing drops the VM's reference: a page pinned by a process or a device
 * lives until that is gone. sleep
 */
void *os_ram_alloc(struct os_account *account, unsigned int order);
void os_ram_free(struct os_account *account, void *ram, unsigned int order);
/* One more reference to the page at this address of guest RAM, for a mapping. any */
void os_ram_get(void *page);

/* Between a page's address in the host and its physical address. any [inline] */
static inline vm_paddr_t os_virt_to_phys(const void *ptr);
static inline void *os_phys_to_virt(vm_paddr_t hpa);

/* Copy between userspace and kernel memory: 0 or -EFAULT. sleep */
int os_copyin(const void *user, void *kernel, size_t len);
int os_copyout(const void *kernel, void *user, size_t len);
/*
 * The same for a constant number of words, up to 8: each is moved on its own, through
 * registers where the compiler can, which is cheaper than setting up a longer copy.
 * sleep [inline]
 */
static inline int os_copyin_words(const void *user, uint64_t *kernel, size_t words);
static inline int os_copyout_words(const uint64_t *kernel, void *user, size_t words);

/* --- locks -------------------------------------------------------------- */

/*
 * os_spin_init(lock), os_mutex_init(mutex), os_waitq_init(wq) [macros]: a host that checks the
 * order of locks takes all that one such place makes for one kind, of which a thread holds one at
 * a time. os_mutex_init_ordered(mutex, order): of a kind of which a thread holds several, those
 * of lower order first.
 */

/* A spinlock that also turns interrupts off: device state shared with timers. any [inline] */
static inline unsigned long os_spin_lock(struct os_spinlock *lock);
static inline void os_spin_unlock(struct os_spinlock *lock, unsigned long flags);

/* A sleeping lock. _killable gives up with -EINTR when the caller is being killed. */
void os_mutex_lock(struct os_mutex *mutex);
int os_mutex_lock_killable(struct os_mutex *mutex);
bool os_mutex_trylock(struct os_mutex *mutex); /* [may be inline] */
void os_mutex_unlock(struct os_mutex *mutex);  /* [may be inline] */

/* --- waiting ------------------------------------------------------------ */

/*
 * os_wait_event(wq, cond) [macro]: sleep until cond holds, evaluated after every
 * os_wake(). 0, or -EINTR when a signal is pending. os_wait_event_killable: only
 * a fatal signal ends it.
 */
void os_wake(struct os_waitq *wq); /* any */

/* The thread that runs a vCPU, so that other threads can interrupt it. [may be inline] */
void os_thread_attach(struct os_thread *thread); /* it is the calling thread */
void os_thread_detach(struct os_thread *thread);
/* Interrupt the physical CPU that the thread runs on, if any: a guest exits. any */
void os_thread_kick(struct os_thread *thread);

/* --- time --------------------------------------------------------------- */

uint64_t os_now_ns(void);	       /* monotonic nanoseconds. any */
int64_t os_wall_seconds(void);	       /* seconds since 1970, UTC. any */
static inline uint64_t os_rdtsc(void); /* any [inline] */
uint32_t os_tsc_khz(void);	       /* frequency of os_rdtsc. any */
bool os_tsc_stable(void);	       /* os_rdtsc has one rate, and agrees on all CPUs. any */

/*
 * A one-shot timer on os_now_ns()'s clock. The callback runs in interrupt
 * context, on any CPU; it may start the timer again (os_timer_start).
 */
typedef void (*os_timer_fn)(struct os_timer *timer);
void os_timer_init(struct os_timer *timer, os_timer_fn fn);
void os_timer_start(struct os_timer *timer, uint64_t expires_ns); /* any; moves it if armed */
/* Not armed and not running afterwards. Not from the callback, nor under a lock it acquires. */
void os_timer_cancel(struct os_timer *timer);
/* Like cancel but does not wait: false when the callback is running. any */
bool os_timer_try_cancel(struct os_timer *timer);

/* --- processors --------------------------------------------------------- */

unsigned int os_cpu_id(void);	    /* meaningful with preemption off. any [may be inline] */
unsigned int os_cpu_possible(void); /* one more than the highest CPU number */
unsigned int os_cpu_online(void);
/* Run fn(arg) on every online CPU with interrupts off; the first error, or 0. sleep */
int os_each_cpu(int (*fn)(void *arg), void *arg);

static inline void os_irq_disable(void); /* [inline] */
static inline void os_irq_enable(void);	 /* [inline] */

/*
 * Edges of the inner loop. Between begin and end: preemption is off, the FPU's
 * registers are the caller's to fill (the process's are saved), no sleeping. [may be inline]
 */
void os_run_begin(void);
void os_run_end(void);
/* The inner loop must end: signal, reschedule, soft interrupt pending. any [inline] */
static inline bool os_run_should_leave(void);
/*
 * Is any work pending for this thread? While it is false, so are the next two, and
 * os_yield() has no effect. [may be inline]
 */
bool os_thread_wanted(void);
bool os_signal_pending(void);
/*
 * The thread must return to user space for work of the kernel's own; userspace has
 * nothing to handle: VM_RUN returns with a BOGUS exit.
 */
bool os_return_pending(void);
void os_yield(void); /* reschedule if that is pending. sleep */

/* Privileged instructions. In a process they work on a simulated CPU. any [inline] */
static inline uint64_t os_rdmsr(uint32_t msr);
static inline int os_rdmsr_safe(uint32_t msr, uint64_t *value); /* -EIO on #GP */
static inline void os_wrmsr(uint32_t msr, uint64_t value);
static inline void os_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *regs);
static inline uint64_t os_xgetbv(uint32_t index);
static inline void os_xsetbv(uint32_t index, uint64_t value);
static inline uint64_t os_read_cr0(void);
static inline uint64_t os_read_cr3(void);
static inline uint64_t os_read_cr4(void);
static inline uint16_t os_read_ldtr(void); /* the selector */
static inline uint64_t os_read_dr(unsigned int index);
static inline void os_write_dr(unsigned int index, uint64_t value);
/* Call the host's handler for an NMI (VMX) or machine check that caused an exit. Interrupts off. */
void os_host_nmi(void);
void os_host_machine_check(void);

/* Mitigations that the host has enabled for this processor (its mitigations= setting). */
struct os_mitigations {
	bool ibpb;			    /* predictor barrier between vCPUs */
	bool ibpb_before_user;		    /* VMSCAPE: and before a program runs after one */
	bool spec_ctrl;			    /* the guest may own SPEC_CTRL */
	bool kernel_ibrs;		    /* SPEC_CTRL is to be written after every exit */
	bool clear_cpu_buffers;		    /* MDS: VERW before entry */
	bool clear_cpu_buffers_for_devices; /* MMIO stale data: of VMs with devices */
	bool reduce_bp_speculation;	    /* SRSO: BP_CFG.BP_SPEC_REDUCE while SVM is on */
	bool flush_l1d;			    /* L1TF: before entries behind other code's data ... */
	bool flush_l1d_always;		    /* ... before each ... */
	bool flush_l1d_command;		    /* ... by IA32_FLUSH_CMD, else by displacement */
	bool split_executable;		    /* iTLB multihit: no executable leaf above 4 KiB */
};
const struct os_mitigations *os_mitigations(void); /* constant. any [may be inline] */
/*
 * Has the host, by an interrupt or NMI, put data of its own into this CPU's L1 data cache since
 * os_l1d_flushed()? True where it is not known. Interrupts off [inline]
 */
static inline bool os_l1d_used(void);
static inline void os_l1d_flushed(void);
/* A predictor barrier on this CPU before it runs a program. Preemption off [may be inline] */
void os_ibpb_before_user(void);

/*
 * An index that a guest or userspace controls, after the check that it is below 'size': it is
 * so also when that check is mispredicted (Spectre v1). any [inline]
 */
static inline unsigned int os_index_nospec(unsigned int index, unsigned int size);
/* Nothing behind it is executed, also speculatively, before all in front of it is done (LFENCE). */
static inline void os_speculation_barrier(void);

/* --- PCI devices for guests, and what their DMA reaches --------------------- */

/* A PCI function that is bound to the driver ppt. */
struct os_pci;
/* An IOMMU domain: devices in it address guest-physical memory, and nothing else. */
struct os_iommu;

struct os_pci_address {
	uint16_t domain;
	uint8_t bus;
	uint8_t slot;
	uint8_t function;
};

#define OS_PCI_BARS 6
struct os_pci_bar {
	uint64_t base; /* physical address, or port */
	uint64_t size; /* 0: there is none */
	bool io;
	bool prefetchable;
};

/* Facts about a device, constant while it is reserved. */
struct os_pci_info {
	struct os_pci_address address;
	struct os_pci_bar bar[OS_PCI_BARS];
	int group;		     /* number of its IOMMU group; -1: no IOMMU */
	unsigned int msi_vectors;    /* 0: it has no MSI */
	unsigned int msix_vectors;   /* 0: it has no MSI-X */
	unsigned int msix_table_bar; /* where the MSI-X table is ... */
	unsigned int msix_pba_bar;   /* ... and the array of pending bits */
	uint32_t msix_table_offset;
	uint32_t msix_pba_offset;
	bool intx; /* it has an interrupt pin that can be masked */
};

/*
 * Reserve the function at an address: bind it to the driver ppt, which calls ppt_add().
 * 0, also when it is reserved already; -ENODEV there is none; -ENOTSUP it is a bridge;
 * -EBUSY it is bound to another driver, whose name is copied to 'holder'. sleep
 */
int os_pci_reserve(const struct os_pci_address *address, char *holder, size_t size);
/* May the calling process assign devices to guests? */
bool os_pci_allowed(void);

/*
 * Put a device into the state after power on: no DMA, no interrupts, registers as
 * they were when it was reserved. 0; -ENOTTY: it has no reset, only its registers were
 * restored; -EAGAIN: its lock stayed contended; -EIO. sleep
 */
int os_pci_reset(struct os_pci *pci);

/* One member of an IOMMU group. */
struct os_pci_peer {
	char name[32];	 /* the host's name for it: an address if it is a PCI device */
	char driver[32]; /* of the host; "" if none */
	bool bridge;
	bool ours; /* reserved */
};
/* Call look() for each member until one returns other than 0; that is returned. sleep */
int os_pci_each_peer(struct os_pci *pci, int (*look)(const struct os_pci_peer *peer, void *arg),
		     void *arg);
/* Is the device confined to interrupts that the host has set up (interrupt remapping)? */
bool os_pci_interrupts_isolated(struct os_pci *pci);
/* The administrator allows devices that are not. */
bool os_pci_unsafe_interrupts(void);

/*
 * Interrupts of a device: one kind at a time. _begin: the number of vectors allocated,
 * up to 'wanted', or a negative errno. A vector that is on calls fn(arg) in interrupt
 * context. A line (OS_PCI_INTX) is masked before that call, until os_pci_line_open()
 * finds it deasserted. _off and _end wait for calls in progress. sleep
 */
enum os_pci_interrupt { OS_PCI_NONE, OS_PCI_INTX, OS_PCI_MSI, OS_PCI_MSIX };
int os_pci_interrupts_begin(struct os_pci *pci, enum os_pci_interrupt kind, unsigned int wanted);
void os_pci_interrupts_end(struct os_pci *pci);
int os_pci_vector_on(struct os_pci *pci, unsigned int vector, void (*fn)(void *arg), void *arg);
void os_pci_vector_off(struct os_pci *pci, unsigned int vector);
/* Set its affinity to this physical CPU, if the interrupt chip can. any */
void os_pci_vector_move(struct os_pci *pci, unsigned int vector, int cpu);
/* Unmask the line: false when the device still asserts it, and it stays masked. any */
bool os_pci_line_open(struct os_pci *pci);

/* An empty domain for this kind of device. NULL: out of memory. sleep */
struct os_iommu *os_iommu_create(struct os_pci *pci);
void os_iommu_destroy(struct os_iommu *iommu);
/* [gpa, gpa+len) is [hpa, hpa+len): whole pages. 0 or a negative errno. sleep */
int os_iommu_map(struct os_iommu *iommu, uint64_t gpa, vm_paddr_t hpa, uint64_t len, bool writable);
/* All of the range is mapped. DMA does not reach it when this returns. sleep */
void os_iommu_unmap(struct os_iommu *iommu, uint64_t gpa, uint64_t len);
/*
 * Translate the DMA of the device (and of its group) by this domain. -EINVAL: another
 * kind of IOMMU, or the group is in another domain; -EBUSY: a host driver does DMA with
 * the group. Once detached, DMA is blocked. sleep
 */
int os_iommu_attach(struct os_iommu *iommu, struct os_pci *pci);
void os_iommu_detach(struct os_iommu *iommu, struct os_pci *pci);

/* --- the rest ------------------------------------------------------------ */

/* May the calling process see physical addresses of the host (CAP_SYS_ADMIN)? */
bool os_may_see_addresses(void);

/* Kernel log: printf format, no newline, prefixed "vmm: ". any */
void os_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void os_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* rate limited */
/*
 * Lines that a guest or a user can cause are limited for each VM and user apart, so that
 * none keeps the lines of another out of the log: 10 in 5 seconds. any
 */
void os_ratelimit_init(struct os_ratelimit *limit);
void os_warn_limited(struct os_ratelimit *limit, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * The tracepoint vmm_exit: a vCPU of the VM of that name has exited. A no-op while tracing
 * is off, as is the question whether it is on: for callers that must read VMCS fields for
 * the arguments. [inline]
 */
static inline bool os_traces_exits(void);
static inline void os_trace_exit(const char *name, int vcpuid, uint32_t reason, uint64_t rip,
				 uint64_t info1, uint64_t info2);

#endif
