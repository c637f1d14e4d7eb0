// SPDX-License-Identifier: BSD-2-Clause
/*
 * Hardware task switches (APM vol. 2, chapter 12; SDM vol. 3, chapter 7), which the
 * processors leave to the hypervisor. Privileges of the CALL, JMP or gate have been
 * checked by the hardware, except the gate's of an INT n on AMD.
 *
 * In two halves. Up to the commit everything that may fault has been tried, and a
 * fault is the old task's, with nothing changed. After it faults are the new task's:
 * its registers are in place, and segments are loaded one by one.
 */
#include "x86/emulate/task_switch.h"

#include "x86/cpu/control.h"
#include "x86/emulate/emulate_state.h"
#include "x86/paging/linear.h"
#include "vm/regs.h"
#include "x86/emulate/skip.h"
#include "x86/emulate/task.h"

/* Offsets and sizes in a TSS of 32 bits (SDM vol. 3, 7.2.1) and of 16 (7.6). */
#define TSS32_CR3	0x1c
#define TSS32_EIP	0x20
#define TSS32_SELECTORS 0x48
#define TSS32_LDT	0x60
#define TSS32_TRAP	0x64
#define TSS32_SIZE	0x68
#define TSS16_IP	0x0e
#define TSS16_SELECTORS 0x22
#define TSS16_LDT	0x2a
#define TSS16_SIZE	0x2c

/* EIP, EFLAGS and eight general registers lie in a row, then the selectors. */
#define SAVED_REGISTERS 10
#define DR7_LOCAL	(REG_DR7_LOCAL_ENABLES | 1ull << 8)
#define RFLAGS_LOADABLE 0x003f7fd5ull

/* Register numbers of the selectors, in a TSS's order. */
static const int selector_reg[] = { VM_REG_GUEST_ES, VM_REG_GUEST_CS, VM_REG_GUEST_SS,
				    VM_REG_GUEST_DS, VM_REG_GUEST_FS, VM_REG_GUEST_GS };

/* What a TSS holds of a task. */
struct task_image {
	uint32_t cr3;
	uint32_t word[SAVED_REGISTERS]; /* EIP, EFLAGS, EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI */
	uint16_t selector[6];
	uint16_t ldt;
	bool trap;
};

struct task_switch {
	struct vcpu *vcpu;
	struct x86_task_switch what;
	uint16_t old_selector;
	struct seg_desc old;
	uint64_t descriptor; /* raw, of the new TSS */
	struct seg_desc next;
	struct task_image image; /* the new task's */
};

static bool is_32bit(const struct seg_desc *tss)
{
	return tss->access & 8;
}

static bool is_nested(const struct task_switch *task)
{
	return task->what.reason == TSR_CALL || task->what.reason == TSR_IDT_GATE;
}

static bool is_event(const struct x86_task_switch *what)
{
	return what->reason == TSR_IDT_GATE;
}

static bool is_software_interrupt(const struct x86_task_switch *what)
{
	return is_event(what) && (what->intinfo & VM_INTINFO_TYPE) == VM_INTINFO_SWINTR;
}

/* EXT of error codes: the event came from outside the running code. */
static uint32_t external_bit(const struct task_switch *task)
{
	return is_event(&task->what) && !is_software_interrupt(&task->what) ? SELERR_EXT : 0;
}

/* Raises an exception about a selector. */
static int task_fault(const struct task_switch *task, uint8_t vector, uint16_t selector)
{
	vcpu_raise_error(task->vcpu, vector, (selector & 0xfffcu) | external_bit(task));
	return -EFAULT;
}

/* --- before the commit ---------------------------------------------------- */

/* An INT n must be allowed to use its gate. */
static int check_gate(const struct task_switch *task)
{
	unsigned int vector = VM_INTINFO_VECTOR(task->what.intinfo);
	struct vm_guest_paging paging;
	struct seg_desc idt = { 0 };
	uint64_t gate;
	int error;

	if (!is_software_interrupt(&task->what))
		return 0;
	(void)backend->get_desc(task->vcpu, VM_REG_GUEST_IDTR, &idt);
	error = linear_read(task->vcpu, (uint32_t)(idt.base + vector * 8), &gate, sizeof(gate),
			    WALK_SYSTEM);
	if (error)
		return error;
	x86_paging(task->vcpu, &paging);
	if ((gate >> 45 & 3) >= (uint64_t)paging.cpl)
		return 0;
	vcpu_raise_error(task->vcpu, VECTOR_GP, vector * 8 | SELERR_IDT);
	return -EFAULT;
}

