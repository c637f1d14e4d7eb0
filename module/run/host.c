// SPDX-License-Identifier: BSD-2-Clause
/*
 * The module and the processors it runs on: choosing the back end, turning
 * virtualization on when the first VM comes and off when the last has gone,
 * and leaving every CPU clean at hotplug, reboot and panic.
 */
#include "run/host.h"

#include "ppt/ppt.h"
#include "vm/vcpu.h"
#include "x86/cpu/context.h"
#include "x86/cpu/msr.h"

static char facts[160]; /* constant once the back end is chosen */

struct host_gate host_gate;

static struct {
	struct os_mutex lock;
	struct vm *vms;	       /* lock */
	unsigned int users;    /* lock; VMs that need virtualization on */
	uint32_t wanted;       /* atomic; CPUs are to have virtualization on */
	uint64_t slept_ns;     /* lock; when the host was quiesced ... */
	uint64_t slept_tsc;    /* lock; ... and its TSC then */
	struct os_waitq waitq; /* vCPUs that wait for the end of host_gate.quiesced */
} host;

static int host_cpu_enable(void *unused)
{
	unsigned int cpu = os_cpu_id();
	int error;

	(void)unused;
	if (host_gate.enabled[cpu])
		return 0;
	error = backend->cpu_enable();
	host_gate.enabled[cpu] = error == 0;
	return error;
}

static int host_cpu_disable(void *unused)
{
	unsigned int cpu = os_cpu_id();

	(void)unused;
	if (host_gate.enabled[cpu])
		backend->cpu_disable();
	host_gate.enabled[cpu] = false;
	return 0;
}

/*
 * 'wanted' is set before the CPUs are visited: one that comes up meanwhile is
 * enabled by vmm_cpu_online() or by the visit, whichever is first.
 */
static int host_enable(void)
{
	int error;

	__atomic_store_n(&host.wanted, 1, __ATOMIC_SEQ_CST);
	error = os_each_cpu(host_cpu_enable, NULL);
	if (!error)
		return 0;
	__atomic_store_n(&host.wanted, 0, __ATOMIC_SEQ_CST);
	(void)os_each_cpu(host_cpu_disable, NULL);
	return error;
}

static void host_disable(void)
{
	__atomic_store_n(&host.wanted, 0, __ATOMIC_SEQ_CST);
	(void)os_each_cpu(host_cpu_disable, NULL);
}

int host_get(struct vm *vm)
{
	int error = 0;

	os_mutex_lock(&host.lock);
	if (host_gate.quiesced)
		error = -EBUSY;
	else if (host.users == 0)
		error = host_enable();
	if (!error) {
		host.users++;
		vm->next = host.vms;
		host.vms = vm;
	}
	os_mutex_unlock(&host.lock);
	return error;
}

void host_put(struct vm *vm)
{
	struct vm **link;

	os_mutex_lock(&host.lock);
	for (link = &host.vms; *link != vm; link = &(*link)->next)
		;
	*link = vm->next;
	if (--host.users == 0 && !host_gate.quiesced)
		host_disable();
	os_mutex_unlock(&host.lock);
}

int host_wait(void)
{
	return os_wait_event(&host.waitq, !host_quiesced());
}

/*
 * Lock each vCPU once: whoever was in the guest has seen 'quiesced'. Userspace may still
 * read registers while virtualization is off.
 */
static void host_quiesce_vm(struct vm *vm)
{
	struct vcpu *vcpu;

	for_each_vcpu(vm, vcpu) {
		vcpu_lock_always(vcpu);
		if (backend->edges.settle)
			backend->edges.settle(vcpu);
		vcpu_unlock(vcpu);
	}
}

void vmm_quiesce(void)
{
	os_mutex_lock(&host.lock);
	__atomic_store_n(&host_gate.quiesced, 1, __ATOMIC_SEQ_CST);
	for (struct vm *vm = host.vms; vm; vm = vm->next)
		host_quiesce_vm(vm);
	if (host.users)
		host_disable();
	host.slept_ns = os_now_ns();
	host.slept_tsc = os_rdtsc();
	os_mutex_unlock(&host.lock);
}

