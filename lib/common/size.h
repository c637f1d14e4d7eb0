/* SPDX-License-Identifier: BSD-2-Clause */
/* Sizes of memory. */
#ifndef COMMON_SIZE_H
#define COMMON_SIZE_H

#include <stddef.h>
#include <stdint.h>

#define KIB 1024ULL
#define MIB (1024ULL * 1024)
#define GIB (1024ULL * 1024 * 1024)

/*
 * The memory of a VM as people write it: vm_parse_memsize()'s forms, but neither 0
 * nor a part of a page. Returns NULL, or why 'text' is none, as the end of a line.
 */
const char *size_parse(const char *text, size_t *size);

/* The memory of this host in bytes, the greatest number if it is not known. */
uint64_t host_memory_size(void);

/* "512M": the size in the largest unit that divides it. Returns 'text'. */
#define SIZE_TEXT_LENGTH 24
const char *size_format(uint64_t size, char text[SIZE_TEXT_LENGTH]);

#endif
