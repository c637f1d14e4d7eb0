// SPDX-License-Identifier: BSD-2-Clause
/*
 * Running a vCPU: two loops. The inner one holds the processor (preemption off,
 * guest's FPU loaded) and ends only when something needs sleep, the program or
 * another thread. The outer one does what needs sleep and begins the inner again.
 */
#include "core/bitmap.h"
#include "core/host.h"
#include "core/private.h"
#include "dev/lapic.h"
#include "x86/context.h"
#include "x86/emulate.h"
#include "x86/exits.h"
#include "x86/fetch.h"
#include "x86/regs.h"
#include "x86/walk.h"

/* What the inner loop can act on itself; anything else takes the outer one. */
#define VCPU_REQ_EVENTS (VCPU_REQ_EVENT | VCPU_REQ_EXCEPTION)
#define VCPU_REQ_INNER	(VCPU_REQ_EVENTS | VCPU_REQ_TIMER | VCPU_REQ_FLUSH)

/* Interrupt enable flag, and what starts of APs need: real mode at vector * 4 KiB. */
#define SIPI_CS_ACCESS                                                                \
	(SEG_ACCESS_CODE | SEG_ACCESS_WRITABLE | SEG_ACCESS_ACCESSED | SEG_ACCESS_S | \
	 SEG_ACCESS_PRESENT)

static uint32_t requests(const struct vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->requests, __ATOMIC_SEQ_CST);
}

static void requests_clear(struct vcpu *vcpu, uint32_t bits)
{
	__atomic_fetch_and(&vcpu->requests, ~bits, __ATOMIC_SEQ_CST);
}

/* --- how handlers end in the program ------------------------------------------------ */

enum exit_action vcpu_exit_program(struct vcpu *vcpu, enum vm_exitcode code)
{
	vcpu->exit.exitcode = code;
	vcpu->exit.rip = vcpu->rip;
	vcpu->exit.inst_length = vcpu->next_rip ? (int)(vcpu->next_rip - vcpu->rip) : 0;
	vcpu->resume_rip = vcpu->rip + (uint64_t)vcpu->exit.inst_length;
	vcpu->error = 0;
	return EXIT_PROGRAM;
}

/* An exit that is not about an instruction. */
static enum exit_action exit_between(struct vcpu *vcpu, enum vm_exitcode code)
{
	vcpu->next_rip = 0;
	return vcpu_exit_program(vcpu, code);
}

enum exit_action vcpu_exit_error(struct vcpu *vcpu, int error)
{
	(void)exit_between(vcpu, VM_EXITCODE_BOGUS);
	vcpu->error = error;
	return EXIT_PROGRAM;
}

enum exit_action vcpu_exit_defer(struct vcpu *vcpu, enum exit_action (*fn)(struct vcpu *))
{
	vcpu->deferred = fn;
	return EXIT_OUTER;
}

/* What the library's emulator wants to know: it reads the registers by itself. Seldom asked. */
static noinline void fill_inst_emul(struct vcpu *vcpu, uint64_t gpa)
{
	struct vie *vie = &vcpu->exit.u.inst_emul.vie;
	struct seg_desc code = { 0 };
	int count;

	memset(&vcpu->exit.u, 0, sizeof(vcpu->exit.u));
	(void)backend->get_desc(vcpu, VM_REG_GUEST_CS, &code);
	count = x86_fetch(vcpu, vcpu->rip, vie->inst, VIE_INST_SIZE);
	vie->num_valid = count > 0 ? (uint8_t)count : 0;
	vcpu->exit.u.inst_emul.gpa = gpa;
	vcpu->exit.u.inst_emul.cs_base = code.base;
	vcpu->exit.u.inst_emul.cs_d = SEG_DESC_DEF32(code.access);
	x86_paging(vcpu, &vcpu->exit.u.inst_emul.paging);
}

/*
 * In reply mode RIP stays: the answer finishes the instruction. Otherwise the
 * program does it by itself, with register writes or the library's emulator.
 */
static enum exit_action exit_access(struct vcpu *vcpu, enum vm_exitcode code)
{
	vcpu->access.replied = false;
	vcpu->access_pending = vcpu->reply_mode;
	(void)vcpu_exit_program(vcpu, code);
	if (vcpu->access_pending)
		vcpu->resume_rip = vcpu->rip;
	return EXIT_PROGRAM;
}

static void set_access(struct vcpu *vcpu, uint64_t address, unsigned int size, bool write,
		       uint64_t value)
{
	vcpu->access.address = address;
	vcpu->access.data = value;
	vcpu->access.size = (uint8_t)size;
	vcpu->access.write = write;
}

