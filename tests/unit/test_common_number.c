// SPDX-License-Identifier: BSD-2-Clause
/* Numbers, sizes and places of PCI devices, as command lines have them. */
#include <errno.h>

#include "common/cpu_list.h"
#include "common/number.h"
#include "common/pci_place.h"
#include "common/size.h"
#include "unit.h"

TEST(numbers_of_each_notation)
{
	static const struct {
		const char *text;
		uint64_t decimal, c; /* the value, or a negative errno */
	} cases[] = {
		{ "0", 0, 0 },
		{ "42", 42, 42 },
		{ "010", 10, 8 },
		{ "0x1f", (uint64_t)-EINVAL, 31 },
		{ "08", 8, (uint64_t)-EINVAL },
		{ "18446744073709551615", UINT64_MAX, UINT64_MAX },
		{ "18446744073709551616", (uint64_t)-ERANGE, (uint64_t)-ERANGE },
		{ "", (uint64_t)-EINVAL, (uint64_t)-EINVAL },
		{ "-1", (uint64_t)-EINVAL, (uint64_t)-EINVAL },
		{ "+1", (uint64_t)-EINVAL, (uint64_t)-EINVAL },
		{ " 1", (uint64_t)-EINVAL, (uint64_t)-EINVAL },
		{ "1 ", (uint64_t)-EINVAL, (uint64_t)-EINVAL },
		{ "0x", (uint64_t)-EINVAL, (uint64_t)-EINVAL },
		{ "many", (uint64_t)-EINVAL, (uint64_t)-EINVAL },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 0;
		int error = number_parse(cases[i].text, NUMBER_DECIMAL, UINT64_MAX, &value);

		CHECK_EQ_AT(error ? (uint64_t)error : value, cases[i].decimal, "%s", cases[i].text);
		error = number_parse(cases[i].text, NUMBER_C, UINT64_MAX, &value);
		CHECK_EQ_AT(error ? (uint64_t)error : value, cases[i].c, "%s", cases[i].text);
	}
}

TEST(numbers_have_a_maximum)
{
	unsigned int narrow = 7;
	uint64_t value = 7;

	CHECK_EQ(number_parse("8", NUMBER_DECIMAL, 8, &value), 0);
	CHECK_EQ(value, 8);
	CHECK_EQ(number_parse("9", NUMBER_DECIMAL, 8, &value), -ERANGE);
	CHECK_EQ(number_parse("99999999999999999999x", NUMBER_C, 8, &value), -EINVAL);
	CHECK_EQ(value, 8);
	CHECK_EQ(number_parse_unsigned("4294967296", UINT32_MAX, &narrow), -ERANGE);
	CHECK_EQ(narrow, 7);
	CHECK_EQ(number_parse_unsigned("4294967295", UINT32_MAX, &narrow), 0);
	CHECK_EQ(narrow, UINT32_MAX);
}

TEST(digits_at_the_front)
{
	const char *text = "12:3";
	unsigned int value = 0;

	CHECK(number_read(&text, 12, &value));
	CHECK_EQ(value, 12);
	CHECK_STR(text, ":3");
	CHECK(!number_read(&text, 12, &value));
	text = "13";
	CHECK(!number_read(&text, 12, &value));
	text = "99999999999999999999999999";
	CHECK(!number_read(&text, UINT32_MAX, &value));
	CHECK_EQ(value, 12);
}

TEST(sizes_of_memory)
{
	size_t size = 0;

	CHECK(!size_parse("512", &size));
	CHECK_EQ(size, 512 * MIB);
	CHECK(!size_parse("4K", &size));
	CHECK_EQ(size, 4 * KIB);
	CHECK(!size_parse("3g", &size));
	CHECK_EQ(size, 3 * GIB);
	CHECK_STR(size_parse("0", &size), "a VM needs memory");
	CHECK_STR(size_parse("6K", &size), "not a multiple of 4K");
	CHECK_STR(size_parse("lots", &size), "not a size such as 512, 512M or 4G");
	CHECK_STR(size_parse("-1M", &size), "not a size such as 512, 512M or 4G");
	CHECK_STR(size_parse("16E", &size), "more than 64 bits can count");
}

