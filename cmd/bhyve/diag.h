/* SPDX-License-Identifier: BSD-2-Clause */
/* How bhyve ends, and what it says when something goes wrong. */
#ifndef BHYVE_DIAG_H
#define BHYVE_DIAG_H

#include "common/complain.h"

#include <stdlib.h>

/* bhyve's exit statuses; the test device makes others (testdev.h). */
enum exit_status {
	STATUS_REBOOT = 0,
	STATUS_POWEROFF = 1,
	STATUS_HALT = 2,
	STATUS_TRIPLEFAULT = 3,
	STATUS_ERROR = 4,
};

/*
 * complain(), then exit(STATUS_ERROR), which undoes what start-up has done. Only
 * before the first vCPU runs. A macro, so that the compiler sees the end.
 */
#define fatal(...) (complain(__VA_ARGS__), exit(STATUS_ERROR))

#endif
