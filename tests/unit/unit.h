/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The unit tests' harness. Each tests/unit/test_SUBJECT.c is one program:
 *
 *	#include "unit.h"
 *
 *	TEST(sum_of_two)
 *	{
 *		CHECK_EQ(sum(1, 2), 3);
 *	}
 *
 * It is linked with every other .c file in tests/unit that is not itself a
 * test_*.c, and with the portable parts of the module. main() is in unit.c:
 * it runs each test in a process of its own, so that a crash, a leak, a hang or
 * a sanitizer's report is that test's failure and no other's, and prints for each
 * "ok SUBJECT.sum_of_two" or "not ok SUBJECT.sum_of_two: why". With arguments it
 * runs only the tests whose names contain one of them, without forking if the
 * variable UNIT_NOFORK is set (for a debugger).
 */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct unit_test {
	const char *name;
	const char *file;
	void (*run)(void);
	struct unit_test *next;
};

/* Adds TEST to those that main() runs, in the order of the file. */
void unit_register(struct unit_test *test);

/* Notes a failure with a message like printf's; the test goes on. */
void unit_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Ends the running test at once; it has failed if anything was noted. */
void unit_end(void) __attribute__((noreturn));

#define TEST(test_name)                                                                            \
	static void test_name(void);                                                               \
	static struct unit_test unit_test_##test_name = { #test_name, __FILE__, test_name, NULL }; \
	static void __attribute__((constructor)) unit_register_##test_name(void)                   \
	{                                                                                          \
		unit_register(&unit_test_##test_name);                                             \
	}                                                                                          \
	static void test_name(void)

/* Fails the test, with the condition as the reason, but carries on. */
#define CHECK(condition)                                                 \
	do {                                                             \
		if (!(condition))                                        \
			unit_fail(__FILE__, __LINE__, "%s", #condition); \
	} while (0)

/* As CHECK, but ends the test: for what later lines rely on. */
#define REQUIRE(condition)                                               \
	do {                                                             \
		if (!(condition)) {                                      \
			unit_fail(__FILE__, __LINE__, "%s", #condition); \
			unit_end();                                      \
		}                                                        \
	} while (0)

/*
 * Compares two integers of any type, signed or not (a negative int and the same
 * bits in a uint64_t are equal), and shows both where they differ. CHECK_EQ_AT
 * adds a printf-like remark, for checks in loops.
 */
#define CHECK_EQ(actual, expected) CHECK_EQ_AT(actual, expected, "%s", "")

#define CHECK_EQ_AT(actual, expected, ...)                                                  \
	do {                                                                                \
		uint64_t unit_actual = (uint64_t)(actual);                                  \
		uint64_t unit_expected = (uint64_t)(expected);                              \
		if (unit_actual != unit_expected) {                                         \
			char unit_remark[128];                                              \
			snprintf(unit_remark, sizeof(unit_remark), __VA_ARGS__);            \
			unit_fail(__FILE__, __LINE__,                                       \
				  "%s is %#" PRIx64 ", expected %#" PRIx64 "%s%s", #actual, \
				  unit_actual, unit_expected, unit_remark[0] ? ": " : "",   \
				  unit_remark);                                             \
		}                                                                           \
	} while (0)

/* Compares LENGTH bytes and names the first that differs. */
#define CHECK_MEM(actual, expected, length) \
	unit_check_mem(__FILE__, __LINE__, #actual, actual, expected, length)
void unit_check_mem(const char *file, int line, const char *what, const void *actual,
		    const void *expected, size_t length);

/* Compares two strings. */
#define CHECK_STR(actual, expected) unit_check_str(__FILE__, __LINE__, #actual, actual, expected)
void unit_check_str(const char *file, int line, const char *what, const char *actual,
		    const char *expected);

/*
 * Runs work(argument) in a child and returns its exit status: 0 if it returned, -1 if a
 * signal ended it. 'text' gets the first that it wrote to 'fd', up to size - 1 bytes.
 */
int unit_exit_status(void (*work)(const void *), const void *argument, int fd, char *text,
		     size_t size);

#endif
