// SPDX-License-Identifier: BSD-2-Clause
/* The 8259 pair: initialization, priorities, ends of interrupt, the output. */
#include "unit.h"

#include "dev/ioapic.h"
#include "dev/lapic.h"
#include "dev/pic.h"
#include "fake_backend.h"

#define MASTER 0x20
#define SLAVE  0xa0

static struct vm *vm;
static struct vcpu *cpu;

static void out(uint16_t port, uint8_t value)
{
	pic_port_write(vm, port, value);
}

static uint8_t in(uint16_t port)
{
	return pic_port_read(vm, port);
}

static void initialize(uint8_t icw4)
{
	out(MASTER, 0x11);
	out(MASTER + 1, 0x20);
	out(MASTER + 1, 0x04);
	out(MASTER + 1, icw4);
	out(SLAVE, 0x11);
	out(SLAVE + 1, 0x28);
	out(SLAVE + 1, 0x02);
	out(SLAVE + 1, 0x01);
}

static void set_up(void)
{
	vm = fake_vm_create(2);
	cpu = fake_vm_vcpu(vm, 0);
	initialize(0x01);
	(void)fake_requests(cpu);
}

static void tear_down(void)
{
	fake_vm_destroy(vm);
}

static uint8_t irr(uint16_t chip)
{
	out(chip, 0x0a);
	return in(chip);
}

static uint8_t isr(uint16_t chip)
{
	out(chip, 0x0b);
	return in(chip);
}

TEST(nothing_passes_before_initialization)
{
	vm = fake_vm_create(1);
	cpu = fake_vm_vcpu(vm, 0);
	(void)fake_requests(cpu);
	out(MASTER + 1, 0);
	CHECK_EQ(pic_assert(vm, 1), 0);
	CHECK(!pic_pending(vm));
	CHECK_EQ(pic_tick(vm, 3), IRQ_IGNORED);
	initialize(0x01);
	CHECK(!pic_pending(vm)); /* an edge from before is forgotten */
	CHECK_EQ(fake_requests(cpu), 0);
	tear_down();
}

TEST(invalid_inputs)
{
	set_up();
	CHECK_EQ(pic_assert(vm, -1), -EINVAL);
	CHECK_EQ(pic_assert(vm, 16), -EINVAL);
	CHECK_EQ(pic_deassert(vm, 2), -EINVAL);
	CHECK_EQ(pic_pulse(vm, 2), -EINVAL);
	CHECK_EQ(pic_pulse(vm, 15), 0);
	CHECK_EQ(pic_set_trigger(vm, 16, LEVEL_TRIGGER), -EINVAL);
	CHECK_EQ(pic_set_trigger(vm, -1, EDGE_TRIGGER), -EINVAL);
	CHECK_EQ(pic_set_trigger(vm, 0, LEVEL_TRIGGER), -EINVAL);
	CHECK_EQ(pic_set_trigger(vm, 8, LEVEL_TRIGGER), -EINVAL);
	CHECK_EQ(pic_set_trigger(vm, 13, LEVEL_TRIGGER), -EINVAL);
	CHECK_EQ(pic_set_trigger(vm, 11, LEVEL_TRIGGER), 0);
	CHECK_EQ(in(0x4d1), 0x08);
	CHECK_EQ(pic_set_trigger(vm, 11, EDGE_TRIGGER), 0);
	CHECK_EQ(in(0x4d1), 0);
	tear_down();
}

