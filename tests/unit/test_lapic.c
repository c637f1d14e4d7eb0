// SPDX-License-Identifier: BSD-2-Clause
/* The local APIC: registers, priorities, messages. Its timer is test_lapic_timer.c. */
#include "lapic_vm.h"

#include <pthread.h>

#include "dev/device.h"
#include "dev/ioapic.h"
#include "dev/periodic.h"
#include "dev/pic.h"

/* --- state ------------------------------------------------------------------------ */

TEST(registers_after_reset)
{
	set_up();
	lapic_reset(cpu[0], false);
	lapic_reset(cpu[3], false);
	CHECK_EQ(get(cpu[3], ID), 3u << 24);
	CHECK_EQ(get(cpu[0], VERSION), 0x01060014);
	CHECK_EQ(get(cpu[0], SVR), 0xff);
	CHECK_EQ(get(cpu[0], DFR), 0xffffffff);
	CHECK_EQ(get(cpu[0], LDR), 0);
	CHECK_EQ(get(cpu[0], TPR), 0);
	CHECK_EQ(get(cpu[0], LVT_TIMER), MASKED);
	CHECK_EQ(get(cpu[0], LVT_ERROR), MASKED);
	CHECK_EQ(get(cpu[0], LVT_LINT0), 0x700); /* virtual wire */
	CHECK_EQ(get(cpu[3], LVT_LINT0), MASKED);
	CHECK_EQ(lapic_get_base(cpu[0]), 0xfee00900);
	CHECK_EQ(lapic_get_base(cpu[3]), 0xfee00800);
	CHECK_EQ(lapic_get_x2apic_state(cpu[0]), X2APIC_DISABLED);
	tear_down();
}

TEST(reset_forgets_interrupts_and_timer)
{
	set_up();
	put(cpu[1], LVT_TIMER, 0x40);
	put(cpu[1], INITIAL_COUNT, 1000000);
	lapic_post(cpu[1], 0x50, false);
	(void)lapic_pending(cpu[1]);
	lapic_post(cpu[1], 0x60, true);
	lapic_post(cpu[1], 0x70, true);
	CHECK_EQ(take(cpu[1]), 0x70);
	lapic_post(cpu[1], 0x71, false); /* not yet seen by the owner */
	fake_vcpu(cpu[1])->reg[VM_REG_GUEST_TPR] = 3;
	lapic_reset(cpu[1], true);
	CHECK(!lapic_has_work(cpu[1]));
	for (uint32_t i = 0; i < 8; i++) {
		CHECK_EQ(get(cpu[1], ISR + 16 * i), 0);
		CHECK_EQ(get(cpu[1], TMR + 16 * i), 0);
		CHECK_EQ(get(cpu[1], IRR + 16 * i), 0);
	}
	CHECK_EQ(os_user_timers(), 0);
	CHECK_EQ(get(cpu[1], INITIAL_COUNT), 0);
	CHECK_EQ(get(cpu[1], TPR), 0);
	tear_down();
}

TEST(init_keeps_mode)
{
	set_up();
	enter_x2apic(cpu[1]);
	lapic_reset(cpu[1], true);
	CHECK_EQ(lapic_get_base(cpu[1]), 0xfee00c00);
	lapic_reset(cpu[1], false);
	CHECK_EQ(lapic_get_base(cpu[1]), 0xfee00800);
	tear_down();
}

/* --- delivery and priority ------------------------------------------------ */

TEST(interrupt_goes_through_irr_and_isr)
{
	set_up();
	CHECK_EQ(lapic_pending(cpu[0]), -1);
	CHECK_EQ(lapic_post(cpu[0], 0x61, false), IRQ_DELIVERED);
	CHECK_EQ(fake_requests(cpu[0]), VCPU_REQ_EVENT);
	CHECK_EQ(lapic_post(cpu[0], 0x61, false), IRQ_COALESCED);
	CHECK_EQ(get(cpu[0], IRR + 0x30), 2); /* seen before it is looked for */
	CHECK(lapic_has_work(cpu[0]));
	CHECK_EQ(lapic_post(cpu[0], 0x61, false), IRQ_COALESCED);
	CHECK_EQ(lapic_pending(cpu[0]), 0x61);
	CHECK_EQ(get(cpu[0], IRR + 0x30), 2);
	CHECK_EQ(take(cpu[0]), 0x61);
	CHECK_EQ(get(cpu[0], IRR + 0x30), 0);
	CHECK_EQ(get(cpu[0], ISR + 0x30), 2);
	CHECK_EQ(get(cpu[0], PPR), 0x60);
	CHECK(!lapic_has_work(cpu[0]));
	put(cpu[0], EOI, 0);
	CHECK_EQ(get(cpu[0], ISR + 0x30), 0);
	CHECK_EQ(get(cpu[0], PPR), 0);
	put(cpu[0], EOI, 0); /* nothing in service: no effect */
	CHECK_EQ(lapic_pending(cpu[0]), -1);
	tear_down();
}

TEST(every_vector_once)
{
	set_up();
	for (int vector = 16; vector < 256; vector++) {
		CHECK_EQ_AT(lapic_post(cpu[0], (uint8_t)vector, false), IRQ_DELIVERED, "%d",
			    vector);
	}
	for (int vector = 255; vector >= 16; vector--) {
		CHECK_EQ(take(cpu[0]), vector);
		put(cpu[0], EOI, 0);
	}
	CHECK_EQ(lapic_pending(cpu[0]), -1);
	tear_down();
}

