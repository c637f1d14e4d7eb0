// SPDX-License-Identifier: BSD-2-Clause
/* When a VM has halted for good, and when it only looks like it. */
#include "unit.h"

#include <pthread.h>
#include <unistd.h>

#include "api/ioctl.h"
#include "fake_backend.h"
#include "vm/bitmap.h"
#include "vm/regs.h"

static struct vm *vm;
static struct vcpu *cpu[2];

static void activate(int id)
{
	struct vm_activate_cpu activate = { .vcpuid = id };

	REQUIRE(fake_ioctl(vm, VM_ACTIVATE_CPU, &activate) == 0);
}

static void set_up(void)
{
	vm = fake_vm_create(2);
	for (int i = 0; i < 2; i++) {
		cpu[i] = fake_vm_vcpu(vm, i);
		(void)fake_requests(cpu[i]);
		activate(i);
	}
}

static void tear_down(void)
{
	fake_vm_destroy(vm);
}

static bool vm_has_halted(void)
{
	return __atomic_load_n(&vm->suspend, __ATOMIC_SEQ_CST) != VM_SUSPEND_NONE;
}

/* --- runners -------------------------------------------------------------- */

struct runner {
	pthread_t thread;
	int id;
	int error;
	struct vm_exit exit;
};

static void *runner_main(void *arg)
{
	struct runner *runner = arg;

	runner->error = ioctl_run_reply(vm, runner->id, 0, 0, &runner->exit);
	return NULL;
}

static void runner_start(struct runner *runner, int id)
{
	runner->id = id;
	REQUIRE(pthread_create(&runner->thread, NULL, runner_main, runner) == 0);
}

static void runner_join(struct runner *runner, enum vm_exitcode exitcode)
{
	pthread_join(runner->thread, NULL);
	CHECK_EQ(runner->error, 0);
	CHECK_EQ(runner->exit.exitcode, exitcode);
}

/* Asleep, or on the way with nothing left to do before. */
static void wait_until_asleep(struct vcpu *vcpu)
{
	while (__atomic_load_n(&vcpu->mode, __ATOMIC_SEQ_CST) != VCPU_SLEEPING && !vm_has_halted())
		usleep(100);
}

/* --- guests --------------------------------------------------------------- */

static enum exit_action halt_for_good(struct vcpu *vcpu)
{
	vcpu->rflags &= ~REG_RFLAGS_IF;
	vcpu->halted = true;
	return EXIT_OUTER;
}

/* HLT with interrupts off, then an exit. */
static enum exit_action guest_halts_once(struct vcpu *vcpu, unsigned int entry)
{
	if (entry == 0)
		return halt_for_good(vcpu);
	vcpu->next_rip = 0;
	return vcpu_exit_userspace(vcpu, VM_EXITCODE_MTRAP);
}

/* --- a wake-up on its way ------------------------------------------------- */

/*
 * vCPU 0 sleeps; what vCPU 1 has sent it is pending, but its thread has not run since. That
 * moment is made here by leaving out what vcpu_request() does after it has set the bit.
 */
static void pending_request_keeps_alive(uint32_t request, void (*prepare)(struct vcpu *vcpu))
{
	struct runner sleeper, sender;

	set_up();
	fake_vcpu(cpu[0])->guest = guest_halts_once;
	fake_vcpu(cpu[1])->guest = guest_halts_once;
	if (prepare)
		prepare(cpu[0]);
	runner_start(&sleeper, 0);
	wait_until_asleep(cpu[0]);
	CHECK(!vm_has_halted());
	if (request == VCPU_REQ_EVENT)
		__atomic_store_n(&cpu[0]->nmi_pending, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&cpu[0]->requests, request, __ATOMIC_SEQ_CST);

	runner_start(&sender, 1);
	wait_until_asleep(cpu[1]);
	CHECK(!vm_has_halted());
	os_wake(&cpu[0]->waitq);
	runner_join(&sleeper, VM_EXITCODE_MTRAP);
	CHECK(!vm_has_halted());
	vcpu_nmi(cpu[1]);
	runner_join(&sender, VM_EXITCODE_MTRAP);
	CHECK(!vm_has_halted());
	tear_down();
}

TEST(pending_nmi_is_no_halt)
{
	pending_request_keeps_alive(VCPU_REQ_EVENT, NULL);
}

TEST(pending_init_is_no_halt)
{
	pending_request_keeps_alive(VCPU_REQ_INIT, NULL);
}

static void wait_for_startup(struct vcpu *vcpu)
{
	vcpu_begin_wait_sipi(vcpu);
	fake_vcpu(vcpu)->entries = 1; /* its first exit is the one to userspace */
}

