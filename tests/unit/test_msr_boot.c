// SPDX-License-Identifier: BSD-2-Clause
/*
 * MSRs that every processor of a vendor has and that systems touch while they boot: none of
 * these accesses may fault, for many are made without a handler for #GP. Beside them those
 * that a feature bit in CPUID announces, which a guest without the bit may not find.
 */
#include "unit.h"

#include "x86/cpu/cpuid.h"
#include "x86/cpu/msr.h"
#include "vm/regs.h"
#include "x86_guest.h"

#define GP  0xbadbadbadbadbad0ull /* in place of a value: #GP */
#define ANY 0xbadbadbadbadbad1ull /* whatever it is, it reads */

struct boot_access {
	uint32_t msr;
	uint64_t reads;	  /* value before any write, GP or ANY */
	uint64_t written; /* value that is accepted, or GP: no value is */
	uint64_t then;	  /* what reads afterwards */
	const char *who;  /* touches it */
};

/* AMD: the processors' PPR and BKDG, APM vol. 2, appendix A. */
static const struct boot_access amd[] = {
	{ 0x0000001b, ANY, 0xfee00900, 0xfee00900, "everybody" },
	{ 0x0000008b, ANY, 0, ANY, "everybody: microcode" },
	{ 0x00000179, 4, GP, 4, "everybody: machine check" },
	{ 0x0000017a, 0, 0, 0, "everybody: machine check" },
	{ 0x000001d9, 0, 0x3f, ANY, "Windows, kvm-unit-tests: bits 5:2 were pins" },
	{ 0x000001db, 0, 0, 0, "Windows: last branch" },
	{ 0x000001dc, 0, 0, 0, "Windows: last branch" },
	{ 0x000001dd, 0, 0, 0, "Windows: last interrupt" },
	{ 0x000001de, 0, 0, 0, "Windows: last interrupt" },
	{ 0xc0010000, 0, 0x530076, 0, "Linux, kvm-unit-tests: event selects" },
	{ 0xc0010003, 0, 0x530076, 0, "Linux, kvm-unit-tests" },
	{ 0xc0010004, 0, 0xffff, 0, "Linux, kvm-unit-tests: counters" },
	{ 0xc0010007, 0, 0xffff, 0, "Linux, kvm-unit-tests" },
	{ 0xc0010010, 0, 0x740000, 0, "Linux, Xen: SYSCFG" },
	{ 0xc0010015, 1 << 24, 1 << 24 | 1 << 4, 1 << 24, "everybody: HWCR" },
	{ 0xc0010016, 0, 0x1e, 0, "Linux: IORRs" },
	{ 0xc0010019, 0, 0x800, 0, "Linux: IORRs" },
	{ 0xc001001a, 0, 0xe0000000, 0, "Linux: TOP_MEM" },
	{ 0xc001001d, 0, 0x240000000, 0, "Linux, Xen: TOP_MEM2" },
	{ 0xc001001f, 0, 1ull << 46, 0, "FreeBSD, NetBSD, Linux: NB_CFG" },
	{ 0xc0010020, GP, 0x1000, GP, "everybody: microcode" },
	{ 0xc0010044, 0, 1 << 5, 0, "FreeBSD: mask of bank 0" },
	{ 0xc0010048, 0, 1 << 10, 0, "Linux, Xen: mask of bank 4" },
	{ 0xc0010055, 0, 0, 0, "everybody: C1E" },
	{ 0xc0010058, 0, 0, 0, "Linux, Xen: MMIO_CFG_BASE" },
	{ 0xc0010061, 0, 0, 0, "FreeBSD, Windows: P-state limit" },
	{ 0xc0010062, 0, 0, 0, "FreeBSD, Windows: P-state command" },
	{ 0xc0010063, 0, 0, 0, "FreeBSD, Windows: P-state status" },
	{ 0xc0010064, 0, 0, 0, "OpenBSD, FreeBSD: frequency of P0" },
	{ 0xc001006b, 0, 0, 0, "FreeBSD" },
	{ 0xc0010112, 0, 0, 0, "Linux: TSEG" },
	{ 0xc0010113, 0, 0, 0, "Linux: TSEG" },
	{ 0xc0010114, 1 << 4, 1 << 4, 1 << 4, "everybody: VM_CR" },
	{ 0xc0011021, 0, 1 << 1, 0, "NetBSD, OpenBSD, Linux: IC_CFG" },
	{ 0xc0011022, 0, 1 << 4, 0, "NetBSD, OpenBSD: DC_CFG" },
	{ 0xc0011023, 0, 1ull << 49, 0, "NetBSD, OpenBSD: BU_CFG" },
	{ 0xc0011028, 0, 1 << 4, 0, "Linux: FP_CFG" },
	{ 0xc0011029, 1 << 1, 1 << 1 | 1, 1 << 1, "everybody: DE_CFG; OpenBSD sets bit 0" },
	{ 0xc001102a, 0, 1ull << 35, 0, "Linux, FreeBSD: BU_CFG2" },
	{ 0xc001102c, 0, 1ull << 54, 0, "Linux, Xen: EX_CFG" },
	{ 0xc001102d, 0, 1 << 15, 0, "Xen: LS_CFG2" },
	/* Announced by CPUID: fn 8000_0001 (counters, SVM, OSVW), 8000_0008 (VIRT_SPEC_CTRL). */
	{ 0xc0010117, GP, GP, GP, "SVM" },
	{ 0xc001011f, GP, GP, GP, "VIRT_SPEC_CTRL" },
	{ 0xc0010140, GP, GP, GP, "OSVW" },
	{ 0xc0010200, GP, GP, GP, "PerfCtrExtCore" },
	/* Behind HWCR.SMMLOCK; and a way to disable store bypass that would be believed. */
	{ 0xc0010111, GP, GP, GP, "SMM_BASE" },
	{ 0xc0011020, GP, GP, GP, "LS_CFG" },
};

