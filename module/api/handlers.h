/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handlers of bhyve's ioctls, by the names of their commands: api/ioctl.c's table says
 * what each holds while it runs. 'arg' is a kernel copy of the command's argument; what
 * is left in it goes back to userspace where the command's direction says so. 0 or a
 * negative errno.
 */
#ifndef API_HANDLERS_H
#define API_HANDLERS_H

#include "api/ioctl.h"

/* --- what they share: ioctl.c -------------------------------------------------- */

/*
 * Lock the vCPU of that number, created if need be, of a VM that is alive: -EINVAL,
 * -ENOMEM, -ENXIO, -EINTR. _idle: and that no other thread runs, else -EBUSY. sleep
 */
int ioctl_lock_vcpu(struct vm *vm, int id, struct vcpu **vcpu);
int ioctl_lock_idle_vcpu(struct vm *vm, int id, struct vcpu **vcpu);

/* --- running: run.c ------------------------------------------------------------ */

ioctl_vm_handler ioctl_run_vcpu;
ioctl_vm_handler ioctl_suspend;
ioctl_vm_handler ioctl_reinit;
ioctl_vcpu_handler ioctl_restart_instruction;

/* --- memory: memory.c ---------------------------------------------------------- */

ioctl_vm_handler ioctl_alloc_memseg;
ioctl_vm_handler ioctl_get_memseg;
ioctl_vm_handler ioctl_mmap_memseg;
ioctl_vm_handler ioctl_munmap_memseg;
ioctl_vm_handler ioctl_mmap_getnext;
ioctl_vm_handler ioctl_get_gpa_pmap;
ioctl_vcpu_handler ioctl_gla2gpa;
ioctl_vcpu_handler ioctl_gla2gpa_nofault;

/* --- registers: registers.c ---------------------------------------------------- */

ioctl_vcpu_handler ioctl_set_register;
ioctl_vcpu_handler ioctl_get_register;
ioctl_vm_handler ioctl_set_register_set;
ioctl_vm_handler ioctl_get_register_set;
ioctl_vcpu_handler ioctl_set_descriptor;
ioctl_vcpu_handler ioctl_get_descriptor;
ioctl_vcpu_handler ioctl_set_mtrr;
ioctl_vcpu_handler ioctl_get_mtrr;

/* --- events and interrupts: events.c ------------------------------------------- */

ioctl_vcpu_handler ioctl_inject_exception;
ioctl_vm_handler ioctl_inject_nmi;
ioctl_vcpu_handler ioctl_get_intinfo;
ioctl_vcpu_handler ioctl_set_intinfo;
ioctl_vm_handler ioctl_lapic_irq;
ioctl_vm_handler ioctl_lapic_local_irq;
ioctl_vm_handler ioctl_lapic_msi;
ioctl_vm_handler ioctl_ioapic_assert;
ioctl_vm_handler ioctl_ioapic_deassert;
ioctl_vm_handler ioctl_ioapic_pulse;
ioctl_vm_handler ioctl_ioapic_pincount;
ioctl_vm_handler ioctl_isa_assert;
ioctl_vm_handler ioctl_isa_deassert;
ioctl_vm_handler ioctl_isa_pulse;
ioctl_vm_handler ioctl_isa_set_trigger;

/* --- in-kernel devices: devices.c ---------------------------------------------- */

ioctl_vcpu_handler ioctl_set_kernemu;
ioctl_vcpu_handler ioctl_get_kernemu;
ioctl_vcpu_handler ioctl_set_x2apic;
ioctl_vcpu_handler ioctl_get_x2apic;
ioctl_vm_handler ioctl_hpet_capabilities;
ioctl_vm_handler ioctl_rtc_read;
ioctl_vm_handler ioctl_rtc_write;
ioctl_vm_handler ioctl_rtc_settime;
ioctl_vm_handler ioctl_rtc_gettime;

/* --- vCPUs: cpus.c ------------------------------------------------------------- */

ioctl_vcpu_handler ioctl_set_capability;
ioctl_vcpu_handler ioctl_get_capability;
ioctl_vcpu_handler ioctl_activate_cpu;
ioctl_vm_handler ioctl_suspend_cpu;
ioctl_vm_handler ioctl_resume_cpu;
ioctl_vm_handler ioctl_get_cpus;
ioctl_vm_handler ioctl_set_topology;
ioctl_vm_handler ioctl_get_topology;

/* --- passthrough: ppt.c -------------------------------------------------------- */

ioctl_vm_handler ioctl_ppt_bind;
ioctl_vm_handler ioctl_ppt_unbind;
ioctl_vm_handler ioctl_ppt_map_mmio;
ioctl_vm_handler ioctl_ppt_unmap_mmio;
ioctl_vm_handler ioctl_ppt_msi;
ioctl_vm_handler ioctl_ppt_msix;
ioctl_vm_handler ioctl_ppt_disable_msix;
ioctl_vm_handler ioctl_ppt_intx;
ioctl_vm_handler ioctl_ppt_reset;
ioctl_vm_handler ioctl_ppt_limits;

/* --- statistics: statistics.c -------------------------------------------------- */

ioctl_vm_handler ioctl_stats;
ioctl_vm_handler ioctl_stat_desc;

#endif
