/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The opcode tables, for decode.c alone. One row per opcode says which operation
 * it is and which bytes follow; groups and mandatory prefixes lead to further rows.
 */
#ifndef X86_EMULATE_DECODE_TABLE_H
#define X86_EMULATE_DECODE_TABLE_H

#include "x86/emulate/decode.h"

#define ROW_MODRM      0x00000001u /* a ModRM byte follows */
#define ROW_BYTE       0x00000002u /* operands of one byte */
#define ROW_IMM8       0x00000004u /* immediate of one byte, sign-extended */
#define ROW_IMM8_MORE  0x00000008u /* another byte after the immediate */
#define ROW_IMM16      0x00000010u /* immediate of two bytes */
#define ROW_IMMZ       0x00000020u /* immediate of two or four bytes, by operand size */
#define ROW_IMMV       0x00000040u /* immediate of two, four or eight bytes */
#define ROW_OFFSET     0x00000080u /* memory offset of the address size */
#define ROW_ONE	       0x00000100u /* the immediate is 1 */
#define ROW_DEFAULT_64 0x00000200u /* 64-bit operands without REX.W in 64-bit mode */
#define ROW_NOT_64     0x00000400u /* undefined in 64-bit mode */
#define ROW_LOCK       0x00000800u /* LOCK is allowed with a memory destination */
#define ROW_NATIVE     0x00001000u /* operands of 8 bytes in 64-bit mode, else 4 */
#define ROW_REGISTER   0x00002000u /* ModRM.mod counts as 3 (MOV CR) */
#define ROW_VECTOR     0x00004000u /* 16 bytes, or 32 by VEX.L */
#define ROW_ALIGNED    0x00008000u
#define ROW_SIZE2      0x00010000u /* operand of 2 bytes if in memory */
#define ROW_SIZE4      0x00020000u /* operands of 4 bytes */
#define ROW_SIZE8      0x00040000u /* operands of 8 bytes */
#define ROW_SIZE_W     0x00080000u /* operands of 4 bytes, 8 by REX.W */
#define ROW_MAX4       0x00800000u /* operands of 8 bytes count as 4: port I/O */
#define ROW_SOURCE1    0x00100000u /* the source has 1 byte */
#define ROW_SOURCE2    0x00200000u
#define ROW_SOURCE4    0x00400000u
#define ROW_SOURCE8    0x20000000u
#define ROW_SOURCE16   0x40000000u
#define ROW_SIZE16     0x80000000u /* operands of 16 bytes */

/* What to do instead of using the row as it is. At most one of these. */
#define ROW_UNDEFINED 0x01000000u
#define ROW_PREFIX    0x02000000u /* a prefix, not an opcode */
#define ROW_GROUP     0x04000000u /* 'op' is an enum opcode_group; ModRM.reg selects */
#define ROW_MANDATORY 0x08000000u /* 'op' is an enum opcode_mandatory; 66, F3, F2 selects */
#define ROW_SPECIAL   0x10000000u /* decode.c has a function for it */
#define ROW_REDIRECT  (ROW_UNDEFINED | ROW_PREFIX | ROW_GROUP | ROW_MANDATORY | ROW_SPECIAL)

struct opcode_row {
	uint8_t op;	/* enum instruction_op, or the number of a group */
	uint8_t form;	/* enum operand_form */
	uint32_t flags; /* ROW_* */
};

/* Groups: rows by ModRM.reg, their flags added to those of the opcode. */
enum opcode_group {
	GROUP_1,  /* 80..83 */
	GROUP_1A, /* 8f */
	GROUP_2,  /* shifts by immediate or 1 */
	GROUP_2_CL,
	GROUP_3,      /* f6 */
	GROUP_3_WORD, /* f7: differs in the size of TEST's immediate */
	GROUP_4,
	GROUP_5,
	GROUP_6, /* 0f 00 */
	GROUP_7, /* 0f 01, memory forms */
	GROUP_8, /* 0f ba */
	GROUP_9, /* 0f c7, memory forms */
	GROUP_9_REGISTER,
	GROUP_11_BYTE, /* c6 */
	GROUP_11,      /* c7 */
	GROUP_COUNT
};

