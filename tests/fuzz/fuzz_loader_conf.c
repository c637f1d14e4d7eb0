// SPDX-License-Identifier: BSD-2-Clause
/*
 * loader.conf: whatever the file holds, what comes of it may be given to modprobe
 * (numbers and lists of devices, nothing that a shell or the kernel reads otherwise),
 * messages are short plain text, and line numbers are right.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "modprobe.h"

/* Of the input. */
static unsigned int lines;
static unsigned int last_line;

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_line(unsigned int line)
{
	require(line >= last_line && line >= 1 && line <= lines);
	last_line = line;
}

static void on_problem(void *context, unsigned int line, const char *text)
{
	(void)context;
	check_line(line);
	require(*text);
	for (; *text; text++)
		require(*text >= ' ' && *text <= '~');
}

static void on_ignored(void *context, unsigned int line, const char *name)
{
	(void)context;
	check_line(line);
	require(*name && strcmp(name, "vmm_load") && strcmp(name, "pptdevs"));
}

static void check_list(const char *list)
{
	size_t length = strlen(list);

	require(length <= CONF_PPT_LENGTH);
	require(strspn(list, "0123456789/ ") == length);
	require(!strstr(list, "  ") && !strstr(list, "//"));
	require(length == 0 || (list[0] >= '0' && list[length - 1] >= '0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct conf_listener listener = { on_problem, on_ignored, NULL };
	static struct modprobe modprobe;
	static struct conf conf;

	last_line = 0;
	lines = 1;
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	conf_parse(&conf, (const char *)data, size, &listener);
	require(conf.maxcpu <= CONF_MAXCPU_LIMIT);
	for (unsigned int i = 0; i < CONF_PPT_LISTS; i++)
		check_list(conf.pptdevs[i]);
	modprobe_init(&modprobe, &conf);
	require(modprobe.count <= MODPROBE_PARAMETERS);
	return 0;
}
