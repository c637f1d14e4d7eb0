// SPDX-License-Identifier: BSD-2-Clause
/*
 * The devices inside the module as userspace sees them: x2APIC mode, HPET, RTC,
 * and their memory-mapped registers.
 */
#include <errno.h>

#include "internal.h"

int vm_get_x2apic_state(struct vcpu *vcpu, enum x2apic_state *state)
{
	struct vm_x2apic request = { .cpuid = vcpu->id };

	if (ioctl(vcpu->ctx->fd, VM_GET_X2APIC_STATE, &request))
		return -1;
	*state = request.state;
	return 0;
}

int vm_set_x2apic_state(struct vcpu *vcpu, enum x2apic_state state)
{
	struct vm_x2apic request = {
		.cpuid = vcpu->id,
		.state = state,
	};

	return ioctl(vcpu->ctx->fd, VM_SET_X2APIC_STATE, &request);
}

int vm_get_hpet_capabilities(struct vmctx *ctx, uint32_t *capabilities)
{
	struct vm_hpet_cap request = { 0 };

	if (ioctl(ctx->fd, VM_GET_HPET_CAPABILITIES, &request))
		return -1;
	*capabilities = request.capabilities;
	return 0;
}

/* The logarithm of an access size, -1 if there is no such access. */
static int access_width(int size)
{
	for (int width = 0; width < 4; width++)
		if (size == 1 << width)
			return width;
	return -1;
}

int vm_readwrite_kernemu_device(struct vcpu *vcpu, vm_paddr_t gpa, bool write, int size,
				uint64_t *value)
{
	int width = access_width(size);
	struct vm_readwrite_kernemu_device request = {
		.vcpuid = vcpu->id,
		.access_width = (unsigned int)width & 3,
		.gpa = gpa,
		.value = write ? *value : 0,
	};

	if (width < 0) {
		errno = EINVAL;
		return -1;
	}
	if (ioctl(vcpu->ctx->fd, write ? VM_SET_KERNEMU_DEV : VM_GET_KERNEMU_DEV, &request))
		return -1;
	if (!write)
		*value = request.value;
	return 0;
}

int vm_rtc_write(struct vmctx *ctx, int offset, uint8_t value)
{
	struct vm_rtc_data request = {
		.offset = offset,
		.value = value,
	};

	return ioctl(ctx->fd, VM_RTC_WRITE, &request);
}

int vm_rtc_read(struct vmctx *ctx, int offset, uint8_t *value)
{
	struct vm_rtc_data request = { .offset = offset };

	if (ioctl(ctx->fd, VM_RTC_READ, &request))
		return -1;
	*value = request.value;
	return 0;
}

int vm_rtc_settime(struct vmctx *ctx, time_t secs)
{
	struct vm_rtc_time request = { .secs = secs };

	return ioctl(ctx->fd, VM_RTC_SETTIME, &request);
}

int vm_rtc_gettime(struct vmctx *ctx, time_t *secs)
{
	struct vm_rtc_time request = { 0 };

	if (ioctl(ctx->fd, VM_RTC_GETTIME, &request))
		return -1;
	*secs = request.secs;
	return 0;
}
