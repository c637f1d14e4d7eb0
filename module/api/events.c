// SPDX-License-Identifier: BSD-2-Clause
/* Events and interrupts: exceptions, NMIs, messages, the lines of the interrupt controllers. */
#include "api/handlers.h"

#include "dev/ioapic.h"
#include "dev/lapic.h"
#include "dev/pic.h"
#include "vm/regs.h"
#include "vm/vcpu.h"

int ioctl_inject_exception(struct vcpu *vcpu, void *arg)
{
	const struct vm_exception *exception = arg;

	if (exception->vector < 0 || exception->vector > 31 || exception->vector == VECTOR_NMI)
		return -EINVAL;
	if (vcpu->exception)
		return -EBUSY;
	if (exception->error_code_valid)
		vcpu_raise_error(vcpu, (uint8_t)exception->vector, exception->error_code);
	else
		vcpu_raise(vcpu, (uint8_t)exception->vector);
	if (exception->restart_instruction)
		return ioctl_restart_instruction(vcpu, NULL);
	return 0;
}

int ioctl_inject_nmi(struct vm *vm, void *arg)
{
	const struct vm_nmi *nmi = arg;
	struct vcpu *vcpu = vm_vcpu(vm, nmi->cpuid);

	if (!vcpu)
		return -EINVAL;
	vcpu_nmi(vcpu);
	return 0;
}

int ioctl_get_intinfo(struct vcpu *vcpu, void *arg)
{
	struct vm_intinfo *info = arg;

	info->info1 = vcpu->exitintinfo;
	info->info2 = vcpu->exception;
	return 0;
}

/* What can be re-injected: an interrupt, an NMI or an exception. */
static bool intinfo_valid(uint64_t info)
{
	unsigned int vector = VM_INTINFO_VECTOR(info);

	if (!(info & VM_INTINFO_VALID) || (info & VM_INTINFO_RSVD))
		return false;
	switch (info & VM_INTINFO_TYPE) {
	case VM_INTINFO_HWINTR:
		return vector >= 16 && !(info & VM_INTINFO_DEL_ERRCODE);
	case VM_INTINFO_NMI:
		return vector == VECTOR_NMI && !(info & VM_INTINFO_DEL_ERRCODE);
	case VM_INTINFO_HWEXCEPTION:
		return vector < 32 && vector != VECTOR_NMI;
	default:
		return false;
	}
}

int ioctl_set_intinfo(struct vcpu *vcpu, void *arg)
{
	const struct vm_intinfo *info = arg;

	if (info->info1 && !intinfo_valid(info->info1))
		return -EINVAL;
	if (info->info1)
		vcpu_set_exitintinfo(vcpu, info->info1);
	else
		vcpu->exitintinfo = 0;
	return 0;
}

int ioctl_lapic_irq(struct vm *vm, void *arg)
{
	const struct vm_lapic_irq *irq = arg;
	struct vcpu *vcpu = vm_vcpu(vm, irq->cpuid);

	/* Vectors below 16 are reserved (APM vol. 2, 16.6.3). */
	if (!vcpu || irq->vector < 16 || irq->vector > 255)
		return -EINVAL;
	(void)lapic_post(vcpu, (uint8_t)irq->vector, false);
	return 0;
}

int ioctl_lapic_local_irq(struct vm *vm, void *arg)
{
	const struct vm_lapic_irq *irq = arg;
	struct vcpu *vcpu = vm_vcpu(vm, irq->cpuid);

	if (irq->cpuid == -1)
		return lapic_local_irq_all(vm, (unsigned int)irq->vector);
	return vcpu ? lapic_local_irq(vcpu, (unsigned int)irq->vector) : -EINVAL;
}

int ioctl_lapic_msi(struct vm *vm, void *arg)
{
	const struct vm_lapic_msi *msi = arg;

	return lapic_msi(vm, msi->addr, msi->msg);
}

int ioctl_ioapic_assert(struct vm *vm, void *arg)
{
	return ioapic_assert(vm, ((const struct vm_ioapic_irq *)arg)->irq);
}

int ioctl_ioapic_deassert(struct vm *vm, void *arg)
{
	return ioapic_deassert(vm, ((const struct vm_ioapic_irq *)arg)->irq);
}

int ioctl_ioapic_pulse(struct vm *vm, void *arg)
{
	return ioapic_pulse(vm, ((const struct vm_ioapic_irq *)arg)->irq);
}

int ioctl_ioapic_pincount(struct vm *vm, void *arg)
{
	(void)vm;
	*(int *)arg = IOAPIC_PINS;
	return 0;
}

/* An ISA interrupt drives the 8259 and, unless it is -1, a pin of the I/O APIC. */
static int isa_irq(struct vm *vm, const struct vm_isa_irq *irq, int (*pic)(struct vm *, int),
		   int (*ioapic)(struct vm *, int))
{
	int error = pic(vm, irq->atpic_irq);

	if (error || irq->ioapic_irq == -1)
		return error;
	return ioapic(vm, irq->ioapic_irq);
}

int ioctl_isa_assert(struct vm *vm, void *arg)
{
	return isa_irq(vm, arg, pic_assert, ioapic_assert);
}

int ioctl_isa_deassert(struct vm *vm, void *arg)
{
	return isa_irq(vm, arg, pic_deassert, ioapic_deassert);
}

int ioctl_isa_pulse(struct vm *vm, void *arg)
{
	return isa_irq(vm, arg, pic_pulse, ioapic_pulse);
}

int ioctl_isa_set_trigger(struct vm *vm, void *arg)
{
	const struct vm_isa_irq_trigger *trigger = arg;

	if (trigger->trigger != EDGE_TRIGGER && trigger->trigger != LEVEL_TRIGGER)
		return -EINVAL;
	return pic_set_trigger(vm, trigger->atpic_irq, trigger->trigger);
}
