/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * COM1 and COM2: a UART (uart.h) on the ISA bus, joined to standard input and
 * output, to a terminal, or to a pseudo-terminal of its own.
 */
#ifndef BHYVE_SERIAL_H
#define BHYVE_SERIAL_H

#include <stdint.h>
#include <vmmapi.h>

#define SERIAL_PORTS 2

/*
 * Make port 'number' (0 is COM1). 'backend' is "stdio", "pty" (or "auto"), the
 * path of a terminal, or NULL for a port with nothing attached. Ends bhyve
 * with a message if there is none. After event_init(), before vCPUs run.
 */
void serial_init(struct vmctx *ctx, unsigned number, const char *backend);

/* The first of the port's eight I/O ports, and its ISA interrupt. */
uint16_t serial_base(unsigned number);
unsigned serial_irq(unsigned number);

#endif
