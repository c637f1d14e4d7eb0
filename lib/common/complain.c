// SPDX-License-Identifier: BSD-2-Clause
/* Lines on standard error. */
#include "common/complain.h"
#include "common/printable.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static atomic_bool is_raw_terminal;

/* One call of the C library: lines of two threads do not mix. */
void complain(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	make_printable(text, PRINTABLE_BYTES);
	fprintf(stderr, "%s: %s%s", program_name, text,
		atomic_load(&is_raw_terminal) ? "\r\n" : "\n");
}

void complain_to_raw_terminal(bool raw)
{
	atomic_store(&is_raw_terminal, raw);
}

int finish_standard_output(void)
{
	bool failed_before = ferror(stdout);

	if (fflush(stdout) == 0 && !failed_before)
		return 0;
	complain("standard output: %s", failed_before ? "cannot be written" : strerror(errno));
	return -1;
}
