/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the handling of an exit ends: in the inner loop, in the outer one, or in
 * userspace with vcpu->exit filled in.
 */
#ifndef VM_EXIT_H
#define VM_EXIT_H

#include <vmm/vmm.h>
#include "os/os.h"

struct vcpu;

/*
 * What an exit's handler wants next. Handlers run in the inner loop: preemption off,
 * interrupts on, no sleeping.
 */
enum exit_action {
	EXIT_RESUME,	/* enter the guest again, inner loop */
	EXIT_OUTER,	/* leave the inner loop, then call vcpu->deferred if set */
	EXIT_USERSPACE, /* vcpu->exit is filled in: VM_RUN returns it */
};

/*
 * Exit to userspace: these fill in vcpu->exit (exitcode, rip, inst_length from next_rip)
 * and return EXIT_USERSPACE. Owner.
 */
enum exit_action vcpu_exit_userspace(struct vcpu *vcpu, enum vm_exitcode code);
/* vcpu_exit_between() in vcpu.h is for an exit that is not about an instruction. */
/*
 * A device access for userspace, described by vcpu->access. In reply mode RIP stays: the
 * answer finishes the instruction. Otherwise userspace does it, with register writes or
 * the library's emulator.
 */
enum exit_action vcpu_exit_access(struct vcpu *vcpu, enum vm_exitcode code);
/* Access to a port: an INOUT exit. 'value' is what is written, 0 for a read. */
enum exit_action vcpu_exit_port(struct vcpu *vcpu, uint16_t port, unsigned int size, bool in,
				uint32_t value);
/* VM_RUN fails with a negative errno. */
enum exit_action vcpu_exit_error(struct vcpu *vcpu, int error);
/* Continue with fn in the outer loop, where sleeping is allowed. */
enum exit_action vcpu_exit_defer(struct vcpu *vcpu, enum exit_action (*fn)(struct vcpu *));

#endif
