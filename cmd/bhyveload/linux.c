// SPDX-License-Identifier: BSD-2-Clause
/*
 * Linux bzImages, by the x86 boot protocol of 2.06 or later: the 64-bit entry
 * where the kernel has one, else the 32-bit entry. The names of fields are the
 * protocol's.
 */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "load.h"

#define SECTOR_BYTES	   512ULL
#define PARAGRAPH_BYTES	   16u
#define HEADER_OFFSET	   0x1f1ULL /* of struct setup_header, in the file and in boot_params */
#define HEADER_LENGTH_BASE 0x202ULL /* what the jump's displacement counts from */
#define HEADER_END_MIN	   0x23cULL /* what protocol 2.06 has */
#define HEADER_END_MAX	   0x290ULL /* where the next field of boot_params begins */

#define HEADER_MAGIC	      0x53726448U /* "HdrS" */
#define BOOT_FLAG	      0xaa55U
#define PROTOCOL_CMDLINE_SIZE 0x0206
#define PROTOCOL_INIT_SIZE    0x020a
#define PROTOCOL_XLOADFLAGS   0x020c

#define LOADED_HIGH	 0x01	/* loadflags */
#define XLF_KERNEL_64	 0x0001 /* xloadflags */
#define ENTRY_64_OFFSET	 0x200
#define LOADER_UNDEFINED 0xff	/* type_of_loader */
#define VIDEO_NORMAL	 0xffff /* vid_mode */
#define MOST_ALIGNMENT	 GIB

struct setup_header {
	uint8_t setup_sects;
	uint16_t root_flags;
	uint32_t syssize;
	uint16_t ram_size;
	uint16_t vid_mode;
	uint16_t root_dev;
	uint16_t boot_flag;
	uint8_t jump_opcode;
	uint8_t jump_displacement;
	uint32_t header;
	uint16_t version;
	uint32_t realmode_swtch;
	uint16_t start_sys_seg;
	uint16_t kernel_version;
	uint8_t type_of_loader;
	uint8_t loadflags;
	uint16_t setup_move_size;
	uint32_t code32_start;
	uint32_t ramdisk_image;
	uint32_t ramdisk_size;
	uint32_t bootsect_kludge;
	uint16_t heap_end_ptr;
	uint8_t ext_loader_ver;
	uint8_t ext_loader_type;
	uint32_t cmd_line_ptr;
	uint32_t initrd_addr_max;
	uint32_t kernel_alignment;
	uint8_t relocatable_kernel;
	uint8_t min_alignment;
	uint16_t xloadflags;
	uint32_t cmdline_size;
	uint32_t hardware_subarch;
	uint64_t hardware_subarch_data;
	uint32_t payload_offset;
	uint32_t payload_length;
	uint64_t setup_data;
	uint64_t pref_address;
	uint32_t init_size;
	uint32_t handover_offset;
	uint32_t kernel_info_offset;
} __attribute__((packed));

