/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Terminals in raw mode: every key goes to the guest, Ctrl-C included. The
 * former settings come back however the process ends, except by SIGKILL.
 */
#ifndef BHYVE_TERMINAL_H
#define BHYVE_TERMINAL_H

/*
 * Put a terminal into raw mode until the process ends; anything that is no
 * terminal is left alone. 0 or a negative errno; -EBUSY when there are too
 * many. Before other threads run.
 */
int terminal_make_raw(int fd);

/* Put the settings back now. Safe in a signal handler, and more than once. */
void terminal_restore(void);

/* Raw again: the shell has had the terminal while we were stopped. */
void terminal_resume(void);

#endif
