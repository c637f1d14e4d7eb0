// SPDX-License-Identifier: BSD-2-Clause
/* The scripted back end; fake_backend.h. */
#include "fake_backend.h"

#include <stdlib.h>

#include "api/ioctl.h"
#include "vm/regs.h"

static uint64_t leaf_bits(int prot, int memory_type)
{
	(void)memory_type;
	return 1 | (prot & VM_PROT_WRITE ? 2 : 0) | (prot & VM_PROT_EXEC ? FAKE_NPT_EXEC : 0);
}

/* As deep as the host's own tables. */
static unsigned int npt_levels(void)
{
	return os_read_cr4() & REG_CR4_LA57 ? 5 : 4;
}

static const struct npt_format format = {
	.present = 1,
	.large = FAKE_NPT_LARGE,
	.table = 7,
	.leaf = leaf_bits,
	.levels = npt_levels,
};

static int probe(const char **why, char *facts, size_t facts_size)
{
	*why = "";
	snprintf(facts, facts_size, "fake");
	return 0;
}

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fake back end: %s\n", what);
	abort();
}

static int vcpu_init(struct vcpu *vcpu)
{
	vcpu->backend_state = os_alloc(sizeof(struct fake_vcpu));
	return vcpu->backend_state ? 0 : -ENOMEM;
}

static void vcpu_cleanup(struct vcpu *vcpu)
{
	os_free(vcpu->backend_state);
}

/* INIT and RESET alike; the script stays. */
static void reset(struct vcpu *vcpu, bool init)
{
	struct fake_vcpu *fake = fake_vcpu(vcpu);

	(void)init;
	memset(fake->reg, 0, sizeof(fake->reg));
	memset(fake->desc, 0, sizeof(fake->desc));
}

static void enter(struct vcpu *vcpu)
{
	struct fake_vcpu *fake = fake_vcpu(vcpu);

	fake->entries++;
	vcpu->next_rip = vcpu->rip;
	if (fake->inside)
		fake->inside(vcpu);
}

static enum exit_action take_exit(struct vcpu *vcpu)
{
	struct fake_vcpu *fake = fake_vcpu(vcpu);
	enum exit_action action;

	if (!fake->guest)
		return vcpu_exit_userspace(vcpu, VM_EXITCODE_BOGUS);
	action = fake->guest(vcpu, fake->entries - 1);
	fake->windows = 0;
	return action;
}

static int get_reg(struct vcpu *vcpu, int reg, uint64_t *value)
{
	*value = fake_vcpu(vcpu)->reg[reg];
	return 0;
}

static int set_reg(struct vcpu *vcpu, int reg, uint64_t value)
{
	fake_vcpu(vcpu)->reg[reg] = value;
	return 0;
}

static int get_desc(struct vcpu *vcpu, int reg, struct seg_desc *desc)
{
	*desc = fake_vcpu(vcpu)->desc[reg];
	return 0;
}

static int set_desc(struct vcpu *vcpu, int reg, const struct seg_desc *desc)
{
	fake_vcpu(vcpu)->desc[reg] = *desc;
	return 0;
}

static int get_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	(void)msr;
	*value = 0;
	return -EINVAL;
}

static int set_msr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	(void)msr;
	(void)value;
	return -EINVAL;
}

static void inject(struct vcpu *vcpu, uint64_t intinfo)
{
	struct fake_vcpu *fake = fake_vcpu(vcpu);

	if (fake->events < FAKE_EVENTS)
		fake->event[fake->events] = intinfo;
	fake->events++;
}

static void request_window(struct vcpu *vcpu, unsigned int windows, uint8_t vector)
{
	fake_vcpu(vcpu)->windows |= windows;
	fake_vcpu(vcpu)->window_vector = vector;
}

static void flush_nested(struct vcpu *vcpu)
{
	fake_vcpu(vcpu)->flushes++;
}

static void set_tsc_offset(struct vcpu *vcpu, uint64_t offset)
{
	fake_vcpu(vcpu)->tsc_offset = offset;
}

static uint32_t absent_capabilities;

void fake_absent_capabilities(uint32_t capabilities)
{
	absent_capabilities = capabilities;
}

static int set_capability(struct vcpu *vcpu, enum vm_cap_type cap, bool on)
{
	struct fake_vcpu *fake = fake_vcpu(vcpu);

	if (absent_capabilities >> cap & 1)
		return -ENOTSUP;
	fake->capabilities = (fake->capabilities & ~(1u << cap)) | (uint32_t)on << cap;
	return 0;
}

/* Virtualization is on: by CPU, atomic. */
static bool enabled[OS_USER_MAX_CPUS];

static int cpu_enable(void)
{
	__atomic_store_n(&enabled[os_cpu_id()], true, __ATOMIC_SEQ_CST);
	return 0;
}

