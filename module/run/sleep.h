/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU without anything to run: asleep until a request wakes it. For the run loop alone. */
#ifndef RUN_SLEEP_H
#define RUN_SLEEP_H

#include "vm/exit.h"

struct vcpu;

/*
 * Sleep until a pending request is one that the vCPU acts on in its state. EXIT_OUTER to
 * act on it; EXIT_USERSPACE with an errno (signal). If no vCPU of the VM can ever wake
 * another any more, the VM halts. Owner; sleep
 */
enum exit_action vcpu_sleep(struct vcpu *vcpu);

#endif