enum exit_action vcpu_exit_port(struct vcpu *vcpu, uint16_t port, unsigned int size, bool in,
				uint32_t value)
{
	set_access(vcpu, port, size, !in, value);
	vcpu->access.reg = GPR_RAX;
	vcpu->access.port = true;
	vcpu->exit.u.inout = (struct vm_inout){
		.bytes = size & 7,
		.in = in,
		.port = port,
		.eax = value,
	};
	return exit_access(vcpu, VM_EXITCODE_INOUT);
}

enum exit_action vcpu_exit_memory(struct vcpu *vcpu, uint64_t gpa, unsigned int size, bool write,
				  uint64_t value)
{
	set_access(vcpu, gpa, size, write, value);
	vcpu->access.port = false;
	if (!vcpu->reply_mode) {
		fill_inst_emul(vcpu, gpa);
		return exit_access(vcpu, VM_EXITCODE_INST_EMUL);
	}
	vcpu->exit.u.mmio = (struct vm_mmio){
		.gpa = gpa,
		.data = write ? value : 0,
		.bytes = (uint8_t)size,
		.write = write,
	};
	return exit_access(vcpu, VM_EXITCODE_MMIO);
}

/* --- requests, outer loop -------------------------------------------------------------- */

static enum exit_action exit_suspended(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	if (READ_ONCE(vm->destroyed))
		return vcpu_exit_error(vcpu, -ENXIO);
	bitmap_set_bit(vm->suspended, (unsigned int)vcpu->id);
	vcpu->exit.u.suspended.how =
		(enum vm_suspend_how)__atomic_load_n(&vm->suspend, __ATOMIC_SEQ_CST);
	return exit_between(vcpu, VM_EXITCODE_SUSPENDED);
}

/*
 * VM_SUSPEND_CPU: the program hears of it once; if it runs the vCPU again, the
 * thread sleeps here until VM_RESUME_CPU.
 */
static enum exit_action held_by_debugger(struct vcpu *vcpu)
{
	if (!bitmap_test_bit(vcpu->vm->debug, (unsigned int)vcpu->id)) {
		vcpu->debug_reported = false;
		requests_clear(vcpu, VCPU_REQ_DEBUG);
		if (bitmap_test_bit(vcpu->vm->debug, (unsigned int)vcpu->id))
			vcpu_request(vcpu, VCPU_REQ_DEBUG);
		return EXIT_RESUME;
	}
	if (!vcpu->debug_reported) {
		vcpu->debug_reported = true;
		return exit_between(vcpu, VM_EXITCODE_DEBUG);
	}
	return EXIT_OUTER;
}

static void take_init(struct vcpu *vcpu)
{
	requests_clear(vcpu, VCPU_REQ_INIT);
	vcpu_reset(vcpu, true);
}

static void take_sipi(struct vcpu *vcpu)
{
	struct seg_desc code = { .limit = 0xffff, .access = SIPI_CS_ACCESS };
	uint8_t vector = __atomic_load_n(&vcpu->sipi_vector, __ATOMIC_SEQ_CST);

	requests_clear(vcpu, VCPU_REQ_SIPI);
	if (!vcpu->wait_sipi)
		return;
	code.base = (uint64_t)vector << 12;
	(void)backend->set_reg(vcpu, VM_REG_GUEST_CS, (uint64_t)vector << 8);
	(void)backend->set_desc(vcpu, VM_REG_GUEST_CS, &code);
	vcpu->rip = 0;
	vcpu->wait_sipi = false;
	vcpu->halted = false;
}

/* A halted vCPU wakes if one of the events may be taken now. */
static void wake_from_halt(struct vcpu *vcpu)
{
	requests_clear(vcpu, VCPU_REQ_EVENTS);
	if (!event_pending(vcpu))
		return;
	vcpu->halted = false;
	vcpu_request(vcpu, VCPU_REQ_EVENT);
}

static void take_timer(struct vcpu *vcpu)
{
	requests_clear(vcpu, VCPU_REQ_TIMER);
	lapic_timer_event(vcpu);
}

/* Act on what waits: EXIT_RESUME to go on, EXIT_OUTER to sleep, EXIT_PROGRAM. */
static enum exit_action take_requests(struct vcpu *vcpu)
{
	uint32_t bits = requests(vcpu);

