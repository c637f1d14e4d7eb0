// SPDX-License-Identifier: BSD-2-Clause
/* The names of loader.conf that are about vmm, and what their values may be. */
#include "conf.h"
#include "line.h"
#include "common/number.h"
#include "common/pci_place.h"
#include "common/printable.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The file on its way through. */
struct reading {
	struct conf *conf;
	const struct conf_listener *listener;
	unsigned int number; /* of the line, from 1 */
	struct line line;
};

static void report_problem(struct reading *reading, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Reports a problem. The text may quote the file, which may hold any bytes. */
static void report_problem(struct reading *reading, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	make_printable(text, PRINTABLE_ASCII);
	reading->listener->problem(reading->listener->context, reading->number, text);
}

/* --- devices -------------------------------------------------------------------- */

const char *conf_ppt_name(unsigned int list)
{
	static const char *const names[CONF_PPT_LISTS] = { "pptdevs", "pptdevs2", "pptdevs3" };

	return names[list];
}

static void append_device(char *list, size_t used, const char *device)
{
	if (used)
		list[used++] = ' ';
	memcpy(list + used, device, strlen(device) + 1);
}

static void add_device(struct reading *reading, char *list, const char *device)
{
	size_t used = strlen(list);
	struct pci_place place;

	if (!pci_place_parse(device, strlen(device), &place))
		report_problem(reading, "%s: '%.40s' is not bus/slot/function; it is left out",
			       reading->line.name, device);
	else if (used + (used > 0) + strlen(device) > CONF_PPT_LENGTH)
		report_problem(reading, "%s: '%.40s' is left out: the kernel takes %d characters",
			       reading->line.name, device, CONF_PPT_LENGTH);
	else
		append_device(list, used, device);
}

static void set_pptdevs(struct reading *reading, unsigned int number)
{
	char *list = reading->conf->pptdevs[number];
	char *rest = reading->line.value;
	const char *device;

	list[0] = '\0';
	while ((device = strsep(&rest, " \t")))
		if (*device)
			add_device(reading, list, device);
}

/* --- the others ------------------------------------------------------------------- */

static void set_load(struct reading *reading, unsigned int unused)
{
	const char *value = reading->line.value;

	(void)unused;
	reading->conf->load = strcasecmp(value, "YES") == 0;
	if (!reading->conf->load && strcasecmp(value, "NO") != 0)
		report_problem(reading, "vmm_load: '%.40s' is neither YES nor NO; NO is assumed",
			       value);
}

/* A module's parameter that is a number from 1 on. */
static void set_number(struct reading *reading, const char *name, unsigned int max,
		       unsigned int *result)
{
	unsigned int number;

	if (number_parse_unsigned(reading->line.value, max, &number) == 0 && number > 0)
		*result = number;
	else
		report_problem(reading, "hw.vmm.%s: '%.40s' is not a number from 1 to %u; ignored",
			       name, reading->line.value, max);
}

static void set_maxcpu(struct reading *reading, unsigned int unused)
{
	(void)unused;
	set_number(reading, "maxcpu", CONF_MAXCPU_LIMIT, &reading->conf->maxcpu);
}

const char *conf_limit_name(unsigned int limit)
{
	static const char *const names[CONF_LIMITS] = {
		"user_memory_max",
		"user_vms_max",
		"memory_reserve",
		"min_timer_period_us",
	};

	return names[limit];
}

static void set_limit(struct reading *reading, unsigned int limit)
{
	set_number(reading, conf_limit_name(limit), UINT_MAX, &reading->conf->limits[limit]);
}

static const struct setting {
	const char *name;
	void (*set)(struct reading *reading, unsigned int argument);
	unsigned int argument;
} settings[] = {
	{ "vmm_load", set_load, 0 },
	{ "hw.vmm.maxcpu", set_maxcpu, 0 },
	{ "pptdevs", set_pptdevs, 0 },
	{ "pptdevs2", set_pptdevs, 1 },
	{ "pptdevs3", set_pptdevs, 2 },
	{ "hw.vmm.user_memory_max", set_limit, 0 },
	{ "hw.vmm.user_vms_max", set_limit, 1 },
	{ "hw.vmm.memory_reserve", set_limit, 2 },
	{ "hw.vmm.min_timer_period_us", set_limit, 3 },
};

static const struct setting *find_setting(const char *name)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
	return NULL;
}

/* Ours by what it begins with, but misspelt: other software has no such names. */
static bool is_meant_for_us(const char *name)
{
	return strncmp(name, "vmm_", 4) == 0 || strncmp(name, "hw.vmm.", 7) == 0 ||
	       strncmp(name, "ppt", 3) == 0;
}

/* --- the file ---------------------------------------------------------------------- */

static void apply_line(struct reading *reading)
{
	const struct conf_listener *listener = reading->listener;
	const struct setting *setting = find_setting(reading->line.name);

	if (!setting && is_meant_for_us(reading->line.name)) {
		report_problem(reading, "%s: there is no such setting of vmm; ignored",
			       reading->line.name);
	} else if (!setting) {
		if (listener->ignored)
			listener->ignored(listener->context, reading->number, reading->line.name);
	} else if (reading->line.cut) {
		report_problem(reading, "%s: the value is longer than %d characters; ignored",
			       setting->name, LINE_VALUE_LENGTH);
	} else {
		setting->set(reading, setting->argument);
	}
}

static void read_line(struct reading *reading, const char *text, size_t length)
{
	const char *wrong = line_parse(&reading->line, text, length);

	if (wrong)
		report_problem(reading, "%s: %.*s", wrong, length > 60 ? 60 : (int)length, text);
	else if (reading->line.name[0])
		apply_line(reading);
}

void conf_parse(struct conf *conf, const char *text, size_t length,
		const struct conf_listener *listener)
{
	struct reading reading = { .conf = conf, .listener = listener };
	const char *end = text + length;

	memset(conf, 0, sizeof(*conf));
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *line_end = newline ? newline : end;

		reading.number++;
		read_line(&reading, text, (size_t)(line_end - text));
		text = newline ? newline + 1 : end;
	}
}

/* --- the kernel's command line -------------------------------------------- */

bool conf_forbidden(const char *command_line)
{
	static const char name[] = "vmm_load=";
	bool forbidden = false;

	while (*command_line) {
		size_t length = strcspn(command_line, " \t\n");

		if (length >= sizeof(name) - 1 && memcmp(command_line, name, sizeof(name) - 1) == 0)
			forbidden = length == sizeof(name) + 1 &&
				    strncasecmp(command_line + sizeof(name) - 1, "NO", 2) == 0;
		command_line += length;
		command_line += strspn(command_line, " \t\n");
	}
	return forbidden;
}