TEST(sizes_in_their_largest_unit)
{
	char text[SIZE_TEXT_LENGTH];

	CHECK_STR(size_format(0, text), "0B");
	CHECK_STR(size_format(1000, text), "1000B");
	CHECK_STR(size_format(4096, text), "4K");
	CHECK_STR(size_format(1536 * MIB, text), "1536M");
	CHECK_STR(size_format(3 * GIB, text), "3G");
	CHECK_STR(size_format(2048 * 1024 * GIB, text), "2048T");
	CHECK_STR(size_format(UINT64_MAX, text), "18446744073709551615B");
}

static bool place_is(const char *text, unsigned int domain, unsigned int bus, unsigned int slot,
		     unsigned int function)
{
	struct pci_place place;

	return pci_place_parse(text, strlen(text), &place) && place.domain == domain &&
	       place.bus == bus && place.slot == slot && place.function == function;
}

TEST(the_memory_of_this_host)
{
	CHECK_EQ(host_memory_size() > 64 * MIB, true);
	CHECK_EQ(host_memory_size() < 1024 * 1024 * GIB, true);
}

TEST(lists_of_cpus)
{
	cpu_set_t cpus;
	char text[64], cut[4];

	CPU_ZERO(&cpus);
	CHECK_STR(cpu_list_format(&cpus, text, sizeof(text)), "none");
	CPU_SET(5, &cpus);
	CHECK_STR(cpu_list_format(&cpus, text, sizeof(text)), "5");
	CPU_SET(0, &cpus);
	CPU_SET(1, &cpus);
	CPU_SET(CPU_SETSIZE - 1, &cpus);
	CHECK_STR(cpu_list_format(&cpus, text, sizeof(text)), "0-1,5,1023");
	CHECK_STR(cpu_list_format(&cpus, cut, sizeof(cut)), "0-1");
}

TEST(places_of_pci_devices)
{
	CHECK(place_is("5/0/0", 0, 5, 0, 0));
	CHECK(place_is("255/31/7", 0, 255, 31, 7));
	CHECK(place_is("65535/0/1/2", 65535, 0, 1, 2));
	CHECK(place_is("010/0/0", 0, 10, 0, 0));
}

TEST(what_is_no_place)
{
	static const char *const texts[] = {
		"",	     "5",      "5/0",	 "5/32/0", "5/0/8", "256/0/0", "65536/0/0/0",
		"1/2/3/4/5", "a/b/c",  "5/0/0x", "5/0/",   "//",    "/5/0/0",  "5//0",
		"-5/0/0",    " 5/0/0",
	};
	struct pci_place place;

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		CHECK_EQ_AT(pci_place_parse(texts[i], strlen(texts[i]), &place), false, "'%s'",
			    texts[i]);
}

/* In a longer text, what follows is not looked at. */
TEST(a_place_has_a_length)
{
	struct pci_place place;

	CHECK(pci_place_parse("1/5/31/7,rom=x", 8, &place));
	CHECK_EQ(place.function, 7);
	CHECK(!pci_place_parse("1/5/3", 4, &place));
	CHECK(!pci_place_parse("1/5/31/7", 5, &place));
}

TEST(names_of_pci_devices)
{
	const struct pci_place place = { 0, 0x1f, 0x1c, 7 };
	const struct pci_place far = { 0xffff, 0xff, 31, 7 };
	char name[PCI_PLACE_NAME_LENGTH];

	pci_place_name(&place, name);
	CHECK_STR(name, "0000:1f:1c.7");
	pci_place_name(&far, name);
	CHECK_STR(name, "ffff:ff:1f.7");
}
