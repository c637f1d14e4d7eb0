// SPDX-License-Identifier: BSD-2-Clause
/*
 * The 16550A. Register names and behaviour follow National's PC16550D data
 * sheet; section numbers below are its.
 */
#include "uart.h"

#include <pthread.h>
#include <stdlib.h>

#define FIFO_SIZE 16u

enum {
	REG_DATA = 0, /* RBR, THR; divisor low with DLAB */
	REG_IER = 1,  /* divisor high with DLAB */
	REG_IIR = 2,  /* FCR when written */
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
	REG_MSR = 6,
	REG_SCR = 7,
};

#define IER_RECEIVE  0x01
#define IER_TRANSMIT 0x02
#define IER_LINE     0x04
#define IER_MODEM    0x08
#define IER_MASK     0x0f

#define IIR_MODEM    0x00
#define IIR_NONE     0x01
#define IIR_TRANSMIT 0x02
#define IIR_RECEIVE  0x04
#define IIR_LINE     0x06
#define IIR_TIMEOUT  0x0c
#define IIR_FIFO     0xc0

#define FCR_ENABLE	  0x01
#define FCR_RESET_RECEIVE 0x02
#define FCR_TRIGGER_SHIFT 6

#define LCR_DLAB 0x80

#define MCR_DTR	     0x01
#define MCR_RTS	     0x02
#define MCR_OUT1     0x04
#define MCR_OUT2     0x08
#define MCR_LOOPBACK 0x10
#define MCR_MASK     0x1f

#define LSR_DATA_READY 0x01
#define LSR_OVERRUN    0x02
#define LSR_THR_EMPTY  0x20
#define LSR_IDLE       0x40

#define MSR_DELTA_CTS 0x01
#define MSR_DELTA_DSR 0x02
#define MSR_TRAIL_RI  0x04
#define MSR_DELTA_DCD 0x08
#define MSR_CTS	      0x10
#define MSR_DSR	      0x20
#define MSR_RI	      0x40
#define MSR_DCD	      0x80
#define MSR_LINES     0xf0

/* The other end is always connected and ready. */
#define MSR_CONNECTED (MSR_CTS | MSR_DSR | MSR_DCD)

/* 115,200 baud, where firmware would have left it. */
#define DIVISOR_DEFAULT 1

struct uart {
	const struct uart_ops *ops; /* constant */
	void *arg;		    /* constant */

	pthread_mutex_t lock; /* for all below */
	uint8_t ier;
	uint8_t lcr;
	uint8_t mcr;
	uint8_t msr;
	uint8_t scratch;
	uint16_t divisor;
	bool fifo_enabled;
	uint8_t trigger; /* bytes that make a receive interrupt */
	bool overrun;
	bool transmit_blocked; /* transmit_byte() has said no */
	bool transmit_event;   /* THR became empty; not yet read in IIR */
	bool receive_starved;  /* receive_ready() is owed */
	bool irq_level;
	uint8_t fifo[FIFO_SIZE];
	unsigned fifo_start;
	unsigned fifo_count;
};

/* The most urgent cause of an interrupt, as IIR names it (8.6). */
static uint8_t interrupt_cause(const struct uart *uart)
{
	if ((uart->ier & IER_LINE) && uart->overrun)
		return IIR_LINE;
	if ((uart->ier & IER_RECEIVE) && uart->fifo_count >= uart->trigger)
		return IIR_RECEIVE;
	if ((uart->ier & IER_RECEIVE) && uart->fifo_count > 0)
		return IIR_TIMEOUT;
	if ((uart->ier & IER_TRANSMIT) && uart->transmit_event)
		return IIR_TRANSMIT;
	if ((uart->ier & IER_MODEM) && (uart->msr & ~MSR_LINES))
		return IIR_MODEM;
	return IIR_NONE;
}

/* On a PC the pin reaches the interrupt controller only while OUT2 is set. */
static void update_uart_irq(struct uart *uart)
{
	bool level = interrupt_cause(uart) != IIR_NONE && (uart->mcr & MCR_OUT2);

	if (level == uart->irq_level)
		return;
	uart->irq_level = level;
	uart->ops->set_irq(uart->arg, level);
}

static unsigned fifo_capacity(const struct uart *uart)
{
	return uart->fifo_enabled ? FIFO_SIZE : 1;
}

