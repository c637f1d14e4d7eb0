/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals. SIGTERM presses the power button, or powers the VM off if the guest
 * does not listen for the button. SIGINT, SIGHUP and SIGQUIT end the process
 * and leave the VM as it is.
 */
#ifndef BHYVE_SIGNALS_H
#define BHYVE_SIGNALS_H

#include <vmmapi.h>

/* Block signals until signals_init(). Before other threads exist. */
void signals_block(void);

/* Serve them in the event loop. Ends bhyve with a message on failure. */
void signals_init(struct vmctx *ctx);

/*
 * If a signal is to end the process, raise it now, so that the parent sees
 * which; else return. After event_loop() and all clean-up.
 */
void signals_die(void);

#endif