TEST(same_class_waits_for_eoi)
{
	set_up();
	lapic_post(cpu[0], 0x51, false);
	CHECK_EQ(take(cpu[0]), 0x51);
	lapic_post(cpu[0], 0x5f, false);
	CHECK_EQ(lapic_pending(cpu[0]), -1);
	CHECK_EQ(lapic_blocked_by_tpr(cpu[0]), -1);
	lapic_post(cpu[0], 0x60, false);
	CHECK_EQ(take(cpu[0]), 0x60);
	put(cpu[0], EOI, 0);
	CHECK_EQ(lapic_pending(cpu[0]), -1);
	(void)fake_requests(cpu[0]);
	put(cpu[0], EOI, 0);
	CHECK_EQ(fake_requests(cpu[0]), VCPU_REQ_EVENT);
	CHECK_EQ(take(cpu[0]), 0x5f);
	tear_down();
}

TEST(tpr_holds_back)
{
	set_up();
	lapic_post(cpu[0], 0x45, false);
	put(cpu[0], TPR, 0x47);
	CHECK_EQ(fake_vcpu(cpu[0])->reg[VM_REG_GUEST_TPR], 4);
	CHECK_EQ(get(cpu[0], TPR), 0x47);
	CHECK_EQ(get(cpu[0], PPR), 0x47);
	CHECK_EQ(lapic_pending(cpu[0]), -1);
	CHECK_EQ(lapic_blocked_by_tpr(cpu[0]), 0x45);
	CHECK_EQ(lapic_highest_request(cpu[0]), 0x45);
	/* The guest moves CR8 without us: the low bits are gone. */
	fake_vcpu(cpu[0])->reg[VM_REG_GUEST_TPR] = 3;
	CHECK_EQ(get(cpu[0], TPR), 0x30);
	CHECK_EQ(lapic_blocked_by_tpr(cpu[0]), -1);
	CHECK_EQ(lapic_pending(cpu[0]), 0x45);
	put(cpu[0], TPR, 0xff);
	(void)fake_requests(cpu[0]);
	put(cpu[0], TPR, 0);
	CHECK_EQ(fake_requests(cpu[0]), VCPU_REQ_EVENT);
	tear_down();
}

TEST(software_disable_masks_and_ignores)
{
	set_up();
	put(cpu[0], LVT_LINT1, 0x400);
	lapic_post(cpu[0], 0x80, false);
	put(cpu[0], SVR, 0xff);
	CHECK_EQ(get(cpu[0], LVT_LINT1), 0x400 | MASKED);
	put(cpu[0], LVT_LINT1, 0x400); /* the mask cannot be cleared now */
	CHECK_EQ(get(cpu[0], LVT_LINT1), 0x400 | MASKED);
	CHECK_EQ(lapic_post(cpu[0], 0x90, false), IRQ_IGNORED);
	CHECK_EQ(lapic_pending(cpu[0]), 0x80); /* what was there stays */
	tear_down();
}

TEST(illegal_vectors_are_errors)
{
	set_up();
	put(cpu[0], LVT_ERROR, 0xfe);
	CHECK_EQ(lapic_post(cpu[0], 15, false), IRQ_IGNORED);
	CHECK_EQ(take(cpu[0]), 0xfe);
	put(cpu[0], EOI, 0);
	CHECK_EQ(get(cpu[0], ESR), 0);
	put(cpu[0], ESR, 0);
	CHECK_EQ(get(cpu[0], ESR), 0x40);
	put(cpu[0], ESR, 0);
	CHECK_EQ(get(cpu[0], ESR), 0);

	put(cpu[0], ICR_HIGH, 1u << 24);
	put(cpu[0], ICR_LOW, 5);
	CHECK(!lapic_has_work(cpu[1]));
	put(cpu[1], ESR, 0);
	CHECK_EQ(get(cpu[1], ESR), 0); /* it was not sent */
	CHECK_EQ(take(cpu[0]), 0xfe);
	put(cpu[0], ESR, 0);
	CHECK_EQ(get(cpu[0], ESR), 0x20);
	put(cpu[0], EOI, 0);

	CHECK_EQ(get(cpu[0], 0x3c0), 0);
	put(cpu[0], ESR, 0);
	CHECK_EQ(get(cpu[0], ESR), 0x80);
	/* An error entry that is itself illegal raises nothing, and ends. */
	put(cpu[0], LVT_ERROR, 3);
	lapic_post(cpu[0], 3, false);
	put(cpu[0], EOI, 0);
	CHECK_EQ(lapic_pending(cpu[0]), -1);
	tear_down();
}

/* --- accesses ------------------------------------------------------------- */

TEST(access_sizes)
{
	uint64_t value;

	set_up();
	put(cpu[0], LVT_TIMER, 0x00030020);
	CHECK_EQ(lapic_mmio_read(cpu[0], LVT_TIMER, 1, &value), 0);
	CHECK_EQ(value, 0x20);
	CHECK_EQ(lapic_mmio_read(cpu[0], LVT_TIMER + 2, 1, &value), 0);
	CHECK_EQ(value, 0x03);
	CHECK_EQ(lapic_mmio_read(cpu[0], LVT_TIMER + 1, 2, &value), 0);
	CHECK_EQ(value, 0x300);
	CHECK_EQ(lapic_mmio_read(cpu[0], LVT_TIMER, 8, &value), 0);
	CHECK_EQ(value, 0x30020);
	CHECK_EQ(lapic_mmio_read(cpu[0], LVT_TIMER + 4, 4, &value), 0);
	CHECK_EQ(value, 0);
	CHECK_EQ(lapic_mmio_read(cpu[0], 0xfff, 8, &value), 0);
	CHECK_EQ(value, 0);
	CHECK_EQ(lapic_mmio_write(cpu[0], LVT_TIMER, 1, 0xff), 0);
	CHECK_EQ(lapic_mmio_write(cpu[0], LVT_TIMER, 2, 0xffff), 0);
	CHECK_EQ(lapic_mmio_write(cpu[0], LVT_TIMER + 4, 4, 0xff), 0);
	CHECK_EQ(get(cpu[0], LVT_TIMER), 0x30020);
	CHECK_EQ(lapic_mmio_write(cpu[0], LVT_TIMER, 8, 0x12345678000100f0ull), 0);
	CHECK_EQ(get(cpu[0], LVT_TIMER), 0x100f0);
	tear_down();
}

