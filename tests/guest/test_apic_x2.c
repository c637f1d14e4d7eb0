// SPDX-License-Identifier: BSD-2-Clause
/* x2APIC mode. SDM vol. 3, 10.12. */
#include "payload/payload.h"

#define APIC_BASE_MSR 0x1b
#define ENABLE	      0x800ull
#define EXTENDED      0x400ull

#define X2_ID	    0x802
#define X2_VERSION  0x803
#define X2_TPR	    0x808
#define X2_EOI	    0x80b
#define X2_LDR	    0x80d
#define X2_SVR	    0x80f
#define X2_IRR	    0x820
#define X2_ICR	    0x830
#define X2_SELF_IPI 0x83f

static void enter_x2apic(void)
{
	apic_enable();
	wrmsr(APIC_BASE_MSR, rdmsr(APIC_BASE_MSR) | EXTENDED);
}

static void write_base(void *value)
{
	wrmsr(APIC_BASE_MSR, (uint64_t)value);
}

static void read_msr(void *msr)
{
	(void)rdmsr((uint32_t)(uint64_t)msr);
}

static void write_msr(void *msr)
{
	wrmsr((uint32_t)(uint64_t)msr, 0);
}

static void write_msr_ones(void *msr)
{
	wrmsr((uint32_t)(uint64_t)msr, ~0ull);
}

static void eoi_by_msr(struct frame *frame)
{
	(void)frame;
	wrmsr(X2_EOI, 0);
}

static void open_window(void)
{
	asm volatile("sti; nop; nop; cli" : : : "memory");
}

TEST(x2apic_is_offered_by_cpuid, X2APIC)
{
	CHECK(cpuid(1).c & 1u << 21);
}

TEST(x2apic_is_the_mode_to_begin_with, X2APIC)
{
	CHECK_EQ(rdmsr(APIC_BASE_MSR) & (ENABLE | EXTENDED), ENABLE | EXTENDED);
	CHECK_EQ(rdmsr(X2_LDR), 1);
	CHECK_EQ(rdmsr(X2_SVR), 0xff);
}

TEST(x2apic_keeps_the_registers_of_before, X2APIC)
{
	uint32_t version;

	apic_enable();
	version = apic_read(0x30);
	apic_write(0x80, 0x35);
	enter_x2apic();
	CHECK_EQ(rdmsr(X2_VERSION), version);
	CHECK_EQ(rdmsr(X2_SVR), 0x1ff);
	CHECK_EQ(rdmsr(X2_TPR), 0x35);
	CHECK_EQ(rdmsr(X2_ID), cpuid_sub(0xb, 0).d);
}

TEST(x2apic_ldr_is_made_of_the_id, X2APIC)
{
	enter_x2apic();
	CHECK_EQ(rdmsr(X2_LDR), 1);
	CHECK_EQ(attempt(write_msr, (void *)X2_LDR).vector, 13);
}

TEST(x2apic_msrs_raise_gp_in_xapic_mode, X2APIC)
{
	apic_enable();
	CHECK_EQ(attempt(read_msr, (void *)X2_ID).vector, 13);
	CHECK_EQ(attempt(write_msr, (void *)X2_TPR).vector, 13);
}

TEST(x2apic_has_no_memory_window, X2APIC)
{
	enter_x2apic();
	apic_write(0x80, 0x50); /* goes nowhere, no matter what it reads as */
	CHECK_EQ(rdmsr(X2_TPR), 0);
}

TEST(x2apic_illegal_transitions_raise_gp, X2APIC)
{
	uint64_t x2apic = rdmsr(APIC_BASE_MSR);
	uint64_t xapic = x2apic & ~EXTENDED;
	uint64_t disabled = xapic & ~ENABLE;

	apic_enable();
	CHECK_EQ(attempt(write_base, (void *)(disabled | EXTENDED)).vector, 13);
	wrmsr(APIC_BASE_MSR, x2apic);
	CHECK_EQ(attempt(write_base, (void *)xapic).vector, 13);
	CHECK_EQ(attempt(write_base, (void *)(disabled | EXTENDED)).vector, 13);
	CHECK_EQ(rdmsr(APIC_BASE_MSR), x2apic);
	wrmsr(APIC_BASE_MSR, disabled);
	CHECK_EQ(attempt(write_base, (void *)x2apic).vector, 13);
	CHECK_EQ(rdmsr(APIC_BASE_MSR), disabled);
	wrmsr(APIC_BASE_MSR, xapic);
	CHECK_EQ(rdmsr(APIC_BASE_MSR), xapic);
}

TEST(x2apic_reserved_registers_raise_gp, X2APIC)
{
	static const uint16_t none[] = { 0x800, 0x80e, 0x831, 0x840, 0x8ff };

	enter_x2apic();
	for (unsigned int i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		CHECK_EQ(attempt(read_msr, (void *)(uint64_t)none[i]).vector, 13);
}

TEST(x2apic_read_only_and_write_only_raise_gp, X2APIC)
{
	enter_x2apic();
	CHECK_EQ(attempt(write_msr, (void *)X2_ID).vector, 13);
	CHECK_EQ(attempt(write_msr, (void *)X2_VERSION).vector, 13);
	CHECK_EQ(attempt(read_msr, (void *)X2_EOI).vector, 13);
	CHECK_EQ(attempt(read_msr, (void *)X2_SELF_IPI).vector, 13);
}

TEST(x2apic_reserved_bits_raise_gp, X2APIC)
{
	enter_x2apic();
	CHECK_EQ(attempt(write_msr_ones, (void *)X2_TPR).vector, 13);
	CHECK_EQ(attempt(write_msr_ones, (void *)X2_SVR).vector, 13);
	CHECK_EQ(attempt(write_msr_ones, (void *)X2_EOI).vector, 13);
	CHECK_EQ(rdmsr(X2_TPR), 0);
}

TEST(x2apic_self_ipi_register, X2APIC)
{
	enter_x2apic();
	set_handler(0x41, eoi_by_msr);
	wrmsr(X2_SELF_IPI, 0x41);
	CHECK_EQ(rdmsr(X2_IRR + 2), 2);
	open_window();
	open_window();
	CHECK_EQ(taken[0x41], 1);
	CHECK_EQ(rdmsr(X2_IRR + 2), 0);
}

TEST(x2apic_icr_is_one_register, X2APIC)
{
	enter_x2apic();
	set_handler(0x41, eoi_by_msr);
	wrmsr(X2_ICR, rdmsr(X2_ID) << 32 | 0x4041);
	open_window();
	CHECK_EQ(taken[0x41], 1);
	CHECK_EQ(rdmsr(X2_ICR), 0x4041);
}

TEST(x2apic_logical_destination, X2APIC)
{
	enter_x2apic();
	set_handler(0x41, eoi_by_msr);
	wrmsr(X2_ICR, 2ull << 32 | 0x4841); /* of ID 1 */
	open_window();
	CHECK_EQ(taken[0x41], 0);
	wrmsr(X2_ICR, 1ull << 32 | 0x4841);
	open_window();
	CHECK_EQ(taken[0x41], 1);
}
