// SPDX-License-Identifier: BSD-2-Clause
/*
 * Boots an uncompressed kernel by the PVH protocol (Xen's docs/misc/pvh.pandoc) from
 * the first disk, where no boot loader is fast enough: Bochs spends minutes on a
 * compressed kernel's decompression, and half a minute on GRUB's reads through the
 * firmware. The processor's own string input is what Bochs does at a stroke.
 *
 * labkit/pvhdisk.py writes the disk: this program, a sector with struct contents,
 * two with the command line, and the pieces, each from a new sector on. A piece is
 * loaded to where it belongs; the RAM disk goes to the end of memory.
 */
#include "pvhboot.h"

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SECTOR	   512
#define MAX_PIECES 16

/* What labkit/pvhdisk.py says of the disk. */
struct piece {
	u32 sector, sectors;
	u32 address, size; /* in memory; what no sector fills is 0 */
};

struct contents {
	u32 magic;
	u32 entry; /* of the kernel */
	u32 disk_sector, disk_size;
	u32 count;
	struct piece pieces[MAX_PIECES];
};

#define CONTENTS_MAGIC 0x48565076 /* "vPVH" */

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

#define RANGE_RAM 1

struct e820_range {
	u64 base, length;
	u32 type;
} __attribute__((packed));

/* boot.S */
extern const struct e820_range memory_map[MAX_RANGES];
extern const u16 memory_ranges;
/* link.ld; as a number */
extern const char rest_sectors[];

u64 prepare(void);

static struct pvh_start_info start_info;
static struct pvh_module ram_disk;
static struct pvh_range ranges[MAX_RANGES];
static char cmdline[2 * SECTOR];
static union {
	struct contents contents;
	u8 bytes[SECTOR];
} first;

static void stop_with_message(const char *why)
{
	volatile u16 *screen = (volatile u16 *)0xb8000;

	while (*why)
		*screen++ = 0x4f00 | (u8)*why++;
	for (;;)
		__asm__ volatile("hlt");
}

/* --- the first ATA disk, by programmed input ------------------------------------- */

#define ATA_DATA	 0x1f0
#define ATA_COUNT	 0x1f2
#define ATA_LBA_0	 0x1f3
#define ATA_LBA_1	 0x1f4
#define ATA_LBA_2	 0x1f5
#define ATA_DEVICE	 0x1f6
#define ATA_COMMAND	 0x1f7
#define ATA_CONTROL	 0x3f6
#define DEVICE_LBA	 0xe0
#define READ_MULTIPLE	 0xc4
#define SET_MULTIPLE	 0xc6
#define STATUS_BSY	 0x80
#define STATUS_DRQ	 0x08
#define STATUS_ERR	 0x01
#define CONTROL_NO_IRQ	 0x02
#define SECTORS_AT_ONCE	 16  /* between two looks at the status */
#define SECTORS_PER_READ 256 /* told as 0 */

static void outb(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static u8 inb(u16 port)
{
	u8 value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void ata_wait(u8 wanted)
{
	u8 status;

	do
		status = inb(ATA_COMMAND);
	while (status & STATUS_BSY);
	if (status & STATUS_ERR || (status & wanted) != wanted)
		stop_with_message("the disk cannot be read");
}

static void ata_start(void)
{
	outb(ATA_CONTROL, CONTROL_NO_IRQ);
	outb(ATA_DEVICE, DEVICE_LBA);
	outb(ATA_COUNT, SECTORS_AT_ONCE);
	outb(ATA_COMMAND, SET_MULTIPLE);
	ata_wait(0);
}

/* Up to SECTORS_PER_READ sectors; returns where the next go. */
static u32 ata_read(u32 to, u32 sector, u32 count)
{
	outb(ATA_DEVICE, (u8)(DEVICE_LBA | sector >> 24));
	outb(ATA_COUNT, (u8)count);
	outb(ATA_LBA_0, (u8)sector);
	outb(ATA_LBA_1, (u8)(sector >> 8));
	outb(ATA_LBA_2, (u8)(sector >> 16));
	outb(ATA_COMMAND, READ_MULTIPLE);
	while (count > 0) {
		u32 now = count < SECTORS_AT_ONCE ? count : SECTORS_AT_ONCE;
		u32 words = now * SECTOR / 2;

		ata_wait(STATUS_DRQ);
		__asm__ volatile("rep insw" : "+D"(to), "+c"(words) : "d"(ATA_DATA) : "memory");
		count -= now;
	}
	return to;
}

static u32 read_sectors(u32 to, u32 sector, u32 count)
{
	while (count > 0) {
		u32 now = count < SECTORS_PER_READ ? count : SECTORS_PER_READ;

		to = ata_read(to, sector, now);
		sector += now;
		count -= now;
	}
	return to;
}

/* --- what the kernel wants --------------------------------------------------------- */

static void take_memory_map(void)
{
	for (u32 i = 0; i < memory_ranges; i++) {
		ranges[i].addr = memory_map[i].base;
		ranges[i].size = memory_map[i].length;
		ranges[i].type = memory_map[i].type;
	}
	start_info.memmap_entries = memory_ranges;
	start_info.memmap_paddr = (u32)ranges;
}

/* Where the memory ends that holds `address`. */
static u32 memory_end(u32 address)
{
	for (u32 i = 0; i < memory_ranges; i++) {
		const struct e820_range *range = &memory_map[i];

		if (range->type == RANGE_RAM && address >= range->base &&
		    address < range->base + range->length)
			return (u32)(range->base + range->length);
	}
	stop_with_message("no memory where the kernel belongs");
	return 0;
}

/* Returns the end of what it has loaded. */
static u32 load_kernel(const struct contents *contents)
{
	u32 end = 0;

	for (u32 i = 0; i < contents->count; i++) {
		const struct piece *piece = &contents->pieces[i];
		u32 filled = read_sectors(piece->address, piece->sector, piece->sectors);
		u32 left = piece->address + piece->size;

		if (left > end)
			end = left;
		left = left > filled ? left - filled : 0;
		__asm__ volatile("rep stosb" : "+D"(filled), "+c"(left) : "a"(0) : "memory");
	}
	return end;
}

static void load_ram_disk(const struct contents *contents, u32 kernel_end)
{
	u32 sectors = (contents->disk_size + SECTOR - 1) / SECTOR;
	u32 at = (memory_end(contents->pieces[0].address) - sectors * SECTOR) & ~0xfffu;

	if (at < kernel_end)
		stop_with_message("too little memory for the kernel and its RAM disk");
	read_sectors(at, contents->disk_sector, sectors);
	ram_disk.paddr = at;
	ram_disk.size = contents->disk_size;
	start_info.nr_modules = 1;
	start_info.modlist_paddr = (u32)&ram_disk;
}

/* Returns the kernel's entry in the low half, the address of its start info in the high. */
u64 prepare(void)
{
	u32 next = 1 + (u32)rest_sectors;

	ata_start();
	read_sectors((u32)&first, next, 1);
	if (first.contents.magic != CONTENTS_MAGIC)
		stop_with_message("the disk has no contents");
	read_sectors((u32)cmdline, next + 1, sizeof(cmdline) / SECTOR);
	start_info.cmdline_paddr = (u32)cmdline;
	take_memory_map();
	load_ram_disk(&first.contents, load_kernel(&first.contents));
	outb(ATA_CONTROL, 0);
	start_info.magic = PVH_MAGIC;
	start_info.version = 1;
	return (u64)(u32)&start_info << 32 | first.contents.entry;
}
