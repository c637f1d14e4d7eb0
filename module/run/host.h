/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The module and the processors it runs on: choosing the back end, virtualization on
 * while there are VMs, and every CPU left clean.
 */
#ifndef RUN_HOST_H
#define RUN_HOST_H

#include "os/os.h"

struct vm;
struct vmm_backend;

/* --- the module, for the front end --------------------------------------------- */

/*
 * Find the back end for this processor among 'candidates' (NULL-terminated).
 * 0, or -ENODEV or -EBUSY after one line in the log that names the reason.
 */
int vmm_init(const struct vmm_backend *const *candidates);
void vmm_fini(void);
/* What the back end found, as in the log. After vmm_init. any */
const char *vmm_facts(void);
/* Hotplug: a CPU has come up or is going down; on that CPU, interrupts off. */
int vmm_cpu_online(void);
void vmm_cpu_offline(void);
/*
 * Reboot, kexec, suspend to RAM: no vCPU enters a guest any more (VM_RUN waits
 * or fails with ENXIO) and virtualization is off everywhere. vmm_resume undoes it. sleep
 */
void vmm_quiesce(void);
void vmm_resume(void);
/* Panic: turn virtualization off on this CPU, whatever is running. any */
void vmm_cpu_emergency(void);

/* --- for run/ alone ------------------------------------------------------------ */

/* For a new VM: virtualization on. -EBUSY (another hypervisor, or quiesced). sleep */
int host_get(struct vm *vm);
/* The VM is gone; the last one turns virtualization off. Not under vm->lock. sleep */
void host_put(struct vm *vm);

/* What every run of a vCPU looks at first. */
struct host_gate {
	uint32_t quiesced; /* atomic; no vCPU may enter a guest */
	bool *enabled;	   /* one per CPU; that CPU, interrupts off */
};
extern struct host_gate host_gate; /* written by host.c alone */

/* The host is going down or asleep: do not enter a guest. any */
static inline bool host_quiesced(void)
{
	return __atomic_load_n(&host_gate.quiesced, __ATOMIC_SEQ_CST);
}
/* Sleep until that is over: 0 or -EINTR. sleep */
int host_wait(void);
/*
 * Virtualization is on on this CPU. Not so for a moment while the CPU is being
 * taken off line and still has tasks. Preemption off.
 */
static inline bool host_cpu_enabled(void)
{
	return host_gate.enabled[os_cpu_id()];
}

#endif
