// SPDX-License-Identifier: BSD-2-Clause
/* Guest memory in the process, and small kernels of each kind. */
#include "helpers.h"

#include <elf.h>
#include <stdlib.h>

#include "unit.h"

static void *map(void *context, uint64_t gpa, size_t length)
{
	struct test_memory *memory = context;

	if (length > memory->size || gpa > memory->size - length)
		return NULL;
	return memory->bytes + gpa;
}

void test_memory_init(struct test_memory *memory, uint64_t size)
{
	memory->bytes = malloc(size);
	REQUIRE(memory->bytes);
	memset(memory->bytes, DIRT, size);
	memory->size = size;
	test_memory_reset(memory);
}

void test_memory_reset(struct test_memory *memory)
{
	const struct memory_ops ops = { .map = map, .context = memory };

	memset(&memory->guest, 0, sizeof(memory->guest));
	memset(&memory->state, 0, sizeof(memory->state));
	memset(&memory->request, 0, sizeof(memory->request));
	memory->request.command_line = "";
	REQUIRE(guest_init(&memory->guest, &ops, memory->size, 0) == 0);
}

void test_memory_free(struct test_memory *memory)
{
	free(memory->bytes);
}

void *test_memory_at(struct test_memory *memory, uint64_t gpa, uint64_t length)
{
	void *at = map(memory, gpa, length);

	REQUIRE(at);
	return at;
}

uint32_t test_memory_u32(struct test_memory *memory, uint64_t gpa)
{
	uint32_t value;

	memcpy(&value, test_memory_at(memory, gpa, sizeof(value)), sizeof(value));
	return value;
}

uint64_t test_memory_u64(struct test_memory *memory, uint64_t gpa)
{
	uint64_t value;

	memcpy(&value, test_memory_at(memory, gpa, sizeof(value)), sizeof(value));
	return value;
}

int test_load(struct test_memory *memory)
{
	const struct kernel_format *format =
		load_find_format(&memory->request.kernel, &memory->guest.failure);

	if (!format)
		return -1;
	return format->load(&memory->request, &memory->guest, &memory->state);
}

void test_add_module(struct test_memory *memory, const char *name, const uint8_t *bytes,
		     size_t size, const char *args)
{
	struct module *module = &memory->request.modules[memory->request.module_count++];

	image_from_bytes(&module->image, name, bytes, size);
	module->args = args;
}

const struct boot_segment *test_segment(struct test_memory *memory, enum vm_reg_name reg)
{
	for (unsigned int i = 0; i < memory->state.segment_count; i++)
		if (memory->state.segments[i].reg == reg)
			return &memory->state.segments[i];
	unit_fail(__FILE__, __LINE__, "no segment register %d is set", (int)reg);
	unit_end();
}

static void check_flat(struct test_memory *memory, enum vm_reg_name reg, uint16_t selector,
		       uint32_t access, uint64_t descriptor)
{
	const struct boot_segment *segment = test_segment(memory, reg);
	const struct boot_segment *gdtr = test_segment(memory, VM_REG_GUEST_GDTR);

	CHECK_EQ_AT(segment->selector, selector, "register %d", (int)reg);
	CHECK_EQ_AT(segment->desc.base, 0, "register %d", (int)reg);
	CHECK_EQ_AT(segment->desc.limit, 0xffffffff, "register %d", (int)reg);
	CHECK_EQ_AT(segment->desc.access, access, "register %d", (int)reg);
	CHECK(selector + 7u <= gdtr->desc.limit);
	CHECK_EQ(test_memory_u64(memory, gdtr->desc.base + selector), descriptor);
}

void test_check_protected_mode(struct test_memory *memory)
{
	static const enum vm_reg_name data[] = { VM_REG_GUEST_DS, VM_REG_GUEST_ES, VM_REG_GUEST_FS,
						 VM_REG_GUEST_GS, VM_REG_GUEST_SS };

	check_flat(memory, VM_REG_GUEST_CS, 0x10, 0xc09b, 0x00cf9b000000ffff);
	for (size_t i = 0; i < sizeof(data) / sizeof(data[0]); i++)
		check_flat(memory, data[i], 0x18, 0xc093, 0x00cf93000000ffff);
	CHECK_EQ(state_get(&memory->state, VM_REG_GUEST_CR0), 0x31); /* PE, ET, NE */
	CHECK_EQ(state_get(&memory->state, VM_REG_GUEST_CR4), 0);
	CHECK_EQ(state_get(&memory->state, VM_REG_GUEST_EFER), 0);
	CHECK_EQ(state_get(&memory->state, VM_REG_GUEST_RFLAGS), 2);
	CHECK_EQ(test_segment(memory, VM_REG_GUEST_TR)->desc.access, 0x8b);
	CHECK_EQ(test_segment(memory, VM_REG_GUEST_TR)->desc.limit, 0x67);
	CHECK_EQ(test_memory_u64(memory, test_segment(memory, VM_REG_GUEST_GDTR)->desc.base), 0);
}

