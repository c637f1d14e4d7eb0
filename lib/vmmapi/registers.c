// SPDX-License-Identifier: BSD-2-Clause
/*
 * A vCPU's registers, one at a time and in sets, and its segments.
 */
#include "internal.h"

int vm_set_register(struct vcpu *vcpu, int reg, uint64_t value)
{
	struct vm_register request = {
		.cpuid = vcpu->id,
		.regnum = reg,
		.regval = value,
	};

	return ioctl(vcpu->ctx->fd, VM_SET_REGISTER, &request);
}

int vm_get_register(struct vcpu *vcpu, int reg, uint64_t *value)
{
	struct vm_register request = {
		.cpuid = vcpu->id,
		.regnum = reg,
	};

	if (ioctl(vcpu->ctx->fd, VM_GET_REGISTER, &request))
		return -1;
	*value = request.regval;
	return 0;
}

int vm_set_register_set(struct vcpu *vcpu, unsigned int count, const int *regnums,
			uint64_t *regvals)
{
	struct vm_register_set request = {
		.cpuid = vcpu->id,
		.count = count,
		.regnums = regnums,
		.regvals = regvals,
	};

	return ioctl(vcpu->ctx->fd, VM_SET_REGISTER_SET, &request);
}

int vm_get_register_set(struct vcpu *vcpu, unsigned int count, const int *regnums,
			uint64_t *regvals)
{
	struct vm_register_set request = {
		.cpuid = vcpu->id,
		.count = count,
		.regnums = regnums,
		.regvals = regvals,
	};

	return ioctl(vcpu->ctx->fd, VM_GET_REGISTER_SET, &request);
}

int vm_set_desc(struct vcpu *vcpu, int reg, uint64_t base, uint32_t limit, uint32_t access)
{
	struct vm_seg_desc request = {
		.cpuid = vcpu->id,
		.regnum = reg,
		.desc = { .base = base, .limit = limit, .access = access },
	};

	return ioctl(vcpu->ctx->fd, VM_SET_SEGMENT_DESCRIPTOR, &request);
}

int vm_get_seg_desc(struct vcpu *vcpu, int reg, struct seg_desc *seg_desc)
{
	struct vm_seg_desc request = {
		.cpuid = vcpu->id,
		.regnum = reg,
	};

	if (ioctl(vcpu->ctx->fd, VM_GET_SEGMENT_DESCRIPTOR, &request))
		return -1;
	*seg_desc = request.desc;
	return 0;
}

int vm_get_desc(struct vcpu *vcpu, int reg, uint64_t *base, uint32_t *limit, uint32_t *access)
{
	struct seg_desc desc;

	if (vm_get_seg_desc(vcpu, reg, &desc))
		return -1;
	*base = desc.base;
	*limit = desc.limit;
	*access = desc.access;
	return 0;
}

int vm_set_mtrr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	struct vm_mtrr request = { .cpuid = vcpu->id, .msr = msr, .value = value };

	return ioctl(vcpu->ctx->fd, VM_SET_MTRR, &request);
}

int vm_get_mtrr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	struct vm_mtrr request = { .cpuid = vcpu->id, .msr = msr };

	if (ioctl(vcpu->ctx->fd, VM_GET_MTRR, &request))
		return -1;
	*value = request.value;
	return 0;
}
