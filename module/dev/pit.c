// SPDX-License-Identifier: BSD-2-Clause
/*
 * The 8254 timer, after Intel's data sheet. A counter is never counted: its value
 * and output at any moment follow from when it was started. A count written is in the
 * counter at once, where the chip takes until the next clock pulse.
 */
#include "vm/timer.h"
#include "vm/vcpu.h"
#include "dev/periodic.h"
#include "dev/pic.h"
#include "dev/pit.h"

#define CHANNELS      3
#define PORT_CHANNEL0 0x40
#define PORT_CONTROL  0x43
#define PORT_61	      0x61

/* Control word. */
#define CONTROL_CHANNEL(value) ((value) >> 6)
#define CONTROL_ACCESS(value)  ((value) >> 4 & 3)
#define CONTROL_MODE(value)    ((value) >> 1 & 7)
#define CONTROL_BCD	       0x01
#define READ_BACK	       3 /* in place of a channel */
#define READ_BACK_NO_COUNT     0x20
#define READ_BACK_NO_STATUS    0x10

/* Port 0x61. */
#define P61_GATE     0x01 /* of channel 2 */
#define P61_WRITABLE 0x0f
#define P61_REFRESH  0x10 /* toggles with each memory refresh */
#define P61_OUT	     0x20 /* of channel 2 */
#define REFRESH_NS   15085

enum access { ACCESS_LATCH, ACCESS_LOW, ACCESS_HIGH, ACCESS_BOTH };

enum mode {
	MODE_TERMINAL_COUNT,
	MODE_ONE_SHOT, /* started by the gate */
	MODE_RATE,
	MODE_SQUARE,
	MODE_STROBE,
	MODE_GATE_STROBE, /* started by the gate */
};

struct channel {
	enum mode mode;
	enum access access;
	bool bcd;
	bool gate;
	bool loaded;		  /* a count has been written since the control word */
	bool running;		  /* 'schedule' goes on; else stopped at 'held' */
	bool half_written;	  /* mode 0: stopped by the first byte of a new count */
	struct periodic schedule; /* its period is the count in force */
	uint64_t held;		  /* ticks since the start, while not running */
	uint32_t next_count;	  /* in force from 'next_ns' on, or the next trigger; 0 none */
	bool next_low;		  /* mode 3: it begins with the low half of its cycle */
	uint64_t next_ns;

	bool write_high; /* the next byte written is the high one */
	bool read_high;
	uint8_t low; /* the low byte written */
	bool count_latched;
	bool status_latched;
	uint16_t latched_count;
	uint8_t latched_status;
};

struct pit {
	struct vm *vm; /* constant */
	struct os_spinlock lock;
	struct channel channel[CHANNELS]; /* lock */
	uint8_t port61;			  /* lock; the writable bits */
	bool irq_masked;		  /* lock */
	struct os_timer timer;		  /* started and stopped under lock; channel 0 */
};

/* --- a channel; the lock is held ------------------------------------------ */

static bool pit_is_periodic(const struct channel *channel)
{
	return channel->mode == MODE_RATE || channel->mode == MODE_SQUARE;
}

static bool pit_is_gate_started(const struct channel *channel)
{
	return channel->mode == MODE_ONE_SHOT || channel->mode == MODE_GATE_STROBE;
}

/* Mode 3 is high for the first half of its cycle, the longer one if they differ. */
static uint64_t pit_high_ticks(uint64_t count)
{
	return (count + 1) / 2;
}

/* A new count comes into force at the end of a cycle, which is its first tick, or of a half. */
static void pit_advance_channel(struct channel *channel, uint64_t now)
{
	uint32_t count = channel->next_count;
	uint64_t passed;

	if (!count || now < channel->next_ns)
		return;
	passed = channel->next_low ? pit_high_ticks(count) : count;
	periodic_start_device(&channel->schedule,
			      channel->next_ns - clock_scale_up(passed, PIT_HZ, NS_PER_SECOND),
			      count, PIT_HZ);
	channel->next_count = 0;
}

