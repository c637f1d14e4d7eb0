// SPDX-License-Identifier: BSD-2-Clause
/*
 * The text of a failure. Names from the command line may hold anything: what
 * would break the one line is shown as '?'.
 */
#include "failure.h"

#include <stdarg.h>
#include <stdio.h>

void failure_note(struct failure *failure, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(failure->text, sizeof(failure->text), format, args);
	va_end(args);
	for (char *c = failure->text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}
