// SPDX-License-Identifier: BSD-2-Clause
/* In-kernel devices: their registers, x2APIC, the RTC. */
#include "api/handlers.h"

#include "dev/device.h"
#include "dev/hpet.h"
#include "dev/lapic.h"
#include "dev/rtc.h"
#include "vm/vcpu.h"

static int access_kernemu(struct vcpu *vcpu, struct vm_readwrite_kernemu_device *access, bool write)
{
	unsigned int size;

	if (access->access_width > 3)
		return -EINVAL;
	size = 1u << access->access_width;
	if (device_mmio(vcpu, access->gpa, write, size, &access->value))
		return -EINVAL;
	return 0;
}

int ioctl_set_kernemu(struct vcpu *vcpu, void *arg)
{
	return access_kernemu(vcpu, arg, true);
}

int ioctl_get_kernemu(struct vcpu *vcpu, void *arg)
{
	return access_kernemu(vcpu, arg, false);
}

int ioctl_set_x2apic(struct vcpu *vcpu, void *arg)
{
	const struct vm_x2apic *x2apic = arg;

	if (x2apic->state != X2APIC_DISABLED && x2apic->state != X2APIC_ENABLED)
		return -EINVAL;
	return lapic_set_x2apic_state(vcpu, x2apic->state);
}

int ioctl_get_x2apic(struct vcpu *vcpu, void *arg)
{
	struct vm_x2apic *x2apic = arg;

	x2apic->state = lapic_get_x2apic_state(vcpu);
	return 0;
}

int ioctl_hpet_capabilities(struct vm *vm, void *arg)
{
	((struct vm_hpet_cap *)arg)->capabilities = hpet_capabilities(vm);
	return 0;
}

int ioctl_rtc_read(struct vm *vm, void *arg)
{
	struct vm_rtc_data *data = arg;

	return rtc_nvram_read(vm, data->offset, &data->value);
}

int ioctl_rtc_write(struct vm *vm, void *arg)
{
	const struct vm_rtc_data *data = arg;

	return rtc_nvram_write(vm, data->offset, data->value);
}

int ioctl_rtc_settime(struct vm *vm, void *arg)
{
	return rtc_settime(vm, ((const struct vm_rtc_time *)arg)->secs);
}

int ioctl_rtc_gettime(struct vm *vm, void *arg)
{
	((struct vm_rtc_time *)arg)->secs = rtc_gettime(vm);
	return 0;
}
