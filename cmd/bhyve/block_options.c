// SPDX-License-Identifier: BSD-2-Clause
/* A disk's option; block_options.h. */
#include "block_options.h"
#include "common/number.h"

#include <stdlib.h>
#include <string.h>

#define SECTOR_MAX 65536u

static bool is_sector_size(unsigned size)
{
	return size >= 512 && (size & (size - 1)) == 0;
}

/* "LOGICAL[/PHYSICAL]" in bytes. */
static const char *parse_sectors(struct block_options *options, const char *text)
{
	bool good = number_read(&text, SECTOR_MAX, &options->sector);

	options->physical_sector = options->sector;
	if (good && *text == '/')
		good = text++ && number_read(&text, SECTOR_MAX, &options->physical_sector);
	if (!good || *text)
		return "sectorsize= wants LOGICAL[/PHYSICAL] in bytes";
	if (!is_sector_size(options->sector) || !is_sector_size(options->physical_sector) ||
	    options->physical_sector < options->sector)
		return "a sector has a power of two of bytes, 512 or more, and no more than a "
		       "physical one";
	return NULL;
}

static const char *parse_serial(struct block_options *options, const char *text)
{
	if (!*text || strlen(text) > BLOCK_SERIAL_LENGTH)
		return "serial= wants 1 to 20 characters";
	strcpy(options->serial, text);
	return NULL;
}

static const char *parse_queues(struct block_options *options, const char *text)
{
	if (number_parse_unsigned(text, BLOCK_QUEUES_MAX, &options->queues) || !options->queues)
		return "queues= wants 1 to 16";
	return NULL;
}

static const char *parse_word(struct block_options *options, const char *word)
{
	if (strcmp(word, "nocache") == 0 || strcmp(word, "direct") == 0)
		options->direct = true;
	else if (strcmp(word, "sync") == 0)
		options->sync = true;
	else if (strcmp(word, "ro") == 0)
		options->readonly = true;
	else if (strncmp(word, "sectorsize=", 11) == 0)
		return parse_sectors(options, word + 11);
	else if (strncmp(word, "serial=", 7) == 0 || strncmp(word, "ser=", 4) == 0)
		return parse_serial(options, strchr(word, '=') + 1);
	else if (strncmp(word, "queues=", 7) == 0)
		return parse_queues(options, word + 7);
	else
		return "of a disk there are: nocache, direct, sync, ro, sectorsize=, serial=, "
		       "queues=";
	return NULL;
}

const char *block_options_parse(struct block_options *options, const char *text)
{
	char *copy = text ? strdup(text) : NULL;
	char *rest = copy;
	const char *why = NULL;
	char *word;

	*options = (struct block_options){ .queues = 1 };
	options->path = copy;
	word = strsep(&rest, ",");
	if (!word || !*word)
		return "a disk wants the path of its image";
	while (!why && (word = strsep(&rest, ",")))
		why = parse_word(options, word);
	return why;
}
