// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runs one instruction on the real processor. A trampoline loads every register
 * out of native_registers, jumps to the instruction, and stores them again; the
 * jump back is the code that follows the instruction. A signal on the way unwinds
 * by siglongjmp.
 */
#include <asm/prctl.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "native.h"
#include "unit.h"

/* The trampoline knows the offsets. */
struct native_registers {
	struct native_state state; /* gpr at 0, rflags at 128, ymm at 136 */
	uint64_t host_rsp;	   /* 648 */
	uint64_t entry;		   /* 656 */
	uint8_t avx;		   /* 664 */
};

_Static_assert(offsetof(struct native_state, rflags) == 128, "rflags");
_Static_assert(offsetof(struct native_state, ymm) == 136, "ymm");
_Static_assert(offsetof(struct native_registers, host_rsp) == 648, "host_rsp");
_Static_assert(offsetof(struct native_registers, entry) == 656, "entry");
_Static_assert(offsetof(struct native_registers, avx) == 664, "avx");

struct native_registers native_registers;
void native_trampoline(void);
void native_return(void);

#define REGISTERS(action)                                                                     \
	action(rax, 0) action(rcx, 8) action(rdx, 16) action(rbx, 24) action(rbp, 40)         \
		action(rsi, 48) action(rdi, 56) action(r8, 64) action(r9, 72) action(r10, 80) \
			action(r11, 88) action(r12, 96) action(r13, 104) action(r14, 112)     \
				action(r15, 120)
#define LOAD(reg, offset)  "mov native_registers+" #offset "(%rip), %" #reg "\n"
#define STORE(reg, offset) "mov %" #reg ", native_registers+" #offset "(%rip)\n"

#define VECTORS(action)                                                                           \
	action(0) action(1) action(2) action(3) action(4) action(5) action(6) action(7) action(8) \
		action(9) action(10) action(11) action(12) action(13) action(14) action(15)
#define LOAD_YMM(n)  "vmovdqu native_registers+136+32*" #n "(%rip), %ymm" #n "\n"
#define STORE_YMM(n) "vmovdqu %ymm" #n ", native_registers+136+32*" #n "(%rip)\n"
#define LOAD_XMM(n)  "movdqu native_registers+136+32*" #n "(%rip), %xmm" #n "\n"
#define STORE_XMM(n) "movdqu %xmm" #n ", native_registers+136+32*" #n "(%rip)\n"

__asm__(".text\n"
	".globl native_trampoline\n"
	".type native_trampoline, @function\n"
	"native_trampoline:\n"
	"push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
	"cmpb $0, native_registers+664(%rip)\n"
	"jne 1f\n" VECTORS(
		LOAD_XMM) "jmp 2f\n"
			  "1:\n" VECTORS(
				  LOAD_YMM) "2:\n"
					    "mov %rsp, native_registers+648(%rip)\n"
					    "push native_registers+128(%rip)\n"
					    "popfq\n" REGISTERS(LOAD) LOAD(
						    rsp,
						    32) "jmp *native_registers+656(%rip)\n"
							".globl native_return\n"
							"native_return:\n" STORE(rsp, 32) LOAD(rsp, 648) REGISTERS(
								STORE) "pushfq\n"
								       "pop native_registers+128(%rip)\n"
								       "cld\n"
								       "cmpb $0, native_registers+664(%rip)\n"
								       "jne 1f\n" VECTORS(
									       STORE_XMM) "jmp 2f\n"
											  "1:\n" VECTORS(
												  STORE_YMM) "vzeroupper\n"
													     "2:\n"
													     "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
													     "ret\n"
													     ".size native_trampoline, . - native_trampoline\n");

static sigjmp_buf escape;
static uint8_t signal_stack[65536];

static void on_signal(int number)
{
	__asm__ volatile("cld");
	siglongjmp(escape, number);
}

static void catch_signals(void)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	stack_t stack = { .ss_sp = signal_stack, .ss_size = sizeof(signal_stack) };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };

	REQUIRE(sigaltstack(&stack, NULL) == 0);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		REQUIRE(sigaction(numbers[i], &action, NULL) == 0);
}

static void map(uintptr_t where, size_t size, int prot)
{
	void *got = mmap((void *)where, size, prot,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	REQUIRE(got == (void *)where);
}

/* jmp *0(%rip), and the address behind it. */
static void put_jump_back(uint8_t *where)
{
	static const uint8_t jump[] = { 0xff, 0x25, 0, 0, 0, 0 };
	uint64_t target = (uintptr_t)native_return;

	memcpy(where, jump, sizeof(jump));
	memcpy(where + sizeof(jump), &target, sizeof(target));
}

bool native_has_avx(void)
{
	return __builtin_cpu_supports("avx");
}

uint16_t native_selector(unsigned int segment)
{
	uint16_t value;

	switch (segment) {
	case 0:
		__asm__("mov %%es, %0" : "=r"(value));
		break;
	case 1:
		__asm__("mov %%cs, %0" : "=r"(value));
		break;
	case 2:
		__asm__("mov %%ss, %0" : "=r"(value));
		break;
	case 3:
		__asm__("mov %%ds, %0" : "=r"(value));
		break;
	case 4:
		__asm__("mov %%fs, %0" : "=r"(value));
		break;
	default:
		__asm__("mov %%gs, %0" : "=r"(value));
		break;
	}
	return value;
}

void native_init(void)
{
	map(NATIVE_DATA, NATIVE_DATA_SIZE, PROT_READ | PROT_WRITE);
	map(NATIVE_CODE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
	put_jump_back((uint8_t *)NATIVE_LANDING);
	REQUIRE(syscall(SYS_arch_prctl, ARCH_SET_GS, NATIVE_GS_BASE) == 0);
	native_registers.avx = native_has_avx();
	catch_signals();
}

int native_run(const uint8_t *bytes, unsigned int length, struct native_state *state)
{
	int number;

	memcpy((void *)NATIVE_CODE, bytes, length);
	put_jump_back((uint8_t *)NATIVE_CODE + length);
	native_registers.state = *state;
	native_registers.entry = NATIVE_CODE;
	number = sigsetjmp(escape, 1);
	if (number)
		return number;
	native_trampoline();
	*state = native_registers.state;
	return 0;
}