/* The new TSS's descriptor: in the GDT, of the right type, present, long enough. */
static int read_new_descriptor(struct task_switch *task)
{
	bool returns = task->what.reason == TSR_IRET;
	uint8_t vector = returns ? VECTOR_TS : VECTOR_GP;
	uint16_t selector = task->what.selector;
	uint32_t type;
	int error;

	if ((selector & 4) || selector < 8)
		return task_fault(task, vector, selector);
	error = task_read_descriptor(task->vcpu, selector, &task->descriptor);
	if (error == -ENOENT)
		return task_fault(task, vector, selector);
	if (error)
		return error;
	task->next = task_parse_descriptor(task->descriptor);
	type = task->next.access & SEG_ACCESS_TYPE;
	if ((type & ~8u) != (returns ? SEG_TYPE_TSS16_BUSY : SEG_TYPE_TSS16))
		return task_fault(task, vector, selector);
	if (!(task->next.access & SEG_ACCESS_PRESENT))
		return task_fault(task, VECTOR_NP, selector);
	if (task->next.limit < (is_32bit(&task->next) ? TSS32_SIZE : TSS16_SIZE) - 1)
		return task_fault(task, VECTOR_TS, selector);
	return 0;
}

static uint32_t tss_word32(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

static uint16_t tss_word16(const uint8_t *bytes)
{
	uint16_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

static void decode_32(struct task_image *image, const uint8_t *tss)
{
	image->cr3 = tss_word32(tss + TSS32_CR3);
	for (unsigned int i = 0; i < SAVED_REGISTERS; i++)
		image->word[i] = tss_word32(tss + TSS32_EIP + 4 * i);
	for (unsigned int i = 0; i < ARRAY_SIZE(selector_reg); i++)
		image->selector[i] = tss_word16(tss + TSS32_SELECTORS + 4 * i);
	image->ldt = tss_word16(tss + TSS32_LDT);
	image->trap = tss[TSS32_TRAP] & 1;
}

/* What 16 bits do not say: zeros for EIP and EFLAGS, ones above the registers, no FS, no GS. */
static void decode_16(struct task_image *image, const uint8_t *tss)
{
	for (unsigned int i = 0; i < SAVED_REGISTERS; i++)
		image->word[i] = tss_word16(tss + TSS16_IP + 2 * i) | (i < 2 ? 0 : 0xffff0000);
	for (unsigned int i = 0; i < 4; i++)
		image->selector[i] = tss_word16(tss + TSS16_SELECTORS + 2 * i);
	image->ldt = tss_word16(tss + TSS16_LDT);
}

static int read_new_image(struct task_switch *task)
{
	uint8_t tss[TSS32_SIZE] = { 0 };
	bool wide = is_32bit(&task->next);
	int error = linear_read(task->vcpu, task->next.base, tss, wide ? TSS32_SIZE : TSS16_SIZE,
				WALK_SYSTEM);

	if (error)
		return error;
	if (wide)
		decode_32(&task->image, tss);
	else
		decode_16(&task->image, tss);
	return 0;
}

/* Everything the commit is going to write. */
static int probe_writes(const struct task_switch *task)
{
	struct vcpu *vcpu = task->vcpu;
	unsigned int size = is_32bit(&task->old) ? TSS32_SIZE : TSS16_SIZE;
	int error;

	if (task->old.limit < size - 1)
		return task_fault(task, VECTOR_TS, task->old_selector);
	error = linear_probe_write(vcpu, task->old.base, size, WALK_SYSTEM);
	if (!error && is_nested(task))
		error = linear_probe_write(vcpu, task->next.base, 2, WALK_SYSTEM);
	if (!error)
		error = task_probe_descriptor(vcpu, task->what.selector);
	if (!error && !is_nested(task))
		error = task_probe_descriptor(vcpu, task->old_selector);
	return error == -ENOENT ? task_fault(task, VECTOR_TS, task->old_selector) : error;
}

static int prepare_task_switch(struct task_switch *task)
{
	int error = check_gate(task);

	if (!error)
		error = read_new_descriptor(task);
	if (!error)
		error = read_new_image(task);
	return error ? error : probe_writes(task);
}

/* --- the commit ----------------------------------------------------------- */

/* RIP is behind the instruction, or at the one that an event interrupted. */
static void collect_old(const struct task_switch *task, uint32_t word[SAVED_REGISTERS])
{
	const struct vcpu *vcpu = task->vcpu;
	uint64_t rflags = vcpu->rflags;

	if (task->what.reason == TSR_IRET)
		rflags &= ~REG_RFLAGS_NT;
	word[0] = (uint32_t)(vcpu->next_rip ? vcpu->next_rip : vcpu->rip);
	word[1] = (uint32_t)rflags;
	for (unsigned int i = 0; i < 8; i++)
		word[2 + i] = (uint32_t)vcpu->gpr[i];
}

static int save_old(const struct task_switch *task)
{
	struct vcpu *vcpu = task->vcpu;
	bool wide = is_32bit(&task->old);
	uint32_t word[SAVED_REGISTERS];
	uint64_t first = task->old.base + (wide ? TSS32_EIP : TSS16_IP);
	uint64_t selectors = task->old.base + (wide ? TSS32_SELECTORS : TSS16_SELECTORS);
	unsigned int step = wide ? 4 : 2;
	int error = 0;

	collect_old(task, word);
	for (unsigned int i = 0; !error && i < SAVED_REGISTERS; i++)
		error = linear_write(vcpu, first + step * i, &word[i], step, WALK_SYSTEM);
	for (unsigned int i = 0; !error && i < (wide ? 6 : 4); i++) {
		uint16_t selector = (uint16_t)vcpu_reg(vcpu, selector_reg[i]);

		error = linear_write(vcpu, selectors + step * i, &selector, 2, WALK_SYSTEM);
	}
	return error;
}

/* Busy flags and the link back. JMP and IRET leave the old task for good. */
static int link_tasks(const struct task_switch *task)
{
	struct vcpu *vcpu = task->vcpu;
	int error = 0;

	if (!is_nested(task))
		error = task_set_busy(vcpu, task->old_selector, false);
	if (!error && task->what.reason != TSR_IRET)
		error = task_set_busy(vcpu, task->what.selector, true);
	if (!error && is_nested(task))
		error = linear_write(vcpu, task->next.base, &task->old_selector, 2, WALK_SYSTEM);
	return error;
}

static void load_registers(const struct task_switch *task)
{
	const struct task_image *image = &task->image;
	struct vcpu *vcpu = task->vcpu;
	uint64_t rflags = (image->word[1] & RFLAGS_LOADABLE) | REG_RFLAGS_FIXED1;

	if (is_nested(task))
		rflags |= REG_RFLAGS_NT;
	vcpu->rip = image->word[0];
	vcpu->next_rip = 0;
	vcpu->rflags = rflags;
	vcpu->intr_shadow = false;
	for (unsigned int i = 0; i < 8; i++)
		vcpu->gpr[i] = image->word[2 + i];
}

static void load_task_register(const struct task_switch *task)
{
	struct seg_desc desc = task->next;
	uint64_t cr0 = vcpu_reg(task->vcpu, VM_REG_GUEST_CR0);
	uint64_t dr7 = vcpu_reg(task->vcpu, VM_REG_GUEST_DR7);

	desc.access |= SEG_TYPE_TSS16_BUSY;
	(void)backend->set_reg(task->vcpu, VM_REG_GUEST_TR, task->what.selector);
	(void)backend->set_desc(task->vcpu, VM_REG_GUEST_TR, &desc);
	(void)backend->set_reg(task->vcpu, VM_REG_GUEST_CR0, cr0 | REG_CR0_TS);
	(void)backend->set_reg(task->vcpu, VM_REG_GUEST_DR7, dr7 & ~DR7_LOCAL);
}

/* The delivery or the IRET is carried out: what goes with it for NMIs. */
static void finish_event(const struct task_switch *task)
{
	if (task->what.reason == TSR_IRET)
		vcpu_set_nmi_blocked(task->vcpu, false);
	else if (is_event(&task->what) && (task->what.intinfo & VM_INTINFO_TYPE) == VM_INTINFO_NMI)
		vcpu_set_nmi_blocked(task->vcpu, true);
}

static int commit_task_switch(struct task_switch *task)
{
	int error = save_old(task);

	if (!error)
		error = link_tasks(task);
	if (error)
		return error;
	load_registers(task);
	load_task_register(task);
	finish_event(task);
	return 0;
}

/* --- in the new task ------------------------------------------------------ */

/* A 16-bit TSS has no CR3: the address space stays. */
static int load_address_space(const struct task_switch *task)
{
	if (!is_32bit(&task->next) || !(vcpu_reg(task->vcpu, VM_REG_GUEST_CR0) & REG_CR0_PG))
		return 0;
	if (x86_write_cr3(task->vcpu, task->image.cr3))
		return task_fault(task, VECTOR_TS, task->what.selector);
	return 0;
}

static int load_segments(const struct task_switch *task)
{
	const struct task_image *image = &task->image;
	struct task_loader loader = {
		.vcpu = task->vcpu,
		.external = external_bit(task),
		.cpl = image->selector[1] & 3,
	};
	int error;

	for (unsigned int i = 0; i < ARRAY_SIZE(selector_reg); i++)
		(void)backend->set_reg(task->vcpu, selector_reg[i], image->selector[i]);
	error = task_load_ldt(&loader, image->ldt);
	if (error)
		return error;
	if (task->vcpu->rflags & REG_RFLAGS_VM) {
		for (unsigned int i = 0; i < ARRAY_SIZE(selector_reg); i++)
			task_load_virtual(&loader, selector_reg[i], image->selector[i]);
		return 0;
	}
	error = task_load_code(&loader, image->selector[1]);
	if (!error)
		error = task_load_stack(&loader, image->selector[2]);
	for (unsigned int i = 0; !error && i < ARRAY_SIZE(selector_reg); i++) {
		if (i != 1 && i != 2)
			error = task_load_data(&loader, selector_reg[i], image->selector[i]);
	}
	return error;
}

/* The error code of the exception goes on the new task's stack. */
static int push_error_code(const struct task_switch *task)
{
	struct vcpu *vcpu = task->vcpu;
	unsigned int size = is_32bit(&task->next) ? 4 : 2;
	struct seg_desc stack = { 0 };
	uint32_t mask, offset;
	int error;

	if (!task->what.has_error_code)
		return 0;
	(void)backend->get_desc(vcpu, VM_REG_GUEST_SS, &stack);
	mask = stack.access & SEG_ACCESS_DB ? 0xffffffff : 0xffff;
	offset = (uint32_t)(vcpu->gpr[GPR_RSP] - size) & mask;
	if (!task_within_limit(&stack, offset, size)) {
		vcpu_raise_error(vcpu, VECTOR_SS, external_bit(task));
		return -EFAULT;
	}
	error = linear_write(vcpu, (uint32_t)(stack.base + offset), &task->what.error_code, size,
			     0);
	if (error)
		return error;
	vcpu->gpr[GPR_RSP] = (vcpu->gpr[GPR_RSP] & ~(uint64_t)mask) | offset;
	return 0;
}

static int check_rip(const struct task_switch *task)
{
	struct seg_desc code = { 0 };

	(void)backend->get_desc(task->vcpu, VM_REG_GUEST_CS, &code);
	if (task->vcpu->rip <= code.limit)
		return 0;
	vcpu_raise_error(task->vcpu, VECTOR_GP, external_bit(task));
	return -EFAULT;
}

static void trap_if_wanted(const struct task_switch *task)
{
	uint64_t dr6 = vcpu_reg(task->vcpu, VM_REG_GUEST_DR6);

	if (!task->image.trap)
		return;
	(void)backend->set_reg(task->vcpu, VM_REG_GUEST_DR6, dr6 | REG_DR6_BT);
	vcpu_raise(task->vcpu, VECTOR_DB);
}

static int begin_new(const struct task_switch *task)
{
	int error = load_address_space(task);

	if (!error)
		error = load_segments(task);
	if (!error)
		error = push_error_code(task);
	if (!error)
		error = check_rip(task);
	if (!error)
		trap_if_wanted(task);
	return error;
}

/* --- exits ----------------------------------------------------------------- */

/* An exception has been raised, or the tables are where no RAM is, or there is no memory. */
static enum exit_action task_switch_action(struct vcpu *vcpu, int error)
{
	if (error == -ENOMEM)
		return vcpu_exit_error(vcpu, error);
	return error == -ENXIO ? x86_raise_gp(vcpu) : EXIT_RESUME;
}

/*
 * Outer loop. When the first half fails, the event that was being delivered is still
 * on its way: the fault it met combines with it.
 */
static enum exit_action switch_tasks(struct vcpu *vcpu)
{
	struct task_switch task = { .vcpu = vcpu, .what = vcpu->emulation->task };
	int error;

	task.old_selector = (uint16_t)vcpu_reg(vcpu, VM_REG_GUEST_TR);
	(void)backend->get_desc(vcpu, VM_REG_GUEST_TR, &task.old);
	error = prepare_task_switch(&task);
	if (error) {
		if (is_event(&task.what) && !is_software_interrupt(&task.what))
			vcpu_set_exitintinfo(vcpu, task.what.intinfo);
		return task_switch_action(vcpu, error);
	}
	error = commit_task_switch(&task);
	if (!error)
		error = begin_new(&task);
	return task_switch_action(vcpu, error);
}

/* CALL, JMP, IRET and INT n are left behind; other events interrupt between instructions. */
enum exit_action x86_exit_task_switch(struct vcpu *vcpu, const struct x86_task_switch *what)
{
	if (is_event(what) && !is_software_interrupt(what)) {
		vcpu->next_rip = 0;
	} else if (vcpu->next_rip == 0) {
		struct x86_found found = x86_find(vcpu);

		if (!found.insn)
			return found.action;
	}
	vcpu->emulation->task = *what;
	return vcpu_exit_defer(vcpu, switch_tasks);
}
