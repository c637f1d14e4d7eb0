// SPDX-License-Identifier: BSD-2-Clause
/* The I/O APIC: registers, edges, levels and their end. */
#include "unit.h"

#include "dev/ioapic.h"
#include "dev/lapic.h"
#include "fake_backend.h"

#define CPUS   3
#define MASKED 0x10000u
#define LEVEL  0x8000u

static struct vm *vm;
static struct vcpu *cpu[CPUS];

static void lapic_put(struct vcpu *vcpu, uint32_t offset, uint32_t value)
{
	CHECK_EQ(lapic_mmio_write(vcpu, offset, 4, value), 0);
}

static uint32_t get(uint8_t reg)
{
	uint64_t value = ~0ull;

	ioapic_mmio_write(vm, 0x00, 4, reg);
	ioapic_mmio_read(vm, 0x10, 4, &value);
	return (uint32_t)value;
}

static void put(uint8_t reg, uint32_t value)
{
	ioapic_mmio_write(vm, 0x00, 4, reg);
	ioapic_mmio_write(vm, 0x10, 4, value);
}

static void route(unsigned int pin, uint8_t destination, uint32_t low)
{
	put((uint8_t)(0x11 + 2 * pin), (uint32_t)destination << 24);
	put((uint8_t)(0x10 + 2 * pin), low);
}

static void set_up(void)
{
	vm = fake_vm_create(CPUS);
	for (int i = 0; i < CPUS; i++) {
		cpu[i] = fake_vm_vcpu(vm, i);
		lapic_put(cpu[i], 0xf0, 0x1ff);
	}
}

static void tear_down(void)
{
	fake_vm_destroy(vm);
}

static int take(struct vcpu *vcpu)
{
	int vector = lapic_pending(vcpu);

	if (vector >= 0)
		lapic_accept(vcpu, (uint8_t)vector);
	return vector;
}

static void eoi(struct vcpu *vcpu)
{
	lapic_put(vcpu, 0xb0, 0);
}

/* The redirection entry of a pin. */
static uint64_t entry_of(unsigned int pin)
{
	return (uint64_t)get((uint8_t)(0x11 + 2 * pin)) << 32 | get((uint8_t)(0x10 + 2 * pin));
}

static bool remote_irr(unsigned int pin)
{
	return entry_of(pin) & 0x4000;
}

TEST(registers)
{
	set_up();
	CHECK_EQ(get(1), 0x001f0020);
	CHECK_EQ(get(0), 0);
	put(0, 0xffffffff);
	CHECK_EQ(get(0), 0x0f000000);
	CHECK_EQ(get(2), 0x0f000000);
	put(1, 0); /* read-only */
	CHECK_EQ(get(1), 0x001f0020);
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++)
		CHECK_EQ(entry_of(pin), MASKED);
	put(0x10 + 2 * 31, 0xffffffff);
	put(0x11 + 2 * 31, 0xffffffff);
	CHECK_EQ(get(0x10 + 2 * 31), 0x1afff);
	CHECK_EQ(get(0x11 + 2 * 31), 0xff000000);
	put(0x50, 0x12345678); /* beyond the last entry */
	CHECK_EQ(get(0x50), 0);
	CHECK_EQ(get(0xff), 0);
	CHECK_EQ(get(0x0f), 0);
	CHECK_EQ(entry_of(99), 0);
	tear_down();
}

TEST(access_sizes)
{
	uint64_t value;

	set_up();
	ioapic_mmio_write(vm, 0, 1, 1); /* the index takes any size */
	ioapic_mmio_read(vm, 0, 8, &value);
	CHECK_EQ(value, 1);
	ioapic_mmio_read(vm, 0x10, 1, &value);
	CHECK_EQ(value, 0x20);
	ioapic_mmio_read(vm, 0x12, 2, &value);
	CHECK_EQ(value, 0x1f);
	ioapic_mmio_read(vm, 0x14, 4, &value);
	CHECK_EQ(value, 0);
	ioapic_mmio_read(vm, 0xffd, 8, &value);
	CHECK_EQ(value, 0);
	ioapic_mmio_write(vm, 0, 4, 0x10);
	ioapic_mmio_write(vm, 0x10, 1, 0x33);
	ioapic_mmio_write(vm, 0x11, 4, 0x33);
	CHECK_EQ(get(0x10), MASKED);
	tear_down();
}

