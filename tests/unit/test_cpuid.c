// SPDX-License-Identifier: BSD-2-Clause
/* CPUID: what is shown, what is hidden, what depends on state and topology. */
#include "unit.h"

#include "dev/lapic.h"
#include "x86/cpu/context.h"
#include "x86/cpu/cpuid.h"
#include "vm/regs.h"
#include "x86_guest.h"

#define ALL_ONES 0xffffffffu

static struct vm *vm;
static struct vcpu *vcpu;

static void begin(void)
{
	vm = guest_create();
	vcpu = fake_vm_vcpu(vm, 0);
}

static void end(void)
{
	guest_destroy(vm);
}

static uint32_t query(uint32_t leaf, uint32_t subleaf, enum cpuid_register reg)
{
	uint32_t regs[4];

	cpuid_query(vcpu, leaf, subleaf, regs);
	return regs[reg];
}

/* A host with every feature bit there is, of one vendor or the other. */
static void rich_host(const char *vendor, uint32_t max_basic)
{
	uint32_t leaf0[4] = { max_basic };
	uint32_t leaf1[4] = { 0x000906ea, 0x00100800, ALL_ONES, ALL_ONES };
	uint32_t leaf7[4] = { 2, ALL_ONES, ALL_ONES, ALL_ONES };
	uint32_t all[4] = { ALL_ONES, ALL_ONES, ALL_ONES, ALL_ONES };
	uint32_t ext0[4] = { 0x80000022 };
	uint32_t ext1[4] = { 0x000906ea, 0, ALL_ONES, ALL_ONES };
	uint32_t ext8[4] = { 0x00003934, ALL_ONES, ALL_ONES, ALL_ONES };
	uint32_t xsave[4] = { 0x602ff, 0xa88, 0x2b00, 0 };
	static const uint32_t component[CPUID_XSAVE_COMPONENTS][4] = {
		[2] = { 0x100, 0x240 }, [3] = { 0x40, 0x3c0 },	[4] = { 0x40, 0x400 },
		[5] = { 0x40, 0x440 },	[6] = { 0x200, 0x480 }, [7] = { 0x400, 0x680 },
		[9] = { 8, 0xa80 },
	};

	memcpy(&leaf0[CPUID_REG_EBX], vendor, 4);
	memcpy(&leaf0[CPUID_REG_EDX], vendor + 4, 4);
	memcpy(&leaf0[CPUID_REG_ECX], vendor + 8, 4);
	os_user_set_cpuid(0, ALL_ONES, leaf0);
	os_user_set_cpuid(0, 0, leaf0);
	os_user_set_cpuid(1, 0, leaf1);
	os_user_set_cpuid(6, 0, all);
	os_user_set_cpuid(7, 0, leaf7);
	os_user_set_cpuid(7, 1, all);
	os_user_set_cpuid(0xd, 0, xsave);
	os_user_set_cpuid(0xd, 1, all);
	for (uint32_t i = 2; i < CPUID_XSAVE_COMPONENTS; i++)
		os_user_set_cpuid(0xd, i, component[i]);
	os_user_set_cpuid(0x80000000, 0, ext0);
	os_user_set_cpuid(0x80000001, 0, ext1);
	os_user_set_cpuid(0x80000007, 0, all);
	os_user_set_cpuid(0x80000008, 0, ext8);
	os_user_set_cpuid(0x8000000a, 0, all);
	os_user_set_cpuid(0x80000021, 0, all);
	os_user_cpu(0)->xcr0 = 0x602ff;
}

TEST(every_feature_has_a_place_of_its_own)
{
	for (unsigned int i = 1; i < CPU_FEATURE_COUNT; i++) {
		const struct feature_row *a = feature_row(i);

		REQUIRE(a != NULL);
		CHECK(a->leaf != 0);
		CHECK_EQ_AT(a->needs < CPU_FEATURE_COUNT, 1, "feature %u", i);
		for (unsigned int j = 1; j < i; j++) {
			const struct feature_row *b = feature_row(j);

			CHECK_EQ_AT(a->leaf == b->leaf && a->subleaf == b->subleaf &&
					    a->reg == b->reg && a->bit == b->bit,
				    0, "features %u and %u", i, j);
		}
	}
	CHECK(feature_row(CPU_NONE) == NULL);
	CHECK(feature_row(CPU_FEATURE_COUNT) == NULL);
}

