// SPDX-License-Identifier: BSD-2-Clause
/*
 * Files to be put into a guest.
 */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int image_open(struct image *image, const char *path, struct failure *failure)
{
	struct stat status;
	int saved;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return fail(failure, "%s: %s", path, strerror(errno));
	if (fstat(fd, &status)) {
		saved = errno;
		close(fd);
		return fail(failure, "%s: %s", path, strerror(saved));
	}
	if (!S_ISREG(status.st_mode) || status.st_size == 0) {
		close(fd);
		return fail(failure, "%s: %s", path,
			    S_ISREG(status.st_mode) ? "the file is empty" :
			    S_ISDIR(status.st_mode) ? "is a directory" :
						      "is not a regular file");
	}
	*image = (struct image){ .name = path, .size = (uint64_t)status.st_size, .fd = fd };
	return 0;
}

void image_close(struct image *image)
{
	if (image->fd >= 0)
		close(image->fd);
	image->fd = -1;
}

void image_from_bytes(struct image *image, const char *name, const uint8_t *bytes, size_t size)
{
	*image = (struct image){ .name = name, .size = size, .fd = -1, .bytes = bytes };
}

static int read_file(const struct image *image, uint64_t offset, char *buffer, size_t length,
		     struct failure *failure)
{
	while (length > 0) {
		ssize_t count = pread(image->fd, buffer, length, (off_t)offset);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return fail(failure, "%s: %s", image->name, strerror(errno));
		if (count == 0)
			return fail(failure, "%s: truncated while it was read", image->name);
		buffer += count;
		offset += (uint64_t)count;
		length -= (size_t)count;
	}
	return 0;
}

int image_read(const struct image *image, uint64_t offset, void *buffer, size_t length,
	       struct failure *failure)
{
	if (length > image->size || offset > image->size - length)
		return fail(failure, "%s: truncated: wants bytes %#llx to %#llx of %#llx",
			    image->name, (unsigned long long)offset,
			    (unsigned long long)offset + length, (unsigned long long)image->size);
	if (image->fd >= 0)
		return read_file(image, offset, buffer, length, failure);
	if (length > 0)
		memcpy(buffer, image->bytes + offset, length);
	return 0;
}

/* First bytes by which kinds of files are recognized. */
static const struct {
	uint8_t length;
	const char *bytes;
	const char *what;
} magics[] = {
	{ 2, "\x1f\x8b", "gzip data" },
	{ 6,
	  "\xfd"
	  "7zXZ\0",
	  "xz data" },
	{ 4, "\x28\xb5\x2f\xfd", "zstd data" },
	{ 3, "BZh", "bzip2 data" },
	{ 4, "\x02\x21\x4c\x18", "lz4 data" },
	{ 4, "\x04\x22\x4d\x18", "lz4 data" },
	{ 3, "\x5d\0\0", "lzma data" },
	{ 5, "07070", "a cpio archive (an initrd?)" },
	{ 4,
	  "\x7f"
	  "ELF",
	  "an ELF file that is no Multiboot or PVH kernel" },
	{ 4, "PK\x03\x04", "a zip archive" },
	{ 4, "QFI\xfb", "a qcow2 disk image" },
	{ 4, "hsqs", "a squashfs file system" },
	{ 2, "MZ", "an EFI program or DOS executable" },
	{ 2, "#!", "a script" },
};

static bool is_text_byte(uint8_t byte)
{
	return (byte >= ' ' && byte < 0x7f) || byte == '\t' || byte == '\n' || byte == '\r' ||
	       byte == '\f' || byte == '\033';
}

static bool is_text(const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!is_text_byte(bytes[i]))
			return false;
	return true;
}

const char *image_looks_like(const struct image *image)
{
	struct failure ignored = { "" };
	uint8_t start[512] = { 0 };
	size_t length = image->size < sizeof(start) ? image->size : sizeof(start);

	if (image_read(image, 0, start, length, &ignored))
		return "unreadable";
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
		if (length >= magics[i].length &&
		    memcmp(start, magics[i].bytes, magics[i].length) == 0)
			return magics[i].what;
	if (is_text(start, length))
		return "text";
	if (length == sizeof(start) && start[510] == 0x55 && start[511] == 0xaa)
		return "a disk image or boot sector";
	return "data of no known kind";
}
