// SPDX-License-Identifier: BSD-2-Clause
/*
 * The keyboard controller (Intel 8042 as in the IBM PS/2).
 */
#include "i8042.h"
#include "diag.h"
#include "inout.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define DATA_PORT    0x60
#define COMMAND_PORT 0x64
#define KEYBOARD_IRQ 1

#define STATUS_OUTPUT_FULL 0x01
#define STATUS_SYSTEM	   0x04 /* self-test passed */
#define STATUS_COMMAND	   0x08 /* the last write went to the command port */
#define STATUS_UNLOCKED	   0x10
#define STATUS_TIMEOUT	   0x40 /* the device did not answer */

#define CONFIG_KEYBOARD_IRQ  0x01
#define CONFIG_SYSTEM	     0x04
#define CONFIG_KEYBOARD_OFF  0x10
#define CONFIG_AUXILIARY_OFF 0x20
#define CONFIG_TRANSLATE     0x40
#define CONFIG_DEFAULT \
	(CONFIG_SYSTEM | CONFIG_KEYBOARD_OFF | CONFIG_AUXILIARY_OFF | CONFIG_TRANSLATE)

#define OUTPUT_PORT_DEFAULT 0xcf /* reset line high, A20 on */

enum {
	COMMAND_READ_CONFIG = 0x20,
	COMMAND_WRITE_CONFIG = 0x60,
	COMMAND_DISABLE_AUXILIARY = 0xa7,
	COMMAND_ENABLE_AUXILIARY = 0xa8,
	COMMAND_TEST_AUXILIARY = 0xa9,
	COMMAND_SELF_TEST = 0xaa,
	COMMAND_TEST_KEYBOARD = 0xab,
	COMMAND_DISABLE_KEYBOARD = 0xad,
	COMMAND_ENABLE_KEYBOARD = 0xae,
	COMMAND_READ_OUTPUT_PORT = 0xd0,
	COMMAND_WRITE_OUTPUT_PORT = 0xd1,
	COMMAND_WRITE_KEYBOARD_BUFFER = 0xd2,
	COMMAND_WRITE_AUXILIARY_BUFFER = 0xd3,
	COMMAND_WRITE_AUXILIARY = 0xd4,
	COMMAND_PULSE = 0xf0, /* to 0xff: the low bits name the lines not to pulse */
};

#define PULSE_RESET 0x01

#define ANSWER_SELF_TEST_PASSED 0x55
#define ANSWER_INTERFACE_GOOD	0x00
#define ANSWER_CLOCK_STUCK	0x01 /* nothing drives the auxiliary device's clock */
#define ANSWER_NO_DEVICE	0xfe

static struct {
	struct vmctx *ctx; /* constant */

	pthread_mutex_t lock; /* for all below */
	uint8_t status;
	uint8_t config;
	uint8_t output; /* what port 0x60 reads */
	uint8_t output_port;
	uint8_t pending; /* the command that waits for its data byte, or 0 */
	bool irq_level;
} kbc = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.status = STATUS_SYSTEM | STATUS_UNLOCKED,
	.config = CONFIG_DEFAULT,
	.output_port = OUTPUT_PORT_DEFAULT,
};

static void update_keyboard_irq(void)
{
	bool level = (kbc.status & STATUS_OUTPUT_FULL) && (kbc.config & CONFIG_KEYBOARD_IRQ);

	if (level == kbc.irq_level)
		return;
	kbc.irq_level = level;
	if (level)
		vm_isa_assert_irq(kbc.ctx, KEYBOARD_IRQ, KEYBOARD_IRQ);
	else
		vm_isa_deassert_irq(kbc.ctx, KEYBOARD_IRQ, KEYBOARD_IRQ);
}

static void put_answer(uint8_t byte, uint8_t status)
{
	kbc.output = byte;
	kbc.status = (uint8_t)((kbc.status & ~STATUS_TIMEOUT) | STATUS_OUTPUT_FULL | status);
}

/* The output port's lowest bit is the reset line, active low. */
static bool write_output_port(uint8_t value)
{
	kbc.output_port = value;
	return !(value & PULSE_RESET);
}

