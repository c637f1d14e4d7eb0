// SPDX-License-Identifier: BSD-2-Clause
/* bhyve's 16550, register by register. */
#include "uart.h"
#include "unit.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };
#define FCR IIR

static struct {
	bool irq;
	unsigned edges;
	uint8_t sent[64];
	unsigned sent_count;
	bool line_full;
	unsigned receive_ready;
} line;

static void set_irq(void *arg, bool level)
{
	CHECK(arg == &line);
	line.irq = level;
	line.edges++;
}

static bool transmit(void *arg, uint8_t byte)
{
	(void)arg;
	line.sent[line.sent_count++ % sizeof(line.sent)] = byte;
	return !line.line_full;
}

static void receive_ready(void *arg)
{
	(void)arg;
	line.receive_ready++;
}

static const struct uart_ops ops = { set_irq, transmit, receive_ready };

/* A UART with FIFOs on and its interrupt line connected, as drivers use it. */
static struct uart *new_uart(void)
{
	struct uart *uart;

	memset(&line, 0, sizeof(line));
	uart = uart_create(&ops, &line);
	REQUIRE(uart);
	uart_write(uart, FCR, 0x07);
	uart_write(uart, MCR, 0x0b);
	return uart;
}

static size_t receive(struct uart *uart, const char *text)
{
	return uart_receive(uart, (const uint8_t *)text, strlen(text));
}

TEST(power_on_state)
{
	struct uart *uart = uart_create(&ops, &line);

	CHECK_EQ(uart_read(uart, IER), 0);
	CHECK_EQ(uart_read(uart, IIR), 0x01);
	CHECK_EQ(uart_read(uart, LCR), 0);
	CHECK_EQ(uart_read(uart, MCR), 0);
	CHECK_EQ(uart_read(uart, LSR), 0x60);
	CHECK_EQ(uart_read(uart, MSR), 0xb0);
	uart_destroy(uart);
}

TEST(scratch_keeps_a_byte)
{
	struct uart *uart = new_uart();

	uart_write(uart, SCR, 0xa5);
	CHECK_EQ(uart_read(uart, SCR), 0xa5);
	uart_destroy(uart);
}

TEST(divisor_behind_dlab)
{
	struct uart *uart = new_uart();

	uart_write(uart, IER, 0x05);
	uart_write(uart, LCR, 0x83);
	uart_write(uart, DATA, 0x0c);
	uart_write(uart, IER, 0x01);
	CHECK_EQ(uart_read(uart, DATA), 0x0c);
	CHECK_EQ(uart_read(uart, IER), 0x01);
	uart_write(uart, LCR, 0x03);
	CHECK_EQ(uart_read(uart, IER), 0x05);
	CHECK_EQ(line.sent_count, 0);
	uart_destroy(uart);
}

TEST(ier_has_four_bits)
{
	struct uart *uart = new_uart();

	uart_write(uart, IER, 0xff);
	CHECK_EQ(uart_read(uart, IER), 0x0f);
	uart_destroy(uart);
}

TEST(iir_shows_fifos_only_when_enabled)
{
	struct uart *uart = new_uart();

	CHECK_EQ(uart_read(uart, IIR), 0xc1);
	uart_write(uart, FCR, 0);
	CHECK_EQ(uart_read(uart, IIR), 0x01);
	uart_destroy(uart);
}

TEST(sends_what_is_written)
{
	struct uart *uart = new_uart();

	uart_write(uart, DATA, 'o');
	uart_write(uart, DATA, 'k');
	CHECK_EQ(line.sent_count, 2);
	CHECK_MEM(line.sent, "ok", 2);
	CHECK_EQ(uart_read(uart, LSR), 0x60);
	uart_destroy(uart);
}

TEST(transmit_interrupt_on_enabling_and_after_each_byte)
{
	struct uart *uart = new_uart();

	uart_write(uart, IER, 0x02);
	CHECK(line.irq);
	CHECK_EQ(uart_read(uart, IIR), 0xc2);
	CHECK(!line.irq);
	CHECK_EQ(uart_read(uart, IIR), 0xc1);
	uart_write(uart, DATA, 'x');
	CHECK(line.irq);
	CHECK_EQ(uart_read(uart, IIR), 0xc2);
	/* Off and on again raises it again. */
	uart_write(uart, IER, 0x00);
	uart_write(uart, IER, 0x02);
	CHECK(line.irq);
	uart_destroy(uart);
}