void put8(uint8_t *file, size_t offset, uint8_t value)
{
	file[offset] = value;
}

void put16(uint8_t *file, size_t offset, uint16_t value)
{
	memcpy(file + offset, &value, sizeof(value));
}

void put32(uint8_t *file, size_t offset, uint32_t value)
{
	memcpy(file + offset, &value, sizeof(value));
}

void put64(uint8_t *file, size_t offset, uint64_t value)
{
	memcpy(file + offset, &value, sizeof(value));
}

size_t build_bzimage(uint8_t *file, uint32_t code_size)
{
	memset(file, 0, BZIMAGE_SETUP);
	put8(file, 0x1f1, 4);		    /* setup_sects */
	put32(file, 0x1f4, code_size / 16); /* syssize */
	put16(file, 0x1fe, 0xaa55);
	put16(file, 0x200, 0x6aeb); /* jump over the header, to 0x26c */
	memcpy(file + 0x202, "HdrS", 4);
	put16(file, 0x206, 0x020f);
	put8(file, 0x211, 0x01);	/* LOADED_HIGH */
	put32(file, 0x22c, 0x7fffffff); /* initrd_addr_max */
	put32(file, 0x230, 0x200000);	/* kernel_alignment */
	put8(file, 0x234, 1);		/* relocatable */
	put16(file, 0x236, 0x3f);	/* xloadflags, with the 64-bit entry */
	put32(file, 0x238, 2047);	/* cmdline_size */
	put64(file, 0x258, 0x1000000);	/* pref_address */
	put32(file, 0x260, 0x400000);	/* init_size */
	for (uint32_t i = 0; i < code_size; i++)
		file[BZIMAGE_SETUP + i] = (uint8_t)(i % 251);
	return BZIMAGE_SETUP + code_size;
}

static void put_ident(uint8_t *file, uint8_t width)
{
	memcpy(file, ELFMAG, SELFMAG);
	file[EI_CLASS] = width;
	file[EI_DATA] = ELFDATA2LSB;
	file[EI_VERSION] = EV_CURRENT;
}

size_t build_elf32(uint8_t *file, uint32_t entry, unsigned int segments)
{
	const Elf32_Ehdr header = {
		.e_type = ET_EXEC,
		.e_machine = EM_386,
		.e_version = EV_CURRENT,
		.e_entry = entry,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf32_Phdr),
		.e_phnum = (Elf32_Half)segments,
	};

	memcpy(file, &header, sizeof(header));
	put_ident(file, ELFCLASS32);
	memset(file + sizeof(header), 0, segments * sizeof(Elf32_Phdr));
	return sizeof(header);
}

size_t build_elf64(uint8_t *file, uint64_t entry, unsigned int segments)
{
	const Elf64_Ehdr header = {
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = entry,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (Elf64_Half)segments,
	};

	memcpy(file, &header, sizeof(header));
	put_ident(file, ELFCLASS64);
	memset(file + sizeof(header), 0, segments * sizeof(Elf64_Phdr));
	return sizeof(header);
}

void put_segment32(uint8_t *file, unsigned int index, const struct test_segment *segment)
{
	const Elf32_Phdr header = {
		.p_type = segment->type,
		.p_offset = (Elf32_Off)segment->offset,
		.p_vaddr = (Elf32_Addr)segment->virtual_start,
		.p_paddr = (Elf32_Addr)segment->physical_start,
		.p_filesz = (Elf32_Word)segment->file_size,
		.p_memsz = (Elf32_Word)segment->memory_size,
		.p_align = 4,
	};

	memcpy(file + sizeof(Elf32_Ehdr) + index * sizeof(header), &header, sizeof(header));
}

void put_segment64(uint8_t *file, unsigned int index, const struct test_segment *segment)
{
	const Elf64_Phdr header = {
		.p_type = segment->type,
		.p_offset = segment->offset,
		.p_vaddr = segment->virtual_start,
		.p_paddr = segment->physical_start,
		.p_filesz = segment->file_size,
		.p_memsz = segment->memory_size,
		.p_align = 4,
	};

	memcpy(file + sizeof(Elf64_Ehdr) + index * sizeof(header), &header, sizeof(header));
}

void put_multiboot_header(uint8_t *file, size_t offset, uint32_t flags)
{
	put32(file, offset, 0x1badb002);
	put32(file, offset + 4, flags);
	put32(file, offset + 8, 0u - 0x1badb002u - flags);
}

size_t put_pvh_note(uint8_t *file, size_t offset, uint64_t value, uint32_t width)
{
	put32(file, offset, 4);
	put32(file, offset + 4, width);
	put32(file, offset + 8, 18);
	memcpy(file + offset + 12, "Xen", 4);
	memcpy(file + offset + 16, &value, width);
	return 16 + width;
}
