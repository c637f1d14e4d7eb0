// SPDX-License-Identifier: BSD-2-Clause
/* What the way to other modes needs: their page tables, control registers, code below 1 MiB. */
#include "modes.h"

#include "payload.h"

#define LOW_BASE (SNIPPET_SEGMENT * 16)

extern const char mode_low[], mode_low_end[];

struct mode_registers mode_registers;
uint32_t mode_directory[1024] __attribute__((aligned(4096)));
uint64_t mode_pae_directories[4 * 512] __attribute__((aligned(4096)));
uint64_t mode_pae_pointers[4] __attribute__((aligned(32)));

/* For mode_switch (mode_switch.S). */
uint32_t mode_cr0, mode_cr3, mode_cr4;
uint32_t mode_leaves_long, mode_16, mode_is_real, mode_keeps_ds;
void mode_switch(void);

static void prepare_pse(void)
{
	mode_cr3 = (uint32_t)(uint64_t)mode_directory;
	mode_cr4 = (mode_cr4 & ~0x20u) | 0x10;
	for (uint32_t i = 0; i < 1024; i++)
		mode_directory[i] = i << 22 | 0x83;
}

/* In the entries of the first level all bits but P and the address are reserved. */
static void prepare_pae(void)
{
	mode_cr3 = (uint32_t)(uint64_t)mode_pae_pointers;
	mode_cr4 |= 0x20;
	for (uint64_t i = 0; i < 4 * 512; i++)
		mode_pae_directories[i] = i << 21 | 0x83;
	for (uint64_t i = 0; i < 4; i++)
		mode_pae_pointers[i] = (uint64_t)&mode_pae_directories[i * 512] | 1;
}

static void prepare_paging(enum mode mode)
{
	mode_cr4 = (uint32_t)read_cr4();
	mode_cr0 = (uint32_t)read_cr0() & 0x7fffffff;
	if (mode == MODE_PSE)
		prepare_pse();
	if (mode == MODE_PAE)
		prepare_pae();
	if (mode == MODE_PSE || mode == MODE_PAE)
		mode_cr0 |= 1u << 31;
}

void mode_run(enum mode mode, const char *begin, const char *end)
{
	prepare_paging(mode);
	mode_leaves_long = mode != MODE_COMPATIBILITY;
	mode_16 = mode >= MODE_PROTECTED_16;
	mode_is_real = mode >= MODE_REAL;
	mode_keeps_ds = mode == MODE_UNREAL;
	memcpy((void *)LOW_BASE, mode_low, (size_t)(mode_low_end - mode_low));
	memcpy((void *)SNIPPET_BASE, begin, (size_t)(end - begin));
	mode_switch();
}
