/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual CPU: who may touch which field (the tags are vm/vm.h's), who owns it, and
 * what any thread may request of it. Its life and its run loop are run/'s.
 */
#ifndef VM_VCPU_H
#define VM_VCPU_H

#include <vmm/vmm.h>
#include "os/os.h"
#include "vm/backend.h"
#include "vm/exit.h"
#include "vm/npt.h"
#include "vm/stats.h"
#include "vm/vm.h"

struct emulation;
struct guest_context;
struct lapic;

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
 * Pending requests. Any thread sets a bit with vcpu_request(); the owner tests the
 * word once per entry, acts on the bits and clears them. The bits marked (level)
 * stay set for as long as their cause holds.
 */
#define VCPU_REQ_EVENT	    0x01u  /* an event may be there to inject */
#define VCPU_REQ_EXCEPTION  0x100u /* vcpu->exception is that event, and nothing else has changed */
#define VCPU_REQ_TIMER	    0x02u  /* the local APIC's timer has expired */
#define VCPU_REQ_INIT	    0x04u  /* an INIT */
#define VCPU_REQ_SIPI	    0x08u  /* a start-up IPI */
#define VCPU_REQ_FLUSH	    0x10u  /* forget cached nested translations */
#define VCPU_REQ_YIELD	    0x20u  /* (level) another thread waits in vcpu_lock() */
#define VCPU_REQ_SUSPEND    0x40u  /* (level) the VM is suspended: vm->suspend says how */
#define VCPU_REQ_DEBUG	    0x80u  /* (level) VM_SUSPEND_CPU holds this vCPU */
#define VCPU_REQ_BREAKPOINT 0x200u /* (level) as vcpu->breakpoints: look at each entry */
#define VCPU_REQ_EVENTS	    (VCPU_REQ_EVENT | VCPU_REQ_EXCEPTION)

/* Where the owner is, for the sender of a request. */
enum vcpu_mode {
	VCPU_OUTSIDE,  /* will look at 'requests' before it enters the guest */
	VCPU_IN_GUEST, /* needs a kick to notice */
	VCPU_SLEEPING, /* halted: needs a wake-up */
};

/* vcpu->io_mode: reply mode, and no breakpoints. */
#define VCPU_IO_PLAIN 1

/* Machine check banks: they never report an error. */
#define VCPU_MC_BANKS 4

/* One access that userspace has to finish (VM_RUN_REPLY). */
struct vcpu_access {
	uint64_t address; /* port or guest-physical address */
	uint64_t data;	  /* written value, or userspace's reply */
	uint8_t size;	  /* 1, 2, 4, 8 bytes */
	uint8_t reg;	  /* of vcpu->gpr[], whose low bytes a read replaces */
	bool port;	  /* I/O port, else memory */
	bool write;
	bool replied; /* userspace has answered a read, or done a write */
};

struct vcpu {
	/* Registers, complete and current whenever the guest is not running. */
	uint64_t gpr[GPR_COUNT]; /* (o) */
	uint64_t host_spec_ctrl; /* (o) while loaded; here switch.S looks for it */
	uint64_t rip;		 /* (o) */
	uint64_t rflags;	 /* (o) */
	uint64_t cr2;		 /* (o) */
	uint64_t next_rip;	 /* (o) after an exit: RIP past the instruction, 0 unknown */
	bool intr_shadow;	 /* (o) STI or MOV SS blocks interrupts for one instruction */
	bool halted;		 /* (o) waits for an event in HLT */
	bool wait_sipi;		 /* (a) no start-up IPI since RESET or INIT */
	bool debug_reported;	 /* (a) userspace has had the exit of VM_SUSPEND_CPU */

	uint32_t switch_flags; /* (o) while loaded: X86_SWITCH_*, x86/cpu/switch.h */
	uint32_t requests;     /* (a) VCPU_REQ_* */
	uint32_t mode;	       /* (a) enum vcpu_mode; written by the owner */

	struct vm *vm;		       /* (c) */
	int id;			       /* (c) 0 is the boot processor */
	void *backend_state;	       /* (c) */
	struct lapic *lapic;	       /* (c) */
	struct guest_context *context; /* (c) FPU and hand-switched state, x86/cpu/context.h */
	uint64_t *stats;	       /* (c) array of counters that the owner writes, vm/stats.h */

	/* Pending events; vm/event.c, run/inject.c. */
	uint64_t exitintinfo; /* (o) delivery that an exit interrupted; 0 none */
	uint64_t exception;   /* (o) raised by a handler or userspace; 0 none */
	uint32_t nmi_pending; /* (a) how many: 0, 1 or 2 */
	uint8_t sipi_vector;  /* (a) of the last start-up IPI */

	/* Outcome of the inner loop. */
	enum exit_action (*deferred)(struct vcpu *vcpu); /* (o) for EXIT_OUTER; sleep */
	struct vm_exit exit;				 /* (o) for EXIT_USERSPACE */
	uint64_t fault_gpa;    /* (o) for the deferred half of a nested page fault */
	uint32_t fault_access; /* (o) VM_PROT_* of the access */
	int error;	       /* (o) negative errno that VM_RUN fails with, else 0 */
	uint64_t resume_rip;   /* (o) RIP the next VM_RUN starts at */

	/* What accesses to devices depend on, to be tested as one: VCPU_IO_PLAIN is the usual. */
	union {
		struct {
			bool reply_mode;  /* (o) run by VM_RUN_REPLY, not by VM_RUN */
			bool breakpoints; /* (o) DR7 may enable some; x86/cpu/breakpoints.h */
		};
		uint16_t io_mode; /* (o) */
	};

	/* An access to a device of userspace. */
	bool access_pending;	     /* (o) userspace is to finish 'access' */
	bool emulation_pending;	     /* (o) and 'emulation' goes on with the answer */
	struct vcpu_access access;   /* (o) */
	struct emulation *emulation; /* (c) instruction being emulated, x86/emulate/emulate.h */

	uint32_t capabilities;	    /* (o) BIT of enum vm_cap_type */
	int last_cpu;		    /* (o) writes it: physical CPU it ran on last, -1 none */
	uint64_t tsc_offset;	    /* (o) guest TSC minus host TSC */
	uint64_t tsc_adjust;	    /* (o) IA32_TSC_ADJUST */
	uint64_t pat;		    /* (o) IA32_PAT where the back end does not hold it */
	uint64_t mtrr_def_type;	    /* (o) */
	uint64_t mtrr_fixed[11];    /* (o) */
	uint64_t mtrr_variable[16]; /* (o) base, mask pairs */
	uint64_t mc_bank[4 * VCPU_MC_BANKS]; /* (o) CTL, STATUS, ADDR, MISC of each bank */
	uint64_t misc_enable;		     /* (o) Intel */
	uint64_t hwcr;			     /* (o) AMD */

	struct npt_cache npt_cache; /* (o) spare pages for the nested page table */

	/* Ownership; vm/lock.c. */
	struct os_mutex mutex;	 /* held by the owner */
	uint32_t waiters;	 /* (a) threads in vcpu_lock() */
	struct os_waitq waitq;	 /* owner in HLT, or waiting until nobody waits for the mutex */
	struct os_thread thread; /* the owner while it runs the guest */
	bool running; /* (a) a thread is in VM_RUN, or lets waiters pass; the owner writes */
};

/* --- ownership: lock.c --------------------------------------------------------- */

/* Lock the vCPU: a thread that runs it unlocks it for us. 0 or -EINTR (being killed). sleep */
int vcpu_lock_contended(struct vcpu *vcpu);
static inline int vcpu_lock(struct vcpu *vcpu)
{
	return likely(os_mutex_trylock(&vcpu->mutex)) ? 0 : vcpu_lock_contended(vcpu);
}
static inline void vcpu_unlock(struct vcpu *vcpu)
{
	os_mutex_unlock(&vcpu->mutex);
}
/* vcpu_lock that cannot be interrupted. sleep */
void vcpu_lock_always(struct vcpu *vcpu);
/* The owner unlocks it until everybody who waits has had it locked. sleep */
void vcpu_yield_to_waiters(struct vcpu *vcpu);

/* Set request bits and make the owner notice them. any */
void vcpu_request(struct vcpu *vcpu, uint32_t bits);
static inline uint32_t vcpu_requests(const struct vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->requests, __ATOMIC_SEQ_CST);
}
/* Owner. */
static inline void vcpu_requests_clear(struct vcpu *vcpu, uint32_t bits)
{
	__atomic_fetch_and(&vcpu->requests, ~bits, __ATOMIC_SEQ_CST);
}

