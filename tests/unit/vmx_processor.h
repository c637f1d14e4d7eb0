/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An Intel processor for tests of the back end: VMX on each simulated CPU, regions as
 * the SDM's state machine has them (vol. 3, 24.1), fields in memory. What no software
 * may do aborts: an instruction in the wrong state, a field that does not exist, an
 * entry with controls that the capability MSRs forbid or an event that cannot be
 * delivered. What the guest does, and how it ends, is the test's to say.
 */
#ifndef TESTS_UNIT_VMX_PROCESSOR_H
#define TESTS_UNIT_VMX_PROCESSOR_H

#include "vm/vcpu.h"
#include "os/user/os_user.h"
#include "os/vmx.h"
#include "vmx/features.h"
#include "vmx/vmcs.h"
#include "vmx/vmx.h"

/* Number of INVEPT and INVVPID by type, and the last operand. */
struct vmx_invalidations {
	unsigned int single, all;
	uint64_t last;
};

struct vmx_processor {
	/* How the next exits come about. Fields of the guest a test changes in 'guest'. */
	uint32_t reason;
	uint64_t qualification;
	uint32_t length;
	uint32_t intr_info;
	uint32_t vectoring, vectoring_error;
	uint64_t guest_physical;
	uint32_t refuse; /* not 0: VMLAUNCH and VMRESUME fail with this error */
	void (*guest)(struct vcpu *vcpu);
	struct vcpu *vcpu; /* given to 'guest' */

	/* What has been seen. */
	unsigned int entries, launches, pointer_loads;
	uint32_t switch_flags; /* of the last entry */
	struct vmx_invalidations ept, vpid;
	unsigned int segment_restores;
	struct os_host_segments segments; /* of every CPU */
	bool fred;
};
extern struct vmx_processor processor;

/*
 * Power on, with every feature, the firmware's lock as it should be, and registers of a
 * host. Calls os_user_reset().
 */
void processor_start(void);
/* Take away (or give, for the second word of 'must be 1') bits of a capability MSR. */
void processor_forbid(uint32_t msr, uint32_t controls);
void processor_set_bits(uint32_t msr, uint64_t bits, bool on);

/* A field as the last entry found it, and as it is now in the VMCS current on this CPU. */
uint64_t seen(uint32_t field);
uint64_t vmcs_read(uint32_t field);
void vmcs_write(uint32_t field, uint64_t value);
/* VMREADs and VMWRITEs of a field, or of all (field 0xffff), since the last call that asked. */
unsigned int count_reads(uint32_t field);
unsigned int count_writes(uint32_t field);
void forget_counts(void);

/* Is VMX on, on this CPU; the region that is current there, ~0 none. */
bool vmx_is_on(void);
uint64_t current_vmcs(void);

#endif
