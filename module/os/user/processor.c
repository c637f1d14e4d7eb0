// SPDX-License-Identifier: BSD-2-Clause
/*
 * The simulated processors: registers are plain memory, one set for each CPU,
 * and a thread is on the CPU that os_user_move_to_cpu() says (0 at first).
 */
#include <sched.h>

#include "os/os.h"
#include "os/user/internal.h"
#include "os/user/os_user.h"

#define CPUS_START 2

static struct os_user_cpu cpus[OS_USER_MAX_CPUS];
static unsigned int cpu_count = CPUS_START;
static __thread unsigned int this_cpu;
static __thread unsigned int leave_countdown;
static __thread bool leave_now;
static __thread unsigned int loop_depth;
static struct os_mitigations mitigations;
static unsigned int host_nmis, host_machine_checks, barriers_before_user, yields;

unsigned int os_cpu_id(void)
{
	return this_cpu;
}

unsigned int os_cpu_possible(void)
{
	return cpu_count;
}

unsigned int os_cpu_online(void)
{
	return cpu_count;
}

int os_each_cpu(int (*fn)(void *arg), void *arg)
{
	unsigned int home = this_cpu;
	int first_error = 0;
	int error;

	os_user_may_sleep("os_each_cpu");
	os_user_atomic_enter();
	for (this_cpu = 0; this_cpu < cpu_count; this_cpu++) {
		error = fn(arg);
		if (error != 0 && first_error == 0)
			first_error = error;
	}
	this_cpu = home;
	os_user_atomic_leave();
	return first_error;
}

/* Guest FPU state really is loaded: these two registers are the C code's to keep. */
static __thread uint16_t saved_fpu_control;
static __thread uint32_t saved_mxcsr;

void os_run_begin(void)
{
	if (loop_depth++ != 0)
		os_user_die("os_run_begin inside the inner loop");
	os_user_atomic_enter();
	asm volatile("fnstcw %0; stmxcsr %1" : "=m"(saved_fpu_control), "=m"(saved_mxcsr));
}

void os_run_end(void)
{
	if (loop_depth-- != 1)
		os_user_die("os_run_end outside the inner loop");
	asm volatile("fninit; fldcw %0; ldmxcsr %1" : : "m"(saved_fpu_control), "m"(saved_mxcsr));
	os_user_atomic_leave();
	leave_now = false;
}

bool os_user_should_leave(void)
{
	if (leave_countdown != 0 && --leave_countdown == 0)
		leave_now = true;
	return leave_now || os_signal_pending();
}

void os_user_leave_after(unsigned int n)
{
	leave_countdown = n;
	leave_now = false;
}

unsigned int os_user_yields(void)
{
	return __atomic_load_n(&yields, __ATOMIC_RELAXED);
}

void os_yield(void)
{
	os_user_may_sleep("os_yield");
	__atomic_fetch_add(&yields, 1, __ATOMIC_RELAXED);
	sched_yield();
}

struct os_user_cpu *os_user_this_cpu(void)
{
	return &cpus[this_cpu];
}

struct os_user_cpu *os_user_cpu(unsigned int cpu)
{
	if (cpu >= cpu_count)
		os_user_die("there is no CPU %u", cpu);
	return &cpus[cpu];
}

void os_user_set_cpus(unsigned int count)
{
	if (count == 0 || count > OS_USER_MAX_CPUS)
		os_user_die("%u is no number of CPUs", count);
	cpu_count = count;
}

void os_user_move_to_cpu(unsigned int cpu)
{
	(void)os_user_cpu(cpu);
	this_cpu = cpu;
}

static uint64_t *find_msr(struct os_user_cpu *cpu, uint32_t msr)
{
	unsigned int i;

	for (i = 0; i < cpu->msr_count; i++) {
		if (cpu->msr_number[i] == msr)
			return &cpu->msr_value[i];
	}
	return NULL;
}

static void write_msr(struct os_user_cpu *cpu, uint32_t msr, uint64_t value)
{
	uint64_t *slot = find_msr(cpu, msr);

	if (!slot) {
		if (cpu->msr_count == OS_USER_MSRS)
			os_user_die("more than %d MSRs in use", OS_USER_MSRS);
		cpu->msr_number[cpu->msr_count] = msr;
		slot = &cpu->msr_value[cpu->msr_count++];
	}
	*slot = value;
}

int os_user_msr_read(uint32_t msr, uint64_t *value)
{
	uint64_t *slot = find_msr(&cpus[this_cpu], msr);

	*value = slot ? *slot : 0;
	return slot ? 0 : -EIO;
}

void os_user_msr_write(uint32_t msr, uint64_t value)
{
	write_msr(&cpus[this_cpu], msr, value);
}

void os_user_set_msr(uint32_t msr, uint64_t value)
{
	unsigned int i;

	for (i = 0; i < OS_USER_MAX_CPUS; i++)
		write_msr(&cpus[i], msr, value);
}

const struct os_mitigations *os_mitigations(void)
{
	return &mitigations;
}

bool os_user_l1d_used;

void os_ibpb_before_user(void)
{
	barriers_before_user++;
}

unsigned int os_user_barriers_before_user(void)
{
	return barriers_before_user;
}

void os_user_set_mitigations(const struct os_mitigations *wanted)
{
	mitigations = *wanted;
}

void os_host_nmi(void)
{
	__atomic_fetch_add(&host_nmis, 1, __ATOMIC_SEQ_CST);
}

void os_host_machine_check(void)
{
	__atomic_fetch_add(&host_machine_checks, 1, __ATOMIC_SEQ_CST);
}

unsigned int os_user_host_nmis(void)
{
	return __atomic_load_n(&host_nmis, __ATOMIC_SEQ_CST);
}

unsigned int os_user_host_machine_checks(void)
{
	return __atomic_load_n(&host_machine_checks, __ATOMIC_SEQ_CST);
}

/* As Linux runs: paging, SSE, XSAVE with x87, SSE and AVX; EFER with SCE, LME, LMA, NXE. */
static void cpu_power_on(struct os_user_cpu *cpu)
{
	memset(cpu, 0, sizeof(*cpu));
	cpu->cr0 = 0x80050033;
	cpu->cr4 = 0x001406e0;
	cpu->dr[6] = 0xffff0ff0;
	cpu->dr[7] = 0x400;
	cpu->xcr0 = 0x7;
	write_msr(cpu, 0xc0000080, 0xd01);
	write_msr(cpu, 0x277, 0x0407050600070106); /* IA32_PAT */
}

void os_user_cpu_reset(void)
{
	unsigned int i;

	cpu_count = CPUS_START;
	this_cpu = 0;
	host_nmis = 0;
	host_machine_checks = 0;
	barriers_before_user = 0;
	os_user_l1d_used = false;
	memset(&mitigations, 0, sizeof(mitigations));
	os_user_leave_after(0);
	for (i = 0; i < OS_USER_MAX_CPUS; i++)
		cpu_power_on(&cpus[i]);
}

static void __attribute__((constructor)) cpu_start(void)
{
	os_user_cpu_reset();
}
