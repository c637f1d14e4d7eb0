// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ioctls of /dev/vmm/NAME: one row and one short handler each. Whoever has
 * the file open may call all of them: opening is where permission is checked.
 */
#include "api/ioctl.h"

#include "vm/bitmap.h"
#include "vm/vcpu.h"
#include "dev/device.h"
#include "dev/hpet.h"
#include "dev/ioapic.h"
#include "dev/lapic.h"
#include "dev/pic.h"
#include "dev/rtc.h"
#include "ppt/ppt.h"
#include "run/vm.h"
#include "x86/cpu/registers.h"
#include "x86/cpu/cpuid.h"
#include "vm/regs.h"
#include "x86/paging/walk.h"

/* --- running ------------------------------------------------------------------- */

/* Own the vCPU of that number, made if need be, of a VM that is alive. */
static int take_vcpu(struct vm *vm, int id, struct vcpu **vcpu)
{
	int error = vm_vcpu_create(vm, id, vcpu);

	if (!error)
		error = vcpu_lock(*vcpu);
	if (error)
		return error;
	if (!READ_ONCE(vm->destroyed))
		return 0;
	vcpu_unlock(*vcpu);
	return -ENXIO;
}

/* The same of a vCPU that no other thread runs: -EBUSY. */
static int take_idle_vcpu(struct vm *vm, int id, struct vcpu **vcpu)
{
	int error = take_vcpu(vm, id, vcpu);

	if (error || !(*vcpu)->running)
		return error;
	vcpu_unlock(*vcpu);
	return -EBUSY;
}

/* Destinations of an IPI exit: enough for as many vCPUs as a VM may have. */
#define IPI_WORDS 16

/* As much of them as there is room for, here and at the program's. */
static size_t copy_destinations(struct vcpu *vcpu, const struct vm_run *run, uint64_t *words)
{
	size_t size = BITMAP_WORDS(vcpu->vm->max_vcpus) * sizeof(uint64_t);

	if (vcpu->exit.exitcode != VM_EXITCODE_IPI)
		return 0;
	size = min_t(size_t, min_t(size_t, size, run->cpusetsize), IPI_WORDS * sizeof(uint64_t));
	memcpy(words, lapic_ipi_destinations(vcpu), size);
	return size;
}

static int ioctl_run_vcpu(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_run *run = arg;
	uint64_t destinations[IPI_WORDS];
	struct vm_exit exit;
	size_t size;
	int error = take_idle_vcpu(vm, run->cpuid, &vcpu);

	if (error)
		return error;
	vcpu->reply_mode = false;
	error = vcpu_run(vcpu);
	exit = vcpu->exit;
	size = copy_destinations(vcpu, run, destinations);
	vcpu_unlock(vcpu);
	if (!error && size)
		error = os_copyout(destinations, run->cpuset, size);
	return error ? error : os_copyout(&exit, run->vm_exit, sizeof(exit));
}

/* What the frequent exits fill in: more of them says nothing to the program. */
#define EXIT_WORDS(type) ((offsetof(struct vm_exit, u) + sizeof(type)) / sizeof(uint64_t))
#define SHORT_WORDS	 EXIT_WORDS(uint64_t)
#define MEMORY_WORDS	 EXIT_WORDS(struct vm_mmio)
_Static_assert(sizeof(struct vm_inout) == sizeof(uint64_t), "an exit's words");
_Static_assert(sizeof(struct vm_mmio) % sizeof(uint64_t) == 0, "an exit's words");

/* All give the vCPU up before they touch the program's memory. */
static int give_short(struct vcpu *vcpu, struct vm_exit *to)
{
	uint64_t words[SHORT_WORDS];

	memcpy(words, &vcpu->exit, sizeof(words));
	vcpu_unlock(vcpu);
	return os_copyout_words(words, to, SHORT_WORDS);
}

static int give_memory(struct vcpu *vcpu, struct vm_exit *to)
{
	uint64_t words[MEMORY_WORDS];

	memcpy(words, &vcpu->exit, sizeof(words));
	vcpu_unlock(vcpu);
	return os_copyout_words(words, to, MEMORY_WORDS);
}

static noinline int give_exit(struct vcpu *vcpu, struct vm_exit *to)
{
	struct vm_exit exit = vcpu->exit;

	vcpu_unlock(vcpu);
	return os_copyout(&exit, to, sizeof(exit));
}

