// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runs one instruction on the real processor. A trampoline loads every register
 * out of native_registers, jumps to the instruction, and stores them again; the
 * jump back is the code that follows the instruction. A signal unwinds by
 * siglongjmp.
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
#include "x86/emulate/emulate_internal.h"

struct native_registers {
	struct native_state state;
	uint64_t host_rsp;
	uint64_t entry;
	uint8_t avx;
	uint32_t far_offset;
	uint16_t far_selector;
	uint16_t host_es, host_ss, host_ds;
};

#define CHECK_OFFSET(field, offset) \
	_Static_assert(offsetof(struct native_registers, field) == (offset), #field)
CHECK_OFFSET(state.gpr, REGISTERS_GPR);
CHECK_OFFSET(state.rflags, REGISTERS_RFLAGS);
CHECK_OFFSET(state.ymm, REGISTERS_YMM);
CHECK_OFFSET(host_rsp, REGISTERS_RSP);
CHECK_OFFSET(entry, REGISTERS_ENTRY);
CHECK_OFFSET(avx, REGISTERS_AVX);
CHECK_OFFSET(far_offset, REGISTERS_FAR);
CHECK_OFFSET(far_selector, REGISTERS_FAR + 4);
CHECK_OFFSET(host_es, REGISTERS_ES);
CHECK_OFFSET(host_ss, REGISTERS_SS);
CHECK_OFFSET(host_ds, REGISTERS_DS);

/* What the way to 32- and 16-bit code loads, at NATIVE_LOADED. */
struct native_loaded {
	uint32_t esp;
	uint16_t ss, es, ds;
};

_Static_assert(offsetof(struct native_loaded, esp) == LOADED_ESP, "esp");
_Static_assert(offsetof(struct native_loaded, ss) == LOADED_SS, "ss");
_Static_assert(offsetof(struct native_loaded, es) == LOADED_ES, "es");
_Static_assert(offsetof(struct native_loaded, ds) == LOADED_DS, "ds");

struct native_registers native_registers;

/* native_trampoline.S */
void native_trampoline(void);
void native_return(void);
void native_trampoline_legacy(void);
void native_return_legacy(void);
extern const uint8_t native_enter_32[], native_enter_32_end[];
extern const uint8_t native_enter_16[], native_enter_16_end[];

static sigjmp_buf escape;
static volatile int trap_number;
static volatile unsigned long long trap_error, trap_rip;
static uint8_t signal_stack[65536];

static void on_signal(int number, siginfo_t *info, void *context)
{
	const ucontext_t *user = context;

	(void)number;
	(void)info;
	__asm__ volatile("cld; mov %0, %%ds; mov %1, %%es; mov %2, %%ss"
			 :
			 : "r"(native_registers.host_ds), "r"(native_registers.host_es),
			   "r"(native_registers.host_ss));
	trap_number = (int)user->uc_mcontext.gregs[REG_TRAPNO];
	trap_error = (unsigned long long)user->uc_mcontext.gregs[REG_ERR];
	trap_rip = (unsigned long long)user->uc_mcontext.gregs[REG_RIP];
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
	native_registers.host_es = native_selector(0);
	native_registers.host_ss = native_selector(2);
	native_registers.host_ds = native_selector(3);
	catch_signals();
}

static char trap_text[80];

const char *native_trap(void)
{
	return trap_text;
}

/* The trampoline's own exceptions must not pass for the instruction's. */
static int trapped(void)
{
	snprintf(trap_text, sizeof(trap_text), "exception %d, error code %#llx, at %#llx",
		 trap_number, trap_error, trap_rip);
	return trap_rip == NATIVE_CODE ? trap_number : NATIVE_ON_THE_WAY;
}

/* NATIVE_DONE, the vector, or NATIVE_ON_THE_WAY. */
static int execute(void (*trampoline)(void), struct native_state *state)
{
	native_registers.state = *state;
	strcpy(trap_text, "no exception");
	if (sigsetjmp(escape, 1))
		return trapped();
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

/* --- 32- and 16-bit code -------------------------------------------------- */

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
	uint32_t offset = NATIVE_TO_64;
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
	memcpy((void *)NATIVE_ENTER_32, native_enter_32,
	       (size_t)(native_enter_32_end - native_enter_32));
	memcpy((void *)NATIVE_ENTER_16, native_enter_16,
	       (size_t)(native_enter_16_end - native_enter_16));
	put_jump_back((uint8_t *)NATIVE_TO_64, native_return_legacy);
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
	*(struct native_loaded *)NATIVE_LOADED = (struct native_loaded){
		.esp = (uint32_t)state->gpr[REGISTER_RSP],
		.ss = selectors->ss,
		.es = selectors->es,
		.ds = selectors->ds,
	};
	native_registers.far_offset = wide ? NATIVE_ENTER_32 : NATIVE_ENTER_16;
	native_registers.far_selector = selectors->cs;
	return execute(native_trampoline_legacy, state);
}
