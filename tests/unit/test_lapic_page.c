// SPDX-License-Identifier: BSD-2-Clause
/* The local APIC's registers in a page that a processor shares (SDM vol. 3, chapter 29). */
#include "lapic_vm.h"

#include "dev/ioapic.h"

static uint8_t *page[CPUS];

static void share(struct vcpu *vcpu)
{
	page[vcpu->id] = lapic_page(vcpu, true);
}

static uint32_t *in_page(struct vcpu *vcpu, uint32_t offset)
{
	return (uint32_t *)(page[vcpu->id] + offset);
}

/* The guest writes, the processor puts it into the page, and exits. */
static int page_write(struct vcpu *vcpu, uint32_t offset, uint32_t value)
{
	*in_page(vcpu, offset) = value;
	return lapic_virtual_write(vcpu, offset);
}

/* Registers that the processor answers reads of in the page (SDM vol. 3, 29.4.2). */
static const uint32_t shown[] = {
	0x020, 0x030, 0x080, 0x0d0, 0x0e0, 0x0f0, 0x100, 0x110, 0x120, 0x130, 0x140,
	0x150, 0x160, 0x170, 0x180, 0x190, 0x1a0, 0x1b0, 0x1c0, 0x1d0, 0x1e0, 0x1f0,
	0x200, 0x210, 0x220, 0x230, 0x240, 0x250, 0x260, 0x270, 0x280, 0x2f0, 0x300,
	0x310, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0,
};

static void check_shown(struct vcpu *vcpu)
{
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
		CHECK_EQ_AT(*in_page(vcpu, shown[i]), get(vcpu, shown[i]), "register %#x",
			    shown[i]);
}

static void check_shown_x2apic(struct vcpu *vcpu)
{
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
		uint64_t value;

		if (shown[i] == DFR || shown[i] == ICR_HIGH)
			continue;
		CHECK_EQ(rd(vcpu, shown[i], &value), 0);
		CHECK_EQ_AT(*in_page(vcpu, shown[i]), (uint32_t)value, "register %#x", shown[i]);
	}
}

TEST(page_shows_every_register)
{
	set_up();
	share(cpu[2]);
	check_shown(cpu[2]);
	put(cpu[2], LVT_LINT0, 0x8041);
	put(cpu[2], LDR, 0xff000000);
	put(cpu[2], DFR, 0x0fffffff);
	put(cpu[2], TPR, 0x35);
	put(cpu[2], ICR_HIGH, 0x7000000);
	put(cpu[2], LVT_TIMER, 0x20041);
	put(cpu[2], DIVIDE, 3);
	put(cpu[2], INITIAL_COUNT, 12345);
	put(cpu[2], SELF_IPI, 1); /* no such register here: an error */
	put(cpu[2], ESR, 0);
	lapic_post(cpu[2], 0x51, true);
	lapic_post(cpu[2], 0x91, true);
	CHECK_EQ(take(cpu[2]), 0x91);
	check_shown(cpu[2]);
	CHECK_EQ(*in_page(cpu[2], ESR), 0x80);
	CHECK_EQ(*in_page(cpu[2], ID), 2u << 24);
	put(cpu[2], SVR, 0xff); /* masks the LVT as well */
	check_shown(cpu[2]);
	CHECK_EQ(*in_page(cpu[2], LVT_LINT0), 0x18041);
	put(cpu[2], SVR, 0x1ff);
	enter_x2apic(cpu[2]);
	check_shown_x2apic(cpu[2]);
	CHECK_EQ(*in_page(cpu[2], ID), 2);
	CHECK_EQ(*in_page(cpu[2], LDR), 4);
	CHECK_EQ(wr(cpu[2], LVT_ERROR, 0x33), 0);
	check_shown_x2apic(cpu[2]);
	lapic_reset(cpu[2], false);
	check_shown(cpu[2]);
	CHECK_EQ(*in_page(cpu[2], ICR_HIGH), 0);
	tear_down();
}

/* All but the ID, which cannot be the same. */
static void check_equal(struct vcpu *a, struct vcpu *b, uint32_t offset)
{
	for (size_t i = 1; i < ARRAY_SIZE(shown); i++)
		CHECK_EQ_AT(get(b, shown[i]), get(a, shown[i]), "register %#x after %#x", shown[i],
			    offset);
	CHECK_EQ(get(b, CURRENT_COUNT), get(a, CURRENT_COUNT));
	CHECK_EQ(get(b, PPR), get(a, PPR));
}