static void cpu_disable(void)
{
	__atomic_store_n(&enabled[os_cpu_id()], false, __ATOMIC_SEQ_CST);
}

/* Where the processor would raise #UD in the host. */
static void load(struct vcpu *vcpu)
{
	(void)vcpu;
	must(__atomic_load_n(&enabled[os_cpu_id()], __ATOMIC_SEQ_CST),
	     "a guest is entered on a CPU without virtualization");
}

const struct vmm_backend fake_backend = {
	.name = "fake",
	.npt_format = &format,
	.probe = probe,
	.cpu_enable = cpu_enable,
	.cpu_disable = cpu_disable,
	.vcpu_init = vcpu_init,
	.vcpu_cleanup = vcpu_cleanup,
	.vcpu_reset = reset,
	.load = load,
	.enter = enter,
	.exit = take_exit,
	.get_reg = get_reg,
	.set_reg = set_reg,
	.get_desc = get_desc,
	.set_desc = set_desc,
	.get_msr = get_msr,
	.set_msr = set_msr,
	.inject = inject,
	.request_window = request_window,
	.flush_nested = flush_nested,
	.set_tsc_offset = set_tsc_offset,
	.offers = { .set_capability = set_capability },
};

/* --- the front end --------------------------------------------------------------- */

static int publish_error;
static unsigned int published;
static unsigned int unmaps;

static int fake_segment_publish(struct vm *vm, struct memseg *seg)
{
	int error = __atomic_exchange_n(&publish_error, 0, __ATOMIC_SEQ_CST);

	(void)vm;
	(void)seg;
	os_user_may_sleep("segment_publish");
	if (error == 0)
		__atomic_fetch_add(&published, 1, __ATOMIC_SEQ_CST);
	return error;
}

static void fake_segment_withdraw(struct vm *vm, struct memseg *seg)
{
	(void)vm;
	(void)seg;
	os_user_may_sleep("segment_withdraw");
	must(__atomic_fetch_sub(&published, 1, __ATOMIC_SEQ_CST) != 0,
	     "withdrawal of a segment that was not published");
}

static void fake_unmap_userspace(struct vm *vm)
{
	(void)vm;
	os_user_may_sleep("unmap_userspace");
	__atomic_fetch_add(&unmaps, 1, __ATOMIC_SEQ_CST);
}

const struct vmm_front fake_front = {
	.segment_publish = fake_segment_publish,
	.segment_withdraw = fake_segment_withdraw,
	.unmap_userspace = fake_unmap_userspace,
};

void fake_front_fail_publish(int error)
{
	__atomic_store_n(&publish_error, error, __ATOMIC_SEQ_CST);
}

unsigned int fake_front_published(void)
{
	return __atomic_load_n(&published, __ATOMIC_SEQ_CST);
}

unsigned int fake_front_unmaps(void)
{
	return __atomic_load_n(&unmaps, __ATOMIC_SEQ_CST);
}

/* --- the VM -------------------------------------------------------------------- */

struct vm *fake_vm_create(uint32_t max_vcpus)
{
	static const struct vmm_backend *const candidates[] = { &fake_backend, NULL };
	struct vm *vm = NULL;

	must(vmm_init(candidates) == 0, "vmm_init failed");
	must(vm_create("fake", max_vcpus, &vm) == 0, "vm_create failed");
	vm->front = &fake_front;
	fake_front_fail_publish(0);
	fake_absent_capabilities(0);
	__atomic_store_n(&published, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&unmaps, 0, __ATOMIC_SEQ_CST);
	return vm;
}

void fake_vm_destroy(struct vm *vm)
{
	vm_put(vm);
	vmm_fini();
	must(os_user_timers() == 0, "a timer is still armed");
	must(os_user_alloc_outstanding() == 0, "memory is still allocated");
}

struct vcpu *fake_vm_vcpu(struct vm *vm, int id)
{
	struct vcpu *vcpu = NULL;

	must(vm_vcpu_create(vm, id, &vcpu) == 0, "vm_vcpu_create failed");
	vcpu->wait_sipi = false;
	return vcpu;
}

int fake_ioctl(struct vm *vm, unsigned int command, void *arg)
{
	uint64_t buffer[IOCTL_MAX_ARG / sizeof(uint64_t)] = { 0 };
	const struct ioctl_row *row = ioctl_lookup(command);
	int error;

	if (!row)
		return -ENOTTY;
	if (_IOC_DIR(command) & _IOC_WRITE)
		memcpy(buffer, arg, _IOC_SIZE(command));
	error = ioctl_run(vm, row, buffer);
	if (!error && (_IOC_DIR(command) & _IOC_READ))
		memcpy(arg, buffer, _IOC_SIZE(command));
	return error;
}

uint32_t fake_requests(struct vcpu *vcpu)
{
	return __atomic_exchange_n(&vcpu->requests, 0, __ATOMIC_SEQ_CST);
}
