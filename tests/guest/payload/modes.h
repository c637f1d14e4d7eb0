/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Code of other modes than the tests' own. A snippet is copied below 1 MiB, called there
 * in its mode with EBX, ECX, EDX, ESI and EDI from mode_registers, and ends in a near
 * RET; what it leaves in them and EAX is found there afterwards. All segments but
 * CS are flat in 32-bit modes; in 16-bit ones they begin at SNIPPET_SEGMENT. Interrupts
 * off; a snippet that takes them loads its own IDT.
 */
#ifndef MODES_H
#define MODES_H

#include <stdint.h>

enum mode {
	MODE_COMPATIBILITY, /* 32-bit code in long mode, the tests' IDT */
	MODE_PROTECTED,	    /* 32-bit, no paging */
	MODE_PSE,	    /* 32-bit, 4 MiB pages, all 4 GiB */
	MODE_PAE,	    /* 32-bit, entries of 64 bits, 2 MiB pages, all 4 GiB */
	MODE_PROTECTED_16,  /* 16-bit code and data, no paging */
	MODE_REAL,
	MODE_UNREAL, /* real, but DS has base 0 and a limit of 4 GiB */
};

#define SNIPPET_BASE	0x9000
#define SNIPPET_SEGMENT 0x800

struct mode_registers {
	uint32_t eax, ebx, ecx, edx, esi, edi;
};
extern struct mode_registers mode_registers;

/* Run [begin, end) as said above. */
void mode_run(enum mode mode, const char *begin, const char *end);

/* The page directory of MODE_PSE, filled by mode_run; snippets may change it. */
extern uint32_t mode_directory[1024];
/* The four page directories of MODE_PAE, and what refers to them; likewise. */
extern uint64_t mode_pae_directories[4 * 512];
extern uint64_t mode_pae_pointers[4];

/* A snippet by its name. 'bits' is 16 or 32. */
#define SNIPPET(name, bits, text)                                                       \
	asm(".pushsection .rodata; .code" #bits "; .balign 64\n" #name "_begin:\n" text \
	    "\n.code64\n" #name "_end: .popsection\n");                                 \
	extern const char name##_begin[], name##_end[]
#define RUN(mode, name) mode_run(mode, name##_begin, name##_end)

#endif
