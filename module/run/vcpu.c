// SPDX-License-Identifier: BSD-2-Clause
/* Life of a vCPU: its parts, and its state after RESET and INIT. */
#include "run/vm.h"

#include "dev/lapic.h"
#include "os/parts.h"
#include "vm/regs.h"
#include "vm/vcpu.h"
#include "x86/cpu/context.h"
#include "x86/cpu/cpuid.h"
#include "x86/cpu/msr.h"
#include "x86/emulate/emulate.h"

/* --- creating and freeing ------------------------------------------------------ */

static void vcpu_free_stats(struct vcpu *vcpu)
{
	os_free(vcpu->stats);
}

static int vcpu_create_stats(struct vcpu *vcpu)
{
	vcpu->stats = os_alloc(stats_count() * sizeof(vcpu->stats[0]));
	return vcpu->stats ? 0 : -ENOMEM;
}

static int vcpu_backend_init(struct vcpu *vcpu)
{
	return backend->vcpu_init(vcpu);
}

static void vcpu_backend_cleanup(struct vcpu *vcpu)
{
	backend->vcpu_cleanup(vcpu);
}

PARTS(vcpu_parts, struct vcpu *vcpu) = {
	{ vcpu_create_stats, vcpu_free_stats },	     { context_create, context_destroy },
	{ emulation_create, emulation_destroy },     { lapic_create, lapic_destroy },
	{ vcpu_backend_init, vcpu_backend_cleanup },
};

void vcpu_free(struct vcpu *vcpu)
{
	npt_cache_free(&vcpu->npt_cache);
	parts_destroy(vcpu_parts, vcpu);
	os_free(vcpu);
}

static int vcpu_create(struct vm *vm, int id, struct vcpu **result)
{
	struct vcpu *vcpu = os_alloc(sizeof(*vcpu));
	int error;

	if (!vcpu)
		return -ENOMEM;
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->last_cpu = -1;
	os_mutex_init_ordered(&vcpu->mutex, (unsigned int)id);
	os_waitq_init(&vcpu->waitq);
	error = parts_create(vcpu_parts, vcpu);
	if (error) {
		os_free(vcpu);
		return error;
	}
	vcpu_reset(vcpu, false);
	*result = vcpu;
	return 0;
}

int vm_vcpu_create(struct vm *vm, int id, struct vcpu **vcpu)
{
	int error = 0;

	*vcpu = vm_vcpu(vm, id);
	if (*vcpu)
		return 0;
	if (id < 0 || (uint32_t)id >= vm->max_vcpus)
		return -EINVAL;

	os_mutex_lock(&vm->lock);
	*vcpu = vm->vcpu[id];
	if (vm->destroyed)
		error = -ENXIO;
	else if (!*vcpu)
		error = vcpu_create(vm, id, vcpu);
	if (!error)
		__atomic_store_n(&vm->vcpu[id], *vcpu, __ATOMIC_RELEASE);
	os_mutex_unlock(&vm->lock);
	return error;
}

/* --- capabilities -------------------------------------------------------------- */

/* Capabilities that need nothing of the hardware beyond what every exit does. */
#define SOFTWARE_CAPABILITIES \
	(1u << VM_CAP_HALT_EXIT | 1u << VM_CAP_IPI_EXIT | 1u << VM_CAP_MASK_HWINTR)

static int backend_set_capability(struct vcpu *vcpu, enum vm_cap_type type, bool on)
{
	int error = -ENOTSUP;

	if (SOFTWARE_CAPABILITIES & 1u << type)
		return 0;
	if (backend->offers.set_capability)
		error = backend->offers.set_capability(vcpu, type, on);
	return error == -ENOTSUP ? -ENOENT : error;
}

int vcpu_set_capability(struct vcpu *vcpu, enum vm_cap_type type, bool on)
{
	int error;

	/* Every guest is one. */
	if (type == VM_CAP_UNRESTRICTED_GUEST && !on)
		return -EINVAL;
	error = backend_set_capability(vcpu, type, on);
	if (error)
		return error;
	if (on)
		vcpu->capabilities |= 1u << type;
	else
		vcpu->capabilities &= ~(1u << type);
	/* An interrupt may have been held back by the old setting. */
	vcpu_request(vcpu, VCPU_REQ_EVENT);
	return 0;
}

/* Whether the back end has it is told by setting it to what it is. */
int vcpu_get_capability(struct vcpu *vcpu, enum vm_cap_type type)
{
	bool on = (vcpu->capabilities >> type & 1) || type == VM_CAP_UNRESTRICTED_GUEST;
	int error = backend_set_capability(vcpu, type, on);

	return error ? error : on;
}

void vcpu_reset_capabilities(struct vcpu *vcpu)
{
	for (enum vm_cap_type type = 0; type < VM_CAP_MAX; type++) {
		if (vcpu->capabilities >> type & 1)
			(void)vcpu_set_capability(vcpu, type, false);
	}
	vcpu->capabilities = 0;
}

/* --- reset --------------------------------------------------------------------- */

/* INIT leaves the counter alone (APM vol. 2, 14.1.3). */
static void vcpu_reset_tsc(struct vcpu *vcpu)
{
	vcpu->tsc_adjust = 0;
	vcpu->tsc_offset = vcpu->vm->tsc_offset;
	backend->set_tsc_offset(vcpu, vcpu->tsc_offset);
}

static void vcpu_reset_events(struct vcpu *vcpu)
{
	vcpu->exception = 0;
	vcpu->exitintinfo = 0;
	vcpu->intr_shadow = false;
	vcpu->halted = false;
	vcpu->access_pending = false;
	__atomic_store_n(&vcpu->nmi_pending, 0, __ATOMIC_SEQ_CST);
	emulation_reset(vcpu);
}

/* RDX holds the processor's signature (APM vol. 2, 14.1.3; SDM vol. 3, 9.1.1). */
void vcpu_reset(struct vcpu *vcpu, bool init)
{
	uint32_t signature[4];

	cpuid_query(vcpu, 1, 0, signature);
	memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
	vcpu->gpr[GPR_RDX] = signature[0];
	vcpu->rip = 0xfff0;
	vcpu->resume_rip = vcpu->rip;
	vcpu->rflags = REG_RFLAGS_FIXED1;
	vcpu->cr2 = 0;
	vcpu_reset_events(vcpu);
	backend->vcpu_reset(vcpu, init);
	context_reset(vcpu, init);
	msr_reset(vcpu, init);
	lapic_reset(vcpu, init);
	if (!init)
		vcpu_reset_tsc(vcpu);
	if (vcpu->id != 0)
		vcpu_begin_wait_sipi(vcpu);
}
