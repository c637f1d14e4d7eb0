/* SPDX-License-Identifier: BSD-2-Clause */
/* What a disk's option says, before anything is opened. For block.c. */
#ifndef BHYVE_BLOCK_OPTIONS_H
#define BHYVE_BLOCK_OPTIONS_H

#include <stdbool.h>

#define BLOCK_SERIAL_LENGTH 20 /* what a virtio disk has room for */
#define BLOCK_QUEUES_MAX    16u

struct block_options {
	char *path;
	bool direct; /* past the host's page cache */
	bool sync;   /* every write is durable */
	bool readonly;
	unsigned sector;	  /* bytes; 0: as the image has it */
	unsigned physical_sector; /* likewise */
	unsigned queues;
	char serial[BLOCK_SERIAL_LENGTH + 1];
};

/* Read them: NULL, or a sentence about what is wrong. 'path' is to be freed. */
const char *block_options_parse(struct block_options *options, const char *text);

#endif