TEST(full_line_clears_thre_until_ready)
{
	struct uart *uart = new_uart();

	uart_write(uart, IER, 0x02);
	uart_read(uart, IIR);
	line.line_full = true;
	uart_write(uart, DATA, 'x');
	CHECK_EQ(uart_read(uart, LSR), 0x00);
	CHECK(!line.irq);
	line.line_full = false;
	uart_transmit_ready(uart);
	CHECK_EQ(uart_read(uart, LSR), 0x60);
	CHECK(line.irq);
	CHECK_EQ(uart_read(uart, IIR), 0xc2);
	uart_destroy(uart);
}

TEST(receives_in_order)
{
	struct uart *uart = new_uart();

	CHECK_EQ(receive(uart, "abc"), 3);
	for (const char *expected = "abc"; *expected; expected++) {
		CHECK_EQ(uart_read(uart, LSR), 0x61);
		CHECK_EQ(uart_read(uart, DATA), *expected);
	}
	CHECK_EQ(uart_read(uart, LSR), 0x60);
	uart_destroy(uart);
}

TEST(receive_trigger_levels)
{
	static const uint8_t triggers[] = { 1, 4, 8, 14 };

	for (unsigned i = 0; i < 4; i++) {
		struct uart *uart = new_uart();

		uart_write(uart, FCR, (uint8_t)(0x01 | i << 6));
		uart_write(uart, IER, 0x01);
		for (unsigned n = 1; n <= 16; n++) {
			CHECK_EQ(receive(uart, "x"), 1);
			CHECK(line.irq);
			CHECK_EQ_AT(uart_read(uart, IIR), n >= triggers[i] ? 0xc4 : 0xcc,
				    "trigger %u, %u bytes", triggers[i], n);
		}
		uart_destroy(uart);
	}
}

TEST(receive_interrupt_ends_with_the_last_byte)
{
	struct uart *uart = new_uart();

	uart_write(uart, IER, 0x01);
	receive(uart, "ab");
	CHECK(line.irq);
	uart_read(uart, DATA);
	CHECK(line.irq);
	uart_read(uart, DATA);
	CHECK(!line.irq);
	uart_destroy(uart);
}

TEST(takes_no_more_than_fits_and_asks_for_the_rest)
{
	struct uart *uart = new_uart();

	CHECK_EQ(receive(uart, "0123456789abcdefXYZ"), 16);
	CHECK_EQ(uart_receive_room(uart), 0);
	for (unsigned i = 0; i < 15; i++)
		uart_read(uart, DATA);
	CHECK_EQ(line.receive_ready, 0);
	CHECK_EQ(uart_read(uart, DATA), 'f');
	CHECK_EQ(line.receive_ready, 1);
	CHECK_EQ(uart_receive_room(uart), 16);
	CHECK_EQ(uart_read(uart, LSR) & 0x02, 0);
	uart_destroy(uart);
}

TEST(one_byte_without_fifo)
{
	struct uart *uart = new_uart();

	uart_write(uart, FCR, 0);
	CHECK_EQ(receive(uart, "ab"), 1);
	CHECK_EQ(uart_read(uart, DATA), 'a');
	CHECK_EQ(line.receive_ready, 1);
	uart_destroy(uart);
}

TEST(fifo_reset_drops_and_makes_room)
{
	struct uart *uart = new_uart();

	receive(uart, "0123456789abcdefX");
	uart_write(uart, FCR, 0x03);
	CHECK_EQ(uart_read(uart, LSR), 0x60);
	CHECK_EQ(line.receive_ready, 1);
	uart_destroy(uart);
}

TEST(fcr_without_enable_changes_nothing_else)
{
	struct uart *uart = uart_create(&ops, &line);

	receive(uart, "a");
	uart_write(uart, FCR, 0x02);
	CHECK_EQ(uart_read(uart, DATA), 'a');
	uart_destroy(uart);
}