/* What the program says of the last access, for vcpu_run() to act on. */
static void take_reply(struct vcpu *vcpu, uint32_t flags, uint64_t reply)
{
	vcpu->reply_mode = true;
	if (!(flags & VM_RUN_F_REPLY))
		return;
	vcpu->access.replied = true;
	if (!vcpu->access.write)
		vcpu->access.data = reply;
}

/* take_idle_vcpu() where nothing is in the way, else NULL. */
static struct vcpu *try_take_idle_vcpu(struct vm *vm, int id)
{
	struct vcpu *vcpu = vm_vcpu(vm, id);

	if (unlikely(!vcpu) || unlikely(!os_mutex_trylock(&vcpu->mutex)))
		return NULL;
	if (likely(!vcpu->running && !READ_ONCE(vm->destroyed)))
		return vcpu;
	vcpu_unlock(vcpu);
	return NULL;
}

static int give(struct vcpu *vcpu, struct vm_exit *to)
{
	switch (vcpu->exit.exitcode) {
	case VM_EXITCODE_INOUT:
	case VM_EXITCODE_SUSPENDED:
	case VM_EXITCODE_BOGUS:
		return give_short(vcpu, to);
	case VM_EXITCODE_MMIO:
		return give_memory(vcpu, to);
	default:
		return give_exit(vcpu, to);
	}
}

static int run_and_give(struct vcpu *vcpu, struct vm_exit *to)
{
	int error = vcpu_run(vcpu);

	if (likely(!error))
		return give(vcpu, to);
	vcpu_unlock(vcpu);
	return error;
}

/* By itself, so that the short way has nothing on its stack. */
static noinline int run_reply_contended(struct vm *vm, int cpuid, uint32_t flags, uint64_t reply,
					struct vm_exit *to)
{
	struct vcpu *vcpu;
	int error = take_idle_vcpu(vm, cpuid, &vcpu);

	if (error)
		return error;
	take_reply(vcpu, flags, reply);
	return run_and_give(vcpu, to);
}

int ioctl_run_reply(struct vm *vm, int cpuid, uint32_t flags, uint64_t reply, struct vm_exit *to)
{
	struct vcpu *vcpu;

	if (flags & ~VM_RUN_F_REPLY)
		return -EINVAL;
	vcpu = try_take_idle_vcpu(vm, cpuid);
	if (unlikely(!vcpu))
		return run_reply_contended(vm, cpuid, flags, reply, to);
	take_reply(vcpu, flags, reply);
	return run_and_give(vcpu, to);
}

static int ioctl_run_vcpu_reply(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_run_reply *run = arg;

	(void)vcpu;
	return ioctl_run_reply(vm, run->cpuid, run->flags, run->reply, run->vm_exit);
}

static int ioctl_suspend(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_suspend *suspend = arg;

	(void)vcpu;
	if ((int)suspend->how <= VM_SUSPEND_NONE || suspend->how >= VM_SUSPEND_DESTROY)
		return -EINVAL;
	return vm_suspend(vm, suspend->how);
}

static int ioctl_reinit(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vcpu;
	(void)arg;
	return vm_reinit(vm);
}

static int ioctl_restart_instruction(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vm;
	(void)arg;
	vcpu->resume_rip = vcpu->rip;
	vcpu->access_pending = false;
	return 0;
}

/* --- memory -------------------------------------------------------------------- */

static int ioctl_alloc_memseg(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	struct vm_memseg *seg = arg;

	(void)vcpu;
	if (seg->name[VM_MAX_SUFFIXLEN])
		return -EINVAL;
	return memory_alloc_segment(vm, seg->segid, seg->len, seg->name);
}

/* A segment that is not there has length 0, as bhyve has it. */
static int ioctl_get_memseg(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	struct vm_memseg *result = arg;
	struct memseg *seg = memory_segment(vm, result->segid);

	(void)vcpu;
	if (result->segid < 0 || result->segid >= MEMSEG_MAX)
		return -EINVAL;
	memset(result->name, 0, sizeof(result->name));
	result->len = seg ? memseg_len(seg) : 0;
	if (seg)
		strscpy(result->name, memseg_name(seg), sizeof(result->name));
	return 0;
}

static int ioctl_mmap_memseg(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vcpu;
	return memory_map(vm, arg);
}

static int ioctl_munmap_memseg(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_munmap *map = arg;

	(void)vcpu;
	return memory_unmap(vm, map->gpa, map->len);
}

