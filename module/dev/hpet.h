/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The HPET at 0xfed00000: 20 MHz, 64 bits, eight comparators, each periodic and
 * able to send messages, legacy replacement. After the IA-PC HPET specification
 * 1.0a. A spinlock of its own; callable from any thread and context unless said
 * otherwise.
 */
#ifndef DEV_HPET_H
#define DEV_HPET_H

#include "os/os.h"

struct vm;

#define HPET_BASE      0xfed00000ull
#define HPET_MMIO_SIZE 0x400u
#define HPET_TIMERS    8
/*
 * A whole number of nanoseconds, and slow enough for the least delay that guests
 * program (in Linux 192 ticks) to be longer than it takes to program it.
 */
#define HPET_HZ 20000000u

/* Sets vm->hpet. -ENOMEM. sleep */
int hpet_create(struct vm *vm);
void hpet_destroy(struct vm *vm); /* sleep */
void hpet_reset(struct vm *vm);
void hpet_stop(struct vm *vm); /* No host timer runs until the guest programs one. sleep */
/* Catch up, and arm the host timers that were left off (vm/timer.h). */
void hpet_resume(struct vm *vm);

/* The low half of the capabilities register, as VM_GET_HPET_CAPABILITIES reports it. */
uint32_t hpet_capabilities(struct vm *vm);

/*
 * Access of 'size' (1, 2, 4, 8) bytes at 'offset' below HPET_MMIO_SIZE, any alignment:
 * each register byte touched is read or written; bytes that reach beyond an
 * 8-byte register belong to the next. The specification requires aligned accesses of 4 or 8.
 */
void hpet_mmio_read(struct vm *vm, uint32_t offset, unsigned int size, uint64_t *value);
void hpet_mmio_write(struct vm *vm, uint32_t offset, unsigned int size, uint64_t value);

#endif
