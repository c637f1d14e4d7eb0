// SPDX-License-Identifier: BSD-2-Clause
/*
 * The HPET, after the IA-PC HPET specification 1.0a. The main counter is the host's
 * clock in units of 50 ns since it was enabled, so a comparator's match is an
 * exact moment of that clock.
 */
#include "vm/timer.h"
#include "vm/vcpu.h"
#include "dev/hpet.h"
#include "dev/ioapic.h"
#include "dev/periodic.h"
#include "dev/pic.h"
#include "dev/pit.h"
#include "dev/rtc.h"

#define TICK_NS	  (NS_PER_SECOND / HPET_HZ)
#define PERIOD_FS (1000000000000000ull / HPET_HZ)

/* Registers, by offset. */
#define REGISTER_CAPABILITIES 0x000
#define REGISTER_CONFIG	      0x010
#define REGISTER_STATUS	      0x020
#define REGISTER_COUNTER      0x0f0
#define REGISTER_TIMERS	      0x100 /* 0x20 bytes for each */
#define TIMER_CONFIG	      0x00
#define TIMER_COMPARATOR      0x08
#define TIMER_MESSAGE	      0x10

/* Revision 1, vendor Intel, 64-bit counter, legacy replacement. */
#define CAPABILITIES (0x80860001u | (HPET_TIMERS - 1) << 8 | 1u << 13 | 1u << 15)

#define CONFIG_ENABLE 0x1u
#define CONFIG_LEGACY 0x2u

/* Configuration of a timer. */
#define TIMER_LEVEL	    0x2u
#define TIMER_INTERRUPT	    0x4u
#define TIMER_PERIODIC	    0x8u
#define TIMER_SET_VALUE	    0x40u
#define TIMER_32BIT	    0x100u
#define TIMER_ROUTE(config) ((int)((config) >> 9 & 0x1f))
#define TIMER_USES_MESSAGE  0x4000u
#define TIMER_WRITABLE	    0x7f4eull
/* What it can do: periodic, 64 bits, messages; the I/O APIC's pins 24 to 31. */
#define TIMER_ROUTES	   0xff000000u
#define TIMER_CAPABILITIES ((uint64_t)TIMER_ROUTES << 32 | 0x8030u)

/* A match further away (114 years) is none. */
#define DELTA_MAX (1ull << 56)

struct hpet_timer {
	struct hpet *hpet;     /* constant */
	unsigned int number;   /* constant */
	struct os_timer timer; /* started and stopped under the lock, like all below */
	uint32_t config;       /* the writable bits */
	uint64_t comparator;   /* match that tick 1 of 'schedule' stands for */
	uint64_t period;       /* as written, for periodic mode */
	uint64_t message;      /* FSB route: address in the high half, data in the low */
	bool armed;	       /* a match will come: 'schedule' is valid */
	struct periodic schedule;
	bool line; /* drives an interrupt line, the one below */
	bool line_isa;
	int line_number;
};

struct hpet {
	struct vm *vm; /* constant */
	struct os_spinlock lock;
	uint32_t config;     /* lock */
	uint32_t status;     /* lock */
	uint64_t counter;    /* lock; at counter_ns, or for as long as it is halted */
	uint64_t counter_ns; /* lock */
	struct hpet_timer timer[HPET_TIMERS];
};

/* --- counter and comparators; the lock is held ---------------------------- */

static bool hpet_is_enabled(const struct hpet *hpet)
{
	return hpet->config & CONFIG_ENABLE;
}

static uint64_t hpet_counter_at(const struct hpet *hpet, uint64_t now)
{
	if (!hpet_is_enabled(hpet))
		return hpet->counter;
	return hpet->counter + (now - hpet->counter_ns) / TICK_NS;
}

static uint64_t hpet_value_mask(const struct hpet_timer *timer)
{
	return timer->config & TIMER_32BIT ? UINT32_MAX : UINT64_MAX;
}

static bool hpet_is_periodic(const struct hpet_timer *timer)
{
	return timer->config & TIMER_PERIODIC;
}

