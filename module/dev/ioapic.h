/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The I/O APIC: 32 pins, version 0x20 (with the EOI register), at 0xfec00000.
 * After Intel's 82093AA data sheet. A spinlock of its own makes every function
 * callable from any thread and context. Messages go out through lapic_deliver()
 * under that lock.
 */
#ifndef DEV_IOAPIC_H
#define DEV_IOAPIC_H

#include "dev/lapic.h"

struct vm;
struct vcpu;

#define IOAPIC_BASE	 0xfec00000ull
#define IOAPIC_MMIO_SIZE 0x1000u
#define IOAPIC_PINS	 32

/* Sets vm->ioapic. -ENOMEM. sleep */
int ioapic_create(struct vm *vm);
void ioapic_destroy(struct vm *vm);
/* All pins masked, and all sources taken to be silent: they start afresh as well. */
void ioapic_reset(struct vm *vm);

/*
 * Drive a pin. Asserts are counted, as in FreeBSD: a pin shared by two sources
 * is low once both have deasserted it. 'pulse' is an assert and a deassert.
 * 0; -EINVAL: no such pin.
 */
int ioapic_assert(struct vm *vm, int pin);
int ioapic_deassert(struct vm *vm, int pin);
int ioapic_pulse(struct vm *vm, int pin);
/* A pulse that reports what became of the interrupt. */
enum irq_outcome ioapic_tick(struct vm *vm, int pin);

/*
 * A source that stays asserted until the guest has served it: a device's interrupt line.
 * 'served' is called with the I/O APIC's lock held, in any context, when the guest
 * has finished an interrupt of the pin; it says whether the source is deasserted. If
 * not, the pin stays asserted and the interrupt comes again.
 */
struct ioapic_source {
	bool (*served)(struct ioapic_source *source);
	struct ioapic_source *next; /* the lock, like the rest */
	int pin;
	bool high;
};
/* 0; -EINVAL: no such pin. any */
int ioapic_source_add(struct vm *vm, struct ioapic_source *source, int pin);
/* Deasserts the pin as well. 'served' is not called any more. any */
void ioapic_source_remove(struct vm *vm, struct ioapic_source *source);
/* Assert the source; nothing new if it is already. any */
void ioapic_source_raise(struct vm *vm, struct ioapic_source *source);

/* A local APIC has finished a level-triggered interrupt: remote IRR, and the next one. */
void ioapic_eoi(struct vm *vm, uint8_t vector);
/* Pin 0, which the 8259 pair's output drives, passes ExtINT to this vCPU. Lock-free. */
bool ioapic_extint_routed(struct vcpu *vcpu);

/*
 * Access of 'size' bytes at 'offset' below IOAPIC_MMIO_SIZE. Reads give the register's
 * bytes, 0 elsewhere. Writes: any size to IOREGSEL, 4 or 8 bytes to IOWIN and
 * EOI; others are dropped.
 */
void ioapic_mmio_read(struct vm *vm, uint32_t offset, unsigned int size, uint64_t *value);
void ioapic_mmio_write(struct vm *vm, uint32_t offset, unsigned int size, uint64_t value);

#endif