TEST(default_host_shows_its_features)
{
	begin();
	CHECK(cpuid_has(vm, CPU_AVX2));
	CHECK(cpuid_has(vm, CPU_XSAVE));
	CHECK(cpuid_has(vm, CPU_LM));
	CHECK(cpuid_has(vm, CPU_SMAP));
	CHECK(cpuid_has(vm, CPU_FSGSBASE));
	CHECK(!cpuid_has(vm, CPU_AVX512F));
	CHECK(!cpuid_has(vm, CPU_PKU));
	CHECK_EQ(query(7, 0, CPUID_REG_EBX) >> 5 & 1, 1);
	CHECK_EQ(query(0x80000001, 0, CPUID_REG_EDX) >> 29 & 1, 1);
	end();
}

TEST(emulated_features_are_always_shown)
{
	const uint32_t poor[4] = { 0x00800f12, 0x00000800, 0, 0x078bfbff & ~(1u << 9 | 1u << 12) };

	os_user_set_cpuid(1, 0, poor);
	begin();
	CHECK_EQ(query(1, 0, CPUID_REG_ECX) >> 31, 1);
	CHECK_EQ(query(1, 0, CPUID_REG_ECX) >> 24 & 1, 1);
	CHECK_EQ(query(1, 0, CPUID_REG_EDX) >> 9 & 1, 1);
	CHECK_EQ(query(1, 0, CPUID_REG_EDX) >> 12 & 1, 1);
	CHECK_EQ(query(6, 0, CPUID_REG_EAX), 4);
	CHECK_EQ(query(7, 0, CPUID_REG_EBX) >> 1 & 1, 1);
	end();
}

/* The list of what must stay hidden, whatever the host has. */
TEST(what_is_not_offered_is_hidden)
{
	static const struct {
		uint32_t leaf, subleaf;
		enum cpuid_register reg;
		uint32_t bits;
	} hidden[] = {
		/* DTES64, MONITOR, DS-CPL, VMX, SMX, EST, TM2, CNXT-ID, SDBG, xTPR, PDCM, DCA, OSXSAVE */
		{ 1, 0, CPUID_REG_ECX, 0x0804cdfc },
		/* PSN, DS, ACPI, TM, PBE */
		{ 1, 0, CPUID_REG_EDX, 0xa0640000 },
		{ 5, 0, CPUID_REG_EAX, ALL_ONES },
		{ 5, 0, CPUID_REG_ECX, ALL_ONES },
		{ 6, 0, CPUID_REG_EAX, ~4u },
		{ 6, 0, CPUID_REG_ECX, ALL_ONES },
		/* SGX, RDT-M, MPX, RDT-A, PT */
		{ 7, 0, CPUID_REG_EBX, 0x0200d004 },
		/* WAITPKG, CET_SS, TME, KL, BUS_LOCK, ENQCMD, SGX_LC, PKS, OSPKE */
		{ 7, 0, CPUID_REG_ECX, 0xe18020b0 },
		/* CET_IBT, AMX, UINTR, hybrid, PCONFIG, LBR, CORE_CAPABILITIES */
		{ 7, 0, CPUID_REG_EDX, 0x435c8020 },
		{ 7, 2, CPUID_REG_EDX, ALL_ONES },
		{ 0xa, 0, CPUID_REG_EAX, ALL_ONES },
		/* XSAVES, XFD */
		{ 0xd, 1, CPUID_REG_EAX, 0x18 },
		{ 0xd, 0, CPUID_REG_EAX, 0x60018 },
		{ 0xd, 17, CPUID_REG_EAX, ALL_ONES },
		{ 0x14, 0, CPUID_REG_EAX, ALL_ONES },
		/* SVM, EXTAPIC, OSVW, IBS, SKINIT, WDT, LWP, PERFCTR, MWAITX */
		{ 0x80000001, 0, CPUID_REG_ECX, 0x3980b60c },
		/* everything but the invariant TSC */
		{ 0x80000007, 0, CPUID_REG_EDX, ~0x100u },
		/* IRPERF, RDPRU, WBNOINVD, VIRT_SSBD */
		{ 0x80000008, 0, CPUID_REG_EBX, 0x02000212 },
		{ 0x8000000a, 0, CPUID_REG_EDX, ALL_ONES },
		/* AUTOIBRS and what comes after */
		{ 0x80000021, 0, CPUID_REG_EAX, 0x100 },
	};

	rich_host("AuthenticAMD", 0x1f);
	begin();
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
		CHECK_EQ_AT(query(hidden[i].leaf, hidden[i].subleaf, hidden[i].reg) &
				    hidden[i].bits,
			    0, "leaf %#x.%u register %d", hidden[i].leaf, hidden[i].subleaf,
			    hidden[i].reg);
	end();
}

