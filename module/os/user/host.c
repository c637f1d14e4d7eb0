// SPDX-License-Identifier: BSD-2-Clause
/* The rest of the simulated host: the log, traced exits. */
#include <stdlib.h>

#include "os/os.h"
#include "os/user/internal.h"
#include "os/user/os_user.h"

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char last_log[512];
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

#define RATELIMIT_NS	5000000000ull
#define RATELIMIT_LINES 10

void os_ratelimit_init(struct os_ratelimit *limit)
{
	*limit = (struct os_ratelimit){ .begin = os_now_ns() };
}

void os_warn_limited(struct os_ratelimit *limit, const char *fmt, ...)
{
	uint64_t now = os_now_ns();
	va_list args;

	if (now - __atomic_load_n(&limit->begin, __ATOMIC_SEQ_CST) >= RATELIMIT_NS) {
		__atomic_store_n(&limit->begin, now, __ATOMIC_SEQ_CST);
		__atomic_store_n(&limit->lines, 0, __ATOMIC_SEQ_CST);
	}
	if (__atomic_fetch_add(&limit->lines, 1, __ATOMIC_SEQ_CST) >= RATELIMIT_LINES)
		return;
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

static bool addresses_hidden;

bool os_may_see_addresses(void)
{
	return !addresses_hidden;
}

void os_user_hide_addresses(bool hidden)
{
	addresses_hidden = hidden;
}

void os_user_reset(void)
{
	addresses_hidden = false;
	os_user_memory_reset();
	os_user_clock_reset();
	os_user_sync_reset();
	os_user_cpu_reset();
	os_user_cpuid_reset();
	os_user_pci_reset();
	__atomic_store_n(&tracing, false, __ATOMIC_SEQ_CST);
	__atomic_store_n(&exits, 0, __ATOMIC_SEQ_CST);
	last_log[0] = '\0';
}
