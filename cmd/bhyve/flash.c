// SPDX-License-Identifier: BSD-2-Clause
/* A flash memory; flash.h. */
#include "flash.h"

#include <string.h>

#define COMMAND_PROGRAM	     0x10u
#define COMMAND_PROGRAM_ALSO 0x40u
#define COMMAND_ERASE	     0x20u
#define COMMAND_CONFIRM	     0xd0u
#define COMMAND_CLEAR_STATUS 0x50u
#define COMMAND_READ_STATUS  0x70u

#define STATUS_READY	     0x80u
#define STATUS_ERASE_ERROR   0x20u
#define STATUS_PROGRAM_ERROR 0x10u

void flash_init(struct flash *flash)
{
	pthread_mutex_init(&flash->lock, NULL);
	flash->command = 0;
	flash->status = STATUS_READY;
	flash->reads_status = false;
}

static void set_array_mode(struct flash *flash, bool on)
{
	if (flash->reads_status != on)
		return;
	flash->reads_status = !on;
	flash->array_mode(flash->arg, on);
}

/* Programming clears bits, and only erasing sets them. */
static void program(struct flash *flash, uint64_t offset, uint8_t value)
{
	flash->memory[offset] &= value;
	if (flash->save(flash->arg, offset, 1))
		flash->status |= STATUS_PROGRAM_ERROR;
}

static void erase(struct flash *flash, uint64_t offset)
{
	size_t block = offset & ~(uint64_t)(FLASH_BLOCK - 1);

	memset(flash->memory + block, 0xff, FLASH_BLOCK);
	if (flash->save(flash->arg, block, FLASH_BLOCK))
		flash->status |= STATUS_ERASE_ERROR;
}

/* The second cycle of a command. */
static void complete(struct flash *flash, uint64_t offset, uint8_t value)
{
	uint8_t command = flash->command;

	flash->command = 0;
	flash->status |= STATUS_READY;
	if (command != COMMAND_ERASE)
		program(flash, offset, value);
	else if (value == COMMAND_CONFIRM)
		erase(flash, offset);
	else
		flash->status |= STATUS_ERASE_ERROR | STATUS_PROGRAM_ERROR; /* bad sequence */
}

/* What is no command we know ends in array mode. */
static void begin(struct flash *flash, uint8_t command)
{
	switch (command) {
	case COMMAND_PROGRAM:
	case COMMAND_PROGRAM_ALSO:
	case COMMAND_ERASE:
		flash->command = command;
		break;
	case COMMAND_CLEAR_STATUS:
		flash->status = 0;
		break;
	case COMMAND_READ_STATUS:
		set_array_mode(flash, false);
		break;
	default:
		set_array_mode(flash, true);
	}
}

/* The chip is one byte wide: of a wider access it sees the first. */
void flash_write(struct flash *flash, uint64_t offset, unsigned bytes, uint64_t value)
{
	(void)bytes;
	pthread_mutex_lock(&flash->lock);
	if (flash->command)
		complete(flash, offset, (uint8_t)value);
	else
		begin(flash, (uint8_t)value);
	pthread_mutex_unlock(&flash->lock);
}

uint64_t flash_read(struct flash *flash, uint64_t offset, unsigned bytes)
{
	uint64_t value = 0;

	pthread_mutex_lock(&flash->lock);
	for (unsigned i = 0; i < bytes; i++) {
		uint64_t byte = flash->reads_status ? flash->status : flash->memory[offset + i];

		value |= byte << (8 * i);
	}
	pthread_mutex_unlock(&flash->lock);
	return value;
}
