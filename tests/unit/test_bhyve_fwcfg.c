// SPDX-License-Identifier: BSD-2-Clause
/* The firmware configuration device as a guest reads it. */
#include "fake_vmmapi.h"
#include "fwcfg.h"
#include "fwcfg_items.h"
#include "inout.h"
#include "unit.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static const uint8_t uuid[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

static void start(void)
{
	fwcfg_init(fake_ctx, 3, uuid);
}

static void setup(void)
{
	fake_reset();
	inout_reset();
}

static void read_item(uint16_t key, void *data, size_t length)
{
	uint8_t *bytes = data;

	inout_write(0x510, 2, key);
	while (length--)
		*bytes++ = (uint8_t)inout_read(0x511, 1);
}

static uint64_t read_integer(uint16_t key, size_t length)
{
	uint64_t value = 0;

	read_item(key, &value, length);
	return le64toh(value);
}

struct entry {
	uint32_t size;
	uint16_t key;
	uint16_t reserved;
	char name[56];
};

/* The directory's entry of that name; its key is 0 if there is none. */
static struct entry find_file(const char *name)
{
	struct entry entry = { 0 };
	uint32_t count;

	inout_write(0x510, 2, 0x19);
	for (size_t i = 0; i < sizeof(count); i++)
		((uint8_t *)&count)[i] = (uint8_t)inout_read(0x511, 1);
	for (count = be32toh(count); count > 0; count--) {
		for (size_t i = 0; i < sizeof(entry); i++)
			((uint8_t *)&entry)[i] = (uint8_t)inout_read(0x511, 1);
		if (strcmp(entry.name, name) == 0)
			return entry;
	}
	return (struct entry){ 0 };
}

TEST(signature_and_id)
{
	char signature[5] = "";

	setup();
	start();
	read_item(0x00, signature, 4);
	CHECK_STR(signature, "QEMU");
	CHECK_EQ(read_integer(0x01, 4), 3);
}

TEST(machine_items)
{
	uint8_t bytes[16];

	setup();
	start();
	CHECK_EQ(read_integer(0x03, 8), FAKE_MEMORY);
	CHECK_EQ(read_integer(0x05, 2), 3);
	CHECK_EQ(read_integer(0x0f, 2), 3);
	read_item(0x02, bytes, 16);
	CHECK_MEM(bytes, uuid, 16);
}

TEST(reading_past_the_end_gives_zeroes)
{
	char data[8];

	setup();
	start();
	read_item(0x00, data, 8);
	CHECK_MEM(data, "QEMU\0\0\0\0", 8);
	CHECK_EQ(read_integer(0x3fff, 4), 0);
	CHECK_EQ(read_integer(0xffff, 4), 0);
}

TEST(memory_map_file)
{
	struct {
		uint64_t address, length;
		uint32_t type;
	} __attribute__((packed)) map;
	struct entry entry;

	setup();
	start();
	entry = find_file("etc/e820");
	CHECK_EQ(be32toh(entry.size), sizeof(map));
	read_item(be16toh(entry.key), &map, sizeof(map));
	CHECK_EQ(map.address, 0);
	CHECK_EQ(map.length, FAKE_MEMORY);
	CHECK_EQ(map.type, 1);
}

TEST(files_in_order_of_name)
{
	struct entry a, b;
	char text[4] = "";

	setup();
	fwcfg_add_option("opt/b,string=two");
	fwcfg_add_option("opt/a,string=one");
	start();
	a = find_file("opt/a");
	b = find_file("opt/b");
	CHECK_EQ(be16toh(a.key) + 1, be16toh(b.key));
	CHECK_EQ(be32toh(b.size), 3);
	read_item(be16toh(b.key), text, 3);
	CHECK_STR(text, "two");
}

TEST(file_names_are_checked)
{
	setup();
	CHECK_EQ(fwcfg_add_file("opt/a", "x", 1), 0);
	CHECK_EQ(fwcfg_add_file("opt/a", "y", 1), -EEXIST);
	CHECK_EQ(fwcfg_add_file("", "y", 1), -ENAMETOOLONG);
	CHECK_EQ(fwcfg_add_file("a-name-of-fifty-six-characters-or-more-does-not-fit-in-the-entry",
				"y", 1),
		 -ENAMETOOLONG);
	for (unsigned i = 1; i < FWCFG_FILES_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%u", i);
		CHECK_EQ(fwcfg_add_file(name, "y", 1), 0);
	}
	CHECK_EQ(fwcfg_add_file("one-more", "y", 1), -ENOSPC);
}

