/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers in command lines and files. Neither signs nor blanks are part of one,
 * and one that is too large is refused, never cut.
 */
#ifndef COMMON_NUMBER_H
#define COMMON_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

enum number_notation {
	NUMBER_DECIMAL, /* leading zeroes mean nothing */
	NUMBER_C,	/* decimal, 0x hexadecimal, 0 octal */
};

/*
 * The number that all of 'text' is. 0; -EINVAL: it is none; -ERANGE: it is
 * greater than 'max'. *value is written on success only.
 */
int number_parse(const char *text, enum number_notation notation, uint64_t max, uint64_t *value);

/* The same for a decimal number and a narrower variable. */
int number_parse_unsigned(const char *text, unsigned int max, unsigned int *value);

/*
 * The decimal digits that *text begins with; *text is moved behind them. False if
 * there are none or the number is greater than 'max': *text is anywhere then, and
 * *value as it was.
 */
bool number_read(const char **text, unsigned int max, unsigned int *value);

#endif
