// SPDX-License-Identifier: BSD-2-Clause
/*
 * Multiboot kernels (Multiboot Specification 0.6.96), as ELF files of either
 * width or with the addresses in their header. The command line a kernel gets
 * begins with the kernel's file name, as from other loaders, and an initrd is
 * its first module.
 */
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf_image.h"
#include "load.h"

#define SEARCHED_BYTES 8192 /* of the file, for the header */
#define HEADER_ALIGN   4
#define HEADER_MAGIC   0x1badb002U
#define BOOT_MAGIC     0x2badb002U /* EAX at the kernel's entry */

/* Flags of the header. Of 0 to 15 a loader must know those that are set. */
#define WANTS_ALIGNED_MODULES 0x1U
#define WANTS_MEMORY	      0x2U
#define WANTS_MASK	      0xffffU
#define HAS_ADDRESSES	      0x10000U

struct multiboot_header {
	uint32_t magic;
	uint32_t flags;
	uint32_t checksum; /* makes the sum of these three 0 */
	/* The rest only with HAS_ADDRESSES. */
	uint32_t header_addr;
	uint32_t load_addr;
	uint32_t load_end_addr; /* 0: to the end of the file */
	uint32_t bss_end_addr;	/* 0: no bss */
	uint32_t entry_addr;
};
static_assert(offsetof(struct multiboot_header, header_addr) == 12, "header_addr");
static_assert(sizeof(struct multiboot_header) == 32, "multiboot_header");

/* Flags of the information: which fields are valid. */
#define INFO_MEMORY	  0x1U
#define INFO_COMMAND_LINE 0x4U
#define INFO_MODULES	  0x8U
#define INFO_MEMORY_MAP	  0x40U
#define INFO_LOADER_NAME  0x200U

struct multiboot_info {
	uint32_t flags;
	uint32_t mem_lower; /* KiB from 0 */
	uint32_t mem_upper; /* KiB from 1 MiB */
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t mods_count;
	uint32_t mods_addr;
	uint32_t syms[4];
	uint32_t mmap_length;
	uint32_t mmap_addr;
	uint32_t drives_length;
	uint32_t drives_addr;
	uint32_t config_table;
	uint32_t boot_loader_name;
	uint32_t apm_table;
	uint32_t vbe[4];
};
static_assert(offsetof(struct multiboot_info, cmdline) == 16, "cmdline");
static_assert(offsetof(struct multiboot_info, mmap_length) == 44, "mmap_length");
static_assert(offsetof(struct multiboot_info, boot_loader_name) == 64, "boot_loader_name");
static_assert(sizeof(struct multiboot_info) == 88, "multiboot_info");

struct multiboot_module {
	uint32_t mod_start;
	uint32_t mod_end;
	uint32_t string;
	uint32_t reserved;
};
static_assert(sizeof(struct multiboot_module) == 16, "multiboot_module");

struct multiboot_area {
	uint32_t size; /* of the rest */
	uint64_t addr;
	uint64_t len;
	uint32_t type;
} __attribute__((packed));
static_assert(sizeof(struct multiboot_area) == 24, "multiboot_area");

/* Looks for a header in bytes[]; returns its offset, -1 if there is none. */
static int multiboot_find_header(const uint8_t *bytes, size_t size, struct multiboot_header *header)
{
	const size_t least = offsetof(struct multiboot_header, header_addr);

	for (size_t at = 0; at + least <= size; at += HEADER_ALIGN) {
		memset(header, 0, sizeof(*header));
		memcpy(header, bytes + at, least);
		if (header->magic != HEADER_MAGIC ||
		    header->magic + header->flags + header->checksum != 0)
			continue;
		if (!(header->flags & HAS_ADDRESSES))
			return (int)at;
		if (at + sizeof(*header) > size)
			continue;
		memcpy(header, bytes + at, sizeof(*header));
		return (int)at;
	}
	return -1;
}

static int multiboot_read_header(const struct image *kernel, struct multiboot_header *header,
				 struct failure *failure)
{
	uint8_t bytes[SEARCHED_BYTES];
	size_t size = kernel->size < sizeof(bytes) ? kernel->size : sizeof(bytes);

	if (image_read(kernel, 0, bytes, size, failure))
		return -1;
	return multiboot_find_header(bytes, size, header);
}

static bool multiboot_probe(const struct image *kernel)
{
	struct multiboot_header header;
	struct failure ignored = { "" };

	return multiboot_read_header(kernel, &header, &ignored) >= 0;
}

/* Where an image with addresses in its header goes. */
static int load_by_addresses(const struct image *kernel, const struct multiboot_header *header,
			     uint64_t header_offset, struct guest *guest, uint64_t *end)
{
	uint64_t before = (uint64_t)header->header_addr - header->load_addr;
	uint64_t offset = header_offset - before;
	uint64_t length;
	uint64_t bss;

	if (header->header_addr < header->load_addr || before > header_offset)
		return fail(&guest->failure, "%s: Multiboot header: load address out of the file",
			    kernel->name);
	length = kernel->size - offset;
	if (header->load_end_addr) {
		if (header->load_end_addr < header->load_addr)
			return fail(&guest->failure, "%s: Multiboot header: ends before it begins",
				    kernel->name);
		length = header->load_end_addr - header->load_addr;
	}
	*end = header->load_addr + length;
	bss = header->bss_end_addr > *end ? header->bss_end_addr - *end : 0;
	if (guest_claim(guest, header->load_addr, length + bss, kernel->name) ||
	    guest_read_image(guest, header->load_addr, kernel, offset, length))
		return -1;
	if (bss && !guest_zeroed(guest, *end, bss))
		return -1;
	*end += bss;
	return 0;
}

