// SPDX-License-Identifier: BSD-2-Clause
/* Running: VM_RUN and VM_RUN_REPLY, and what stops and restarts a VM. */
#include "api/handlers.h"

#include "dev/lapic.h"
#include "run/vm.h"
#include "vm/bitmap.h"
#include "vm/vcpu.h"

/* --- VM_RUN -------------------------------------------------------------------- */

/* Destinations of an IPI exit: enough for as many vCPUs as a VM may have. */
#define IPI_WORDS 16

static void copy_ipi_destinations(struct vcpu *vcpu, uint64_t words[IPI_WORDS])
{
	size_t count = BITMAP_WORDS(vcpu->vm->max_vcpus);

	memset(words, 0, IPI_WORDS * sizeof(*words));
	memcpy(words, lapic_ipi_destinations(vcpu),
	       min_t(size_t, count, IPI_WORDS) * sizeof(*words));
}

/* All of the caller's set: behind the destinations it is zero. */
static int copyout_ipi_destinations(uint64_t words[IPI_WORDS], const struct vm_run *run)
{
	size_t step;
	int error = 0;

	for (size_t at = 0; at < run->cpusetsize && !error; at += step) {
		step = min_t(size_t, run->cpusetsize - at, IPI_WORDS * sizeof(*words));
		error = os_copyout(words, (char *)run->cpuset + at, step);
		memset(words, 0, IPI_WORDS * sizeof(*words));
	}
	return error;
}

int ioctl_run_vcpu(struct vm *vm, void *arg)
{
	const struct vm_run *run = arg;
	uint64_t destinations[IPI_WORDS];
	struct vm_exit exit;
	struct vcpu *vcpu;
	int error;

	if (run->cpusetsize > VM_RUN_CPUSET_MAX)
		return -EINVAL;
	error = ioctl_lock_idle_vcpu(vm, run->cpuid, &vcpu);
	if (error)
		return error;
	vcpu->reply_mode = false;
	error = vcpu_run(vcpu);
	exit = vcpu->exit;
	if (exit.exitcode == VM_EXITCODE_IPI)
		copy_ipi_destinations(vcpu, destinations);
	vcpu_unlock(vcpu);
	if (!error && exit.exitcode == VM_EXITCODE_IPI)
		error = copyout_ipi_destinations(destinations, run);
	return error ? error : os_copyout(&exit, run->vm_exit, sizeof(exit));
}

/* --- VM_RUN_REPLY -------------------------------------------------------------- */

/* What the frequent exits fill in: more of them says nothing to userspace. */
#define EXIT_WORDS(type) ((offsetof(struct vm_exit, u) + sizeof(type)) / sizeof(uint64_t))
#define SHORT_WORDS	 EXIT_WORDS(uint64_t)
#define MEMORY_WORDS	 EXIT_WORDS(struct vm_mmio)
_Static_assert(sizeof(struct vm_inout) == sizeof(uint64_t), "an exit's words");
_Static_assert(sizeof(struct vm_mmio) % sizeof(uint64_t) == 0, "an exit's words");

/* All of these unlock the vCPU before they touch the caller's memory. */
static int exit_copyout_short(struct vcpu *vcpu, struct vm_exit *to)
{
	uint64_t words[SHORT_WORDS];

	memcpy(words, &vcpu->exit, sizeof(words));
	vcpu_unlock(vcpu);
	return os_copyout_words(words, to, SHORT_WORDS);
}

static int exit_copyout_memory(struct vcpu *vcpu, struct vm_exit *to)
{
	uint64_t words[MEMORY_WORDS];

	memcpy(words, &vcpu->exit, sizeof(words));
	vcpu_unlock(vcpu);
	return os_copyout_words(words, to, MEMORY_WORDS);
}

static noinline int exit_copyout_whole(struct vcpu *vcpu, struct vm_exit *to)
{
	struct vm_exit exit = vcpu->exit;

	vcpu_unlock(vcpu);
	return os_copyout(&exit, to, sizeof(exit));
}

/* The answer to the last access, for vcpu_run() to act on. */
static void vcpu_set_reply(struct vcpu *vcpu, uint32_t flags, uint64_t reply)
{
	vcpu->reply_mode = true;
	if (!(flags & VM_RUN_F_REPLY))
		return;
	vcpu->access.replied = true;
	if (!vcpu->access.write)
		vcpu->access.data = reply;
}

/* ioctl_lock_idle_vcpu() where nothing is in the way, else NULL. */
static struct vcpu *try_lock_idle_vcpu(struct vm *vm, int id)
{
	struct vcpu *vcpu = vm_vcpu(vm, id);

	if (unlikely(!vcpu) || unlikely(!os_mutex_trylock(&vcpu->mutex)))
		return NULL;
	if (likely(!vcpu->running && !READ_ONCE(vm->destroyed)))
		return vcpu;
	vcpu_unlock(vcpu);
	return NULL;
}

static int exit_copyout(struct vcpu *vcpu, struct vm_exit *to)
{
	switch (vcpu->exit.exitcode) {
	case VM_EXITCODE_INOUT:
	case VM_EXITCODE_SUSPENDED:
	case VM_EXITCODE_BOGUS:
		return exit_copyout_short(vcpu, to);
	case VM_EXITCODE_MMIO:
		return exit_copyout_memory(vcpu, to);
	default:
		return exit_copyout_whole(vcpu, to);
	}
}

static int run_and_copyout(struct vcpu *vcpu, struct vm_exit *to)
{
	int error = vcpu_run(vcpu);

	if (likely(!error))
		return exit_copyout(vcpu, to);
	vcpu_unlock(vcpu);
	return error;
}

/* Slow path, out of line: the fast path has nothing on its stack. */
static noinline int run_reply_contended(struct vm *vm, int cpuid, uint32_t flags, uint64_t reply,
					struct vm_exit *to)
{
	struct vcpu *vcpu;
	int error = ioctl_lock_idle_vcpu(vm, cpuid, &vcpu);

	if (error)
		return error;
	vcpu_set_reply(vcpu, flags, reply);
	return run_and_copyout(vcpu, to);
}

int ioctl_run_reply(struct vm *vm, int cpuid, uint32_t flags, uint64_t reply, struct vm_exit *to)
{
	struct vcpu *vcpu;

	if (flags & ~VM_RUN_F_REPLY)
		return -EINVAL;
	vcpu = try_lock_idle_vcpu(vm, cpuid);
	if (unlikely(!vcpu))
		return run_reply_contended(vm, cpuid, flags, reply, to);
	vcpu_set_reply(vcpu, flags, reply);
	return run_and_copyout(vcpu, to);
}

/* --- stopping and starting again ----------------------------------------------- */

int ioctl_suspend(struct vm *vm, void *arg)
{
	const struct vm_suspend *suspend = arg;

	if ((int)suspend->how <= VM_SUSPEND_NONE || suspend->how >= VM_SUSPEND_DESTROY)
		return -EINVAL;
	return vm_suspend(vm, suspend->how);
}

int ioctl_reinit(struct vm *vm, void *arg)
{
	(void)arg;
	return vm_reinit(vm);
}

int ioctl_restart_instruction(struct vcpu *vcpu, void *arg)
{
	(void)arg;
	vcpu->resume_rip = vcpu->rip;
	vcpu->access_pending = false;
	return 0;
}
