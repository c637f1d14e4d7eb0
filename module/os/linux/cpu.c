// SPDX-License-Identifier: BSD-2-Clause
/* Processors: how many there are, calling a function on all of them, NMI and machine check. */
#include <linux/atomic.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/smp.h>
#include "os/os.h"

unsigned int os_cpu_possible(void)
{
	return nr_cpu_ids;
}

unsigned int os_cpu_online(void)
{
	return num_online_cpus();
}

struct each_cpu {
	int (*fn)(void *arg);
	void *arg;
	atomic_t error;
};

static void each_cpu(void *arg)
{
	struct each_cpu *each = arg;
	int error = each->fn(each->arg);

	if (error)
		atomic_cmpxchg(&each->error, 0, error);
}

int os_each_cpu(int (*fn)(void *arg), void *arg)
{
	struct each_cpu each = { .fn = fn, .arg = arg, .error = ATOMIC_INIT(0) };

	/* A CPU in transition is covered by the hotplug callbacks. */
	cpus_read_lock();
	on_each_cpu(each_cpu, &each, 1);
	cpus_read_unlock();
	return atomic_read(&each.error);
}

/* Vector 2 with interrupts off is what the host's handler expects of an NMI. */
void os_host_nmi(void)
{
	asm volatile("int $2" : : : "memory");
}

/* #MC cannot be re-injected into the host: its handler is called (APM vol. 2, 8.2.19). */
void os_host_machine_check(void)
{
	asm volatile("int $18" : : : "memory");
}
