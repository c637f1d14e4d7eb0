// SPDX-License-Identifier: BSD-2-Clause
/* The rest of the simulated host: the log, published segments, traced exits. */
#include <stdlib.h>

#include "os/os.h"
#include "os/user/internal.h"
#include "os/user/os_user.h"

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char last_log[512];
static int publish_error;
static unsigned int published;
static unsigned int unmaps;
static uint64_t exits;
static bool tracing;

void os_user_die(const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "os/user: ");
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
	abort();
}

/* Shown only when asked for: a test of an error must not look like one. */
static void __attribute__((format(printf, 1, 0))) log_line(const char *fmt, va_list args)
{
	pthread_mutex_lock(&log_lock);
	vsnprintf(last_log, sizeof(last_log), fmt, args);
	if (getenv("VMM_TEST_LOG"))
		fprintf(stderr, "vmm: %s\n", last_log);
	pthread_mutex_unlock(&log_lock);
}

void os_info(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_line(fmt, args);
	va_end(args);
}

void os_warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_line(fmt, args);
	va_end(args);
}

const char *os_user_last_log(void)
{
	return last_log;
}

int os_memseg_publish(struct vm *vm, struct memseg *seg)
{
	int error = __atomic_exchange_n(&publish_error, 0, __ATOMIC_SEQ_CST);

	(void)vm;
	(void)seg;
	os_user_may_sleep("os_memseg_publish");
	if (error == 0)
		__atomic_fetch_add(&published, 1, __ATOMIC_SEQ_CST);
	return error;
}

void os_memseg_withdraw(struct vm *vm, struct memseg *seg)
{
	(void)vm;
	(void)seg;
	os_user_may_sleep("os_memseg_withdraw");
	if (__atomic_fetch_sub(&published, 1, __ATOMIC_SEQ_CST) == 0)
		os_user_die("os_memseg_withdraw of a segment that was not published");
}

void os_vm_unmap_programs(struct vm *vm)
{
	(void)vm;
	os_user_may_sleep("os_vm_unmap_programs");
	__atomic_fetch_add(&unmaps, 1, __ATOMIC_SEQ_CST);
}

void os_user_fail_publish(int error)
{
	__atomic_store_n(&publish_error, error, __ATOMIC_SEQ_CST);
}

unsigned int os_user_published(void)
{
	return __atomic_load_n(&published, __ATOMIC_SEQ_CST);
}

unsigned int os_user_unmaps(void)
{
	return __atomic_load_n(&unmaps, __ATOMIC_SEQ_CST);
}

bool os_user_traces_exits(void)
{
	return __atomic_load_n(&tracing, __ATOMIC_SEQ_CST);
}

void os_user_trace_exits(void)
{
	__atomic_store_n(&tracing, true, __ATOMIC_SEQ_CST);
}

void os_user_count_exit(uint32_t reason)
{
	(void)reason;
	__atomic_fetch_add(&exits, 1, __ATOMIC_SEQ_CST);
}

uint64_t os_user_exits(void)
{
	return __atomic_load_n(&exits, __ATOMIC_SEQ_CST);
}

void os_user_reset(void)
{
	os_user_memory_reset();
	os_user_clock_reset();
	os_user_sync_reset();
	os_user_cpu_reset();
	os_user_cpuid_reset();
	os_user_pci_reset();
	os_user_fail_publish(0);
	__atomic_store_n(&tracing, false, __ATOMIC_SEQ_CST);
	__atomic_store_n(&published, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&unmaps, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&exits, 0, __ATOMIC_SEQ_CST);
	last_log[0] = '\0';
}
