// SPDX-License-Identifier: BSD-2-Clause
#include "common/printable.h"

#define FIRST_PRINTABLE ' '
#define DELETE		0x7f /* the last of ASCII, a control character */

void make_printable(char *text, enum printable what)
{
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte < FIRST_PRINTABLE || byte == DELETE ||
		    (byte > DELETE && what == PRINTABLE_ASCII))
			*text = '?';
	}
}
