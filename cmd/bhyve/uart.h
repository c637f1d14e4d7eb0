/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A 16550A UART: its eight registers, two FIFOs and one interrupt line. It
 * knows nothing of where bytes come from and go to (serial.h does).
 *
 * Time on the wire is not modelled: a byte is sent at once, a received byte has
 * always been there for four character times. The line never has errors.
 */
#ifndef BHYVE_UART_H
#define BHYVE_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uart;

/* What a UART asks of its surroundings. Called with the UART's lock held. */
struct uart_ops {
	/* The interrupt line has changed. */
	void (*set_irq)(void *arg, bool level);
	/* Send a byte. False: send no more before uart_transmit_ready(). */
	bool (*transmit)(void *arg, uint8_t byte);
	/* uart_receive() took less than it was given: now there is room again. */
	void (*receive_ready)(void *arg);
};

/* A UART after power-on; NULL without memory. */
struct uart *uart_create(const struct uart_ops *ops, void *arg);
void uart_destroy(struct uart *uart);

/* The guest accesses register 'offset', 0 to 7. Any thread. */
uint8_t uart_read(struct uart *uart, unsigned offset);
void uart_write(struct uart *uart, unsigned offset, uint8_t value);

/*
 * Bytes arrive. Returns how many were taken; the rest is to be offered again
 * after receive_ready(). Any thread, but not from an op.
 */
size_t uart_receive(struct uart *uart, const uint8_t *data, size_t length);

/*
 * How many bytes uart_receive() would take. When it is none, receive_ready()
 * will be called. Any thread, but not from an op.
 */
size_t uart_receive_room(struct uart *uart);

/* The line takes bytes again after transmit() said no. Not from an op. */
void uart_transmit_ready(struct uart *uart);

#endif
