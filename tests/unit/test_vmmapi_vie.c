// SPDX-License-Identifier: BSD-2-Clause
/* What libvmmapi tells emulators of a program's own about operands, and their faults. */
#include <machine/vmm_instruction_emul.h>
#include <vmmapi.h>
#include <x86/segments.h>

#include "unit.h"
#include "vmmapi/device.h"

#define CR0_AM	  (1ull << 18)
#define RFLAGS_AC (1ull << 18)
#define PRESENT	  0x80u
#define BIG	  0x4000u
#define UNUSABLE  0x10000u

TEST(masks_of_sizes)
{
	CHECK_EQ(vie_size2mask(1), 0xff);
	CHECK_EQ(vie_size2mask(2), 0xffff);
	CHECK_EQ(vie_size2mask(4), 0xffffffff);
	CHECK_EQ(vie_size2mask(8), UINT64_MAX);
}

/* APM vol. 2, 8.2.18: only at CPL 3, with both bits set. */
TEST(alignment_is_checked_for_users_who_want_it)
{
	CHECK_EQ(vie_alignment_check(3, 4, CR0_AM, RFLAGS_AC, 0x1002), 1);
	CHECK_EQ(vie_alignment_check(3, 8, CR0_AM, RFLAGS_AC, 0x1004), 1);
	CHECK_EQ(vie_alignment_check(3, 4, CR0_AM, RFLAGS_AC, 0x1004), 0);
	CHECK_EQ(vie_alignment_check(3, 1, CR0_AM, RFLAGS_AC, 0x1003), 0);
	CHECK_EQ(vie_alignment_check(0, 4, CR0_AM, RFLAGS_AC, 0x1002), 0);
	CHECK_EQ(vie_alignment_check(3, 4, 0, RFLAGS_AC, 0x1002), 0);
	CHECK_EQ(vie_alignment_check(3, 4, CR0_AM, 0, 0x1002), 0);
}

TEST(canonical_addresses)
{
	CHECK_EQ(vie_canonical_check(CPU_MODE_64BIT, 0x7fffffffffff), 0);
	CHECK_EQ(vie_canonical_check(CPU_MODE_64BIT, 0xffff800000000000), 0);
	CHECK_EQ(vie_canonical_check(CPU_MODE_64BIT, 0x800000000000), 1);
	CHECK_EQ(vie_canonical_check(CPU_MODE_64BIT, 0x8000000000000000), 1);
	CHECK_EQ(vie_canonical_check(CPU_MODE_PROTECTED, 0x800000000000), 0);
}

/* --- segments ------------------------------------------------------------------------- */

static int calculate(enum vm_cpu_mode mode, uint32_t access, uint64_t offset, int length, int prot,
		     uint64_t *gla)
{
	struct seg_desc desc = { .base = 0x10000, .limit = 0xfff, .access = access };

	*gla = 0;
	return vie_calculate_gla(mode, VM_REG_GUEST_DS, &desc, offset, length, 4, prot, gla);
}

static void check_allowed(uint32_t access, uint64_t offset, int length, int prot)
{
	uint64_t gla;

	CHECK_EQ_AT(calculate(CPU_MODE_PROTECTED, access, offset, length, prot, &gla), 0,
		    "type %#x, offset %#jx", access, (uintmax_t)offset);
	CHECK_EQ(gla, 0x10000 + offset);
}

static void check_refused(uint32_t access, uint64_t offset, int length, int prot)
{
	uint64_t gla;

	CHECK_EQ_AT(calculate(CPU_MODE_PROTECTED, access, offset, length, prot, &gla), -1,
		    "type %#x, offset %#jx", access, (uintmax_t)offset);
}

/* APM vol. 2, 4.12.2: the last byte counts; expand-down is what the limit leaves. */
TEST(limits)
{
	check_allowed(PRESENT | SDT_MEMRW, 0, 8, VM_PROT_READ);
	check_allowed(PRESENT | SDT_MEMRW, 0xffc, 4, VM_PROT_WRITE);
	check_refused(PRESENT | SDT_MEMRW, 0xffd, 4, VM_PROT_READ);
	check_refused(PRESENT | SDT_MEMRW, 0x1000, 1, VM_PROT_READ);
	check_refused(PRESENT | SDT_MEMRWD, 0xfff, 1, VM_PROT_READ);
	check_allowed(PRESENT | SDT_MEMRWD, 0x1000, 1, VM_PROT_READ);
	check_allowed(PRESENT | SDT_MEMRWD, 0xffff, 1, VM_PROT_READ);
	check_refused(PRESENT | SDT_MEMRWD, 0xffff, 2, VM_PROT_READ);
	check_allowed(PRESENT | SDT_MEMRWD | BIG, 0x10000, 2, VM_PROT_READ);
}

