// SPDX-License-Identifier: BSD-2-Clause
/* Life of a VM: its parts, destroying it, and starting it again. */
#include "run/vm.h"

#include "dev/device.h"
#include "dev/lapic.h"
#include "os/parts.h"
#include "ppt/ppt.h"
#include "run/host.h"
#include "vm/bitmap.h"
#include "vm/vcpu.h"
#include "x86/cpu/cpuid.h"

/* --- parts --------------------------------------------------------------------- */

static int vm_open_account(struct vm *vm)
{
	return os_account_open(&vm->account);
}

static void vm_close_account(struct vm *vm)
{
	os_account_close(vm->account);
}

static int vm_create_sets(struct vm *vm)
{
	size_t words = BITMAP_WORDS(vm->max_vcpus);
	uint64_t *sets;

	vm->vcpu = os_alloc(vm->max_vcpus * sizeof(struct vcpu *));
	sets = os_alloc(4 * words * sizeof(*sets));
	if (!vm->vcpu || !sets) {
		os_free(vm->vcpu);
		os_free(sets);
		return -ENOMEM;
	}
	vm->active = sets;
	vm->suspended = sets + words;
	vm->debug = sets + 2 * words;
	vm->dead_halted = sets + 3 * words;
	return 0;
}

static void vm_destroy_sets(struct vm *vm)
{
	os_free(vm->vcpu);
	os_free(vm->active);
}

static int vm_create_npt(struct vm *vm)
{
	return npt_init(&vm->npt, backend->npt_format, backend->npt_format->levels());
}

static void vm_destroy_npt(struct vm *vm)
{
	npt_fini(&vm->npt);
}

static int vm_create_topology(struct vm *vm)
{
	vm->topology = (struct vm_cpu_topology){
		.sockets = 1,
		.cores = 1,
		.threads = 1,
		.maxcpus = (uint16_t)vm->max_vcpus,
	};
	return cpuid_create(vm);
}

static int vm_create_backend_apic(struct vm *vm)
{
	return backend->apic.create ? backend->apic.create(vm) : 0;
}

static void vm_destroy_backend_apic(struct vm *vm)
{
	if (backend->apic.destroy)
		backend->apic.destroy(vm);
}

PARTS(vm_parts, struct vm *vm) = {
	{ vm_open_account, vm_close_account },
	{ vm_create_sets, vm_destroy_sets },
	{ vm_create_npt, vm_destroy_npt },
	{ vm_create_topology, cpuid_destroy },
	{ vm_create_backend_apic, vm_destroy_backend_apic },
	{ device_create_all, device_destroy_all },
};

static void vm_free(struct vm *vm)
{
	struct vcpu *vcpu = vm_next_vcpu(vm, 0);

	while (vcpu) {
		uint32_t next = (uint32_t)vcpu->id + 1;

		vcpu_free(vcpu);
		vcpu = vm_next_vcpu(vm, next);
	}
	parts_destroy(vm_parts, vm);
	os_free(vm);
}

/* After the last reference. */
static void vm_released(struct vm *vm)
{
	vm_destroy(vm);
	vm_free(vm);
}

int vm_create(const char *name, uint32_t max_vcpus, struct vm **result)
{
	struct vm *vm;
	int error;

	if (!*name || strlen(name) > VM_MAX_NAMELEN || max_vcpus == 0)
		return -EINVAL;
	vm = os_alloc(sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	strscpy(vm->name, name, sizeof(vm->name));
	vm->max_vcpus = max_vcpus;
	vm->references = 1;
	vm->released = vm_released;
	vm->tsc_offset = -os_rdtsc();
	os_mutex_init(&vm->lock);
	os_spin_init(&vm->halt_lock);
	os_ratelimit_init(&vm->log);
	memory_init(vm);
	error = parts_create(vm_parts, vm);
	if (error)
		goto fail;
	error = host_get(vm);
	if (error)
		goto fail_parts;
	*result = vm;
	return 0;

fail_parts:
	parts_destroy(vm_parts, vm);
fail:
	os_free(vm);
	return error;
}

/* --- stopping ------------------------------------------------------------------ */

static void vm_stop_timers(struct vm *vm)
{
	struct vcpu *vcpu;

	for_each_vcpu(vm, vcpu)
		lapic_stop(vcpu);
}

static void vm_request_destroy(struct vm *vm)
{
	__atomic_store_n(&vm->suspend, VM_SUSPEND_DESTROY, __ATOMIC_SEQ_CST);
	vm_request_all(vm, VCPU_REQ_SUSPEND);
}

/*
 * With every vCPU frozen and 'destroyed' set nobody runs the guest or adds to
 * its memory again; mappings of userspace go before the memory does.
 */
void vm_destroy(struct vm *vm)
{
	vm_request_destroy(vm);

	os_mutex_lock(&vm->lock);
	if (vm->destroyed) {
		os_mutex_unlock(&vm->lock);
		return;
	}
	vm_freeze_always(vm);
	os_mutex_lock(&vm->memory.lock);
	WRITE_ONCE(vm->destroyed, true);
	os_mutex_unlock(&vm->memory.lock);
	/* Again: a VM_REINIT in between may have cleared the request. */
	vm_request_destroy(vm);
	device_stop_all(vm);
	vm_stop_timers(vm);
	ppt_release_all(vm);
	if (vm->front)
		vm->front->unmap_userspace(vm);
	npt_unmap(&vm->npt, 0, 1ull << 47);
	memory_free(vm);
	vm_thaw(vm);
	os_mutex_unlock(&vm->lock);
	host_put(vm);
}

static bool is_running(struct vm *vm)
{
	bool stopped = __atomic_load_n(&vm->suspend, __ATOMIC_SEQ_CST) != VM_SUSPEND_NONE;

	struct vcpu *vcpu;

	for_each_vcpu(vm, vcpu) {
		bool active = bitmap_test_bit(vm->active, (unsigned int)vcpu->id);

		if (vcpu->running || (active && !stopped))
			return true;
	}
	return false;
}

int vm_reinit(struct vm *vm)
{
	size_t words = BITMAP_WORDS(vm->max_vcpus);
	struct vcpu *vcpu;

	if (is_running(vm))
		return -EBUSY;
	ppt_reset_all(vm);
	device_reset_all(vm);
	vm->tsc_offset = -os_rdtsc();
	memset(vm->active, 0, 4 * words * sizeof(vm->active[0]));
	__atomic_store_n(&vm->suspend, VM_SUSPEND_NONE, __ATOMIC_SEQ_CST);
	for_each_vcpu(vm, vcpu) {
		__atomic_fetch_and(&vcpu->requests, VCPU_REQ_YIELD | VCPU_REQ_FLUSH,
				   __ATOMIC_SEQ_CST);
		vcpu_reset_capabilities(vcpu);
		vcpu_reset(vcpu, false);
	}
	return 0;
}