TEST(pending_startup_is_no_halt)
{
	pending_request_keeps_alive(VCPU_REQ_SIPI, wait_for_startup);
}

/* --- what is a halt ------------------------------------------------------- */

static void both_halt(void)
{
	struct runner runner[2];

	runner_start(&runner[0], 0);
	runner_start(&runner[1], 1);
	for (int i = 0; i < 2; i++) {
		runner_join(&runner[i], VM_EXITCODE_SUSPENDED);
		CHECK_EQ(runner[i].exit.u.suspended.how, VM_SUSPEND_HALT);
	}
}

TEST(both_asleep_is_halt)
{
	set_up();
	fake_vcpu(cpu[0])->guest = guest_halts_once;
	fake_vcpu(cpu[1])->guest = guest_halts_once;
	both_halt();
	tear_down();
}

/* Neither an NMI for a vCPU that waits for its start nor an interrupt with IF = 0 wakes. */
TEST(what_wakes_nobody_is_halt)
{
	set_up();
	fake_vcpu(cpu[0])->guest = guest_halts_once;
	vcpu_begin_wait_sipi(cpu[1]);
	vcpu_nmi(cpu[1]);
	vcpu_request(cpu[0], VCPU_REQ_EVENT);
	both_halt();
	tear_down();
}

/* A request that wakes, but changes nothing: the vCPU sleeps on, and is counted again. */
TEST(wakeup_for_nothing_is_halt)
{
	struct runner sleeper, other;

	set_up();
	fake_vcpu(cpu[0])->guest = guest_halts_once;
	fake_vcpu(cpu[1])->guest = guest_halts_once;
	runner_start(&sleeper, 0);
	wait_until_asleep(cpu[0]);
	__atomic_fetch_or(&cpu[0]->requests, VCPU_REQ_EVENT, __ATOMIC_SEQ_CST);
	runner_start(&other, 1);
	wait_until_asleep(cpu[1]);
	CHECK(!vm_has_halted());
	os_wake(&cpu[0]->waitq);
	runner_join(&sleeper, VM_EXITCODE_SUSPENDED);
	runner_join(&other, VM_EXITCODE_SUSPENDED);
	tear_down();
}

/* One that userspace holds is userspace's to wake. */
TEST(held_vcpu_is_no_halt)
{
	struct vm_activate_cpu argument = { .vcpuid = 1 };
	struct runner held, other;

	set_up();
	fake_vcpu(cpu[0])->guest = guest_halts_once;
	fake_vcpu(cpu[1])->guest = guest_halts_once;
	CHECK_EQ(fake_ioctl(vm, VM_SUSPEND_CPU, &argument), 0);
	runner_start(&held, 1);
	runner_join(&held, VM_EXITCODE_DEBUG);
	cpu[1]->halted = true;
	runner_start(&held, 1);
	wait_until_asleep(cpu[1]);
	runner_start(&other, 0);
	wait_until_asleep(cpu[0]);
	CHECK(!vm_has_halted());
	CHECK_EQ(fake_ioctl(vm, VM_RESUME_CPU, &argument), 0);
	runner_join(&held, VM_EXITCODE_SUSPENDED);
	runner_join(&other, VM_EXITCODE_SUSPENDED);
	CHECK_EQ(other.exit.u.suspended.how, VM_SUSPEND_HALT);
	tear_down();
}

/* --- all orders ----------------------------------------------------------- */

#define ROUNDS 20000

/* Sends the other vCPU an NMI and halts, until it has been woken often enough. */
static enum exit_action guest_ping(struct vcpu *vcpu, unsigned int entry)
{
	vcpu_nmi(cpu[!vcpu->id]);
	if (entry < ROUNDS)
		return halt_for_good(vcpu);
	vcpu->next_rip = 0;
	return vcpu_exit_userspace(vcpu, VM_EXITCODE_MTRAP);
}

static enum exit_action guest_pong(struct vcpu *vcpu, unsigned int entry)
{
	return entry == 0 ? halt_for_good(vcpu) : guest_ping(vcpu, entry);
}

/* One of the two always has an NMI on its way: the VM never halts. */
TEST(nmis_back_and_forth)
{
	struct runner runner[2];

	set_up();
	fake_vcpu(cpu[0])->guest = guest_ping;
	fake_vcpu(cpu[1])->guest = guest_pong;
	runner_start(&runner[1], 1);
	wait_until_asleep(cpu[1]);
	runner_start(&runner[0], 0);
	runner_join(&runner[0], VM_EXITCODE_MTRAP);
	runner_join(&runner[1], VM_EXITCODE_MTRAP);
	CHECK(!vm_has_halted());
	tear_down();
}
