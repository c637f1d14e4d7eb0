// SPDX-License-Identifier: BSD-2-Clause
/*
 * Kernels with a PVH entry point: ELF files with the note XEN_ELFNOTE_PHYS32_ENTRY,
 * started by the x86/HVM direct boot ABI with a struct hvm_start_info. Linux takes
 * the first module for its initrd.
 */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "elf_image.h"
#include "load.h"

#define NOTE_NAME	  "Xen"
#define NOTE_PHYS32_ENTRY 18
#define START_MAGIC	  0x336ec578U
#define START_VERSION	  1

struct hvm_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist_paddr;
	uint64_t cmdline_paddr;
	uint64_t rsdp_paddr; /* 0: to be found in the firmware area, where bhyve puts it */
	uint64_t memmap_paddr;
	uint32_t memmap_entries;
	uint32_t reserved;
};
static_assert(offsetof(struct hvm_start_info, modlist_paddr) == 16, "modlist_paddr");
static_assert(offsetof(struct hvm_start_info, rsdp_paddr) == 32, "rsdp_paddr");
static_assert(offsetof(struct hvm_start_info, memmap_entries) == 48, "memmap_entries");
static_assert(sizeof(struct hvm_start_info) == 56, "hvm_start_info");

struct hvm_modlist_entry {
	uint64_t paddr;
	uint64_t size;
	uint64_t cmdline_paddr;
	uint64_t reserved;
};
static_assert(sizeof(struct hvm_modlist_entry) == 32, "hvm_modlist_entry");

struct hvm_memmap_table_entry {
	uint64_t addr;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};
static_assert(sizeof(struct hvm_memmap_table_entry) == 24, "hvm_memmap_table_entry");

static int find_entry(const struct elf *elf, uint64_t *entry, struct failure *failure)
{
	return elf_find_note(elf, NOTE_NAME, NOTE_PHYS32_ENTRY, entry, failure);
}

static bool pvh_probe(const struct image *kernel)
{
	struct failure ignored = { "" };
	struct elf elf;
	uint64_t entry;

	return elf_probe(kernel) && elf_open(&elf, kernel, &ignored) == 0 &&
	       find_entry(&elf, &entry, &ignored) == 1;
}

static int pvh_put_string(struct guest *guest, const char *text, uint64_t *address)
{
	return guest_put(guest, text, strlen(text) + 1, 1, "command line", address);
}

static int pvh_put_modules(const struct load_request *request, struct guest *guest, uint64_t from,
			   struct hvm_start_info *info)
{
	struct hvm_modlist_entry list[MOST_MODULES] = { 0 };

	for (unsigned int i = 0; i < request->module_count; i++) {
		const struct module *module = &request->modules[i];

		if (guest_put_image(guest, &module->image, from, &list[i].paddr) ||
		    pvh_put_string(guest, module->args, &list[i].cmdline_paddr))
			return -1;
		list[i].size = module->image.size;
	}
	info->nr_modules = request->module_count;
	if (request->module_count == 0)
		return 0;
	return guest_put(guest, list, request->module_count * sizeof(list[0]), 8, "module list",
			 &info->modlist_paddr);
}

static int pvh_put_memory_map(struct guest *guest, struct hvm_start_info *info)
{
	struct hvm_memmap_table_entry map[MOST_MEMORY_AREAS];
	struct memory_area areas[MOST_MEMORY_AREAS];
	unsigned int count = guest_memory_map(guest, areas);

	for (unsigned int i = 0; i < count; i++)
		map[i] = (struct hvm_memmap_table_entry){ areas[i].start, areas[i].length,
							  areas[i].type, 0 };
	info->memmap_entries = count;
	return guest_put(guest, map, count * sizeof(map[0]), 8, "memory map", &info->memmap_paddr);
}

static int put_start_info(const struct load_request *request, struct guest *guest, uint64_t from,
			  uint64_t *address)
{
	struct hvm_start_info info = {
		.magic = START_MAGIC,
		.version = START_VERSION,
	};

	if (pvh_put_modules(request, guest, from, &info) ||
	    pvh_put_string(guest, request->command_line, &info.cmdline_paddr) ||
	    pvh_put_memory_map(guest, &info))
		return -1;
	return guest_put(guest, &info, sizeof(info), 8, "start information", address);
}

static int pvh_load(const struct load_request *request, struct guest *guest,
		    struct boot_state *state)
{
	struct elf elf;
	uint64_t entry;
	uint64_t info;
	uint64_t end;

	if (elf_open(&elf, &request->kernel, &guest->failure) ||
	    find_entry(&elf, &entry, &guest->failure) != 1 || elf_load(&elf, guest, &end))
		return -1;
	if (entry > UINT32_MAX)
		return fail(&guest->failure, "%s: its PVH entry point %#llx is above 4 GiB",
			    request->kernel.name, (unsigned long long)entry);
	if (put_start_info(request, guest, end > HIGH_RAM_START ? end : HIGH_RAM_START, &info) ||
	    state_protected_mode(state, guest, (uint32_t)entry))
		return -1;
	state_set(state, VM_REG_GUEST_RBX, info);
	return 0;
}

const struct kernel_format pvh_format = {
	.name = "PVH",
	.probe = pvh_probe,
	.load = pvh_load,
};
