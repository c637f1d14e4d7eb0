/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instructions that save and load extended state, all of them unprivileged.
 * Between os_run_begin() and os_run_end() only. Areas are aligned to 64 bytes.
 */
#ifndef X86_CPU_FPU_H
#define X86_CPU_FPU_H

#include "os/os.h"

static inline void fpu_xsave(void *area, uint64_t components)
{
	asm volatile("xsave64 (%0)"
		     :
		     : "r"(area), "a"((uint32_t)components), "d"((uint32_t)(components >> 32))
		     : "memory");
}

static inline void fpu_xrstor(const void *area, uint64_t components)
{
	asm volatile("xrstor64 (%0)"
		     :
		     : "r"(area), "a"((uint32_t)components), "d"((uint32_t)(components >> 32))
		     : "memory");
}

static inline void fpu_fxsave(void *area)
{
	asm volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

static inline void fpu_fxrstor(const void *area)
{
	asm volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

/*
 * Give FIP, FDP and FOP a value that says nothing: loading a constant sets them, and
 * clearing exceptions first keeps it from faulting.
 */
static inline void fpu_clear_pointers(void)
{
	static const uint32_t zero;

	asm volatile("fnclex; emms; fildl %0" : : "m"(zero));
}

/* With CR4.PKE only. */
static inline uint32_t fpu_rdpkru(void)
{
	uint32_t pkru;
	uint32_t unused;

	asm volatile("rdpkru" : "=a"(pkru), "=d"(unused) : "c"(0));
	return pkru;
}

static inline void fpu_wrpkru(uint32_t pkru)
{
	asm volatile("wrpkru" : : "a"(pkru), "c"(0), "d"(0) : "memory");
}

#endif
