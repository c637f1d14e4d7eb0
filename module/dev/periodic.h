/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the devices that keep time share: conversion between clocks without
 * overflow or drift, and the schedule of a periodic interrupt.
 *
 * Deadlines are absolute: tick n is computed from the start, never from tick n-1.
 * A tick that the host delivers late, or that the guest had no room for because the
 * one before is still pending, is made up for by closer ticks once the guest acknowledges them
 * again, up to PERIODIC_BACKLOG of them; older ones are dropped. A guest-chosen period below
 * 'min_ns' gets one interrupt every 'min_ns' at most, however the counters read: that is the
 * bound on host interrupts one periodic timer can cause.
 */
#ifndef DEV_PERIODIC_H
#define DEV_PERIODIC_H

#include "dev/lapic.h"

#define NS_PER_SECOND	 1000000000ull
#define PERIODIC_BACKLOG 250ull
/* Further away than anything: 146 years. Conversions saturate here. */
#define CLOCK_FOREVER (1ull << 62)

/* 'value' units of 1/from_hz seconds in units of 1/to_hz, rounded down. Saturates. */
static inline uint64_t clock_scale(uint64_t value, uint64_t from_hz, uint64_t to_hz)
{
	uint64_t seconds = value / from_hz;

	if (seconds >= CLOCK_FOREVER / to_hz)
		return CLOCK_FOREVER;
	return seconds * to_hz + value % from_hz * to_hz / from_hz;
}

/* The same rounded up: the first moment at which clock_scale() back gives 'value'. */
static inline uint64_t clock_scale_up(uint64_t value, uint64_t from_hz, uint64_t to_hz)
{
	uint64_t seconds = value / from_hz;

	if (seconds >= CLOCK_FOREVER / to_hz)
		return CLOCK_FOREVER;
	return seconds * to_hz + (value % from_hz * to_hz + from_hz - 1) / from_hz;
}

/* A schedule. Lock: that of the device it is in, or the vCPU's owner. */
struct periodic {
	uint64_t start_ns;  /* os_now_ns() of tick 0, which is not delivered; modulo 2^64 */
	uint64_t period;    /* ticks of 'hz' between two interrupts, not 0 */
	uint64_t hz;	    /* at most 2^32 */
	uint64_t min_ns;    /* no two interrupts are closer */
	uint64_t delivered; /* number of the last tick that is done with */
	bool stuck;	    /* the last try found the one before still pending */
};

/* At least 20 us apart: a local APIC's, which asks for nothing while the vCPU does not run. */
#define PERIODIC_MIN_NS 20000ull
void periodic_start(struct periodic *schedule, uint64_t start_ns, uint64_t period, uint64_t hz);
/* The same for a device whose host timer goes on by itself: at the shortest vm_timer_min_ns. */
void periodic_start_device(struct periodic *schedule, uint64_t start_ns, uint64_t period,
			   uint64_t hz);
/* Ticks of 'hz' since the start; 0 before it. */
uint64_t periodic_elapsed(const struct periodic *schedule, uint64_t now_ns);
/* The first moment at which that many have passed. */
uint64_t periodic_moment(const struct periodic *schedule, uint64_t elapsed);
/* There is a tick to deliver. */
bool periodic_due(const struct periodic *schedule, uint64_t now_ns);
/* One due tick has been tried, with this outcome. */
void periodic_done(struct periodic *schedule, uint64_t now_ns, enum irq_outcome outcome);
/* When to look again, for os_timer_start. */
uint64_t periodic_deadline(const struct periodic *schedule, uint64_t now_ns);
/* When the next tick is due, whatever is overdue. */
uint64_t periodic_next_tick(const struct periodic *schedule, uint64_t now_ns);

#endif
