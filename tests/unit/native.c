// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runs one instruction on the real processor. A trampoline loads every register
 * out of native_registers, jumps to the instruction, and stores them again; the
 * jump back is the code that follows the instruction. A signal on the way unwinds
 * by siglongjmp.
 */
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "native.h"
#include "unit.h"

/* The trampoline knows the offsets. */
struct native_registers {
	struct native_state state;	   /* gpr at 0, rflags at 128, ymm at 136 */
	uint64_t host_rsp;		   /* 648 */
	uint64_t entry;			   /* 656 */
	uint8_t avx;			   /* 664 */
	uint32_t far_offset;		   /* 668 */
	uint16_t far_selector;		   /* 672 */
	struct native_selectors selectors; /* es 674, cs 676, ss 678, ds 680 */
	struct native_selectors host;	   /* es 682, cs 684, ss 686, ds 688 */
};

_Static_assert(offsetof(struct native_state, rflags) == 128, "rflags");
_Static_assert(offsetof(struct native_state, ymm) == 136, "ymm");
_Static_assert(offsetof(struct native_registers, host_rsp) == 648, "host_rsp");
_Static_assert(offsetof(struct native_registers, entry) == 656, "entry");
_Static_assert(offsetof(struct native_registers, avx) == 664, "avx");
_Static_assert(offsetof(struct native_registers, far_offset) == 668, "far_offset");
_Static_assert(offsetof(struct native_registers, selectors) == 674, "selectors");
_Static_assert(offsetof(struct native_registers, host) == 682, "host");

struct native_registers native_registers;
void native_trampoline(void);
void native_trampoline_legacy(void);
void native_return_legacy(void);
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

/* The same into other code; SS and RSP are loaded together, the host's are restored last. */
__asm__(".text\n"
	".globl native_trampoline_legacy\n"
	".type native_trampoline_legacy, @function\n"
	"native_trampoline_legacy:\n"
	"push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
	"cmpb $0, native_registers+664(%rip)\n"
	"jne 1f\n" VECTORS(
		LOAD_XMM) "jmp 2f\n"
			  "1:\n" VECTORS(
				  LOAD_YMM) "2:\n"
					    "mov %rsp, native_registers+648(%rip)\n"
					    "push native_registers+128(%rip)\n"
					    "popfq\n" REGISTERS(
						    LOAD) "mov native_registers+674(%rip), %es\n"
							  "mov native_registers+680(%rip), %ds\n"
							  "mov native_registers+678(%rip), %ss\n" LOAD(
								  rsp,
								  32) "ljmpl *native_registers+668(%rip)\n"
								      ".globl native_return_legacy\n"
								      "native_return_legacy:\n" STORE(rsp, 32) "mov native_registers+686(%rip), %ss\n" LOAD(
									      rsp, 648)
									      REGISTERS(
										      STORE) "mov native_registers+682(%rip), %es\n"
											     "mov native_registers+688(%rip), %ds\n"
											     "pushfq\n"
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
																   ".size native_trampoline_legacy, . - native_trampoline_legacy\n");

static sigjmp_buf escape;
static volatile int trap_number;
static uint8_t signal_stack[65536];

static void on_signal(int number, siginfo_t *info, void *context)
{
	const ucontext_t *user = context;

	(void)number;
	(void)info;
	__asm__ volatile("cld; mov %0, %%ds; mov %1, %%es"
			 :
			 : "r"(native_registers.host.ds), "r"(native_registers.host.es));
	trap_number = (int)user->uc_mcontext.gregs[REG_TRAPNO];
	siglongjmp(escape, 1);
}

static void catch_signals(void)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	stack_t stack = { .ss_sp = signal_stack, .ss_size = sizeof(signal_stack) };
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_ONSTACK | SA_SIGINFO };

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
static void put_jump_back(uint8_t *where, void (*to)(void))
{
	static const uint8_t jump[] = { 0xff, 0x25, 0, 0, 0, 0 };
	uint64_t target = (uintptr_t)to;

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
	put_jump_back((uint8_t *)NATIVE_LANDING, native_return);
	REQUIRE(syscall(SYS_arch_prctl, ARCH_SET_GS, NATIVE_GS_BASE) == 0);
	native_registers.avx = native_has_avx();
	native_registers.host = (struct native_selectors){ native_selector(0), native_selector(1),
							   native_selector(2), native_selector(3) };
	catch_signals();
}

/* NATIVE_DONE, or the vector. */
static int execute(void (*trampoline)(void), struct native_state *state)
{
	native_registers.state = *state;
	if (sigsetjmp(escape, 1))
		return trap_number;
	trampoline();
	*state = native_registers.state;
	return NATIVE_DONE;
}

