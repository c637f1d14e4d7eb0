// SPDX-License-Identifier: BSD-2-Clause
/* MSRs and CPUID agree: what CPUID does not offer raises #GP, what it offers works. */
#include "payload/payload.h"

struct msr_access {
	uint32_t msr;
	uint64_t value;
};

static void read_msr(void *argument)
{
	struct msr_access *access = argument;

	access->value = rdmsr(access->msr);
}

static void write_msr(void *argument)
{
	const struct msr_access *access = argument;

	wrmsr(access->msr, access->value);
}

static bool wrmsr_raises_gp(uint32_t msr, uint64_t value)
{
	struct msr_access access = { msr, value };
	struct trap trap = attempt(write_msr, &access);

	return trap.vector == 13 && trap.error == 0;
}

TEST(unknown_msr_raises_gp)
{
	struct msr_access access = { 0x12345678, 0 };

	CHECK_EQ(attempt(read_msr, &access).vector, 13);
	CHECK(wrmsr_raises_gp(0x12345678, 0));
}

TEST(efer_refuses_svme)
{
	CHECK(!(cpuid(0x80000001).c & 1u << 2));
	CHECK(wrmsr_raises_gp(0xc0000080, rdmsr(0xc0000080) | 1u << 12));
}

TEST(efer_lma_is_set_in_long_mode)
{
	CHECK(rdmsr(0xc0000080) & 1u << 10);
}

TEST(leaving_lme_with_paging_on_raises_gp)
{
	CHECK(wrmsr_raises_gp(0xc0000080, rdmsr(0xc0000080) & ~(1ull << 8)));
}

TEST(efer_reserved_bits_raise_gp)
{
	CHECK(wrmsr_raises_gp(0xc0000080, rdmsr(0xc0000080) | 1ull << 40));
}

TEST(syscall_registers_keep_their_values)
{
	static const uint32_t msrs[] = { 0xc0000081, 0xc0000082, 0xc0000083, 0x174, 0x175, 0x176 };

	for (unsigned int i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
		uint64_t value = 0x1230 + i;

		wrmsr(msrs[i], value);
		cpuid(0);
		CHECK_EQ(rdmsr(msrs[i]), value);
	}
}

TEST(segment_bases_keep_their_values)
{
	static const uint32_t msrs[] = { 0xc0000100, 0xc0000101, 0xc0000102 };

	for (unsigned int i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
		wrmsr(msrs[i], 0x7654321000 + i);
		cpuid(0);
		CHECK_EQ(rdmsr(msrs[i]), 0x7654321000 + i);
	}
}

TEST(pat_keeps_its_value_and_checks_types)
{
	CHECK_EQ(rdmsr(0x277), 0x0007040600070406);
	wrmsr(0x277, 0x0106040500070406);
	CHECK_EQ(rdmsr(0x277), 0x0106040500070406);
	CHECK(wrmsr_raises_gp(0x277, 2));
}

TEST(tsc_adjust_moves_the_tsc)
{
	uint64_t before, after;

	if (!(cpuid(7).b & 1u << 1))
		return;
	CHECK_EQ(rdmsr(0x3b), 0);
	before = rdtsc();
	wrmsr(0x3b, 1ull << 40);
	after = rdtsc();
	CHECK(after - before >= 1ull << 40);
	CHECK(after - before < (1ull << 40) + (1ull << 34));
	CHECK_EQ(rdmsr(0x3b), 1ull << 40);
}

TEST(writing_the_tsc_shows_in_tsc_adjust)
{
	if (!(cpuid(7).b & 1u << 1))
		return;
	wrmsr(0x10, 1ull << 50);
	CHECK(rdtsc() >= 1ull << 50);
	CHECK(rdtsc() < (1ull << 50) + (1ull << 36));
	CHECK(rdmsr(0x3b) != 0);
}

TEST(tsc_advances_across_exits)
{
	uint64_t last = rdtsc();

	for (int i = 0; i < 1000; i++) {
		uint64_t now;

		cpuid(0);
		now = rdtsc();
		CHECK(now > last);
		last = now;
	}
}

TEST(apic_base_is_what_it_should_be)
{
	CHECK_EQ(rdmsr(0x1b), 0xfee00900);
}

/* SDM vol. 3, 11.4.4. */
TEST(apic_base_above_maxphyaddr_raises_gp)
{
	unsigned int width = cpuid(0x80000008).a & 0xff;
	uint64_t base = rdmsr(0x1b);

	for (unsigned int bit = width; bit < 64; bit++)
		CHECK(wrmsr_raises_gp(0x1b, base | 1ull << bit));
	CHECK(!wrmsr_raises_gp(0x1b, base));
	CHECK_EQ(rdmsr(0x1b), base);
}

static bool is_amd(void)
{
	return cpuid(0).b == 0x68747541;
}