/* In periodic mode the comparator moves on by the period with each match. */
static uint64_t hpet_comparator_at(const struct hpet_timer *timer, uint64_t now)
{
	uint64_t value = timer->comparator;

	if (timer->armed && hpet_is_periodic(timer)) {
		uint64_t matches = periodic_elapsed(&timer->schedule, now) / timer->schedule.period;

		value += matches * timer->schedule.period;
	}
	return value & hpet_value_mask(timer);
}

/* Ticks between matches: a 32-bit one-shot matches at each wrap. 0: only one match. */
static uint64_t hpet_match_period(const struct hpet_timer *timer)
{
	if (hpet_is_periodic(timer))
		return min(timer->period & hpet_value_mask(timer), DELTA_MAX);
	return timer->config & TIMER_32BIT ? 1ull << 32 : DELTA_MAX;
}

/* Only an enabled interrupt, or a status bit somebody may poll, needs the host's timer. */
static void hpet_start_host_timer(struct hpet_timer *timer, uint64_t now)
{
	bool needed = timer->armed && (timer->config & (TIMER_INTERRUPT | TIMER_LEVEL));

	if (needed && vm_timers_wanted(timer->hpet->vm))
		os_timer_start(&timer->timer, periodic_deadline(&timer->schedule, now));
	else
		(void)os_timer_try_cancel(&timer->timer);
}

/* Find the next match anew, after a change of anything it depends on. */
static void hpet_arm_timer(struct hpet_timer *timer, uint64_t now)
{
	struct hpet *hpet = timer->hpet;
	uint64_t period = hpet_match_period(timer);
	uint64_t counter = hpet_counter_at(hpet, now);
	uint64_t delta = (timer->comparator - counter) & hpet_value_mask(timer);
	uint64_t counted_ns = hpet->counter_ns + (counter - hpet->counter) * TICK_NS;

	timer->armed = hpet_is_enabled(hpet) && period && delta <= DELTA_MAX;
	if (timer->armed)
		periodic_start_device(&timer->schedule,
				      counted_ns + delta * TICK_NS - period * TICK_NS, period,
				      HPET_HZ);
	hpet_start_host_timer(timer, now);
}

/* --- interrupts; the lock is held ----------------------------------------- */

static bool hpet_uses_legacy_irq(const struct hpet_timer *timer)
{
	return (timer->hpet->config & CONFIG_LEGACY) && timer->number < 2;
}

/* Legacy replacement: timer 0 drives IRQ 0 as the 8254 would, timer 1 IRQ 8 as the RTC. */
static int hpet_legacy_irq(const struct hpet_timer *timer)
{
	return timer->number == 0 ? 0 : 8;
}

static bool hpet_is_routable(const struct hpet_timer *timer)
{
	return TIMER_ROUTES >> TIMER_ROUTE(timer->config) & 1;
}

static void hpet_drive_line(struct hpet_timer *timer, bool high)
{
	struct vm *vm = timer->hpet->vm;

	if (timer->line == high)
		return;
	timer->line = high;
	if (high) {
		timer->line_isa = hpet_uses_legacy_irq(timer);
		timer->line_number = timer->line_isa ? hpet_legacy_irq(timer) :
						       TIMER_ROUTE(timer->config);
	}
	if (timer->line_isa)
		isa_irq_set(vm, timer->line_number, high);
	else if (high)
		(void)ioapic_assert(vm, timer->line_number);
	else
		(void)ioapic_deassert(vm, timer->line_number);
}

static bool hpet_line_level(const struct hpet_timer *timer)
{
	if (!(timer->config & TIMER_LEVEL) || !(timer->config & TIMER_INTERRUPT))
		return false;
	if (!(timer->hpet->status >> timer->number & 1))
		return false;
	return hpet_uses_legacy_irq(timer) ||
	       (!(timer->config & TIMER_USES_MESSAGE) && hpet_is_routable(timer));
}

static enum irq_outcome hpet_edge_interrupt(struct hpet_timer *timer)
{
	struct vm *vm = timer->hpet->vm;

