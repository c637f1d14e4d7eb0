/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Model-specific registers as the guest sees them: one table (msr.c) with a row
 * for each register or range: the feature or vendor it belongs to, and how it is
 * read and written. Back ends intercept every MSR that they do not switch
 * themselves and come here.
 */
#ifndef X86_CPU_MSR_H
#define X86_CPU_MSR_H

#include "vm/vcpu.h"

/* How a register is read. */
enum msr_read_form {
	MSR_READ_REFUSED,  /* #GP */
	MSR_READ_CONSTANT, /* as 'constant' */
	MSR_READ_FIELD,	   /* the uint64_t at 'field' in struct vcpu */
	MSR_READ_HOST,	   /* as the host's register of that number; 0 where it has none */
	MSR_READ_MACHINE,  /* by machine(): the same on all vCPUs */
	MSR_READ_VCPU,	   /* by get() */
	MSR_READ_NUMBERED, /* by read(), which learns which register it is */
};

/* How a register is written. */
enum msr_write_form {
	MSR_WRITE_REFUSED,  /* #GP */
	MSR_WRITE_IGNORED,  /* bits outside 'accepted' are #GP, others without effect */
	MSR_WRITE_FIELD,    /* the same, and bits in 'kept' go into the field */
	MSR_WRITE_COMMAND,  /* as ignored, and what is not 0 goes to the host's register */
	MSR_WRITE_VCPU,	    /* by set() */
	MSR_WRITE_NUMBERED, /* by write() */
};

/* One register or a range of them. The functions answer as msr_read and msr_write. */
struct msr_row {
	uint32_t first;
	uint32_t last;
	uint16_t feature;   /* enum cpu_feature it belongs to, or CPU_NONE */
	uint16_t field;	    /* offset in struct vcpu */
	uint8_t vendor;	    /* enum cpu_vendor whose processors have it; 0: all */
	uint8_t read_form;  /* enum msr_read_form */
	uint8_t write_form; /* enum msr_write_form */
	union {
		uint64_t constant;
		uint64_t (*machine)(void);
		int (*get)(struct vcpu *vcpu, uint64_t *value);
		int (*read)(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
	};
	union {
		uint64_t accepted;
		int (*set)(struct vcpu *vcpu, uint64_t value);
		int (*write)(struct vcpu *vcpu, uint32_t msr, uint64_t value);
	};
	uint64_t kept;
};

/* Sorted by number, without overlap. */
extern const struct msr_row msr_rows[];
extern const unsigned int msr_row_count;

/* Make finding a row one step. Once, before any VM. */
void msr_init(void);

/*
 * Read or write an MSR on behalf of the guest. 0; -EINVAL when the guest gets
 * #GP; -ENOENT for a register that is not in the table: userspace may know it;
 * 1 when vcpu->exit has been filled in (an IPI for userspace: the instruction is
 * finished). '*value' is set only where the answer is 0. Owner; inner or outer loop;
 * never sleeps.
 */
int msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
int msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value);

/* Is this a memory type range register that can be written? They are values only. any */
bool msr_is_mtrr(uint32_t msr);

/* What struct vcpu holds of the MSRs, after RESET or INIT. Owner. */
void msr_reset(struct vcpu *vcpu, bool init);

/*
 * The host's TSC has jumped by -'change' against the guest's time: the guest's goes on as if it
 * had not. TSC_ADJUST stays, for the guest has changed nothing. Owner.
 */
void msr_compensate_tsc(struct vcpu *vcpu, uint64_t change);
/* Guest time stamp counter now. Owner. */
static inline uint64_t msr_guest_tsc(const struct vcpu *vcpu)
{
	return os_rdtsc() + vcpu->tsc_offset;
}

#endif
