// SPDX-License-Identifier: BSD-2-Clause
/* loader.conf: what each line means to vmm, and what is said about the others. */
#include "conf.h"
#include "line.h"
#include "unit.h"

#include <stdlib.h>

/* What the listener heard. */
static struct heard {
	unsigned int problems, ignored;
	unsigned int line; /* of the last problem */
	char text[512];	   /* of the last problem */
	char name[256];	   /* of the last line for others */
} heard;

static void on_problem(void *context, unsigned int line, const char *text)
{
	CHECK(context == &heard);
	heard.problems++;
	heard.line = line;
	snprintf(heard.text, sizeof(heard.text), "%s", text);
}

static void on_ignored(void *context, unsigned int line, const char *name)
{
	(void)context, (void)line;
	heard.ignored++;
	snprintf(heard.name, sizeof(heard.name), "%s", name);
}

static struct conf parse_bytes(const char *text, size_t length)
{
	static const struct conf_listener listener = { on_problem, on_ignored, &heard };
	static struct conf conf;
	/* A block of its own, so that reading beyond it is noticed. */
	char *copy = malloc(length ? length : 1);

	REQUIRE(copy);
	memcpy(copy, text, length);
	memset(&heard, 0, sizeof(heard));
	memset(&conf, 0xff, sizeof(conf));
	conf_parse(&conf, copy, length, &listener);
	free(copy);
	return conf;
}

static struct conf parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

TEST(an_empty_file_says_nothing)
{
	struct conf conf = parse("");

	CHECK(!conf.load);
	CHECK_EQ(conf.maxcpu, 0);
	for (unsigned int i = 0; i < CONF_PPT_LISTS; i++)
		CHECK_STR(conf.pptdevs[i], "");
	CHECK_EQ(heard.problems + heard.ignored, 0);
}

TEST(the_lines_people_know)
{
	struct conf conf = parse("vmm_load=\"YES\"\n"
				 "pptdevs=\"1/0/0 2/0/1 5/31/7\"\n"
				 "pptdevs2=\"6/0/0\"\n"
				 "pptdevs3=\"7/0/0\"\n"
				 "hw.vmm.maxcpu=\"32\"\n");

	CHECK(conf.load);
	CHECK_EQ(conf.maxcpu, 32);
	CHECK_STR(conf.pptdevs[0], "1/0/0 2/0/1 5/31/7");
	CHECK_STR(conf.pptdevs[1], "6/0/0");
	CHECK_STR(conf.pptdevs[2], "7/0/0");
	CHECK_EQ(heard.problems + heard.ignored, 0);
}

TEST(ways_to_write_a_line)
{
	static const char *const texts[] = {
		"hw.vmm.maxcpu=\"7\"",
		"hw.vmm.maxcpu=7",
		"  hw.vmm.maxcpu = \"7\"  ",
		"\thw.vmm.maxcpu\t=\t7\t# comment",
		"hw.vmm.maxcpu=\"7\"#",
		"hw.vmm.maxcpu=\"7\"\r\n",
		"# a\n\n   \n#\nhw.vmm.maxcpu=7\n",
		"hw.vmm.maxcpu=9\nhw.vmm.maxcpu=7",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		CHECK_EQ_AT(parse(texts[i]).maxcpu, 7, "%s", texts[i]);
		CHECK_EQ_AT(heard.problems + heard.ignored, 0, "%s", texts[i]);
	}
}

TEST(yes_and_no_in_any_letters)
{
	CHECK(parse("vmm_load=yes").load);
	CHECK(parse("vmm_load=\"Yes\"").load);
	CHECK(!parse("vmm_load=\"NO\"").load);
	CHECK(!parse("vmm_load=\"YES\"\nvmm_load=\"no\"").load);
	CHECK_EQ(heard.problems, 0);
	CHECK(!parse("vmm_load=\"maybe\"").load);
	CHECK_EQ(heard.problems, 1);
	CHECK(!parse("#vmm_load=\"YES\"").load);
	CHECK(!parse("xvmm_load=\"YES\"").load);
}

TEST(lines_for_other_software_pass_quietly)
{
	static const char *const texts[] = {
		"kern.hz=\"100\"",	   "if_em_load=YES",
		"hint.uart.0.at=\"isa\"",  "exec=\"load /boot/x # \\\"y\\\" \"",
		"zfs_load=\"YES\" # pool", "empty=\"\"",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		parse(texts[i]);
		CHECK_EQ_AT(heard.problems, 0, "%s", texts[i]);
		CHECK_EQ_AT(heard.ignored, 1, "%s", texts[i]);
	}
	CHECK_STR(heard.name, "empty");
}

