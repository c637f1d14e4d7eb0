/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Other processors of a test guest, for tests with CPUS(n): they are 1 to n-1, and their
 * APIC IDs are the same numbers.
 */
#ifndef SMP_H
#define SMP_H

#include <stdint.h>

#define SMP_MOST 255

/*
 * Start processor 'cpu' by INIT and SIPI and let it run fn(argument) in long mode,
 * interrupts off, with a stack and the IDT of its own boot processor. Returns once
 * it is in fn; fails the test if it is not after a second. The APIC has been enabled.
 */
void smp_start(unsigned int cpu, void (*fn)(void *argument), void *argument);
/* How the last one started came up: the values it read on its way, for tests of INIT. */
struct smp_record {
	uint32_t signature;    /* EDX at its first instruction */
	uint16_t code_segment; /* CS there */
};
extern volatile struct smp_record smp_record;
/* The number of the processor that asks, by its APIC ID. */
unsigned int smp_self(void);

#endif
