// SPDX-License-Identifier: BSD-2-Clause
/* No test of its own: a guest that never ends, which tests/host boots. */
#include "payload/payload.h"
#include "payload/smp.h"

#define VECTOR 0x40

static void count_interrupt(struct frame *frame)
{
	(void)frame;
	apic_eoi();
}

/* Interrupts itself for ever. */
static void interrupt_self_forever(void *unused)
{
	(void)unused;
	apic_enable();
	interrupts_on();
	for (;;) {
		apic_write(0x300, 0x40000 | VECTOR);
		cpuid(0);
	}
}

/* A dot every thousand interrupts of its own. */
TEST(smp2_forever, CPUS(2) BY_HAND)
{
	apic_enable();
	set_handler(VECTOR, count_interrupt);
	smp_start(1, interrupt_self_forever, NULL);
	interrupts_on();
	for (unsigned int i = 0;; i++) {
		apic_write(0x300, 0x40000 | VECTOR);
		if (i % 1000 == 0)
			print(".");
	}
}