TEST(bad_lines_are_named_and_the_rest_counts)
{
	static const char *const texts[] = {
		"what is this",
		"vmm_load",
		"=5",
		"vmm_load=",
		"a=\"open",
		"a=\"b\" c",
		"a=\"b\"\"c\"",
		"a=b c",
		"a b=c",
		"a='b'",
		"a==b",
		"\"a\"=b",
		"a=\"b\\\"",
		"\xef\xbb\xbf"
		"a=b",
		"vmm_load;=YES",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char text[128];
		struct conf conf;

		snprintf(text, sizeof(text), "vmm_load=YES\n%s\nhw.vmm.maxcpu=3\n", texts[i]);
		conf = parse(text);
		CHECK_EQ_AT(heard.problems, 1, "%s", texts[i]);
		CHECK_EQ_AT(heard.line, 2, "%s", texts[i]);
		CHECK_EQ_AT(conf.load, true, "%s", texts[i]);
		CHECK_EQ_AT(conf.maxcpu, 3, "%s", texts[i]);
	}
}

/* Even with escape sequences in the file, a message is one line of text. */
TEST(messages_are_plain_text)
{
	parse("\x1b[2Jboo\tyou\x80");
	CHECK_EQ(heard.problems, 1);
	CHECK_STR(heard.text, "this is not NAME=\"VALUE\": ?[2Jboo?you?");
	parse_bytes("a=\"\0\"", 5);
	CHECK_EQ(heard.problems, 1);
	parse_bytes("\0=1", 3);
	CHECK_EQ(heard.problems, 1);
}

TEST(maxcpu_is_1_to_255)
{
	static const char *const wrong[] = { "0",    "256", "99999999999999999999999",
					     "-1",   "x",   "8x",
					     "0x10", "" };

	CHECK_EQ(parse("hw.vmm.maxcpu=1").maxcpu, 1);
	CHECK_EQ(parse("hw.vmm.maxcpu=\"255\"").maxcpu, 255);
	CHECK_EQ(heard.problems, 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char text[64];

		snprintf(text, sizeof(text), "hw.vmm.maxcpu=\"%s\"", wrong[i]);
		CHECK_EQ_AT(parse(text).maxcpu, 0, "%s", wrong[i]);
		CHECK_EQ_AT(heard.problems, 1, "%s", wrong[i]);
	}
}

TEST(limits_of_users_are_numbers)
{
	struct conf conf = parse("hw.vmm.user_memory_max=\"1048576\"\nhw.vmm.user_vms_max=3\n"
				 "hw.vmm.memory_reserve=4294967295\n"
				 "hw.vmm.min_timer_period_us=500\n");

	CHECK_EQ(heard.problems, 0);
	CHECK_EQ(conf.limits[0], 1048576);
	CHECK_EQ(conf.limits[1], 3);
	CHECK_EQ(conf.limits[2], 4294967295u);
	CHECK_EQ(conf.limits[3], 500);
	CHECK_STR(conf_limit_name(3), "min_timer_period_us");

	conf = parse("hw.vmm.user_vms_max=0\nhw.vmm.memory_reserve=4294967296\n");
	CHECK_EQ(heard.problems, 2);
	CHECK_EQ(conf.limits[1], 0);
	CHECK_EQ(conf.limits[2], 0);
}

TEST(misspelt_lines_of_ours_are_named)
{
	parse("vmm_laod=\"YES\"\nhw.vmm.maxcpus=3\npptdev=\"1/0/0\"\nppt_load=YES\n");
	CHECK_EQ(heard.problems, 4);
	CHECK_EQ(heard.ignored, 0);
	CHECK(strstr(heard.text, "ppt_load"));
	parse("hw.vmmonitor=3\n");
	CHECK_EQ(heard.ignored, 1);
}

TEST(devices_may_have_a_domain)
{
	CHECK_STR(parse("pptdevs=\"65535/255/31/7  0/0/0/0\t3/2/1 \"").pptdevs[0],
		  "65535/255/31/7 0/0/0/0 3/2/1");
	CHECK_EQ(heard.problems, 0);
	CHECK_STR(parse("pptdevs=1/2/3").pptdevs[0], "1/2/3");
}