/* In loopback the receiver is cut off from the line. */
static unsigned receive_room(const struct uart *uart)
{
	if (uart->mcr & MCR_LOOPBACK)
		return 0;
	return fifo_capacity(uart) - uart->fifo_count;
}

/* Ask for input that was turned away, once the FIFO has run empty. */
static void update_receiver(struct uart *uart)
{
	if (!uart->receive_starved || uart->fifo_count > 0 || receive_room(uart) == 0)
		return;
	uart->receive_starved = false;
	uart->ops->receive_ready(uart->arg);
}

static void fifo_clear(struct uart *uart)
{
	uart->fifo_start = 0;
	uart->fifo_count = 0;
}

static void fifo_put(struct uart *uart, uint8_t byte)
{
	if (uart->fifo_count == fifo_capacity(uart)) {
		uart->overrun = true;
		return;
	}
	uart->fifo[(uart->fifo_start + uart->fifo_count++) % FIFO_SIZE] = byte;
}

static uint8_t fifo_get(struct uart *uart)
{
	uint8_t byte = uart->fifo[uart->fifo_start];

	if (uart->fifo_count == 0)
		return 0;
	uart->fifo_start = (uart->fifo_start + 1) % FIFO_SIZE;
	uart->fifo_count--;
	update_receiver(uart);
	return byte;
}

/* The modem's lines: in loopback they are our own outputs (8.8). */
static uint8_t modem_lines(const struct uart *uart)
{
	uint8_t lines = 0;

	if (!(uart->mcr & MCR_LOOPBACK))
		return MSR_CONNECTED;
	if (uart->mcr & MCR_RTS)
		lines |= MSR_CTS;
	if (uart->mcr & MCR_DTR)
		lines |= MSR_DSR;
	if (uart->mcr & MCR_OUT1)
		lines |= MSR_RI;
	if (uart->mcr & MCR_OUT2)
		lines |= MSR_DCD;
	return lines;
}

static void update_modem(struct uart *uart)
{
	uint8_t lines = modem_lines(uart);
	uint8_t changed = (uart->msr ^ lines) & MSR_LINES;

	if (changed & MSR_CTS)
		uart->msr |= MSR_DELTA_CTS;
	if (changed & MSR_DSR)
		uart->msr |= MSR_DELTA_DSR;
	if ((changed & MSR_RI) && !(lines & MSR_RI))
		uart->msr |= MSR_TRAIL_RI;
	if (changed & MSR_DCD)
		uart->msr |= MSR_DELTA_DCD;
	uart->msr = (uint8_t)((uart->msr & ~MSR_LINES) | lines);
}

static void transmit_byte(struct uart *uart, uint8_t byte)
{
	uart->transmit_event = false;
	if (uart->mcr & MCR_LOOPBACK)
		fifo_put(uart, byte);
	else if (!uart->ops->transmit(uart->arg, byte))
		uart->transmit_blocked = true;
	if (!uart->transmit_blocked)
		uart->transmit_event = true;
}

static void write_ier(struct uart *uart, uint8_t value)
{
	uint8_t enabled = value & ~uart->ier;

	uart->ier = value & IER_MASK;
	/* Enabling the interrupt while THR is empty raises it at once. */
	if ((enabled & IER_TRANSMIT) && !uart->transmit_blocked)
		uart->transmit_event = true;
}

/* The other bits count only together with FCR_ENABLE (8.4). */
static void write_fcr(struct uart *uart, uint8_t value)
{
	static const uint8_t triggers[] = { 1, 4, 8, 14 };
	bool enable = value & FCR_ENABLE;

	if (enable != uart->fifo_enabled || (enable && (value & FCR_RESET_RECEIVE)))
		fifo_clear(uart);
	uart->fifo_enabled = enable;
	uart->trigger = enable ? triggers[value >> FCR_TRIGGER_SHIFT] : 1;
	update_receiver(uart);
}

static void write_data(struct uart *uart, uint8_t value)
{
	if (uart->lcr & LCR_DLAB)
		uart->divisor = (uint16_t)((uart->divisor & 0xff00) | value);
	else
		transmit_byte(uart, value);
}

static void write_ier_or_divisor(struct uart *uart, uint8_t value)
{
	if (uart->lcr & LCR_DLAB)
		uart->divisor = (uint16_t)((uart->divisor & 0x00ff) | value << 8);
	else
		write_ier(uart, value);
}

static void write_mcr(struct uart *uart, uint8_t value)
{
	uart->mcr = value & MCR_MASK;
	update_modem(uart);
	update_receiver(uart);
}

