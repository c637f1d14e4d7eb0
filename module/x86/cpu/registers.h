/* SPDX-License-Identifier: BSD-2-Clause */
/* Any register of a vCPU by bhyve's number (enum vm_reg_name), wherever it is kept. */
#ifndef X86_CPU_REGISTERS_H
#define X86_CPU_REGISTERS_H

#include "os/os.h"

struct vcpu;

/* -EINVAL: unknown, or a value that is refused. Owner. */
int vcpu_get_register(struct vcpu *vcpu, int reg, uint64_t *value);
int vcpu_set_register(struct vcpu *vcpu, int reg, uint64_t value);

#endif
