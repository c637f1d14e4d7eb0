// SPDX-License-Identifier: BSD-2-Clause
/*
 * Serial ports: where UARTs meet the ISA bus on one side and files of the host
 * on the other.
 */
#include "serial.h"
#include "diag.h"
#include "event.h"
#include "inout.h"
#include "output.h"
#include "terminal.h"
#include "uart.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

struct serial_port {
	const char *name;
	int irq;
	struct inout_range range;

	/* Set by serial_init(), constant from then on. */
	struct vmctx *ctx;
	struct uart *uart;
	int input;	       /* file to read from; -1: none */
	struct output *output; /* NULL: what is sent is lost */
	struct event *event;

	/* Read, but not yet taken by the UART; the event loop's. */
	uint8_t data[64];
	size_t length;
};

static uint32_t serial_read(void *arg, unsigned offset, unsigned bytes)
{
	struct serial_port *port = arg;

	(void)bytes;
	return uart_read(port->uart, offset);
}

static void serial_write(void *arg, unsigned offset, unsigned bytes, uint32_t value)
{
	struct serial_port *port = arg;

	(void)bytes;
	uart_write(port->uart, offset, (uint8_t)value);
}

#define SERIAL_PORT(NAME, BASE, IRQ)                \
	{                                           \
		.name = (NAME), .irq = (IRQ),       \
		.range = { .name = (NAME),          \
			   .base = (BASE),          \
			   .count = 8,              \
			   .widths = INOUT_BYTE,    \
			   .read = serial_read,     \
			   .write = serial_write }, \
		.input = -1,                        \
	}

static struct serial_port ports[SERIAL_PORTS] = {
	SERIAL_PORT("com1", 0x3f8, 4),
	SERIAL_PORT("com2", 0x2f8, 3),
};

static void set_irq(void *arg, bool level)
{
	struct serial_port *port = arg;

	if (level)
		vm_isa_assert_irq(port->ctx, port->irq, port->irq);
	else
		vm_isa_deassert_irq(port->ctx, port->irq, port->irq);
}

static bool serial_transmit(void *arg, uint8_t byte)
{
	struct serial_port *port = arg;

	return !port->output || output_put(port->output, byte);
}

static void receive_ready(void *arg)
{
	struct serial_port *port = arg;

	/* Without an event yet, its first call comes by itself. */
	if (port->event)
		event_again(port->event);
}

static const struct uart_ops uart_ops = { set_irq, serial_transmit, receive_ready };

static void transmit_ready(void *arg)
{
	struct serial_port *port = arg;

	uart_transmit_ready(port->uart);
}

static bool has_input(int fd)
{
	struct pollfd query = { .fd = fd, .events = POLLIN };

	return poll(&query, 1, 0) == 1 && (query.revents & POLLIN);
}

/* Offer what has been read before; returns whether the UART took it all. */
static bool deliver_input(struct serial_port *port)
{
	size_t taken = uart_receive(port->uart, port->data, port->length);

	port->length -= taken;
	memmove(port->data, port->data + taken, port->length);
	return port->length == 0;
}

/*
 * Hand over what there is to read, and no more than the UART has room for: the
 * rest stays where it is until the guest has caught up. End of file, and a
 * pseudo-terminal that no process has open, are no input.
 */
static void input_ready(void *arg)
{
	struct serial_port *port = arg;
	size_t room;
	ssize_t length;

	while (deliver_input(port) && (room = uart_receive_room(port->uart)) > 0 &&
	       has_input(port->input)) {
		if (room > sizeof(port->data))
			room = sizeof(port->data);
		length = read(port->input, port->data, room);
		if (length < 0 && errno == EINTR)
			continue;
		if (length <= 0)
			return;
		port->length = (size_t)length;
	}
}

static void attach_files(struct serial_port *port, int input, int output, bool listened)
{
	port->input = input;
	port->output = output_open(output, listened);
	if (!port->output)
		fatal("%s: no thread for its output: %s", port->name, strerror(errno));
	output_on_room(port->output, transmit_ready, port);
}

static void attach_stdio(struct serial_port *port)
{
	static bool taken;
	int error;

	if (taken)
		fatal("%s: standard input and output belong to another port", port->name);
	taken = true;
	error = terminal_make_raw(STDIN_FILENO);
	if (error)
		fatal("%s: standard input: %s", port->name, strerror(-error));
	attach_files(port, STDIN_FILENO, STDOUT_FILENO, false);
}

/*
 * The settings of a pseudo-terminal are its slave side's, and opening that side
 * once makes the master report from then on whether anybody has it open.
 */
static int prepare_slave(const char *path)
{
	struct termios settings;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	int error = fd < 0 ? -errno : 0;

	if (!error && tcgetattr(fd, &settings) == 0) {
		cfmakeraw(&settings);
		tcsetattr(fd, TCSANOW, &settings);
	}
	if (fd >= 0)
		close(fd);
	return error;
}

static void attach_pty(struct serial_port *port)
{
	char path[64];
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || grantpt(fd) || unlockpt(fd) || ptsname_r(fd, path, sizeof(path)) ||
	    prepare_slave(path))
		fatal("%s: no pseudo-terminal: %s", port->name, strerror(errno));
	complain("%s is %s", port->name, path);
	attach_files(port, fd, fd, true);
}

static void attach_terminal(struct serial_port *port, const char *path)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	int error;

	if (fd < 0)
		fatal("%s: %s: %s", port->name, path, strerror(errno));
	if (!isatty(fd))
		fatal("%s: %s: not a terminal", port->name, path);
	error = terminal_make_raw(fd);
	if (error)
		fatal("%s: %s: %s", port->name, path, strerror(-error));
	attach_files(port, fd, fd, false);
}

static void attach_backend(struct serial_port *port, const char *backend)
{
	if (strcmp(backend, "stdio") == 0)
		attach_stdio(port);
	else if (strcmp(backend, "pty") == 0 || strcmp(backend, "auto") == 0)
		attach_pty(port);
	else
		attach_terminal(port, backend);
	port->event = event_add(port->input, input_ready, port);
	if (!port->event)
		fatal("%s: cannot wait for input: %s", port->name, strerror(errno));
}

void serial_init(struct vmctx *ctx, unsigned number, const char *backend)
{
	struct serial_port *port = &ports[number];
	int error;

	port->ctx = ctx;
	port->range.arg = port;
	port->uart = uart_create(&uart_ops, port);
	if (!port->uart)
		fatal("%s: %s", port->name, strerror(ENOMEM));
	error = inout_register(&port->range);
	if (error)
		fatal("%s: its ports: %s", port->name, strerror(-error));
	if (backend)
		attach_backend(port, backend);
}

uint16_t serial_base(unsigned number)
{
	return (uint16_t)ports[number].range.base;
}

unsigned serial_irq(unsigned number)
{
	return (unsigned)ports[number].irq;
}
