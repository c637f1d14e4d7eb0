// SPDX-License-Identifier: BSD-2-Clause
/* The syntax of a line of loader.conf. Bytes are judged as in the C locale. */
#include "line.h"

#include <string.h>

/* What is left of the line. */
struct cursor {
	const char *at;
	const char *end;
};

/* The next byte, or -1 at the end of the line. */
static int peek_byte(const struct cursor *cursor)
{
	return cursor->at < cursor->end ? (unsigned char)*cursor->at : -1;
}

static bool is_one_of(int byte, const char *set)
{
	return byte > 0 && strchr(set, byte);
}

static bool is_alphanumeric(int byte)
{
	return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
	       (byte >= 'A' && byte <= 'Z');
}

static bool in_name(int byte)
{
	return is_alphanumeric(byte) || is_one_of(byte, "_.-");
}

/* In a value without quotes. */
static bool in_word(int byte)
{
	return is_alphanumeric(byte) || is_one_of(byte, "_.-/:,+");
}

/* A file that was edited on another system may have returns at its lines' ends. */
static void skip_blanks(struct cursor *cursor)
{
	while (is_one_of(peek_byte(cursor), " \t\r\f\v"))
		cursor->at++;
}

static bool at_end_or_comment(struct cursor *cursor)
{
	skip_blanks(cursor);
	return peek_byte(cursor) < 0 || peek_byte(cursor) == '#';
}

/* Appends to a string of at most 'room' bytes. */
static void append_byte(struct line *line, char *string, size_t *length, size_t room, int byte)
{
	if (*length == room) {
		line->cut = true;
		return;
	}
	string[(*length)++] = (char)byte;
	string[*length] = '\0';
}

static void read_name(struct line *line, struct cursor *cursor)
{
	size_t length = 0;

	for (; in_name(peek_byte(cursor)); cursor->at++)
		append_byte(line, line->name, &length, LINE_NAME_LENGTH, peek_byte(cursor));
}

static const char *read_word(struct line *line, struct cursor *cursor)
{
	size_t length = 0;

	for (; in_word(peek_byte(cursor)); cursor->at++)
		append_byte(line, line->value, &length, LINE_VALUE_LENGTH, peek_byte(cursor));
	return length ? NULL : "there is no value";
}

/* A backslash takes the meaning from a quote or a backslash; elsewhere it is itself. */
static const char *read_quoted(struct line *line, struct cursor *cursor)
{
	size_t length = 0;

	for (cursor->at++; peek_byte(cursor) != '"'; cursor->at++) {
		if (peek_byte(cursor) == '\\' && cursor->end - cursor->at > 1 &&
		    is_one_of(cursor->at[1], "\"\\"))
			cursor->at++;
		if (peek_byte(cursor) < 0)
			return "the quote is not closed";
		if (peek_byte(cursor) == '\0')
			return "a zero byte is in the value";
		append_byte(line, line->value, &length, LINE_VALUE_LENGTH, peek_byte(cursor));
	}
	cursor->at++;
	return NULL;
}

const char *line_parse(struct line *line, const char *text, size_t length)
{
	struct cursor cursor = { text, text + length };
	const char *wrong;

	line->name[0] = line->value[0] = '\0';
	line->cut = false;
	if (at_end_or_comment(&cursor))
		return NULL;
	read_name(line, &cursor);
	skip_blanks(&cursor);
	if (!line->name[0] || peek_byte(&cursor) != '=')
		return "this is not NAME=\"VALUE\"";
	cursor.at++;
	skip_blanks(&cursor);
	wrong = peek_byte(&cursor) == '"' ? read_quoted(line, &cursor) : read_word(line, &cursor);
	if (wrong)
		return wrong;
	return at_end_or_comment(&cursor) ? NULL : "there is more after the value";
}
