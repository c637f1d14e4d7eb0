/* SPDX-License-Identifier: BSD-2-Clause */
/* The ACPI power-management timer: 32 bits at 3.579545 MHz (ACPI 6.4, 4.8.2.1). */
#ifndef DEV_PMTIMER_H
#define DEV_PMTIMER_H

#include "os/os.h"

struct vm;

#define PMTIMER_PORT 0x408
#define PMTIMER_HZ   3579545u

/* Sets vm->pmtimer. -ENOMEM. sleep */
int pmtimer_create(struct vm *vm);
void pmtimer_destroy(struct vm *vm);
void pmtimer_reset(struct vm *vm);    /* Counts from 0 again. */
uint32_t pmtimer_read(struct vm *vm); /* any thread, no lock */
/* 'size' (1, 2 or 4) bytes at one of the four ports from PMTIMER_PORT on. any thread, no lock */
uint32_t pmtimer_port_read(struct vm *vm, uint16_t port, unsigned int size);

#endif
