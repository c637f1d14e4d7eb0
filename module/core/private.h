/* SPDX-License-Identifier: BSD-2-Clause */
/* What core's own files share and the other rooms have no business with. */
#ifndef CORE_PRIVATE_H
#define CORE_PRIVATE_H

#include "core/vm.h"

/* Free a vCPU that no thread can reach any more. sleep */
void vcpu_free(struct vcpu *vcpu);
/* vcpu_lock that cannot be interrupted. sleep */
void vcpu_lock_always(struct vcpu *vcpu);
/* The owner lets everybody who waits for the vCPU have it first. sleep */
void vcpu_let_pass(struct vcpu *vcpu);

/*
 * Choose the next event and give it to the back end, or ask for a window.
 * Interrupts off, entry follows. EXIT_RESUME; EXIT_OUTER when the guest shut down.
 */
enum exit_action event_inject(struct vcpu *vcpu);
/* The same where nothing but an exception has come. */
enum exit_action event_inject_exception(struct vcpu *vcpu);
/* Would an event wake the vCPU from HLT? Owner. */
bool event_pending(struct vcpu *vcpu);

#endif
