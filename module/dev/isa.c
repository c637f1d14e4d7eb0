// SPDX-License-Identifier: BSD-2-Clause
/* An ISA interrupt of an in-kernel device drives both kinds of interrupt controller. */
#include "dev/ioapic.h"
#include "dev/pic.h"

/* The timer's IRQ 0 is on pin 2, as the MADT of every PC says. */
static int isa_ioapic_pin(int irq)
{
	return irq == 0 ? 2 : irq;
}

/* New in either controller counts as delivered; else pending in either. */
enum irq_outcome isa_irq_pulse(struct vm *vm, int irq)
{
	enum irq_outcome pic = pic_tick(vm, irq);
	enum irq_outcome ioapic = ioapic_tick(vm, isa_ioapic_pin(irq));

	return min(pic, ioapic);
}

void isa_irq_set(struct vm *vm, int irq, bool asserted)
{
	if (asserted) {
		(void)pic_assert(vm, irq);
		(void)ioapic_assert(vm, isa_ioapic_pin(irq));
	} else {
		(void)pic_deassert(vm, irq);
		(void)ioapic_deassert(vm, isa_ioapic_pin(irq));
	}
}