TEST(permissions_follow_what_is_shown)
{
	rich_host("AuthenticAMD", 0x1f);
	begin();
	CHECK_EQ(vm->cpuid->features.xcr0, 0x2e7);
	CHECK_EQ(vm->cpuid->features.cr4 &
			 (REG_CR4_VMXE | REG_CR4_SMXE | REG_CR4_CET | REG_CR4_PKS),
		 0);
	CHECK(vm->cpuid->features.cr4 & REG_CR4_PKE);
	CHECK(vm->cpuid->features.cr4 & REG_CR4_LA57);
	CHECK(vm->cpuid->features.cr4 & REG_CR4_PCIDE);
	CHECK(!(vm->cpuid->features.efer & REG_EFER_SVME));
	CHECK(!(vm->cpuid->features.efer & REG_EFER_LMSLE));
	CHECK(vm->cpuid->features.efer & REG_EFER_FFXSR);
	CHECK_EQ(vm->cpuid->linear_bits, 57);
	end();
}

TEST(avx512_needs_the_hosts_xcr0)
{
	rich_host("AuthenticAMD", 0x1f);
	os_user_cpu(0)->xcr0 = 7;
	begin();
	CHECK(cpuid_has(vm, CPU_AVX));
	CHECK(!cpuid_has(vm, CPU_AVX512F));
	CHECK(!cpuid_has(vm, CPU_AVX512VNNI));
	CHECK(!cpuid_has(vm, CPU_PKU));
	CHECK_EQ(vm->cpuid->features.xcr0, 7);
	end();
}

TEST(without_avx_state_nothing_of_avx)
{
	rich_host("AuthenticAMD", 0x1f);
	os_user_cpu(0)->xcr0 = 3;
	begin();
	CHECK(cpuid_has(vm, CPU_XSAVE));
	CHECK(!cpuid_has(vm, CPU_AVX));
	CHECK(!cpuid_has(vm, CPU_FMA));
	CHECK(!cpuid_has(vm, CPU_VAES));
	CHECK(!cpuid_has(vm, CPU_XOP));
	end();
}

TEST(keys_need_a_host_that_uses_them)
{
	const uint32_t leaf7[4] = { 0, 0, 0x8, 0 };

	rich_host("AuthenticAMD", 0x1f);
	os_user_set_cpuid(7, 0, leaf7);
	begin();
	CHECK(!cpuid_has(vm, CPU_PKU));
	CHECK_EQ(vm->cpuid->features.xcr0 & REG_XCR0_PKRU, 0);
	end();
}