/* Intel: SDM vol. 4, table 2-2 and those of the families from Nehalem on. */
static const struct boot_access intel[] = {
	{ 0x00000000, 0, 0, 0, "Linux, Windows: P5 machine check" },
	{ 0x00000017, ANY, GP, ANY, "everybody: microcode" },
	{ 0x0000001b, ANY, 0xfee00900, 0xfee00900, "everybody" },
	{ 0x0000002a, 0, 0, 0, "NetBSD, OpenBSD: bus frequency" },
	{ 0x00000034, 0, GP, 0, "Linux, Windows: SMIs" },
	{ 0x0000003a, 1, GP, 1, "everybody: VMX" },
	{ 0x00000079, GP, 0x1000, GP, "everybody: microcode" },
	{ 0x0000008b, ANY, 0, ANY, "everybody: microcode" },
	{ 0x000000ce, ANY, GP, ANY, "everybody: ratios" },
	{ 0x000000e2, 1 << 15, 1 << 15, 1 << 15, "Linux, Xen: C-states, locked" },
	{ 0x00000140, 0, 0, 0, "Linux, Xen" },
	{ 0x00000198, 0, GP, 0, "everybody: P-state" },
	{ 0x00000199, 0, 0x1400, 0, "OpenBSD, NetBSD, FreeBSD: P-state" },
	{ 0x0000019a, 0, 0, 0, "FreeBSD, Windows: clock modulation" },
	{ 0x0000019b, 0, 0x3, 0, "Linux, Windows: thermal interrupt" },
	{ 0x0000019c, 0, 0, 0, "FreeBSD, Linux: thermal status" },
	{ 0x000001a0, 0x1801, 0x1801, 0x1801, "everybody: MISC_ENABLE" },
	{ 0x000001a2, 0, 0, 0, "FreeBSD, OpenBSD: temperature target" },
	{ 0x000001ad, ANY, GP, ANY, "Linux, FreeBSD: turbo ratios" },
	{ 0x000001b0, 6, 6, 6, "Linux, FreeBSD: energy bias" },
	{ 0x000001d9, 0, 3, ANY, "everybody: DEBUGCTL" },
	{ 0x000001fc, 0, 0, 0, "Linux, Xen: C1E" },
	{ 0x00000606, 0, GP, 0, "Linux, FreeBSD: RAPL units" },
	{ 0x00000611, 0, GP, 0, "Linux: energy of the package" },
	{ 0x00000619, 0, GP, 0, "Linux: energy of the memory" },
	{ 0x00000639, 0, GP, 0, "Linux: energy of the cores" },
	{ 0x00000641, 0, GP, 0, "Linux: energy of the graphics" },
	/* Announced by CPUID: leaves 0xA, 6, 0xD; by CORE_CAPABILITIES and MCG_CAP. */
	{ 0x000000c1, GP, GP, GP, "performance counters" },
	{ 0x000000e7, GP, GP, GP, "APERF and MPERF" },
	{ 0x00000186, GP, GP, GP, "performance counters" },
	{ 0x00000345, GP, GP, GP, "PDCM" },
	{ 0x0000038f, GP, GP, GP, "performance counters" },
	{ 0x00000da0, GP, GP, GP, "XSAVES" },
	{ 0x0000017b, GP, GP, GP, "MCG_CTL" },
};

