// SPDX-License-Identifier: BSD-2-Clause
/*
 * vCPUs started, held and put to sleep as FreeBSD's bhyve does it: it runs them with
 * VM_RUN and starts the second and later ones itself.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "machine.h"

#define SIZE   (256 * 1024)
#define CPUS   4
#define AP_RIP 0x2000 /* start-up vector 2 */
#define COUNT  0x5000 /* where APs count themselves */

#define DELIVERY_INIT	 0x500
#define DELIVERY_STARTUP 0x600

#define REAL_CODE 0x9b

static const uint8_t ap_code[] = {
	0xf0, 0xfe, 0x06, 0x00, 0x50, /* lock inc byte [COUNT] */
	0xfa,			      /* cli */
	0xf4,			      /* hlt */
};

struct cpu {
	pthread_t thread;
	struct vcpu *vcpu;
	struct vm_exit last;
	unsigned int exits, debugs, starts;
};

static struct machine machine;
static struct cpu cpus[CPUS];

static void *cpu_main(void *arg);

static void cpu_go(struct cpu *cpu)
{
	REQUIRE(pthread_create(&cpu->thread, NULL, cpu_main, cpu) == 0);
}

static void capability(struct cpu *cpu, enum vm_cap_type type)
{
	REQUIRE(vm_set_capability(cpu->vcpu, type, 1) == 0);
}

/* Real mode at 'rip', which is a segment's begin. */
static void set_start(struct cpu *cpu, uint64_t rip)
{
	REQUIRE(vcpu_reset(cpu->vcpu) == 0);
	REQUIRE(vm_set_desc(cpu->vcpu, VM_REG_GUEST_CS, rip, 0xffff, REAL_CODE) == 0);
	REQUIRE(vm_set_register(cpu->vcpu, VM_REG_GUEST_CS, rip >> 4) == 0);
	REQUIRE(vm_set_register(cpu->vcpu, VM_REG_GUEST_RIP, 0) == 0);
	__atomic_fetch_add(&cpu->starts, 1, __ATOMIC_SEQ_CST);
}

/* With VM_CAP_IPI_EXIT the AP runs already, held. */
static void ipi_exit(const struct vm_exit *exit, const cpuset_t *set)
{
	int i;

	CPU_FOREACH_ISSET(i, set)
	{
		REQUIRE(i < CPUS);
		if (exit->u.ipi.mode == DELIVERY_INIT) {
			CHECK_EQ(vm_suspend_cpu(cpus[i].vcpu), 0);
		} else {
			CHECK_EQ(exit->u.ipi.mode, DELIVERY_STARTUP);
			set_start(&cpus[i], (uint64_t)exit->u.ipi.vector << 12);
			CHECK_EQ(vm_resume_cpu(cpus[i].vcpu), 0);
		}
	}
}

/* Without, it comes to life with the exit. */
static void spinup_exit(const struct vm_exit *exit)
{
	struct cpu *cpu = &cpus[exit->u.spinup_ap.vcpu];

	set_start(cpu, exit->u.spinup_ap.rip);
	CHECK_EQ(vm_activate_cpu(cpu->vcpu), 0);
	cpu_go(cpu);
}

static void *cpu_main(void *arg)
{
	struct cpu *cpu = arg;
	struct vm_exit exit = { 0 };
	cpuset_t set;
	struct vm_run run = { .cpuset = &set, .cpusetsize = sizeof(set), .vm_exit = &exit };

	do {
		memset(&set, 0xff, sizeof(set));
		if (vm_run(cpu->vcpu, &run)) {
			unit_fail(__FILE__, __LINE__, "VM_RUN: %s", strerror(errno));
			break;
		}
		cpu->exits++;
		switch (exit.exitcode) {
		case VM_EXITCODE_IPI:
			ipi_exit(&exit, &set);
			break;
		case VM_EXITCODE_SPINUP_AP:
			spinup_exit(&exit);
			break;
		case VM_EXITCODE_DEBUG:
			cpu->debugs++;
			usleep(1000);
			break;
		default:
			break;
		}
	} while (exit.exitcode == VM_EXITCODE_BOGUS || exit.exitcode == VM_EXITCODE_IPI ||
		 exit.exitcode == VM_EXITCODE_SPINUP_AP || exit.exitcode == VM_EXITCODE_DEBUG);
	cpu->last = exit;
	return NULL;
}