	/* Who has passed may have changed everything, even destroyed the VM. */
	if (bits & VCPU_REQ_YIELD) {
		vcpu_let_pass(vcpu);
		bits = requests(vcpu);
	}
	if (bits & VCPU_REQ_SUSPEND)
		return exit_suspended(vcpu);
	if (bits & VCPU_REQ_DEBUG) {
		enum exit_action action = held_by_debugger(vcpu);

		if (action != EXIT_RESUME)
			return action;
	}
	if (bits & VCPU_REQ_INIT)
		take_init(vcpu);
	if (bits & VCPU_REQ_SIPI)
		take_sipi(vcpu);
	if (bits & VCPU_REQ_TIMER)
		take_timer(vcpu);
	if (vcpu->halted && !vcpu->wait_sipi && (requests(vcpu) & VCPU_REQ_EVENTS))
		wake_from_halt(vcpu);
	return vcpu->halted || vcpu->wait_sipi ? EXIT_OUTER : EXIT_RESUME;
}

/* --- sleeping -------------------------------------------------------------------------- */

/* Events that a vCPU waiting for SIPI does not look at. */
static uint32_t wake_mask(const struct vcpu *vcpu)
{
	uint32_t mask = ~0u;

	if (vcpu->wait_sipi)
		mask &= ~(VCPU_REQ_EVENTS | VCPU_REQ_TIMER | VCPU_REQ_FLUSH);
	if (vcpu->halted)
		mask &= ~VCPU_REQ_FLUSH;
	if (vcpu->debug_reported)
		mask &= ~(VCPU_REQ_EVENTS | VCPU_REQ_TIMER | VCPU_REQ_INIT | VCPU_REQ_SIPI |
			  VCPU_REQ_FLUSH | VCPU_REQ_DEBUG);
	return mask;
}

static bool held(const struct vcpu *vcpu)
{
	return vcpu->debug_reported && bitmap_test_bit(vcpu->vm->debug, (unsigned int)vcpu->id);
}

static bool should_wake(const struct vcpu *vcpu)
{
	if (requests(vcpu) & wake_mask(vcpu))
		return true;
	return vcpu->debug_reported && !held(vcpu);
}

/* Nothing but another vCPU could wake it: halted with interrupts off, or not started. */
static bool is_dead_halted(const struct vcpu *vcpu)
{
	return vcpu->wait_sipi || (vcpu->halted && !(vcpu->rflags & REG_RFLAGS_IF));
}

/* When that is true of all active vCPUs the machine has halted for good. */
static void note_dead_halt(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	bitmap_set_bit(vm->dead_halted, (unsigned int)vcpu->id);
	if (!bitmap_test_bit(vm->active, (unsigned int)vcpu->id))
		return;
	for (size_t i = 0; i < BITMAP_WORDS(vm->max_vcpus); i++) {
		uint64_t active = __atomic_load_n(&vm->active[i], __ATOMIC_SEQ_CST);

		if (active & ~__atomic_load_n(&vm->dead_halted[i], __ATOMIC_SEQ_CST))
			return;
	}
	(void)vm_suspend(vm, VM_SUSPEND_HALT);
}

static enum exit_action vcpu_sleep(struct vcpu *vcpu)
{
	int error;

	if (is_dead_halted(vcpu))
		note_dead_halt(vcpu);
	vcpu_stat_inc(vcpu, STAT_HALTS);
	__atomic_store_n(&vcpu->mode, VCPU_SLEEPING, __ATOMIC_SEQ_CST);
	error = os_wait_event(&vcpu->waitq, should_wake(vcpu));
	__atomic_store_n(&vcpu->mode, VCPU_OUTSIDE, __ATOMIC_SEQ_CST);
	bitmap_clear_bit(vcpu->vm->dead_halted, (unsigned int)vcpu->id);
	/* Wanted in user space, but for no signal: vcpu_turn() sees to that. */
	return error && !os_return_pending() ? vcpu_exit_error(vcpu, error) : EXIT_OUTER;
}

/* --- the inner loop ---------------------------------------------------------------------- */

/* Interrupts off, right before entry. EXIT_RESUME: enter. */
static enum exit_action take_inner_requests(struct vcpu *vcpu)
{
	uint32_t bits = requests(vcpu);

	if (bits & ~VCPU_REQ_INNER)
		return EXIT_OUTER;
	requests_clear(vcpu, bits);
	if (bits == VCPU_REQ_EXCEPTION)
		return event_inject_exception(vcpu);
	if (bits & VCPU_REQ_FLUSH)
		backend->flush_nested(vcpu);
	if (bits & VCPU_REQ_TIMER)
		lapic_timer_event(vcpu);
	return event_inject(vcpu);
}

