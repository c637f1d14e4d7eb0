// SPDX-License-Identifier: BSD-2-Clause
/* One-line messages on standard error. */
#include "diag.h"
#include "terminal.h"

#include <stdarg.h>
#include <stdio.h>

/* A terminal in raw mode wants a carriage return as well. */
void complain(const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(stderr, "bhyve: %s%s", line, terminal_is_raw() ? "\r\n" : "\n");
}