TEST(reserved_bits_are_dropped_in_memory)
{
	set_up();
	put(cpu[0], SVR, 0xffffffff);
	CHECK_EQ(get(cpu[0], SVR), 0x13ff);
	put(cpu[0], LVT_TIMER, 0xffffffff);
	CHECK_EQ(get(cpu[0], LVT_TIMER), 0x700ff);
	put(cpu[0], LVT_LINT0, 0xffffffff);
	CHECK_EQ(get(cpu[0], LVT_LINT0), 0x1a7ff);
	put(cpu[0], LVT_ERROR, 0xffffffff);
	CHECK_EQ(get(cpu[0], LVT_ERROR), 0x100ff);
	put(cpu[0], DIVIDE, 0xffffffff);
	CHECK_EQ(get(cpu[0], DIVIDE), 0xb);
	put(cpu[0], LDR, 0xffffffff);
	CHECK_EQ(get(cpu[0], LDR), 0xff000000);
	put(cpu[0], DFR, 0);
	CHECK_EQ(get(cpu[0], DFR), 0x0fffffff);
	put(cpu[0], ID, 0xffffffff); /* read-only */
	CHECK_EQ(get(cpu[0], ID), 0);
	put(cpu[0], VERSION, 0);
	CHECK_EQ(get(cpu[0], VERSION), 0x01060014);
	tear_down();
}

/* --- modes ---------------------------------------------------------------- */

TEST(apic_base_transitions)
{
	uint64_t base;

	set_up();
	base = lapic_get_base(cpu[0]);
	CHECK_EQ(lapic_set_base(cpu[0], base | LAPIC_BASE_X2APIC), -EINVAL); /* not offered */
	CHECK_EQ(lapic_set_base(cpu[0], base | 1), -EINVAL);
	CHECK_EQ(lapic_set_base(cpu[0], base | 1ull << 52), -EINVAL);
	CHECK_EQ(lapic_set_x2apic_state(cpu[0], X2APIC_STATE_LAST), -EINVAL);
	CHECK_EQ(lapic_set_x2apic_state(cpu[0], X2APIC_ENABLED), 0);
	CHECK_EQ(lapic_get_base(cpu[0]), base | LAPIC_BASE_X2APIC); /* as firmware would */
	CHECK_EQ(lapic_set_base(cpu[0], base & ~LAPIC_BASE_ENABLE), 0);
	/* Disabled: no registers, and x2APIC cannot be entered from here. */
	CHECK_EQ(lapic_mmio_base(cpu[0]), ~0ull);
	CHECK_EQ(lapic_set_base(cpu[0], base | LAPIC_BASE_X2APIC), -EINVAL);
	CHECK_EQ(lapic_post(cpu[0], 0x50, false), IRQ_IGNORED);
	CHECK_EQ(lapic_set_base(cpu[0], base), 0);
	CHECK_EQ(get(cpu[0], SVR), 0xff); /* as after reset */
	CHECK_EQ(lapic_set_base(cpu[0], base | LAPIC_BASE_X2APIC), 0);
	CHECK_EQ(lapic_mmio_base(cpu[0]), ~0ull);
	CHECK_EQ(lapic_set_base(cpu[0], base), -EINVAL); /* not back to xAPIC */
	CHECK_EQ(lapic_set_base(cpu[0], (base | LAPIC_BASE_X2APIC) & ~LAPIC_BASE_ENABLE), -EINVAL);
	CHECK_EQ(lapic_set_base(cpu[0], base & ~LAPIC_BASE_ENABLE), 0);
	/* Taking the mode away leads back to xAPIC. */
	CHECK_EQ(lapic_set_base(cpu[0], base), 0);
	CHECK_EQ(lapic_set_base(cpu[0], base | LAPIC_BASE_X2APIC), 0);
	CHECK_EQ(lapic_set_x2apic_state(cpu[0], X2APIC_DISABLED), 0);
	CHECK_EQ(lapic_get_base(cpu[0]), base);
	CHECK_EQ(lapic_mmio_base(cpu[0]), 0xfee00000);
	CHECK_EQ(get(cpu[0], LDR), 0);
	CHECK_EQ(get(cpu[0], SVR), 0xff);
	tear_down();
}

TEST(apic_base_moves)
{
	uint64_t value = 0;

	set_up();
	CHECK_EQ(lapic_set_base(cpu[0], 0xf0000900), 0);
	CHECK_EQ(device_mmio(cpu[0], 0xf0000020, false, 4, &value), 0);
	CHECK_EQ(device_mmio(cpu[0], 0xfee00020, false, 4, &value), -ENOENT);
	CHECK_EQ(device_mmio(cpu[1], 0xfee00020, false, 4, &value), 0);
	CHECK_EQ(device_mmio(cpu[0], 0xf0000030, false, 4, &value), 0);
	CHECK_EQ(value, 0x01060014);
	CHECK_EQ(device_mmio(cpu[0], 0xfee00030, false, 4, &value), -ENOENT);
	CHECK_EQ(get(cpu[0], SVR), 0x1ff); /* nothing was reset */
	tear_down();
}

