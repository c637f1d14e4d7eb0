// SPDX-License-Identifier: BSD-2-Clause
/*
 * The items: numbered ones, and files with their directory. Filled before the
 * vCPUs run and constant from then on.
 */
#include "fwcfg_items.h"
#include "fwcfg.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One entry of the directory, which begins with their number as a 32-bit integer. */
struct directory_entry {
	uint32_t size; /* big-endian, like the next */
	uint16_t key;
	uint16_t reserved;
	char name[FWCFG_FILE_NAME_MAX];
};
_Static_assert(sizeof(struct directory_entry) == 64, "fw_cfg directory entry");

struct file {
	char name[FWCFG_FILE_NAME_MAX];
	struct fwcfg_item item;
};

static struct fwcfg_item numbered[FWCFG_FILE_FIRST];
static struct file files[FWCFG_FILES_MAX];
static unsigned file_count;

const struct fwcfg_item *fwcfg_item(uint16_t key)
{
	static const struct fwcfg_item empty;

	if (key < FWCFG_FILE_FIRST)
		return &numbered[key];
	if (key - FWCFG_FILE_FIRST < (int)file_count)
		return &files[key - FWCFG_FILE_FIRST].item;
	return &empty;
}

static int copy_into(struct fwcfg_item *item, const void *data, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, length);
	free((void *)item->data);
	item->data = copy;
	item->length = length;
	return 0;
}

int fwcfg_set(uint16_t key, const void *data, size_t length)
{
	if (key >= FWCFG_FILE_FIRST)
		return -EINVAL;
	return copy_into(&numbered[key], data, length);
}

int fwcfg_set_integer(uint16_t key, uint64_t value, size_t length)
{
	value = htole64(value);
	return length <= sizeof(value) ? fwcfg_set(key, &value, length) : -EINVAL;
}

/* Files are kept in order of name, as the directory wants them. */
int fwcfg_add_file(const char *name, const void *data, size_t length)
{
	unsigned at = 0;
	int order = 1;

	if (name[0] == '\0' || strlen(name) >= FWCFG_FILE_NAME_MAX || length > UINT32_MAX)
		return -ENAMETOOLONG;
	if (file_count == FWCFG_FILES_MAX)
		return -ENOSPC;
	while (at < file_count && (order = strcmp(name, files[at].name)) > 0)
		at++;
	if (order == 0)
		return -EEXIST;
	memmove(&files[at + 1], &files[at], (file_count - at) * sizeof(files[0]));
	memset(&files[at], 0, sizeof(files[at]));
	file_count++;
	strcpy(files[at].name, name);
	return copy_into(&files[at].item, data, length);
}

int fwcfg_make_directory(void)
{
	struct {
		uint32_t count;
		struct directory_entry entries[FWCFG_FILES_MAX];
	} directory = { .count = htobe32(file_count) };

	for (unsigned i = 0; i < file_count; i++) {
		struct directory_entry *entry = &directory.entries[i];

		entry->size = htobe32((uint32_t)files[i].item.length);
		entry->key = htobe16((uint16_t)(FWCFG_FILE_FIRST + i));
		memcpy(entry->name, files[i].name, sizeof(entry->name));
	}
	return fwcfg_set(FWCFG_FILE_DIR, &directory,
			 sizeof(directory.count) + file_count * sizeof(directory.entries[0]));
}

void fwcfg_items_reset(void)
{
	for (unsigned i = 0; i < FWCFG_FILE_FIRST; i++)
		free((void *)numbered[i].data);
	for (unsigned i = 0; i < file_count; i++)
		free((void *)files[i].item.data);
	memset(numbered, 0, sizeof(numbered));
	memset(files, 0, sizeof(files));
	file_count = 0;
}
