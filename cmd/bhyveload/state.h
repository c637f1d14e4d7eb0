/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state in which vCPU 0 starts: everything that differs from power-on.
 */
#ifndef BHYVELOAD_STATE_H
#define BHYVELOAD_STATE_H

#include <vmm/vmm.h>

#include "guest.h"

/* The selectors that Linux requires; Multiboot and PVH require none. */
#define BOOT_CODE_SELECTOR 0x10
#define BOOT_DATA_SELECTOR 0x18
#define BOOT_TSS_SELECTOR  0x20

struct boot_segment {
	enum vm_reg_name reg;
	uint16_t selector; /* not for GDTR and IDTR */
	struct seg_desc desc;
};

#define MOST_BOOT_REGISTERS 24
#define MOST_BOOT_SEGMENTS  10

struct boot_state {
	int regs[MOST_BOOT_REGISTERS]; /* enum vm_reg_name */
	uint64_t values[MOST_BOOT_REGISTERS];
	unsigned int register_count;
	struct boot_segment segments[MOST_BOOT_SEGMENTS];
	unsigned int segment_count;
};

/* Sets a register, for the first time or again. */
void state_set(struct boot_state *state, enum vm_reg_name reg, uint64_t value);

/* The value that was set, 0 if none was. */
uint64_t state_get(const struct boot_state *state, enum vm_reg_name reg);

/*
 * 32-bit protected mode without paging, flat 4 GiB segments, interrupts off,
 * all general registers 0; RIP is 'entry'. Puts a GDT into the guest's memory.
 */
int state_protected_mode(struct boot_state *state, struct guest *guest, uint32_t entry);

/*
 * 64-bit mode, the first 4 GiB mapped where they are by 2 MiB pages; the rest as
 * above. Puts a GDT and page tables into the guest's memory.
 */
int state_long_mode(struct boot_state *state, struct guest *guest, uint64_t entry);

#endif