TEST(command_line_item_ends_in_zero)
{
	char text[6] = "xxxxx";

	setup();
	fwcfg_add_option("cmdline,string=quiet");
	start();
	CHECK_EQ(read_integer(0x14, 4), 6);
	read_item(0x15, text, 6);
	CHECK_STR(text, "quiet");
}

/* A bzImage with two sectors of setup: the boot sector and they are one item. */
TEST(kernel_is_split_behind_its_setup)
{
	char path[] = "/tmp/fwcfg-XXXXXX";
	char option[64];
	uint8_t image[2048] = { 0 };
	uint8_t byte;
	int fd = mkstemp(path);

	setup();
	image[0x1f1] = 2;
	memcpy(image + 0x202, "HdrS", 4);
	image[1536] = 0x77;
	REQUIRE(write(fd, image, sizeof(image)) == sizeof(image));
	close(fd);
	snprintf(option, sizeof(option), "kernel,file=%s", path);
	fwcfg_add_option(option);
	unlink(path);
	start();
	CHECK_EQ(read_integer(0x17, 4), 1536);
	CHECK_EQ(read_integer(0x08, 4), 512);
	read_item(0x11, &byte, 1);
	CHECK_EQ(byte, 0x77);
}

/* --- DMA -------------------------------------------------------------------------- */

#define REQUEST 0x1000
#define BUFFER	0x2000

static void put32(uint32_t at, uint32_t value)
{
	value = htobe32(value);
	memcpy(fake.memory + at, &value, 4);
}

/* Runs a request at REQUEST and returns its control word afterwards. */
static uint32_t dma(uint32_t control, uint32_t length, uint64_t address)
{
	uint32_t result;

	put32(REQUEST, control);
	put32(REQUEST + 4, length);
	put32(REQUEST + 8, (uint32_t)(address >> 32));
	put32(REQUEST + 12, (uint32_t)address);
	inout_write(0x514, 4, 0);
	inout_write(0x518, 4, htobe32(REQUEST));
	memcpy(&result, fake.memory + REQUEST, 4);
	return be32toh(result);
}

TEST(dma_signature)
{
	setup();
	start();
	CHECK_EQ(be32toh(inout_read(0x514, 4)), 0x51454d55);
	CHECK_EQ(be32toh(inout_read(0x518, 4)), 0x20434647);
}

TEST(dma_select_and_read)
{
	setup();
	start();
	memset(fake.memory + BUFFER, 0xee, 16);
	CHECK_EQ(dma(0x0000000a, 6, BUFFER), 0);
	CHECK_MEM(fake.memory + BUFFER, "QEMU\0\0\xee", 7);
}

TEST(dma_continues_and_skips)
{
	setup();
	fwcfg_add_option("opt/a,string=0123456789");
	start();
	CHECK_EQ(dma((uint32_t)be16toh(find_file("opt/a").key) << 16 | 0x0a, 2, BUFFER), 0);
	CHECK_EQ(dma(0x04, 3, 0), 0);
	CHECK_EQ(dma(0x02, 2, BUFFER), 0);
	CHECK_MEM(fake.memory + BUFFER, "56", 2);
	CHECK_EQ(inout_read(0x511, 1), '7');
	/* Skipping past the end stays there. */
	CHECK_EQ(dma(0x04, 0xffffffff, 0), 0);
	CHECK_EQ(inout_read(0x511, 1), 0);
}

TEST(dma_outside_memory_fails)
{
	setup();
	start();
	CHECK_EQ(dma(0x0a, 16, FAKE_MEMORY - 8), 1);
	CHECK_EQ(dma(0x0a, 16, UINT64_MAX - 4), 1);
	CHECK_EQ(dma(0x0a, 0xffffffff, 0), 1);
	/* A request that is not in memory has nowhere to report to. */
	inout_write(0x514, 4, 0xffffffff);
	inout_write(0x518, 4, 0xffffffff);
	inout_write(0x518, 4, htobe32(FAKE_MEMORY - 8));
}

TEST(dma_writes_are_refused)
{
	setup();
	start();
	CHECK_EQ(dma(0x18, 4, BUFFER), 1);
	CHECK_EQ(dma(0x00, 4, BUFFER), 0);
}