static uint64_t pit_elapsed_ticks(const struct channel *channel, uint64_t now)
{
	return channel->running ? periodic_elapsed(&channel->schedule, now) : channel->held;
}

/* The counter wraps below 0 where it does not reload. */
static uint16_t pit_wrapping_count(const struct channel *channel, uint64_t ticks)
{
	uint64_t modulus = channel->bcd ? 10000 : 65536;
	uint64_t count = channel->schedule.period % modulus;

	return (uint16_t)((count + modulus - ticks % modulus) % modulus);
}

/* Mode 3 counts by two, twice through each cycle. */
static uint16_t pit_square_count(uint64_t count, uint64_t ticks)
{
	uint64_t phase = ticks % count;
	uint64_t half = pit_high_ticks(count);

	if (phase >= half)
		phase -= half;
	return (uint16_t)((count & ~1ull) - 2 * phase);
}

static uint16_t pit_to_bcd(unsigned int value)
{
	value %= 10000;
	return (uint16_t)(value / 1000 << 12 | value / 100 % 10 << 8 | value / 10 % 10 << 4 |
			  value % 10);
}

static unsigned int pit_from_bcd(unsigned int value)
{
	return (value >> 12) * 1000 + (value >> 8 & 15) * 100 + (value >> 4 & 15) * 10 +
	       (value & 15);
}

static uint16_t pit_current_count(const struct channel *channel, uint64_t now)
{
	uint64_t ticks = pit_elapsed_ticks(channel, now);
	uint64_t count = channel->schedule.period;
	uint16_t value;

	if (!count)
		return 0;
	if (channel->mode == MODE_RATE)
		value = (uint16_t)(count - ticks % count);
	else if (channel->mode == MODE_SQUARE)
		value = pit_square_count(count, ticks);
	else
		value = pit_wrapping_count(channel, ticks);
	return channel->bcd ? pit_to_bcd(value) : value;
}

static bool pit_channel_output(const struct channel *channel, uint64_t now)
{
	uint64_t count = channel->schedule.period;
	uint64_t ticks = pit_elapsed_ticks(channel, now);

	if (!channel->loaded)
		return channel->mode != MODE_TERMINAL_COUNT;
	switch (channel->mode) {
	case MODE_TERMINAL_COUNT:
		return ticks >= count && !channel->half_written;
	case MODE_ONE_SHOT:
		return !channel->running || ticks >= count;
	case MODE_RATE:
		return !channel->gate || ticks % count != count - 1;
	case MODE_SQUARE:
		return !channel->gate || ticks % count < pit_high_ticks(count);
	case MODE_STROBE:
	case MODE_GATE_STROBE:
	default:
		return !channel->running || ticks != count;
	}
}

static void pit_start_channel(struct channel *channel, uint64_t now, uint64_t count)
{
	periodic_start_device(&channel->schedule, now, count, PIT_HZ);
	channel->next_count = 0;
	channel->held = 0;
	channel->half_written = false;
	channel->running = channel->gate && !pit_is_gate_started(channel);
}

/* For the next trigger. */
static void pit_keep_count(struct channel *channel, uint32_t count)
{
	channel->next_count = count;
	channel->next_ns = UINT64_MAX;
}

/* For the end of the cycle, in mode 3 of the half of it, that the channel is in. */
static void pit_load_next(struct channel *channel, uint32_t count, uint64_t now)
{
	uint64_t period = channel->schedule.period;
	uint64_t ticks = pit_elapsed_ticks(channel, now);
	uint64_t cycle = ticks - ticks % period;
	bool high = channel->mode == MODE_SQUARE && ticks - cycle < pit_high_ticks(period);

	channel->next_count = count;
	channel->next_low = high;
	channel->next_ns = periodic_moment(&channel->schedule,
					   cycle + (high ? pit_high_ticks(period) : period));
}

