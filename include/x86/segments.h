/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vectors of exceptions and types of descriptors, by the names that programs written for FreeBSD
 * have for them (<x86/segments.h>). Numbers: APM vol. 2, table 8-1 and 4.8.
 */
#ifndef VMM_X86_SEGMENTS_H
#define VMM_X86_SEGMENTS_H

#include <stdint.h>

/* Selectors */
#define SEL_RPL_MASK 3
#define SEL_KPL	     0
#define SEL_UPL	     3
#define ISPL(s)	     ((s)&SEL_RPL_MASK)
#define ISLDT(s)     (((s)&4) != 0)
#define SEL_LDT	     4
#define IDXSEL(s)    (((s) >> 3) & 0x1fff)
#define LSEL(s, r)   (((s) << 3) | SEL_LDT | (r))
#define GSEL(s, r)   (((s) << 3) | (r))

/* Exceptions */
#define IDT_DE	  0
#define IDT_DB	  1
#define IDT_NMI	  2
#define IDT_BP	  3
#define IDT_OF	  4
#define IDT_BR	  5
#define IDT_UD	  6
#define IDT_NM	  7
#define IDT_DF	  8
#define IDT_FPUGP 9
#define IDT_TS	  10
#define IDT_NP	  11
#define IDT_SS	  12
#define IDT_GP	  13
#define IDT_PF	  14
#define IDT_MF	  16
#define IDT_AC	  17
#define IDT_MC	  18
#define IDT_XF	  19

/* Types of system descriptors */
#define SDT_SYSNULL   0
#define SDT_SYS286TSS 1
#define SDT_SYSLDT    2
#define SDT_SYS286BSY 3
#define SDT_SYS286CGT 4
#define SDT_SYSTASKGT 5
#define SDT_SYS286IGT 6
#define SDT_SYS286TGT 7
#define SDT_SYSNULL2  8
#define SDT_SYS386TSS 9
#define SDT_SYSNULL3  10
#define SDT_SYS386BSY 11
#define SDT_SYS386CGT 12
#define SDT_SYSNULL4  13
#define SDT_SYS386IGT 14
#define SDT_SYS386TGT 15
#define SDT_SYSTSS    SDT_SYS386TSS /* of long mode */
#define SDT_SYSBSY    SDT_SYS386BSY
#define SDT_SYSCGT    SDT_SYS386CGT
#define SDT_SYSIGT    SDT_SYS386IGT
#define SDT_SYSTGT    SDT_SYS386TGT

/* Types of memory: R readable, W writable, E executable, D expands down, C conforming, A accessed */
#define SDT_MEMRO   16
#define SDT_MEMROA  17
#define SDT_MEMRW   18
#define SDT_MEMRWA  19
#define SDT_MEMROD  20
#define SDT_MEMRODA 21
#define SDT_MEMRWD  22
#define SDT_MEMRWDA 23
#define SDT_MEME    24
#define SDT_MEMEA   25
#define SDT_MEMER   26
#define SDT_MEMERA  27
#define SDT_MEMEC   28
#define SDT_MEMEAC  29
#define SDT_MEMERC  30
#define SDT_MEMERAC 31

/* A descriptor of memory in a table (APM vol. 2, 4.7.1). */
struct user_segment_descriptor {
	uint64_t sd_lolimit : 16;
	uint64_t sd_lobase : 24;
	uint64_t sd_type : 5;
	uint64_t sd_dpl : 2;
	uint64_t sd_p : 1;
	uint64_t sd_hilimit : 4;
	uint64_t sd_xx : 1;
	uint64_t sd_long : 1;
	uint64_t sd_def32 : 1;
	uint64_t sd_gran : 1;
	uint64_t sd_hibase : 8;
} __attribute__((packed));

#define USD_GETBASE(sd)	 (((sd)->sd_lobase) | (sd)->sd_hibase << 24)
#define USD_GETLIMIT(sd) (((sd)->sd_lolimit) | (sd)->sd_hilimit << 16)

#endif
