// SPDX-License-Identifier: BSD-2-Clause
/* Starting other processors. */
#include "smp.h"

#include "payload.h"

#define TRAMPOLINE 0x8000 /* the page the start-up IPI names */
#define STACK_SIZE 8192
#define PATIENCE   4000000000ull /* of the TSC: more than a second */

extern const char smp_trampoline[], smp_trampoline_end[];
extern const char smp_record_signature[], smp_record_segment[];

volatile struct smp_record smp_record;
uint64_t smp_stack;

static char stacks[SMP_MOST][STACK_SIZE] __attribute__((aligned(16)));
static void (*volatile start_fn)(void *);
static void *volatile start_argument;
static volatile bool arrived;

__attribute__((used)) void smp_entry(void)
{
	void (*fn)(void *) = start_fn;
	void *argument = start_argument;
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} idtr = { sizeof(idt) - 1, (uint64_t)idt };

	asm volatile("lidt %0" : : "m"(idtr));
	arrived = true;
	fn(argument);
}

static void wait_for_delivery(void)
{
	while (apic_read(0x300) & 1u << 12)
		pause();
}

void smp_start(unsigned int cpu, void (*fn)(void *argument), void *argument)
{
	uint64_t start = rdtsc();

	memcpy((void *)TRAMPOLINE, smp_trampoline, (size_t)(smp_trampoline_end - smp_trampoline));
	smp_stack = (uint64_t)stacks[cpu] + STACK_SIZE - 8;
	start_fn = fn;
	start_argument = argument;
	arrived = false;

	apic_write(0x310, cpu << 24);
	apic_write(0x300, 0x4500); /* INIT, assert */
	wait_for_delivery();
	apic_write(0x310, cpu << 24);
	apic_write(0x300, 0x4600 | TRAMPOLINE >> 12);
	while (!arrived) {
		if (rdtsc() - start > PATIENCE)
			fail("processor %u did not start", (uint64_t)cpu);
		pause();
	}
	smp_record.signature = *(uint32_t *)(TRAMPOLINE + (smp_record_signature - smp_trampoline));
	smp_record.code_segment = *(uint16_t *)(TRAMPOLINE + (smp_record_segment - smp_trampoline));
}

unsigned int smp_self(void)
{
	return apic_read(0x20) >> 24;
}
