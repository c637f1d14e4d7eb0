/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why something failed, in the words the user will read: "what: why", without
 * the program's name or a newline. The innermost function that knows says it;
 * the others pass -1 on, and main() gives it to complain().
 */
#ifndef COMMON_FAILURE_H
#define COMMON_FAILURE_H

struct failure {
	char text[512];
};

/* Writes the text as by printf(), with '?' for control characters; cut to fit. */
void failure_note(struct failure *failure, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The same, and is -1: a macro, so that the compiler sees what follows a failure. */
#define fail(failure, ...) (failure_note(failure, __VA_ARGS__), -1)

#endif