/* On every AMD processor, without a bit in CPUID (APM vol. 2, appendix A). */
TEST(legacy_performance_counters_are_there)
{
	if (!is_amd())
		return;
	for (uint32_t msr = 0xc0010000; msr <= 0xc0010007; msr++) {
		wrmsr(msr, 0x530076);
		CHECK_EQ(rdmsr(msr), 0);
	}
}

/* APM vol. 2, 9.3.2: HWCR.McStatusWrEn. */
TEST(machine_check_status_can_be_made_writable)
{
	uint64_t hwcr;

	if (!is_amd())
		return;
	hwcr = rdmsr(0xc0010015);
	CHECK(wrmsr_raises_gp(0x401, 1ull << 63));
	wrmsr(0xc0010015, hwcr | 1u << 18);
	CHECK_EQ(rdmsr(0xc0010015), hwcr | 1u << 18);
	wrmsr(0x401, 1ull << 63 | 0x15);
	CHECK_EQ(rdmsr(0x401), 1ull << 63 | 0x15);
	wrmsr(0xc0010015, hwcr);
	CHECK(wrmsr_raises_gp(0x401, 1ull << 63));
	CHECK(!wrmsr_raises_gp(0x401, 0));
	CHECK_EQ(rdmsr(0x401), 0);
}

/* Once what the breakpoint pins showed; APM vol. 2, 13.1.1.6. */
TEST(debugctl_takes_the_pins)
{
	CHECK_EQ(wrmsr_raises_gp(0x1d9, 0x3c), !is_amd());
	CHECK_EQ(rdmsr(0x1d9) & 0x3c, 0);
}

/* SDM vol. 4, table 2-2: what a firmware and a system set there. */
TEST(misc_enable_takes_its_bits)
{
	static const uint8_t bits[] = { 0, 3, 7, 11, 12, 16, 18, 22, 23, 34, 38 };
	uint64_t value;

	if (is_amd())
		return;
	value = rdmsr(0x1a0);
	for (unsigned int i = 0; i < sizeof(bits); i++)
		CHECK(!wrmsr_raises_gp(0x1a0, value ^ 1ull << bits[i]));
	CHECK(!wrmsr_raises_gp(0x1a0, value));
	CHECK_EQ(rdmsr(0x1a0), value);
}

static void set_xcr0(void *argument)
{
	uint64_t value = *(uint64_t *)argument;

	asm volatile("xsetbv" : : "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

TEST(xcr0_takes_what_cpuid_offers_and_nothing_else)
{
	struct cpuid offered;
	uint64_t value;

	if (!(cpuid(1).c & 1u << 26))
		return;
	write_cr4(read_cr4() | 1u << 18);
	CHECK(cpuid(1).c & 1u << 27);
	offered = cpuid_sub(0xd, 0);
	value = (uint64_t)offered.d << 32 | offered.a;
	CHECK(!attempt(set_xcr0, &value).taken);
	value |= 1ull << 62;
	CHECK_EQ(attempt(set_xcr0, &value).vector, 13);
	value = 2;
	CHECK_EQ(attempt(set_xcr0, &value).vector, 13);
}

TEST(osxsave_follows_cr4)
{
	if (!(cpuid(1).c & 1u << 26))
		return;
	CHECK(!(cpuid(1).c & 1u << 27));
	write_cr4(read_cr4() | 1u << 18);
	CHECK(cpuid(1).c & 1u << 27);
}

TEST(cpuid_beyond_the_last_leaf_is_harmless)
{
	uint32_t last = cpuid(0).a;

	CHECK(last >= 0xd);
	(void)cpuid(last + 1);
	CHECK(cpuid(0x80000000).a >= 0x80000008);
	CHECK_EQ(cpuid(0x90000000).a | 0, cpuid(0x90000000).a);
}

TEST(virtualization_is_not_offered)
{
	CHECK(!(cpuid(1).c & 1u << 5));
	CHECK(!(cpuid(0x80000001).c & 1u << 2));
}

static void execute_vmmcall(void *unused)
{
	(void)unused;
	asm volatile("vmmcall");
}

static void execute_monitor(void *unused)
{
	(void)unused;
	asm volatile("monitor" : : "a"(0x1000), "c"(0), "d"(0));
}

static void execute_vmrun(void *unused)
{
	(void)unused;
	asm volatile("vmrun %%rax" : : "a"(0x1000));
}

TEST(hidden_instructions_raise_ud)
{
	CHECK_EQ(attempt(execute_vmmcall, NULL).vector, 6);
	CHECK_EQ(attempt(execute_monitor, NULL).vector, 6);
	CHECK_EQ(attempt(execute_vmrun, NULL).vector, 6);
}

static void execute_rdpmc(void *unused)
{
	(void)unused;
	asm volatile("rdpmc" : : "c"(0) : "eax", "edx");
}

TEST(rdpmc_raises_gp)
{
	CHECK_EQ(attempt(execute_rdpmc, NULL).vector, 13);
}

TEST(wbinvd_does_no_harm)
{
	asm volatile("wbinvd" : : : "memory");
}
