/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a test or a fuzzer controls the simulated host of os/user. All of these
 * may be called from any thread that holds none of the hypervisor's locks.
 */
#ifndef OS_USER_OS_USER_H
#define OS_USER_OS_USER_H

#include "os/os.h"

struct ppt_device;

/*
 * Reset everything to its state at process start: clock at 1 s, 2 processors as after
 * a boot, no failures scripted. Aborts if a timer is still armed.
 */
void os_user_reset(void);

/* --- memory --- */

/* Make the n-th allocation from now fail, once (1 is the next one; 0: none). */
void os_user_fail_alloc(unsigned int n);
/* Make every allocation of 2 MiB of guest RAM fail, as if memory were fragmented. */
void os_user_fragment_memory(bool fragmented);
/* The most memory, in bytes, and VMs that all accounts allow together; no limit at first. */
void os_user_limits(uint64_t ram, unsigned int vms);
/* Allocations of all kinds since the process began, and those not yet freed. */
uint64_t os_user_alloc_count(void);
uint64_t os_user_alloc_outstanding(void);
/* Bytes not yet freed. */
uint64_t os_user_alloc_bytes(void);

/* References acquired by os_ram_get() and not dropped by os_user_ram_put(). */
uint64_t os_user_ram_references(void);
void os_user_ram_put(void *page);

/* --- time --- */

/* Let time pass. Timers that expire run in order, each at its own instant. */
void os_user_clock_advance(uint64_t ns);
/* When the first armed timer expires; UINT64_MAX if none is armed. */
uint64_t os_user_clock_next(void);
/* Timers armed now. */
unsigned int os_user_timers(void);
/*
 * When on, a thread that waits lets the clock jump to the next timer; if none is
 * armed the wait ends with -EINTR. For tests with a single thread. Default off.
 */
void os_user_idle_advances(bool on);
/* Set os_wall_seconds(); it advances from there with the clock. */
void os_user_set_wall(int64_t seconds);
/* Ticks of os_rdtsc() per millisecond; 2000000 at first. */
void os_user_set_tsc_khz(uint32_t khz);
/* Make os_rdtsc() jump, as suspend does. */
void os_user_jump_tsc(int64_t ticks);
/* Set os_tsc_stable(); true at first. */
void os_user_set_tsc_stable(bool stable);

/* --- threads --- */

/* The calling thread's n-th os_run_should_leave() from now, and later ones until
 * the inner loop is left, answer true. 0: never. */
void os_user_leave_after(unsigned int n);
/* A signal is pending for every thread: none, an ordinary one, a fatal one. */
enum os_user_signal { OS_USER_SIGNAL_NONE, OS_USER_SIGNAL_PENDING, OS_USER_SIGNAL_FATAL };
void os_user_set_signal(enum os_user_signal signal);
/* The next os_return_pending() answers true, once. */
void os_user_want_return(void);

/* --- processors --- */

#define OS_USER_MAX_CPUS 16
/* How many there are (1..OS_USER_MAX_CPUS), all online. */
void os_user_set_cpus(unsigned int count);
/* Migrate the calling thread to this one. */
void os_user_move_to_cpu(unsigned int cpu);
/* Registers of one, to look at or change. */
struct os_user_cpu *os_user_cpu(unsigned int cpu);
/* Set an MSR on every CPU, as the firmware might have. */
void os_user_set_msr(uint32_t msr, uint64_t value);
/* Answer this leaf and subleaf with regs (EAX, EBX, ECX, EDX) instead of the default. */
void os_user_set_cpuid(uint32_t leaf, uint32_t subleaf, const uint32_t regs[4]);
/* How often os_yield() was called in this process. */
unsigned int os_user_yields(void);

/* How often os_ibpb_before_user() was called. */
unsigned int os_user_barriers_before_user(void);

/* Set os_mitigations(). */
void os_user_set_mitigations(const struct os_mitigations *mitigations);
/* How many NMIs and machine checks the host's handlers were called for. */
unsigned int os_user_host_nmis(void);
unsigned int os_user_host_machine_checks(void);

/* --- PCI devices --- */

#define OS_USER_VECTORS 64
#define OS_USER_PEERS	4

/* A device of the simulated host; a test reads and changes it freely. */
struct os_pci {
	struct os_pci_info info;
	bool bridge;
	char holder[32];	   /* the host driver bound to it; "": none */
	struct ppt_device *device; /* reserved */
	struct os_pci_peer peer[OS_USER_PEERS];
	unsigned int peers;
	bool isolated;
	int reset_error;
	unsigned int resets;
	enum os_pci_interrupt kind;
	unsigned int vectors; /* at most this many are allocated, if not 0 */
	struct {
		void (*fn)(void *arg);
		void *arg;
		int cpu; /* its affinity; -1: not set */
	} vector[OS_USER_VECTORS];
	bool asks;   /* its line is asserted */
	bool masked; /* its line is masked */
	struct os_iommu *iommu;
	int attach_error;
	struct os_pci *next;
};

/* A new device of the host, freed by os_user_reset(). Isolated, without driver. */
struct os_pci *os_user_pci_add(const struct os_pci_info *info);
/* A vector, or the line (0), fires: false if it is off, or masked. */
bool os_user_pci_fire(struct os_pci *pci, unsigned int vector);
/* Set os_pci_allowed() and os_pci_unsafe_interrupts(); true and false at first. */
void os_user_pci_policy(bool allowed, bool unsafe_interrupts);
/*
 * The probe function of the host's driver for reserved devices, called by os_pci_reserve();
 * its result is stored in the device, NULL: out of memory. None after os_user_reset().
 */
void os_user_pci_driver(struct ppt_device *(*probe)(struct os_pci *pci,
						    const struct os_pci_info *info));
/* Where a device's DMA to 'gpa' goes; 0: nowhere. */
vm_paddr_t os_user_dma(const struct os_pci *pci, uint64_t gpa, bool write);
/* Make the n-th os_iommu_map() from now fail (0: none). */
void os_user_fail_iommu_map(unsigned int n);
/* Number of IOMMU domains. */
unsigned int os_user_iommus(void);

/* --- the rest --- */

/* The last line logged, without a newline; "" if none. */
const char *os_user_last_log(void);
/* Make os_may_see_addresses() answer false; off at first. */
void os_user_hide_addresses(bool hidden);
/* Trace exits from now on; off after the reset. */
void os_user_trace_exits(void);
/* Exits traced since the reset. */
uint64_t os_user_exits(void);

#endif