/* --- registers ----------------------------------------------------------------- */

/* A register whose reading cannot fail (CR0, CR3, CR4, EFER, DR7, TPR ...). Owner. */
static inline uint64_t vcpu_reg(struct vcpu *vcpu, int reg)
{
	uint64_t value = 0;

	(void)backend->get_reg(vcpu, reg, &value);
	return value;
}
/* An NMI is being handled, and holds others back. Owner. */
static inline bool vcpu_nmi_blocked(struct vcpu *vcpu)
{
	return vcpu_reg(vcpu, BACKEND_REG_NMI_BLOCKED);
}
static inline void vcpu_set_nmi_blocked(struct vcpu *vcpu, bool blocked)
{
	(void)backend->set_reg(vcpu, BACKEND_REG_NMI_BLOCKED, blocked);
}
/* Continue after the instruction (vcpu->next_rip must be known); ends the shadow. Owner. */
static inline void vcpu_skip(struct vcpu *vcpu)
{
	vcpu->rip = vcpu->next_rip;
	vcpu->intr_shadow = false;
}
/* Fill in vcpu->access, all but where its data goes. Owner. */
static inline void vcpu_access_set(struct vcpu *vcpu, uint64_t address, unsigned int size,
				   bool write, uint64_t value)
{
	vcpu->access.address = address;
	vcpu->access.data = value;
	vcpu->access.size = (uint8_t)size;
	vcpu->access.write = write;
}

