/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual machine and its virtual CPUs: the two structures everything hangs
 * on, who may touch which field, and their life.
 *
 * Tags on fields:
 *   (c)  constant once the VM or vCPU exists
 *   (o)  owner: the thread that holds the vCPU (vcpu_lock), running it or not
 *   (a)  atomic, any thread
 *   (v)  vm->lock
 *   (f)  changed with vm->lock held and all vCPUs frozen; read by any owner
 *        of a vCPU, or under vm->lock
 */
#ifndef CORE_VM_H
#define CORE_VM_H

#include <vmm/vmm.h>
#include <vmm/vmm_dev.h>
#include "core/backend.h"
#include "core/memory.h"
#include "core/stats.h"
#include "os/os.h"
#include "x86/npt.h"

struct emulation;
struct cpuid_table;
struct guest_context;
struct hpet;
struct ioapic;
struct lapic;
struct pic;
struct pit;
struct pmtimer;
struct ppt_device;
struct rtc;

/* General registers in the processors' encoding order: vcpu->gpr[GPR_RCX]. */
enum gpr {
	GPR_RAX,
	GPR_RCX,
	GPR_RDX,
	GPR_RBX,
	GPR_RSP,
	GPR_RBP,
	GPR_RSI,
	GPR_RDI,
	GPR_R8,
	GPR_R9,
	GPR_R10,
	GPR_R11,
	GPR_R12,
	GPR_R13,
	GPR_R14,
	GPR_R15,
	GPR_COUNT
};

/*
 * What a vCPU has been asked to do. Any thread sets a bit with vcpu_request();
 * the owner looks at the word once per entry, and acts on and clears the bits.
 * The bits marked (level) stay set for as long as their cause holds.
 */
#define VCPU_REQ_EVENT	   0x01u  /* look for an event to inject */
#define VCPU_REQ_EXCEPTION 0x100u /* vcpu->exception is one, and nothing else has changed */
#define VCPU_REQ_TIMER	   0x02u  /* the local APIC's timer has expired */
#define VCPU_REQ_INIT	   0x04u  /* INIT has arrived */
#define VCPU_REQ_SIPI	   0x08u  /* a start-up IPI has arrived */
#define VCPU_REQ_FLUSH	   0x10u  /* forget cached nested translations */
#define VCPU_REQ_YIELD	   0x20u  /* (level) another thread waits in vcpu_lock() */
#define VCPU_REQ_SUSPEND   0x40u  /* (level) the VM is suspended: vm->suspend says how */
#define VCPU_REQ_DEBUG	   0x80u  /* (level) VM_SUSPEND_CPU holds this vCPU */

/* Where the owner is, for the sender of a request. */
enum vcpu_mode {
	VCPU_OUTSIDE,  /* will look at 'requests' before it enters the guest */
	VCPU_IN_GUEST, /* needs a kick to notice */
	VCPU_SLEEPING, /* halted: needs a wake-up */
};

/* Machine check banks: they never report an error. */
#define VCPU_MC_BANKS 4

/* One access that a program has to finish (VM_RUN_REPLY). */
struct vcpu_access {
	uint64_t address; /* port or guest-physical address */
	uint64_t data;	  /* written value, or the program's reply */
	uint8_t size;	  /* 1, 2, 4, 8 bytes */
	uint8_t reg;	  /* of vcpu->gpr[], whose low bytes take what is read */
	bool port;	  /* I/O port, else memory */
	bool write;
	bool replied; /* the program has answered a read, or taken a write */
};

struct vcpu {
	/* Registers, complete and current whenever the guest is not running. */
	uint64_t gpr[GPR_COUNT]; /* (o) */
	uint64_t rip;		 /* (o) */
	uint64_t rflags;	 /* (o) */
	uint64_t cr2;		 /* (o) */
	uint64_t next_rip;	 /* (o) after an exit: RIP past the instruction, 0 unknown */
	bool intr_shadow;	 /* (o) STI or MOV SS blocks interrupts for one instruction */
	bool halted;		 /* (o) waits for an event in HLT */
	bool wait_sipi;		 /* (o) waits for a start-up IPI */
	bool debug_reported;	 /* (o) the program knows of VM_SUSPEND_CPU */
	bool spec_ctrl_differs; /* (o) while loaded: the guest's is not the host's; x86/context.h */

