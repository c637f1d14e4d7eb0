// SPDX-License-Identifier: BSD-2-Clause
/*
 * Boots an ELF kernel by the PVH protocol (Xen's docs/misc/pvh.pandoc) where the
 * firmware and GRUB only know Multiboot: in Bochs, which spends minutes on a
 * compressed kernel's decompression.
 *
 * GRUB loads two modules, the kernel and its initial RAM disk, at places of its
 * own choice. They are moved to the end of memory, the kernel's segments copied
 * from there to their physical addresses, and the kernel entered with a memory
 * map, its command line (that of the first module) and the RAM disk.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct multiboot_info {
	u32 flags;
	u32 mem_lower, mem_upper; /* KiB */
	u32 boot_device;
	u32 cmdline;
	u32 mods_count, mods_addr;
	u32 syms[4];
	u32 mmap_length, mmap_addr;
};

struct multiboot_module {
	u32 start, end, string, reserved;
};

struct multiboot_range {
	u32 size; /* of what follows */
	u64 base, length;
	u32 type;
} __attribute__((packed));

struct elf_header {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum;
};

struct elf_segment {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};

#define PT_LOAD 1
#define PT_NOTE 4

struct elf_note {
	u32 namesz, descsz, type;
};

#define XEN_ELFNOTE_PHYS32_ENTRY 18

struct pvh_start_info {
	u32 magic, version, flags, nr_modules;
	u64 modlist_paddr, cmdline_paddr, rsdp_paddr, memmap_paddr;
	u32 memmap_entries, reserved;
};

#define PVH_MAGIC 0x336ec578

struct pvh_module {
	u64 paddr, size, cmdline_paddr, reserved;
};

struct pvh_range {
	u64 addr, size;
	u32 type, reserved;
};

#define MAX_RANGES  32
#define MAX_CMDLINE 1024

u64 prepare(const struct multiboot_info *info);

static struct pvh_start_info start_info;
static struct pvh_module ram_disk;
static struct pvh_range ranges[MAX_RANGES];
static char cmdline[MAX_CMDLINE];

static void stop(const char *why)
{
	volatile u16 *screen = (volatile u16 *)0xb8000;

	while (*why)
		*screen++ = 0x4f00 | (u8)*why++;
	for (;;)
		__asm__ volatile("hlt");
}

static void copy(u32 to, u32 from, u32 size)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

static void clear(u32 to, u32 size)
{
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(0) : "memory");
}

static u32 take_memory_map(const struct multiboot_info *info)
{
	u32 at = info->mmap_addr;
	u32 count = 0;

	while (at < info->mmap_addr + info->mmap_length && count < MAX_RANGES) {
		const struct multiboot_range *range = (const struct multiboot_range *)at;

		ranges[count].addr = range->base;
		ranges[count].size = range->length;
		ranges[count].type = range->type;
		count++;
		at += range->size + sizeof(range->size);
	}
	return count;
}

/* Where the memory that begins at 1 MiB ends. */
static u32 memory_end(const struct multiboot_info *info)
{
	return (info->mem_upper + 1024) * 1024;
}

/* Moves what lies at start..end to just below `below`; returns where that is. */
static u32 move_below(u32 below, u32 start, u32 end)
{
	u32 to = (below - (end - start)) & ~0xfffu;

	if (to < end)
		stop("too little memory for the modules");
	copy(to, start, end - start);
	return to;
}

/* Looks in one PT_NOTE segment at `at` for the PVH entry; 0 if it is not there. */
static u32 find_entry(u32 at, u32 size)
{
	u32 end = at + size;

	while (at + sizeof(struct elf_note) <= end) {
		const struct elf_note *note = (const struct elf_note *)at;
		u32 name = at + sizeof(*note);
		u32 desc = name + ((note->namesz + 3) & ~3u);

		if (note->type == XEN_ELFNOTE_PHYS32_ENTRY && note->namesz == 4 &&
		    *(const u32 *)name == 0x006e6558 /* "Xen" */)
			return *(const u32 *)desc;
		at = desc + ((note->descsz + 3) & ~3u);
	}
	return 0;
}

/* Copies the segments of the ELF file at `image` to their places. */
static u32 load_kernel(u32 image)
{
	const struct elf_header *header = (const struct elf_header *)image;
	u32 entry = 0;

	if (*(const u32 *)header->ident != 0x464c457f)
		stop("the kernel is not an ELF file");
	for (u32 i = 0; i < header->phnum; i++) {
		const struct elf_segment *segment =
			(const struct elf_segment *)(image + (u32)header->phoff +
						     i * header->phentsize);
		u32 from = image + (u32)segment->offset;
		u32 to = (u32)segment->paddr;

		if (segment->type == PT_NOTE && !entry)
			entry = find_entry(from, (u32)segment->filesz);
		if (segment->type != PT_LOAD)
			continue;
		if (to + (u32)segment->memsz > image)
			stop("too little memory for the kernel");
		copy(to, from, (u32)segment->filesz);
		clear(to + (u32)segment->filesz, (u32)(segment->memsz - segment->filesz));
	}
	if (!entry)
		stop("the kernel has no PVH entry");
	return entry;
}

static void take_cmdline(const char *from)
{
	for (u32 i = 0; i < MAX_CMDLINE - 1 && from[i]; i++)
		cmdline[i] = from[i];
}

/* Returns the kernel's entry in the low half, the address of its start info in the high. */
u64 prepare(const struct multiboot_info *info)
{
	const struct multiboot_module *modules = (const struct multiboot_module *)info->mods_addr;
	u32 kernel = modules[0].start, kernel_end = modules[0].end;
	u32 disk = modules[1].start, disk_end = modules[1].end;
	u32 entry;

	if (info->mods_count != 2)
		stop("pvhboot wants two modules");
	take_cmdline((const char *)modules[0].string);
	start_info.memmap_entries = take_memory_map(info);

	/* The one that lies higher moves first, so that it is not overwritten. */
	ram_disk.size = disk_end - disk;
	if (disk > kernel) {
		disk = move_below(memory_end(info), disk, disk_end);
		kernel = move_below(disk, kernel, kernel_end);
	} else {
		kernel = move_below(memory_end(info), kernel, kernel_end);
		disk = move_below(kernel, disk, disk_end);
	}
	entry = load_kernel(kernel);

	ram_disk.paddr = disk;
	start_info.magic = PVH_MAGIC;
	start_info.version = 1;
	start_info.nr_modules = 1;
	start_info.modlist_paddr = (u32)&ram_disk;
	start_info.cmdline_paddr = (u32)cmdline;
	start_info.memmap_paddr = (u32)ranges;
	return (u64)(u32)&start_info << 32 | entry;
}