static struct vm *vm;
static struct vcpu *vcpu;

static void check_read(const struct boot_access *access, uint64_t expected)
{
	uint64_t value = 0;
	int error = msr_read(vcpu, access->msr, &value);

	CHECK_EQ_AT(error, expected == GP ? -EINVAL : 0, "reading %#x: %s", access->msr,
		    access->who);
	if (expected != GP && expected != ANY)
		CHECK_EQ_AT(value, expected, "%#x: %s", access->msr, access->who);
}

static void check_accesses(const struct boot_access *accesses, size_t count)
{
	vm = guest_create();
	vcpu = fake_vm_vcpu(vm, 0);
	for (size_t i = 0; i < count; i++) {
		const struct boot_access *access = &accesses[i];
		bool refused = access->written == GP;

		check_read(access, access->reads);
		CHECK_EQ_AT(msr_write(vcpu, access->msr, refused ? 0 : access->written),
			    refused ? -EINVAL : 0, "writing %#x: %s", access->msr, access->who);
		check_read(access, access->then);
	}
	guest_destroy(vm);
}

static void become_intel(void)
{
	const uint32_t leaf0[4] = { 0xd, 0x756e6547, 0x6c65746e, 0x49656e69 };

	os_user_set_cpuid(0, 0, leaf0);
}

TEST(amd_systems_boot)
{
	check_accesses(amd, ARRAY_SIZE(amd));
}

TEST(intel_systems_boot)
{
	become_intel();
	check_accesses(intel, ARRAY_SIZE(intel));
}

/* --- registers with rules of their own ------------------------------------ */

static uint64_t read_msr(uint32_t msr)
{
	uint64_t value = 0xdeadbeef;

	CHECK_EQ_AT(msr_read(vcpu, msr, &value), 0, "MSR %#x", msr);
	return value;
}

static void begin(void)
{
	vm = guest_create();
	vcpu = fake_vm_vcpu(vm, 0);
}

/* SDM vol. 4, table 2-2, 1A0H: some bits are the guest's, others say what there is. */
TEST(misc_enable_accepts_its_bits)
{
	const uint64_t kept = 1 << 0 | 1 << 3 | 1 << 9 | 1 << 19 | 1 << 23 | 1ull << 37 |
			      1ull << 38 | 1ull << 39;
	const uint64_t ignored = 1 << 7 | 1 << 16 | 1 << 18 | 1 << 22 | 1ull << 34;

	become_intel();
	begin();
	CHECK_EQ(msr_write(vcpu, MSRN_MISC_ENABLE, 0), 0);
	CHECK_EQ(read_msr(MSRN_MISC_ENABLE), 0x1800);
	CHECK_EQ(msr_write(vcpu, MSRN_MISC_ENABLE, kept | ignored), 0);
	CHECK_EQ(read_msr(MSRN_MISC_ENABLE), kept | 0x1800);
	CHECK_EQ(msr_write(vcpu, MSRN_MISC_ENABLE, 1ull << 63), -EINVAL);
	CHECK_EQ(msr_write(vcpu, MSRN_MISC_ENABLE, 1 << 5), -EINVAL);
	CHECK_EQ(read_msr(MSRN_MISC_ENABLE), kept | 0x1800);
	vcpu_reset(vcpu, false);
	CHECK_EQ(read_msr(MSRN_MISC_ENABLE), 0x1801);
	guest_destroy(vm);
}

