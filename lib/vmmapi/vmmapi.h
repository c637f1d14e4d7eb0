/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libvmmapi: one C function for each thing userspace can ask of a virtual
 * machine. Names and arguments are those of FreeBSD 14's library, and of
 * FreeBSD 15's where it has something new, so that programs written for it
 * compile; what is marked "ours" exists only here.
 *
 * Unless said otherwise a function that returns int returns 0 or, on failure,
 * -1 with errno set; one that returns a pointer returns NULL with errno set.
 * A VM that has been destroyed answers ENXIO to everything. Nothing here locks:
 * the module orders concurrent calls on one VM, and a struct vmctx or struct
 * vcpu may be shared between threads except where a function says otherwise.
 * "The VM's user" below is its creator or root; others cannot open it.
 */
#ifndef VMMAPI_H
#define VMMAPI_H

#include <sys/param.h>
#include <sys/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include <vmm/cpuset.h>
#include <vmm/vmm_dev.h>
#include <x86/segments.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Major and minor, two octal digits each: which of FreeBSD's interfaces this is. */
#define VMMAPI_VERSION 0200

struct iovec;
struct vmctx; /* an open VM */
struct vcpu;  /* one virtual CPU of an open VM */

/* How vm_setup_memory() makes guest memory visible to the process. */
enum vm_mmap_style {
	VM_MMAP_NONE,	/* not at all: vm_map_gpa() fails */
	VM_MMAP_ALL,	/* all of it, at once */
	VM_MMAP_SPARSE, /* each part at its first vm_map_gpa() */
};

/* Flags for vm_set_memflags(). */
#define VM_MEM_F_INCORE 0x01 /* guest memory goes into core dumps */
#define VM_MEM_F_WIRED	0x02 /* guest memory is allocated at once and stays */

/* Memory segments by number. Device memory may use any from VM_BOOTROM on. */
enum {
	VM_SYSMEM,
	VM_BOOTROM,
	VM_FRAMEBUFFER,
	VM_PCIROM,
};

/* Flags for vm_openf(). */
#define VMMAPI_OPEN_CREATE 0x01 /* create the VM if there is none */
#define VMMAPI_OPEN_REINIT 0x02 /* vm_reinit() a VM that was there already */
/* The VM is destroyed when the process closes it or dies ("monitor mode"). */
#define VMMAPI_OPEN_CREATE_DESTROY_ON_CLOSE 0x04

/*
 * --- The life of a VM ---
 */

/*
 * Creates a VM without memory. Needs access to /dev/vmmctl: root or group vmm.
 * EEXIST: the name is taken. EINVAL: the name is empty or holds '/' or a
 * character that a file name should not. ENAMETOOLONG: over VM_MAX_NAMELEN.
 * ENOENT: the module is not loaded. EACCES: no permission. EAGAIN: the user has as
 * many VMs as hw.vmm.user_vms_max allows.
 */
int vm_create(const char *name);

/* Opens an existing VM of which the caller is the user. ENOENT: there is none. */
struct vmctx *vm_open(const char *name);

/*
 * Opens a VM, after creating it if there is none and 'flags' has
 * VMMAPI_OPEN_CREATE. With VMMAPI_OPEN_CREATE_DESTROY_ON_CLOSE a VM created
 * here is destroyed by vm_close() or the end of the process, however it ends;
 * one that was there before is EEXIST then. With VMMAPI_OPEN_REINIT a VM that
 * was there before is reinitialized; EBUSY while it runs.
 */
struct vmctx *vm_openf(const char *name, int flags);

/* Unmaps guest memory and closes the VM, which lives on. Frees 'ctx'. */
void vm_close(struct vmctx *ctx);

/* Closes and destroys the VM: running vCPUs exit with SUSPENDED. Frees 'ctx'. */
void vm_destroy(struct vmctx *ctx);

/*
 * Ours: destroys a VM by name and reports failure. EPERM: the caller
 * is not its user. ENOENT: no such VM.
 */
int vm_destroy_name(const char *name);

/* The VM's name; valid until the VM is closed. */
const char *vm_get_name(struct vmctx *ctx);

/* The open file of /dev/vmm/NAME, for ioctl(); the library keeps it. */
int vm_get_device_fd(struct vmctx *ctx);

/*
 * Stops every vCPU: each VM_RUN returns SUSPENDED with 'how'. EALREADY when the
 * VM is stopping already: the first reason stands. EINVAL: no such reason.
 */
int vm_suspend(struct vmctx *ctx, enum vm_suspend_how how);

/*
 * Brings a stopped VM to its state after creation. Its memory stays, where it is
 * mapped and with its contents. EBUSY while the guest has not stopped.
 */