TEST(speculation_controls_are_the_hosts_choice)
{
	const struct os_mitigations allow = { .spec_ctrl = true };

	rich_host("AuthenticAMD", 0x1f);
	begin();
	CHECK(!cpuid_has(vm, CPU_AMD_SSBD));
	CHECK(!vcpu->context->has_spec_ctrl);
	end();
	os_user_set_mitigations(&allow);
	begin();
	CHECK(cpuid_has(vm, CPU_AMD_SSBD));
	CHECK(vcpu->context->has_spec_ctrl);
	end();
}

TEST(tsc_is_invariant_if_the_host_trusts_it)
{
	const uint32_t none[4] = { 0 };

	os_user_set_cpuid(0x80000007, 0, none);
	begin();
	CHECK_EQ(query(0x80000007, 0, CPUID_REG_EDX), 0x100);
	end();
	os_user_set_tsc_stable(false);
	begin();
	CHECK_EQ(query(0x80000007, 0, CPUID_REG_EDX), 0);
	end();
}

TEST(vendor_and_signature_are_the_hosts)
{
	uint32_t regs[4];

	begin();
	cpuid_query(vcpu, 0, 0, regs);
	CHECK_EQ(regs[CPUID_REG_EAX], 0xd);
	CHECK_EQ(regs[CPUID_REG_EBX], 0x68747541);
	CHECK_EQ(query(1, 0, CPUID_REG_EAX), 0x00800f12);
	cpuid_query(vcpu, 0x80000002, 0, regs);
	CHECK(memcmp(regs, "Simulated proces", 16) == 0);
	end();
}

TEST(hypervisor_leaf)
{
	uint32_t regs[4];

	begin();
	cpuid_query(vcpu, 0x40000000, 7, regs);
	CHECK_EQ(regs[CPUID_REG_EAX], 0x40000000);
	CHECK(memcmp(&regs[CPUID_REG_EBX], "bhyve bhyve ", 12) == 0);
	CHECK_EQ(query(0x40000001, 0, CPUID_REG_EAX), 0);
	end();
}

TEST(leaves_past_the_end)
{
	begin();
	CHECK_EQ(query(0x1000, 0, CPUID_REG_EAX), 0);
	CHECK_EQ(query(0xffffffff, 0, CPUID_REG_EAX), 0);
	CHECK_EQ(query(0x80001000, 0, CPUID_REG_EAX), 0);
	end();
	/* Intel: as the highest basic leaf, whatever that is. */
	rich_host("GenuineIntel", 0xd);
	begin();
	CHECK_EQ(query(0x1000, 0, CPUID_REG_EAX), query(0xd, 0, CPUID_REG_EAX));
	CHECK_EQ(query(0x1000, 1, CPUID_REG_EAX), query(0xd, 1, CPUID_REG_EAX));
	CHECK_EQ(query(0x8fffffff, 0, CPUID_REG_EAX), query(0xd, 0, CPUID_REG_EAX));
	/* Within range but not offered: zeros. */
	CHECK_EQ(query(0xa, 0, CPUID_REG_EAX), 0);
	end();
}

TEST(osxsave_follows_cr4)
{
	begin();
	CHECK_EQ(query(1, 0, CPUID_REG_ECX) >> 27 & 1, 0);
	fake_vcpu(vcpu)->reg[VM_REG_GUEST_CR4] = REG_CR4_OSXSAVE;
	CHECK_EQ(query(1, 0, CPUID_REG_ECX) >> 27 & 1, 1);
	end();
}

TEST(ospke_follows_cr4)
{
	rich_host("AuthenticAMD", 0x1f);
	begin();
	CHECK_EQ(query(7, 0, CPUID_REG_ECX) >> 3 & 3, 1);
	fake_vcpu(vcpu)->reg[VM_REG_GUEST_CR4] = REG_CR4_PKE;
	CHECK_EQ(query(7, 0, CPUID_REG_ECX) >> 3 & 3, 3);
	end();
}

