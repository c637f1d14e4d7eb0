/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors and segment registers of protected mode, as a task switch loads them.
 * For task_switch.c alone; all by the owner, sleep.
 */
#ifndef X86_EMULATE_TASK_H
#define X86_EMULATE_TASK_H

#include "vm/vcpu.h"

/* The hidden part of a segment register from a descriptor. */
struct seg_desc task_parse_descriptor(uint64_t raw);

/*
 * Read a selector's descriptor from the GDT or LDT: 0; -ENOENT: outside the table;
 * else as linear_read(). _probe: would writing it succeed? _set_busy: of a TSS.
 */
int task_read_descriptor(struct vcpu *vcpu, uint16_t selector, uint64_t *raw);
int task_probe_descriptor(struct vcpu *vcpu, uint16_t selector);
int task_set_busy(struct vcpu *vcpu, uint16_t selector, bool busy);

/* Do 'size' bytes at 'offset' lie within a data segment? */
bool task_within_limit(const struct seg_desc *desc, uint32_t offset, unsigned int size);

/* The new task, while its segments are loaded. */
struct task_loader {
	struct vcpu *vcpu;
	uint32_t external; /* SELERR_EXT or 0, for error codes */
	unsigned int cpl;
};

/*
 * Load the hidden part of a segment register whose selector has been set. 0; -EFAULT
 * with the exception raised (#TS, #NP, #SS, #PF); -ENXIO, -ENOMEM.
 */
int task_load_ldt(const struct task_loader *loader, uint16_t selector);
int task_load_code(const struct task_loader *loader, uint16_t selector);
int task_load_stack(const struct task_loader *loader, uint16_t selector);
int task_load_data(const struct task_loader *loader, int reg, uint16_t selector);
/* The same in virtual-8086 mode, where nothing can fail. */
void task_load_virtual(const struct task_loader *loader, int reg, uint16_t selector);

#endif
