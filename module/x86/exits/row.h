/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A row of a back end's constant table of exits: what the exit is called, who handles it
 * and what the handler needs. The dispatcher of each back end sees to the needs before it
 * calls the handler, so that no handler looks for its instruction.
 */
#ifndef X86_EXITS_ROW_H
#define X86_EXITS_ROW_H

#include "vm/vcpu.h"
#include "x86/emulate/decode.h"

/*
 * vcpu->next_rip is known when the handler runs. Hardware that does not report it says 0:
 * then the instruction at RIP is decoded, and has to be one of row->op.
 */
#define EXIT_NEEDS_LENGTH 0x1u
/* VMX: RIP is at an instruction that has done nothing yet, so that no trap of TF is due. */
#define EXIT_AT_FAULT 0x2u

struct exit_row {
	const char *name;				/* of the counter: "exit: CPUID" */
	enum exit_action (*handler)(struct vcpu *vcpu); /* inner loop, interrupts on */
	uint32_t code; /* the hardware's number, where it is not the row's index */
	uint8_t needs; /* EXIT_* */
	uint8_t op[2]; /* enum instruction_op of EXIT_NEEDS_LENGTH; OP_OTHER: no second one */
};

/* Everything the row needs is there: its handler may be called at once. Owner. */
static inline bool exit_row_ready(const struct exit_row *row, const struct vcpu *vcpu)
{
	return likely(vcpu->next_rip != 0) || !(row->needs & EXIT_NEEDS_LENGTH);
}

/*
 * Decode the instruction at RIP, which makes next_rip known, and call the row's handler.
 * Otherwise what comes of it: the fetch has raised a fault in the guest, is repeated when
 * memory has its backing, or finds another instruction (#UD). Owner; inner loop.
 */
enum exit_action exit_row_decode(const struct exit_row *row, struct vcpu *vcpu);

/*
 * For a handler that needs operands, of an exit for which the hardware has reported none:
 * decode the instruction at RIP, which makes next_rip known, and call 'handler' with it;
 * otherwise as exit_row_decode. Owner; inner loop.
 */
enum exit_action exit_with_operands(struct vcpu *vcpu,
				    enum exit_action (*handler)(struct vcpu *vcpu,
								const struct instruction *insn));

#endif
