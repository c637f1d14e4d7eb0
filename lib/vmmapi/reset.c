// SPDX-License-Identifier: BSD-2-Clause
/*
 * A processor's state after power-on (SDM vol. 3, table 9-1; APM vol. 2, table
 * 14-1), and the entry states of FreeBSD's kernels.
 */
#include <string.h>

#include "internal.h"

#define CR0_PE		0x1ULL
#define CR0_MP		0x2ULL
#define CR0_ET		0x10ULL
#define CR0_NE		0x20ULL
#define CR0_NW		0x20000000ULL
#define CR0_CD		0x40000000ULL
#define CR0_PG		0x80000000ULL
#define CR4_PAE		0x20ULL
#define EFER_LME	0x100ULL
#define EFER_LMA	0x400ULL
#define RFLAGS_RESERVED 0x2ULL
#define DR6_RESERVED	0xffff0ff0ULL
#define DR7_RESERVED	0x400ULL

/* Segment access rights: see struct seg_desc. */
#define ACCESS_DATA	  0x0093U /* present, data, writable, accessed */
#define ACCESS_CODE	  0x009bU /* present, code, readable, accessed */
#define ACCESS_LDT	  0x0082U
#define ACCESS_TSS32_BUSY 0x008bU
#define ACCESS_LONG	  0x2000U
#define ACCESS_32BIT	  0x4000U
#define ACCESS_GRANULAR	  0x8000U
#define ACCESS_UNUSABLE	  0x10000U

struct register_value {
	int reg;
	uint64_t value;
};

struct segment_value {
	int reg;
	uint16_t selector;
	uint64_t base;
	uint32_t limit;
	uint32_t access;
};

static int set_registers(struct vcpu *vcpu, const struct register_value *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (vm_set_register(vcpu, values[i].reg, values[i].value))
			return -1;
	return 0;
}

static bool has_selector(int reg)
{
	return reg != VM_REG_GUEST_GDTR && reg != VM_REG_GUEST_IDTR;
}

static int set_segments(struct vcpu *vcpu, const struct segment_value *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct segment_value *v = &values[i];

		if (vm_set_desc(vcpu, v->reg, v->base, v->limit, v->access))
			return -1;
		if (has_selector(v->reg) && vm_set_register(vcpu, v->reg, v->selector))
			return -1;
	}
	return 0;
}

static const struct register_value reset_registers[] = {
	/* The mode first: which values are legal for the rest depends on it. */
	{ VM_REG_GUEST_CR0, CR0_CD | CR0_NW | CR0_ET },
	{ VM_REG_GUEST_EFER, 0 },
	{ VM_REG_GUEST_CR2, 0 },
	{ VM_REG_GUEST_CR3, 0 },
	{ VM_REG_GUEST_CR4, 0 },
	{ VM_REG_GUEST_RFLAGS, RFLAGS_RESERVED },
	{ VM_REG_GUEST_RIP, 0xfff0 },
	{ VM_REG_GUEST_RSP, 0 },
	{ VM_REG_GUEST_RAX, 0 },
	{ VM_REG_GUEST_RBX, 0 },
	{ VM_REG_GUEST_RCX, 0 },
	{ VM_REG_GUEST_RDX, 0xf00 }, /* a processor of family 15 */
	{ VM_REG_GUEST_RSI, 0 },
	{ VM_REG_GUEST_RDI, 0 },
	{ VM_REG_GUEST_RBP, 0 },
	{ VM_REG_GUEST_R8, 0 },
	{ VM_REG_GUEST_R9, 0 },
	{ VM_REG_GUEST_R10, 0 },
	{ VM_REG_GUEST_R11, 0 },
	{ VM_REG_GUEST_R12, 0 },
	{ VM_REG_GUEST_R13, 0 },
	{ VM_REG_GUEST_R14, 0 },
	{ VM_REG_GUEST_R15, 0 },
	{ VM_REG_GUEST_DR0, 0 },
	{ VM_REG_GUEST_DR1, 0 },
	{ VM_REG_GUEST_DR2, 0 },
	{ VM_REG_GUEST_DR3, 0 },
	{ VM_REG_GUEST_DR6, DR6_RESERVED },
	{ VM_REG_GUEST_DR7, DR7_RESERVED },
	{ VM_REG_GUEST_INTR_SHADOW, 0 },
};

static const struct segment_value reset_segments[] = {
	{ VM_REG_GUEST_CS, 0xf000, 0xffff0000, 0xffff, ACCESS_CODE },
	{ VM_REG_GUEST_SS, 0, 0, 0xffff, ACCESS_DATA },
	{ VM_REG_GUEST_DS, 0, 0, 0xffff, ACCESS_DATA },
	{ VM_REG_GUEST_ES, 0, 0, 0xffff, ACCESS_DATA },
	{ VM_REG_GUEST_FS, 0, 0, 0xffff, ACCESS_DATA },
	{ VM_REG_GUEST_GS, 0, 0, 0xffff, ACCESS_DATA },
	{ VM_REG_GUEST_LDTR, 0, 0, 0xffff, ACCESS_LDT },
	{ VM_REG_GUEST_TR, 0, 0, 0xffff, ACCESS_TSS32_BUSY },
	{ VM_REG_GUEST_GDTR, 0, 0, 0xffff, 0 },
	{ VM_REG_GUEST_IDTR, 0, 0, 0xffff, 0 },
};

