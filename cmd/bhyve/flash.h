/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A parallel flash memory with Intel's command set (JEDEC's CFI, algorithm 0001h), as far as
 * UEFI firmware uses it: reading, status, programming a byte, erasing a block.
 */
#ifndef BHYVE_FLASH_H
#define BHYVE_FLASH_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLASH_BLOCK 4096u

struct flash {
	uint8_t *memory; /* constant, like the next two: what reads see in array mode */
	size_t length;	 /* whole blocks */
	/* The content of [offset, offset + bytes) has changed: 0 or a negative errno. */
	int (*save)(void *arg, size_t offset, size_t bytes);
	/* Array mode begins or ends: reads may, or may not, go to memory by themselves. */
	void (*array_mode)(void *arg, bool on);
	void *arg;

	pthread_mutex_t lock; /* for the rest */
	uint8_t command;      /* whose second cycle is awaited; 0: none */
	uint8_t status;
	bool reads_status;
};

void flash_init(struct flash *flash);
/* One access of 1 to 8 bytes within the flash. Any thread. */
uint64_t flash_read(struct flash *flash, uint64_t offset, unsigned bytes);
void flash_write(struct flash *flash, uint64_t offset, unsigned bytes, uint64_t value);

#endif
