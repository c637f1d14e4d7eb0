/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two devices for guests that are tests (-l testdev), as QEMU has them: a port
 * that ends the run with a status, and one that prints a character.
 */
#ifndef BHYVE_TESTDEV_H
#define BHYVE_TESTDEV_H

#include <vmmapi.h>

/*
 * A value V written to this port (isa-debug-exit with iobase=0xf4) ends bhyve
 * with exit status ((V << 1) | 1) & 0xff. An odd status: 1 and 3 also mean
 * "powered off" and "triple fault", as they do beside QEMU's own 1.
 */
#define TESTDEV_EXIT_PORT 0xf4

/* Bytes written here go to standard output (isa-debugcon); it reads as 0xe9. */
#define TESTDEV_CONSOLE_PORT 0xe9

/* Claim both ports; ends bhyve with a message on failure. */
void testdev_init(struct vmctx *ctx);

#endif