static void cpu_open(struct cpu *cpu, int id)
{
	cpu->vcpu = id == 0 ? machine.vcpu : vm_vcpu_open(machine.ctx, id);
	REQUIRE(cpu->vcpu);
	REQUIRE(vm_set_x2apic_state(cpu->vcpu, X2APIC_ENABLED) == 0);
	capability(cpu, VM_CAP_HALT_EXIT);
}

/* All have halted with interrupts off, and none has run around in circles before. */
static void check_ends(int count)
{
	for (int i = 0; i < count; i++) {
		pthread_join(cpus[i].thread, NULL);
		CHECK_EQ_AT(cpus[i].last.exitcode, VM_EXITCODE_SUSPENDED, "vCPU %d", i);
		CHECK_EQ_AT(cpus[i].last.u.suspended.how, VM_SUSPEND_HALT, "vCPU %d", i);
		CHECK_EQ_AT(cpus[i].starts, i ? 1 : 0, "vCPU %d", i);
		CHECK(cpus[i].exits < 100);
	}
	CHECK_EQ(machine.memory[COUNT], count - 1);
}

TEST(aps_are_started_by_ipi_exits)
{
	static const uint8_t code[] = {
		0x66, 0xb9, 0x30, 0x08, 0x00, 0x00, /* mov ecx, 0x830: ICR */
		0x66, 0x31, 0xd2,		    /* xor edx, edx */
		0x66, 0xb8, 0x00, 0x45, 0x0c, 0x00, /* mov eax, 0xc4500: INIT, all others */
		0x0f, 0x30,			    /* wrmsr */
		0x66, 0xb8, 0x02, 0x46, 0x0c, 0x00, /* mov eax, 0xc4602: start-up */
		0x0f, 0x30,			    /* wrmsr */
		0x0f, 0x30,			    /* wrmsr */
		0x80, 0x3e, 0x00, 0x50, 0x03,	    /* cmp byte [COUNT], 3 */
		0x75, 0xf9,			    /* jne */
		0xfa,				    /* cli */
		0xf4,				    /* hlt */
	};

	machine = machine_create("start", SIZE, code, sizeof(code));
	memcpy(machine.memory + AP_RIP, ap_code, sizeof(ap_code));
	for (int i = 0; i < CPUS; i++) {
		cpu_open(&cpus[i], i);
		capability(&cpus[i], VM_CAP_IPI_EXIT);
		if (i == 0)
			continue;
		REQUIRE(vm_activate_cpu(cpus[i].vcpu) == 0);
		REQUIRE(vm_suspend_cpu(cpus[i].vcpu) == 0);
		cpu_go(&cpus[i]);
	}
	cpu_go(&cpus[0]);
	check_ends(CPUS);
	for (int i = 1; i < CPUS; i++)
		CHECK(cpus[i].debugs >= 1);
	machine_destroy(&machine);
}

TEST(aps_are_spun_up)
{
	static const uint8_t code[] = {
		0x66, 0xb9, 0x30, 0x08, 0x00, 0x00, /* mov ecx, 0x830: ICR */
		0x66, 0xba, 0x01, 0x00, 0x00, 0x00, /* mov edx, 1 */
		0x66, 0xb8, 0x00, 0x45, 0x00, 0x00, /* mov eax, 0x4500: INIT */
		0x0f, 0x30,			    /* wrmsr */
		0x66, 0xb8, 0x02, 0x46, 0x00, 0x00, /* mov eax, 0x4602: start-up */
		0x0f, 0x30,			    /* wrmsr */
		0x0f, 0x30,			    /* wrmsr */
		0x80, 0x3e, 0x00, 0x50, 0x01,	    /* cmp byte [COUNT], 1 */
		0x75, 0xf9,			    /* jne */
		0xfa,				    /* cli */
		0xf4,				    /* hlt */
	};

	machine = machine_create("start", SIZE, code, sizeof(code));
	memcpy(machine.memory + AP_RIP, ap_code, sizeof(ap_code));
	cpu_open(&cpus[0], 0);
	cpu_open(&cpus[1], 1);
	cpu_go(&cpus[0]);
	pthread_join(cpus[0].thread, NULL);
	CHECK_EQ(cpus[0].last.exitcode, VM_EXITCODE_SUSPENDED);
	pthread_join(cpus[1].thread, NULL);
	CHECK_EQ(cpus[1].last.exitcode, VM_EXITCODE_SUSPENDED);
	CHECK_EQ(cpus[1].starts, 1);
	CHECK_EQ(machine.memory[COUNT], 1);
	machine_destroy(&machine);
}

static void alarmed(int signal)
{
	(void)signal;
}

