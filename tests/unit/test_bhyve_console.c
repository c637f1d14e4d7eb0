// SPDX-License-Identifier: BSD-2-Clause
/*
 * A serial port end to end: bytes through a pipe or pseudo-terminal, the event
 * loop, the UART and back, with nothing lost when either side is slow.
 */
#include "event.h"
#include "fake_vmmapi.h"
#include "inout.h"
#include "output.h"
#include "serial.h"
#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#define COM1 0x3f8

static int to_guest; /* the host's ends of standard input and output */
static int from_guest;

static void *loop(void *arg)
{
	event_loop();
	return arg;
}

static void start_loop(void)
{
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, loop, NULL) == 0);
	pthread_detach(thread);
}

/* COM1 on standard input and output, which are pipes here. */
static void setup_stdio(void)
{
	int in[2], out[2];

	fake_reset();
	inout_reset();
	REQUIRE(pipe(in) == 0 && pipe(out) == 0);
	dup2(in[0], STDIN_FILENO);
	dup2(out[1], STDOUT_FILENO);
	to_guest = in[1];
	from_guest = out[0];
	REQUIRE(event_init() == 0);
	serial_init(fake_ctx, 0, "stdio");
	start_loop();
}

static uint8_t status(void)
{
	return (uint8_t)inout_read(COM1 + 5, 1);
}

static uint8_t guest_getc(void)
{
	while (!(status() & 0x01))
		usleep(100);
	return (uint8_t)inout_read(COM1, 1);
}

static void guest_putc(uint8_t byte)
{
	while (!(status() & 0x20))
		usleep(100);
	inout_write(COM1, 1, byte);
}

static uint8_t pattern(unsigned i)
{
	return (uint8_t)(i * 7 + i / 251);
}

#define LENGTH 300000u

static void *feed(void *arg)
{
	for (unsigned i = 0; i < LENGTH;) {
		uint8_t data[1000];
		unsigned n = 0;

		for (; n < sizeof(data) && i < LENGTH; n++, i++)
			data[n] = pattern(i);
		if (write(to_guest, data, n) != (ssize_t)n)
			abort();
	}
	return arg;
}

TEST(no_input_is_lost)
{
	pthread_t feeder;

	setup_stdio();
	inout_write(COM1 + 2, 1, 0x07);
	pthread_create(&feeder, NULL, feed, NULL);
	for (unsigned i = 0; i < LENGTH; i++) {
		uint8_t byte = guest_getc();

		if (byte != pattern(i)) {
			CHECK_EQ_AT(byte, pattern(i), "byte %u", i);
			break;
		}
	}
	pthread_join(feeder, NULL);
}

TEST(input_survives_loopback)
{
	setup_stdio();
	inout_write(COM1 + 2, 1, 0x07);
	inout_write(COM1 + 4, 1, 0x10);
	REQUIRE(write(to_guest, "hello", 5) == 5);
	usleep(50000);
	CHECK_EQ(status() & 0x01, 0);
	inout_write(COM1 + 4, 1, 0x0b);
	for (const char *expected = "hello"; *expected; expected++)
		CHECK_EQ(guest_getc(), *expected);
}

/* Reads slowly at first, so that the buffer and the pipe fill up. */
static void *drain(void *arg)
{
	unsigned i = 0;

	usleep(200000);
	while (i < LENGTH) {
		uint8_t data[4096];
		ssize_t n = read(from_guest, data, sizeof(data));

		for (ssize_t k = 0; k < n; k++, i++)
			if (data[k] != pattern(i)) {
				CHECK_EQ_AT(data[k], pattern(i), "byte %u", i);
				return arg;
			}
	}
	return arg;
}

TEST(no_output_is_lost)
{
	pthread_t drainer;

	setup_stdio();
	pthread_create(&drainer, NULL, drain, NULL);
	for (unsigned i = 0; i < LENGTH; i++)
		guest_putc(pattern(i));
	pthread_join(drainer, NULL);
	close(from_guest); /* what the harness prints next has no reader */
}

/* Sixteen bytes for each time THRE was seen, as a driver with FIFOs sends. */
TEST(bursts_after_thre_are_not_lost)
{
	pthread_t drainer;
	unsigned i = 0;

	setup_stdio();
	pthread_create(&drainer, NULL, drain, NULL);
	while (i < LENGTH) {
		guest_putc(pattern(i++));
		for (unsigned k = 1; k < 16 && i < LENGTH; k++)
			inout_write(COM1, 1, pattern(i++));
	}
	pthread_join(drainer, NULL);
}

