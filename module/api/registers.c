// SPDX-License-Identifier: BSD-2-Clause
/* Registers and segment descriptors, one by one and in sets. */
#include "api/handlers.h"

#include "vm/vcpu.h"
#include "x86/cpu/msr.h"
#include "x86/cpu/registers.h"

int ioctl_set_register(struct vcpu *vcpu, void *arg)
{
	const struct vm_register *reg = arg;

	return vcpu_set_register(vcpu, reg->regnum, reg->regval);
}

int ioctl_get_register(struct vcpu *vcpu, void *arg)
{
	struct vm_register *reg = arg;

	return vcpu_get_register(vcpu, reg->regnum, &reg->regval);
}

static bool has_descriptor(int reg)
{
	return reg >= VM_REG_GUEST_ES && reg <= VM_REG_GUEST_GDTR;
}

int ioctl_set_descriptor(struct vcpu *vcpu, void *arg)
{
	const struct vm_seg_desc *desc = arg;

	if (!has_descriptor(desc->regnum))
		return -EINVAL;
	return backend->set_desc(vcpu, desc->regnum, &desc->desc);
}

int ioctl_get_descriptor(struct vcpu *vcpu, void *arg)
{
	struct vm_seg_desc *desc = arg;

	if (!has_descriptor(desc->regnum))
		return -EINVAL;
	return backend->get_desc(vcpu, desc->regnum, &desc->desc);
}

/* What firmware sets before it starts a system; a guest that sets them itself needs no help. */
int ioctl_set_mtrr(struct vcpu *vcpu, void *arg)
{
	const struct vm_mtrr *mtrr = arg;

	if (!msr_is_mtrr(mtrr->msr))
		return -EINVAL;
	return msr_write(vcpu, mtrr->msr, mtrr->value);
}

int ioctl_get_mtrr(struct vcpu *vcpu, void *arg)
{
	struct vm_mtrr *mtrr = arg;

	if (!msr_is_mtrr(mtrr->msr))
		return -EINVAL;
	return msr_read(vcpu, mtrr->msr, &mtrr->value);
}

/* A set of registers in kernel memory: the caller's is not touched with the vCPU locked. */
struct register_values {
	unsigned int count;
	int number[VM_REG_LAST];
	uint64_t value[VM_REG_LAST];
};

static int registers_copyin(struct register_values *registers, const struct vm_register_set *set)
{
	if (set->count > VM_REG_LAST)
		return -EINVAL;
	registers->count = set->count;
	return os_copyin(set->regnums, registers->number, set->count * sizeof(int));
}

/* Does 'one' with each register of the set, up to the first that fails. */
static int registers_each(struct vm *vm, int id, struct register_values *registers,
			  int (*one)(struct vcpu *vcpu, int reg, uint64_t *value))
{
	struct vcpu *vcpu;
	int error = ioctl_lock_vcpu(vm, id, &vcpu);

	if (error)
		return error;
	for (unsigned int i = 0; i < registers->count && !error; i++)
		error = one(vcpu, registers->number[i], &registers->value[i]);
	vcpu_unlock(vcpu);
	return error;
}

static int registers_set_one(struct vcpu *vcpu, int reg, uint64_t *value)
{
	return vcpu_set_register(vcpu, reg, *value);
}

int ioctl_set_register_set(struct vm *vm, void *arg)
{
	const struct vm_register_set *set = arg;
	struct register_values registers;
	int error = registers_copyin(&registers, set);

	if (!error)
		error = os_copyin(set->regvals, registers.value, set->count * sizeof(uint64_t));
	return error ? error : registers_each(vm, set->cpuid, &registers, registers_set_one);
}

int ioctl_get_register_set(struct vm *vm, void *arg)
{
	const struct vm_register_set *set = arg;
	struct register_values registers;
	int error = registers_copyin(&registers, set);

	if (!error)
		error = registers_each(vm, set->cpuid, &registers, vcpu_get_register);
	if (error)
		return error;
	return os_copyout(registers.value, set->regvals, set->count * sizeof(uint64_t));
}
