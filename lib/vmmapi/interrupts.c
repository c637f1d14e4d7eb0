// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interrupts and exceptions from userspace: local APIC, I/O APIC, 8259 pair,
 * messages, NMI, and events in delivery.
 */
#include "internal.h"

static int lapic_request(struct vcpu *vcpu, unsigned long request, int vector)
{
	struct vm_lapic_irq argument = {
		.cpuid = vcpu->id,
		.vector = vector,
	};

	return ioctl(vcpu->ctx->fd, request, &argument);
}

int vm_lapic_irq(struct vcpu *vcpu, int vector)
{
	return lapic_request(vcpu, VM_LAPIC_IRQ, vector);
}

int vm_lapic_local_irq(struct vcpu *vcpu, int vector)
{
	return lapic_request(vcpu, VM_LAPIC_LOCAL_IRQ, vector);
}

int vm_lapic_msi(struct vmctx *ctx, uint64_t addr, uint64_t msg)
{
	struct vm_lapic_msi request = {
		.msg = msg,
		.addr = addr,
	};

	return ioctl(ctx->fd, VM_LAPIC_MSI, &request);
}

int vm_raise_msi(struct vmctx *ctx, uint64_t addr, uint64_t msg, int bus, int slot, int func)
{
	(void)bus;
	(void)slot;
	(void)func;
	return vm_lapic_msi(ctx, addr, msg);
}

static int ioapic_request(struct vmctx *ctx, unsigned long request, int irq)
{
	struct vm_ioapic_irq argument = { .irq = irq };

	return ioctl(ctx->fd, request, &argument);
}

int vm_ioapic_assert_irq(struct vmctx *ctx, int irq)
{
	return ioapic_request(ctx, VM_IOAPIC_ASSERT_IRQ, irq);
}

int vm_ioapic_deassert_irq(struct vmctx *ctx, int irq)
{
	return ioapic_request(ctx, VM_IOAPIC_DEASSERT_IRQ, irq);
}

int vm_ioapic_pulse_irq(struct vmctx *ctx, int irq)
{
	return ioapic_request(ctx, VM_IOAPIC_PULSE_IRQ, irq);
}

int vm_ioapic_pincount(struct vmctx *ctx, int *pincount)
{
	return ioctl(ctx->fd, VM_IOAPIC_PINCOUNT, pincount);
}

static int isa_request(struct vmctx *ctx, unsigned long request, int atpic_irq, int ioapic_irq)
{
	struct vm_isa_irq argument = {
		.atpic_irq = atpic_irq,
		.ioapic_irq = ioapic_irq,
	};

	return ioctl(ctx->fd, request, &argument);
}

int vm_isa_assert_irq(struct vmctx *ctx, int atpic_irq, int ioapic_irq)
{
	return isa_request(ctx, VM_ISA_ASSERT_IRQ, atpic_irq, ioapic_irq);
}

int vm_isa_deassert_irq(struct vmctx *ctx, int atpic_irq, int ioapic_irq)
{
	return isa_request(ctx, VM_ISA_DEASSERT_IRQ, atpic_irq, ioapic_irq);
}

int vm_isa_pulse_irq(struct vmctx *ctx, int atpic_irq, int ioapic_irq)
{
	return isa_request(ctx, VM_ISA_PULSE_IRQ, atpic_irq, ioapic_irq);
}

int vm_isa_set_irq_trigger(struct vmctx *ctx, int atpic_irq, enum vm_intr_trigger trigger)
{
	struct vm_isa_irq_trigger request = {
		.atpic_irq = atpic_irq,
		.trigger = trigger,
	};

	return ioctl(ctx->fd, VM_ISA_SET_IRQ_TRIGGER, &request);
}

int vm_inject_nmi(struct vcpu *vcpu)
{
	struct vm_nmi request = { .cpuid = vcpu->id };

	return ioctl(vcpu->ctx->fd, VM_INJECT_NMI, &request);
}

int vm_inject_exception(struct vcpu *vcpu, int vector, int error_code_valid, uint32_t error_code,
			int restart_instruction)
{
	struct vm_exception request = {
		.cpuid = vcpu->id,
		.vector = vector,
		.error_code = error_code,
		.error_code_valid = error_code_valid,
		.restart_instruction = restart_instruction,
	};

	return ioctl(vcpu->ctx->fd, VM_INJECT_EXCEPTION, &request);
}

int vm_get_intinfo(struct vcpu *vcpu, uint64_t *info1, uint64_t *info2)
{
	struct vm_intinfo request = { .vcpuid = vcpu->id };

	if (ioctl(vcpu->ctx->fd, VM_GET_INTINFO, &request))
		return -1;
	*info1 = request.info1;
	*info2 = request.info2;
	return 0;
}

int vm_set_intinfo(struct vcpu *vcpu, uint64_t info1)
{
	struct vm_intinfo request = {
		.vcpuid = vcpu->id,
		.info1 = info1,
	};

	return ioctl(vcpu->ctx->fd, VM_SET_INTINFO, &request);
}