/* APM vol. 2, 9.3.2.2 (MCi_STATUS) and the PPR's HWCR. */
TEST(mc_status_is_writable_with_hwcr_18)
{
	const uint64_t status = 0xb600000000010015;

	begin();
	for (uint32_t msr = MSRN_MC0_STATUS; msr <= MSRN_MC0_MISC + 12; msr++) {
		if (msr % 4 != 0)
			CHECK_EQ_AT(msr_write(vcpu, msr, status), -EINVAL, "%#x", msr);
	}
	CHECK_EQ(msr_write(vcpu, MSRN_HWCR, 1 << 24 | 1 << 18), 0);
	CHECK_EQ(read_msr(MSRN_HWCR), 1 << 24 | 1 << 18);
	for (uint32_t msr = MSRN_MC0_CTL; msr <= MSRN_MC0_MISC + 12; msr++)
		CHECK_EQ_AT(msr_write(vcpu, msr, status + msr), 0, "%#x", msr);
	for (uint32_t msr = MSRN_MC0_CTL; msr <= MSRN_MC0_MISC + 12; msr++)
		CHECK_EQ_AT(read_msr(msr), status + msr, "%#x", msr);
	/* Without the bit it can be cleared, and nothing else. */
	CHECK_EQ(msr_write(vcpu, MSRN_HWCR, 1 << 24), 0);
	CHECK_EQ(read_msr(MSRN_HWCR), 1 << 24);
	CHECK_EQ(read_msr(MSRN_MC0_STATUS), status + MSRN_MC0_STATUS);
	CHECK_EQ(msr_write(vcpu, MSRN_MC0_STATUS, status), -EINVAL);
	CHECK_EQ(msr_write(vcpu, MSRN_MC0_STATUS, 0), 0);
	CHECK_EQ(read_msr(MSRN_MC0_STATUS), 0);
	vcpu_reset(vcpu, false);
	CHECK_EQ(read_msr(MSRN_MC0_ADDR), 0);
	guest_destroy(vm);
}

/* The same number on Intel is no HWCR: the status registers can only be cleared (SDM vol. 3,
 * 17.3.2.2). */
TEST(mc_status_is_not_writable_on_intel)
{
	become_intel();
	begin();
	CHECK_EQ(msr_write(vcpu, MSRN_HWCR, 1 << 18), -EINVAL);
	CHECK_EQ(msr_write(vcpu, MSRN_MC0_STATUS, 1), -EINVAL);
	CHECK_EQ(msr_write(vcpu, MSRN_MC0_STATUS, 0), 0);
	guest_destroy(vm);
}

TEST(debugctl)
{
	begin();
	CHECK_EQ(msr_write(vcpu, MSRN_DEBUGCTL, 0x3c), 0);
	CHECK_EQ(read_msr(MSRN_DEBUGCTL), 0);
	CHECK_EQ(msr_write(vcpu, MSRN_DEBUGCTL, 0x40), -EINVAL);
	guest_destroy(vm);
	become_intel();
	begin();
	CHECK_EQ(msr_write(vcpu, MSRN_DEBUGCTL, 0x3), 0);
	CHECK_EQ(msr_write(vcpu, MSRN_DEBUGCTL, 0x8), -EINVAL);
	guest_destroy(vm);
}

/* SDM vol. 3, 11.4.4: bits above MAXPHYADDR are reserved. */
TEST(apic_base_ends_at_the_width_of_addresses)
{
	uint64_t base;

	begin();
	base = read_msr(MSRN_APIC_BASE);
	for (unsigned int bit = vm->cpuid->phys_bits; bit < 64; bit++)
		CHECK_EQ_AT(msr_write(vcpu, MSRN_APIC_BASE, base | 1ull << bit), -EINVAL, "bit %u",
			    bit);
	CHECK_EQ(read_msr(MSRN_APIC_BASE), base);
	CHECK_EQ(msr_write(vcpu, MSRN_APIC_BASE, base), 0);
	guest_destroy(vm);
}
