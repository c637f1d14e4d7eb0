/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run: one thread per vCPU, which enters the guest and handles its exits until the
 * VM stops, and the exit status that follows from why it stopped.
 */
#ifndef BHYVE_RUN_H
#define BHYVE_RUN_H

#include <stdbool.h>
#include <vmmapi.h>

struct run_options {
	bool ignore_msrs;  /* unknown MSRs read 0 and swallow writes (-w); else #GP */
	bool strict_ports; /* an access to an unclaimed port is an error (-e) */
};

/*
 * Start a vCPU's thread, on processor 'host_cpu' only unless it is -1. 0 or an
 * errno. 'vcpu' and 'options' must stay. The main thread.
 */
int run_start(struct vmctx *ctx, struct vcpu *vcpu, int host_cpu,
	      const struct run_options *options);

/*
 * The exit status once event_loop() has returned, which the first vCPU that
 * stops sees to. The main thread.
 */
int run_status(void);

/* Why the VM stopped: VM_SUSPEND_NONE if it was an error. The main thread. */
enum vm_suspend_how run_how(void);

/* From now on vCPUs may stop without anything being said about it. Any thread. */
void run_abandon(void);

/* End with this status, however the VM stops. Any thread; the first one counts. */
void run_set_status(int status);

#endif