/* HLT with interrupts on and none to come: the processor sleeps in the module. */
TEST(an_idle_guest_makes_no_exits)
{
	static const uint8_t code[] = { 0xfb, /* sti */ 0xf4, /* hlt */ 0xeb, 0xfd /* jmp */ };
	const struct itimerval second = { .it_value = { .tv_sec = 1 } };
	struct sigaction action = { .sa_handler = alarmed };
	struct vm_exit exit = { 0 };
	struct vm_run run = { .vm_exit = &exit };
	unsigned int exits = 0;

	machine = machine_create("start", SIZE, code, sizeof(code));
	cpu_open(&cpus[0], 0);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &second, NULL);
	while (vm_run(machine.vcpu, &run) == 0)
		exits++;
	CHECK_EQ(errno, EINTR);
	CHECK(exits < 10);
	machine_destroy(&machine);
}

/* --- what goes with it ------------------------------------------------------------- */

TEST(holding_twice_and_letting_go_twice)
{
	machine = machine_create("start", SIZE, ap_code, sizeof(ap_code));
	CHECK_EQ(vm_resume_cpu(machine.vcpu), -1);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(vm_suspend_cpu(machine.vcpu), 0);
	CHECK_EQ(vm_suspend_cpu(machine.vcpu), 0);
	CHECK_EQ(vm_resume_cpu(machine.vcpu), 0);
	CHECK_EQ(vm_resume_cpu(machine.vcpu), -1);
	CHECK_EQ(errno, EINVAL);
	machine_destroy(&machine);
}

TEST(capabilities_of_the_processor)
{
	int value = -1;

	machine = machine_create("start", SIZE, ap_code, sizeof(ap_code));
	CHECK_EQ(vm_get_capability(machine.vcpu, VM_CAP_RDPID, &value), -1);
	CHECK_EQ(errno, ENOENT);
	CHECK_EQ(vm_set_capability(machine.vcpu, VM_CAP_RDPID, 1), -1);
	CHECK_EQ(errno, ENOENT);
	CHECK_EQ(vm_get_capability(machine.vcpu, VM_CAP_UNRESTRICTED_GUEST, &value), 0);
	CHECK_EQ(value, 1);
	CHECK_EQ(vm_set_capability(machine.vcpu, VM_CAP_PAUSE_EXIT, 1), 0);
	CHECK_EQ(vm_get_capability(machine.vcpu, VM_CAP_PAUSE_EXIT, &value), 0);
	CHECK_EQ(value, 1);
	machine_destroy(&machine);
}

/* pte[] has room for what bhyve's has, and a byte more would be seen. */
TEST(nested_page_table_entries_fit_four)
{
	uint64_t entries[5] = { [4] = 0x1234 };
	int count = 0;

	machine = machine_create("start", SIZE, ap_code, sizeof(ap_code));
	machine.memory[MACHINE_CODE] = ap_code[0];
	REQUIRE(vm_get_gpa_pmap(machine.ctx, MACHINE_CODE, entries, &count) == 0);
	CHECK(count <= 4);
	CHECK_EQ(entries[4], 0x1234);
	machine_destroy(&machine);
}

TEST(a_write_to_read_only_memory_is_paging)
{
	static const uint8_t code[] = {
		0xb8, 0x00, 0x90,	      /* mov ax, 0x9000 */
		0x8e, 0xd8,		      /* mov ds, ax */
		0xfe, 0x06, 0x10, 0x00, 0xf4, /* inc byte [0x10] */
	};
	struct vm_exit exit = { 0 };
	struct vm_run run = { .vm_exit = &exit };
	uint8_t *rom;

	machine = machine_create("start", SIZE, code, sizeof(code));
	rom = vm_create_devmem(machine.ctx, VM_BOOTROM, "rom", 0x1000);
	REQUIRE(vm_mmap_memseg(machine.ctx, 0x90000, VM_BOOTROM, 0, 0x1000,
			       VM_PROT_READ | VM_PROT_EXEC) == 0);
	rom[0x10] = 0x77;
	do {
		REQUIRE(vm_run(machine.vcpu, &run) == 0);
	} while (exit.exitcode == VM_EXITCODE_BOGUS);
	CHECK_EQ(exit.exitcode, VM_EXITCODE_PAGING);
	CHECK_EQ(exit.u.paging.gpa, 0x90010);
	CHECK_EQ(exit.u.paging.fault_type, VM_PROT_WRITE);
	CHECK_EQ(exit.rip, MACHINE_CODE + 5);
	CHECK_EQ(rom[0x10], 0x77);
	machine_destroy(&machine);
}