int vm_reinit(struct vmctx *ctx);

/*
 * Sets sockets, cores per socket and threads per core that CPUID shows.
 * 'maxcpus' 0 leaves the limit alone. EINVAL: more than the VM may have.
 */
int vm_set_topology(struct vmctx *ctx, uint16_t sockets, uint16_t cores, uint16_t threads,
		    uint16_t maxcpus);
int vm_get_topology(struct vmctx *ctx, uint16_t *sockets, uint16_t *cores, uint16_t *threads,
		    uint16_t *maxcpus);

/*
 * --- Memory ---
 */

/*
 * Reads a size such as "512" (MiB below one Mi, else bytes), "512M", "4g",
 * "0x1000" or "1T". EINVAL: not a number or an unknown suffix. ERANGE: too big.
 */
int vm_parse_memsize(const char *text, size_t *size);

/*
 * Gives the VM 'len' bytes (rounded up to pages) of system memory: from guest-physical 0
 * up to the low memory limit, the rest from 4 GiB. If the VM has system memory already
 * its size must be 'len' (else EINVAL), and it is only mapped into the process.
 * Call it once per ctx (EBUSY after that). ENOMEM: the host lacks it.
 */
int vm_setup_memory(struct vmctx *ctx, size_t len, enum vm_mmap_style style);

/*
 * Where the highest byte of low memory may lie: 3 GiB unless set before
 * vm_setup_memory(). A multiple of the page size.
 */
uint32_t vm_get_lowmem_limit(struct vmctx *ctx);
void vm_set_lowmem_limit(struct vmctx *ctx, uint32_t limit);

/* VM_MEM_F_ flags for the vm_setup_memory() and vm_mmap_memseg() to come. */
void vm_set_memflags(struct vmctx *ctx, int flags);
int vm_get_memflags(struct vmctx *ctx);

/* Bytes of system memory below and above 4 GiB, as vm_setup_memory() set them. */
size_t vm_get_lowmem_size(struct vmctx *ctx);
size_t vm_get_highmem_size(struct vmctx *ctx);

/* Where memory above 4 GiB begins. */
vm_paddr_t vm_get_highmem_base(struct vmctx *ctx);

/* Both sizes, and where in the process guest-physical 0 is (NULL: not mapped). */
int vm_get_guestmem_from_ctx(struct vmctx *ctx, char **guest_baseaddr, size_t *lowmem_size,
			     size_t *highmem_size);

/*
 * The process's address of [gpa, gpa + len), or NULL if not all of it is system
 * memory below or above 4 GiB, or it is not mapped (VM_MMAP_NONE). No errno.
 */
void *vm_map_gpa(struct vmctx *ctx, vm_paddr_t gpa, size_t len);

/* The inverse: (vm_paddr_t)-1 for an address that is no guest memory. */
vm_paddr_t vm_rev_map_gpa(struct vmctx *ctx, void *addr);

/*
 * Allocates device memory 'segid', which appears as /dev/vmm.io/VM.NAME, and
 * maps it into the process. MAP_FAILED on failure; EINVAL: the segment exists
 * with another size or name, or the name is no file name. munmap() is the
 * caller's.
 */
void *vm_create_devmem(struct vmctx *ctx, int segid, const char *name, size_t len);

/*
 * Maps part of a segment into guest-physical space with VM_PROT_ bits. Mapping
 * again what is mapped so already succeeds. EINVAL: not page aligned, beyond
 * the segment, or overlapping another mapping.
 */
int vm_mmap_memseg(struct vmctx *ctx, vm_paddr_t gpa, int segid, vm_ooffset_t segoff, size_t len,
		   int prot);

/* Removes one mapping, which must be named whole. EINVAL: there is none such. */
int vm_munmap_memseg(struct vmctx *ctx, vm_paddr_t gpa, size_t len);

/*
 * Finds the first mapping at or after *gpa and writes all it is. ENOENT: there
 * is none.
 */
int vm_mmap_getnext(struct vmctx *ctx, vm_paddr_t *gpa, int *segid, vm_ooffset_t *segoff,
		    size_t *len, int *prot, int *flags);

/*
 * The length of a segment (0: there is none) and its name (empty: system
 * memory). ENAMETOOLONG: 'namesiz' is too small. EINVAL: no such number.
 */
int vm_get_memseg(struct vmctx *ctx, int segid, size_t *lenp, char *name, size_t namesiz);

/*
 * The nested page table's entries for 'gpa', of the four lowest levels, the highest
 * first, into pte[4]; their number into *num.
 */
