// SPDX-License-Identifier: BSD-2-Clause
/* Rows of two vCPUs that wake each other: both wait in HLT between the messages. */
#include "measure.h"

#include <payload/smp.h>

static volatile bool ended;
static volatile uint64_t asked, answered;

static void send_to(unsigned int cpu)
{
	apic_write(0x310, cpu << 24);
	apic_write(0x300, VECTOR);
}

static void answer_ipis(void *argument)
{
	uint64_t seen = 0;

	(void)argument;
	apic_enable();
	while (!ended) {
		while (asked == seen)
			wait_for_interrupt();
		seen = asked;
		answered = seen;
		send_to(0);
	}
	finish(TEST_PASSED);
}

static void op_ask(void)
{
	uint64_t question = asked + 1;

	asked = question;
	send_to(1);
	while (answered != question)
		wait_for_interrupt();
}

TEST(two)
{
	apic_enable();
	set_gate(VECTOR, gate_xapic);
	smp_start(1, answer_ipis, NULL);
	calibrate();
	measure("ipi-round-trip", op_ask);
	ended = true;
	op_ask();
}