/* A whole count has been written. */
static void pit_load_count(struct channel *channel, uint16_t value, uint64_t now)
{
	uint32_t count = channel->bcd ? pit_from_bcd(value) : value;

	if (!count)
		count = channel->bcd ? 10000 : 65536;
	if (channel->running && pit_is_gate_started(channel))
		pit_keep_count(channel, count);
	else if (!channel->loaded || !pit_is_periodic(channel))
		pit_start_channel(channel, now, count);
	else if (channel->running)
		pit_load_next(channel, count, now);
	else
		pit_keep_count(channel, count);
	channel->loaded = true;
}

static void pit_pause(struct channel *channel, uint64_t now)
{
	channel->held = pit_elapsed_ticks(channel, now);
	channel->running = false;
}

/* The first of two bytes: mode 0 stops, and OUT is low. */
static void pit_write_low_byte(struct channel *channel, uint8_t value, uint64_t now)
{
	channel->low = value;
	if (channel->mode != MODE_TERMINAL_COUNT)
		return;
	pit_pause(channel, now);
	channel->half_written = true;
}

static void pit_set_control(struct channel *channel, uint8_t value)
{
	unsigned int mode = CONTROL_MODE(value);

	channel->mode = mode > MODE_GATE_STROBE ? mode - 4 : mode; /* 6 and 7 are 2 and 3 */
	channel->access = CONTROL_ACCESS(value);
	channel->bcd = value & CONTROL_BCD;
	channel->loaded = false;
	channel->running = false;
	channel->next_count = 0;
	channel->held = 0;
	channel->half_written = false;
	channel->write_high = false;
	channel->read_high = false;
	channel->count_latched = false;
	channel->status_latched = false;
}

/* From the count that has been written last. */
static void pit_trigger(struct channel *channel, uint64_t now)
{
	pit_start_channel(channel, now,
			  channel->next_count ? channel->next_count : channel->schedule.period);
	channel->running = true;
}

static void pit_continue(struct channel *channel, uint64_t now)
{
	if (channel->half_written)
		return;
	channel->schedule.start_ns = now - clock_scale_up(channel->held, PIT_HZ, NS_PER_SECOND);
	channel->running = true;
}

/* The gate: its rise is a trigger in modes 1, 2, 3, 5, a low level stops modes 0, 2, 3, 4. */
static void pit_set_gate(struct channel *channel, bool gate, uint64_t now)
{
	if (gate == channel->gate)
		return;
	channel->gate = gate;
	if (!channel->loaded)
		return;
	if (gate && (pit_is_gate_started(channel) || pit_is_periodic(channel)))
		pit_trigger(channel, now);
	else if (gate)
		pit_continue(channel, now);
	else if (!pit_is_gate_started(channel))
		pit_pause(channel, now);
}

/* --- channel 0's interrupt; the lock is held ------------------------------ */

static bool pit_one_shot_done(const struct channel *channel)
{
	return !pit_is_periodic(channel) && channel->schedule.delivered > 0;
}

/* Channel 0 has an interrupt due now or later. */
static bool pit_interrupts(const struct pit *pit)
{
	const struct channel *channel = &pit->channel[0];

	return channel->loaded && channel->running && !pit_one_shot_done(channel) &&
	       !pit->irq_masked;
}

static void pit_arm_timer(struct pit *pit, uint64_t now)
{
	if (pit_interrupts(pit) && vm_timers_wanted(pit->vm))
		os_timer_start(&pit->timer, periodic_deadline(&pit->channel[0].schedule, now));
	else
		(void)os_timer_try_cancel(&pit->timer);
}

static void pit_advance_channels(struct pit *pit, uint64_t now)
{
	for (unsigned int i = 0; i < CHANNELS; i++)
		pit_advance_channel(&pit->channel[i], now);
}

static void pit_deliver_due(struct pit *pit, uint64_t now)
{
	struct channel *channel = &pit->channel[0];
	enum irq_outcome outcome;

	if (!pit_interrupts(pit) || !periodic_due(&channel->schedule, now))
		return;
	outcome = isa_irq_pulse(pit->vm, 0);
	/* Only a periodic tick is worth repeating. */
	if (!pit_is_periodic(channel))
		outcome = IRQ_IGNORED;
	periodic_done(&channel->schedule, now, outcome);
}

