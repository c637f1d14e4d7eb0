/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pair of 8259A interrupt controllers (ports 0x20, 0x21, 0xa0, 0xa1) with the
 * edge/level control registers (0x4d0, 0x4d1). A spinlock of its own makes every
 * function callable from any thread and context.
 */
#ifndef DEV_PIC_H
#define DEV_PIC_H

#include <vmm/vmm.h>
#include "dev/lapic.h"

struct vm;

#define PIC_IRQS      16
#define PIC_ELCR_PORT 0x4d0 /* and the next */

/* Sets vm->pic. -ENOMEM. sleep */
int pic_create(struct vm *vm);
void pic_destroy(struct vm *vm);
/* As after power on: all inputs low, nothing passes until the guest has initialized both. */
void pic_reset(struct vm *vm);

/*
 * Drive an input; asserts are counted like the I/O APIC's. 0; -EINVAL: not 0..15,
 * or 2, the cascade.
 */
int pic_assert(struct vm *vm, int irq);
int pic_deassert(struct vm *vm, int irq);
int pic_pulse(struct vm *vm, int irq);
/* A pulse that reports what became of the interrupt. */
enum irq_outcome pic_tick(struct vm *vm, int irq);
/* As the guest's ELCR write. -EINVAL: no such input, or one that is always edge-triggered. */
int pic_set_trigger(struct vm *vm, int irq, enum vm_intr_trigger trigger);

/* The output is high: some vCPU should take an ExtINT. A load, no lock. */
bool pic_pending(struct vm *vm);
/* The processor's acknowledge: the vector, that of a spurious IRQ 7 if nothing is requested. */
int pic_intack(struct vm *vm);

/* One byte at one of the ports above. */
uint8_t pic_port_read(struct vm *vm, uint16_t port);
void pic_port_write(struct vm *vm, uint16_t port, uint8_t value);

/*
 * ISA interrupt 'irq' of an in-kernel device: input n of the pair and pin n of the I/O
 * APIC, IRQ 0 being pin 2. An edge; a lost one is IRQ_COALESCED.
 */
enum irq_outcome isa_irq_pulse(struct vm *vm, int irq);
/* The same as a level, asserted or not. */
void isa_irq_set(struct vm *vm, int irq, bool asserted);

#endif
