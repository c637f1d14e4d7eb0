/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the next instruction begins, for hardware that does not say (SVM without
 * next-RIP save): the bytes at RIP are fetched and checked to be the instruction
 * that the exit is about.
 */
#ifndef X86_SKIP_H
#define X86_SKIP_H

#include "core/vm.h"

enum x86_instruction {
	X86_CPUID,
	X86_RDMSR,
	X86_WRMSR,
	X86_HLT,
	X86_PAUSE,
	X86_XSETBV,
	X86_INVD,
	X86_WBINVD,
	X86_RDTSC,
	X86_RDTSCP,
	X86_RDPMC,
	X86_INVLPG,
	X86_CLTS,
	X86_LMSW,
	X86_SMSW,
	X86_MOV_TO_CR,
	X86_MOV_FROM_CR,
	X86_MOV_TO_DR,
	X86_MOV_FROM_DR,
	X86_INT3,
	X86_TASK_SWITCH, /* CALL, JMP, IRET or INT that may switch tasks */
	X86_INSTRUCTION_COUNT
};

/* An instruction found at RIP. */
struct x86_found {
	enum x86_instruction instruction;
	unsigned int length; /* bytes, 1..15 */
	uint8_t modrm; /* 0 if it has none */
	uint8_t rex; /* prefix, 0 if none */
	bool operand_size; /* has the 0x66 prefix */
	bool memory; /* its ModRM names memory */
};

/*
 * Recognize the instruction at the start of 'bytes' (count of them valid) in code of
 * 2, 4 or 8 byte default address size. 0, or -EINVAL when it is none of ours or
 * does not end within the bytes. Pure. any
 */
int x86_recognize(const uint8_t *bytes, unsigned int count, unsigned int mode,
		  struct x86_found *found);

/*
 * Fetch and recognize the instruction at RIP: true. Otherwise false, and *action is
 * what the handler has to return: the fetch faulted, has to be done again, or found
 * another instruction (the guest gets #UD). Owner.
 */
bool x86_find(struct vcpu *vcpu, struct x86_found *found, enum exit_action *action);

/*
 * Make vcpu->next_rip known, for an exit about 'instruction': true; else as x86_find.
 * Costs nothing where the hardware has reported it. Owner.
 */
bool x86_locate_slow(struct vcpu *vcpu, enum x86_instruction instruction,
		     enum exit_action *action);
static inline bool x86_locate(struct vcpu *vcpu, enum x86_instruction instruction,
			      enum exit_action *action)
{
	return likely(vcpu->next_rip != 0) || x86_locate_slow(vcpu, instruction, action);
}

/* RIP plus length, as the current code segment wraps it. Owner. */
uint64_t x86_rip_after(struct vcpu *vcpu, unsigned int length);

#endif
