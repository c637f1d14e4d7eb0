/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The emulation engine: carries out one decoded instruction that has an operand in
 * memory. It knows registers, segments and flags; memory, ports and vector registers
 * are its caller's, behind emulator_ops, so that the module, the library and the
 * tests run the same code.
 *
 * Nothing the guest can see changes before the last access of the instruction (of
 * the iteration, with REP) has succeeded. An access may answer "not now": then
 * the caller runs the instruction again later, from its start.
 */
#ifndef X86_EMULATE_EMULATE_INSN_H
#define X86_EMULATE_EMULATE_INSN_H

#include <vmm/vmm.h>
#include "x86/emulate/decode.h"

struct emulator;

/* What an access is for: both latter cases need a page that may be written. */
enum emulate_access {
	EMULATE_READ,
	EMULATE_WRITE,
	EMULATE_UPDATE, /* read now, written by the same instruction */
};

/*
 * Each returns 0, or a negative errno that ends the instruction and is returned by
 * emulate_instruction(): -EFAULT with the exception set by emulator_fault() or
 * emulator_page_fault(); -EAGAIN: not now; -EBUSY: start again; -EOPNOTSUPP.
 */
struct emulator_ops {
	/* The hidden part of a segment register, and its selector. Cannot fail. */
	void (*segment)(struct emulator *emulator, enum segment segment, struct seg_desc *desc);
	uint16_t (*selector)(struct emulator *emulator, enum segment segment);

	/*
	 * Memory at a linear address, 1..64 bytes that may cross a page. 'probe' only
	 * checks that the access would be allowed, of up to 512 bytes.
	 */
	int (*read)(struct emulator *emulator, uint64_t linear, void *data, unsigned int size,
		    enum emulate_access access);
	int (*write)(struct emulator *emulator, uint64_t linear, const void *data,
		     unsigned int size);
	int (*probe)(struct emulator *emulator, uint64_t linear, unsigned int size,
		     enum emulate_access access);
	/*
	 * The second half of an update: write 'new' where 'old' was read. In RAM by
	 * compare-and-swap, -EBUSY if something else is there by now.
	 */
	int (*exchange)(struct emulator *emulator, uint64_t linear, const void *old,
			const void *new, unsigned int size);

	/* One port access of 1, 2 or 4 bytes. NULL: INS and OUTS are not offered. */
	int (*port)(struct emulator *emulator, uint16_t port, bool write, uint32_t *value,
		    unsigned int size);

	/*
	 * CR0 or the selector of LDTR or TR; base and limit of GDTR or IDTR (VM_REG_GUEST_*).
	 * Cannot fail. NULL: instructions that store them are not offered.
	 */
	uint64_t (*system_register)(struct emulator *emulator, int reg);
	void (*table)(struct emulator *emulator, int reg, struct seg_desc *desc);
	/* As LMSW does it. NULL: not offered. */
	int (*set_status_word)(struct emulator *emulator, uint16_t value);

	/*
	 * Vector register 'reg' (0..31): its low 16, 32 or 64 bytes ('size'). Writing clears
	 * what is above them if 'clear'. NULL: vector instructions are not offered.
	 */
	int (*vector_read)(struct emulator *emulator, unsigned int reg, void *data,
			   unsigned int size);
	int (*vector_write)(struct emulator *emulator, unsigned int reg, const void *data,
			    unsigned int size, bool clear);
	/* AVX-512's mask registers. NULL: not offered. */
	int (*mask_read)(struct emulator *emulator, unsigned int reg, uint64_t *value);
	int (*mask_write)(struct emulator *emulator, unsigned int reg, uint64_t value);

	/*
	 * The FPU's state as FXSAVE64 has it, up to XMM15; to be changed if 'change'. NULL:
	 * x87, MMX, FXSAVE are not offered.
	 */
	int (*legacy_image)(struct emulator *emulator, uint8_t **image, bool change);
	/*
	 * The processor carries out the x87 instruction on that state, which stays, with its
	 * operand (up to 10 bytes) in place of memory; 'after' is the state that follows, up to
	 * ST7. *stored: a store has a value. NULL: not offered.
	 */
	int (*x87)(struct emulator *emulator, uint8_t *after, void *operand, bool *stored);
};

struct emulator {
	/* Set by the caller. */
	const struct emulator_ops *ops;
	const struct instruction *insn;
	enum vm_cpu_mode cpu_mode;
	bool wide_canonical; /* 57-bit linear addresses, else 48 */
	bool has_tzcnt;	     /* else F3 BSF is BSF */
	bool has_lzcnt;

	/* In and out. gpr: 16 registers in encoding order. */
	uint64_t *gpr;
	uint64_t rip;
	uint64_t rflags;

	/* Out: the exception, after -EFAULT. */
	uint8_t vector;
	bool has_error_code;
	uint32_t error_code;
	uint64_t fault_address; /* for CR2, of a #PF */
};

/* One iteration of a repeated string instruction is done, others remain: RIP stays. */
#define EMULATE_REPEAT 1

/*
 * Carry out emulator->insn: 0, with registers, flags and RIP as after it;
 * EMULATE_REPEAT; or a negative errno with nothing changed: what an op returned,
 * or -EOPNOTSUPP. any
 */
int emulate_instruction(struct emulator *emulator);

/* Note the exception that the instruction ends in; return -EFAULT. For ops. */
int emulator_fault(struct emulator *emulator, uint8_t vector, uint32_t error_code);
int emulator_page_fault(struct emulator *emulator, uint64_t address, uint32_t error_code);

#endif
