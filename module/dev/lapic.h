/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC of a vCPU, as xAPIC (memory-mapped) and x2APIC (MSRs): SDM
 * vol. 3, chapter 10; APM vol. 2, chapter 16.
 *
 * Ownership instead of locks: everything is the owner's, except that any thread
 * may post an interrupt (an atomic bitmap that the owner absorbs into IRR) and
 * may read, with relaxed atomics, what message routing needs of another vCPU:
 * mode, LDR, DFR, SVR, LINT0, LINT1. Functions marked (o) are for the owner of the
 * vCPU, in any context; those marked (any) for any thread, in any context.
 *
 * Lock order of the devices: hpet -> {pit, rtc} -> {pic, ioapic} -> posting here. Those
 * in braces never nest. Posting takes no lock.
 */
#ifndef DEV_LAPIC_H
#define DEV_LAPIC_H

#include <vmm/vmm.h>
#include "os/os.h"

struct vm;
struct vcpu;

/* Where the registers are after reset, and how many bytes the device claims there. */
#define LAPIC_DEFAULT_BASE 0xfee00000ull
#define LAPIC_MMIO_SIZE	   0x1000u

/* IA32_APIC_BASE (MSR 0x1b). */
#define LAPIC_BASE_BSP	  0x100ull
#define LAPIC_BASE_X2APIC 0x400ull
#define LAPIC_BASE_ENABLE 0x800ull

/* The x2APIC's MSRs: 0x800 + (xAPIC register offset >> 4). */
#define LAPIC_MSR_FIRST 0x800u
#define LAPIC_MSR_LAST	0x8ffu

/*
 * Input clock of the timer, before the divider. CPUID leaf 0x15, where it is offered,
 * must report this as the crystal's frequency (SDM vol. 3, 10.5.4).
 */
#define LAPIC_TIMER_HZ 1000000000u

/* Delivery modes, in the encoding of ICR, redirection entries and messages. */
enum lapic_delivery {
	LAPIC_FIXED,
	LAPIC_LOWEST,
	LAPIC_SMI,
	LAPIC_RESERVED,
	LAPIC_NMI,
	LAPIC_INIT,
	LAPIC_STARTUP,
	LAPIC_EXTINT,
};

/* Entries of the local vector table, numbered as VM_LAPIC_LOCAL_IRQ does. */
enum lapic_lvt {
	LAPIC_LVT_LINT0,
	LAPIC_LVT_LINT1,
	LAPIC_LVT_TIMER,
	LAPIC_LVT_ERROR,
	LAPIC_LVT_PERFORMANCE,
	LAPIC_LVT_THERMAL,
	LAPIC_LVT_CMCI,
	LAPIC_LVT_COUNT
};

/* Every APIC, as the destination of a message. 8-bit senders widen 0xff to this. */
#define LAPIC_BROADCAST 0xffffffffu

/* A message between interrupt controllers. */
struct lapic_message {
	uint32_t destination; /* APIC ID or logical set; LAPIC_BROADCAST */
	bool logical;
	bool level; /* level-triggered: its EOI is told to the I/O APIC */
	enum lapic_delivery delivery;
	uint8_t vector;
};

/* What became of an interrupt; for sources that want to repeat a lost tick. */
enum irq_outcome {
	IRQ_DELIVERED, /* newly pending somewhere */
	IRQ_COALESCED, /* was pending already everywhere it went */
	IRQ_IGNORED,   /* masked, or no vCPU accepts it */
};

/* --- life ----------------------------------------------------------------- */

/* Sets vcpu->lapic, in the state after RESET. -ENOMEM. sleep */
int lapic_create(struct vcpu *vcpu);
/* Stops the timer and frees. NULL vcpu->lapic is nothing. sleep */
void lapic_destroy(struct vcpu *vcpu);
/*
 * State after RESET, or after INIT when 'init' (the APIC ID, the mode and the base
 * stay: SDM vol. 3, 10.4.7.3). The boot processor leaves RESET in virtual wire
 * mode, LINT0 = ExtINT, as firmware would set it. (o)
 */
void lapic_reset(struct vcpu *vcpu, bool init);
/* vm->topology, and with it every ID, has changed. vm->lock and all vCPUs frozen. */
void lapic_topology_changed(struct vm *vm);
/* Stops the timer's host side until the guest programs it anew. (o) sleep */
void lapic_stop(struct vcpu *vcpu);

/* --- what the guest does (o) ----------------------------------------------- */

/* By the VM's topology; see vm_apic_id(). any */
uint32_t lapic_id(struct vcpu *vcpu);

/*
 * Whether the guest may switch to x2APIC mode; CPUID's x2APIC bit says the same. Off
 * at creation, as in FreeBSD. Turning it off takes a vCPU in x2APIC mode
 * back to xAPIC. -EINVAL: no such state.
 */
enum x2apic_state lapic_get_x2apic_state(struct vcpu *vcpu);
int lapic_set_x2apic_state(struct vcpu *vcpu, enum x2apic_state state);

/* IA32_APIC_BASE. -EINVAL, meaning #GP: reserved bits, or a mode change SDM 10.12.5 forbids. */
uint64_t lapic_get_base(struct vcpu *vcpu);
int lapic_set_base(struct vcpu *vcpu, uint64_t value);

/*
 * The address of the memory-mapped registers, or ~0 when there are none (APIC disabled
 * or in x2APIC mode).
 */
