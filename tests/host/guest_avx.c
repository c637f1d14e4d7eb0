// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runs in a Linux guest: two processes fill all of YMM0-15 with patterns of their
 * own and look whether they keep them, over many context switches and exits. Ends
 * with 0; 1 when a register was wrong; 2 when the processor has no AVX.
 */
#include <immintrin.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 20000

/* Fill every YMM register from 'pattern', let others run, and read them back. */
__attribute__((target("avx"))) static int keeps(const uint8_t pattern[16][32], int yield)
{
	uint8_t seen[16][32];
	long result;

#define LOAD(n)	 "vmovdqu " #n "*32(%1), %%ymm" #n "\n"
#define STORE(n) "vmovdqu %%ymm" #n ", " #n "*32(%2)\n"
#define LOW(f)	 f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7)
#define HIGH(f)	 f(8) f(9) f(10) f(11) f(12) f(13) f(14) f(15)
#define ALL(f)	 LOW(f) HIGH(f)
	/* sched_yield, or CPUID, which is an exit of the guest. */
	asm volatile(ALL(LOAD) "testl %3, %3\n"
			       "jz 1f\n"
			       "syscall\n"
			       "jmp 2f\n"
			       "1: cpuid\n"
			       "2:\n" ALL(STORE)
		     : "=a"(result)
		     : "r"(pattern), "r"(seen), "r"(yield), "a"(24L)
		     : "rbx", "rcx", "rdx", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3",
		       "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
		       "xmm13", "xmm14", "xmm15");
	(void)result;
	return memcmp(seen, pattern, sizeof(seen)) == 0;
}

static int check_registers_kept(uint8_t seed)
{
	uint8_t pattern[16][32];

	for (int i = 0; i < 16 * 32; i++)
		pattern[i / 32][i % 32] = (uint8_t)(seed + i * 7);
	for (int round = 0; round < ROUNDS; round++) {
		if (!keeps(pattern, round % 2))
			return 1;
	}
	return 0;
}

int main(void)
{
	int status = 0, failed = 0;

	if (!__builtin_cpu_supports("avx"))
		return 2;
	for (int child = 0; child < 4; child++) {
		if (fork() == 0)
			_exit(check_registers_kept((uint8_t)(child * 50 + 1)));
	}
	while (wait(&status) > 0)
		failed |= status;
	return failed != 0;
}
