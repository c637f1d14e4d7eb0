/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instruction decoder: bytes in, struct instruction out. Pure C over its
 * arguments, for the module, the library and the fuzzers alike.
 *
 * It knows the length of every instruction (APM vol. 3, appendix A and chapter
 * 1), and what to do for those that can touch memory-mapped devices, do string
 * I/O or be intercepted. The latter have an 'op' other than OP_OTHER.
 */
#ifndef X86_EMULATE_DECODE_H
#define X86_EMULATE_DECODE_H

#include "os/os.h"

#define INSTRUCTION_MAX 15 /* bytes; a longer one is #GP */

/* Default operand and address size: from CS.L, CS.D (APM vol. 2, 4.8). */
enum decode_mode {
	DECODE_16,
	DECODE_32,
	DECODE_64,
};

/* Segment registers in the processors' encoding order. */
enum segment {
	SEGMENT_ES,
	SEGMENT_CS,
	SEGMENT_SS,
	SEGMENT_DS,
	SEGMENT_FS,
	SEGMENT_GS,
	SEGMENT_COUNT
};

enum instruction_op {
	OP_OTHER, /* valid, its length is known, but nothing else */

	/* Group 1, in encoding order. */
	OP_ADD,
	OP_OR,
	OP_ADC,
	OP_SBB,
	OP_AND,
	OP_SUB,
	OP_XOR,
	OP_CMP,

	/* Group 2, in encoding order (SAL is SHL's other encoding). */
	OP_ROL,
	OP_ROR,
	OP_RCL,
	OP_RCR,
	OP_SHL,
	OP_SHR,
	OP_SAL,
	OP_SAR,

	/* Group 3, in encoding order; two encodings of TEST. */
	OP_TEST,
	OP_TEST_ALIAS,
	OP_NOT,
	OP_NEG,
	OP_MUL,
	OP_IMUL,
	OP_DIV,
	OP_IDIV,

	/* Groups 4 and 5, in encoding order. */
	OP_INC,
	OP_DEC,
	OP_CALL,
	OP_CALL_FAR,
	OP_JMP,
	OP_JMP_FAR,
	OP_PUSH,

	/* Group 8, in encoding order. */
	OP_BT,
	OP_BTS,
	OP_BTR,
	OP_BTC,

	OP_POP,
	OP_MOV,
	OP_MOVZX, /* source of source_size */
	OP_MOVSX,
	OP_MOVBE,
	OP_MOV_FROM_SEGMENT, /* 8c: reg is the segment */
	OP_MOV_TO_SEGMENT,
	OP_XCHG,
	OP_XADD,
	OP_CMPXCHG,
	OP_CMPXCHG8B, /* or 16B: operand_size is that of one half */
	OP_SHLD,
	OP_SHRD,
	OP_SETCC, /* condition in the low 4 bits of opcode */
	OP_CMOVCC,
	OP_IMUL_REG, /* reg = reg * r/m */
	OP_IMUL_IMM, /* reg = r/m * immediate */
	OP_BSF,
	OP_BSR,
	OP_TZCNT,
	OP_LZCNT,
	OP_POPCNT,
	OP_ANDN,  /* reg = ~vvvv & r/m */
	OP_BEXTR, /* reg = field of r/m chosen by vvvv */
	OP_BLS,	  /* BLSR, BLSMSK, BLSI, by ModRM.reg: vvvv is the destination */
	OP_BZHI,
	OP_PDEP,
	OP_PEXT,
	OP_MULX,
	OP_SHLX,
	OP_SHRX,
	OP_SARX,
	OP_RORX,
	OP_ADCX,
	OP_ADOX,
	OP_CRC32,
	OP_XLAT,
	OP_CACHE_LINE, /* CLFLUSH, CLFLUSHOPT, CLWB, PREFETCHW: nothing to do */

	/* String instructions. */
	OP_MOVS,
	OP_CMPS,
	OP_STOS,
	OP_LODS,
	OP_SCAS,
	OP_INS,
	OP_OUTS,

	/* Moves between memory and vector registers; LOAD and STORE of operand_size bytes. */
	OP_VECTOR_LOAD,
	OP_VECTOR_LOAD_LOW,  /* MOVLPS: the upper half comes from a register */
	OP_VECTOR_LOAD_HIGH, /* MOVHPS: the lower half does */
	OP_VECTOR_DUPLICATE, /* MOVDDUP, MOVSLDUP, MOVSHDUP */
	OP_VECTOR_BROADCAST, /* source_size bytes, everywhere */
	OP_VECTOR_EXTEND,    /* PMOVSX, PMOVZX */
	OP_VECTOR_INSERT,    /* PINSR, VINSERT: operand_size bytes into a register */
	OP_VECTOR_INSERT_PS,
	OP_VECTOR_EXTRACT,     /* PEXTR, VEXTRACT: operand_size bytes of a register */
	OP_VECTOR_MASKED_LOAD, /* VMASKMOV, VPMASKMOV: signs of vvvv's elements decide */
	OP_VECTOR_MASKED_STORE,
	OP_VECTOR_MASKED_BYTES, /* MASKMOVDQU, to DS:rDI */
	OP_VECTOR_STORE_HIGH,
	OP_VECTOR_STORE,
	OP_MASK_LOAD, /* KMOV */
	OP_MASK_STORE,
	OP_MMX_LOAD,
	OP_MMX_STORE,
	OP_X87,	  /* d8 .. df with an operand in memory */
	OP_MXCSR, /* LDMXCSR, STMXCSR: ModRM.reg tells */
	OP_FXSAVE,
	OP_FXRSTOR,

