// SPDX-License-Identifier: BSD-2-Clause
/* bhyveload: files, and what they look like. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load.h"
#include "unit.h"

static void check_look(const char *bytes, size_t size, const char *expected)
{
	struct image image;

	image_from_bytes(&image, "it", (const uint8_t *)bytes, size);
	CHECK_STR(image_looks_like(&image), expected);
}

TEST(looks_are_told_apart)
{
	static char boot_sector[512] = "\xeb\x3c";

	boot_sector[510] = 0x55;
	boot_sector[511] = (char)0xaa;
	check_look("\x1f\x8b\x08", 3, "gzip data");
	check_look("\xfd"
		   "7zXZ\0....",
		   10, "xz data");
	check_look("070701000", 9, "a cpio archive (an initrd?)");
	check_look("#!/bin/sh\n", 10, "a script");
	check_look("MZ\x90", 3, "an EFI program or DOS executable");
	check_look("hello, world\n", 13, "text");
	check_look("\0\0\0\0\0\0\0\0", 8, "data of no known kind");
	check_look("\x01", 1, "data of no known kind");
	check_look(boot_sector, sizeof(boot_sector), "a disk image or boot sector");
	check_look("\x7f"
		   "ELF....",
		   8, "an ELF file that is no Multiboot or PVH kernel");
}

TEST(other_files_are_no_kernels)
{
	struct failure failure;
	struct image image;

	image_from_bytes(&image, "notes.txt", (const uint8_t *)"some text", 9);
	CHECK(!load_find_format(&image, &failure));
	CHECK_STR(failure.text,
		  "notes.txt: not a kernel (Linux bzImage, Multiboot or PVH); it looks like text");
}

TEST(reads_stay_inside)
{
	static const uint8_t bytes[16];
	struct failure failure;
	struct image image;
	uint8_t to[16];

	image_from_bytes(&image, "it", bytes, sizeof(bytes));
	CHECK(image_read(&image, 0, to, 16, &failure) == 0);
	CHECK(image_read(&image, 16, to, 0, &failure) == 0);
	CHECK(image_read(&image, 1, to, 16, &failure) < 0);
	CHECK(image_read(&image, 17, to, 0, &failure) < 0);
	CHECK(image_read(&image, UINT64_MAX, to, 2, &failure) < 0);
	CHECK(image_read(&image, 2, to, SIZE_MAX, &failure) < 0);
}

/* A file in a folder of its own; the caller removes both. */
static void make_file(char *folder, char path[64], const char *contents)
{
	int fd;

	REQUIRE(mkdtemp(folder));
	snprintf(path, 64, "%s/file", folder);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	REQUIRE(fd >= 0);
	REQUIRE(write(fd, contents, strlen(contents)) == (ssize_t)strlen(contents));
	close(fd);
}

TEST(files_are_opened_and_read)
{
	char folder[] = "/tmp/unit.XXXXXX";
	struct failure failure;
	struct image image;
	char path[64], to[8] = "";

	make_file(folder, path, "0123456789");
	REQUIRE(image_open(&image, path, &failure) == 0);
	CHECK_EQ(image.size, 10);
	CHECK(image_read(&image, 3, to, 5, &failure) == 0);
	CHECK_STR(to, "34567");
	CHECK(image_read(&image, 6, to, 5, &failure) < 0);
	/* It shrinks behind our back. */
	REQUIRE(truncate(path, 4) == 0);
	CHECK(image_read(&image, 3, to, 5, &failure) < 0);
	CHECK(strstr(failure.text, "truncated while it was read"));
	image_close(&image);
	unlink(path);
	rmdir(folder);
}

TEST(what_is_no_file_is_refused)
{
	char folder[] = "/tmp/unit.XXXXXX";
	struct failure failure;
	struct image image;
	char path[64], fifo[64];

	make_file(folder, path, "");
	CHECK(image_open(&image, path, &failure) < 0);
	CHECK(strstr(failure.text, "the file is empty"));
	CHECK(image_open(&image, folder, &failure) < 0);
	CHECK(strstr(failure.text, "is a directory"));
	snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
	REQUIRE(mkfifo(fifo, 0600) == 0);
	CHECK(image_open(&image, fifo, &failure) < 0);
	CHECK(strstr(failure.text, "is not a regular file"));
	unlink(fifo);
	unlink(path);
	CHECK(image_open(&image, path, &failure) < 0);
	CHECK(strstr(failure.text, "No such file or directory"));
	rmdir(folder);
}

TEST(failures_are_one_line)
{
	struct failure failure;
	char name[600];

	CHECK_EQ(fail(&failure, "%s", "a\nb\tc\x7f"), -1);
	CHECK_STR(failure.text, "a?b?c?");
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	failure_note(&failure, "%s", name);
	CHECK_EQ(strlen(failure.text), sizeof(failure.text) - 1);
}