static enum exit_action vcpu_enter(struct vcpu *vcpu)
{
	enum exit_action action = EXIT_RESUME;

	os_irq_disable();
	(void)__atomic_exchange_n(&vcpu->mode, VCPU_IN_GUEST, __ATOMIC_SEQ_CST);
	if (unlikely(os_run_should_leave()))
		action = EXIT_OUTER;
	else if (unlikely(requests(vcpu)))
		action = take_inner_requests(vcpu);
	if (likely(action == EXIT_RESUME))
		backend->enter(vcpu);
	__atomic_store_n(&vcpu->mode, VCPU_OUTSIDE, __ATOMIC_RELEASE);
	os_irq_enable();
	return action;
}

static enum exit_action vcpu_inner_loop(struct vcpu *vcpu)
{
	enum exit_action action;

	os_run_begin();
	if (unlikely(!host_cpu_enabled())) {
		os_run_end();
		return EXIT_OUTER;
	}
	context_load(vcpu);
	backend->load(vcpu);
	vcpu_stat_inc(vcpu, STAT_INNER_LOOPS);
	do {
		action = vcpu_enter(vcpu);
		if (action != EXIT_RESUME)
			break;
		vcpu_stat_inc(vcpu, STAT_EXITS);
		action = backend->exit(vcpu);
	} while (action == EXIT_RESUME);
	if (backend->put)
		backend->put(vcpu);
	context_put(vcpu);
	os_run_end();
	return action;
}

/* --- the outer loop ------------------------------------------------------------------------ */

static enum exit_action vcpu_deferred(struct vcpu *vcpu)
{
	enum exit_action (*deferred)(struct vcpu * vcpu) = vcpu->deferred;

	vcpu->deferred = NULL;
	return deferred(vcpu);
}

/* The host is asleep, or going down: without the vCPU's lock, so that nobody waits for us. */
static enum exit_action vcpu_wait_host(struct vcpu *vcpu)
{
	int error;

	vcpu_unlock(vcpu);
	error = host_wait();
	os_mutex_lock(&vcpu->mutex);
	return error && !os_return_pending() ? vcpu_exit_error(vcpu, error) : EXIT_OUTER;
}

/* Neither the vCPU nor the thread that runs it has been asked for anything. */
static bool is_undisturbed(const struct vcpu *vcpu)
{
	return !(requests(vcpu) & ~VCPU_REQ_INNER) && !vcpu->halted && !vcpu->wait_sipi &&
	       !os_thread_wanted() && !host_quiesced();
}

static noinline enum exit_action vcpu_turn_disturbed(struct vcpu *vcpu)
{
	enum exit_action action;

	if (os_signal_pending())
		return vcpu_exit_error(vcpu, -EINTR);
	if (os_return_pending())
		return exit_between(vcpu, VM_EXITCODE_BOGUS);
	os_yield();
	action = take_requests(vcpu);
	if (action == EXIT_OUTER)
		return vcpu_sleep(vcpu);
	if (unlikely(host_quiesced()))
		return vcpu_wait_host(vcpu);
	return action == EXIT_RESUME ? vcpu_inner_loop(vcpu) : action;
}

/* One turn; EXIT_PROGRAM ends it. */
static enum exit_action vcpu_turn(struct vcpu *vcpu)
{
	if (vcpu->deferred)
		return vcpu_deferred(vcpu);
	return likely(is_undisturbed(vcpu)) ? vcpu_inner_loop(vcpu) : vcpu_turn_disturbed(vcpu);
}

/*
 * What the last exit left: a write the program has taken and a read it has
 * answered are finished; a read it has not answered starts again.
 */
static enum exit_action vcpu_continue(struct vcpu *vcpu)
{
	bool pending = vcpu->access_pending;

	vcpu->access_pending = false;
	if (pending && (vcpu->access.replied || vcpu->access.write))
		return x86_finish_access(vcpu);
	emulation_reset(vcpu);
	vcpu->rip = vcpu->resume_rip;
	return EXIT_RESUME;
}

int vcpu_run(struct vcpu *vcpu)
{
	enum exit_action action;

	os_thread_attach(&vcpu->thread);
	vcpu->running = true;
	vcpu->deferred = NULL;
	action = vcpu_continue(vcpu);
	while (action != EXIT_PROGRAM)
		action = vcpu_turn(vcpu);
	vcpu->running = false;
	os_thread_detach(&vcpu->thread);
	vcpu_stat_inc(vcpu, STAT_EXITS_PROGRAM);
	return vcpu->error;
}
