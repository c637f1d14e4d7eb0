// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reset by chipset registers. Each acts when its bit goes from 0 to 1.
 */
#include "reset.h"
#include "diag.h"
#include "inout.h"

#include <stdatomic.h>
#include <stdint.h>

#define RESET_CONTROL_WRITABLE 0x0e
#define RESET_CONTROL_CPU      0x04

#define PORT_A_RESET	0x01
#define PORT_A_A20	0x02
#define PORT_A_WRITABLE (PORT_A_RESET | PORT_A_A20)

/* One register with one bit that resets. */
struct reset_register {
	uint8_t trigger;
	uint8_t writable;
	_Atomic uint8_t value;
};

static struct vmctx *vm;
static struct reset_register control = { RESET_CONTROL_CPU, RESET_CONTROL_WRITABLE, 0 };
/* The A20 bit is only remembered: the line is always on, as with any new PC. */
static struct reset_register port_a = { PORT_A_RESET, PORT_A_WRITABLE, PORT_A_A20 };

static uint32_t register_read(void *arg, unsigned offset, unsigned bytes)
{
	struct reset_register *reg = arg;

	(void)offset, (void)bytes;
	return atomic_load(&reg->value);
}

static void register_write(void *arg, unsigned offset, unsigned bytes, uint32_t value)
{
	struct reset_register *reg = arg;
	uint8_t old = atomic_exchange(&reg->value, (uint8_t)(value & reg->writable));

	(void)offset, (void)bytes;
	if (value & ~old & reg->trigger)
		vm_suspend(vm, VM_SUSPEND_RESET);
}

static const struct inout_range ranges[] = {
	{ "reset control", RESET_CONTROL_PORT, 1, INOUT_BYTE, register_read, register_write,
	  &control },
	{ "system control port A", 0x92, 1, INOUT_BYTE, register_read, register_write, &port_a },
};

void reset_init(struct vmctx *ctx)
{
	vm = ctx;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (inout_register(&ranges[i]))
			fatal("reset: the port of %s is taken", ranges[i].name);
}
