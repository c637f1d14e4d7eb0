// SPDX-License-Identifier: BSD-2-Clause
/* How handlers end outside the inner loop; exit.h. */
#include "vm/vcpu.h"

enum exit_action vcpu_exit_userspace(struct vcpu *vcpu, enum vm_exitcode code)
{
	vcpu->exit.exitcode = code;
	vcpu->exit.rip = vcpu->rip;
	vcpu->exit.inst_length = vcpu->next_rip ? (int)(vcpu->next_rip - vcpu->rip) : 0;
	vcpu->resume_rip = vcpu->rip + (uint64_t)vcpu->exit.inst_length;
	vcpu->error = 0;
	return EXIT_USERSPACE;
}

enum exit_action vcpu_exit_error(struct vcpu *vcpu, int error)
{
	(void)vcpu_exit_between(vcpu, VM_EXITCODE_BOGUS);
	vcpu->error = error;
	return EXIT_USERSPACE;
}

enum exit_action vcpu_exit_defer(struct vcpu *vcpu, enum exit_action (*fn)(struct vcpu *))
{
	vcpu->deferred = fn;
	return EXIT_OUTER;
}

enum exit_action vcpu_exit_access(struct vcpu *vcpu, enum vm_exitcode code)
{
	vcpu->access.replied = false;
	vcpu->access_pending = vcpu->reply_mode;
	(void)vcpu_exit_userspace(vcpu, code);
	if (vcpu->access_pending)
		vcpu->resume_rip = vcpu->rip;
	return EXIT_USERSPACE;
}

enum exit_action vcpu_exit_port(struct vcpu *vcpu, uint16_t port, unsigned int size, bool in,
				uint32_t value)
{
	vcpu_access_set(vcpu, port, size, !in, value);
	vcpu->access.reg = GPR_RAX;
	vcpu->access.port = true;
	vcpu->exit.u.inout = (struct vm_inout){
		.bytes = size & 7,
		.in = in,
		.port = port,
		.eax = value,
	};
	return vcpu_exit_access(vcpu, VM_EXITCODE_INOUT);
}
