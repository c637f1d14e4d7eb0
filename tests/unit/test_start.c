// SPDX-License-Identifier: BSD-2-Clause
/* What userspace decides about vCPUs: starting, holding, capabilities. */
#include "unit.h"

#include <pthread.h>
#include <unistd.h>

#include "api/ioctl.h"
#include "dev/lapic.h"
#include "fake_backend.h"
#include "x86/exits/exits.h"

static struct vm *vm;
static struct vcpu *cpu[4];

static int cpu_request(unsigned int command, int id)
{
	struct vm_activate_cpu argument = { .vcpuid = id };

	return fake_ioctl(vm, command, &argument);
}

static enum exit_action guest_mtrap(struct vcpu *vcpu, unsigned int entry)
{
	(void)entry;
	vcpu->next_rip = 0;
	return vcpu_exit_userspace(vcpu, VM_EXITCODE_MTRAP);
}

static void set_up(void)
{
	vm = fake_vm_create(4);
	for (int i = 0; i < 4; i++) {
		REQUIRE(vm_vcpu_create(vm, i, &cpu[i]) == 0);
		fake_vcpu(cpu[i])->guest = guest_mtrap;
		REQUIRE(cpu_request(VM_ACTIVATE_CPU, i) == 0);
	}
	/* Whoever would wait for ever gets -EINTR. */
	os_user_idle_advances(true);
}

static void tear_down(void)
{
	fake_vm_destroy(vm);
}

static int run(int id, struct vm_exit *exit)
{
	struct vm_run run = { .cpuid = id, .vm_exit = exit };

	return fake_ioctl(vm, VM_RUN, &run);
}

static void check_run(int id, enum vm_exitcode exitcode)
{
	struct vm_exit exit = { 0 };

	CHECK_EQ(run(id, &exit), 0);
	CHECK_EQ(exit.exitcode, exitcode);
}

/* --- holding ------------------------------------------------------------------------ */

TEST(held_once_and_again)
{
	set_up();
	CHECK_EQ(cpu_request(VM_RESUME_CPU, 0), -EINVAL);
	CHECK_EQ(cpu_request(VM_SUSPEND_CPU, 0), 0);
	CHECK_EQ(cpu_request(VM_SUSPEND_CPU, 0), 0);
	CHECK_EQ(cpu_request(VM_RESUME_CPU, 0), 0);
	CHECK_EQ(cpu_request(VM_RESUME_CPU, 0), -EINVAL);
	CHECK_EQ(cpu_request(VM_SUSPEND_CPU, 4), -EINVAL);
	CHECK_EQ(cpu_request(VM_SUSPEND_CPU, -1), 0);
	CHECK_EQ(cpu_request(VM_RESUME_CPU, 3), 0);
	CHECK_EQ(cpu_request(VM_RESUME_CPU, -1), 0);
	CHECK_EQ(cpu_request(VM_RESUME_CPU, -1), 0);
	tear_down();
}

TEST(only_active_vcpus_are_held)
{
	set_up();
	CHECK_EQ(fake_ioctl(vm, VM_REINIT, NULL), -EBUSY);
	CHECK_EQ(fake_ioctl(vm, VM_SUSPEND, &(struct vm_suspend){ VM_SUSPEND_RESET }), 0);
	for (int i = 0; i < 4; i++)
		check_run(i, VM_EXITCODE_SUSPENDED);
	CHECK_EQ(fake_ioctl(vm, VM_REINIT, NULL), 0);
	CHECK_EQ(cpu_request(VM_SUSPEND_CPU, 0), -EINVAL);
	tear_down();
}

