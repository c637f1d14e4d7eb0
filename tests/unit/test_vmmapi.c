// SPDX-License-Identifier: BSD-2-Clause
/* libvmmapi: what needs no VM. */
#include <errno.h>

#include <vmmapi.h>

#include "unit.h"

#define KI 1024ull
#define MI (1024 * KI)
#define GI (1024 * MI)

TEST(memory_sizes_are_read)
{
	static const struct {
		const char *text;
		uint64_t size;
	} sizes[] = {
		{ "512", 512 * MI },	     { "1", 1 * MI },	      { "0", 0 },
		{ "1048575", 1048575 * MI }, { "1048576", 1 * MI },   { "268435456", 256 * MI },
		{ "512M", 512 * MI },	     { "512m", 512 * MI },    { "4G", 4 * GI },
		{ "4gb", 4 * GI },	     { "64k", 64 * KI },      { "0x10", 16 * MI },
		{ "2T", 2048 * GI },	     { "16B", 16 },	      { "1P", GI * MI },
		{ "1E", GI * GI },	     { "15e", 15 * GI * GI },
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = 1;

		CHECK_EQ_AT(vm_parse_memsize(sizes[i].text, &size), 0, "%s", sizes[i].text);
		CHECK_EQ_AT(size, sizes[i].size, "%s", sizes[i].text);
	}
}

TEST(bad_memory_sizes_are_refused)
{
	static const struct {
		const char *text;
		int error;
	} bad[] = {
		{ "", EINVAL },	    { "M", EINVAL },
		{ "-1", EINVAL },   { " 1", EINVAL },
		{ "12Q", EINVAL },  { "1MM", EINVAL },
		{ "1.5G", EINVAL }, { "+1", EINVAL },
		{ "16E", ERANGE },  { "99999999999999999999", ERANGE },
		{ "1 M", EINVAL },  { "17179869184G", ERANGE },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t size;

		errno = 0;
		CHECK_EQ_AT(vm_parse_memsize(bad[i].text, &size), -1, "%s", bad[i].text);
		CHECK_EQ_AT(errno, bad[i].error, "%s", bad[i].text);
	}
}

TEST(capabilities_have_names)
{
	for (int type = 0; type < VM_CAP_MAX; type++) {
		const char *name = vm_capability_type2name(type);

		REQUIRE(name);
		CHECK_EQ(vm_capability_name2type(name), type);
	}
	CHECK(!vm_capability_type2name(-1));
	CHECK(!vm_capability_type2name(VM_CAP_MAX));
	CHECK_EQ(vm_capability_name2type("no such"), -1);
}

TEST(cpu_sets_have_freebsd_names)
{
	cpuset_t a, b;
	int cpu, seen = 0;

	CPU_SETOF(77, &a);
	CHECK(!CPU_EMPTY(&a));
	CHECK_EQ(CPU_FFS(&a), 78);
	CPU_COPY(&a, &b);
	CHECK_EQ(CPU_CMP(&a, &b), 0);
	CPU_SET(3, &b);
	CHECK(CPU_CMP(&a, &b) != 0);
	CPU_FOREACH_ISSET(cpu, &b)
	seen = seen * 100 + cpu;
	CHECK_EQ(seen, 377);
	CPU_ZERO(&b);
	CHECK(CPU_EMPTY(&b));
	CHECK_EQ(CPU_FFS(&b), 0);
	CPU_FILL(&b);
	CHECK_EQ(CPU_COUNT(&b), CPU_SETSIZE);
}

TEST(names_that_are_no_file_names_are_refused)
{
	static const char *const names[] = { "", ".", "..", "a/b", "/", "../vmm" };
	char longest[VM_MAX_NAMELEN + 2];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		errno = 0;
		CHECK(!vm_open(names[i]));
		CHECK_EQ_AT(errno, EINVAL, "'%s'", names[i]);
		CHECK_EQ(vm_create(names[i]), -1);
		CHECK_EQ_AT(errno, EINVAL, "'%s'", names[i]);
		CHECK_EQ(vm_destroy_name(names[i]), -1);
		CHECK_EQ_AT(errno, EINVAL, "'%s'", names[i]);
	}
	memset(longest, 'n', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	CHECK_EQ(vm_create(longest), -1);
	CHECK_EQ(errno, ENAMETOOLONG);
	CHECK(!vm_openf("name", 0x100));
	CHECK_EQ(errno, EINVAL);
}
