// SPDX-License-Identifier: BSD-2-Clause
/* Life of VMs and vCPUs, the run loop and the ioctls, on a scripted back end. */
#include "unit.h"

#include <pthread.h>
#include <unistd.h>

#include "api/ioctl.h"
#include "fake_backend.h"
#include "vm/regs.h"
#include "x86/cpu/breakpoints.h"

#define MIB 0x100000ull

static struct vm *vm;
static struct vcpu *cpu;

static void set_up(void)
{
	vm = fake_vm_create(4);
	cpu = fake_vm_vcpu(vm, 0);
	(void)fake_requests(cpu);
}

static void tear_down(void)
{
	fake_vm_destroy(vm);
}

static int do_ioctl(unsigned int command, void *arg)
{
	return fake_ioctl(vm, command, arg);
}

static int do_run(struct vm_exit *exit)
{
	return ioctl_run_reply(vm, 0, 0, 0, exit);
}

/* --- guests ------------------------------------------------------------------------ */

static enum exit_action guest_mtrap(struct vcpu *vcpu, unsigned int entry)
{
	(void)entry;
	vcpu->next_rip = 0;
	return vcpu_exit_userspace(vcpu, VM_EXITCODE_MTRAP);
}

/* Runs on for ever. */
static enum exit_action guest_spin(struct vcpu *vcpu, unsigned int entry)
{
	(void)vcpu;
	(void)entry;
	usleep(100);
	return EXIT_RESUME;
}

static enum exit_action guest_signal(struct vcpu *vcpu, unsigned int entry)
{
	(void)vcpu;
	if (entry == 3)
		os_user_set_signal(OS_USER_SIGNAL_PENDING);
	return EXIT_RESUME;
}

static enum exit_action guest_return_wanted(struct vcpu *vcpu, unsigned int entry)
{
	(void)vcpu;
	if (entry == 3) {
		os_user_want_return();
		os_user_leave_after(1);
	}
	return EXIT_RESUME;
}

static enum exit_action deferred_part(struct vcpu *vcpu)
{
	os_free(os_alloc(1)); /* may sleep, or aborts */
	return vcpu_exit_userspace(vcpu, VM_EXITCODE_PAUSE);
}

static enum exit_action guest_defers(struct vcpu *vcpu, unsigned int entry)
{
	(void)entry;
	vcpu->next_rip = 0;
	return vcpu_exit_defer(vcpu, deferred_part);
}

/* HLT with interrupts off. */
static enum exit_action guest_halts(struct vcpu *vcpu, unsigned int entry)
{
	(void)entry;
	vcpu->rflags &= ~0x200ull;
	vcpu->halted = true;
	return EXIT_OUTER;
}

static enum exit_action guest_halts_with_breakpoints(struct vcpu *vcpu, unsigned int entry)
{
	CHECK_EQ(backend->set_reg(vcpu, VM_REG_GUEST_DR7, REG_DR7_RESET | 1), 0);
	breakpoints_look(vcpu, true);
	return guest_halts(vcpu, entry);
}

/* --- the run loop --------------------------------------------------------- */

TEST(exit_reaches_the_program)
{
	struct vm_exit exit;

	set_up();
	fake_vcpu(cpu)->guest = guest_mtrap;
	cpu->rip = cpu->resume_rip = 0x1234;
	CHECK_EQ(do_run(&exit), 0);
	CHECK_EQ(exit.exitcode, VM_EXITCODE_MTRAP);
	CHECK_EQ(exit.rip, 0x1234);
	CHECK_EQ(fake_vcpu(cpu)->entries, 1);
	tear_down();
}

TEST(exit_to_a_bad_pointer_is_efault)
{
	set_up();
	fake_vcpu(cpu)->guest = guest_mtrap;
	CHECK_EQ(do_run((struct vm_exit *)16), -EFAULT);
	tear_down();
}

TEST(signal_ends_a_run)
{
	struct vm_exit exit;

	set_up();
	fake_vcpu(cpu)->guest = guest_signal;
	CHECK_EQ(do_run(&exit), -EINTR);
	CHECK_EQ(fake_vcpu(cpu)->entries, 4);
	os_user_set_signal(OS_USER_SIGNAL_NONE);
	tear_down();
}

TEST(thread_wanted_in_user_space_is_a_bogus_exit)
{
	struct vm_exit exit;

	set_up();
	fake_vcpu(cpu)->guest = guest_return_wanted;
	CHECK_EQ(do_run(&exit), 0);
	CHECK_EQ(exit.exitcode, VM_EXITCODE_BOGUS);
	CHECK_EQ(fake_vcpu(cpu)->entries, 4);
	tear_down();
}