/* One exit each time, whether or not it has run in between. */
TEST(each_hold_is_reported_once)
{
	struct vm_exit exit;

	set_up();
	CHECK_EQ(cpu_request(VM_SUSPEND_CPU, 0), 0);
	check_run(0, VM_EXITCODE_DEBUG);
	CHECK_EQ(cpu_request(VM_SUSPEND_CPU, 0), 0);
	CHECK_EQ(run(0, &exit), -EINTR);
	CHECK_EQ(cpu_request(VM_RESUME_CPU, 0), 0);
	CHECK_EQ(cpu_request(VM_SUSPEND_CPU, 0), 0);
	check_run(0, VM_EXITCODE_DEBUG);
	CHECK_EQ(fake_vcpu(cpu[0])->entries, 0);
	CHECK_EQ(cpu_request(VM_RESUME_CPU, 0), 0);
	check_run(0, VM_EXITCODE_MTRAP);
	tear_down();
}

/* --- starting ------------------------------------------------------------- */

/* By userspace, which sets its registers and runs it. */
TEST(vm_run_starts_what_it_runs)
{
	set_up();
	CHECK(cpu[1]->wait_sipi);
	cpu[1]->resume_rip = 0x1234;
	check_run(1, VM_EXITCODE_MTRAP);
	CHECK_EQ(cpu[1]->rip, 0x1234);
	tear_down();
}

TEST(vm_run_reply_waits_for_the_start)
{
	struct vm_exit exit;

	set_up();
	fake_vcpu(cpu[0])->guest = NULL;
	CHECK_EQ(ioctl_run_reply(vm, 1, 0, 0, &exit), -EINTR);
	CHECK_EQ(fake_vcpu(cpu[1])->entries, 0);
	vcpu_startup_ipi(cpu[1], 0x12);
	CHECK_EQ(ioctl_run_reply(vm, 1, 0, 0, &exit), 0);
	CHECK_EQ(exit.exitcode, VM_EXITCODE_MTRAP);
	CHECK_EQ(fake_vcpu(cpu[1])->reg[VM_REG_GUEST_CS], 0x1200);
	CHECK_EQ(fake_vcpu(cpu[1])->desc[VM_REG_GUEST_CS].base, 0x12000);
	tear_down();
}

/* A start-up IPI to all but itself, from inside the guest. */
static enum exit_action guest_starts_others(struct vcpu *vcpu, unsigned int entry)
{
	static const uint32_t command[] = { 0xc4500, 0xc4612, 0xc4612 };

	if (entry >= ARRAY_SIZE(command))
		return guest_mtrap(vcpu, entry);
	return lapic_mmio_write(vcpu, 0x300, 4, command[entry]) ? EXIT_USERSPACE : EXIT_RESUME;
}

/* What is behind the vCPUs' bits is zero, to the end and not beyond. */
TEST(ipi_exit_fills_the_whole_set)
{
	uint8_t set[300];
	struct vm_exit exit;
	struct vm_run run = { .cpuset = set, .cpusetsize = 290, .vm_exit = &exit };

	set_up();
	fake_vcpu(cpu[0])->guest = guest_starts_others;
	cpu[0]->capabilities = 1u << VM_CAP_IPI_EXIT;
	for (unsigned int i = 0; i < 2; i++) {
		memset(set, 0xff, sizeof(set));
		CHECK_EQ(fake_ioctl(vm, VM_RUN, &run), 0);
		CHECK_EQ(exit.exitcode, VM_EXITCODE_IPI);
		CHECK_EQ(exit.u.ipi.mode, i ? 0x600 : 0x500);
		CHECK_EQ(set[0], 0xe);
		for (unsigned int at = 1; at < sizeof(set); at++)
			CHECK_EQ_AT(set[at], at < 290 ? 0 : 0xff, "byte %u", at);
	}
	/* The second start-up IPI finds nobody waiting. */
	CHECK_EQ(fake_ioctl(vm, VM_RUN, &run), 0);
	CHECK_EQ(exit.exitcode, VM_EXITCODE_MTRAP);
	run.cpusetsize = VM_RUN_CPUSET_MAX + 1;
	CHECK_EQ(fake_ioctl(vm, VM_RUN, &run), -EINVAL);
	tear_down();
}