uint64_t lapic_mmio_base(struct vcpu *vcpu);
/*
 * An access of 'size' (1, 2, 4, 8) bytes at any 'offset' below LAPIC_MMIO_SIZE. Reads
 * give the register's bytes, and 0 where there is none. A write acts only if it covers
 * a whole aligned register from its first byte with 4 or 8 bytes; others are dropped.
 * Returns 0; a write returns 1 when it was an INIT or start-up IPI that userspace acts on
 * (VM_CAP_IPI_EXIT, or VM_RUN): vcpu->exit holds VM_EXITCODE_IPI or _SPINUP_AP, for
 * userspace once the instruction is complete.
 */
int lapic_mmio_read(struct vcpu *vcpu, uint32_t offset, unsigned int size, uint64_t *value);
int lapic_mmio_write(struct vcpu *vcpu, uint32_t offset, unsigned int size, uint64_t value);
/* MSRs 0x800-0x8ff. -EINVAL: #GP (also outside x2APIC mode); 0; write: 1 as above. */
int lapic_rdmsr(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
int lapic_wrmsr(struct vcpu *vcpu, uint32_t msr, uint64_t value);
/* The vCPUs an IPI exit was meant for: a bitmap of vm->max_vcpus bits. Valid after a 1 above. */
const uint64_t *lapic_ipi_destinations(struct vcpu *vcpu);

/* IA32_TSC_DEADLINE, in the guest's TSC. Writes are ignored unless the timer is in that mode. */
uint64_t lapic_get_deadline(struct vcpu *vcpu);
void lapic_set_deadline(struct vcpu *vcpu, uint64_t tsc);
/* vcpu->tsc_offset has changed: an armed TSC deadline lies elsewhere in time now. */
void lapic_tsc_changed(struct vcpu *vcpu);

/* The whole task-priority register, CR8's four bits included (APM vol. 2, 16.6.4). */
uint8_t lapic_get_tpr(struct vcpu *vcpu);
void lapic_set_tpr(struct vcpu *vcpu, uint8_t tpr);

/* --- interrupts on their way in (o) ---------------------------------------- */

/* The highest vector the guest could take now (its class above PPR's); -1 if none. */
int lapic_pending(struct vcpu *vcpu);
/* The highest vector requested at all, whatever the priority; -1 if none. */
int lapic_highest_request(struct vcpu *vcpu);
/*
 * The highest vector that only CR8 (the TPR's class) holds back: it becomes
 * deliverable when the guest lowers CR8, which it does without an exit; -1 if none.
 */
int lapic_blocked_by_tpr(struct vcpu *vcpu);
/* Anything requested, whatever the priority. */
bool lapic_has_work(struct vcpu *vcpu);
/* 'vector' is being delivered: from IRR to ISR. */
void lapic_accept(struct vcpu *vcpu, uint8_t vector);
/* Acts on VCPU_REQ_TIMER; harmless if the timer has not expired. */
void lapic_timer_event(struct vcpu *vcpu);
/* The 8259's interrupt reaches this vCPU: LINT0, the I/O APIC's pin 0, or no APIC. any */
bool lapic_extint_allowed(struct vcpu *vcpu);

/* --- virtual interrupt delivery (o) ------------------------------------------ */

/*
 * The page of registers (SDM vol. 3, 29.1.1). With 'shared' the processor works on it
 * while the guest runs: it moves vectors from IRR to ISR and out of it, and answers
 * reads, so that every register is kept there from now on.
 */
uint8_t *lapic_page(struct vcpu *vcpu, bool shared);
/* By IA32_APIC_BASE and by software (SVR): it takes interrupts. */
bool lapic_is_enabled(struct vcpu *vcpu);
/* The highest vector in service; 0 if none. */
uint8_t lapic_in_service(struct vcpu *vcpu);
/* Those of vectors 64 * i to 64 * i + 63 that are level-triggered: their EOI is to be told. */
uint64_t lapic_level_vectors(struct vcpu *vcpu, unsigned int i);
/* The guest has ended 'vector', which the processor has taken out of ISR. */
void lapic_virtual_eoi(struct vcpu *vcpu, uint8_t vector);
/* A guest's write to the register at 'offset' is in the page: act on it as lapic_mmio_write(). */
int lapic_virtual_write(struct vcpu *vcpu, uint32_t offset);

/* --- interrupts from elsewhere (any) ---------------------------------------- */

/*
 * Make 'vector' pending. Ignored by an APIC that is disabled; below 16 it is an error of
 * the receiving APIC (ESR bit 6).
 */
enum irq_outcome lapic_post(struct vcpu *vcpu, uint8_t vector, bool level);
/* The vCPU's APIC is enabled and among those that 'destination' means. */
bool lapic_matches(struct vcpu *vcpu, uint32_t destination, bool logical);
/* An eight-bit destination, as the I/O APIC, MSI and the xAPIC have it. */
static inline uint32_t lapic_destination(uint8_t destination)
{
	return destination == 0xff ? LAPIC_BROADCAST : destination;
}
/* Route a message to all the vCPUs it is for. */
enum irq_outcome lapic_deliver(struct vm *vm, const struct lapic_message *message);
/*
 * A message-signalled interrupt. 0; -EINVAL when 'addr' is not in the window
 * 0xfee00000-0xfeefffff. A masked or absent target is no error.
 */
int lapic_msi(struct vm *vm, uint64_t addr, uint64_t msg);
/* Pulse a local interrupt; -EINVAL unless 'lvt' < LAPIC_LVT_COUNT. _all: of each vCPU. */
int lapic_local_irq(struct vcpu *vcpu, unsigned int lvt);
int lapic_local_irq_all(struct vm *vm, unsigned int lvt);
/* The 8259 pair's output has gone high: LINT0 of every vCPU. */
void lapic_pic_output(struct vm *vm);

#endif