TEST(x2apic_registers)
{
	uint64_t value;

	set_up();
	CHECK_EQ(rd(cpu[2], ID, &value), -EINVAL); /* in xAPIC mode */
	CHECK_EQ(wr(cpu[2], TPR, 0), -EINVAL);
	put(cpu[2], TPR, 0x20);
	enter_x2apic(cpu[2]);
	CHECK_EQ(rd(cpu[2], ID, &value), 0);
	CHECK_EQ(value, 2);
	CHECK_EQ(rd(cpu[2], LDR, &value), 0);
	CHECK_EQ(value, 4);
	CHECK_EQ(rd(cpu[2], TPR, &value), 0);
	CHECK_EQ(value, 0x20); /* kept */
	CHECK_EQ(rd(cpu[2], SVR, &value), 0);
	CHECK_EQ(value, 0x1ff);
	CHECK_EQ(wr(cpu[2], ICR_LOW, 0x00000003000000fdull), 0);
	CHECK_EQ(rd(cpu[2], ICR_LOW, &value), 0);
	CHECK_EQ(value, 0x00000003000000fdull);
	CHECK_EQ(lapic_pending(cpu[3]), 0xfd);
	CHECK_EQ(wr(cpu[2], SELF_IPI, 0x77), 0);
	CHECK_EQ(take(cpu[2]), 0x77);
	CHECK_EQ(wr(cpu[2], EOI, 0), 0);
	CHECK_EQ(wr(cpu[2], SELF_IPI, 0x10), 0);
	CHECK_EQ(lapic_highest_request(cpu[2]), 0x10);
	CHECK_EQ(wr(cpu[2], ESR, 0), 0);
	CHECK_EQ(rd(cpu[2], ESR, &value), 0);
	CHECK_EQ(value, 0);
	CHECK_EQ(wr(cpu[2], SELF_IPI, 0x0f), 0);
	CHECK_EQ(wr(cpu[2], ESR, 0), 0);
	CHECK_EQ(rd(cpu[2], ESR, &value), 0);
	CHECK_EQ(value, 0x20);
	CHECK_EQ(wr(cpu[2], LVT_LINT0, 0x1f7ff), 0); /* read-only bits may be written back */
	CHECK_EQ(rd(cpu[2], LVT_LINT0, &value), 0);
	CHECK_EQ(value, 0x1a7ff);
	CHECK_EQ(wr(cpu[2], 0x370, 0x15033), 0);
	CHECK_EQ(rd(cpu[2], 0x370, &value), 0);
	CHECK_EQ(value, 0x10033);
	tear_down();
}