int vm_get_gpa_pmap(struct vmctx *ctx, uint64_t gpa, uint64_t *pte, int *num);

/*
 * --- Virtual CPUs ---
 */

/* A handle of one vCPU, for one thread at a time. EINVAL: a negative number. */
struct vcpu *vm_vcpu_open(struct vmctx *ctx, int vcpuid);
void vm_vcpu_close(struct vcpu *vcpu);
int vcpu_id(struct vcpu *vcpu);

/*
 * Runs the vCPU until it exits to userspace: vmrun->vm_exit says why.
 * EINTR: a signal came first. EBUSY: another thread is running it.
 */
int vm_run(struct vcpu *vcpu, struct vm_run *vmrun);

/*
 * Ours: vm_run() for VMM processes that finish device accesses by an answer. 'value'
 * answers the pending read if 'reply' is set. See struct vm_run_reply.
 */
int vm_run_reply(struct vcpu *vcpu, struct vm_exit *vm_exit, bool reply, uint64_t value);

/* Makes a vCPU exist for the guest; EBUSY if it is active already. */
int vm_activate_cpu(struct vcpu *vcpu);

/*
 * Holds one or all active vCPUs: VM_RUN returns DEBUG once, and then waits until they are
 * resumed. EINVAL: not active; to resume: not held. A held vCPU may be held again.
 */
int vm_suspend_cpu(struct vcpu *vcpu);
int vm_suspend_all_cpus(struct vmctx *ctx);
int vm_resume_cpu(struct vcpu *vcpu);
int vm_resume_all_cpus(struct vmctx *ctx);

/*
 * The vCPUs that are active, that have stopped with the VM, and that are held
 * by vm_suspend_cpu().
 */
int vm_active_cpus(struct vmctx *ctx, cpuset_t *cpus);
int vm_suspended_cpus(struct vmctx *ctx, cpuset_t *cpus);
int vm_debug_cpus(struct vmctx *ctx, cpuset_t *cpus);

/* The next VM_RUN starts the current instruction again instead of going on. */
int vm_restart_instruction(struct vcpu *vcpu);

/* Gives all registers their values after power-on (SDM vol. 3, table 9-1). */
int vcpu_reset(struct vcpu *vcpu);

/* The vCPU whose local APIC has this initial ID; -1 if none can, by the VM's topology. */
int vm_apicid2vcpu(struct vmctx *ctx, int apicid);

/*
 * Registers, VM_REG_GUEST_*. The vCPU must not run (EBUSY). EINVAL: no such
 * register, or a value the processor would not accept.
 */
int vm_set_register(struct vcpu *vcpu, int reg, uint64_t value);
int vm_get_register(struct vcpu *vcpu, int reg, uint64_t *value);

/* Several at once. What was set before a failing one stays set. */
int vm_set_register_set(struct vcpu *vcpu, unsigned int count, const int *regnums,
			uint64_t *regvals);
int vm_get_register_set(struct vcpu *vcpu, unsigned int count, const int *regnums,
			uint64_t *regvals);

/* The hidden part of a segment register, or GDTR and IDTR. See seg_desc. */
int vm_set_desc(struct vcpu *vcpu, int reg, uint64_t base, uint32_t limit, uint32_t access);
int vm_get_desc(struct vcpu *vcpu, int reg, uint64_t *base, uint32_t *limit, uint32_t *access);
int vm_get_seg_desc(struct vcpu *vcpu, int reg, struct seg_desc *seg_desc);

/*
 * FreeBSD's kernel entry: long mode on the page tables at 'cr3' with the three
 * descriptors of vm_setup_freebsd_gdt() at 'gdtbase'.
 */
int vm_setup_freebsd_registers(struct vcpu *vcpu, uint64_t rip, uint64_t cr3, uint64_t gdtbase,
			       uint64_t rsp);

/* The same for an i386 kernel: protected mode; the GDT at 'gdtbase' is flat. */
int vm_setup_freebsd_registers_i386(struct vcpu *vcpu, uint32_t eip, uint32_t gdtbase,
				    uint32_t esp);

/* Writes null, 64-bit code and data descriptors into gdt[0..2]. */
void vm_setup_freebsd_gdt(uint64_t *gdt);

/* A capability's number, or -1; its name, or NULL. */
int vm_capability_name2type(const char *name);
const char *vm_capability_type2name(int type);

/* ENOENT: this machine has no such capability. */
int vm_get_capability(struct vcpu *vcpu, enum vm_cap_type cap, int *value);
int vm_set_capability(struct vcpu *vcpu, enum vm_cap_type cap, int value);

