/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a row is measured: an operation REPEAT times in a loop between two readings of
 * the TSC, the least of RUNS such loops (a timer of the host falls into some), less the same
 * loop with an operation that does nothing.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <payload/payload.h>

#include "layout.h"

#define RUNS   15
#define REPEAT 8

#define VECTOR 0x51 /* of every interrupt here */

/*
 * Instructions that one 'op' takes, printed as "ROW N". Where the command line names a row,
 * that one's operation runs for ever instead, for bench/profile, and the others not at all.
 */
void measure(const char *row, void (*op)(void));
void report(const char *row, uint64_t instructions);
/* What an empty loop takes; says whether the TSC counts instructions. */
void calibrate(void);
/* The least of RUNS values that 'sample' returns. */
uint64_t least(uint64_t (*sample)(void));
/* Ticks between two readings of the TSC with nothing between them. */
uint64_t reading(void);

/* An entry of the IDT without trap.c's saving of all registers. */
void set_gate(unsigned int vector, void (*entry)(void));

/* gates.S: each counts in gate_count and, for interrupts, signals the EOI. */
extern volatile uint64_t gate_count, gate_time;
void gate_skip3(void); /* exception: skips an instruction of three bytes */
void gate_xapic(void); /* interrupt; gate_time is the TSC at its begin */
void gate_x2apic(void);
void gate_map(void); /* page fault: *gate_entry = gate_value */
extern volatile uint64_t *gate_entry;
extern uint64_t gate_value;

#endif