TEST(apic_bit_follows_apic_base)
{
	begin();
	CHECK_EQ(query(1, 0, CPUID_REG_EDX) >> 9 & 1, 1);
	CHECK_EQ(query(0x80000001, 0, CPUID_REG_EDX) >> 9 & 1, 1);
	CHECK_EQ(lapic_set_base(vcpu, lapic_get_base(vcpu) & ~LAPIC_BASE_ENABLE), 0);
	CHECK_EQ(query(1, 0, CPUID_REG_EDX) >> 9 & 1, 0);
	CHECK_EQ(query(0x80000001, 0, CPUID_REG_EDX) >> 9 & 1, 0);
	end();
}

TEST(x2apic_bit_follows_the_vcpus_setting)
{
	begin();
	CHECK_EQ(lapic_set_x2apic_state(vcpu, X2APIC_ENABLED), 0);
	CHECK_EQ(query(1, 0, CPUID_REG_ECX) >> 21 & 1, 1);
	CHECK_EQ(lapic_set_x2apic_state(vcpu, X2APIC_DISABLED), 0);
	CHECK_EQ(query(1, 0, CPUID_REG_ECX) >> 21 & 1, 0);
	end();
}

TEST(xsave_sizes_follow_xcr0)
{
	rich_host("AuthenticAMD", 0x1f);
	begin();
	CHECK_EQ(query(0xd, 0, CPUID_REG_ECX), 0xa88);
	CHECK_EQ(query(0xd, 0, CPUID_REG_EBX), 576);
	context_set_xcr0(vcpu, 7);
	CHECK_EQ(query(0xd, 0, CPUID_REG_EBX), 0x340);
	CHECK_EQ(query(0xd, 1, CPUID_REG_EBX), 0x340);
	context_set_xcr0(vcpu, 0xe7);
	CHECK_EQ(query(0xd, 0, CPUID_REG_EBX), 0xa80);
	/* Compacted: no hole where LWP and MPX would be. */
	CHECK_EQ(query(0xd, 1, CPUID_REG_EBX), 0xa80 - 0x100);
	CHECK_EQ(query(0xd, 2, CPUID_REG_EAX), 0x100);
	CHECK_EQ(query(0xd, 2, CPUID_REG_EBX), 0x240);
	CHECK_EQ(query(0xd, 3, CPUID_REG_EAX), 0);
	end();
}

/* --- topology -------------------------------------------------------------------------- */

static void set_topology(uint16_t sockets, uint16_t cores, uint16_t threads)
{
	vm->topology.sockets = sockets;
	vm->topology.cores = cores;
	vm->topology.threads = threads;
	cpuid_update(vm);
}

TEST(one_processor_has_no_siblings)
{
	begin();
	CHECK_EQ(query(1, 0, CPUID_REG_EDX) >> 28 & 1, 0);
	CHECK_EQ(query(1, 0, CPUID_REG_EBX), 0x00010800);
	CHECK_EQ(query(0xb, 0, CPUID_REG_EAX), 0);
	CHECK_EQ(query(0xb, 0, CPUID_REG_EBX), 1);
	CHECK_EQ(query(0x80000008, 0, CPUID_REG_ECX), 0);
	CHECK_EQ(query(0x80000001, 0, CPUID_REG_ECX) >> 1 & 1, 0);
	end();
}

TEST(levels_of_topology)
{
	begin();
	set_topology(2, 3, 2);
	vcpu = fake_vm_vcpu(vm, 5);
	CHECK_EQ(query(1, 0, CPUID_REG_EDX) >> 28 & 1, 1);
	CHECK_EQ(query(1, 0, CPUID_REG_EBX) >> 24, 5);
	CHECK_EQ(query(1, 0, CPUID_REG_EBX) >> 16 & 0xff, 8);
	CHECK_EQ(query(0xb, 0, CPUID_REG_EAX), 1);
	CHECK_EQ(query(0xb, 0, CPUID_REG_EBX), 2);
	CHECK_EQ(query(0xb, 0, CPUID_REG_ECX), 0x100);
	CHECK_EQ(query(0xb, 1, CPUID_REG_EAX), 3);
	CHECK_EQ(query(0xb, 1, CPUID_REG_EBX), 6);
	CHECK_EQ(query(0xb, 1, CPUID_REG_ECX), 0x201);
	CHECK_EQ(query(0xb, 1, CPUID_REG_EDX), 5);
	CHECK_EQ(query(0xb, 2, CPUID_REG_EBX), 0);
	CHECK_EQ(query(0xb, 2, CPUID_REG_ECX), 2);
	CHECK_EQ(query(0xb, 0x107, CPUID_REG_ECX), 7);
	CHECK_EQ(query(0xb, 2, CPUID_REG_EDX), 5);
	CHECK_EQ(query(0x80000008, 0, CPUID_REG_ECX), 3 << 12 | 5);
	CHECK_EQ(query(0x80000001, 0, CPUID_REG_ECX) >> 1 & 1, 1);
	end();
}

