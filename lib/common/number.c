// SPDX-License-Identifier: BSD-2-Clause
#include "common/number.h"

#include <errno.h>
#include <stdlib.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int number_parse(const char *text, enum number_notation notation, uint64_t max, uint64_t *value)
{
	unsigned long long number;
	char *end;

	/* strtoull() would take blanks and a sign, and turn -1 into the greatest number. */
	if (!is_digit(*text))
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, notation == NUMBER_DECIMAL ? 10 : 0);
	if (*end != '\0')
		return -EINVAL;
	if (errno || number > max)
		return -ERANGE;
	*value = number;
	return 0;
}

int number_parse_unsigned(const char *text, unsigned int max, unsigned int *value)
{
	uint64_t number;
	int error = number_parse(text, NUMBER_DECIMAL, max, &number);

	if (!error)
		*value = (unsigned int)number;
	return error;
}

bool number_read(const char **text, unsigned int max, unsigned int *value)
{
	const char *start = *text;
	uint64_t number = 0;

	for (; is_digit(**text); (*text)++) {
		number = number * 10 + (unsigned int)(**text - '0');
		if (number > max)
			return false;
	}
	if (*text == start)
		return false;
	*value = (unsigned int)number;
	return true;
}