/*
 * All counters of a vCPU, their number and the host's time since boot (either
 * may be NULL). The array belongs to the handle and is good until the next
 * vm_get_stats() or vm_vcpu_close() on it.
 */
uint64_t *vm_get_stats(struct vcpu *vcpu, struct timeval *time, int *entries);

/* What counter 'index' counts. The text lasts until the next call on 'ctx'. */
const char *vm_get_stat_desc(struct vmctx *ctx, int index);

/*
 * --- Guest-linear addresses ---
 */

/*
 * Translates 'gla' for an access with 'prot' (one VM_PROT_ bit) through the
 * guest's tables. *fault = 1: the guest may not, and an exception is pending
 * in it; *gpa is the answer otherwise. EFAULT: the tables lie outside memory.
 */
int vm_gla2gpa(struct vcpu *vcpu, struct vm_guest_paging *paging, uint64_t gla, int prot,
	       uint64_t *gpa, int *fault);

/* The same without injecting the exception. */
int vm_gla2gpa_nofault(struct vcpu *vcpu, struct vm_guest_paging *paging, uint64_t gla, int prot,
		       uint64_t *gpa, int *fault);

/*
 * Translates [gla, gla + len) into at most 'iovcnt' pieces; *fault as above.
 * EFAULT: a piece is not in system memory or there are too many.
 */
int vm_copy_setup(struct vcpu *vcpu, struct vm_guest_paging *paging, uint64_t gla, size_t len,
		  int prot, struct iovec *iov, int iovcnt, int *fault);

/* Copies 'len' bytes, no more than was set up, from or to the guest. */
void vm_copyin(struct iovec *guest_iov, void *host_dst, size_t len);
void vm_copyout(const void *host_src, struct iovec *guest_iov, size_t len);
void vm_copy_teardown(struct iovec *iov, int iovcnt);

/*
 * --- Interrupts and devices in the module ---
 */

/* Fixed interrupt 'vector' (16 to 255) to a vCPU's local APIC, edge triggered. */
int vm_lapic_irq(struct vcpu *vcpu, int vector);

/* Fires entry 'vector' (0 to 6) of the local vector table. */
int vm_lapic_local_irq(struct vcpu *vcpu, int vector);

/* A message-signalled interrupt, as a device would write it. */
int vm_lapic_msi(struct vmctx *ctx, uint64_t addr, uint64_t msg);

/* The same under FreeBSD 15's name; the sender matters only to other machines. */
int vm_raise_msi(struct vmctx *ctx, uint64_t addr, uint64_t msg, int bus, int slot, int func);

/* An I/O APIC pin's level up, down, or up and down. EINVAL: no such pin. */
int vm_ioapic_assert_irq(struct vmctx *ctx, int irq);
int vm_ioapic_deassert_irq(struct vmctx *ctx, int irq);
int vm_ioapic_pulse_irq(struct vmctx *ctx, int irq);
int vm_ioapic_pincount(struct vmctx *ctx, int *pincount);

/*
 * The same for an 8259 line and, unless it is -1, an I/O APIC pin at once.
 * EINVAL: no such line or pin.
 */
int vm_isa_assert_irq(struct vmctx *ctx, int atpic_irq, int ioapic_irq);
int vm_isa_deassert_irq(struct vmctx *ctx, int atpic_irq, int ioapic_irq);
int vm_isa_pulse_irq(struct vmctx *ctx, int atpic_irq, int ioapic_irq);
int vm_isa_set_irq_trigger(struct vmctx *ctx, int atpic_irq, enum vm_intr_trigger trigger);

int vm_inject_nmi(struct vcpu *vcpu);

/* An exception at the next entry; EBUSY if one is pending already. */
int vm_inject_exception(struct vcpu *vcpu, int vector, int error_code_valid, uint32_t error_code,
			int restart_instruction);

/*
 * Faults that a program's own emulator finds. How one gets into the guest is the program's to
 * say: it defines vm_inject_fault(), as FreeBSD's bhyve does, if it calls any of the others.
 */
void vm_inject_fault(struct vcpu *vcpu, int vector, int error_code_valid, int error_code);

static inline void vm_inject_ud(struct vcpu *vcpu)
{
	vm_inject_fault(vcpu, IDT_UD, 0, 0);
}

static inline void vm_inject_gp(struct vcpu *vcpu)
{
	vm_inject_fault(vcpu, IDT_GP, 1, 0);
}

static inline void vm_inject_ac(struct vcpu *vcpu, int error_code)
{
	vm_inject_fault(vcpu, IDT_AC, 1, error_code);
}

static inline void vm_inject_ss(struct vcpu *vcpu, int error_code)
{
	vm_inject_fault(vcpu, IDT_SS, 1, error_code);
}

