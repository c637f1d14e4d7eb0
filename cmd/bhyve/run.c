// SPDX-License-Identifier: BSD-2-Clause
/*
 * vCPU threads and what they do about exits. This is the VMM process's hot
 * path: exit table, port table, device, back into the guest.
 */
#include "run.h"
#include "diag.h"
#include "event.h"
#include "inout.h"
#include "mmio.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXCEPTION_GP 13

#define NO_STATUS (-1)

/* One vCPU; its thread's alone. */
struct runner {
	struct vmctx *ctx;
	struct vcpu *vcpu;
	const struct run_options *options;
	struct vm_exit exit;
	bool reply; /* 'value' answers the exit */
	uint64_t value;
};

/* What run_vcpu() does after a handler. */
enum action { GO_ON, STOP };

/* How it ended. Written by the first thread that ends it, before event_stop(). */
static struct {
	atomic_bool ended;
	atomic_int requested; /* run_set_status(), or NO_STATUS */
	int status;
	enum vm_suspend_how how;
} result = { .requested = NO_STATUS };

void run_set_status(int status)
{
	int none = NO_STATUS;

	atomic_compare_exchange_strong(&result.requested, &none, status);
}

void run_abandon(void)
{
	atomic_store(&result.ended, true);
}

int run_status(void)
{
	int requested = atomic_load(&result.requested);

	return requested == NO_STATUS ? result.status : requested;
}

enum vm_suspend_how run_how(void)
{
	return result.how;
}

/* The first thread that ends the run says how; returns whether that is this one. */
static bool claim_end(int status, enum vm_suspend_how how)
{
	if (atomic_exchange(&result.ended, true))
		return false;
	result.status = status;
	result.how = how;
	return true;
}

static enum action end_run(int status, enum vm_suspend_how how)
{
	if (claim_end(status, how))
		event_stop();
	return STOP;
}

/* Only the first error is worth a line: others follow from it. */
static enum action vcpu_failed(struct runner *runner, const char *what)
{
	uint64_t rip = runner->exit.rip;

	if (!claim_end(STATUS_ERROR, VM_SUSPEND_NONE))
		return STOP;
	vm_get_register(runner->vcpu, VM_REG_GUEST_RIP, &rip);
	complain("vCPU %d: %s at rip %#" PRIx64, vcpu_id(runner->vcpu), what, rip);
	vm_suspend(runner->ctx, VM_SUSPEND_POWEROFF);
	event_stop();
	return STOP;
}

/* --- exits ------------------------------------------------------------------ */

static enum action strict_port(struct runner *runner)
{
	const struct vm_inout *inout = &runner->exit.u.inout;
	char what[80];

	snprintf(what, sizeof(what), "%s of %u bytes at port %#x, which has no device,",
		 inout->in ? "input" : "output", inout->bytes, inout->port);
	return vcpu_failed(runner, what);
}

static enum action exit_inout(struct runner *runner)
{
	const struct vm_inout *inout = &runner->exit.u.inout;

	if (runner->options->strict_ports && !inout_owner(inout->port))
		return strict_port(runner);
	if (inout->in) {
		runner->value = inout_read(inout->port, inout->bytes);
		runner->reply = true;
	} else {
		inout_write(inout->port, inout->bytes, inout->eax);
	}
	return GO_ON;
}

static enum action exit_mmio(struct runner *runner)
{
	const struct vm_mmio *mmio = &runner->exit.u.mmio;

	if (mmio->write) {
		mmio_write(mmio->gpa, mmio->bytes, mmio->data);
	} else {
		runner->value = mmio_read(mmio->gpa, mmio->bytes);
		runner->reply = true;
	}
	return GO_ON;
}

static enum action inject_gp(struct runner *runner)
{
	if (vm_inject_exception(runner->vcpu, EXCEPTION_GP, 1, 0, 1))
		return vcpu_failed(runner, "cannot inject #GP");
	return GO_ON;
}

static enum action exit_rdmsr(struct runner *runner)
{
	if (!runner->options->ignore_msrs)
		return inject_gp(runner);
	if (vm_set_register(runner->vcpu, VM_REG_GUEST_RAX, 0) ||
	    vm_set_register(runner->vcpu, VM_REG_GUEST_RDX, 0))
		return vcpu_failed(runner, "cannot answer RDMSR");
	return GO_ON;
}

static enum action exit_wrmsr(struct runner *runner)
{
	return runner->options->ignore_msrs ? GO_ON : inject_gp(runner);
}

/* Nothing is to be done, or the module has done it. */
static enum action exit_nothing(struct runner *runner)
{
	(void)runner;
	return GO_ON;
}

/* The guest is idle: yield the CPU to another thread. */
static enum action exit_yield(struct runner *runner)
{
	(void)runner;
	sched_yield();
	return GO_ON;
}

static enum action exit_suspended(struct runner *runner)
{
	enum vm_suspend_how how = runner->exit.u.suspended.how;

