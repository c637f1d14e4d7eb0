/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 8254 timer: three channels at ports 0x40-0x43, all six modes, channel 0 on
 * IRQ 0; and port 0x61, the gate, data and output of channel 2. A spinlock of
 * its own; callable from any thread and context unless said otherwise.
 */
#ifndef DEV_PIT_H
#define DEV_PIT_H

#include "os/os.h"

struct vm;

#define PIT_HZ 1193182u

/* Sets vm->pit. -ENOMEM. sleep */
int pit_create(struct vm *vm);
void pit_destroy(struct vm *vm); /* sleep */
void pit_reset(struct vm *vm);
void pit_stop(struct vm *vm); /* No host timer runs until the guest programs one. sleep */
/* Catch up, and arm the host timers that were left off (vm/timer.h). */
void pit_resume(struct vm *vm);

/* One byte at 0x40-0x43 or 0x61. */
uint8_t pit_port_read(struct vm *vm, uint16_t port);
void pit_port_write(struct vm *vm, uint16_t port, uint8_t value);

/* While on, channel 0 counts but its IRQ 0 goes nowhere (the HPET has taken it over). */
void pit_set_irq_masked(struct vm *vm, bool masked);

#endif