static void pit_settle(struct pit *pit, uint64_t now)
{
	pit_advance_channels(pit, now);
	pit_deliver_due(pit, now);
}

/* May be too early, or too late for what the channel does now. */
static void pit_timer_expired(struct os_timer *timer)
{
	struct pit *pit = container_of(timer, struct pit, timer);
	unsigned long flags = os_spin_lock(&pit->lock);
	uint64_t now = os_now_ns();

	pit_settle(pit, now);
	pit_arm_timer(pit, now);
	os_spin_unlock(&pit->lock, flags);
}

/* --- registers; the lock is held ------------------------------------------ */

static void pit_latch_count(struct channel *channel, uint64_t now)
{
	if (channel->count_latched)
		return;
	channel->count_latched = true;
	channel->latched_count = pit_current_count(channel, now);
}

/* Null count: what has been written last is not in the counter yet. */
static bool pit_null_count(const struct channel *channel)
{
	return !channel->loaded || channel->next_count ||
	       (pit_is_gate_started(channel) && !channel->running);
}

static void pit_latch_status(struct channel *channel, uint64_t now)
{
	bool null_count = pit_null_count(channel);

	if (channel->status_latched)
		return;
	channel->status_latched = true;
	channel->latched_status =
		(uint8_t)(pit_channel_output(channel, now) << 7 | null_count << 6 |
			  channel->access << 4 | channel->mode << 1 | channel->bcd);
}

static void pit_write_control(struct pit *pit, uint8_t value, uint64_t now)
{
	unsigned int selected = CONTROL_CHANNEL(value);

	if (selected != READ_BACK) {
		if (CONTROL_ACCESS(value) == ACCESS_LATCH)
			pit_latch_count(&pit->channel[selected], now);
		else
			pit_set_control(&pit->channel[selected], value);
		return;
	}
	for (unsigned int i = 0; i < CHANNELS; i++) {
		if (!(value >> (i + 1) & 1))
			continue;
		if (!(value & READ_BACK_NO_COUNT))
			pit_latch_count(&pit->channel[i], now);
		if (!(value & READ_BACK_NO_STATUS))
			pit_latch_status(&pit->channel[i], now);
	}
}

static void pit_write_count(struct channel *channel, uint8_t value, uint64_t now)
{
	switch (channel->access) {
	case ACCESS_LOW:
		pit_load_count(channel, value, now);
		break;
	case ACCESS_HIGH:
		pit_load_count(channel, (uint16_t)(value << 8), now);
		break;
	case ACCESS_BOTH:
		if (channel->write_high)
			pit_load_count(channel, (uint16_t)(value << 8 | channel->low), now);
		else
			pit_write_low_byte(channel, value, now);
		channel->write_high = !channel->write_high;
		break;
	case ACCESS_LATCH: /* no control word yet */
	default:
		break;
	}
}

static uint8_t pit_read_count(struct channel *channel, uint64_t now)
{
	uint16_t count = channel->count_latched ? channel->latched_count :
						  pit_current_count(channel, now);
	bool high = channel->access == ACCESS_HIGH ||
		    (channel->access == ACCESS_BOTH && channel->read_high);

	if (channel->status_latched) {
		channel->status_latched = false;
		return channel->latched_status;
	}
	if (channel->access == ACCESS_BOTH)
		channel->read_high = !channel->read_high;
	/* A latched count lasts until all of it has been read. */
	if (channel->access != ACCESS_BOTH || high)
		channel->count_latched = false;
	return (uint8_t)(high ? count >> 8 : count);
}

static uint8_t pit_read_port61(struct pit *pit, uint64_t now)
{
	uint8_t value = pit->port61;

	if (now / REFRESH_NS & 1)
		value |= P61_REFRESH;
	if (pit_channel_output(&pit->channel[2], now))
		value |= P61_OUT;
	return value;
}

