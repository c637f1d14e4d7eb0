// SPDX-License-Identifier: BSD-2-Clause
/*
 * The state in which vCPU 0 starts (APM vol. 2, chapters 4 and 5; SDM vol. 3,
 * chapters 3 and 4, for descriptors and page tables).
 */
#include "state.h"

#include <string.h>

#define CR0_PE		0x1ULL
#define CR0_ET		0x10ULL
#define CR0_NE		0x20ULL
#define CR0_PG		0x80000000ULL
#define CR4_PAE		0x20ULL
#define EFER_LME	0x100ULL
#define EFER_LMA	0x400ULL
#define RFLAGS_RESERVED 0x2ULL

/* Present, readable or writable, accessed, 4 KiB granular; see seg_desc. */
#define ACCESS_CODE64	    0xa09bU
#define ACCESS_CODE32	    0xc09bU
#define ACCESS_DATA	    0xc093U
#define ACCESS_TSS_BUSY	    0x008bU
#define ACCESS_LDT_UNUSABLE 0x10082U

#define FLAT_LIMIT 0xffffffffU
#define TSS_LIMIT  0x67U

/* Null, unused, code, data, and a TSS of two entries for long mode's sake. */
#define GDT_ENTRIES 6

#define PTE_PRESENT   0x1ULL
#define PTE_WRITABLE  0x2ULL
#define PTE_LARGE     0x80ULL
#define TABLE_ENTRIES 512
#define MAPPED_GIBS   4

void state_set(struct boot_state *state, enum vm_reg_name reg, uint64_t value)
{
	unsigned int i;

	for (i = 0; i < state->register_count; i++)
		if (state->regs[i] == (int)reg)
			break;
	if (i == MOST_BOOT_REGISTERS)
		return; /* no caller names that many */
	if (i == state->register_count)
		state->register_count++;
	state->regs[i] = (int)reg;
	state->values[i] = value;
}

uint64_t state_get(const struct boot_state *state, enum vm_reg_name reg)
{
	for (unsigned int i = 0; i < state->register_count; i++)
		if (state->regs[i] == (int)reg)
			return state->values[i];
	return 0;
}

static void add_segment(struct boot_state *state, enum vm_reg_name reg, uint16_t selector,
			uint64_t base, uint32_t limit, uint32_t access)
{
	state->segments[state->segment_count++] = (struct boot_segment){
		.reg = reg,
		.selector = selector,
		.desc = { .base = base, .limit = limit, .access = access },
	};
}

/* The eight bytes of a descriptor with base 0. */
static uint64_t flat_descriptor(uint32_t limit, uint32_t access)
{
	uint64_t units = access & 0x8000 ? limit >> 12 : limit;

	return (units & 0xffff) | (uint64_t)(access & 0xff) << 40 | (units >> 16 & 0xf) << 48 |
	       (uint64_t)(access >> 12 & 0xf) << 52;
}

static int put_gdt(struct guest *guest, uint32_t code_access, uint64_t *base)
{
	const uint64_t gdt[GDT_ENTRIES] = {
		[BOOT_CODE_SELECTOR / 8] = flat_descriptor(FLAT_LIMIT, code_access),
		[BOOT_DATA_SELECTOR / 8] = flat_descriptor(FLAT_LIMIT, ACCESS_DATA),
		[BOOT_TSS_SELECTOR / 8] = flat_descriptor(TSS_LIMIT, ACCESS_TSS_BUSY),
	};

	return guest_put(guest, gdt, sizeof(gdt), sizeof(gdt[0]), "descriptor table", base);
}

static int describe_segments(struct boot_state *state, struct guest *guest, uint32_t code_access)
{
	static const enum vm_reg_name data[] = { VM_REG_GUEST_DS, VM_REG_GUEST_ES, VM_REG_GUEST_FS,
						 VM_REG_GUEST_GS, VM_REG_GUEST_SS };
	uint64_t gdt;

	if (put_gdt(guest, code_access, &gdt))
		return -1;
	state->segment_count = 0;
	add_segment(state, VM_REG_GUEST_CS, BOOT_CODE_SELECTOR, 0, FLAT_LIMIT, code_access);
	for (size_t i = 0; i < sizeof(data) / sizeof(data[0]); i++)
		add_segment(state, data[i], BOOT_DATA_SELECTOR, 0, FLAT_LIMIT, ACCESS_DATA);
	add_segment(state, VM_REG_GUEST_TR, BOOT_TSS_SELECTOR, 0, TSS_LIMIT, ACCESS_TSS_BUSY);
	add_segment(state, VM_REG_GUEST_LDTR, 0, 0, 0, ACCESS_LDT_UNUSABLE);
	add_segment(state, VM_REG_GUEST_GDTR, 0, gdt, GDT_ENTRIES * 8 - 1, 0);
	add_segment(state, VM_REG_GUEST_IDTR, 0, 0, 0, 0);
	return 0;
}

int state_protected_mode(struct boot_state *state, struct guest *guest, uint32_t entry)
{
	memset(state, 0, sizeof(*state));
	state_set(state, VM_REG_GUEST_CR0, CR0_PE | CR0_ET | CR0_NE);
	state_set(state, VM_REG_GUEST_CR3, 0);
	state_set(state, VM_REG_GUEST_CR4, 0);
	state_set(state, VM_REG_GUEST_EFER, 0);
	state_set(state, VM_REG_GUEST_RFLAGS, RFLAGS_RESERVED);
	state_set(state, VM_REG_GUEST_RDX, 0);
	state_set(state, VM_REG_GUEST_RIP, entry);
	return describe_segments(state, guest, ACCESS_CODE32);
}

/* A root, one table of 1 GiB entries, and a table of 2 MiB pages for each GiB. */
static int put_page_tables(struct guest *guest, uint64_t *root)
{
	const size_t size = (2 + MAPPED_GIBS) * PAGE_BYTES;
	uint64_t *tables;
	uint64_t *pages;

	if (guest_find(guest, size, PAGE_BYTES, PAGE_BYTES, guest->lowmem, "page tables", root))
		return -1;
	tables = guest_zeroed(guest, *root, size);
	if (!tables)
		return -1;
	pages = tables + 2 * TABLE_ENTRIES;
	tables[0] = (*root + PAGE_BYTES) | PTE_PRESENT | PTE_WRITABLE;
	for (unsigned int i = 0; i < MAPPED_GIBS; i++)
		tables[TABLE_ENTRIES + i] = (*root + (2 + i) * PAGE_BYTES) | PTE_PRESENT |
					    PTE_WRITABLE;
	for (uint64_t i = 0; i < MAPPED_GIBS * TABLE_ENTRIES; i++)
		pages[i] = i * 2 * MIB | PTE_PRESENT | PTE_WRITABLE | PTE_LARGE;
	return 0;
}

int state_long_mode(struct boot_state *state, struct guest *guest, uint64_t entry)
{
	uint64_t root;

	memset(state, 0, sizeof(*state));
	if (put_page_tables(guest, &root))
		return -1;
	state_set(state, VM_REG_GUEST_CR4, CR4_PAE);
	state_set(state, VM_REG_GUEST_CR3, root);
	state_set(state, VM_REG_GUEST_EFER, EFER_LME | EFER_LMA);
	state_set(state, VM_REG_GUEST_CR0, CR0_PE | CR0_ET | CR0_NE | CR0_PG);
	state_set(state, VM_REG_GUEST_RFLAGS, RFLAGS_RESERVED);
	state_set(state, VM_REG_GUEST_RDX, 0);
	state_set(state, VM_REG_GUEST_RIP, entry);
	return describe_segments(state, guest, ACCESS_CODE64);
}