/* Exit to userspace, not about an instruction. Inline for VM_RUN_REPLY of a stopped VM. Owner. */
static inline enum exit_action vcpu_exit_between(struct vcpu *vcpu, enum vm_exitcode code)
{
	vcpu->next_rip = 0;
	vcpu->exit.exitcode = code;
	vcpu->exit.rip = vcpu->rip;
	vcpu->exit.inst_length = 0;
	vcpu->resume_rip = vcpu->rip;
	vcpu->error = 0;
	return EXIT_USERSPACE;
}

/* --- pending events: event.c --------------------------------------------------- */

/* Raise an exception; merges with one in delivery into #DF or shutdown. RIP stays. Owner. */
void vcpu_raise(struct vcpu *vcpu, uint8_t vector);
void vcpu_raise_error(struct vcpu *vcpu, uint8_t vector, uint32_t error_code);
/* #PF: sets CR2 as well. Owner. */
void vcpu_raise_page_fault(struct vcpu *vcpu, uint64_t address, uint32_t error_code);
/* Back end, after an exit: it interrupted a delivery (EXITINTINFO, IDT-vectoring). Owner. */
void vcpu_set_exitintinfo(struct vcpu *vcpu, uint64_t intinfo);
/*
 * 'second' was raised while 'first' was being delivered: the event that follows, as
 * VM_INTINFO_*; EVENT_SHUTDOWN where there is none. any
 */
#define EVENT_SHUTDOWN 0
uint64_t event_combine(uint64_t first, uint64_t second);
/* An NMI for the vCPU. any */
void vcpu_nmi(struct vcpu *vcpu);
/* INIT and start-up IPIs, for the owner to act on. any */
void vcpu_init_ipi(struct vcpu *vcpu);
void vcpu_startup_ipi(struct vcpu *vcpu, uint8_t vector);
/*
 * Of the start-up protocol (SDM vol. 3, 8.4) the vCPU's own half: wait for a start-up IPI;
 * take one: false when it does not wait, so that the IPI means nothing. any
 */
static inline void vcpu_begin_wait_sipi(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->wait_sipi, true, __ATOMIC_SEQ_CST);
}
static inline bool vcpu_end_wait_sipi(struct vcpu *vcpu)
{
	return __atomic_exchange_n(&vcpu->wait_sipi, false, __ATOMIC_SEQ_CST);
}
/*
 * It must not run before a start-up IPI. With VM_RUN it is userspace that starts vCPUs, so
 * one that it runs has been started. Owner, or while the owner sleeps.
 */
static inline bool vcpu_sleeps_for_sipi(const struct vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->wait_sipi, __ATOMIC_RELAXED) && vcpu->reply_mode;
}

#endif