/* APM vol. 2, 4.8.1 and 4.8.2 */
TEST(types)
{
	check_refused(PRESENT | SDT_MEMRO, 0, 1, VM_PROT_WRITE);
	check_allowed(PRESENT | SDT_MEMRO, 0, 1, VM_PROT_READ);
	check_allowed(PRESENT | SDT_MEMER, 0, 1, VM_PROT_READ);
	check_refused(PRESENT | SDT_MEME, 0, 1, VM_PROT_READ);
	check_refused(PRESENT | SDT_MEMER, 0, 1, VM_PROT_WRITE);
	check_allowed(PRESENT | SDT_MEMERC, 0xfff, 1, VM_PROT_READ);
	check_refused(PRESENT | SDT_MEMRW | UNUSABLE, 0, 1, VM_PROT_READ);
}

TEST(addresses_wrap_by_mode)
{
	struct seg_desc desc = { .base = 0xffffff00, .limit = 0xffffffff, .access = PRESENT | BIG };
	uint64_t gla;

	desc.access |= SDT_MEMRW;
	CHECK_EQ(vie_calculate_gla(CPU_MODE_PROTECTED, VM_REG_GUEST_DS, &desc, 0x200, 1, 4,
				   VM_PROT_READ, &gla),
		 0);
	CHECK_EQ(gla, 0x100);
	/* In 64-bit mode FS and GS alone have a base, none a limit. */
	desc.limit = 0;
	CHECK_EQ(vie_calculate_gla(CPU_MODE_64BIT, VM_REG_GUEST_DS, &desc, 0x200, 1, 8,
				   VM_PROT_WRITE, &gla),
		 0);
	CHECK_EQ(gla, 0x200);
	CHECK_EQ(vie_calculate_gla(CPU_MODE_64BIT, VM_REG_GUEST_GS, &desc, 0x1200000000, 1, 4,
				   VM_PROT_WRITE, &gla),
		 0);
	CHECK_EQ(gla, 0xffffff00);
	CHECK_EQ(vie_calculate_gla(CPU_MODE_64BIT, VM_REG_GUEST_FS, &desc, 0x200, 1, 8,
				   VM_PROT_WRITE, &gla),
		 0);
	CHECK_EQ(gla, 0x100000100);
}

/* --- faults --------------------------------------------------------------------------- */

static struct {
	int vector, error_code_valid, error_code;
} fault;

void vm_inject_fault(struct vcpu *vcpu, int vector, int error_code_valid, int error_code)
{
	(void)vcpu;
	fault.vector = vector;
	fault.error_code_valid = error_code_valid;
	fault.error_code = error_code;
}

static void check_fault(int vector, int error_code_valid, int error_code)
{
	CHECK_EQ(fault.vector, vector);
	CHECK_EQ(fault.error_code_valid, error_code_valid);
	CHECK_EQ(fault.error_code, error_code);
}

TEST(faults_go_to_the_program)
{
	struct vmctx *ctx;
	struct vcpu *vcpu;

	device_reset();
	ctx = vm_openf(DEVICE_NAME, VMMAPI_OPEN_CREATE);
	REQUIRE(ctx);
	vcpu = vm_vcpu_open(ctx, 0);
	vm_inject_ud(vcpu);
	check_fault(6, 0, 0);
	vm_inject_gp(vcpu);
	check_fault(13, 1, 0);
	vm_inject_ac(vcpu, 0);
	check_fault(17, 1, 0);
	vm_inject_ss(vcpu, 0x10);
	check_fault(12, 1, 0x10);
	vm_inject_pf(vcpu, 6, 0x1234567890);
	check_fault(14, 1, 6);
	CHECK_EQ(device.registers[VM_REG_GUEST_CR2], 0x1234567890);
	vm_vcpu_close(vcpu);
	vm_destroy(ctx);
}

TEST(descriptors_are_taken_apart)
{
	const uint64_t bits = 0x12cf9a345678abcd;
	struct user_segment_descriptor sd;

	memcpy(&sd, &bits, sizeof(sd));
	CHECK_EQ(USD_GETBASE(&sd), 0x12345678);
	CHECK_EQ(USD_GETLIMIT(&sd), 0xfabcd);
	CHECK_EQ(sd.sd_type, SDT_MEMER);
	CHECK_EQ(sd.sd_p, 1);
	CHECK_EQ(sd.sd_gran, 1);
	CHECK_EQ(GSEL(4, SEL_UPL), 0x23);
	CHECK_EQ(IDXSEL(0x23), 4);
}