	/* What a hypervisor may intercept. reg: control or debug register; rm: general one. */
	OP_IN,
	OP_OUT,
	OP_CPUID,
	OP_HLT,
	OP_RDMSR,
	OP_WRMSR,
	OP_RDTSC,
	OP_RDTSCP,
	OP_RDPMC,
	OP_MOV_FROM_CR,
	OP_MOV_TO_CR,
	OP_MOV_FROM_DR,
	OP_MOV_TO_DR,
	OP_CLTS,
	OP_SMSW,
	OP_LMSW,
	OP_INVLPG,
	OP_INVLPGA,
	OP_INVPCID,
	OP_SGDT,
	OP_SIDT,
	OP_LGDT,
	OP_LIDT,
	OP_SLDT,
	OP_STR,
	OP_LLDT,
	OP_LTR,
	OP_XSETBV,
	OP_XGETBV,
	OP_WBINVD,
	OP_INVD,
	OP_PAUSE,
	OP_MONITOR,
	OP_MWAIT,
	OP_IRET,
	OP_INT,
	OP_INT3,
	OP_INTO,
	OP_ICEBP,
	OP_PUSHF,
	OP_POPF,
	OP_RSM,
	OP_UD,
	OP_VMRUN,
	OP_VMMCALL,
	OP_VMLOAD,
	OP_VMSAVE,
	OP_STGI,
	OP_CLGI,
	OP_SKINIT,
	OP_VMCALL,
	OP_VMX, /* VMLAUNCH, VMRESUME, VMXON, VMPTRLD, VMREAD, INVEPT ... */
	OP_COUNT
};

/* Which operands there are and which way data goes. */
enum operand_form {
	FORM_NONE,	  /* implied by the op */
	FORM_RM_REG,	  /* r/m is the destination, reg the source */
	FORM_REG_RM,	  /* the other way */
	FORM_RM_IMM,	  /* r/m destination, immediate source */
	FORM_RM,	  /* r/m alone */
	FORM_ACC_MEM,	  /* accumulator destination, memory at an absolute offset */
	FORM_MEM_ACC,	  /* the other way */
	FORM_RM_CL,	  /* group 2: the count is in CL */
	FORM_RM_REG_IMM,  /* SHLD, SHRD by immediate */
	FORM_RM_REG_CL,	  /* SHLD, SHRD by CL */
	FORM_REG_RM_IMM,  /* three-operand IMUL */
	FORM_REG_RM_VVVV, /* BMI: vvvv is the third operand */
};

#define PREFIX_LOCK    0x01
#define PREFIX_REP     0x02 /* f3 */
#define PREFIX_REPNE   0x04 /* f2 */
#define PREFIX_OPERAND 0x08 /* 66 */
#define PREFIX_ADDRESS 0x10 /* 67 */
#define PREFIX_REX     0x20 /* any: selects SPL..DIL */
#define PREFIX_SEGMENT 0x40 /* an override that counts */
#define PREFIX_VEX     0x80 /* the upper part of a vector register is cleared */

#define REGISTER_NONE 0xff

struct instruction {
	uint8_t length;	      /* in bytes, prefixes included */
	uint8_t op;	      /* enum instruction_op */
	uint8_t form;	      /* enum operand_form */
	uint8_t prefixes;     /* PREFIX_* */
	uint8_t opcode;	      /* last opcode byte */
	uint8_t operand_size; /* of the destination: 1, 2, 4, 8; 16, 32 for vectors */
	uint8_t source_size;  /* of the r/m operand where that differs (MOVZX), else equal */
	uint8_t address_size; /* 2, 4, 8 */
	uint8_t segment;      /* enum segment of the memory operand, overrides applied */
	uint8_t reg;	      /* ModRM.reg, extended by REX or EVEX */
	uint8_t modrm;	      /* the whole byte */
	uint8_t rm;	      /* ModRM.rm, extended; a register if !memory */
	bool memory;	      /* the r/m (or offset) operand is in memory */
	uint8_t base;	      /* general register or REGISTER_NONE */
	uint8_t index;	      /* general register or REGISTER_NONE */
	uint8_t scale;	      /* 0..3 */
	bool rip_relative;    /* 'displacement' counts from the next instruction */
	uint8_t vvvv;	      /* VEX's register */
	uint8_t mode;	      /* enum decode_mode */
	bool aligned;	      /* a vector operand that has to be aligned to its size */
	uint8_t mask;	      /* EVEX: mask register, 0 none */
	uint8_t element_size; /* that it is about */
	bool zeroing;	      /* elements not in the mask become 0, else they stay */
	int64_t displacement; /* sign-extended; all 64 bits for a moffs */
	int64_t immediate;    /* sign-extended where the instruction does that */
};

/*
 * Decodes the first instruction of bytes[0..count). 0; -ENODATA when it goes on
 * past 'count' (never for 15 bytes); -EINVAL when it is undefined (#UD); -E2BIG when
 * it is longer than 15 bytes (#GP). On failure *insn holds nothing of use. any
 */
int decode_instruction(struct instruction *insn, const uint8_t *bytes, unsigned int count,
		       enum decode_mode mode);

#endif
