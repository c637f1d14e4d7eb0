/* SPDX-License-Identifier: BSD-2-Clause */
/* What bhyve says when something goes wrong, and how it ends then. */
#ifndef BHYVE_DIAG_H
#define BHYVE_DIAG_H

#include <stdlib.h>

/* bhyve's exit statuses; the test device makes others (testdev.h). */
enum exit_status {
	STATUS_REBOOT = 0,
	STATUS_POWEROFF = 1,
	STATUS_HALT = 2,
	STATUS_TRIPLEFAULT = 3,
	STATUS_ERROR = 4,
};

/* Print "bhyve: MESSAGE" as one line on standard error. Any thread. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * The same, then exit(STATUS_ERROR), which undoes what start-up has done. Only
 * before the first vCPU runs. A macro, so that the compiler sees the end.
 */
#define fatal(...) (complain(__VA_ARGS__), exit(STATUS_ERROR))

#endif