static int ioctl_mmap_getnext(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vcpu;
	return memory_getnext(vm, arg);
}

static int ioctl_get_gpa_pmap(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	struct vm_gpa_pte *result = arg;

	(void)vcpu;
	result->ptenum = (int)npt_lookup(&vm->npt, result->gpa, result->pte);
	return 0;
}

/* Run the guest's own tables; memory that has no backing yet is given some. */
static int gla2gpa(struct vcpu *vcpu, struct vm_gla2gpa *arg, unsigned int access,
		   uint32_t *error_code)
{
	int error;

	if (arg->prot & VM_PROT_WRITE)
		access |= WALK_WRITE;
	if (arg->prot & VM_PROT_EXEC)
		access |= WALK_EXECUTE;
	/* Each turn gives backing to one table more: five at most, and some for races. */
	for (int turn = 0; turn < 16; turn++) {
		error = walk_translate(vcpu, &arg->paging, arg->gla, access, &arg->gpa, error_code);
		if (error == -EAGAIN)
			error = memory_populate(vcpu->vm, arg->gpa);
		else if (error != -EBUSY)
			break;
		if (error && error != -EBUSY)
			return error;
	}
	arg->fault = error == -EFAULT;
	return error == -EFAULT ? 0 : error;
}

static bool paging_valid(const struct vm_guest_paging *paging)
{
	return paging->cpl >= 0 && paging->cpl <= 3 && (int)paging->cpu_mode >= 0 &&
	       paging->cpu_mode <= CPU_MODE_64BIT && (int)paging->paging_mode >= 0 &&
	       paging->paging_mode <= PAGING_MODE_64_LA57;
}

static int ioctl_gla2gpa_nofault(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	struct vm_gla2gpa *request = arg;
	uint32_t error_code;

	(void)vm;
	if (!paging_valid(&request->paging))
		return -EINVAL;
	return gla2gpa(vcpu, request, WALK_PROBE, &error_code);
}

static int ioctl_gla2gpa(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	struct vm_gla2gpa *request = arg;
	uint32_t error_code = 0;
	int error;

	(void)vm;
	if (!paging_valid(&request->paging))
		return -EINVAL;
	error = gla2gpa(vcpu, request, 0, &error_code);
	if (!error && request->fault)
		vcpu_raise_page_fault(vcpu, request->gla, error_code);
	return error;
}

/* --- registers ----------------------------------------------------------------- */

static int ioctl_set_register(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_register *reg = arg;

	(void)vm;
	return vcpu_set_register(vcpu, reg->regnum, reg->regval);
}

static int ioctl_get_register(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	struct vm_register *reg = arg;

	(void)vm;
	return vcpu_get_register(vcpu, reg->regnum, &reg->regval);
}

static bool has_descriptor(int reg)
{
	return reg >= VM_REG_GUEST_ES && reg <= VM_REG_GUEST_GDTR;
}

static int ioctl_set_descriptor(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_seg_desc *desc = arg;

	(void)vm;
	if (!has_descriptor(desc->regnum))
		return -EINVAL;
	return backend->set_desc(vcpu, desc->regnum, &desc->desc);
}

static int ioctl_get_descriptor(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	struct vm_seg_desc *desc = arg;

	(void)vm;
	if (!has_descriptor(desc->regnum))
		return -EINVAL;
	return backend->get_desc(vcpu, desc->regnum, &desc->desc);
}

/* A set of registers, here while the vCPU is held. */
struct registers {
	unsigned int count;
	int number[VM_REG_LAST];
	uint64_t value[VM_REG_LAST];
};

static int registers_copyin(struct registers *registers, const struct vm_register_set *set)
{
	if (set->count > VM_REG_LAST)
		return -EINVAL;
	registers->count = set->count;
	return os_copyin(set->regnums, registers->number, set->count * sizeof(int));
}

/* Does 'one' with each register of the set, up to the first that fails. */
static int registers_each(struct vm *vm, int id, struct registers *registers,
			  int (*one)(struct vcpu *vcpu, int reg, uint64_t *value))
{
	struct vcpu *vcpu;
	int error = take_vcpu(vm, id, &vcpu);

	if (error)
		return error;
	for (unsigned int i = 0; i < registers->count && !error; i++)
		error = one(vcpu, registers->number[i], &registers->value[i]);
	vcpu_unlock(vcpu);
	return error;
}