/* --- capabilities --------------------------------------------------------- */

static int get_capability(enum vm_cap_type type)
{
	struct vm_capability capability = { .captype = type, .capval = 7 };
	int error = fake_ioctl(vm, VM_GET_CAPABILITY, &capability);

	return error ? error : capability.capval;
}

static int set_capability(enum vm_cap_type type, int value)
{
	struct vm_capability capability = { .captype = type, .capval = value };

	return fake_ioctl(vm, VM_SET_CAPABILITY, &capability);
}

TEST(absent_capability_is_enoent)
{
	set_up();
	fake_absent_capabilities(1u << VM_CAP_RDPID);
	CHECK_EQ(get_capability(VM_CAP_RDPID), -ENOENT);
	CHECK_EQ(set_capability(VM_CAP_RDPID, 1), -ENOENT);
	CHECK_EQ(get_capability(VM_CAP_MAX), -EINVAL);
	CHECK_EQ(get_capability(VM_CAP_PAUSE_EXIT), 0);
	CHECK_EQ(set_capability(VM_CAP_PAUSE_EXIT, 1), 0);
	CHECK_EQ(get_capability(VM_CAP_PAUSE_EXIT), 1);
	CHECK_EQ(get_capability(VM_CAP_UNRESTRICTED_GUEST), 1);
	CHECK_EQ(set_capability(VM_CAP_UNRESTRICTED_GUEST, 0), -EINVAL);
	tear_down();
}

TEST(reinit_resets_capabilities)
{
	set_up();
	CHECK_EQ(set_capability(VM_CAP_PAUSE_EXIT, 1), 0);
	CHECK_EQ(set_capability(VM_CAP_IPI_EXIT, 1), 0);
	CHECK_EQ(fake_vcpu(cpu[0])->capabilities, 1u << VM_CAP_PAUSE_EXIT);
	CHECK_EQ(fake_ioctl(vm, VM_SUSPEND, &(struct vm_suspend){ VM_SUSPEND_RESET }), 0);
	for (int i = 0; i < 4; i++)
		check_run(i, VM_EXITCODE_SUSPENDED);
	CHECK_EQ(fake_ioctl(vm, VM_REINIT, NULL), 0);
	CHECK_EQ(get_capability(VM_CAP_PAUSE_EXIT), 0);
	CHECK_EQ(get_capability(VM_CAP_IPI_EXIT), 0);
	CHECK_EQ(fake_vcpu(cpu[0])->capabilities, 0);
	tear_down();
}

/* --- memory without permission -------------------------------------------- */

static enum exit_action guest_writes_rom(struct vcpu *vcpu, unsigned int entry)
{
	(void)entry;
	return x86_exit_nested_fault(vcpu, 0x5123, VM_PROT_WRITE);
}

TEST(write_to_a_read_only_segment_is_paging)
{
	struct vm_memmap map = { .len = 0x10000, .prot = VM_PROT_READ | VM_PROT_EXEC };
	struct vm_memseg seg = { .len = 0x10000 };
	struct vm_exit exit;

	set_up();
	CHECK_EQ(fake_ioctl(vm, VM_ALLOC_MEMSEG, &seg), 0);
	CHECK_EQ(fake_ioctl(vm, VM_MMAP_MEMSEG, &map), 0);
	fake_vcpu(cpu[0])->guest = guest_writes_rom;
	cpu[0]->resume_rip = 0x77;
	CHECK_EQ(run(0, &exit), 0);
	CHECK_EQ(exit.exitcode, VM_EXITCODE_PAGING);
	CHECK_EQ(exit.u.paging.gpa, 0x5123);
	CHECK_EQ(exit.u.paging.fault_type, VM_PROT_WRITE);
	CHECK_EQ(exit.rip, 0x77);
	CHECK_EQ(exit.inst_length, 0);
	CHECK_EQ(cpu[0]->resume_rip, 0x77);
	tear_down();
}