TEST(pins_out_of_range)
{
	set_up();
	CHECK_EQ(ioapic_assert(vm, -1), -EINVAL);
	CHECK_EQ(ioapic_deassert(vm, 32), -EINVAL);
	CHECK_EQ(ioapic_pulse(vm, 32), -EINVAL);
	CHECK_EQ(ioapic_pulse(vm, 31), 0);
	CHECK_EQ(ioapic_tick(vm, 32), IRQ_IGNORED);
	CHECK_EQ(ioapic_assert(vm, 0), 0);
	CHECK_EQ(ioapic_deassert(vm, 0), 0);
	CHECK_EQ(ioapic_pulse(vm, 0), 0);
	tear_down();
}

TEST(edge)
{
	set_up();
	CHECK_EQ(ioapic_tick(vm, 5), IRQ_IGNORED); /* masked: lost */
	route(5, 1, 0x45);
	CHECK_EQ(take(cpu[1]), -1);
	CHECK_EQ(ioapic_assert(vm, 5), 0);
	CHECK_EQ(take(cpu[1]), 0x45);
	CHECK(!remote_irr(5));
	CHECK_EQ(ioapic_assert(vm, 5), 0); /* a second source: no edge */
	CHECK(!lapic_has_work(cpu[1]));
	CHECK_EQ(ioapic_deassert(vm, 5), 0);
	CHECK_EQ(ioapic_assert(vm, 5), 0);
	CHECK(!lapic_has_work(cpu[1]));
	CHECK_EQ(ioapic_deassert(vm, 5), 0);
	CHECK_EQ(ioapic_deassert(vm, 5), 0);
	CHECK_EQ(ioapic_deassert(vm, 5), 0); /* one too many does no harm */
	CHECK_EQ(ioapic_assert(vm, 5), 0);
	CHECK(lapic_has_work(cpu[1]));
	tear_down();
}

TEST(tick_outcomes)
{
	set_up();
	route(2, 0, 0x30);
	CHECK_EQ(ioapic_tick(vm, 2), IRQ_DELIVERED);
	CHECK_EQ(ioapic_tick(vm, 2), IRQ_COALESCED); /* still pending */
	CHECK_EQ(take(cpu[0]), 0x30);
	CHECK_EQ(ioapic_tick(vm, 2), IRQ_DELIVERED);
	route(2, 77, 0x30);
	CHECK_EQ(ioapic_tick(vm, 2), IRQ_IGNORED); /* nobody there */
	route(2, 0, 0x30 | MASKED);
	CHECK_EQ(ioapic_tick(vm, 2), IRQ_IGNORED);
	tear_down();
}

TEST(level_until_deasserted)
{
	set_up();
	route(20, 0, 0x50 | LEVEL);
	ioapic_assert(vm, 20);
	CHECK(remote_irr(20));
	CHECK_EQ(take(cpu[0]), 0x50);
	ioapic_assert(vm, 20); /* a second source of the same line */
	CHECK(!lapic_has_work(cpu[0]));
	eoi(cpu[0]);
	CHECK_EQ(take(cpu[0]), 0x50); /* still asserted: again */
	ioapic_deassert(vm, 20);
	eoi(cpu[0]);
	CHECK_EQ(take(cpu[0]), 0x50);
	ioapic_deassert(vm, 20);
	CHECK(remote_irr(20));
	eoi(cpu[0]);
	CHECK_EQ(take(cpu[0]), -1);
	CHECK(!remote_irr(20));
	tear_down();
}

TEST(level_behind_a_mask)
{
	set_up();
	route(20, 0, 0x50 | LEVEL | MASKED);
	ioapic_assert(vm, 20);
	CHECK_EQ(take(cpu[0]), -1);
	put(0x10 + 40, 0x50 | LEVEL);
	CHECK_EQ(take(cpu[0]), 0x50);
	/* Masked meanwhile, as guests do in a handler: nothing until unmasked. */
	put(0x10 + 40, 0x50 | LEVEL | MASKED);
	eoi(cpu[0]);
	CHECK(!remote_irr(20));
	CHECK_EQ(take(cpu[0]), -1);
	put(0x10 + 40, 0x50 | LEVEL);
	CHECK_EQ(take(cpu[0]), 0x50);
	tear_down();
}

TEST(edge_mode_clears_remote_irr)
{
	set_up();
	route(20, 0, 0x50 | LEVEL);
	ioapic_assert(vm, 20);
	CHECK(remote_irr(20));
	put(0x10 + 40, 0x50 | LEVEL | 0x5000); /* read-only bits */
	CHECK(remote_irr(20));
	put(0x10 + 40, 0x50 | MASKED);
	CHECK(!remote_irr(20));
	tear_down();
}

