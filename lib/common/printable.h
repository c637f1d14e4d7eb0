/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text that may quote names and files: what it quotes must not break a line, nor
 * send a terminal commands.
 */
#ifndef COMMON_PRINTABLE_H
#define COMMON_PRINTABLE_H

enum printable {
	PRINTABLE_BYTES, /* all but ASCII's control characters: names in UTF-8 stay */
	PRINTABLE_ASCII, /* ASCII's printable characters alone */
};

/* Replaces every other byte of 'text' by '?'. */
void make_printable(char *text, enum printable what);

#endif
