/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual machine: who may touch which field, its references, and what any thread
 * may ask of it. Its creation and destruction are run/vm.h's.
 *
 * Tags on fields, here and in vm/vcpu.h:
 *   (c)  constant once the VM or vCPU exists
 *   (o)  owner: the thread that holds the vCPU (vcpu_lock), running it or not
 *   (a)  atomic, any thread
 *   (v)  vm->lock
 *   (f)  changed with vm->lock held and all vCPUs frozen; read by any owner
 *        of a vCPU, or under vm->lock
 */
#ifndef VM_VM_H
#define VM_VM_H

#include <vmm/topology.h>
#include <vmm/vmm.h>
#include <vmm/vmm_dev.h>
#include "os/os.h"
#include "vm/memory.h"
#include "vm/npt.h"

struct cpuid_table;
struct hpet;
struct ioapic;
struct pic;
struct pit;
struct pmtimer;
struct ppt_device;
struct rtc;
struct vcpu;

/*
 * What a VM tells the front end that created it (front/<host>). All are called with
 * vm->lock held and may sleep. vm->front is NULL for a VM without a front end.
 */
struct vmm_front {
	/*
	 * Create the node /dev/vmm.io/NAME.SEG of a device-memory segment: 0 or a negative
	 * errno. And remove it.
	 */
	int (*segment_publish)(struct vm *vm, struct memseg *seg);
	void (*segment_withdraw)(struct vm *vm, struct memseg *seg);
	/* Remove every process's mapping of the VM's memory; later touches are SIGBUS. */
	void (*unmap_userspace)(struct vm *vm);
};

struct vm {
	char name[VM_MAX_NAMELEN + 1];	 /* (c) */
	void *backend_state;		 /* (c) */
	const struct vmm_front *front;	 /* (c) */
	struct os_account *account;	 /* (c) what its creator's VMs may use */
	struct os_ratelimit log;	 /* of lines that the guest or userspace can cause */
	void *front_state;		 /* (c) the front end's: device node, creator, open files */
	uint32_t references;		 /* (a) open files and the name; vm_get, vm_put */
	void (*released)(struct vm *vm); /* (c) frees it after the last reference, run/vm.c */
	uint32_t max_vcpus;		 /* (c) bound on vCPU ids */

	struct vm *next; /* list of all VMs; run/host.c's lock */

	struct os_mutex lock;		 /* locked before any vCPU's mutex */
	bool destroyed;			 /* (f) every ioctl answers ENXIO */
	uint32_t suspend;		 /* (a) enum vm_suspend_how */
	struct vcpu **vcpu;		 /* (v) to add; an entry once published stays */
	struct vm_cpu_topology topology; /* (f) */

	/* Sets of vCPUs, one bit each, 64 to a word; (a). */
	uint64_t *active;      /* VM_ACTIVATE_CPU has been called */
	uint64_t *suspended;   /* left VM_RUN because the VM is suspended */
	uint64_t *debug;       /* held by VM_SUSPEND_CPU */
	uint64_t *dead_halted; /* halt_lock to write: asleep, only another vCPU can wake it */
	struct os_spinlock halt_lock; /* run/sleep.c; nothing is locked below it */

	struct memory memory; /* segments and the guest-physical map, vm/memory.h */
	struct npt npt;	      /* (a) entries appear by compare-and-swap; removal is (f) */

	struct ppt_device *ppt; /* (f) assigned devices; their interrupts are (v), ppt/device.h */

	struct cpuid_table *cpuid; /* (f) what CPUID answers, x86/cpu/cpuid.h */
	uint64_t tsc_offset;	   /* (c) of every vCPU at reset, so that all agree */

	struct ioapic *ioapic;	 /* (c) devices have locks of their own */
	struct pic *pic;	 /* (c) */
	struct pit *pit;	 /* (c) */
	struct hpet *hpet;	 /* (c) */
	struct pmtimer *pmtimer; /* (c) */
	struct rtc *rtc;	 /* (c) */
	bool timers_off;	 /* (a) one has left a host timer off, vm/timer.h */
};

/* One more reference; the VM is returned. any */
struct vm *vm_get(struct vm *vm);
/* The last reference destroys the VM, if nobody has, and frees it. sleep */
void vm_put(struct vm *vm);

/* The vCPU, or NULL if 'id' is out of range or it does not exist yet. any */
static inline struct vcpu *vm_vcpu(const struct vm *vm, int id)
{
	if ((uint32_t)id >= vm->max_vcpus)
		return NULL;
	id = (int)os_index_nospec((uint32_t)id, vm->max_vcpus);
	return __atomic_load_n(&vm->vcpu[id], __ATOMIC_ACQUIRE);
}

/* The APIC ID of a vCPU, by the VM's topology. any */
static inline uint32_t vm_apic_id(const struct vm *vm, uint32_t vcpuid)
{
	return vm_topology_apic_id(&vm->topology, vcpuid);
}
/* The vCPU with an APIC ID, or NULL if none has it or it does not exist yet. any */
static inline struct vcpu *vm_vcpu_of_apic_id(const struct vm *vm, uint32_t apic_id)
{
	uint32_t vcpuid = vm_topology_vcpu(&vm->topology, apic_id);

	return vcpuid < vm->max_vcpus ? vm_vcpu(vm, (int)vcpuid) : NULL;
}

/* The first vCPU that exists with a number from 'id' on, or NULL. any */
static inline struct vcpu *vm_next_vcpu(const struct vm *vm, uint32_t id)
{
	for (; id < vm->max_vcpus; id++) {
		struct vcpu *vcpu = __atomic_load_n(&vm->vcpu[id], __ATOMIC_ACQUIRE);

		if (vcpu)
			return vcpu;
	}
	return NULL;
}
/* Every vCPU that exists, by number; none of them is freed meanwhile. any */
#define for_each_vcpu(vm, vcpu)                      \
	for ((vcpu) = vm_next_vcpu((vm), 0); (vcpu); \
	     (vcpu) = vm_next_vcpu((vm), (uint32_t)(vcpu)->id + 1))

/* Have all vCPUs leave VM_RUN with a SUSPENDED exit. -EALREADY if they were to before. any */
int vm_suspend(struct vm *vm, enum vm_suspend_how how);
/* vcpu_request() for every vCPU. any */
void vm_request_all(struct vm *vm, uint32_t bits);

/* Lock all existing vCPUs, in order; vm->lock held. 0 or -EINTR with none locked. sleep */
int vm_freeze(struct vm *vm);
/* The same, whatever comes. sleep */
void vm_freeze_always(struct vm *vm);
void vm_thaw(struct vm *vm);

#endif