#define CHECK_HEADER(field, offset) \
	static_assert(HEADER_OFFSET + offsetof(struct setup_header, field) == (offset), #field)
CHECK_HEADER(setup_sects, 0x1f1);
CHECK_HEADER(root_flags, 0x1f2);
CHECK_HEADER(syssize, 0x1f4);
CHECK_HEADER(ram_size, 0x1f8);
CHECK_HEADER(vid_mode, 0x1fa);
CHECK_HEADER(root_dev, 0x1fc);
CHECK_HEADER(boot_flag, 0x1fe);
CHECK_HEADER(jump_opcode, 0x200);
CHECK_HEADER(jump_displacement, 0x201);
CHECK_HEADER(header, 0x202);
CHECK_HEADER(version, 0x206);
CHECK_HEADER(realmode_swtch, 0x208);
CHECK_HEADER(start_sys_seg, 0x20c);
CHECK_HEADER(kernel_version, 0x20e);
CHECK_HEADER(type_of_loader, 0x210);
CHECK_HEADER(loadflags, 0x211);
CHECK_HEADER(setup_move_size, 0x212);
CHECK_HEADER(code32_start, 0x214);
CHECK_HEADER(ramdisk_image, 0x218);
CHECK_HEADER(ramdisk_size, 0x21c);
CHECK_HEADER(bootsect_kludge, 0x220);
CHECK_HEADER(heap_end_ptr, 0x224);
CHECK_HEADER(ext_loader_ver, 0x226);
CHECK_HEADER(ext_loader_type, 0x227);
CHECK_HEADER(cmd_line_ptr, 0x228);
CHECK_HEADER(initrd_addr_max, 0x22c);
CHECK_HEADER(kernel_alignment, 0x230);
CHECK_HEADER(relocatable_kernel, 0x234);
CHECK_HEADER(min_alignment, 0x235);
CHECK_HEADER(xloadflags, 0x236);
CHECK_HEADER(cmdline_size, 0x238);
CHECK_HEADER(hardware_subarch, 0x23c);
CHECK_HEADER(hardware_subarch_data, 0x240);
CHECK_HEADER(payload_offset, 0x248);
CHECK_HEADER(payload_length, 0x24c);
CHECK_HEADER(setup_data, 0x250);
CHECK_HEADER(pref_address, 0x258);
CHECK_HEADER(init_size, 0x260);
CHECK_HEADER(handover_offset, 0x264);
CHECK_HEADER(kernel_info_offset, 0x268);

struct e820_entry {
	uint64_t addr;
	uint64_t size;
	uint32_t type;
} __attribute__((packed));
static_assert(sizeof(struct e820_entry) == 20, "e820_entry");

#define E820_ENTRIES 128
static_assert(MOST_MEMORY_AREAS <= E820_ENTRIES, "e820_table");

/* The parts of struct boot_params ("zero page") that a loader fills. */
struct boot_params {
	uint8_t screen_and_firmware[0x1e8];
	uint8_t e820_entries;
	uint8_t reserved1[HEADER_OFFSET - 0x1e9];
	union {
		struct setup_header header;
		uint8_t header_bytes[HEADER_END_MAX - HEADER_OFFSET];
	} __attribute__((packed));
	uint8_t reserved2[0x2d0 - HEADER_END_MAX];
	struct e820_entry e820_table[E820_ENTRIES];
	uint8_t reserved3[0x1000 - 0xcd0];
} __attribute__((packed));
static_assert(offsetof(struct boot_params, e820_entries) == 0x1e8, "e820_entries");
static_assert(offsetof(struct boot_params, header) == HEADER_OFFSET, "header");
static_assert(offsetof(struct boot_params, e820_table) == 0x2d0, "e820_table");
static_assert(sizeof(struct boot_params) == 0x1000, "boot_params");

/* What the header says, checked. */
struct bzimage {
	struct setup_header header; /* zero where the protocol's version has no field */
	uint64_t header_length;
	uint64_t code_offset; /* of the protected-mode code in the file */
	uint64_t code_size;
	uint64_t run_size; /* memory the kernel wants before it looks around */
	bool entry64;
};

static int linux_read_header(const struct image *kernel, struct bzimage *bz,
			     struct failure *failure)
{
	uint64_t end;

	memset(bz, 0, sizeof(*bz));
	if (image_read(kernel, HEADER_OFFSET, &bz->header,
		       offsetof(struct setup_header, hardware_subarch), failure))
		return -1;
	end = HEADER_LENGTH_BASE + bz->header.jump_displacement;
	if (end > HEADER_END_MAX)
		end = HEADER_END_MAX;
	bz->header_length = end - HEADER_OFFSET;
	memset(&bz->header, 0, sizeof(bz->header));
	return image_read(kernel, HEADER_OFFSET, &bz->header,
			  bz->header_length < sizeof(bz->header) ? bz->header_length :
								   sizeof(bz->header),
			  failure);
}

static bool linux_probe(const struct image *kernel)
{
	struct failure ignored = { "" };
	struct bzimage bz;

	return linux_read_header(kernel, &bz, &ignored) == 0 && bz.header.header == HEADER_MAGIC &&
	       bz.header.boot_flag == BOOT_FLAG;
}

static int check_alignment(const struct image *kernel, const struct setup_header *header,
			   struct failure *failure)
{
	uint32_t align = header->kernel_alignment;

	if (header->relocatable_kernel &&
	    (align < PAGE_BYTES || align > MOST_ALIGNMENT || (align & (align - 1))))
		return fail(failure, "%s: a kernel alignment of %#x makes no sense", kernel->name,
			    align);
	return 0;
}

/*
 * syssize counts paragraphs, and those who write it round up: the last one may be there in
 * part only (memtest86+, iPXE).
 */
static int check_code_size(const struct image *kernel, struct bzimage *bz, struct failure *failure)
{
	uint64_t said = bz->header.syssize * (uint64_t)PARAGRAPH_BYTES;
	uint64_t there = kernel->size > bz->code_offset ? kernel->size - bz->code_offset : 0;

	if (said == 0 || said >= there + PARAGRAPH_BYTES)
		return fail(failure, "%s: truncated: %llu bytes of code, but a file of %llu",
			    kernel->name, (unsigned long long)said,
			    (unsigned long long)kernel->size);
	bz->code_size = said < there ? said : there;
	return 0;
}

static int check_header(const struct image *kernel, struct bzimage *bz, struct failure *failure)
{
	struct setup_header *header = &bz->header;

	if (header->version < PROTOCOL_CMDLINE_SIZE ||
	    bz->header_length < HEADER_END_MIN - HEADER_OFFSET)
		return fail(failure, "%s: its boot protocol %u.%02u is older than 2.06",
			    kernel->name, header->version >> 8, header->version & 0xff);
	if (!(header->loadflags & LOADED_HIGH))
		return fail(failure, "%s: a zImage, not a bzImage", kernel->name);
	if (check_alignment(kernel, header, failure))
		return -1;

	bz->code_offset = (1 + (header->setup_sects ? header->setup_sects : 4)) * SECTOR_BYTES;
	if (check_code_size(kernel, bz, failure))
		return -1;
	bz->run_size = header->syssize * (uint64_t)PARAGRAPH_BYTES;
	if (header->version >= PROTOCOL_INIT_SIZE && header->init_size > bz->run_size)
		bz->run_size = header->init_size;
	bz->entry64 = header->version >= PROTOCOL_XLOADFLAGS && header->xloadflags & XLF_KERNEL_64;
	return 0;
}

/*
 * Takes memory for the kernel to run in: where it likes best, or, if it can be
 * moved and does not fit there, the lowest place from 1 MiB up.
 */
static int place_kernel(const struct image *kernel, const struct bzimage *bz, struct guest *guest,
			uint64_t *start)
{
	const struct setup_header *header = &bz->header;

	*start = HIGH_RAM_START;
	if (header->version >= PROTOCOL_INIT_SIZE && header->pref_address)
		*start = header->pref_address;
	if (guest_claim(guest, *start, bz->run_size, kernel->name) == 0)
		return 0;
	if (!header->relocatable_kernel)
		return -1;
	return guest_find(guest, bz->run_size, header->kernel_alignment, HIGH_RAM_START,
			  guest->lowmem, kernel->name, start);
}

static int load_initrd(const struct load_request *request, struct guest *guest,
		       struct setup_header *header)
{
	const struct image *initrd = &request->modules[0].image;
	uint64_t start;

	if (!request->has_initrd)
		return 0;
	if (guest_find_top(guest, initrd->size, PAGE_BYTES, HIGH_RAM_START,
			   header->initrd_addr_max + 1ULL, initrd->name, &start) ||
	    guest_read_image(guest, start, initrd, 0, initrd->size))
		return -1;
	header->ramdisk_image = (uint32_t)start;
	header->ramdisk_size = (uint32_t)initrd->size;
	return 0;
}

static int linux_put_command_line(const struct load_request *request, struct guest *guest,
				  struct setup_header *header)
{
	size_t length = strlen(request->command_line);
	uint64_t start;

	if (length > header->cmdline_size)
		return fail(&guest->failure, "command line: %zu characters, but %s takes %u",
			    length, request->kernel.name, header->cmdline_size);
	if (guest_put(guest, request->command_line, length + 1, 16, "command line", &start))
		return -1;
	header->cmd_line_ptr = (uint32_t)start;
	return 0;
}

static void fill_e820(struct boot_params *params, const struct guest *guest)
{
	struct memory_area areas[MOST_MEMORY_AREAS];

	params->e820_entries = (uint8_t)guest_memory_map(guest, areas);
	for (unsigned int i = 0; i < params->e820_entries; i++)
		params->e820_table[i] =
			(struct e820_entry){ areas[i].start, areas[i].length, areas[i].type };
}

/* Hands the header on as the kernel wrote it, but for what the loader fills in. */
static int put_boot_params(const struct image *kernel, const struct bzimage *bz,
			   struct guest *guest, uint64_t *start)
{
	struct boot_params params;
	const struct setup_header *filled = &bz->header;

	memset(&params, 0, sizeof(params));
	if (image_read(kernel, HEADER_OFFSET, params.header_bytes, bz->header_length,
		       &guest->failure))
		return -1;
	params.header.type_of_loader = LOADER_UNDEFINED;
	params.header.vid_mode = VIDEO_NORMAL;
	params.header.code32_start = filled->code32_start;
	params.header.ramdisk_image = filled->ramdisk_image;
	params.header.ramdisk_size = filled->ramdisk_size;
	params.header.cmd_line_ptr = filled->cmd_line_ptr;
	fill_e820(&params, guest);
	return guest_put(guest, &params, sizeof(params), PAGE_BYTES, "boot parameters", start);
}

static int set_entry(const struct bzimage *bz, uint64_t code, uint64_t params, struct guest *guest,
		     struct boot_state *state)
{
	if (bz->entry64 ? state_long_mode(state, guest, code + ENTRY_64_OFFSET) :
			  state_protected_mode(state, guest, (uint32_t)code))
		return -1;
	state_set(state, VM_REG_GUEST_RSI, params);
	return 0;
}

static int linux_load(const struct load_request *request, struct guest *guest,
		      struct boot_state *state)
{
	const struct image *kernel = &request->kernel;
	struct bzimage bz;
	uint64_t code;
	uint64_t params;

	if (request->module_count > (request->has_initrd ? 1 : 0))
		return fail(&guest->failure, "%s: a Linux bzImage takes no modules (-M)",
			    kernel->name);
	if (linux_read_header(kernel, &bz, &guest->failure) ||
	    check_header(kernel, &bz, &guest->failure) || place_kernel(kernel, &bz, guest, &code) ||
	    guest_read_image(guest, code, kernel, bz.code_offset, bz.code_size))
		return -1;
	bz.header.code32_start = (uint32_t)code;
	if (load_initrd(request, guest, &bz.header) ||
	    linux_put_command_line(request, guest, &bz.header) ||
	    put_boot_params(kernel, &bz, guest, &params))
		return -1;
	return set_entry(&bz, code, params, guest, state);
}

const struct kernel_format linux_format = {
	.name = "Linux bzImage",
	.probe = linux_probe,
	.load = linux_load,
};
