// SPDX-License-Identifier: BSD-2-Clause
/* vmm-loader's call of modprobe. */
#include "conf.h"
#include "modprobe.h"
#include "unit.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct modprobe modprobe;

static void build(unsigned int maxcpu, const char *first, const char *third)
{
	struct conf conf = { .load = true, .maxcpu = maxcpu };

	snprintf(conf.pptdevs[0], sizeof(conf.pptdevs[0]), "%s", first);
	snprintf(conf.pptdevs[2], sizeof(conf.pptdevs[2]), "%s", third);
	modprobe_init(&modprobe, &conf);
}

/* What a function prints. */
static const char *printed(void (*print)(const struct modprobe *modprobe, FILE *file))
{
	static char text[4096];
	FILE *file;

	memset(text, 0, sizeof(text));
	file = fmemopen(text, sizeof(text) - 1, "w");
	REQUIRE(file);
	print(&modprobe, file);
	fclose(file);
	return text;
}

TEST(without_parameters)
{
	build(0, "", "");
	CHECK_STR(printed(modprobe_print_command), "modprobe vmm\n");
	CHECK_STR(printed(modprobe_print_options), "");
}

TEST(a_value_with_spaces_is_quoted_for_its_reader)
{
	build(16, "1/0/0 2/0/0 3/0/0", "4/0/0");
	CHECK_STR(printed(modprobe_print_command),
		  "modprobe vmm maxcpu=16 'pptdevs=1/0/0 2/0/0 3/0/0' pptdevs3=4/0/0\n");
	CHECK_STR(printed(modprobe_print_options),
		  "options vmm maxcpu=16 pptdevs=\"1/0/0 2/0/0 3/0/0\" pptdevs3=4/0/0\n");
}

/* The longest parameters there can be. */
TEST(everything_at_once)
{
	struct conf conf = { .load = true,
			     .maxcpu = CONF_MAXCPU_LIMIT,
			     .limits = { 1, 2, 3, UINT_MAX } };

	for (unsigned int i = 0; i < CONF_PPT_LISTS; i++)
		memset(conf.pptdevs[i], '1', CONF_PPT_LENGTH);
	modprobe_init(&modprobe, &conf);
	CHECK_EQ(modprobe.count, MODPROBE_PARAMETERS);
	for (unsigned int i = 0; i < CONF_PPT_LISTS; i++)
		CHECK_EQ(strlen(strchr(modprobe.parameters[1 + CONF_LIMITS + i], '=')),
			 1 + CONF_PPT_LENGTH);
}

/* A script in a folder of its own that is all of PATH. */
static void install(const char *script)
{
	static char folder[] = "/tmp/test_loader.XXXXXX";
	char path[64];
	FILE *file;

	REQUIRE(mkdtemp(folder));
	REQUIRE(chdir(folder) == 0);
	snprintf(path, sizeof(path), "%s/modprobe", folder);
	file = fopen(path, "w");
	REQUIRE(file);
	fprintf(file, "#!/bin/sh\n%s\n", script);
	fclose(file);
	REQUIRE(chmod(path, 0755) == 0);
	setenv("PATH", folder, 1);
}

static void remove_script(void)
{
	char folder[64];

	REQUIRE(getcwd(folder, sizeof(folder)));
	unlink("modprobe");
	unlink("seen");
	CHECK_EQ(rmdir(folder), 0);
}

/* Nothing may split a value on the way, nor add quotes: modprobe does. */
TEST(each_parameter_is_one_argument)
{
	char text[256] = "";
	FILE *file;

	install("printf '<%s>' \"$@\" >seen");
	build(4, "1/0/0 2/0/0", "");
	CHECK_EQ(modprobe_run(&modprobe), 0);
	file = fopen("seen", "r");
	REQUIRE(file && fgets(text, sizeof(text), file));
	fclose(file);
	CHECK_STR(text, "<vmm><maxcpu=4><pptdevs=1/0/0 2/0/0>");
	remove_script();
}

TEST(its_end_is_reported)
{
	install("[ \"$2\" = maxcpu=4 ] && exit 3; kill -9 $$");
	build(4, "", "");
	CHECK_EQ(modprobe_run(&modprobe), 3);
	build(5, "", "");
	CHECK_EQ(modprobe_run(&modprobe), 128 + 9);
	remove_script();
}
