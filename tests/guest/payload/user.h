/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ring 3 in a test guest: every page may be used by it, and a TSS names the stack
 * that exceptions and interrupts from there take.
 */
#ifndef USER_H
#define USER_H

#include "payload.h"

#define USER_CODE    0x3b
#define USER_DATA    0x33
#define TSS_SELECTOR 0x48

/* The 64-bit TSS and a bitmap for every port behind it (APM vol. 2, 12.2.5). */
struct __attribute__((packed)) tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7]; /* IST 1 is ist[0] */
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t bitmap_base;
	uint8_t bitmap[8193];
};

extern struct tss tss;
extern uint8_t user_kernel_stack[8192]; /* RSP0 is its end */

/* Load the TSS, its bitmap past the limit: no port is allowed. */
void tss_load(void);
/* Let the bitmap count, each port denied. */
void tss_deny_all_ports(void);
void tss_allow_port(uint16_t port);
/* Let ring 3 use every page; load the TSS. */
void user_enable(void);
/*
 * Run code(argument) in ring 3, on a stack of its own, with these RFLAGS. It ends in
 * an exception, which is what attempt() reports; code that comes to its end raises
 * #UD by UD2. user_enable() has been called.
 */
struct trap user_attempt(void (*code)(void *argument), void *argument, uint64_t rflags);
#define USER_DONE asm volatile("ud2")

#endif
