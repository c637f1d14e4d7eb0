/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plays libvmmapi and the module for tests of bhyve: guest memory is an array,
 * interrupt lines are remembered, and vm_run_reply() plays scripted exits.
 */
#ifndef TESTS_FAKE_VMMAPI_H
#define TESTS_FAKE_VMMAPI_H

#include <stdbool.h>
#include <stdint.h>
#include <vmmapi.h>

#define FAKE_MEMORY (4u << 20)
#define FAKE_LINES  24
#define FAKE_DEVMEM (64u << 10)

/* One turn of vm_run_reply(): an errno or an exit. */
struct fake_turn {
	int error;
	struct vm_exit exit;
};

struct fake_vm {
	uint8_t memory[FAKE_MEMORY] __attribute__((aligned(4096)));
	bool line[FAKE_LINES];	     /* ISA interrupt lines */
	unsigned raised[FAKE_LINES]; /* how often each went up */
	bool level_triggered[FAKE_LINES];
	uint8_t devmem[FAKE_DEVMEM];		/* the one segment of device memory */
	int mappings;				/* of it */
	unsigned ioapic[FAKE_LINES];		/* assertions of each I/O APIC input, atomic */
	unsigned messages;			/* MSIs sent, atomic */
	uint64_t message_address, message_data; /* the last one */
	enum vm_suspend_how suspended;		/* the first vm_suspend() */
	uint8_t nvram[128];
	time_t rtc;

	const struct fake_turn *script; /* the last entry is repeated */
	unsigned script_length;
	unsigned turn;
	struct {
		bool given;
		uint64_t value;
	} replies[64]; /* what each turn was called with */

	/* Calls about passed-through devices, one after the other. */
	char calls[1024];
	int assign_error;

	uint64_t high_memory; /* from 4 GiB on, without bytes */
	uint64_t mtrr[0x300]; /* by MSR */
	unsigned mtrr_bits;   /* that an address has; 0: 64 */
	bool absent;	      /* vm_open() finds no VM */
	uint64_t registers[VM_REG_LAST];
	uint64_t code_base; /* of CS */
	int injected;	    /* vector of the last exception, -1 none */
};

/* The one VM there is, as new. The handles to it are these. */
extern struct fake_vm fake;
extern struct vmctx *const fake_ctx;
extern struct vcpu *const fake_vcpu;
void fake_reset(void);

#endif