/* Commands that are done at once. Returns whether the machine resets. */
static bool run_command(uint8_t command)
{
	switch (command) {
	case COMMAND_READ_CONFIG:
		put_answer(kbc.config, 0);
		break;
	case COMMAND_DISABLE_AUXILIARY:
		kbc.config |= CONFIG_AUXILIARY_OFF;
		break;
	case COMMAND_ENABLE_AUXILIARY:
		kbc.config &= (uint8_t)~CONFIG_AUXILIARY_OFF;
		break;
	case COMMAND_TEST_AUXILIARY:
		put_answer(ANSWER_CLOCK_STUCK, 0);
		break;
	case COMMAND_SELF_TEST:
		kbc.config = CONFIG_DEFAULT;
		put_answer(ANSWER_SELF_TEST_PASSED, 0);
		break;
	case COMMAND_TEST_KEYBOARD:
		put_answer(ANSWER_INTERFACE_GOOD, 0);
		break;
	case COMMAND_DISABLE_KEYBOARD:
		kbc.config |= CONFIG_KEYBOARD_OFF;
		break;
	case COMMAND_ENABLE_KEYBOARD:
		kbc.config &= (uint8_t)~CONFIG_KEYBOARD_OFF;
		break;
	case COMMAND_READ_OUTPUT_PORT:
		put_answer(kbc.output_port, 0);
		break;
	default:
		return command >= COMMAND_PULSE && !(command & PULSE_RESET);
	}
	return false;
}

static bool takes_data(uint8_t command)
{
	return command == COMMAND_WRITE_CONFIG ||
	       (command >= COMMAND_WRITE_OUTPUT_PORT && command <= COMMAND_WRITE_AUXILIARY);
}

/* A data byte. Returns whether the machine resets. */
static bool command_data(uint8_t command, uint8_t value)
{
	switch (command) {
	case COMMAND_WRITE_CONFIG:
		kbc.config = value;
		return false;
	case COMMAND_WRITE_OUTPUT_PORT:
		return write_output_port(value);
	case COMMAND_WRITE_KEYBOARD_BUFFER:
	case COMMAND_WRITE_AUXILIARY_BUFFER:
		/* Without an auxiliary interface its buffer is the keyboard's. */
		put_answer(value, 0);
		return false;
	default:
		/* To a device: there is none, and the controller says so. */
		put_answer(ANSWER_NO_DEVICE, STATUS_TIMEOUT);
		return false;
	}
}

static uint32_t keyboard_data_read(void *arg, unsigned offset, unsigned bytes)
{
	uint8_t value;

	(void)arg, (void)offset, (void)bytes;
	pthread_mutex_lock(&kbc.lock);
	value = kbc.output;
	kbc.status &= (uint8_t) ~(STATUS_OUTPUT_FULL | STATUS_TIMEOUT);
	update_keyboard_irq();
	pthread_mutex_unlock(&kbc.lock);
	return value;
}

static uint32_t status_read(void *arg, unsigned offset, unsigned bytes)
{
	uint8_t value;

	(void)arg, (void)offset, (void)bytes;
	pthread_mutex_lock(&kbc.lock);
	value = kbc.status;
	pthread_mutex_unlock(&kbc.lock);
	return value;
}

static void keyboard_data_write(void *arg, unsigned offset, unsigned bytes, uint32_t value)
{
	bool reset;

	(void)arg, (void)offset, (void)bytes;
	pthread_mutex_lock(&kbc.lock);
	kbc.status &= (uint8_t)~STATUS_COMMAND;
	reset = command_data(kbc.pending, (uint8_t)value);
	kbc.pending = 0;
	update_keyboard_irq();
	pthread_mutex_unlock(&kbc.lock);
	if (reset)
		vm_suspend(kbc.ctx, VM_SUSPEND_RESET);
}

static void command_write(void *arg, unsigned offset, unsigned bytes, uint32_t value)
{
	uint8_t command = (uint8_t)value;
	bool reset = false;

	(void)arg, (void)offset, (void)bytes;
	pthread_mutex_lock(&kbc.lock);
	kbc.status |= STATUS_COMMAND;
	kbc.pending = takes_data(command) ? command : 0;
	if (!kbc.pending)
		reset = run_command(command);
	update_keyboard_irq();
	pthread_mutex_unlock(&kbc.lock);
	if (reset)
		vm_suspend(kbc.ctx, VM_SUSPEND_RESET);
}

static const struct inout_range ranges[] = {
	{ "keyboard data", DATA_PORT, 1, INOUT_BYTE, keyboard_data_read, keyboard_data_write,
	  NULL },
	{ "keyboard command", COMMAND_PORT, 1, INOUT_BYTE, status_read, command_write, NULL },
};

void i8042_init(struct vmctx *ctx)
{
	kbc.ctx = ctx;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (inout_register(&ranges[i]))
			fatal("i8042: the port of %s is taken", ranges[i].name);
}