static const struct {
	uint32_t offset, value;
} writes[] = {
	{ TPR, 0x4321 },
	{ LDR, 0x12345678 },
	{ DFR, 0 },
	{ SVR, 0xffffffff },
	{ ID, 0xff000000 },
	{ VERSION, 0 },
	{ LVT_TIMER, 0xffffff41 },
	{ LVT_TIMER, 0x20041 },
	{ DIVIDE, 0xff },
	{ INITIAL_COUNT, 4000 },
	{ LVT_LINT0, 0xffffffff },
	{ LVT_LINT1, 0xa431 },
	{ 0x330, 0x61 },
	{ 0x340, 0x462 },
	{ LVT_ERROR, 0xffff0e63 },
	{ 0x2f0, 0x464 },
	{ ESR, 0xffffffff },
	{ ICR_HIGH, 0x0fffffff },
	{ ICR_LOW, 0x44071 },
	{ ICR_LOW, 0xffff4572 },
	{ ICR_LOW, 0x4400f },
	{ EOI, 0 },
	{ SVR, 0x0ff },
	{ LVT_LINT0, 0x700 },
	{ SVR, 0x11ff },
	{ INITIAL_COUNT, 0 },
	{ TPR, 0 },
	{ 0x090, 5 },
	{ PPR, 5 },
	{ ISR, 5 },
};

/* The count goes with the mode (SDM vol. 3, 10.5.4.1). */
TEST(page_shows_the_count_that_a_change_of_mode_clears)
{
	set_up();
	share(cpu[2]);
	CHECK_EQ(page_write(cpu[2], 0x380, 1000), 0);
	CHECK_EQ(*in_page(cpu[2], 0x380), 1000);
	CHECK_EQ(page_write(cpu[2], 0x320, 0x400ec), 0);
	CHECK_EQ(*in_page(cpu[2], 0x380), 0);
	check_shown(cpu[2]);
}

TEST(writes_by_way_of_the_page_are_writes)
{
	set_up();
	share(cpu[2]);
	for (int i = 1; i <= 2; i++) {
		lapic_post(cpu[i], 0x82, true);
		CHECK_EQ(take(cpu[i]), 0x82);
	}
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		uint32_t offset = writes[i].offset;

		put(cpu[1], offset, writes[i].value);
		if (offset < ISR || offset > 0x27f) {
			uint32_t old = *in_page(cpu[2], offset);

			CHECK_EQ(page_write(cpu[2], offset, writes[i].value), 0);
			/* What cannot be written the processor writes no more than we. */
			if (offset == ID || offset == VERSION || offset == 0x090 || offset == PPR)
				*in_page(cpu[2], offset) = old;
		}
		check_equal(cpu[1], cpu[2], offset);
		check_shown(cpu[2]);
	}
	tear_down();
}

/* Those that are legal: others are faults before the write (SDM vol. 3, 29.5). */
TEST(x2apic_writes_by_way_of_the_page_are_writes)
{
	static const struct {
		uint32_t offset, value;
	} legal[] = {
		{ TPR, 0x21 },	      { SVR, 0x1aa },	   { LVT_TIMER, 0x41 },
		{ LVT_LINT1, 0x400 }, { DIVIDE, 0xb },	   { INITIAL_COUNT, 999 },
		{ ESR, 0 },	      { LVT_ERROR, 0x33 }, { SELF_IPI, 0x55 },
		{ SELF_IPI, 0x0f },   { EOI, 0 },	   { ICR_LOW, 0x40099 },
	};

	set_up();
	enter_x2apic(cpu[1]);
	enter_x2apic(cpu[2]);
	share(cpu[2]);
	for (size_t i = 0; i < ARRAY_SIZE(legal); i++) {
		CHECK_EQ(wr(cpu[1], legal[i].offset, legal[i].value), 0);
		CHECK_EQ(page_write(cpu[2], legal[i].offset, legal[i].value), 0);
		for (size_t j = 1; j < ARRAY_SIZE(shown); j++) {
			uint64_t a, b;

			if (shown[j] == LDR || rd(cpu[1], shown[j], &a))
				continue;
			CHECK_EQ(rd(cpu[2], shown[j], &b), 0);
			CHECK_EQ_AT(b, a, "register %#x, row %zu", shown[j], i);
		}
	}
	check_shown_x2apic(cpu[2]);
	tear_down();
}