TEST(amd_extended_topology)
{
	begin();
	set_topology(2, 2, 2);
	vcpu = fake_vm_vcpu(vm, 7);
	CHECK_EQ(query(0x8000001e, 0, CPUID_REG_EAX), 7);
	CHECK_EQ(query(0x8000001e, 0, CPUID_REG_EBX), 0x101);
	CHECK_EQ(query(0x8000001e, 0, CPUID_REG_ECX), 1);
	/* Level 2 by the threads of a core, level 3 by the socket. */
	CHECK_EQ(query(0x8000001d, 2, CPUID_REG_EAX), 0x143 | 1 << 14);
	CHECK_EQ(query(0x8000001d, 3, CPUID_REG_EAX), 0x163 | 3 << 14);
	CHECK_EQ(query(0x8000001d, 4, CPUID_REG_EAX), 0);
	end();
}

TEST(intel_cache_sharing)
{
	const uint32_t l1[4] = { 0x1c004121, 0x01c0003f, 0x3f, 0 };
	const uint32_t l3[4] = { 0x1c03c163, 0x02c0003f, 0x2fff, 6 };

	rich_host("GenuineIntel", 0x1f);
	os_user_set_cpuid(4, 0, l1);
	os_user_set_cpuid(4, 1, l3);
	begin();
	set_topology(1, 4, 2);
	CHECK_EQ(query(4, 0, CPUID_REG_EAX), 3u << 26 | 1 << 14 | 0x121);
	CHECK_EQ(query(4, 1, CPUID_REG_EAX), 3u << 26 | 7 << 14 | 0x163);
	CHECK_EQ(query(4, 1, CPUID_REG_ECX), 0x2fff);
	CHECK_EQ(query(4, 2, CPUID_REG_EAX), 0);
	CHECK_EQ(query(0x1f, 1, CPUID_REG_EAX), 3);
	CHECK_EQ(query(0x80000008, 0, CPUID_REG_ECX), 0);
	end();
}

TEST(physical_addresses_fit_the_nested_table)
{
	rich_host("AuthenticAMD", 0x1f);
	begin();
	CHECK_EQ(query(0x80000008, 0, CPUID_REG_EAX), 0x3930);
	CHECK_EQ(cpuid_phys_reserved(vm), ~0ull << 48);
	end();
	os_user_cpu(0)->cr4 |= REG_CR4_LA57;
	begin();
	CHECK_EQ(query(0x80000008, 0, CPUID_REG_EAX), 0x3934);
	end();
}

TEST(canonical_addresses)
{
	begin();
	CHECK(cpuid_canonical(vm, 0x00007fffffffffff));
	CHECK(cpuid_canonical(vm, 0xffff800000000000));
	CHECK(!cpuid_canonical(vm, 0x0000800000000000));
	CHECK(!cpuid_canonical(vm, 0xffff7fffffffffff));
	end();
}

TEST(no_memory_no_table)
{
	struct vm bare = { .topology = { 1, 1, 1, 1 } };

	os_user_fail_alloc(1);
	CHECK_EQ(cpuid_create(&bare), -ENOMEM);
	cpuid_destroy(&bare);
}