TEST(level_that_nobody_takes_is_tried_again)
{
	set_up();
	lapic_put(cpu[1], 0xf0, 0xff); /* disabled */
	route(20, 1, 0x50 | LEVEL);
	ioapic_assert(vm, 20);
	CHECK(!remote_irr(20));
	lapic_put(cpu[1], 0xf0, 0x1ff);
	put(0x10 + 40, 0x50 | LEVEL);
	CHECK_EQ(take(cpu[1]), 0x50);
	tear_down();
}

TEST(eoi_of_shared_vector_and_register)
{
	set_up();
	route(20, 0, 0x50 | LEVEL);
	route(21, 0, 0x50 | LEVEL);
	route(22, 0, 0x51 | LEVEL);
	ioapic_assert(vm, 20);
	ioapic_assert(vm, 21);
	ioapic_assert(vm, 22);
	ioapic_deassert(vm, 20);
	CHECK_EQ(take(cpu[0]), 0x51);
	CHECK(remote_irr(20) && remote_irr(21) && remote_irr(22));
	/* Directed EOI: the vector of 20 and 21. */
	ioapic_mmio_write(vm, 0x40, 4, 0x50);
	CHECK(!remote_irr(20));
	CHECK(remote_irr(21)); /* asserted, hence sent again */
	CHECK(remote_irr(22));
	tear_down();
}

TEST(eoi_broadcast_suppressed)
{
	set_up();
	lapic_put(cpu[0], 0xf0, 0x11ff);
	route(20, 0, 0x50 | LEVEL);
	ioapic_assert(vm, 20);
	ioapic_deassert(vm, 20);
	CHECK_EQ(take(cpu[0]), 0x50);
	eoi(cpu[0]);
	CHECK(remote_irr(20));
	ioapic_mmio_write(vm, 0x40, 4, 0x50);
	CHECK(!remote_irr(20));
	tear_down();
}

/* An edge's EOI must not end another pin's level of the same vector on its way. */
TEST(edge_eoi_is_not_told)
{
	set_up();
	route(20, 1, 0x50 | LEVEL);
	route(4, 0, 0x50);
	ioapic_assert(vm, 20);
	ioapic_pulse(vm, 4);
	CHECK_EQ(take(cpu[0]), 0x50);
	eoi(cpu[0]);
	CHECK(remote_irr(20));
	CHECK_EQ(take(cpu[1]), 0x50);
	eoi(cpu[1]);
	CHECK_EQ(take(cpu[1]), 0x50);
	tear_down();
}

TEST(delivery_modes)
{
	set_up();
	route(7, 1, 0x400); /* NMI */
	ioapic_pulse(vm, 7);
	CHECK_EQ(cpu[1]->nmi_pending, 1);
	route(7, 2, 0x500 | LEVEL); /* INIT; has no level */
	(void)fake_requests(cpu[2]);
	ioapic_pulse(vm, 7);
	CHECK_EQ(fake_requests(cpu[2]), VCPU_REQ_INIT);
	CHECK(!remote_irr(7));
	route(7, 2, 0x200); /* SMI */
	CHECK_EQ(ioapic_tick(vm, 7), IRQ_IGNORED);
	route(7, 2, 0x630); /* no such mode */
	CHECK_EQ(ioapic_tick(vm, 7), IRQ_IGNORED);
	CHECK_EQ(fake_requests(cpu[2]), 0);
	route(7, 0xff, 0x60); /* broadcast */
	ioapic_pulse(vm, 7);
	for (int i = 0; i < CPUS; i++)
		CHECK_EQ(take(cpu[i]), 0x60);
	lapic_put(cpu[1], 0xd0, 0x02000000);
	route(7, 2, 0x871); /* logical */
	ioapic_pulse(vm, 7);
	CHECK_EQ(take(cpu[1]), 0x71);
	CHECK_EQ(take(cpu[2]), -1);
	tear_down();
}

TEST(reset_masks_all_and_forgets_levels)
{
	set_up();
	route(20, 0, 0x50 | LEVEL);
	ioapic_assert(vm, 20);
	ioapic_reset(vm);
	CHECK_EQ(entry_of(20), MASKED);
	(void)take(cpu[0]);
	eoi(cpu[0]);
	route(20, 0, 0x50 | LEVEL);
	CHECK_EQ(take(cpu[0]), -1);
	tear_down();
}