/* Clocks that were never stopped disagree by less. */
#define TSC_TOLERANCE_MS 10

static void host_compensate_tsc(struct vm *vm, uint64_t change)
{
	struct vcpu *vcpu;

	os_mutex_lock(&vm->lock);
	vm->tsc_offset += change;
	for_each_vcpu(vm, vcpu) {
		vcpu_lock_always(vcpu);
		msr_compensate_tsc(vcpu, change);
		vcpu_unlock(vcpu);
	}
	os_mutex_unlock(&vm->lock);
}

/*
 * A suspended host's TSC starts again from 0 or has counted on, by processor and firmware; its
 * monotonic clock, which the guest's other timers follow, has stood still. A guest's TSC that
 * went back, or ahead of those, would be taken for broken.
 */
static void host_follow_tsc(void)
{
	uint64_t passed = (os_now_ns() - host.slept_ns) / 1000 * os_tsc_khz() / 1000;
	int64_t change = (int64_t)(host.slept_tsc + passed - os_rdtsc());
	int64_t tolerance = (int64_t)TSC_TOLERANCE_MS * os_tsc_khz();

	if (change >= -tolerance && change <= tolerance)
		return;
	for (struct vm *vm = host.vms; vm; vm = vm->next)
		host_compensate_tsc(vm, (uint64_t)change);
}

void vmm_resume(void)
{
	os_mutex_lock(&host.lock);
	host_follow_tsc();
	if (host.users && host_enable())
		os_warn("virtualization could not be turned on again: guests stay stopped");
	else
		__atomic_store_n(&host_gate.quiesced, 0, __ATOMIC_SEQ_CST);
	os_mutex_unlock(&host.lock);
	os_wake(&host.waitq);
}

int vmm_cpu_online(void)
{
	return __atomic_load_n(&host.wanted, __ATOMIC_SEQ_CST) ? host_cpu_enable(NULL) : 0;
}

void vmm_cpu_offline(void)
{
	(void)host_cpu_disable(NULL);
}

void vmm_cpu_emergency(void)
{
	if (backend && host_gate.enabled)
		(void)host_cpu_disable(NULL);
}

/* The first back end that fits; else the reason of the one whose processor this is. */
static int host_choose_backend(const struct vmm_backend *const *candidates)
{
	const char *why = "this processor has neither SVM nor VT-x";
	int error = -ENXIO;

	for (; *candidates && error == -ENXIO; candidates++) {
		error = (*candidates)->probe(&why, facts, sizeof(facts));
		if (!error)
			backend = *candidates;
	}
	if (error == -ENXIO)
		error = -ENODEV;
	if (error)
		os_warn("cannot run here: %s", why);
	else
		os_info("%s: %s", backend->name, facts);
	return error;
}

const char *vmm_facts(void)
{
	return facts;
}

int vmm_init(const struct vmm_backend *const *candidates)
{
	int error = host_choose_backend(candidates);

	if (error)
		return error;
	os_mutex_init(&host.lock);
	os_waitq_init(&host.waitq);
	ppt_init();
	msr_init();
	host_gate.enabled = os_alloc(os_cpu_possible() * sizeof(host_gate.enabled[0]));
	if (!host_gate.enabled)
		return -ENOMEM;
	error = context_init();
	if (error)
		goto fail_enabled;
	error = backend->module.init ? backend->module.init() : 0;
	if (error)
		goto fail_context;
	return 0;

fail_context:
	context_fini();
fail_enabled:
	os_free(host_gate.enabled);
	host_gate.enabled = NULL;
	return error;
}

void vmm_fini(void)
{
	if (backend->module.fini)
		backend->module.fini();
	context_fini();
	os_free(host_gate.enabled);
	host_gate.enabled = NULL;
}
