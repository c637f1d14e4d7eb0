/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An instruction of a vCPU on its way through the engine: shared by emulate.c,
 * which starts and ends it, emulate_memory.c and emulate_fpu.c, which are the
 * engine's memory, ports and vector registers.
 */
#ifndef X86_EMULATE_EMULATE_STATE_H
#define X86_EMULATE_EMULATE_STATE_H

#include "vm/vcpu.h"
#include "x86/emulate/emulate_insn.h"
#include "x86/emulate/fetch.h"
#include "x86/emulate/task_switch.h"
#include "x86/paging/walk.h"

/*
 * Most device accesses of one instruction or iteration: 416 bytes (FXSAVE) in pieces of 8,
 * or every other of 64 bytes (AVX-512 under a mask).
 */
#define EMULATION_LOG 56

/* Why an access said "not now". */
enum emulation_wait {
	WAIT_USERSPACE, /* 'access' is userspace's to do */
	WAIT_MEMORY,	/* vcpu->fault_gpa needs backing */
	WAIT_OUTER,	/* only possible in the outer loop */
};

/* A device access became an exit to userspace; breakpoints were hit (as in DR6). */
#define LEAVE_USERSPACE	 0x10u
#define LEAVE_BREAKPOINT 0x0fu

/* vcpu->emulation. All owned by the vCPU's owner. */
struct emulation {
	struct emulator emulator; /* first: the engine's callbacks get this */
	struct vcpu *vcpu;	  /* (c) */
	struct instruction insn;  /* copy of an instruction that waits */
	struct guest_mode mode;	  /* that it began in */
	struct walk_state walk;	  /* if walk_ready */
	bool walk_ready;

	/* The nested page fault that brought us here, if one did. */
	uint64_t gpa;
	int prot;	     /* VM_PROT_* */
	bool gpa_is_operand; /* the operand, all of which is in one page, is at 'gpa' */

	uint8_t leave; /* LEAVE_*: what is due when the instruction or iteration is done */
	enum emulation_wait wait;
	struct vcpu_access access; /* for WAIT_USERSPACE */

	/* Accesses to devices that are done; read from here when it runs again. */
	struct vcpu_access log[EMULATION_LOG];
	unsigned int log_count;
	unsigned int log_next; /* the next to be read */

	uint64_t failed_rip; /* could not be emulated there a moment ago */

	struct x86_task_switch task; /* deferred to the outer loop */

	struct fetch_cache fetch;
};

static inline struct emulation *emulation_of(struct emulator *emulator)
{
	return (struct emulation *)emulator;
}

/*
 * The processor has translated the operand already, for an access that needed no
 * more than this one does.
 */
static inline bool emulation_is_faulting_operand(const struct emulation *emulation, uint64_t linear,
						 unsigned int size, bool write)
{
	return emulation->gpa_is_operand &&
	       linear % OS_PAGE_SIZE == emulation->gpa % OS_PAGE_SIZE &&
	       linear % OS_PAGE_SIZE + size <= OS_PAGE_SIZE &&
	       (!write || (emulation->prot & VM_PROT_WRITE));
}

/* emulate_memory.c: as in struct emulator_ops. */
int emulation_read(struct emulator *emulator, uint64_t linear, void *data, unsigned int size,
		   enum emulate_access access);
int emulation_write(struct emulator *emulator, uint64_t linear, const void *data,
		    unsigned int size);
int emulation_probe(struct emulator *emulator, uint64_t linear, unsigned int size,
		    enum emulate_access access);
int emulation_exchange(struct emulator *emulator, uint64_t linear, const void *old, const void *new,
		       unsigned int size);
int emulation_port(struct emulator *emulator, uint16_t port, bool write, uint32_t *value,
		   unsigned int size);

/* emulate_watch.c: the same, noting in 'leave' which of the guest's breakpoints they hit. */
int watched_read(struct emulator *emulator, uint64_t linear, void *data, unsigned int size,
		 enum emulate_access access);
int watched_write(struct emulator *emulator, uint64_t linear, const void *data, unsigned int size);
int watched_exchange(struct emulator *emulator, uint64_t linear, const void *old, const void *new,
		     unsigned int size);
int watched_port(struct emulator *emulator, uint16_t port, bool write, uint32_t *value,
		 unsigned int size);

/* emulate_fpu.c: as in struct emulator_ops. */
int emulation_mask_read(struct emulator *emulator, unsigned int reg, uint64_t *value);
int emulation_mask_write(struct emulator *emulator, unsigned int reg, uint64_t value);
int emulation_legacy_image(struct emulator *emulator, uint8_t **image, bool change);
int emulation_x87(struct emulator *emulator, uint8_t *after, void *operand, bool *stored);
int emulation_vector_read(struct emulator *emulator, unsigned int reg, void *data,
			  unsigned int size);
int emulation_vector_write(struct emulator *emulator, unsigned int reg, const void *data,
			   unsigned int size, bool clear);

#endif
