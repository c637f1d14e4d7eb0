/* SPDX-License-Identifier: BSD-2-Clause */
/* One line of loader.conf taken apart, whatever it is about. */
#ifndef VMM_LOADER_LINE_H
#define VMM_LOADER_LINE_H

#include <stdbool.h>
#include <stddef.h>

#define LINE_NAME_LENGTH  128
#define LINE_VALUE_LENGTH 4096

struct line {
	char name[LINE_NAME_LENGTH + 1];   /* "": nothing but blanks and a comment */
	char value[LINE_VALUE_LENGTH + 1]; /* without quotes */
	bool cut;			   /* the name or the value was longer than that */
};

/* Takes apart 'length' bytes without their newline. Returns NULL, or what is wrong. */
const char *line_parse(struct line *line, const char *text, size_t length);

#endif