int native_run(const uint8_t *bytes, unsigned int length, struct native_state *state)
{
	memcpy((void *)NATIVE_CODE, bytes, length);
	put_jump_back((uint8_t *)NATIVE_CODE + length, native_return);
	native_registers.entry = NATIVE_CODE;
	return execute(native_trampoline, state);
}

/* --- 32- and 16-bit code --------------------------------------------------------------- */

/* Present, for applications; data, and what user_desc says besides. */
#define ACCESS_DATA 0xf1u
#define ACCESS_RW   0x02u
#define ACCESS_DOWN 0x04u
#define ACCESS_B    0x4000u

const struct seg_desc native_segments[NATIVE_SEGMENTS] = {
	[NATIVE_FLAT] = { 0, 0xffffffff, ACCESS_DATA | ACCESS_RW | ACCESS_B },
	[NATIVE_BASED] = { NATIVE_DATA, 0xffff, ACCESS_DATA | ACCESS_RW | ACCESS_B },
	[NATIVE_READ_ONLY] = { NATIVE_DATA, 0xffff, ACCESS_DATA | ACCESS_B },
	[NATIVE_DOWN] = { NATIVE_DATA, NATIVE_DOWN_START - 1,
			  ACCESS_DATA | ACCESS_RW | ACCESS_DOWN },
	[NATIVE_STACK16] = { NATIVE_DATA, 0xffff, ACCESS_DATA | ACCESS_RW },
};

/* Entries of the table behind those of native_segments. */
#define ENTRY_CODE_32	 NATIVE_SEGMENTS
#define ENTRY_CODE_16	 (NATIVE_SEGMENTS + 1)
#define SELECTOR(entry)	 ((uint16_t)((entry) << 3 | 7)) /* local table, privilege 3 */
#define SELECTOR_CODE_64 0x33

static bool set_entry(unsigned int entry, const struct seg_desc *desc, unsigned int contents)
{
	bool large = desc->limit > 0xfffff;
	struct user_desc user = {
		.entry_number = entry,
		.base_addr = (unsigned int)desc->base,
		.limit = large ? desc->limit >> 12 : desc->limit,
		.seg_32bit = !!(desc->access & ACCESS_B),
		.contents = contents,
		.read_exec_only = !(desc->access & ACCESS_RW),
		.limit_in_pages = large,
		.useable = 1,
	};

	return syscall(SYS_modify_ldt, 1, &user, sizeof(user)) == 0;
}

/* A far jump to 64-bit code, out of 16-bit code with a prefix. */
static size_t put_far_jump(uint8_t *where, bool wide)
{
	uint32_t offset = NATIVE_CODE + 0x700;
	uint16_t selector = SELECTOR_CODE_64;
	size_t length = 0;

	if (!wide)
		where[length++] = 0x66;
	where[length++] = 0xea;
	memcpy(where + length, &offset, sizeof(offset));
	memcpy(where + length + 4, &selector, sizeof(selector));
	return length + 6;
}

bool native_legacy_init(void)
{
	const struct seg_desc code_32 = { 0, 0xffffffff, ACCESS_RW | ACCESS_B };
	const struct seg_desc code_16 = { 0, 0xffffffff, ACCESS_RW };

	for (unsigned int i = 0; i < NATIVE_SEGMENTS; i++)
		if (!set_entry(i, &native_segments[i],
			       native_segments[i].access & ACCESS_DOWN ? 1 : 0))
			return false;
	put_jump_back((uint8_t *)NATIVE_CODE + 0x700, native_return_legacy);
	put_far_jump((uint8_t *)NATIVE_LANDING_32, true);
	put_far_jump((uint8_t *)NATIVE_LANDING_16, false);
	return set_entry(ENTRY_CODE_32, &code_32, 2) && set_entry(ENTRY_CODE_16, &code_16, 2);
}

void native_select(bool wide, enum native_segment es, enum native_segment ss,
		   enum native_segment ds, struct native_selectors *selectors)
{
	*selectors = (struct native_selectors){
		.es = SELECTOR(es),
		.cs = SELECTOR(wide ? ENTRY_CODE_32 : ENTRY_CODE_16),
		.ss = SELECTOR(ss),
		.ds = SELECTOR(ds),
	};
}

int native_run_legacy(bool wide, const struct native_selectors *selectors, const uint8_t *bytes,
		      unsigned int length, struct native_state *state)
{
	memcpy((void *)NATIVE_CODE, bytes, length);
	put_far_jump((uint8_t *)NATIVE_CODE + length, wide);
	native_registers.selectors = *selectors;
	native_registers.far_offset = NATIVE_CODE;
	native_registers.far_selector = selectors->cs;
	return execute(native_trampoline_legacy, state);
}