	uint32_t requests; /* (a) VCPU_REQ_* */
	uint32_t mode;	   /* (a) enum vcpu_mode; written by the owner */

	struct vm *vm;		       /* (c) */
	int id;			       /* (c) 0 is the boot processor */
	void *backend_state;	       /* (c) */
	struct lapic *lapic;	       /* (c) */
	struct guest_context *context; /* (c) FPU and hand-switched state, x86/context.h */
	uint64_t *stats;	       /* (c) array of counters, written by the owner */

	/* Events on their way in; core/event.c. */
	uint64_t exitintinfo; /* (o) delivery that an exit interrupted; 0 none */
	uint64_t exception;   /* (o) raised by a handler or a program; 0 none */
	uint32_t nmi_pending; /* (a) 0 or 1 */
	uint8_t sipi_vector;  /* (a) of the last start-up IPI */

	/* Outcome of the inner loop. */
	enum exit_action (*deferred)(struct vcpu *vcpu); /* (o) for EXIT_OUTER; sleep */
	struct vm_exit exit;				 /* (o) for EXIT_PROGRAM */
	enum exit_action not_located;			 /* (o) where x86_locate() has said false */
	uint64_t fault_gpa;    /* (o) for the deferred half of a nested page fault */
	uint32_t fault_access; /* (o) VM_PROT_* wanted there */
	int error;	       /* (o) negative errno that VM_RUN fails with, else 0 */
	uint64_t resume_rip;   /* (o) RIP the next VM_RUN starts at, once exit.exitcode is out */

	/* An access to a device of the program. */
	bool reply_mode;	     /* (o) VM_RUN_REPLY, not VM_RUN, is what runs us */
	bool access_pending;	     /* (o) 'access' is out with the program */
	bool emulation_pending;	     /* (o) and 'emulation' goes on when it has been answered */
	struct vcpu_access access;   /* (o) */
	struct emulation *emulation; /* (c) instruction being emulated, x86/emulate.h */

	uint32_t capabilities;		/* (o) BIT of enum vm_cap_type */
	int last_cpu;			/* (o) physical CPU it ran on last, -1 none */
	uint64_t tsc_offset;		/* (o) guest TSC minus host TSC */
	uint64_t tsc_adjust;		/* (o) IA32_TSC_ADJUST */
	uint64_t pat;			/* (o) IA32_PAT where the back end does not hold it */
	uint64_t mtrr_def_type;		/* (o) */
	uint64_t mtrr_fixed[11];	/* (o) */
	uint64_t mtrr_variable[16];	/* (o) base, mask pairs */
	uint64_t mc_ctl[VCPU_MC_BANKS]; /* (o) enables of the machine check banks */
	uint64_t misc_enable;		/* (o) */
	uint64_t msr_read;		/* (o) by RDMSR, on its way to EDX:EAX */

	struct npt_cache npt_cache; /* (o) spare pages for the nested page table */

	/* Ownership; core/vcpu.c. */
	struct os_mutex mutex;	 /* held by the owner */
	uint32_t waiters;	 /* (a) threads in vcpu_lock() */
	struct os_waitq waitq;	 /* owner asleep in HLT, or letting waiters pass */
	struct os_thread thread; /* the owner while it runs the guest */
	bool running;		 /* (o) a thread is in VM_RUN, though it may let others pass */
};

struct vm {
	char name[VM_MAX_NAMELEN + 1]; /* (c) */
	void *backend_state;	       /* (c) */
	void *host_state;	       /* (c) os/<host>'s: device node, owner, open files */
	uint32_t references;	       /* (a) open files and the name; vm_get, vm_put */
	uint32_t max_vcpus;	       /* (c) bound on vCPU ids */

	struct vm *next; /* list of all VMs; core/host.c's lock */

	struct os_mutex lock;		 /* taken before any vCPU's mutex */
	bool destroyed;			 /* (f) every ioctl answers ENXIO */
	uint32_t suspend;		 /* (a) enum vm_suspend_how */
	struct vcpu **vcpu;		 /* (v) to add; an entry once published stays */
	struct vm_cpu_topology topology; /* (f) */

