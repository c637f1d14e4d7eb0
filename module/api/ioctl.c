// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ioctls of /dev/vmm/NAME: one row each, and the locking that a row asks for. The
 * handlers are in this folder's other files, by subject.
 */
#include "api/handlers.h"

#include "run/vm.h"
#include "vm/vcpu.h"

/* --- the table ----------------------------------------------------------------- */

#define ROW(name, caller_, lock_, kind, handler_)         \
	[_IOC_NR(name)] = { .command = (name),            \
			    .caller = IOCTL_BY_##caller_, \
			    .lock = IOCTL_LOCK_##lock_,   \
			    .handler.kind = (handler_) }
/* On the VM, with what is locked for it; on the vCPU it names; on one that it locks itself. */
#define VM_ROW(name, lock, handler)    ROW(name, OPENER, lock, vm, handler)
#define VCPU_ROW(name, handler)	       ROW(name, OPENER, VCPU, vcpu, handler)
#define SELF_ROW(name, handler)	       ROW(name, OPENER, SELF, vm, handler)
#define ADMIN_ROW(name, lock, handler) ROW(name, ADMIN, lock, vm, handler)

static const struct ioctl_row rows[256] = {
	SELF_ROW(VM_RUN, ioctl_run_vcpu),
	VCPU_ROW(VM_RESTART_INSTRUCTION, ioctl_restart_instruction),
	VM_ROW(VM_SUSPEND, NONE, ioctl_suspend),
	VM_ROW(VM_REINIT, ALL, ioctl_reinit),

	VM_ROW(VM_ALLOC_MEMSEG, ALL, ioctl_alloc_memseg),
	VM_ROW(VM_GET_MEMSEG, VM, ioctl_get_memseg),
	VM_ROW(VM_MMAP_MEMSEG, ALL, ioctl_mmap_memseg),
	VM_ROW(VM_MUNMAP_MEMSEG, ALL, ioctl_munmap_memseg),
	VM_ROW(VM_MMAP_GETNEXT, VM, ioctl_mmap_getnext),
	VM_ROW(VM_GET_GPA_PMAP, ALL, ioctl_get_gpa_pmap),
	VCPU_ROW(VM_GLA2GPA, ioctl_gla2gpa),
	VCPU_ROW(VM_GLA2GPA_NOFAULT, ioctl_gla2gpa_nofault),

	VCPU_ROW(VM_SET_REGISTER, ioctl_set_register),
	VCPU_ROW(VM_GET_REGISTER, ioctl_get_register),
	SELF_ROW(VM_SET_REGISTER_SET, ioctl_set_register_set),
	SELF_ROW(VM_GET_REGISTER_SET, ioctl_get_register_set),
	VCPU_ROW(VM_SET_SEGMENT_DESCRIPTOR, ioctl_set_descriptor),
	VCPU_ROW(VM_GET_SEGMENT_DESCRIPTOR, ioctl_get_descriptor),
	VCPU_ROW(VM_SET_MTRR, ioctl_set_mtrr),
	VCPU_ROW(VM_GET_MTRR, ioctl_get_mtrr),

	VCPU_ROW(VM_INJECT_EXCEPTION, ioctl_inject_exception),
	VM_ROW(VM_INJECT_NMI, NONE, ioctl_inject_nmi),
	VCPU_ROW(VM_GET_INTINFO, ioctl_get_intinfo),
	VCPU_ROW(VM_SET_INTINFO, ioctl_set_intinfo),
	VM_ROW(VM_LAPIC_IRQ, NONE, ioctl_lapic_irq),
	VM_ROW(VM_LAPIC_LOCAL_IRQ, NONE, ioctl_lapic_local_irq),
	VM_ROW(VM_LAPIC_MSI, NONE, ioctl_lapic_msi),
	VM_ROW(VM_IOAPIC_ASSERT_IRQ, NONE, ioctl_ioapic_assert),
	VM_ROW(VM_IOAPIC_DEASSERT_IRQ, NONE, ioctl_ioapic_deassert),
	VM_ROW(VM_IOAPIC_PULSE_IRQ, NONE, ioctl_ioapic_pulse),
	VM_ROW(VM_IOAPIC_PINCOUNT, NONE, ioctl_ioapic_pincount),
	VM_ROW(VM_ISA_ASSERT_IRQ, NONE, ioctl_isa_assert),
	VM_ROW(VM_ISA_DEASSERT_IRQ, NONE, ioctl_isa_deassert),
	VM_ROW(VM_ISA_PULSE_IRQ, NONE, ioctl_isa_pulse),
	VM_ROW(VM_ISA_SET_IRQ_TRIGGER, NONE, ioctl_isa_set_trigger),

	VCPU_ROW(VM_SET_KERNEMU_DEV, ioctl_set_kernemu),
	VCPU_ROW(VM_GET_KERNEMU_DEV, ioctl_get_kernemu),
	VCPU_ROW(VM_SET_X2APIC_STATE, ioctl_set_x2apic),
	VCPU_ROW(VM_GET_X2APIC_STATE, ioctl_get_x2apic),
	VM_ROW(VM_GET_HPET_CAPABILITIES, NONE, ioctl_hpet_capabilities),
	VM_ROW(VM_RTC_READ, NONE, ioctl_rtc_read),
	VM_ROW(VM_RTC_WRITE, NONE, ioctl_rtc_write),
	VM_ROW(VM_RTC_SETTIME, NONE, ioctl_rtc_settime),
	VM_ROW(VM_RTC_GETTIME, NONE, ioctl_rtc_gettime),

	VCPU_ROW(VM_SET_CAPABILITY, ioctl_set_capability),
	VCPU_ROW(VM_GET_CAPABILITY, ioctl_get_capability),
	VCPU_ROW(VM_ACTIVATE_CPU, ioctl_activate_cpu),
	VM_ROW(VM_SUSPEND_CPU, NONE, ioctl_suspend_cpu),
	VM_ROW(VM_RESUME_CPU, NONE, ioctl_resume_cpu),
	VM_ROW(VM_GET_CPUS, NONE, ioctl_get_cpus),
	VM_ROW(VM_SET_TOPOLOGY, ALL, ioctl_set_topology),
	VM_ROW(VM_GET_TOPOLOGY, VM, ioctl_get_topology),

	ADMIN_ROW(VM_BIND_PPTDEV, ALL, ioctl_ppt_bind),
	VM_ROW(VM_UNBIND_PPTDEV, ALL, ioctl_ppt_unbind),
	VM_ROW(VM_MAP_PPTDEV_MMIO, ALL, ioctl_ppt_map_mmio),
	VM_ROW(VM_UNMAP_PPTDEV_MMIO, ALL, ioctl_ppt_unmap_mmio),
	VM_ROW(VM_PPTDEV_MSI, VM, ioctl_ppt_msi),
	VM_ROW(VM_PPTDEV_MSIX, VM, ioctl_ppt_msix),
	VM_ROW(VM_PPTDEV_DISABLE_MSIX, VM, ioctl_ppt_disable_msix),
	VM_ROW(VM_PPTDEV_INTX, VM, ioctl_ppt_intx),
	VM_ROW(VM_PPTDEV_RESET, VM, ioctl_ppt_reset),
	VM_ROW(VM_PPTDEV_LIMITS, VM, ioctl_ppt_limits),

	VM_ROW(VM_STATS, NONE, ioctl_stats),
	VM_ROW(VM_STAT_DESC, NONE, ioctl_stat_desc),
};

