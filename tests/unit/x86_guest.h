/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM with one vCPU for the tests of module/x86, made by the real core on a back
 * end whose registers are plain arrays and which enters no guest. Exits are what
 * the test calls the handlers for; events that handlers raise stay in the vCPU.
 */
#ifndef TESTS_UNIT_X86_GUEST_H
#define TESTS_UNIT_X86_GUEST_H

#include "core/vm.h"
#include "os/user/os_user.h"

#define GUEST_CODE   0x1000ull	 /* where guest_code() puts instructions */
#define GUEST_MEMORY 0x400000ull /* bytes of RAM at 0 */
#define GUEST_VCPUS  8		 /* that the VM may have */
#define GUEST_MSRS   16

/* What the back end keeps for a vCPU. */
struct guest_state {
	uint64_t reg[VM_REG_LAST];
	struct seg_desc desc[VM_REG_LAST];
	uint32_t msr_number[GUEST_MSRS];
	uint64_t msr_value[GUEST_MSRS];
	unsigned int msr_count;
	unsigned int flushes;
	uint64_t tsc_offset;
	bool has_pdptes; /* PDPTE registers exist */
};

/*
 * Before guest_create: the host's CPUID may be overridden with os_user_set_cpuid().
 * The vCPU is in 64-bit mode without paging of its own to speak of: see guest_mode.
 */
struct vm *guest_create(void);
/* Frees it, and fails the test if anything is left allocated. */
void guest_destroy(struct vm *vm);
/* A vCPU by number, made if need be, with its vcpu->backend_state. */
struct vcpu *guest_vcpu(struct vm *vm, int id);
struct guest_state *guest_state(struct vcpu *vcpu);

/*
 * Put the vCPU into flat 32-bit protected mode without paging, CPL 0, RIP at GUEST_CODE,
 * with 'length' bytes of code there, and next_rip unknown.
 */
void guest_code(struct vcpu *vcpu, const void *bytes, unsigned int length);
/* 64-bit mode as handlers see it (EFER.LMA, CS.L); code cannot be fetched. */
void guest_long_mode(struct vcpu *vcpu);
/* Host address of guest RAM. */
void *guest_memory(struct vm *vm, uint64_t gpa);

/* The exception raised: its vector, or -1; and its error code, -1 if it has none. */
int guest_exception(const struct vcpu *vcpu);
int64_t guest_error_code(const struct vcpu *vcpu);

#endif
