// SPDX-License-Identifier: BSD-2-Clause
/*
 * The UART under any order of guest accesses, arriving bytes and a line that
 * comes and goes. Outside loopback and FIFO resets every byte the UART takes
 * comes out once, in order; the interrupt line always agrees with IIR.
 */
#include "uart.h"

#include <stdint.h>
#include <stdlib.h>

enum { DATA, IER, IIR, LCR, MCR, LSR };
#define FCR IIR

#define EXPECT(condition)         \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static struct {
	bool irq;
	bool full;	  /* the line takes no more */
	bool starved;	  /* uart_receive() was short, receive_ready() has not come */
	uint8_t next_in;  /* bytes arrive as a count */
	bool followed;	  /* the FIFO holds only what arrived: */
	uint8_t next_out; /* what the guest must read next */
	unsigned in_fifo; /* taken and not read */
} line;

static void set_irq(void *arg, bool level)
{
	(void)arg;
	EXPECT(level != line.irq);
	line.irq = level;
}

static bool transmit(void *arg, uint8_t byte)
{
	(void)arg, (void)byte;
	return !line.full;
}

static void receive_ready(void *arg)
{
	(void)arg;
	EXPECT(line.starved);
	line.starved = false;
}

static const struct uart_ops ops = { set_irq, transmit, receive_ready };

/* The FIFO is empty: what is read from now on is what arrives from now on. */
static void follow(void)
{
	line.followed = true;
	line.in_fifo = 0;
	line.next_out = line.next_in;
}

static void arrive(struct uart *uart, size_t count)
{
	uint8_t data[32];
	size_t taken;

	for (size_t i = 0; i < count; i++)
		data[i] = (uint8_t)(line.next_in + i);
	/* Short of room, the UART may call back at once only later. */
	line.starved = true;
	taken = uart_receive(uart, data, count);
	EXPECT(taken <= count);
	if (taken == count)
		line.starved = false;
	line.next_in += (uint8_t)taken;
	if (line.followed)
		line.in_fifo += (unsigned)taken;
	EXPECT(line.in_fifo <= 16);
}

static void guest_read(struct uart *uart, const uint8_t *shadow, unsigned offset)
{
	uint8_t value = uart_read(uart, offset);

	if (offset != DATA || (shadow[LCR] & 0x80) || !line.followed || line.in_fifo == 0)
		return;
	EXPECT(value == line.next_out);
	line.next_out++;
	line.in_fifo--;
}

/* In loopback what the guest sends comes back, among what arrived before. */
static void guest_write(struct uart *uart, uint8_t *shadow, unsigned offset, uint8_t value)
{
	if (offset == FCR && ((value ^ shadow[FCR]) & 1 || (value & 3) == 3))
		follow();
	if (offset == DATA && (shadow[MCR] & 0x10) && !(shadow[LCR] & 0x80))
		line.followed = false;
	uart_write(uart, offset, value);
	shadow[offset] = value;
}

static void check(struct uart *uart, const uint8_t *shadow)
{
	bool any = uart_read(uart, LSR) & 1;

	if (line.followed)
		EXPECT(any == (line.in_fifo > 0));
	if (!any)
		follow();
	if (!(shadow[MCR] & 8))
		EXPECT(!line.irq);
}

/* IIR names a cause just when the line is up; reading it may take it down. */
static void check_irq(struct uart *uart, const uint8_t *shadow)
{
	bool was_up = line.irq;

	if (shadow[MCR] & 8)
		EXPECT(was_up == !(uart_read(uart, IIR) & 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct uart *uart = uart_create(&ops, NULL);
	uint8_t shadow[8] = { 0 };

	line.irq = line.full = line.starved = false;
	line.next_in = 0;
	follow();
	for (; size >= 2; data += 2, size -= 2) {
		switch (data[0] >> 6) {
		case 0:
			guest_read(uart, shadow, data[0] & 7);
			break;
		case 1:
			guest_write(uart, shadow, data[0] & 7, data[1]);
			break;
		case 2:
			if (!line.starved)
				arrive(uart, data[1] & 31);
			break;
		default:
			line.full = data[1] & 1;
			if (!line.full)
				uart_transmit_ready(uart);
		}
		if (data[0] & 0x20)
			check_irq(uart, shadow);
		check(uart, shadow);
	}
	uart_destroy(uart);
	return 0;
}