TEST(flush_waits_for_the_reader)
{
	uint8_t data[1000];

	setup_stdio();
	for (unsigned i = 0; i < sizeof(data); i++)
		guest_putc(pattern(i));
	output_flush_all(5000);
	CHECK_EQ(read(from_guest, data, sizeof(data)), sizeof(data));
}

TEST(flush_gives_up_in_time)
{
	setup_stdio();
	/* Nobody reads: the pipe fills up, then the buffer. */
	for (unsigned quiet = 0; quiet < 100;) {
		if (status() & 0x20) {
			inout_write(COM1, 1, 'x');
			quiet = 0;
		} else {
			usleep(1000);
			quiet++;
		}
	}
	output_flush_all(100);
	CHECK_EQ(status() & 0x20, 0);
}

TEST(interrupt_for_input)
{
	setup_stdio();
	inout_write(COM1 + 2, 1, 0x07);
	inout_write(COM1 + 1, 1, 0x01);
	inout_write(COM1 + 4, 1, 0x0b);
	REQUIRE(write(to_guest, "x", 1) == 1);
	for (unsigned i = 0; i < 10000 && !fake.line[4]; i++)
		usleep(1000);
	CHECK(fake.line[4]);
	CHECK_EQ(inout_read(COM1, 1), 'x');
	CHECK(!fake.line[4]);
}

TEST(regular_file_as_input)
{
	char path[] = "/tmp/console-XXXXXX";
	int fd = mkstemp(path);

	fake_reset();
	inout_reset();
	unlink(path);
	REQUIRE(write(fd, "from a file that is longer than a FIFO", 38) == 38);
	lseek(fd, 0, SEEK_SET);
	dup2(fd, STDIN_FILENO);
	REQUIRE(event_init() == 0);
	serial_init(fake_ctx, 0, "stdio");
	start_loop();
	for (const char *expected = "from a file that is longer than a FIFO"; *expected; expected++)
		CHECK_EQ(guest_getc(), *expected);
	usleep(20000);
	CHECK_EQ(status() & 0x01, 0);
}

/* The name of the pseudo-terminal, from what bhyve prints. */
static int open_pty(void)
{
	char text[128] = "";
	char name[64];
	int err[2];
	int saved = dup(STDERR_FILENO);

	fake_reset();
	inout_reset();
	REQUIRE(pipe(err) == 0);
	dup2(err[1], STDERR_FILENO);
	REQUIRE(event_init() == 0);
	serial_init(fake_ctx, 0, "pty");
	dup2(saved, STDERR_FILENO);
	REQUIRE(read(err[0], text, sizeof(text) - 1) > 0);
	REQUIRE(sscanf(text, "bhyve: com1 is %63s", name) == 1);
	start_loop();
	return open(name, O_RDWR | O_NOCTTY);
}

TEST(pseudo_terminal_both_ways)
{
	int fd = open_pty();
	char data[8] = "";

	REQUIRE(fd >= 0);
	inout_write(COM1 + 2, 1, 0x07);
	REQUIRE(write(fd, "in\n", 3) == 3);
	CHECK_EQ(guest_getc(), 'i');
	CHECK_EQ(guest_getc(), 'n');
	CHECK_EQ(guest_getc(), '\n');
	for (const char *byte = "out\n"; *byte; byte++)
		guest_putc((uint8_t)*byte);
	for (size_t n = 0; n < 4;) {
		ssize_t got = read(fd, data + n, 4 - n);

		REQUIRE(got > 0);
		n += (size_t)got;
	}
	CHECK_STR(data, "out\n");
}

TEST(pseudo_terminal_without_reader_does_not_block)
{
	int fd = open_pty();
	char name[64];
	char byte;

	REQUIRE(fd >= 0);
	REQUIRE(ttyname_r(fd, name, sizeof(name)) == 0);
	close(fd);
	for (unsigned i = 0; i < LENGTH; i++)
		guest_putc('x');
	output_flush_all(5000);
	/* Somebody comes back: what is sent from now on arrives. */
	fd = open(name, O_RDWR | O_NOCTTY);
	REQUIRE(fd >= 0);
	guest_putc('!');
	REQUIRE(read(fd, &byte, 1) == 1);
	CHECK_EQ(byte, '!');
	REQUIRE(write(fd, "k", 1) == 1);
	CHECK_EQ(guest_getc(), 'k');
}