TEST(deferred_half_may_sleep)
{
	struct vm_exit exit;

	set_up();
	fake_vcpu(cpu)->guest = guest_defers;
	CHECK_EQ(do_run(&exit), 0);
	CHECK_EQ(exit.exitcode, VM_EXITCODE_PAUSE);
	tear_down();
}

TEST(all_halted_for_good_is_halt)
{
	struct vm_activate_cpu activate = { .vcpuid = 0 };
	struct vm_exit exit;

	set_up();
	CHECK_EQ(do_ioctl(VM_ACTIVATE_CPU, &activate), 0);
	fake_vcpu(cpu)->guest = guest_halts;
	CHECK_EQ(do_run(&exit), 0);
	CHECK_EQ(exit.exitcode, VM_EXITCODE_SUSPENDED);
	CHECK_EQ(exit.u.suspended.how, VM_SUSPEND_HALT);
	tear_down();
}

/* It sleeps, and the VM halts: VCPU_REQ_BREAKPOINT stays, and wakes nobody. */
TEST(breakpoints_keep_no_vcpu_awake)
{
	struct vm_activate_cpu activate = { .vcpuid = 0 };
	struct vm_exit exit;

	set_up();
	CHECK_EQ(do_ioctl(VM_ACTIVATE_CPU, &activate), 0);
	fake_vcpu(cpu)->guest = guest_halts_with_breakpoints;
	CHECK_EQ(do_run(&exit), 0);
	CHECK_EQ(exit.exitcode, VM_EXITCODE_SUSPENDED);
	CHECK_EQ(exit.u.suspended.how, VM_SUSPEND_HALT);
	CHECK_EQ(fake_vcpu(cpu)->entries, 1);
	tear_down();
}

/* The first CPU is no migration, and neither is another inner loop on the same one. */
TEST(runs_on_another_cpu_are_migrations)
{
	struct vm_exit exit;

	set_up();
	fake_vcpu(cpu)->guest = guest_mtrap;
	CHECK_EQ(cpu->last_cpu, -1);
	for (unsigned int run = 0; run < 4; run++) {
		os_user_move_to_cpu(run / 2);
		CHECK_EQ(do_run(&exit), 0);
		CHECK_EQ(cpu->last_cpu, run / 2);
		CHECK_EQ_AT(cpu->stats[STAT_MIGRATIONS], run / 2, "run %u", run);
	}
	os_user_move_to_cpu(0);
	tear_down();
}

TEST(suspend_keeps_the_first_reason)
{
	struct vm_suspend reset = { .how = VM_SUSPEND_RESET };
	struct vm_suspend off = { .how = VM_SUSPEND_POWEROFF };
	struct vm_suspend destroy = { .how = VM_SUSPEND_DESTROY };
	struct vm_exit exit;

	set_up();
	CHECK_EQ(do_ioctl(VM_SUSPEND, &destroy), -EINVAL);
	CHECK_EQ(do_ioctl(VM_SUSPEND, &reset), 0);
	CHECK_EQ(do_ioctl(VM_SUSPEND, &off), -EALREADY);
	CHECK_EQ(do_run(&exit), 0);
	CHECK_EQ(exit.exitcode, VM_EXITCODE_SUSPENDED);
	CHECK_EQ(exit.u.suspended.how, VM_SUSPEND_RESET);
	CHECK_EQ(do_ioctl(VM_REINIT, NULL), 0);
	fake_vcpu(cpu)->guest = guest_mtrap;
	CHECK_EQ(do_run(&exit), 0);
	CHECK_EQ(exit.exitcode, VM_EXITCODE_MTRAP);
	tear_down();
}

/* --- several threads ------------------------------------------------------ */

struct runner {
	pthread_t thread;
	struct vm_exit exit;
	int error;
};

static void *runner_main(void *arg)
{
	struct runner *runner = arg;

	do {
		runner->error = do_run(&runner->exit);
	} while (runner->error == 0 && runner->exit.exitcode == VM_EXITCODE_BOGUS);
	return NULL;
}

static void runner_start(struct runner *runner)
{
	fake_vcpu(cpu)->guest = guest_spin;
	REQUIRE(pthread_create(&runner->thread, NULL, runner_main, runner) == 0);
	while (__atomic_load_n(&fake_vcpu(cpu)->entries, __ATOMIC_SEQ_CST) < 3)
		usleep(100);
}

TEST(others_get_at_a_running_vcpu)
{
	struct vm_register reg = { .cpuid = 0, .regnum = VM_REG_GUEST_RAX, .regval = 77 };
	struct runner runner = { 0 };
	struct vm_exit exit;

	set_up();
	runner_start(&runner);
	for (int i = 0; i < 50; i++) {
		CHECK_EQ(do_ioctl(VM_SET_REGISTER, &reg), 0);
		CHECK_EQ(do_run(&exit), -EBUSY);
	}
	CHECK_EQ(do_ioctl(VM_REINIT, NULL), -EBUSY);
	vm_destroy(vm);
	pthread_join(runner.thread, NULL);
	CHECK(runner.error == -ENXIO || runner.exit.exitcode == VM_EXITCODE_SUSPENDED);
	CHECK_EQ(do_ioctl(VM_GET_REGISTER, &reg), -ENXIO);
	tear_down();
}

