/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why something failed, in the words the user will read: "what: why", without
 * the program's name or a newline. The innermost function that knows says it;
 * the others pass -1 on.
 */
#ifndef BHYVELOAD_FAILURE_H
#define BHYVELOAD_FAILURE_H

struct failure {
	char text[512];
};

/* Writes the text, as printf() would. */
void failure_note(struct failure *failure, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The same, and is -1: seen as such by whoever checks what is used after a failure. */
#define fail(failure, ...) (failure_note(failure, __VA_ARGS__), -1)

#endif
