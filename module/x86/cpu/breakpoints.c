// SPDX-License-Identifier: BSD-2-Clause
/* Data and I/O breakpoints; breakpoints.h. SDM vol. 3, 17.2.4 and 17.2.5; APM vol. 2, 13.1.1. */
#include "x86/cpu/breakpoints.h"
#include "x86/cpu/context.h"
#include "vm/regs.h"

/* R/W fields of DR7. */
#define CONDITION_WRITE	 1
#define CONDITION_IO	 2 /* with CR4.DE */
#define CONDITION_ACCESS 3 /* read or write */

#define DR6_HITS 0xfull

bool breakpoints_enabled(struct vcpu *vcpu)
{
	return vcpu_reg(vcpu, VM_REG_GUEST_DR7) & REG_DR7_ENABLES;
}

void breakpoints_look(struct vcpu *vcpu, bool on)
{
	if (vcpu->breakpoints == on)
		return;
	vcpu->breakpoints = on;
	if (on)
		vcpu_request(vcpu, VCPU_REQ_BREAKPOINT);
	else
		vcpu_requests_clear(vcpu, VCPU_REQ_BREAKPOINT);
}

/* What one breakpoint covers begins at a multiple of its length: low bits do not count. */
static bool breakpoint_covers(uint64_t address, unsigned int length_field, uint64_t start,
			      unsigned int size)
{
	static const uint8_t lengths[4] = { 1, 2, 8, 4 };
	unsigned int length = lengths[length_field];

	address &= ~(uint64_t)(length - 1);
	return start < address + length && address < start + size;
}

/* 'conditions' has a bit for each value of R/W that the access meets. */
static unsigned int breakpoints_hit(struct vcpu *vcpu, uint64_t start, unsigned int size,
				    unsigned int conditions)
{
	uint64_t dr7 = vcpu_reg(vcpu, VM_REG_GUEST_DR7);
	unsigned int hit = 0;

	for (unsigned int i = 0; i < 4; i++) {
		if ((dr7 >> 2 * i & 3) && (conditions >> REG_DR7_CONDITION(dr7, i) & 1) &&
		    breakpoint_covers(context_dr(vcpu, i), REG_DR7_LENGTH(dr7, i), start, size))
			hit |= 1u << i;
	}
	return hit;
}

unsigned int breakpoints_on_memory(struct vcpu *vcpu, uint64_t linear, unsigned int size,
				   bool write)
{
	return breakpoints_hit(vcpu, linear, size,
			       1u << CONDITION_ACCESS | (write ? 1u << CONDITION_WRITE : 0));
}

unsigned int breakpoints_on_port(struct vcpu *vcpu, uint16_t port, unsigned int size)
{
	if (!(vcpu_reg(vcpu, VM_REG_GUEST_CR4) & REG_CR4_DE))
		return 0;
	return breakpoints_hit(vcpu, port, size, 1u << CONDITION_IO);
}

void breakpoints_raise(struct vcpu *vcpu, unsigned int hit)
{
	uint64_t dr6 = vcpu_reg(vcpu, VM_REG_GUEST_DR6);

	(void)backend->set_reg(vcpu, VM_REG_GUEST_DR6, (dr6 & ~DR6_HITS) | hit);
	vcpu_raise(vcpu, VECTOR_DB);
}

/* The last exit's access, if the instruction is done. It is asked for once: next_rip goes. */
static unsigned int breakpoints_of_last_port(struct vcpu *vcpu)
{
	unsigned int size;
	uint16_t port;

	if (!vcpu->next_rip || vcpu->rip != vcpu->next_rip || !backend->last_port ||
	    !backend->last_port(vcpu, &port, &size))
		return 0;
	vcpu->next_rip = 0;
	return breakpoints_on_port(vcpu, port, size);
}

void breakpoints_after_exit(struct vcpu *vcpu)
{
	unsigned int hit;

	if (!breakpoints_enabled(vcpu)) {
		breakpoints_look(vcpu, context_dr_owned(vcpu));
		return;
	}
	hit = breakpoints_of_last_port(vcpu);
	if (hit)
		breakpoints_raise(vcpu, hit);
}