/* Two requests for a vCPU in the guest are two kicks; one outside needs none. */
static enum exit_action guest_is_requested(struct vcpu *vcpu, unsigned int entry)
{
	if (entry == 0)
		return EXIT_RESUME;
	return guest_mtrap(vcpu, entry);
}

static void request_twice(struct vcpu *vcpu)
{
	if (fake_vcpu(vcpu)->entries > 1)
		return;
	vcpu_request(vcpu, VCPU_REQ_EVENT);
	vcpu_nmi(vcpu);
}

TEST(requests_in_the_guest_are_kicks)
{
	struct vm_exit exit;

	set_up();
	fake_vcpu(cpu)->guest = guest_is_requested;
	fake_vcpu(cpu)->inside = request_twice;
	vcpu_request(cpu, VCPU_REQ_EVENT);
	CHECK_EQ(cpu->stats[STAT_KICKS], 0);
	CHECK_EQ(do_run(&exit), 0);
	CHECK_EQ(fake_vcpu(cpu)->entries, 2);
	CHECK_EQ(cpu->stats[STAT_KICKS], 2);
	tear_down();
}

/* Runs the vCPU again and again, until the VM is gone. */
static void *run_main(void *unused)
{
	struct vm_exit exit;

	while (do_run(&exit) != -ENXIO)
		;
	return unused;
}

static void *reinit_main(void *unused)
{
	struct vm_suspend off = { .how = VM_SUSPEND_POWEROFF };

	while (do_ioctl(VM_SUSPEND, &off) != -ENXIO)
		(void)do_ioctl(VM_REINIT, NULL);
	return unused;
}

/*
 * A reinitialization that comes between the request to stop and the stop does
 * not make a destroyed VM run on, where virtualization is off already.
 */
TEST(destroy_and_reinit_at_once)
{
	for (int round = 0; round < 100; round++) {
		pthread_t runner, reiniter;

		set_up();
		fake_vcpu(cpu)->guest = guest_spin;
		REQUIRE(pthread_create(&runner, NULL, run_main, NULL) == 0);
		REQUIRE(pthread_create(&reiniter, NULL, reinit_main, NULL) == 0);
		usleep((useconds_t)(round * 37 % 1000));
		vm_destroy(vm);
		pthread_join(runner, NULL);
		pthread_join(reiniter, NULL);
		tear_down();
	}
}

/* The host goes to sleep: the guest stands still, others still get at the vCPU. */
TEST(quiesced_host_runs_no_guest)
{
	struct vm_register reg = { .cpuid = 0, .regnum = VM_REG_GUEST_RAX };
	struct runner runner = { 0 };
	unsigned int entries;

	set_up();
	runner_start(&runner);
	vmm_quiesce();
	entries = __atomic_load_n(&fake_vcpu(cpu)->entries, __ATOMIC_SEQ_CST);
	usleep(20000);
	CHECK_EQ(__atomic_load_n(&fake_vcpu(cpu)->entries, __ATOMIC_SEQ_CST), entries);
	CHECK_EQ(do_ioctl(VM_GET_REGISTER, &reg), 0);
	vmm_resume();
	while (__atomic_load_n(&fake_vcpu(cpu)->entries, __ATOMIC_SEQ_CST) == entries)
		usleep(100);
	vm_destroy(vm);
	pthread_join(runner.thread, NULL);
	tear_down();
}

static uint64_t guest_tsc(void)
{
	return os_rdtsc() + cpu->tsc_offset;
}

/* The host sleeps for a second of the guest's clock, and its TSC jumps by 'jump' meanwhile. */
static void check_tsc_over_sleep(int64_t jump)
{
	struct vcpu *later;
	uint64_t before = guest_tsc();

	vmm_quiesce();
	os_user_jump_tsc(jump);
	os_user_clock_advance(1000000000);
	vmm_resume();
	CHECK_EQ(guest_tsc(), before + 1000ull * os_tsc_khz());
	CHECK_EQ(fake_vcpu(cpu)->tsc_offset, cpu->tsc_offset);
	/* And a vCPU that is made afterwards agrees. */
	later = fake_vm_vcpu(vm, 1);
	CHECK_EQ(later->tsc_offset, cpu->tsc_offset);
}

TEST(guests_tsc_survives_the_hosts_sleep)
{
	set_up();
	check_tsc_over_sleep(0);
	os_user_clock_advance(5000000000);
	check_tsc_over_sleep(-(int64_t)os_rdtsc());
	check_tsc_over_sleep(3600ll * 1000 * os_tsc_khz());
	tear_down();
}

