// SPDX-License-Identifier: BSD-2-Clause
/* Output, the end of a run, and the choice of the test. */
#include <stdarg.h>

#include "payload.h"

#define PORT_DEBUG 0xe9
#define PORT_EXIT  0xf4

extern const struct test tests_begin[], tests_end[];
const char *arguments = "";

/* hvm_start_info of the PVH boot protocol: the part that is used here. */
struct start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, command_line;
};

void *memset(void *to, int byte, size_t size)
{
	void *result = to;

	asm volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(byte) : "memory");
	return result;
}

void *memcpy(void *to, const void *from, size_t size)
{
	void *result = to;

	asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
	return result;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const uint8_t *x = a, *y = b;

	for (; size; size--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}

int strcmp(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	return *a - *b;
}

static void put_number(uint64_t value, unsigned int base)
{
	char digits[24];
	int i = 0;

	do {
		digits[i++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (i > 0)
		outb(PORT_DEBUG, (uint8_t)digits[--i]);
}

static void put_string(const char *text)
{
	for (; *text; text++)
		outb(PORT_DEBUG, (uint8_t)*text);
}

static void put_signed(int64_t value)
{
	if (value < 0)
		outb(PORT_DEBUG, '-');
	put_number(value < 0 ? -(uint64_t)value : (uint64_t)value, 10);
}

static void print_list(const char *format, va_list list)
{
	for (; *format; format++) {
		if (*format != '%') {
			outb(PORT_DEBUG, (uint8_t)*format);
			continue;
		}
		switch (*++format) {
		case 's':
			put_string(va_arg(list, const char *));
			break;
		case 'd':
			put_signed(va_arg(list, int64_t));
			break;
		case 'u':
			put_number(va_arg(list, uint64_t), 10);
			break;
		case 'x':
			put_string("0x");
			put_number(va_arg(list, uint64_t), 16);
			break;
		case 'c':
			outb(PORT_DEBUG, (uint8_t)va_arg(list, int));
			break;
		default:
			outb(PORT_DEBUG, '%');
			return;
		}
	}
}

void print(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	print_list(format, list);
	va_end(list);
}

void finish(uint8_t status)
{
	outb(PORT_EXIT, status);
	for (;;)
		asm volatile("cli; hlt");
}

void fail(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	print_list(format, list);
	va_end(list);
	outb(PORT_DEBUG, '\n');
	finish(TEST_FAILED);
}

/* Is 'name' the first word of the line? If so the rest are its arguments. */
static bool is_chosen_by(const char *name, const char *line)
{
	for (; *name && *name == *line; name++, line++)
		;
	if (*name || (*line && *line != ' '))
		return false;
	arguments = *line ? line + 1 : line;
	return true;
}

void payload_main(const struct start_info *info)
{
	const char *line = (const char *)info->command_line;

	load_idt();
	for (const struct test *test = tests_begin; line && test < tests_end; test++) {
		if (!is_chosen_by(test->name, line))
			continue;
		test->run();
		finish(TEST_PASSED);
	}
	print("no such test: %s\n", line ? line : "(no command line)");
	finish(TEST_UNKNOWN);
}
