/* SPDX-License-Identifier: BSD-2-Clause */
/* One instruction on x87, MMX, SSE or AVX-512 registers of the processor the test runs on. */
#ifndef TESTS_UNIT_NATIVE_FPU_H
#define TESTS_UNIT_NATIVE_FPU_H

/* Where in struct native_fpu. */
#define NATIVE_FPU_HOST	  0
#define NATIVE_FPU_LEGACY 512
#define NATIVE_FPU_ZMM	  1024
#define NATIVE_FPU_MASKS  3072
#define NATIVE_FPU_WIDE	  3136

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct native_fpu {
	uint8_t host[512];
	uint8_t legacy[512]; /* FXSAVE64's image */
	uint8_t zmm[32][64];
	uint64_t mask[8];
	uint32_t wide; /* zmm and mask are loaded and stored as well */
} __attribute__((aligned(64)));

_Static_assert(offsetof(struct native_fpu, legacy) == NATIVE_FPU_LEGACY, "native_fpu.S");
_Static_assert(offsetof(struct native_fpu, zmm) == NATIVE_FPU_ZMM, "native_fpu.S");
_Static_assert(offsetof(struct native_fpu, mask) == NATIVE_FPU_MASKS, "native_fpu.S");
_Static_assert(offsetof(struct native_fpu, wide) == NATIVE_FPU_WIDE, "native_fpu.S");

/* native_fpu.S */
void native_fpu_run(struct native_fpu *fpu, const void *code, void *operand);
#endif

#endif