/* --- running out of memory ------------------------------------------------ */

/* What it takes to make a VM with memory and a vCPU; the first error. */
static int make_everything(struct vm **result)
{
	struct vm_memmap map = { .gpa = 0, .segid = 0, .len = 3 * MIB, .prot = VM_PROT_ALL };
	struct vcpu *vcpu;
	int error = vm_create("fake", 2, result);

	if (error)
		return error;
	(*result)->front = &fake_front;
	error = vm_vcpu_create(*result, 0, &vcpu);
	os_mutex_lock(&(*result)->lock);
	if (!error)
		error = memory_alloc_segment(*result, 0, 3 * MIB, "");
	if (!error)
		error = memory_alloc_segment(*result, 1, 1 * MIB, "rom");
	if (!error)
		error = memory_map(*result, &map);
	os_mutex_unlock(&(*result)->lock);
	if (!error)
		error = memory_populate(*result, 0);
	if (!error)
		error = memory_populate(*result, 2 * MIB);
	if (error) {
		vm_put(*result);
		*result = NULL;
	}
	return error;
}

TEST(every_failed_allocation_is_unwound)
{
	static const struct vmm_backend *const candidates[] = { &fake_backend, NULL };
	uint64_t before, total;

	REQUIRE(vmm_init(candidates) == 0);
	before = os_user_alloc_count();
	REQUIRE(make_everything(&vm) == 0);
	total = os_user_alloc_count() - before;
	CHECK(total > 10);
	vm_put(vm);
	before = os_user_alloc_outstanding();
	for (unsigned int n = 1; n <= total; n++) {
		int error;

		os_user_fail_alloc(n);
		error = make_everything(&vm);
		os_user_fail_alloc(0);
		/* Only a page of 2 MiB has a substitute. */
		CHECK(error == -ENOMEM || error == 0);
		if (!error)
			vm_put(vm);
		CHECK_EQ_AT(os_user_alloc_outstanding(), before, "allocation %u", n);
		CHECK_EQ(fake_front_published(), 0);
		CHECK_EQ(os_user_timers(), 0);
	}
	vmm_fini();
	CHECK_EQ(os_user_alloc_outstanding(), 0);
}

TEST(failed_segment_node_is_unwound)
{
	struct vm_memseg seg = { .segid = 3, .len = MIB, .name = "rom" };

	set_up();
	fake_front_fail_publish(-EEXIST);
	CHECK_EQ(do_ioctl(VM_ALLOC_MEMSEG, &seg), -EEXIST);
	CHECK_EQ(do_ioctl(VM_ALLOC_MEMSEG, &seg), 0);
	CHECK_EQ(fake_front_published(), 1);
	vm_destroy(vm);
	CHECK_EQ(fake_front_published(), 0);
	CHECK_EQ(fake_front_unmaps(), 1);
	tear_down();
}

TEST(fragmented_memory_is_small_pages)
{
	struct vm_memmap map = { .segid = 0, .len = 4 * MIB, .prot = VM_PROT_ALL };
	struct vm_memseg seg = { .segid = 0, .len = 4 * MIB };

	set_up();
	os_user_fragment_memory(true);
	CHECK_EQ(do_ioctl(VM_ALLOC_MEMSEG, &seg), 0);
	CHECK_EQ(do_ioctl(VM_MMAP_MEMSEG, &map), 0);
	CHECK_EQ(memory_populate(vm, 0x3000), 0);
	CHECK(memory_hva(vm, 0x3000, VM_PROT_READ));
	CHECK(!memory_hva(vm, 0x4000, VM_PROT_READ));
	os_user_fragment_memory(false);
	CHECK_EQ(memory_populate(vm, 2 * MIB), 0);
	CHECK(memory_hva(vm, 4 * MIB - 4096, VM_PROT_WRITE));
	CHECK_EQ(memory_populate(vm, 4 * MIB), -EFAULT);
	tear_down();
}

/* --- processors ----------------------------------------------------------- */

TEST(virtualization_is_on_while_there_are_vms)
{
	static const struct vmm_backend *const candidates[] = { &fake_backend, NULL };
	struct vm *second;

	REQUIRE(vmm_init(candidates) == 0);
	REQUIRE(vm_create("one", 1, &vm) == 0);
	REQUIRE(vm_create("two", 1, &second) == 0);
	vm_destroy(vm);
	vm_destroy(vm);
	vm_put(vm);
	vm = second;
	cpu = fake_vm_vcpu(vm, 0);
	fake_vcpu(cpu)->guest = guest_mtrap;
	CHECK_EQ(vcpu_run(cpu), 0);
	vm_put(vm);
	vmm_fini();
	CHECK_EQ(os_user_alloc_outstanding(), 0);
}