TEST(request_acknowledge_end)
{
	set_up();
	CHECK_EQ(pic_pulse(vm, 1), 0);
	CHECK(pic_pending(vm));
	CHECK_EQ(fake_requests(cpu), VCPU_REQ_EVENT); /* LINT0 is a virtual wire */
	CHECK_EQ(irr(MASTER), 0x02);
	CHECK_EQ(pic_intack(vm), 0x21);
	CHECK(!pic_pending(vm));
	CHECK_EQ(irr(MASTER), 0);
	CHECK_EQ(isr(MASTER), 0x02);
	CHECK_EQ(pic_pulse(vm, 1), 0); /* again, while in service */
	CHECK(!pic_pending(vm));
	CHECK_EQ(pic_pulse(vm, 0), 0); /* higher priority nests */
	CHECK_EQ(pic_intack(vm), 0x20);
	out(MASTER, 0x20); /* EOI of the highest */
	CHECK_EQ(isr(MASTER), 0x02);
	CHECK(!pic_pending(vm));
	out(MASTER, 0x61); /* specific EOI */
	CHECK(pic_pending(vm));
	CHECK_EQ(pic_intack(vm), 0x21);
	tear_down();
}

TEST(mask)
{
	set_up();
	out(MASTER + 1, 0x02);
	CHECK_EQ(in(MASTER + 1), 0x02);
	CHECK_EQ(pic_tick(vm, 1), IRQ_IGNORED);
	CHECK(!pic_pending(vm));
	out(MASTER + 1, 0x00); /* the edge was latched */
	CHECK(pic_pending(vm));
	CHECK_EQ(pic_tick(vm, 1), IRQ_COALESCED);
	CHECK_EQ(pic_intack(vm), 0x21);
	CHECK_EQ(pic_tick(vm, 1), IRQ_DELIVERED);
	tear_down();
}

TEST(slave_through_cascade)
{
	set_up();
	CHECK_EQ(pic_pulse(vm, 12), 0);
	CHECK(pic_pending(vm));
	CHECK_EQ(irr(MASTER), 0x04);
	CHECK_EQ(pic_intack(vm), 0x2c);
	CHECK_EQ(isr(MASTER), 0x04);
	CHECK_EQ(isr(SLAVE), 0x10);
	/* In service at the master's 2: another slave interrupt waits, 1 does not. */
	CHECK_EQ(pic_pulse(vm, 8), 0);
	CHECK(!pic_pending(vm));
	CHECK_EQ(pic_pulse(vm, 1), 0);
	CHECK_EQ(pic_intack(vm), 0x21);
	out(MASTER, 0x20);
	out(SLAVE, 0x20);
	CHECK(!pic_pending(vm));
	out(MASTER, 0x20);
	CHECK_EQ(pic_intack(vm), 0x28);
	/* The master can mask the whole slave. */
	out(SLAVE, 0x20);
	out(MASTER, 0x20);
	out(MASTER + 1, 0x04);
	CHECK_EQ(pic_pulse(vm, 9), 0);
	CHECK(!pic_pending(vm));
	tear_down();
}

TEST(special_fully_nested)
{
	set_up();
	initialize(0x11);
	pic_pulse(vm, 12);
	CHECK_EQ(pic_intack(vm), 0x2c);
	pic_pulse(vm, 8); /* higher priority within the slave */
	CHECK(pic_pending(vm));
	CHECK_EQ(pic_intack(vm), 0x28);
	pic_pulse(vm, 13);
	CHECK(!pic_pending(vm));
	tear_down();
}

TEST(spurious)
{
	set_up();
	CHECK_EQ(pic_intack(vm), 0x27);
	CHECK_EQ(isr(MASTER), 0);
	/* A level that goes away before the acknowledge. */
	CHECK_EQ(pic_set_trigger(vm, 10, LEVEL_TRIGGER), 0);
	pic_assert(vm, 10);
	CHECK(pic_pending(vm));
	pic_deassert(vm, 10);
	CHECK(!pic_pending(vm));
	CHECK_EQ(pic_intack(vm), 0x27);
	tear_down();
}

