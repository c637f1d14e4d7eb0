/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Emulation of one instruction of a vCPU: what the guest does to device memory,
 * and string I/O. The engine itself, which knows no vCPU, is emulate_insn.h.
 *
 * Replay: every finished access to a device is noted in a log. When an access has
 * to be answered by userspace, the vCPU exits; once the answer is there, the
 * same decoded instruction runs again from its start, with logged accesses read
 * from the log. Registers change only when it completes (for REP: when an iteration
 * does), so there is no half-done state to save, and giving up is always possible.
 */
#ifndef X86_EMULATE_EMULATE_H
#define X86_EMULATE_EMULATE_H

#include "os/os.h"
#include "vm/vcpu.h"

struct vcpu;

/* An INS or OUTS. */
struct x86_io {
	uint16_t port;
	uint8_t size; /* 1, 2 or 4 bytes */
	bool in;
	bool rep;
	uint8_t address_size; /* of the operand: 2, 4, 8 bytes; 0 not reported */
	int segment;	      /* VM_REG_GUEST_ES.. of an OUTS operand; -1 not reported */
};

/* Make and free vcpu->emulation. 0 or -ENOMEM. vCPU being made or freed; sleep. */
int emulation_create(struct vcpu *vcpu);
void emulation_destroy(struct vcpu *vcpu);
/* Forget an instruction in progress (reset, or registers set by userspace). Owner. */
void emulation_reset(struct vcpu *vcpu);

/*
 * Emulate the instruction at RIP, which made a nested page fault at 'gpa' where
 * there is a device; 'prot' is the kind of access: VM_PROT_READ or VM_PROT_WRITE. What
 * cannot be emulated is counted and becomes #UD in the guest, or in VM_RUN an INST_EMUL
 * exit with its bytes. Owner; inner or outer loop.
 */
enum exit_action emulate_mmio(struct vcpu *vcpu, uint64_t gpa, int prot);

/* The same where the guest's breakpoints have to be looked at (vcpu->breakpoints). */
enum exit_action emulate_mmio_watched(struct vcpu *vcpu, uint64_t gpa, int prot);

/*
 * Emulate the INS or OUTS at RIP, after an intercept of it ('io' says of what). Owner;
 * inner or outer loop.
 */
enum exit_action emulate_string_io(struct vcpu *vcpu, const struct x86_io *io);
/* The same where the guest's breakpoints have to be looked at. */
enum exit_action emulate_string_io_watched(struct vcpu *vcpu, const struct x86_io *io);

/*
 * Emulate the LMSW at RIP, whose operand is in memory, after an intercept of it that does not
 * say what the operand is. Owner; inner or outer loop.
 */
enum exit_action emulate_lmsw(struct vcpu *vcpu);

/*
 * Userspace has answered the access that emulation waits for (vcpu->access,
 * 'replied' set): go on. Owner; outer loop.
 */
enum exit_action emulate_resume(struct vcpu *vcpu);

/*
 * Exit to userspace for an access of 'size' bytes at gpa, where a device of its own is:
 * MMIO in reply mode, else INST_EMUL. 'value' is what is written. Owner.
 */
enum exit_action emulate_exit_memory(struct vcpu *vcpu, uint64_t gpa, unsigned int size, bool write,
				     uint64_t value);

/* Whether an emulated instruction waits for userspace's answer. Owner. */
static inline bool emulate_pending(const struct vcpu *vcpu)
{
	return vcpu->emulation_pending;
}

/*
 * After an instruction was skipped or emulated: if RFLAGS.TF was set in 'rflags'
 * (their value before it), the guest takes the single-step #DB (APM vol. 2, 13.1.4).
 * Owner; any context.
 */
void emulate_single_step(struct vcpu *vcpu, uint64_t rflags);

#endif