	if (!(timer->config & TIMER_INTERRUPT))
		return IRQ_IGNORED;
	if (hpet_uses_legacy_irq(timer))
		return isa_irq_pulse(vm, hpet_legacy_irq(timer));
	if (timer->config & TIMER_USES_MESSAGE) {
		(void)lapic_msi(vm, timer->message >> 32, (uint32_t)timer->message);
		return IRQ_DELIVERED;
	}
	if (!hpet_is_routable(timer))
		return IRQ_IGNORED;
	return ioapic_tick(vm, TIMER_ROUTE(timer->config));
}

static enum irq_outcome hpet_interrupt(struct hpet_timer *timer)
{
	uint32_t bit = 1u << timer->number;
	bool pending = timer->hpet->status & bit;

	if (!(timer->config & TIMER_LEVEL))
		return hpet_edge_interrupt(timer);
	timer->hpet->status |= bit;
	hpet_drive_line(timer, hpet_line_level(timer));
	if (!(timer->config & TIMER_INTERRUPT))
		return IRQ_IGNORED;
	return pending ? IRQ_COALESCED : IRQ_DELIVERED;
}

/* Act on a match that has come to pass. */
static void hpet_settle_match(struct hpet_timer *timer, uint64_t now)
{
	enum irq_outcome outcome;

	if (!timer->armed || !periodic_due(&timer->schedule, now))
		return;
	outcome = hpet_interrupt(timer);
	/* Only a periodic tick is worth repeating. */
	if (!hpet_is_periodic(timer))
		outcome = IRQ_IGNORED;
	periodic_done(&timer->schedule, now, outcome);
	if (!hpet_is_periodic(timer))
		timer->armed = timer->config & TIMER_32BIT;
}

/* Before a change: what was due before it is due still. */
static void hpet_disarm_timer(struct hpet_timer *timer, uint64_t now)
{
	uint64_t comparator = hpet_comparator_at(timer, now);

	hpet_settle_match(timer, now);
	timer->comparator = comparator;
	timer->armed = false;
}

static void hpet_timer_expired(struct os_timer *os_timer)
{
	struct hpet_timer *timer = container_of(os_timer, struct hpet_timer, timer);
	struct hpet *hpet = timer->hpet;
	unsigned long flags = os_spin_lock(&hpet->lock);
	uint64_t now = os_now_ns();

	hpet_settle_match(timer, now);
	hpet_start_host_timer(timer, now);
	os_spin_unlock(&hpet->lock, flags);
}

/* --- registers; the lock is held ------------------------------------------ */

/* The timer an offset belongs to, NULL if there is none. */
static struct hpet_timer *hpet_find_timer(struct hpet *hpet, uint32_t offset)
{
	uint32_t number = (offset - REGISTER_TIMERS) / 0x20;

	if (offset < REGISTER_TIMERS || number >= HPET_TIMERS)
		return NULL;
	return &hpet->timer[number];
}

static uint64_t hpet_read_timer(const struct hpet_timer *timer, uint32_t offset, uint64_t now)
{
	switch (offset & 0x1f) {
	case TIMER_CONFIG:
		return TIMER_CAPABILITIES | (timer->config & ~TIMER_SET_VALUE);
	case TIMER_COMPARATOR:
		return hpet_comparator_at(timer, now);
	case TIMER_MESSAGE:
		return timer->message;
	default:
		return 0;
	}
}

/* 'offset' is a multiple of 8. */
static uint64_t hpet_read_register(struct hpet *hpet, uint32_t offset, uint64_t now)
{
	struct hpet_timer *timer = hpet_find_timer(hpet, offset);

	if (timer)
		return hpet_read_timer(timer, offset, now);
	switch (offset) {
	case REGISTER_CAPABILITIES:
		return PERIOD_FS << 32 | CAPABILITIES;
	case REGISTER_CONFIG:
		return hpet->config;
	case REGISTER_STATUS:
		return hpet->status;
	case REGISTER_COUNTER:
		return hpet_counter_at(hpet, now);
	default:
		return 0;
	}
}

static void hpet_write_timer_config(struct hpet_timer *timer, uint64_t value, uint64_t now)
{
	hpet_disarm_timer(timer, now);
	hpet_drive_line(timer, false);
	timer->config = value & TIMER_WRITABLE;
	if (!(timer->config & TIMER_LEVEL))
		timer->hpet->status &= ~(1u << timer->number);
	hpet_drive_line(timer, hpet_line_level(timer));
	hpet_arm_timer(timer, now);
}

