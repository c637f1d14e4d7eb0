/* SPDX-License-Identifier: BSD-2-Clause */
/* Between vm.c and host.c: which VMs need the processors' virtualization. */
#ifndef CORE_HOST_H
#define CORE_HOST_H

#include "os/os.h"

struct vm;

/* A VM is born: virtualization on. -EBUSY, -ENXIO (host going down). sleep */
int host_get(struct vm *vm);
/* It is gone; the last one turns virtualization off. Not under vm->lock. sleep */
void host_put(struct vm *vm);

/* What every run of a vCPU asks first. */
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
 * taken off line and has not got rid of its tasks yet. Preemption off.
 */
static inline bool host_cpu_enabled(void)
{
	return host_gate.enabled[os_cpu_id()];
}

#endif