	/* Sets of vCPUs, one bit each, 64 to a word; (a). */
	uint64_t *active;      /* VM_ACTIVATE_CPU has been called */
	uint64_t *suspended;   /* left VM_RUN because the VM is suspended */
	uint64_t *debug;       /* held by VM_SUSPEND_CPU */
	uint64_t *dead_halted; /* halted with interrupts off, or waiting for SIPI */

	struct memory memory; /* segments and the guest-physical map, core/memory.h */
	struct npt npt;	      /* (a) entries appear by compare-and-swap; removal is (f) */

	struct ppt_device *ppt; /* (f) devices it has; their interrupts are (v), ppt/device.h */

	struct cpuid_table *cpuid; /* (f) what CPUID answers, x86/cpuid.h */
	uint64_t tsc_offset;	   /* (c) of every vCPU at reset, so that all agree */

	struct ioapic *ioapic;	 /* (c) devices have locks of their own */
	struct pic *pic;	 /* (c) */
	struct pit *pit;	 /* (c) */
	struct hpet *hpet;	 /* (c) */
	struct pmtimer *pmtimer; /* (c) */
	struct rtc *rtc;	 /* (c) */
};

/* --- module ------------------------------------------------------------- */

/*
 * Find the back end for this processor among 'candidates' (NULL-terminated).
 * 0, or -ENODEV or -EBUSY after one line in the log that names the reason.
 */
int vmm_init(const struct vmm_backend *const *candidates);
void vmm_fini(void);
/* What the back end found, as in the log. After vmm_init. any */
const char *vmm_facts(void);
/* Hotplug: a CPU has come up or is going down; on that CPU, interrupts off. */
int vmm_cpu_online(void);
void vmm_cpu_offline(void);
/*
 * Reboot, kexec, suspend to RAM: no vCPU enters a guest any more (VM_RUN waits
 * or fails with ENXIO) and virtualization is off everywhere. vmm_resume undoes it. sleep
 */
void vmm_quiesce(void);
void vmm_resume(void);
/* Panic: turn virtualization off on this CPU, whatever is running. any */
void vmm_cpu_emergency(void);

/* --- life of a VM ------------------------------------------------------- */

/*
 * Create a VM that may have vCPUs 0..max_vcpus-1. One reference belongs to the
 * caller. -EINVAL (bad name), -ENOMEM, -EBUSY (another hypervisor holds a CPU).
 * Names are unique among VMs by the caller's (os layer's) doing.
 */
int vm_create(const char *name, uint32_t max_vcpus, struct vm **vm);
struct vm *vm_get(struct vm *vm);
/* The last reference frees the VM, destroying it first if nobody has. sleep */
void vm_put(struct vm *vm);
/*
 * Stop every vCPU, give memory back, make later ioctls fail with ENXIO. The
 * structure stays until the last reference. Idempotent. sleep
 */
void vm_destroy(struct vm *vm);
/* Ask all vCPUs to leave VM_RUN with a SUSPENDED exit. -EALREADY if one has asked before. any */
int vm_suspend(struct vm *vm, enum vm_suspend_how how);
/*
 * Back to the state after power on, memory kept. -EBUSY while a guest runs: it has
 * vCPUs and has not stopped, or one of them is still in VM_RUN. All vCPUs frozen.
 */
int vm_reinit(struct vm *vm);

/* --- vCPUs -------------------------------------------------------------- */

/* The vCPU, or NULL if 'id' is out of range or it does not exist yet. any */
static inline struct vcpu *vm_vcpu(const struct vm *vm, int id)
{
	if ((uint32_t)id >= vm->max_vcpus)
		return NULL;
	return __atomic_load_n(&vm->vcpu[id], __ATOMIC_ACQUIRE);
}
/* The same, made if need be: -EINVAL, -ENOMEM, -ENXIO. sleep */
int vm_vcpu_create(struct vm *vm, int id, struct vcpu **vcpu);
/* Become its owner: whoever runs it is asked to step aside. 0 or -EINTR (being killed). */
int vcpu_lock_contended(struct vcpu *vcpu);
static inline int vcpu_lock(struct vcpu *vcpu)
{
	return likely(os_mutex_trylock(&vcpu->mutex)) ? 0 : vcpu_lock_contended(vcpu);
}
static inline void vcpu_unlock(struct vcpu *vcpu)
{
	os_mutex_unlock(&vcpu->mutex);
}
/* Own all existing vCPUs, in order; vm->lock held. 0 or -EINTR with none owned. */
int vm_freeze(struct vm *vm);
/* The same, whatever comes. sleep */
void vm_freeze_always(struct vm *vm);
void vm_thaw(struct vm *vm);