TEST(level)
{
	set_up();
	out(0x4d1, 0xff);
	CHECK_EQ(in(0x4d1), 0xde);
	out(0x4d0, 0xff);
	CHECK_EQ(in(0x4d0), 0xf8);
	pic_pulse(vm, 1); /* not one of them: its edge stays */
	out(0x4d0, 0x00);
	CHECK_EQ(pic_intack(vm), 0x21);
	out(MASTER, 0x20);
	pic_assert(vm, 11);
	pic_assert(vm, 11); /* two sources */
	CHECK_EQ(pic_intack(vm), 0x2b);
	out(SLAVE, 0x20);
	out(MASTER, 0x20);
	CHECK(pic_pending(vm)); /* still driven */
	CHECK_EQ(pic_intack(vm), 0x2b);
	pic_deassert(vm, 11);
	out(SLAVE, 0x20);
	out(MASTER, 0x20);
	CHECK(pic_pending(vm));
	pic_deassert(vm, 11);
	CHECK(!pic_pending(vm));
	pic_deassert(vm, 11); /* one too many */
	pic_assert(vm, 11);
	CHECK(pic_pending(vm));
	tear_down();
}

TEST(rotation)
{
	set_up();
	out(MASTER, 0xc4); /* 4 is lowest: 5 is highest */
	pic_pulse(vm, 4);
	pic_pulse(vm, 5);
	pic_pulse(vm, 0);
	CHECK_EQ(pic_intack(vm), 0x25);
	out(MASTER, 0xa0); /* rotate on non-specific EOI: 5 lowest now */
	CHECK_EQ(pic_intack(vm), 0x20);
	out(MASTER, 0xe0); /* rotate on specific EOI of 0 */
	CHECK_EQ(pic_intack(vm), 0x24);
	out(MASTER, 0x20);
	out(MASTER, 0xc7);
	pic_pulse(vm, 0);
	CHECK_EQ(pic_intack(vm), 0x20);
	out(MASTER, 0xa0); /* 0 lowest now */
	pic_pulse(vm, 0);
	pic_pulse(vm, 7);
	CHECK_EQ(pic_intack(vm), 0x27);
	tear_down();
}

TEST(automatic_eoi)
{
	set_up();
	initialize(0x03);
	pic_pulse(vm, 3);
	CHECK_EQ(pic_intack(vm), 0x23);
	CHECK_EQ(isr(MASTER), 0);
	out(MASTER, 0x80); /* rotate in automatic EOI mode */
	pic_pulse(vm, 3);
	pic_pulse(vm, 4);
	CHECK_EQ(pic_intack(vm), 0x23);
	pic_pulse(vm, 3);
	CHECK_EQ(pic_intack(vm), 0x24);
	CHECK_EQ(pic_intack(vm), 0x23);
	tear_down();
}

TEST(special_mask_mode)
{
	set_up();
	pic_pulse(vm, 3);
	CHECK_EQ(pic_intack(vm), 0x23);
	pic_pulse(vm, 5);
	CHECK(!pic_pending(vm));
	out(MASTER + 1, 0x08);
	CHECK(!pic_pending(vm));
	out(MASTER, 0x68); /* the masked 3 in service no longer counts */
	CHECK_EQ(pic_intack(vm), 0x25);
	out(MASTER, 0x20); /* ends 5, not 3 */
	CHECK_EQ(isr(MASTER), 0x08);
	out(MASTER, 0x48);
	tear_down();
}

TEST(poll)
{
	set_up();
	out(MASTER, 0x0c);
	CHECK_EQ(in(MASTER), 0);
	pic_pulse(vm, 6);
	out(MASTER, 0x0c);
	CHECK_EQ(in(MASTER), 0x86);
	CHECK(!pic_pending(vm));
	CHECK_EQ(isr(MASTER), 0x40);
	CHECK_EQ(in(MASTER + 1), 0); /* only one read is a poll */
	pic_pulse(vm, 0);
	out(MASTER, 0x0c);
	CHECK_EQ(in(MASTER), 0x80);
	tear_down();
}

TEST(initialization_resets)
{
	set_up();
	out(MASTER + 1, 0xff);
	pic_pulse(vm, 5);
	out(MASTER, 0x13); /* single, with ICW4 */
	CHECK_EQ(irr(MASTER), 0);
	out(MASTER + 1, 0x47);
	CHECK(!pic_pending(vm));
	out(MASTER + 1, 0x01);
	CHECK_EQ(in(MASTER + 1), 0);
	pic_pulse(vm, 5);
	CHECK_EQ(pic_intack(vm), 0x45); /* low bits of ICW2 are not used */
	out(MASTER, 0x10);		/* no ICW4 */
	out(MASTER + 1, 0x60);
	out(MASTER + 1, 0x04);
	pic_pulse(vm, 5);
	CHECK_EQ(pic_intack(vm), 0x65);
	tear_down();
}

