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
/* The host is going down or asleep: do not enter a guest. any */
bool host_quiesced(void);
/* Sleep until that is over: 0 or -EINTR. sleep */
int host_wait(void);
/*
 * Virtualization is on on this CPU. Not so for a moment while the CPU is being
 * taken off line and has not got rid of its tasks yet. Preemption off.
 */
bool host_cpu_enabled(void);

#endif