/* Set request bits and make the owner notice them. any */
void vcpu_request(struct vcpu *vcpu, uint32_t bits);

/* State after RESET (or INIT), registers and APIC included. Owner. */
void vcpu_reset(struct vcpu *vcpu, bool init);

/* --- registers ---------------------------------------------------------- */

/* Any register by bhyve's name. -EINVAL unknown or refused value. Owner. */
int vcpu_get_register(struct vcpu *vcpu, int reg, uint64_t *value);
int vcpu_set_register(struct vcpu *vcpu, int reg, uint64_t value);
/* For handlers: a register that cannot fail to be read (CR0, CR3, CR4, EFER, DR7, TPR ...). Owner. */
static inline uint64_t vcpu_reg(struct vcpu *vcpu, int reg)
{
	uint64_t value = 0;

	(void)backend->get_reg(vcpu, reg, &value);
	return value;
}
/* Continue behind the current instruction (vcpu->next_rip must be known); ends the shadow. Owner. */
static inline void vcpu_skip(struct vcpu *vcpu)
{
	vcpu->rip = vcpu->next_rip;
	vcpu->intr_shadow = false;
}

/* --- running ------------------------------------------------------------ */

/*
 * Run the guest until the program is needed. Caller owns the vCPU, which no
 * other thread runs (vcpu->running); others get at it meanwhile. 0 with
 * vcpu->exit filled in; -EINTR signal; -ENOMEM no memory for the guest's RAM;
 * -ENXIO destroyed.
 */
int vcpu_run(struct vcpu *vcpu);

/*
 * Handlers call these to end in the program; they fill vcpu->exit (exitcode,
 * rip, inst_length from next_rip) and return EXIT_PROGRAM. Owner.
 */
enum exit_action vcpu_exit_program(struct vcpu *vcpu, enum vm_exitcode code);
/*
 * A device access of the program's, which is in vcpu->access from then on: an INOUT exit;
 * an MMIO or INST_EMUL exit. 'value' is what is written; of a read from a port it is 0.
 */
enum exit_action vcpu_exit_port(struct vcpu *vcpu, uint16_t port, unsigned int size, bool in,
				uint32_t value);
enum exit_action vcpu_exit_memory(struct vcpu *vcpu, uint64_t gpa, unsigned int size, bool write,
				  uint64_t value);
/* Ends VM_RUN with a negative errno. */
enum exit_action vcpu_exit_error(struct vcpu *vcpu, int error);
/* Continue with fn in the outer loop, where sleeping is allowed. */
enum exit_action vcpu_exit_defer(struct vcpu *vcpu, enum exit_action (*fn)(struct vcpu *));

/* --- events: core/event.c ------------------------------------------------ */

/* Raise an exception; merges with one in delivery into #DF or shutdown. RIP stays. Owner. */
void vcpu_raise(struct vcpu *vcpu, uint8_t vector);
void vcpu_raise_error(struct vcpu *vcpu, uint8_t vector, uint32_t error_code);
/* #PF: sets CR2 as well. Owner. */
void vcpu_raise_page_fault(struct vcpu *vcpu, uint64_t address, uint32_t error_code);
/* Back end, after an exit: a delivery was cut short (EXITINTINFO, IDT-vectoring). Owner. */
void vcpu_set_exitintinfo(struct vcpu *vcpu, uint64_t intinfo);
/* An NMI for the vCPU. any */
void vcpu_nmi(struct vcpu *vcpu);
/* INIT and start-up IPIs. any */
void vcpu_init_ipi(struct vcpu *vcpu);
void vcpu_startup_ipi(struct vcpu *vcpu, uint8_t vector);

#endif
