// SPDX-License-Identifier: BSD-2-Clause
/* vCPUs: capabilities, which are active and which are held, topology. */
#include "api/handlers.h"

#include "dev/lapic.h"
#include "run/vm.h"
#include "vm/bitmap.h"
#include "vm/vcpu.h"
#include "x86/cpu/cpuid.h"

int ioctl_set_capability(struct vcpu *vcpu, void *arg)
{
	const struct vm_capability *capability = arg;

	if ((int)capability->captype < 0 || capability->captype >= VM_CAP_MAX)
		return -EINVAL;
	return vcpu_set_capability(vcpu, capability->captype, capability->capval != 0);
}

int ioctl_get_capability(struct vcpu *vcpu, void *arg)
{
	struct vm_capability *capability = arg;
	int value;

	if ((int)capability->captype < 0 || capability->captype >= VM_CAP_MAX)
		return -EINVAL;
	value = vcpu_get_capability(vcpu, capability->captype);
	if (value < 0)
		return value;
	capability->capval = value;
	return 0;
}

int ioctl_activate_cpu(struct vcpu *vcpu, void *arg)
{
	(void)arg;
	if (bitmap_test_bit(vcpu->vm->active, (unsigned int)vcpu->id))
		return -EBUSY;
	bitmap_set_bit(vcpu->vm->active, (unsigned int)vcpu->id);
	return 0;
}

/* -EINVAL: it is not active. One that is held stays held, without a second exit. */
static int vcpu_hold(struct vcpu *vcpu)
{
	if (!bitmap_test_bit(vcpu->vm->active, (unsigned int)vcpu->id))
		return -EINVAL;
	if (bitmap_test_and_set_bit(vcpu->vm->debug, (unsigned int)vcpu->id))
		return 0;
	__atomic_store_n(&vcpu->debug_reported, false, __ATOMIC_SEQ_CST);
	vcpu_request(vcpu, VCPU_REQ_DEBUG);
	return 0;
}

/* -EINVAL: it is not held. */
static int vcpu_unhold(struct vcpu *vcpu)
{
	if (!bitmap_test_bit(vcpu->vm->debug, (unsigned int)vcpu->id))
		return -EINVAL;
	bitmap_clear_bit(vcpu->vm->debug, (unsigned int)vcpu->id);
	vcpu_request(vcpu, VCPU_REQ_DEBUG);
	return 0;
}

/* To one vCPU, or where 'id' is -1 to all those that it can be done to. */
static int vm_each_named_vcpu(struct vm *vm, int id, int (*one)(struct vcpu *vcpu))
{
	struct vcpu *vcpu = vm_vcpu(vm, id);

	if (id != -1)
		return vcpu ? one(vcpu) : -EINVAL;
	for_each_vcpu(vm, vcpu)
		(void)one(vcpu);
	return 0;
}

int ioctl_suspend_cpu(struct vm *vm, void *arg)
{
	return vm_each_named_vcpu(vm, ((const struct vm_activate_cpu *)arg)->vcpuid, vcpu_hold);
}

int ioctl_resume_cpu(struct vm *vm, void *arg)
{
	return vm_each_named_vcpu(vm, ((const struct vm_activate_cpu *)arg)->vcpuid, vcpu_unhold);
}

int ioctl_get_cpus(struct vm *vm, void *arg)
{
	const uint64_t *const sets[] = {
		[VM_ACTIVE_CPUS] = vm->active,
		[VM_SUSPENDED_CPUS] = vm->suspended,
		[VM_DEBUG_CPUS] = vm->debug,
	};
	const struct vm_cpuset *set = arg;
	size_t size = BITMAP_WORDS(vm->max_vcpus) * sizeof(uint64_t);

	if (set->which < 0 || set->which >= (int)ARRAY_SIZE(sets))
		return -EINVAL;
	if (set->cpusetsize < (int)size)
		return -ERANGE;
	return os_copyout(sets[set->which], set->cpus, size);
}

int ioctl_set_topology(struct vm *vm, void *arg)
{
	const struct vm_cpu_topology *topology = arg;
	uint32_t count = (uint32_t)topology->sockets * topology->cores;

	if (!topology->sockets || !topology->cores || !topology->threads)
		return -EINVAL;
	if (count > UINT16_MAX || count * topology->threads > vm->max_vcpus)
		return -EINVAL;
	/* As on bhyve: the limit itself is the module's maxcpu. */
	if (topology->maxcpus && topology->maxcpus > vm->max_vcpus)
		return -EINVAL;
	vm->topology.sockets = topology->sockets;
	vm->topology.cores = topology->cores;
	vm->topology.threads = topology->threads;
	cpuid_update(vm);
	lapic_topology_changed(vm);
	return 0;
}

int ioctl_get_topology(struct vm *vm, void *arg)
{
	*(struct vm_cpu_topology *)arg = vm->topology;
	return 0;
}