TEST(x2apic_faults)
{
	static const uint32_t unreadable[] = { EOI,   SELF_IPI, DFR,   ICR_HIGH, 0x090, 0x0c0,
					       0x000, 0x290,	0x3a0, 0x400,	 0xff0 };
	static const uint32_t unwritable[] = {
		ID, VERSION, PPR, LDR, DFR, ISR, TMR, IRR, 0x2f1, ICR_HIGH, CURRENT_COUNT, 0x400
	};
	uint64_t value;

	set_up();
	enter_x2apic(cpu[0]);
	for (unsigned int i = 0; i < ARRAY_SIZE(unreadable); i++)
		CHECK_EQ_AT(rd(cpu[0], unreadable[i], &value), -EINVAL, "%#x", unreadable[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(unwritable); i++) {
		if (unwritable[i] != 0x2f1)
			CHECK_EQ_AT(wr(cpu[0], unwritable[i], 0), -EINVAL, "%#x", unwritable[i]);
	}
	CHECK_EQ(wr(cpu[0], TPR, 0x100), -EINVAL);
	CHECK_EQ(wr(cpu[0], TPR, 1ull << 32), -EINVAL);
	CHECK_EQ(wr(cpu[0], EOI, 1), -EINVAL);
	CHECK_EQ(wr(cpu[0], EOI, 0), 0);
	CHECK_EQ(wr(cpu[0], ESR, 1), -EINVAL);
	CHECK_EQ(wr(cpu[0], SVR, 0x2000), -EINVAL);
	CHECK_EQ(wr(cpu[0], LVT_TIMER, 0x80000), -EINVAL);
	CHECK_EQ(wr(cpu[0], ICR_LOW, 0x2000), -EINVAL);
	CHECK_EQ(wr(cpu[0], DIVIDE, 4), -EINVAL);
	CHECK_EQ(wr(cpu[0], SELF_IPI, 0x100), -EINVAL);
	tear_down();
}

/* --- messages ------------------------------------------------------------- */

/* Which vCPUs have 'vector' pending; takes it from them. */
static unsigned int receivers(uint8_t vector)
{
	unsigned int set = 0;

	for (int i = 0; i < CPUS; i++) {
		if (lapic_pending(cpu[i]) != vector)
			continue;
		lapic_accept(cpu[i], vector);
		if (lapic_mmio_base(cpu[i]) != ~0ull)
			put(cpu[i], EOI, 0);
		else
			CHECK_EQ(wr(cpu[i], EOI, 0), 0);
		set |= 1u << i;
	}
	return set;
}

static unsigned int send(uint8_t destination, uint32_t icr)
{
	put(cpu[0], ICR_HIGH, (uint32_t)destination << 24);
	put(cpu[0], ICR_LOW, icr | 0x4000);
	CHECK_EQ(get(cpu[0], ICR_LOW) & 0x1000, 0);
	return receivers((uint8_t)icr);
}

TEST(ipi_physical_and_shorthand)
{
	set_up();
	CHECK_EQ(send(2, 0xa0), 1u << 2);
	CHECK_EQ(send(0, 0xa0), 1u << 0);
	CHECK_EQ(send(9, 0xa0), 0);
	CHECK_EQ(send(0xff, 0xa0), 0xf);
	CHECK_EQ(send(2, 0x400a0), 0x1); /* self */
	CHECK_EQ(send(2, 0x800a0), 0xf); /* all */
	CHECK_EQ(send(2, 0xc00a0), 0xe); /* all but self */
	tear_down();
}

TEST(ipi_logical_flat)
{
	set_up();
	for (int i = 0; i < CPUS; i++)
		put(cpu[i], LDR, 1u << (24 + i));
	CHECK_EQ(send(0x05, 0x8a1), 0x5);
	CHECK_EQ(send(0xff, 0x8a1), 0xf);
	CHECK_EQ(send(0xf0, 0x8a1), 0);
	put(cpu[1], LDR, 0x80000000);
	CHECK_EQ(send(0xf0, 0x8a1), 0x2);
	tear_down();
}

TEST(ipi_logical_cluster)
{
	set_up();
	for (int i = 0; i < CPUS; i++) {
		put(cpu[i], DFR, 0);
		put(cpu[i], LDR, ((uint32_t)i / 2 << 4 | 1u << i % 2) << 24);
	}
	CHECK_EQ(send(0x01, 0x8a2), 0x1);
	CHECK_EQ(send(0x03, 0x8a2), 0x3);
	CHECK_EQ(send(0x12, 0x8a2), 0x8);
	CHECK_EQ(send(0x23, 0x8a2), 0);
	CHECK_EQ(send(0xf1, 0x8a2), 0x5); /* all clusters */
	CHECK_EQ(send(0xff, 0x8a2), 0xf);
	tear_down();
}

TEST(ipi_x2apic)
{
	set_up();
	for (int i = 0; i < CPUS; i++)
		enter_x2apic(cpu[i]);
	CHECK_EQ(wr(cpu[0], ICR_LOW, 0x1000000a3ull), 0);
	CHECK_EQ(receivers(0xa3), 0x2);
	CHECK_EQ(wr(cpu[0], ICR_LOW, 0xff000000a3ull), 0); /* an ID like any other */
	CHECK_EQ(receivers(0xa3), 0);
	CHECK_EQ(wr(cpu[0], ICR_LOW, 0xffffffff000000a3ull), 0);
	CHECK_EQ(receivers(0xa3), 0xf);
	CHECK_EQ(wr(cpu[0], ICR_LOW, 0x0000000a000008a3ull), 0);
	CHECK_EQ(receivers(0xa3), 0xa);
	CHECK_EQ(wr(cpu[0], ICR_LOW, 0x0001000a000008a3ull), 0); /* another cluster */
	CHECK_EQ(receivers(0xa3), 0);
	CHECK_EQ(wr(cpu[0], ICR_LOW, 0x00000000000c00a3ull), 0);
	CHECK_EQ(receivers(0xa3), 0xe);
	tear_down();
}

TEST(ipi_lowest_priority)
{
	set_up();
	for (int i = 0; i < CPUS; i++)
		put(cpu[i], LDR, 1u << (24 + i));
	/* One of them, the same for the same vector. */
	unsigned int first = send(0x0f, 0x9a4);
	CHECK(first == 1 || first == 2 || first == 4 || first == 8);
	CHECK_EQ(send(0x0f, 0x9a4), first);
	/* Whose priority is known to be lower. */
	for (int i = 0; i < CPUS; i++) {
		put(cpu[i], TPR, i == 2 ? 0x10 : 0x50);
		(void)get(cpu[i], PPR);
	}
	CHECK_EQ(send(0x0f, 0x9a4), 1u << 2);
	put(cpu[2], SVR, 0xff); /* disabled: takes nothing */
	CHECK(send(0x0f, 0x9a4) != 1u << 2);
	put(cpu[2], SVR, 0x1ff);
	CHECK_EQ(send(0x40, 0x9a4), 0);
	tear_down();
}

/* Two packages of three cores of two threads. */
static const struct vm_cpu_topology packages = { .sockets = 2, .cores = 3, .threads = 2 };

TEST(ids_follow_the_topology)
{
	static const uint32_t ids[12] = { 0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13 };
	struct vcpu *last, *seventh;
	uint64_t value;

	set_up();
	tear_down();
	vm = fake_vm_create(12);
	vm->topology = packages;
	for (int i = 0; i < 12; i++) {
		struct vcpu *vcpu = fake_vm_vcpu(vm, i);

		CHECK_EQ(lapic_id(vcpu), ids[i]);
		CHECK_EQ(get(vcpu, ID), ids[i] << 24);
		CHECK_EQ(lapic_get_base(vcpu) & LAPIC_BASE_BSP, i == 0 ? LAPIC_BASE_BSP : 0);
		put(vcpu, SVR, 0x1ff);
		CHECK(vm_vcpu_of_apic_id(vm, ids[i]) == vcpu);
	}
	CHECK(!vm_vcpu_of_apic_id(vm, 6) && !vm_vcpu_of_apic_id(vm, 7));
	CHECK(!vm_vcpu_of_apic_id(vm, 14) && !vm_vcpu_of_apic_id(vm, 16));
	CHECK(!vm_vcpu_of_apic_id(vm, ~0u));
	last = vm_vcpu(vm, 11);
	seventh = vm_vcpu(vm, 6);
	put(vm_vcpu(vm, 0), ICR_HIGH, 13u << 24);
	put(vm_vcpu(vm, 0), ICR_LOW, 0x40);
	CHECK_EQ(take(last), 0x40);
	CHECK_EQ(lapic_msi(vm, 0xfee08000, 0x51), 0); /* to 8 */
	CHECK_EQ(take(seventh), 0x51);
	CHECK_EQ(lapic_msi(vm, 0xfee06000, 0x52), 0); /* to 6, which nobody is */
	for (int i = 0; i < 12; i++)
		CHECK_EQ(take(vm_vcpu(vm, i)), -1);
	enter_x2apic(last);
	CHECK_EQ(rd(last, ID, &value), 0);
	CHECK_EQ(value, 13);
	CHECK_EQ(rd(last, LDR, &value), 0);
	CHECK_EQ(value, 1u << 13);
	tear_down();
}

/* bhyve sets the topology before it makes vCPUs; another VMM process may not. */
TEST(topology_changes_ids_that_exist)
{
	uint64_t value;

	set_up();
	enter_x2apic(cpu[3]);
	vm->topology = (struct vm_cpu_topology){ .sockets = 2, .cores = 3, .threads = 1 };
	lapic_topology_changed(vm);
	CHECK_EQ(get(cpu[2], ID), 2u << 24);
	CHECK_EQ(rd(cpu[3], ID, &value), 0);
	CHECK_EQ(value, 4);
	CHECK_EQ(rd(cpu[3], LDR, &value), 0);
	CHECK_EQ(value, 1u << 4);
	CHECK_EQ(lapic_msi(vm, 0xfee04000, 0x51), 0);
	CHECK_EQ(take(cpu[3]), 0x51);
	tear_down();
}

/* VM_RUN_REPLY: INIT and start-up IPIs are the module's. */
TEST(ipi_nmi_init_startup)
{
	set_up();
	cpu[0]->reply_mode = true;
	put(cpu[0], ICR_HIGH, 1u << 24);
	put(cpu[0], ICR_LOW, 0x4400); /* NMI */
	CHECK_EQ(cpu[1]->nmi_pending, 1);
	CHECK_EQ(cpu[0]->nmi_pending, 0);
	(void)fake_requests(cpu[1]);
	put(cpu[0], ICR_LOW, 0xc500); /* INIT, asserted */
	CHECK_EQ(fake_requests(cpu[1]), VCPU_REQ_INIT);
	put(cpu[0], ICR_LOW, 0x8500); /* INIT de-asserted */
	CHECK_EQ(fake_requests(cpu[1]), 0);
	put(cpu[0], ICR_LOW, 0x4699); /* start-up */
	CHECK_EQ(fake_requests(cpu[1]), VCPU_REQ_SIPI);
	CHECK_EQ(cpu[1]->sipi_vector, 0x99);
	put(cpu[0], ICR_LOW, 0xc4400); /* NMI to all but self */
	CHECK_EQ(cpu[3]->nmi_pending, 1);
	CHECK_EQ(cpu[0]->nmi_pending, 0);
	put(cpu[0], ICR_LOW, 0x4200); /* SMI: there is none */
	put(cpu[0], ICR_LOW, 0x4700); /* ExtINT: no IPI */
	tear_down();
}

TEST(ipi_becomes_an_exit)
{
	uint64_t value = 0x4500;

	set_up();
	cpu[0]->capabilities = 1u << VM_CAP_IPI_EXIT;
	cpu[0]->rip = 0x1000;
	cpu[0]->next_rip = 0x1003;
	put(cpu[0], ICR_HIGH, 3u << 24);
	CHECK_EQ(device_mmio(cpu[0], 0xfee00300, true, 4, &value), DEVICE_EXIT);
	CHECK_EQ(cpu[0]->exit.exitcode, VM_EXITCODE_IPI);
	CHECK_EQ(cpu[0]->exit.u.ipi.mode, 0x500);
	CHECK_EQ(lapic_ipi_destinations(cpu[0])[0], 1u << 3);
	CHECK_EQ(fake_requests(cpu[3]), 0);
	CHECK_EQ(lapic_mmio_write(cpu[0], ICR_LOW, 4, 0xc4612), 1);
	CHECK_EQ(cpu[0]->exit.u.ipi.mode, 0x600);
	CHECK_EQ(cpu[0]->exit.u.ipi.vector, 0x12);
	CHECK_EQ(lapic_ipi_destinations(cpu[0])[0], 1u << 3);	    /* the others run */
	CHECK_EQ(lapic_mmio_write(cpu[0], ICR_LOW, 4, 0xc4612), 0); /* it does now */
	CHECK_EQ(lapic_mmio_write(cpu[0], ICR_LOW, 4, 0x84500), 1); /* INIT to all */
	CHECK_EQ(lapic_ipi_destinations(cpu[0])[0], 0xe);
	CHECK_EQ(lapic_mmio_write(cpu[0], ICR_LOW, 4, 0x44612), 0); /* to itself */
	CHECK_EQ(lapic_mmio_write(cpu[0], ICR_LOW, 4, 0x84612), 1); /* to all */
	CHECK_EQ(lapic_ipi_destinations(cpu[0])[0], 0xe);
	CHECK_EQ(lapic_mmio_write(cpu[0], ICR_LOW, 4, 0xc4040), 0); /* others do not */
	CHECK_EQ(receivers(0x40), 0xe);
	tear_down();
}

/* VM_RUN without the capability: one vCPU at a time, and only one that waits. */
TEST(startup_ipi_spins_up)
{
	set_up();
	cpu[0]->rip = 0x1000;
	cpu[0]->next_rip = 0x1003;
	put(cpu[0], ICR_HIGH, 3u << 24);
	CHECK_EQ(lapic_mmio_write(cpu[0], ICR_LOW, 4, 0x4612), 0); /* it runs */
	CHECK_EQ(lapic_mmio_write(cpu[0], ICR_LOW, 4, 0x4500), 0); /* INIT */
	CHECK_EQ(fake_requests(cpu[3]), 0);
	CHECK_EQ(lapic_mmio_write(cpu[0], ICR_LOW, 4, 0xc4612), 0); /* to all but itself */
	CHECK_EQ(lapic_mmio_write(cpu[0], ICR_LOW, 4, 0x4612), 1);
	CHECK_EQ(cpu[0]->exit.exitcode, VM_EXITCODE_SPINUP_AP);
	CHECK_EQ(cpu[0]->exit.u.spinup_ap.vcpu, 3);
	CHECK_EQ(cpu[0]->exit.u.spinup_ap.rip, 0x12000);
	CHECK_EQ(cpu[0]->resume_rip, 0x1003);
	CHECK_EQ(lapic_mmio_write(cpu[0], ICR_LOW, 4, 0x4612), 0);
	CHECK_EQ(fake_requests(cpu[3]), 0);
	tear_down();
}

TEST(msi)
{
	set_up();
	for (int i = 0; i < CPUS; i++)
		put(cpu[i], LDR, 1u << (24 + i));
	CHECK_EQ(lapic_msi(vm, 0xfee02000, 0x41), 0);
	CHECK_EQ(receivers(0x41), 1u << 2);
	CHECK_EQ(lapic_msi(vm, 0xfee0c004, 0x42), 0); /* logical */
	CHECK_EQ(receivers(0x42), 0xc);
	CHECK_EQ(lapic_msi(vm, 0xfeeff000, 0x43), 0);
	CHECK_EQ(receivers(0x43), 0xf);
	CHECK_EQ(lapic_msi(vm, 0xfee01000, 0x400), 0);
	CHECK_EQ(cpu[1]->nmi_pending, 1);
	CHECK_EQ(lapic_msi(vm, 0xfee01000, 0x8041), 0); /* a level let go */
	CHECK_EQ(receivers(0x41), 0);
	CHECK_EQ(lapic_msi(vm, 0xfee01000, 0xc041), 0);
	CHECK_EQ(receivers(0x41), 2);
	CHECK_EQ(lapic_msi(vm, 0xfed00000, 0x41), -EINVAL);
	CHECK_EQ(lapic_msi(vm, 0x1fee00000, 0x41), -EINVAL);
	CHECK_EQ(lapic_msi(vm, 0xfee0f00c, 0x45), 0); /* redirection hint: one of them */
	CHECK_EQ(__builtin_popcount(receivers(0x45)), 1);
	tear_down();
}

TEST(local_interrupts)
{
	set_up();
	put(cpu[0], LVT_LINT1, 0x400); /* NMI */
	CHECK_EQ(lapic_local_irq(cpu[0], LAPIC_LVT_LINT1), 0);
	CHECK_EQ(cpu[0]->nmi_pending, 1);
	CHECK_EQ(lapic_local_irq(cpu[1], LAPIC_LVT_LINT1), 0); /* masked */
	CHECK_EQ(cpu[1]->nmi_pending, 0);
	put(cpu[1], LVT_LINT0, 0x66);
	CHECK_EQ(lapic_local_irq_all(vm, LAPIC_LVT_LINT0), 0);
	CHECK_EQ(receivers(0x66), 2);
	CHECK_EQ(lapic_local_irq(cpu[0], LAPIC_LVT_COUNT), -EINVAL);
	CHECK_EQ(lapic_local_irq_all(vm, 77), -EINVAL);
	tear_down();
}

TEST(extint_paths)
{
	uint64_t low, high;

	set_up();
	lapic_reset(cpu[0], false);
	CHECK(lapic_extint_allowed(cpu[0])); /* virtual wire */
	CHECK(!lapic_extint_allowed(cpu[1]));
	put(cpu[0], SVR, 0x1ff);
	put(cpu[0], LVT_LINT0, 0x10700);
	CHECK(!lapic_extint_allowed(cpu[0]));
	put(cpu[1], LVT_LINT0, 0x700);
	CHECK(lapic_extint_allowed(cpu[1]));
	put(cpu[1], LVT_LINT0, 0x10700);
	/* Pin 0 of the I/O APIC, for vCPU 2. */
	ioapic_mmio_write(vm, 0, 4, 0x11);
	ioapic_mmio_write(vm, 0x10, 4, 2u << 24);
	ioapic_mmio_write(vm, 0, 4, 0x10);
	ioapic_mmio_write(vm, 0x10, 4, 0x700);
	ioapic_mmio_read(vm, 0x10, 4, &low);
	ioapic_mmio_write(vm, 0, 4, 0x11);
	ioapic_mmio_read(vm, 0x10, 4, &high);
	CHECK_EQ(high << 32 | low, 2ull << 56 | 0x700);
	CHECK(lapic_extint_allowed(cpu[2]));
	CHECK(!lapic_extint_allowed(cpu[1]));
	/* No APIC at all: the boot processor. */
	CHECK_EQ(lapic_set_base(cpu[0], 0xfee00100), 0);
	CHECK(lapic_extint_allowed(cpu[0]));
	tear_down();
}

/* --- through the core ----------------------------------------------------- */

static enum exit_action halt(struct vcpu *vcpu, unsigned int entry)
{
	if (entry == 100)
		return vcpu_exit_userspace(vcpu, VM_EXITCODE_BOGUS);
	if (entry > 0)
		put(vcpu, EOI, 0);
	vcpu->halted = true;
	return EXIT_OUTER;
}

/* A guest that halts between ticks gets each of them, at its time. */
TEST(core_wakes_a_halted_guest_for_each_tick)
{
	uint64_t start;

	set_up();
	cpu[0]->rflags |= 0x200;
	fake_vcpu(cpu[0])->guest = halt;
	put(cpu[0], LVT_TIMER, 0xec | PERIODIC);
	put(cpu[0], DIVIDE, 0xb);
	put(cpu[0], INITIAL_COUNT, MS);
	start = os_now_ns();
	os_user_idle_advances(true);
	CHECK_EQ(vcpu_run(cpu[0]), 0);
	CHECK_EQ(os_now_ns() - start, 100 * MS);
	CHECK_EQ(fake_vcpu(cpu[0])->events, 100);
	CHECK_EQ(fake_vcpu(cpu[0])->event[7], VM_INTINFO_VALID | 0xec);
	tear_down();
}

/* --- several threads ------------------------------------------------------ */

#define POSTS 20000

static uint32_t posted[2];

static uint8_t posted_vector(unsigned int which)
{
	return which ? 0x5e : 0x9d;
}

static void *poster(void *arg)
{
	unsigned int which = *(unsigned int *)arg;

	for (uint32_t i = 1; i <= POSTS; i++) {
		__atomic_store_n(&posted[which], i, __ATOMIC_SEQ_CST);
		(void)lapic_post(cpu[0], posted_vector(which), which);
	}
	return NULL;
}

/* Takes what is pending, and notes which post that was at least. */
static void take_posted(uint32_t seen[2])
{
	int vector;

	while ((vector = take(cpu[0])) >= 0) {
		unsigned int which = vector == posted_vector(1);

		seen[which] = __atomic_load_n(&posted[which], __ATOMIC_SEQ_CST);
		put(cpu[0], EOI, 0);
	}
}

#define NMI_EVENT (VM_INTINFO_VALID | VM_INTINFO_NMI | 2)

static unsigned int windows;

/* A processor whose NMI handler does not return: it blocks NMIs from the first on. */
static enum exit_action nmi_handler_runs(struct vcpu *vcpu, unsigned int entry)
{
	windows |= fake_vcpu(vcpu)->windows;
	if (fake_vcpu(vcpu)->events)
		vcpu_set_nmi_blocked(vcpu, true);
	return entry % 4 < 3 ? EXIT_RESUME : vcpu_exit_userspace(vcpu, VM_EXITCODE_BOGUS);
}

/*
 * One is in delivery while the other waits for the end of its handler (SDM vol. 3, 6.7.1:
 * the processor remembers one NMI); what comes on top is lost.
 */
TEST(two_nmis_before_the_first_is_injected)
{
	struct fake_vcpu *fake;

	set_up();
	fake = fake_vcpu(cpu[0]);
	fake->guest = nmi_handler_runs;
	for (int i = 0; i < 3; i++)
		vcpu_nmi(cpu[0]);
	CHECK_EQ(vcpu_run(cpu[0]), 0);
	CHECK_EQ(fake->events, 1);
	CHECK_EQ(fake->event[0], NMI_EVENT);
	CHECK_EQ(windows, WINDOW_NMI);
	/* In the handler there is room for the one that waits. */
	vcpu_nmi(cpu[0]);
	CHECK_EQ(vcpu_run(cpu[0]), 0);
	CHECK_EQ(fake->events, 1);
	vcpu_set_nmi_blocked(cpu[0], false);
	vcpu_request(cpu[0], VCPU_REQ_EVENT);
	CHECK_EQ(vcpu_run(cpu[0]), 0);
	CHECK_EQ(fake->events, 2);
	CHECK_EQ(fake->event[1], NMI_EVENT);
	vcpu_set_nmi_blocked(cpu[0], false);
	vcpu_request(cpu[0], VCPU_REQ_EVENT);
	CHECK_EQ(vcpu_run(cpu[0]), 0);
	CHECK_EQ(fake->events, 2);
	tear_down();
}

/* Interrupts merge, but after the last post of each thread there is one to take. */
TEST(posting_from_other_threads)
{
	static unsigned int which[2] = { 0, 1 };
	uint32_t seen[2] = { 0, 0 };
	pthread_t thread[2];

	set_up();
	for (int i = 0; i < 2; i++)
		REQUIRE(pthread_create(&thread[i], NULL, poster, &which[i]) == 0);
	while (pthread_tryjoin_np(thread[0], NULL) != 0) {
		if (fake_requests(cpu[0]))
			take_posted(seen);
	}
	pthread_join(thread[1], NULL);
	/* The owner looks only when it was asked to. */
	if (fake_requests(cpu[0]))
		take_posted(seen);
	CHECK_EQ(seen[0], POSTS);
	CHECK_EQ(seen[1], POSTS);
	tear_down();
}