static int registers_set_one(struct vcpu *vcpu, int reg, uint64_t *value)
{
	return vcpu_set_register(vcpu, reg, *value);
}

static int ioctl_set_register_set(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_register_set *set = arg;
	struct registers registers;
	int error = registers_copyin(&registers, set);

	(void)vcpu;
	if (!error)
		error = os_copyin(set->regvals, registers.value, set->count * sizeof(uint64_t));
	return error ? error : registers_each(vm, set->cpuid, &registers, registers_set_one);
}

static int ioctl_get_register_set(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_register_set *set = arg;
	struct registers registers;
	int error = registers_copyin(&registers, set);

	(void)vcpu;
	if (!error)
		error = registers_each(vm, set->cpuid, &registers, vcpu_get_register);
	if (error)
		return error;
	return os_copyout(registers.value, set->regvals, set->count * sizeof(uint64_t));
}

/* --- events and interrupts ------------------------------------------------------- */

static int ioctl_inject_exception(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_exception *exception = arg;

	(void)vm;
	if (exception->vector < 0 || exception->vector > 31 || exception->vector == VECTOR_NMI)
		return -EINVAL;
	if (vcpu->exception)
		return -EBUSY;
	if (exception->error_code_valid)
		vcpu_raise_error(vcpu, (uint8_t)exception->vector, exception->error_code);
	else
		vcpu_raise(vcpu, (uint8_t)exception->vector);
	if (exception->restart_instruction)
		return ioctl_restart_instruction(vm, vcpu, NULL);
	return 0;
}

static int ioctl_inject_nmi(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_nmi *nmi = arg;

	vcpu = vm_vcpu(vm, nmi->cpuid);
	if (!vcpu)
		return -EINVAL;
	vcpu_nmi(vcpu);
	return 0;
}

static int ioctl_get_intinfo(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	struct vm_intinfo *info = arg;

	(void)vm;
	info->info1 = vcpu->exitintinfo;
	info->info2 = vcpu->exception;
	return 0;
}

/* An interrupted delivery is put back: an interrupt, an NMI or an exception. */
static bool intinfo_valid(uint64_t info)
{
	unsigned int vector = VM_INTINFO_VECTOR(info);

	if (!(info & VM_INTINFO_VALID) || (info & VM_INTINFO_RSVD))
		return false;
	switch (info & VM_INTINFO_TYPE) {
	case VM_INTINFO_HWINTR:
		return vector >= 16 && !(info & VM_INTINFO_DEL_ERRCODE);
	case VM_INTINFO_NMI:
		return vector == VECTOR_NMI && !(info & VM_INTINFO_DEL_ERRCODE);
	case VM_INTINFO_HWEXCEPTION:
		return vector < 32 && vector != VECTOR_NMI;
	default:
		return false;
	}
}

static int ioctl_set_intinfo(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_intinfo *info = arg;

	(void)vm;
	if (info->info1 && !intinfo_valid(info->info1))
		return -EINVAL;
	if (info->info1)
		vcpu_set_exitintinfo(vcpu, info->info1);
	else
		vcpu->exitintinfo = 0;
	return 0;
}

static int ioctl_lapic_irq(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_lapic_irq *irq = arg;

	vcpu = vm_vcpu(vm, irq->cpuid);
	/* Vectors below 16 are reserved (APM vol. 2, 16.6.3). */
	if (!vcpu || irq->vector < 16 || irq->vector > 255)
		return -EINVAL;
	(void)lapic_post(vcpu, (uint8_t)irq->vector, false);
	return 0;
}

static int ioctl_lapic_local_irq(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_lapic_irq *irq = arg;

	if (irq->cpuid == -1)
		return lapic_local_irq_all(vm, (unsigned int)irq->vector);
	vcpu = vm_vcpu(vm, irq->cpuid);
	return vcpu ? lapic_local_irq(vcpu, (unsigned int)irq->vector) : -EINVAL;
}

static int ioctl_lapic_msi(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_lapic_msi *msi = arg;

	(void)vcpu;
	return lapic_msi(vm, msi->addr, msi->msg);
}

static int ioctl_ioapic_assert(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vcpu;
	return ioapic_assert(vm, ((const struct vm_ioapic_irq *)arg)->irq);
}

static int ioctl_ioapic_deassert(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vcpu;
	return ioapic_deassert(vm, ((const struct vm_ioapic_irq *)arg)->irq);
}