const struct ioctl_row *ioctl_lookup(unsigned int command)
{
	const struct ioctl_row *row = &rows[_IOC_NR(command)];

	return row->handler.vm && row->command == command ? row : NULL;
}

/* --- locking ------------------------------------------------------------------- */

int ioctl_lock_vcpu(struct vm *vm, int id, struct vcpu **vcpu)
{
	int error = vm_vcpu_create(vm, id, vcpu);

	if (!error)
		error = vcpu_lock(*vcpu);
	if (error)
		return error;
	if (!READ_ONCE(vm->destroyed))
		return 0;
	vcpu_unlock(*vcpu);
	return -ENXIO;
}

int ioctl_lock_idle_vcpu(struct vm *vm, int id, struct vcpu **vcpu)
{
	int error = ioctl_lock_vcpu(vm, id, vcpu);

	if (error || !(*vcpu)->running)
		return error;
	vcpu_unlock(*vcpu);
	return -EBUSY;
}

static int run_on_vm(struct vm *vm, const struct ioctl_row *row, void *arg)
{
	if (READ_ONCE(vm->destroyed))
		return -ENXIO;
	return row->handler.vm(vm, arg);
}

static int run_with_vm_locked(struct vm *vm, const struct ioctl_row *row, void *arg)
{
	int error = os_mutex_lock_killable(&vm->lock);

	if (error)
		return error;
	error = run_on_vm(vm, row, arg);
	os_mutex_unlock(&vm->lock);
	return error;
}

static int run_with_vm_frozen(struct vm *vm, const struct ioctl_row *row, void *arg)
{
	int error = os_mutex_lock_killable(&vm->lock);

	if (error)
		return error;
	error = vm_freeze(vm);
	if (!error) {
		error = run_on_vm(vm, row, arg);
		vm_thaw(vm);
	}
	os_mutex_unlock(&vm->lock);
	return error;
}

static int run_on_vcpu(struct vm *vm, const struct ioctl_row *row, void *arg)
{
	struct vcpu *vcpu;
	int error = ioctl_lock_vcpu(vm, *(const int *)arg, &vcpu);

	if (error)
		return error;
	error = row->handler.vcpu(vcpu, arg);
	vcpu_unlock(vcpu);
	return error;
}

static bool caller_is_allowed(struct vm *vm, const struct ioctl_row *row)
{
	if (row->caller == IOCTL_BY_OPENER || os_pci_allowed())
		return true;
	os_warn_limited(&vm->log, "ppt: %s cannot have devices: only root may give them", vm->name);
	return false;
}

int ioctl_run(struct vm *vm, const struct ioctl_row *row, void *arg)
{
	if (!caller_is_allowed(vm, row))
		return -EPERM;
	switch (row->lock) {
	case IOCTL_LOCK_VCPU:
		return run_on_vcpu(vm, row, arg);
	case IOCTL_LOCK_VM:
		return run_with_vm_locked(vm, row, arg);
	case IOCTL_LOCK_ALL:
		return run_with_vm_frozen(vm, row, arg);
	default:
		return run_on_vm(vm, row, arg);
	}
}
