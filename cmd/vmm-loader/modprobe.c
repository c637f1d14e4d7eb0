// SPDX-License-Identifier: BSD-2-Clause
/*
 * Calling modprobe. Values hold spaces but no quotes (conf.c ensures it): modprobe
 * itself quotes such a value for the kernel, and would quote ours twice.
 */
#include "modprobe.h"

#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#define MODULE "vmm"

extern char **environ;

static void add_parameter(struct modprobe *modprobe, const char *name, const char *value)
{
	char *parameter = modprobe->parameters[modprobe->count++];

	snprintf(parameter, sizeof(modprobe->parameters[0]), "%s=%s", name, value);
}

static void add_number(struct modprobe *modprobe, const char *name, unsigned int number)
{
	char text[16];

	if (number == 0)
		return;
	snprintf(text, sizeof(text), "%u", number);
	add_parameter(modprobe, name, text);
}

void modprobe_init(struct modprobe *modprobe, const struct conf *conf)
{
	memset(modprobe, 0, sizeof(*modprobe));
	add_number(modprobe, "maxcpu", conf->maxcpu);
	for (unsigned int i = 0; i < CONF_LIMITS; i++)
		add_number(modprobe, conf_limit_name(i), conf->limits[i]);
	for (unsigned int i = 0; i < CONF_PPT_LISTS; i++)
		if (conf->pptdevs[i][0])
			add_parameter(modprobe, conf_ppt_name(i), conf->pptdevs[i]);
}

void modprobe_print_command(const struct modprobe *modprobe, FILE *file)
{
	fputs("modprobe " MODULE, file);
	for (unsigned int i = 0; i < modprobe->count; i++) {
		const char *quote = strchr(modprobe->parameters[i], ' ') ? "'" : "";

		fprintf(file, " %s%s%s", quote, modprobe->parameters[i], quote);
	}
	fputc('\n', file);
}

void modprobe_print_options(const struct modprobe *modprobe, FILE *file)
{
	if (modprobe->count == 0)
		return;
	fputs("options " MODULE, file);
	for (unsigned int i = 0; i < modprobe->count; i++) {
		const char *parameter = modprobe->parameters[i];
		const char *value = strchr(parameter, '=') + 1;
		const char *quote = strchr(value, ' ') ? "\"" : "";

		fprintf(file, " %.*s%s%s%s", (int)(value - parameter), parameter, quote, value,
			quote);
	}
	fputc('\n', file);
}

/* By PATH, or where it usually is if PATH is a user's and knows no /sbin. */
static int spawn_modprobe(pid_t *pid, char **argv)
{
	static const char *const names[] = { "modprobe", "/sbin/modprobe", "/usr/sbin/modprobe" };
	int error = ENOENT;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && error == ENOENT; i++)
		error = posix_spawnp(pid, names[i], NULL, NULL, argv, environ);
	return error;
}

int modprobe_run(struct modprobe *modprobe)
{
	char *argv[2 + MODPROBE_PARAMETERS + 1] = { (char *)"modprobe", (char *)MODULE };
	int error, status;
	pid_t pid;

	for (unsigned int i = 0; i < modprobe->count; i++)
		argv[2 + i] = modprobe->parameters[i];
	error = spawn_modprobe(&pid, argv);
	if (error)
		return -error;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
