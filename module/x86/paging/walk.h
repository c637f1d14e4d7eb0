/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Translation of a guest's linear addresses by the guest's own page tables, as
 * the processor does it (APM vol. 2, chapter 5): all paging modes, permissions,
 * reserved bits, accessed and dirty bits.
 */
#ifndef X86_PAGING_WALK_H
#define X86_PAGING_WALK_H

#include <vmm/vmm.h>
#include "os/os.h"
#include "vm/backend.h"
#include "vm/regs.h"

struct vcpu;

/* What the access wants. The privilege comes from the paging state's CPL. */
#define WALK_WRITE   0x1
#define WALK_EXECUTE 0x2
#define WALK_SYSTEM  0x4 /* implicit supervisor access (descriptor tables, TSS), whatever the CPL */
#define WALK_PROBE   0x8 /* leave accessed and dirty bits alone */

/* What a walk depends on, apart from the tables. */
struct walk_state {
	struct vm_guest_paging paging;
	uint64_t cr0;
	uint64_t cr4;
	uint64_t efer;
	uint64_t rflags; /* AC, for SMAP */
	uint32_t pkru;
	uint8_t physical_bits; /* width of the guest's physical addresses, 32..52 */
	bool gigabyte_pages;   /* the guest has 1 GiB pages */
	bool has_pdpte;	       /* the processor holds the PAE pointers, not memory */
	uint64_t pdpte[4];
};

/*
 * Where a walk finds page-table entries: the host address of guest memory at
 * 'gpa', for writing too if 'write'. NULL with *error = -EAGAIN (not backed yet),
 * or -EFAULT (no such memory).
 */
typedef void *(*walk_memory_fn)(void *arg, uint64_t gpa, bool write, int *error);

/*
 * Translate 'linear' for 'access' (WALK_*). 0 with *gpa; -EFAULT with *error_code:
 * the guest takes a #PF; -EAGAIN with *gpa: memory there has to be given backing
 * first; -EBUSY: the tables kept changing under us, start the instruction again.
 * Touches nothing but entries' A and D bits, atomically. any
 */
int walk_tables(const struct walk_state *state, walk_memory_fn memory, void *arg, uint64_t linear,
		unsigned int access, uint64_t *gpa, uint32_t *error_code);

/*
 * The entries that a walk has used, so that whoever asks again under the same state can
 * see that the answer is the same. Void once the VM's memory map changes.
 */
struct walk_trace {
	bool valid;
	uint8_t depth; /* 0: no paging */
	const uint64_t *entry[5];
	uint64_t value[5];
};

/* Are the entries still what they were? */
static inline bool walk_trace_holds(const struct walk_trace *trace)
{
	unsigned int i;

	for (i = 0; i < trace->depth; i++)
		if (READ_ONCE(*trace->entry[i]) != trace->value[i])
			return false;
	return true;
}

static inline enum vm_cpu_mode guest_cpu_mode(const struct guest_mode *mode)
{
	if (likely((mode->efer & REG_EFER_LMA) && (mode->code.access & SEG_ACCESS_L)))
		return CPU_MODE_64BIT;
	if (mode->efer & REG_EFER_LMA)
		return CPU_MODE_COMPATIBILITY;
	return mode->cr0 & REG_CR0_PE ? CPU_MODE_PROTECTED : CPU_MODE_REAL;
}

/* Mode, CPL and CR3 of a vCPU as an exit reports them. Owner; any context. */
void x86_paging(struct vcpu *vcpu, struct vm_guest_paging *paging);
/* The registers that decide about all this. Owner; any context. */
void x86_mode(struct vcpu *vcpu, struct guest_mode *mode);
/* Everything walk_tables() wants to know of a vCPU in this mode. Owner; any context. */
void walk_state_in(struct vcpu *vcpu, const struct guest_mode *mode, struct walk_state *state);
void walk_state_of(struct vcpu *vcpu, struct walk_state *state);

/* walk_tables() over the vCPU's state and the VM's memory. Owner; any context. */
int walk_vcpu(struct vcpu *vcpu, const struct walk_state *state, uint64_t linear,
	      unsigned int access, uint64_t *gpa, uint32_t *error_code);
/* The same, leaving a trace (for tables with entries of 8 bytes, else it is not valid). */
int walk_vcpu_trace(struct vcpu *vcpu, const struct walk_state *state, uint64_t linear,
		    unsigned int access, uint64_t *gpa, uint32_t *error_code,
		    struct walk_trace *trace);
/*
 * walk_vcpu(), and page tables without backing are given it. 0; -EFAULT; -ENOMEM; -EBUSY: the
 * tables kept changing, or went. Owner; sleep.
 */
int walk_populate(struct vcpu *vcpu, const struct walk_state *state, uint64_t linear,
		  unsigned int access, uint64_t *gpa, uint32_t *error_code);
/* The same under another paging state (VM_GLA2GPA); -EINVAL: there is no such mode. */
int walk_translate(struct vcpu *vcpu, const struct vm_guest_paging *paging, uint64_t linear,
		   unsigned int access, uint64_t *gpa, uint32_t *error_code);

#endif