void uart_write(struct uart *uart, unsigned offset, uint8_t value)
{
	pthread_mutex_lock(&uart->lock);
	switch (offset) {
	case REG_DATA:
		write_data(uart, value);
		break;
	case REG_IER:
		write_ier_or_divisor(uart, value);
		break;
	case REG_IIR:
		write_fcr(uart, value);
		break;
	case REG_LCR:
		uart->lcr = value;
		break;
	case REG_MCR:
		write_mcr(uart, value);
		break;
	case REG_SCR:
		uart->scratch = value;
		break;
	default: /* LSR and MSR are read-only */
		break;
	}
	update_uart_irq(uart);
	pthread_mutex_unlock(&uart->lock);
}

static uint8_t read_data(struct uart *uart)
{
	return uart->lcr & LCR_DLAB ? (uint8_t)uart->divisor : fifo_get(uart);
}

static uint8_t read_ier(const struct uart *uart)
{
	return uart->lcr & LCR_DLAB ? uart->divisor >> 8 : uart->ier;
}

/* Reading IIR ends the transmitter's interrupt if that is the one it names. */
static uint8_t read_iir(struct uart *uart)
{
	uint8_t cause = interrupt_cause(uart);

	if (cause == IIR_TRANSMIT)
		uart->transmit_event = false;
	return uart->fifo_enabled ? cause | IIR_FIFO : cause;
}

static uint8_t read_lsr(struct uart *uart)
{
	uint8_t value = 0;

	if (uart->fifo_count > 0)
		value |= LSR_DATA_READY;
	if (uart->overrun)
		value |= LSR_OVERRUN;
	if (!uart->transmit_blocked)
		value |= LSR_THR_EMPTY | LSR_IDLE;
	uart->overrun = false;
	return value;
}

static uint8_t read_msr(struct uart *uart)
{
	uint8_t value = uart->msr;

	uart->msr &= MSR_LINES;
	return value;
}

static uint8_t read_register(struct uart *uart, unsigned offset)
{
	switch (offset) {
	case REG_DATA:
		return read_data(uart);
	case REG_IER:
		return read_ier(uart);
	case REG_IIR:
		return read_iir(uart);
	case REG_LCR:
		return uart->lcr;
	case REG_MCR:
		return uart->mcr;
	case REG_LSR:
		return read_lsr(uart);
	case REG_MSR:
		return read_msr(uart);
	case REG_SCR:
		return uart->scratch;
	default:
		return 0xff;
	}
}

uint8_t uart_read(struct uart *uart, unsigned offset)
{
	uint8_t value;

	pthread_mutex_lock(&uart->lock);
	value = read_register(uart, offset);
	update_uart_irq(uart);
	pthread_mutex_unlock(&uart->lock);
	return value;
}

size_t uart_receive(struct uart *uart, const uint8_t *data, size_t length)
{
	size_t taken;

	pthread_mutex_lock(&uart->lock);
	taken = receive_room(uart);
	if (taken > length)
		taken = length;
	if (taken < length)
		uart->receive_starved = true;
	for (size_t i = 0; i < taken; i++)
		fifo_put(uart, data[i]);
	update_uart_irq(uart);
	pthread_mutex_unlock(&uart->lock);
	return taken;
}

size_t uart_receive_room(struct uart *uart)
{
	size_t room;

	pthread_mutex_lock(&uart->lock);
	room = receive_room(uart);
	if (room == 0)
		uart->receive_starved = true;
	pthread_mutex_unlock(&uart->lock);
	return room;
}

void uart_transmit_ready(struct uart *uart)
{
	pthread_mutex_lock(&uart->lock);
	if (uart->transmit_blocked) {
		uart->transmit_blocked = false;
		uart->transmit_event = true;
		update_uart_irq(uart);
	}
	pthread_mutex_unlock(&uart->lock);
}

struct uart *uart_create(const struct uart_ops *ops, void *arg)
{
	struct uart *uart = calloc(1, sizeof(*uart));

	if (!uart)
		return NULL;
	uart->ops = ops;
	uart->arg = arg;
	uart->trigger = 1;
	uart->divisor = DIVISOR_DEFAULT;
	uart->msr = MSR_CONNECTED;
	pthread_mutex_init(&uart->lock, NULL);
	return uart;
}

void uart_destroy(struct uart *uart)
{
	pthread_mutex_destroy(&uart->lock);
	free(uart);
}