static int ioctl_ioapic_pulse(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vcpu;
	return ioapic_pulse(vm, ((const struct vm_ioapic_irq *)arg)->irq);
}

static int ioctl_ioapic_pincount(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vm;
	(void)vcpu;
	*(int *)arg = IOAPIC_PINS;
	return 0;
}

/* An ISA interrupt drives the 8259 and, unless it is -1, a pin of the I/O APIC. */
static int isa_irq(struct vm *vm, const struct vm_isa_irq *irq, int (*pic)(struct vm *, int),
		   int (*ioapic)(struct vm *, int))
{
	int error = pic(vm, irq->atpic_irq);

	if (error || irq->ioapic_irq == -1)
		return error;
	return ioapic(vm, irq->ioapic_irq);
}

static int ioctl_isa_assert(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vcpu;
	return isa_irq(vm, arg, pic_assert, ioapic_assert);
}

static int ioctl_isa_deassert(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vcpu;
	return isa_irq(vm, arg, pic_deassert, ioapic_deassert);
}

static int ioctl_isa_pulse(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vcpu;
	return isa_irq(vm, arg, pic_pulse, ioapic_pulse);
}

static int ioctl_isa_set_trigger(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_isa_irq_trigger *trigger = arg;

	(void)vcpu;
	if (trigger->trigger != EDGE_TRIGGER && trigger->trigger != LEVEL_TRIGGER)
		return -EINVAL;
	return pic_set_trigger(vm, trigger->atpic_irq, trigger->trigger);
}

/* --- devices ----------------------------------------------------------------------- */

static int kernemu(struct vcpu *vcpu, struct vm_readwrite_kernemu_device *access, bool write)
{
	unsigned int size;

	if (access->access_width > 3)
		return -EINVAL;
	size = 1u << access->access_width;
	if (device_mmio(vcpu, access->gpa, write, size, &access->value))
		return -EINVAL;
	return 0;
}

static int ioctl_set_kernemu(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vm;
	return kernemu(vcpu, arg, true);
}

static int ioctl_get_kernemu(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vm;
	return kernemu(vcpu, arg, false);
}

static int ioctl_set_x2apic(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_x2apic *x2apic = arg;

	(void)vm;
	if (x2apic->state != X2APIC_DISABLED && x2apic->state != X2APIC_ENABLED)
		return -EINVAL;
	return lapic_set_x2apic_state(vcpu, x2apic->state);
}

static int ioctl_get_x2apic(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	struct vm_x2apic *x2apic = arg;

	(void)vm;
	x2apic->state = lapic_get_x2apic_state(vcpu);
	return 0;
}

static int ioctl_hpet_capabilities(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vcpu;
	((struct vm_hpet_cap *)arg)->capabilities = hpet_capabilities(vm);
	return 0;
}

static int ioctl_rtc_read(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	struct vm_rtc_data *data = arg;

	(void)vcpu;
	return rtc_nvram_read(vm, data->offset, &data->value);
}

static int ioctl_rtc_write(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_rtc_data *data = arg;

	(void)vcpu;
	return rtc_nvram_write(vm, data->offset, data->value);
}

static int ioctl_rtc_settime(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vcpu;
	return rtc_settime(vm, ((const struct vm_rtc_time *)arg)->secs);
}

static int ioctl_rtc_gettime(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vcpu;
	((struct vm_rtc_time *)arg)->secs = rtc_gettime(vm);
	return 0;
}

/* --- vCPUs --------------------------------------------------------------------------- */

/* Capabilities that need nothing of the hardware beyond what every exit does. */
#define SOFTWARE_CAPABILITIES \
	(1u << VM_CAP_HALT_EXIT | 1u << VM_CAP_IPI_EXIT | 1u << VM_CAP_MASK_HWINTR)

static int set_capability(struct vcpu *vcpu, enum vm_cap_type type, bool on)
{
	int error = 0;

	if (!(SOFTWARE_CAPABILITIES & 1u << type))
		error = backend->offers.set_capability ?
				backend->offers.set_capability(vcpu, type, on) :
				-ENOTSUP;
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

static int ioctl_set_capability(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_capability *capability = arg;

	(void)vm;
	if ((int)capability->captype < 0 || capability->captype >= VM_CAP_MAX)
		return -EINVAL;
	return set_capability(vcpu, capability->captype, capability->capval != 0);
}

static int ioctl_get_capability(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	struct vm_capability *capability = arg;

	(void)vm;
	if ((int)capability->captype < 0 || capability->captype >= VM_CAP_MAX)
		return -EINVAL;
	capability->capval = vcpu->capabilities >> capability->captype & 1;
	return 0;
}

static int ioctl_activate_cpu(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)arg;
	if (bitmap_test_bit(vm->active, (unsigned int)vcpu->id))
		return -EBUSY;
	bitmap_set_bit(vm->active, (unsigned int)vcpu->id);
	return 0;
}

