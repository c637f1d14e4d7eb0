/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For the tests of bhyveload: guest memory in the process, and builders of small
 * kernels of each kind, whose fields a test then spoils.
 */
#ifndef TESTS_UNIT_BHYVELOAD_HELPERS_H
#define TESTS_UNIT_BHYVELOAD_HELPERS_H

#include "load.h"

/* Guest memory below 4 GiB; filled with DIRT so that zeroing is seen. */
#define DIRT 0xa5

struct test_memory {
	uint8_t *bytes;
	uint64_t size;
	struct guest guest;
	struct boot_state state;
	struct load_request request;
};

/* Memory of 'size' bytes and an empty request. Ends the test if there is none. */
void test_memory_init(struct test_memory *memory, uint64_t size);
/* The same with what the memory has in it: a load that fails need not have it dirtied anew. */
void test_memory_reset(struct test_memory *memory);
void test_memory_free(struct test_memory *memory);

/* What is at a guest-physical address; ends the test if it is outside. */
void *test_memory_at(struct test_memory *memory, uint64_t gpa, uint64_t length);
uint32_t test_memory_u32(struct test_memory *memory, uint64_t gpa);
uint64_t test_memory_u64(struct test_memory *memory, uint64_t gpa);

/* Finds the format and loads; -1 with the reason in memory->guest.failure. */
int test_load(struct test_memory *memory);

/* Adds a module of 'size' bytes at 'bytes'. */
void test_add_module(struct test_memory *memory, const char *name, const uint8_t *bytes,
		     size_t size, const char *args);

/* The segment register in the state; ends the test if it is not there. */
const struct boot_segment *test_segment(struct test_memory *memory, enum vm_reg_name reg);

/* Checks flat 4 GiB segments, the GDT's contents, and the mode. */
void test_check_protected_mode(struct test_memory *memory);

/* Stores little-endian values at an offset of a file being built. */
void put8(uint8_t *file, size_t offset, uint8_t value);
void put16(uint8_t *file, size_t offset, uint16_t value);
void put32(uint8_t *file, size_t offset, uint32_t value);
void put64(uint8_t *file, size_t offset, uint64_t value);

/*
 * A bzImage of protocol 2.15 with four setup sectors and 'code_size' bytes of
 * code, each byte its offset modulo 251. Wants to run at 16 MiB, may be moved.
 * 'file' has room for BZIMAGE_SETUP + code_size.
 */
#define BZIMAGE_SETUP (5 * 512)
size_t build_bzimage(uint8_t *file, uint32_t code_size);

/* ELF headers for 'segments' program headers, all zero. Returns where they start. */
size_t build_elf32(uint8_t *file, uint32_t entry, unsigned int segments);
size_t build_elf64(uint8_t *file, uint64_t entry, unsigned int segments);

struct test_segment {
	uint32_t type;
	uint64_t offset;
	uint64_t virtual_start;
	uint64_t physical_start;
	uint64_t file_size;
	uint64_t memory_size;
};

void put_segment32(uint8_t *file, unsigned int index, const struct test_segment *segment);
void put_segment64(uint8_t *file, unsigned int index, const struct test_segment *segment);

/* Writes a Multiboot header with a right checksum. */
void put_multiboot_header(uint8_t *file, size_t offset, uint32_t flags);

/* Writes a note "Xen" of type 18 with a value of 'width' bytes; returns its size. */
size_t put_pvh_note(uint8_t *file, size_t offset, uint64_t value, uint32_t width);

#endif
