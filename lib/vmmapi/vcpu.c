// SPDX-License-Identifier: BSD-2-Clause
/*
 * One virtual CPU: its handle, running it, holding it, and who is active.
 */
#include <errno.h>
#include <limits.h>
#include <vmm/topology.h>

#include "internal.h"

struct vcpu *vm_vcpu_open(struct vmctx *ctx, int vcpuid)
{
	struct vcpu *vcpu;

	if (vcpuid < 0) {
		errno = EINVAL;
		return NULL;
	}
	vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu)
		return NULL;
	vcpu->ctx = ctx;
	vcpu->id = vcpuid;
	return vcpu;
}

void vm_vcpu_close(struct vcpu *vcpu)
{
	free(vcpu->stats);
	free(vcpu);
}

int vcpu_id(struct vcpu *vcpu)
{
	return vcpu->id;
}

int vm_run(struct vcpu *vcpu, struct vm_run *vmrun)
{
	vmrun->cpuid = vcpu->id;
	return ioctl(vcpu->ctx->fd, VM_RUN, vmrun);
}

int vm_run_reply(struct vcpu *vcpu, struct vm_exit *vm_exit, bool reply, uint64_t value)
{
	struct vm_run_reply run = {
		.cpuid = vcpu->id,
		.flags = reply ? VM_RUN_F_REPLY : 0,
		.reply = value,
		.vm_exit = vm_exit,
	};

	return ioctl(vcpu->ctx->fd, VM_RUN_REPLY, &run);
}

static int cpu_request(struct vmctx *ctx, unsigned long request, int vcpuid)
{
	struct vm_activate_cpu argument = { .vcpuid = vcpuid };

	return ioctl(ctx->fd, request, &argument);
}

int vm_activate_cpu(struct vcpu *vcpu)
{
	return cpu_request(vcpu->ctx, VM_ACTIVATE_CPU, vcpu->id);
}

int vm_suspend_cpu(struct vcpu *vcpu)
{
	return cpu_request(vcpu->ctx, VM_SUSPEND_CPU, vcpu->id);
}

int vm_suspend_all_cpus(struct vmctx *ctx)
{
	return cpu_request(ctx, VM_SUSPEND_CPU, -1);
}

int vm_resume_cpu(struct vcpu *vcpu)
{
	return cpu_request(vcpu->ctx, VM_RESUME_CPU, vcpu->id);
}

int vm_resume_all_cpus(struct vmctx *ctx)
{
	return cpu_request(ctx, VM_RESUME_CPU, -1);
}

static int get_cpus(struct vmctx *ctx, int which, cpuset_t *cpus)
{
	struct vm_cpuset request = {
		.which = which,
		.cpusetsize = sizeof(*cpus),
		.cpus = cpus,
	};

	CPU_ZERO(cpus);
	return ioctl(ctx->fd, VM_GET_CPUS, &request);
}

int vm_active_cpus(struct vmctx *ctx, cpuset_t *cpus)
{
	return get_cpus(ctx, VM_ACTIVE_CPUS, cpus);
}

int vm_suspended_cpus(struct vmctx *ctx, cpuset_t *cpus)
{
	return get_cpus(ctx, VM_SUSPENDED_CPUS, cpus);
}

int vm_debug_cpus(struct vmctx *ctx, cpuset_t *cpus)
{
	return get_cpus(ctx, VM_DEBUG_CPUS, cpus);
}

int vm_restart_instruction(struct vcpu *vcpu)
{
	int vcpuid = vcpu->id;

	return ioctl(vcpu->ctx->fd, VM_RESTART_INSTRUCTION, &vcpuid);
}

int vm_apicid2vcpu(struct vmctx *ctx, int apicid)
{
	struct vm_cpu_topology topology = { 0 };
	uint32_t vcpu;

	if (ioctl(ctx->fd, VM_GET_TOPOLOGY, &topology))
		return -1;
	vcpu = vm_topology_vcpu(&topology, (uint32_t)apicid);
	return vcpu <= INT_MAX ? (int)vcpu : -1;
}
