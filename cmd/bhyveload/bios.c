// SPDX-License-Identifier: BSD-2-Clause
/* Low memory as a BIOS leaves it; bios.h. */
#include "bios.h"

#include <string.h>

#define VECTORS	     256
#define BIOS_SEGMENT 0xf000U
#define PAGE_OFFSET  0xf000U /* of BIOS_PAGE in that segment */
#define EBDA_SEGMENT ((uint16_t)(LOW_RAM_END >> 4))
#define EBDA_KIB     ((EBDA_END - LOW_RAM_END) / KIB)

/* Where each routine is in the page. The last is where a processor begins after RESET. */
#define RESET	     0x00U
#define NO_SERVICE   0x10U
#define NO_DEVICE    0x20U
#define NO_KEY	     0x30U
#define MEMORY_SIZE  0x40U
#define RETURN	     0xf53U /* where PCs have had an IRET since the first */
#define RESET_VECTOR 0xff0U

/* The reset control register (0xcf9): a hard reset. */
static const uint8_t reset_code[] = {
	0xba, 0xf9, 0x0c, /* mov dx, 0xcf9 */
	0xb0, 0x06,	  /* mov al, 6 */
	0xee,		  /* out dx, al */
	0xf4,		  /* hlt */
	0xeb, 0xfd,	  /* jmp to the HLT */
};

/* AH says why, and the carry flag that IRET restores that the call failed. */
static const uint8_t no_service_code[] = {
	0xb4, 0x86,		/* mov ah, 0x86 */
	0x55,			/* push bp */
	0x89, 0xe5,		/* mov bp, sp */
	0x80, 0x4e, 0x06, 0x01, /* or byte [bp + 6], 1 */
	0x5d,			/* pop bp */
	0xcf,			/* iret */
};
static const uint8_t no_device_code[] = {
	0xb4, 0x01,					 /* mov ah, 1 */
	0xeb, (NO_SERVICE + 2 - (NO_DEVICE + 4)) & 0xff, /* jmp behind NO_SERVICE's mov */
};

/* The zero flag says that no key was pressed; AX is 0 too. */
static const uint8_t no_key_code[] = {
	0x31, 0xc0,		/* xor ax, ax */
	0x55,			/* push bp */
	0x89, 0xe5,		/* mov bp, sp */
	0x80, 0x4e, 0x06, 0x40, /* or byte [bp + 6], 0x40 */
	0x5d,			/* pop bp */
	0xcf,			/* iret */
};

static const uint8_t memory_size_code[] = {
	0xb8, (LOW_RAM_END / KIB) & 0xff, (LOW_RAM_END / KIB) >> 8, /* mov ax, KiB */
	0xcf,							    /* iret */
};

static const uint8_t return_code[] = { 0xcf };

static const uint8_t reset_vector_code[] = {
	0xea, RESET & 0xff, PAGE_OFFSET >> 8, BIOS_SEGMENT & 0xff, BIOS_SEGMENT >> 8, /* jmp far */
};

static const struct {
	const uint8_t *code;
	size_t length;
	unsigned int offset;
} routines[] = {
	{ reset_code, sizeof(reset_code), RESET },
	{ no_service_code, sizeof(no_service_code), NO_SERVICE },
	{ no_device_code, sizeof(no_device_code), NO_DEVICE },
	{ no_key_code, sizeof(no_key_code), NO_KEY },
	{ memory_size_code, sizeof(memory_size_code), MEMORY_SIZE },
	{ return_code, sizeof(return_code), RETURN },
	{ reset_vector_code, sizeof(reset_vector_code), RESET_VECTOR },
};

static unsigned int routine_of(unsigned int vector)
{
	switch (vector) {
	case 0x12:
		return MEMORY_SIZE;
	case 0x13: /* disks */
		return NO_DEVICE;
	case 0x15: /* system services, the memory map among them */
		return NO_SERVICE;
	case 0x16: /* keyboard */
		return NO_KEY;
	default:
		return RETURN;
	}
}

static void store16(uint8_t *memory, uint64_t at, uint16_t value)
{
	memory[at] = (uint8_t)value;
	memory[at + 1] = (uint8_t)(value >> 8);
}

static void put_vectors(uint8_t *memory)
{
	for (unsigned int vector = 0; vector < VECTORS; vector++) {
		store16(memory, vector * 4, (uint16_t)(PAGE_OFFSET + routine_of(vector)));
		store16(memory, vector * 4 + 2, BIOS_SEGMENT);
	}
}

static void put_data(uint8_t *memory)
{
	store16(memory, BIOS_DATA_SERIAL, 0x3f8);
	store16(memory, BIOS_DATA_SERIAL + 2, 0x2f8);
	store16(memory, BIOS_DATA_EBDA, EBDA_SEGMENT);
	store16(memory, BIOS_DATA_MEMORY, LOW_RAM_END / KIB);
	store16(memory, BIOS_DATA_COLUMNS, 80);
}

int bios_put(struct guest *guest)
{
	uint8_t *low = guest_zeroed(guest, 0, PAGE_BYTES);
	uint8_t *extended = guest_zeroed(guest, LOW_RAM_END, EBDA_END - LOW_RAM_END);
	uint8_t *page = guest_zeroed(guest, BIOS_PAGE, PAGE_BYTES);

	if (!low || !extended || !page)
		return -1;
	put_vectors(low);
	put_data(low);
	extended[0] = EBDA_KIB; /* its own size */
	for (size_t i = 0; i < sizeof(routines) / sizeof(routines[0]); i++)
		memcpy(page + routines[i].offset, routines[i].code, routines[i].length);
	return 0;
}
