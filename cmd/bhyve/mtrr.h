/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory type range registers as firmware leaves them. With these off, as after power-on,
 * Linux does not use the PAT either, and has no write combining.
 */
#ifndef BHYVE_MTRR_H
#define BHYVE_MTRR_H

#include <vmmapi.h>

/* Set a vCPU's MTRRs by the VM's memory map. 0, or -1 with errno. Before it runs. */
int mtrr_set(struct vmctx *ctx, struct vcpu *vcpu);

#endif
