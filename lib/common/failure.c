// SPDX-License-Identifier: BSD-2-Clause
#include "common/failure.h"
#include "common/printable.h"

#include <stdarg.h>
#include <stdio.h>

void failure_note(struct failure *failure, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(failure->text, sizeof(failure->text), format, args);
	va_end(args);
	make_printable(failure->text, PRINTABLE_BYTES);
}