static uint64_t hpet_merge_bytes(uint64_t old, uint64_t value, uint64_t mask)
{
	return (old & ~mask) | (value & mask);
}

/*
 * In periodic mode a write is the period, and with SET_VALUE, which lasts for one
 * write, the first match as well (2.3.9.2.2).
 */
static void hpet_write_comparator(struct hpet_timer *timer, uint64_t value, uint64_t mask,
				  uint64_t now)
{
	hpet_disarm_timer(timer, now);
	if (!hpet_is_periodic(timer) || (timer->config & TIMER_SET_VALUE))
		timer->comparator = hpet_merge_bytes(timer->comparator, value, mask);
	if (hpet_is_periodic(timer))
		timer->period = hpet_merge_bytes(timer->period, value, mask);
	timer->config &= ~TIMER_SET_VALUE;
	hpet_arm_timer(timer, now);
}

static void hpet_write_timer(struct hpet_timer *timer, uint32_t offset, uint64_t value,
			     uint64_t mask, uint64_t now)
{
	switch (offset & 0x1f) {
	case TIMER_CONFIG:
		hpet_write_timer_config(timer, hpet_merge_bytes(timer->config, value, mask), now);
		break;
	case TIMER_COMPARATOR:
		hpet_write_comparator(timer, value, mask, now);
		break;
	case TIMER_MESSAGE:
		timer->message = hpet_merge_bytes(timer->message, value, mask);
		break;
	default:
		break;
	}
}

/* Everything that depends on counter or configuration is worked out anew around a change. */
static void hpet_disarm_all(struct hpet *hpet, uint64_t now)
{
	for (int i = 0; i < HPET_TIMERS; i++) {
		hpet_disarm_timer(&hpet->timer[i], now);
		hpet_drive_line(&hpet->timer[i], false);
	}
}

static void hpet_arm_all(struct hpet *hpet, uint64_t now)
{
	for (int i = 0; i < HPET_TIMERS; i++) {
		hpet_drive_line(&hpet->timer[i], hpet_line_level(&hpet->timer[i]));
		hpet_arm_timer(&hpet->timer[i], now);
	}
}

static void hpet_write_config(struct hpet *hpet, uint64_t value, uint64_t now)
{
	bool legacy = value & CONFIG_LEGACY;
	uint32_t config = value & (CONFIG_ENABLE | CONFIG_LEGACY);

	if (config == hpet->config)
		return;
	hpet_disarm_all(hpet, now);
	hpet->counter = hpet_counter_at(hpet, now);
	hpet->counter_ns = now;
	hpet->config = config;
	pit_set_irq_masked(hpet->vm, legacy);
	rtc_set_irq_masked(hpet->vm, legacy);
	hpet_arm_all(hpet, now);
}

static void hpet_write_counter(struct hpet *hpet, uint64_t value, uint64_t mask, uint64_t now)
{
	hpet_disarm_all(hpet, now);
	hpet->counter = hpet_merge_bytes(hpet_counter_at(hpet, now), value, mask);
	hpet->counter_ns = now;
	hpet_arm_all(hpet, now);
}

/* Write 1 to clear. */
static void hpet_write_status(struct hpet *hpet, uint64_t value)
{
	hpet->status &= ~(uint32_t)value;
	for (int i = 0; i < HPET_TIMERS; i++)
		hpet_drive_line(&hpet->timer[i], hpet_line_level(&hpet->timer[i]));
}

/* 'offset' is a multiple of 8; the bytes of 'mask' are written. */
static void hpet_write_register(struct hpet *hpet, uint32_t offset, uint64_t value, uint64_t mask,
				uint64_t now)
{
	struct hpet_timer *timer = hpet_find_timer(hpet, offset);

	if (timer) {
		hpet_write_timer(timer, offset, value, mask, now);
		return;
	}
	switch (offset) {
	case REGISTER_CONFIG:
		hpet_write_config(hpet, hpet_merge_bytes(hpet->config, value, mask), now);
		break;
	case REGISTER_STATUS:
		hpet_write_status(hpet, value & mask);
		break;
	case REGISTER_COUNTER:
		hpet_write_counter(hpet, value, mask, now);
		break;
	default:
		break;
	}
}