/* CR2 first: it is what the handler reads. */
static inline void vm_inject_pf(struct vcpu *vcpu, int error_code, uint64_t cr2)
{
	if (vm_set_register(vcpu, VM_REG_GUEST_CR2, cr2) == 0)
		vm_inject_fault(vcpu, IDT_PF, 1, error_code);
}

/*
 * Events in delivery: *info1 was being delivered when the last exit occurred, *info2
 * has been queued since. Layout: VM_INTINFO_.
 */
int vm_get_intinfo(struct vcpu *vcpu, uint64_t *info1, uint64_t *info2);
int vm_set_intinfo(struct vcpu *vcpu, uint64_t info1);

int vm_get_x2apic_state(struct vcpu *vcpu, enum x2apic_state *state);
int vm_set_x2apic_state(struct vcpu *vcpu, enum x2apic_state state);

/*
 * Ours: memory type range registers, by their numbers as MSRs. Firmware sets them before it
 * starts a system. EINVAL: another MSR, or a value that the processor would not take.
 */
int vm_set_mtrr(struct vcpu *vcpu, uint32_t msr, uint64_t value);
int vm_get_mtrr(struct vcpu *vcpu, uint32_t msr, uint64_t *value);

/* The low half of the HPET's capabilities register, for its ACPI table. */
int vm_get_hpet_capabilities(struct vmctx *ctx, uint32_t *capabilities);

/*
 * One access of 1, 2, 4 or 8 bytes to the registers of a device in the module.
 * EINVAL: no such device at 'gpa', or another size.
 */
int vm_readwrite_kernemu_device(struct vcpu *vcpu, vm_paddr_t gpa, bool write, int size,
				uint64_t *value);

/*
 * The RTC: its bytes 0 to 127, of which those of the clock and the status registers
 * cannot be written (EINVAL); and its clock, in UTC.
 */
int vm_rtc_write(struct vmctx *ctx, int offset, uint8_t value);
int vm_rtc_read(struct vmctx *ctx, int offset, uint8_t *value);
int vm_rtc_settime(struct vmctx *ctx, time_t secs);
int vm_rtc_gettime(struct vmctx *ctx, time_t *secs);

/*
 * Passthrough. A device of the host is named by its bus, slot and function; one in a
 * PCI domain other than 0 by bus 256 * domain + bus. Assigning resets it and wires the
 * guest's memory: ENOENT it is not reserved; EBUSY another VM, or the host, has it or
 * part of its IOMMU group; EXDEV part of its group is not reserved; EOPNOTSUPP there
 * is no IOMMU; EACCES its interrupts are not isolated; EPERM not root. The kernel's
 * log has a sentence for each. The other calls: ENOENT the VM does not have it.
 */
int vm_assign_pptdev(struct vmctx *ctx, int bus, int slot, int func);
int vm_unassign_pptdev(struct vmctx *ctx, int bus, int slot, int func);

/*
 * Map whole pages of a memory BAR, from host-physical address 'hpa' on, into the guest.
 * EINVAL: not such pages, or the MSI-X table is in them; EEXIST: something is at 'gpa'.
 */
int vm_map_pptdev_mmio(struct vmctx *ctx, int bus, int slot, int func, vm_paddr_t gpa, size_t len,
		       vm_paddr_t hpa);
int vm_unmap_pptdev_mmio(struct vmctx *ctx, int bus, int slot, int func, vm_paddr_t gpa,
			 size_t len);

/*
 * Where the device's interrupts go, as the guest has programmed it: 'numvec' MSI
 * messages (0: none); one entry of the MSI-X table; an I/O APIC pin for its line (-1:
 * none). One of the three is on at a time: the last one set. How many it has at most.
 */
int vm_setup_pptdev_msi(struct vmctx *ctx, int bus, int slot, int func, uint64_t addr, uint64_t msg,
			int numvec);
int vm_setup_pptdev_msix(struct vmctx *ctx, int bus, int slot, int func, int idx, uint64_t addr,
			 uint64_t msg, uint32_t vector_control);
int vm_disable_pptdev_msix(struct vmctx *ctx, int bus, int slot, int func);
int vm_setup_pptdev_intx(struct vmctx *ctx, int bus, int slot, int func, int ioapic_irq);
int vm_get_pptdev_limits(struct vmctx *ctx, int bus, int slot, int func, int *msi_limit,
			 int *msix_limit);

/* The guest resets the device: interrupts are off, what is mapped stays. */
int vm_reset_pptdev(struct vmctx *ctx, int bus, int slot, int func);

#ifdef __cplusplus
}
#endif

#endif