int vcpu_reset(struct vcpu *vcpu)
{
	if (set_registers(vcpu, reset_registers, nitems(reset_registers)))
		return -1;
	return set_segments(vcpu, reset_segments, nitems(reset_segments));
}

#define FREEBSD_CODE_SELECTOR 0x8
#define FREEBSD_DATA_SELECTOR 0x10
#define GDT_CODE64	      0x00209a0000000000ULL /* L, present, code, readable */
#define GDT_DATA	      0x0000920000000000ULL /* present, data, writable */

void vm_setup_freebsd_gdt(uint64_t *gdt)
{
	gdt[0] = 0;
	gdt[1] = GDT_CODE64;
	gdt[2] = GDT_DATA;
}

/* The flat segments of a kernel, differing in the code segment's L and D bits. */
static int set_flat_segments(struct vcpu *vcpu, uint64_t gdtbase, uint32_t code_size)
{
	const uint32_t data = ACCESS_DATA | ACCESS_32BIT | ACCESS_GRANULAR;
	const uint32_t code = ACCESS_CODE | ACCESS_GRANULAR | code_size;
	const struct segment_value segments[] = {
		{ VM_REG_GUEST_CS, FREEBSD_CODE_SELECTOR, 0, 0xffffffff, code },
		{ VM_REG_GUEST_SS, FREEBSD_DATA_SELECTOR, 0, 0xffffffff, data },
		{ VM_REG_GUEST_DS, FREEBSD_DATA_SELECTOR, 0, 0xffffffff, data },
		{ VM_REG_GUEST_ES, FREEBSD_DATA_SELECTOR, 0, 0xffffffff, data },
		{ VM_REG_GUEST_FS, FREEBSD_DATA_SELECTOR, 0, 0xffffffff, data },
		{ VM_REG_GUEST_GS, FREEBSD_DATA_SELECTOR, 0, 0xffffffff, data },
		{ VM_REG_GUEST_LDTR, 0, 0, 0, ACCESS_LDT | ACCESS_UNUSABLE },
		{ VM_REG_GUEST_TR, 0, 0, 0, ACCESS_TSS32_BUSY },
		{ VM_REG_GUEST_GDTR, 0, gdtbase, 3 * sizeof(uint64_t) - 1, 0 },
		{ VM_REG_GUEST_IDTR, 0, 0, 0, 0 },
	};

	return set_segments(vcpu, segments, nitems(segments));
}

int vm_setup_freebsd_registers(struct vcpu *vcpu, uint64_t rip, uint64_t cr3, uint64_t gdtbase,
			       uint64_t rsp)
{
	const struct register_value registers[] = {
		{ VM_REG_GUEST_CR4, CR4_PAE },
		{ VM_REG_GUEST_CR3, cr3 },
		{ VM_REG_GUEST_EFER, EFER_LME | EFER_LMA },
		{ VM_REG_GUEST_CR0, CR0_PE | CR0_PG | CR0_NE },
		{ VM_REG_GUEST_RFLAGS, RFLAGS_RESERVED },
		{ VM_REG_GUEST_RSP, rsp },
		{ VM_REG_GUEST_RIP, rip },
	};

	if (set_registers(vcpu, registers, nitems(registers)))
		return -1;
	return set_flat_segments(vcpu, gdtbase, ACCESS_LONG);
}

/* Flat 32-bit descriptors, where vm_setup_freebsd_registers_i386() puts them. */
#define GDT_CODE32 0x00cf9a000000ffffULL
#define GDT_DATA32 0x00cf92000000ffffULL

static int write_i386_gdt(struct vcpu *vcpu, uint32_t gdtbase)
{
	const uint64_t gdt[3] = { 0, GDT_CODE32, GDT_DATA32 };
	void *address = vm_map_gpa(vcpu->ctx, gdtbase, sizeof(gdt));

	if (!address)
		return -1;
	memcpy(address, gdt, sizeof(gdt));
	return 0;
}

int vm_setup_freebsd_registers_i386(struct vcpu *vcpu, uint32_t eip, uint32_t gdtbase, uint32_t esp)
{
	const struct register_value registers[] = {
		{ VM_REG_GUEST_CR0, CR0_PE | CR0_NE },
		{ VM_REG_GUEST_CR4, 0 },
		{ VM_REG_GUEST_EFER, 0 },
		{ VM_REG_GUEST_RFLAGS, RFLAGS_RESERVED },
		{ VM_REG_GUEST_RSP, esp },
		{ VM_REG_GUEST_RIP, eip },
	};

	if (write_i386_gdt(vcpu, gdtbase))
		return -1;
	if (set_registers(vcpu, registers, nitems(registers)))
		return -1;
	return set_flat_segments(vcpu, gdtbase, ACCESS_32BIT);
}