static uint64_t hpet_size_mask(unsigned int size)
{
	return size < 8 ? BIT_ULL(size * 8) - 1 : UINT64_MAX;
}

void hpet_mmio_read(struct vm *vm, uint32_t offset, unsigned int size, uint64_t *value)
{
	struct hpet *hpet = vm->hpet;
	unsigned long flags = os_spin_lock(&hpet->lock);
	uint64_t now = os_now_ns();
	unsigned int shift = (offset & 7) * 8;
	uint64_t contents = hpet_read_register(hpet, offset & ~7u, now) >> shift;

	if (shift)
		contents |= hpet_read_register(hpet, (offset & ~7u) + 8, now) << (64 - shift);
	os_spin_unlock(&hpet->lock, flags);
	*value = contents & hpet_size_mask(size);
}

void hpet_mmio_write(struct vm *vm, uint32_t offset, unsigned int size, uint64_t value)
{
	struct hpet *hpet = vm->hpet;
	unsigned long flags = os_spin_lock(&hpet->lock);
	uint64_t now = os_now_ns();
	unsigned int shift = (offset & 7) * 8;
	uint64_t mask = hpet_size_mask(size);

	hpet_write_register(hpet, offset & ~7u, value << shift, mask << shift, now);
	if (shift && mask >> (64 - shift))
		hpet_write_register(hpet, (offset & ~7u) + 8, value >> (64 - shift),
				    mask >> (64 - shift), now);
	os_spin_unlock(&hpet->lock, flags);
}

uint32_t hpet_capabilities(struct vm *vm)
{
	(void)vm;
	return CAPABILITIES;
}

/* --- life ----------------------------------------------------------------- */

int hpet_create(struct vm *vm)
{
	struct hpet *hpet = os_alloc(sizeof(*hpet));

	if (!hpet)
		return -ENOMEM;
	hpet->vm = vm;
	os_spin_init(&hpet->lock);
	for (unsigned int i = 0; i < HPET_TIMERS; i++) {
		hpet->timer[i].hpet = hpet;
		hpet->timer[i].number = i;
		hpet->timer[i].comparator = UINT64_MAX;
		os_timer_init(&hpet->timer[i].timer, hpet_timer_expired);
	}
	vm->hpet = hpet;
	return 0;
}

void hpet_reset(struct vm *vm)
{
	struct hpet *hpet = vm->hpet;
	unsigned long flags = os_spin_lock(&hpet->lock);
	uint64_t now = os_now_ns();

	hpet_write_config(hpet, 0, now);
	for (int i = 0; i < HPET_TIMERS; i++) {
		struct hpet_timer *timer = &hpet->timer[i];

		hpet_write_timer_config(timer, 0, now);
		timer->comparator = UINT64_MAX;
		timer->period = 0;
		timer->message = 0;
	}
	hpet->counter = 0;
	hpet->status = 0;
	os_spin_unlock(&hpet->lock, flags);
}

/* The callbacks arm their timers only while a match is to come. */
void hpet_stop(struct vm *vm)
{
	struct hpet *hpet = vm->hpet;
	unsigned long flags = os_spin_lock(&hpet->lock);

	for (int i = 0; i < HPET_TIMERS; i++)
		hpet->timer[i].armed = false;
	os_spin_unlock(&hpet->lock, flags);
	for (int i = 0; i < HPET_TIMERS; i++)
		os_timer_cancel(&hpet->timer[i].timer);
}

void hpet_resume(struct vm *vm)
{
	struct hpet *hpet = vm->hpet;
	unsigned long flags = os_spin_lock(&hpet->lock);
	uint64_t now = os_now_ns();

	for (int i = 0; i < HPET_TIMERS; i++) {
		hpet_settle_match(&hpet->timer[i], now);
		hpet_start_host_timer(&hpet->timer[i], now);
	}
	os_spin_unlock(&hpet->lock, flags);
}

void hpet_destroy(struct vm *vm)
{
	if (!vm->hpet)
		return;
	hpet_stop(vm);
	os_free(vm->hpet);
	vm->hpet = NULL;
}
