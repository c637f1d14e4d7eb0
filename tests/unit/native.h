/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One instruction on the processor the test runs on, with all registers under the
 * test's control: what the emulator is compared with.
 */
#ifndef TESTS_UNIT_NATIVE_H
#define TESTS_UNIT_NATIVE_H

#include <stdbool.h>
#include <stdint.h>

#include <vmm/vmm.h>

#include "native_layout.h"

#define NATIVE_LANDING	 0x20100800ul /* jumping there ends the instruction as well */
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

#define NATIVE_DONE	  -1
#define NATIVE_ON_THE_WAY -2

/*
 * Executes the instruction of 'length' bytes on *state. NATIVE_DONE: *state is as after
 * it. Otherwise the vector of the exception it ended in, and *state is as before;
 * NATIVE_ON_THE_WAY if that was another instruction's, of the way there or back.
 */
int native_run(const uint8_t *bytes, unsigned int length, struct native_state *state);

/* The exception the last run ended in, in words: vector, error code, address. */
const char *native_trap(void);

/* Data segments for 32- and 16-bit code, in the local descriptor table. */
enum native_segment {
	NATIVE_FLAT,	  /* all 4 GiB */
	NATIVE_BASED,	  /* the data area, 64 KiB */
	NATIVE_READ_ONLY, /* the same, not writable */
	NATIVE_DOWN,	  /* its part from NATIVE_DOWN_START, expand-down, 16 bits */
	NATIVE_STACK16,	  /* the data area with a 16-bit stack pointer */
	NATIVE_SEGMENTS
};
#define NATIVE_DOWN_START 0x2000
extern const struct seg_desc native_segments[NATIVE_SEGMENTS];

/* Where the jumps of 32- or 16-bit code end. */
#define NATIVE_LANDING_32 0x20100900ul
#define NATIVE_LANDING_16 0x20100a00ul

struct native_selectors {
	uint16_t es, cs, ss, ds;
};

/* Makes the descriptors: false if the kernel does not let processes do that. */
bool native_legacy_init(void);
/* The selectors of data segments, and of code of 32 or 16 bits. */
void native_select(bool wide, enum native_segment es, enum native_segment ss,
		   enum native_segment ds, struct native_selectors *selectors);
/* As native_run(), in 32-bit ('wide') or 16-bit code. Registers are 32 bits. */
int native_run_legacy(bool wide, const struct native_selectors *selectors, const uint8_t *bytes,
		      unsigned int length, struct native_state *state);

#endif
