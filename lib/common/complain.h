/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the commands say on standard error: one line for each problem,
 * "program: what failed: why".
 */
#ifndef COMMON_COMPLAIN_H
#define COMMON_COMPLAIN_H

#include <stdbool.h>

/* The command's name, which begins its lines; each command defines it. */
extern const char program_name[];

/*
 * Prints "program: TEXT" as one line, where TEXT is at most 511 bytes, made as by
 * printf(), with '?' for control characters. Any thread.
 */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Whether standard error is a terminal in raw mode, where a line ends with a
 * carriage return as well. Any thread, and signal handlers.
 */
void complain_to_raw_terminal(bool raw);

/*
 * To be called before a command ends that has printed: writes out what standard
 * output has buffered. 0, or -1 after a complaint if it, or any print before, failed.
 */
int finish_standard_output(void);

#endif
