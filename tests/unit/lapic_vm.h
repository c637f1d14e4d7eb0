/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM on the scripted back end whose local APICs are enabled, and access to their registers. */
#ifndef TESTS_UNIT_LAPIC_VM_H
#define TESTS_UNIT_LAPIC_VM_H

#include "unit.h"

#include "dev/lapic.h"
#include "fake_backend.h"

#define ID	      0x020
#define VERSION	      0x030
#define TPR	      0x080
#define PPR	      0x0a0
#define EOI	      0x0b0
#define LDR	      0x0d0
#define DFR	      0x0e0
#define SVR	      0x0f0
#define ISR	      0x100
#define TMR	      0x180
#define IRR	      0x200
#define ESR	      0x280
#define ICR_LOW	      0x300
#define ICR_HIGH      0x310
#define LVT_TIMER     0x320
#define LVT_LINT0     0x350
#define LVT_LINT1     0x360
#define LVT_ERROR     0x370
#define INITIAL_COUNT 0x380
#define CURRENT_COUNT 0x390
#define DIVIDE	      0x3e0
#define SELF_IPI      0x3f0 /* x2APIC only */

#define MASKED	 0x10000u
#define PERIODIC 0x20000u
#define DEADLINE 0x40000u

#define CPUS 4
#define MS   1000000ull

static struct vm *vm;
static struct vcpu *cpu[CPUS];

static inline uint32_t get(struct vcpu *vcpu, uint32_t offset)
{
	uint64_t value = ~0ull;

	CHECK_EQ(lapic_mmio_read(vcpu, offset, 4, &value), 0);
	return (uint32_t)value;
}

static inline void put(struct vcpu *vcpu, uint32_t offset, uint32_t value)
{
	CHECK_EQ(lapic_mmio_write(vcpu, offset, 4, value), 0);
}

static inline uint32_t msr_of(uint32_t offset)
{
	return LAPIC_MSR_FIRST + (offset >> 4);
}

static inline int rd(struct vcpu *vcpu, uint32_t offset, uint64_t *value)
{
	return lapic_rdmsr(vcpu, msr_of(offset), value);
}

static inline int wr(struct vcpu *vcpu, uint32_t offset, uint64_t value)
{
	return lapic_wrmsr(vcpu, msr_of(offset), value);
}

/* A VM whose local APICs are all enabled. */
static inline void set_up(void)
{
	vm = fake_vm_create(CPUS);
	for (int i = 0; i < CPUS; i++) {
		cpu[i] = fake_vm_vcpu(vm, i);
		put(cpu[i], SVR, 0x1ff);
		(void)fake_requests(cpu[i]);
	}
}

static inline void tear_down(void)
{
	fake_vm_destroy(vm);
}

static inline void enter_x2apic(struct vcpu *vcpu)
{
	REQUIRE(lapic_set_x2apic_state(vcpu, X2APIC_ENABLED) == 0);
	REQUIRE(lapic_set_base(vcpu, lapic_get_base(vcpu) | LAPIC_BASE_X2APIC) == 0);
}

/* The vector is taken, as by the processor. */
static inline int take(struct vcpu *vcpu)
{
	int vector = lapic_pending(vcpu);

	if (vector >= 0)
		lapic_accept(vcpu, (uint8_t)vector);
	return vector;
}

#endif