/* The processor takes writes of ICR's high half without a word. */
TEST(destination_in_the_page_is_kept)
{
	set_up();
	share(cpu[0]);
	*in_page(cpu[0], ICR_HIGH) = 3u << 24;
	CHECK_EQ(get(cpu[0], ICR_HIGH), 3u << 24); /* by an instruction that is emulated */
	CHECK_EQ(page_write(cpu[0], SVR, 0x1fe), 0);
	CHECK_EQ(lapic_set_base(cpu[0], lapic_get_base(cpu[0]) ^ LAPIC_BASE_BSP), 0);
	CHECK_EQ(*in_page(cpu[0], ICR_HIGH), 3u << 24);
	CHECK_EQ(page_write(cpu[0], ICR_LOW, 0x4044), 0);
	CHECK_EQ(lapic_pending(cpu[3]), 0x44);
	CHECK_EQ(lapic_pending(cpu[1]), -1);
	tear_down();
}

TEST(ipi_by_way_of_the_page_becomes_an_exit)
{
	set_up();
	cpu[0]->capabilities = 1u << VM_CAP_IPI_EXIT;
	cpu[0]->rip = 0x1003; /* the write is done */
	share(cpu[0]);
	*in_page(cpu[0], ICR_HIGH) = 2u << 24;
	CHECK_EQ(page_write(cpu[0], ICR_LOW, 0x4500), 1);
	CHECK_EQ(cpu[0]->exit.exitcode, VM_EXITCODE_IPI);
	CHECK_EQ(lapic_ipi_destinations(cpu[0])[0], 1u << 2);
	CHECK_EQ(cpu[0]->resume_rip, 0x1003);
	tear_down();
}

/* As the processor leaves it: ours is to see what it has requested and put in service. */
TEST(page_is_where_interrupts_are)
{
	set_up();
	share(cpu[1]);
	*in_page(cpu[1], IRR + 0x20) = 1u << 5; /* an IPI to itself: vector 0x45 */
	CHECK(lapic_has_work(cpu[1]));
	CHECK_EQ(lapic_pending(cpu[1]), 0x45);
	CHECK_EQ(lapic_highest_request(cpu[1]), 0x45);
	*in_page(cpu[1], IRR + 0x20) = 0;
	*in_page(cpu[1], ISR + 0x20) = 1u << 5;
	CHECK_EQ(lapic_pending(cpu[1]), -1);
	CHECK_EQ(lapic_in_service(cpu[1]), 0x45);
	CHECK_EQ(get(cpu[1], PPR), 0x40);
	lapic_post(cpu[1], 0x48, false);
	CHECK_EQ(lapic_highest_request(cpu[1]), 0x48); /* whatever the priority */
	CHECK_EQ(lapic_pending(cpu[1]), -1);
	*in_page(cpu[1], ISR + 0x20) = 0;
	CHECK_EQ(lapic_in_service(cpu[1]), 0);
	CHECK_EQ(lapic_pending(cpu[1]), 0x48);
	tear_down();
}

TEST(level_vectors_are_the_triggers)
{
	set_up();
	share(cpu[1]);
	lapic_post(cpu[1], 0x31, true);
	lapic_post(cpu[1], 0x5f, true);
	lapic_post(cpu[1], 0x60, false);
	lapic_post(cpu[1], 0xff, true);
	(void)lapic_has_work(cpu[1]);
	CHECK_EQ(lapic_level_vectors(cpu[1], 0), 1ull << 0x31);
	CHECK_EQ(lapic_level_vectors(cpu[1], 1), 1ull << 0x1f);
	CHECK_EQ(lapic_level_vectors(cpu[1], 2), 0);
	CHECK_EQ(lapic_level_vectors(cpu[1], 3), 1ull << 0x3f);
	lapic_post(cpu[1], 0x31, false);
	(void)lapic_has_work(cpu[1]);
	CHECK_EQ(lapic_level_vectors(cpu[1], 0), 0);
	tear_down();
}

/* The I/O APIC's line is still high: its EOI sends the interrupt again. */
TEST(virtual_eoi_reaches_the_ioapic)
{
	set_up();
	share(cpu[1]);
	ioapic_mmio_write(vm, 0, 4, 0x10 + 2 * 9 + 1);
	ioapic_mmio_write(vm, 0x10, 4, 1u << 24);
	ioapic_mmio_write(vm, 0, 4, 0x10 + 2 * 9);
	ioapic_mmio_write(vm, 0x10, 4, 0x8041);
	CHECK_EQ(ioapic_assert(vm, 9), 0);
	CHECK_EQ(take(cpu[1]), 0x41);
	*in_page(cpu[1], ISR + 0x20) = 0; /* the processor's part of it */
	CHECK_EQ(lapic_pending(cpu[1]), -1);
	lapic_virtual_eoi(cpu[1], 0x41);
	CHECK_EQ(lapic_pending(cpu[1]), 0x41);
	tear_down();
}