TEST(no_interrupt_without_out2)
{
	struct uart *uart = new_uart();

	uart_write(uart, MCR, 0x03);
	uart_write(uart, IER, 0x01);
	receive(uart, "a");
	CHECK(!line.irq);
	CHECK_EQ(uart_read(uart, IIR), 0xc4);
	uart_write(uart, MCR, 0x0b);
	CHECK(line.irq);
	uart_destroy(uart);
}

TEST(loopback_returns_bytes_and_cuts_the_line)
{
	struct uart *uart = new_uart();

	uart_write(uart, MCR, 0x10);
	uart_write(uart, DATA, 0x5a);
	CHECK_EQ(line.sent_count, 0);
	CHECK_EQ(receive(uart, "lost?"), 0);
	CHECK_EQ(uart_read(uart, DATA), 0x5a);
	CHECK_EQ(line.receive_ready, 0);
	uart_write(uart, MCR, 0x0b);
	CHECK_EQ(line.receive_ready, 1);
	uart_destroy(uart);
}

TEST(loopback_overrun)
{
	struct uart *uart = new_uart();

	uart_write(uart, MCR, 0x18);
	uart_write(uart, IER, 0x04);
	for (unsigned i = 0; i < 17; i++)
		uart_write(uart, DATA, (uint8_t)i);
	CHECK(line.irq);
	CHECK_EQ(uart_read(uart, IIR), 0xc6);
	CHECK_EQ(uart_read(uart, LSR), 0x63);
	CHECK(!line.irq);
	CHECK_EQ(uart_read(uart, LSR), 0x61);
	CHECK_EQ(uart_read(uart, DATA), 0);
	uart_destroy(uart);
}

TEST(loopback_modem_lines)
{
	static const struct {
		uint8_t mcr, msr;
	} cases[] = { { 0x10, 0x00 }, { 0x12, 0x10 }, { 0x11, 0x20 },
		      { 0x14, 0x40 }, { 0x18, 0x80 }, { 0x1f, 0xf0 } };
	struct uart *uart = new_uart();

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uart_write(uart, MCR, cases[i].mcr);
		CHECK_EQ_AT(uart_read(uart, MSR) & 0xf0, cases[i].msr, "MCR %#x", cases[i].mcr);
	}
	uart_destroy(uart);
}

TEST(modem_deltas_interrupt_and_clear)
{
	struct uart *uart = new_uart();

	uart_write(uart, MCR, 0x1c);
	uart_read(uart, MSR);
	uart_write(uart, IER, 0x08);
	CHECK(!line.irq);
	/* RI falls: that edge counts, the rising one does not. CTS rises. */
	uart_write(uart, MCR, 0x1a);
	CHECK(line.irq);
	CHECK_EQ(uart_read(uart, IIR), 0xc0);
	CHECK_EQ(uart_read(uart, MSR), 0x95);
	CHECK(!line.irq);
	uart_write(uart, MCR, 0x1e);
	CHECK(!line.irq);
	CHECK_EQ(uart_read(uart, MSR), 0xd0);
	uart_destroy(uart);
}

TEST(causes_in_order_of_priority)
{
	struct uart *uart = new_uart();

	uart_write(uart, MCR, 0x18);
	uart_write(uart, IER, 0x0f);
	for (unsigned i = 0; i < 17; i++)
		uart_write(uart, DATA, (uint8_t)i);
	CHECK_EQ(uart_read(uart, IIR), 0xc6);
	uart_read(uart, LSR);
	CHECK_EQ(uart_read(uart, IIR), 0xc4);
	for (unsigned i = 0; i < 16; i++)
		uart_read(uart, DATA);
	CHECK_EQ(uart_read(uart, IIR), 0xc2);
	CHECK_EQ(uart_read(uart, IIR), 0xc0);
	uart_read(uart, MSR);
	CHECK_EQ(uart_read(uart, IIR), 0xc1);
	uart_destroy(uart);
}

TEST(read_only_registers_ignore_writes)
{
	struct uart *uart = new_uart();

	uart_write(uart, LSR, 0xff);
	uart_write(uart, MSR, 0xff);
	CHECK_EQ(uart_read(uart, LSR), 0x60);
	CHECK_EQ(uart_read(uart, MSR), 0xb0);
	uart_destroy(uart);
}