/* Opcodes that a mandatory prefix tells apart: rows for none, 66, F3, F2. */
enum opcode_mandatory {
	MANDATORY_MOVUP_LOAD,	/* 0f 10 */
	MANDATORY_MOVUP_STORE,	/* 0f 11 */
	MANDATORY_MOVLP_LOAD,	/* 0f 12 */
	MANDATORY_MOVLP_STORE,	/* 0f 13 */
	MANDATORY_MOVHP_LOAD,	/* 0f 16 */
	MANDATORY_MOVHP_STORE,	/* 0f 17 */
	MANDATORY_MOVAP_LOAD,	/* 0f 28 */
	MANDATORY_MOVAP_STORE,	/* 0f 29 */
	MANDATORY_MOVNTP,	/* 0f 2b */
	MANDATORY_MOVD_LOAD,	/* 0f 6e */
	MANDATORY_MOVDQ_LOAD,	/* 0f 6f */
	MANDATORY_VMREAD,	/* 0f 78 */
	MANDATORY_MOVD_STORE,	/* 0f 7e */
	MANDATORY_MOVDQ_STORE,	/* 0f 7f */
	MANDATORY_POPCNT,	/* 0f b8 */
	MANDATORY_TZCNT,	/* 0f bc */
	MANDATORY_LZCNT,	/* 0f bd */
	MANDATORY_MOVNTI,	/* 0f c3 */
	MANDATORY_PINSRW,	/* 0f c4 */
	MANDATORY_MOVQ_STORE,	/* 0f d6 */
	MANDATORY_MOVNTDQ,	/* 0f e7 */
	MANDATORY_LDDQU,	/* 0f f0 */
	MANDATORY_MASKMOV,	/* 0f f7 */
	MANDATORY_KMOV_LOAD,	/* VEX 0f 90 */
	MANDATORY_KMOV_STORE,	/* VEX 0f 91 */
	MANDATORY_EXTEND,	/* 0f 38 20 .. 25, 30 .. 35 */
	MANDATORY_MOVNTDQA,	/* 0f 38 2a */
	MANDATORY_BROADCAST1,	/* VEX 0f 38 78 */
	MANDATORY_BROADCAST2,	/* VEX 0f 38 79 */
	MANDATORY_BROADCAST4,	/* VEX 0f 38 18, 58 */
	MANDATORY_BROADCAST8,	/* VEX 0f 38 19, 59 */
	MANDATORY_BROADCAST16,	/* VEX 0f 38 1a, 5a */
	MANDATORY_MASKED_LOAD,	/* VEX 0f 38 2c, 2d, 8c */
	MANDATORY_MASKED_STORE, /* VEX 0f 38 2e, 2f, 8e */
	MANDATORY_INVEPT,	/* 0f 38 80, 81 */
	MANDATORY_INVPCID,	/* 0f 38 82 */
	MANDATORY_MOVBE_LOAD,	/* 0f 38 f0 */
	MANDATORY_MOVBE_STORE,	/* 0f 38 f1 */
	MANDATORY_ADX,		/* 0f 38 f6 */
	MANDATORY_MOVDIRI,	/* 0f 38 f9 */
	MANDATORY_ANDN,		/* VEX 0f 38 f2 */
	MANDATORY_BLS,		/* VEX 0f 38 f3 */
	MANDATORY_BZHI,		/* VEX 0f 38 f5 */
	MANDATORY_MULX,		/* VEX 0f 38 f6 */
	MANDATORY_BEXTR,	/* VEX 0f 38 f7 */
	MANDATORY_PEXTRB,	/* 0f 3a 14 */
	MANDATORY_PEXTRW,	/* 0f 3a 15 */
	MANDATORY_PEXTRD,	/* 0f 3a 16 */
	MANDATORY_EXTRACTPS,	/* 0f 3a 17 */
	MANDATORY_INSERT128,	/* VEX 0f 3a 18, 38 */
	MANDATORY_EXTRACT128,	/* VEX 0f 3a 19, 39 */
	MANDATORY_PINSRB,	/* 0f 3a 20 */
	MANDATORY_INSERTPS,	/* 0f 3a 21 */
	MANDATORY_PINSRD,	/* 0f 3a 22 */
	MANDATORY_RORX,		/* VEX 0f 3a f0 */
	MANDATORY_COUNT
};

extern const struct opcode_row opcode_one_byte[256];
extern const struct opcode_row opcode_0f[256];
extern const struct opcode_row opcode_0f38[256];
extern const struct opcode_row opcode_0f3a[256];
extern const struct opcode_row opcode_vex_0f38[256];
extern const struct opcode_row opcode_groups[GROUP_COUNT][8];
extern const struct opcode_row opcode_mandatory[MANDATORY_COUNT][4];
/* Register forms of 0f 01, by ModRM - 0xc0. */
extern const struct opcode_row opcode_0f01_register[64];

#endif
