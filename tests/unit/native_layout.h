/* SPDX-License-Identifier: BSD-2-Clause */
/* What native.c and native_trampoline.S agree on: addresses, and offsets in native_registers. */
#ifndef TESTS_UNIT_NATIVE_LAYOUT_H
#define TESTS_UNIT_NATIVE_LAYOUT_H

/* Code and data of the instruction lie at fixed places below 2 GiB. */
#define NATIVE_CODE	0x20100000 /* where the instruction is */
#define NATIVE_ENTER_32 0x20100500 /* native_enter_32 is copied to here */
#define NATIVE_ENTER_16 0x20100580 /* and native_enter_16 to here */
#define NATIVE_LOADED	0x20100600 /* what they load: struct native_loaded */
#define NATIVE_TO_64	0x20100700 /* from the far jump behind 32- and 16-bit code */

/* struct native_loaded: ESP and SS are a far pointer. */
#define LOADED_ESP 0
#define LOADED_SS  4
#define LOADED_ES  6
#define LOADED_DS  8

/* struct native_registers */
#define REGISTERS_GPR	 0
#define REGISTERS_RFLAGS 128
#define REGISTERS_YMM	 136
#define REGISTERS_RSP	 648 /* the host's */
#define REGISTERS_ENTRY	 656
#define REGISTERS_AVX	 664
#define REGISTERS_FAR	 668 /* offset and selector of 32- or 16-bit code */
#define REGISTERS_ES	 674 /* the host's */
#define REGISTERS_SS	 676
#define REGISTERS_DS	 678

#endif