uint8_t pit_port_read(struct vm *vm, uint16_t port)
{
	struct pit *pit = vm->pit;
	unsigned long flags = os_spin_lock(&pit->lock);
	uint64_t now = os_now_ns();
	uint8_t value = 0xff; /* the control word cannot be read */

	pit_advance_channels(pit, now);
	if (port == PORT_61)
		value = pit_read_port61(pit, now);
	else if (port != PORT_CONTROL)
		value = pit_read_count(&pit->channel[(port - PORT_CHANNEL0) % CHANNELS], now);
	os_spin_unlock(&pit->lock, flags);
	return value;
}

void pit_port_write(struct vm *vm, uint16_t port, uint8_t value)
{
	struct pit *pit = vm->pit;
	unsigned long flags = os_spin_lock(&pit->lock);
	bool channel0 = port == PORT_CHANNEL0 || port == PORT_CONTROL;
	uint64_t now = os_now_ns();

	pit_advance_channels(pit, now);
	/* What channel 0 was to do before it becomes another, however late the host's timer is. */
	if (channel0)
		pit_deliver_due(pit, now);
	if (port == PORT_61) {
		pit->port61 = value & P61_WRITABLE;
		pit_set_gate(&pit->channel[2], value & P61_GATE, now);
	} else if (port == PORT_CONTROL) {
		pit_write_control(pit, value, now);
	} else {
		pit_write_count(&pit->channel[(port - PORT_CHANNEL0) % CHANNELS], value, now);
	}
	if (channel0)
		pit_arm_timer(pit, now);
	os_spin_unlock(&pit->lock, flags);
}

/* --- life ----------------------------------------------------------------- */

static void pit_reset_channels(struct pit *pit)
{
	memset(pit->channel, 0, sizeof(pit->channel));
	for (unsigned int i = 0; i < CHANNELS; i++)
		periodic_start_device(&pit->channel[i].schedule, os_now_ns(), 65536, PIT_HZ);
	pit->channel[0].gate = true;
	pit->channel[1].gate = true;
	pit->port61 = 0;
}

int pit_create(struct vm *vm)
{
	struct pit *pit = os_alloc(sizeof(*pit));

	if (!pit)
		return -ENOMEM;
	pit->vm = vm;
	os_spin_init(&pit->lock);
	os_timer_init(&pit->timer, pit_timer_expired);
	pit_reset_channels(pit);
	vm->pit = pit;
	return 0;
}

void pit_destroy(struct vm *vm)
{
	if (!vm->pit)
		return;
	pit_stop(vm);
	os_free(vm->pit);
	vm->pit = NULL;
}

void pit_reset(struct vm *vm)
{
	struct pit *pit = vm->pit;
	unsigned long flags = os_spin_lock(&pit->lock);

	pit_reset_channels(pit);
	pit->irq_masked = false;
	pit_arm_timer(pit, os_now_ns());
	os_spin_unlock(&pit->lock, flags);
}

/* The callback arms the timer only while a count is loaded. */
void pit_stop(struct vm *vm)
{
	struct pit *pit = vm->pit;
	unsigned long flags = os_spin_lock(&pit->lock);

	pit->channel[0].loaded = false;
	os_spin_unlock(&pit->lock, flags);
	os_timer_cancel(&pit->timer);
}

void pit_resume(struct vm *vm)
{
	struct pit *pit = vm->pit;
	unsigned long flags = os_spin_lock(&pit->lock);
	uint64_t now = os_now_ns();

	pit_settle(pit, now);
	pit_arm_timer(pit, now);
	os_spin_unlock(&pit->lock, flags);
}

void pit_set_irq_masked(struct vm *vm, bool masked)
{
	struct pit *pit = vm->pit;
	unsigned long flags = os_spin_lock(&pit->lock);
	uint64_t now = os_now_ns();

	/* Ticks that were masked are not made up for. */
	pit_settle(pit, now);
	if (pit->irq_masked)
		periodic_done(&pit->channel[0].schedule, now, IRQ_IGNORED);
	pit->irq_masked = masked;
	pit_arm_timer(pit, now);
	os_spin_unlock(&pit->lock, flags);
}
