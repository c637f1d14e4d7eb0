// SPDX-License-Identifier: BSD-2-Clause
#include "measure.h"

#define CALIBRATION 4096 /* turns of a loop of two instructions */

#define WARM_UP 256 /* turns of an operation */

static uint64_t empty_loop;

static void op_nothing(void)
{
}

/* Called by address, so that the loop is the same for each operation. */
static __attribute__((noinline)) uint64_t loop(void (*volatile op)(void))
{
	void (*fn)(void) = op;
	uint64_t start = rdtsc();

	for (unsigned int i = 0; i < REPEAT; i++)
		fn();
	return rdtsc() - start;
}

static uint64_t least_loop(void (*op)(void))
{
	uint64_t best = ~0ull;

	for (unsigned int i = 0; i < RUNS; i++) {
		uint64_t ticks = loop(op);

		best = ticks < best ? ticks : best;
	}
	return best;
}

uint64_t least(uint64_t (*sample)(void))
{
	uint64_t best = ~0ull;

	for (unsigned int i = 0; i < RUNS; i++) {
		uint64_t ticks = sample();

		best = ticks < best ? ticks : best;
	}
	return best;
}

uint64_t reading(void)
{
	uint64_t start = rdtsc();

	return rdtsc() - start;
}

static uint64_t known_loop(void)
{
	uint64_t start = rdtsc();
	uint32_t turns = CALIBRATION;

	asm volatile("1: decl %0; jnz 1b" : "+r"(turns));
	return rdtsc() - start;
}

/* In thousandths of a tick; other rows are instructions as far as this is 1000. */
void calibrate(void)
{
	uint64_t ticks = least(known_loop) - least(reading);

	report("calibration", (ticks * 1000 + CALIBRATION) / (2 * CALIBRATION));
	empty_loop = least_loop(op_nothing);
}

void report(const char *row, uint64_t instructions)
{
	print("%s %u\n", row, instructions);
}

/* Once it runs as it always will, the host's emulator is told so (lab/run --trace). */
static void for_ever(void (*op)(void))
{
	for (unsigned int turn = 0;; turn++) {
		if (turn == WARM_UP)
			asm volatile("xchg %bx, %bx");
		op();
	}
}

void measure(const char *row, void (*op)(void))
{
	uint64_t ticks;

	if (strcmp(row, arguments) == 0)
		for_ever(op);
	if (*arguments)
		return;
	ticks = least_loop(op) - empty_loop;
	report(row, (ticks + REPEAT / 2) / REPEAT);
}

void set_gate(unsigned int vector, void (*entry)(void))
{
	uint64_t address = (uint64_t)entry;

	/* Interrupt gate, DPL 0, selector 8 (APM vol. 2, 4.8.4). */
	idt[2 * vector] = (address & 0xffff) | 0x8ull << 16 | 0x8e00ull << 32 |
			  (address >> 16 & 0xffff) << 48;
	idt[2 * vector + 1] = address >> 32;
}