	switch (how) {
	case VM_SUSPEND_RESET:
		return end_run(STATUS_REBOOT, how);
	case VM_SUSPEND_POWEROFF:
		return end_run(STATUS_POWEROFF, how);
	case VM_SUSPEND_HALT:
		return end_run(STATUS_HALT, how);
	case VM_SUSPEND_TRIPLEFAULT:
		return end_run(STATUS_TRIPLEFAULT, how);
	default:
		if (claim_end(STATUS_ERROR, how)) {
			complain("the virtual machine has been destroyed");
			event_stop();
		}
		return STOP;
	}
}

static enum action exit_svm(struct runner *runner)
{
	char what[80];

	snprintf(what, sizeof(what), "unexpected #VMEXIT %#" PRIx64 " (%#" PRIx64 ", %#" PRIx64 ")",
		 runner->exit.u.svm.exitcode, runner->exit.u.svm.exitinfo1,
		 runner->exit.u.svm.exitinfo2);
	return vcpu_failed(runner, what);
}

static enum action exit_vmx(struct runner *runner)
{
	char what[80];

	snprintf(what, sizeof(what),
		 "unexpected VM exit %u (qualification %#" PRIx64 ", status %d)",
		 runner->exit.u.vmx.exit_reason, runner->exit.u.vmx.exit_qualification,
		 runner->exit.u.vmx.status);
	return vcpu_failed(runner, what);
}

static enum action (*const exit_handlers[VM_EXITCODE_MAX])(struct runner *runner) = {
	[VM_EXITCODE_INOUT] = exit_inout,
	[VM_EXITCODE_VMX] = exit_vmx,
	[VM_EXITCODE_BOGUS] = exit_nothing,
	[VM_EXITCODE_RDMSR] = exit_rdmsr,
	[VM_EXITCODE_WRMSR] = exit_wrmsr,
	[VM_EXITCODE_HLT] = exit_yield,
	[VM_EXITCODE_MTRAP] = exit_nothing,
	[VM_EXITCODE_PAUSE] = exit_yield,
	[VM_EXITCODE_IOAPIC_EOI] = exit_nothing,
	[VM_EXITCODE_SUSPENDED] = exit_suspended,
	[VM_EXITCODE_SVM] = exit_svm,
	[VM_EXITCODE_REQIDLE] = exit_yield,
	/* VM_SUSPEND_CPU: the next VM_RUN waits until the vCPU is resumed. */
	[VM_EXITCODE_DEBUG] = exit_nothing,
	[VM_EXITCODE_MMIO] = exit_mmio,
};

static enum action exit_unexpected(struct runner *runner)
{
	char what[40];

	snprintf(what, sizeof(what), "unexpected exit %d", runner->exit.exitcode);
	return vcpu_failed(runner, what);
}

static enum action handle_exit(struct runner *runner)
{
	unsigned code = runner->exit.exitcode;

	runner->reply = false;
	if (code >= VM_EXITCODE_MAX || !exit_handlers[code])
		return exit_unexpected(runner);
	return exit_handlers[code](runner);
}

/* --- threads ---------------------------------------------------------------- */

/* VM_RUN itself has failed. */
static enum action handle_error(struct runner *runner, int error)
{
	switch (error) {
	case EINTR: /* a signal came first: the answer, if any, still stands */
		return GO_ON;
	case ENXIO:
		runner->exit.u.suspended.how = VM_SUSPEND_DESTROY;
		return exit_suspended(runner);
	case ENOMEM:
		return vcpu_failed(runner, "the host has no memory for the guest's RAM");
	case EFAULT:
		return vcpu_failed(runner, "the guest executes at an address without memory");
	default:
		return vcpu_failed(runner, strerror(error));
	}
}

static void *run_vcpu(void *arg)
{
	struct runner *runner = arg;
	enum action action;
	char name[16];

	snprintf(name, sizeof(name), "vcpu %d", vcpu_id(runner->vcpu));
	pthread_setname_np(pthread_self(), name);
	do {
		if (vm_run_reply(runner->vcpu, &runner->exit, runner->reply, runner->value))
			action = handle_error(runner, errno);
		else
			action = handle_exit(runner);
	} while (action == GO_ON);
	free(runner);
	return NULL;
}

static int start_thread(struct runner *runner, int host_cpu)
{
	pthread_attr_t attributes;
	pthread_t thread;
	cpu_set_t cpus;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (host_cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET((size_t)host_cpu, &cpus);
		pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus);
	}
	error = pthread_create(&thread, &attributes, run_vcpu, runner);
	pthread_attr_destroy(&attributes);
	return error;
}

int run_start(struct vmctx *ctx, struct vcpu *vcpu, int host_cpu, const struct run_options *options)
{
	struct runner *runner = calloc(1, sizeof(*runner));
	int error;

	if (!runner)
		return ENOMEM;
	runner->ctx = ctx;
	runner->vcpu = vcpu;
	runner->options = options;
	error = start_thread(runner, host_cpu);
	if (error)
		free(runner);
	return error;
}
