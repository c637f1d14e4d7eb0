// SPDX-License-Identifier: BSD-2-Clause
/*
 * Optional behaviour of vCPUs, by number and by name.
 */
#include <string.h>

#include "internal.h"

static const char *const capability_names[VM_CAP_MAX] = {
	[VM_CAP_HALT_EXIT] = "hlt_exit",
	[VM_CAP_MTRAP_EXIT] = "mtrap_exit",
	[VM_CAP_PAUSE_EXIT] = "pause_exit",
	[VM_CAP_UNRESTRICTED_GUEST] = "unrestricted_guest",
	[VM_CAP_ENABLE_INVPCID] = "enable_invpcid",
	[VM_CAP_BPT_EXIT] = "bpt_exit",
	[VM_CAP_RDPID] = "rdpid",
	[VM_CAP_RDTSCP] = "rdtscp",
	[VM_CAP_IPI_EXIT] = "ipi_exit",
	[VM_CAP_MASK_HWINTR] = "mask_hwintr",
	[VM_CAP_RFLAGS_TF] = "rflags_tf",
};

int vm_capability_name2type(const char *name)
{
	for (int type = 0; type < VM_CAP_MAX; type++)
		if (strcmp(capability_names[type], name) == 0)
			return type;
	return -1;
}

const char *vm_capability_type2name(int type)
{
	if (type < 0 || type >= VM_CAP_MAX)
		return NULL;
	return capability_names[type];
}

int vm_get_capability(struct vcpu *vcpu, enum vm_cap_type cap, int *value)
{
	struct vm_capability request = {
		.cpuid = vcpu->id,
		.captype = cap,
	};

	if (ioctl(vcpu->ctx->fd, VM_GET_CAPABILITY, &request))
		return -1;
	*value = request.capval;
	return 0;
}

int vm_set_capability(struct vcpu *vcpu, enum vm_cap_type cap, int value)
{
	struct vm_capability request = {
		.cpuid = vcpu->id,
		.captype = cap,
		.capval = value,
	};

	return ioctl(vcpu->ctx->fd, VM_SET_CAPABILITY, &request);
}
