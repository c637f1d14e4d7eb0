// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory sizes as people write them.
 */
#include <ctype.h>
#include <errno.h>

#include "internal.h"

/* How far left a suffix shifts; -1 if it is none. "B" alone means bytes. */
static int suffix_shift(const char *suffix)
{
	static const char letters[] = "kmgtpe";
	int shift = 0;

	for (int i = 0; letters[i] && *suffix; i++)
		if (tolower((unsigned char)*suffix) == letters[i])
			shift = 10 * (i + 1);
	if (shift)
		suffix++;
	if (tolower((unsigned char)*suffix) == 'b')
		suffix++;
	return *suffix == '\0' ? shift : -1;
}

int vm_parse_memsize(const char *text, size_t *size)
{
	unsigned long long number;
	char *end;
	int shift;

	if (!isdigit((unsigned char)*text)) {
		errno = EINVAL;
		return -1;
	}
	errno = 0;
	number = strtoull(text, &end, 0);
	if (errno)
		return -1;
	/* bhyve reads a small bare number as MiB. */
	shift = *end == '\0' && number < MIB ? 20 : suffix_shift(end);
	if (shift < 0) {
		errno = EINVAL;
		return -1;
	}
	if (number > (SIZE_MAX >> shift)) {
		errno = ERANGE;
		return -1;
	}
	*size = (size_t)number << shift;
	return 0;
}