TEST(output_reaches_lint0_in_every_mode)
{
	set_up();
	CHECK_EQ(lapic_mmio_write(cpu, 0xf0, 4, 0x1ff), 0);
	CHECK_EQ(lapic_mmio_write(cpu, 0x350, 4, 0x10700), 0); /* masked */
	pic_pulse(vm, 1);
	CHECK_EQ(fake_requests(cpu), 0);
	(void)pic_intack(vm);
	out(MASTER, 0x20);
	CHECK_EQ(lapic_mmio_write(cpu, 0x350, 4, 0x000c1), 0); /* fixed */
	pic_pulse(vm, 1);
	CHECK_EQ(lapic_pending(cpu), 0xc1);
	(void)pic_intack(vm);
	out(MASTER, 0x20);
	CHECK_EQ(lapic_mmio_write(cpu, 0x350, 4, 0x00400), 0); /* NMI */
	pic_pulse(vm, 1);
	CHECK_EQ(cpu->nmi_pending, 1);
	tear_down();
}

TEST(second_request_raises_the_output_again)
{
	set_up();
	pic_pulse(vm, 1);
	(void)fake_requests(cpu);
	pic_pulse(vm, 0);
	CHECK_EQ(pic_intack(vm), 0x20);
	CHECK(!pic_pending(vm));
	(void)fake_requests(cpu);
	out(MASTER, 0x20);
	CHECK(pic_pending(vm));
	CHECK_EQ(fake_requests(cpu), VCPU_REQ_EVENT);
	tear_down();
}

/* From the pair's output to an injected event, through the real core. */
TEST(core_injects_extint)
{
	set_up();
	cpu->rflags |= 0x200;
	pic_pulse(vm, 4);
	CHECK_EQ(vcpu_run(cpu), 0);
	CHECK_EQ(fake_vcpu(cpu)->events, 1);
	CHECK_EQ(fake_vcpu(cpu)->event[0], VM_INTINFO_VALID | 0x24);
	CHECK_EQ(isr(MASTER), 0x10);
	tear_down();
}

TEST(isa_interrupts_drive_both)
{
	set_up();
	CHECK_EQ(lapic_mmio_write(cpu, 0xf0, 4, 0x1ff), 0);
	ioapic_mmio_write(vm, 0, 4, 0x14); /* pin 2 */
	ioapic_mmio_write(vm, 0x10, 4, 0x32);
	CHECK_EQ(isa_irq_pulse(vm, 0), IRQ_DELIVERED);
	CHECK_EQ(lapic_pending(cpu), 0x32);
	CHECK(pic_pending(vm));
	CHECK_EQ(isa_irq_pulse(vm, 0), IRQ_COALESCED);
	CHECK_EQ(pic_intack(vm), 0x20);
	CHECK_EQ(isa_irq_pulse(vm, 0), IRQ_DELIVERED); /* in one of them */
	CHECK_EQ(pic_set_trigger(vm, 11, LEVEL_TRIGGER), 0);
	ioapic_mmio_write(vm, 0, 4, 0x10 + 2 * 11);
	ioapic_mmio_write(vm, 0x10, 4, 0x8043);
	isa_irq_set(vm, 11, true);
	CHECK_EQ(irr(SLAVE), 0x08);
	CHECK_EQ(lapic_pending(cpu), 0x43);
	lapic_accept(cpu, 0x43);
	isa_irq_set(vm, 11, false);
	CHECK_EQ(irr(SLAVE), 0);
	CHECK_EQ(lapic_mmio_write(cpu, 0xb0, 4, 0), 0);
	CHECK(lapic_pending(cpu) != 0x43);
	tear_down();
}
