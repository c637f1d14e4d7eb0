/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the local APIC: its state, and what its files offer each other.
 *
 *	lapic.c		life, modes, priorities, IRR and ISR
 *	lapic_regs.c	the registers, memory-mapped and as MSRs
 *	lapic_timer.c	the timer
 *	lapic_ipi.c	messages: routing, ICR, MSI, local interrupts
 *
 * Tags as in vm/vm.h: (c) constant, (o) owner of the vCPU, (a) atomic. (r) is
 * written by the owner and read by any thread with relaxed atomics.
 */
#ifndef DEV_LAPIC_STATE_H
#define DEV_LAPIC_STATE_H

#include "vm/vcpu.h"
#include "dev/lapic.h"
#include "dev/periodic.h"

#define VECTOR_WORDS 8	/* 256 vectors, 32 to a word */
#define VECTOR_FIRST 16 /* lower ones are illegal (SDM vol. 3, 10.5.2) */

/*
 * Registers that live in lapic->page, where the processor finds them too if it has
 * virtual interrupts (SDM vol. 3, 29.1.1): offsets in bytes, as xAPIC. Words of a map of
 * vectors are 16 bytes apart.
 */
#define PAGE_TPR      0x080u
#define PAGE_ISR      0x100u
#define PAGE_TMR      0x180u
#define PAGE_IRR      0x200u
#define PAGE_ICR_HIGH 0x310u /* in x2APIC mode too, where the processor does not look */
#define MAP_STRIDE    4u     /* in words */

/* lapic->posted: one bit for each word of the posted bitmaps, and this. */
#define POSTED_ERROR 0x100u

#define SVR_ENABLE	 0x100u
#define SVR_SUPPRESS_EOI 0x1000u /* no EOI broadcast to the I/O APIC */
#define SVR_RESET	 0xffu

#define LVT_VECTOR	    0xffu
#define LVT_MASKED	    0x10000u
#define LVT_DELIVERY(lvt)   ((enum lapic_delivery)((lvt) >> 8 & 7))
#define LVT_TIMER_MODE(lvt) ((lvt) >> 17 & 3)

enum timer_mode { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };

/* ESR (SDM vol. 3, 10.5.3). */
#define ESR_SEND_ILLEGAL     0x20u
#define ESR_RECEIVE_ILLEGAL  0x40u
#define ESR_ILLEGAL_REGISTER 0x80u

#define DFR_FLAT 0xffffffffu

struct lapic {
	/* Written by any thread. */
	uint32_t posted;		     /* (a) which words below are not empty; POSTED_ERROR */
	uint32_t esr_pending;		     /* (a) errors since the last write of ESR */
	uint32_t posted_edge[VECTOR_WORDS];  /* (a) */
	uint32_t posted_level[VECTOR_WORDS]; /* (a) */

	struct vcpu *vcpu; /* (c) */
	uint32_t id;	   /* (r) */
	/* (c) TPR, IRR (r), ISR, TMR, ICR's high half; (o), while in the guest the processor's */
	uint8_t *page;
	bool shared;	    /* (o) virtual interrupt delivery: the processor changes IRR and ISR */
	uint32_t requested; /* (o) which words of IRR may not be empty */

	uint64_t base;		       /* (r) IA32_APIC_BASE */
	uint64_t mmio_base;	       /* (o) as lapic_mmio_base() */
	uint32_t svr;		       /* (r) spurious-interrupt vector */
	uint32_t ldr;		       /* (r) logical destination; in x2APIC mode derived from id */
	uint32_t dfr;		       /* (r) destination format */
	uint32_t lvt[LAPIC_LVT_COUNT]; /* (r) */
	uint32_t class;		       /* (r) processor priority class when last computed; a hint */
	uint32_t esr;		       /* (o) as last latched */
	uint32_t icr;		       /* (o) the low half */
	bool x2apic_allowed;	       /* (o) */

	/* The timer; lapic_timer.c. */
	struct os_timer timer;	  /* (o) started and stopped; its callback only requests */
	uint32_t initial_count;	  /* (o) */
	uint32_t divide;	  /* (o) divide configuration register */
	bool counting;		  /* (o) one-shot or periodic: 'schedule' is valid */
	struct periodic schedule; /* (o) in units of LAPIC_TIMER_HZ */
	uint64_t deadline;	  /* (o) IA32_TSC_DEADLINE; 0 disarmed */

	uint64_t *ipi_destinations; /* (o) of the last IPI exit */
};

/* Relaxed access to (r) fields. */
#define lapic_load(field)	  __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define lapic_store(field, value) __atomic_store_n(&(field), value, __ATOMIC_RELAXED)

static inline bool lapic_is_x2apic(uint64_t base)
{
	return base & LAPIC_BASE_X2APIC;
}

/* Enabled by IA32_APIC_BASE and by SVR: takes interrupts. (any) */
static inline bool lapic_accepts(struct lapic *lapic)
{
	return (lapic_load(lapic->base) & LAPIC_BASE_ENABLE) &&
	       (lapic_load(lapic->svr) & SVR_ENABLE);
}

/* A register in the page. */
static inline uint32_t *lapic_register(struct lapic *lapic, unsigned int offset)
{
	return (uint32_t *)(lapic->page + offset);
}

/* The word of a map (PAGE_ISR, PAGE_TMR, PAGE_IRR) that holds a vector, and its bit there. */
static inline uint32_t *vector_word(struct lapic *lapic, unsigned int map, uint8_t vector)
{
	return lapic_register(lapic, map) + vector / 32 * MAP_STRIDE;
}

static inline uint32_t vector_bit(uint8_t vector)
{
	return 1u << vector % 32;
}

/* Highest vector set in those words of a map that 'words' names, -1 if none. */
static inline int vector_highest(struct lapic *lapic, unsigned int map, uint32_t words)
{
	while (words) {
		int word = 31 - __builtin_clz(words);
		uint32_t bits = lapic_register(lapic, map)[(unsigned int)word * MAP_STRIDE];

		if (bits)
			return word * 32 + 31 - __builtin_clz(bits);
		words &= ~(1u << word);
	}
	return -1;
}

/* --- lapic.c (o) --- */
/* Request 'vector' of the vCPU's own doing, edge-triggered. */
enum irq_outcome lapic_set_irr(struct lapic *lapic, uint8_t vector);
/* Note an error; raises the error interrupt. (any) but see lapic_absorb_words() in lapic.c. */
void lapic_error(struct lapic *lapic, uint32_t bit);
uint8_t lapic_ppr(struct lapic *lapic);
void lapic_eoi(struct lapic *lapic);
void lapic_set_svr(struct lapic *lapic, uint32_t value);

/* --- lapic_regs.c (o) --- */
/* Registers have changed other than by a guest's write: where the page is shared, show it there. */
void lapic_show_registers(struct lapic *lapic);

/* --- lapic_timer.c (o) --- */
void lapic_timer_init(struct lapic *lapic);
void lapic_timer_reset(struct lapic *lapic);
void lapic_timer_set_lvt(struct lapic *lapic, uint32_t value);
void lapic_timer_set_divide(struct lapic *lapic, uint32_t value);
void lapic_timer_set_count(struct lapic *lapic, uint32_t value);
uint32_t lapic_timer_count(struct lapic *lapic);
/* LVT[timer]'s mask may have changed, or time has passed: deliver, arm or disarm. */
void lapic_timer_update(struct lapic *lapic);

/* --- lapic_ipi.c (o) --- */
/* ICR has been written: send. 0, or 1 for an IPI exit. */
int lapic_send_ipi(struct lapic *lapic);

#endif