static void hold_cpu(struct vcpu *vcpu, bool hold)
{
	if (hold)
		bitmap_set_bit(vcpu->vm->debug, (unsigned int)vcpu->id);
	else
		bitmap_clear_bit(vcpu->vm->debug, (unsigned int)vcpu->id);
	vcpu_request(vcpu, VCPU_REQ_DEBUG);
}

/* vcpuid -1 means all vCPUs that are active. */
static int hold_cpus(struct vm *vm, int id, bool hold)
{
	struct vcpu *vcpu = vm_vcpu(vm, id);

	if (id != -1) {
		if (!vcpu || !bitmap_test_bit(vm->active, (unsigned int)id))
			return -EINVAL;
		if (bitmap_test_bit(vm->debug, (unsigned int)id) == hold)
			return -EALREADY;
		hold_cpu(vcpu, hold);
		return 0;
	}
	for (uint32_t i = 0; i < vm->max_vcpus; i++) {
		vcpu = vm_vcpu(vm, (int)i);
		if (vcpu && bitmap_test_bit(vm->active, i))
			hold_cpu(vcpu, hold);
	}
	return 0;
}

static int ioctl_suspend_cpu(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vcpu;
	return hold_cpus(vm, ((const struct vm_activate_cpu *)arg)->vcpuid, true);
}

static int ioctl_resume_cpu(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vcpu;
	return hold_cpus(vm, ((const struct vm_activate_cpu *)arg)->vcpuid, false);
}

static int ioctl_get_cpus(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const uint64_t *const sets[] = {
		[VM_ACTIVE_CPUS] = vm->active,
		[VM_SUSPENDED_CPUS] = vm->suspended,
		[VM_DEBUG_CPUS] = vm->debug,
	};
	const struct vm_cpuset *set = arg;
	size_t size = BITMAP_WORDS(vm->max_vcpus) * sizeof(uint64_t);

	(void)vcpu;
	if (set->which < 0 || set->which >= (int)ARRAY_SIZE(sets))
		return -EINVAL;
	if (set->cpusetsize < (int)size)
		return -ERANGE;
	return os_copyout(sets[set->which], set->cpus, size);
}

static int ioctl_set_topology(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	const struct vm_cpu_topology *topology = arg;
	uint32_t count = (uint32_t)topology->sockets * topology->cores;

	(void)vcpu;
	if (!topology->sockets || !topology->cores || !topology->threads)
		return -EINVAL;
	if (count > UINT16_MAX || count * topology->threads > vm->max_vcpus)
		return -EINVAL;
	/* As on bhyve: the limit itself is the module's maxcpu. */
	if (topology->maxcpus && topology->maxcpus > vm->max_vcpus)
		return -EINVAL;
	vm->topology.sockets = topology->sockets;
	vm->topology.cores = topology->cores;
	vm->topology.threads = topology->threads;
	cpuid_update(vm);
	lapic_topology_changed(vm);
	return 0;
}

static int ioctl_get_topology(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	(void)vcpu;
	*(struct vm_cpu_topology *)arg = vm->topology;
	return 0;
}

/* --- statistics ---------------------------------------------------------------------- */

static void time_of(uint64_t nanoseconds, struct vm_timeval *time)
{
	time->tv_sec = (int64_t)(nanoseconds / 1000000000);
	time->tv_usec = (int64_t)(nanoseconds % 1000000000 / 1000);
}

/* Read while the vCPU runs: each counter is one word, so none is torn. */
static int ioctl_stats(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	struct vm_stats *stats = arg;
	unsigned int count = stats_count();

	vcpu = vm_vcpu(vm, stats->cpuid);
	if (!vcpu || stats->index < 0)
		return -EINVAL;
	stats->num_entries = 0;
	for (unsigned int i = (unsigned int)stats->index;
	     i < count && stats->num_entries < MAX_VM_STATS; i++)
		stats->statbuf[stats->num_entries++] = READ_ONCE(vcpu->stats[i]);
	time_of(os_now_ns(), &stats->tv);
	return 0;
}