TEST(a_bad_device_leaves_the_others)
{
	static const char *const wrong[] = {
		"1/2",	   "256/0/0", "0/32/0",	     "0/0/8",	"1/2/3/4/5", "1//2",
		"/1/2/3",  "1/2/3/",  "a/b/c",	     "02:00.0", "-1/0/0",    "1/0/0,",
		"1/0/0x2", "1.0.0",   "65536/0/0/0", "/",	"1/2/0\"3",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char text[64];

		snprintf(text, sizeof(text), "\npptdevs2=\"1/0/0 %s 2/0/0\"", wrong[i]);
		if (strchr(wrong[i], '"'))
			snprintf(text, sizeof(text), "\npptdevs2=\"1/0/0 1/2/0\\\"3 2/0/0\"");
		CHECK_STR(parse(text).pptdevs[1], "1/0/0 2/0/0");
		CHECK_EQ_AT(heard.problems, 1, "%s", wrong[i]);
		CHECK_EQ_AT(heard.line, 2, "%s", wrong[i]);
		CHECK(strstr(heard.text, "pptdevs2"));
	}
}

/* The last line for a name counts as a whole, as with FreeBSD's loader. */
TEST(a_later_line_replaces_the_devices)
{
	CHECK_STR(parse("pptdevs=\"1/0/0 2/0/0\"\npptdevs=\"3/0/0\"").pptdevs[0], "3/0/0");
	CHECK_STR(parse("pptdevs=\"1/0/0\"\npptdevs=\"\"").pptdevs[0], "");
	CHECK_EQ(heard.problems, 0);
}

/* A line of 'count' devices of six characters each. */
static char *line_of_devices(unsigned int count)
{
	static char text[8192];
	size_t used = (size_t)sprintf(text, "pptdevs=\"");

	for (unsigned int i = 0; i < count; i++)
		used += (size_t)sprintf(text + used, "%s10/0/%u", i ? " " : "", i % 8);
	strcpy(text + used, "\"");
	return text;
}

TEST(as_many_devices_as_the_kernel_takes)
{
	/* 146 entries of 7 characters are 1021 with their spaces. */
	struct conf conf = parse(line_of_devices(146));

	CHECK_EQ(strlen(conf.pptdevs[0]), 1021);
	CHECK_EQ(heard.problems, 0);
	conf = parse(line_of_devices(148));
	CHECK_EQ(strlen(conf.pptdevs[0]), 1021);
	CHECK_EQ(heard.problems, 2);
	conf = parse(line_of_devices(1000));
	CHECK_STR(conf.pptdevs[0], "");
	CHECK_EQ(heard.problems, 1);
	CHECK(strstr(heard.text, "longer than"));
}

TEST(lines_of_any_length)
{
	static char text[100000];

	memset(text, 'n', sizeof(text));
	parse_bytes(text, sizeof(text));
	CHECK_EQ(heard.problems, 1);
	text[90000] = '=';
	parse_bytes(text, sizeof(text));
	CHECK_EQ(heard.problems, 0);
	CHECK_EQ(heard.ignored, 1);
	CHECK_EQ(strlen(heard.name), LINE_NAME_LENGTH);
}

TEST(quotes_and_backslashes_in_a_value)
{
	static const char quoted[] = "a=\"x\\\"y\\\\z\\n # \"";
	static const char word[] = "b=1,2:3/4-5_6+7.8#9";
	static struct line line;

	CHECK(!line_parse(&line, quoted, strlen(quoted)));
	CHECK_STR(line.name, "a");
	CHECK_STR(line.value, "x\"y\\z\\n # ");
	CHECK(!line.cut);
	CHECK(!line_parse(&line, word, strlen(word)));
	CHECK_STR(line.value, "1,2:3/4-5_6+7.8");
}

TEST(the_command_line_can_forbid)
{
	static const char *const no[] = { "vmm_load=NO", "quiet vmm_load=no\n",
					  "vmm_load=YES vmm_load=NO root=/dev/sda1" };
	static const char *const yes[] = { "",
					   "quiet\n",
					   "vmm_load=YES",
					   "vmm_load=NO vmm_load=",
					   "xvmm_load=NO",
					   "vmm_load=NOT",
					   "vmm_load=N" };

	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		CHECK_EQ_AT(conf_forbidden(no[i]), true, "%s", no[i]);
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		CHECK_EQ_AT(conf_forbidden(yes[i]), false, "%s", yes[i]);
}