static int load_elf(const struct image *kernel, struct guest *guest, uint64_t *entry, uint64_t *end)
{
	struct elf elf;

	if (!elf_probe(kernel))
		return fail(&guest->failure,
			    "%s: a Multiboot kernel with neither load addresses nor ELF headers",
			    kernel->name);
	if (elf_open(&elf, kernel, &guest->failure) || elf_load(&elf, guest, end))
		return -1;
	return elf_physical_entry(&elf, entry, &guest->failure);
}

static int load_kernel(const struct image *kernel, struct guest *guest, uint64_t *entry,
		       uint64_t *end)
{
	struct multiboot_header header;
	int offset = multiboot_read_header(kernel, &header, &guest->failure);
	uint32_t unknown;

	if (offset < 0)
		return fail(&guest->failure, "%s: no Multiboot header", kernel->name);
	unknown = header.flags & WANTS_MASK & ~(WANTS_ALIGNED_MODULES | WANTS_MEMORY);
	if (unknown)
		return fail(&guest->failure,
			    "%s: its Multiboot header wants what is not offered (flags %#x)",
			    kernel->name, unknown);
	if (!(header.flags & HAS_ADDRESSES))
		return load_elf(kernel, guest, entry, end);
	*entry = header.entry_addr;
	return load_by_addresses(kernel, &header, (uint64_t)offset, guest, end);
}

static int multiboot_put_string(struct guest *guest, const char *text, uint32_t *address)
{
	uint64_t start;

	if (guest_put(guest, text, strlen(text) + 1, 1, "command line", &start))
		return -1;
	*address = (uint32_t)start;
	return 0;
}

static int multiboot_put_modules(const struct load_request *request, struct guest *guest,
				 uint64_t from, struct multiboot_info *info)
{
	struct multiboot_module list[MOST_MODULES] = { 0 };
	uint64_t start;

	for (unsigned int i = 0; i < request->module_count; i++) {
		const struct module *module = &request->modules[i];

		if (guest_put_image(guest, &module->image, from, &start) ||
		    multiboot_put_string(guest, module->args, &list[i].string))
			return -1;
		list[i].mod_start = (uint32_t)start;
		list[i].mod_end = (uint32_t)(start + module->image.size);
	}
	if (request->module_count == 0)
		return 0;
	if (guest_put(guest, list, request->module_count * sizeof(list[0]), 8, "module list",
		      &start))
		return -1;
	info->flags |= INFO_MODULES;
	info->mods_count = request->module_count;
	info->mods_addr = (uint32_t)start;
	return 0;
}

static int multiboot_put_memory_map(struct guest *guest, struct multiboot_info *info)
{
	struct multiboot_area map[MOST_MEMORY_AREAS];
	struct memory_area areas[MOST_MEMORY_AREAS];
	unsigned int count = guest_memory_map(guest, areas);
	uint64_t start;

	for (unsigned int i = 0; i < count; i++)
		map[i] = (struct multiboot_area){ sizeof(map[i]) - sizeof(map[i].size),
						  areas[i].start, areas[i].length, areas[i].type };
	if (guest_put(guest, map, count * sizeof(map[0]), 8, "memory map", &start))
		return -1;
	info->flags |= INFO_MEMORY | INFO_MEMORY_MAP;
	info->mem_lower = LOW_RAM_END / KIB;
	info->mem_upper = (uint32_t)((guest->lowmem - HIGH_RAM_START) / KIB);
	info->mmap_length = (uint32_t)(count * sizeof(map[0]));
	info->mmap_addr = (uint32_t)start;
	return 0;
}

/* The kernel's name, and after a space its arguments if there are any. */
static int multiboot_put_command_line(const struct load_request *request, struct guest *guest,
				      struct multiboot_info *info)
{
	const char *arguments = request->command_line;
	char *line = NULL;
	int error;

	if (asprintf(&line, "%s%s%s", request->kernel.name, *arguments ? " " : "", arguments) < 0)
		return fail(&guest->failure, "command line: no memory");
	error = multiboot_put_string(guest, line, &info->cmdline);
	free(line);
	info->flags |= INFO_COMMAND_LINE;
	return error;
}

static int put_info(const struct load_request *request, struct guest *guest, uint64_t from,
		    uint64_t *address)
{
	struct multiboot_info info = { .flags = INFO_LOADER_NAME };

	if (multiboot_put_modules(request, guest, from, &info) ||
	    multiboot_put_command_line(request, guest, &info) ||
	    multiboot_put_memory_map(guest, &info) ||
	    multiboot_put_string(guest, "bhyveload", &info.boot_loader_name))
		return -1;
	return guest_put(guest, &info, sizeof(info), 8, "Multiboot information", address);
}

static int multiboot_load(const struct load_request *request, struct guest *guest,
			  struct boot_state *state)
{
	uint64_t entry;
	uint64_t info;
	uint64_t end;

	if (load_kernel(&request->kernel, guest, &entry, &end))
		return -1;
	if (entry > UINT32_MAX)
		return fail(&guest->failure, "%s: its entry point %#llx is above 4 GiB",
			    request->kernel.name, (unsigned long long)entry);
	if (put_info(request, guest, end > HIGH_RAM_START ? end : HIGH_RAM_START, &info) ||
	    state_protected_mode(state, guest, (uint32_t)entry))
		return -1;
	state_set(state, VM_REG_GUEST_RAX, BOOT_MAGIC);
	state_set(state, VM_REG_GUEST_RBX, info);
	return 0;
}

const struct kernel_format multiboot_format = {
	.name = "Multiboot",
	.probe = multiboot_probe,
	.load = multiboot_load,
};