static int ioctl_stat_desc(struct vm *vm, struct vcpu *vcpu, void *arg)
{
	struct vm_stat_desc *desc = arg;
	const char *name = desc->index < 0 ? NULL : stats_name((unsigned int)desc->index);

	(void)vm;
	(void)vcpu;
	if (!name)
		return -EINVAL;
	strscpy(desc->desc, name, sizeof(desc->desc));
	return 0;
}

/* --- the table -------------------------------------------------------------------------- */

#define ROW(name, lock_, handler_) \
	[_IOC_NR(name)] = { .command = (name), .lock = IOCTL_LOCK_##lock_, .handler = (handler_) }

static const struct ioctl_row rows[256] = {
	ROW(VM_RUN, SELF, ioctl_run_vcpu),
	ROW(VM_RUN_REPLY, SELF, ioctl_run_vcpu_reply),
	ROW(VM_RESTART_INSTRUCTION, VCPU, ioctl_restart_instruction),
	ROW(VM_SUSPEND, NONE, ioctl_suspend),
	ROW(VM_REINIT, ALL, ioctl_reinit),

	ROW(VM_ALLOC_MEMSEG, ALL, ioctl_alloc_memseg),
	ROW(VM_GET_MEMSEG, VM, ioctl_get_memseg),
	ROW(VM_MMAP_MEMSEG, ALL, ioctl_mmap_memseg),
	ROW(VM_MUNMAP_MEMSEG, ALL, ioctl_munmap_memseg),
	ROW(VM_MMAP_GETNEXT, VM, ioctl_mmap_getnext),
	ROW(VM_GET_GPA_PMAP, ALL, ioctl_get_gpa_pmap),
	ROW(VM_GLA2GPA, VCPU, ioctl_gla2gpa),
	ROW(VM_GLA2GPA_NOFAULT, VCPU, ioctl_gla2gpa_nofault),

	ROW(VM_SET_REGISTER, VCPU, ioctl_set_register),
	ROW(VM_GET_REGISTER, VCPU, ioctl_get_register),
	ROW(VM_SET_REGISTER_SET, SELF, ioctl_set_register_set),
	ROW(VM_GET_REGISTER_SET, SELF, ioctl_get_register_set),
	ROW(VM_SET_SEGMENT_DESCRIPTOR, VCPU, ioctl_set_descriptor),
	ROW(VM_GET_SEGMENT_DESCRIPTOR, VCPU, ioctl_get_descriptor),

	ROW(VM_INJECT_EXCEPTION, VCPU, ioctl_inject_exception),
	ROW(VM_INJECT_NMI, NONE, ioctl_inject_nmi),
	ROW(VM_GET_INTINFO, VCPU, ioctl_get_intinfo),
	ROW(VM_SET_INTINFO, VCPU, ioctl_set_intinfo),
	ROW(VM_LAPIC_IRQ, NONE, ioctl_lapic_irq),
	ROW(VM_LAPIC_LOCAL_IRQ, NONE, ioctl_lapic_local_irq),
	ROW(VM_LAPIC_MSI, NONE, ioctl_lapic_msi),
	ROW(VM_IOAPIC_ASSERT_IRQ, NONE, ioctl_ioapic_assert),
	ROW(VM_IOAPIC_DEASSERT_IRQ, NONE, ioctl_ioapic_deassert),
	ROW(VM_IOAPIC_PULSE_IRQ, NONE, ioctl_ioapic_pulse),
	ROW(VM_IOAPIC_PINCOUNT, NONE, ioctl_ioapic_pincount),
	ROW(VM_ISA_ASSERT_IRQ, NONE, ioctl_isa_assert),
	ROW(VM_ISA_DEASSERT_IRQ, NONE, ioctl_isa_deassert),
	ROW(VM_ISA_PULSE_IRQ, NONE, ioctl_isa_pulse),
	ROW(VM_ISA_SET_IRQ_TRIGGER, NONE, ioctl_isa_set_trigger),

	ROW(VM_SET_KERNEMU_DEV, VCPU, ioctl_set_kernemu),
	ROW(VM_GET_KERNEMU_DEV, VCPU, ioctl_get_kernemu),
	ROW(VM_SET_X2APIC_STATE, VCPU, ioctl_set_x2apic),
	ROW(VM_GET_X2APIC_STATE, VCPU, ioctl_get_x2apic),
	ROW(VM_GET_HPET_CAPABILITIES, NONE, ioctl_hpet_capabilities),
	ROW(VM_RTC_READ, NONE, ioctl_rtc_read),
	ROW(VM_RTC_WRITE, NONE, ioctl_rtc_write),
	ROW(VM_RTC_SETTIME, NONE, ioctl_rtc_settime),
	ROW(VM_RTC_GETTIME, NONE, ioctl_rtc_gettime),

	ROW(VM_SET_CAPABILITY, VCPU, ioctl_set_capability),
	ROW(VM_GET_CAPABILITY, VCPU, ioctl_get_capability),
	ROW(VM_ACTIVATE_CPU, VCPU, ioctl_activate_cpu),
	ROW(VM_SUSPEND_CPU, NONE, ioctl_suspend_cpu),
	ROW(VM_RESUME_CPU, NONE, ioctl_resume_cpu),
	ROW(VM_GET_CPUS, NONE, ioctl_get_cpus),
	ROW(VM_SET_TOPOLOGY, ALL, ioctl_set_topology),
	ROW(VM_GET_TOPOLOGY, VM, ioctl_get_topology),

	ROW(VM_BIND_PPTDEV, ALL, ppt_ioctl_bind),
	ROW(VM_UNBIND_PPTDEV, ALL, ppt_ioctl_unbind),
	ROW(VM_MAP_PPTDEV_MMIO, ALL, ppt_ioctl_map_mmio),
	ROW(VM_UNMAP_PPTDEV_MMIO, ALL, ppt_ioctl_unmap_mmio),
	ROW(VM_PPTDEV_MSI, VM, ppt_ioctl_msi),
	ROW(VM_PPTDEV_MSIX, VM, ppt_ioctl_msix),
	ROW(VM_PPTDEV_DISABLE_MSIX, VM, ppt_ioctl_disable_msix),
	ROW(VM_PPTDEV_INTX, VM, ppt_ioctl_intx),
	ROW(VM_PPTDEV_RESET, VM, ppt_ioctl_reset),
	ROW(VM_PPTDEV_LIMITS, VM, ppt_ioctl_limits),

	ROW(VM_STATS, NONE, ioctl_stats),
	ROW(VM_STAT_DESC, NONE, ioctl_stat_desc),
};

const struct ioctl_row *ioctl_lookup(unsigned int command)
{
	const struct ioctl_row *row = &rows[_IOC_NR(command)];

	return row->handler && row->command == command ? row : NULL;
}

/* --- locking ------------------------------------------------------------------------------ */

static int run_unlocked(struct vm *vm, const struct ioctl_row *row, void *arg)
{
	if (READ_ONCE(vm->destroyed))
		return -ENXIO;
	return row->handler(vm, NULL, arg);
}

static int run_vm_locked(struct vm *vm, const struct ioctl_row *row, void *arg)
{
	int error = os_mutex_lock_killable(&vm->lock);

	if (error)
		return error;
	error = run_unlocked(vm, row, arg);
	os_mutex_unlock(&vm->lock);
	return error;
}

static int run_frozen(struct vm *vm, const struct ioctl_row *row, void *arg)
{
	int error = os_mutex_lock_killable(&vm->lock);

	if (error)
		return error;
	error = vm_freeze(vm);
	if (!error) {
		error = run_unlocked(vm, row, arg);
		vm_thaw(vm);
	}
	os_mutex_unlock(&vm->lock);
	return error;
}

static int run_vcpu_locked(struct vm *vm, const struct ioctl_row *row, void *arg)
{
	struct vcpu *vcpu;
	int error = take_vcpu(vm, *(const int *)arg, &vcpu);

	if (error)
		return error;
	error = row->handler(vm, vcpu, arg);
	vcpu_unlock(vcpu);
	return error;
}

int ioctl_run(struct vm *vm, const struct ioctl_row *row, void *arg)
{
	switch (row->lock) {
	case IOCTL_LOCK_VCPU:
		return run_vcpu_locked(vm, row, arg);
	case IOCTL_LOCK_VM:
		return run_vm_locked(vm, row, arg);
	case IOCTL_LOCK_ALL:
		return run_frozen(vm, row, arg);
	default:
		return run_unlocked(vm, row, arg);
	}
}
