// SPDX-License-Identifier: BSD-2-Clause
/*
 * Options about a whole VM: its life, its vCPUs, its clock; and the list of VMs.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bhyvectl.h"
#include "common/vm_name.h"

#define VM_DIRECTORY "/dev/vmm"

static int is_vm(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void print_vm(int directory, const char *name)
{
	const struct passwd *user;
	struct stat status;

	/* It may have been destroyed since the directory was read. */
	if (fstatat(directory, name, &status, 0))
		return;
	user = getpwuid(status.st_uid);
	if (user)
		printf("%-32s %s\n", name, user->pw_name);
	else
		printf("%-32s %u\n", name, status.st_uid);
}

int list_vms(struct session *session, const struct option *option, const char *argument)
{
	struct dirent **entries;
	struct stat status;
	int directory;
	int count;

	(void)option;
	(void)argument;
	directory = open(VM_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 && errno == ENOENT && stat(CONTROL_DEVICE, &status) == 0)
		return 0; /* the directory comes with the first VM */
	if (directory < 0 && errno == ENOENT)
		return session_fail(session, MODULE_NOT_LOADED);
	if (directory < 0)
		return -1;
	count = scandirat(directory, ".", &entries, is_vm, alphasort);
	for (int i = 0; i < count; i++) {
		print_vm(directory, entries[i]->d_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	close(directory);
	return count < 0 ? -1 : 0;
}

int check_vm_name(struct session *session)
{
	const char *problem;

	if (!session->vm_name)
		return session_fail(session, "no VM is named; see bhyvectl --help");
	problem = vm_name_problem(session->vm_name);
	return problem ? session_fail(session, "%s", problem) : 0;
}

int create_vm(struct session *session, const struct option *option, const char *argument)
{
	(void)option;
	(void)argument;
	if (check_vm_name(session))
		return -1;
	if (vm_create(session->vm_name) == 0)
		return 0;
	return session_fail(session, "%s", vm_access_problem(errno));
}

int destroy_vm(struct session *session, const struct option *option, const char *argument)
{
	(void)option;
	(void)argument;
	if (check_vm_name(session))
		return -1;
	if (vm_destroy_name(session->vm_name) == 0)
		return 0;
	return session_fail(session, "%s", vm_access_problem(errno == EINVAL ? ENOENT : errno));
}

int stop_vm(struct session *session, const struct option *option, const char *argument)
{
	(void)argument;
	if (vm_suspend(session->ctx, (enum vm_suspend_how)option->data) == 0)
		return 0;
	return errno == EALREADY ? session_fail(session, "it is stopping already") : -1;
}

int get_cpus(struct session *session, const struct option *option, const char *argument)
{
	static const struct {
		const char *name;
		int (*get)(struct vmctx *ctx, cpuset_t *cpus);
	} sets[] = {
		[VM_ACTIVE_CPUS] = { "active", vm_active_cpus },
		[VM_SUSPENDED_CPUS] = { "suspended", vm_suspended_cpus },
		[VM_DEBUG_CPUS] = { "debug", vm_debug_cpus },
	};
	cpuset_t cpus;
	int cpu;

	(void)argument;
	if (sets[option->data].get(session->ctx, &cpus))
		return -1;
	printf("%s cpus:\t", sets[option->data].name);
	if (CPU_EMPTY(&cpus))
		printf(" (none)");
	CPU_FOREACH_ISSET(cpu, &cpus)
	printf(" %d", cpu);
	printf("\n");
	return 0;
}

int get_topology(struct session *session, const struct option *option, const char *argument)
{
	uint16_t sockets, cores, threads, maxcpus;

	(void)option;
	(void)argument;
	if (vm_get_topology(session->ctx, &sockets, &cores, &threads, &maxcpus))
		return -1;
	printf("cpu_topology:\tsockets=%u, cores=%u, threads=%u, maxcpus=%u\n", sockets, cores,
	       threads, maxcpus);
	return 0;
}

int get_rtc_time(struct session *session, const struct option *option, const char *argument)
{
	char text[64] = "out of range";
	struct tm tm;
	time_t secs;

	(void)option;
	(void)argument;
	if (vm_rtc_gettime(session->ctx, &secs))
		return -1;
	if (gmtime_r(&secs, &tm))
		strftime(text, sizeof(text), "%a %Y-%m-%d %H:%M:%S UTC", &tm);
	printf("rtc time\t%" PRId64 ": %s\n", (int64_t)secs, text);
	return 0;
}

int set_rtc_time(struct session *session, const struct option *option, const char *argument)
{
	uint64_t secs;

	(void)option;
	if (parse_number(session, argument, INT64_MAX, &secs))
		return -1;
	return vm_rtc_settime(session->ctx, (time_t)secs);
}

static int need_nvram_offset(struct session *session)
{
	if (session->nvram_offset >= 0)
		return 0;
	return session_fail(session, "at which offset? (--rtc-nvram-offset)");
}

int get_rtc_nvram(struct session *session, const struct option *option, const char *argument)
{
	uint8_t value;

	(void)option;
	(void)argument;
	if (need_nvram_offset(session) || vm_rtc_read(session->ctx, session->nvram_offset, &value))
		return -1;
	printf("rtc nvram[%03d]: 0x%02x\n", session->nvram_offset, value);
	return 0;
}

int set_rtc_nvram(struct session *session, const struct option *option, const char *argument)
{
	uint64_t value;

	(void)option;
	if (need_nvram_offset(session) || parse_number(session, argument, UINT8_MAX, &value))
		return -1;
	if (vm_rtc_write(session->ctx, session->nvram_offset, (uint8_t)value) == 0)
		return 0;
	if (errno != EINVAL)
		return -1;
	return session_fail(session,
			    "byte %d is the clock's (--set-rtc-time sets it), or a status register",
			    session->nvram_offset);
}

int get_hpet(struct session *session, const struct option *option, const char *argument)
{
	uint32_t capabilities;

	(void)option;
	(void)argument;
	if (vm_get_hpet_capabilities(session->ctx, &capabilities))
		return -1;
	printf("hpet capabilities\t0x%08x\n", capabilities);
	return 0;
}
