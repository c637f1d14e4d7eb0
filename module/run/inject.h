/* SPDX-License-Identifier: BSD-2-Clause */
/* Injection of pending events; for the run loop alone. */
#ifndef RUN_INJECT_H
#define RUN_INJECT_H

#include "vm/exit.h"

struct vcpu;

/*
 * Choose the next event and have the back end inject it, or request a window.
 * Interrupts off, entry follows. EXIT_RESUME; EXIT_OUTER when the guest shut down.
 */
enum exit_action event_inject(struct vcpu *vcpu);
/* The same where nothing but an exception is pending. */
enum exit_action event_inject_exception(struct vcpu *vcpu);
/* Would an event wake the vCPU from HLT? Owner. */
bool event_pending(struct vcpu *vcpu);

#endif
