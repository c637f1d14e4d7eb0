/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk's image: a raw file or a block device, read and written through io_uring. Requests
 * are handed in by any thread and end in one thread of the image's own.
 */
#ifndef BHYVE_BLOCK_H
#define BHYVE_BLOCK_H

#include "virtqueue.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct block;

enum block_operation {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,   /* what has been written is on the disk when it ends */
	BLOCK_DISCARD, /* the range's content does not matter any more */
	BLOCK_ZERO,    /* the range reads as zeros */
};

struct block_request {
	enum block_operation operation;
	bool durable;	 /* a write is on the disk when it ends */
	bool unmap;	 /* BLOCK_ZERO may give the range's space back */
	uint64_t offset; /* bytes, within the image, like the next */
	uint64_t bytes;	 /* of iov[], or of the range */
	unsigned count;	 /* buffers of a read or write */
	struct iovec iov[VIRTQUEUE_SEGMENTS];
	/* It has ended: 0 or a negative errno. The image's thread; it may hand in another. */
	void (*done)(struct block_request *request, int error);
};

/*
 * Open the image that an option names: PATH[,nocache|direct][,sync][,ro]
 * [,sectorsize=LOGICAL[/PHYSICAL]] and lock it against others. 'serial=TEXT' and
 * 'queues=N' are the device's. NULL after a line that says why, and which begins with 'who'.
 */
struct block *block_open(const char *who, const char *options);

uint64_t block_size(const struct block *block); /* bytes, a multiple of the sector's */
unsigned block_sector_size(const struct block *block);
unsigned block_physical_sector_size(const struct block *block);
bool block_is_readonly(const struct block *block);
bool block_can_discard(const struct block *block);
const char *block_serial(const struct block *block); /* "" if none was given */
unsigned block_queues(const struct block *block);

/*
 * Hand in a request, which must stay until it has ended. It begins with the next
 * block_submit(), or before. Any thread.
 */
void block_add(struct block *block, struct block_request *request);
void block_submit(struct block *block);

#endif
