// SPDX-License-Identifier: BSD-2-Clause
/* One-line messages on standard error. */
#include "diag.h"
#include "terminal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A terminal in raw mode wants a carriage return as well. */
static void print_line(const char *format, va_list args)
{
	char line[512];

	vsnprintf(line, sizeof(line), format, args);
	fprintf(stderr, terminal_is_raw() ? "bhyve: %s\r\n" : "bhyve: %s\n", line);
}

void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line(format, args);
	va_end(args);
}

void fatal(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line(format, args);
	va_end(args);
	exit(STATUS_ERROR);
}
