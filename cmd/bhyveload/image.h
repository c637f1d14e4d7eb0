/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file to be put into a guest: a kernel, an initrd or a module. Nothing in it
 * is believed: each read is checked against the size, and a file that shrinks
 * while it is read is a failure, not a signal.
 */
#ifndef BHYVELOAD_IMAGE_H
#define BHYVELOAD_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "common/failure.h"

struct image {
	const char *name; /* for messages; outlives the image */
	uint64_t size;	  /* bytes */
	int fd;		  /* -1: the contents are at 'bytes' */
	const uint8_t *bytes;
};

/* Opens a regular file that is not empty. */
int image_open(struct image *image, const char *path, struct failure *failure);
void image_close(struct image *image);

/* An image of bytes in memory, which must outlive it. image_close() is optional. */
void image_from_bytes(struct image *image, const char *name, const uint8_t *bytes, size_t size);

/* Reads exactly [offset, offset + length); less is a failure ("truncated"). */
int image_read(const struct image *image, uint64_t offset, void *buffer, size_t length,
	       struct failure *failure);

/* What the image seems to be, from its first bytes: "gzip data", "a script". */
const char *image_looks_like(const struct image *image);

#endif
