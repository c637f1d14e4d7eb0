/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One instruction on the processor the test runs on, with all registers under the
 * test's control: what the emulator is compared with.
 */
#ifndef TESTS_UNIT_NATIVE_H
#define TESTS_UNIT_NATIVE_H

#include <stdbool.h>
#include <stdint.h>

/* Code and data of the instruction lie at fixed places below 2 GiB. */
#define NATIVE_CODE	 0x20100000ul /* where the instruction is */
#define NATIVE_LANDING	 0x20100800ul /* jumping there ends it as well */
#define NATIVE_DATA	 0x20000000ul
#define NATIVE_DATA_SIZE 0x10000ul
#define NATIVE_GS_BASE	 (NATIVE_DATA + 0x100)

struct native_state {
	uint64_t gpr[16]; /* encoding order */
	uint64_t rflags;
	uint8_t ymm[16][32];
};

/* Maps code and data and sets the GS base. Once per process; ends the test if it cannot. */
void native_init(void);
bool native_has_avx(void);
/* The selector in a segment register (enum segment). */
uint16_t native_selector(unsigned int segment);

/*
 * Executes the instruction of 'length' bytes on *state. 0: *state is as after it.
 * Otherwise the signal it died of (SIGSEGV, SIGFPE, SIGILL, SIGBUS), and *state is
 * as before.
 */
int native_run(const uint8_t *bytes, unsigned int length, struct native_state *state);

#endif
